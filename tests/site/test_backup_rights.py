"""backup-rights against real servers, with pg_dump itself as the witness: it fails where the check does, and works once
the statement that the check names was run."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from preflight_checks.backup_rights import BackupRights

from preflight.finding import Finding, Status
from preflight.plan import Account, Backup, BackupMethod, Host, RemotePath, SecretRef, SslMode
from tests.site.asking import database_on, finding, make_plan, told
from tests.site.machine import clean_environment
from tests.site.postgres import SUPERUSER, Cluster, DatabaseRole
from tests.site.site import Site


class Dumped(NamedTuple):
    status: int
    size: int
    said: str
    """With --verbose, which names each table that it copies."""


class Orders:
    """A database, the role that probes it, which may do nothing, and the role that dumps it."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.name = cluster.create_database()
        self.prober, self.role = cluster.create_role("prober"), cluster.create_role("Backup")

    def sql(self, *statements: str) -> None:
        for each in statements:
            self.cluster.sql(each.replace("@role", f'"{self.role.name}"'), dbname=self.name)

    def judge(self, *, role: DatabaseRole | None = None, **entry: object) -> Finding:
        plain = {} if self.cluster.tls else {"sslmode": SslMode.DISABLE, "sslrootcert": None}
        database = database_on(
            self.cluster, self.prober.name, name=self.name, password=SecretRef("env", "PROBER_PASSWORD"), **plain
        )
        taken_by = Account((role or self.role).name)
        backup = Backup(id="orders", database="orders", directory=RemotePath("/b"), login=taken_by, **entry)  # type: ignore[arg-type]
        host = Host(id="db1", user=Account("dbadmin"))
        plan = make_plan(self.folder, hosts=[host], databases=[database], backups=[backup])
        return finding(BackupRights, plan)

    def dump(self, role: DatabaseRole | None = None) -> Dumped:
        file, role = self.folder / "orders.dump", role or self.role
        file.unlink(missing_ok=True)
        connection = ("-h", self.cluster.address, "-p", str(self.cluster.port), "-U", role.name, "-d", self.name)
        done = subprocess.run(
            [self.cluster.bin / "pg_dump", "-w", "-v", "-Fc", "-f", file, *connection],
            env={**clean_environment(), "PGPASSWORD": role.password}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        return Dumped(done.returncode, file.stat().st_size if file.exists() else 0, done.stderr)

    def is_open(self) -> None:
        """To both."""
        found, dumped = self.judge(), self.dump()
        assert found.status is Status.PASS, told(found)
        assert dumped.status == 0, dumped.said


@pytest.fixture(params=["postgres", "newer_postgres"])
def orders(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Orders:
    orders = Orders(request.getfixturevalue(request.param), tmp_path)
    monkeypatch.setenv("PROBER_PASSWORD", orders.prober.password)
    return orders


CLOSED = {
    "a table": ("CREATE TABLE t (a int); INSERT INTO t VALUES (1)", "at once", "no SELECT for 1 table"),
    "a partition": (
        (
            "CREATE TABLE p (a int) PARTITION BY LIST (a); GRANT SELECT ON p TO @role;"
            "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)"
        ),
        "at once",
        "no SELECT for 1 table",
    ),
    "a table whose columns are granted": (
        'CREATE TABLE "Co lumns" (a int); GRANT SELECT (a) ON "Co lumns" TO @role',
        "at once",
        "no SELECT for 1 table",
    ),
    "a schema": (
        'CREATE SCHEMA "X"; CREATE TABLE "X".t (a int); GRANT SELECT ON "X".t TO @role',
        "at once",
        "no USAGE",
    ),
    "a sequence": ("CREATE SEQUENCE s; GRANT USAGE ON SEQUENCE s TO @role", "at once", "no SELECT for 1 sequence"),
    "the sequence of an identity column": (
        "CREATE TABLE i (a int GENERATED ALWAYS AS IDENTITY); GRANT SELECT ON i TO @role",
        "at once",
        "no SELECT for 1 sequence",
    ),
    "a configuration table of an extension": (
        (
            "SET allow_system_table_mods = on; CREATE TABLE c (a int); ALTER EXTENSION plpgsql ADD TABLE c;"
            "UPDATE pg_extension SET extconfig = ARRAY['c'::regclass::oid], extcondition = ARRAY['']"
            " WHERE extname = 'plpgsql'"
        ),
        "while it copies the tables",
        "no SELECT for 1 configuration table of an extension",
    ),
    "a large object": ("SELECT lo_create(4711)", "after it has copied all tables", "no SELECT for 1 large object"),
    "row security": (
        (
            "CREATE TABLE r (a int); GRANT SELECT ON r TO @role; ALTER TABLE r ENABLE ROW LEVEL SECURITY;"
            "CREATE POLICY all_rows ON r USING (true)"
        ),
        "while it copies the tables",
        "no BYPASSRLS for 1 table with row security",
    ),
}
"""State -> how it is made, when pg_dump fails, what the check says it lacks."""


@pytest.mark.long
def test_pg_dump_fails_just_when_the_check_says_and_works_once_its_statement_was_run(orders: Orders) -> None:
    orders.is_open()
    for state, (made, when, lacks) in CLOSED.items():
        orders.sql(made)
        found, dumped = orders.judge(), orders.dump()
        assert found.status is Status.FAIL, (state, told(found))
        assert not found.judgement.points, (state, told(found))
        assert f"fails {when}" in found.judgement.summary, state
        assert lacks in found.judgement.summary, (state, told(found))
        assert dumped.status == 1, state
        assert (dumped.size == 0) is (when == "at once"), (state, dumped.said)
        assert ("dumping contents of table" in dumped.said) is (when != "at once"), (state, dumped.said)
        assert ('contents of table "public.t"' in dumped.said) or "after" not in when, dumped.said
        orders.sql(found.judgement.remedy)
        orders.is_open()


@pytest.mark.long
def test_each_of_several_statements_is_needed(orders: Orders) -> None:
    orders.sql(*(made for made, _, _ in CLOSED.values()))
    cures = [point.remedy for point in orders.judge().judgement.points]
    assert len(cures) == 6
    for left_out in cures:
        orders.sql("BEGIN;" + ";".join(cure for cure in cures if cure is not left_out) + ";COMMIT")
        found = orders.judge()
        assert [found.judgement.remedy, found.judgement.points] == [left_out, ()], told(found)
        assert orders.dump().status == 1, left_out
        orders.sql(*(_taken_back(cure) for cure in cures if cure is not left_out))
    orders.sql(*cures)
    orders.is_open()


def _taken_back(cure: str) -> str:
    return cure.replace("GRANT", "REVOKE").replace(" TO ", " FROM ").replace(" BYPASSRLS", " NOBYPASSRLS")


@pytest.mark.long
@pytest.mark.parametrize("orders", ["newer_postgres"], indirect=True)
def test_many_tables_are_counted_and_one_predefined_role_opens_them(orders: Orders) -> None:
    orders.sql(
        "DO $$ BEGIN FOR n IN 1..5000 LOOP EXECUTE format('CREATE TABLE t%s ()', n); END LOOP; END $$",
        "SELECT lo_create(n) FROM generate_series(5000, 5030) n",
    )
    found = orders.judge()
    tables, objects = (point for point in found.judgement.points if point.status is Status.FAIL)
    orders.sql("ALTER ROLE @role NOINHERIT")
    assert "no SELECT for 5000 tables" in tables.summary
    assert tables.actual.endswith(", and 4992 more")
    assert tables.remedy == f'GRANT pg_read_all_data TO "{orders.role.name}" WITH INHERIT TRUE;'
    orders.sql(tables.remedy)
    _in_psql(orders, objects.remedy)
    found = orders.judge()
    assert (found.status, "the server is made for 3200 locks" in found.judgement.summary) == (Status.WARN, True)


def _in_psql(orders: Orders, line: str) -> None:
    where = ("-h", orders.cluster.socket_directory, "-p", str(orders.cluster.port), "-U", SUPERUSER, "-d", orders.name)
    psql = [orders.cluster.bin / "psql", "-X", "-v", "ON_ERROR_STOP=1", *where]
    subprocess.run(psql, input=line, check=True, capture_output=True, text=True, env=clean_environment())


@pytest.mark.long
def test_owners_members_and_superusers_read_without_a_grant(orders: Orders) -> None:
    owner, name = orders.cluster.create_role("owner"), orders.role.name
    orders.sql(
        f"CREATE SCHEMA o AUTHORIZATION {owner.name}; SET ROLE {owner.name}; CREATE TABLE o.t (a serial);"
        "ALTER TABLE o.t ENABLE ROW LEVEL SECURITY; SELECT lo_create(1)"
    )
    assert (orders.judge(role=owner).status, orders.dump(owner).status) == (Status.PASS, 0)
    orders.sql(f"GRANT {owner.name} TO @role")
    orders.is_open()
    orders.sql("ALTER TABLE o.t FORCE ROW LEVEL SECURITY")
    assert (orders.judge(role=owner).status, orders.dump(owner).status) == (Status.FAIL, 1)
    orders.sql("ALTER TABLE o.t NO FORCE ROW LEVEL SECURITY")
    without = "WITH INHERIT FALSE" if orders.cluster.version >= 16 else ""
    orders.sql(
        f"REVOKE {owner.name} FROM @role", f'ALTER ROLE "{name}" NOINHERIT', f"GRANT {owner.name} TO @role {without}"
    )
    assert (orders.judge().status, orders.dump().status) == (Status.FAIL, 1)
    orders.sql("ALTER ROLE @role SUPERUSER")
    orders.is_open()


def test_what_is_left_out_without_an_error_is_named(orders: Orders) -> None:
    orders.sql(
        "CREATE FOREIGN DATA WRAPPER w", "CREATE SERVER s FOREIGN DATA WRAPPER w",
        "CREATE FOREIGN TABLE elsewhere (a int) SERVER s",
        "CREATE TABLE made_by (a int)", "ALTER EXTENSION plpgsql ADD TABLE made_by",
        "CREATE UNLOGGED TABLE fast (a int)", "GRANT SELECT ON fast TO @role",
        "CREATE SUBSCRIPTION copies CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false)",
    )  # fmt: skip
    found, dumped = orders.judge(), orders.dump()
    assert (found.status, dumped.status) == (Status.WARN, 0), told(found)
    warned = {point.actual for point in found.judgement.points if point.status is Status.WARN}
    assert warned == {"public.elsewhere", "public.made_by", "copies"}
    base = orders.judge(method=BackupMethod.PG_BASEBACKUP)
    assert {point.actual for point in base.judgement.points if point.status is Status.WARN} == {"public.fast"}
    orders.sql("ALTER SUBSCRIPTION copies SET (slot_name = NONE)", "DROP SUBSCRIPTION copies")


@pytest.mark.long
def test_a_dump_of_a_replica_leaves_out_unlogged_tables(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = Orders(site.postgres, tmp_path)
    monkeypatch.setenv("PROBER_PASSWORD", orders.prober.password)
    orders.sql("CREATE UNLOGGED TABLE fast (a int)", "GRANT SELECT ON fast TO @role")
    site.replica.wait_for(site.postgres)
    orders.cluster = site.replica
    found = orders.judge()
    assert orders.dump().status == 0
    assert (found.status, found.judgement.actual) == (Status.WARN, "public.fast"), told(found)


def test_a_catalogue_that_the_probing_role_may_not_read_is_unknown_with_the_grant(orders: Orders) -> None:
    orders.sql("REVOKE SELECT ON pg_largeobject_metadata FROM PUBLIC")
    found = orders.judge()
    assert found.status is Status.UNKNOWN
    assert found.judgement.remedy == f"GRANT SELECT ON pg_catalog.pg_largeobject_metadata TO {orders.prober.name};"
    orders.sql(found.judgement.remedy)
    assert orders.judge().status is Status.PASS


def test_a_role_that_is_not_there_is_unknown(orders: Orders) -> None:
    found = orders.judge(role=DatabaseRole("nobody_here", ""))
    assert (found.status, found.judgement.summary) == (Status.UNKNOWN, "the role nobody_here is not there")
