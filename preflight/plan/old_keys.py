"""Keys that plans had once, each with what is written now: an old plan is answered with the lines to put in.

A value that may hold a secret is never repeated."""

from __future__ import annotations

import getopt
import json
import posixpath
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from preflight.faults import Keys

_SHELL = re.compile(r"[;&|<>$`*?\[\]{}~#()\n\\]")
"""What a shell would act on: then the line is more than a program and its arguments."""
_SECRET = re.compile(r"pass|secret|token|://", re.IGNORECASE)
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


def instead_of(keys: Keys, table: Mapping[str, Any]) -> str:
    """What to write instead of an old key that stands in `table`; empty for a key that there never was."""
    match keys:
        case ("scripts", str(name), "run"):
            lines = [f"[scripts.{name}]", *_declared(str(table["run"]), str(table.get("staged", "")))]
            return "is declared key by key now, and the tool writes the command line; write instead:" + "".join(
                f"\n    {line}" for line in lines
            )
    return ""


def _declared(run: str, staged: str) -> list[str]:
    try:
        words = shlex.split(run)
    except ValueError:
        words = []
    if not words or _SHELL.search(run) or _SECRET.search(run) or "=" in words[0]:
        return ['command = ["./deploy.sh"]    # a program and its arguments; put shell text into a script of its own']
    if posixpath.basename(words[0]) == "psql" and (found := _psql(words, staged)):
        return found
    return [f"command = {_toml(words)}"]


def _psql(words: Sequence[str], staged: str) -> list[str]:
    """The keys of one plain call of psql; none where an option has no key."""
    try:
        options, positional = getopt.gnu_getopt(list(words[1:]), _SHORT, _LONG)
    except getopt.GetoptError:
        return []
    given: dict[str, list[str]] = {}
    for option, value in options:
        given.setdefault(_SHORTENED.get(option, option), []).append(value)
    variables = dict(value.partition("=")[::2] for value in given.get("-v", ()) if "=" in value)
    variables.pop("ON_ERROR_STOP", None)
    last = {option: values[-1] for option, values in given.items()}  # as psql does
    known: dict[str, Any] = {
        "program": words[0] if words[0] != "psql" else "",
        "server": _server(last.get("-h", ""), last.get("-p", "")),
        # Operands fill what no option has said: with -d, the first one is the role.
        "login": last.get("-U") or "".join(positional[0:1] if "-d" in given else positional[1:2]),
        "files": [file.removeprefix(f"{staged.rstrip('/')}/") for file in given.get("-f", ())],
        "variables": variables,
        "single_transaction": "-1" in given,
        "log": last.get("-L", ""),
    }
    return [f"{key} = {_toml(value)}" for key, value in known.items() if value] or ["# nothing: psql's defaults do"]


def _server(host: str, port: str) -> str:
    place = f"[{host}]" if ":" in host else host or (_SOCKETS if port else "")
    return f"{place}:{port}" if port else place


def _toml(value: Any) -> str:
    """JSON's strings, arrays and truth values are a part of TOML's."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
