"""Questions that are commands of the plan's own: a monitoring plugin or a script, on a host or beside the plan. Pure;
`preflight.sessions.local.command` runs the local ones."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from preflight.probe import Probe, Question, Reply, Via
from preflight.questions.files import TARGET
from preflight.questions.shell import AccountProbe, quoted
from preflight.record import parse_json, read_record

_SENTENCE = "run a command of the plan's own, without a shell, in the plan's folder"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    """Exit status; 128 + N when signal N ended it."""
    output: str
    error: str
    """Standard error."""


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """The text that stands for a local command in questions: a sentence for people, then JSON."""

    run: tuple[str, ...]
    """Program and arguments."""

    def text(self) -> str:
        return f"{_SENTENCE}\n{json.dumps({'run': self.run})}"

    @classmethod
    def is_one(cls, text: str) -> bool:
        return text.partition("\n")[0] == _SENTENCE

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError."""
        request = read_record(cls, parse_json(text.partition("\n")[2]))
        if request.text() != text or not request.run:
            raise ValueError("the two lines of the command do not say the same")
        return request


@dataclass(frozen=True)
class LocalCommand(Probe[Ended]):
    """A command run where preflight runs."""

    via: ClassVar[Via] = Via.LOCAL

    argv: tuple[str, ...]
    seconds: float

    @classmethod
    def of(cls, argv: tuple[str, ...], seconds: float) -> Self:
        return cls(TARGET, argv, seconds)

    def ask(self) -> str:
        return CommandRequest(self.argv).text()

    def question(self) -> Question:
        return replace(super().question(), timeout_seconds=self.seconds)

    def read(self, reply: Reply) -> Ended:
        return Ended(reply.code, reply.text, reply.error)


@dataclass(frozen=True)
class HostCommand(AccountProbe[Ended]):
    """A command run on a host, as the login or as an account reached through sudo."""

    asked_last = True
    argv: tuple[str, ...]
    seconds: float
    alone: bool
    """In a channel of its own: a command that takes long then keeps no other question waiting."""

    def ask(self) -> str:
        # Such a program may compare the host's own local times; ours are asked in UTC.
        return "unset TZ; " + self.account.command(" ".join(quoted(word) for word in self.argv))

    def question(self) -> Question:
        return replace(super().question(), timeout_seconds=self.seconds, own_channel=self.alone)

    def read(self, reply: Reply) -> Ended:
        return Ended(reply.code, reply.text, reply.error)


def as_typed(argv: tuple[str, ...]) -> str:
    """The command as a person types it in a shell."""
    return shlex.join(argv)
