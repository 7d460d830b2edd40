"""What a valid plan leaves unconfirmed, and what it names that is not there: a missing section must be said, never be a
silent GO."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from preflight.clock import format_moment
from preflight.plan import Plan, SslMode, UndoKind

_TAKES_TIME = (UndoKind.RESTORE, UndoKind.SCRIPT, UndoKind.REDEPLOY)


def unconfirmed(plan: Plan) -> tuple[str, ...]:
    """One sentence for each gap, naming the entry and the key to add, in the order of the plan's sections."""
    parts = (_owners, _databases, _backups_and_scripts, _applications, _rollback, _steps)
    return tuple(sentence for part in parts for sentence in part(plan))


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


def _databases(plan: Plan) -> Iterator[str]:
    backed_up = {backup.database for backup in plan.backups.values()}
    scripted = {scripts.database for scripts in plan.scripts.values()}
    for name, database in plan.databases.items():
        if name not in backed_up:
            yield f'Database {name} has no backup: add a [backups.NAME] with database = "{name}".'
        if name not in scripted:
            add = f'add a [scripts.NAME] with database = "{name}", if any will run there'
            yield f"Database {name} has no scripts: {add}."
        if database.sslmode not in (SslMode.VERIFY_CA, SslMode.VERIFY_FULL):
            add = f'add sslmode = "verify-full" to [databases.{name}]'
            yield f"Database {name} is reached without proof of which server answers: {add}."


def _backups_and_scripts(plan: Plan) -> Iterator[str]:
    for name, backup in plan.backups.items():
        if not backup.previous:
            add = f'add "previous" to [backups.{name}], the pattern of its files'
            yield f"No earlier backup is read to its end for backup {name}: {add}."
    for name, scripts in plan.scripts.items():
        if not scripts.way_back:
            yield f'No way-back script is looked for beside the scripts {name}: add "way_back" to [scripts.{name}].'
        if not scripts.step:
            yield f'No step of the window runs the scripts {name}: add "step" to [scripts.{name}].'


def _applications(plan: Plan) -> Iterator[str]:
    for name, application in plan.applications.items():
        version = application.from_
        if not application.health:
            yield f'Application {name} is not asked for its health: add "health" to [applications.{name}].'
        elif not any(each.version or version in map(str, each.json.values()) for each in application.health):
            add = f'add "version" to one in [applications.{name}]'
            yield f"No health endpoint of application {name} tells its version {version}: {add}."


def _rollback(plan: Plan) -> Iterator[str]:
    if plan.rollback is None:
        yield "The way back is not confirmed at all: add [rollback]."
        return
    if plan.rollback.rehearsed is None:
        yield 'The way back was never rehearsed: add "rehearsed" to [rollback], the date of the rehearsal.'
    if not plan.rollback.files:
        yield 'No file that the way back needs is looked for: add "files" to [rollback].'


def _steps(plan: Plan) -> Iterator[str]:
    restored = any(backup.restore for backup in plan.backups.values())
    if not plan.steps:
        yield "How long the window's work and its rollback take is not known: add [[steps]]."
    for step in plan.steps:
        if step.undo is None:
            yield f'Step {step.id} does not say how it is taken back: add "undo" to it.'
        elif step.undo.kind in _TAKES_TIME and not step.undo.minutes:
            yield f'Step {step.id} does not say how long taking it back lasts: add "minutes" to its undo.'
        if step.undo is not None and step.undo.kind is UndoKind.RESTORE and not restored:
            yield f"Step {step.id} is taken back by a restore, and no backup says how: add [backups.NAME.restore]."


def missing_files(plan: Plan) -> Iterator[str]:
    """One sentence for each file beside the plan that it names and that is not there. Nothing is read."""
    for scripts in plan.scripts.values():
        table = f"[scripts.{scripts.id}]"
        if not scripts.approved.is_dir():
            yield f'The folder of approved scripts is not there: correct "approved" in {table} ({scripts.approved}).'
        elif not scripts.manifest.is_file():
            yield f"The scripts {scripts.id} are not sealed, {scripts.manifest} is not there: run preflight seal."
