"""Splits shell text into words and operators (POSIX.1-2017, Shell Command Language, 2.2 to 2.3, with the operators of
bash). What is quoted stays told apart from what the shell would expand. Pure; nothing is ever run from here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

_OPERATORS = re.compile(r"&&|\|\||;;|\|&|&>>|&>|<<<|<<-|<<|<&|<>|>>|>&|>\||[;&|()<>\n]")
_BLANKS = re.compile(r"(?:[ \t\r]|\\\n)+")
_PLAIN = re.compile(r"[^\s'\"\\$`;&|()<>]+")
_IN_DOUBLE_QUOTES = re.compile(r"""(?:[^"\\$`]|\\(?![$`"\\\n]))+""")
_PARAMETER = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]|\{[^}{'\"$`]*\})")
_SUBSTITUTIONS = ("$(", "<(", ">(")


class ShellSyntaxError(ValueError):
    """Text that every shell refuses; the message says why."""


class Unfollowed(ValueError):
    """Text that may well be good, but that this reader does not follow; the message names it."""


class Kind(Enum):
    """What the shell does with a part of a word."""

    PLAIN = "plain"
    """Unquoted: patterns in it are expanded."""
    QUOTED = "quoted"
    PARAMETER = "parameter"
    SUBSTITUTION = "substitution"
    """The output of a command, or a process's name."""


@dataclass(frozen=True, slots=True)
class Part:
    text: str
    """Without its quotes; an expansion as it is written."""
    kind: Kind


@dataclass(frozen=True, slots=True)
class Word:
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts)

    @property
    def bare(self) -> str:
        """The text where nothing of it is quoted or expanded, as words of the language are written; else empty."""
        return self.text if all(part.kind is Kind.PLAIN for part in self.parts) else ""


@dataclass(slots=True)
class Operator:
    """A control operator, or a redirection."""

    text: str
    descriptor: str = ""
    """Written before a redirection: the `2` of `2>`."""
    body: str = ""
    """Of a here-document."""

    @property
    def redirects(self) -> bool:
        return bool(set(self.text) & set("<>"))


def split(text: str) -> list[Word | Operator]:
    """Raises ShellSyntaxError for a quote or substitution that is not closed."""
    return list(_Splitter(text).tokens())


class _Splitter:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def tokens(self) -> Iterator[Word | Operator]:
        here: list[tuple[Operator, Word]] = []
        opened: Operator | None = None
        while self._skip_blanks():
            token = self._operator() or self._word()
            if isinstance(token, Word) and opened:
                here.append((opened, token))
            opened = token if isinstance(token, Operator) and token.text in ("<<", "<<-") else None
            yield token
            if isinstance(token, Operator) and token.text == "\n":
                for operator, end in here:
                    operator.body = self._here_document(end.text, indented=operator.text == "<<-")
                here.clear()

    def _skip_blanks(self) -> bool:
        if found := _BLANKS.match(self.text, self.at):
            self.at = found.end()
        if self.text.startswith("#", self.at):  # only where a word would begin
            end = self.text.find("\n", self.at)
            self.at = len(self.text) if end < 0 else end
        return self.at < len(self.text)

    def _operator(self) -> Operator | None:
        descriptor = re.compile(r"[0-9]+(?=[<>])").match(self.text, self.at)
        at = descriptor.end() if descriptor else self.at
        found = _OPERATORS.match(self.text, at)
        if found is None or self.text.startswith(("<(", ">("), at):
            return None
        self.at = found.end()
        return Operator(found[0], descriptor[0] if descriptor else "")

    def _here_document(self, end: str, *, indented: bool) -> str:
        lines = []
        while self.at < len(self.text):
            line, _, _ = self.text[self.at :].partition("\n")
            self.at += len(line) + 1
            line = line.lstrip("\t") if indented else line
            if line == end:
                break
            lines.append(line + "\n")
        return "".join(lines)

    def _word(self) -> Word:
        parts: list[Part] = []
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == "'" or self.text.startswith("$'", self.at):
                parts.append(self._single_quoted())
            elif character == '"':
                parts += self._double_quoted()
            elif character == "\\":
                if not self.text.startswith("\\\n", self.at):
                    parts.append(Part(self.text[self.at + 1 : self.at + 2], Kind.QUOTED))
                self.at += 2
            elif self.text.startswith((*_SUBSTITUTIONS, "`"), self.at) or character == "$":
                parts.append(self._expansion())
            elif found := _PLAIN.match(self.text, self.at):
                parts.append(Part(found[0], Kind.PLAIN))
                self.at = found.end()
            else:
                break
        return Word(tuple(parts))

    def _single_quoted(self) -> Part:
        pattern = r"\$'((?:[^'\\]|\\.)*)'" if self.text[self.at] == "$" else r"'([^']*)'"
        found = re.compile(pattern, re.DOTALL).match(self.text, self.at)
        if found is None:
            raise ShellSyntaxError("a ' is not closed")
        self.at = found.end()
        return Part(found[1], Kind.QUOTED)

    def _double_quoted(self) -> Iterator[Part]:
        yield Part("", Kind.QUOTED)  # "" is a word, if an empty one
        self.at += 1
        while not self.text.startswith('"', self.at):
            if self.at >= len(self.text):
                raise ShellSyntaxError('a " is not closed')
            if found := _IN_DOUBLE_QUOTES.match(self.text, self.at):
                yield Part(found[0], Kind.QUOTED)
                self.at = found.end()
            elif self.text[self.at] == "\\":
                yield Part(self.text[self.at + 1 : self.at + 2].replace("\n", ""), Kind.QUOTED)
                self.at += 2
            else:
                yield self._expansion()
        self.at += 1

    def _expansion(self) -> Part:
        start = self.at
        if self.text[start] == "`":
            end = re.compile(r"`(?:[^`\\]|\\.)*`", re.DOTALL).match(self.text, start)
            if end is None:
                raise ShellSyntaxError("a ` is not closed")
            self.at = end.end()
        elif self.text.startswith(_SUBSTITUTIONS, start):
            self._skip_parentheses()
        elif found := _PARAMETER.match(self.text, start):
            self.at = found.end()
            return Part(found[0], Kind.PARAMETER)
        elif self.text.startswith("${", start):
            raise Unfollowed("${...} with an expansion in it")
        else:  # a lone dollar
            self.at += 1
            return Part("$", Kind.QUOTED)
        return Part(self.text[start : self.at], Kind.SUBSTITUTION)

    def _skip_parentheses(self) -> None:
        self.at += 2
        depth = 1
        while depth:
            if not self._skip_blanks():
                raise ShellSyntaxError("a ( is not closed")
            operator = self._operator()
            if operator is None:
                self._word()
            elif operator.text in "()":
                depth += 1 if operator.text == "(" else -1
