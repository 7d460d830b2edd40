"""The questions about a staged folder, run by this machine's own shell on real folders, and the strictness of their
readers."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from preflight.probe import Probe, Reply, Unreadable
from preflight.questions.files import EntryKind
from preflight.questions.shell import AsAccount
from preflight.questions.staged import StagedFolder, StagedForms, StagedText, StagedTree

LOGIN = AsAccount("root", is_login=True)
NAMES = [
    "030.sql", " lead", "trail ", "-n.sql", "--", "-", "new\nline.sql", "\nfirst", "back\\slash", "\\",
    "carriage\rreturn", "a'b\"c$(id)`id`", "*", "tab\there", "ünï", "sub/dir/deep.sql", "sub/-x", "\x1b[2J", "@STAGE@",
]  # fmt: skip
WITHOUT_PRINTF = 'for word do [ "$word" != -printf ] || exit 1; done\nexec {find} "$@"\n'


def ask(probe: Probe[Any], path: str | None = None, shell: str = "sh") -> Reply:
    environment = {"PATH": path or os.environ["PATH"], "LC_ALL": "C"}
    done = subprocess.run(
        [shutil.which(shell) or shell, "-c", probe.ask()], capture_output=True, env=environment, check=False
    )
    out, error = (stream.decode("utf-8", "backslashreplace") for stream in (done.stdout, done.stderr))
    return Reply(done.returncode, out, datetime(2026, 1, 1, tzinfo=UTC), 0.1, "on db1 as root", error)


def look(folder: Path, path: str | None = None, shell: str = "sh") -> StagedTree:
    probe = StagedFolder("db1", LOGIN, str(folder))
    return probe.read(ask(probe, path, shell))


def fill(folder: Path) -> dict[str, str]:
    for name in NAMES:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"content of {name}\n", encoding="utf-8")
    return {name: hashlib.sha256(f"content of {name}\n".encode()).hexdigest() for name in NAMES}


@pytest.fixture(params=["GNU find", "POSIX find"])
def find_path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A PATH on which find knows -printf, or does not."""
    if request.param == "GNU find":
        return os.environ["PATH"]
    wrapper = tmp_path / "bin" / "find"
    wrapper.parent.mkdir()
    wrapper.write_text("#!/bin/sh\n" + WITHOUT_PRINTF.format(find=shutil.which("find")))
    wrapper.chmod(0o755)
    return f"{wrapper.parent}:{os.environ['PATH']}"


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_every_name_is_listed_and_hashed_whatever_it_holds(tmp_path: Path, find_path: str, shell: str) -> None:
    stage = tmp_path / "it's the stage"
    hashes = fill(stage)
    tree = look(stage, find_path, shell)
    assert {entry.path: entry.sha256 for entry in tree.entries if entry.kind is EntryKind.FILE} == hashes
    assert [entry.path for entry in tree.entries if entry.kind is EntryKind.FOLDER] == [".", "sub", "sub/dir"]
    assert (tree.account, tree.complete, tree.complaint) == ("root", True, "")


@pytest.mark.parametrize("wanted", ["openssl", "sha256sum", "shasum"])
def test_any_of_three_tools_hashes_the_same(tmp_path: Path, wanted: str) -> None:
    stage = tmp_path / "stage"
    hashes = fill(stage)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "find", "id", "ls", "head", "wc", "perl", wanted):
        (programs / name).symlink_to(str(shutil.which(name)))
    tree = look(stage, str(programs))
    assert tree.tool.split()[0] == wanted
    assert {entry.path: entry.sha256 for entry in tree.entries if entry.sha256} == hashes


def test_a_server_that_cannot_hash_says_so(tmp_path: Path) -> None:
    stage = tmp_path / "stage"
    fill(stage)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "find", "id", "ls", "head", "wc"):
        (programs / name).symlink_to(str(shutil.which(name)))
    broken = programs / "sha256sum"
    broken.write_text("#!/bin/sh\necho 0000 -\n")
    broken.chmod(0o755)
    tree = look(stage, str(programs))
    assert tree.tool == ""
    assert not any(entry.sha256 for entry in tree.entries)


def test_kinds_modes_owners_times_and_links_are_seen(tmp_path: Path, find_path: str) -> None:
    stage = tmp_path / "stage"
    stage.mkdir()
    (stage / "open.sql").write_text("x")
    (stage / "open.sql").chmod(0o4666)
    os.utime(stage / "open.sql", (1_700_000_000, 1_700_000_000))
    (stage / "empty.sql").touch()
    (stage / "link.sql").symlink_to("a\nb")
    (stage / "dangling").symlink_to("/nonexistent")
    os.mkfifo(stage / "fifo.sql")
    (stage / "sticky").mkdir()
    (stage / "sticky").chmod(0o1777)
    tree = look(stage, find_path)
    entries = {entry.path: entry for entry in tree.entries}
    assert {path: entry.kind for path, entry in entries.items()} == {
        ".": EntryKind.FOLDER, "dangling": EntryKind.SYMLINK, "empty.sql": EntryKind.FILE, "fifo.sql": EntryKind.OTHER,
        "link.sql": EntryKind.SYMLINK, "open.sql": EntryKind.FILE, "sticky": EntryKind.FOLDER,
    }  # fmt: skip
    seen = entries["open.sql"]
    assert (seen.mode, seen.size_bytes, seen.modified_at) == (0o4666, 1, datetime.fromtimestamp(1_700_000_000, UTC))
    assert (seen.owner, seen.group) == ("root", "0")
    assert entries["sticky"].mode == 0o1777
    assert entries["empty.sql"].size_bytes == 0
    assert entries["empty.sql"].sha256 == hashlib.sha256().hexdigest()
    assert entries["link.sql"].link_target == "a\nb"
    assert not entries["fifo.sql"].sha256
    assert tree.root == str(stage.resolve())
    assert [entry.path for entry in tree.parents] == [str(path) for path in stage.resolve().parents]
    assert (tree.parents[-1].kind, tree.parents[-1].mode) == (EntryKind.FOLDER, Path("/").stat().st_mode & 0o7777)


def test_a_folder_reached_through_a_link_is_told(tmp_path: Path) -> None:
    fill(tmp_path / "real")
    (tmp_path / "current").symlink_to("real")
    tree = look(tmp_path / "current")
    assert "current -> real" in tree.link
    assert tree.root == str((tmp_path / "real").resolve())
    assert len(tree.entries) == len(NAMES) + 3


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_a_folder_that_is_none_is_a_negative_answer(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").touch()
    problem = look(tmp_path / kind).problem
    assert problem == {"missing": "No such file or directory", "file": "Not a directory"}[kind]


def test_a_far_too_large_folder_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("preflight.questions.staged.MOST_ENTRIES", len(NAMES) + 1)
    fill(tmp_path)
    assert "more than" in look(tmp_path).problem
    monkeypatch.setattr("preflight.questions.staged.MOST_ENTRIES", len(NAMES) + 40)
    assert not look(tmp_path).problem


@pytest.mark.long
def test_two_thousand_files_in_deep_folders_fit_into_one_answer(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["nested_folder"] * 10)
    folder.mkdir(parents=True)
    for number in range(2000):
        (folder / f"{number:04}_change_of_the_schema.sql").write_text(str(number))
    probe = StagedFolder("db1", LOGIN, str(tmp_path))
    reply = ask(probe)
    assert len(reply.text) < 1024 * 1024
    hashed = [entry for entry in probe.read(reply).entries if entry.sha256]
    assert len(hashed) == 2000


def test_normalised_forms_are_hashed_there(tmp_path: Path) -> None:
    contents = {
        "plain": b"a\nb\n", "crlf": b"a\r\nb\r\n", "bom": b"\xef\xbb\xbfa\nb\n", "newlines": b"a\nb\n\n\n",
        "none": b"a\nb", "-n 'x'": b"\xef\xbb\xbfa\r\nb",
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "link").symlink_to("plain")
    probe = StagedForms("db1", LOGIN, str(tmp_path), (*contents, "missing", "link"))
    forms = probe.read(ask(probe))
    assert list(forms) == list(contents)
    assert {form.bare for form in forms.values()} == {hashlib.sha256(b"a\nb").hexdigest()}
    for name, content in contents.items():
        assert forms[name].with_lf == hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def test_the_beginning_of_a_text_is_read(tmp_path: Path) -> None:
    (tmp_path / "-n 'x'").write_bytes(b"caf\xe9\0\n")
    (tmp_path / "exact").write_bytes(b"x" * 65_536)
    (tmp_path / "long").write_bytes(b"x" * 70_000)
    (tmp_path / "link").symlink_to("exact")

    def read(name: str) -> tuple[int, bool, bool]:
        probe = StagedText("db1", LOGIN, str(tmp_path), name)
        beginning = probe.read(ask(probe))
        return len(beginning.text), beginning.whole, bool(beginning.problem)

    assert read("-n 'x'") == (len("caf\\xe9\0\n"), True, False)
    assert read("exact") == (65_536, True, False)
    assert read("long") == (65_537, False, False)
    assert read("missing") == (0, True, True)
    assert read("link") == (0, True, True)


def test_who_may_not_become_the_account_looks_as_the_login() -> None:
    probe = StagedFolder("db1", AsAccount("release", is_login=False), "/srv/x")
    assert "sudo -k -n -l -u release -- /bin/sh" in probe.ask()
    assert 'else /bin/sh -c "$script"; fi' in probe.ask()
    assert probe.stdin_secret() == ""
    with_password = replace(probe, account=AsAccount("release", is_login=False, password="env:X"))
    assert with_password.ask().endswith('-- /bin/sh -c "$script" || /bin/sh -c "$script"')
    assert with_password.stdin_secret() == "env:X"


def test_every_truncated_or_altered_reply_is_unreadable(tmp_path: Path) -> None:
    fill(tmp_path)
    probe = StagedFolder("db1", LOGIN, str(tmp_path))
    reply = ask(probe)
    records = reply.text.split("\0")
    assert records[-2:] == ["end=yes", ""]
    for count in range(len(records) - 1):
        with pytest.raises(Unreadable):
            probe.read(replace(reply, text="\0".join(records[:count])))
    for altered in (
        reply.text.replace("entry=f 6", "entry=f 9", 1),
        reply.text.replace("./030.sql\n", "./999.sql\n"),
        reply.text.replace(hashlib.sha256(b"content of 030.sql\n").hexdigest(), "0" * 63),
        reply.text.replace("end=", "entry=f 644 1 1 ./030.sql\0owner=root\0target=\0end="),
        reply.text.replace("end=", "strange=\0end="),
        reply.text.replace("end=", "owner=root\0end="),
        reply.text.replace("complete=yes\0", "complete=\0"),
        reply.text + "end=yes\0",
        "",
        "Welcome to db1\n" + reply.text,
    ):
        assert altered != reply.text
        with pytest.raises(Unreadable):
            probe.read(replace(reply, text=altered))
