"""The command lines of the night, written from what the plan declares: one right line for each piece of work. Pure.

The tool writes no secret into a line: the client programs never ask (`-w`), so the password comes from the password
file of the account, or none is needed."""

import posixpath
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from preflight.clock import zone
from preflight.plan import Backup, BackupFormat, BackupMethod, Plan, Scripts, UndoKind
from preflight.plan.release_plan import saves
from preflight.plan.values import SCRIPT_SUFFIXES
from preflight.plan.work import PlannedBackup, Section, ServerWork, connection_options, server_work, work_of

_SUFFIXES = {BackupFormat.CUSTOM: ".dump", BackupFormat.TAR: ".tar", BackupFormat.PLAIN: ".sql"}
_RIGHT_PSQL = ("-X", "-w", "-v", "ON_ERROR_STOP=1")


class Act(StrEnum):
    """What a command does, in the order of the sheet."""

    BACKUP = "backup"
    SCRIPTS = "scripts"
    WAY_BACK = "way back"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One line to paste, with where and as whom."""

    act: Act
    work: ServerWork
    argv: tuple[str, ...] = ()
    """Program and arguments; empty where the plan does not say, or where nobody has to start anything."""
    folder: str = ""
    """Where it is started; empty where that does not matter."""
    minutes: float | None = None
    """Expected, of the whole step or of taking it back; None where the plan does not say."""
    shared_by: int = 1
    """How many lines of the sheet take these minutes together."""
    note: str = ""
    """What to know before it is pasted."""

    @property
    def line(self) -> str:
        """For the shell of the host's login; empty where there is nothing to paste."""
        if not self.argv:
            return ""
        start = f"{self.work.sudo} " if self.work.sudo else ""
        into = f"cd {shlex.quote(self.folder)} && " if self.folder else ""
        return into + start + shlex.join(self.argv)


@dataclass(frozen=True, slots=True)
class ScriptOrder:
    """The scripts of one entry as they run."""

    forward: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    """Their ways back, in the order of the scripts that they take back."""
    problem: str = ""
    """Why the scripts are not known."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A script and its way back, as paths relative to the folder."""

    forward: str
    back: str
    """Where it is, or where it should be."""
    present: bool


def pairs(way_back: str, files: Sequence[str], names: Collection[str], included: Collection[str]) -> tuple[Pair, ...]:
    """The forward scripts with their way back, by the pattern `way_back`.

    `files`: the scripts that the plan lists; `names`: the files of the folder; `included`: those that others read.
    Where the plan lists none, all run that neither take another one back nor are included, in the order of `names`."""
    if not files:
        scripts = [name for name in names if name.lower().endswith(SCRIPT_SUFFIXES)]
        backs = {place for name in scripts for place in _places(way_back, name) if place != name}
        files = [name for name in scripts if name not in backs and name not in included]
    return tuple(_pair(way_back, name, names) for name in files)


def backup_command(plan: Plan, work: PlannedBackup) -> Command:
    entry = plan.backups[work.id]
    step = plan.step(work.step)
    command = Command(act=Act.BACKUP, work=work, minutes=step.minutes if step else None)
    if entry.taken_by:
        return replace(command, note=f"taken by {entry.taken_by}; nothing to start, its result is judged")
    if entry.command:
        return replace(command, argv=entry.command)
    program = work.program(entry.method)
    if entry.method is BackupMethod.PGBACKREST:
        return replace(command, argv=(program, *entry.options, f"--stanza={entry.known_as}", "backup"))
    if entry.method is BackupMethod.BARMAN:
        own = [each for each in entry.options if each not in work.asking_options]
        return replace(command, argv=(program, *work.asking_options, "backup", "--wait", *own, entry.known_as))
    path = backup_path(plan, entry)
    if entry.method is BackupMethod.PG_BASEBACKUP:  # of the whole server, so that no database is named
        form, target = "t" if entry.format is BackupFormat.TAR else "p", ("-D", path)
        options = connection_options(tuple(each for each in work.connection if each[0] != "dbname"))
    else:
        form, target, options = entry.format[0], ("-f", path), connection_options(work.connection)  # c, d, t or p
    argv = (program, "-w", "-F", form, *options, *entry.options, *target)
    return replace(command, argv=argv, note=_password(work))


def backup_path(plan: Plan, entry: Backup) -> str:
    """The file, or the folder, that the backup writes on the host."""
    day = plan.window.start.astimezone(zone(plan.window.zone)).date()
    return posixpath.join(entry.directory, backup_name(entry).replace("{date}", day.isoformat()))


def backup_name(entry: Backup) -> str:
    """What it is called in its directory, with `{date}` for the day on which the window begins."""
    suffix = _SUFFIXES.get(entry.format, "") if entry.method is BackupMethod.PG_DUMP else ""
    return entry.file or f"{entry.id}-{{date}}{suffix}"


def script_commands(plan: Plan, work: ServerWork, order: ScriptOrder) -> Iterator[Command]:
    """The forward scripts: one line for all of them."""
    entry = plan.scripts[work.id]
    step = plan.step(work.step)
    command = Command(act=Act.SCRIPTS, work=work, folder=entry.staged, minutes=step.minutes if step else None)
    if entry.command:
        yield replace(command, argv=entry.command)
    elif order.problem or not order.forward:
        yield replace(command, note=f"which scripts run is not known: {order.problem or 'there is none'}")
    else:
        yield replace(command, argv=psql_argv(entry, work, order.forward), note=_password(work))


def way_back_commands(plan: Plan, work: ServerWork, order: ScriptOrder) -> Iterator[Command]:
    """The ways back, the last script's first: one line for each script."""
    entry, step = plan.scripts[work.id], plan.step(work.step)
    undo = step.undo if step else None
    minutes = undo.minutes if undo and undo.kind is UndoKind.SCRIPT else None
    command = Command(act=Act.WAY_BACK, work=work, folder=entry.staged, minutes=minutes)
    if not entry.command:
        for back in reversed(order.back):
            argv = psql_argv(entry, work, (back,))
            yield replace(command, argv=argv, shared_by=len(order.back), note=_password(work))
    elif undo and undo.kind is UndoKind.SCRIPT:
        yield replace(command, note="no key says what takes a command back: write its line here")


def restore_command(plan: Plan, planned: PlannedBackup) -> Command:
    entry, work = planned.backup, planned.restore
    saved = [scripts for scripts in plan.scripts.values() if saves(plan, entry, scripts)]
    steps = [plan.step(scripts.step) for scripts in saved]
    undos = [step.undo.minutes for step in steps if step and step.undo and step.undo.kind is UndoKind.RESTORE]
    command = Command(act=Act.RESTORE, work=work or planned, minutes=max(undos, default=None))  # the longest of several
    if entry.restore is None or work is None:
        return replace(command, note=f"the plan does not say how: add [backups.{entry.id}.restore]")
    if work.command:
        return replace(command, argv=work.command)
    options, path = (*connection_options(work.connection), *entry.restore.options), backup_path(plan, entry)
    argv = (*work.programs, "-w", "--exit-on-error", *options, path)
    if entry.format is BackupFormat.PLAIN:
        argv = (*work.programs, *_RIGHT_PSQL, *options, "-f", path)
    order = "after the ways back; " if any(scripts.way_back for scripts in saved) else ""
    return replace(command, argv=argv, note=order + _password(work))


def psql_argv(entry: Scripts, work: ServerWork, files: Sequence[str]) -> tuple[str, ...]:
    """psql with everything that the entry declares; `files` in this order."""
    return (
        entry.program,
        *_RIGHT_PSQL,
        *(word for name, value in entry.variables.items() for word in ("-v", f"{name}={value}")),
        *(("--single-transaction",) if entry.single_transaction else ()),
        *connection_options(work.connection),
        *(("-L", entry.log) if entry.log else ()),
        *(word for file in files for word in ("-f", file)),
    )


def lines_of(plan: Plan, host_id: str, account: str) -> tuple[tuple[str, ...], ...]:
    """What `account` has to run on a host, with one script for all of them."""
    found: list[tuple[str, ...]] = []
    for work in work_of(plan, host_id, account):
        if isinstance(work, PlannedBackup):
            found += [backup_command(plan, work).argv, restore_command(plan, work).argv]
        elif not work.command:
            found.append(psql_argv(plan.scripts[work.id], work, ("script.sql",)))
    return tuple(dict.fromkeys(line for line in found if line))


def night_commands(plan: Plan, steps: Sequence[str], orders: Mapping[str, ScriptOrder]) -> tuple[Command, ...]:
    """Everything, in the order of `steps` (their ids): backups and scripts, then the ways back and the restores, the
    last step's first. `orders`: by id of the entry of `[scripts]`."""
    place = {step: number for number, step in enumerate(steps)}
    # What names no step stands where its kind belongs: a backup before the steps, scripts after them.
    work = sorted(
        server_work(plan), key=lambda each: place.get(each.step, -1 if each.section is Section.BACKUPS else len(place))
    )
    commands: list[Command] = []
    for each in work:
        if isinstance(each, PlannedBackup):
            commands.append(backup_command(plan, each))
        else:
            commands += script_commands(plan, each, orders[each.id])
    for each in (each for each in reversed(work) if each.section is Section.SCRIPTS):
        commands += way_back_commands(plan, each, orders[each.id])
    return (*commands, *(restore_command(plan, each) for each in reversed(work) if isinstance(each, PlannedBackup)))


def _password(work: ServerWork) -> str:
    """Where passwords come from; the host's own login is the reader's."""
    asked = f"sudo asks for the password of {work.host.user}; " if work.sudo_asks else ""
    where = f"~{work.account}/.pgpass on {work.host.id}"
    return f"{asked}password of {work.login}: {where}; none with peer or a certificate"


def _pair(pattern: str, name: str, names: Collection[str]) -> Pair:
    places = _places(pattern, name)
    found = next((place for place in places if place in names), None)
    return Pair(name, found or places[0], found is not None)


@lru_cache(5000)
def _places(pattern: str, name: str) -> tuple[str, ...]:
    """Where the pattern may mean: from the top of the folder, or from the script's own folder."""
    folder, base = posixpath.split(name)
    stem = posixpath.splitext(base)[0].removesuffix(".up")
    written = pattern.replace("{stem}", stem).replace("{name}", base)
    return tuple(dict.fromkeys(posixpath.normpath(posixpath.join(top, written)) for top in ("", folder)))
