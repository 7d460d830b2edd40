"""Whose SSH signature a text has, by `ssh-keygen -Y verify` of the machine that runs preflight. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from preflight.probe import Family, Probe, Reply, Via
from preflight.questions.files import LocalAct, LocalRequest
from preflight.record import parse_json, read_record


class Namespace(StrEnum):
    """What a signature is good for: one given for a confirmation approves no script."""

    MANIFEST = "preflight-manifest"
    CONFIRMATION = "preflight-confirmation"


@dataclass(frozen=True, slots=True)
class Signature:
    """What came of verifying one."""

    signers: tuple[str, ...] = ()
    """Who signed it, as the file of allowed signers names the owner of the key; a pattern is nobody."""
    problem: str = ""
    """Why it is nobody's."""


@dataclass(frozen=True)
class SignatureProbe(Probe[Signature]):
    """The target is `TARGET`."""

    family = Family.SCRIPTS
    via: ClassVar[Via] = Via.LOCAL
    allowed: str
    """The file of allowed signers, relative to the plan's folder."""
    namespace: Namespace
    content: str
    signature: str

    def ask(self) -> str:
        words = (self.namespace, self.content, self.signature)
        return LocalRequest(LocalAct.SIGNATURE, self.allowed, words).text()

    def read(self, reply: Reply) -> Signature:
        return read_record(Signature, parse_json(reply.text), complete=True)
