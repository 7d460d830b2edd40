"""Why a login fails, against a real server and against servers that misbehave."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from preflight.clock import Deadline, monotonic
from preflight.finding import Status
from preflight.judging.cures import refuses_login
from preflight.plan import SecretRef, SslMode
from preflight.probe import Answer, NoReply
from preflight.questions import http as certificate_facts
from preflight.reasons import Reason
from preflight.sessions import Session
from preflight.sessions.dial import DialFailed, resolve
from preflight.sessions.postgres import SqlPool
from preflight.sessions.postgres.libpq import ServerWord, read_trace
from preflight.sessions.postgres.refusal import Failed, explain
from preflight.sessions.postgres.session import LOGIN_SECONDS
from tests.sessions.asking import ask_within
from tests.sessions.conftest import GENEROUS_SECONDS
from tests.sessions.postgres import fakes
from tests.sessions.postgres.asking import Asker, ask, asker, no_reply, question, reply, role
from tests.site.certificates import Authority
from tests.site.postgres import ClientCertificate, Cluster, DatabaseRole
from tests.site.site import Site

__all__ = ["asker", "role"]

NOBODY = DatabaseRole("nobody_here", "Pw-not-to-be-seen")
CONNECTION = "connection received: host=127.0.0.1"


def test_the_session_says_who_answered_and_how(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    answer = reply(asker.login(role, postgres.port, sslmode=SslMode.VERIFY_FULL, sslrootcert=postgres.ca))
    session = answer.session
    assert answer.vantage == f"from here as {role.name}"
    assert session["address"] == f"127.0.0.1:{postgres.port}"
    assert (session["ssl"], session["used_password"]) == ("TLSv1.3", "yes")
    assert session["backend_pid"] == session["server_pid"]
    statement = "SELECT usename, datname, application_name FROM pg_stat_activity WHERE pid = %s"
    assert postgres.sql(statement, int(session["backend_pid"])) == [(role.name, "postgres", "preflight")]


def refusal(asker: Asker, postgres: Cluster, who: DatabaseRole, **more: Any) -> Reason:
    """The reason of a refused login. It gives no secret away, and the next question makes no second attempt."""
    start = len(postgres.whole_log)
    pool = asker.pool(who, postgres.port, **more)
    first, second = no_reply(ask(pool, "SELECT 1")), no_reply(ask(pool, "SELECT 2"))
    assert (second.reason, second.detail) == (first.reason, first.detail)
    assert who.password not in repr((first, pool, asker.secrets))
    assert first.session["address"] == f"127.0.0.1:{postgres.port}"
    assert first.detail.startswith("app1: ")
    postgres.wait_for_log("FATAL:", start)
    assert postgres.whole_log[start:].count(CONNECTION) == 1, "more than one login attempt"
    return first.reason


def test_a_wrong_password(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    assert refusal(asker, postgres, role, password="Pw-wrong") == Reason.BAD_PASSWORD


def test_a_role_that_does_not_exist(asker: Asker, postgres: Cluster) -> None:
    assert refusal(asker, postgres, NOBODY) == Reason.BAD_PASSWORD


def test_an_expired_role(asker: Asker, postgres: Cluster) -> None:
    expired = postgres.create_role("late", options="VALID UNTIL '2020-01-01'")
    assert refusal(asker, postgres, expired) == Reason.BAD_PASSWORD


def test_a_role_without_login(asker: Asker, postgres: Cluster) -> None:
    group = postgres.create_role("group", options="NOSUPERUSER")
    postgres.sql(f"ALTER ROLE {group.name} NOLOGIN")
    assert refusal(asker, postgres, group) == Reason.NOT_PERMITTED_TO_LOGIN


def test_a_missing_role_where_no_password_is_asked(asker: Asker, postgres: Cluster) -> None:
    with postgres.hba(f"host all {NOBODY.name} 127.0.0.1/32 trust"):
        assert refusal(asker, postgres, NOBODY) == Reason.NOT_PERMITTED_TO_LOGIN


def test_a_reject_entry(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    with postgres.hba(f"host all {role.name} 127.0.0.1/32 reject"):
        assert refusal(asker, postgres, role) == Reason.NO_PG_HBA


def test_an_entry_for_tls_only(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    with postgres.hba("hostssl all all all scram-sha-256", "host all all all reject"):
        assert refusal(asker, postgres, role, sslmode=SslMode.DISABLE) == Reason.NO_PG_HBA
        assert reply(asker.login(role, postgres.port)).session["ssl"] == "TLSv1.3"


def test_no_entry_at_all(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    path = postgres.data / "pg_hba.conf"
    before = path.read_text()
    path.write_text("\n".join(line for line in before.splitlines() if not line.startswith("host all")) + "\n")
    try:
        postgres.reload()
        assert refusal(asker, postgres, role) == Reason.NO_PG_HBA
    finally:
        path.write_text(before)
        postgres.reload()


def test_a_database_that_does_not_exist(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    assert refusal(asker, postgres, role, name="nowhere") == Reason.DATABASE_MISSING


def test_no_connect_privilege(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    database = postgres.create_database()
    postgres.sql(f"REVOKE CONNECT ON DATABASE {database} FROM PUBLIC")
    assert refusal(asker, postgres, role, name=database) == Reason.NO_CONNECT_PRIVILEGE


def test_a_file_that_the_server_may_not_open(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    """It is the SQLSTATE of a missing CONNECT privilege."""
    database = postgres.create_database()
    oid = postgres.scalar(f"SELECT oid FROM pg_database WHERE datname = '{database}'")
    file = Path(f"{postgres.data}/base/{oid}/pg_filenode.map")
    file.chmod(0)
    found = no_reply(asker.login(role, postgres.port, name=database))
    assert found.reason is Reason.SERVER_FILES
    assert "its own files (42501: could not open file" in found.detail
    file.chmod(0o600)
    assert reply(asker.login(role, postgres.port, name=database))


def test_a_database_that_takes_no_connections(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    database = postgres.create_database()
    postgres.sql(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    assert refusal(asker, postgres, role, name=database) == Reason.DATABASE_CLOSED


def test_a_plan_without_the_password_the_server_asks_for(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    answer = no_reply(asker.login(role, postgres.port, password=None))
    assert answer.reason is Reason.PASSWORD_NEEDED


def test_a_secret_that_cannot_be_had(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    pool = asker.pool(role, postgres.port)
    asker.patch.delenv("DB_PASSWORD")
    answer = no_reply(ask(pool, "SELECT 1"))
    assert answer.reason is Reason.NO_SECRET


def test_a_password_with_every_awkward_character(asker: Asker, postgres: Cluster) -> None:
    awkward = postgres.create_role("awkward", password="it's \\'a \"path\" = x%20{}\\ ü ")
    assert reply(asker.login(awkward, postgres.port)).session["used_password"] == "yes"


def test_a_wrong_password_that_nobody_looked_at(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    with postgres.hba(f"host all {role.name} 127.0.0.1/32 trust"):
        answer = reply(asker.login(role, postgres.port, password="Pw-wrong"))
    assert answer.session["used_password"] == "no"


def test_the_callers_environment_changes_nothing(
    asker: Asker, postgres: Cluster, role: DatabaseRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PGHOSTADDR": "127.0.0.9",
        "PGOPTIONS": "-c search_path=elsewhere",
        "PGPASSWORD": role.password,
        "PGSERVICE": "no_such_service",
        "PGSSLMODE": "disable",
        "PGTZ": "Asia/Tokyo",
    }.items():
        monkeypatch.setenv(name, value)
    answer = no_reply(asker.login(role, postgres.port, password=None))
    assert answer.reason is Reason.PASSWORD_NEEDED
    good = reply(asker.login(role, postgres.port))
    assert good.session["ssl"] == "TLSv1.3"
    assert "elsewhere" not in good.session["settings"]
    assert "Tokyo" not in good.session["settings"]


def test_a_password_that_the_plan_keeps_in_libpqs_own_variable(
    asker: Asker, postgres: Cluster, role: DatabaseRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", role.password)
    pool = asker.pool(role, postgres.port)
    database = pool._databases["app1"]
    object.__setattr__(database, "password", SecretRef("env", "PGPASSWORD"))
    assert reply(ask(pool, "SELECT 1")).session["used_password"] == "yes"


def test_password_files_and_root_certificates_of_the_caller_are_not_used(
    asker: Asker, postgres: Cluster, role: DatabaseRole, clean_surroundings: Path, site: Site
) -> None:
    passwords = clean_surroundings / ".pgpass"
    passwords.write_text(f"*:*:*:*:{role.password}\n")
    passwords.chmod(0o600)
    folder = clean_surroundings / ".postgresql"
    folder.mkdir()
    shutil.copy(Authority(site.new_path("other-ca")).certificate, folder / "root.crt")
    assert no_reply(asker.login(role, postgres.port, password=None)).reason is Reason.PASSWORD_NEEDED
    assert reply(asker.login(role, postgres.port)).session["ssl"] == "TLSv1.3", "the caller's root.crt was used"


# TLS


def test_a_certificate_from_an_unknown_authority(
    asker: Asker, postgres: Cluster, role: DatabaseRole, site: Site
) -> None:
    other = Authority(site.new_path("ca")).certificate
    for mode in (SslMode.VERIFY_CA, SslMode.VERIFY_FULL):
        answer = no_reply(asker.login(role, postgres.port, sslmode=mode, sslrootcert=other))
        assert answer.reason is Reason.CERTIFICATE_UNTRUSTED


def test_the_systems_authorities_are_asked_when_the_plan_names_none(
    asker: Asker, postgres: Cluster, role: DatabaseRole
) -> None:
    answer = no_reply(asker.login(role, postgres.port, sslmode=SslMode.VERIFY_FULL))
    assert answer.reason in (Reason.CERTIFICATE_UNTRUSTED, Reason.CA_FILE)


@pytest.mark.case(41)
def test_a_plan_without_a_password_offers_the_client_certificate(
    asker: Asker, postgres: Cluster, client_certificate: ClientCertificate
) -> None:
    answer = reply(asker.login(client_certificate.role, postgres.port, password=None))
    assert answer.session["used_password"] == "no"


@pytest.mark.case(41)
def test_a_certificate_that_the_plan_names_is_offered_beside_a_password(
    asker: Asker, postgres: Cluster, client_certificate: ClientCertificate
) -> None:
    role = client_certificate.role
    named = {"sslcert": client_certificate.certificate, "sslkey": client_certificate.key}
    with postgres.hba(f"hostssl all {role.name} 127.0.0.1/32 scram-sha-256 clientcert=verify-full"):
        answer = reply(asker.login(role, postgres.port, **named))
        without = no_reply(asker.login(role, postgres.port))
    assert answer.session["used_password"] == "yes"
    shown = certificate_facts.Certificate.in_session(answer.session, "client_certificate")
    assert shown is not None
    assert shown.subject == f"CN={role.name}"
    assert "valid client certificate" in without.detail


def test_a_password_of_the_plan_is_the_only_credential(
    asker: Asker, postgres: Cluster, client_certificate: ClientCertificate
) -> None:
    answer = no_reply(asker.login(client_certificate.role, postgres.port))
    assert answer.reason is Reason.NO_PG_HBA


def test_a_client_certificate_that_has_ended_is_told_from_the_servers(
    asker: Asker, postgres: Cluster, client_certificate: ClientCertificate
) -> None:
    client_certificate.renew(datetime.now(UTC) - timedelta(hours=1))
    answer = no_reply(asker.login(client_certificate.role, postgres.port, password=None))
    assert answer.reason is Reason.CLIENT_CERTIFICATE, answer
    assert "expired" in answer.detail


def test_a_client_key_that_others_can_read_is_named(
    asker: Asker, postgres: Cluster, client_certificate: ClientCertificate
) -> None:
    client_certificate.key.chmod(0o644)
    answer = no_reply(asker.login(client_certificate.role, postgres.port, password=None))
    assert answer.reason is Reason.CLIENT_KEY
    assert "postgresql.key" in answer.detail


# The network


def test_nothing_listens(asker: Asker, role: DatabaseRole) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        answer = no_reply(asker.login(role, unused.getsockname()[1]))
    assert answer.reason is Reason.NOT_LISTENING


def test_no_such_name(asker: Asker, role: DatabaseRole) -> None:
    answer = no_reply(asker.login(role, 5432, address="no-such-host.invalid"))
    assert answer.reason in [Reason.NO_SUCH_NAME, Reason.NAME_SERVICE]


def test_a_name_service_that_does_not_answer_is_this_machines_trouble(
    asker: Asker, role: DatabaseRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    answer = no_reply(asker.login(role, 5432, address="db1.example.net"))
    assert answer.reason is Reason.NAME_SERVICE
    assert "on this machine" in answer.detail
    assert not refuses_login(answer)


def test_what_a_session_waits_for_can_be_told_while_it_waits(asker: Asker, role: DatabaseRole, mocker: Any) -> None:
    pool = asker.pool(role, 5432, address="db1.example.net")
    stages: list[str] = []

    def resolve(*_: object) -> None:
        stages.append(pool.session("app1").stage)
        raise DialFailed(Reason.NO_SUCH_NAME, "no")

    mocker.patch("preflight.sessions.postgres.session.resolve", side_effect=resolve)
    no_reply(ask(pool, "SELECT 1"))
    assert stages == ["resolving db1.example.net"]


def test_the_time_for_the_login_begins_after_our_own_preparations(
    asker: Asker, postgres: Cluster, role: DatabaseRole, mocker: Any
) -> None:
    """What a secret, a name or the driver takes is not the server's slowness."""
    pool = asker.pool(role, postgres.port)
    prepared: list[float] = []

    def note(result: Any) -> Any:
        prepared.append(monotonic())
        return result

    for owner, name in ((asker.secrets, "value"), (pool, "load_driver")):
        real = getattr(owner, name)
        mocker.patch.object(owner, name, side_effect=lambda *given, real=real: note(real(*given)))
    mocker.patch("preflight.sessions.postgres.session.resolve", side_effect=lambda *given: note(resolve(*given)))
    begun: list[float] = []

    class Noting(Deadline):
        def at_most(self, seconds: float) -> Deadline:
            if seconds == LOGIN_SECONDS:
                begun.append(monotonic())
            return super().at_most(seconds)

    pool.session("app1").ask([question("SELECT 1")], Noting(GENEROUS_SECONDS), lambda _asked, answer: reply(answer))
    assert len(prepared) == 3
    assert len(begun) == 1
    assert begun[0] >= max(prepared)


def test_a_limit_of_open_files_is_this_machines(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    reply(asker.login(role, postgres.port))  # all that is imported late
    pool = asker.pool(role, postgres.port)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Path(os.devnull).open() as lowest:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest.fileno(), hard))
        try:
            answer = no_reply(ask(pool, "SELECT 1"))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert answer.reason is Reason.OPEN_FILES, answer
    assert not refuses_login(answer)


def test_no_route(asker: Asker, role: DatabaseRole) -> None:
    # A broadcast address cannot be dialled, whatever the machine's routes are.
    answer = no_reply(asker.login(role, 5432, address="255.255.255.255"))
    assert answer.reason in (Reason.NO_ROUTE, Reason.UNREACHABLE)


def test_the_next_address_is_tried_when_the_first_does_not_answer(
    asker: Asker, postgres: Cluster, role: DatabaseRole
) -> None:
    # "localhost" may stand for ::1 first, where nobody listens.
    answer = reply(asker.login(role, postgres.port, address="localhost"))
    assert answer.session["address"] == f"127.0.0.1:{postgres.port}"


@pytest.mark.parametrize(
    ("sqlstate", "message", "routine", "expected"),
    [
        ("28P01", "Passwort-Authentifizierung für Benutzer »x« fehlgeschlagen", "auth_failed",
         Reason.BAD_PASSWORD),
        ("28000", "kein pg_hba.conf-Eintrag für Host »127.0.0.1«", "ClientAuthentication",
         Reason.NO_PG_HBA),
        ("28000", "Rolle »x« hat keine Berechtigung zum Einloggen", "InitializeSessionUserId",
         Reason.NOT_PERMITTED_TO_LOGIN),
        ("28000", "Authentifizierung fehlgeschlagen", "auth_failed", Reason.AUTHENTICATION_FAILED),
        ("3D000", "Datenbank »x« existiert nicht", "InitPostgres", Reason.DATABASE_MISSING),
        ("53300", "tut mir leid, schon zu viele Verbindungen", "InitProcess", Reason.TOO_MANY_CONNECTIONS),
        ("57P03", "das Datenbanksystem startet", "ProcessStartupPacket", Reason.STARTING_UP),
        ("57P01", "Verbindung wird abgebrochen", "ProcessInterrupts", Reason.CLOSED_BY_SERVER),
        ("08P01", "unsupported startup parameter", "", Reason.SERVER_REFUSED),
    ],
)  # fmt: skip
def test_the_reason_does_not_depend_on_the_servers_language(
    asker: Asker, role: DatabaseRole, sqlstate: str, message: str, routine: str, expected: Reason
) -> None:
    with fakes.fake_server(fakes.refuses("FATAL", sqlstate, message, routine)) as (port, clients):
        answer = no_reply(asker.login(role, port, sslmode=SslMode.DISABLE))
    assert answer.reason is expected
    assert f"({sqlstate}: {message})" in answer.detail
    assert len(clients) == 1


def test_a_password_is_never_sent_in_clear_text_without_tls(asker: Asker, role: DatabaseRole) -> None:
    received: list[bytes] = []
    with fakes.fake_server(fakes.asks_for_clear_text(received)) as (port, _):
        answer = no_reply(asker.login(role, port, sslmode=SslMode.DISABLE))
    assert answer.reason is Reason.CLEARTEXT_PASSWORD
    assert received in ([], [b""])


def test_a_password_that_the_server_repeats_is_masked(asker: Asker, role: DatabaseRole) -> None:
    from preflight.plan import Connect

    received: list[bytes] = []
    with fakes.fake_server(fakes.asks_for_clear_text(received)) as (port, _):
        answer = no_reply(asker.login(role, port, sslmode=SslMode.DISABLE, connect=Connect.TUNNEL))
    assert role.password.encode() in received[0], "clear text is allowed inside the SSH connection"
    assert answer.reason is Reason.BAD_PASSWORD
    assert role.password not in repr(answer)
    assert "[secret]" in answer.detail


def test_the_trace_is_read_by_its_codes_only() -> None:
    fields = b'S "FATAL" V "FATAL" C "28P01" M "a\n R "x" C "00000"" F "auth.c" R "auth_failed" \\x00\n'
    line = b"10:00\tB\t98\tErrorResponse\t " + fields
    assert read_trace(line) == ServerWord("28P01", "auth_failed")
    assert read_trace(line.replace(b"ErrorResponse", b"NoticeResponse")) == ServerWord()
    assert read_trace(b"") == ServerWord()


def test_without_codes_a_refusal_is_still_a_refusal() -> None:
    message = 'connection to server at "127.0.0.1", port 5432 failed: FATAL:  zu viele Verbindungen\n'
    failed = Failed(role="x", name="app", tls=True, connected=True, word=ServerWord(), message=message)
    trouble = explain(failed)
    assert trouble.reason is Reason.SERVER_REFUSED
    assert "FATAL: zu viele Verbindungen" in trouble.detail


def test_a_driver_that_cannot_be_loaded_is_said_to_be_unusable(
    asker: Asker, role: DatabaseRole, mocker: Callable[..., Any]
) -> None:
    pool = asker.pool(role, 5432)
    mocker.patch.object(pool, "load_driver", side_effect=ImportError("no libpq"))  # type: ignore[attr-defined]
    answer = no_reply(ask(pool, "SELECT 1"))
    assert answer.reason is Reason.NO_DRIVER


def test_until_when_the_servers_certificate_is_valid_is_seen_without_a_word_in_its_log(
    asker: Asker, postgres: Cluster, role: DatabaseRole
) -> None:
    before = len(postgres.whole_log)
    session = reply(asker.login(role, postgres.port)).session
    shown = certificate_facts.Certificate.in_session(session)
    assert shown is not None
    assert "db1.test" in shown.names
    assert timedelta(days=364) < shown.not_after - datetime.now(UTC) <= timedelta(days=365)
    log = postgres.whole_log[before:]
    assert log.count(CONNECTION) == 2, "one for the login, one for the look"
    assert log.count(f"connection authorized: user={role.name}") == 1
    for complaint in ("SSL", "startup packet", "handshake", "could not"):
        assert complaint not in log.replace("SSL enabled", "")


def test_without_tls_no_second_connection_is_made(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    before = len(postgres.whole_log)
    session = reply(asker.login(role, postgres.port, sslmode=SslMode.DISABLE)).session
    assert "certificate" not in session
    assert postgres.whole_log[before:].count(CONNECTION) == 1


def test_many_databases_of_one_server_are_one_look_at_its_certificate(
    asker: Asker, postgres: Cluster, role: DatabaseRole
) -> None:
    before = len(postgres.whole_log)
    ids = ("app1", "app2", "app3")
    pool = asker.pool(role, postgres.port, ids=ids)
    sessions = [pool.session(name) for name in ids]
    answers: list[Answer] = []

    def ask_one(session: Session) -> None:
        session.ask([question("SELECT 1")], Deadline(GENEROUS_SECONDS), lambda _asked, answer: answers.append(answer))

    threads = [threading.Thread(target=ask_one, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("certificate" in reply(answer).session for answer in answers)
    assert len(answers) == 3
    assert postgres.whole_log[before:].count(CONNECTION) == 3 + 1


@pytest.mark.parametrize("own", [False, True])
def test_a_wrong_password_is_refused_once_for_each_account(
    asker: Asker, postgres: Cluster, role: DatabaseRole, own: bool
) -> None:
    before = len(postgres.whole_log)
    ids = ("app1", "app2", "app3", "app4")
    pool = asker.pool(role, postgres.port, password="not-the-password", ids=ids, local_account=own)

    def ask_one(name: str, pool: SqlPool = pool) -> NoReply:
        return no_reply(ask_within(pool.session(name), [question("SELECT 1")], GENEROUS_SECONDS)[0][1])

    with fakes.fake_server(fakes.silent) as (port, _), ThreadPoolExecutor(len(ids) + 1) as threads:
        quiet = asker.pool(role, port, password="not-the-password", ids=("quiet",))
        silent = threads.submit(ask_one, "quiet", quiet)
        answers = list(threads.map(ask_one, ids))
        assert not silent.done(), "a server that says nothing was told no password, and holds up nobody"
        quiet.close()
    tried = 4 if own else 1
    counts = Counter({Reason.BAD_PASSWORD: tried, Reason.REFUSED_ELSEWHERE: 4 - tried})
    assert Counter(answer.reason for answer in answers) == counts
    assert postgres.whole_log[before:].count("password authentication failed") == tried


@pytest.mark.case(54)
@pytest.mark.case(58)
def test_a_login_for_which_this_machine_left_no_time_is_not_the_servers_fault(
    asker: Asker, postgres: Cluster, role: DatabaseRole, mocker: Any
) -> None:
    before = len(postgres.whole_log)
    pool = asker.pool(role, postgres.port)
    real, over = pool.load_driver, threading.Event()
    mocker.patch.object(pool, "load_driver", side_effect=lambda: (real(), over.wait(0.3)))
    answers: list[Answer] = []
    pool.session("app1").ask([question("SELECT 1")], Deadline(0.2), lambda _asked, answer: answers.append(answer))
    late = no_reply(answers[0])
    assert (late.reason, late.reason.status) == (Reason.BUSY, Status.UNKNOWN)
    assert "took 0." in late.detail
    assert "received" not in postgres.whole_log[before:].partition(CONNECTION)[2].partition("received")[0]


@pytest.mark.case(54)
def test_a_server_that_had_less_time_than_a_login_may_take_is_not_called_silent(asker: Asker) -> None:
    with fakes.fake_server(fakes.silent) as (port, _):
        answer = no_reply(asker.login(NOBODY, port, seconds=0.5))
    assert (answer.reason, answer.reason.status) == (Reason.TARGET_LIMIT, Status.UNKNOWN)
    assert "all the time left for this database" in answer.detail
