"""migration-history: what the plan declares of it; tests/site/test_migration_history.py reads each tool's tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from preflight_checks.migration_history import MigrationHistory

from preflight.check import Expect
from preflight.finding import Judgement, Status
from preflight.plan import Account, Database
from preflight.plan.targets import Migration
from preflight.questions.migrations import History, HistoryTable
from preflight.testing import plan_of
from tests.toy import MOMENT, toy_plan

TABLE = HistoryTable(
    tool="Flyway", schema="app", name="flyway_schema_history", usage=True, select=True, filtered=False
)  # fmt: skip
PLAN = """
[hosts.db1]
user = "dbadmin"
key = "k"
[databases.orders]
host = "db1"
user = "release"
"""


def judged(
    table: HistoryTable = TABLE, migration: Migration | None = None, expect: Expect | None = None, head: str = "42"
) -> Judgement:
    orders = Database(id="orders", host="db1", user=Account("release"), migration=migration)
    check = MigrationHistory(toy_plan(databases=[orders]), MOMENT, expect=expect)
    (subject,) = check.subjects()
    asked = check.follow_up(subject, tables=[table])
    return check.judge(subject, tables=[table], **dict.fromkeys(asked, History((head,))))


@pytest.mark.parametrize(
    ("expect", "head", "status"),
    [
        (None, "42", Status.PASS),
        (None, "43", Status.FAIL),
        (Expect.BEFORE, "42", Status.PASS),
        (Expect.BEFORE, "43", Status.FAIL),
        (Expect.AFTER, "43", Status.PASS),
        (Expect.AFTER, "42", Status.FAIL),
    ],
)
def test_the_history_ends_where_the_release_begins_or_ends(expect: Expect | None, head: str, status: Status) -> None:
    found = judged(migration=Migration(from_="42", to="43"), expect=expect, head=head)
    assert found.status is status, found


@pytest.mark.parametrize(
    ("line", "migration"),
    [
        ('migration = "42"', {"from_": "42"}),
        ('migration = { from = "42", to = "43" }', {"from_": "42", "to": "43"}),
        ('migration = { from = "42", table = "a.b" }', {"from_": "42", "table": "a.b"}),
    ],
)
def test_the_plan_says_it_in_a_word_or_as_a_table(tmp_path: Path, line: str, migration: Mapping[str, str]) -> None:
    plan = plan_of(f"{PLAN}{line}\n", tmp_path, MigrationHistory)
    assert plan.databases["orders"].migration == Migration(**migration)


def test_a_table_of_another_release_is_left_aside_where_the_plan_names_one() -> None:
    elsewhere = Migration(from_="42", table="other.flyway_schema_history")
    found = judged(migration=elsewhere)
    assert "no such table is there" in found.summary
