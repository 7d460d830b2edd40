"""database-engine: what nobody looks at in a database that is not PostgreSQL, and what takes the place of that line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.database_engine import DatabaseEngine

from preflight.check import Check, Expect, Probes, Subject
from preflight.engine.inspection import inspect
from preflight.engine.registry import Registry
from preflight.finding import Judgement, Severity, Status, passed
from preflight.plan import Backup, Plan, RemotePath, Role, Said, Scripts
from preflight.plan.work import engine_work
from preflight.questions.files import HostCommand, LocalFile
from preflight.questions.local import TARGET
from preflight.questions.shell import AsAccount
from tests.toy import MOMENT, toy_plan

SCRIPTS = Scripts(
    id="shop", host="db1", engine="mysql", approved=Path("sql"), manifest=Path("sums"), staged=RemotePath("/s"),
    command=("./run.sh",), owner="dba",
)  # fmt: skip
BACKUP = Backup(id="shop", host="db1", engine="mysql", directory=RemotePath("/b"), taken_by="cron", owner="dba")


def asked_on(host: str) -> Probes:
    login = AsAccount("", is_login=True)
    return {"answer": HostCommand(host, login, ("mysql", "--version"), seconds=10, alone=False)}


class Mysql(Check):
    """Is the server up?"""

    id = "mysql"
    title = "the server is up"
    engines = frozenset({"mysql"})

    def subjects(self) -> Sequence[Subject]:
        return [Subject(work.label, work, work.owner) for work in engine_work(self.plan, self.engines)]

    def probes(self, subject: Subject) -> Probes:
        return {
            "answer": HostCommand(subject.item.host.id, AsAccount("", is_login=True), ("mysql", "--version"), 10, False)
        }

    def judge(self, subject: Subject, **_answer: object) -> Judgement:
        return passed("up")


class NoSubject(Mysql):
    """Is a server up of which no entry says so?"""

    def subjects(self) -> Sequence[Subject]:
        return [Subject("db1", self.plan.hosts["db1"])]


class AsksNothing(Mysql):
    """Is it up, without a look?"""

    def probes(self, subject: Subject) -> Probes:
        return {}


class AsksAnotherHost(Mysql):
    """Is it up, on a host that is not the entry's?"""

    def probes(self, subject: Subject) -> Probes:
        return asked_on("db2")


class AsksHere(Mysql):
    """Is it up, by a file on the machine that runs preflight?"""

    def probes(self, subject: Subject) -> Probes:
        return {"answer": LocalFile(TARGET, "/answer")}


class Broken(Mysql):
    """Does it know its subjects?"""

    def subjects(self) -> Sequence[Subject]:
        raise ValueError("no")


class Advisory(Mysql):
    """Does it decide?"""

    severity = Severity.ADVISORY


def plan_of(*entries: Scripts | Backup) -> Plan:
    role = Role(id="dba", primary="D. Kaya", standby="M. Ortiz")
    scripts = [each for each in entries if isinstance(each, Scripts)]
    backups = [each for each in entries if isinstance(each, Backup)]
    return toy_plan(roles=[role], hosts=("db1", "db2"), scripts=scripts, backups=backups)


def judged(**more: Any) -> Judgement:
    check = DatabaseEngine(plan_of(replace(SCRIPTS, **more)), MOMENT)
    (subject,) = check.subjects()
    return check.judge(subject)


def lines(plan: Plan, *checks: type[Check]) -> list[str]:
    """The check and subject of each line of a run."""
    found = inspect(plan, Registry((DatabaseEngine, *checks)), MOMENT).items
    return [f"{each.check_id} {each.subject.id}" for each in found]


def answered_by(offers: str) -> Judgement:
    """What stands in the place of the line where a check answers for an engine of this name."""
    check = type("Offered", (Mysql,), {"engines": frozenset({offers}), "__doc__": "Is it up?"})
    (only,) = inspect(plan_of(SCRIPTS), Registry((DatabaseEngine, check)), MOMENT).items
    assert only.check is not None
    return only.check.judge(only.subject)


def test_what_nobody_looks_at_is_named_for_scripts_and_for_backups() -> None:
    found = judged()
    assert found.status is Status.UNKNOWN
    assert found.summary.startswith("no check looked whether mysql on db1 is up; whether the role of the scripts")
    assert found.actual == "no check that is loaded answers for mysql in [scripts.shop] by asking db1"
    assert 'engines = frozenset({"mysql"}) that asks db1' in found.remedy
    assert "[scripts.shop] engine_shown = " in found.remedy
    assert "have D. Kaya (dba) answer for it" in found.remedy
    check = DatabaseEngine(plan_of(BACKUP), MOMENT)
    (subject,) = check.subjects()
    assert (subject.id, subject.owner) == ("backups shop", "dba")
    assert "whether a restore has room" in check.judge(subject).summary


def test_a_person_who_answers_for_it_makes_it_a_warning_that_says_who() -> None:
    said = Said(by="dba", on=MOMENT.date(), reason="logged in with the mysql client")
    found = judged(engine_shown=said)
    assert found.status is Status.WARN
    assert "said by D. Kaya (dba)" in found.summary
    assert judged(engine_shown=replace(said, on=MOMENT.date().replace(year=2020))).status is Status.UNKNOWN


@pytest.mark.parametrize(("days", "status"), [(-1, Status.UNKNOWN), (0, Status.WARN)])
def test_what_was_said_before_the_work_tells_nothing_of_what_it_left(days: int, status: Status) -> None:
    start = toy_plan().window.start
    said = Said(by="dba", on=start.date() + timedelta(days=days), reason="logged in with the mysql client")
    plan = plan_of(replace(SCRIPTS, engine_shown=said))
    check = DatabaseEngine(plan, start + timedelta(hours=4), expect=Expect.AFTER)
    found = check.judge(*check.subjects())
    assert (found.status, Expect.AFTER in check.verifies) == (status, True)
    assert "no check looked whether mysql on db1 is up, and as it must be after the work" in found.summary


def test_a_database_of_postgresql_has_no_such_line() -> None:
    assert DatabaseEngine(toy_plan(), MOMENT).subjects() == []


def test_a_check_that_answers_for_the_engine_takes_the_place_of_the_line() -> None:
    assert lines(plan_of(SCRIPTS, BACKUP), Mysql) == ["mysql backups shop", "mysql scripts shop"]
    other = replace(BACKUP, id="ledger", engine="oracle")
    assert lines(plan_of(SCRIPTS, other), Mysql) == ["database-engine backups ledger", "mysql scripts shop"]


@pytest.mark.parametrize("check", [NoSubject, AsksNothing, AsksAnotherHost, AsksHere, Broken, Advisory])
def test_a_check_that_does_not_look_at_the_entry_takes_nothing_away(check: type[Check]) -> None:
    assert lines(plan_of(SCRIPTS), check)[0] == "database-engine scripts shop"
