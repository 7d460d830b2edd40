"""What the reader of scripts says of errors and commits, against what psql does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from preflight.judging.psql_script import scan_script
from preflight.judging.sealed_scripts import sealed_scripts
from preflight.plan import RemotePath, Scripts
from preflight.questions.files import Texts
from tests.site.postgres import SUPERUSER, Cluster

_REST = "\\echo\ninsert into kept values (1);\nselect 1/0;\n\\echo AFTER\n"
FAILS, UNKNOWN, GOOD = "certain", "not known", "as asked"


def run_psql(postgres: Cluster, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    where = {"PGHOST": str(postgres.socket_directory), "PGPORT": str(postgres.port), "PGUSER": SUPERUSER}
    return subprocess.run(
        [postgres.bin / "psql", "-X", "-w", "-v", "ON_ERROR_STOP=1", *options, "-d", "postgres", "-f", "-"],
        input=script, env={**where, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False,
        user=postgres.account, timeout=60,
    )  # fmt: skip


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
    ("\\set SINGLESTEP off\n", False, GOOD),
    ("\\set SINGLESTEP on\n", False, UNKNOWN),
    ("begin;\n", True, FAILS),
    ("begin;\ncommit and chain;\n", True, FAILS),
    ("\\if true\nbegin;\n\\endif\n", True, UNKNOWN),
    ("begin;\n\\if true\ncommit;\n\\else\nrollback;\n\\endif\n", False, GOOD),
    ("begin;\nrollback and no chain;\n", False, UNKNOWN),
    ("\\endif\n", True, FAILS),
    ("\\else\n", True, FAILS),
    ("copy kept from stdin;\n2\n", True, FAILS),
    ("copy kept from stdin;\n\\.\n", False, GOOD),
    ("\\copy kept from stdin\n2\n", True, FAILS),
    ("\\set x 1\nselect :x, ':q', 1::text, (array[1,2])[1:2];\n", False, GOOD),
]


@pytest.mark.parametrize(("text", "deviates", "said"), SCRIPTS)
def test_what_is_said_of_errors_and_commits_is_what_psql_does(
    postgres: Cluster, text: str, deviates: bool, said: str
) -> None:
    postgres.sql("DROP TABLE IF EXISTS kept; CREATE TABLE kept (row integer)")
    script = text + _REST
    ran = run_psql(postgres, script)
    as_asked = ran.returncode == 3 and "AFTER" not in ran.stdout and postgres.scalar("SELECT count(*) FROM kept") == 1
    assert as_asked is not deviates, f"{ran.returncode} {ran.stdout} {ran.stderr}"
    scan = scan_script(script)
    found = [*scan.deviations, *filter(None, [scan.begun])]
    assert said == (FAILS if any(each.certain for each in found) else UNKNOWN if found else GOOD), found


ENDS = [
    ("begin;\ninsert into kept values (1);\n", 0, 0, FAILS),
    ("begin;\ninsert into kept values (1);\nrollback;\n", 0, 0, UNKNOWN),
    ("begin;\ninsert into kept values (1);\ncommit;\n", 0, 1, GOOD),
    ("begin;\ninsert into kept values (1);\nrollback and chain;\ncommit;\n", 0, 0, UNKNOWN),
    ("begin;\ninsert into kept values (1);\nprepare transaction 'a';\n", 3, 0, UNKNOWN),
    ("insert into kept values (1) \\r\nselect 1;\n", 0, 0, FAILS),
    ("insert into kept values (1); \\reset\n", 0, 1, GOOD),
    ("-- all of it\n\\if false\ninsert into kept values (1);\n\\endif\n", 0, 0, FAILS),
    ("\\if false\nselect 1;\n\\else\ninsert into kept values (1);\n\\endif\n", 0, 1, GOOD),
    ("\\if false\nselect 1;\n\\endif\ninsert into kept values (1);\n", 0, 1, GOOD),
    ("insert into kept values (1);\n\\if true\n", 3, 1, FAILS),
    ("copy kept from stdin;\n1\n2\n", 0, 2, FAILS),
    ("copy kept from stdin;\n1\n\\.\n", 0, 1, GOOD),
    ("select 'open;\n", 3, 0, FAILS),
    ("select E'open\\';\n", 3, 0, FAILS),
    ('select "open;\n', 3, 0, FAILS),
    ("select $a$ open $b$;\n", 3, 0, FAILS),
    ("/* /* open */ select 1;\n", 3, 0, FAILS),
    ('select \'it\'\'s\', "a""b", $$x$$ from (values (1)) v ("a""b"); /* /* shut */ */\n', 0, 0, GOOD),
]


@pytest.mark.parametrize(("text", "status", "rows", "said"), ENDS)
def test_what_is_said_of_a_scripts_end_is_what_psql_does(
    postgres: Cluster, text: str, status: int, rows: int, said: str
) -> None:
    postgres.sql("DROP TABLE IF EXISTS kept; CREATE TABLE kept (row integer)")
    ran = run_psql(postgres, text)
    assert (ran.returncode, postgres.scalar("SELECT count(*) FROM kept")) == (status, rows), ran.stderr
    scan = scan_script(text)
    found = [*scan.deviations, *filter(None, [scan.begun])]
    assert said == (FAILS if any(each.certain for each in found) else UNKNOWN if found else GOOD), found


VARIABLES = [
    ("select :none;\n", True),
    ("select :'none';\n", True),
    ('select :"none";\n', True),
    ("select 1:none;\n", True),
    ("\\set n 1\nselect :n, :'n';\n", False),
    ("select 1 as n \\gset\nselect :n;\n", False),
    ("select 1 as n \\gset my_\nselect :my_n;\n", False),
    ("\\getenv n PATH\nselect :'n';\n", False),
    ("select :'DBNAME', ':none', $$:none$$, 1::text, (array[1,2])[1:n] from (select 2 as n) t; -- :none\n", False),
    ("create function pg_temp.f(a int) returns int language sql as 'select 1'; select pg_temp.f(a:=1);\n", False),
]


@pytest.mark.parametrize(("text", "refused"), VARIABLES)
def test_what_is_said_of_variables_is_what_the_server_says(postgres: Cluster, text: str, refused: bool) -> None:
    ran = run_psql(postgres, text)
    assert (ran.returncode == 3 and 'at or near ":"' in ran.stderr) is refused, ran.stderr
    scripts = Scripts(
        id="s", approved=Path("a"), manifest=Path("m"), staged=RemotePath("/srv"), database="d", files=("a.sql",)
    )
    assert bool(sealed_scripts(scripts, ["a.sql"], "", Texts({"a.sql": text})).unset) is refused


ALONE = [
    ("vacuum kept;\n", True),
    ("create index concurrently on kept (row);\n", True),
    ("create unique index concurrently on kept (row);\n", True),
    ("drop index concurrently kept_i;\n", True),
    ("reindex table concurrently kept;\n", True),
    ("reindex database postgres;\n", True),
    ("alter system set work_mem = '5MB';\n", True),
    ("create database other;\n", True),
    ("drop database if exists other;\n", True),
    ("create index on kept (row);\nanalyze kept;\nreindex table kept;\n", False),
    ("refresh materialized view concurrently kept_m;\n", False),
]


@pytest.mark.parametrize(("text", "refused"), ALONE)
def test_what_is_said_to_be_refused_in_a_transaction_is(postgres: Cluster, text: str, refused: bool) -> None:
    postgres.sql(
        "DROP TABLE IF EXISTS kept CASCADE; CREATE TABLE kept (row integer); CREATE INDEX kept_i ON kept (row);"
        "CREATE MATERIALIZED VIEW kept_m AS SELECT row FROM kept; CREATE UNIQUE INDEX ON kept_m (row)"
    )
    ran = run_psql(postgres, text, "-1")
    assert (ran.returncode == 3 and "transaction block" in ran.stderr) is refused, ran.stderr
    assert [each.certain for each in scan_script(text).transactions] == [True] * refused
    postgres.sql("DROP TABLE kept CASCADE")


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
    ("\\c -\n", True),
    ("select 'commit' \\gexec\n", True),
]


@pytest.mark.parametrize(("text", "breaks"), TRANSACTIONS)
def test_what_is_said_of_a_single_transaction_is_what_psql_does(postgres: Cluster, text: str, breaks: bool) -> None:
    postgres.sql("DROP TABLE IF EXISTS kept; CREATE TABLE kept (row integer)")
    run_psql(postgres, f"insert into kept values (1);\n{text}insert into kept values (1);\nselect 1/0;\n", "-1")
    kept = postgres.scalar("SELECT count(*) FROM kept") != 0
    assert bool(scan_script(text).transactions) is breaks
    assert kept is breaks
