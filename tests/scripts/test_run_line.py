"""How psql is called in a run line, read from its text alone."""

from __future__ import annotations

import pytest

from preflight.scripts.psql_call import PsqlCall
from preflight.scripts.run_line import psql_calls


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
    ("line", "connection"),
    [
        ("psql", {}),
        (
            "psql -h /tmp -p 5433 -U release -d orders",
            {"host": "/tmp", "port": "5433", "user": "release", "dbname": "orders"},
        ),
        ("psql --host=db1 --username release orders", {"host": "db1", "user": "release", "dbname": "orders"}),
        ("psql orders release -f x", {"dbname": "orders", "user": "release"}),
        ("psql -d orders release -f x", {"dbname": "orders", "user": "release"}),
        ("PGDATABASE=a psql b", {"dbname": "b"}),
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
        ("nohup timeout -s INT 2h psql -f x > log 2>&1", (), ()),
        ("flock /run/lock/release psql -f x", (), ()),
        ("time psql -f x", (), ()),
        ("PGOPTIONS='-c lock_timeout=5s' psql -f x", (), ()),
        (
            "env -i psql -f x",
            (
                "env",
                "-i",
            ),
            (),
        ),
        ("env -u PGHOST nice psql -f x", ("env", "-u", "PGHOST", "nice"), ()),
        ("exec -c psql -f x", ("exec", "-c"), ()),
        ("nice run-as dba psql -f x", ("run-as", "dba"), ()),
        ("setsid psql -f x", ("setsid",), ()),
        ("echo psql -f x", ("echo",), ()),
        ("nohup sudo -u dba psql -f x", ("sudo", "-u", "dba"), ()),
        ("PGHOST=a sudo -u dba psql -f x", ("sudo", "-u", "dba"), ("PGHOST (sudo drops it)",)),
        ("sudo -u dba PGHOST=a psql -f x", ("sudo", "-u", "dba"), ()),
        ("PGHOST=a sudo -E -u dba psql -f x", ("sudo", "-E", "-u", "dba"), ()),
        ("PGHOST=a; psql -f x", (), ("PGHOST (not exported)",)),
        ("PGHOST=a; export PGHOST; psql -f x", (), ()),
        ('psql -d "$DB" -f x', (), ("$DB",)),
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


@pytest.mark.parametrize(
    ("line", "files", "commands"),
    [
        ("psql -f a -f b", ("a", "b"), ()),
        ("psql < a", ("a",), ()),
        ("psql -f a < b", ("a",), ()),  # psql does not read its input then
        ("psql -c x < b", (), ("x",)),
        ("psql -f - < b", ("b",), ()),
        ("cat a b | psql", ("a", "b"), ()),
        ("cat a | psql -f b", ("b",), ()),
        ("echo '\\i a' | psql", (), ("\\i a",)),
        ("psql <<EOF\n\\i a\nEOF\n", (), ("\\i a\n",)),
        ("psql <<-'EOF' && echo x\n\t\\i a\n\tEOF\n", (), ("\\i a\n",)),
        ("psql <<< '\\i a'", (), ("\\i a",)),
        ("psql -f a # -f b", ("a",), ()),
        ("psql -f 'a b' -f c\\ d", ("a b", "c d"), ()),
    ],
)
def test_what_psql_runs_is_read_from_options_and_input(
    line: str, files: tuple[str, ...], commands: tuple[str, ...]
) -> None:
    assert (only(line).files, only(line).commands) == (files, commands)


@pytest.mark.parametrize("line", ["psql", "psql -d orders", "psql --version", "psql -l -f x", "psql -?", "psql --help",
                                  "psql </dev/null", "psql -V"])  # fmt: skip
def test_a_call_that_runs_nothing_is_told(line: str) -> None:
    assert only(line).runs_nothing


@pytest.mark.parametrize(
    ("line", "folder"),
    [
        ("cd /srv && psql", "/srv"),
        ("(cd /srv && true); psql", ""),
        ("cd /srv; cd sql; psql", "/srv/sql"),
        ("su - dba -c 'psql -f x'", "~"),
        ("su - dba -c 'cd /srv && psql -f x'", "/srv"),
        ("sudo -i -u dba psql -f x", "~"),
        ("sudo -u dba psql -f x", ""),
    ],
)
def test_the_working_folder_is_where_cd_or_a_login_shell_leads(line: str, folder: str) -> None:
    assert only(line).folder == folder


@pytest.mark.parametrize("line", ["which psql", "command -v psql", "case x in x) psql;; esac", "# psql -f x"])
def test_psql_is_not_called_where_it_is_only_spoken_of_or_not_followed(line: str) -> None:
    assert psql_calls(line) == ()


def test_options_that_wait_or_change_what_runs_are_told() -> None:
    assert only("psql -s -f x").turns_on("SINGLESTEP")
    assert only("psql --single-step -f x").turns_on("SINGLESTEP")
    assert not only("psql -s -v SINGLESTEP -f x").turns_on("SINGLESTEP")
    assert only("psql -S -f x").turns_on("SINGLELINE")
    assert only("psql --set=AUTOCOMMIT=off -f x").turns_off("AUTOCOMMIT")
    assert only("psql -L log -o out -f x").outputs == ("log", "out")
    assert only("psql -d a -U b -f x c").ignored == ("c",)
    assert only("psql a b c -f x").ignored == ("c",)
