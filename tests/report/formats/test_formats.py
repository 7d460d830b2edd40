"""Every format: of the same verdicts, as golden files, with hostile text."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from preflight.finding import failed, unknown
from preflight.report import PLAIN, View
from preflight.report.formats import FORMATS, exit_code, render
from preflight.report.formats.html import CONTENT_SECURITY_POLICY, STYLE
from tests.report.formats.cases import CASES, EXIT_CODES, hostile, no_go
from tests.report.golden import compare

OWN_EXIT_CODES = {"nagios"}
"""Formats whose readers know other exit codes; each says in its own tests which."""


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", FORMATS)
def test_it_looks_as_when_somebody_last_looked(name: str, case: str, pytestconfig: pytest.Config) -> None:
    text = render(name, CASES[case](), PLAIN).replace(STYLE, "").replace(CONTENT_SECURITY_POLICY, "")
    compare(f"{case}.{name}", text, pytestconfig)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", sorted(set(FORMATS) - OWN_EXIT_CODES))
def test_the_exit_code_is_the_verdicts(name: str, case: str) -> None:
    assert exit_code(name, CASES[case]()) == EXIT_CODES[case]


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_hostile_text_leaves_nothing_that_moves_a_cursor_or_turns_text_round(name: str, verbose: bool) -> None:
    text = render(name, hostile(), View(verbose=verbose))
    assert all(character == "\n" or character.isprintable() for character in text)
    text.encode("utf-8")


@pytest.mark.long
@pytest.mark.parametrize("name", FORMATS)
def test_a_megabyte_on_one_line_wherever_it_can_stand_is_cut(name: str) -> None:
    """But in JSON, which keeps what the evidence holds; probes have limits of their own."""
    line = "\ud800\x1b[2J" + "x" * (1 << 20)
    bad = failed(line, expected=line, actual=line + "y", remedy=line, details=line, minutes_at_stake=5)
    verdict = no_go()
    first = replace(verdict.findings[0], subject=line, owner=line, vantage=line, judgement=bad)
    dark = replace(verdict.findings[1], subject=line, owner=line, cause=line, judgement=unknown(line, remedy=line))
    verdict = replace(
        verdict, findings=[first, dark], vantage=line, reason=line, unconfirmed=(line,), basis=(line,),
        events=[replace(event, text=line) for event in verdict.events],
    )  # fmt: skip
    text = render(name, verdict, View(verbose=True))
    assert name == "json" or len(text) < 500_000
    assert all(character == "\n" or character.isprintable() for character in text)


@pytest.mark.parametrize("name", ["github", "html", "json", "junit", "markdown", "text"])
def test_runbooks_and_versions_stand_in_every_written_format(name: str) -> None:
    verdict = no_go()
    findings = [replace(each, runbooks=("https://wiki.example.net/db1?a=b&c",)) for each in verdict.findings]
    text = render(name, replace(verdict, findings=findings, made_with=("preflight 1.2", "acme 3")), PLAIN)
    assert "wiki.example.net/db1" in text
    assert "preflight 1.2" in text
    assert "acme 3" in text
    if name == "html":
        assert '<a href="https://wiki.example.net/db1?a=b&amp;c" rel="noreferrer">' in text


@pytest.mark.long
def test_the_same_verdict_gives_the_same_text_in_every_format() -> None:
    program = (
        "from preflight.report.formats import FORMATS, render\nfrom preflight.report import PLAIN\n"
        "from tests.report.formats.cases import no_go\nimport sys\n"
        "for name in FORMATS: sys.stdout.buffer.write(render(name, no_go(), PLAIN).encode())"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True, timeout=60
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1
    assert len(texts.pop()) > 10_000 * len(FORMATS) / 2
