"""What the declared commands of `[backups]` and `[scripts]` must say together. As in `preflight.plan.rules`, the plan
is a draft."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from preflight.faults import Keys, listed, quoted
from preflight.plan import Backup, BackupMethod, Plan, Restore, Scripts
from preflight.plan.source import Problems

_OF_PSQL = ("program", "login", "server", "files", "variables", "single_transaction", "log")
_OF_CLIENT = ("server", "file", "options")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OF_PSQL_ITSELF = ("AUTOCOMMIT", "ON_ERROR_ROLLBACK", "ON_ERROR_STOP", "SINGLELINE", "SINGLESTEP")
"""Variables with which psql would run the scripts in another way."""
_WRITTEN = re.compile(r"-[hpUdfFDwW]|--(?:host|port|username|dbname|file|format|pgdata|no-password|password)(?:=|$)")
"""Options that the tool writes itself, or that would wait at a prompt."""
_PLACEHOLDER = re.compile(r"\{(?!date\})[^}]*\}")


def check_commands(plan: Plan, raw: Mapping[str, Any], problems: Problems) -> None:
    for name, scripts in plan.scripts.items():
        _note(problems, ("scripts", name), _scripts(scripts, raw["scripts"][name]))
    for name, backup in plan.backups.items():
        table = raw["backups"][name]
        _note(problems, ("backups", name), _backup(backup, table))
        if backup.restore:
            _note(problems, ("backups", name, "restore"), _restore(backup, backup.restore, table["restore"]))


def _note(problems: Problems, keys: Keys, found: Iterator[tuple[Keys, str]]) -> None:
    for below, message in found:
        problems.add((*keys, *below), message)


def _scripts(scripts: Scripts, raw: Mapping[str, Any]) -> Iterator[tuple[Keys, str]]:
    named = [key for key in ("database", "host") if key in raw]
    if not named:
        yield ("database",), 'is required; or "host", for a command that is about no PostgreSQL database'
    elif len(named) > 1:
        yield ("host",), f"exactly one of {listed(named)} may be given"
    elif named == ["host"] and "command" not in raw:
        yield ("command",), "is required where no database is named: psql runs scripts in a database"
    if "command" in raw:
        yield from _without(raw, _OF_PSQL, "is psql's, and `command` runs something else")
        yield from _empty(raw)
    elif "stops_on_error" in raw:
        yield ("stops_on_error",), "is said of a `command`; psql is made to stop at the first error"
    if scripts.program and scripts.program.rpartition("/")[2] != "psql":
        yield ("program",), 'expected psql or its full path; another program is a command = ["PROGRAM", ...]'
    for at, file in enumerate(scripts.files or ()):
        if file is not None and file in scripts.files[:at]:
            yield ("files", at), f"{quoted(file)} is listed twice"
    for name in scripts.variables or ():
        if not _VARIABLE.fullmatch(name):
            yield ("variables", name), "expected the name of a psql variable: letters, digits and _"
        elif name in _OF_PSQL_ITSELF:
            yield ("variables", name), "is a variable with which psql runs scripts in another way"


def _backup(backup: Backup, raw: Mapping[str, Any]) -> Iterator[tuple[Keys, str]]:
    if "command" in raw and "taken_by" in raw:
        yield ("taken_by",), f"exactly one of {listed(('command', 'taken_by'))} may be given"
    if "command" in raw or "taken_by" in raw:
        yield from _without(raw, _OF_CLIENT, f"is {backup.method}'s, and something else takes this backup")
    yield from _empty(raw)
    yield from _options(backup.options)
    if backup.file and _PLACEHOLDER.search(backup.file):
        yield ("file",), "expected a name that holds no other placeholder than {date}"


def _restore(backup: Backup, restore: Restore, raw: Mapping[str, Any]) -> Iterator[tuple[Keys, str]]:
    if "command" in raw:
        yield from _without(raw, ("into", "options"), "is pg_restore's, and `command` runs something else")
    elif backup.method is BackupMethod.PG_BASEBACKUP or backup.command or backup.taken_by:
        yield ("command",), "is required for a backup that pg_dump does not take here"
    yield from _empty(raw)
    yield from _options(restore.options)


def _without(raw: Mapping[str, Any], keys: tuple[str, ...], why: str) -> Iterator[tuple[Keys, str]]:
    yield from (((key,), why) for key in keys if key in raw)


def _empty(raw: Mapping[str, Any]) -> Iterator[tuple[Keys, str]]:
    if raw.get("command") == []:
        yield ("command",), "names no program"


def _options(options: tuple[str, ...] | None) -> Iterator[tuple[Keys, str]]:
    for at, option in enumerate(options or ()):
        if option is not None and _WRITTEN.match(option):
            yield ("options", at), "is written by the tool, from the keys of the plan"
