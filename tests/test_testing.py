"""`preflight.testing`, and the sample plug-in that shows its use: built, installed and run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, Status, failed, passed
from preflight.probe import NoReply
from preflight.testing import Trial, answered, plan_of
from tests.toy import Echo, Ready

PLUGIN = Path(__file__).parent / "sample_plugin"
HOST = '[hosts.db1]\nuser = "a"\nssh_config = true\n'


class Green(Ready):
    """Is it green whatever is seen?"""

    id = "green"
    judges_no_reply = frozenset({"word"})

    def judge(self, subject: Subject, *, word: Any) -> Judgement:
        return failed("lost", expected="x", actual="y", remedy="z") if isinstance(word, NoReply) else passed("fine")


class Moody(Ready):
    """Is it the same twice?"""

    id = "moody"
    moods: Sequence[str] = ()

    def judge(self, subject: Subject, *, word: str) -> Judgement:
        type(self).moods = (*self.moods, word)
        return passed(f"looked {len(self.moods)} times")


class Silent(Ready):
    """Says not what was wanted."""

    id = "silent"


class Mute(Ready):
    """Does a failure say enough?"""

    id = "mute"

    def judge(self, subject: Subject, *, word: str) -> Judgement:
        return failed("bad", expected="", actual="", remedy="mend")


class Idle(Ready):
    """Is there a subject?"""

    id = "idle"

    def subjects(self) -> Sequence[Subject]:
        return []


class Undescribed(Ready):
    """Is the second round described?"""

    id = "undescribed"

    def follow_up(self, subject: Subject, *, word: str) -> Probes:
        return {"more": Echo(subject.id, "more")}

    def judge(self, subject: Subject, *, word: str, more: str) -> Judgement:
        return passed("x")


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        (Moody, "judged twice, the findings differ"),
        (Silent, "first line is the question"),
        (Mute, "does not say what was wanted"),
        (Idle, "has nothing for the check"),
        (Undescribed, "follow_up has no docstring"),
    ],
)
def test_a_broken_promise_is_named(tmp_path: Path, check: type[Check], sentence: str) -> None:
    trial = Trial(check, plan_of(HOST, tmp_path, check), lambda _question: answered("ready"))
    with pytest.raises(AssertionError, match=sentence):
        trial.assert_contract()


@pytest.mark.parametrize("check", [Ready, Green])
def test_a_check_that_keeps_its_promises_passes(tmp_path: Path, check: type[Check]) -> None:
    trial = Trial(check, plan_of(HOST, tmp_path, check), lambda _question: answered("ready"))
    assert trial.finding.status is Status.PASS
    trial.assert_contract()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the sample plug-in was installed to, from a wheel that was built of it."""
    folder = tmp_path_factory.mktemp("plugin")
    copy = folder / "source"
    subprocess.run(["cp", "-r", str(PLUGIN), str(copy)], check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run(
        [*pip, "wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", str(folder), str(copy)], check=True
    )
    (wheel,) = folder.glob("preflight_queue-1.0-*.whl")
    target = folder / "installed"
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", str(target), str(wheel)], check=True)
    return target


def with_plugin(installed: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run([sys.executable, *argv], capture_output=True, text=True, env=environment, timeout=60)


@pytest.mark.long
def test_an_installed_plug_in_is_planned_beside_the_built_in_checks(installed: Path, tmp_path: Path) -> None:
    plan = plan_of(HOST, tmp_path, Ready).path
    text = plan.read_text() + '[checks.queue-empty]\nfolders = { db1 = "/spool" }\n'
    plan.write_text(text)
    done = with_plugin(installed, "-m", "preflight", "lint", str(plan))
    assert done.returncode == 0, done.stderr
    assert "queue-empty 1" in done.stdout
    plan.write_text(text.replace("db1 =", "db9 ="))
    done = with_plugin(installed, "-m", "preflight", "lint", str(plan))
    assert done.returncode == 2
    assert "checks.queue-empty.folders" in done.stdout


@pytest.mark.long
def test_the_plug_ins_own_tests_pass(installed: Path) -> None:
    done = with_plugin(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(PLUGIN),
                       "-c", os.devnull, str(PLUGIN / "tests"))  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout
