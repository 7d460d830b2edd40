"""`gate --watch` on a real terminal: a pty of which the program is the foreground."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.program import write_answer_plan
from tests.cli.terminal import Terminal


@contextmanager
def watching(folder: Path, **more: str) -> Iterator[Terminal]:
    plan = write_answer_plan(folder, datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=20))
    terminal = Terminal("gate", plan, "--watch", "--every", "10min", **more)
    try:
        yield terminal
    finally:
        terminal.process.kill()
        terminal.process.wait()


@pytest.mark.long
def test_it_is_drawn_over_asked_again_by_a_key_and_left_as_it_was_found(tmp_path: Path) -> None:
    with watching(tmp_path, TERM="xterm") as terminal:
        seen = terminal.until(r"next round in 9 min.*r: ask now.*Ctrl-C: end")
        assert seen.index("\033[?1049h") < seen.index("GO")
        assert "\033[2J" not in seen, "never wiped, so that nothing flickers"
        assert not terminal.echoes
        begin = len(terminal.written)
        (tmp_path / "answer.txt").write_text("no")
        terminal.type("r")
        terminal.until(r"GO -> NO-GO.*next round in", begin)
        begin = len(terminal.written)
        terminal.resize(6)
        drawn = terminal.until(r"\033\[J.*Ctrl-C: end", begin).rpartition("\033[H")[2]
        assert drawn.count("\r\n") == 5
        assert not re.search(r"[^\n]\033\[[JK]", drawn), "on a full row it would wipe the last sign"
        assert "NO-GO" in drawn
        begin = len(terminal.written)
        terminal.type("\x1a")
        _, status = os.waitpid(terminal.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert terminal.until(r"\x1b\[\?1049l", begin)
        assert terminal.echoes, "the shell has its terminal back"
        begin = len(terminal.written)
        terminal.process.send_signal(signal.SIGCONT)
        terminal.until(r"\x1b\[\?1049h.*next round in", begin)
        terminal.type("\x03")
        assert terminal.end() == 130
        left = terminal.written.rpartition("\033[?1049l")[2]
        assert "(exit code 1)" in left
        assert "interrupted; the report is that of" in left
        assert len(list((tmp_path / ".preflight" / "REL-1").glob("*Z.json"))) == 1


@pytest.mark.long
@pytest.mark.parametrize(("name", "value"), [("TERM", "dumb"), ("NO_COLOR", "1")])
def test_a_terminal_that_cannot_draw_gets_lines_and_one_without_colours_none(
    tmp_path: Path, name: str, value: str
) -> None:
    with watching(tmp_path, **{"TERM": "xterm", name: value}) as terminal:
        terminal.until(r"next round in" if name == "NO_COLOR" else r"\d\d:\d\d(:\d\d)? GO")
        terminal.type("\x03")
        assert terminal.end() == 130
    assert ("\033" in terminal.written) == (name == "NO_COLOR")
    assert not re.search(r"\033\[[\d;]*m", terminal.written)
