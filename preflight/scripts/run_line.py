"""Reads the command line that will run the scripts: how psql is called in it. Pure; nothing is ever run from here.

What the line then does when a script fails is in `preflight.scripts.line_trial`."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from preflight.scripts.psql_call import ASSIGNMENT, PsqlCall, place_of_psql, read_call, through
from preflight.scripts.shell_line import (
    AndOr,
    Block,
    For,
    Group,
    If,
    Loop,
    Node,
    Pipeline,
    Redirect,
    Simple,
    parse_line,
)
from preflight.scripts.shell_words import ShellSyntaxError, Unfollowed

_NEW_SHELL = {"su": ("-", "-l", "--login"), "runuser": ("-", "-l", "--login"), "sudo": ("-i", "--login")}
"""Options with which they start in the account's home directory."""
_SHELLS = ("bash", "dash", "ksh", "sh", "zsh")


@dataclass(frozen=True, slots=True)
class Input:
    """What a command finds at its standard input."""

    source: str
    """In words for the report."""
    files: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


def psql_calls(line: str) -> tuple[PsqlCall, ...]:
    """Every call of psql in a shell command line, in its order; none when there is none, or when the line is no shell
    text, or none that this reader follows."""
    try:
        return tuple(_Reader().read(parse_line(line), None))
    except (ShellSyntaxError, Unfollowed):
        return ()


def leading_call(calls: Sequence[PsqlCall]) -> PsqlCall | None:
    """The first call that may run something: `psql --version && psql -f 010.sql` has the second."""
    return next((call for call in calls if not call.only_tells), calls[0] if calls else None)


def with_input(call: PsqlCall, given: Input | None) -> PsqlCall:
    """The call with what it reads from its standard input, where it reads that."""
    if not call.reads_input or given is None or given.files == ("/dev/null",):
        return call
    return replace(
        call,
        files=(*(file for file in call.files if file != "-"), *given.files),
        commands=(*call.commands, *given.texts),
        fed_by=given.source,
    )


def input_of(redirects: Sequence[Redirect], piped: Input | None) -> Input | None:
    """What redirections, or else the pipe, give."""
    for redirect in reversed(redirects):
        if redirect.descriptor in ("", "0") and redirect.operator in ("<", "<>"):
            return Input(f"< {redirect.target.text}", files=(redirect.target.text,))
        if redirect.operator in ("<<", "<<-", "<<<"):
            return Input("the line itself", texts=(redirect.body,))
    return piped


def output_of(node: Node) -> Input:
    """What a command in a pipe hands to the next one."""
    words = [word.text for word in node.words] if isinstance(node, Simple) else []
    operands = tuple(word for word in words[1:] if not word.startswith("-"))
    if words[:1] == ["cat"] and operands:
        return Input(f"cat {' '.join(operands)} |", files=operands)
    if words[:1] in (["echo"], ["printf"]):
        return Input(f"{words[0]} |", texts=operands)
    return Input(f"{words[0] if words else '( ... )'} |")


def inner_line(command: Sequence[str]) -> str:
    """The command line within a command, as in `su -c 'psql ...'`; empty when there is none."""
    return next((word for word in command if any(blank in word for blank in " \n") and _calls_psql(word)), "")


def _calls_psql(text: str) -> bool:
    return "psql" in text and bool(psql_calls(text))


def starts_in(command: Sequence[str]) -> str:
    """`~` where a command starts psql in the home directory of its account; else empty."""
    names = [posixpath.basename(word) for word in command]
    homes = any(name in names and set(options) & set(command) for name, options in _NEW_SHELL.items())
    return "~" if homes else ""


@dataclass
class _Reader:
    """Walks a line in its order, both ways of every branch."""

    folder: str = ""
    exported: dict[str, str] = field(default_factory=dict)
    assigned: dict[str, str] = field(default_factory=dict)
    """Without `export`: psql does not get to know them."""

    def read(self, node: Node, given: Input | None) -> Iterator[PsqlCall]:
        match node:
            case Simple():
                yield from self._simple(node, given)
            case Pipeline():
                for number, stage in enumerate(node.stages):
                    yield from self.read(stage, output_of(node.stages[number - 1]) if number else given)
            case Group() if node.subshell:
                inner = replace(self, exported=dict(self.exported), assigned=dict(self.assigned))
                yield from inner.read(node.body, input_of(node.redirects, given))
            case _:
                given = given if isinstance(node, AndOr | Block) else input_of(node.redirects, given)
                for part in _parts(node):
                    yield from self.read(part, given)

    def _simple(self, node: Simple, given: Input | None) -> Iterator[PsqlCall]:
        command = [word.text for word in node.words]
        at = place_of_psql(command)
        if at is not None:
            yield self._placed(read_call(command, at, self.exported), command[:at], input_of(node.redirects, given))
        elif command[:1] == ["cd"]:
            self.folder = posixpath.join(self.folder, command[-1])
        elif command[:1] in (["export"], ["declare"]) or all(ASSIGNMENT.match(word) for word in command):
            self._assign(command)
        elif line := inner_line(command):
            outer = through(command, line)
            for call in replace(self, folder=starts_in(command) or self.folder).read(parse_line(line), given):
                yield replace(call, through=(*outer, *call.through))

    def _placed(self, call: PsqlCall, before: Sequence[str], given: Input | None) -> PsqlCall:
        hidden = (f"{name} (not exported)" for name in self.assigned if name.startswith("PG"))
        return replace(
            with_input(call, given),
            folder=starts_in(before) or self.folder,
            variables=(*call.variables, *hidden),
        )

    def _assign(self, command: Sequence[str]) -> None:
        exports = command[:1] == ["export"] or (command[:1] == ["declare"] and "-x" in command)
        for word in command[1 if exports else 0 :]:
            name, equals, value = word.partition("=")
            if exports:
                earlier: Mapping[str, str] = self.assigned
                value = value if equals else earlier.get(name, "")
                self.assigned.pop(name, None)
            (self.exported if exports else self.assigned)[name] = value


def _parts(node: AndOr | Block | Group | If | Loop | For) -> Iterator[Node]:
    match node:
        case AndOr():
            yield node.first
            yield from (part for _, part in node.rest)
        case Block():
            yield from (part for part, _ in node.items)
        case If():
            for condition, body in node.branches:
                yield condition
                yield body
            if node.otherwise:
                yield node.otherwise
        case Loop():
            yield node.condition
            yield node.body
        case Group() | For():
            yield node.body
