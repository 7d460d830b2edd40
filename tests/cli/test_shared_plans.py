"""Plans of several files and with variables, as they are called: `--set`, the environment, `show --plan`, the gate."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from preflight.report.formats import FORMATS
from tests.cli.program import BASE, preflight, write_plan

VARIED = BASE.replace('"REL-1"', '"REL-${target}"') + '[variables]\ntarget = "staging"\n'
EVERY = [
    ["run", "PLAN"],
    ["judge", "PLAN", "evidence.json"],
    ["gate", "PLAN"],
    ["verify", "PLAN", "--expect", "after"],
    ["collect", "PLAN", "--output", "evidence.json"],
    ["history", "PLAN"],
    ["lint", "PLAN"],
    ["show", "PLAN"],
    ["show", "PLAN", "--plan"],
    ["seal", "PLAN"],
    ["rehearse", "PLAN"],
    ["checks", "--plan", "PLAN"],
    ["explain", "decisions", "--plan", "PLAN"],
]


@pytest.mark.parametrize("call", EVERY, ids=" ".join)
def test_every_command_that_takes_a_plan_takes_set(tmp_path: Path, call: list[str]) -> None:
    plan = write_plan(tmp_path, VARIED)
    typed = [str(plan) if word == "PLAN" else word for word in call]
    (tmp_path / "evidence.json").write_text("{}")
    done = preflight(*typed, "--set", "traget=production", cwd=tmp_path)
    if call[0] != "judge":  # which reads the evidence first
        told = done.stdout if call[0] == "lint" else done.stderr
        assert "--set traget" in told
        assert 'did you mean "target"?' in told
    assert done.returncode == 2
    done = preflight(*typed, "--set", "target=production", cwd=tmp_path)
    assert "--set" not in done.stderr


def test_what_is_set_stands_in_the_report_and_in_its_commands(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, VARIED)
    done = preflight("run", plan, "--set", "target=production")
    assert "REL-production" in done.stdout.splitlines()[0]
    assert "plan.toml with target = production, sha256" in done.stdout
    by_environment = preflight("run", plan, PREFLIGHT_SET_target="production")
    assert "with target = production" in by_environment.stdout
    both = preflight("run", plan, "--set", "target=test", PREFLIGHT_SET_target="production")
    assert "with target = test" in both.stdout, "what is typed is meant"
    assert preflight("lint", plan, PREFLIGHT_SET_traget="x").returncode == 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--set", "target"], "--set: write NAME=VALUE"),
        (["--set", "=x"], "--set: write NAME=VALUE"),
        (["--set", "target=a", "--set", "target=b"], "--set target is given twice"),
    ],
)
def test_a_call_that_sets_nothing_or_twice_is_refused(tmp_path: Path, options: list[str], told: str) -> None:
    done = preflight("lint", write_plan(tmp_path, VARIED), *options)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_changed_include_or_another_value_voids_the_saved_run(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('[roles.dba]\nprimary = "D. Kaya"\n')
    text = VARIED.replace('"REL-${target}"', '"REL-1"\ntitle = "for ${target}"')
    plan = write_plan(tmp_path, f'include = ["site.toml"]\n{text}')
    assert "Traceback" not in preflight("run", plan).stderr
    kept = preflight("gate", plan).stdout
    assert "void" not in kept
    told = " ".join(preflight("gate", plan, "--set", "target=b").stdout.split())
    assert "is void: plan changed from" in told
    assert "--set target was added" in told
    preflight("run", plan)
    (tmp_path / "site.toml").write_text('[roles.dba]\nprimary = "M. Ortiz"\n')
    told = " ".join(preflight("gate", plan).stdout.split())
    assert "is void: plan changed from" in told
    assert "included site.toml changed from" in told


def test_each_host_of_a_range_has_lines_of_its_own_in_the_report(tmp_path: Path) -> None:
    web = '[hosts."web[08-10]"]\naddress = "127.0.0.{n}"\nport = 1\nuser = "a"\npassword = "env:DB1_PASSWORD"\n'
    done = preflight("run", write_plan(tmp_path, BASE + web), "--format", "json")
    found = {each["subject"] for each in json.loads(done.stdout)["findings"] if each["check"] == "host-login"}
    assert found == {"web08", "web09", "web10"}


def test_lint_names_the_file_of_each_error_in_every_format(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("[roles.dba]\nprimry = 1\n")
    plan = write_plan(tmp_path, f'include = ["site.toml"]\n{BASE}')
    told = json.loads(preflight("lint", plan, "--format", "json").stdout)["plans"][0]["errors"]
    assert {(each["file"], each["line"]) for each in told} == {
        (str(tmp_path / "site.toml"), 2),
        (str(tmp_path / "site.toml"), 1),
    }
    for name in ("github", "gitlab", "sarif"):
        assert "site.toml" in preflight("lint", plan, "--format", name).stdout


def test_the_whole_plan_is_printed_and_not_together_with_something_else(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, VARIED)
    done = preflight("show", plan.name, "--plan", cwd=tmp_path)
    assert done.returncode == 0
    assert 'id = "REL-staging"' in done.stdout
    assert "# plan.toml:3\n" in done.stdout
    for more in (["--commands"], ["--format", "markdown"]):
        assert preflight("show", plan, "--plan", *more).returncode == 2


def test_what_is_set_is_told_to_programs(tmp_path: Path) -> None:
    done = preflight("run", write_plan(tmp_path, VARIED), "--set", "target=production", "--format", "json")
    assert json.loads(done.stdout)["plan"]["set"] == {"target": "production"}


def test_lint_tells_once_what_is_so_of_every_entry_of_a_range(tmp_path: Path) -> None:
    web = '[hosts."web[01-40]"]\nuser = "a"\nkey = "k"\n[hosts.db1]\nuser = "a"\nkey = "k"\n'
    done = preflight("lint", write_plan(tmp_path, BASE + web))
    owned = [line.partition(": ")[2] for line in done.stdout.splitlines() if "Nobody owns" in line]
    assert owned == [
        'Nobody owns the findings of host web01: add "owner" to [hosts.web01]. (of 40 that this line stands for)',
        'Nobody owns the findings of host db1: add "owner" to [hosts.db1].',
    ]


def spoken(text: str) -> str:
    """Without the signs that nobody reads aloud."""
    return " ".join(re.sub(r"[/_]", " ", text.replace("`", "")).split())


def test_what_the_plan_overrides_of_an_included_file_is_told_by_every_report_lint_and_show(
    tmp_path: Path,
) -> None:
    site = "[release]\nwaiver_cutoff = '2h'\n"
    site += "[[steps]]\nid = 'stop'\nminutes = 5\n"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "site.toml").write_text(site)
    text = BASE.replace('id = "REL-1"', 'id = "REL-1"\noverride = true\nwaiver_cutoff = "1min"')
    text += "[[steps]]\nid = 'stop'\noverride = true\nminutes = 4\n[freshness]\naccess = '1h'\n"
    plan = write_plan(tmp_path, f'include = ["site/site.toml"]\n{text}')
    told = {
        "release of site/site.toml: waiver_cutoff",
        "steps of site/site.toml: stop.minutes",
    }
    for name in FORMATS:
        shown = spoken(preflight("run", plan, "--format", name).stdout)
        assert [each for each in told if f"{spoken(each)} overridden by the plan" not in shown] == [], name
    linted = preflight("lint", plan.name, cwd=tmp_path).stdout
    assert all(f"  override {each}\n" in linted for each in told)
    merged = preflight("show", plan.name, "--plan", cwd=tmp_path).stdout
    assert [line.partition(" = ")[0] for line in merged.splitlines() if "overrides site/site.toml:" in line] == [
        "waiver_cutoff",
        "minutes",
    ]
