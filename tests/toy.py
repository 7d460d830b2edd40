"""A toy plan and toy checks for the engine's own tests: no servers, plain answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from preflight.check import Check, Expect, Probes, Subject
from preflight.engine import conclude as engine
from preflight.engine.inspection import Inspection, PlannedCheck, ProbePlanner
from preflight.engine.registry import Registry
from preflight.evidence import Evidence
from preflight.finding import Finding, Judgement, Severity, failed, passed
from preflight.plan import Account, Host, Plan, Release, Window
from preflight.probe import Answer, NoReply, Probe, Question, Reply, Via
from preflight.reasons import Reason
from preflight.sessions import Deliver
from preflight.verdict import Verdict

MOMENT = datetime(2026, 10, 16, 19, 0, tzinfo=UTC)
WINDOW = Window(zone="UTC", start=MOMENT + timedelta(hours=9), end=MOMENT + timedelta(hours=15))
SECTIONS = ("roles", "hosts", "databases", "backups", "scripts", "applications")
"""The plan's tables of entries."""


def toy_plan(hosts: Iterable[Any] = ("db1",), **fields: Any) -> Plan:
    """A plan of these entries. `hosts`: entries or only their names; a table of entries may be a sequence of them."""
    entries = [Host(id=host, user=Account("dbadmin")) if isinstance(host, str) else host for host in hosts]
    named = {name: by_id(value) if name in SECTIONS else value for name, value in {"hosts": entries, **fields}.items()}
    head = {"path": Path("plans/toy.toml"), "digest": "0" * 64, "release": Release(id="REL-1"), "window": WINDOW}
    return Plan(**{**head, **named})


def conclude(
    plan: Plan,
    findings: Sequence[Finding],
    *,
    planned: int,
    evidence_digest: str,
    collected_at: datetime,
    moment: datetime,
    partial: bool = False,
    expect: Expect | None = None,
) -> Verdict:
    """The engine's verdict over findings that no check has drawn."""
    items = [PlannedCheck(None, "toy", "", Severity.BLOCKING, Subject("toy", None))] * planned
    inspection = Inspection(plan, moment, items, partial, expect, False, ProbePlanner(plan), Registry(()))
    verdict = engine.conclude(inspection, Evidence(plan.digest, collected_at), findings)
    return replace(verdict, evidence_digest=evidence_digest)


def by_id(entries: Iterable[Any] | Mapping[str, Any]) -> Mapping[str, Any]:
    return entries if isinstance(entries, Mapping) else {entry.id: entry for entry in entries}


@dataclass(frozen=True)
class Echo(Probe[str]):
    """Reads the reply's text; `unreadable` is refused, as a strict reader would."""

    word: str = "ready"
    via: ClassVar[Via] = Via.SSH

    def ask(self) -> str:
        return f"echo {self.word}"

    def read(self, reply: Reply) -> str:
        if reply.text == "unreadable":
            raise ValueError("no known shape")
        return reply.text


class Ready(Check):
    """Is the host ready?"""

    id = "ready"
    title = "the host is ready"

    def subjects(self) -> Sequence[Subject]:
        return [Subject(host.id, host, host.owner) for host in self.plan.hosts.values()]

    def probes(self, subject: Subject) -> Probes:
        return {"word": Echo(subject.id)}

    def judge(self, subject: Subject, *, word: str) -> Judgement:
        if word == "ready":
            return passed("ready")
        return failed(f"said {word}", expected="ready", actual=word, remedy="make it ready")


class Deep(Ready):
    """Is the host ready, seen in two rounds?"""

    id = "deep"

    def follow_up(self, subject: Subject, *, word: str) -> Probes:
        """The same again, with the first word in it."""
        return {"more": Echo(subject.id, f"again {word}")}

    def judge(self, subject: Subject, *, word: str, more: str) -> Judgement:
        return super().judge(subject, word=more)


class Crashing(Ready):
    """Does a crash take the report with it?"""

    id = "crashing"

    def judge(self, subject: Subject, *, word: str) -> Judgement:
        raise RuntimeError("boom")


def registry(*checks: type[Check]) -> Registry:
    return Registry(checks or (Ready,))


def reply(text: str) -> Reply:
    return Reply(0, text, MOMENT, 0.1, "on db1 as dbadmin")


def lost(reason: Reason = Reason.UNREACHABLE) -> NoReply:
    return NoReply(reason, f"db1: {reason}", MOMENT, 0.1, "from here to db1 as dbadmin")


class Script:
    """Sessions that answer from a function of the question."""

    stage = "thinking"

    def __init__(self, answer: Callable[[Question], Answer] | Mapping[str, Answer] | str = "ready") -> None:
        if isinstance(answer, str):
            text = answer
            self._answer: Callable[[Question], Answer] = lambda _question: reply(text)
        elif isinstance(answer, Mapping):
            self._answer = answer.__getitem__  # type: ignore[assignment]
        else:
            self._answer = answer
        self.asked: list[Question] = []

    def open(self, _via: Via, _target: str) -> Script:
        return self

    def ask(self, questions: Sequence[Question], _deadline: object, deliver: Deliver) -> None:
        for question in questions:
            self.asked.append(question)
            deliver(question, self._answer(question))

    def close(self) -> None:
        """Nothing to free."""


_SETTINGS = {
    "default_transaction_read_only": "off",
    "search_path": '"$user", public',
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "0",
    "session_replication_role": "origin",
}


def settings_of(**changed: str) -> str:
    """The settings of a role's session, as a server tells them."""
    return json.dumps({name: {"setting": value} for name, value in {**_SETTINGS, **changed}.items()})
