"""PostgreSQL servers, poolers and what stands in their place that misbehave, all in one plan, beside a healthy one."""

from __future__ import annotations

import signal
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest

from preflight.finding import Status
from preflight.reasons import Reason
from tests.cli.program import write_plan
from tests.misbehaving.certificates import MADE, Shown
from tests.misbehaving.conftest import HEAD, OWNER, Told, WholeRun, leaving_nothing, run_whole
from tests.misbehaving.test_ssh import swallowing
from tests.sessions.postgres import fakes
from tests.site.machine import Server as Process
from tests.site.machine import free_port, needs
from tests.site.postgres import Cluster, DatabaseRole
from tests.site.site import Site

FAIL, UNKNOWN, WARN, PASS = Status.FAIL, Status.UNKNOWN, Status.WARN, Status.PASS


def entry(name: str, port: int, role: DatabaseRole | None = None, more: str = "") -> str:
    """The database `name` at this port of the loopback, and its login."""
    who = (
        f'user = "{role.name}"\npassword = "env:{role.name.upper()}"\n'
        if role
        else 'user = "release"\npassword = "env:DB1_PASSWORD"\n'
    )
    tls = "" if "sslmode" in more else 'sslmode = "disable"\n'
    place = f'address = "127.0.0.1"\nport = {port}\nowner = "dba"\nlocal_account = true\n'
    return f'[databases."{name}"]\n{place}{who}{tls}{more}\n\n'


def healthy(cluster: Cluster, role: DatabaseRole) -> str:
    more = f'name = "postgres"\nsslmode = "verify-full"\nsslrootcert = "{cluster.ca}"'
    return entry("healthy", cluster.port, role, more)


def secrets_of(*roles: DatabaseRole) -> dict[str, str]:
    """The variables in which the plans find their passwords."""
    return {role.name.upper(): role.password for role in roles}


# What is no PostgreSQL, or not whole


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


LETS_IN = message(b"R", struct.pack("!I", 0)) + message(b"Z", b"I")


def lets_in(answer: bytes, ends: bool) -> fakes.Serve:
    """Asks for no password, and says `answer` to the first question."""

    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(LETS_IN)
        connection.recv(65536)
        connection.sendall(answer)
        if ends:
            connection.close()
        else:
            fakes.silent(connection)

    return serve


POSTGRES = 'name = "postgres"'
REQUIRE, VERIFY = 'sslmode = "require"', 'sslmode = "verify-full"'
LOST = "read the log of {} for why it ended the session"
FAKES: Mapping[str, tuple[fakes.Serve, Told, str]] = {
    "silent": (
        fakes.silent,
        Told(FAIL, Reason.LOGIN_LATE, "have the DBA see what logins to silent wait for", "accepts connections"),
        "",
    ),
    "silent-tls": (
        fakes.says(b"S"),
        Told(FAIL, Reason.LOGIN_LATE, "wait for at 127.0.0.1", "accepts connections"),
        REQUIRE,
    ),
    "no-tls": (fakes.says(b"N"), Told(FAIL, Reason.TLS_UNSUPPORTED, "have TLS switched on"), REQUIRE),
    "garbage": (
        fakes.says(b"\0\xff\x13" * 1000),
        Told(FAIL, Reason.NOT_POSTGRESQL, "something else than PostgreSQL"),
        "",
    ),
    "garbage-tls": (
        fakes.says(b"S" + b"\0\xff\x13" * 1000),
        Told(FAIL, Reason.LOGIN_LATE, "correct the port"),
        REQUIRE,
    ),
    "web": (fakes.speaks_http, Told(FAIL, Reason.NOT_POSTGRESQL, "correct `port` in [databases.web]"), ""),
    "web-tls": (fakes.speaks_http, Told(FAIL, Reason.NOT_POSTGRESQL, "correct `port`"), REQUIRE),
    "ssh": (fakes.speaks_ssh, Told(FAIL, Reason.NOT_POSTGRESQL, "correct `port`"), ""),
    "ssh-tls": (fakes.speaks_ssh, Told(FAIL, Reason.LOGIN_LATE, "correct the port"), REQUIRE),
    "closing": (fakes.closes, Told(FAIL, Reason.CLOSED_BY_SERVER, "look for release in the log of the server"), ""),
    "endless": (fakes.fills_the_trace, Told(FAIL, Reason.NOT_POSTGRESQL, "correct `port`"), ""),
    "silent-later": (
        lets_in(b"", False),
        Told(UNKNOWN, Reason.QUESTION_LIMIT, f"have {OWNER} see why silent-later is so slow", "silent after the login"),
        "",
    ),
    "garbage-later": (
        lets_in(b"\0\xff\x13" * 1000, False),
        Told(UNKNOWN, Reason.CONNECTION_LOST, LOST.format("garbage-later"), "lost synchronization"),
        "",
    ),
    "closing-later": (lets_in(b"", True), Told(UNKNOWN, Reason.CONNECTION_LOST, LOST.format("closing-later")), ""),
}
"""What a server does, what is told of it, and the TLS of the entry."""
CERTIFICATES: Mapping[str, Told] = {
    "expired": Told(FAIL, Reason.CERTIFICATE_EXPIRED, "renewed for 127.0.0.1", "has expired"),
    "not-yet": Told(FAIL, Reason.CERTIFICATE_NOT_YET_VALID, "compare the clocks of this machine and of 127.0.0.1"),
    "other-name": Told(FAIL, Reason.CERTIFICATE_NAME, "say `server_name` in [databases.other-name]", "127.0.0.1"),
    "self-signed": Told(FAIL, Reason.SELF_SIGNED, "compare its fingerprint with the DBA's"),
    "unknown-authority": Told(FAIL, Reason.CERTIFICATE_UNTRUSTED, "sslrootcert in [databases.unknown-authority]"),
    "no-intermediate": Told(FAIL, Reason.CERTIFICATE_UNTRUSTED, "intermediate"),
    "weak-key": Told(FAIL, Reason.CERTIFICATE_UNFIT, "without the fault that the finding names", "key too weak"),
    "weak-signature": Told(FAIL, Reason.CERTIFICATE_UNFIT, "without the fault", "digest algorithm"),
    "for-clients": Told(FAIL, Reason.CERTIFICATE_UNFIT, "without the fault that the finding names", "purpose"),
    "wants-one": Told(FAIL, Reason.CLIENT_CERTIFICATE, "name it: `sslcert`"),
    "old-tls": Told(FAIL, Reason.TLS_PROTOCOL, "have TLS 1.2 or newer enabled on 127.0.0.1"),
}


def over_tls(shown: Shown) -> fakes.Serve:
    """Agrees to TLS and shows its certificate. Nobody comes further."""
    context = shown.context()

    def serve(connection: socket.socket) -> None:
        connection.recv(8)
        connection.sendall(b"S")
        with context.wrap_socket(connection, server_side=True) as secured:
            fakes.silent(secured)

    return serve


POOLED = ("session", "transaction", "statement")
POOLER = """\
[databases]
{pooled}
down = host=127.0.0.1 port=1 dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
ignore_startup_parameters = extra_float_digits
server_login_retry = 1
query_wait_timeout = 5
"""


@contextmanager
def pooler(site: Site, server: Cluster, role: DatabaseRole, pooled: Mapping[str, str]) -> Iterator[int]:
    """The port of a pgbouncer in front of the server. `pooled`: its databases by the mode of their pool."""
    folder, port = site.new_path("pooler"), free_port()
    folder.mkdir()
    (folder / "users").write_text(f'"{role.name}" "{role.password}"\n')
    lines = (f"{name} = host=127.0.0.1 port={server.port} pool_mode={mode}" for mode, name in pooled.items())
    (folder / "ini").write_text(POOLER.format(pooled="\n".join(lines), port=port, folder=folder))
    running = Process([needs("pgbouncer"), folder / "ini"], cwd=folder, user=server.account)
    try:
        assert running.wait_for_log("process up"), running.log
        yield port
    finally:
        running.stop(signal.SIGQUIT)


def own(name: str, query: str) -> str:
    """A query of the plan itself to the database `name`."""
    asked = f'database = "{name}"\nquery = "{query}"\nexpect = "t"\ntimeout = "1min"'
    return f"[checks.sql.run.{name}]\n{asked}\n\n"


@contextmanager
def troubled_databases(site: Site, server: Cluster, role: DatabaseRole, secrets: dict[str, str]) -> Iterator[str]:
    """The entries of databases at a limit, under a lock, ended meanwhile, and behind a pooler. Adds to `secrets`."""
    few = server.create_role("few", options="CONNECTION LIMIT 0")
    idle = server.create_role("idle")
    cramped = server.create_role("cramped", options="IN ROLE pg_monitor")
    secrets |= secrets_of(few, idle, cramped)
    server.sql(f"ALTER ROLE {cramped.name} SET temp_file_limit = 0")
    server.sql(f"ALTER ROLE {idle.name} SET idle_session_timeout = '1ms'")
    names = {label: server.create_database(label) for label in ("limited", "locked", "held", *POOLED)}
    server.sql(f"ALTER DATABASE {names['limited']} CONNECTION LIMIT 0")
    text = entry("few", server.port, few, POSTGRES) + entry("idle", server.port, idle, POSTGRES)
    text += entry("terminated", server.port, role, POSTGRES)
    text += own("terminated", "SELECT pg_terminate_backend(pg_backend_pid())")
    text += entry("cramped", server.port, cramped, POSTGRES)
    text += own("cramped", "SELECT count(*) > 0 FROM (SELECT generate_series(1, 500000) ORDER BY 1 DESC) AS sorted")
    with ExitStack() as stack:
        port = stack.enter_context(pooler(site, server, role, {mode: names[mode] for mode in POOLED}))
        for label, name in names.items():
            text += entry(label, port if label in POOLED else server.port, role, f'name = "{name}"')
        for name in ("down", "nowhere"):
            text += entry(name, port, role)
        for name in ("stranger", "stranger-too"):
            text += entry(name, port, idle, f'name = "{names["session"]}"').replace("local_account = true", "")
        for label, table in (("locked", "pg_class"), ("held", "pg_trigger")):
            holder = stack.enter_context(server.connect(names[label], autocommit=False))
            holder.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield text


TROUBLED: Mapping[str, Told] = {
    "few": Told(FAIL, Reason.TOO_MANY_CONNECTIONS, "ALTER ROLE few_", "of those that role few_"),
    "limited": Told(FAIL, Reason.TOO_MANY_CONNECTIONS, "ALTER DATABASE limited_", "of those that database limited_"),
    "locked": Told(FAIL, Reason.LOGIN_LATE, "a lock on a catalogue", "did not complete the login"),
    "idle": Told(UNKNOWN, Reason.CONNECTION_LOST, "mend what the server says, or read the log of idle"),
    "terminated": Told(UNKNOWN, Reason.CONNECTION_LOST, "mend what the server says", "57P01 terminating"),
    "session": Told(WARN, None, "name the server's own address and port in [databases.session]", "a connection pooler"),
    "transaction": Told(WARN, None, "name the server's own address and port", "a connection pooler answers"),
    # "blocks not allowed in statement pooling mode", unless pgBouncer has closed before that is read.
    "statement": Told(UNKNOWN, Reason.CONNECTION_LOST, "name the server's own address"),
    "down": Told(FAIL, Reason.SERVER_REFUSED, "in the log of the server, or of a pooler before it"),
    "nowhere": Told(FAIL, Reason.DATABASE_MISSING, "correct `name` in [databases.nowhere]", "no such database"),
}
"""What is told of these, at the login."""


WHOLE = {
    "database-login": "warn",
    "database-state": "pass",
    "migration-history": "pass",
    "schema-drift": "unknown",
}
"""Of the healthy one: nobody has sealed it."""


@pytest.fixture(scope="module")
def asked(site: Site, postgres: Cluster, role: DatabaseRole, tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    secrets = secrets_of(role)
    with leaving_nothing(), ExitStack() as stack:
        text = HEAD + healthy(postgres, role)
        text += stack.enter_context(troubled_databases(site, postgres, role, secrets))
        text += entry("swallowing", stack.enter_context(swallowing()))
        for name, (serve, _, more) in FAKES.items():
            port, _ = stack.enter_context(fakes.fake_server(serve))
            text += entry(name, port, None, more)
        for name in CERTIFICATES:
            folder = site.new_path("made")
            folder.mkdir()
            shown = MADE[name](site.authority, folder)
            port, _ = stack.enter_context(fakes.fake_server(over_tls(shown)))
            text += entry(name, port, None, f'{VERIFY}\nsslrootcert = "{shown.ca or site.authority.certificate}"')
        return run_whole(write_plan(tmp_path_factory.mktemp("sql"), text), **secrets)


def test_the_database_beside_them_is_seen_whole(asked: WholeRun) -> None:
    assert asked.statuses("healthy") == WHOLE


def test_a_port_that_swallows_the_attempt_to_connect_is_told(asked: WholeRun) -> None:
    told = Told(
        FAIL, Reason.NO_ANSWER, "have the firewall to port", "no answer to the attempt to connect within 10.0 s"
    )
    asked.prove("database-login", "swallowing", told)


@pytest.mark.parametrize("name", FAKES)
def test_what_is_no_postgresql_or_breaks_off_is_told(asked: WholeRun, name: str) -> None:
    asked.prove("database-login", name, FAKES[name][1])


@pytest.mark.parametrize("name", CERTIFICATES)
def test_each_fault_of_a_certificate_is_told(asked: WholeRun, name: str) -> None:
    asked.prove("database-login", name, CERTIFICATES[name])


@pytest.mark.parametrize("name", TROUBLED)
def test_a_database_behind_a_pooler_at_a_limit_under_a_lock_or_ended_is_told(asked: WholeRun, name: str) -> None:
    asked.prove("database-login", name, TROUBLED[name])


def test_what_a_lock_hides_is_unknown_and_the_rest_is_seen(asked: WholeRun) -> None:
    assert asked.statuses("held") == WHOLE | {"database-state": "unknown", "schema-drift": "unknown"}
    assert asked.reasons("held") == {Reason.LOCK_TIMEOUT}
    found = asked.findings("held")["database-state"]
    assert "see who holds it: SELECT pid, relation::regclass FROM pg_locks" in found["remedy"]


def test_a_server_that_has_no_room_for_an_answer_is_told(asked: WholeRun) -> None:
    cure = "mend what the server says, of which its log tells more"
    asked.prove("sql", "cramped", Told(UNKNOWN, Reason.SERVER_TROUBLE, cure, "exceeds temp_file_limit"))
    assert asked.statuses("cramped") == WHOLE | {"sql": "unknown"}


def test_a_password_that_a_pooler_refuses_is_tried_once(asked: WholeRun) -> None:
    found = [asked.reasons(name) for name in ("stranger", "stranger-too")]
    assert sorted(found, key=str) == sorted([{Reason.BAD_PASSWORD}, {Reason.REFUSED_ELSEWHERE}], key=str)
