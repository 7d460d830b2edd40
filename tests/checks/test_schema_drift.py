"""schema-drift on plain facts: texts of schemas. Real databases are asked in tests/site."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.schema_drift import SchemaDrift

from preflight.check import Expect
from preflight.finding import Judgement, Status
from preflight.plan import Account, Database, Plan, RemotePath, Scripts, Without
from preflight.plan.targets import Migration
from preflight.probe import Answer, Question, Via
from preflight.questions.files import LocalText
from preflight.questions.rehearsed import Content, Rehearsal, Rehearsed, RehearsedDatabase, RehearsedEntry, Run, Touched
from preflight.questions.schema import Schema, SealedSchema, SealedSchemaProbe, difference
from preflight.testing import Trial, answered
from tests.toy import MOMENT, WINDOW, toy_plan

TEXT = """\
PostgreSQL 15
table billing.events_p1
  owner app
  column id bigint
table billing.invoice
  owner app
  column id bigint
end of 2 objects
"""
SEALED = SealedSchema(Schema.parse(TEXT))
MORE = TEXT.replace("id bigint\nend", "id bigint\n  column legacy_ref text\nend")


def plan(**database: object) -> Plan:
    return toy_plan(databases=[Database(id="orders", host="db1", user=Account("release"), owner="dba", **database)])


def judged(
    seen: str = TEXT, sealed: SealedSchema = SEALED, *, moment: timedelta = timedelta(), **database: object
) -> Judgement:
    check = SchemaDrift(plan(**database), MOMENT + moment)
    (subject,) = check.subjects()
    assert subject.owner == "dba"
    return check.judge(subject, schema=Schema.parse(seen), sealed=sealed)


def test_the_same_schema_passes() -> None:
    assert judged() == judged(drift_allowed=())
    assert (judged().status, judged().summary) == (Status.PASS, "2 objects as sealed")


def test_a_column_that_nobody_approved_fails_with_the_line_that_is_new() -> None:
    found = judged(MORE)
    assert (found.status, found.summary) == (Status.FAIL, "1 object not as sealed: table billing.invoice")
    assert found.actual == "+column legacy_ref text"
    assert found.expected == "the schema in toy.orders.schema.txt"
    assert found.details == " table billing.invoice\n+  column legacy_ref text"
    assert found.remedy.endswith("or have it approved, then run: preflight seal toy.toml")


def test_once_the_window_has_begun_the_report_says_when_it_was_asked_and_what_judges_afterwards() -> None:
    begun = WINDOW.start - MOMENT + timedelta(minutes=72)
    said = "(asked Sat 2026-10-17 05:12 +00:00: where the scripts have run by then, `preflight verify` judges"
    assert said in judged(MORE, moment=begun).remedy
    assert judged(moment=begun).status is Status.PASS


def test_what_jobs_make_is_left_out_and_listed() -> None:
    partitions = TEXT.replace("events_p1", "events_p2")
    assert judged(partitions).summary == "2 objects not as sealed: table billing.events_p1, table billing.events_p2"
    allowed = ("billing.events_p*",)
    passes = judged(partitions, drift_allowed=allowed)
    left_out = "not compared, by `drift_allowed`: table billing.events_p1, table billing.events_p2"
    assert (passes.status, passes.summary) == (Status.PASS, f"2 objects as sealed; {left_out}")
    fails = judged(MORE.replace("events_p1", "events_p2"), drift_allowed=allowed)
    assert fails.summary == f"1 object not as sealed: table billing.invoice; {left_out}"
    assert judged(drift_allowed=("biling.*",)).summary.endswith("`drift_allowed`: no object has such a name")


def test_another_major_version_is_not_compared() -> None:
    found = judged(TEXT.replace("PostgreSQL 15", "PostgreSQL 16"))
    assert (found.status, found.actual) == (Status.FAIL, "PostgreSQL 16")
    assert found.expected == "PostgreSQL 15, as in toy.orders.schema.txt"


@pytest.mark.parametrize(
    ("sealed", "said"),
    [
        (SealedSchema(None, "no such file"), "the schema was never sealed"),
        (SealedSchema(None, "no schema, or one that is cut off"), "the sealed schema cannot be relied on"),
    ],
)
def test_without_a_sealed_schema_it_is_not_known(sealed: SealedSchema, said: str) -> None:
    found = judged(sealed=sealed)
    assert (found.status, found.summary) == (Status.UNKNOWN, said)
    assert found.remedy.endswith("run: preflight seal toy.toml")


def test_thousands_of_differences_have_an_end() -> None:
    objects = "".join(f"table billing.t{number:04}\n  owner app\n  column id bigint\n" for number in range(3000))
    found = judged(f"PostgreSQL 15\n{objects}end of 3000 objects\n")
    assert len(found.summary) < 300
    assert len(found.actual) < 300
    assert 500 <= found.details.count("\n") <= 501
    assert found.details.endswith("more")


@pytest.mark.parametrize("seen", [TEXT, MORE, TEXT[:-5], "", None])
@pytest.mark.parametrize("sealed", [TEXT, TEXT[:-5], "", None])
def test_the_contract_of_all_checks(seen: str | None, sealed: str | None) -> None:
    def answer(question: Question) -> Answer:
        if question.via is Via.SQL:
            return answered(json.dumps([{"value": seen}])) if seen is not None else answered("", 1, "42703 no column")
        return answered('{"sha256": ""}\n' + sealed) if sealed is not None else answered("", 1, "no such file")

    trial = Trial(SchemaDrift, plan(), answer)
    trial.assert_contract()
    assert (trial.finding.status is Status.PASS) == (seen == sealed == TEXT)


def test_the_sealed_text_is_read_beside_the_plan() -> None:
    probe = SealedSchemaProbe.of(plan(), "orders")
    assert probe.path == "toy.orders.schema.txt"


RUN = Run(script="010.sql", seconds=1.0, exit_code=0)


def worked(
    seen: str = MORE,
    record: Rehearsal | None = None,
    problem: str = "",
    files: str = "a" * 64,
    entry: int = 0,
    **more: Any,
) -> Judgement:
    """What `verify` says once the scripts have run. `files`: the hash of the one that is sealed. `entry`: 1 for another
    entry of the same database, which no entry of `[scripts]` names."""
    scripts = Scripts(id="s", database="orders", approved=Path("sql"), manifest=Path("SUMS"), staged=RemotePath("/srv"))
    release = replace(toy_plan().release, without=Without(rehearsal=more.pop("reason", None)))
    databases = plan(**more).databases
    databases = {**databases, "again": replace(databases["orders"], id="again", name="orders")}
    both = replace(plan(), databases=databases, scripts={"s": scripts}, release=release)
    check = SchemaDrift(both, MOMENT, expect=Expect.AFTER)
    subject = check.subjects()[entry]
    assert {"rehearsed", "manifest s"} <= check.probes(subject).keys()
    answers = {"rehearsed": Rehearsed(record, problem), "manifest s": LocalText(f"{files}  010.sql\n")}
    return check.judge(subject, schema=Schema.parse(seen), sealed=SEALED, **answers)  # type: ignore[arg-type]


def recorded(after: str = MORE, **more: Any) -> Rehearsal:
    """Of scripts that made this of the schema."""
    changes = difference(Schema.parse(TEXT), Schema.parse(after))
    database = RehearsedDatabase(
        content=Content.SCHEMA, size_bytes=1, version_num=150018, server_version_num=150018, changes=changes
    )
    return Rehearsal(
        release="REL-1",
        at=MOMENT,
        by="kim",
        where="here",
        databases={"orders": replace(database, **more)},
        scripts={"s": RehearsedEntry(database="orders", files={"010.sql": "a" * 64}, runs=(RUN,))},
    )


def test_the_work_is_done_where_just_what_was_rehearsed_is_changed() -> None:
    found = worked(record=recorded())
    assert found.status is Status.PASS, found
    assert worked(record=recorded(), entry=1) == found
    assert found.summary == "1 object changed since the schema was sealed, each as in the rehearsal"


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (TEXT, "not done: table billing.invoice"),
        (MORE.replace("legacy_ref text", "legacy_ref uuid"), "done otherwise: table billing.invoice"),
        (MORE.replace("events_p1\n  owner app", "events_p1\n  owner kim"), "not of the work: table billing.events_p1"),
    ],
)
def test_what_the_work_left_otherwise_fails_by_object(seen: str, said: str) -> None:
    found = worked(seen, recorded())
    assert found.status is Status.FAIL, found
    assert found.summary == f"not as the work was to leave it: {said}"
    assert found.details.startswith(said.partition(":")[0])
    allowed = worked(seen, recorded(), drift_allowed=("billing.*",))
    assert allowed.status is Status.PASS, allowed


ROWS = replace(RUN, script="020.sql", touched=(Touched(kind="table", name="billing.invoice", updated=3),))
ROWS_ALONE = replace(
    recorded(TEXT),
    scripts={"s": RehearsedEntry(database="orders", files={"010.sql": "a" * 64}, runs=(RUN, ROWS))},
)
MIGRATED = Migration(from_="42", to="43")


def test_what_leaves_no_trace_in_the_schema_is_unknown_until_the_plan_asks_for_it() -> None:
    found = worked(TEXT, ROWS_ALONE)
    assert found.status is Status.UNKNOWN, found
    assert found.summary.endswith("whether these ran does not show in the schema: 020.sql")
    assert worked(TEXT, ROWS_ALONE, migration=MIGRATED).status is Status.PASS
    changed = replace(ROWS, changes=" table billing.invoice\n+  column due date")
    record = replace(ROWS_ALONE, scripts={"s": replace(ROWS_ALONE.scripts["s"], runs=(changed,))})
    assert worked(TEXT, record).status is Status.PASS
    assert worked(TEXT, record, drift_allowed=("billing.*",)).status is Status.UNKNOWN


def test_a_rehearsal_elsewhere_leaves_a_difference_unknown() -> None:
    for more in ({"version_num": 180001}, {"missing_extensions": ("postgis",)}):
        assert worked(record=recorded(**more)).status is Status.PASS
        found = worked(TEXT, recorded(**more))
        assert found.status is Status.UNKNOWN, found
        assert "unlike the real one" in found.summary


def test_without_a_rehearsal_the_difference_is_unknown_or_for_a_reason_told() -> None:
    failed = RehearsedEntry(database="orders", runs=(replace(RUN, exit_code=3),))
    unknown: dict[str, dict[str, Any]] = {
        "no such file": {"problem": "no such file"},
        "the scripts of s are others than were rehearsed": {"record": recorded(), "files": "b" * 64},
        "the scripts of s were not rehearsed": {"record": replace(recorded(), scripts={})},
        "the rehearsal of s failed": {"record": replace(recorded(), scripts={"s": failed})},
    }
    for said, more in unknown.items():
        found = worked(**more)
        assert found.status is Status.UNKNOWN, found
        assert said in found.summary
        assert found.details == " table billing.invoice\n+  column legacy_ref text"
    found = worked(reason="tried by hand in staging")
    assert found.status is Status.WARN, found
    assert found.details == " table billing.invoice\n+  column legacy_ref text"


def test_a_database_without_scripts_and_the_state_before_are_as_sealed() -> None:
    for expect, entry in ((Expect.AFTER, plan()), (Expect.BEFORE, plan())):
        check = SchemaDrift(entry, MOMENT, expect=expect)
        (subject,) = check.subjects()
        assert set(check.probes(subject)) == {"schema", "sealed"}
        assert check.judge(subject, schema=Schema.parse(MORE), sealed=SEALED).status is Status.FAIL
