"""Commands of the plan's own on this machine: real processes, bounded, without the plan's secrets."""

from __future__ import annotations

import os
import select
from pathlib import Path

import pytest

from preflight.clock import Deadline
from preflight.questions.files import Ended
from preflight.sessions.local import MOST_BYTES, run_command
from preflight.sessions.local.files import TooMuchToRead
from tests.sessions.conftest import GENEROUS_SECONDS


def run(folder: Path, script: str, seconds: float = 20.0) -> Ended:
    return run_command(["/bin/sh", "-c", script], folder, Deadline(seconds))


def test_output_error_and_status_come_back_apart(tmp_path: Path) -> None:
    assert run(tmp_path, "echo out; echo err >&2; exit 2") == Ended(2, "out\n", "err\n")


def test_no_shell_takes_its_words_for_its_own(tmp_path: Path) -> None:
    words = ["$HOME", "`id`", "*", "; id", "a  b"]
    assert run_command(["printf", "%s\n", *words], tmp_path, Deadline(GENEROUS_SECONDS)).output.splitlines() == words


def test_it_runs_in_the_plans_folder_without_input_or_terminal(tmp_path: Path) -> None:
    kept, (there, typed) = os.dup(0), os.pipe()
    os.write(typed, b"typed for somebody else")
    os.close(typed)
    try:
        os.dup2(there, 0)
        assert run(tmp_path, "pwd; cat; tty").output == f"{tmp_path}\nnot a tty\n"
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(there)


def test_the_environment_may_hold_secrets_and_is_not_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB1_PASSWORD", "canary-hunter22")
    assert "canary" not in run(tmp_path, "env").output
    assert f"PATH={os.environ['PATH']}" in run(tmp_path, "env").output


@pytest.mark.parametrize(("name", "code"), [("./absent", 127), ("./folder", 126), ("./plain", 126), ("nul\0", 126)])
def test_what_cannot_be_started_ends_as_in_a_shell(tmp_path: Path, name: str, code: int) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "plain").write_text("no program")
    ended = run_command([name], tmp_path, Deadline(20))
    assert (ended.code, ended.output) == (code, "")
    assert ended.error


def test_a_signal_is_told_as_a_shell_tells_it(tmp_path: Path) -> None:
    assert run(tmp_path, "kill -9 $$").code == 137


def test_what_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        run(tmp_path, "sleep 600 & echo $! >child; wait", seconds=0.5)
    assert ended(int((tmp_path / "child").read_text()))


def ended(pid: int) -> bool:
    """Whether a process that was sent SIGKILL ends: it may take a moment on a busy machine."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watch], [], [], GENEROUS_SECONDS)[0])
    finally:
        os.close(watch)


def test_a_child_that_keeps_the_output_open_does_not_hold_the_run_up(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        run(tmp_path, "sleep 600 & echo done", seconds=0.5)


def test_endless_output_is_cut_off(tmp_path: Path) -> None:
    with pytest.raises(TooMuchToRead, match=f"more than {MOST_BYTES // 1024} KiB"):
        run(tmp_path, "yes")


def test_output_that_is_no_text_is_shown_with_replacements(tmp_path: Path) -> None:
    assert run(tmp_path, r"printf 'a\377b'").output == "a�b"
