"""Statements on a connection that is logged in: rows, limits, and what gets no reply."""

from __future__ import annotations

import json
import os
import signal
import threading

import pytest
from pytest_mock import MockerFixture

from preflight.clock import Deadline, monotonic
from preflight.plan import SslMode
from preflight.probe import Answer, Question
from preflight.questions.sql import OF_SCRIPTS
from preflight.reasons import Reason
from preflight.sessions.postgres import connection
from preflight.sessions.postgres.connection import Connection, Statement
from tests.sessions.conftest import GENEROUS_SECONDS
from tests.sessions.postgres.asking import Asker, ask, ask_all, asker, no_reply, question, reply, role, rows, setting
from tests.site.postgres import Cluster, DatabaseRole
from tests.site.site import Site

__all__ = ["asker", "role"]


def test_every_value_is_the_servers_own_text(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    statement = """SELECT true AS yes, 7 AS seven, 1.5::float8 AS half, 'NaN'::float8 AS nan, 12.30 AS exact,
        null::text AS nothing, 'a "b" é' AS text, ARRAY['x', null, 'y,z']::name[] AS names, ARRAY[1, 2] AS numbers,
        '{"a": [1]}'::jsonb AS document, 'infinity'::timestamptz AS forever, '2026-01-02 03:04+00'::timestamptz AS at,
        ARRAY['infinity'::timestamptz] AS many, 26::oid AS oid, '127.0.0.1'::inet AS address, b'101' AS bits"""
    answer = ask(asker.pool(role, postgres.port), statement)
    assert rows(answer) == [
        {
            "yes": "t",
            "seven": "7",
            "half": "1.5",
            "nan": "NaN",
            "exact": "12.30",
            "nothing": None,
            "text": 'a "b" é',
            "names": '{x,NULL,"y,z"}',
            "numbers": "{1,2}",
            "document": '{"a": [1]}',
            "forever": "infinity",
            "at": "2026-01-02 03:04:00+00",
            "many": "{infinity}",
            "oid": "26",
            "address": "127.0.0.1",
            "bits": "101",
        }
    ]
    assert list(rows(answer)[0])[:3] == ["yes", "seven", "half"]


def test_no_rows_are_an_empty_array(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    assert reply(ask(asker.pool(role, postgres.port), "SELECT 1 AS one WHERE false")).text == "[]"


def test_the_connection_is_kept_between_rounds(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    pool = asker.pool(role, postgres.port)
    first, second = (rows(ask(pool, f"SELECT pg_backend_pid() AS pid, {n} AS round"))[0]["pid"] for n in (1, 2))
    assert first == second
    assert postgres.scalar("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", first) == 1
    pool.close()
    while postgres.scalar("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", first):
        pass


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("CREATE TABLE public.t (a int)", "25006"),
        ("CREATE TEMP TABLE t AS SELECT 1", "25006"),
        ("SELECT * FROM no_such_table", "42P01"),
        ("SELECT 1; SELECT 2", "42601"),
        ("SELECT pg_read_file('PG_VERSION')", "42501"),
        ("SELEKT", "42601"),
        ("SELECT 1/0 FROM generate_series(1, 3)", "22012"),
        ("SELECT '\udcff'", "22021"),
    ],
)
def test_an_error_is_an_answer_and_the_next_statement_is_asked(
    asker: Asker, postgres: Cluster, role: DatabaseRole, statement: str, sqlstate: str
) -> None:
    refused, after = ask_all(asker.pool(role, postgres.port), question(statement), question("SELECT 5 AS five"))
    assert (reply(refused).code, reply(refused).text) == (1, "")
    assert reply(refused).error.startswith(f"{sqlstate} ")
    assert rows(after) == [{"five": "5"}]


def test_a_statement_that_takes_too_long(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    pool, before = asker.pool(role, postgres.port), len(postgres.whole_log)
    slow, after = ask_all(pool, question("SELECT pg_sleep(60)", seconds=0.2), question("SELECT 5 AS five"))
    assert no_reply(slow).reason is Reason.STATEMENT_TIMEOUT
    assert no_reply(slow).took_seconds < 20
    assert "canceling statement due to statement timeout" in postgres.whole_log[before:], "the server's own limit"
    assert rows(after) == [{"five": "5"}]


def test_a_lock_is_not_waited_for_long(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    database = postgres.create_database(owner=role.name)
    postgres.sql(f"CREATE TABLE public.held (a int); GRANT ALL ON public.held TO {role.name}", dbname=database)
    with postgres.connect(database, autocommit=False) as holder:
        holder.execute("LOCK TABLE public.held")
        answer = no_reply(ask(asker.pool(role, postgres.port, name=database), "SELECT count(*) FROM public.held"))
    assert answer.reason is Reason.LOCK_TIMEOUT


def test_the_roles_own_settings_are_seen_although_ours_are_in_force(asker: Asker, postgres: Cluster) -> None:
    special = postgres.create_role("special")
    for change in ("statement_timeout = '7min'", "search_path = 'own'", "default_transaction_read_only = on"):
        postgres.sql(f"ALTER ROLE {special.name} SET {change}")
    answer = reply(ask(asker.pool(special, postgres.port), "SELECT current_setting('search_path') AS path"))
    assert setting(answer, "statement_timeout") == {"setting": "420000", "unit": "ms", "source": "user", "file": None}
    assert setting(answer, "search_path") == {"setting": "own", "unit": None, "source": "user", "file": None}
    assert setting(answer, "default_transaction_read_only")["setting"] == "on"
    assert setting(answer, "lock_timeout") == {"setting": "0", "unit": "ms", "source": "default", "file": None}
    assert setting(answer, "role")["setting"] == "none"
    assert {
        *OF_SCRIPTS,
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
    } <= set(json.loads(answer.session["settings"]))
    assert rows(answer) == [{"path": "pg_catalog"}]


def test_a_role_set_by_default_is_seen(asker: Asker, postgres: Cluster) -> None:
    special = postgres.create_role("special")
    postgres.sql(f"CREATE ROLE {special.name}_o; GRANT {special.name}_o TO {special.name}")
    postgres.sql(f"ALTER ROLE {special.name} SET role = '{special.name}_o'")
    answer = reply(asker.login(special, postgres.port))
    assert setting(answer, "role")["setting"] == f"{special.name}_o"


def test_a_role_whose_own_timeout_stops_everything_is_still_asked(asker: Asker, postgres: Cluster) -> None:
    hasty = postgres.create_role("hasty")
    postgres.sql(f"ALTER ROLE {hasty.name} SET statement_timeout = '1ms'")
    pool = asker.pool(hasty, postgres.port)
    answer = ask(pool, "SELECT count(pg_sleep(0.05)) AS one")
    assert rows(answer) == [{"one": "1"}]
    assert setting(reply(answer), "statement_timeout")["setting"] == "1"


def test_nothing_of_ours_stays_on_the_server_connection(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    """A pooler hands the connection to the application next."""
    pool = asker.pool(role, postgres.port)
    rows(ask(pool, "SELECT 1 AS one"))
    connection = pool._sessions["app1"]._connection
    assert connection is not None
    names = "('statement_timeout', 'lock_timeout', 'search_path', 'default_transaction_read_only', 'DateStyle')"
    statement = f"SELECT count(*) AS ours FROM pg_settings WHERE source = 'session' AND name IN {names}"
    [outcome] = connection.ask([Statement(statement, 5, limits=False)], Deadline(GENEROUS_SECONDS))
    assert isinstance(outcome, str)
    assert json.loads(outcome) == [{"ours": "0"}]


@pytest.mark.parametrize(
    "statement", ["SELECT repeat('x', 1100000) AS big", "SELECT repeat('x', 1000) FROM generate_series(1, 1100)"]
)
def test_too_much_is_cut_off_and_the_next_statement_is_asked(
    asker: Asker, postgres: Cluster, role: DatabaseRole, statement: str
) -> None:
    big, after = ask_all(asker.pool(role, postgres.port), question(statement), question("SELECT 5 AS five"))
    assert no_reply(big).reason is Reason.TOO_MUCH
    assert rows(after) == [{"five": "5"}]


def test_the_questions_of_a_round_go_out_together_with_what_is_asked_of_the_server(
    asker: Asker, postgres: Cluster, role: DatabaseRole, mocker: MockerFixture
) -> None:
    pool = asker.pool(role, postgres.port)
    sent = mocker.spy(Connection, "_send")
    answers = ask_all(pool, *(question(f"SELECT {number} AS number") for number in range(5)))
    assert [rows(answer)[0]["number"] for answer in answers] == list(map(str, range(5)))
    assert sent.call_count == 1
    ask_all(pool, question("SELECT 6"), question("SELECT 7"))
    assert sent.call_count == 2


def test_a_defect_while_answers_are_read_leaves_no_answer_for_the_next_question(
    asker: Asker, postgres: Cluster, role: DatabaseRole
) -> None:
    pool = asker.pool(role, postgres.port)

    def break_down(_asked: Question, _answer: Answer) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pool.session("app1").ask([question("SELECT 1"), question("SELECT 2")], Deadline(GENEROUS_SECONDS), break_down)
    assert no_reply(ask(pool, "SELECT 3")).reason is Reason.CLOSED_HERE


@pytest.mark.parametrize(
    "told", ["SELECT 1 WHERE false", "SELECT 1 AS other", "SELECT null AS settings, '' AS role, '' AS tls"]
)
def test_a_server_that_tells_something_else_of_itself_is_still_asked(
    asker: Asker, postgres: Cluster, role: DatabaseRole, mocker: MockerFixture, told: str
) -> None:
    mocker.patch.object(connection, "FACTS", Statement(told, 5.0))
    answer = ask(asker.pool(role, postgres.port), "SELECT 1 AS one")
    assert reply(answer).text == '[{"one": "1"}]'
    assert "settings" not in reply(answer).session


@pytest.mark.case(51)
def test_bytes_that_are_no_utf_8_are_replaced(asker: Asker, postgres: Cluster) -> None:
    """A database in SQL_ASCII hands out bytes as they are."""
    special = postgres.create_role("special")
    name = f"{special.name}_ascii"
    postgres.sql(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    cafe = r"convert_from('\x636166e9', 'SQL_ASCII')"
    change = f"EXECUTE format('ALTER ROLE {special.name} SET search_path = %I', {cafe})"
    postgres.sql(f"SET client_encoding = 'SQL_ASCII'; DO $$ BEGIN {change}; END $$", dbname=name)
    answer = reply(ask(asker.pool(special, postgres.port, name=name), "SELECT chr(233) AS letter, 'ok' AS text"))
    assert setting(answer, "search_path")["setting"] == '"caf\N{REPLACEMENT CHARACTER}"'
    assert rows(answer) == [{"letter": "\N{REPLACEMENT CHARACTER}", "text": "ok"}]
    postgres.sql(f"DROP DATABASE {name} WITH (FORCE)")


def test_two_columns_of_one_name_are_no_answer(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    assert no_reply(ask(asker.pool(role, postgres.port), "SELECT 1 AS a, 2 AS a")).reason is Reason.UNREADABLE


@pytest.mark.parametrize("statement", ["COPY (SELECT 1) TO STDOUT", "COPY pg_class FROM STDIN", "SELECT 1\0 AS one"])
def test_what_has_no_rows_is_no_answer(asker: Asker, postgres: Cluster, role: DatabaseRole, statement: str) -> None:
    answer = ask(asker.pool(role, postgres.port), statement)
    assert getattr(answer, "code", None) != 0


def test_with_which_words_the_server_ended_a_session_at_rest_is_told(
    asker: Asker, postgres: Cluster, role: DatabaseRole
) -> None:
    pool = asker.pool(role, postgres.port)
    pid = int(reply(ask(pool, "SELECT 1")).session["backend_pid"])
    postgres.sql("SELECT pg_terminate_backend(%s, 10000)", pid)
    for _ in range(2):
        answer = no_reply(ask(pool, "SELECT 1"))
        assert answer.reason is Reason.CONNECTION_LOST
        assert "57P01 terminating connection due to administrator command" in answer.detail


def test_a_server_that_freezes_costs_no_more_than_the_question(site: Site, asker: Asker, role: DatabaseRole) -> None:
    postgres = site.postgres
    pool = asker.pool(role, postgres.port)
    pid = int(reply(ask(pool, "SELECT 1")).session["backend_pid"])
    os.kill(pid, signal.SIGSTOP)
    try:
        begun = monotonic()
        frozen, after = ask_all(pool, question("SELECT 2", seconds=0.2), question("SELECT 3"))
        assert no_reply(frozen).reason is Reason.QUESTION_LIMIT
        assert no_reply(after).reason is Reason.QUESTION_LIMIT
        assert monotonic() - begun < 10
    finally:
        os.kill(pid, signal.SIGCONT)


def test_close_from_another_thread_ends_a_question_at_once(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    pool = asker.pool(role, postgres.port)
    rows(ask(pool, "SELECT 1 AS one"))
    answers: list[Answer] = []
    asking = threading.Thread(target=lambda: answers.extend(ask_all(pool, question("SELECT pg_sleep(60)"))))
    asking.start()
    while not postgres.scalar("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'"):
        pass
    begun = monotonic()
    pool.close()
    asking.join()
    assert monotonic() - begun < 20
    assert no_reply(answers[0]).reason is Reason.CLOSED_HERE
    assert no_reply(ask(pool, "SELECT 1")).reason is Reason.CLOSED_HERE
    pool.close()


def test_a_deadline_that_is_over_asks_nothing(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    pool = asker.pool(role, postgres.port)
    rows(ask(pool, "SELECT 1 AS one"))
    assert no_reply(ask(pool, "SELECT 2 AS two", within=0.01)).reason is Reason.RUN_DEADLINE
    assert rows(ask(pool, "SELECT 3 AS three")) == [{"three": "3"}]


def test_without_tls_the_session_says_so(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    session = reply(asker.login(role, postgres.port, sslmode=SslMode.DISABLE)).session
    assert session["ssl"] == "no"
