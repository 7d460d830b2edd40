"""The shipped plans: valid, complete, sealed, and every key of the format explained in the example."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from preflight.engine.registry import find_checks
from preflight.plan.gaps import left_out, unconfirmed
from preflight.plan.load import load_plan
from preflight.plan.release_plan import Without
from preflight.record import fields_of
from preflight.reference.keys import SHARING
from preflight.reference.schemas import plan_schema

EXAMPLE = Path(__file__).parent.parent / "plans" / "example.toml"
REFERENCE = EXAMPLE.parent.parent / "docs" / "reference"
PLANS = sorted((Path(__file__).parent.parent / "plans").glob("*.toml"))


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.name)
def test_shipped_plans_are_valid_and_leave_nothing_unconfirmed(path: Path) -> None:
    assert unconfirmed(load_plan(path, find_checks().settings())) == ()


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.name)
def test_the_manifests_are_read_by_sha256sum(path: Path) -> None:
    for scripts in load_plan(path).scripts.values():
        done = subprocess.run(
            ["sha256sum", "--strict", "-c", scripts.manifest], cwd=scripts.approved, capture_output=True
        )
        assert done.returncode == 0, done.stderr


EXPLAINED_ONCE = {"override", "runbook", "severity", "severity_of", "none", "by", "on", "reason"}
"""What many tables have alike."""


def keys_of(schema: Any, definitions: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[str]:
    """Every key that a part of the schema takes, in it or below it."""
    name = schema.get("$ref", "").rpartition("/")[2]
    if name and name not in above:
        yield from keys_of(definitions[name], definitions, (*above, name))
    below = [
        *schema.get("allOf", ()),
        *schema.get("anyOf", ()),
        schema.get("items"),
        schema.get("additionalProperties"),
    ]
    for each in (*below, *schema.get("properties", {}).values()):
        yield from keys_of(each, definitions, above) if isinstance(each, dict) else ()
    yield from schema.get("properties", ())


def texts_of_sections(text: str) -> Mapping[str, str]:
    """Section of the plan -> all lines of the example's that explain it, commented out or not."""
    found: dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        if header := re.match(r"(?:# )?(?:More keys of )?\[+(?:defaults\.)?([a-z]+)", line):
            section = header[1]
        found[section] = f"{found.get(section, '')}{line}\n"
    return found


@pytest.mark.long
def test_the_example_and_the_reference_explain_every_key_of_the_schema_where_it_belongs() -> None:
    registry = find_checks()
    schema, example = plan_schema(registry), EXAMPLE.read_text()
    written = texts_of_sections(example)
    reference = "".join((REFERENCE / f"{page}.md").read_text() for page in ("plan", "checks"))
    anywhere = EXPLAINED_ONCE | {*fields_of(Without)}
    count = 0
    for section, described in schema["properties"].items():
        names = {check.id for check in registry.checks} if section == "checks" else set()
        for key in {section, *keys_of(described, schema["definitions"])} - names:
            count += 1
            text = example if key in anywhere or section in SHARING else written.get(section, example)
            assert re.search(rf"\b{key}\b(?: *=|\.|\])", text), f"plans/example.toml lacks {key} of {section}"
            assert re.search(rf"\b{key}\b", reference), f"the reference lacks {key} of {section}"
    assert count > 200, "the tables are found"


def head_of(text: str) -> str:
    """The plan with which the example begins, to the line of hyphens; it is told where it ends."""
    head = re.split(r"^# -+$", text, maxsplit=1, flags=re.MULTILINE)[0]
    without = re.search(r"^# (without = .*)$", head, re.MULTILINE)
    assert without is not None
    return re.sub(r"^without = .*$", lambda _: without[1], head, flags=re.MULTILINE)


def test_the_example_begins_with_a_plan_of_25_lines_that_is_enough(tmp_path: Path) -> None:
    head = tmp_path / "head.toml"
    head.write_text(head_of(EXAMPLE.read_text()))
    assert len(re.findall(r"^[a-z\[]", head.read_text(), re.MULTILINE)) <= 25
    assert not [gap for gap in left_out(load_plan(head, find_checks().settings())) if not gap.reason]


def test_what_stands_behind_a_hash_in_the_examples_checks_is_valid_and_the_default(tmp_path: Path) -> None:
    rest = EXAMPLE.read_text().partition("# --- Checks:")[2].partition("\n")[2]
    settings = re.sub(r"^# (\w+ +=)", r"\1", rest, flags=re.MULTILINE)
    plan = tmp_path / "example.toml"
    plan.write_text(EXAMPLE.read_text().partition("# --- Checks:")[0] + settings)
    loaded = load_plan(plan, find_checks().settings())
    assert settings.count(" = ") > rest.count("\n# ") > 15
    for check in find_checks().checks:
        given = {key: value for key, value in loaded.checks.get(check.id, {}).items() if not key.startswith("severity")}
        given.pop("valid_through", None)  # of a way through there is no default
        assert check.id in ("command", "sql") or check.Settings(**given) == check.Settings(), check.id
