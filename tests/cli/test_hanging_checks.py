"""A check that does not come to an end is UNKNOWN at the deadline, wherever it hangs, and takes no other along."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from preflight.cli import asking, console
from preflight.engine.cut_off import at_deadline
from preflight.plan import Account, Host, SecretRef
from tests.cli.program import BASE, preflight, write_plan
from tests.toy import toy_plan

CHECK = '''
import time
from dataclasses import dataclass
from typing import ClassVar
from preflight.check import Check, Subject
from preflight.finding import passed
from preflight.probe import Probe, Via
from preflight.questions.files import LocalFile
from preflight.questions.local import TARGET


def hang(place):
    while place == "{where}":
        try:
            {how}
        except Exception:
            pass


@dataclass(frozen=True)
class Question(LocalFile):
    def read(self, reply):
        hang("read")
        return reply.text


class Hanging(Check):
    """Does it end?"""

    id = "hangs-{where}"
    title = "it ends"

    def subjects(self):
        hang("subjects")
        return [Subject("x", None)]

    def probes(self, subject):
        hang("probes")
        return {{"text": Question(TARGET, "plan.toml")}}

    def follow_up(self, subject, *, text):
        hang("follow_up")
        return {{}}

    def judge(self, subject, *, text):
        hang("judge")
        return passed("it ends")


hang("import")
'''
PLACES = ("import", "subjects", "probes", "read", "follow_up", "judge")


def plan_with(folder: Path, **hanging: str) -> Path:
    """A plan with a check that hangs at each place; a way of hanging beside it."""
    own = folder / "own"
    own.mkdir()
    for where, how in {**hanging, "nowhere": "pass"}.items():
        (own / f"hangs_{where}.py").write_text(CHECK.format(where=where, how=how))
    return write_plan(folder, BASE.replace("[window]", 'checks = "own"\n[window]'))


@pytest.mark.case(24)
def test_judge_ends_at_its_deadline(tmp_path: Path) -> None:
    plan = plan_with(tmp_path, judge="pass")
    assert preflight("collect", plan, "--output", tmp_path / "evidence.json").returncode == 0
    done = preflight("judge", plan, tmp_path / "evidence.json", "--timeout", "1", "--format", "json")
    assert done.returncode == 3
    found = {each["check"]: each for each in json.loads(done.stdout)["findings"]}
    assert found["hangs-nowhere"]["status"] == "pass"
    assert found["hangs-judge"]["status"] == "unknown"
    assert "it did not come to an end within 1 s" in json.dumps(found["hangs-judge"])


def test_what_catches_everything_once_is_cut_off_again(tmp_path: Path) -> None:
    """`finally` and a bare `except` may keep it going for a moment."""
    plan = plan_with(tmp_path, judge="exec('try: time.sleep(600)\\nexcept: time.sleep(600)')")
    done = preflight("run", plan, "--timeout", "1")
    assert done.returncode == 3
    assert "it did not come to an end within 1 s" in done.stdout


@pytest.mark.case(24)
def test_wherever_it_hangs_the_others_are_judged(tmp_path: Path) -> None:
    plan = plan_with(tmp_path, **dict.fromkeys(PLACES, "time.sleep(600)"))
    done = preflight("run", plan, "--timeout", "1", "--format", "json")
    assert done.returncode == 3, done.stderr
    report = json.loads(done.stdout)
    statuses = {each["check"]: each["status"] for each in report["findings"] if each["check"] != "plan-coverage"}
    assert sorted(set(statuses.values())) == ["pass", "unknown"]
    assert [check for check, status in statuses.items() if status == "pass"] == ["hangs-nowhere"]
    assert len(statuses) == len(PLACES) + 1
    assert done.stdout.count("it did not come to an end within 1 s") >= len(PLACES)


def test_what_is_typed_before_a_run_takes_nothing_of_the_time_of_its_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    def typed(_purpose: str) -> str:
        signal.setitimer(signal.ITIMER_REAL, 500)  # the rest was spent on typing
        return "correct horse battery"

    monkeypatch.setattr(console, "has_terminal", lambda: True)
    monkeypatch.setattr(console, "ask_hidden", typed)
    host = Host(id="db1", user=Account("dbadmin"), password=SecretRef("prompt", ""))
    with at_deadline(1000):
        asking.secrets_of(toy_plan([host]))
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 900
