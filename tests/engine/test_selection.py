"""What `--only` and `--skip` take, by check, host, owner, family and subject."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.program import BASE, preflight, write_plan

PLAN = (
    BASE
    + """
[roles.dba]
primary = "D. Kaya"
standby = "M. Ortiz"

[roles.unix]
primary = "S. Lindqvist"
standby = "R. Okafor"

[hosts.db1]
address = "127.0.0.1"
port = 1
user = "dbadmin"
agent = "id.pub"
owner = "unix"

[hosts.app1-a]
address = "127.0.0.1"
port = 1
user = "deploy"
agent = "id.pub"
owner = "unix"

[databases.orders]
host = "db1"
port = 1
user = "release"
role = "primary"
owner = "dba"
"""
)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plan(tmp_path_factory.mktemp("selection"), PLAN)


def selected(plan: Path, *arguments: str) -> set[str]:
    """Check and subject of every line that was looked at."""
    done = preflight("run", plan, "--format", "json", *arguments)
    report = json.loads(done.stdout)
    assert report["verdict"] != "GO"
    assert len(report["findings"]) == report["planned"], "what is not selected vanishes from no report"
    return {f"{line['check']} {line['subject']}" for line in report["findings"] if line["status"] != "skipped"}


def test_a_term_takes_what_it_names(plan: Path) -> None:
    every = selected(plan)
    assert selected(plan, "--only", "host-login") == {"host-login db1", "host-login app1-a"}
    of_db1 = selected(plan, "--only", "host:db1")
    assert {"host-login db1", "database-login orders"} <= of_db1
    assert not [line for line in of_db1 if "app1-a" in line]
    assert selected(plan, "--only", "host:db1", "--skip", "owner:dba") == of_db1 - selected(plan, "--only", "owner:dba")
    assert selected(plan, "--only", "subject:app1-a") == {line for line in every if line.endswith(" app1-a")}
    access = selected(plan, "--only", "family:access")
    assert "host-login db1" in access
    assert selected(plan, "--skip", "family:access") == every - access
    both = selected(plan, "--only", "host-login", "--only", "subject:orders")
    assert {"host-login app1-a", "database-login orders"} <= both


@pytest.mark.parametrize(
    ("term", "said"),
    [
        ("host:db2", "--only: no such host 'db2'; did you mean db1?"),
        ("owner:db", "--only: no such owner 'db'; did you mean dba?"),
        ("family:acces", "--only: no such family 'acces'; did you mean access?"),
        ("subject:order", "--only: no such subject 'order'; did you mean orders?"),
        ("hosts:db1", "--only: no such check 'hosts:db1'"),
    ],
)
def test_what_names_nothing_is_2_with_the_nearest_name(plan: Path, term: str, said: str) -> None:
    done = preflight("run", plan, "--only", term)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_the_report_says_of_how_many_subjects_a_check_was_left_out(plan: Path) -> None:
    told = preflight("run", plan, "--only", "subject:db1").stdout
    assert "host-login (1 of 2)" in " ".join(told.split())
