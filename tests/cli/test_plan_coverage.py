"""A GO proves something: what the plan does not ask is left out for a reason, which every report prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from preflight.plan.gaps import SECTIONS
from preflight.report.formats import FORMATS
from tests.cli.program import BASE, preflight

COMMAND = '[checks.command.run.nothing]\nprogram = "true"\nwanted = "it ends"\nremedy = "have it end"\n'
WITHOUT = "without = {{ {} }}\n".format(", ".join(f'{kind} = "because of {kind}"' for kind in SECTIONS))


def plan_of(folder: Path, *added: str) -> Path:
    """A plan of these parts; `without` goes into [release]."""
    path = folder / "plan.toml"
    release = "".join(each for each in added if each.startswith("without"))
    path.write_text(BASE.replace("[window]", f"{release}\n[window]") + "".join(set(added) - {release}))
    return path


@pytest.mark.case(23)
def test_a_plan_that_proves_nothing_is_hold_until_it_says_why_it_asks_nothing(tmp_path: Path) -> None:
    done = preflight("run", plan_of(tmp_path, COMMAND), "--format", "json")
    assert done.returncode == 3
    report = json.loads(done.stdout)
    held = [each["subject"] for each in report["findings"] if each["status"] == "unknown"]
    assert held == [*SECTIONS]
    plan = plan_of(tmp_path, COMMAND, WITHOUT)
    done = preflight("run", plan, "--format", "json")
    assert (done.returncode, json.loads(done.stdout)["headline"]) == (0, "GO")
    for options in (["--short"], *(["--format", each] for each in FORMATS if each != "prometheus")):
        told = " ".join(preflight("run", plan, *options).stdout.split())
        assert all(f"because of {kind}" in told for kind in SECTIONS), options


@pytest.mark.case(23)
def test_reasons_alone_are_no_go_and_nothing_silences_the_check(tmp_path: Path) -> None:
    done = preflight("run", plan_of(tmp_path, WITHOUT))
    assert done.returncode == 3
    assert "no blocking check saw anything, so nothing is confirmed" in done.stdout
    done = preflight("run", plan_of(tmp_path, COMMAND, '[checks.plan-coverage]\nseverity = "advisory"\n'))
    assert done.returncode == 2
    assert "checks.plan-coverage: always blocks" in done.stderr
    done = preflight("run", plan_of(tmp_path, COMMAND), "--skip", "plan-coverage")
    assert done.returncode == 3


def test_a_check_that_the_plan_does_not_let_decide_is_named_to_whoever_reads(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, COMMAND, WITHOUT, '[checks.on-call]\nseverity = "advisory"\n')
    for name in ("text", "markdown", "html", "say", "nagios"):
        told = " ".join(preflight("run", plan, "--format", name).stdout.split())
        assert "on-call: made advisory by the plan" in told, name


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ('without = { backups = "" }\n', "release.without.backups: is empty"),
        ('without = { backup = "x" }\n', 'did you mean "backups"?'),
        (
            'without = { rollback = "x" }\n[rollback]\nrehearsed = 2030-10-01\n',
            "release.without.rollback: the plan has",
        ),
        ('[rollback]\nfiles = { none = "" }\n', "rollback.files.none: is empty"),
        ('[rollback]\nfiles = { reason = "x" }\n', "rollback.files.none: is required"),
        ('[rollback]\nfiles = "none"\n', "rollback.files: expected an array of tables"),
    ],
)
def test_a_reason_that_is_none_is_an_error_of_the_plan(tmp_path: Path, added: str, said: str) -> None:
    release, _, rest = added.rpartition("\n[rollback]")
    parts = [release + "\n", f"[rollback]{rest}"] if release else [added]
    done = preflight("lint", plan_of(tmp_path, *parts))
    assert done.returncode == 2
    assert said in done.stdout


def test_a_missing_way_back_and_a_missing_previous_are_still_wanted_where_nothing_else_stands_for_them(
    tmp_path: Path,
) -> None:
    text = (
        '[hosts.db1]\nuser = "u"\nagent = "a"\n[databases.orders]\nhost = "db1"\nuser = "u"\n'
        '[backups.a]\ndatabase = "orders"\ndirectory = "/b"\ntaken_by = "cron"\nprevious = { none = "x" }\n'
        '[scripts.b]\ndatabase = "orders"\napproved = "a"\nmanifest = "m"\nstaged = "/s"\nstep = "s"\n'
        'way_back = { none = "x" }\n[[steps]]\nid = "s"\nminutes = 1\nundo = { kind = "script" }\n'
    )
    done = preflight("lint", plan_of(tmp_path, text))
    assert "backups.a.previous: is required with taken_by" in done.stdout
    assert "scripts.b.way_back: is required: the step s is taken back by a script" in done.stdout
