"""script-effect on a real host, beside a real PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import preflight_checks.script_effect as script_effect
import pytest
from preflight_checks.script_effect import ScriptEffect

from preflight.finding import Finding, Status
from preflight.plan import Content, Plan, RemotePath, Role, SaidPath, Scripts, SecretRef, Step
from preflight.probe import Reply
from preflight.questions.rehearsed import Touched, format_rehearsal
from preflight.questions.sizes import DataDirectoriesProbe
from tests.checks.test_rehearsal import RECORD, TRIED
from tests.site.asking import NOW, database_on, finding, host_on, make_plan, told
from tests.site.mounts import Mounts
from tests.site.postgres import Cluster
from tests.site.site import Site

Ask = Callable[..., Finding]
DBA = Role(id="dba", primary="D. Kaya", standby="M. Ortiz", contact="ext. 4411")
BIG = Touched(kind="table", name='app."Big lines"', defined=True, rewritten=True)


@pytest.fixture
def ask(site: Site, postgres: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    role = postgres.create_role("release", options="IN ROLE pg_read_all_settings")
    name = postgres.create_database("orders", owner=role.name)
    monkeypatch.setenv("ORDERS_PASSWORD", role.password)
    postgres.sql(
        'CREATE SCHEMA app; CREATE TABLE app."Big lines" AS SELECT n, repeat(md5(n::text), 10) FROM '
        "generate_series(1, 12000) n",
        dbname=name,
    )

    def ask(data: Path, content: Content, temp_tablespaces: str = "") -> Finding:
        if temp_tablespaces:
            postgres.sql(f"GRANT CREATE ON TABLESPACE temporary TO {role.name}")
            postgres.sql(f"ALTER ROLE {role.name} SET temp_tablespaces = {temp_tablespaces}")
        said = SaidPath(path=RemotePath(str(data)), by="dba", on=NOW.date(), reason="pg_lsclusters")
        postgres.sql(f"REVOKE pg_read_all_settings FROM {role.name}")
        secret = SecretRef("env", "ORDERS_PASSWORD")
        entry = database_on(postgres, role.name, name=name, password=secret, owner="dba", data_directory=said)
        plan = make_plan(
            tmp_path,
            hosts=[host_on(site.sshd, site.account("good"))],
            databases=[entry],
            known_hosts=site.sshd.known_hosts_lines(),
            roles={"dba": DBA},
            steps=(Step(id="scripts", minutes=1),),
            scripts={
                "orders": Scripts(
                    id="orders",
                    database="orders",
                    approved=Path("sql"),
                    manifest=Path("sql.sums"),
                    staged=RemotePath("/srv"),
                    step="scripts",
                )
            },
        )
        write_record(plan, content)
        return finding(ScriptEffect, plan)

    return ask


def write_record(plan: Plan, content: Content) -> None:
    """Of one script that rewrote the table, in 50 s and in a database of 1 MiB."""
    run = replace(TRIED.runs[0], seconds=50.0, touched=(BIG,))
    of = replace(RECORD.databases["orders"], content=content, size_bytes=1024 * 1024)
    record = replace(RECORD, databases={"orders": of}, scripts={"orders": replace(TRIED, runs=(run,))})
    plan.rehearsal_record.write_text(format_rehearsal(record))


@pytest.mark.long
def test_the_live_size_of_a_rewritten_table_must_fit_twice(ask: Ask, mounts: Mounts) -> None:
    large, small = (mounts.ext4(name, megabytes=size, mode=0o755) for name, size in (("large", 32), ("small", 8)))
    for each in (large, small):
        (each / "pg_wal").mkdir()
    found = ask(large, Content.SCHEMA)
    assert found.status is Status.PASS, told(found)
    assert "for what the scripts write, 1.2 times" in found.judgement.summary
    found = ask(small, Content.SCHEMA)
    assert found.status is Status.FAIL, told(found)
    assert "there is no room for what the scripts write" in told(found)
    assert f"more made free on {small} (ext4" in told(found)


def test_a_full_disk_of_the_roles_temporary_files_fails(ask: Ask, mounts: Mounts, postgres: Cluster) -> None:
    large, small = (mounts.ext4(name, megabytes=32, mode=0o755) for name in ("large", "small"))
    place = small / "pg"
    (large / "pg_wal").mkdir()
    place.mkdir(mode=0o700)
    shutil.chown(place, "postgres", "postgres")
    postgres.sql(f"CREATE TABLESPACE temporary LOCATION '{place}'")
    try:
        found = ask(large, Content.SCHEMA, "pg_default, temporary")
        assert found.status is Status.PASS, told(found)
        (small / "full").write_bytes(bytes(12 * 1024 * 1024))
        found = ask(large, Content.SCHEMA, "pg_default, temporary")
        assert found.status is Status.FAIL, told(found)
        assert "there is no room for temporary files of " in told(found)
        assert f"more made free on {small} (ext4" in told(found)
        assert ask(large, Content.SCHEMA, "nowhere").status is Status.PASS, "the server takes the default then"
    finally:
        postgres.sql("DROP TABLESPACE temporary")


@pytest.mark.long
def test_where_the_archive_lies_the_servers_own_command_says(site: Site) -> None:
    cluster, probe = site.start_postgres(settings={"archive_mode": "on"}), DataDirectoriesProbe("orders")
    for command, folder in (
        ("cp %p /srv/ar/%f", "/srv/ar"),
        ("test ! -f /srv/ar/%f && cp %p /srv/ar/%f", "/srv/ar"),
        ('cp "%p" "/srv/ar/wal/%f"', "/srv/ar/wal"),
        ("pgbackrest --stanza=main archive-push %p", ""),
    ):
        cluster.sql(f"ALTER SYSTEM SET archive_command = '{command}'")
        cluster.reload()
        rows = cluster.sql(f"SELECT row_to_json(r)::text FROM ({probe.ask()}) r")
        found = probe.read(Reply(0, f"[{','.join(row[0] for row in rows)}]", NOW, 0.1, "here"))
        assert (found.archive, found.data) == (folder, str(cluster.data)), command


def test_shared_memory_that_is_full_is_warned_of(ask: Ask, mounts: Mounts, monkeypatch: pytest.MonkeyPatch) -> None:
    large, small = mounts.ext4("large", megabytes=32, mode=0o755), mounts.tmpfs("shared", size="8m")
    (large / "pg_wal").mkdir()
    assert ask(large, Content.SCHEMA).status is Status.PASS
    monkeypatch.setattr(script_effect, "_SHARED", str(small))
    found = ask(large, Content.SCHEMA)
    assert found.status is Status.WARN, told(found)
    assert f"free on {small} (tmpfs" in told(found)


def test_minutes_of_a_smaller_restore_grow_with_the_live_database(ask: Ask, mounts: Mounts) -> None:
    found = ask(mounts.ext4("large", megabytes=32, mode=0o755), Content.RESTORE)
    assert found.status is Status.FAIL, told(found)
    assert "longer than planned" in told(found)
    assert "50 s on a restore of 1 MiB, so " in told(found)
