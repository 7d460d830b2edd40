"""Annotations, read back as GitHub's runner reads them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import pytest

from preflight.finding import failed
from preflight.report import View
from preflight.report.formats import FORMATS, github, render
from preflight.verdict import Verdict
from tests.report.formats.cases import go, hold, hostile, no_go, waived

ALL = [go(), no_go(), hold(), waived(), hostile()]
INJECTIONS = [
    "::stop-commands::x",
    " ::error::x",
    "##[error]x",
    "a ##vso[task.setvariable variable=x]y",
    "x\n::debug::y",
]


class Command(NamedTuple):
    name: str
    properties: dict[str, str]
    data: str


def commands(log: str) -> list[Command]:
    """The workflow commands in a log: the line is trimmed, must begin with `::`, and what is escaped is put back."""
    found = []
    for line in map(str.strip, log.splitlines()):
        match = re.match(r"::([A-Za-z-]+)(?: (.*?))?::(.*)$", line)
        if match:
            pairs = dict(pair.split("=", 1) for pair in (match[2] or "").split(",") if pair)
            properties = {key: _unescaped(value) for key, value in pairs.items()}
            found.append(Command(match[1], properties, _unescaped(match[3])))
    return found


def _unescaped(value: str) -> str:
    for escape, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        value = value.replace(escape, character)
    return value


@pytest.mark.parametrize("verdict", ALL)
def test_every_line_is_an_annotation_of_the_plan_and_errors_come_first(verdict: Verdict) -> None:
    printed = github.render(verdict)
    found = commands(printed)
    assert len(found) == len(printed.splitlines())
    assert {command.properties["file"] for command in found} == {"plans/release.toml"}
    levels = [command.name for command in found]
    assert levels == sorted(levels, key=["error", "warning", "notice"].index)


@pytest.mark.parametrize(
    ("verdict", "level"), [(go(), "notice"), (waived(), "notice"), (no_go(), "error"), (hold(), "error")]
)
def test_the_verdict_is_the_first_of_its_level(verdict: Verdict, level: str) -> None:
    first = next(command for command in commands(github.render(verdict)) if command.name == level)
    assert first.properties["title"] == f"REL-2026-10-17: {verdict.headline}"
    assert "decide by 04:09" in first.data


def test_a_failure_tells_found_wanted_cure_and_owner() -> None:
    found = {command.properties["title"]: command for command in commands(github.render(no_go()))}
    login = found["FAIL login db1"]
    assert login.name == "error"
    for label in ("found: ", "wanted: ", "cure: ", "owner: S. Lindqvist"):
        assert f"\n{label}" in login.data
    assert found["UNKNOWN 2 checks could not look"].name == "error"


def test_every_waiver_is_a_notice() -> None:
    assert any("W-3" in each.properties["title"] for each in commands(github.render(waived())) if each.name == "notice")


def test_not_more_than_github_shows_and_the_rest_is_counted() -> None:
    bad = failed("no", expected="yes", actual="no", remedy="cure it")
    many = [replace(go().findings[0], subject=f"s{n}", judgement=replace(bad, summary=f"no, {n}")) for n in range(40)]
    found = commands(github.render(replace(no_go(), findings=many)))
    assert Counter(command.name for command in found)["error"] == 10
    assert found[9].properties["title"] == "and 32 more"


@pytest.mark.parametrize("injection", INJECTIONS)
@pytest.mark.parametrize("name", FORMATS)
def test_remote_text_gives_the_runner_no_command_in_any_format(name: str, injection: str) -> None:
    bad = failed(
        injection,
        expected=injection,
        actual=injection * 2,
        remedy=f"{'word ' * 15}{injection}",
        details=f"first\n{injection}\n  {injection}",
    )
    finding = replace(no_go().findings[0], subject=injection, owner=injection, vantage=injection, judgement=bad)
    verdict = replace(no_go(), findings=[finding], unconfirmed=(injection,), basis=(injection,), vantage=injection)
    for view in (View(), View(verbose=True), View(short=True)):
        printed = render(name, verdict, view)
        assert not re.search(r"##\w*\[", printed)
        found = commands(printed)
        if name == "github":
            assert {command.name for command in found} <= {"error", "warning", "notice"}
            assert all(set(command.properties) == {"file", "title"} for command in found)
        else:
            assert found == []


def test_no_message_and_no_title_is_longer_than_github_takes() -> None:
    big = failed("x" * 1_000_000, expected="y", actual="x" * 1_000_000, remedy="z")
    finding = replace(go().findings[0], judgement=big, subject="s" * 100_000)
    for command in commands(github.render(replace(no_go(), findings=[finding]))):
        assert len(command.data) <= 4096
        assert len(command.properties["title"]) <= 255
