"""The monitoring plugin's line, read by Monitoring::Plugin, the library that plugins and graphers are written with."""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import pytest

from preflight.finding import Status
from preflight.report.formats import nagios
from preflight.verdict import Verdict
from tests.report.formats.cases import go, hold, hostile, no_go, waived

_READER = """
use Monitoring::Plugin::Performance;
my @found = Monitoring::Plugin::Performance->parse_perfstring($ARGV[0]) or die "unreadable\\n";
print join("\\t", $_->label, $_->value, $_->uom // "", $_->min // "", $_->max // ""), "\\n" for @found;
"""


class Datum(NamedTuple):
    value: float
    unit: str
    least: str
    most: str


def read(line: str) -> tuple[str, dict[str, Datum]]:
    """The text and the performance data of one plugin line."""
    text, _, data = line.rstrip("\n").partition("|")
    read = subprocess.run(["perl", "-e", _READER, data], capture_output=True, text=True, check=True, timeout=60)
    assert read.stderr == ""
    rows = [row.split("\t") for row in read.stdout.splitlines()]
    assert len(rows) == len(data.split()), "something was not read"
    return text.strip(), {label: Datum(float(value), *rest) for label, value, *rest in rows}


ALL = [go(), no_go(), hold(), waived(), hostile()]


@pytest.mark.parametrize("verdict", ALL)
def test_it_is_one_line_with_one_bar(verdict: Verdict) -> None:
    printed = nagios.render(verdict)
    assert printed.count("\n") == 1
    assert printed.count("|") == 1
    assert len(printed.encode()) < 1024
    text, data = read(printed)
    assert text.startswith("PREFLIGHT ")
    statuses = [data[status] for status in Status]
    assert sum(each.value for each in statuses) == verdict.planned
    assert {(each.unit, each.least, each.most) for each in statuses} == {("", "0", str(verdict.planned))}


@pytest.mark.parametrize(
    ("verdict", "code", "word"),
    [
        (replace(go(), unconfirmed=(), counts=Counter({Status.PASS: go().planned})), 0, "OK"),
        (replace(go(), unconfirmed=(), counts=Counter({Status.PASS: go().planned - 1, Status.FAIL: 1})), 1, "WARNING"),
        (go(), 1, "WARNING"),
        (waived(), 1, "WARNING"),
        (no_go(), 2, "CRITICAL"),
        (hold(), 3, "UNKNOWN"),
    ],
)
def test_the_exit_code_and_the_word_agree(verdict: Verdict, code: int, word: str) -> None:
    assert nagios.exit_code(verdict) == code
    assert nagios.render(verdict).startswith(f"PREFLIGHT {word} - REL-2026-10-17: {verdict.headline}")


def test_what_blocks_the_waivers_and_the_reason_are_told() -> None:
    assert (
        "; login db1; space orders; 2 checks behind login db1: the server refused the password of dbadmin; and 1 more; "
        in nagios.render(no_go())
    )
    assert "waiver W-3 covers" in nagios.render(waived())
    assert "the reason why" in nagios.render(replace(hold(), reason="the reason why"))


def test_the_margin_is_in_seconds() -> None:
    assert read(nagios.render(no_go()))[1]["margin"] == Datum(24 * 60, "s", "", "")
