"""Short ways to write plans about versions that meet, for the tests of what was agreed beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from preflight.plan import Application, Plan, Rule, Step, Tested, TestResult, Undo, UndoKind
from tests.toy import MOMENT, toy_plan

TODAY = MOMENT.date()
PASSED, FAILED = TestResult.PASSED, TestResult.FAILED


def applications(*names: str) -> dict[str, Application]:
    """Each goes from version 1 to version 2."""
    return {name: Application(id=name, from_="1", to="2") for name in names}


def record(versions: str, days_ago: float = 10, result: TestResult = PASSED, evidence: str = "run 1") -> Tested:
    """`record("a2 b1")`: tested so many days before the day of MOMENT."""
    on = TODAY - timedelta(days=days_ago)
    return Tested(versions=versions_of(versions), on=on, evidence=evidence, result=result)


def record_on(versions: str, on: date) -> Tested:
    return Tested(versions=versions_of(versions), on=on, evidence="run 1")


def versions_of(text: str) -> dict[str, str]:
    return {word[0]: word[1:] for word in text.split()}


def deploy(name: str, *after: str, undo: UndoKind | None = UndoKind.REDEPLOY) -> Step:
    """The step `deploy-NAME`, after the named steps."""
    undone = Undo(kind=undo) if undo else None
    return Step(id=f"deploy-{name}", after=after, minutes=5, deploys=name, undo=undone)


def agreed_plan(names: str = "ab", rules: Sequence[Rule] = (), **fields: Any) -> Plan:
    """Applications by their letters, each deployed by a step of its own unless `steps` says otherwise."""
    fields.setdefault("steps", tuple(deploy(name) for name in names))
    return toy_plan(**{"applications": applications(*names), "rules": tuple(rules), **fields})
