"""Whether work can be started, asked of a real sh without starting or writing anything."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from preflight.probe import Reply, Unreadable
from preflight.questions.shell import AsAccount
from preflight.questions.work_start import Start, WorkStart, WorkStartProbe
from tests.toy import MOMENT

SEEN = "account=a\nstate=log-closed\nreached=/\nend=yes\n"


def probe(folder: str = "/", program: str = "", log: str = "") -> WorkStartProbe:
    return WorkStartProbe("db1", AsAccount("dbadmin", is_login=True), folder, program, log)


def ask(folder: str = "/", program: str = "", log: str = "") -> Start:
    """As `nobody`: root may write everywhere."""
    asked = probe(folder, program, log)
    argv = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "dash", "-c", asked.ask()]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    seen = asked.read(Reply(0, done.stdout, MOMENT, 0.1, "on db1 as nobody"))
    assert (seen.account, done.stderr) == ("nobody", "")
    return seen.state


def opened(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)


def test_every_state_of_a_log_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    opened(tmp_path)
    open_folder, closed = tmp_path / "an open folder", tmp_path / "closed"
    open_folder.mkdir()
    open_folder.chmod(0o777)
    closed.mkdir(0o755)
    (open_folder / "theirs").touch(0o644)
    (closed / "ours").touch()
    os.chown(closed / "ours", 65534, 65534)
    wanted = {
        f"{open_folder}/new": Start.READY,
        f"{open_folder}/theirs": Start.LOG_DENIED,
        f"{closed}/ours": Start.READY,
        f"{closed}/new": Start.LOG_CLOSED,
        f"{closed}": Start.LOG_IS_FOLDER,
        f"{tmp_path}/nowhere/new": Start.LOG_ABSENT,
        f"{open_folder}/theirs/new": Start.LOG_ABSENT,
        "/new": Start.LOG_CLOSED,
        "/dev/null": Start.READY,
    }
    assert {path: ask(log=path) for path in wanted} == wanted
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["an open folder", "closed", "ours", "theirs"]


def test_every_state_of_a_folder_and_its_program_is_told(tmp_path: Path) -> None:
    opened(tmp_path)
    staged, hidden = tmp_path / "it's staged", tmp_path / "hidden"
    staged.mkdir(0o755)
    hidden.mkdir(0o700)
    (staged / "run.sh").write_text(f"touch {tmp_path}/started\n")
    (staged / "run.sh").chmod(0o755)
    (staged / "text.sh").touch(0o644)
    wanted = {
        (str(staged), ""): Start.READY,
        (str(staged), "./run.sh"): Start.READY,
        (str(staged), f"{staged}/run.sh"): Start.READY,
        (str(staged), "env"): Start.READY,
        (str(staged), "./text.sh"): Start.PROGRAM_DENIED,
        (str(staged), "./nothing.sh"): Start.PROGRAM_MISSING,
        (str(staged), "no-such-program"): Start.PROGRAM_MISSING,
        (str(hidden), ""): Start.FOLDER_CLOSED,
        (str(tmp_path / "nowhere"), "env"): Start.FOLDER_ABSENT,
    }
    assert {place: ask(*place) for place in wanted} == wanted
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        SEEN.replace("account=a\n", ""),
        SEEN.replace("reached=/\n", ""),
        SEEN.replace("end=yes\n", ""),
        SEEN.replace("log-closed", "fine"),
        SEEN.replace("state=log-closed\n", "state=log-closed\n" * 2),
        "?\n",
    ],
)
def test_an_answer_of_another_shape_is_none(text: str) -> None:
    with pytest.raises(Unreadable):
        probe().read(Reply(0, text, MOMENT, 0.1, "on db1 as dbadmin"))


def test_an_answer_is_read() -> None:
    seen = probe().read(Reply(0, SEEN, MOMENT, 0.1, "on db1 as dbadmin"))
    assert seen == WorkStart("a", Start.LOG_CLOSED)
