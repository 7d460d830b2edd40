"""What is asked of the machine that runs preflight: the form of each question; and whose SSH signature a text has,
which `ssh-keygen -Y verify` tells. Pure; `preflight.sessions.local` answers."""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Self

from preflight.plan.values import same_person
from preflight.probe import Family, Probe, Reply, Via
from preflight.record import parse_json, read_record

TARGET = "plan"
"""The one target of local questions: the machine and folder of the plan."""


class LocalAct(StrEnum):
    TREE = "tree"
    TEXT = "text"
    TEXTS = "texts"
    RUN = "run"
    SIGNATURE = "signature"


_SENTENCES = {
    LocalAct.TREE: "list and hash every file below {}",
    LocalAct.TEXT: "read the text file {}",
    LocalAct.TEXTS: "read every SQL script below {}, and what they include",
    LocalAct.SIGNATURE: "verify an SSH signature by the allowed signers in {}",
    LocalAct.RUN: "run a command of the plan's own, without a shell, in the plan's folder",
}


_WITH_WORDS = {LocalAct.RUN: 1, LocalAct.SIGNATURE: 3}
"""Acts that have more than a path, and how many words at least."""


@dataclass(frozen=True, slots=True)
class LocalRequest:
    """An act with its path, relative to the plan's folder, or its words, or both; and the text that stands for them in
    questions: a sentence for people, then JSON. Raises ValueError for a path with a line break or NUL in it."""

    act: LocalAct
    path: str = ""
    argv: tuple[str, ...] = ()
    """Program and arguments of `RUN`, which has no path; of `SIGNATURE` the namespace, the text and its signature."""

    def __post_init__(self) -> None:
        if self.act is not LocalAct.RUN and (not self.path or any(each in self.path for each in "\0\n\r")):
            raise ValueError(f"{self.path!r} is no path of a file beside the plan")

    def text(self) -> str:
        wanted = (*filter(None, [self.path]), *self.argv) if self.act in _WITH_WORDS else self.path
        return f"{_SENTENCES[self.act].format(self.path)}\n{json.dumps({self.act.value: wanted})}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError."""
        try:
            [(act, wanted)] = json.loads(text.partition("\n")[2]).items()
            has_words = act in _WITH_WORDS and all(isinstance(word, str) for word in wanted)
            path, *words = ["", *wanted] if act == LocalAct.RUN else wanted if has_words else [wanted]
            request = cls(LocalAct(act), path, tuple(words))
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"not the text of a local request: {error}") from None
        if request.text() != text or len(request.argv) < _WITH_WORDS.get(request.act, 0):
            raise ValueError("the two lines of the local request do not say the same")
        return request


class Namespace(StrEnum):
    """What a signature is good for: one given for a confirmation approves no script."""

    MANIFEST = "preflight-manifest"
    CONFIRMATION = "preflight-confirmation"
    DECISION = "preflight-decision"
    REPORT = "preflight-report"


@dataclass(frozen=True, slots=True)
class Signature:
    signers: tuple[str, ...] = ()
    """Who signed it, as the file of allowed signers names the owner of the key; a pattern is nobody."""
    problem: str = ""
    """Why it is nobody's."""
    ends_at: datetime | None = None
    """UTC: from then on the key counts no longer, by `valid-before` of its line; None for never."""

    def objection(self, name: str) -> str:
        """Why it is not this person's; empty where it is."""
        if any(same_person(name, each) for each in self.signers):
            return ""
        by = f"signed by {' and '.join(self.signers)}" if self.signers else self.problem
        return f"the signature is not of {name}: {by}"


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
        return LocalRequest(LocalAct.SIGNATURE, self.allowed, (self.namespace, self.content, self.signature)).text()

    def read(self, reply: Reply) -> Signature:
        return read_record(Signature, parse_json(reply.text), complete=True)
