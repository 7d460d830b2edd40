"""rehearsal on plain facts: records of rehearsals. Rehearsals that ran for real are tried in tests/site."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.rehearsal import RehearsalCheck

from preflight.finding import Judgement, Status
from preflight.plan import Account, Backup, BackupFormat, Content, Database, Plan, RemotePath, Restore, Scripts, Without
from preflight.plan.manifest import format_manifest
from preflight.plan.sealed_servers import SealedServer
from preflight.plan.values import ExpectedChange
from preflight.probe import Answer, Question
from preflight.questions.rehearsed import (
    Drill,
    Rehearsal,
    RehearsalProbe,
    RehearsedDatabase,
    RehearsedEntry,
    Run,
    Touched,
    format_rehearsal,
    parse_rehearsal,
)
from preflight.questions.schema import Schema, hashed
from preflight.testing import Trial, answered
from tests.toy import MOMENT, toy_plan

TEXTS = {
    "010.sql": "create table a (b int);\n\\ir parts/columns.sql\n",
    "020.sql": "insert into a values (1);\n",
    "parts/columns.sql": "alter table a add c int;\n",
    "undo/010.down.sql": "drop table a;\n",
    "undo/020.down.sql": "delete from a;\n",
}
SEALED = {name: f"{number:064x}" for number, name in enumerate(TEXTS)}
ENTRY = Scripts(
    id="orders",
    database="orders",
    approved=Path("plans/sql/orders"),
    manifest=Path("plans/sql/orders.SHA256SUMS"),
    staged=RemotePath("/srv/release/orders"),
    way_back="undo/{stem}.down.sql",
    files=("010.sql", "020.sql"),
)
LINE = ("psql", "-X", "-w", "-v", "ON_ERROR_STOP=1", "-U", "release", "-d", "orders", "-f", "010.sql", "-f", "020.sql")
SCHEMA = """\
PostgreSQL 15
database
  owner dba
schema public
  owner dba
table public.events_p1
  owner dba
end of 3 objects
"""
A = Touched(kind="table", name="public.a")
TRIED = RehearsedEntry(
    database="orders",
    files=SEALED,
    line=LINE,
    runs=(
        Run(script="010.sql", seconds=1.5, exit_code=0, touched=(replace(A, defined=True, created=True),)),
        Run(script="020.sql", seconds=0.5, exit_code=0, touched=(replace(A, inserted=1),)),
        Run(script="undo/020.down.sql", way_back=True, seconds=0.1, exit_code=0, touched=(replace(A, deleted=1),)),
        Run(script="undo/010.down.sql", way_back=True, seconds=0.1, exit_code=0, touched=(replace(A, dropped=True),)),
    ),
    drills=(
        Drill(script="010.sql", exit_code=3, said="psql:010.sql:1: ERROR:  syntax error"),
        Drill(script="020.sql", exit_code=3, said="psql:020.sql:1: ERROR:  syntax error", kept="+ table public.a"),
    ),
)
RECORD = Rehearsal(
    release="REL-1",
    at=MOMENT,
    by="kaya",
    where="here",
    databases={
        "orders": RehearsedDatabase(
            content=Content.RESTORE,
            backup="/b/1.dump",
            size_bytes=9,
            version_num=150018,
            server_version_num=150018,
            objects=hashed(Schema.parse(SCHEMA)),
        )
    },
    scripts={"orders": TRIED},
)


def plan_with(**without: str) -> Plan:
    orders = Database(id="orders", host="db1", user=Account("release"), owner="dba")
    plan = toy_plan(databases=[orders], scripts=[ENTRY])
    return replace(plan, release=replace(plan.release, without=Without(**without)))


def trial(
    record: Rehearsal | str | None = RECORD,
    *,
    plan: Plan | None = None,
    sealed: Mapping[str, str] = SEALED,
    schema: str | None = SCHEMA,
) -> Trial:
    """The check on a record beside the plan, or on a text in its place; None for no file, of the sealed schema too."""
    plan = plan or plan_with()
    text = format_rehearsal(record) if isinstance(record, Rehearsal) else record

    def answer(question: Question) -> Answer:
        if question.id == RehearsalProbe.of(plan).question().id:
            return _file(text) if text is not None else answered("", 1, "toy.rehearsal.json: no such file")
        if "schema.txt" in question.text:
            return _file(schema) if schema is not None else answered("", 1, "toy.orders.schema.txt: no such file")
        if "SHA256SUMS" in question.text:
            return _file(format_manifest(sealed))
        return answered(json.dumps({"texts": TEXTS, "unread": {}}))

    return Trial(RehearsalCheck, plan, answer)


def _file(text: str) -> Answer:
    return answered(f"{json.dumps({'sha256': '0' * 64})}\n{text}")


def judged(*arguments: Any, **more: Any) -> Judgement:
    tried = trial(*arguments, **more)
    tried.assert_contract()
    return tried.finding.judgement


def with_entry(**fields: Any) -> Rehearsal:
    return replace(RECORD, scripts={"orders": replace(TRIED, **fields)})


def with_database(record: Rehearsal = RECORD, **fields: Any) -> Rehearsal:
    return replace(record, databases={"orders": replace(RECORD.databases["orders"], **fields)})


def with_restore(**restore: Any) -> Plan:
    """A plan whose only backup is put back so, by `command` or by a line of the tool."""
    told = Restore(**{"options": () if "command" in restore else ("--clean", "--if-exists"), **restore})
    saved = Backup(id="nightly", database="orders", directory=RemotePath("/b"), restore=told)
    return replace(plan_with(), backups={"nightly": saved})


PUT_BACK = "pg_restore -w --exit-on-error -U release -d orders --clean --if-exists"
RESTORED = with_database(restores={PUT_BACK: ""})
IDLE = with_entry(runs=tuple(replace(run, touched=()) for run in TRIED.runs))
IDLE_WITHOUT_ROWS = with_database(IDLE, content=Content.SCHEMA, backup="")
IDLE_WAYS_BACK = with_database(
    with_entry(runs=(*TRIED.runs[:2], replace(TRIED.runs[2], touched=()), TRIED.runs[3])), content=Content.SCHEMA
)
MEANT = replace(plan_with(), scripts={"orders": replace(ENTRY, changes=ExpectedChange.NOTHING)})


def test_a_record_is_read_as_it_was_written() -> None:
    assert parse_rehearsal(format_rehearsal(RECORD)) == RECORD


def test_scripts_that_ran_as_they_are_sealed_pass() -> None:
    found = judged()
    assert (found.status, found.summary) == (
        Status.PASS,
        (
            "2 scripts rehearsed 2026-10-16 on PostgreSQL 15.18, 0 min on a restore of 9 B; "
            "2 broken scripts stopped it"
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (None, "no such file"),
        ("{}", "it cannot be read"),
        (format_rehearsal(RECORD).replace('"format": 1', '"format": 2'), "it cannot be read"),
        (replace(RECORD, scripts={}), "the record does not have them"),
        (replace(RECORD, scripts={}, not_rehearsed={"orders": "db1 was not reached"}), "db1 was not reached"),
    ],
    ids=["no file", "no record", "another version", "another entry", "not fetched"],
)
def test_scripts_that_were_never_rehearsed_are_unknown_with_the_command(record: Rehearsal | str, why: str) -> None:
    found = judged(record)
    assert (found.status, why in found.actual) == (Status.UNKNOWN, True), found
    assert found.remedy.startswith("run: preflight rehearse toy.toml; or ")


def test_a_release_may_leave_it_out_for_a_reason() -> None:
    found = judged(None, plan=plan_with(rehearsal="on the test server"))
    assert (found.status, found.summary) == (Status.WARN, "not rehearsed: on the test server")


@pytest.mark.parametrize("name", SEALED)
def test_one_byte_changed_since_voids_it_by_name(name: str) -> None:
    found = judged(sealed={**SEALED, name: "f" * 64})
    assert (found.status, found.summary) == (Status.FAIL, f"changed since the rehearsal: {name}")


def test_a_script_that_was_added_or_taken_out_since_voids_it_by_name() -> None:
    added = judged(sealed={**SEALED, "030.sql": "f" * 64})
    gone = judged(sealed={name: sha256 for name, sha256 in SEALED.items() if name != "020.sql"})
    assert [each.status for each in (added, gone)] == [Status.FAIL] * 2
    assert ("030.sql" in added.summary, "020.sql" in gone.summary) == (True, True)


def test_another_line_than_rehearsed_fails() -> None:
    plan = plan_with()
    other = replace(plan, scripts={"orders": replace(ENTRY, single_transaction=True)})
    found = judged(plan=other)
    assert (found.status, "--single-transaction" in found.actual) == (Status.FAIL, True)


def test_the_program_of_a_command_belongs_to_the_line() -> None:
    command, rehearsed = ("./deploy.sh", "prod"), ("./deploy.sh", "scratch")
    entry = replace(ENTRY, files=(), way_back="", command=command, rehearse_command=rehearsed)
    record = with_entry(line=(*command, *rehearsed))
    for of_plan, status in ((command, Status.PASS), (("./other.sh", "prod"), Status.FAIL)):
        plan = replace(plan_with(), scripts={"orders": replace(entry, command=of_plan)})
        assert judged(record, plan=plan).status is status


def test_other_entries_before_it_in_its_database_void_it() -> None:
    gone = replace(RECORD, scripts={"earlier": TRIED, "orders": TRIED})
    found = judged(gone)
    assert (found.status, found.expected, found.actual) == (Status.FAIL, "earlier, orders", "orders")


OTHER = replace(ENTRY, id="other", files=(), way_back="", command=("./deploy.sh", "prod"))
AFTER_A_COMMAND = replace(plan_with(), scripts={"other": OTHER, "orders": ENTRY})
AFTER_AN_IDLE_COMMAND = replace(
    AFTER_A_COMMAND, scripts={"other": replace(OTHER, changes=ExpectedChange.NOTHING), "orders": ENTRY}
)


def test_what_follows_a_command_that_is_not_rehearsed_is_unknown() -> None:
    found = judged(plan=AFTER_A_COMMAND)
    assert (found.status, found.summary) == (Status.UNKNOWN, "rehearsed without what other does first")
    assert "add `rehearse_command` to [scripts.other]" in found.remedy
    before_it = replace(AFTER_A_COMMAND, scripts={"orders": ENTRY, "other": OTHER})
    assert [judged(plan=plan).status for plan in (before_it, AFTER_AN_IDLE_COMMAND)] == [Status.PASS] * 2


def test_a_rehearsal_on_another_schema_than_the_sealed_one_is_unknown() -> None:
    objects = RECORD.databases["orders"].objects
    more = {**objects, "table public.a": "0" * 16}
    found = judged(with_database(objects=more))
    assert (found.status, "rehearsed on another schema than the sealed one: table public.a" in found.summary) == (
        Status.UNKNOWN,
        True,
    )
    assert judged(schema=None).status is Status.PASS  # that it was never sealed, schema-drift tells
    cut_off = judged(schema=SCHEMA[: len(SCHEMA) // 2])
    assert (cut_off.status, cut_off.telling_points()[0].actual) == (Status.UNKNOWN, "no schema, or one that is cut off")
    other = with_database(objects={**objects, "database": "0" * 16, "table public.events_p2": "0" * 16})
    [database] = plan_with().databases.values()
    allowed = replace(database, drift_allowed=("public.events_p*",))
    assert judged(other, plan=replace(plan_with(), databases={"orders": allowed})).status is Status.PASS


def test_a_script_that_failed_is_told_in_psqls_own_words() -> None:
    said = 'psql:010.sql:1: ERROR:  syntax error at or near "SELEC"'
    found = judged(with_entry(runs=(Run(script="010.sql", seconds=0.1, exit_code=3, said=said),)))
    assert (found.status, said in found.summary) == (Status.FAIL, True)


RUN, BACK = TRIED.runs[0], TRIED.runs[3]
DRILL = TRIED.drills[0]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"runs": (replace(RUN, said="psql:010.sql:2: ERROR:  no"), *TRIED.runs[1:])},
            "goes on after an error and ends",
        ),
        ({"runs": (replace(RUN, rolled_back=1), *TRIED.runs[1:])}, "1 transaction rolled back or left open"),
        (
            {"runs": (*TRIED.runs[:3], replace(BACK, exit_code=3, said="ERROR: no"))},
            "010.down.sql failed in the rehears",
        ),
        ({"runs": (*TRIED.runs[:3], replace(BACK, rows_lost=("public.a: 3 rows of 10",)))}, "public.a: 3 rows of 10"),
        ({"left": "-table public.a"}, "the ways back leave a difference: -table public.a"),
        ({"runs": IDLE.scripts["orders"].runs}, "changed nothing in the rehearsal: 010.sql, 020.sql"),
        ({"drills": (replace(DRILL, exit_code=0),)}, "put first in 010.sql, the line ended with status 0"),
        ({"drills": (replace(DRILL, went_on="DELETE FROM a"),)}, "the line went on with: DELETE FROM a"),
    ],
    ids=[
        "an error",
        "rolled back",
        "way back fails",
        "rows lost",
        "difference left",
        "nothing",
        "goes on to 0",
        "goes on",
    ],
)
def test_what_a_rehearsal_shows_to_be_wrong_fails(entry: dict[str, Any], said: str) -> None:
    found = judged(with_entry(**entry))
    assert (found.status, said in found.summary) == (Status.FAIL, True), found


def test_a_way_back_that_changes_nothing_fails_or_needs_rows() -> None:
    idle = tuple(replace(run, touched=()) if run.way_back else run for run in TRIED.runs)
    found = judged(with_entry(runs=idle))
    assert [point.summary for point in found.telling_points()] == [
        f"the way back of {name} changed nothing in the rehearsal" for name in ("010.sql", "020.sql")
    ]
    without_rows = with_database(with_entry(runs=idle), content=Content.SCHEMA)
    points = judged(without_rows).telling_points()
    assert [point.status for point in points] == [Status.FAIL, Status.UNKNOWN], "only an object was there to be dropped"


def test_one_script_of_several_that_changes_nothing_on_rows_is_told() -> None:
    found = judged(with_entry(runs=(RUN, replace(TRIED.runs[1], touched=()), *TRIED.runs[2:])))
    assert (found.status, found.summary) == (Status.WARN, "changed nothing in the rehearsal: 020.sql")


def test_one_transaction_must_take_everything_back() -> None:
    line = (*LINE[:5], "--single-transaction", *LINE[5:])
    plan = plan_with()
    plan = replace(plan, scripts={"orders": replace(ENTRY, single_transaction=True)})
    kept = with_entry(line=line)
    found = judged(kept, plan=plan)
    assert (found.status, "what its one transaction was to take back" in found.summary) == (Status.FAIL, True), found
    nothing = replace(TRIED.drills[1], kept="")
    assert judged(with_entry(line=line, drills=(DRILL, nothing)), plan=plan).status is Status.PASS
    rows_with_the_last = (replace(RUN, touched=()), *TRIED.runs[1:])
    found = judged(with_entry(line=line, drills=(DRILL, nothing), runs=rows_with_the_last), plan=plan)
    assert found.status is Status.PASS, found


@pytest.mark.parametrize(
    ("database", "said", "cure"),
    [
        ({"version_num": 180004}, "rehearsed on PostgreSQL 18, and the real server is 15", "[rehearsal.server]"),
        (
            {"version_num": 180004, "server_version_num": 180004},  # that was another one then
            "rehearsed on PostgreSQL 18, and the real server is 15",
            "[rehearsal.server]",
        ),
        ({"missing_extensions": ("postgis",)}, "extension postgis", "[rehearsal.server]"),
    ],
)
def test_what_the_scratch_server_lacked_is_unknown(database: dict[str, Any], said: str, cure: str) -> None:
    found = judged(with_database(**database))
    assert (found.status, said in found.summary, cure in found.remedy) == (Status.UNKNOWN, True, True), found


def test_a_backup_that_cannot_be_put_back_after_the_scripts_fails_with_what_pg_restore_said() -> None:
    said = "exit status 1: pg_restore: error: could not execute query: ERROR: cannot drop schema shop"
    found = judged(with_database(restores={PUT_BACK: said}), plan=with_restore())
    assert (found.status, said in found.summary, PUT_BACK in found.expected) == (Status.FAIL, True, True), found
    assert "[backups.nightly.restore] an empty database (`into`), a `command`" in found.remedy
    assert "ways back" in found.remedy


def test_a_backup_that_was_put_back_passes() -> None:
    found = judged(RESTORED, plan=with_restore())
    assert (found.status, PUT_BACK in found.actual) == (Status.PASS, True), found


@pytest.mark.parametrize(
    ("record", "restore"),
    [
        (RECORD, {}),
        (RESTORED, {"login": Account("postgres")}),
        (RESTORED, {"into": "other"}),
        (RESTORED, {"options": ("--clean", "--if-exists", "--no-owner")}),
    ],
    ids=["never", "another login", "another database", "another option"],
)
def test_a_line_that_was_not_tried_is_unknown(record: Rehearsal, restore: dict[str, Any]) -> None:
    found = judged(record, plan=with_restore(**restore))
    assert (found.status, found.remedy) == (Status.UNKNOWN, "run: preflight rehearse toy.toml"), found


def test_what_pg_restore_does_not_put_back_is_not_tried() -> None:
    by_command = with_restore(command=("/usr/local/bin/restore",))
    saved = with_restore().backups["nightly"]
    backups = [replace(saved, format=BackupFormat.PLAIN), replace(saved, restore=None)]
    plans = [by_command, *(replace(by_command, backups={"nightly": each}) for each in backups)]
    assert [judged(plan=plan).status for plan in plans] == [Status.PASS] * 3


SEALED_AT_7 = replace(plan_with(), sealed={"orders": SealedServer(system_identifier="7", port=5432)})


def test_a_rehearsal_for_another_server_than_the_sealed_one_is_unknown() -> None:
    """As a record that was copied from staging."""
    found = judged(with_database(system_identifier="8"), plan=SEALED_AT_7)
    assert (found.status, found.actual) == (Status.UNKNOWN, "system 8"), found
    for system in ("7", ""):
        assert judged(with_database(system_identifier=system), plan=SEALED_AT_7).status is Status.PASS


def test_scripts_that_change_nothing_without_rows_need_rows_or_a_word() -> None:
    found = judged(IDLE_WITHOUT_ROWS)
    assert (found.status, 'content = "restore"' in found.remedy) == (Status.UNKNOWN, True), found
    assert judged(IDLE, plan=MEANT).status is Status.PASS
