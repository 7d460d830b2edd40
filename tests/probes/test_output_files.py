"""Whether files can be written, asked of a real sh without writing any."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from preflight.probe import Reply, Unreadable
from preflight.probes.output_files import OutputFiles, OutputFilesProbe, Writing
from preflight.probes.shell import AsAccount
from tests.toy import MOMENT


def probe(*paths: str) -> OutputFilesProbe:
    return OutputFilesProbe("db1", AsAccount("dbadmin", is_login=True), paths)


def ask(*paths: str) -> OutputFiles:
    """As `nobody`: root may write everywhere."""
    argv = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "dash", "-c", probe(*paths).ask()]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=True)
    return probe(*paths).read(Reply(0, done.stdout, MOMENT, 0.1, "on db1 as nobody"))


def test_every_state_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    open_folder, closed = tmp_path / "an open folder", tmp_path / "closed"
    open_folder.mkdir()
    open_folder.chmod(0o777)
    closed.mkdir(0o755)
    (open_folder / "theirs").touch(0o644)
    (closed / "ours").touch()
    os.chown(closed / "ours", 65534, 65534)
    wanted = {
        f"{open_folder}/new": Writing.WRITABLE,
        f"{open_folder}/theirs": Writing.DENIED,
        f"{closed}/ours": Writing.WRITABLE,
        f"{closed}/new": Writing.CLOSED,
        f"{closed}": Writing.FOLDER,
        f"{tmp_path}/nowhere/new": Writing.ABSENT,
        f"{open_folder}/theirs/new": Writing.ABSENT,
        "/new": Writing.CLOSED,
        "/dev/null": Writing.WRITABLE,
    }
    assert ask(*wanted) == OutputFiles("nobody", wanted)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["an open folder", "closed", "ours", "theirs"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "account=a\n",
        "state=writable\n",
        "account=a\nstate=fine\n",
        "account=a\nstate=closed\nstate=closed\n",
        "?\n",
    ],
)
def test_an_answer_of_another_shape_is_none(text: str) -> None:
    with pytest.raises(Unreadable):
        probe("/x").read(Reply(0, text, MOMENT, 0.1, "on db1 as dbadmin"))
