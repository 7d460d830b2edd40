"""database-login and database-host against a real PostgreSQL, in every state a role can be in."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from preflight_checks.database_host import DatabaseHost
from preflight_checks.database_login import DatabaseLogin

from preflight.engine.conclude import events_inside
from preflight.finding import Finding, Status
from preflight.plan import Account as Login
from preflight.plan import (
    Backup,
    BackupMethod,
    Connect,
    Host,
    RemotePath,
    Scripts,
    SecretRef,
    ServerRole,
    SslMode,
    Step,
)
from preflight.probe import Reply
from preflight.questions.postgres import Identity, IdentityProbe
from tests.site.accounts import Accounts, make_key
from tests.site.asking import NOW, WINDOW, database_on, finding, host_on, make_plan, sealed_at, told
from tests.site.machine import free_port
from tests.site.postgres import Cluster, DatabaseRole
from tests.site.site import Site

Ask = Callable[..., Finding]
INSIDE = 364.8
"""From now to a window of 6 h in which the cluster's certificate, valid for a year, ends."""


class Orders:
    """A database with a role that owns it, and the part of a plan that names them."""

    def __init__(self, site: Site, cluster: Cluster, role: DatabaseRole, name: str) -> None:
        self.site = site
        self.cluster = cluster
        self.role = role
        self.name = name
        self.host = host_on(site.sshd, site.account("good"))
        self.sealed = sealed_at(cluster, dbname=name)
        self.entry = database_on(cluster, role.name, name=name, password=SecretRef("env", "ORDERS_PASSWORD"))


@pytest.fixture
def orders(site: Site, postgres: Cluster, monkeypatch: pytest.MonkeyPatch) -> Orders:
    role = postgres.create_role("release")
    monkeypatch.setenv("ORDERS_PASSWORD", role.password)
    return Orders(site, postgres, role, postgres.create_database("orders", owner=role.name))


@pytest.fixture
def ask(orders: Orders, tmp_path: Path) -> Ask:
    """The finding about the database, its entry changed by keywords."""

    def ask(
        check: type = DatabaseLogin,
        host: Host | None = None,
        *,
        sections: Mapping[str, Any] | None = None,
        **changes: object,
    ) -> Finding:
        entry = replace(orders.entry, **changes)  # type: ignore[arg-type]
        plan = make_plan(
            tmp_path,
            hosts=[host or orders.host],
            databases=[entry],
            known_hosts=orders.site.sshd.known_hosts_lines(),
            **{"sealed": orders.sealed, **(sections or {})},
        )
        return finding(check, plan)

    return ask


def alter(orders: Orders, what: str) -> None:
    orders.cluster.sql(f'ALTER ROLE "{orders.role.name}" {what}')


def test_a_good_role_passes_and_the_line_says_which_server_answered(orders: Orders, ask: Ask) -> None:
    system = str(orders.cluster.scalar("SELECT system_identifier FROM pg_control_system()"))
    found = ask(version=str(orders.cluster.version), system_identifier=system)
    assert found.status is Status.PASS, told(found)
    for words in (
        f"{orders.role.name} logs in with its password to {orders.name}",
        f"at {orders.cluster.address}:{orders.cluster.port} (TLSv1.3); primary",
        f"system {system}",
        "does not expire",
        "connections of the server are free",
    ):
        assert words in found.judgement.summary


def test_a_certificate_that_was_not_verified_is_said(ask: Ask) -> None:
    found = ask(sslmode=SslMode.REQUIRE, sslrootcert=None)
    assert found.status is Status.PASS, told(found)
    assert "certificate not verified" in found.judgement.summary


def test_without_tls_the_line_says_so(ask: Ask) -> None:
    found = ask(sslmode=SslMode.DISABLE, sslrootcert=None)
    assert found.status is Status.PASS, told(found)
    assert "(without TLS)" in found.judgement.summary


def fails(found: Finding, summary: str, remedy: str) -> None:
    assert found.status is Status.FAIL, told(found)
    assert summary in found.judgement.summary
    assert remedy in found.judgement.remedy
    assert found.judgement.actual


def test_a_wrong_password_fails(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_PASSWORD", "wrong-password")
    found = ask()
    fails(found, "no login: bad password", "correct the secret")
    assert "wrong-password" not in repr(found)


def test_a_secret_that_is_missing_is_the_callers_and_no_failure_of_the_database(ask: Ask) -> None:
    found = ask(password=SecretRef("env", "NOT_SET_ANYWHERE"))
    assert (found.status, found.owner) == (Status.UNKNOWN, "whoever runs preflight"), told(found)
    said = "not tried: the environment variable NOT_SET_ANYWHERE is not set (where preflight runs)"
    assert found.judgement.summary == said


def test_a_plan_without_the_password_the_server_wants_fails(ask: Ask) -> None:
    fails(ask(password=None), "no login: password needed", "name where the password of")


def test_a_role_that_expired_fails(orders: Orders, ask: Ask) -> None:
    alter(orders, "VALID UNTIL '2020-01-01'")
    fails(ask(), "no login: bad password", "VALID UNTIL '20")


def test_a_role_without_login_fails(orders: Orders, ask: Ask) -> None:
    alter(orders, "NOLOGIN")
    found = ask()
    assert found.status is Status.FAIL, told(found)
    assert f"ALTER ROLE {orders.role.name} LOGIN" in found.judgement.remedy


def test_a_database_that_is_missing_fails(ask: Ask) -> None:
    fails(ask(name="nosuch"), "no login: database missing", "correct `name`")


def test_a_role_without_connect_fails(orders: Orders, ask: Ask) -> None:
    name = orders.cluster.create_database("closed")
    orders.cluster.sql(f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC')
    fails(ask(name=name), "no login: no connect privilege", f"GRANT CONNECT ON DATABASE {name}")


def test_a_pg_hba_conf_that_rejects_fails(orders: Orders, ask: Ask) -> None:
    with orders.cluster.hba(f"host all {orders.role.name} all reject"):
        fails(ask(), "no login: no entry in pg_hba.conf", "pg_hba.conf")


def test_a_closed_port_fails(ask: Ask) -> None:
    fails(ask(port=free_port("127.0.0.1")), "no login: refused", "have the server started")


def test_an_unknown_name_fails(ask: Ask) -> None:
    fails(ask(address="db.invalid"), "no login: unreachable (no such name)", "correct `address`")


def test_a_certificate_for_another_name_fails(ask: Ask) -> None:
    fails(ask(server_name="other.test"), "no login: TLS failed (certificate name)", "server_name")


def test_a_certificate_nobody_trusts_fails(ask: Ask, tmp_path: Path, site: Site) -> None:
    from tests.site.certificates import Authority

    other = Authority(site.new_path("otherca"))
    fails(ask(sslrootcert=other.certificate), "no login: TLS failed (certificate untrusted)", "sslrootcert")


@contextlib.contextmanager
def holding(orders: Orders, count: int) -> Iterator[None]:
    """Connections of the role, held open."""
    role = orders.role
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            where = {"host": orders.cluster.address, "user": role.name, "password": role.password}
            stack.enter_context(contextlib.closing(orders.cluster.connect(orders.name, **where)))
        yield


def test_a_role_limit_below_what_the_plan_needs_fails(orders: Orders, ask: Ask) -> None:
    alter(orders, "CONNECTION LIMIT 3")
    assert ask(sessions=3).status is Status.PASS
    fails(ask(sessions=4), f"3 connections of the role {orders.role.name} are free, 4 needed", "limit of the role")


def test_a_database_limit_below_what_the_plan_needs_fails(orders: Orders, ask: Ask) -> None:
    orders.cluster.sql(f'ALTER DATABASE "{orders.name}" CONNECTION LIMIT 2')
    assert ask(sessions=2).status is Status.PASS
    fails(ask(sessions=3), f"2 connections of the database {orders.name} are free", "limit of the database")


def test_a_server_with_few_connections_left_warns_and_then_fails(orders: Orders, ask: Ask) -> None:
    found = ask(sessions=44)  # of 50, 3 are reserved: 47 are free for this role
    assert found.status in (Status.WARN, Status.PASS), told(found)
    found = ask(sessions=46)
    assert found.status is Status.WARN, told(found)
    assert "connections of the server are free, 46 needed" in found.judgement.summary
    fails(ask(sessions=48), "connections of the server are free, 48 needed", "limit of the server")


def test_a_role_that_dies_inside_the_window_fails_though_it_works_now(orders: Orders, ask: Ask) -> None:
    until = WINDOW.start + timedelta(hours=2)
    alter(orders, f"VALID UNTIL '{until.isoformat()}'")
    fails(ask(), f"the password of role {orders.role.name} ends", "VALID UNTIL '20")
    alter(orders, f"VALID UNTIL '{(WINDOW.needed_until + timedelta(days=2)).isoformat()}'")
    assert ask().status is Status.WARN
    for value in ("infinity", "2999-01-01"):
        alter(orders, f"VALID UNTIL '{value}'")
        assert ask().status is Status.PASS


@pytest.mark.long
def test_a_replica_where_a_primary_is_planned_fails(site: Site, orders: Orders, ask: Ask) -> None:
    site.replica.wait_for(site.postgres)
    orders.cluster.sql(f'ALTER ROLE "{orders.role.name}" CONNECTION LIMIT 5')  # something newer than the replica
    site.replica.wait_for(site.postgres)
    there = {"port": site.replica.port, "sections": {"sealed": sealed_at(site.replica)}}
    found = ask(**there)
    fails(found, "the server is a replica", "which server is the primary now")
    assert ask(**there, role=ServerRole.REPLICA).status is Status.PASS
    fails(ask(role=ServerRole.REPLICA), "the server is a primary", "which server is the replica now")
    assert ask(**there, role=ServerRole.ANY).status is Status.PASS


@pytest.mark.long
@pytest.mark.case(27)
def test_a_replica_that_is_backed_up_must_replay(site: Site, orders: Orders, ask: Ask) -> None:
    """The cure is pasted on its host."""
    site.replica.wait_for(site.postgres)
    orders.cluster.sql(f'ALTER ROLE "{orders.role.name}" CONNECTION LIMIT 5')
    site.replica.wait_for(site.postgres)
    backup = Backup(id="nightly", database="orders", directory=RemotePath("/backup"), taken_by="cron")
    sections = {"sealed": sealed_at(site.replica), "backups": {"nightly": backup}}
    there = {"port": site.replica.port, "role": ServerRole.REPLICA, "sections": sections}
    found = ask(**there)
    assert found.status is Status.PASS, told(found)
    assert "from its sender, which this role may not see, 0 s behind it" in found.judgement.summary
    orders.cluster.sql(f'GRANT pg_monitor TO "{orders.role.name}"')
    site.replica.wait_for(site.postgres)
    site.replica.sql("SELECT pg_wal_replay_pause()")
    found = ask(**there)
    fails(found, "replay is paused: it keeps an old state", "pg_wal_replay_resume()")
    program, *arguments = shlex.split(found.judgement.remedy.partition(": ")[2].partition("; or")[0])
    site.replica.client(program, *arguments)
    found = ask(**there)
    assert found.status is Status.PASS, told(found)
    assert re.search(rf"receives from \S+:{site.postgres.port}, 0 s", found.judgement.summary), told(found)
    alone = {"port": site.replica.port, "role": ServerRole.REPLICA, "sections": {"sealed": sealed_at(site.replica)}}
    site.replica.sql("SELECT pg_wal_replay_pause()")
    fails(ask(**alone), "replay is paused: it keeps an old state", "pg_wal_replay_resume()")
    site.replica.sql("SELECT pg_wal_replay_resume()")
    assert ask(**alone).status is Status.PASS


@pytest.mark.long
@pytest.mark.case(17)
def test_a_copy_of_the_server_that_was_sealed_fails_and_no_waiver_covers_it(
    site: Site, orders: Orders, ask: Ask
) -> None:
    """The copy has the role, the database and the system identifier; its port, and to who may see it its folder, are
    its own."""
    clone = site.start_postgres(copy_of=orders.cluster)
    clone.sql("SELECT pg_promote()")
    for right, seen in (("", "port and timeline differ"), ("pg_read_all_settings", "data directory and port and")):
        if right:
            clone.sql(f'GRANT {right} TO "{orders.role.name}"')
        found = ask(port=clone.port)
        fails(found, f"not the server that was sealed: {seen}", "where the DBA confirms")
        assert "; system identifier and database oid agree" in found.judgement.summary
        assert not found.judgement.waivable
        assert f"port {clone.port}" in found.judgement.actual


def is_another(found: Finding, summary: str, sealed: str, seen: str) -> None:
    """UNKNOWN until it is sealed again, and no waiver covers that."""
    assert (found.status, found.judgement.waivable) == (Status.UNKNOWN, False), told(found)
    assert (found.judgement.expected, found.judgement.actual) == (sealed, seen)
    assert summary in found.judgement.summary
    assert found.judgement.remedy.endswith(
        "take the entry of orders out of plan.sealed.json, then: preflight seal plan.toml"
    )


@pytest.mark.case(17)
def test_a_copy_that_was_renamed_to_the_name_of_the_database_is_unknown_until_it_is_sealed(
    orders: Orders, ask: Ask
) -> None:
    assert ask().status is Status.PASS
    oid, (cluster, name) = orders.sealed["orders"].oid, (orders.cluster, orders.name)
    cluster.sql(f"CREATE DATABASE {name}_copy TEMPLATE {name} STRATEGY file_copy")
    cluster.sql(f"ALTER DATABASE {name} RENAME TO {name}_old")
    cluster.sql(f"ALTER DATABASE {name}_copy RENAME TO {name}")
    try:
        again = sealed_at(cluster, dbname=name)
        summary = "not the database that was sealed: it was made anew or renamed since"
        is_another(ask(), summary, f"database oid {oid}", f"database oid {again['orders'].oid}")
        found = ask(sections={"sealed": again})
        assert found.status is Status.PASS, told(found)
        assert "port and database oid and timeline agree" in found.judgement.summary
        of_before = {"orders": replace(orders.sealed["orders"], oid="", timeline="")}  # by an older version
        assert ask(sections={"sealed": of_before}).status is Status.PASS
    finally:
        cluster.sql(f"DROP DATABASE {name}_old WITH (FORCE)")


@pytest.mark.long
@pytest.mark.case(17)
def test_a_promoted_copy_in_the_servers_own_folder_is_unknown_and_an_older_copy_fails(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = site.start_postgres(port=free_port("127.0.0.1"))
    role = cluster.create_role("release", options="IN ROLE pg_read_all_settings")
    monkeypatch.setenv("ORDERS_PASSWORD", role.password)
    orders = Orders(site, cluster, role, cluster.create_database("orders", owner=role.name))
    copy, kept = cluster.directory / "copy", cluster.directory / "kept"

    def ask(sealed: Mapping[str, Any]) -> Finding:
        hosts, known_hosts = [orders.host], site.sshd.known_hosts_lines()
        return finding(
            DatabaseLogin,
            make_plan(tmp_path, hosts=hosts, databases=[orders.entry], known_hosts=known_hosts, sealed=sealed),
        )

    cluster.stop()
    subprocess.run(["cp", "-a", cluster.data, copy], check=True)
    cluster.restart()
    cluster.sql("CREATE TABLE made_since (a int)", dbname=orders.name)
    assert ask(orders.sealed).status is Status.PASS
    cluster.stop()
    cluster.data.rename(kept)
    copy.rename(cluster.data)
    (cluster.data / "recovery.signal").touch()
    cluster.restart({"restore_command": "/bin/false", "hot_standby": "off"})  # nobody in before the promotion
    assert not cluster.sql("SELECT FROM pg_class WHERE relname = 'made_since'", dbname=orders.name)
    summary = "the server was promoted or put back from a backup since it was sealed"
    is_another(ask(orders.sealed), summary, "timeline 1", "timeline 2")
    again = sealed_at(cluster, dbname=orders.name)
    assert ask(again).status is Status.PASS
    cluster.stop()
    shutil.rmtree(cluster.data)
    kept.rename(cluster.data)
    cluster.restart()
    found = ask(again)
    fails(found, "an older copy of the server that was sealed: timeline differs; system identifier and data", "the DBA")
    assert not found.judgement.waivable


def test_another_version_or_another_cluster_than_planned_fails(ask: Ask) -> None:
    fails(ask(version="9.6"), "server version", "correct `version`")
    fails(
        ask(system_identifier="1234567890"),
        "another cluster answers",
        "otherwise correct `address` in [databases.orders]",
    )


def test_a_system_identifier_nobody_may_see_is_unknown(orders: Orders, ask: Ask) -> None:
    revoke = "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC"
    orders.cluster.sql(revoke, dbname=orders.name)
    system = str(orders.cluster.scalar("SELECT system_identifier FROM pg_control_system()"))
    for found in (ask(), ask(system_identifier=system, sections={"sealed": {}})):
        assert found.status is Status.UNKNOWN, told(found)
        program, *arguments = shlex.split(found.judgement.remedy)
        assert program == "psql"
    orders.cluster.client(program, *arguments)
    assert ask(system_identifier=system).status is Status.PASS


def test_a_timeline_nobody_may_see_is_unknown_where_it_was_sealed(orders: Orders, ask: Ask) -> None:
    orders.cluster.sql("REVOKE EXECUTE ON FUNCTION pg_control_recovery() FROM PUBLIC", dbname=orders.name)
    found = ask()
    assert found.status is Status.UNKNOWN, told(found)
    assert "the system identifier, or the timeline, may not be seen" in found.judgement.summary
    without = {"orders": replace(orders.sealed["orders"], timeline="")}
    assert ask(sections={"sealed": without}).status is Status.PASS
    orders.cluster.client(*shlex.split(found.judgement.remedy))
    assert ask().status is Status.PASS


def test_a_server_that_never_asks_for_the_password_is_a_warning(orders: Orders, ask: Ask) -> None:
    with orders.cluster.hba(f"host all {orders.role.name} all trust"):
        found = ask()
        assert found.status is Status.WARN, told(found)
        assert "the password was not asked for" in found.judgement.summary
        alter(orders, "VALID UNTIL '2020-01-01'")
        assert "VALID UNTIL" not in told(ask())


def test_a_superuser_is_a_warning(orders: Orders, ask: Ask) -> None:
    alter(orders, "SUPERUSER")
    found = ask()
    assert found.status is Status.WARN, told(found)
    assert "is a superuser" in found.judgement.summary


STEPS = {"steps": (Step(id="scripts", minutes=90, minutes_over_network=115),)}


def scripts(tmp_path: Path) -> dict[str, Any]:
    entry = Scripts(
        id="s", database="orders", approved=tmp_path, manifest=tmp_path, staged=RemotePath("/srv"), step="scripts"
    )
    return {"scripts": {"s": entry}, **STEPS}


def test_settings_of_the_role_that_break_scripts_fail(orders: Orders, ask: Ask, tmp_path: Path) -> None:
    alter(orders, "SET default_transaction_read_only = on")
    fails(ask(), "starts read-only transactions", "RESET default_transaction_read_only")
    alter(orders, "RESET default_transaction_read_only")
    orders.cluster.sql(f'ALTER ROLE "{orders.role.name}" IN DATABASE "{orders.name}" SET statement_timeout = \'10min\'')
    found = ask(sections=scripts(tmp_path))
    fails(found, "statement_timeout", "SET statement_timeout")
    assert found.judgement.minutes_at_stake == 25
    found = ask()
    assert found.status is Status.WARN, told(found)


@pytest.mark.parametrize(
    ("setting", "status", "words"),
    [
        ("idle_in_transaction_session_timeout = '5min'", Status.WARN, "idle_in_transaction_session_timeout"),
        ("search_path = app", Status.WARN, "unusual search_path of"),
        ("lock_timeout = '2s'", Status.PASS, ""),
        ('search_path = app, "$user"', Status.PASS, ""),
        ("session_replication_role = replica", Status.WARN, "triggers"),
    ],
)
def test_settings_that_change_what_scripts_do_are_told(
    orders: Orders, ask: Ask, setting: str, status: Status, words: str
) -> None:
    alter(orders, f"SET {setting}")
    found = ask()
    assert found.status is status, told(found)
    assert words in found.judgement.summary


def test_settings_that_a_role_may_not_see_are_unknown_until_it_may(orders: Orders, ask: Ask) -> None:
    orders.cluster.sql("REVOKE SELECT ON pg_catalog.pg_settings FROM PUBLIC", dbname=orders.name)
    found = ask()
    assert found.status is Status.UNKNOWN, told(found)
    orders.cluster.client("psql", "-X", "-d", orders.name, stdin=found.judgement.remedy)
    assert ask().status is Status.PASS


@pytest.mark.case(51)
def test_a_setting_with_bytes_that_are_no_utf_8_is_told(orders: Orders, ask: Ask) -> None:
    name = f"{orders.name}_ascii"
    orders.cluster.sql(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    path = r"convert_from('\x636166e9', 'SQL_ASCII')"
    change = f"EXECUTE format('ALTER ROLE %I SET search_path = public, %I', '{orders.role.name}', {path})"
    orders.cluster.sql(f"SET client_encoding = 'SQL_ASCII'; DO $$ BEGIN {change}; END $$", dbname=name)
    try:
        sections = {"sealed": sealed_at(orders.cluster, dbname=name)}
        found = ask(name=name, sections=sections)
        assert found.status is Status.WARN, told(found)
        assert "holds bytes that are no UTF-8" in found.judgement.summary
        orders.cluster.client("psql", "-X", "-d", "postgres", stdin=found.judgement.remedy)
        assert ask(name=name, sections=sections).status is Status.PASS
    finally:
        orders.cluster.sql(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_role_that_becomes_another_at_login_fails(orders: Orders, ask: Ask) -> None:
    other = orders.cluster.create_role("owner")
    orders.cluster.sql(f'GRANT "{other.name}" TO "{orders.role.name}"')
    alter(orders, f'SET role = "{other.name}"')
    fails(ask(), f"works as {other.name}", "RESET role")


@pytest.mark.long
def test_the_role_of_the_backup_is_judged_too(orders: Orders, ask: Ask) -> None:
    def with_login(name: str) -> Finding:
        backup = Backup(id="b", database="orders", directory=RemotePath("/backup"), login=Login(name))
        return ask(sections={"backups": {"b": backup}})

    role = orders.cluster.create_role("backup")
    assert with_login(role.name).status is Status.PASS
    fails(with_login("nosuchrole"), "the role nosuchrole of [backups.b] does not exist", "CREATE ROLE")
    orders.cluster.sql(f"ALTER ROLE \"{role.name}\" VALID UNTIL '{(NOW + timedelta(hours=10)).isoformat()}'")
    fails(with_login(role.name), f"the password of role {role.name} ends", "VALID UNTIL '20")
    orders.cluster.sql(f'ALTER ROLE "{role.name}" NOLOGIN')
    fails(with_login(role.name), "may not log in", f"ALTER ROLE {role.name} LOGIN")
    other = orders.cluster.create_role("backup")
    orders.cluster.sql(f'REVOKE CONNECT ON DATABASE "{orders.name}" FROM PUBLIC')
    fails(with_login(other.name), "may not connect", "GRANT CONNECT")


def test_the_role_of_the_scripts_is_judged_too(orders: Orders, ask: Ask, tmp_path: Path) -> None:
    role = orders.cluster.create_role("worker")
    sections = scripts(tmp_path)
    sections["scripts"]["s"] = replace(sections["scripts"]["s"], login=Login(role.name))
    assert ask(sections=sections).status is Status.PASS
    orders.cluster.sql(f"ALTER ROLE \"{role.name}\" VALID UNTIL '{(NOW + timedelta(hours=10)).isoformat()}'")
    fails(ask(sections=sections), f"the password of role {role.name} ends", "VALID UNTIL '20")


def test_what_a_base_backup_needs_of_the_server(site: Site, orders: Orders, ask: Ask) -> None:
    """No CONNECT on the database; two WAL senders, of 4, of which the standby has one."""
    site.replica.wait_for(orders.cluster)
    role = orders.cluster.create_role("copier", options="REPLICATION")
    orders.cluster.sql(f'REVOKE CONNECT ON DATABASE "{orders.name}" FROM PUBLIC')
    base = Backup(
        id="b", database="orders", directory=RemotePath("/b"), method=BackupMethod.PG_BASEBACKUP, login=Login(role.name)
    )
    found = ask(sections={"backups": {"b": base}})
    assert found.status is Status.PASS, told(found)
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            where = f"host={orders.cluster.socket_directory} port={orders.cluster.port} user=postgres"
            connection = psycopg.pq.PGconn.connect(f"{where} replication=true".encode())
            assert connection.status == psycopg.pq.ConnStatus.OK, connection.error_message
            stack.callback(connection.finish)
        fails(ask(sections={"backups": {"b": base}}), "1 WAL senders are free, 2 needed", "max_wal_senders raised")


def test_through_the_host_it_passes_and_says_so(orders: Orders, ask: Ask) -> None:
    found = ask(connect=Connect.TUNNEL)
    assert found.status is Status.PASS, told(found)
    assert "through db1" in found.judgement.summary


def test_a_tunnel_to_a_closed_port_fails(ask: Ask) -> None:
    fails(
        ask(connect=Connect.TUNNEL, port=free_port("127.0.0.1")),
        "no login: no tunnel",
        'permitopen="127.0.0.1:',
    )


def test_a_tunnel_through_a_host_that_refuses_the_login_is_that_hosts_own_failure(
    orders: Orders, ask: Ask, tmp_path: Path
) -> None:
    found = ask(DatabaseLogin, replace(orders.host, key=make_key(tmp_path / "other")), connect=Connect.TUNNEL)
    assert found.status is Status.UNKNOWN, told(found)
    assert "the server refused the key" in found.cause


def test_the_server_process_is_found_on_its_host(orders: Orders, ask: Ask) -> None:
    for connect in Connect:
        found = ask(DatabaseHost, connect=connect)
        assert found.status is Status.PASS, told(found)
        assert found.subject == "orders on db1"
        assert "the server process of this connection runs on db1" in found.judgement.summary
        assert "container" not in found.judgement.summary


@pytest.mark.case(38)
@pytest.mark.parametrize("limit", ["1ms", "2s"])
def test_a_session_that_may_have_ended_before_the_look_proves_nothing(orders: Orders, ask: Ask, limit: str) -> None:
    """The server ends it by itself."""
    orders.cluster.sql(f"ALTER ROLE \"{orders.role.name}\" SET idle_session_timeout = '{limit}'")
    found = ask(DatabaseHost)
    assert found.status in (Status.PASS, Status.UNKNOWN), told(found)
    assert found.status is Status.UNKNOWN or limit == "2s", told(found)
    assert "does not run" not in told(found)


@pytest.mark.case(38)
def test_a_session_that_an_administrator_ended_is_no_other_server(
    orders: Orders, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two rounds: as soon as the server has told its process."""
    read = IdentityProbe.read

    def ended(probe: IdentityProbe, reply: Reply) -> Identity:
        told = read(probe, reply)
        orders.cluster.sql("SELECT pg_terminate_backend(%s, 10000)", told.backend_pid)
        return told

    monkeypatch.setattr(IdentityProbe, "read", ended)
    found = ask(DatabaseHost)
    assert found.status is Status.UNKNOWN, told(found)
    assert "does not run" not in told(found)


def test_a_host_that_cannot_be_reached_leaves_the_proof_unknown(
    orders: Orders, ask: Ask, accounts: Accounts, tmp_path: Path
) -> None:
    found = ask(DatabaseHost, replace(orders.host, key=make_key(tmp_path / "other")))
    assert found.status is Status.UNKNOWN, told(found)
    found = ask(DatabaseHost, password=SecretRef("env", "NOT_SET_ANYWHERE"))
    assert found.status is Status.UNKNOWN, told(found)


@pytest.mark.parametrize(
    ("window_in_days", "status"), [(30, Status.PASS), (362, Status.WARN), (INSIDE, Status.FAIL), (366, Status.FAIL)]
)
def test_the_servers_certificate_is_held_against_the_end_of_the_window(
    ask: Ask, tmp_path: Path, window_in_days: float, status: Status
) -> None:
    """The cluster's certificate is valid for a year."""
    start = NOW + timedelta(days=window_in_days)
    window = replace(WINDOW, start=start, end=start + timedelta(hours=6))
    found = ask(sections={"window": window})
    assert found.status is status, told(found)
    (event,) = found.judgement.events
    assert event.text == "certificate of database orders ends"
    assert timedelta(days=364) < event.at - NOW < timedelta(days=366)
    listed = events_inside(make_plan(tmp_path, window=window), [found])
    assert listed == ((event,) if window_in_days == INSIDE else ())


def test_through_the_tunnel_the_servers_certificate_is_seen_too(orders: Orders, ask: Ask) -> None:
    start = NOW + timedelta(days=INSIDE)
    before = len(orders.cluster.whole_log)
    found = ask(
        connect=Connect.TUNNEL,
        address="",
        server_name="db1.test",
        port=orders.cluster.port,
        sections={"window": replace(WINDOW, start=start, end=start + timedelta(hours=6))},
    )
    assert found.status is Status.FAIL, told(found)
    assert "the certificate ends" in told(found)
    log = orders.cluster.whole_log[before:]
    assert log.count("connection received: host=127.0.0.1") == 2, "one for the login, one for the look"
    assert log.count(f"connection authorized: user={orders.role.name}") == 1
    assert "could not" not in log, log


@pytest.fixture
def odd_names(orders: Orders, ask: Ask) -> Iterator[Ask]:
    """The finding about a role and a database whose names mean nothing to SQL without their quotes."""
    role, name = f"Release-Bot {orders.role.name}", f"Orders 2 {orders.name}"
    orders.cluster.sql(f'ALTER ROLE "{orders.role.name}" RENAME TO "{role}"')
    orders.cluster.sql(f'ALTER DATABASE "{orders.name}" RENAME TO "{name}"')
    orders.role, orders.name = replace(orders.role, name=role), name
    yield lambda: ask(user=Login(role), name=name)
    with orders.cluster.connect(options="-c default_transaction_read_only=off") as connection:
        connection.execute("ALTER ROLE ALL RESET ALL")
        connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
    orders.cluster.reload()


@pytest.mark.case(55)
@pytest.mark.parametrize(
    ("break_it", "marker"),
    [
        ('ALTER ROLE "{role}" NOLOGIN', "a row: "),
        ("ALTER ROLE \"{role}\" VALID UNTIL '{soon}'", ""),
        ("ALTER ROLE \"{role}\" VALID UNTIL '2020-01-01'", "an end in the past: "),
        ('ALTER ROLE "{role}" SET default_transaction_read_only = on', ""),
        ('ALTER DATABASE "{name}" SET default_transaction_read_only = on', ""),
        ('ALTER ROLE "{role}" IN DATABASE "{name}" SET default_transaction_read_only = on', ""),
        ('ALTER ROLE ALL SET default_transaction_read_only = on', ""),
        ("ALTER SYSTEM SET default_transaction_read_only = on; SELECT pg_reload_conf()", ""),
        ('ALTER ROLE "{role}" IN DATABASE "{name}" SET search_path = app', "or: "),
        ('ALTER DATABASE "{name}" SET session_replication_role = replica', ""),
        ('ALTER DATABASE "{name}" SET statement_timeout = 7000', ""),
        ('ALTER ROLE "{role}" SUPERUSER', "or: "),
        ('ALTER DATABASE "{name}" ALLOW_CONNECTIONS false', ""),
        ('ALTER DATABASE "{name}" OWNER TO postgres; REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC', ""),
    ],
)  # fmt: skip
def test_a_cure_in_sql_works_as_it_is_printed(orders: Orders, odd_names: Ask, break_it: str, marker: str) -> None:
    """Pasted into psql by a superuser: the very statement that the line prints, and the line is green."""
    assert odd_names().status is Status.PASS
    soon = (NOW + timedelta(hours=10)).isoformat()
    for statement in break_it.split("; "):
        orders.cluster.sql(statement.format(role=orders.role.name, name=orders.name, soon=soon))
    found = odd_names()
    assert found.status is not Status.PASS
    printed = found.judgement.remedy.partition(marker)[2] if marker else found.judgement.remedy
    cure = re.match(r"((?:[A-Z][^;]*;\s*)+)", printed)
    assert cure, printed
    where = "postgres" if "CONNECTIONS" in break_it else orders.name  # where the setting may hold for the DBA, too
    orders.cluster.client("psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", where, stdin=cure[1])
    assert odd_names().status is Status.PASS, (cure[1], told(odd_names()))


@pytest.mark.case(55)
def test_a_setting_of_postgresql_conf_is_taken_out_of_that_file(orders: Orders, odd_names: Ask) -> None:
    conf = orders.cluster.data / "postgresql.conf"
    before = conf.read_text()
    conf.write_text(f"{before}\ndefault_transaction_read_only = on\n")
    try:
        orders.cluster.reload()
        assert odd_names().judgement.remedy.endswith("If it stands in postgresql.conf, take it out there first")
        with orders.cluster.connect(options="-c default_transaction_read_only=off") as connection:
            connection.execute(f'GRANT pg_read_all_settings TO "{orders.role.name}"')
        found = odd_names()
        cure = f"take default_transaction_read_only out of {conf} on the server, then: SELECT pg_reload_conf();"
        assert (found.status, found.judgement.remedy) == (Status.FAIL, cure)
    finally:
        conf.write_text(before)
        orders.cluster.reload()
    assert odd_names().status is Status.PASS


def test_the_cures_of_a_backups_role_work_as_they_are_printed(orders: Orders, ask: Ask, odd_names: Ask) -> None:
    backup = Backup(id="b", database="orders", directory=RemotePath("/backup"), login=Login("Backup Bot"))
    orders.cluster.sql(f'REVOKE CONNECT ON DATABASE "{orders.name}" FROM PUBLIC')
    orders.cluster.sql(f'GRANT CONNECT ON DATABASE "{orders.name}" TO "{orders.role.name}"')
    for words in ("does not exist", "may not connect"):
        found = ask(user=Login(orders.role.name), name=orders.name, sections={"backups": {"b": backup}})
        fails(found, words, '"Backup Bot"')
        cure = found.judgement.remedy.rpartition(": ")[2]
        orders.cluster.client("psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", "postgres", stdin=cure)
    found = ask(user=Login(orders.role.name), name=orders.name, sections={"backups": {"b": backup}})
    assert found.status is Status.PASS, told(found)


@pytest.mark.case(30)
@pytest.mark.parametrize("password", ["release", "fail"])
def test_a_password_that_the_report_would_show_is_not_tried(
    orders: Orders, ask: Ask, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    before = len(orders.cluster.whole_log)
    monkeypatch.setenv("ORDERS_PASSWORD", password)
    found = ask(user=Login("release"))
    assert (found.status, found.owner) == (Status.UNKNOWN, "whoever runs preflight"), told(found)
    assert "this tool cannot keep the secret out of the report" in found.judgement.summary
    assert "change the secret" in found.judgement.remedy
    assert "[secret]" not in told(found)
    assert "connection received" not in orders.cluster.whole_log[before:].partition("connection received")[2]
