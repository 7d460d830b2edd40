"""Runs the real program in a process of its own, as a shell or a CI job does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


def preflight(
    *arguments: str | Path, cwd: Path | None = None, stdin: str = "", inside: Namespace | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    """`inside` a namespace it runs in the folder /."""
    command = argv(*arguments) if inside is None else inside.enter(argv(*arguments))
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=90, env=environment(**more), cwd=cwd
    )


def write_plan(folder: Path, text: str = BASE + DEAD_HOST) -> Path:
    path = folder / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return path
