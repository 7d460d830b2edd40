"""What the reader of scripts says of errors and commits, against what psql does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from preflight.judging.psql_script import scan_script
from tests.site.postgres import SUPERUSER, Cluster

_REST = "\\echo\ninsert into kept values (1);\nselect 1/0;\n\\echo AFTER\n"
FAILS, UNKNOWN, GOOD = "certain", "not known", "as asked"

# The script, whether psql does not do what is asked, what is said of it.
SCRIPTS = [
    ("", False, GOOD),
    ("\\set ON_ERROR_STOP off\n", True, FAILS),
    ("\\unset ON_ERROR_STOP\n", True, FAILS),
    ("\\set ON_ERROR_STOP\n", False, GOOD),
    ("\\set ON_ERROR_STOP off\n\\set ON_ERROR_STOP on\n", False, GOOD),
    ("\\set ON_ERROR_STOP off\n\\set ON_ERROR_STOP maybe\n", True, FAILS),
    ("\\set ON_ERROR_STOP off\n\\if false\n\\set ON_ERROR_STOP on\n\\endif\n", True, FAILS),
    ("\\if true\n\\set ON_ERROR_STOP off\n\\endif\n", True, UNKNOWN),
    ("\\set x off\n\\set ON_ERROR_STOP :x\n", True, UNKNOWN),
    ("\\set ON_ERROR_STOP `echo off`\n", True, UNKNOWN),
    ("\\set n ON_ERROR_STOP\n\\set :n off\n", True, UNKNOWN),
    ("\\set n ON_ERROR_STOP\n\\unset :n\n", True, UNKNOWN),
    ("\\setenv X off\n\\getenv ON_ERROR_STOP X\n", True, UNKNOWN),
    ("\\set q '\\\\set ON_ERROR_STOP off'\n:q\n", True, UNKNOWN),
    ("\\set q '\\\\set ON_ERROR_STOP off'\nselect 1 :q\n;\n", True, UNKNOWN),
    ("select '\\set ON_ERROR_STOP off' as q \\gset\n:q\n", True, UNKNOWN),
    ("select 'off' as \"ON_ERROR_STOP\" \\gset\n", False, GOOD),
    ("select 'off' as \"STOP\" \\gset ON_ERROR_\n", False, GOOD),
    ("set standard_conforming_strings=off; select 'a\\'';\n\\set ON_ERROR_STOP off\n--'\n", True, UNKNOWN),
    ("set standard_conforming_strings = on;\n", False, GOOD),
    ("select set_config('standard_conforming_strings', 'off', false);\n", False, UNKNOWN),
    ("\\set AUTOCOMMIT off\n", True, UNKNOWN),
    ("\\set AUTOCOMMIT on\n", False, GOOD),
    ("\\set ON_ERROR_ROLLBACK on\n", False, GOOD),
    ("\\set SINGLELINE on\n", False, UNKNOWN),
    ("\\q\n", True, FAILS),
    ("\\if true\n\\q\n\\endif\n", True, UNKNOWN),
    ("\\set x 1\nselect :x, ':q', 1::text, (array[1,2])[1:2];\n", False, GOOD),
]


@pytest.mark.parametrize(("text", "deviates", "said"), SCRIPTS)
def test_what_is_said_of_errors_and_commits_is_what_psql_does(
    postgres: Cluster, tmp_path: Path, text: str, deviates: bool, said: str
) -> None:
    postgres.sql("DROP TABLE IF EXISTS kept; CREATE TABLE kept (row integer)")
    script = text + _REST
    where = {"PGHOST": str(postgres.socket_directory), "PGPORT": str(postgres.port), "PGUSER": SUPERUSER}
    ran = subprocess.run(
        [postgres.bin / "psql", "-X", "-w", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-f", "-"],
        input=script, env={**where, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False,
        user=postgres.account, timeout=60,
    )  # fmt: skip
    as_asked = ran.returncode == 3 and "AFTER" not in ran.stdout and postgres.scalar("SELECT count(*) FROM kept") == 1
    assert as_asked is not deviates, f"{ran.returncode} {ran.stdout} {ran.stderr}"
    found = scan_script(script).deviations
    assert said == (FAILS if any(each.certain for each in found) else UNKNOWN if found else GOOD), found


TRANSACTIONS = [
    ("", False),
    ("begin;\ncommit;\n", True),
    ("commit;\n", True),
    ("/* so */ END;\n", True),
    ("rollback;\n", True),
    ("abort work;\n", True),
    ("commit and chain;\n", True),
    ("start transaction; commit;\n", True),
    ("select 1\\; commit;\n", True),
    ("select 1 \\g\ncommit \\g\n", True),
    ("savepoint s;\nrollback to s;\nrollback work to savepoint s;\nrelease s;\n", False),
    ("select 'commit;' as \"commit\"; -- commit;\n", False),
    ("do $$ begin perform 1; end $$;\n", False),
    (
        "create function pg_temp.f() returns int begin atomic select case when true then 1 end; select 2; end;\n",
        False,
    ),
    ("create table pg_temp.t as select 1 as begin;\n", False),
    ("copy kept from stdin;\n2\n\\.\n", False),
]


@pytest.mark.parametrize(("text", "breaks"), TRANSACTIONS)
def test_what_is_said_of_a_single_transaction_is_what_psql_does(postgres: Cluster, text: str, breaks: bool) -> None:
    postgres.sql("DROP TABLE IF EXISTS kept; CREATE TABLE kept (row integer)")
    where = {"PGHOST": str(postgres.socket_directory), "PGPORT": str(postgres.port), "PGUSER": SUPERUSER}
    subprocess.run(
        [postgres.bin / "psql", "-X", "-w", "-v", "ON_ERROR_STOP=1", "-1", "-d", "postgres", "-f", "-"],
        input=f"insert into kept values (1);\n{text}insert into kept values (1);\nselect 1/0;\n",
        env={**where, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False,
        user=postgres.account, timeout=60,
    )  # fmt: skip
    kept = postgres.scalar("SELECT count(*) FROM kept") != 0
    assert bool(scan_script(text).transactions) is breaks
    assert kept is breaks
