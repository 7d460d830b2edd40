"""How psql is called in a run line, read from its text alone."""

from __future__ import annotations

import pytest

from preflight.scripts.run_line import PsqlCall, psql_calls


def only(line: str) -> PsqlCall:
    (call,) = psql_calls(line)
    return call


@pytest.mark.parametrize(
    ("line", "stops"),
    [
        ("psql -v ON_ERROR_STOP=1 -f x", True),
        ("psql -vON_ERROR_STOP=1", True),
        ("psql -Xqv ON_ERROR_STOP=on", True),
        ("psql --set=ON_ERROR_STOP=1", True),
        ("psql --set ON_ERROR_STOP=true", True),
        ("psql --variable ON_ERROR_STOP=1", True),
        ("psql -v ON_ERROR_STOP=", True),  # psql takes an empty value for on
        ("psql orders -f x -v ON_ERROR_STOP=1", True),
        ("psql -f x", False),
        ("psql -v ON_ERROR_STOP", False),  # unsets it
        ("psql -v ON_ERROR_STOP=0", False),
        ("psql -v ON_ERROR_STOP=off", False),
        ("psql -v ON_ERROR_STOP=1 -v ON_ERROR_STOP=0", False),
        ("psql -v on_error_stop=1", False),
        ("psql -c '-v ON_ERROR_STOP=1'", False),
    ],
)
def test_on_error_stop_is_read_as_psql_reads_it(line: str, stops: bool) -> None:
    assert only(line).on_error_stop is stops


@pytest.mark.parametrize(
    ("line", "piped"),
    [
        ("psql -f x | tee log", True),
        ("psql -f x 2>&1 | tee log", True),
        ("psql -f x |& tee log", True),
        ("set -o pipefail; psql -f x | tee log", False),
        ("psql -f x > log 2>&1", False),
        ("cat x | psql", False),
        ("psql -f x || exit 1", False),
        ("psql -f 'a|b'", False),
        ("su - postgres -c 'psql -f x' | tee log", True),
    ],
)
def test_a_pipe_behind_psql_loses_its_exit_status(line: str, piped: bool) -> None:
    assert only(line).piped is piped


@pytest.mark.parametrize(
    ("line", "connection"),
    [
        ("psql", {}),
        (
            "psql -h /tmp -p 5433 -U release -d orders",
            {"host": "/tmp", "port": "5433", "user": "release", "dbname": "orders"},
        ),
        ("psql --host=db1 --username release orders", {"host": "db1", "user": "release", "dbname": "orders"}),
        ("psql orders release -f x", {"dbname": "orders", "user": "release"}),
        ("cd /srv && PGPORT=5433 PGOPTIONS='-c a=b' psql -f x", {"port": "5433"}),
        ("PGUSER=a psql -U b", {"user": "b"}),
        ("sudo -u postgres psql -d orders 2>&1 > log", {"dbname": "orders"}),
        ("sudo -u postgres sh -c 'psql -d orders'", {"dbname": "orders"}),
    ],
)
def test_the_connection_is_what_the_line_says_and_no_more(line: str, connection: dict[str, str]) -> None:
    assert dict(only(line).connection) == connection


def test_the_program_is_kept_as_written() -> None:
    assert only("/usr/pgsql-15/bin/psql -X").program == "/usr/pgsql-15/bin/psql"
    assert only("psql -X").no_psqlrc
    assert only("psql --no-psqlrc").no_psqlrc
    assert only("psql -W").prompts


def test_several_calls_are_all_read() -> None:
    assert [call.on_error_stop for call in psql_calls("psql -f a; psql -v ON_ERROR_STOP=1 -f b\npsql -f c")] == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("line", ["", "./run.sh", "liquibase update", "psql 'unbalanced", "mypsql -X", "echo psqlrc"])
def test_a_line_that_calls_no_psql_gives_none(line: str) -> None:
    assert psql_calls(line) == ()


def test_options_psql_does_not_know_are_told() -> None:
    assert only("psql -K").unreadable == "option -K not recognized"
    assert only("psql -d").unreadable


@pytest.mark.parametrize(
    ("line", "through", "variables"),
    [
        ("psql -f x", (), ()),
        ("env LC_ALL=C nice -n 5 psql -f x", (), ()),
        ("bash -lc 'psql -f x'", (), ()),
        ("PGHOST=a PGTZ=UTC psql -f x", (), ()),
        ("ssh db2 psql -f x", ("ssh", "db2"), ()),
        ("sudo -u dba psql -f x", ("sudo", "-u", "dba"), ()),
        ("su - dba -c 'psql -f x'", ("su", "-", "dba", "-c"), ()),
        ("ssh db2 'sudo -u dba psql -f x'", ("ssh", "db2", "sudo", "-u", "dba"), ()),
        ("PGSERVICE=staging psql -f x", (), ("PGSERVICE",)),
        ("export PGHOSTADDR=192.0.2.1; psql -f x", (), ("PGHOSTADDR",)),
    ],
)
def test_what_leads_psql_elsewhere_is_told(line: str, through: tuple[str, ...], variables: tuple[str, ...]) -> None:
    assert (only(line).through, only(line).variables) == (through, variables)


def test_an_exported_variable_holds_for_the_psql_behind_it() -> None:
    assert only("export PGHOST=a; psql -f x").says("host") == "a"
