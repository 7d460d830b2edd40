"""sql: what a plan may say, and which queries are asked when; tests/site/test_sql.py asks a real server."""

from __future__ import annotations

from pathlib import Path

import pytest
from preflight_checks.sql import SqlCheck

from preflight.check import Expect
from preflight.errors import PlanError
from preflight.plan import Plan
from preflight.reference.requests import render
from preflight.testing import MOMENT, Trial, answered, plan_of

PLAN = """
[hosts.db1]
user = "dbadmin"
key = "k"
[databases.orders]
host = "db1"
user = "release"
[checks.sql.run.open]
database = "orders"
query = "SELECT 1"
expect = "1"
[checks.sql.run.filled]
database = "orders"
query = '''
SELECT id
FROM app.orders'''
expect = "no rows"
when = "after"
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_of(PLAN, tmp_path, SqlCheck)


@pytest.mark.parametrize(("expect", "asked"), [(None, ["open"]), (Expect.BEFORE, ["open"]), (Expect.AFTER, ["filled"])])
def test_each_query_is_asked_when_it_must_hold(plan: Plan, expect: Expect | None, asked: list[str]) -> None:
    check = SqlCheck(plan, MOMENT, SqlCheck.Settings(**plan.checks["sql"]), expect=expect)
    assert [subject.id for subject in check.subjects()] == asked


def test_the_contract_of_all_checks(plan: Plan) -> None:
    for answer in (answered('[{"n": "1"}]'), answered('[{"n": "2"}]'), answered("", 1, "42601 syntax error")):
        Trial(SqlCheck, plan, lambda _question, answer=answer: answer).assert_contract()  # type: ignore[misc]


def test_what_is_requested_has_the_query_word_for_word(plan: Plan) -> None:
    may = "In orders: release may run (USAGE on the schemas, SELECT on the tables)"
    assert f"{may}: SELECT id FROM `app.orders` *(sql)*" in render(plan)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('database = "order"', "did you mean"),
        ('query = " "', "checks.sql.run.open.query: is empty"),
        ("expect = 1", "checks.sql.run.open.expect: expected"),
        ('when = "later"', "checks.sql.run.open.when"),
        ('timeout = "2h"', "checks.sql.run.open.timeout: must be between"),
        ('file = "x.sql"', "checks.sql.run.open.file: unknown key"),
    ],
)
def test_a_faulty_query_is_an_error_of_the_plan(tmp_path: Path, line: str, said: str) -> None:
    begin = PLAN.partition("[checks.sql.run.open]")[0]
    entry = {"database": '"orders"', "query": '"SELECT 1"', "expect": '"1"'}
    key, _, value = line.partition(" = ")
    lines = [f"{name} = {text}" for name, text in {**entry, key: value}.items()]
    with pytest.raises(PlanError) as caught:
        plan_of("\n".join([begin, "[checks.sql.run.open]", *lines]), tmp_path, SqlCheck)
    assert said in str(caught.value)
