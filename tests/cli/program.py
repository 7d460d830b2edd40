"""Runs the real program: inside this process, or in one of its own where that is what the test is about."""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

from preflight import INTERRUPTIONS
from preflight.cli import console, main
from preflight.clock import Deadline
from tests.plan_texts import with_reasons
from tests.site.netns import Namespace

BASE = """
[release]
id = "REL-1"

[window]
zone = "UTC"
start = 2030-10-17T00:00:00
end = 2030-10-17T06:00:00
"""

DEAD_HOST = """
[roles.dba]
primary = "D. Kaya"

[hosts.db1]
address = "127.0.0.1"
port = 1
user = "dbadmin"
password = "env:DB1_PASSWORD"
owner = "dba"
"""


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    return {**kept, "DB1_PASSWORD": "canary-hunter22", **more}


def argv(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "preflight", *map(str, arguments)]


def preflight(*arguments: str | Path, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """Calls the program's entry in this process, with streams that are no terminal; `more` goes into its environment.
    Everything that a process would take with it at its end is put back."""
    typed = ["preflight", *map(str, arguments)]
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace") for _ in range(2))
    with (
        contextlib.chdir(cwd or Path.cwd()),
        patch.dict(os.environ, environment(**more), clear=True),
        patch.multiple(sys, argv=typed, stdin=io.StringIO(), stdout=out, stderr=err),
        patch.object(console, "_masks", []),
        _end_of_process(),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
    assert isinstance(code, int)
    return subprocess.CompletedProcess(typed, code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


@contextlib.contextmanager
def _end_of_process() -> Iterator[None]:
    """Puts back the handlers of signals, and the main module, after which click names the program."""
    handlers = {number: signal.getsignal(number) for number in INTERRUPTIONS}
    module = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = module
        for number, handler in handlers.items():
            signal.signal(number, handler)


def preflight_process(
    *arguments: str | Path, inside: Namespace | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own, as a shell or a CI job starts it; `inside` a namespace in the folder /."""
    command = argv(*arguments) if inside is None else inside.enter(argv(*arguments))
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, env=environment(**more)
    )


def write_plan(folder: Path, text: str = BASE + DEAD_HOST) -> Path:
    """What the plan does not have it leaves out for a reason."""
    path = folder / "plan.toml"
    path.write_text(with_reasons(text), encoding="utf-8")
    return path


CHECK = '''
from preflight.check import Check, Subject
from preflight.finding import failed, passed
from preflight.questions.files import LocalFile
from preflight.questions.local import TARGET

class Answer(Check):
    """Does the file say yes?"""
    id = "answer"
    title = "the file says yes"
    def subjects(self):
        return [Subject("file", None)]
    def probes(self, subject):
        return {"file": LocalFile(TARGET, str(self.plan.folder / "answer.txt"))}
    def judge(self, subject, *, file):
        if file.text == "yes":
            return passed("yes")
        return failed("it does not", expected="yes", actual=file.text, remedy="write yes")
'''


def write_answer_plan(folder: Path, begins: datetime, zone: str = "UTC") -> Path:
    """A plan of six hours whose one check of its own reads `answer.txt` beside it, which says yes."""
    (folder / "own").mkdir()
    (folder / "own" / "answer.py").write_text(CHECK)
    (folder / "answer.txt").write_text("yes")
    begins = begins.astimezone(ZoneInfo(zone))
    return write_plan(
        folder,
        f'[release]\nid = "REL-1"\nchecks = "own"\n\n[window]\nzone = "{zone}"\n'
        f"start = {begins:%Y-%m-%dT%H:%M:%S}\nend = {begins + timedelta(hours=6):%Y-%m-%dT%H:%M:%S}\n",
    )


def until(terminal: int, wanted: str, seconds: float = 20) -> str:
    """What the program writes to its terminal, up to what is wanted."""
    said = ""
    while wanted not in said:
        assert select.select([terminal], [], [], seconds)[0], said
        try:
            said += os.read(terminal, 4096).decode()
        except OSError:
            raise AssertionError(f"it ended: {said}") from None
    return said


def wait_for_rounds(child: subprocess.Popen[Any], report: Path, count: int) -> None:
    """Until a watch has written its report so often."""
    moments, deadline = set[int](), Deadline(120.0)
    while len(moments) < count and not deadline.over and child.poll() is None:
        moments.update(file.stat().st_mtime_ns for file in report.parent.glob(report.name))
        time.sleep(0.02)
    assert len(moments) == count
