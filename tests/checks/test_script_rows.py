"""script-rows judged from plain facts; what a change asks of rows is tried on a real server, in tests/site."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from preflight_checks.script_rows import ScriptRows

from preflight.finding import Judgement, Status
from preflight.plan import Content, Without
from preflight.questions.rehearsed import Rehearsed, Run, Touched
from preflight.questions.sizes import LiveTable
from tests.checks.test_rehearsal import ENTRY, RECORD, TRIED
from tests.checks.test_restore_room import TWO
from tests.toy import MOMENT, toy_plan

NOT_NULL = " table public.orders\n-  column total numeric\n+  column total numeric not null"
ONE_EACH = " materialized view public.lines\n+  CREATE UNIQUE INDEX each ON public.lines USING btree (id)"
POSITIVE = " type public.amount\n+  constraint positive CHECK ((VALUE > 0))"
ORDERS = Touched(kind="table", name="public.orders", defined=True, rewritten=True)
FILLED = {name: LiveTable(name, 16384, 8192, "") for name in ("public.orders", "public.lines")}


def run(changes: str = "", *touched: Touched) -> Run:
    return Run(script="010.sql", seconds=1.0, exit_code=0, touched=touched, changes=changes)


def rows(
    *runs: Run,
    content: Content = Content.SCHEMA,
    tables: dict[str, LiveTable] = FILLED,
    others: str = "",
    recorded: bool = True,
) -> Judgement:
    """`others`: what another entry changed in the same database."""
    plan = toy_plan(databases={"orders": TWO["orders"]}, scripts={"orders": ENTRY})
    check = ScriptRows(plan, MOMENT)
    (subject,) = check.subjects()
    changes = [each for run in runs for each in run.changes.replace("\n ", "\n\n ").split("\n\n")] + [others]
    by_object = {each.splitlines()[0].strip(): each for each in changes if each}
    of = replace(RECORD.databases["orders"], content=content, changes=by_object)
    record = replace(RECORD, databases={"orders": of}, scripts={"orders": replace(TRIED, runs=runs)})
    rehearsed = Rehearsed(record) if recorded else Rehearsed(None, "no such file")
    asked = check.follow_up(subject, rehearsed=rehearsed)
    facts: dict[str, Any] = {}
    if asked:
        facts["tables"] = {name: tables[name] for name in asked["tables"].names if name in tables}
    return check.judge(subject, rehearsed=rehearsed, **facts)


def not_null(**facts: Any) -> Judgement:
    return rows(run(NOT_NULL), **facts)


def test_new_rules_for_rows_that_are_there_are_unknown_after_a_rehearsal_without_rows() -> None:
    runs = (run(NOT_NULL), run(f"{ONE_EACH}\n{POSITIVE}"))
    found = rows(*runs)
    assert found.status is Status.UNKNOWN
    assert found.summary == (
        "whether rows that are there allow it was not tried: "
        "public.lines: UNIQUE INDEX each ON public.lines USING btree (id), "
        "public.orders: column total numeric not null, type public.amount: constraint positive CHECK ((VALUE > 0))"
    )
    assert found.remedy.startswith('rehearse them on rows, in [rehearsal]: content = "restore"; or ')
    assert rows(*runs, content=Content.RESTORE).summary == "they were rehearsed on the rows of a backup"


def test_a_table_without_rows_takes_any_rule_and_one_that_nobody_saw_does_not() -> None:
    empty = {name: replace(table, of_rows=0) for name, table in FILLED.items()}
    assert rows(run(NOT_NULL), tables=empty).summary == "no table has rows of which they ask something new"
    assert rows(run(NOT_NULL), tables={}).status is Status.UNKNOWN
    assert rows(run(POSITIVE), tables=empty).status is Status.UNKNOWN, "nobody looks where a domain is used"


def test_an_entry_is_judged_by_its_own_scripts_and_by_what_all_of_them_leave() -> None:
    assert rows(run(), others=NOT_NULL).summary == "they ask nothing new of rows"
    first = run(NOT_NULL.replace("-  column total numeric\n", ""))
    second = run(" table public.orders\n-  column total numeric not null")
    found = rows(first, second, others=" table public.orders\n+  owner kaya")
    assert found.status is Status.PASS, "what a later one takes back"


def test_the_rows_of_a_default_partition_are_asked_for_beside_a_new_one() -> None:
    made = Touched(kind="table", name="public.new", defined=True, created=True, lock="AccessExclusiveLock")
    parent = replace(made, name="public.all", created=False)
    default = replace(parent, name="public.orders", defined=False)
    new = "+table public.new\n+  partition of public.all FOR VALUES FROM (1) TO (2)"
    found = rows(run(new, made, parent, default))
    assert (found.status, "public.orders: no row of the new partition" in found.summary) == (Status.UNKNOWN, True)
    assert rows(run(new, made, parent)).status is Status.PASS


def test_a_new_domain_may_have_got_its_rules_after_a_column_got_it() -> None:
    changed = NOT_NULL.replace("numeric not null", "public.dozen")
    assert rows(run(changed, replace(ORDERS, rewritten=False))).status is Status.PASS
    domain = "+type public.dozen\n+  domain over numeric\n+  constraint twelve CHECK ((VALUE > 12))"
    found = rows(run(changed, replace(ORDERS, rewritten=False)), others=domain)
    assert (found.status, "public.orders: column total public.dozen" in found.summary) == (Status.UNKNOWN, True)


def test_a_changed_type_counts_where_each_row_was_written_anew() -> None:
    changed = NOT_NULL.replace("numeric not null", "numeric(9,2)")
    assert rows(run(changed, ORDERS)).status is Status.UNKNOWN
    assert rows(run(changed, replace(ORDERS, rewritten=False))).status is Status.PASS


def test_without_a_record_nothing_is_known_and_without_a_rehearsal_nothing_is_asked() -> None:
    plan = toy_plan(databases={"orders": TWO["orders"]}, scripts={"orders": ENTRY})
    found = rows(recorded=False)
    assert (found.status, found.remedy) == (Status.UNKNOWN, "cure what rehearsal says of orders")
    left_out = replace(plan, release=replace(plan.release, without=Without(rehearsal="by hand")))
    assert ScriptRows(left_out, MOMENT).subjects() == []
