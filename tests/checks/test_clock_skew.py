"""clock-skew judged from plain readings, at its boundaries."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from preflight_checks.clock_skew import ClockSkew

from preflight.finding import Judgement, Quantity, Status
from preflight.plan import Account, Database, Plan
from preflight.probe import NoReply, Reply, Unreadable
from preflight.questions.clocks import HostClockProbe, Reading, ServerClockProbe
from preflight.reasons import Reason
from tests.toy import lost, toy_plan

ASKED_AT = datetime(2026, 10, 16, 19, 0, tzinfo=UTC)
TOOK = 0.5


def reading(offset: float, took: float = TOOK) -> Reading:
    """A clock that is `offset` seconds ahead of the end of the answer, or behind its beginning."""
    answered_at = ASKED_AT + timedelta(seconds=took)
    at = (answered_at if offset > 0 else ASKED_AT) + timedelta(seconds=offset)
    return Reading(at, at, ASKED_AT, answered_at, "Europe/Prague (+02:00)")


def check(hosts: tuple[str, ...] = ("db1", "db2", "app1"), **settings: timedelta) -> ClockSkew:
    database = Database(id="orders", host="db1", user=Account("release"))
    plan = toy_plan(hosts, databases={"orders": database})
    return ClockSkew(plan, ASKED_AT, ClockSkew.Settings(**settings))


def judged(clock: Reading, number: int = 0, settings: dict[str, timedelta] | None = None, **facts: Any) -> Judgement:
    made = check(**settings or {})
    found: Judgement = made.judge(made.subjects()[number], clock=clock, **facts)
    return found


def test_every_host_and_every_server_is_a_subject() -> None:
    assert [subject.id for subject in check().subjects()] == ["db1", "db2", "app1", "database orders"]


@pytest.mark.parametrize(
    ("offset", "status"),
    [
        (0.0, Status.PASS),
        (1.999, Status.PASS),
        (-1.999, Status.PASS),
        (2.0, Status.WARN),
        (-2.0, Status.WARN),
        (60.0, Status.WARN),
        (-60.0, Status.WARN),
        (60.001, Status.FAIL),
        (-60.001, Status.FAIL),
        (86400.0, Status.FAIL),
    ],
)
def test_a_clock_may_be_off_by_so_much(offset: float, status: Status) -> None:
    found = judged(reading(offset))
    assert found.status is status
    assert found.quantity == (None if status is Status.PASS else Quantity(value=abs(offset), unit="s"))


def test_the_limits_can_be_set() -> None:
    settings = {"warn_from": timedelta(seconds=0.1), "fail_above": timedelta(seconds=1)}
    assert judged(reading(0.2), settings=settings).status is Status.WARN
    assert judged(reading(1.1), settings=settings).status is Status.FAIL


@pytest.mark.parametrize("at_seconds", [0.0, 100.0, 300.0])
def test_an_answer_that_took_long_never_alarms(at_seconds: float) -> None:
    at = ASKED_AT + timedelta(seconds=at_seconds)
    found = judged(Reading(at, at, ASKED_AT, ASKED_AT + timedelta(seconds=300), "UTC"))
    assert found.status is Status.PASS


def test_the_line_says_which_way_and_by_how_much() -> None:
    ahead, behind = judged(reading(61.25)), judged(reading(-3700))
    assert ahead.summary == "the clock is 61.25 s ahead of this machine's"
    assert behind.summary == "the clock is 1 h 1 min behind this machine's"
    assert "db1 said 2026-10-16 19:01:01 UTC when it was 19:00:00 to 19:00:00 here" in ahead.actual
    assert "expiry and age are judged wrong by 61.25 s" in ahead.actual
    assert ahead.remedy.startswith("have the clock of db1 set from a time server: chronyc makestep")
    assert "more than 60 s" in ahead.expected


def test_a_pass_names_the_zone() -> None:
    assert judged(reading(0)).summary == "the clock agrees within the 0.50 s of the answer; Europe/Prague (+02:00)"
    assert judged(reading(-0.25)).summary == "the clock is 0.25 s behind; Europe/Prague (+02:00)"


def test_a_clock_that_seems_off_is_asked_again_and_others_with_it() -> None:
    made = check()
    subject = made.subjects()[0]
    assert made.follow_up(subject, clock=reading(1.9)) == {}
    assert made.follow_up(subject, clock=reading(2.0)) == {
        "again": HostClockProbe("db1", 2),
        "witness_1": HostClockProbe("db2"),
        "witness_2": HostClockProbe("app1"),
    }


def test_of_many_hosts_a_clock_that_is_off_looks_at_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[int] = []
    of_hosts = Plan.hosts_with_shell.fget
    monkeypatch.setattr(Plan, "hosts_with_shell", property(lambda plan: listed.append(1) or of_hosts(plan)))
    looked = check(tuple(f"h{number}" for number in range(100)))
    subjects = looked.subjects()
    before = len(listed)
    for subject in subjects:
        assert len(looked.follow_up(subject, clock=reading(90))) >= 4
    assert len(listed) - before <= 1, "not once for each"


def test_the_server_on_the_same_machine_is_no_witness() -> None:
    made = check(("db1", "db2"))
    assert made.follow_up(made.subjects()[2], clock=reading(9)) == {
        "again": ServerClockProbe("orders", 2),
        "home": HostClockProbe("db1"),
        "witness_1": HostClockProbe("db2"),
    }


def test_the_better_of_two_answers_counts() -> None:
    assert judged(reading(-5), again=reading(0)).status is Status.PASS
    assert judged(reading(-90), again=reading(-3)).status is Status.WARN
    assert judged(reading(-90), again=reading(-90)).status is Status.FAIL


def test_where_another_machine_agrees_our_own_clock_is_suspect() -> None:
    found = judged(reading(90), again=reading(90), witness_1=reading(90.5), witness_2=reading(0))
    assert found.status is Status.FAIL
    assert found.summary.endswith("ahead of this machine's, and so is that of db2: this machine's own clock is suspect")
    assert found.remedy.startswith("look at this machine's clock first")


def in_boot(boot: str, offset: float = 90) -> Reading:
    return replace(reading(offset), boot=boot)


def test_another_entry_of_the_same_machine_is_no_witness() -> None:
    """Two names in the plan, one kernel: its clock is off, not ours."""
    found = judged(in_boot("b1"), again=in_boot("b1"), witness_1=in_boot("b1"), witness_2=in_boot("b2", 0))
    assert found.summary == "the clock is 90 s ahead of this machine's; db1 and db2 are one machine"
    assert found.remedy.startswith("have the clock of db1 set")


def test_a_machine_that_agrees_is_named_once() -> None:
    found = judged(in_boot("b1"), witness_1=in_boot("b2"), witness_2=in_boot("b2"))
    assert found.summary.count("app1") + found.summary.count("db2") == 1
    assert "this machine's own clock is suspect" in found.summary


def test_the_host_of_a_server_tells_on_which_machine_it_is() -> None:
    facts = {"clock": reading(90), "home": in_boot("b1"), "witness_1": in_boot("b1")}
    assert "suspect" not in judged(number=3, **facts).summary
    assert "suspect" in judged(number=3, **{**facts, "home": lost(Reason.QUESTION_LIMIT)}).summary


@pytest.mark.parametrize("boot", ["", "0c2a1f9e-5a0c-4a3e-9f57-0d2f4a5b6c7d"])
def test_a_boot_id_is_read_strictly(boot: str) -> None:
    text = HOST.format(at="1792177200.5")
    assert HostClockProbe("db1").read(reply(text.replace("boot=", f"boot={boot}"))).boot == boot
    with pytest.raises(Unreadable):
        HostClockProbe("db1").read(reply(text.replace("boot=", "boot=none")))


@pytest.mark.parametrize("witness", [reading(0), reading(87), reading(-90), lost(Reason.QUESTION_LIMIT)])
def test_a_witness_that_does_not_agree_leaves_the_far_clock_to_blame(witness: Reading | NoReply) -> None:
    found = judged(reading(90), again=reading(90), witness_1=witness)
    assert "suspect" not in found.summary
    assert "db1" in found.remedy


def reply(text: str, took: float = TOOK, code: int = 0) -> Reply:
    return Reply(code, text, ASKED_AT, took, "on db1 as dbadmin")


HOST = "at={at}\noffset=+0200\nlocaltime=/usr/share/zoneinfo/Europe/Prague\nzone=\nboot=\nend=yes\n"


@pytest.mark.parametrize(
    ("at", "offset"),
    [
        ("1792177200.000000000", 0),
        ("1792177200.5", 0),
        ("1792177200.6", 0.1),
        ("1792177199.9", -0.1),
        # `date` that knows no parts of a second: it may be any moment of that second.
        ("1792177199.N", 0),
        ("1792177199.%N", 0),
        ("1792177199", 0),
        ("1792177198", -1),
        ("1792177201.N", 0.5),
    ],
)
def test_a_reading_counts_what_lies_outside_of_question_and_answer(at: str, offset: float) -> None:
    found = HostClockProbe("db1").read(reply(HOST.format(at=at)))
    assert found.offset.total_seconds() == pytest.approx(offset)
    assert found.zone == "Europe/Prague (+02:00)"


@pytest.mark.parametrize("at", ["", "%s", "now", "1792177200,5", "17921772000000", "-1792177200.0", "1.0\nat=1"])
def test_what_is_no_time_is_no_answer(at: str) -> None:
    with pytest.raises(Unreadable):
        HostClockProbe("db1").read(reply(HOST.format(at=at)))


def test_a_server_tells_its_time_and_zones() -> None:
    row = '[{"at": "1792177290.250000", "timezone": "UTC", "log_timezone": "Europe/Prague"}]'
    found = ServerClockProbe("orders").read(reply(row))
    assert found.offset.total_seconds() == pytest.approx(89.75)
    assert found.zone == "TimeZone UTC, log_timezone Europe/Prague"


@pytest.mark.parametrize("text", ["", "[]", "[{}]", '[{"at": "soon", "timezone": "UTC", "log_timezone": "UTC"}]'])
def test_a_server_that_tells_no_time_is_no_answer(text: str) -> None:
    with pytest.raises(Unreadable):
        ServerClockProbe("orders").read(reply(text))
