"""Follows a command line as a shell would, for `preflight.scripts.line_trial`. Pure; nothing is ever run from here.

Commands other than psql are taken to succeed unless they are the one that fails, and a loop whose words are not known
to run twice. Statuses and `set -e` follow POSIX.1-2017, Shell Command Language, 2.8.2 and 2.14."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from preflight.scripts.psql_call import ASSIGNMENT, place_of_psql, read_call
from preflight.scripts.run_line import Input, inner_line, input_of, output_of, starts_in, with_input
from preflight.scripts.shell_expansion import UNKNOWN, expand, outcome
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
from preflight.scripts.shell_record import Exit, Leave, Output, Record
from preflight.scripts.shell_words import Kind, Unfollowed, Word

_UNFOLLOWED = ("alias", "eval", "trap")
_FAILURE = 3
_DESCRIPTOR = re.compile(r"[0-9]*-?")


@dataclass
class Shell:
    """The state of one shell; a subshell is a copy."""

    record: Record
    folder: str
    variables: dict[str, str] = field(default_factory=dict)
    status: int = 0
    in_pipe: tuple[int, ...] = ()
    """Statuses of the last pipeline's commands (bash: PIPESTATUS)."""
    pipeline: int = 0
    stops: bool = False
    """`set -e`."""
    pipefail: bool = False
    background: int = 0
    within: bool = False
    """The shell of `su -c '...'` and the like, not the one that reads the line."""

    def run(self, node: Node, given: Input | None, *, tested: bool = False) -> None:
        """`tested`: the status decides something, so that `set -e` does not look at it."""
        if isinstance(node, Group | If | Loop | For):
            self._writes(node.redirects)
            given = input_of(node.redirects, given)
        match node:
            case Simple():
                self.status = self._simple(node, given)
                self.in_pipe = (self.status,)
                self._stop(tested)
            case Block():
                self.status = 0 if not node.items else self.status
                for part, is_background in node.items:
                    self._item(part, is_background, given, tested)
            case AndOr():
                self._and_or(node, given, tested)
            case Pipeline():
                self._pipeline(node, given)
                self._stop(tested or node.negated)
            case Group() if node.subshell:
                self.status = self._subshell(node.body, given, tested=tested)
                self._stop(tested)
            case Group():
                self.run(node.body, given, tested=tested)
            case If():
                self._if(node, given, tested)
            case Loop() | For():
                self._loop(node, given, tested)

    def _stop(self, tested: bool) -> None:
        if self.stops and not tested and self.status:
            raise Exit(self.status)

    def _subshell(self, node: Node, given: Input | None, *, tested: bool = False) -> int:
        inner = replace(self, variables=dict(self.variables))
        try:
            inner.run(node, given, tested=tested)
        except Exit as end:
            return end.status
        return inner.status

    def _item(self, node: Node, is_background: bool, given: Input | None, tested: bool) -> None:
        if is_background:
            self.background = self._subshell(node, Input("nothing", ("/dev/null",)), tested=tested)
            self.status = 0
        else:
            self.run(node, given, tested=tested)

    def _and_or(self, node: AndOr, given: Input | None, tested: bool) -> None:
        self.run(node.first, given, tested=True)
        for number, (operator, part) in enumerate(node.rest, 1):
            if (operator == "&&") == (self.status == 0):
                self.run(part, given, tested=tested or number < len(node.rest))

    def _pipeline(self, node: Pipeline, given: Input | None) -> None:
        if len(node.stages) == 1:
            self.run(node.stages[0], given, tested=True)
        else:
            self.record.pipelines += 1
            inner = replace(self, pipeline=self.record.pipelines)
            self.in_pipe = tuple(
                inner._subshell(stage, output_of(node.stages[number - 1]) if number else given)
                for number, stage in enumerate(node.stages)
            )
            failed = [status for status in self.in_pipe if status]
            self.status = failed[-1] if self.pipefail and failed else self.in_pipe[-1]
        if node.negated:
            self.status = int(not self.status)

    def _if(self, node: If, given: Input | None, tested: bool) -> None:
        for condition, body in node.branches:
            self.run(condition, given, tested=True)
            if not self.status:
                self.run(body, given, tested=tested)
                return
        self.status = 0
        if node.otherwise:
            self.run(node.otherwise, given, tested=tested)

    def _loop(self, node: Loop | For, given: Input | None, tested: bool) -> None:
        last = 0
        for _ in self._rounds(node, given):
            try:
                self.run(node.body, given, tested=tested)
            except Leave as leave:
                self.status = 0
                if leave.loop:
                    break
            last = self.status
        self.status = last

    def _rounds(self, node: Loop | For, given: Input | None) -> Iterator[None]:
        if isinstance(node, Loop):
            for _ in range(2):
                self.run(node.condition, given, tested=True)
                if (self.status == 0) == node.until:
                    return
                yield
            return
        values = [value for word in node.words or () for value in self._expand(word)]
        if node.words is None or any(UNKNOWN in value for value in values):
            values = [UNKNOWN, UNKNOWN]
        for value in values:
            self.variables[node.name] = value
            yield

    def _simple(self, node: Simple, given: Input | None) -> int:
        written = [word.text for word in node.words]
        command = [value for word in node.words for value in self._expand(word)]
        if any("psql" in part.text for word in node.words for part in word.parts if part.kind is Kind.SUBSTITUTION):
            raise Unfollowed("psql within $( )")
        if command[:1] and command[0] in _UNFOLLOWED:
            raise Unfollowed(f"`{command[0]}`")
        self._writes(node.redirects)
        given = input_of(node.redirects, given)
        at = place_of_psql(command)
        text = " ".join(written)
        if at is not None:
            call = with_input(read_call(command, at, {}), self._expanded(node, given))
            call = replace(call, folder=posixpath.join(self.folder, starts_in(command[:at])))
            self._add_outputs(call.outputs, call.folder, by_psql=True)
            status = 0 if self.record.add(text, call, self.pipeline) else _FAILURE
        elif line := inner_line(command):
            own_folder = posixpath.join(self.folder, starts_in(command))
            status = Shell(self.record, own_folder, pipeline=self.pipeline, within=True)._subshell(
                parse_line(line), given
            )
        else:
            return self._builtin(command, text)
        if command[0] == "exec":
            raise Exit(status)
        return status

    def _expanded(self, node: Simple, given: Input | None) -> Input | None:
        """The input with its files as the shell finds them."""
        if given is None:
            return None
        redirected = {redirect.target.text: redirect.target for redirect in node.redirects}
        files: list[str] = []
        for file in given.files:
            if file in redirected:
                files += self._expand(redirected[file])
            elif "$" in file or "`" in file:
                files.append(UNKNOWN)
            else:  # an operand of `cat`
                files += self.record.files.matching(file, self.folder) or [file]
        return replace(given, files=tuple(files))

    def _writes(self, redirects: Sequence[Redirect]) -> None:
        for redirect in redirects:
            if ">" in redirect.operator and redirect.operator != "<>":
                targets = self._expand(redirect.target)
                if redirect.operator != ">&" or not _DESCRIPTOR.fullmatch(targets[0]):
                    self._add_outputs(targets, self.folder, redirect.target.text, by_psql=self.within)

    def _add_outputs(self, files: Sequence[str], folder: str, written: str = "", *, by_psql: bool) -> None:
        for file in files:
            if not file.startswith("|"):
                path = posixpath.normpath(posixpath.join(folder, file))
                # What stands at the beginning may be a whole folder.
                path = UNKNOWN if file.startswith(UNKNOWN) else path
                self.record.outputs.append(Output(written or file.replace(UNKNOWN, "..."), path, by_psql))

    def _builtin(self, command: Sequence[str], text: str) -> int:
        """The status of a command that is not psql, and what it does to this shell."""
        name, operands = command[0] if command else "", command[1:]
        if all(ASSIGNMENT.match(word) for word in command):
            self._assign(command)
            return 0
        match name:
            case "exit" | "return":
                raise Exit(self._number(operands[0]) if operands else self.status)
            case "break" | "continue":
                raise Leave(name == "break")
            case "true" | ":":
                self.record.add(text, None, self.pipeline)
                return 0
            case "false":
                return 1
            case "set":
                self._set(operands)
                return 0
            case "export" | "declare" | "local" | "readonly":
                self._assign([word for word in operands if ASSIGNMENT.match(word)])
                return 0
            case "[" | "test" | "[[":
                compared = outcome([word for word in operands if word not in ("]", "]]")])
                if compared is not None:
                    return int(not compared)
            case "tee":
                self._add_outputs([word for word in operands if word[:1] != "-"], self.folder, by_psql=self.within)
            case "read":
                self.variables.update(dict.fromkeys((word for word in operands if word[:1] != "-"), UNKNOWN))
            case "wait" if not operands:
                return 0
        status = 0 if self.record.add(text, None, self.pipeline) else 1
        if name == "wait":
            return self.background
        if name == "cd" and not status:
            self.folder = posixpath.normpath(posixpath.join(self.folder, operands[-1] if operands else "~"))
        if name == "exec" and operands:
            raise Exit(status)
        return status

    def _assign(self, words: Sequence[str]) -> None:
        self.variables.update(dict(word.split("=", 1) for word in words))

    def _set(self, operands: Sequence[str]) -> None:
        words = iter(operands)
        for word in words:
            on = word.startswith("-")
            if not on and not word.startswith("+"):
                return
            option = next(words, "") if "o" in word else ""
            self.stops = on if "e" in word or option == "errexit" else self.stops
            self.pipefail = on if option == "pipefail" else self.pipefail

    def _number(self, text: str) -> int:
        if not text.isdecimal():
            raise Unfollowed("`exit` with a status that the line does not tell")
        return int(text) % 256

    def _expand(self, word: Word) -> list[str]:
        return expand(word, self._value, self.record.files, self.folder)

    def _value(self, parameter: str) -> str:
        name = parameter.removeprefix("$").removeprefix("{").removesuffix("}")
        if name == "?":
            return str(self.status)
        if name in ("PIPESTATUS[0]", "PIPESTATUS"):
            return str(self.in_pipe[0]) if self.in_pipe else "0"
        return self.variables.get(name, UNKNOWN)
