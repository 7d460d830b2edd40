"""preflight rehearse: sealed scripts, run for real on a scratch server that is filled from a real host and database."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from shutil import chown
from typing import Any

import pytest
from preflight_checks.rehearsal import RehearsalCheck
from preflight_checks.script_effect import ScriptEffect
from preflight_checks.script_rights import ScriptRights
from preflight_checks.script_rows import ScriptRows

from preflight.clock import Deadline
from preflight.finding import Finding, Status
from preflight.judging.touched import touched_objects
from preflight.plan import Account as Login
from preflight.plan import Backup, Content, Plan, Rehearsing, RemotePath, Restore, Scripts, SecretRef, SslMode
from preflight.probe import NoReply
from preflight.questions.files import LocalText
from preflight.questions.postgres import SERVER_WIDE
from preflight.questions.rehearsed import Rehearsal, Rehearsed, RehearsedEntry, Run, Touched, parse_rehearsal
from preflight.questions.schema import hashed
from preflight.questions.sql import quote_identifier
from preflight.reasons import Reason
from preflight.rehearsal import ScratchError
from preflight.rehearsal import account as account_module
from preflight.rehearsal.account import site_account
from preflight.rehearsal.rehearse import announced, rehearse, write_record
from preflight.rehearsal.stage import read_schema
from preflight.rehearsal.work import Runner
from preflight.sessions import SessionFailed
from preflight.sessions.pools import Pools
from preflight.sessions.secrets import Secrets
from preflight.sessions.ssh.pool import SshPool
from tests.cli.program import BASE, argv, environment, preflight
from tests.cli.terminal import Terminal
from tests.sessions.conftest import GENEROUS_SECONDS
from tests.site.accounts import Account, Accounts
from tests.site.asking import NOW, database_on, finding, findings, host_on, make_plan, told
from tests.site.one_time_codes import WORDS, Codes, wanting_codes
from tests.site.postgres import Cluster
from tests.site.site import Site

SCHEMA = """
CREATE TABLE billing.invoice (id int PRIMARY KEY, total numeric(10, 2), paid date);
CREATE INDEX invoice_paid ON billing.invoice (paid);
CREATE VIEW billing.open AS SELECT id FROM billing.invoice WHERE paid IS NULL;
CREATE FUNCTION billing.total() RETURNS numeric LANGUAGE sql AS 'SELECT sum(total) FROM billing.invoice';
INSERT INTO billing.invoice SELECT n, n, CASE WHEN n % 2 = 0 THEN current_date END FROM generate_series(1, 50) n;
"""
GOOD = {
    "010_due.sql": "BEGIN;\nALTER TABLE billing.invoice ADD COLUMN due date;\n"
    "UPDATE billing.invoice SET due = paid;\nCOMMIT;\n",
    "020_total.sql": "ALTER TABLE billing.invoice ALTER COLUMN total TYPE numeric(12, 3);\n",
    "undo/010_due.down.sql": "ALTER TABLE billing.invoice DROP COLUMN due;\n",
    "undo/020_total.down.sql": "ALTER TABLE billing.invoice ALTER COLUMN total TYPE numeric(10, 2);\n",
}


class Stage:
    """A host, a database with fifty rows and two roles, and a plan of scripts for it."""

    def __init__(self, site: Site, cluster: Cluster, login: Account, folder: Path) -> None:
        self.site, self.cluster, self.login, self.folder = site, cluster, login, folder
        self.release = cluster.create_role("release")
        self.backup = cluster.create_role("backup", options="IN ROLE pg_read_all_data")
        self.name = cluster.create_database("orders", owner=self.release.name)
        for statement in (f"CREATE SCHEMA billing AUTHORIZATION {self.release.name}", SCHEMA):
            cluster.sql(f"SET ROLE {self.release.name}; {statement}", dbname=self.name)
        pgpass = login.home / ".pgpass"
        roles = (self.release, self.backup)
        pgpass.write_text("".join(f"*:*:*:{role.name}:{role.password}\n" for role in roles))
        pgpass.chmod(0o600)
        chown(pgpass, login.name)

    def plan(self, scripts: Mapping[str, str], *, content: Content = Content.SCHEMA, **entry: object) -> Plan:
        approved = self.folder / "approved"
        sums = []
        for name, text in scripts.items():
            (approved / name).parent.mkdir(parents=True, exist_ok=True)
            (approved / name).write_text(text)
            (approved / name).chmod(0o755)
            sums.append(f"{sha256(text.encode()).hexdigest()}  {name}\n")
        (self.folder / "SHA256SUMS").write_text("".join(sums))
        place = self.login.home / "backup"
        server = str(self.cluster.socket_directory)
        of_scripts = Scripts(
            **{
                "id": "orders", "database": "orders", "approved": approved, "manifest": self.folder / "SHA256SUMS",
                "staged": RemotePath("/srv/release"), "server": server, "way_back": "undo/{stem}.down.sql", **entry,
            }  # type: ignore[arg-type]
        )  # fmt: skip
        saved = Backup(
            id="orders", database="orders", directory=RemotePath(str(place)), login=Login(self.backup.name),
            server=server, previous=RemotePath(f"{place}/*.dump"), program=str(self.cluster.bin / "pg_dump"),
        )  # fmt: skip
        secret = {"password": SecretRef("env", "RELEASE_PASSWORD")}
        tls = {} if self.cluster.tls else {"sslmode": SslMode.DISABLE, "sslrootcert": None}
        return make_plan(
            self.folder,
            hosts=[host_on(self.site.sshd, self.login)],
            databases=[database_on(self.cluster, self.release.name, name=self.name, **secret, **tls)],
            backups=[saved],
            scripts=[of_scripts],
            rehearsal=Rehearsing(content=content),
            known_hosts=self.site.sshd.known_hosts_lines(),
        )

    def back_up(self) -> None:
        place = self.login.home / "backup"
        place.mkdir(exist_ok=True)
        file = place / "orders-1.dump"
        made = self.cluster.backups / f"{self.name}.dump"
        self.cluster.client("pg_dump", "-Fc", "-f", made, self.name)
        file.write_bytes(made.read_bytes())
        chown(place, self.login.name)


def rehearsed(plan: Plan) -> Rehearsal:
    """What is recorded beside the plan, on a machine where new files are their owner's alone."""
    secrets, before = Secrets.of(plan), os.umask(0o077)
    try:
        with Pools(plan, secrets) as pools:
            record = rehearse(plan, pools, secrets, Deadline(120.0), lambda _: None)
        write_record(plan, record)
    finally:
        os.umask(before)
    return record


def tried(plan: Plan) -> RehearsedEntry:
    return rehearsed(plan).scripts["orders"]


def judged(plan: Plan) -> Finding:
    return finding(RehearsalCheck, plan)


def objects(run: Run) -> dict[str, Touched]:
    return {f"{each.kind} {each.name}": each for each in run.touched}


def make_stage(
    site: Site, cluster: Cluster, folder: Path, patch: pytest.MonkeyPatch, account: Account | None = None
) -> Stage:
    stage = Stage(site, cluster, account or site.account("good"), folder)
    patch.setenv("RELEASE_PASSWORD", stage.release.password)
    return stage


@pytest.fixture
def stage(site: Site, postgres: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return make_stage(site, postgres, tmp_path, monkeypatch)


@pytest.fixture
def newer(site: Site, newer_postgres: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return make_stage(site, newer_postgres, tmp_path, monkeypatch)


@pytest.fixture(autouse=True)
def nothing_is_left_anywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of every rehearsal in this file, also of one that fails: neither a folder nor a server."""
    made: list[Path] = []
    make = account_module._made

    def note(parent: Path) -> Path:
        made.append(make(parent))
        return made[-1]

    monkeypatch.setattr(account_module, "_made", note)
    yield
    assert [left for folder in made for left in left_of(folder)] == []


def left_of(folder: Path) -> list[str]:
    """The folder of a rehearsal that is over, where it is still there, and the processes that name it."""
    running = subprocess.run(["pgrep", "-af", str(folder)], capture_output=True, text=True)
    return [*([str(folder)] if folder.exists() else []), *running.stdout.splitlines()]


DEFINE = """
ALTER TABLE billing.invoice ADD COLUMN due date;
DROP VIEW billing.open;
ALTER TABLE billing.invoice ALTER COLUMN id TYPE bigint;
CREATE INDEX invoice_due ON billing.invoice (due);
CREATE TABLE billing.line (invoice bigint REFERENCES billing.invoice, what text);
DO $$ BEGIN
  EXECUTE 'CREATE OR REPLACE FUNCTION billing.total() RETURNS numeric LANGUAGE sql AS ''SELECT 1.0''';
END $$;
GRANT SELECT ON billing.line TO PUBLIC;
"""
ROWS = """
INSERT INTO billing.invoice (id, total) SELECT n, n FROM generate_series(1001, 1007) n;
UPDATE billing.invoice SET total = 0 WHERE id > 1005;
DELETE FROM billing.invoice WHERE id = 1001;
"""
UNSEEN = """
BEGIN;
SET LOCAL lock_timeout = '5s';
ALTER TABLE billing.line ADD COLUMN late date;
SET LOCAL lock_timeout = 0;
ALTER TABLE billing.line ALTER COLUMN late SET DEFAULT current_date;
COMMIT;
TRUNCATE billing.line;
REINDEX TABLE billing.invoice;
"""
WRAPPER = """#!/bin/sh
{before}
for script in 010_due.sql 020_total.sql; do
  psql -X -w -v ON_ERROR_STOP=1 -f "$script" {after}
done
"""


@pytest.mark.long
def test_the_witness_tells_what_each_script_did(newer: Stage) -> None:
    newer.back_up()
    scripts = {"010_define.sql": DEFINE, "020_rows.sql": ROWS, "030_unseen.sql": UNSEEN}
    plan = newer.plan({**scripts, "undo/010_define.down.sql": "DROP TABLE billing.line;\n"}, content=Content.RESTORE)
    record = rehearsed(plan)
    define, rows, unseen, _ = record.scripts["orders"].runs
    first = objects(define)
    of_table = first["table billing.invoice"]
    assert (of_table.defined, of_table.created, of_table.rewritten) == (True, False, True)
    assert (of_table.lock, of_table.lock_timeout_ms, bool(of_table.waits)) == ("AccessExclusiveLock", 0, True)
    assert first["view billing.open"].waits
    assert not first["table billing.line"].waits, "nobody else has it yet"
    line = objects(unseen)["table billing.line"]
    assert (line.lock, line.lock_timeout_ms, line.waits) == ("AccessExclusiveLock", 5000, ""), "as it was taken"
    assert first["table billing.line"].created
    assert first["index billing.invoice_due"].created
    assert first["view billing.open"].dropped
    assert (first["function billing.total()"].defined, first["function billing.total()"].created) == (True, False)
    assert "public" in define.changes.lower()
    changed = objects(rows)["table billing.invoice"]
    assert (changed.inserted, changed.updated, changed.deleted, changed.lock) == (7, 2, 1, "RowExclusiveLock")
    assert objects(unseen)["table billing.line"].rewritten
    assert objects(unseen)["index billing.invoice_pkey"].rewritten
    assert define.wal_bytes > 0
    assert record.databases["orders"].backup.endswith("orders-1.dump")
    assert "the ways back leave a difference" in told(judged(plan))


@pytest.mark.long
def test_what_stands_in_the_line_that_starts_the_real_server_holds_in_the_rehearsal(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = make_stage(site, site.start_postgres(settings={"DateStyle": "ISO, DMY"}), tmp_path, monkeypatch)
    forward = "ALTER TABLE billing.invoice ADD due date DEFAULT '02/13/2026';\n"
    back = "ALTER TABLE billing.invoice DROP due;\n"
    (run,) = tried(stage.plan({"010_due.sql": forward, "undo/010_due.down.sql": back})).runs
    assert "date/time field value out of range" in run.said, run


@pytest.mark.long
def test_what_may_be_sorted_on_the_real_server_may_be_sorted_in_the_rehearsal(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = make_stage(site, site.start_postgres(settings={"temp_file_limit": "1MB"}), tmp_path, monkeypatch)
    sorts = "SET work_mem = '64kB';\nSELECT n FROM generate_series(1, 300000) n ORDER BY md5(n::text) OFFSET 299999;\n"
    (run,) = tried(stage.plan({"010_sorts.sql": sorts}, way_back="")).runs
    assert "temporary file size exceeds temp_file_limit (1024kB)" in run.said, run


@pytest.mark.long
@pytest.mark.parametrize(
    "settings",
    [
        {"max_prepared_transactions": "3", "max_locks_per_transaction": "70", "track_commit_timestamp": "on"},
        {"wal_level": "minimal", "max_wal_senders": "0"},
    ],
    ids=["more", "less"],
)
def test_what_the_whole_real_server_allows_is_what_the_scratch_server_allows(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, str]
) -> None:
    stage = make_stage(site, site.start_postgres(settings=settings), tmp_path, monkeypatch)
    told = " || ' ' || ".join(f"current_setting('{name}')" for name in SERVER_WIDE)
    same = f"SELECT 1 / ({told} = '{stage.cluster.scalar(f'SELECT {told}')}')::int;\n"
    prepare = "BEGIN; CREATE TABLE billing.late (); PREPARE TRANSACTION 'late'; COMMIT PREPARED 'late';\n"
    runs = tried(stage.plan({"010_same.sql": same, "020_late.sql": prepare}, way_back="")).runs
    refused = "max_prepared_transactions" not in settings
    assert [run.exit_code for run in runs] == [0, 3 if refused else 0], runs
    assert ("prepared transactions are disabled" in runs[1].said) is refused


@pytest.mark.long
def test_settings_and_roles_that_the_ways_back_leave_are_told(stage: Stage) -> None:
    forward = f"ALTER ROLE {stage.release.name} SET search_path = billing;\nCREATE TABLE billing.late ();\n"
    found = tried(stage.plan({"010_late.sql": forward, "undo/010_late.down.sql": "DROP TABLE billing.late;\n"}))
    assert found.left == f"+setting of {stage.release.name} {{search_path=billing}}"


def test_good_scripts_pass_and_the_record_is_their_owners_alone(stage: Stage) -> None:
    plan = stage.plan(GOOD)
    assert any("pg_dump --schema-only" in sentence for sentence in announced(plan))
    found = tried(plan)
    assert (found.left, [run.exit_code for run in found.runs]) == ("", [0, 0, 0, 0])
    assert [(drill.script, drill.exit_code) for drill in found.drills] == [("010_due.sql", 3), ("020_total.sql", 3)]
    assert (found.drills[0].kept, "+  column due date" in found.drills[1].kept) == ("", True)
    assert plan.rehearsal_record.stat().st_mode & 0o777 == 0o600
    assert judged(plan).status is Status.PASS, told(judged(plan))
    for change in ("", "ALTER TABLE billing.invoice ADD note text"):
        with stage.cluster.connect(stage.name) as connection:
            connection.execute(change.encode())
            plan.sealed_schema("orders").write_text(read_schema(connection).text)
        said = told(judged(plan))
        assert ("rehearsed on another schema than the sealed one: table billing.invoice" in said) is bool(change), said
    (plan.folder / "approved" / "010_due.sql").write_text(GOOD["010_due.sql"] + "-- one more\n")
    with pytest.raises(ScratchError, match=r"010_due\.sql is not as it was sealed"):
        rehearsed(plan)
    stage.cluster.sql(f"REVOKE pg_read_all_data FROM {stage.backup.name}")
    with pytest.raises(ScratchError, match=r"pg_dump on db1 as .*permission denied"):
        rehearsed(plan)


@pytest.mark.parametrize("content", Content)
def test_a_database_whose_name_psql_wants_in_quotes_is_rehearsed(stage: Stage, content: Content) -> None:
    before, stage.name = stage.name, f"{stage.name}-eu 'it\"s'"
    stage.cluster.sql(f"ALTER DATABASE {before} RENAME TO {quote_identifier(stage.name)}")
    stage.back_up()
    found = tried(stage.plan(GOOD, content=content))
    stage.cluster.sql(f"ALTER DATABASE {quote_identifier(stage.name)} RENAME TO {before}")
    assert [run.exit_code for run in found.runs] == [0, 0, 0, 0]


def test_the_rows_of_a_default_partition_are_asked_for_beside_a_new_one(stage: Stage) -> None:
    events = "CREATE TABLE billing.events (on_day date) PARTITION BY RANGE (on_day);"
    events += "CREATE TABLE billing.other PARTITION OF billing.events DEFAULT"
    stage.cluster.sql(f"SET ROLE {stage.release.name}; {events}", dbname=stage.name)
    new = "CREATE TABLE billing.y2027 PARTITION OF billing.events FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');\n"
    plan = stage.plan({"010_year.sql": new, "undo/010_year.down.sql": "DROP TABLE billing.y2027;\n"})
    rehearsed(plan)
    assert finding(ScriptRows, plan).status is Status.PASS, "nobody has rows there"
    stage.cluster.sql("INSERT INTO billing.other VALUES ('2027-05-01')", dbname=stage.name)
    found = finding(ScriptRows, plan)
    assert (found.status, "billing.other: no row of the new partition" in told(found)) == (Status.UNKNOWN, True)


def with_restore(plan: Plan, **restore: Any) -> Plan:
    """The plan puts its backup back, over what is there where nothing else is said."""
    told = Restore(**{"options": ("--clean", "--if-exists"), **restore})
    return replace(plan, backups={"orders": replace(plan.backups["orders"], restore=told)})


NO_WAY_BACK = "ALTER TABLE billing.invoice ADD COLUMN due date;\n"
REFERS = "CREATE TABLE billing.line (invoice int REFERENCES billing.invoice);\n"


def test_a_restore_over_what_the_scripts_made_is_tried_and_fails(stage: Stage) -> None:
    plan = with_restore(stage.plan({"010_line.sql": REFERS}, way_back=""))
    found = judged(plan)
    assert (found.status, found.judgement.actual) == (Status.UNKNOWN, "plan.rehearsal.json: no such file")
    [(line, said)] = rehearsed(plan).databases["orders"].restores.items()
    assert line.startswith(f"{stage.cluster.bin}/pg_restore -w --exit-on-error -h {stage.cluster.socket_directory} ")
    assert "exit status 1: pg_restore: error: could not execute query: ERROR: cannot drop constraint" in said, said
    found = judged(plan)
    assert (found.status, f"after the scripts: {said}" in told(found)) == (Status.FAIL, True), told(found)


@pytest.mark.long
@pytest.mark.parametrize(
    ("script", "way_back", "restore"),
    [
        (NO_WAY_BACK, "", {"options": ("--clean", "--if-exists", "--single-transaction", "--no-owner")}),
        (REFERS, "DROP TABLE billing.line;\n", {"options": ("--clean", "--if-exists", "--jobs=999")}),
        (REFERS, "", {"options": (), "into": "put back"}),
        (REFERS, "", {"command": ("/usr/local/bin/restore", "orders")}),
    ],
    ids=["nothing refers to it", "after the way back", "into another one", "by a command"],
)
@pytest.mark.parametrize("content", Content)
def test_a_restore_that_works_passes(
    stage: Stage, script: str, way_back: str, restore: dict[str, Any], content: Content
) -> None:
    stage.back_up()
    backs = {"undo/010_due.down.sql": way_back} if way_back else {}
    plan = with_restore(stage.plan({"010_due.sql": script, **backs}, content=content), **restore)
    ended = list(rehearsed(plan).databases["orders"].restores.values())
    assert ended == ([] if "command" in restore else [""])
    assert judged(plan).status is Status.PASS, told(judged(plan))


@pytest.mark.long
def test_a_restore_by_who_does_not_own_what_is_dropped_fails(stage: Stage) -> None:
    other = "CREATE SCHEMA own CREATE TABLE other (); GRANT USAGE ON SCHEMA own TO PUBLIC"
    stage.cluster.sql(other, dbname=stage.name)
    plan = with_restore(stage.plan({"010_due.sql": NO_WAY_BACK}, way_back=""))
    rehearsed(plan)
    assert "ERROR: must be owner of table other" in told(judged(plan)), told(judged(plan))
    mended = with_restore(plan, login=Login("postgres"))
    found = judged(mended)
    assert (found.status, "-U postgres" in told(found)) == (Status.UNKNOWN, True), "another line was tried"
    rehearsed(mended)
    assert judged(mended).status is Status.PASS, told(judged(mended))
    absent = with_restore(plan, login=Login("absent"), options=(), into="orders2")
    rehearsed(absent)
    assert 'FATAL: role "absent" does not exist' in told(judged(absent)), told(judged(absent))


@pytest.mark.long
def test_whose_an_extension_is_decides_in_the_rehearsal_too(stage: Stage) -> None:
    plan = with_restore(stage.plan({"010_due.sql": NO_WAY_BACK}, way_back=""))
    stage.cluster.sql("CREATE EXTENSION citext", dbname=stage.name)
    rehearsed(plan)
    assert "ERROR: must be owner of extension citext" in told(judged(plan)), told(judged(plan))
    # As where that role made it: of a trusted one, any that may create in the database.
    made = f"UPDATE pg_extension SET extowner = '{stage.release.name}'::regrole WHERE extname = 'citext'"
    stage.cluster.sql(made, dbname=stage.name)
    rehearsed(plan)
    assert judged(plan).status is Status.PASS, told(judged(plan))


def test_a_role_or_a_membership_that_is_gone_since_the_rehearsal_is_told(stage: Stage) -> None:
    release, owner, reader = stage.release.name, *(stage.cluster.create_role(each).name for each in ("owner", "reader"))
    for role in (owner, reader):
        stage.cluster.sql(f"GRANT {role} TO {release}" if role == owner else f"GRANT USAGE ON SCHEMA public TO {role}")
    stage.cluster.sql(f"GRANT CREATE ON SCHEMA billing TO {owner}", dbname=stage.name)
    stage.cluster.sql(f"GRANT SET ON PARAMETER deadlock_timeout TO {release}")
    given = {
        "010_due.sql": f"CREATE TABLE billing.due ();\nGRANT SELECT ON billing.due TO {reader};\n"
        f"ALTER TABLE billing.due OWNER TO {owner};\n",
        "undo/010_due.down.sql": "DROP TABLE billing.due;\n",
    }
    plan = stage.plan(given)
    rehearsed(plan)
    assert judged(plan).status is Status.PASS, told(judged(plan))
    assert "as it was in the rehearsal" not in told(finding(ScriptEffect, plan))
    stage.cluster.sql(f"REVOKE {owner} FROM {release}")
    stage.cluster.sql(f"REVOKE SET ON PARAMETER deadlock_timeout FROM {release}")
    stage.cluster.sql(f"DROP OWNED BY {reader}")
    stage.cluster.sql(f"DROP ROLE {reader}")
    found = finding(ScriptEffect, plan)
    assert found.status is Status.UNKNOWN, told(found)
    gone = f"role {reader}, member of {owner}: {release}, SET ON PARAMETER deadlock_timeout TO {release}"
    assert f"as it was in the rehearsal: {gone}" in told(found), told(found)


def test_the_tablespaces_of_the_real_server_are_there_with_their_rights(stage: Stage) -> None:
    with stage.cluster.connect() as connection:
        connection.execute("SET allow_in_place_tablespaces = on")
        connection.execute("CREATE TABLESPACE \"Fast\" LOCATION ''")
    try:
        stage.cluster.sql(f'GRANT CREATE ON TABLESPACE "Fast" TO {stage.release.name}')
        stage.cluster.sql('ALTER TABLE billing.invoice SET TABLESPACE "Fast"', dbname=stage.name)
        late = {
            "010_due.sql": 'CREATE INDEX due ON billing.invoice (total) TABLESPACE "Fast";\n',
            "undo/010_due.down.sql": "DROP INDEX billing.due;\n",
        }
        plan = stage.plan({**GOOD, **late})
        record = rehearsed(plan)
        assert judged(plan).status is Status.PASS, told(judged(plan))
        with stage.cluster.connect(stage.name) as connection:
            assert record.databases["orders"].objects == hashed(read_schema(connection)), "as it is sealed"
        stage.cluster.sql(f'REVOKE CREATE ON TABLESPACE "Fast" FROM {stage.release.name}')
        rehearsed(plan)
        assert "permission denied for tablespace Fast" in told(judged(plan)), told(judged(plan))
    finally:
        stage.cluster.sql("ALTER TABLE billing.invoice SET TABLESPACE pg_default", dbname=stage.name)
        stage.cluster.sql('DROP TABLESPACE "Fast"')


GOES_ON = """
\\set ON_ERROR_STOP off
\\set ON_ERROR_ROLLBACK on
DO $$ BEGIN RAISE NOTICE 'ERROR: none'; END $$;
BEGIN;
SELEC 1;
CREATE TABLE billing.late ();
COMMIT;
"""


@pytest.mark.long
def test_a_script_that_goes_on_after_an_error_fails(stage: Stage) -> None:
    plan = stage.plan({"010_late.sql": GOES_ON}, way_back="")
    (run,) = tried(plan).runs
    assert (run.exit_code, run.rolled_back) == (0, 0)
    assert run.said == 'psql:010_late.sql:6: ERROR: syntax error at or near "SELEC"'
    assert "010_late.sql goes on after an error and ends with status 0" in told(judged(plan))


@pytest.mark.long
def test_what_a_role_of_the_database_writes_is_never_run_by_the_superuser(stage: Stage, shared_path: Path) -> None:
    touched = shared_path / "touched"
    act = f"COPY (SELECT 1) TO PROGRAM $$touch {touched}$$"
    line = f"ALTER DATABASE {stage.name} SET lock_timeout TO 1; {act};"
    stage.cluster.sql(f"ALTER ROLE {stage.backup.name} SET application_name TO E'a\n\\\\b'")
    stage.cluster.sql(
        f"SET ROLE {stage.release.name}; "
        f"CREATE FUNCTION billing.text() RETURNS text LANGUAGE sql AS $body$ SELECT '\n{line}\n' $body$; "
        f"ALTER ROLE {stage.release.name} SET application_name TO '; {act} --'; "
        f"ALTER DATABASE {stage.name} SET lock_timeout TO '123ms'",
        dbname=stage.name,
    )
    found = tried(stage.plan({"010_time.sql": "SELECT 1 / (current_setting('lock_timeout') = '123ms')::int;\n"}))
    assert ([run.exit_code for run in found.runs], touched.exists()) == ([0], False)


@pytest.mark.long
def test_what_the_servers_own_configuration_makes_of_a_script_is_rehearsed(stage: Stage) -> None:
    stage.cluster.sql("ALTER SYSTEM SET standard_conforming_strings = off")
    stage.cluster.reload()
    stage.cluster.sql("ALTER ROLE ALL SET transform_null_equals = on")
    off = "SELECT 1 / (length('a\\\\b') = 3)::int, 1 / (('a' = NULL) IS NOT NULL)::int;\n"
    try:
        (run,) = tried(stage.plan({"010_off.sql": off})).runs
    finally:
        stage.cluster.sql("ALTER ROLE ALL RESET transform_null_equals")
        stage.cluster.sql("ALTER SYSTEM RESET standard_conforming_strings")
        stage.cluster.reload()
    assert run.exit_code == 0, run.said


@pytest.mark.long
def test_a_script_that_fails_is_told_in_psqls_own_words(stage: Stage) -> None:
    path = plan_file(stage, {**GOOD, "020_total.sql": "SELECT 1;\nSELEC 1;\n"})
    done = preflight("rehearse", path, RELEASE_PASSWORD=stage.release.password)
    said = '020_total.sql failed in the rehearsal: psql:020_total.sql:2: ERROR: syntax error at or near "SELEC"'
    assert (done.returncode, said in done.stdout) == (1, True), done.stdout + done.stderr
    runs = parse_rehearsal(path.with_suffix(".rehearsal.json").read_text()).scripts["orders"].runs
    assert [(run.script, run.exit_code) for run in runs] == [("010_due.sql", 0), ("020_total.sql", 3)]
    (stage.folder / "SHA256SUMS").unlink()
    done = preflight("rehearse", path, RELEASE_PASSWORD=stage.release.password)
    assert (done.returncode, "nothing was recorded: orders is not sealed" in done.stderr) == (3, True), done.stderr


@pytest.mark.long
def test_what_ends_in_an_open_transaction_or_loses_rows_fails(stage: Stage) -> None:
    stage.cluster.sql(f"ALTER DATABASE {stage.name} IS_TEMPLATE true")
    stage.back_up()
    stage.cluster.sql(f"ALTER DATABASE {stage.name} IS_TEMPLATE false")
    scripts = {
        "010_open.sql": "BEGIN;\nUPDATE billing.invoice SET total = 1;\n",
        "020_more.sql": "DELETE FROM billing.invoice WHERE id < 4;\nCREATE TABLE billing.late (n int);\n",
        "undo/020_more.down.sql": "DROP TABLE IF EXISTS billing.late;\n",
    }
    plan = stage.plan(scripts, content=Content.RESTORE)
    found = tried(plan)
    assert [(run.rolled_back, run.changes) for run in found.runs] == [(0, ""), (1, ""), (0, "")]
    said = told(judged(plan))
    assert "rolled back or left open" in said, said
    locks = "CREATE OR REPLACE VIEW billing.open AS SELECT id FROM billing.invoice WHERE total > 9;\n"
    plan = stage.plan({**scripts, "010_open.sql": locks}, content=Content.RESTORE, single_transaction=True)
    found = tried(plan)
    assert [run.rolled_back for run in found.runs] == [0, 0, 0], "to look at what is locked is no error"
    assert found.back[-1].rows_lost == ("billing.invoice: 3 rows of 50",)
    assert [drill.kept for drill in found.drills] == ["", ""]
    assert "3 rows of 50" in told(judged(plan))


@pytest.mark.long
def test_what_rows_can_violate_is_tried_on_a_restore_alone(stage: Stage) -> None:
    limited = "ALTER TABLE billing.invoice ADD CONSTRAINT small CHECK (total < {});\n"
    ways_back = {"undo/020_total.down.sql": "ALTER TABLE billing.invoice DROP CONSTRAINT small;\n"}
    scripts = {**GOOD, "020_total.sql": limited.format(10), **ways_back}
    plan = stage.plan(scripts)
    tried(plan)
    assert judged(plan).status is Status.PASS, told(judged(plan))
    found = finding(ScriptRows, plan)
    assert found.status is Status.UNKNOWN, told(found)
    assert "billing.invoice: constraint small CHECK " in found.judgement.summary
    stage.back_up()
    plan = stage.plan(scripts, content=Content.RESTORE)
    tried(plan)
    assert "is violated by some row" in told(judged(plan))
    plan = stage.plan({**scripts, "020_total.sql": limited.format(99)}, content=Content.RESTORE)
    tried(plan)
    assert finding(ScriptRows, plan).status is Status.PASS


@pytest.mark.long
def test_a_backup_of_sql_text_is_not_put_back_and_the_way_out_is_said(stage: Stage) -> None:
    stage.back_up()
    (stage.login.home / "backup" / "orders-1.dump").write_text("-- PostgreSQL database dump\n")
    plan = stage.plan(GOOD, content=Content.RESTORE)
    with pytest.raises(ScratchError, match=r"orders-1\.dump: pg_restore failed: .*; SQL text is not put back here: "):
        rehearsed(plan)


@pytest.mark.long
@pytest.mark.parametrize("stops", [True, False], ids=["stops", "goes on"])
def test_a_wrapper_is_drilled_with_its_own_arguments(stage: Stage, stops: bool) -> None:
    left_behind = "psql -X -w -c 'SELECT pg_sleep(600)' &"
    plan = stage.plan(
        {**GOOD, "deploy.sh": WRAPPER.format(before="" if stops else left_behind, after="|| exit 1" if stops else "")},
        command=("./deploy.sh", "prod"),
        rehearse_command=("./deploy.sh", "scratch"),
        files=("010_due.sql", "020_total.sql"),
        way_back="",
    )
    found = tried(plan)
    (run,) = found.runs
    assert (run.exit_code, objects(run)["table billing.invoice"].defined) == (0, True)
    assert [drill.exit_code for drill in found.drills] == ([1, 1] if stops else [0, 3])
    assert bool(found.drills[0].went_on) is not stops
    assert judged(plan).status is (Status.PASS if stops else Status.FAIL), told(judged(plan))


def test_a_command_is_never_started_with_its_own_arguments(stage: Stage) -> None:
    plan = stage.plan({**GOOD, "deploy.sh": "#!/bin/sh\n"}, command=("./deploy.sh", "prod"), way_back="")
    assert "is never started with its own arguments" in " ".join(announced(plan))
    assert rehearsed(plan).scripts == {}


@pytest.mark.parametrize(
    "fault",
    [
        SessionFailed(NoReply(Reason.CONNECTION_LOST, "db1: the connection was lost", NOW)),
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    ],
    ids=["lost connection", "full disk"],
)
def test_a_fault_on_the_way_ends_it(stage: Stage, mocker: Any, fault: Exception) -> None:
    mocker.patch.object(SshPool, "stream", side_effect=fault)
    with pytest.raises(ScratchError, match=r"connection was lost|No space left"):
        rehearsed(stage.plan(GOOD))


@pytest.mark.long
def test_a_database_that_cannot_be_fetched_is_told_and_the_others_are_recorded(stage: Stage) -> None:
    plan = stage.plan({"010_late.sql": "CREATE TABLE billing.late ();\n"}, way_back="")
    gone = replace(plan.databases["orders"], id="gone")
    saved = replace(plan.backups["orders"], id="gone", database="gone", program="/no/such/pg_dump")
    other = replace(plan.scripts["orders"], id="gone", database="gone")
    gone = replace(gone, name=stage.cluster.create_database("gone", owner=stage.release.name))
    plan = replace(
        plan,
        databases={"gone": gone, **plan.databases},
        backups={"gone": saved, **plan.backups},
        scripts={"gone": other, **plan.scripts},
    )
    record = rehearsed(plan)
    assert (list(record.scripts), list(record.not_rehearsed)) == (["orders"], ["gone"])
    found = findings(RehearsalCheck, plan)
    assert [found[name].status for name in ("gone", "orders")] == [Status.UNKNOWN, Status.PASS]
    assert "/no/such/pg_dump" in told(found["gone"])


@pytest.mark.long
def test_what_a_job_takes_is_fetched_by_the_server_that_its_entry_names(stage: Stage) -> None:
    plan = stage.plan({"010_select.sql": "SELECT 1;\n"}, way_back="")
    by_cron = replace(plan.backups["orders"], taken_by="cron")
    cure = r"; say in \[backups.orders\] as which role it logs in \(`login`\) and how it reaches the server "
    with pytest.raises(ScratchError, match=rf"connection to server on socket .* failed: .*{cure}"):
        rehearsed(replace(plan, backups={"orders": replace(by_cron, server="")}))
    for content in Content:
        plan = replace(plan, rehearsal=Rehearsing(content=content))
        with (
            stage.cluster.hba("local all absent trust"),
            pytest.raises(ScratchError, match=f'FATAL: role "absent" does not exist{cure}'),
        ):
            rehearsed(replace(plan, backups={"orders": replace(by_cron, login=Login("absent"))}))
    plan = replace(plan, rehearsal=Rehearsing(), backups={"orders": by_cron})
    assert list(rehearsed(plan).scripts) == ["orders"]


@pytest.mark.long
def test_the_backups_account_is_reached_by_sudo_for_two_programs(
    site: Site, accounts: Accounts, postgres: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login, worker = accounts.add("login"), accounts.add("worker")
    stage = make_stage(site, postgres, tmp_path, monkeypatch, worker)
    plan = stage.plan({"010_select.sql": "SELEC 1;\n"}, way_back="")
    saved = replace(plan.backups["orders"], account=Login(worker.name))
    plan = replace(plan, hosts={"db1": host_on(site.sshd, login)}, backups={"orders": saved})
    with pytest.raises(ScratchError, match=rf"ALL=\({worker.name}\) NOPASSWD: /\S+/pg_dumpall"):
        rehearsed(plan)
    programs = [str(postgres.bin / name) for name in ("pg_dump", "pg_dumpall")]
    accounts.allow_sudo(login, worker.name, programs)
    assert [run.exit_code for run in tried(plan).runs] == [3]


def test_what_does_not_end_in_time_is_ended_with_all_that_it_started(shared_path: Path) -> None:
    folder = shared_path / "work"
    folder.mkdir()
    runner = Runner(site_account(), folder, Deadline(0.2), (), {}, folder)
    with pytest.raises(ScratchError, match="did not end in the time there was"):
        runner.run(["sh", "-c", "sleep 600 & wait"])


def plan_file(stage: Stage, scripts: Mapping[str, str]) -> Path:
    """A plan of these scripts as a file."""
    plan = stage.plan(scripts)
    host, orders, saved = plan.hosts["db1"], plan.databases["orders"], plan.backups["orders"]
    plan.path.write_text(f"""{BASE}
[hosts.db1]
address = "{host.address}"
port = {host.port}
user = "{host.user}"
key = "{host.key}"
[databases.orders]
host = "db1"
address = "{orders.address}"
port = {orders.port}
name = "{orders.name}"
user = "{orders.user}"
password = "env:RELEASE_PASSWORD"
[backups.orders]
database = "orders"
directory = "{saved.directory}"
login = "{saved.login}"
server = "{saved.server}"
[scripts.orders]
database = "orders"
approved = "approved"
manifest = "SHA256SUMS"
staged = "/srv/release"
server = "{saved.server}"
""")
    return plan.path


LEAVES_ONE_BEHIND = "\\! setsid -f sh -c 'sleep 600; true' \"$HOME\" >/dev/null 2>&1\nSELECT pg_sleep(600);\n"


@pytest.mark.long
def test_what_a_script_leaves_running_ends_with_it(stage: Stage) -> None:
    waits = LEAVES_ONE_BEHIND.partition("\n")[0]  # `nothing_is_left_anywhere` looks for it
    assert [run.exit_code for run in tried(stage.plan({"010_leave.sql": f"{waits}\n"}, way_back="")).runs] == [0]


@pytest.mark.long
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_the_rehearsal_and_leaves_nothing(stage: Stage, shared_path: Path, sent: signal.Signals) -> None:
    path = plan_file(stage, {"010_wait.sql": LEAVES_ONE_BEHIND})
    known = environment(RELEASE_PASSWORD=stage.release.password, TMPDIR=str(shared_path))
    with subprocess.Popen(argv("rehearse", path), stderr=subprocess.PIPE, text=True, env=known) as child:
        assert child.stderr is not None
        said = [line for line in iter(child.stderr.readline, "running orders ...\n") if line]
        assert "rehearse is the one command that writes" in said[0]
        deadline, found = Deadline(5 * GENEROUS_SECONDS), None
        while not found and not deadline.over:  # until psql's child runs, which names the folder of the scripts
            running = subprocess.run(["pgrep", "-af", "sleep 600; true"], capture_output=True, text=True).stdout
            found = re.search(rf"true ({shared_path}/\S+)/private/work$", running, re.MULTILINE)
        assert found, running
        children = subprocess.run(["pgrep", "-a", "-P", str(child.pid)], capture_output=True, text=True).stdout
        server = re.search(r" -h (\S+)/private/s ", children)
        assert server, children
        child.send_signal(sent)
        assert child.wait(GENEROUS_SECONDS) == (130 if sent == signal.SIGINT else -sent)
    folders = [Path(found[1]), Path(server[1])]
    while sent == signal.SIGKILL and not deadline.over and any(map(left_of, folders)):
        pass
    assert [*map(left_of, folders), list(shared_path.iterdir())] == [[], [], []]
    assert not path.with_suffix(".rehearsal.json").exists()


@pytest.mark.long
def test_a_code_and_a_password_are_typed_once_for_all_that_a_rehearsal_reads(stage: Stage) -> None:
    path, codes = plan_file(stage, {"010_due.sql": GOOD["010_due.sql"]}), Codes()
    with wanting_codes(stage.site, {stage.login.name: codes}) as sshd:
        text = path.read_text().replace(f"port = {stage.site.sshd.port}", f"port = {sshd.port}", 1)
        text = text.replace("key = ", f'second_factor = "prompt:{WORDS}"\nkey = ', 1)
        path.write_text(text.replace('"env:RELEASE_PASSWORD"', '"prompt"'))
        path.with_suffix(".known_hosts").write_text(sshd.known_hosts_lines())
        terminal = Terminal("rehearse", path)
        terminal.until(r"password of .*: ")
        terminal.type(f"{stage.release.password}\n")
        terminal.until(r"db1 asks .*: ")
        terminal.type(f"{codes.next()}\n")
        terminal.end()
        runs = parse_rehearsal(path.with_suffix(".rehearsal.json").read_text()).scripts["orders"].runs
        assert [(run.script, run.exit_code) for run in runs] == [("010_due.sql", 0)], terminal.written
        assert (terminal.written.count(" asks "), terminal.written.count("password of ")) == (1, 1)


@pytest.mark.long
def test_an_extension_is_told_with_its_version(stage: Stage) -> None:
    plan = stage.plan({"010.sql": "CREATE EXTENSION citext;\n"}, way_back="")
    record = rehearsed(plan)
    sums = LocalText((stage.folder / "SHA256SUMS").read_text())
    offered = stage.cluster.scalar("SELECT default_version FROM pg_available_extensions WHERE name = 'citext'")
    assert touched_objects(plan.scripts["orders"], Rehearsed(record), sums).extensions == {"citext": offered}
    found = finding(ScriptRights, plan)
    assert found.status is Status.PASS, told(found)


@pytest.mark.long
@pytest.mark.parametrize("is_there", [False, True])
def test_a_dropped_extension_is_told_without_its_members_and_with_what_used_them(stage: Stage, is_there: bool) -> None:
    make, drop = "CREATE EXTENSION citext;\n", "DROP EXTENSION citext CASCADE;\n"
    column = "ALTER TABLE billing.invoice ADD COLUMN who citext;\n"
    if is_there:
        stage.cluster.sql(f"ALTER ROLE {stage.release.name} SUPERUSER; {make}{column}", dbname=stage.name)
    scripts = {"010.sql": drop} if is_there else {"010.sql": make + column, "020.sql": drop}
    plan = stage.plan(scripts, way_back="")
    runs = tried(plan).forward
    assert runs[-1].exit_code == 0, runs[-1].said
    dropped = [f"{each.kind} {each.name}" for each in runs[-1].touched if each.dropped]
    assert dropped == ["extension citext", "table column billing.invoice.who"]
