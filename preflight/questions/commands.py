"""Questions that are commands of the plan's own: a monitoring plugin or a script, on a host or beside the plan. Pure;
`preflight.sessions.local` runs the local ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from preflight.probe import Probe, Question, Reply, Via
from preflight.questions.files import LocalAct, LocalRequest
from preflight.questions.shell import AccountProbe, quoted


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    """Exit status; 128 + N when signal N ended it."""
    output: str
    error: str = ""
    """Standard error."""


@dataclass(frozen=True)
class LocalCommand(Probe[Ended]):
    """A command run where preflight runs."""

    via: ClassVar[Via] = Via.LOCAL

    argv: tuple[str, ...]
    seconds: float

    def ask(self) -> str:
        return LocalRequest(LocalAct.RUN, argv=self.argv).text()

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
