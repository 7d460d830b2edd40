"""What a valid plan leaves unconfirmed, and what it names that is not there: a missing section must be said, never be a
silent GO."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from preflight.clock import format_moment
from preflight.plan import Application, Backup, Database, Plan, Scripts, SslMode, Step, UndoKind

_TAKES_TIME = (UndoKind.RESTORE, UndoKind.SCRIPT, UndoKind.REDEPLOY)


def unconfirmed(plan: Plan) -> tuple[str, ...]:
    """One sentence for each gap, naming the entry and the key to add, in the order of the plan's sections."""
    return tuple(_sentences(plan))


def outlived(plan: Plan, moment: datetime) -> tuple[str, ...]:
    """What the plan says of a time that is over at `moment`: a plan copied from the last release."""
    window = plan.window
    if moment < window.end:
        return ()
    return (f"The window was over {format_moment(window.end, window.zone)}: correct start and end in [window].",)


def unstaffed(plan: Plan) -> Iterator[str]:
    """Roles that nobody can be called for; in a run, on-call fails them."""
    for role in plan.roles.values():
        if not role.standby.strip():
            yield f'Role {role.id} has nobody to take over: add "standby" to [roles.{role.id}].'
        if not role.contact.strip():
            yield f'Role {role.id} cannot be called: add "contact" to [roles.{role.id}].'


def _sentences(plan: Plan) -> Iterator[str]:
    yield from _owners(plan)
    for database in plan.databases.values():
        yield from _database(plan, database)
    for backup in plan.backups.values():
        yield from _backup(backup)
    for scripts in plan.scripts.values():
        yield from _scripts(scripts)
    for application in plan.applications.values():
        yield from _application(application)
    yield from _rollback(plan)
    yield from _steps(plan)


def _owners(plan: Plan) -> Iterator[str]:
    """Entries that no owner is named for, nor for what they lie on."""
    for host in plan.hosts.values():
        if not host.owner:
            yield f'Nobody owns the findings of host {host.id}: add "owner" to [hosts.{host.id}].'
    for section, entries in (
        ("databases", plan.databases), ("backups", plan.backups), ("scripts", plan.scripts),
        ("applications", plan.applications),
    ):  # fmt: skip
        for entry in entries.values():
            if not entry.owner:
                yield f'Nobody owns the findings of [{section}.{entry.id}]: add "owner" to it.'
    if plan.rollback is not None and not plan.rollback.owner:
        yield 'Nobody owns the findings of the way back: add "owner" to [rollback].'


def _database(plan: Plan, database: Database) -> Iterator[str]:
    name, table = database.id, f"[databases.{database.id}]"
    if not any(backup.database == name for backup in plan.backups.values()):
        yield f'Database {name} has no backup: add a [backups.NAME] with database = "{name}".'
    if not any(scripts.database == name for scripts in plan.scripts.values()):
        yield f'Database {name} has no scripts: add a [scripts.NAME] with database = "{name}", if any will run there.'
    if database.sslmode not in (SslMode.VERIFY_CA, SslMode.VERIFY_FULL):
        yield (
            f'Database {name} is reached without proof of which server answers: add sslmode = "verify-full" to {table}.'
        )


def _backup(backup: Backup) -> Iterator[str]:
    if not backup.previous:
        yield (
            f"No earlier backup is read to its end for backup {backup.id}: "
            f'add "previous" to [backups.{backup.id}], the pattern of its files.'
        )


def _scripts(scripts: Scripts) -> Iterator[str]:
    table = f"[scripts.{scripts.id}]"
    if not scripts.way_back:
        yield f'No way-back script is looked for beside the scripts {scripts.id}: add "way_back" to {table}.'
    if not scripts.step:
        yield f'No step of the window runs the scripts {scripts.id}: add "step" to {table}.'


def _application(application: Application) -> Iterator[str]:
    table = f"[applications.{application.id}]"
    if not application.health:
        yield f'Application {application.id} is not asked for its health: add "health" to {table}.'
    elif not _tells_version(application):
        yield (
            f"No health endpoint of application {application.id} tells its version {application.from_}: "
            f'add "version" to one in {table}.'
        )


def _tells_version(application: Application) -> bool:
    return any(
        endpoint.version or application.from_ in map(str, endpoint.json.values()) for endpoint in application.health
    )


def _rollback(plan: Plan) -> Iterator[str]:
    if plan.rollback is None:
        yield "The way back is not confirmed at all: add [rollback]."
        return
    if plan.rollback.rehearsed is None:
        yield 'The way back was never rehearsed: add "rehearsed" to [rollback], the date of the rehearsal.'
    if not plan.rollback.files:
        yield 'No file that the way back needs is looked for: add "files" to [rollback].'


def _steps(plan: Plan) -> Iterator[str]:
    if not plan.steps:
        yield "How long the window's work and its rollback take is not known: add [[steps]]."
    for step in plan.steps:
        yield from _undo(step)


def _undo(step: Step) -> Iterator[str]:
    if step.undo is None:
        yield f'Step {step.id} does not say how it is taken back: add "undo" to it.'
    elif step.undo.kind in _TAKES_TIME and not step.undo.minutes:
        yield f'Step {step.id} does not say how long taking it back lasts: add "minutes" to its undo.'


def missing_files(plan: Plan) -> Iterator[str]:
    """One sentence for each file beside the plan that it names and that is not there. Nothing is read."""
    for scripts in plan.scripts.values():
        table = f"[scripts.{scripts.id}]"
        if not scripts.approved.is_dir():
            yield f'The folder of approved scripts is not there: correct "approved" in {table} ({scripts.approved}).'
        elif not scripts.manifest.is_file():
            yield f"The scripts {scripts.id} are not sealed, {scripts.manifest} is not there: run preflight seal."
