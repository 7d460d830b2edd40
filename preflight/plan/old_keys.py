"""Keys that plans had once, each with what is written now: an old plan is answered with the lines to put in.

A table is printed where the loader takes it and it says the same, else a `command` with the reason. What may hold a
secret is never repeated."""

from __future__ import annotations

import getopt
import posixpath
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from preflight.faults import Keys, Misfit, dotted
from preflight.plan.limits import server_place
from preflight.wording import in_toml

_SHELL = re.compile(r"[;&|<>$`*?\[\]{}~#()\n\\]")
"""What a shell would act on: then the line is more than a program and its arguments."""
_SECRET = re.compile(r"pass|secret|token|://", re.IGNORECASE)
_SECRET_WORD = re.compile(r"-p.+|[^/:]+:.+")
"""`-pSECRET` of MySQL, `user:SECRET` of curl."""
_SECRET_OF_PSQL = re.compile(r"\s['\"]?-p(?!\s*\d+(?:\s|$))")
"""Taken for MySQL's: psql's own -p is the port."""
_CD = re.compile(r"\s*cd\s+(?P<folder>[\w./-]+)\s*&&")
_SHORT = "Xwqh:p:U:d:f:v:1L:"
_LONG = [
    "no-psqlrc", "no-password", "quiet", "host=", "port=", "username=", "dbname=", "file=", "set=", "variable=",
    "single-transaction", "log-file=",
]  # fmt: skip
_SHORTENED = {
    "--host": "-h", "--port": "-p", "--username": "-U", "--dbname": "-d", "--file": "-f", "--set": "-v",
    "--variable": "-v", "--single-transaction": "-1", "--log-file": "-L",
}  # fmt: skip
_SOCKETS = "/var/run/postgresql"
"""Where a server listens when only its port is named: the folder of Debian and Red Hat."""
_OF_BACKUPS = (
    "is declared key by key now, and the tool writes the line of pg_dump or pg_basebackup: `method`, `format`, "
    "`directory`, `file`, `server`, `login`, `options`; another program is a `command`, and what takes the backup by "
    "itself is `taken_by`"
)


def instead_of(keys: Keys, tables: Mapping[str, Any], complaint: Callable[[Mapping[str, Any]], str]) -> str:
    """What to write instead of the old key at `keys` of a plan's `tables`; empty for a key that there never was.

    `complaint`: what the loader has against these keys of an entry of `[scripts]`."""
    match keys:
        case ("scripts", str(name), "run"):
            lines = [f"[{dotted(keys[:2])}]", *_declared(tables["scripts"][name], tables, complaint)]
            said = "is declared key by key now, and the tool writes the command line; write instead:"
            return "\n    ".join([said, *lines])
        case ("backups", str(), "run"):
            return _OF_BACKUPS
        case ("scripts" | "backups" as section, str(name), "socket"):
            written = tables[section][name]["socket"]
            known = isinstance(written, str) and not server_place(written)
            return f"is said by `server` now: server = {in_toml(written if known else _SOCKETS)}"
        case ("scripts", str(), "way_back_shown"):
            return "is not said any more: `preflight rehearse` runs each way back and shows what it leaves"
        case ("checks", "rollback-ready", "read_within" | "growth" as key):
            value = in_toml(tables["checks"]["rollback-ready"][key])
            table = "the [backups.NAME] it is for" if key == "read_within" else "[checks.restore-room]"
            return f"stands in {table} now: {key} = {value}"
        case ("checks", "rollback-ready", "warn_size_ratio" | "least_size_ratio" | "written_within" as key):
            value = in_toml(tables["checks"]["rollback-ready"][key])
            return f"stands in [checks.earlier-backup] now: {key} = {value}"
        case ("checks", "rollback-ready" | "backup-location", "data_directory"):
            said = 'data_directory = { path = "/...", by = "ROLE", on = DATE, reason = "..." }'
            return f"is said by somebody now, in the [databases.NAME] it is for: {said}"
    return ""


def _declared(
    entry: Mapping[str, Any], tables: Mapping[str, Any], complaint: Callable[[Mapping[str, Any]], str]
) -> list[str]:
    """psql's keys where they say it all, else a `command` with the reason."""

    def lines(known: Mapping[str, Any]) -> list[str]:
        """Raises Misfit where the loader would refuse them, or the entry says something else already."""
        new = {key: value for key, value in known.items() if value and entry.get(key) != value}
        for key in new.keys() & entry.keys():
            raise Misfit(f"`{key}` says something else already")
        if refused := complaint(new):
            raise Misfit(refused)
        return [f"{key} = {in_toml(value)}" for key, value in new.items()]

    reason = ""
    try:
        account, words = _without_sudo(_words(entry))
        if posixpath.basename(words[0]) == "psql":
            try:
                return lines(account | _psql(words, entry, tables)) or ["# nothing: psql's defaults do"]
            except Misfit as misfit:
                reason = f"no call that the keys of psql can say: {misfit}"
        found = lines({**account, "command": words}) or ["# nothing: it is said already"]
        return [*found[:-1], f"{found[-1]}    # {reason}" if reason else found[-1]]
    except Misfit as misfit:
        return [f'command = ["./deploy.sh"]    # {misfit}']


def _words(entry: Mapping[str, Any]) -> list[str]:
    """Of a line that needs no shell, in the staged folder, where all are started. Raises Misfit for any other, and for
    one that may hold a secret."""
    run = str(entry["run"])
    folder = _CD.match(run)
    if folder and posixpath.normpath(folder["folder"]) == posixpath.normpath(str(entry.get("staged", ""))):
        run = run[folder.end() :]
    try:
        words = [] if _SHELL.search(run) else shlex.split(run)
    except ValueError:
        words = []
    is_psql = any(posixpath.basename(word) == "psql" for word in words)
    found = _SECRET_OF_PSQL.search(run) if is_psql else any(map(_SECRET_WORD.fullmatch, words))
    if _SECRET.search(run) or found:
        raise Misfit("a script of its own, which finds its password in a file that its account alone can read")
    if not words or "=" in words[0]:
        raise Misfit("a program and its arguments; put shell text into a script of its own")
    return words


def _without_sudo(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """(the `account` as which it runs, the program and its arguments), where sudo does no more than that."""
    if words[0] != "sudo":
        return {}, words
    try:
        options, rest = getopt.getopt(words[1:], "nHu:", ["non-interactive", "set-home", "user="])
    except getopt.GetoptError:
        return {}, words
    accounts = [value for option, value in options if option in ("-u", "--user")]
    return ({"account": accounts[-1]}, rest) if accounts and rest else ({}, words)


def _psql(words: Sequence[str], entry: Mapping[str, Any], tables: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of one plain call of psql. Raises Misfit for what has no key."""
    try:
        options, positional = getopt.gnu_getopt(list(words[1:]), _SHORT, _LONG)
    except getopt.GetoptError as error:
        raise Misfit(error.msg) from None
    given: dict[str, list[str]] = {}
    for option, value in options:
        given.setdefault(_SHORTENED.get(option, option), []).append(value)
    last = {option: values[-1] for option, values in given.items()}  # as psql does
    # Operands fill what no option has said: with -d, the first one is the role.
    operands = iter(positional)
    dbname = last.get("-d") or next(operands, "")
    login = last.get("-U") or next(operands, "")
    if dbname not in ("", *_names(entry, tables)):
        raise Misfit("it names another database than [databases] does")
    if any("=" not in value for value in given.get("-v", ())):
        raise Misfit("-v without a value unsets a variable")
    variables = dict(value.partition("=")[::2] for value in given.get("-v", ()))
    if variables.get("ON_ERROR_STOP", "").lower() in ("1", "on", "true", "yes"):
        del variables["ON_ERROR_STOP"]
    staged = str(entry.get("staged", "")).rstrip("/")
    return {
        "program": words[0] if words[0] != "psql" else "",
        "server": _server(last.get("-h", ""), last.get("-p", "")),
        "login": login,
        "files": [posixpath.normpath(file.removeprefix(f"{staged}/")) for file in given.get("-f", ())],
        "variables": variables,
        "single_transaction": "-1" in given,
        "log": last.get("-L", ""),
    }


def _names(entry: Mapping[str, Any], tables: Mapping[str, Any]) -> list[str]:
    """What the entry's database is called at its server; its id where the plan gives it no name."""
    database = str(entry.get("database", ""))
    table = tables.get("databases", {})
    declared = table.get(database, {}) if isinstance(table, Mapping) else {}
    return [str(declared.get("name", database))] if isinstance(declared, Mapping) else []


def _server(host: str, port: str) -> str:
    place = f"[{host}]" if ":" in host else host or (_SOCKETS if port else "")
    return f"{place}:{port}" if port else place
