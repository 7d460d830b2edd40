"""sql against a real PostgreSQL: queries that give what they must, and all that they may give instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import pytest
from preflight_checks.sql import Assertion, SqlCheck

from preflight.finding import Finding, Status
from preflight.plan import SecretRef
from tests.site.asking import database_on, findings, make_plan, told
from tests.site.postgres import Cluster
from tests.toy import toy_plan


@dataclass(frozen=True)
class Case:
    query: str
    expect: str
    status: Status
    says: str
    seconds: float = 20.0


CASES: Mapping[str, Case] = {
    "value": Case("SELECT count(*) FROM app.orders WHERE state = 'open'", "0", Status.PASS, "gives the value 0"),
    "boolean": Case("SELECT count(*) = 2 FROM app.orders", "t", Status.PASS, "gives the value t"),
    "none": Case("SELECT id FROM app.orders WHERE id < 0;", "no rows", Status.PASS, "gives no rows"),
    "lines": Case(
        "WITH o AS (SELECT *\n  FROM app.orders)\nTABLE o LIMIT 0 -- none", "no rows", Status.PASS, "no rows"
    ),
    "setting": Case("SHOW transaction_read_only", "on", Status.PASS, "gives the value on"),
    "no-columns": Case("SELECT FROM app.orders WHERE id < 0", "no rows", Status.PASS, "gives no rows"),
    "other": Case("SELECT count(*) FROM app.orders", "0", Status.FAIL, "gives the value 2"),
    "null": Case("SELECT max(id) FROM app.orders WHERE id < 0", "", Status.FAIL, "gives the value NULL"),
    "missing": Case("SELECT id FROM app.orders WHERE id < 0", "7", Status.FAIL, "gives no rows"),
    "rows": Case("SELECT id, state FROM app.orders", "no rows", Status.FAIL, "gives 2 rows of id, state"),
    "two": Case("SELECT id FROM app.orders", "1", Status.FAIL, "gives 2 rows of id"),
    "wide": Case("SELECT 1 AS a, 2 AS b", "1", Status.FAIL, "gives 1 row of a, b"),
    "too-much": Case("SELECT generate_series(1, 20000)", "no rows", Status.FAIL, "passed 10000 rows"),
    "column": Case("SELECT absent FROM app.orders", "1", Status.FAIL, 'column "absent" does not exist'),
    "path": Case("SELECT count(*) FROM orders", "2", Status.FAIL, "names are written with their schema"),
    "writes": Case("DELETE FROM app.orders", "no rows", Status.UNKNOWN, "cannot execute DELETE in a read-only"),
    "next": Case("SELECT nextval('app.orders_id_seq')", "3", Status.UNKNOWN, "cannot execute nextval() in a read-only"),
    "several": Case("SELECT 1; SELECT 2", "2", Status.UNKNOWN, "cannot insert multiple commands"),
    "syntax": Case("SELEC 1", "1", Status.UNKNOWN, "syntax error"),
    "no-query": Case("SET work_mem = '1MB'", "no rows", Status.UNKNOWN, "is no query"),
    "nothing": Case("-- SELECT 1", "no rows", Status.UNKNOWN, "is no query"),
    "denied": Case("SELECT count(*) FROM app.hidden", "0", Status.UNKNOWN, "permission denied for table hidden"),
    "policy": Case("SELECT count(*) FROM app.policed", "0", Status.UNKNOWN, "row-level security"),
    "slow": Case("SELECT pg_sleep(60)", "0", Status.UNKNOWN, "raise `timeout` in [checks.sql.run.slow]", 0.2),
}


@pytest.fixture(scope="module", params=["postgres", "newer_postgres"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    server: Cluster = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="module")
def found(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Finding]:
    """One run with every case."""
    role = cluster.create_role("release")
    name = cluster.create_database("orders")
    with cluster.connect(name) as connection:
        connection.execute(f"""
            CREATE SCHEMA app;
            GRANT USAGE ON SCHEMA app TO {role.name};
            CREATE TABLE app.orders (id serial, state text);
            CREATE TABLE app.hidden ();
            CREATE TABLE app.policed AS SELECT 1 AS id;
            ALTER TABLE app.policed ENABLE ROW LEVEL SECURITY;
            GRANT SELECT ON app.policed TO {role.name};
            INSERT INTO app.orders (state) VALUES ('sent'), ('paid');
            GRANT ALL ON app.orders, app.orders_id_seq TO {role.name}""")
    folder = tmp_path_factory.mktemp("sql")
    (folder / "pw").write_text(role.password)
    (folder / "pw").chmod(0o600)
    entry = database_on(cluster, role.name, name=name, password=SecretRef("file", str(folder / "pw")), owner="dba")
    run = {
        key: Assertion(
            id=key, database="orders", query=case.query, expect=case.expect, timeout=timedelta(seconds=case.seconds)
        )
        for key, case in CASES.items()
    }
    hosts = toy_plan().hosts
    return findings(SqlCheck, make_plan(folder, hosts=hosts, databases=[entry], checks={"sql": {"run": run}}), 120)


@pytest.mark.parametrize("key", CASES)
def test_a_query_is_judged_by_what_it_gives(found: Mapping[str, Finding], key: str) -> None:
    case = CASES[key]
    assert found[key].status is case.status, told(found[key])
    assert case.says in told(found[key]), told(found[key])


def test_what_may_not_be_there_is_shown(found: Mapping[str, Finding]) -> None:
    assert found["rows"].judgement.details == "1 | sent\n2 | paid"


def test_nothing_was_written(found: Mapping[str, Finding], cluster: Cluster) -> None:
    name = cluster.sql("SELECT datname FROM pg_database WHERE datname LIKE 'orders_%' ORDER BY oid DESC")[0][0]
    assert cluster.scalar("SELECT count(*) FROM app.orders", dbname=name) == 2
    assert cluster.scalar("SELECT last_value FROM app.orders_id_seq", dbname=name) == 2
    assert len(found) == len(CASES)
