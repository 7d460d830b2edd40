"""`preflight verify` as it is typed once the work is done, over a plan whose checks read files beside it.

What each check makes of it is in its own tests; the demo's real work is verified in tests/demo/test_verify.py."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from preflight.report.formats import FORMATS
from tests.cli.program import preflight
from tests.cli.test_every_format import NAGIOS, WITHOUT_THE_WORD
from tests.cli.test_gate import CHECK, gate, plan

__all__ = ["plan"]

VERIFYING = (
    CHECK.replace("import Check, Subject", "import ANY_STATE, Check, Subject")
    .replace('id = "answer"', 'id = "state"\n    verifies = ANY_STATE')
    .replace("import failed, passed", "import failed, passed, unknown")
    .replace(
        "        return failed",
        '        if not file.text:\n            return unknown("x", remedy="y")\n        return failed',
    )
)


@pytest.fixture
def verified(plan: Path) -> Path:
    """A plan with a check that takes part and one that does not, and whose window is over."""
    (plan.parent / "own" / "state.py").write_text(VERIFYING.replace("answer.txt", "state.txt"))
    (plan.parent / "state.txt").write_text("yes")
    (plan.parent / "answer.txt").write_text("no")
    over = {"start": "2020-10-17T00:00:00", "end": "2020-10-17T06:00:00"}
    plan.write_text(
        re.sub(r"^(start|end) = .*", lambda key: f"{key[1]} = {over[key[1]]}", plan.read_text(), flags=re.M)
    )
    return plan


@pytest.mark.parametrize(("seen", "code", "word"), [("yes", 0, "VALID"), ("no", 1, "NOT VALID"), ("", 3, "NOT KNOWN")])
@pytest.mark.parametrize("expect", ["after", "before"])
def test_it_says_in_every_format_whether_the_state_is_there(
    verified: Path, expect: str, seen: str, code: int, word: str
) -> None:
    (verified.parent / "state.txt").write_text(seen)
    files = [f"--output={name}={verified.parent / name}" for name in FORMATS]
    done = preflight("verify", verified, "--expect", expect, *files)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stdout.startswith(f"{word}  REL-1\n"), done.stdout
    assert f"the state {expect} the work" in done.stdout
    assert done.stdout.endswith(f"{word} (exit code {code})\n")
    for name in set(FORMATS) - set(WITHOUT_THE_WORD):
        assert word in (verified.parent / name).read_text(), name
    told = json.loads((verified.parent / "json").read_text())
    assert (told["verdict"], told["expect"], told["planned"]) == (word, expect, 2), (
        "the state, and the applications left out"
    )
    nagios = preflight("verify", verified, "--expect", expect, "--format", "nagios")
    assert nagios.returncode == NAGIOS[code]


def test_a_verified_state_is_no_run_that_a_gate_may_start_from(verified: Path) -> None:
    assert preflight("verify", verified, "--expect", "after").returncode == 0
    assert not (verified.parent / ".preflight").exists()
    assert "no earlier run of REL-1" in gate(verified)[1]


def test_what_must_be_there_has_to_be_said(verified: Path) -> None:
    done = preflight("verify", verified)
    assert (done.returncode, "Missing option '--expect'" in done.stderr) == (2, True)
