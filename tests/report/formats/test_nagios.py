"""The monitoring plugin's line, by the plugins' own guidelines."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from preflight.report.formats import nagios
from preflight.verdict import Verdict
from tests.report.formats.cases import go, hold, hostile, no_go, waived

_NUMBER = r"-?\d+(?:\.\d+)?"
_RANGE = rf"(?:@?(?:{_NUMBER}|~)?:?(?:{_NUMBER})?)"
_DATUM = re.compile(
    rf"(?P<label>[^\s'=]+)=(?P<value>{_NUMBER})(?P<unit>s|ms|us|%|B|KB|MB|TB|c)?(?:;{_RANGE}){{0,2}}(?:;(?:{_NUMBER})?){{0,2}}"
)


def read(line: str) -> tuple[str, dict[str, float]]:
    """The text and the performance data of one plugin line; raises for what no monitoring system takes."""
    text, bar, data = line.rstrip("\n").partition("|")
    assert bar
    found = {}
    for item in data.split():
        match = _DATUM.fullmatch(item)
        assert match, item
        found[match["label"]] = float(match["value"])
    return text.strip(), found


ALL = [go(), no_go(), hold(), waived(), hostile()]


@pytest.mark.parametrize("verdict", ALL)
def test_it_is_one_line_with_one_bar(verdict: Verdict) -> None:
    printed = nagios.render(verdict)
    assert printed.count("\n") == 1
    assert printed.count("|") == 1
    assert len(printed) < 2000
    text, data = read(printed)
    assert text.startswith("PREFLIGHT ")
    assert sum(data[status] for status in ("pass", "warn", "fail", "unknown", "stale", "skipped", "waived")) == (
        verdict.planned
    )


@pytest.mark.parametrize(
    ("verdict", "code", "word"),
    [
        (replace(go(), unconfirmed=(), counts={}), 0, "OK"),
        (go(), 1, "WARNING"),
        (waived(), 1, "WARNING"),
        (no_go(), 2, "CRITICAL"),
        (hold(), 3, "UNKNOWN"),
    ],
)
def test_the_exit_code_and_the_word_agree(verdict: Verdict, code: int, word: str) -> None:
    assert nagios.exit_code(verdict) == code
    assert nagios.render(verdict).startswith(f"PREFLIGHT {word} - {verdict.headline} for ")


def test_what_blocks_the_waivers_and_the_reason_are_told() -> None:
    assert "host-login db1, backup-space orders, script-hashes orders, 1 more" in nagios.render(no_go())
    assert "waiver W-3 covers" in nagios.render(waived())
    assert "the reason why" in nagios.render(replace(hold(), reason="the reason why"))


def test_the_margin_is_in_seconds() -> None:
    assert read(nagios.render(no_go()))[1]["margin"] == 24 * 60
