"""script-rights against real servers, with the scripts' own statements as the witness: they are refused where the check
fails, and run once the statement that the check names was run."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from preflight_checks.script_rights import ScriptRights

from preflight.finding import Finding, Status
from preflight.plan import Account, Host, RemotePath, Role, Said, Scripts, SecretRef, SslMode
from preflight.questions.rehearsed import Rehearsal, RehearsedEntry, Run, Touched, format_rehearsal
from preflight.questions.schema import difference
from preflight.rehearsal.stage import read_schema
from tests.site.asking import NOW, database_on, finding, make_plan, told
from tests.site.postgres import Cluster, DatabaseRole

SCRIPT = "SELECT 1;\n"
SHA256 = hashlib.sha256(SCRIPT.encode()).hexdigest()
SAID = Said(by="dba", on=NOW.date(), reason="run 8812")


@dataclass(frozen=True)
class Work:
    """What scripts do in a schema @s, whose objects the role @owner owns unless `made` says otherwise."""

    made: str
    act: str
    seen: tuple[Touched, ...] = ()
    """By a rehearsal; or"""
    declared: Mapping[str, Any] = field(default_factory=dict)
    """by the plan."""
    changes: str = ""
    """Of the schema, as a rehearsal tells them."""
    lacks: tuple[str, ...] = ()
    status: Status = Status.FAIL


def altered(kind: str, name: str, **more: Any) -> tuple[Touched, ...]:
    return (Touched(kind=kind, name=name, defined=True, **more),)


def rows(name: str, **done: int) -> tuple[Touched, ...]:
    return (Touched(kind="table", name=name, **done),)


EVENTS = 'CREATE TABLE @s."Events" (id serial PRIMARY KEY, a int); GRANT USAGE ON SCHEMA @s TO @role;'
OWN = "RESET ROLE; CREATE TABLE @s.own (id int PRIMARY KEY); ALTER TABLE @s.own OWNER TO @role;"
PARTS = "CREATE TABLE @s.p (a int) PARTITION BY LIST (a); CREATE TABLE @s.p1 PARTITION OF @s.p FOR VALUES IN (1);"
GIVE_NUMBER = (
    "CREATE FUNCTION @s.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; GRANT USAGE, CREATE ON SCHEMA @s TO @role;"
)
NEW_TRIGGER = (
    'CREATE TRIGGER t BEFORE UPDATE ON @s."Events" FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()'
)
MANY = "DO $$ BEGIN FOR n IN 1..40 LOOP EXECUTE format('CREATE TABLE @s.{}%s ()', n); END LOOP; END $$"
WORKS = {
    "a table is altered": Work(
        EVENTS, 'ALTER TABLE @s."Events" ADD b int', altered("table", '@s."Events"'), lacks=("does not own table",)
    ),
    "a table is altered whose index is named": Work(
        EVENTS, 'ALTER INDEX @s."Events_pkey" RENAME TO k', altered("index", '@s."Events_pkey"'),
        lacks=("does not own table",),
    ),
    "a superuser's table is altered": Work(
        f'{EVENTS} RESET ROLE; ALTER TABLE @s."Events" OWNER TO postgres', 'ALTER TABLE @s."Events" ADD b int',
        altered("table", '@s."Events"'), lacks=("which postgres owns",),
    ),
    "a view is dropped": Work(
        f"{EVENTS} CREATE VIEW @s.v AS SELECT 1", "DROP VIEW @s.v", altered("view", "@s.v", dropped=True),
        lacks=("does not own view",),
    ),
    "a function is replaced": Work(
        GIVE_NUMBER, "CREATE OR REPLACE FUNCTION @s.f(int) RETURNS int LANGUAGE sql AS 'SELECT 2'",
        altered("function", "@s.f(integer)", created=True), lacks=("does not own function",),
    ),
    "a type gets a value": Work(
        f"{EVENTS} CREATE TYPE @s.mood AS ENUM ('a')", "ALTER TYPE @s.mood ADD VALUE 'b'", altered("type", "@s.mood"),
        lacks=("does not own type",),
    ),
    "a table is made": Work(
        EVENTS, "CREATE TABLE @s.new (a int)", altered("table", "@s.new", created=True), lacks=("no CREATE on schema",)
    ),
    "an index of an own table is made": Work(
        EVENTS + OWN, "CREATE INDEX i ON @s.own (id)", altered("index", "@s.i", created=True), lacks=("no CREATE on",)
    ),
    "the schema is closed": Work(
        OWN, "ALTER TABLE @s.own ADD b int", altered("table", "@s.own"), lacks=("no USAGE on schema",)
    ),
    "a schema is made": Work(
        "", "CREATE SCHEMA new", altered("schema", "new", created=True), lacks=("no CREATE on database",)
    ),
    "rows are updated": Work(
        EVENTS, 'UPDATE @s."Events" SET a = 2 WHERE a = 1', rows('@s."Events"', updated=1),
        lacks=("no SELECT on table", "no UPDATE on table"),
    ),
    "a trigger is made": Work(
        EVENTS, NEW_TRIGGER, altered("trigger", 't on @s."Events"', created=True), lacks=("no TRIGGER on table",)
    ),
    "declared: a table is altered": Work(
        f"{EVENTS} GRANT CREATE ON SCHEMA @s TO @role", 'ALTER TABLE @s."Events" ADD b int',
        declared={"touches": ("@s.*",)}, lacks=("does not own table",),
    ),
    "declared: rows are deleted and read": Work(
        EVENTS, 'DELETE FROM @s."Events" WHERE a = 1', declared={"privileges": {"@s.Ev*": ("DELETE", "SELECT")}},
        lacks=("no DELETE on table", "no SELECT on table"),
    ),
    "rows are inserted, with numbers of a sequence": Work(
        f'{EVENTS} GRANT INSERT ON @s."Events" TO @role', 'INSERT INTO @s."Events" (a) VALUES (1)',
        rows('@s."Events"', inserted=1), lacks=("no USAGE on sequence",), status=Status.UNKNOWN,
    ),
    "a foreign key points there": Work(
        EVENTS + OWN, 'ALTER TABLE @s.own ADD FOREIGN KEY (id) REFERENCES @s."Events"',
        (*altered("table", "@s.own"), Touched(kind="table", name='@s."Events"', lock="ShareRowExclusiveLock")),
        lacks=("no REFERENCES on table",), status=Status.UNKNOWN,
    ),
    "a table is renamed": Work(
        f"{EVENTS} GRANT CREATE ON SCHEMA @s TO @role", 'ALTER TABLE @s."Events" RENAME TO other',
        altered("table", "@s.other"), lacks=("is not there",), status=Status.UNKNOWN,
    ),
    "a table is emptied": Work(
        EVENTS, 'TRUNCATE @s."Events"', rows('@s."Events"', rewritten=True), lacks=("does not own table",),
        status=Status.UNKNOWN,
    ),
    "columns are granted": Work(
        f'{EVENTS} GRANT UPDATE (id) ON @s."Events" TO @role', 'UPDATE @s."Events" SET a = 2',
        declared={"privileges": {"@s.Events": ("UPDATE",)}}, lacks=("no UPDATE on table",), status=Status.UNKNOWN,
    ),
    "temporary tables are revoked": Work(
        f"{EVENTS} {OWN} REVOKE TEMPORARY ON DATABASE @database FROM PUBLIC", "CREATE TEMP TABLE t (a int)",
        altered("table", "@s.own"), lacks=("no temporary table",), status=Status.UNKNOWN,
    ),
}  # fmt: skip
"""The statement is refused in the state, and run after the cure."""


class Orders:
    """A database, the role that probes it, which may do nothing, and a role for each piece of work."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.name = cluster.create_database()
        self.prober, self.owner = cluster.create_role("prober"), cluster.create_role("Owner")
        self._numbers = itertools.count()
        (folder / "SHA256SUMS").write_text(f"{SHA256}  010.sql\n")

    def begin(self, work: Work, *, options: str = "") -> Begun:
        begun = Begun(self, work, self.cluster.create_role("Release", options=options), f"s{next(self._numbers)}")
        begun.sql(f"CREATE SCHEMA @s AUTHORIZATION @owner; SET ROLE @owner; {work.made}")
        return begun


@dataclass(frozen=True)
class Begun:
    """One piece of work, with its role and its schema."""

    orders: Orders
    work: Work
    role: DatabaseRole
    schema: str

    def named(self, text: str) -> str:
        names = {"@s": self.schema, "@role": f'"{self.role.name}"', "@owner": f'"{self.orders.owner.name}"'}
        names["@database"] = self.orders.name
        for name, written in names.items():
            text = text.replace(name, written)
        return text

    def sql(self, *statements: str) -> None:
        for each in statements:
            self.orders.cluster.sql(self.named(each), dbname=self.orders.name)

    def judge(self, **entry: Any) -> Finding:
        cluster, folder = self.orders.cluster, self.orders.folder
        plain = {} if cluster.tls else {"sslmode": SslMode.DISABLE, "sslrootcert": None}
        password = SecretRef("env", "PROBER_PASSWORD")
        database = database_on(cluster, self.orders.prober.name, name=self.orders.name, password=password, **plain)
        declared = {"touches": (), "privileges": {}, **self.work.declared, **entry}
        privileges = {self.named(pattern): rights for pattern, rights in declared["privileges"].items()}
        declared |= {"touches": tuple(map(self.named, declared["touches"])), "privileges": privileges}
        scripts = Scripts(
            id="orders", database="orders", approved=folder / "sql", manifest=folder / "SHA256SUMS",
            staged=RemotePath("/srv"), login=Account(self.role.name), **declared,
        )  # fmt: skip
        plan = make_plan(
            folder, hosts=[Host(id="db1", user=Account("dbadmin"))], databases=[database], scripts=[scripts],
            roles=[Role(id="dba", primary="D. Kaya")],
        )  # fmt: skip
        plan.rehearsal_record.unlink(missing_ok=True)
        if self.work.seen:
            plan.rehearsal_record.write_text(format_rehearsal(self._record()))
        return finding(ScriptRights, plan)

    def _record(self) -> Rehearsal:
        touched = tuple(replace(each, name=self.named(each.name)) for each in self.work.seen)
        run = Run(script="010.sql", seconds=1, exit_code=0, touched=touched, changes=self.work.changes)
        tried = RehearsedEntry(database="orders", files={"010.sql": SHA256}, runs=(run,))
        return Rehearsal(release="REL-1", at=NOW, by="x", where="here", scripts={"orders": tried})

    def is_refused(self, act: str = "") -> bool:
        """What the role does, and takes back."""
        cluster = self.orders.cluster
        with cluster.connect(self.orders.name, autocommit=False) as connection:
            try:
                connection.execute(self.named(f"SET SESSION AUTHORIZATION @role; {act or self.work.act}"))
            except psycopg.errors.InsufficientPrivilege:
                return True
            finally:
                connection.rollback()
        return False

    def passes(self) -> None:
        found = self.judge()
        assert found.status is Status.PASS, told(found)
        assert not self.is_refused()

    def cures(self, found: Finding) -> list[str]:
        return [each.remedy.partition("; or have ")[0] for each in found.judgement.telling_points()]


@pytest.fixture(params=["postgres", "newer_postgres"])
def orders(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Orders:
    orders = Orders(request.getfixturevalue(request.param), tmp_path)
    monkeypatch.setenv("PROBER_PASSWORD", orders.prober.password)
    return orders


@pytest.mark.long
def test_what_is_refused_is_found_and_runs_once_the_named_statement_was_run(orders: Orders) -> None:
    for name, work in WORKS.items():
        begun = orders.begin(work)
        found = begun.judge()
        points = [each for each in found.judgement.telling_points() if each.status is not Status.PASS]
        assert found.status is work.status, (name, told(found))
        assert begun.is_refused(), name
        for each, lack in zip(sorted(points, key=lambda point: point.summary), work.lacks, strict=True):
            assert lack in each.summary, (name, told(found))
        if name == "a table is renamed":  # whose old name the rehearsal did not tell
            found = begun.judge(touches=("@s.Events",))
            assert (found.status, "does not own" in found.judgement.summary) == (Status.FAIL, True), told(found)
            continue
        begun.sql(*begun.cures(found))
        begun.passes()


@pytest.mark.long
def test_each_of_several_statements_is_needed(orders: Orders) -> None:
    """Membership in an owner brings what else it has, which is not asked for; each that is named is needed."""
    other = orders.cluster.create_role("other").name
    made = (
        'CREATE TABLE @s."Events" (a int); RESET ROLE; CREATE SCHEMA x; CREATE TABLE x.rows (a int); CREATE VIEW x.v AS'
        f" SELECT 1; ALTER VIEW x.v OWNER TO {other}"
    )
    act = (
        'ALTER TABLE @s."Events" ADD b int; CREATE TABLE @s.new (a int); CREATE TABLE x.new (a int); DROP VIEW x.v;'
        "UPDATE x.rows SET a = 1 WHERE a = 2"
    )
    seen = (
        *altered("table", '@s."Events"'),
        *altered("table", "@s.new", created=True),
        *altered("table", "x.new", created=True),
        *altered("view", "x.v"),
        *rows("x.rows", updated=1),
    )
    begun = orders.begin(Work(made, act, seen))
    cures = begun.cures(begun.judge())
    assert len(cures) == 6, cures
    for left_out in cures:
        given = [each for each in cures if each is not left_out]
        begun.sql(*given)
        found = begun.judge()
        assert (found.status, begun.cures(found)) == (Status.FAIL, [left_out]), told(found)
        assert begun.is_refused()
        begun.sql(
            *(
                re.sub(" WITH INHERIT TRUE", "", each.replace("GRANT", "REVOKE").replace(" TO ", " FROM "))
                for each in given
            )
        )
    begun.sql(*cures)
    begun.passes()


def test_a_member_that_does_not_inherit_has_to_set_role(orders: Orders) -> None:
    """Which only a rehearsal shows; a membership without SET is none."""
    act = 'ALTER TABLE @s."Events" ADD b int'
    work = Work(f"{EVENTS} GRANT CREATE ON SCHEMA @s TO @role", act, altered("table", '@s."Events"'))
    begun = orders.begin(work, options="NOINHERIT")
    newer = orders.cluster.version >= 16
    begun.sql("GRANT @owner TO @role" + " WITH INHERIT FALSE" * newer)
    assert begun.is_refused()
    assert not begun.is_refused(f"SET ROLE @owner; {act}")
    assert begun.judge().status is Status.PASS
    found = replace(begun, work=replace(work, seen=(), declared={"touches": ("@s.*",)})).judge()
    assert (found.status, "it has to SET ROLE" in found.judgement.summary) == (Status.UNKNOWN, True), told(found)
    if newer:
        begun.sql("GRANT @owner TO @role WITH INHERIT FALSE, SET FALSE")
        assert begun.is_refused(f"SET ROLE @owner; {act}")
        found = begun.judge()
        assert found.status is Status.FAIL
    begun.sql(*begun.cures(found))
    begun.passes()


def test_an_owner_that_is_a_member_of_the_role_hands_its_table_over(orders: Orders) -> None:
    begun = orders.begin(WORKS["a table is altered"])
    begun.sql("GRANT @role TO @owner", "GRANT CREATE ON SCHEMA @s TO @role")
    found = begun.judge()
    assert found.judgement.remedy == begun.named('ALTER TABLE @s."Events" OWNER TO @role;'), told(found)
    begun.sql(*begun.cures(found), "REVOKE @role FROM @owner")
    begun.passes()


def test_what_others_do_for_the_role_needs_no_grant(orders: Orders) -> None:
    """Rows of a partition are changed through its parent; a trigger works with the rights of its function's owner."""
    insert = "INSERT INTO @s.p VALUES (1)"
    grants = "GRANT USAGE ON SCHEMA @s TO @role; GRANT INSERT ON @s.p TO @role"
    begun = orders.begin(Work(f"{PARTS} {grants}", insert, (*rows("@s.p1", inserted=1), *rows("@s.p", inserted=1))))
    begun.passes()
    log = (
        "CREATE TABLE @s.log (a int); CREATE FUNCTION @s.note() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO @s.log VALUES (1); RETURN NEW; END';"
        "CREATE TRIGGER note BEFORE INSERT ON @s.p1 FOR EACH ROW EXECUTE FUNCTION @s.note()"
    )
    begun = orders.begin(Work(f"{PARTS} {grants}; {log}", insert, rows("@s.log", inserted=1)))
    assert not begun.is_refused()
    found = begun.judge()
    assert found.status is Status.UNKNOWN, told(found)
    assert begun.judge(rights_shown=SAID).status is Status.WARN
    begun.sql("ALTER FUNCTION @s.note() SECURITY INVOKER")
    assert begun.is_refused()
    assert begun.judge().status is Status.FAIL


def test_a_view_may_work_with_the_rights_of_who_names_it(orders: Orders) -> None:
    view = 'CREATE VIEW @s.v WITH (security_invoker) AS SELECT a FROM @s."Events"; GRANT SELECT ON @s.v TO @role'
    begun = orders.begin(Work(f"{EVENTS} {view}", "SELECT FROM @s.v", declared={"privileges": {"@s.v": ("SELECT",)}}))
    found = begun.judge()
    assert begun.is_refused()
    assert (found.status, "works on its tables" in found.judgement.summary) == (Status.UNKNOWN, True), told(found)


def test_what_is_named_by_itself_is_wanted_though_it_belongs_to_something(orders: Orders) -> None:
    begun = orders.begin(Work(f"{EVENTS} GRANT CREATE ON SCHEMA @s TO @role", 'DROP INDEX @s."Events_i"'))
    begun.sql(
        'CREATE INDEX "Events_i" ON @s."Events" (a)', "CREATE TABLE @s.e ()", "ALTER EXTENSION plpgsql ADD TABLE @s.e"
    )
    for pattern, refused in (("@s.Events_i", 'DROP INDEX @s."Events_i"'), ("@s.e", "ALTER TABLE @s.e ADD a int")):
        assert begun.judge(touches=(pattern,)).status is Status.FAIL, pattern
        assert begun.is_refused(refused)
    found = begun.judge(touches=("@s.*",))
    assert "public.e" not in told(found)


def test_row_security_is_unknown_until_somebody_answers_for_it(orders: Orders) -> None:
    made = f'{EVENTS} GRANT UPDATE, SELECT ON @s."Events" TO @role; ALTER TABLE @s."Events" ENABLE ROW LEVEL SECURITY'
    begun = orders.begin(Work(made, 'UPDATE @s."Events" SET a = 1', rows('@s."Events"', updated=1)))
    found = begun.judge()
    assert (found.status, "row security decides" in found.judgement.summary) == (Status.UNKNOWN, True), told(found)
    assert begun.judge(rights_shown=SAID).status is Status.WARN
    begun.sql(*begun.cures(found))
    begun.passes()


def test_without_a_rehearsal_and_without_touches_it_is_unknown_with_both_ways_out(orders: Orders) -> None:
    begun = orders.begin(Work(f"{EVENTS} {OWN}", ""))
    orders.cluster.sql("CREATE TABLE public.t (a int)", dbname=orders.name)
    found = begun.judge()
    assert found.status is Status.UNKNOWN
    assert found.judgement.actual.startswith("tables of others in "), told(found)
    assert "preflight rehearse" in found.judgement.remedy
    assert 'touches = ["SCHEMA.*"]' in found.judgement.remedy
    assert "is not known: the sealed files are others" not in found.judgement.summary
    begun.sql("ALTER ROLE @role SUPERUSER")
    assert begun.judge().status is Status.PASS


@pytest.mark.long
def test_a_pattern_that_fits_nothing_is_told(orders: Orders) -> None:
    begun = orders.begin(Work(f"{EVENTS} {OWN}", "", declared={"touches": ("@s.own", "@s.Event")}))
    begun.sql("GRANT CREATE ON SCHEMA @s TO @role")
    found = begun.judge()
    assert (found.status, "is called" in found.judgement.summary) == (Status.WARN, True), told(found)
    assert begun.judge(touches=("@s.Event",)).status is Status.UNKNOWN
    assert begun.judge(touches=("@s.Event",), rights_shown=SAID).status is Status.WARN
    found = begun.judge(touches=("nowhere.*",))
    assert (found.status, "no CREATE on database" in found.judgement.summary) == (Status.FAIL, True), told(found)
    begun.sql(*begun.cures(found)[:1])
    assert begun.judge(touches=("nowhere.*",)).status is Status.UNKNOWN
    assert begun.judge(privileges={"@s.nothing": ("INSERT",)}).status is Status.FAIL


@pytest.mark.parametrize("orders", ["newer_postgres"], indirect=True)
def test_an_extension_is_made_by_whom_it_trusts(orders: Orders) -> None:
    act = "CREATE EXTENSION vector"
    begun = orders.begin(Work("", act, altered("extension", "vector", created=True)))
    found = begun.judge()
    assert found.status is Status.FAIL, told(found)
    assert begun.is_refused()
    begun.sql(*(cure.partition(": ")[2] for cure in begun.cures(found)))
    assert begun.judge().status is Status.FAIL  # which made it a superuser's, whom the scripts' own statement meets


@pytest.mark.parametrize("orders", ["postgres"], indirect=True)
def test_a_trusted_extension_takes_create_on_the_database(orders: Orders) -> None:
    begun = orders.begin(Work("", "CREATE EXTENSION citext", altered("extension", "citext", created=True)))
    found = begun.judge()
    assert begun.is_refused()
    assert begun.cures(found) == [begun.named("GRANT CREATE ON DATABASE @database TO @role;")], told(found)
    begun.sql(*begun.cures(found))
    begun.passes()


def rehearsed(orders: Orders, act: str, *, before: str = "", packages: Path | None = None) -> Work:
    """`act` as a rehearsal tells it: tried by a superuser in a database in which `before` was run, of a server with the
    extensions in `packages`."""
    scratch = orders.cluster.create_database()
    if packages:
        orders.cluster.sql(f"ALTER DATABASE {scratch} SET extension_control_path = '$system:{packages}'")
    with orders.cluster.connect(scratch) as connection:
        connection.execute(before)
        then = read_schema(connection)
        connection.execute(act)
        changes = "\n".join(difference(then, read_schema(connection)).values())
    name = act.split()[2]
    return Work("", act, altered("extension", name, created=act.startswith("CREATE")), changes=changes)


class Packages:
    """The extensions that a server of PostgreSQL 18 offers to one database."""

    def __init__(self, folder: Path) -> None:
        (folder / "extension").mkdir(parents=True)
        self.folder = folder

    def put(self, name: str, version: str = "1.0", requires: str = "") -> None:
        at = self.folder / "extension"
        self.take(name)
        control = f"default_version = '{version}'\nsuperuser = false\n"
        (at / f"{name}.control").write_text(control + (f"requires = '{requires}'\n" if requires else ""))
        for each in {"1.0", version}:
            (at / f"{name}--{each}.sql").write_text("SELECT 1;\n")
        if version != "1.0":
            (at / f"{name}--1.0--{version}.sql").write_text("SELECT 1;\n")

    def take(self, name: str) -> None:
        for each in (self.folder / "extension").glob(f"{name}[.-]*"):
            each.unlink()


@pytest.fixture
def packages(orders: Orders, shared_path: Path) -> tuple[Packages, Packages]:
    """Of the real database, and of a rehearsal."""
    real = Packages(shared_path / "real")
    orders.cluster.sql(f"ALTER DATABASE {orders.name} SET extension_control_path = '$system:{real.folder}'")
    return real, Packages(shared_path / "scratch")


def begun_with(orders: Orders, work: Work, *, options: str = "") -> Begun:
    begun = orders.begin(work, options=options)
    begun.sql("GRANT CREATE ON DATABASE @database TO @role")
    return begun


def fails(begun: Begun) -> str:
    """What the server says to the act; empty where it runs."""
    with begun.orders.cluster.connect(begun.orders.name, autocommit=False) as connection:
        try:
            connection.execute(begun.named(f"SET SESSION AUTHORIZATION @role; {begun.work.act}"))
        except psycopg.Error as error:
            return str(error).partition("\n")[0]
        finally:
            connection.rollback()
    return ""


@pytest.mark.parametrize("orders", ["newer_postgres"], indirect=True)
@pytest.mark.parametrize("options", ["", "SUPERUSER"])
def test_what_an_extension_requires_is_there_or_is_made(
    orders: Orders, packages: tuple[Packages, Packages], options: str
) -> None:
    real, scratch = packages
    scratch.put("fgext")
    real.put("fgext", requires='"nix-ext"')
    begun = begun_with(orders, rehearsed(orders, "CREATE EXTENSION fgext", packages=scratch.folder), options=options)
    found = begun.judge()
    assert (found.status, fails(begun)) == (Status.FAIL, 'required extension "nix-ext" is not installed'), told(found)
    assert 'extension "nix-ext", which fgext requires, is not installed' in found.judgement.summary
    real.put("nix-ext")
    found = begun.judge()
    assert (found.status, bool(fails(begun))) == (Status.UNKNOWN, True), told(found)
    begun.sql(found.judgement.remedy.partition("CASCADE: ")[2].partition(";")[0])
    found = begun.judge()
    assert (found.status, fails(begun)) == (Status.PASS, ""), told(found)
    real.take("fgext")
    found = begun.judge()
    assert (found.status, bool(fails(begun))) == (Status.FAIL, True), told(found)


@pytest.mark.parametrize("orders", ["newer_postgres"], indirect=True)
def test_what_cascade_brings_is_seen_in_the_rehearsal(orders: Orders, packages: tuple[Packages, Packages]) -> None:
    real, scratch = packages
    for each in packages:
        each.put("fgext", requires='"nix-ext"')
        each.put("nix-ext")
    begun = begun_with(orders, rehearsed(orders, "CREATE EXTENSION fgext CASCADE", packages=scratch.folder))
    found = begun.judge()
    assert (found.status, fails(begun)) == (Status.PASS, ""), told(found)
    real.take("nix-ext")
    found = begun.judge()
    assert (found.status, bool(fails(begun))) == (Status.FAIL, True), told(found)
    assert "have the package that brings it installed" in found.judgement.remedy


@pytest.mark.parametrize("orders", ["newer_postgres"], indirect=True)
@pytest.mark.parametrize(
    ("before", "act"),
    [("", "CREATE EXTENSION fgext"), ("CREATE EXTENSION fgext VERSION '1.0'", "ALTER EXTENSION fgext UPDATE")],
)
def test_another_version_than_was_rehearsed_is_unknown(
    orders: Orders, packages: tuple[Packages, Packages], before: str, act: str
) -> None:
    real, scratch = packages
    scratch.put("fgext", "2.0")
    real.put("fgext", "2.1")
    begun = begun_with(orders, rehearsed(orders, act, before=before, packages=scratch.folder))
    begun.sql(f"SET ROLE @role; {before}")
    found = begun.judge()
    assert found.status is Status.UNKNOWN, told(found)
    assert f"{begun.role.name} gets extension fgext 2.1, where the rehearsal had 2.0" in found.judgement.summary
    assert begun.judge(rights_shown=SAID).status is Status.WARN
    real.put("fgext", "2.0")
    begun.passes()


@pytest.mark.parametrize("orders", ["postgres"], indirect=True)
def test_a_required_extension_that_is_only_available_has_to_be_made(orders: Orders) -> None:
    work = rehearsed(orders, "CREATE EXTENSION earthdistance", before="CREATE EXTENSION cube")
    begun = begun_with(orders, work, options="SUPERUSER")
    found = begun.judge()
    assert (found.status, fails(begun)) == (Status.UNKNOWN, 'required extension "cube" is not installed'), told(found)
    begun.sql("CREATE EXTENSION cube")
    found = begun.judge()
    assert (found.status, fails(begun)) == (Status.PASS, ""), told(found)


@pytest.mark.long
def test_many_objects_are_counted(orders: Orders) -> None:
    begun = orders.begin(Work(EVENTS, "", declared={"touches": ("@s.t*",)}))
    begun.sql(
        f"SET ROLE @owner; {MANY.format('t')}",
        MANY.format("tt"),
    )
    found = begun.judge()
    assert {"40 tables" in each.summary for each in found.judgement.points} == {True}, told(found)
    for _ in range(3):
        begun.sql(*(cure.partition(" and likewise")[0] for cure in begun.cures(begun.judge()) if cure))
    assert begun.judge().status is Status.PASS
