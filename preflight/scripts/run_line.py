"""Reads the command line that will run the scripts: how psql is called in it, and what the shell does to its exit
status. Pure; nothing is ever run from here."""

from __future__ import annotations

import getopt
import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

_SHORT = "aAbc:d:eEf:F:h:HlL:nno:p:P:qR:sStT:U:v:VwWxXz01?"
_LONG = [
    "echo-all",
    "no-align",
    "command=",
    "dbname=",
    "echo-queries",
    "echo-errors",
    "echo-hidden",
    "file=",
    "field-separator=",
    "host=",
    "html",
    "list",
    "log-file=",
    "no-readline",
    "output=",
    "port=",
    "pset=",
    "quiet",
    "record-separator=",
    "single-step",
    "single-line",
    "tuples-only",
    "table-attr=",
    "username=",
    "set=",
    "variable=",
    "version",
    "no-password",
    "password",
    "expanded",
    "no-psqlrc",
    "single-transaction",
    "field-separator-zero",
    "record-separator-zero",
    "csv",
    "help",
]
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_CONNECTION = {"-h": "host", "--host": "host", "-p": "port", "--port": "port", "-U": "user", "--username": "user",
               "-d": "dbname", "--dbname": "dbname"}  # fmt: skip
_VARIABLES = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGDATABASE": "dbname"}
_HARMLESS = {"PGAPPNAME", "PGCLIENTENCODING", "PGCONNECT_TIMEOUT", "PGDATESTYLE", "PGTZ"}
_TRANSPARENT = {"bash", "command", "dash", "do", "else", "env", "exec", "flock", "if", "ionice", "ksh", "nice", "nohup",
                "setsid", "sh", "stdbuf", "then", "time", "timeout", "zsh", "{"}  # fmt: skip
"""Programs and words of the shell that start psql where, and as whom, they were started themselves."""
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
    piped: bool = False
    """Its exit status is lost: the last program of the pipe gives it."""
    folder: str = ""
    """Where `cd` went before it, as written; empty when the line does not say."""
    files: tuple[str, ...] = ()
    """The scripts it runs (`-f`, `<`), as written."""
    commands: tuple[str, ...] = ()
    """What `-c` gives it."""
    through: tuple[str, ...] = ()
    """The command that starts psql elsewhere, as somebody else, or in another environment: `ssh db2`, `sudo -u dba`."""
    variables: tuple[str, ...] = ()
    """Names of PG* assignments that decide where psql connects and are not in `connection`: `PGSERVICE`."""
    unreadable: str = ""
    """Why its options cannot be read; then the rest says nothing."""

    def says(self, word: str) -> str:
        """What the line says of `host`, `port`, `user` or `dbname`; empty for nothing."""
        return dict(self.connection).get(word, "")


def psql_calls(line: str) -> tuple[PsqlCall, ...]:
    """Every call of psql in a shell command line; none when there is none, or when the line is no shell text."""
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&\n")
        lexer.whitespace, lexer.commenters = " \t\r", ""
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        return ()
    keeps_status = "pipefail" in words
    calls: list[PsqlCall] = []
    folder, set_before = "", list[str]()
    for command, ended_by, reads in _commands(words):
        piped = ended_by in ("|", "|&") and not keeps_status
        at = _place_of_psql(command)
        if at is not None:
            call = _call([*set_before, *command], at + len(set_before), piped=piped)
            calls.append(replace(call, folder=folder, files=(*call.files, *reads)))
        elif command[:1] == ["cd"]:
            folder = posixpath.join(folder, command[-1])
        elif command[:1] == ["export"] or all(_ASSIGNMENT.match(word) for word in command):
            set_before += [word for word in command if _ASSIGNMENT.match(word)]
        else:  # a command line within one, as in `su -c 'psql ...'`
            inner = [(call, word) for word in command if " " in word for call in psql_calls(word)]
            calls += [
                replace(call, piped=call.piped or piped, through=(*_through(command, word), *call.through))
                for call, word in inner
            ]
    return tuple(calls)


def _commands(words: Sequence[str]) -> Iterator[tuple[list[str], str, list[str]]]:
    """The simple commands, the operator behind each, and the files redirected to its standard input."""
    command: list[str] = []
    reads: list[str] = []
    skip = ""
    for word in words:
        if skip:
            reads += [word] if skip == "<" else []
            skip = ""
        elif set(word) <= set("<>&|") and set(word) & set("<>"):
            skip = word  # a file name or descriptor follows, and one may stand before
            if command and len(command[-1]) == 1 and command[-1].isdigit():
                command.pop()
        elif word and set(word) <= set("();|&\n"):
            yield command, word, reads
            command, reads = [], []
        else:
            command.append(word)
    yield command, "", reads


def _place_of_psql(command: Sequence[str]) -> int | None:
    places = (at for at, word in enumerate(command) if word == "psql" or word.endswith("/psql"))
    return next(places, None)


def _through(command: Sequence[str], inner: str = "") -> tuple[str, ...]:
    """The words of a command that start another one, without `inner`; none when that changes nothing for psql."""
    words = tuple(word for word in command if word != inner and not _ASSIGNMENT.match(word))
    return () if not words or posixpath.basename(words[0]) in _TRANSPARENT else words


def _call(command: Sequence[str], at: int, *, piped: bool) -> PsqlCall:
    program = command[at]
    try:
        options, positional = getopt.gnu_getopt(list(command[at + 1 :]), _SHORT, _LONG)
    except getopt.GetoptError as error:
        return PsqlCall(program, piped=piped, unreadable=error.msg)
    assigned = [word.split("=", 1) for word in command[:at] if _ASSIGNMENT.match(word)]
    others = {name for name, _ in assigned if name.startswith("PG")} - set(_VARIABLES) - _HARMLESS
    said = {_VARIABLES[name]: value for name, value in assigned if name in _VARIABLES}
    said |= dict(zip(("dbname", "user"), positional, strict=False))
    said |= {_CONNECTION[option]: value for option, value in options if option in _CONNECTION}
    names = {option for option, _ in options}
    return PsqlCall(
        program,
        connection=tuple(sorted(said.items())),
        on_error_stop=_stops_on_error(options),
        no_psqlrc=bool(names & {"-X", "--no-psqlrc"}),
        prompts=bool(names & {"-W", "--password"}),
        piped=piped,
        files=tuple(value for option, value in options if option in ("-f", "--file")),
        through=_through(command[:at]),
        variables=tuple(sorted(others)),
        commands=tuple(value for option, value in options if option in ("-c", "--command")),
    )


def _stops_on_error(options: Sequence[tuple[str, str]]) -> bool:
    stops = False
    for option, value in options:
        if option in ("-v", "--set", "--variable"):
            name, _, setting = value.partition("=")
            if name == "ON_ERROR_STOP":
                stops = setting.strip().lower() not in _OFF if "=" in value else False
    return stops
