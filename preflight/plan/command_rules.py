"""What the declared commands of `[backups]` and `[scripts]` must say together. As in `preflight.plan.rules`, the plan
is a draft."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from preflight.faults import quoted
from preflight.plan import Backup, BackupFormat, BackupMethod, Plan, Restore, Scripts
from preflight.plan.rules import Broken, in_each, more_than_one, repeated

_OF_PSQL = ("program", "login", "server", "files", "variables", "single_transaction", "log")
_OF_CLIENT = ("server", "file", "options")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OF_PSQL_ITSELF = ("AUTOCOMMIT", "ON_ERROR_ROLLBACK", "ON_ERROR_STOP", "SINGLELINE", "SINGLESTEP")
"""Variables with which psql would run the scripts in another way."""
_WRITTEN = re.compile(r"-[hpUdfFDwW]|--(?:host|port|username|dbname|file|format|pgdata|no-password|password)(?:=|$)")
"""Options that the tool writes itself, or that would wait at a prompt."""
_PLACEHOLDER = re.compile(r"\{(?!date\})[^}]*\}")


def broken_commands(plan: Plan, raw: Mapping[str, Any]) -> Iterator[Broken]:
    yield from in_each("scripts", plan.scripts, raw, _scripts)
    yield from in_each("backups", plan.backups, raw, _backup)


def _scripts(scripts: Scripts, raw: Mapping[str, Any]) -> Iterator[Broken]:
    yield from more_than_one(("database", "host"), raw)
    if "database" not in raw and "host" not in raw:
        yield Broken(("database",), 'is required; or "host", for a command that is about no PostgreSQL database')
    elif "database" not in raw and "command" not in raw:
        yield Broken(("command",), "is required where no database is named: psql runs scripts in a database")
    if "command" in raw:
        yield from _without(raw, _OF_PSQL, "is psql's, and `command` runs something else")
        yield from _empty(raw)
    elif "stops_on_error" in raw:
        yield Broken(("stops_on_error",), "is said of a `command`; psql is made to stop at the first error")
    if scripts.program and scripts.program.rpartition("/")[2] != "psql":
        yield Broken(("program",), 'expected psql or its full path; another program is a command = ["PROGRAM", ...]')
    for at, file in repeated(enumerate(scripts.files or ())):
        yield Broken(("files", at), f"{quoted(file)} is listed twice")
    for name in scripts.variables or ():
        if not _VARIABLE.fullmatch(name):
            yield Broken(("variables", name), "expected the name of a psql variable: letters, digits and _")
        elif name in _OF_PSQL_ITSELF:
            yield Broken(("variables", name), "is a variable with which psql runs scripts in another way")


def _backup(backup: Backup, raw: Mapping[str, Any]) -> Iterator[Broken]:
    yield from more_than_one(("command", "taken_by"), raw)
    if "command" in raw or "taken_by" in raw:
        yield from _without(raw, _OF_CLIENT, f"is {backup.method}'s, and something else takes this backup")
    yield from _empty(raw)
    yield from _options(backup.options)
    if backup.file and _PLACEHOLDER.search(backup.file):
        yield Broken(("file",), "expected a name that holds no other placeholder than {date}")
    suits = backup.format in (BackupFormat.PLAIN, BackupFormat.TAR)
    if backup.method is BackupMethod.PG_BASEBACKUP and "format" in raw and not suits:
        yield Broken(("format",), 'pg_basebackup writes "plain" or "tar"')
    if backup.restore:
        for broken in _restore(backup, backup.restore, raw["restore"]):
            yield broken._replace(keys=("restore", *broken.keys))


def _restore(backup: Backup, restore: Restore, raw: Mapping[str, Any]) -> Iterator[Broken]:
    if "command" in raw:
        yield from _without(raw, ("into", "options"), "is pg_restore's, and `command` runs something else")
    elif backup.method is BackupMethod.PG_BASEBACKUP or backup.command or backup.taken_by:
        yield Broken(("command",), "is required for a backup that pg_dump does not take here")
    yield from _empty(raw)
    yield from _options(restore.options)


def _without(raw: Mapping[str, Any], keys: tuple[str, ...], why: str) -> Iterator[Broken]:
    yield from (Broken((key,), why) for key in keys if key in raw)


def _empty(raw: Mapping[str, Any]) -> Iterator[Broken]:
    if raw.get("command") == []:
        yield Broken(("command",), "names no program")


def _options(options: tuple[str, ...] | None) -> Iterator[Broken]:
    for at, option in enumerate(options or ()):
        if option is not None and _WRITTEN.match(option):
            yield Broken(("options", at), "is written by the tool, from the keys of the plan")
