"""`preflight collect` and the merging of what several of them bring."""

from __future__ import annotations

import json
import shutil
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from preflight.clock import now
from tests.cli.program import preflight, write_plan
from tests.site.https import HttpsApp

PLAN = """\
[release]
id = "REL-1"
[window]
zone = "UTC"
start = 2031-01-01T01:00:00
end = 2031-01-01T03:00:00
[hosts.db1]
address = "127.0.0.1"
port = 1
user = "a"
password = "env:DB1_PASSWORD"
network_zone = "east"
[hosts.db2]
address = "127.0.0.1"
port = 1
user = "a"
password = "env:DB1_PASSWORD"
network_zone = "west"
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return write_plan(tmp_path, PLAN)


def test_each_zone_asks_its_own_targets_and_judge_joins_them(plan: Path) -> None:
    files = {zone: plan.with_name(f"{zone}.json") for zone in ("east", "west")}
    for zone, file in files.items():
        done = preflight("collect", plan, "--zone", zone, "--output", file)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"questions of {zone}," in done.stdout
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    targets = {
        zone: {each["question"]["target"] for each in json.loads(file.read_text())["answers"]}
        for zone, file in files.items()
    }
    assert targets == {"east": {"db1"}, "west": {"db2"}}
    done = preflight("judge", plan, *files.values())
    assert done.returncode == 1
    told = " ".join(done.stdout.split())
    assert f"{files['east']}: network zone east," in told
    assert "host-login db1, db2" in told
    assert "nobody asked" not in told


BESIDE_IT = """\
key = "keys/id"
passphrase = "file:keys/words"
known_hosts = ["hosts"]
[databases.orders]
host = "db1"
port = 1
user = "release"
password = "file:keys/words"
sslmode = "verify-full"
sslrootcert = "ca.pem"
[scripts.orders]
database = "orders"
approved = "sql"
manifest = "orders.SHA256SUMS"
staged = "/srv/release"
[checks.command.run.own]
program = "tools/own.sh"
"""


@pytest.mark.case(32)
def test_judged_in_another_folder_the_verdict_is_the_same(tmp_path: Path) -> None:
    """Whatever file beside the plan it names."""
    here, elsewhere = tmp_path / "here", tmp_path / "somewhere" / "else"
    files = {
        "keys/id": "no key", "keys/words": "correct horse", "hosts": "", "ca.pem": "no certificate", "own/_x.py": "",
        "sql/010_a.sql": "\\i 020_b.sql\n", "sql/020_b.sql": "SELECT 1;\n", "tools/own.sh": "#!/bin/sh\necho yes\n",
        "orders.SHA256SUMS": f"{'0' * 64}  sql/010_a.sql\n",
    }  # fmt: skip
    for name, text in files.items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(text)
        (here / name).chmod(0o700)
    first_host = PLAN.partition("[hosts.db2]")[0].replace('password = "env:DB1_PASSWORD"\n', "")
    plan = write_plan(here, first_host.replace("[window]", 'checks = "own"\n[window]') + BESIDE_IT)
    assert preflight("collect", plan, "--output", here / "evidence.json").returncode == 0
    shutil.copytree(here, elsewhere)
    reports = []
    for folder in (here, elsewhere):
        done = preflight("judge", folder / plan.name, folder / "evidence.json", "--format", "json")
        assert done.returncode == 1, done.stderr
        reports.append(json.loads(done.stdout))
    for one, other in zip(*(report["findings"] for report in reports), strict=True):
        assert one == other
    assert reports[0] == reports[1]
    assert {each["check"] for each in reports[0]["findings"]} > {"command", "script-hashes", "database-login"}


def test_evidence_is_void_when_a_script_beside_the_plan_changed_since(tmp_path: Path) -> None:
    scripts = """
[databases.orders]
host = "db1"
user = "release"
[scripts.orders]
database = "orders"
approved = "sql"
manifest = "orders.SHA256SUMS"
staged = "/srv/release"
"""
    plan, script, file = write_plan(tmp_path, PLAN + scripts), tmp_path / "sql" / "010.sql", tmp_path / "east.json"
    script.parent.mkdir()
    script.write_text("alter table a add b int;\n")
    preflight("collect", plan, "--zone", "east", "--output", file)
    assert preflight("judge", plan, file).returncode == 1
    script.write_text("drop table a;\n")
    done = preflight("judge", plan, file)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{file} is void: scripts.orders.approved 010.sql changed from sha256 " in done.stderr


def test_a_zone_that_is_missing_is_said_with_the_command_that_asks_it(plan: Path) -> None:
    file = plan.with_name("east.json")
    preflight("collect", plan, "--zone", "east", "--output", file)
    done = preflight("judge", plan, file)
    assert "nobody asked db2: preflight collect plan.toml --zone west" in " ".join(done.stdout.split())
    assert done.returncode == 1


def test_an_unknown_zone_is_a_wrong_call(plan: Path) -> None:
    done = preflight("collect", plan, "--zone", "wets", "--output", plan.with_name("x.json"))
    assert done.returncode == 2
    assert "no such network zone 'wets'; did you mean west? There are: east, west" in done.stderr


def test_a_plan_in_which_only_some_targets_have_a_zone_is_refused(plan: Path) -> None:
    plan.write_text(PLAN.replace('network_zone = "west"\n', ""))
    done = preflight("lint", plan)
    assert done.returncode == 2
    assert 'hosts.db2.network_zone: is required when other entries have one: "east"' in done.stdout


def test_one_file_named_twice_is_a_wrong_call(plan: Path) -> None:
    file = plan.with_name("east.json")
    preflight("collect", plan, "--output", file)
    done = preflight("judge", plan, file, file)
    assert done.returncode == 2
    assert "named twice" in done.stderr


def test_a_file_that_cannot_be_written_is_no_success(plan: Path) -> None:
    done = preflight("collect", plan, "--output", plan.with_name("absent") / "x.json")
    assert done.returncode == 4
    assert "the evidence could not be written" in done.stderr


@pytest.mark.case(32)
def test_evidence_of_one_folder_is_judged_in_another(tmp_path: Path, https_app: HttpsApp) -> None:
    """Files beside the plan are named as seen from there, so that the same is asked from every checkout."""
    https_app.answer_json({"status": "UP", "version": "4.1"})
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    shutil.copy(https_app.ca, here / "ca.pem")
    text = PLAN.partition("[hosts")[0].replace("2031-01-01", str((now() + timedelta(days=1)).date()))
    plan = write_plan(here, (
        f'{text}[applications.app1]\nfrom = "4.1"\nto = "4.2"\n'
        f'health = [{{ url = "{https_app.url()}", version = "version", ca = "ca.pem" }}]\n'
    ))  # fmt: skip
    assert preflight("collect", plan, "--output", here / "evidence.json").returncode == 0
    here.rename(elsewhere)
    judged = preflight("judge", elsewhere / plan.name, elsewhere / "evidence.json", "--format", "json")
    found = {each["check"]: each for each in json.loads(judged.stdout)["findings"]}
    assert found["app-health"]["status"] == "pass", found["app-health"]
