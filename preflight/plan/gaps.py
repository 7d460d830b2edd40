"""What a valid plan leaves out or unconfirmed, and what it names that is not there: absent is said, never assumed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from os.path import isdir, isfile
from pathlib import Path
from urllib.parse import urlsplit

from preflight.clock import format_moment
from preflight.faults import Keys, dotted
from preflight.plan import Application, Database, Endpoint, Plan, Scripts, ServerRole, UndoKind
from preflight.plan.release_plan import protects, saves
from preflight.plan.rules import Broken
from preflight.plan.said import too_old

SECTIONS = {
    "hosts": "No host is asked",
    "databases": "No database is asked",
    "backups": "No backup is planned",
    "scripts": "No scripts are planned",
    "applications": "No application is asked for its health",
    "rollback": "The way back is not confirmed at all",
}
"""What a plan has, or leaves out for a reason -> what its absence means."""
REHEARSED = ("rollback", "rehearsed")


def unconfirmed(plan: Plan) -> tuple[Broken, ...]:
    """A sentence for each thing that a GO leaves open, naming the entry and the key to add, in the plan's order."""
    return tuple(each for part in (_owners, _databases, _scripts, _applications, _steps) for each in part(plan))


@dataclass(frozen=True, slots=True)
class Gap:
    """A kind of entries that the plan does not have, or a key without which an entry is not looked at."""

    keys: Keys
    """The key, or the section."""
    missing: str
    """What is not done for want of it."""
    add: str
    """The act that closes it."""
    why: str
    """The act that leaves it out for a reason."""
    reason: str = ""
    """Why it is left out, by the plan."""
    owner: str = ""
    managed: Database | None = None
    """Whose provider somebody may answer for instead."""
    file: Path | None = None
    """Is there, and is no gap while its SHA-256 is `sha256`."""
    sha256: str = ""

    def __str__(self) -> str:
        return f"{self.missing}: {self.cure}."

    @property
    def cure(self) -> str:
        return f"{self.add}; or {self.why}"


def left_out(plan: Plan) -> Iterator[Gap]:
    """What a plan must hold or leave out for a reason, for plan-coverage; of entries, where their section is there."""
    provided = bool(plan.databases) and all(each.provider_restores for each in plan.databases.values())
    for section in SECTIONS:
        if not getattr(plan, section) and not (section == "backups" and provided):
            yield _without(plan, section)
    yield from (gap for gap in sealed_signers(plan) if gap.file is None)
    yield from _without_backup(plan)
    for backup in plan.backups.values():
        if backup.method.has_repository:
            if not backup.directory:
                missing = f"Room and place of the repository of backup {backup.id} are not looked at"
                yield _key(plan, ("backups", backup.id, "directory"), missing, ", the folder it lies in", backup.owner)
        elif not backup.previous:
            missing = f"No earlier backup is read to its end for backup {backup.id}"
            yield _key(plan, ("backups", backup.id, "previous"), missing, ", the pattern of its files", backup.owner)
    for scripts in plan.scripts.values():
        if not scripts.way_back and not _is_taken_back(plan, scripts):
            missing = f"No way-back script is looked for beside the scripts {scripts.id}"
            yield _key(plan, ("scripts", scripts.id, "way_back"), missing, owner=plan.owner_of(scripts))
    yield from _without_health(plan)
    if plan.rollback is not None and not plan.rollback.files:
        missing = "No file that the way back needs is looked for"
        yield _key(plan, ("rollback", "files"), missing, owner=plan.rollback.owner)


def _without(plan: Plan, section: str) -> Gap:
    reasons = plan.release.without.reasons
    reason = reasons.get(section, "") or (reasons.get("databases", "") if section == "backups" else "")
    why = f'say why in [release]: without = {{ {section} = "" }}'
    managed = [each.id for each in plan.databases.values() if not each.host] if section == "backups" else []
    provided = "".join(f", or provider_restores to [databases.{name}]" for name in managed[:1])
    return Gap((section,), SECTIONS[section], f"add [{section}]{provided}", why, reason, plan.decided_by)


def sealed_signers(plan: Plan) -> Iterator[Gap]:
    """Whose signature was wanted at sealing, where the plan wants it no longer or names another file than it was."""
    for where, sha256 in plan.sealed_signers.items():
        keys, file = _signers_keys(where), plan.signers.get(where)
        table = f"[{dotted(keys[:-1])}]"
        missing = f"Nobody's signature is wanted any more: {table} named `allowed_signers` when the plan was sealed"
        add = f"write `allowed_signers` of {table} back into the plan"
        why = f'if that is meant, take "{where}" out of `allowed_signers` in {plan.sealed_servers.name} by hand'
        if file:
            missing = f"Other keys may sign than when the plan was sealed: {file.name}, `allowed_signers` of {table}"
            add, why = f"take the change of {file.name} back", f"{why}, then run: {plan.call('seal')}"
        entry = plan.scripts.get(keys[1]) if where != "release" else None
        owner = plan.owner_of(entry) if entry else plan.decided_by
        yield Gap(keys, missing, add, why, owner=owner, file=file, sha256=sha256)


def _signers_keys(where: str) -> tuple[str, ...]:
    """Of a place of `Plan.signers`: a script's name may hold a dot."""
    return (*where.split(".", 1), "allowed_signers")


def _without_backup(plan: Plan) -> Iterator[Gap]:
    named = {backup.database for backup in plan.backups.values()}
    for scripts in plan.scripts.values() if named else ():
        if scripts.engine and not any(saves(plan, each, scripts) for each in plan.backups.values()):
            reason = scripts.backup.none if scripts.backup else ""
            missing = f"What the scripts {scripts.id} change, {scripts.engine} on {scripts.host}, has no backup"
            add = f'add a table to [backups] with host = "{scripts.host}" and engine = "{scripts.engine}"'
            keys: Keys = ("scripts", scripts.id, "backup")
            yield Gap(keys, missing, add, _none(keys), reason, plan.owner_of(scripts))
    for database in plan.databases.values():
        if not named and not database.provider_restores:  # the section's own gap says it
            continue
        if database.role is ServerRole.REPLICA:  # nothing can be changed there
            continue
        if database.id not in named and not any(protects(plan, each, database.id) for each in plan.backups.values()):
            said = database.provider_restores
            reason = said.reason if said else database.backup.none if database.backup else ""
            missing = f"Database {database.id} has no backup"
            add = f'add a table to [backups] with database = "{database.id}"'
            keys = ("databases", database.id, "backup")
            managed = None if database.host or database.backup else database
            yield Gap(keys, missing, add, _none(keys), reason, database.owner, managed)


def _is_taken_back(plan: Plan, scripts: Scripts) -> bool:
    """Its step says that what it changes is restored, or stays."""
    step = plan.step(scripts.step)
    kept = (UndoKind.RESTORE, UndoKind.NOTHING_TO_UNDO, UndoKind.NONE)
    return step is not None and step.undo is not None and step.undo.kind in kept


def _without_health(plan: Plan) -> Iterator[Gap]:
    for name, application in plan.applications.items():
        version, keys = application.from_, ("applications", name, "health")
        if not application.health:
            yield _key(plan, keys, f"Application {name} is not asked for its health", owner=application.owner)
        for server, endpoints in _by_server(application).items():
            if not any(each.version or version in map(str, each.json.values()) for each in endpoints.values()):
                missing = f"Nothing at {server} tells whether application {name} runs its version {version}"
                version_keys = [(*keys, at, "version") for at in endpoints]
                reason = next((plan.absent[each] for each in version_keys if each in plan.absent), "")
                add = f'add "version" to an endpoint there in [[{dotted(keys)}]]'
                why = 'say why there: version = { none = "" }'
                yield Gap(version_keys[0], missing, add, why, reason, application.owner)


def _by_server(application: Application) -> Mapping[str, Mapping[int, Endpoint]]:
    """Each server of its endpoints -> those there, by their place."""
    found: dict[str, dict[int, Endpoint]] = {}
    for at, endpoint in enumerate(application.health):
        found.setdefault(urlsplit(endpoint.url).netloc.lower(), {})[at] = endpoint
    return found


def _key(plan: Plan, keys: Keys, missing: str, more: str = "", owner: str = "") -> Gap:
    add = f'add "{keys[-1]}" to [{dotted(keys[:-1])}]{more}'
    return Gap(keys, missing, add, _none(keys), plan.absent.get(keys, ""), owner)


def _none(keys: Keys) -> str:
    return f'say why in [{dotted(keys[:-1])}]: {keys[-1]} = {{ none = "" }}'


def found_by_checks(plan: Plan) -> Iterator[Broken]:
    """What a check of a run finds without having to ask: on-call, rollback-ready."""
    for role in plan.roles.values():
        for key, lacking in (("standby", "has nobody to take over"), ("contact", "cannot be called")):
            if not getattr(role, key).strip():
                told = f'Role {role.id} {lacking}: add "{key}" to [roles.{role.id}].'
                yield Broken(("roles", role.id, key), told)
    if plan.rollback is not None and plan.rollback.rehearsed is None and REHEARSED not in plan.absent:
        told = 'The way back was never rehearsed: add "rehearsed" to [rollback], the date of the rehearsal.'
        yield Broken(REHEARSED, told)


def outlived(plan: Plan, moment: datetime) -> tuple[Broken, ...]:
    """What the plan says of a time that is over at `moment`: a plan copied from the last release."""
    window = plan.window
    over = f"The window was over {format_moment(window.end, window.zone)}: correct start and end in [window]."
    return (*([Broken(("window", "end"), over)] if moment >= window.end else []), *too_old(plan, moment))


def _owners(plan: Plan) -> Iterator[Broken]:
    """Entries that no owner is named for, nor for what they lie on."""
    for host in plan.hosts.values():
        if not host.owner:
            told = f'Nobody owns the findings of host {host.id}: add "owner" to [hosts.{host.id}].'
            yield Broken(("hosts", host.id), told)
    for section in ("databases", "backups", "scripts", "applications"):
        for entry in getattr(plan, section).values():
            if not entry.owner:
                told = f'Nobody owns the findings of [{section}.{entry.id}]: add "owner" to it.'
                yield Broken((section, entry.id), told)
    if plan.rollback is not None and not plan.rollback.owner:
        yield Broken(("rollback",), 'Nobody owns the findings of the way back: add "owner" to [rollback].')


def _databases(plan: Plan) -> Iterator[Broken]:
    scripted = {scripts.database for scripts in plan.scripts.values()}
    for name, database in plan.databases.items():
        if name not in scripted and plan.scripts and database.role is not ServerRole.REPLICA:
            add = f'add a [scripts.NAME] with database = "{name}", if any will run there'
            yield Broken(("databases", name), f"Database {name} has no scripts: {add}.")
        if not database.sslmode.verifies:
            add = f'add sslmode = "verify-full" to [databases.{name}]'
            told = f"Database {name} is reached without proof of which server answers: {add}."
            yield Broken(("databases", name, "sslmode"), told)


def _applications(plan: Plan) -> Iterator[Broken]:
    for name, application in plan.applications.items():
        for server, endpoints in _by_server(application).items():
            if not any(each.identity for each in endpoints.values()):
                add = f'add "identity" to an endpoint there in [[applications.{name}.health]]'
                told = f"A neighbour at {server} could answer for application {name} unnoticed: {add}."
                yield Broken(("applications", name, "health", next(iter(endpoints))), told)


def _scripts(plan: Plan) -> Iterator[Broken]:
    for name, scripts in plan.scripts.items():
        if not scripts.step:
            told = f'No step of the window runs the scripts {name}: add "step" to [scripts.{name}].'
            yield Broken(("scripts", name), told)


def _steps(plan: Plan) -> Iterator[Broken]:
    restored = any(backup.restore for backup in plan.backups.values())
    restored = restored or any(database.provider_restores for database in plan.databases.values())
    if not plan.steps:
        yield Broken(("steps",), "How long the window's work and its rollback take is not known: add [[steps]].")
    for index, step in enumerate(plan.steps):
        keys, told = ("steps", index, "undo"), f"Step {step.id} "
        if step.undo is None:
            yield Broken(keys, f'{told}does not say how it is taken back: add "undo" to it.')
        elif step.undo.kind.takes_time and not step.undo.minutes:
            yield Broken(keys, f'{told}does not say how long taking it back lasts: add "minutes" to its undo.')
        if step.undo is not None and step.undo.kind is UndoKind.RESTORE and not restored:
            yield Broken(keys, f"{told}is taken back by a restore, and no backup says how: add [backups.NAME.restore].")


def missing_files(plan: Plan) -> Iterator[Broken]:
    """One sentence for each file beside the plan that it names and that is not there. Nothing is read."""
    for where, path in plan.signers.items():
        if not isfile(path):
            yield Broken(_signers_keys(where), f"The file of allowed signers is not there: correct it ({path}).")
    for scripts in plan.scripts.values():
        table = f"[scripts.{scripts.id}]"
        if not isdir(scripts.approved):
            told = f'The folder of approved scripts is not there: correct "approved" in {table} ({scripts.approved}).'
            yield Broken(("scripts", scripts.id, "approved"), told)
        elif not isfile(scripts.manifest):
            told = f"The scripts {scripts.id} are not sealed, {scripts.manifest} is not there: run {plan.call('seal')}."
            yield Broken(("scripts", scripts.id, "manifest"), told)
