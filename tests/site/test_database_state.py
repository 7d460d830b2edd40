"""database-state against real servers: each state made, judged, cured by the very statements that the line prints."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import struct
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from preflight_checks.database_state import DatabaseState

from preflight.finding import Finding, Judgement, Status
from preflight.plan import Account as Login
from preflight.plan import Backup, RemotePath, Scripts, SecretRef, ServerRole, Step, Window
from preflight.questions import state
from preflight.questions.activity import ActivityProbe
from preflight.questions.rehearsed import Rehearsal, RehearsedEntry, Run, Touched, format_rehearsal
from preflight.questions.state import SequencesProbe, StateProbe
from tests.site.asking import NOW, WINDOW, database_on, finding, make_plan, told
from tests.site.machine import TIMEOUT_SECONDS
from tests.site.postgres import Cluster, DatabaseRole
from tests.site.site import Site

SOON = Window(zone="UTC", start=NOW + timedelta(minutes=10), end=NOW + timedelta(hours=6))
AT_ONCE = dict.fromkeys(("lock_on_touched", "idle_in_transaction", "longest_transaction"), timedelta())
HOURS = timedelta(hours=1)
SETTINGS = {
    "max_prepared_transactions": "4",
    "archive_mode": "on",
    "max_wal_size": "32MB",
    "min_wal_size": "32MB",
    "autovacuum_freeze_max_age": "100000",
}
TABLES = """
CREATE SCHEMA billing;
CREATE TABLE billing.customers (id bigint PRIMARY KEY, name text);
CREATE TABLE billing.invoices (id integer GENERATED ALWAYS AS IDENTITY, customer bigint, total numeric, day date)
  PARTITION BY RANGE (day);
CREATE TABLE billing.invoices_2026 PARTITION OF billing.invoices FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE billing."Odd name" (id integer PRIMARY KEY);
CREATE FUNCTION billing.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER "Stamp" BEFORE INSERT ON billing."Odd name" FOR EACH ROW EXECUTE FUNCTION billing.nothing();
CREATE TRIGGER stamp BEFORE INSERT ON billing.invoices FOR EACH ROW EXECUTE FUNCTION billing.nothing();
CREATE SEQUENCE billing.round AS smallint CYCLE;
SELECT setval('billing.round', 32767);
CREATE SEQUENCE billing.wide;
SELECT setval('billing.wide', 4000000000);
CREATE UNLOGGED TABLE billing.empty (id integer);
INSERT INTO billing.customers SELECT n, 'customer ' || n FROM generate_series(1, 20) n;
INSERT INTO billing.invoices (customer, day) SELECT n, date '2026-05-01' FROM generate_series(1, 20) n;
ANALYZE;
"""


class Billing:
    """A database with tables, and the plan of scripts that touch some of them."""

    def __init__(self, cluster: Cluster, role: DatabaseRole, folder: Path) -> None:
        self.cluster = cluster
        self.role = role
        self.folder = folder
        self.name = cluster.create_database("billing", owner=role.name)
        self.run(TABLES)
        self.run(f'GRANT USAGE ON SCHEMA billing TO "{role.name}"')
        self.run(f'GRANT SELECT ON ALL SEQUENCES IN SCHEMA billing TO "{role.name}"')

    def run(self, statements: str) -> None:
        self.cluster.sql(statements, dbname=self.name)

    def connect(self, **parameters: Any) -> contextlib.closing[psycopg.Connection[Any]]:
        return contextlib.closing(self.cluster.connect(self.name, **parameters))

    def ask(
        self,
        *touches: str,
        window: Window = WINDOW,
        settings: Mapping[str, timedelta] | None = None,
        sections: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Finding:
        entry = database_on(self.cluster, self.role.name, name=self.name, password=SecretRef("env", "STATE_PASSWORD"))
        folder = {"approved": Path("sql"), "manifest": Path("sums"), "staged": "/srv/sql"}
        scripts = (
            [Scripts(id="billing", database="orders", touches=tuple(filter(None, touches)), **folder)]
            if touches
            else []
        )  # type: ignore[arg-type]
        entry = replace(entry, **changes)
        checks = {DatabaseState.id: settings or {}}
        more = {"databases": [entry], "scripts": scripts, "checks": checks, **(sections or {})}
        plan = make_plan(self.folder, hosts=("db1",), window=window, **more)
        return finding(DatabaseState, plan)

    def cure(self, point: Judgement) -> None:
        """Runs the statements of its remedy."""
        statements = re.findall(r"(?:^|(?<=[:;] ))[A-Z]{4,} [^;]*;", point.remedy)
        assert statements, point.remedy
        for statement in statements:
            self.run(statement)


@pytest.fixture(scope="module", params=["older", "newer"])
def server(site: Site, request: pytest.FixtureRequest) -> Cluster:
    programs = site.newer_programs if request.param == "newer" else None
    cluster = site.start_postgres(settings=SETTINGS, programs=programs)
    cluster.sql(f"ALTER SYSTEM SET archive_command = 'cp %p {cluster.backups}/%f'")
    cluster.reload()
    return cluster


@pytest.fixture
def billing(server: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Billing:
    role = server.create_role("release", options="IN ROLE pg_read_all_stats")
    monkeypatch.setenv("STATE_PASSWORD", role.password)
    return Billing(server, role, tmp_path)


def points(found: Finding, status: Status) -> list[Judgement]:
    return [each for each in found.judgement.telling_points() if each.status is status]


def about(found: Finding, words: str) -> Judgement:
    """The only point with these words."""
    (point,) = (each for each in found.judgement.points or (found.judgement,) if words in each.summary)
    return point


FAULTS = """
CREATE INDEX of_all ON ONLY billing.invoices (customer);
ALTER TABLE billing.invoices_2026 ADD CONSTRAINT "Total is positive" CHECK (total >= 0) NOT VALID;
CREATE DOMAIN billing.currency AS text;
ALTER DOMAIN billing.currency ADD CONSTRAINT three CHECK (length(VALUE) = 3) NOT VALID;
ALTER TABLE billing."Odd name" DISABLE TRIGGER "Stamp";
ALTER TABLE billing.invoices DISABLE TRIGGER stamp;
CREATE TABLE billing.lines (id integer PRIMARY KEY, customer integer REFERENCES billing.customers);
ALTER TABLE billing.lines DISABLE TRIGGER ALL;
INSERT INTO billing.lines SELECT n, 1 FROM generate_series(1, 40000) n;
CREATE TABLE billing.few AS SELECT 1 AS id;
CREATE TABLE billing."Taken" ("Id" bigserial PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, free serial UNIQUE);
INSERT INTO billing."Taken" OVERRIDING SYSTEM VALUE VALUES (2, 2, 20), (DEFAULT, 1, 30);
GRANT SELECT ("Id", n, free), INSERT ON billing."Taken" TO PUBLIC;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA billing TO PUBLIC;
ALTER SEQUENCE billing.invoices_id_seq RESTART 2000000000;
"""


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def break_tables(billing: Billing) -> None:
    billing.run(FAULTS)
    billing.run("UPDATE billing.customers SET name = 'two of them' WHERE id < 3")
    with pytest.raises(psycopg.errors.UniqueViolation):
        billing.run('CREATE UNIQUE INDEX CONCURRENTLY "By name" ON billing.customers (name)')
    billing.run("UPDATE billing.customers SET name = 'one of them' WHERE id = 1")


def test_a_sound_database_passes_whatever_it_holds_besides(billing: Billing) -> None:
    other = billing.cluster.create_database("other")
    with billing.cluster.connect(other) as elsewhere, billing.connect() as idle:
        elsewhere.execute("BEGIN; CREATE TABLE t (); PREPARE TRANSACTION 'of another database'")
        idle.execute("SELECT count(*) FROM billing.customers")
        try:
            found = billing.ask("billing.*")
        finally:
            elsewhere.execute("ROLLBACK PREPARED 'of another database'")
    assert found.status is Status.PASS, told(found)
    for words in (
        "nothing is invalid, disabled or held back",
        "no transaction is open for long, idle for ",
        "or has held a lock on what the scripts touch for 30 s",
        "connected: 1 session of postgres from the server itself",
    ):
        assert words in found.judgement.summary


@pytest.mark.long
def test_what_is_broken_fails_until_the_statements_of_its_lines_were_run(billing: Billing) -> None:
    break_tables(billing)
    touches = ("billing.invoices", "billing.customers", "billing.Odd name", "billing.lines", "billing.Taken")
    found = billing.ask(*touches)
    with pytest.raises(psycopg.errors.UniqueViolation):
        billing.run('INSERT INTO billing."Taken" DEFAULT VALUES; ROLLBACK')
    seen = {(point.status, point.summary): point.actual for point in found.judgement.points}
    scripts = "of tables that the scripts"
    assert (
        seen.items()
        >= {
            (Status.FAIL, f"2 indexes are invalid, {scripts} touch"): '"By name" of billing.customers, of_all of '
            "billing.invoices",
            (
                Status.FAIL,
                f"1 constraint is NOT VALID, {scripts} touch",
            ): '"Total is positive" of billing.invoices_2026',
            (Status.FAIL, f"3 triggers are disabled, {scripts} touch"): '"Stamp" of billing."Odd name", stamp of '
            "billing.invoices, those of foreign keys of billing.lines",
            (Status.FAIL, f"1 next value of a sequence is taken, {scripts} touch"): '"Id" of billing."Taken"',
            (Status.WARN, f"1 constraint is NOT VALID, {scripts} do not touch"): "three of billing.currency",
            (Status.WARN, f"1 foreign key column is narrower than its target, {scripts} touch"): "customer of "
            "billing.lines",
            (Status.WARN, f"1 table has no statistics, {scripts} touch"): "billing.lines",
            (Status.WARN, "the sequence billing.invoices_id_seq is used up to 93%"): "its last value is 2000000000",
        }.items()
    ), told(found)
    elsewhere = billing.ask("billing.empty")
    assert elsewhere.status is Status.WARN, told(elsewhere)
    assert len(points(elsewhere, Status.WARN)) == 6, told(elsewhere)
    (attach,) = re.findall(r"ALTER INDEX \S+ ATTACH PARTITION ", told(found))
    billing.run("CREATE INDEX of_2026 ON billing.invoices_2026 (customer)")
    billing.run(f"{attach} billing.of_2026")
    for point in (*points(found, Status.FAIL), *points(found, Status.WARN)):
        billing.cure(replace(point, remedy=point.remedy.replace(attach, "")))
    billing.run("ALTER TABLE billing.invoices ALTER id TYPE bigint")
    billing.run("ANALYZE billing.invoices")
    found = billing.ask(*touches)
    assert found.status is Status.PASS, told(found)


def test_a_table_whose_file_is_gone_fails_whoever_touches_it(billing: Billing) -> None:
    billing.run("CREATE TABLE billing.audit AS SELECT 1 AS id; ANALYZE billing.audit; CHECKPOINT")
    path = billing.cluster.scalar("SELECT pg_relation_filepath('billing.audit')", dbname=billing.name)
    file = billing.cluster.data / str(path)
    moved = file.with_suffix(".away")
    file.rename(moved)
    try:
        found = billing.ask("billing.customers")
        assert found.status is Status.FAIL, told(found)
        point = about(found, "1 table had rows, and its file is empty or gone, of tables that the scripts do not touch")
        assert "ANALYZE billing.audit;" in point.remedy
    finally:
        moved.rename(file)
    billing.run("TRUNCATE billing.audit")
    assert billing.ask("billing.customers").status is Status.PASS
    billing.run("DROP TABLE billing.audit")


def test_a_materialized_view_that_is_not_filled_warns_until_it_is(billing: Billing) -> None:
    billing.run("CREATE MATERIALIZED VIEW billing.totals AS SELECT 1 AS id WITH NO DATA")
    found = billing.ask("billing.customers")
    assert found.status is Status.WARN, told(found)
    billing.cure(about(found, "1 materialized view is not filled, of tables that the scripts do not touch"))
    assert billing.ask("billing.customers").status is Status.PASS
    billing.run("DROP MATERIALIZED VIEW billing.totals")


def test_an_index_that_is_being_built_is_no_finding(billing: Billing) -> None:
    with billing.connect() as writer, billing.connect() as builder:
        writer.execute("BEGIN; LOCK TABLE billing.customers IN ROW EXCLUSIVE MODE")
        builder.pgconn.send_query(b"CREATE INDEX CONCURRENTLY made ON billing.customers (name)")
        waits = "SELECT count(*) FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%'"
        wait_until(lambda: billing.cluster.scalar(waits) == 1)
        found = billing.ask("billing.*")
        assert found.status is Status.PASS, told(found)
        writer.execute("COMMIT")
        builder.pgconn.get_result()


@pytest.mark.long
def test_sessions_warn_until_the_window_is_near_and_fail_then(billing: Billing) -> None:
    with billing.connect(application_name="billing-ui") as holder, billing.connect() as idle, billing.connect() as busy:
        holder.execute("BEGIN; SELECT 'a secret' FROM billing.invoices_2026")
        idle.execute(f"BEGIN; SELECT 1 AS {'long_name_' * 6}")
        busy.pgconn.send_query(b"SELECT pg_sleep(60)")
        pids = [each.info.backend_pid for each in (holder, idle, busy)]
        wait_until(
            lambda: billing.cluster.scalar("SELECT state FROM pg_stat_activity WHERE pid = %s", pids[2]) == "active"
        )
        assert billing.ask("billing.invoices").status is Status.PASS
        early = billing.ask("billing.invoices", settings=AT_ONCE)
        assert early.status is Status.WARN, told(early)
        found = billing.ask("billing.invoices", settings=AT_ONCE, window=SOON)
        assert [point.status for point in found.judgement.telling_points()] == [Status.FAIL] * 3, told(found)
        blocks, idles, longs = found.judgement.telling_points()
        for point, words in (
            (blocks, "1 session holds locks on what the scripts touch"),
            (idles, "1 session is idle in a transaction"),
            (longs, "1 transaction is open for long"),
        ):
            assert point.summary == words
            assert f"{words}: seen now, asked again at the gate" in told(early)
        for words in (
            f"pid {pids[0]}, postgres from the server itself, billing-ui, idle in transaction, since ",
            "holds billing.invoices_2026 (AccessShareLock), last query: BEGIN; SELECT",
        ):
            assert words in blocks.actual
        assert "secret" not in told(found)
        words = f"last query: BEGIN; SELECT 1 AS {'long_name_' * 6}"
        assert words[: len("last query: ") + 60] in idles.actual
        assert words not in idles.actual
        assert "whoever runs billing-ui as postgres on the server itself" in blocks.remedy
        for point in (blocks, idles, longs):
            billing.cure(point)
        wait_until(lambda: not billing.cluster.sql("SELECT FROM pg_stat_activity WHERE pid = ANY (%s)", pids))
        found = billing.ask("billing.invoices", settings=AT_ONCE, window=SOON)
    assert found.status is Status.PASS, told(found)


def test_who_makes_a_script_wait_is_named_with_the_script_and_its_lock(billing: Billing) -> None:
    """As its rehearsal saw it: with a lock_timeout it would only fail."""
    sums = f"{'a' * 64}  010.sql\n"
    (billing.folder / "sums").write_text(sums)
    table = Touched(kind="table", name="billing.customers", defined=True, lock="AccessExclusiveLock", lock_timeout_ms=0)
    words = "for which 010.sql (AccessExclusiveLock, no lock_timeout seen) waits, and everybody else behind it"
    with billing.connect(application_name="billing-ui") as holder:
        holder.execute("BEGIN; SELECT FROM billing.customers")
        for touched, told_so in ((table, True), (replace(table, lock_timeout_ms=5000), False)):
            run = Run(script="010.sql", seconds=1, exit_code=0, touched=(touched,))
            tried = RehearsedEntry(database="orders", files={"010.sql": "a" * 64}, runs=(run,))
            record = Rehearsal(release="R", at=NOW, by="x", where="here", scripts={"billing": tried})
            make_plan(billing.folder).rehearsal_record.write_text(format_rehearsal(record))
            point = about(billing.ask("", settings=AT_ONCE, window=SOON), "1 session holds locks")
            assert point.status is Status.FAIL
            assert f"pid {holder.info.backend_pid}, postgres from the server itself, billing-ui" in point.actual
            assert (words in point.actual) is told_so, point.actual


def test_a_lock_on_a_table_that_no_script_touches_blocks_nobody(billing: Billing) -> None:
    settings = AT_ONCE | {"idle_in_transaction": HOURS, "longest_transaction": HOURS}
    with billing.connect() as holder:
        holder.execute('BEGIN; LOCK TABLE billing."Odd name" IN ACCESS EXCLUSIVE MODE')
        found = billing.ask("billing.invoices", settings=settings, window=SOON)
        assert found.status is Status.PASS, told(found)
        found = billing.ask("billing.Odd name", settings=settings, window=SOON)
        assert "(AccessExclusiveLock)" in about(found, "holds locks").actual, told(found)


def test_any_older_snapshot_blocks_where_a_script_builds_an_index_concurrently(billing: Billing) -> None:
    """Whatever it reads; a transaction that keeps none does not, nor what only waits for locks."""
    build = "CREATE INDEX CONCURRENTLY of_name ON billing.customers (name);"
    script = billing.folder / "sql" / "010.sql"
    script.parent.mkdir()
    settings = AT_ONCE | {"idle_in_transaction": HOURS, "longest_transaction": HOURS}

    def ask(text: str) -> Finding:
        script.write_text(text)
        return billing.ask("billing.customers", settings=settings, window=SOON)

    with billing.connect() as reader, billing.connect() as writer, billing.connect() as builder:
        writer.execute('BEGIN; INSERT INTO billing."Odd name" VALUES (1)')
        builder.execute("SET lock_timeout = '100ms'")
        found = ask(build)
        assert found.status is Status.PASS, told(found)
        builder.execute(build)
        reader.execute('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM billing."Odd name"')
        for other in ("CREATE INDEX again ON billing.customers (name);", "DROP INDEX CONCURRENTLY billing.of_name;"):
            found = ask(other)
            assert found.status is Status.PASS, told(found)
        builder.execute(other)
        found = ask(f"SET lock_timeout = '5s';\n{build}")
        assert found.status is Status.FAIL, told(found)
        keeps = about(found, "1 transaction keeps a snapshot for which the scripts' CONCURRENTLY waits")
        assert f"pid {reader.info.backend_pid}, postgres from the server itself" in keeps.actual
        with pytest.raises(psycopg.errors.LockNotAvailable):
            builder.execute(build)
        billing.cure(keeps)
        wait_until(
            lambda: not billing.cluster.sql("SELECT FROM pg_stat_activity WHERE pid = %s", reader.info.backend_pid)
        )
        builder.execute("DROP INDEX billing.of_name")
        found = ask(build)
        assert found.status is Status.PASS, told(found)
        builder.execute(build)


def test_an_advisory_lock_blocks_where_a_script_takes_one(billing: Billing) -> None:
    script = billing.folder / "sql" / "010.sql"
    script.parent.mkdir()
    settings = AT_ONCE | {"idle_in_transaction": HOURS, "longest_transaction": HOURS}
    with billing.connect(autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(42), pg_advisory_lock_shared(4, 2)")
        script.write_text("SELECT 'pg_advisory_lock'; -- pg_advisory_lock(42)\n")
        assert billing.ask("billing.customers", settings=settings, window=SOON).status is Status.PASS
        for text in ("SELECT pg_catalog.pg_advisory_xact_lock(42);", "DO $$BEGIN PERFORM pg_advisory_lock(42); END$$;"):
            script.write_text(text)
            found = billing.ask("billing.customers", settings=settings, window=SOON)
            assert found.status is Status.FAIL, told(found)
            holds = about(found, "1 session holds locks on what the scripts touch")
            assert "advisory lock 4, 2 (ShareLock), advisory lock 42 (ExclusiveLock)" in holds.actual
        billing.cure(holds)
        wait_until(
            lambda: not billing.cluster.sql("SELECT FROM pg_stat_activity WHERE pid = %s", holder.info.backend_pid)
        )
        assert billing.ask("billing.customers", settings=settings, window=SOON).status is Status.PASS


def test_no_index_waits_for_a_vacuum_of_another_table(billing: Billing) -> None:
    billing.run('INSERT INTO billing."Odd name" SELECT generate_series(1, 30000)')
    (billing.folder / "sql").mkdir()
    build = "CREATE INDEX CONCURRENTLY of_name ON billing.customers (name)"
    (billing.folder / "sql" / "010.sql").write_text(build)
    settings = AT_ONCE | {"longest_transaction": HOURS}
    with billing.connect(options="-c vacuum_cost_delay=100 -c vacuum_cost_limit=1") as cleaner, billing.connect() as it:
        cleaner.pgconn.send_query(b'VACUUM billing."Odd name"')
        keeps = "SELECT backend_xmin FROM pg_stat_activity JOIN pg_stat_progress_vacuum USING (pid) WHERE pid = %s"
        wait_until(lambda: billing.cluster.scalar(f"SELECT ({keeps})::text", cleaner.info.backend_pid))
        found = billing.ask("billing.customers", settings=settings, window=SOON)
        it.execute("SET lock_timeout = '1s'")
        it.execute(build)
        assert billing.cluster.scalar(f"SELECT ({keeps})::text", cleaner.info.backend_pid), "it has ended too soon"
        cleaner.cancel_safe()
    assert found.status is Status.PASS, told(found)


def test_a_snapshot_that_the_rehearsal_of_a_tool_waits_for(billing: Billing) -> None:
    """Its files are no scripts that psql reads: the index that was made without a lock says it."""
    settings = AT_ONCE | {"idle_in_transaction": HOURS, "longest_transaction": HOURS}
    (billing.folder / "sums").write_text(f"{'a' * 64}  010.py\n")
    index = Touched(kind="index", name="billing.i", defined=True, created=True)
    with billing.connect() as reader:
        reader.pgconn.send_query(b"SELECT pg_sleep(60)")
        active = "SELECT state FROM pg_stat_activity WHERE pid = %s"
        wait_until(lambda: billing.cluster.scalar(active, reader.info.backend_pid) == "active")
        for touched, wanted in ((index, Status.FAIL), (replace(index, lock="AccessExclusiveLock"), Status.PASS)):
            run = Run(script="010.py", seconds=1, exit_code=0, touched=(touched,))
            tried = RehearsedEntry(database="orders", files={"010.py": "a" * 64}, runs=(run,))
            record = Rehearsal(release="R", at=NOW, by="x", where="here", scripts={"billing": tried})
            make_plan(billing.folder).rehearsal_record.write_text(format_rehearsal(record))
            found = billing.ask("", settings=settings, window=SOON)
            assert found.status is wanted, told(found)
        billing.run(f"SELECT pg_terminate_backend({reader.info.backend_pid})")


def test_a_lock_on_a_catalogue_blocks_every_script(billing: Billing) -> None:
    settings = AT_ONCE | {"idle_in_transaction": HOURS, "longest_transaction": HOURS}
    with billing.connect() as holder, billing.connect() as script:
        script.execute("SET lock_timeout = '100ms'")
        holder.execute("BEGIN; LOCK TABLE pg_attribute, pg_authid IN SHARE UPDATE EXCLUSIVE MODE")
        found = billing.ask("billing.customers", settings=settings, window=SOON)
        assert found.status is Status.PASS, told(found)
        script.execute("CREATE TABLE billing.made (id integer)")
        for catalogue in ("pg_attribute", "pg_shdepend"):
            holder.execute(f"ROLLBACK; BEGIN; LOCK TABLE {catalogue} IN SHARE MODE")
            found = billing.ask("billing.customers", settings=settings, window=SOON)
            assert found.status is Status.FAIL, told(found)
            assert f"holds {catalogue} (ShareLock)" in about(found, "1 session holds locks").actual
            with pytest.raises(psycopg.errors.LockNotAvailable):
                script.execute("DROP TABLE billing.made")
        assert billing.ask(settings=settings, window=SOON).status is Status.PASS


def test_a_sequence_that_ends_later_than_the_column_it_fills_fails_until_that_is_widened(billing: Billing) -> None:
    billing.run("""
    CREATE SEQUENCE billing.late;
    CREATE TABLE billing.tickets (id int DEFAULT nextval('billing.late'), old smallint);
    SELECT setval('billing.late', 2147483647)""")
    billing.run(f'GRANT SELECT ON ALL SEQUENCES IN SCHEMA billing TO "{billing.role.name}"')
    with pytest.raises(psycopg.errors.NumericValueOutOfRange):
        billing.run("INSERT INTO billing.tickets DEFAULT VALUES")
    billing.cure(about(billing.ask("billing.customers"), "the sequence billing.late is used up: no next value fits"))
    billing.run("INSERT INTO billing.tickets DEFAULT VALUES")
    assert "billing.late" not in told(billing.ask("billing.customers"))


def test_a_sequence_without_a_next_value_fails_until_it_is_widened(billing: Billing) -> None:
    billing.run("""
    CREATE TABLE billing."Odd notes" ("Number" serial);
    CREATE TABLE billing.lines (id smallint GENERATED ALWAYS AS IDENTITY);
    CREATE SEQUENCE billing.steps AS smallint INCREMENT 50;
    CREATE SEQUENCE billing.bounded MAXVALUE 10;
    CREATE SEQUENCE billing.down AS integer INCREMENT -2 MINVALUE -10;
    CREATE SEQUENCE billing.last AS smallint;
    SELECT setval('billing."Odd notes_Number_seq"', 2147483647), setval('billing.lines_id_seq', 32767),
      setval('billing.steps', 32740), setval('billing.bounded', 10), setval('billing.down', -9),
      setval('billing.last', 32767, false)""")
    billing.run(f'GRANT SELECT ON ALL SEQUENCES IN SCHEMA billing TO "{billing.role.name}"')
    spent = (
        'billing."Odd notes_Number_seq"',
        "billing.lines_id_seq",
        "billing.steps",
        "billing.bounded",
        "billing.down",
    )
    found = billing.ask("billing.customers")
    assert len(points(found, Status.FAIL)) == len(spent), told(found)
    assert about(found, "billing.last is used up to 100%").status is Status.WARN
    for sequence in spent:
        with pytest.raises(psycopg.errors.SequenceGeneratorLimitExceeded):
            billing.run(f"SELECT nextval('{sequence}')")
        billing.cure(about(found, f"the sequence {sequence} is used up: no next value fits"))
        billing.run(f"SELECT nextval('{sequence}')")
    billing.run('INSERT INTO billing."Odd notes" DEFAULT VALUES; INSERT INTO billing.lines DEFAULT VALUES')
    found = billing.ask("billing.customers")
    assert found.status is Status.WARN, told(found)
    billing.cure(about(found, "billing.last is used up"))
    assert billing.ask("billing.customers").status is Status.PASS


def test_the_dump_of_a_planned_backup_does_not_stand_in_the_way(billing: Billing) -> None:
    backup = Backup(
        id="billing", database="orders", directory=RemotePath("/b"), login=Login(billing.role.name), step="backup"
    )
    more: dict[str, Any] = {"backups": [backup], "steps": (Step(id="backup", minutes=30),)}
    billing.run(f'GRANT SELECT ON billing.customers TO "{billing.role.name}"')
    role = {"user": billing.role.name, "password": billing.role.password, "host": billing.cluster.address}
    with billing.connect(application_name="pg_dump", **role) as dump:
        dump.execute("BEGIN; SELECT FROM billing.customers")
        found = billing.ask("billing.*", settings=AT_ONCE, window=SOON, sections=more)
        assert found.status is Status.PASS, told(found)
        assert f"a backup of the plan is being taken: pg_dump by {billing.role.name}" in found.judgement.summary
        found = billing.ask("billing.*", settings=AT_ONCE, window=SOON)
        assert found.status is Status.FAIL, told(found)


def test_a_prepared_transaction_fails_until_it_is_rolled_back(billing: Billing) -> None:
    billing.run("BEGIN; LOCK TABLE billing.customers; PREPARE TRANSACTION 'it''s left'")
    found = billing.ask("billing.customers")
    assert found.status is Status.PASS, told(found)
    found = billing.ask("billing.customers", settings=AT_ONCE)
    assert found.status is Status.FAIL, told(found)
    assert "holds billing.customers (AccessExclusiveLock)" in told(found)
    billing.cure(about(found, "left over"))
    assert billing.ask("billing.customers", settings=AT_ONCE).status is Status.PASS


@pytest.mark.long
def test_clients_from_addresses_that_nobody_listed(billing: Billing) -> None:
    """127.0.0.1 is the server itself; 127.0.0.2 stands for another machine."""
    name = billing.cluster.create_role("app").name
    words = ("user", name, "database", billing.name, "application_name", "billing-ui", "", "")
    start = "\0".join(words).encode()
    with billing.cluster.hba(f"host all {name} 127.0.0.2/32 trust"), contextlib.ExitStack() as stack:
        where = (billing.cluster.address, billing.cluster.port)
        app = stack.enter_context(socket.create_connection(where, source_address=("127.0.0.2", 0)))
        app.sendall(struct.pack("!ii", len(start) + 8, 3 << 16) + start)
        wait_until(lambda: b"Z\0\0\0\5I" in app.recv(10_000))
        assert billing.ask().status is Status.PASS
        assert billing.ask(clients=("127.0.0.0/24",)).status is Status.PASS
        early, found = (billing.ask(clients=("10.2.0.0/16", "::1"), window=window) for window in (WINDOW, SOON))
        assert (early.status, found.status) == (Status.WARN, Status.FAIL), told(found)
        stranger = about(found, "clients are connected from 127.0.0.2, which nobody listed")
        assert stranger.actual == f"1 session of {name} from 127.0.0.2, billing-ui"
        billing.cure(stranger)
        wait_until(lambda: not app.recv(10_000))
        assert billing.ask(clients=("10.2.0.0/16",), window=SOON).status is Status.PASS


def test_what_the_role_may_not_see_is_unknown_until_it_is_granted(billing: Billing) -> None:
    name = billing.role.name
    billing.run(f'REVOKE pg_read_all_stats FROM "{name}"; REVOKE ALL ON ALL SEQUENCES IN SCHEMA billing FROM "{name}"')
    found = billing.ask("billing.*")
    assert found.status is Status.UNKNOWN, told(found)
    hidden = about(found, "may not be seen")
    assert hidden.remedy == f"GRANT pg_read_all_stats TO {name};"
    assert about(found, "that may end, 0 may be read").status is Status.PASS
    billing.cure(hidden)
    assert billing.ask("billing.*").status is Status.PASS


def test_sessions_that_the_server_does_not_watch_are_unknown(billing: Billing) -> None:
    with billing.connect() as holder:
        holder.execute("SET track_activities = off")
        holder.execute("BEGIN; LOCK TABLE billing.customers")
        found = billing.ask("billing.customers", settings=AT_ONCE)
        assert "does not watch what 1 session of this database do" in told(found)
        assert "holds billing.customers (AccessExclusiveLock)" in about(found, "1 session holds locks").actual


def test_of_many_the_first_are_named_and_all_are_counted(billing: Billing) -> None:
    for number in range(7):
        billing.run(f"CREATE TABLE billing.t{number} (id integer); CREATE INDEX i{number} ON billing.t{number} (id)")
    billing.run("UPDATE pg_index SET indisvalid = false WHERE indexrelid::regclass::text LIKE 'billing.i_'")
    with contextlib.ExitStack() as stack:
        for _ in range(7):
            stack.enter_context(billing.connect()).execute("BEGIN; LOCK TABLE billing.t1 IN ACCESS SHARE MODE")
        found = billing.ask("billing.*", settings=AT_ONCE)
    assert about(found, "7 sessions hold locks").actual.endswith(", and 2 more")
    assert about(found, "7 indexes are invalid").actual.endswith(", and 2 more")


def test_without_touches_nobody_says_who_blocks(billing: Billing) -> None:
    found = billing.ask("")
    assert found.status is Status.UNKNOWN, told(found)


def test_a_collation_of_another_version(billing: Billing) -> None:
    """The wheel's server knows no ICU, the older one no collations of its own."""
    kind = (
        "provider = builtin, locale = 'C.UTF-8'" if billing.cluster.version >= 17 else "provider = icu, locale = 'de'"
    )
    billing.run(f"CREATE COLLATION billing.german ({kind})")
    billing.run("UPDATE pg_collation SET collversion = '0' WHERE collname = 'german'")
    assert billing.ask("billing.*").status is Status.PASS
    billing.run("CREATE INDEX sorted ON billing.customers (name COLLATE billing.german)")
    found = billing.ask("billing.*")
    assert found.status is Status.WARN, told(found)
    billing.cure(about(found, "the collation of billing.german has another version"))
    assert billing.ask("billing.*").status is Status.PASS


@pytest.mark.long
def test_slots_that_hold_wal(billing: Billing) -> None:
    cluster = billing.cluster
    cluster.sql("SELECT pg_create_physical_replication_slot('standby', true)")
    (point,) = points(billing.ask("billing.*"), Status.WARN)
    assert "the replication slot standby is not in use, reserved: it holds " in point.summary
    for _ in range(4):
        cluster.sql("SELECT pg_logical_emit_message(false, '', ''), pg_switch_wal()")
    cluster.sql("CHECKPOINT")
    extended = about(billing.ask("billing.*"), "standby is not in use, extended")
    assert extended.status is Status.FAIL
    cluster.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    cluster.reload()
    cluster.sql("CHECKPOINT")
    assert about(billing.ask("billing.*"), "standby is not in use, lost").status is Status.FAIL
    cluster.sql("ALTER SYSTEM RESET max_slot_wal_keep_size")
    cluster.reload()
    billing.cure(extended)
    assert billing.ask("billing.*").status is Status.PASS


@pytest.mark.long
def test_commits_that_wait_for_a_standby_that_is_not_there(billing: Billing) -> None:
    """A session that reads does not notice: just its COMMIT would wait."""
    cluster = billing.cluster
    role = billing.role.name
    try:
        for names, wanted in (("ghost", 1), ("FIRST 2 (ghost, other)", 2), ("ANY 1 (ghost)", 1)):
            cluster.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
            cluster.reload()
            assert billing.ask("billing.*").status is Status.PASS
            cluster.sql(f'ALTER ROLE "{role}" SET synchronous_commit = on')
            waits = about(billing.ask("billing.*"), "each COMMIT waits")
            assert (waits.status, waits.actual) == (Status.FAIL, f"0 of {wanted}")
            cluster.sql(f'ALTER ROLE "{role}" RESET synchronous_commit')
    finally:
        cluster.sql("ALTER SYSTEM RESET synchronous_standby_names")
        cluster.reload()


@pytest.mark.long
def test_a_standby_that_hangs_while_nothing_waits(
    site: Site, billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = billing.cluster
    monkeypatch.setattr(state, "_SILENT_SECONDS", 0)
    standby = site.start_postgres(copy_of=cluster, settings=SETTINGS, programs=None if cluster.tls else cluster.bin)
    standby.wait_for(cluster)
    cluster.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
    cluster.sql(f'ALTER ROLE "{billing.role.name}" SET synchronous_commit = on')
    cluster.reload()
    receiver = int(standby.scalar("SELECT pid FROM pg_stat_wal_receiver"))
    try:
        _until(cluster, "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync' AND flush_lsn = sent_lsn")
        assert billing.ask("billing.*").status is Status.PASS
        os.kill(receiver, signal.SIGSTOP)
        cluster.sql("SELECT pg_switch_wal()")
        _until(cluster, "SELECT 1 FROM pg_stat_replication WHERE flush_lsn < sent_lsn")
        hangs = about(billing.ask("billing.*"), "a synchronous standby that is not there, or hangs")
        assert (hangs.status, hangs.actual) == (Status.FAIL, "0 of 1")
        os.kill(receiver, signal.SIGCONT)
        _until(cluster, "SELECT 1 FROM pg_stat_replication WHERE flush_lsn = sent_lsn")
        assert billing.ask("billing.*").status is Status.PASS
    finally:
        os.kill(receiver, signal.SIGCONT)
        cluster.sql("ALTER SYSTEM RESET synchronous_standby_names")
        cluster.reload()
        standby.close()


@pytest.mark.long
def test_a_commit_that_a_standby_does_not_confirm(
    site: Site, billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is connected and streams, and its replay is paused."""
    cluster = billing.cluster
    monkeypatch.setattr(state, "_UNCONFIRMED_SECONDS", 0)
    standby = site.start_postgres(copy_of=cluster, settings=SETTINGS, programs=None if cluster.tls else cluster.bin)
    standby.wait_for(cluster)
    standby.sql("SELECT pg_wal_replay_pause()")
    cluster.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
    cluster.reload()
    with billing.connect(options="-c synchronous_commit=remote_apply") as session, ThreadPoolExecutor(1) as thread:
        try:
            _until(cluster, "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'")
            assert billing.ask("billing.*").status is Status.PASS
            waits = thread.submit(session.execute, "UPDATE billing.customers SET name = ''")
            _until(cluster, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
            found = about(billing.ask("billing.*"), "a COMMIT waits for a synchronous standby")
            assert (found.status, found.actual) == (Status.FAIL, "1 session, synchronous_standby_names = *")
        finally:
            standby.sql("SELECT pg_wal_replay_resume()")
            cluster.sql("ALTER SYSTEM RESET synchronous_standby_names")
            cluster.reload()
        waits.result(TIMEOUT_SECONDS)
    standby.close()
    assert billing.ask("billing.*").status is Status.PASS


def _until(cluster: Cluster, statement: str) -> None:
    """Returns when it gives a row."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not cluster.sql(statement):
        assert time.monotonic() < deadline, statement


@pytest.mark.long
def test_an_archiver_that_fails_hangs_or_pretends(billing: Billing, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = billing.cluster
    good = str(cluster.scalar("SHOW archive_command"))

    def archive(command: str) -> None:
        cluster.sql(f"ALTER SYSTEM SET archive_command = '{command}'")
        cluster.reload()
        cluster.sql("SELECT pg_logical_emit_message(false, '', ''), pg_switch_wal()")

    def counted(column: str, since: object) -> None:
        wait_until(lambda: cluster.scalar(f"SELECT {column} > %s FROM pg_stat_archiver", since))

    for command in ("/bin/true", ":", 'true "%p" %f', "exit 0"):
        archive(command)
        assert about(billing.ask("billing.*"), "archives nothing and says that it did").actual == command
    archive("true && false")
    failures = cluster.scalar("SELECT failed_count FROM pg_stat_archiver")
    archive("false --key=s3cret")
    counted("failed_count", failures)
    assert about(billing.ask("billing.*"), "WAL is not archived since").status is Status.FAIL
    rows = str(cluster.sql(StateProbe("orders", "true", (), 150000).ask(), dbname=billing.name))
    assert ("'archiver'" in rows, "s3cret" in rows) == (True, False), "the text of a command that does something stays"
    archive("")
    assert about(billing.ask("billing.*"), "there is no archive_command").status is Status.FAIL
    archived = cluster.scalar("SELECT archived_count FROM pg_stat_archiver")
    archive(good)
    counted("archived_count", archived)
    wait_until(lambda: not list((cluster.data / "pg_wal/archive_status").glob("*.ready")))
    assert billing.ask("billing.*").status is Status.PASS
    monkeypatch.setattr(state, "_HANGS_SECONDS", 0)
    monkeypatch.setattr(state, "_SEGMENTS_BEHIND", 1)
    assert billing.ask("billing.*").status is Status.PASS
    hold = cluster.backups / "hold"
    hold.touch()
    for number in range(3):
        archive(f"while test -e {hold}; do sleep 0.1; done # {number}")
    assert about(billing.ask("billing.*"), "nothing was archived since").status is Status.FAIL
    hold.unlink()
    archive(good)


def test_settings_that_wait_for_a_restart_and_an_age_near_wraparound(
    billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    billing.cluster.sql("ALTER SYSTEM SET max_locks_per_transaction = 128")
    billing.cluster.reload()
    assert about(billing.ask("billing.*"), "1 setting waits").actual == "max_locks_per_transaction"
    billing.cluster.sql("ALTER SYSTEM SET max_locks_per_transaction = 64")  # after a RESET it would still wait
    billing.cluster.reload()
    monkeypatch.setattr(state, "_AGE_SHARE", 0)
    found = billing.ask("billing.*")
    assert len(points(found, Status.WARN)) == 2, told(found)
    assert f"the oldest transactions of {billing.name} are" in told(found), "autovacuum alone works on template0"
    assert "the oldest multixacts of " in told(found)


def test_a_setting_that_passes_over_damaged_pages(billing: Billing) -> None:
    billing.cluster.sql("ALTER SYSTEM SET zero_damaged_pages = on")
    billing.cluster.reload()
    silent = about(billing.ask("billing.*"), "zero_damaged_pages is set")
    assert silent.status is Status.WARN
    for statement in silent.remedy.rpartition(": ")[2].split(";")[:-1]:  # ALTER SYSTEM wants no transaction
        billing.cluster.sql(statement)
    assert "zero_damaged_pages" not in told(billing.ask("billing.*"))


def test_a_page_with_another_checksum(billing: Billing) -> None:
    cluster = billing.cluster
    if cluster.scalar("SHOW data_checksums") == "off":
        assert cluster.version < 18
        return
    billing.run("CHECKPOINT")
    copy = f"{billing.name}_copy"
    cluster.sql(f"CREATE DATABASE {copy} TEMPLATE {billing.name} STRATEGY file_copy")
    try:
        path = cluster.scalar("SELECT pg_relation_filepath('billing.customers')", dbname=copy)
        with (cluster.data / str(path)).open("r+b") as file:
            file.seek(100)
            file.write(b"damaged")
        with pytest.raises(psycopg.errors.DataCorrupted):
            cluster.sql("SELECT count(*) FROM billing.customers", dbname=copy)
        damaged = about(billing.ask("billing.*"), f"1 page of {copy} did not have the checksum")
        assert damaged.status is Status.FAIL
        cluster.sql(damaged.remedy.rpartition(": ")[2], dbname=copy)
        assert billing.ask("billing.*").status is Status.PASS
    finally:
        cluster.sql(f"DROP DATABASE {copy}")


@pytest.mark.parametrize("kind", ["activity", "state", "sequences"])
def test_no_question_locks_more_than_a_reader_does(billing: Billing, kind: str) -> None:
    billing.run("ALTER SEQUENCE billing.invoices_id_seq RESTART 7")
    asked = {
        "activity": ActivityProbe("orders", "true", HOURS, HOURS, HOURS),
        "sequences": SequencesProbe("orders"),
        "state": StateProbe("orders", "true", (("billing", "invoices_id_seq", 2**31 - 1),), 150000),
    }
    with billing.connect() as connection:
        connection.execute("BEGIN READ ONLY; SET LOCAL search_path = pg_catalog")
        rows = connection.execute(asked[kind].ask()).fetchall()
        assert rows
        locks = connection.execute(
            "SELECT DISTINCT mode FROM pg_locks WHERE pid = pg_backend_pid() AND locktype <> 'virtualxid'"
        ).fetchall()
    assert locks == [("AccessShareLock",)]


@pytest.mark.long
def test_a_replica_is_judged_for_what_is_its_own(
    site: Site, postgres: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = postgres.create_role("release", options="IN ROLE pg_read_all_stats")
    monkeypatch.setenv("STATE_PASSWORD", role.password)
    billing = Billing(postgres, role, tmp_path)
    break_tables(billing)
    site.replica.wait_for(postgres)
    with contextlib.closing(site.replica.connect(billing.name)) as reader:
        reader.execute("BEGIN; SELECT FROM billing.customers")
        there = billing.ask("billing.*", settings=AT_ONCE, window=SOON, port=site.replica.port, role=ServerRole.REPLICA)
    assert there.status is Status.PASS, told(there)
    site.replica.sql("SELECT pg_create_physical_replication_slot('for_others', true)")
    there = billing.ask("billing.*", port=site.replica.port, role=ServerRole.REPLICA)
    site.replica.sql("SELECT pg_drop_replication_slot('for_others')")
    assert there.status is Status.PASS, told(there)


def test_the_workers_of_a_parallel_query_are_its_leader(billing: Billing) -> None:
    billing.run("INSERT INTO billing.customers SELECT n, 'more' FROM generate_series(100, 60000) n; ANALYZE")
    with billing.connect() as leader:
        for setting in ("parallel_setup_cost = 0", "parallel_tuple_cost = 0", "min_parallel_table_scan_size = 0"):
            leader.execute(f"SET {setting}")
        leader.execute("SET max_parallel_workers_per_gather = 2")
        leader.pgconn.send_query(b"SELECT count(pg_sleep(0.001)) FROM billing.customers")
        workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker'"
        wait_until(lambda: billing.cluster.scalar(workers) == 2)
        found = billing.ask("billing.*", settings=AT_ONCE)
        assert about(found, "holds locks").summary.startswith("1 session holds"), told(found)
        billing.cure(about(found, "holds locks"))
