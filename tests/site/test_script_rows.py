"""What a change demands of rows, held against a real PostgreSQL: one statement on rows, and on none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from preflight_checks.script_rows import ScriptRows, row_rules

from preflight.finding import Finding, Status
from preflight.plan import Content, RemotePath
from preflight.plan.values import SecretRef
from preflight.questions.rehearsed import format_rehearsal
from preflight.questions.schema import Schema, difference
from preflight.questions.schema_sql import SCHEMA_SQL
from tests.checks.test_rehearsal import ENTRY, RECORD, TRIED
from tests.site.asking import database_on, finding, host_on, make_plan, told
from tests.site.postgres import Cluster
from tests.site.site import Site

Session = psycopg.Connection[tuple[str]]

TABLES = """
CREATE SCHEMA app;
CREATE TABLE app.customer (id int PRIMARY KEY);
CREATE DOMAIN app.amount AS numeric;
CREATE TABLE app.t (
  id int, "A b" int, code text, word text, small smallint, total app.amount, at timestamp, kind text CHECK (kind <> ''),
  customer int REFERENCES app.customer ON DELETE RESTRICT, owner int, days daterange);
ALTER TABLE app.t ADD CONSTRAINT later CHECK (code <> 'b') NOT VALID;
CREATE UNIQUE INDEX by_id ON app.t (id);
CREATE SEQUENCE app.numbers;
CREATE INDEX by_owner ON app.t ((owner::bigint));
CREATE TABLE app.months (on_day date, n int) PARTITION BY RANGE (on_day);
CREATE TABLE app.p (LIKE app.t) PARTITION BY RANGE (id);
CREATE TABLE app.january PARTITION OF app.months FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
"""
ROWS = """
INSERT INTO app.customer VALUES (1);
ALTER TABLE app.t DROP CONSTRAINT later;
INSERT INTO app.t (id, "A b", code, word, small, total, at, kind, customer, owner, days)
  VALUES (1, 7, 'a', 'a', 1, 1.5, '2026-01-01', 'x', 1, 5, '[2026-01-01,2026-01-03)'),
  (2, 7, 'b', 'b', 2, NULL, '2026-01-01', 'y', NULL, NULL, '[2026-01-02,2026-01-04)');
ALTER TABLE app.t ADD CONSTRAINT later CHECK (code <> 'b') NOT VALID;
INSERT INTO app.months VALUES ('2026-01-05', 1), ('2026-01-06', 1);
"""
TRIED_BY_ROWS = (
    ("ALTER TABLE app.t ALTER total SET NOT NULL", "column total app.amount not null"),
    ("ALTER TABLE app.t ADD new text NOT NULL", "column new text not null"),
    ("ALTER TABLE app.t ADD CONSTRAINT one CHECK (id < 2)", "constraint one CHECK ((id < 2))"),
    ("ALTER TABLE app.t VALIDATE CONSTRAINT later", "constraint later CHECK ((code <> 'b'::text))"),
    ('ALTER TABLE app.t ADD UNIQUE ("A b")', 'CREATE UNIQUE INDEX "t_A b_key" ON app.t USING btree ("A b")'),
    ('CREATE UNIQUE INDEX x ON app.t (("A b" + 1))', 'CREATE UNIQUE INDEX x ON app.t USING btree ((("A b" + 1)))'),
    (
        "ALTER TABLE app.t ADD FOREIGN KEY (owner) REFERENCES app.customer ON DELETE CASCADE",
        "constraint t_owner_fkey FOREIGN KEY (owner) REFERENCES app.customer(id) ON DELETE CASCADE",
    ),
    (
        "ALTER TABLE app.t ADD CONSTRAINT apart EXCLUDE USING gist (days WITH &&)",
        "constraint apart EXCLUDE USING gist (days WITH &&)",
    ),
    ("ALTER TABLE app.t ALTER word TYPE int USING word::int", "column word integer"),
    ("ALTER TABLE app.t ALTER total TYPE numeric(1,1)", "column total numeric(1,1)"),
    (
        "ALTER TABLE app.t ADD g int NOT NULL DEFAULT 9 REFERENCES app.customer",
        "constraint t_g_fkey FOREIGN KEY (g) REFERENCES app.customer(id)",
    ),
    (
        "ALTER TABLE app.t ADD g text NOT NULL DEFAULT '' UNIQUE",
        "CREATE UNIQUE INDEX t_g_key ON app.t USING btree (g)",
    ),
    ("ALTER DOMAIN app.amount SET NOT NULL", "domain over numeric not null"),
    (
        "ALTER DOMAIN app.amount ADD CONSTRAINT large CHECK (VALUE > 2)",
        "constraint large CHECK ((VALUE > (2)::numeric))",
    ),
    ("ALTER TABLE app.months ADD CHECK (n > 1)", "constraint months_n_check CHECK ((n > 1))"),
    ("ALTER TABLE app.t ADD g int DEFAULT 0 CHECK (g > 0)", "constraint t_g_check CHECK ((g > 0))"),
    ("ALTER TABLE app.t ADD g int CHECK (g IS NOT NULL)", "constraint t_g_check CHECK ((g IS NOT NULL))"),
    (
        "ALTER TABLE app.t ADD g int, ADD CONSTRAINT pair CHECK (g > 0 AND id > 1)",
        "constraint pair CHECK (((g > 0) AND (id > 1)))",
    ),
    (
        "ALTER TABLE app.p ATTACH PARTITION app.t FOR VALUES FROM (5) TO (9)",
        "partition of app.p FOR VALUES FROM (5) TO (9)",
    ),
    ("CREATE INDEX x ON app.t ((word::int))", "CREATE INDEX x ON app.t USING btree (((word)::integer))"),
    (
        "ALTER TABLE app.t ADD g numeric GENERATED ALWAYS AS (1 / (id - 1)) STORED",
        "column g numeric generated always stored as (1 / (id - 1))",
    ),
)
"""What fails on these rows; and the line that tells so."""
TAKEN_BY_ROWS = (
    "ALTER TABLE app.t ADD new text",
    "ALTER TABLE app.t ADD new int CHECK (new > 0 AND new < 9)",
    "ALTER TABLE app.t ADD g int GENERATED ALWAYS AS (small / 2) STORED",
    "CREATE INDEX x ON app.t (lower(code), at) WHERE id > 0 AND kind = 'a/b'",
    "ALTER TABLE app.t ADD new int UNIQUE REFERENCES app.customer",
    "ALTER TABLE app.t ADD n bigserial PRIMARY KEY",
    "ALTER TABLE app.t ADD n bigint GENERATED ALWAYS AS IDENTITY UNIQUE",
    "ALTER TABLE app.t ADD u uuid NOT NULL UNIQUE DEFAULT gen_random_uuid()",
    "ALTER TABLE app.t ADD g int GENERATED ALWAYS AS (id + 1) STORED",
    "ALTER TABLE app.t ADD CONSTRAINT one CHECK (id < 2) NOT VALID",
    "ALTER TABLE app.t ALTER id TYPE bigint, ALTER small TYPE int, ALTER days TYPE text",
    "ALTER TABLE app.t ALTER at TYPE timestamptz",
    "ALTER TABLE app.t ALTER code TYPE varchar, ALTER code SET DEFAULT 'a', ALTER kind SET STORAGE EXTERNAL",
    "ALTER TABLE app.t RENAME CONSTRAINT t_kind_check TO filled; ALTER INDEX app.by_id RENAME TO by_number",
    "ALTER TABLE app.t DROP CONSTRAINT t_customer_fkey, ADD FOREIGN KEY (customer) REFERENCES app.customer",
    "ALTER TABLE app.t ADD CONSTRAINT t_key UNIQUE USING INDEX by_id",
    "ALTER TABLE app.t RENAME TO later_t",
    "ALTER SEQUENCE app.numbers CACHE 5 INCREMENT 2",
    "ALTER INDEX app.by_owner RENAME TO of_owner",
    "CREATE INDEX x ON app.t (code)",
    "CREATE TABLE app.new (id int PRIMARY KEY, customer int NOT NULL REFERENCES app.customer CHECK (customer > 0))",
)


@pytest.fixture(scope="module")
def session(postgres: Cluster) -> Iterator[Session]:
    name = postgres.create_database("rules")
    postgres.sql(TABLES, dbname=name)
    with postgres.connect(name, autocommit=False) as connection:
        yield connection


def rules(session: Session, statement: str) -> list[str]:
    """Of the statement where there are no rows."""

    def look() -> tuple[Schema, dict[str, int]]:
        files = session.execute("SELECT oid::regclass::text, relfilenode::bigint FROM pg_class WHERE relkind = 'r'")
        return Schema.parse(session.execute(SCHEMA_SQL.encode()).fetchall()[0][0]), dict(files.fetchall())  # type: ignore[arg-type]

    before, files = look()
    session.execute(statement.encode())
    after, files_after = look()
    session.rollback()
    found = []
    for name, lines in difference(before, after).items():
        table = name.rpartition(" ")[2]
        found += row_rules(lines, rewritten=table in files and files_after.get(table) != files[table])
    return found


def fails_on_rows(session: Session, statement: str) -> bool:
    session.execute(ROWS)
    try:
        session.execute(statement.encode())
    except (psycopg.errors.IntegrityError, psycopg.errors.DataError):
        return True
    finally:
        session.rollback()
    return False


@pytest.mark.parametrize(("statement", "rule"), TRIED_BY_ROWS)
def test_what_rows_can_violate_is_told(session: Session, statement: str, rule: str) -> None:
    assert fails_on_rows(session, statement)
    assert rule in rules(session, statement)


@pytest.mark.parametrize("statement", TAKEN_BY_ROWS)
def test_what_no_row_violates_is_not(session: Session, statement: str) -> None:
    assert not fails_on_rows(session, statement)
    assert not rules(session, statement)


def test_narrower_limits_of_a_sequence_are_told(session: Session) -> None:
    told = ["as bigint start 1 increment 1 minimum 1 maximum 100 cache 1"]
    assert rules(session, "ALTER SEQUENCE app.numbers MAXVALUE 100") == told, "its last value may be beyond it"


def test_the_check_asks_the_real_database_whether_the_table_has_rows(
    site: Site, postgres: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = postgres.create_role("release")
    name = postgres.create_database("orders", owner=role.name)
    more = "CREATE FOREIGN DATA WRAPPER none; CREATE SERVER s FOREIGN DATA WRAPPER none;"
    more += "CREATE TABLE app.empty (n int PRIMARY KEY); CREATE FOREIGN TABLE app.remote (n int) SERVER s;"
    postgres.sql(f'{TABLES}{ROWS}{more} CREATE TABLE app."Big lines" AS SELECT 1 AS n', dbname=name)
    monkeypatch.setenv("ORDERS_PASSWORD", role.password)
    entry = database_on(postgres, role.name, name=name, password=SecretRef("env", "ORDERS_PASSWORD"))
    scripts = replace(ENTRY, database="orders", staged=RemotePath("/srv"))
    plan = make_plan(
        tmp_path,
        hosts=[host_on(site.sshd, site.account("good"))],
        databases=[entry],
        known_hosts=site.sshd.known_hosts_lines(),
        scripts={"orders": scripts},
    )

    def judged(name: str) -> Finding:
        changes = f" {name}\n-  column n integer\n+  column n integer not null"
        run = replace(TRIED.runs[0], changes=changes)
        of = replace(RECORD.databases["orders"], content=Content.SCHEMA, changes={name: changes})
        record = replace(RECORD, databases={"orders": of}, scripts={"orders": replace(TRIED, runs=(run,))})
        plan.rehearsal_record.write_text(format_rehearsal(record))
        return finding(ScriptRows, plan)

    found = judged('table app."Big lines"')
    assert found.status is Status.UNKNOWN, told(found)
    assert 'app."Big lines": column n integer not null' in found.judgement.summary
    assert judged("table app.january").status is Status.UNKNOWN
    for empty in ("table app.empty", "foreign table app.remote", "table app.months"):
        assert judged(empty).status is Status.PASS, empty
