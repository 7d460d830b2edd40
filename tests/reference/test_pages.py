"""The generated pages and the README are what the code says today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from preflight.cli.main import cli
from preflight.engine.registry import find_checks
from preflight.reference.__main__ import pages
from preflight.reference.explanation import Explanation
from tests.cli.program import preflight

PROJECT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("name", pages())
def test_the_published_page_is_up_to_date(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    assert (PROJECT / name).read_text() == pages()[name], "run: python -m preflight.reference"


@pytest.mark.parametrize("check", find_checks(None).checks, ids=lambda check: check.id)
def test_every_check_explains_itself_in_full(check: type) -> None:
    explanation = Explanation(check)
    assert explanation.question
    assert explanation.why
    assert dict(explanation.facts)["needs"] != "its author does not say"
    assert explanation.check.cure
    assert all(key.text for key in explanation.settings)


def test_the_readme_names_every_command_and_no_other() -> None:
    told = set(re.findall(r"^\| `preflight ([\w-]+)", (PROJECT / "README.md").read_text(), re.MULTILINE))
    assert told == set(cli.list_commands(None))  # type: ignore[arg-type]


def completed(words: str) -> list[str]:
    """What the shell offers for the last word."""
    last = str(len(words.split(" ")) - 1)
    done = preflight(_PREFLIGHT_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=last)
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_a_shell_completes_commands_checks_and_formats() -> None:
    assert completed("preflight ex") == ["explain"]
    assert completed("preflight explain script-") == [
        "script-effect",
        "script-hashes",
        "script-people",
        "script-rights",
        "script-rows",
        "script-runner",
    ]
    assert completed("preflight run --format ht") == ["html"]
    assert completed("preflight run --only script-h") == ["script-hashes"]
