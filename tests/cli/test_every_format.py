"""One saved run in every format: the same verdict and the same exit code, whatever is printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from preflight.report.formats import FORMATS
from tests.cli.program import preflight
from tests.cli.test_gate import plan, run_of
from tests.confirmed import confirm_all

__all__ = ["plan"]

NAGIOS = {0: 1, 1: 2, 3: 3}
"""The verdict's exit code -> the plugin's; here the plan leaves things unconfirmed, so GO is a warning."""


def _go(plan: Path) -> None:
    pass


def _no_go(plan: Path) -> None:
    (plan.parent / "answer.txt").write_text("no")


def _waived(plan: Path) -> None:
    _no_go(plan)
    text = plan.read_text()
    day = text.partition("start = ")[2][:10]
    plan.write_text(
        text + '\n[roles.rm]\nprimary = "A. Haddad"\nstandby = "L. Brandt"\ncontact = "ext. 1"\n'
        '\n[[waivers]]\nid = "W-1"\ncheck = "answer"\nsubject = "file"\n'
        f'reason = "known"\nlimit = "no"\napproved_by = "rm"\ngranted = {day}T00:00:00\nexpires = 2199-01-01T00:00:00\n'
    )
    confirm_all(plan)


CASES: dict[str, tuple[Callable[[Path], None], tuple[str, ...], int, str]] = {
    "go": (_go, (), 0, "GO"),
    "no-go": (_no_go, (), 1, "NO-GO"),
    "hold": (_go, ("--only", "answer"), 3, "HOLD"),
    "waived": (_waived, (), 0, "GO with 1 waiver"),
}

WITHOUT_THE_WORD = ("say", "prometheus", "html")
"""Formats that tell the verdict in another way."""


@pytest.mark.parametrize("case", CASES)
def test_one_saved_run_has_the_same_exit_code_in_every_format(plan: Path, case: str) -> None:
    prepare, selection, code, headline = CASES[case]
    prepare(plan)
    first = preflight("run", plan)
    assert "Traceback" not in first.stderr
    saved = run_of(plan)
    files = [f"--output={name}={plan.parent / name}" for name in FORMATS]
    done = preflight("judge", plan, saved, *selection, *files)
    assert done.returncode == code, done.stdout
    assert done.stdout.startswith(headline)
    for name in FORMATS:
        text = (plan.parent / name).read_text()
        assert text
        if name not in WITHOUT_THE_WORD:
            assert headline.partition(" ")[0] in text, f"{name} does not say the verdict"
    for name in FORMATS:
        wanted = NAGIOS[code] if name == "nagios" else code
        assert preflight("judge", plan, saved, *selection, "--format", name).returncode == wanted, name
