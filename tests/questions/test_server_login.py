"""Versions and logins of PostgreSQL's client programs, as they print them."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from typing import Any

import pytest

from preflight.probe import Reply, Unreadable
from preflight.questions.shell import AsAccount
from preflight.questions.sql import Major, major_of_server
from preflight.questions.work_start import LoginRefusal, Method, ServerLoginProbe, major_of

SOCKET = 'psql: error: connection to server on socket "/tmp/.s.PGSQL.5432" failed: '
GOOD = (
    "system_identifier=7711229165220685628\n"
    "user=release\tdatabase=orders\tversion_num=150018\tport=5432\tin_recovery=false"
    "\tmay_create=true\tobjects=4\tstarted_ms=1000\tasked_ms=2000\tbegun_ms=1990"
    '\tsettings={ "search_path" : {"setting" : "public"} }\n'
    "again_ms=0\nend=yes\n"
)


@pytest.mark.parametrize(
    ("said", "major"),
    [
        ("psql (PostgreSQL) 16.14 (Debian 16.14-1.pgdg12+1)", (16,)),
        ("pg_dump (PostgreSQL) 18beta1", (18,)),
        ("pg_restore (PostgreSQL) 9.6.24", (9, 6)),
        ("psql (PostgreSQL) 10.1", (10,)),
        ("a wrapper", None),
        ("", None),
    ],
)
def test_major_versions_are_read(said: str, major: Major | None) -> None:
    assert major_of(said) == major


def test_versions_compare_across_the_change_of_numbering() -> None:
    assert major_of_server(90624) == (9, 6) < major_of_server(150018) == (15,)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (SOCKET + "fe_sendauth: no password supplied", LoginRefusal.NO_PASSWORD),
        (SOCKET + 'FATAL:  Peer authentication failed for user "release"', LoginRefusal.PEER),
        (SOCKET + 'FATAL:  password authentication failed for user "release"', LoginRefusal.BAD_PASSWORD),
        (
            SOCKET + 'FATAL:  no pg_hba.conf entry for host "[local]", user "a", database "b", no encryption',
            LoginRefusal.NO_HBA,
        ),
        (SOCKET + 'FATAL:  database "nosuch" does not exist', LoginRefusal.NO_DATABASE),
        (SOCKET + 'FATAL:  role "nosuch" does not exist', LoginRefusal.NO_ROLE),
        (SOCKET + 'FATAL:  role "a" is not permitted to log in', LoginRefusal.NOT_PERMITTED),
        (SOCKET + 'FATAL:  permission denied for database "b"', LoginRefusal.NO_CONNECT),
        (SOCKET + "FATAL:  must be superuser or replication role to start walsender", LoginRefusal.NO_REPLICATION),
        (SOCKET + 'FATAL:  too many connections for role "a"', LoginRefusal.TOO_MANY),
        (SOCKET + "FATAL:  sorry, too many clients already", LoginRefusal.TOO_MANY),
        (SOCKET + "No such file or directory Is the server running locally", LoginRefusal.NO_SERVER),
        ('psql: error: could not translate host name "x" to address', LoginRefusal.NO_NAME),
        (SOCKET + "FATAL:  the database system is starting up", LoginRefusal.STARTING_UP),
        ('psql: error: root certificate file "/root.crt" does not exist', LoginRefusal.TLS),
        ("pg_dump: error: aborting because of server version mismatch", LoginRefusal.TOO_OLD),
        ("FATAL:  Passwort-Authentifizierung fehlgeschlagen", LoginRefusal.OTHER),
    ],
)
def test_refusals_are_told_apart(said: str, kind: LoginRefusal) -> None:
    assert LoginRefusal.of(said) is kind


def probe(method: Method = Method.PSQL, **connection: str) -> ServerLoginProbe:
    program = "pg_dump" if method is Method.PG_DUMP else "psql"
    return ServerLoginProbe("db1", AsAccount("dbadmin", is_login=True), program, method, tuple(connection.items()))


def read(text: str, code: int = 0, error: str = "", method: Method = Method.PSQL) -> Any:
    return probe(method).read(Reply(code, text, datetime(2026, 10, 16, tzinfo=UTC), 0.1, "on db1", error))


def test_a_login_says_where_it_arrived() -> None:
    login = read(GOOD)
    assert (login.refusal, login.user, login.database, login.port, login.version_num) == (
        None,
        "release",
        "orders",
        5432,
        150018,
    )
    assert login.system_identifier == "7711229165220685628"
    assert (login.started_ms, login.asked_ms, login.settings.get("search_path")) == (1000, 2000, "public")
    hidden = read(GOOD.partition("\n")[2], error="ERROR:  permission denied for function pg_control_system")
    assert (hidden.refusal, hidden.system_identifier) == (None, "")


@pytest.mark.parametrize("text", ["", "user=release", GOOD.replace("5432", "x"), GOOD * 2, "(1 row)"])
def test_a_login_that_says_less_is_no_login(text: str) -> None:
    with pytest.raises(Unreadable):
        read(text)


@pytest.mark.parametrize("line", GOOD.splitlines())
def test_every_line_of_a_login_is_needed(line: str) -> None:
    """Without a complaint of the server, which does not show everybody its system identifier."""
    with pytest.raises(Unreadable):
        read(GOOD.replace(f"{line}\n", ""))


def test_a_dump_of_no_schema_ends_after_the_login() -> None:
    nothing = "pg_dump: error: no matching schemas were found"
    assert read("", 1, nothing, Method.PG_DUMP).refusal is None
    assert read("", 1, nothing, Method.PSQL).refusal is LoginRefusal.OTHER
    assert read("", 1, SOCKET + "fe_sendauth: no password supplied", Method.PG_DUMP).refusal is LoginRefusal.NO_PASSWORD
    with pytest.raises(Unreadable):
        read("-- a dump after all", 0, "", Method.PG_DUMP)


def test_a_replication_login_shows_the_system() -> None:
    for recovery, seen in (("off\n", False), ("on\n", True), ("", None)):  # PostgreSQL 13 does not tell
        login = read(f"{recovery}5433\n77112|1|0/1500790|\n", method=Method.REPLICATION)
        assert (login.system_identifier, login.port, login.in_recovery) == ("77112", 5433, seen)
    for text in ("", "off\n5433\n", "77112|1|0/1500790|\n"):
        with pytest.raises(Unreadable):
            read(text, method=Method.REPLICATION)


def test_the_question_holds_what_the_line_says_and_never_prompts() -> None:
    text = probe(host="/tmp", port="5433", user="release", dbname="orders; x").ask()
    assert text.startswith("log_in() { psql -X -w -A -t -q -h /tmp -p 5433 ")
    assert "-h /tmp -p 5433 -U release -d " in text
    assert shlex.quote("dbname='orders; x' application_name='preflight' ") in text
    assert probe(Method.PG_DUMP, user="backup").ask().partition(" -d ")[0] == ("log_in() { pg_dump -w -U backup")
