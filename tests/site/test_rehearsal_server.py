"""preflight rehearse on a server of the site's own: refused where it could be one of the plan's, and left as it was."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.rehearsal import RehearsalCheck

from preflight.clock import Deadline
from preflight.finding import Status
from preflight.plan import Account, Content, Plan, RehearsalServer, SecretRef, SslMode
from preflight.rehearsal import ScratchError
from tests.cli.program import argv, environment
from tests.sessions.conftest import GENEROUS_SECONDS
from tests.site.asking import finding, told
from tests.site.postgres import Cluster, DatabaseRole
from tests.site.site import Site
from tests.site.test_rehearse import (
    GOOD,
    NO_WAY_BACK,
    REFERS,
    Stage,
    make_stage,
    newer,
    nothing_is_left_anywhere,
    plan_file,
    rehearsed,
    stage,
    with_restore,
)

__all__ = ["newer", "nothing_is_left_anywhere", "stage"]
ADDRESS, ANOTHER = "127.0.0.9", "127.0.0.10"
SECRET = "REHEARSAL_PASSWORD"
STATE = """
SELECT 'database', to_jsonb(d)::text FROM (SELECT datname, datdba, datacl, datistemplate FROM pg_database) d
UNION ALL SELECT 'role', to_jsonb(r)::text FROM pg_authid r
UNION ALL SELECT 'member', to_jsonb(m)::text FROM pg_auth_members m
UNION ALL SELECT 'setting', to_jsonb(s)::text FROM pg_db_role_setting s
UNION ALL SELECT 'parameter', to_jsonb(p)::text FROM pg_parameter_acl p
UNION ALL SELECT 'comment', to_jsonb(c)::text FROM pg_shdescription c ORDER BY 1, 2
"""


class Rehearsals:
    """A server that is there for rehearsals, its superuser, and what it held before."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.role = cluster.create_role("rehearsal", options="SUPERUSER")
        self.before = self.state()

    def state(self) -> list[tuple[Any, ...]]:
        return self.cluster.sql(STATE)

    def server(self, address: str = ADDRESS, role: DatabaseRole | None = None, **more: Any) -> RehearsalServer:
        user = Account((role or self.role).name)
        sslmode = SslMode.REQUIRE if self.cluster.tls else SslMode.DISABLE
        password = SecretRef("env", SECRET)
        return RehearsalServer(
            **{
                "address": address, "port": self.cluster.port, "ssh_port": 1, "user": user, "password": password,
                "sslmode": sslmode, **more,
            }
        )  # fmt: skip

    def on(self, plan: Plan, **server: Any) -> Plan:
        return replace(plan, rehearsal=replace(plan.rehearsal, server=self.server(**server)))


@pytest.fixture(scope="module")
def cluster(site: Site) -> Cluster:
    return site.start_postgres(settings={"listen_addresses": f"{ADDRESS},{ANOTHER}"})


@pytest.fixture(scope="module")
def newer_cluster(site: Site) -> Cluster:
    return site.start_postgres(settings={"listen_addresses": ADDRESS}, programs=site.newer_programs)


def rehearsals_on(cluster: Cluster, patch: pytest.MonkeyPatch) -> Iterator[Rehearsals]:
    found = Rehearsals(cluster)
    patch.setenv(SECRET, found.role.password)
    yield found
    assert found.state() == found.before


@pytest.fixture
def rehearsals(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsals]:
    yield from rehearsals_on(cluster, monkeypatch)


@pytest.fixture
def newer_rehearsals(newer_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsals]:
    yield from rehearsals_on(newer_cluster, monkeypatch)


ODD = """
CREATE ROLE "o'neil; --" NOLOGIN;
ALTER ROLE "o'neil; --" SET application_name = E'\\nCREATE ROLE {admin};\\nALTER ROLE {admin} NOLOGIN; \\\\';
COMMENT ON ROLE "o'neil; --" IS 'who''s that';
GRANT "o'neil; --" TO {role};
GRANT "o'neil; --" TO postgres;
GRANT SET ON PARAMETER log_statement TO {role}, PUBLIC;
"""
FAR = """
CREATE FOREIGN DATA WRAPPER none;
CREATE SERVER far FOREIGN DATA WRAPPER none;
ALTER SERVER far OWNER TO {backup};
CREATE USER MAPPING FOR {role} SERVER far OPTIONS (password 'secret');
"""
TWO_ENTRIES = {
    **GOOD,
    "030_comment.sql": "COMMENT ON DATABASE {name} IS 'v5';\n",
    "110_late.sql": "SET log_statement = 'none'; ALTER TABLE billing.invoice ALTER due SET DEFAULT now();\n",
    "120_far.sql": "SELECT 1 / (servers.count - mappings.count) FROM (SELECT count(*) FROM pg_foreign_server) servers, "
    "(SELECT count(*) FROM pg_user_mappings) mappings;\n",
}


@pytest.mark.long
def test_good_scripts_pass_there_and_nothing_is_left(stage: Stage, rehearsals: Rehearsals) -> None:
    """Whatever roles are called, the comment by which the database is known is changed, and without the password for
    another server; a second entry is drilled on what the first one leaves."""
    words = {"admin": rehearsals.role.name, "role": stage.release.name, "backup": stage.backup.name}
    stage.cluster.sql(ODD.format(**words))
    stage.cluster.sql(FAR.format(**words), dbname=stage.name)
    scripts = {name: text.replace("{name}", stage.name) for name, text in TWO_ENTRIES.items()}
    plan = rehearsals.on(stage.plan(scripts, files=("010_due.sql", "020_total.sql", "030_comment.sql"), way_back=""))
    second = replace(plan.scripts["orders"], id="second", files=("110_late.sql", "120_far.sql"))
    record = rehearsed(replace(plan, scripts={**plan.scripts, "second": second}))
    stage.cluster.sql("""DROP ROLE "o'neil; --"; REVOKE SET ON PARAMETER log_statement FROM PUBLIC""")
    runs = [run for entry in record.scripts.values() for run in entry.runs]
    assert [(run.exit_code, run.said) for run in runs] == [(0, "")] * 5
    assert all(run.touched for run in runs[:2]), "the event triggers saw it"
    drills = [drill for entry in record.scripts.values() for drill in entry.drills]
    assert [drill.exit_code for drill in drills] == [3] * 5
    assert all("preflight_drill_breaks_here" in drill.said for drill in drills), drills
    assert (drills[0].kept, "+  column due date" in drills[1].kept) == ("", True)


@pytest.mark.long
def test_scripts_there_have_a_password_of_their_own(stage: Stage, rehearsals: Rehearsals, shared_path: Path) -> None:
    seen = shared_path / "seen"
    rehearsed(rehearsals.on(stage.plan({"010_env.sql": f"\\! env >>{seen}\nSELECT 1;\n"}, way_back="")))
    assert "PGPASSWORD=" in seen.read_text()
    assert rehearsals.role.password not in seen.read_text()


@pytest.mark.long
def test_a_restore_there_on_a_newer_version(newer: Stage, newer_rehearsals: Rehearsals) -> None:
    newer.back_up()
    plan = newer_rehearsals.on(newer.plan(GOOD, content=Content.RESTORE))
    assert rehearsed(plan).databases["orders"].has_rows
    found = finding(RehearsalCheck, plan)
    assert found.status is Status.PASS, told(found)
    assert f"at {ADDRESS}:{newer_rehearsals.cluster.port}, " in found.judgement.summary


@pytest.mark.long
def test_a_setting_of_that_server_is_as_the_real_server_has_it(stage: Stage, rehearsals: Rehearsals) -> None:
    rehearsals.cluster.sql("ALTER SYSTEM SET transform_null_equals = on")
    rehearsals.cluster.reload()
    plan = stage.plan({"010_off.sql": "SELECT 1 / (('a' = NULL) IS NULL)::int;\n"}, way_back="")
    (run,) = rehearsed(rehearsals.on(plan)).scripts["orders"].runs
    rehearsals.cluster.sql("ALTER SYSTEM RESET transform_null_equals")
    rehearsals.cluster.reload()
    assert run.exit_code == 0, run.said


@pytest.mark.long
def test_a_restore_is_tried_there_as_the_role_that_does_it(stage: Stage, rehearsals: Rehearsals) -> None:
    """As the scripts' role and as one that has no password there; into another database, which is removed again."""
    other = "CREATE SCHEMA own CREATE TABLE other (); GRANT USAGE ON SCHEMA own TO PUBLIC"
    stage.cluster.sql(other, dbname=stage.name)

    def said(script: str, **restore: Any) -> str:
        plan = with_restore(stage.plan({"010.sql": script}, way_back=""), **restore)
        [ended] = rehearsed(rehearsals.on(plan)).databases["orders"].restores.values()
        return ended

    owner, elsewhere = {"login": Account("postgres")}, {"options": (), "into": "put back"}
    assert "ERROR: must be owner of table other" in said(NO_WAY_BACK)
    assert said(NO_WAY_BACK, **owner) == ""
    assert "ERROR: cannot drop constraint" in said(REFERS, **owner)
    assert said(REFERS, **owner, **elsewhere) == ""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"address": "127.0.0.1"}, "127.0.0.1 is 127.0.0.1, and so is 127.0.0.1 of"),
        ({"address": "no.such.name.invalid"}, "of [rehearsal.server]: the name no.such.name.invalid does not exist"),
    ],
    ids=["address", "no such name"],
)
def test_another_address_is_wanted(stage: Stage, rehearsals: Rehearsals, change: dict[str, Any], why: str) -> None:
    with pytest.raises(ScratchError, match=re.escape(why)):
        rehearsed(rehearsals.on(stage.plan(GOOD), **change))


def test_a_machine_with_a_pinned_host_key_is_refused(site: Site, stage: Stage, rehearsals: Rehearsals) -> None:
    sshd = site.start_sshd(address=ADDRESS, key_types=("ecdsa", "ed25519"))
    plan = rehearsals.on(stage.plan(GOOD), ssh_port=sshd.port)
    with plan.sealed_known_hosts.open("a") as pinned:
        pinned.write(sshd.known_hosts_lines(f"[{site.sshd.address}]:{site.sshd.port}").splitlines()[0])
    with pytest.raises(ScratchError, match=f"{ADDRESS} shows the SSH host key that is pinned for db1: name another"):
        rehearsed(plan)


def test_a_server_of_the_plan_under_another_address_is_refused(
    site: Site, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsals = Rehearsals(cluster)
    monkeypatch.setenv(SECRET, rehearsals.role.password)
    stage = make_stage(site, cluster, tmp_path, monkeypatch)
    before = rehearsals.state()
    plan = rehearsals.on(stage.plan(GOOD), address=ANOTHER)
    real = replace(plan.databases["orders"], address=ADDRESS, server_name="localhost")
    with pytest.raises(ScratchError, match="or a copy of its files, by its system identifier"):
        rehearsed(replace(plan, databases={"orders": real}))
    assert rehearsals.state() == before
    cluster.drop_databases(0)


def test_a_server_whose_identity_cannot_be_compared_is_refused(stage: Stage, rehearsals: Rehearsals) -> None:
    stage.cluster.sql("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC", dbname=stage.name)
    with pytest.raises(ScratchError, match="could be that of orders, whose system identifier its role may not see"):
        rehearsed(rehearsals.on(stage.plan(GOOD)))


def no_superuser(stage: Stage, rehearsals: Rehearsals) -> str:
    rehearsals.cluster.sql(f"ALTER ROLE {rehearsals.role.name} NOSUPERUSER")
    return f"{rehearsals.role.name} is none: run there: ALTER ROLE {rehearsals.role.name} SUPERUSER"


def autovacuum(stage: Stage, rehearsals: Rehearsals) -> str:
    rehearsals.cluster.restart({"autovacuum": "on"})
    return "runs autovacuum"


def wrong_password(stage: Stage, rehearsals: Rehearsals) -> str:
    rehearsals.cluster.sql(f"ALTER ROLE {rehearsals.role.name} PASSWORD 'another'")
    return f"does not let {rehearsals.role.name} in"


def others(stage: Stage, rehearsals: Rehearsals) -> str:
    return f"holds the database {rehearsals.cluster.create_database('others')}, and a script reaches all"


def taken_role(stage: Stage, rehearsals: Rehearsals) -> str:
    rehearsals.cluster.sql(f"CREATE ROLE {stage.release.name}")
    return f"has the role {stage.release.name}, which is left as it is"


def mighty_role(stage: Stage, rehearsals: Rehearsals) -> str:
    stage.cluster.sql(f"ALTER ROLE {stage.release.name} CREATEROLE")
    return "the role of the scripts may change the whole server"


def altering_role(stage: Stage, rehearsals: Rehearsals) -> str:
    stage.cluster.sql(f"GRANT ALTER SYSTEM ON PARAMETER work_mem TO {stage.release.name}")
    return "the role of the scripts may change the whole server"


def prepared_transactions(stage: Stage, rehearsals: Rehearsals) -> str:
    rehearsals.cluster.restart({"max_prepared_transactions": "10"})
    return "lets scripts do what the real server may not: max_prepared_transactions is 10 (real server: 0): have the"


def library(stage: Stage, rehearsals: Rehearsals) -> str:
    rehearsals.cluster.restart({"shared_preload_libraries": "auto_explain"})
    return "what the real server may not: library auto_explain is loaded (real server: none): have"


def tablespace(stage: Stage, rehearsals: Stage | Rehearsals) -> str:
    with rehearsals.cluster.connect() as connection:
        connection.execute("SET allow_in_place_tablespaces = on")
        connection.execute("CREATE TABLESPACE fast LOCATION ''")
    return "what the real server may not: tablespace fast is made (real server: none): have"


def open_tablespace(stage: Stage, rehearsals: Rehearsals) -> str:
    tablespace(stage, rehearsals)
    tablespace(stage, stage)
    rehearsals.cluster.sql("GRANT CREATE ON TABLESPACE fast TO PUBLIC")
    return f"may not: CREATE ON TABLESPACE fast TO {stage.release.name} is granted (real server: none): have"


@pytest.mark.long
@pytest.mark.parametrize(
    "made",
    [
        no_superuser, autovacuum, wrong_password, others, taken_role, mighty_role, altering_role,
        prepared_transactions, library, tablespace, open_tablespace,
    ],
)  # fmt: skip
def test_a_server_that_does_not_fit_is_left_as_it_is(
    stage: Stage, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, made: Callable[[Stage, Rehearsals], str]
) -> None:
    rehearsals = Rehearsals(cluster)
    monkeypatch.setenv(SECRET, rehearsals.role.password)
    why = made(stage, rehearsals)
    before = rehearsals.state()
    with pytest.raises(ScratchError, match=re.escape(why)):
        rehearsed(rehearsals.on(stage.plan(GOOD)))
    assert rehearsals.state() == before
    if made in (autovacuum, prepared_transactions, library):
        usual = {"autovacuum": "off", "max_prepared_transactions": "0", "shared_preload_libraries": ""}
        cluster.restart(usual)
    for of_cluster in (cluster, stage.cluster):
        of_cluster.sql("DROP TABLESPACE IF EXISTS fast")
    cluster.drop_databases(0)


@pytest.mark.long
def test_a_server_that_lets_the_scripts_role_not_in_is_told(stage: Stage, rehearsals: Rehearsals) -> None:
    with (
        rehearsals.cluster.hba(f"host all {stage.release.name} 127.0.0.0/8 reject"),
        pytest.raises(ScratchError, match=f"does not let {stage.release.name} in from here: .*pg_hba.conf"),
    ):
        rehearsed(rehearsals.on(stage.plan(GOOD)))


def test_one_rehearsal_at_a_time_and_no_command_there(stage: Stage, rehearsals: Rehearsals) -> None:
    with rehearsals.cluster.connect() as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended('preflight rehearse', 0))")
        with pytest.raises(ScratchError, match="is in use by another rehearsal"):
            rehearsed(rehearsals.on(stage.plan(GOOD)))
    command: dict[str, Any] = {"command": ("./deploy.sh", "prod"), "rehearse_command": ("./deploy.sh", "scratch")}
    with pytest.raises(ScratchError, match=r"the drill of a `command` \(orders\) is read from the server's own log"):
        rehearsed(rehearsals.on(stage.plan({**GOOD, "deploy.sh": "#!/bin/sh\n"}, way_back="", **command)))


def ended(path: Path, rehearsals: Rehearsals, stage: Stage, end: str) -> str:
    """What `preflight rehearse` says when it ends so, while a script runs."""
    known = environment(RELEASE_PASSWORD=stage.release.password, **{SECRET: rehearsals.role.password})
    with subprocess.Popen(argv("rehearse", path), stderr=subprocess.PIPE, text=True, env=known) as child:
        assert child.stderr is not None
        said = "".join(iter(child.stderr.readline, "running orders ...\n"))
        deadline, runs = Deadline(5 * GENEROUS_SECONDS), False
        while not runs and not deadline.over:
            seen = rehearsals.cluster.sql("SELECT query FROM pg_stat_activity WHERE datname = %s", stage.name)
            runs = any(query.startswith("SELECT pg_sleep(600)") for (query,) in seen)
        assert runs
        if end == "server stopped":
            rehearsals.cluster.stop()
        else:
            child.send_signal(signal.SIGINT if end == "Ctrl-C" else signal.SIGKILL)
        said += child.stderr.read()
        assert child.wait(GENEROUS_SECONDS) == {"Ctrl-C": 130, "killed": -9, "server stopped": 3}[end], said
    return said


@pytest.mark.long
def test_whatever_ends_it_the_server_is_left_as_it_was(stage: Stage, rehearsals: Rehearsals) -> None:
    path, server = plan_file(stage, {"010_wait.sql": "SELECT pg_sleep(600);\n"}), rehearsals.server()
    keys = {"address": server.address, "user": server.user, "password": server.password}
    with path.open("a") as opened:
        opened.write(f"[rehearsal.server]\nport = {server.port}\nssh_port = 1\n")
        opened.write("".join(f'{key} = "{value}"\n' for key, value in keys.items()))
    said = ended(path, rehearsals, stage, "Ctrl-C")
    assert f"that writes: on the server {ADDRESS}, port {server.port}, as {server.user}" in said
    assert f"no SSH host key was seen at {ADDRESS}, port 1:" in said
    assert rehearsals.state() == rehearsals.before
    ended(path, rehearsals, stage, "killed")
    assert rehearsals.state() != rehearsals.before
    said = ended(path, rehearsals, stage, "server stopped")  # the next one removed what was left
    assert f"what was made on {ADDRESS}:{server.port} is still there" in said
    rehearsals.cluster.restart()
    assert rehearsals.state() != rehearsals.before
    plan = stage.plan({"010_none.sql": "SELECT 1;\n"}, way_back="")
    assert rehearsed(rehearsals.on(plan)).scripts["orders"].runs
