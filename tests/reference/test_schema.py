"""The JSON Schemas: they take what lint takes, and never refuse what it takes."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from preflight.engine.registry import find_checks
from preflight.errors import PlanError
from preflight.plan.load import load_plan
from preflight.reference.__main__ import SECTIONS
from preflight.reference.schemas import plan_schema, report_schema
from preflight.report.formats import json as json_report
from preflight.verdict import Verdict
from tests.plan_texts import FULL, MINIMAL
from tests.report.formats.cases import go, hold, hostile, no_go, waived
from tests.test_plans import EXAMPLE, PLANS


@cache
def plan_validator() -> Any:
    return jsonschema.Draft7Validator(plan_schema(find_checks(None)))


def refusals(text: str) -> list[str]:
    return [error.message for error in plan_validator().iter_errors(_as_json(tomllib.loads(text)))]


def _as_json(value: Any) -> Any:
    """TOML as language servers hand it to a schema: dates and times are strings."""
    match value:
        case dict():
            return {key: _as_json(each) for key, each in value.items()}
        case list():
            return [_as_json(each) for each in value]
        case datetime() | date():
            return value.isoformat()
    return value


def lints(text: str, folder: Path) -> bool:
    (folder / "plan.toml").write_text(text)
    try:
        load_plan(folder / "plan.toml", find_checks(None).settings())
    except PlanError:
        return False
    return True


def test_both_are_schemas() -> None:
    jsonschema.Draft7Validator.check_schema(plan_schema(find_checks(None)))
    jsonschema.Draft7Validator.check_schema(report_schema())


@pytest.mark.parametrize("text", [MINIMAL, FULL.partition("[checks.")[0], *(path.read_text() for path in PLANS)])
def test_valid_plans_are_accepted(text: str) -> None:
    assert refusals(text) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('zone  = "America/New_York"', "zone = 5"),
        ("start = 2026-10-17T00:00:00", 'start = "tonight"'),
        ("start = 2026-10-17T00:00:00", "begin = 2026-10-17T00:00:00"),
        ("end   = 2026-10-17T06:00:00", 'end = 2026-10-17T06:00:00\nmargin = "half an hour"'),
        ("end   = 2026-10-17T06:00:00", "end = 2026-10-17T06:00:00\nrollback_factor = 0.5"),
        ('primary = "D. Kaya"', 'primary = ""'),
        ('password = "env:DB1_PASSWORD"', 'password = "hunter2"'),
        ('become   = ["postgres"]', 'become = "postgres"'),
        ("port       = 22", "port = 0"),
        ("port       = 22", 'port = "ssh"'),
        ('sslmode  = "verify-full"', 'sslmode = "allow"'),
        ('connect  = "direct"', 'conect = "direct"'),
        ('directory = "/backup/orders"', 'directory = "backup/orders"'),
        ('sha256 = "9f86d0', 'sha256 = "XY86d0'),
        ("minutes = 5\n", "minutes = -5\n"),
        ('source  = "rehearsed 2026-10-10"', 'source = "yesterday"'),
        ("rehearsed = 2026-10-10", "rehearsed = true"),
        ('on      = "retry"', 'on = "panic"'),
        ('url     = "https://app1-a.${domain}/health"', 'url = "app1-a.example.net/health"'),
        ('severity = "blocking"', 'severity = "fatal"'),
        ("sample = false", 'sample = "no"'),
        ("sample = false", "sampel = false"),
        ("[release]\n", "[relaese]\n"),
        ('undo    = { kind = "redeploy", minutes = 5', 'undo = { kind = "pray", minutes = 5'),
    ],
)
def test_what_the_schema_refuses_lint_refuses_too(old: str, new: str, tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    assert old in text
    faulty = text.replace(old, new, 1)
    assert refusals(faulty)
    assert not lints(faulty, tmp_path)


def test_what_files_and_entries_share_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('[hosts.db1]\nowner = "dba"\n[roles.dba]\nprimary = "D. Kaya"\n')
    text = (
        f'include = ["s.toml"]\n{MINIMAL}[variables]\nday = "2026-10-10"\nmode = {{ none = "the mode" }}\n'
        '[defaults.hosts]\nuser = "deploy"\nagent = "id.pub"\nport = 2222\n'
        '[hosts."web[01-03]"]\nport = ""\naddress = "web{n}.net"\n[hosts.db1]\noverride = true\nlogin_within = "20s"\n'
        '[databases.db]\nhost = "db1"\nuser = "r"\nsslmode = "${mode}"\n'
    )
    text += '[[steps]]\nid = "a"\nminutes = 1\nsource = "measured ${day}"\nhost = "web[01-03]"\n'
    assert refusals(text) == []
    assert refusals((tmp_path / "s.toml").read_text()) == []
    (tmp_path / "plan.toml").write_text(text)
    assert load_plan(tmp_path / "plan.toml", values={"mode": "verify-full"}).steps[2].host == "web03"


@pytest.mark.parametrize(
    "text",
    [
        'include = "s.toml"\n',
        "[variables]\na = 1\n",
        '[variables]\na-b = ""\n',
        "[defaults.host]\n",
        "[defaults.hosts]\nusr = 1\n",
        "[hosts.a]\noverride = false\n",
        '[hosts."a[1]"]\n',
    ],
)
def test_what_it_refuses_of_that_lint_refuses_too(text: str, tmp_path: Path) -> None:
    whole = f"{text}{MINIMAL}" if text.startswith("include") else MINIMAL + text
    assert refusals(whole)
    assert not lints(whole, tmp_path)


def test_every_section_and_key_is_described() -> None:
    schema = plan_schema(find_checks(None))
    sections = {section.strip("[]").partition(".")[0] for section in SECTIONS if section.startswith("[")}
    assert set(schema["properties"]) == sections | {"checks", "format", "include", "variables", "defaults"}
    tables = [*schema["definitions"].values(), *schema["properties"]["checks"]["properties"].values()]
    for table in tables:
        record = next((each for each in table.get("anyOf", []) if "properties" in each), table)
        for key, described in record["properties"].items():
            assert described.get("description") or key == "id", f"{record['description']}: {key}"


@pytest.mark.parametrize("verdict", [go(), no_go(), hold(), waived(), hostile()])
def test_every_report_is_just_what_its_schema_says(verdict: Verdict) -> None:
    jsonschema.validate(
        json.loads(json_report.render(verdict)), report_schema(), format_checker=jsonschema.FormatChecker()
    )


def test_a_report_without_steps_keeps_to_it_too() -> None:
    bare = replace(go(), planned_schedule=None, found_schedule=None, end_states=(), ages=())
    jsonschema.validate(json.loads(json_report.render(bare)), report_schema())


def test_a_field_more_or_less_would_be_seen() -> None:
    document = json.loads(json_report.render(no_go()))
    for broken in ({**document, "new": 1}, {key: value for key, value in document.items() if key != "verdict"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, report_schema())
