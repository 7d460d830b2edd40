"""Reads the arguments of one call of psql as psql does (psql's startup.c; behaviour tried on psql 15). Pure."""

from __future__ import annotations

import getopt
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile

_SHORT = "aAbc:d:eEf:F:h:HlL:no:p:P:qR:sStT:U:v:VwWxXz01?"
_LONG = [
    "echo-all", "no-align", "command=", "dbname=", "echo-queries", "echo-errors", "echo-hidden", "file=",
    "field-separator=", "host=", "html", "list", "log-file=", "no-readline", "output=", "port=", "pset=", "quiet",
    "record-separator=", "single-step", "single-line", "tuples-only", "table-attr=", "username=", "set=", "variable=",
    "version", "no-password", "password", "expanded", "no-psqlrc", "single-transaction", "field-separator-zero",
    "record-separator-zero", "csv", "help",
]  # fmt: skip
ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_CONNECTION = {"-h": "host", "--host": "host", "-p": "port", "--port": "port", "-U": "user", "--username": "user",
               "-d": "dbname", "--dbname": "dbname"}  # fmt: skip
_VARIABLES = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGDATABASE": "dbname"}
_HARMLESS = {"PGAPPNAME", "PGCLIENTENCODING", "PGCONNECT_TIMEOUT", "PGDATESTYLE", "PGTZ", "PGOPTIONS"}
_ONLY_TELLS = {"-l": "lists the databases", "--list": "lists the databases", "-V": "prints its version",
               "--version": "prints its version", "-?": "prints its help", "--help": "prints its help"}  # fmt: skip
_TRANSPARENT = {"bash", "command", "dash", "env", "exec", "flock", "ionice", "ksh", "nice", "nohup", "sh", "stdbuf",
                "time", "timeout", "zsh"}  # fmt: skip
"""Programs that start psql where, and as whom, they were started themselves."""
_CHANGING = {"env": re.compile(r"-"), "exec": re.compile(r"-\w*[cl]"), "command": re.compile(r"-\w*p")}
"""Their options that give psql another environment: `env -i` takes PATH, HOME and PGPASSFILE away."""
_OPERAND = re.compile(r"-.*|[0-9.]+[smhd]?|[A-Z]+")
"""What stands between such a program and the one it starts: options, a time, a priority, a signal."""
_LEFT_OPEN = re.compile(r"[$`]")
"""The shell, not the line, says what this is."""
_OFF = {"0", "off", "of", "f", "fa", "fal", "fals", "false", "n", "no"}  # psql takes unambiguous beginnings


@dataclass(frozen=True, slots=True)
class PsqlCall:
    """One call of psql in a run line."""

    program: str
    """As written: `psql` or a path."""
    connection: tuple[tuple[str, str], ...] = ()
    """What the line itself says of host, port, user and dbname, from options and PG* assignments."""
    on_error_stop: bool = False
    no_psqlrc: bool = False
    prompts: bool = False
    """`-W`: asks for a password even where none is needed."""
    folder: str = ""
    """Where `cd` went before it, as written; `~` where its account's login shell starts it, empty when the line does
    not say."""
    files: tuple[str, ...] = ()
    """The scripts it runs (`-f`, `<`, `cat FILE |`), as written."""
    commands: tuple[str, ...] = ()
    """What `-c`, a here-document or `echo ... |` gives it."""
    through: tuple[str, ...] = ()
    """The command that starts psql elsewhere, as somebody else, or in another environment: `ssh db2`, `sudo -u dba`."""
    variables: tuple[str, ...] = ()
    """Names of PG* assignments that decide where psql connects and are not in `connection`: `PGSERVICE`."""
    server_options: str = ""
    """`PGOPTIONS`: settings that the connection asks for."""
    only_tells: str = ""
    """What it does instead of running anything: `lists the databases`."""
    reads_input: bool = False
    """It takes its commands from standard input: neither `-f` nor `-c`, or `-f -`."""
    fed_by: str = ""
    """What gives the standard input it reads; empty for the terminal."""
    settings: tuple[tuple[str, str], ...] = ()
    """psql variables that the call sets, options that stand for one included: `SINGLESTEP`."""
    outputs: tuple[str, ...] = ()
    """Files it writes (`-o`, `-L`), as written."""
    ignored: tuple[str, ...] = ()
    """Arguments that psql leaves aside with a warning."""
    unreadable: str = ""
    """Why its options cannot be read; then the rest says nothing."""

    def says(self, word: str) -> str:
        """What the line says of `host`, `port`, `user` or `dbname`; empty for nothing."""
        return dict(self.connection).get(word, "")

    def turns_on(self, name: str) -> bool:
        """Whether the call sets a psql variable to something that psql takes for on."""
        setting = dict(self.settings).get(name)
        return setting is not None and setting.strip().lower() not in _OFF

    def turns_off(self, name: str) -> bool:
        setting = dict(self.settings).get(name)
        return setting is not None and setting.strip().lower() in _OFF

    @property
    def left_open(self) -> bool:
        """The shell, not the line, says where psql connects."""
        return any(_LEFT_OPEN.search(name) for name in self.variables)

    @property
    def runs_nothing(self) -> bool:
        """No script, no command, and nothing that stands in for one."""
        return bool(self.only_tells) or not (self.files or self.commands or self.fed_by)


def with_server_options(call: PsqlCall) -> tuple[tuple[str, str], ...]:
    """The call's connection, with `PGOPTIONS` as a part of the database's connection string: psql takes one there."""
    if not call.server_options:
        return call.connection
    said = dict(call.connection)
    database = said.get("dbname", "")
    named = database if "=" in database else f"dbname={_conninfo(database)}" if database else ""
    said["dbname"] = f"{named} options={_conninfo(call.server_options)}".strip()
    return tuple(sorted(said.items()))


def _conninfo(value: str) -> str:
    """A value of a connection string (PostgreSQL's manual, 34.1.1.1)."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def place_of_psql(command: Sequence[str]) -> int | None:
    """Where in a command psql is called; None where it is only spoken of, or not at all."""
    if command and posixpath.basename(command[0]) in ("which", "type", "hash", "whereis"):
        return None
    if command[:1] == ["command"] and len(command) > 1 and command[1] in ("-v", "-V"):
        return None
    places = (at for at, word in enumerate(command) if word == "psql" or word.endswith("/psql"))
    return next(places, None)


def through(command: Sequence[str], inner: str = "") -> tuple[str, ...]:
    """The words of a command that start another one, without `inner`; none when that changes nothing for psql."""
    words = tuple(word for word in command if word != inner and not ASSIGNMENT.match(word))
    while words and (name := posixpath.basename(words[0])) in _TRANSPARENT:
        rest = tuple(dropwhile(_OPERAND.fullmatch, words[1:]))
        changing = _CHANGING.get(name)
        if changing and any(changing.match(word) for word in words[1 : len(words) - len(rest)]):
            return words
        words = rest[name == "flock" :]  # its operand, the lock's file
    return words


def read_call(command: Sequence[str], at: int, environment: Mapping[str, str]) -> PsqlCall:
    """The call of psql at `at` in a command. `environment`: what was exported before it."""
    program = command[at]
    try:
        options, positional = getopt.gnu_getopt(list(command[at + 1 :]), _SHORT, _LONG)
    except getopt.GetoptError as error:
        return PsqlCall(program, through=through(command[:at]), unreadable=error.msg)
    assigned, dropped = _environment(command[:at], environment)
    others = {name for name in assigned if name.startswith("PG")} - set(_VARIABLES) - _HARMLESS
    said = {_CONNECTION[option]: value for option, value in options if option in _CONNECTION}
    # Operands fill what no option has said: with -d, the first one is the role.
    places = [word for word in ("dbname", "user") if word not in said]
    said |= dict(zip(places, positional, strict=False))
    said = {_VARIABLES[name]: value for name, value in assigned.items() if name in _VARIABLES} | said
    names = {option for option, _ in options}
    files = tuple(value for option, value in options if option in ("-f", "--file"))
    commands = tuple(value for option, value in options if option in ("-c", "--command"))
    return PsqlCall(
        program,
        connection=tuple(sorted(said.items())),
        on_error_stop=_stops_on_error(_settings(options)),
        no_psqlrc=bool(names & {"-X", "--no-psqlrc"}),
        prompts=bool(names & {"-W", "--password"}),
        files=files,
        through=through(command[:at]),
        variables=(
            *sorted(others),
            *dropped,
            *(word for word in (*said.values(), *positional) if _LEFT_OPEN.search(word)),
        ),
        server_options=assigned.get("PGOPTIONS", ""),
        commands=commands,
        only_tells=next((_ONLY_TELLS[option] for option, _ in options if option in _ONLY_TELLS), ""),
        reads_input="-" in files or not (files or commands),
        settings=tuple(_settings(options).items()),
        outputs=tuple(value for option, value in options if option in ("-o", "--output", "-L", "--log-file")),
        ignored=tuple(positional[len(places) :]),
    )


def _environment(before: Sequence[str], exported: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """(PG* variables that psql gets to see, those that sudo keeps from it in words for the report)."""
    sudo = next((at for at, word in enumerate(before) if posixpath.basename(word) in ("sudo", "doas")), 0)
    outer = dict(exported) | dict(word.split("=", 1) for word in before[:sudo] if ASSIGNMENT.match(word))
    inner = dict(word.split("=", 1) for word in before[sudo:] if ASSIGNMENT.match(word))
    keeps = any(word == "-E" or word.startswith("--preserve-env") for word in before[sudo:])
    if "sudo" not in map(posixpath.basename, before) or keeps:
        return outer | inner, ()
    return inner, tuple(f"{name} (sudo drops it)" for name in outer if name.startswith("PG"))


def _settings(options: Sequence[tuple[str, str]]) -> dict[str, str]:
    settings: dict[str, str] = {}
    for option, value in options:
        name, equals, setting = value.partition("=")
        if option in ("-s", "--single-step"):
            settings["SINGLESTEP"] = "on"
        elif option in ("-S", "--single-line"):
            settings["SINGLELINE"] = "on"
        elif option not in ("-v", "--set", "--variable"):
            continue
        elif equals:
            settings[name] = setting
        else:  # `-v NAME` unsets it
            settings.pop(name, None)
    return settings


def _stops_on_error(settings: Mapping[str, str]) -> bool:
    return "ON_ERROR_STOP" in settings and settings["ON_ERROR_STOP"].strip().lower() not in _OFF
