"""What the reader of scripts says of errors and commits, against what psql does."""

from __future__ import annotations

import subprocess

import pytest

from preflight.judging.psql_script import scan_script
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
    ("\\set AUTOCOMMIT on\n", False, GOOD),
    ("\\set ON_ERROR_ROLLBACK on\n", False, GOOD),
    ("\\q\n", True, FAILS),
    ("\\if true\n\\q\n\\endif\n", True, UNKNOWN),
    ("\\set SINGLESTEP off\n", False, GOOD),
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
    found = scan.deviations
    assert said == (FAILS if any(each.certain for each in found) else UNKNOWN if found else GOOD), found
