"""attestations judged from plans: an item that only a person can say."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from preflight_checks.attestations import Attestations

from preflight.demo.people import all_confirmed
from preflight.finding import Judgement, Status
from preflight.plan import Attest, Plan, Role
from tests.toy import MOMENT, toy_plan

DBA = Role(id="dba", primary="D. Kaya", standby="M. Ortiz", contact="ext. 4411")
ITEM = Attest(id="vendor", text="the vendor is on standby", owner="dba", evidence="VND-2231", valid=timedelta(hours=10))


def planned(item: Attest = ITEM, *, said_at: datetime | None = MOMENT) -> Plan:
    plan = replace(toy_plan((), roles=[DBA]), attest=(item,))
    return replace(plan, confirmed=all_confirmed(plan, said_at)) if said_at else plan


def judged(plan: Plan, moment: datetime = MOMENT) -> Judgement:
    check = Attestations(plan, moment)
    (subject,) = check.subjects()
    assert (subject.id, subject.owner) == ("vendor", "dba")
    found: Judgement = check.judge(subject)
    return found


def test_what_nobody_said_is_unknown_with_the_call_and_the_command_that_write_it_down() -> None:
    found = judged(planned(said_at=None))
    assert found.status is Status.UNKNOWN
    assert found.summary == "not confirmed by D. Kaya or M. Ortiz: nobody wrote down that it was said"
    assert found.remedy == (
        "call D. Kaya or M. Ortiz (ext. 4411), then run: preflight confirm toy.toml --item vendor --by 'D. Kaya'"
    )


def test_what_was_said_passes_with_who_and_when() -> None:
    found = judged(planned())
    assert found.status is Status.PASS
    assert found.summary == ("the vendor is on standby (VND-2231); confirmed by D. Kaya Fri 2026-10-16 19:00 +00:00")


def test_a_word_that_is_older_than_valid_does_not_count() -> None:
    assert judged(planned(), MOMENT + timedelta(hours=10)).status is Status.WARN
    old = judged(planned(), MOMENT + timedelta(hours=10, seconds=1))
    assert (old.status, "10 h 1 s before the moment judged" in old.summary) == (Status.UNKNOWN, True)
    assert judged(planned(replace(ITEM, valid=timedelta(hours=8)))).status is Status.WARN  # too old at the start


def test_a_change_of_the_item_voids_the_word() -> None:
    plan = replace(planned(), attest=(replace(ITEM, text="the vendor is on site"),))
    found = judged(plan)
    assert found.status is Status.UNKNOWN
    assert found.summary.endswith("and changed since then: attest.vendor")


def test_the_word_of_somebody_who_left_the_role_does_not_count() -> None:
    left = replace(planned(), roles={"dba": replace(DBA, primary="S. Lindqvist")})
    assert judged(left).status is Status.UNKNOWN
