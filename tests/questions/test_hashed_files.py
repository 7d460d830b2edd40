"""Files of one folder, looked at and hashed by the script that is really sent."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from preflight.probe import Reply, Unreadable
from preflight.questions.files import FileState, HashedFilesProbe

CONTENTS = {
    "large file.bin": bytes(700_000),
    "back\\slash": b"x\n",
    "stat=12x name": b"y\n",
    "-n": b"",
}


def reply(text: str, code: int = 0) -> Reply:
    return Reply(code, text, datetime.now(UTC), 0.0, "")


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("names", [[*CONTENTS], ["back\\slash", "-n"]], ids=["large", "small"])
def test_every_file_has_its_own_hash_and_size(tmp_path: Path, shell: str, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_bytes(CONTENTS[name])
    (tmp_path / "folder").mkdir()
    others = {"none": FileState.MISSING, "folder": FileState.OTHER, "folder/none": FileState.MISSING}
    probe = HashedFilesProbe("db1", tuple(str(tmp_path / name) for name in [*names, *others]))
    done = subprocess.run([shell, "-c", probe.ask()], capture_output=True, text=True, check=False)
    seen = probe.read(reply(done.stdout, done.returncode))
    for name in names:
        found = seen[str(tmp_path / name)]
        assert (found.state, found.size_bytes) == (FileState.FILE, len(CONTENTS[name]))
        assert found.sha256 == hashlib.sha256(CONTENTS[name]).hexdigest()
    assert {name: seen[str(tmp_path / name)].state for name in others} == others


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_what_everybody_may_change_on_the_way_is_told(tmp_path: Path, shell: str) -> None:
    open_folder, sticky, closed = (tmp_path / name for name in ("open", "sticky", "closed"))
    for folder, mode in ((open_folder, 0o777), (sticky, 0o1777), (closed, 0o755)):
        (folder / "sub").mkdir(parents=True)
        folder.chmod(mode)
        (folder / "sub" / "file").write_text("x")
    (closed / "link").symlink_to(open_folder / "sub")
    (sticky / "sub" / "file").chmod(0o666)
    wanted = {
        closed / "sub" / "file": [],
        closed / "link" / "file": [open_folder],
        open_folder / "sub" / "file": [open_folder],
        sticky / "sub" / "file": [sticky / "sub" / "file"],
    }
    for path, loose in wanted.items():
        probe = HashedFilesProbe("db1", (str(path),))
        done = subprocess.run([shell, "-c", probe.ask()], capture_output=True, text=True, check=False)
        writers = probe.read(reply(done.stdout, done.returncode))[str(path)].writers
        found = {Path(each): who for each, who in writers.items() if who}
        assert found == {each: {"everybody on the server"} for each in loose}


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_what_others_may_change_by_a_group_is_told_with_their_names(tmp_path: Path, shell: str) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    file.chmod(0o664)
    shutil.chown(file, group="daemon")
    probe = HashedFilesProbe("db1", (str(file),))
    done = subprocess.run([shell, "-c", probe.ask()], capture_output=True, text=True, check=False)
    writers = probe.read(reply(done.stdout))[str(file)].writers
    assert {each for each, who in writers.items() if who} == {str(file)}
    assert writers[str(file)] == {"daemon"}
    (line,) = (each for each in done.stdout.splitlines(keepends=True) if each.endswith("daemon \n"))
    with pytest.raises(Unreadable):
        probe.read(reply(done.stdout.replace(line, "")))


def test_no_program_that_hashes_leaves_the_hash_open(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    for tool in ("stat", "sort"):
        (tmp_path / "tools" / tool).symlink_to(f"/usr/bin/{tool}")
    (tmp_path / "file").write_text("x")
    probe = HashedFilesProbe("db1", (str(tmp_path / "file"),))
    done = subprocess.run(
        ["/bin/sh", "-c", probe.ask()], capture_output=True, text=True, check=False, env={"PATH": f"{tmp_path}/tools"}
    )
    assert probe.read(reply(done.stdout, done.returncode))[str(tmp_path / "file")].sha256 == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kind=file \nend=yes",
        "kind=file \nstat=1 2 644 root /other\nend=yes",
        "kind=file \nstat=1 2 644 root /file\nend=yes",
        "kind=file \nstat=1 2 644 root /file\nsha256=abc\nend=yes",
        "kind=file \nkind=file \nstat=1 2 644 root /file\nend=yes",
        "kind=odd \nend=yes",
        "kind=missing ",
    ],
)
def test_a_reply_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        HashedFilesProbe("db1", ("/file",)).read(reply(text))
