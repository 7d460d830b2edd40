"""Listing backups on a host: real shell, real files with awkward names, and readers that refuse every other shape."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from preflight.probe import Reply, Unreadable
from preflight.questions.backups import BackupKind, Listing, PreviousBackups
from preflight.questions.shell import AsAccount, fixed_folder, glob_word
from tests.toy import MOMENT

LOGIN = AsAccount("", is_login=True)
GOOD = """\
folder=readable
ran_as=1000
account=1000
now=1790000000
zone_offset=+0200
count=2
dangling=0
backup=1789990000 400 0 1000 600 8:1 postgres custom /b/new one.dump
backup=1789900000 300 - 1000 600 8:2 postgres custom /b/old.dump
end=yes
"""


def read(text: str, code: int = 0) -> Listing:
    return PreviousBackups("db1", LOGIN, "/b/*.dump").read(Reply(code, text, MOMENT, 0.1, "on db1"))


def listed(pattern: str | Path) -> Listing:
    """What the shell of this machine answers."""
    probe = PreviousBackups("db1", LOGIN, str(pattern))
    done = subprocess.run(["sh", "-c", probe.ask()], capture_output=True, text=True, check=False, timeout=60)
    return probe.read(Reply(done.returncode, done.stdout, MOMENT, 0.1, "here", done.stderr))


def test_the_newest_comes_first_and_names_keep_their_blanks() -> None:
    listing = read(GOOD)
    assert [backup.path for backup in listing.backups] == ["/b/new one.dump", "/b/old.dump"]
    assert (listing.count, listing.as_account, listing.account) == (2, True, 1000)
    assert listing.age(listing.backups[0]).total_seconds() == 10000


def test_two_names_of_one_file_are_one_backup() -> None:
    twice = GOOD.replace("8:2 postgres", "8:1 postgres").replace("1789900000 300", "1789990000 400")
    assert len(read(twice).backups) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("end=yes", "end=no"),
        ("end=yes\n", ""),
        ("folder=readable", "folder=maybe"),
        ("count=2", "count=many"),
        ("dangling=0", "dangling=some"),
        ("dangling=0\n", ""),
        ("1789990000 400", "1789990000 -1"),
        ("count=2", "odd=yes"),
        ("now=1790000000\n", ""),
        (" custom ", " unheard-of "),
        (" 600 ", " rw- "),
        ("1789990000 400", "1789990000 big"),
        ("1789990000 400", "99999999999999999 400"),
        ("ran_as=1000", "ran_as=root"),
        ("backup=", "found="),
    ],
)
def test_any_other_shape_is_no_answer(old: str, new: str) -> None:
    with pytest.raises(Unreadable):
        read(GOOD.replace(old, new))
    with pytest.raises(Unreadable):
        read(GOOD, code=1)


@pytest.mark.parametrize("name", ["it's $(touch pwned) `touch pwned`", "a;touch pwned", "-rf", "a\\b", 'q"q', "a&b|c"])
def test_a_pattern_runs_nothing_and_finds_its_file(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "x1.dump").write_text("PGDMP")
    (folder / "y1.dump").write_text("PGDMP")
    listing = listed(f"{folder}/x[0-9]*.dum?")
    assert [backup.path for backup in listing.backups] == [f"{folder}/x1.dump"]
    assert not (Path.cwd() / "pwned").exists()


@pytest.mark.parametrize("pattern", ["/b/[a;b]*", "/b/[$(id)]", "/b/[`id`]", "/b/[", "/b/[a b]"])
def test_brackets_are_wild_only_around_plain_characters(pattern: str) -> None:
    assert "'" in glob_word(pattern)
    with pytest.raises(ValueError, match="newline"):
        glob_word(pattern + "\n*")


@pytest.mark.parametrize(
    ("pattern", "folder"), [("/b/*.dump", "/b"), ("/b/20*/x", "/b"), ("/*", "/"), ("/b/x.dump", "/b"), ("/b/?", "/b")]
)
def test_the_folder_is_what_stands_before_the_first_wild_part(pattern: str, folder: str) -> None:
    assert fixed_folder(pattern) == folder


def test_kinds_are_told_by_the_first_bytes(tmp_path: Path) -> None:
    tar = bytearray(512)
    tar[257:262] = b"ustar"
    other_tar = bytes(tar)
    tar[:7] = b"toc.dat"
    contents = {
        BackupKind.CUSTOM: b"PGDMP\x01\x0e",
        BackupKind.GZIP: b"\x1f\x8b\x08\x00",
        BackupKind.BZIP2: b"BZh91AY",
        BackupKind.XZ: b"\xfd7zXZ\x00",
        BackupKind.ZSTD: b"\x28\xb5\x2f\xfd\x04",
        BackupKind.TAR: bytes(tar),
        BackupKind.UNKNOWN: other_tar,
        BackupKind.TEXT: b"--\n-- PostgreSQL database dump\n",
        BackupKind.EMPTY: b"",
    }
    for kind, content in contents.items():
        (tmp_path / kind).write_bytes(content)
        assert [backup.kind for backup in listed(tmp_path / kind).backups] == [kind]
    markers = {
        BackupKind.DIRECTORY: "toc.dat",
        BackupKind.BASE: "PG_VERSION",
        BackupKind.BASE_TAR: "base.tar.gz",
        BackupKind.FOLDER: "x",
    }
    for kind, marker in markers.items():
        (tmp_path / kind).mkdir()
        (tmp_path / kind / marker).write_text("x")
        assert [backup.kind for backup in listed(tmp_path / kind).backups] == [kind]


def test_a_directory_is_as_old_as_its_table_of_contents(tmp_path: Path) -> None:
    folder = tmp_path / "new.dump"
    folder.mkdir()
    (folder / "toc.dat").write_text("x")
    os.utime(folder / "toc.dat", (1_700_000_000, 1_700_000_000))
    (backup,) = listed(folder).backups
    assert backup.changed_at.timestamp() == 1_700_000_000


def test_links_are_followed_and_counted_once(tmp_path: Path) -> None:
    (tmp_path / "a.dump").write_text("PGDMP")
    (tmp_path / "latest.dump").symlink_to("a.dump")
    (tmp_path / "broken.dump").symlink_to("gone")
    assert len(listed(tmp_path / "*.dump").backups) == 1


def test_names_that_lead_to_nothing_are_counted(tmp_path: Path) -> None:
    (tmp_path / "broken.dump").symlink_to("gone")
    listing = listed(tmp_path / "*.dump")
    assert (listing.backups, listing.count, listing.dangling) == ((), 1, 1)
    with pytest.raises(Unreadable, match="none is listed"):
        read("folder=readable\nran_as=0\naccount=0\nnow=1790000000\nzone_offset=+0000\ncount=3\ndangling=2\nend=yes\n")


def test_all_files_of_a_folder_count_also_through_a_link(tmp_path: Path) -> None:
    folder = tmp_path / "orders.dir"
    folder.mkdir()
    for name in ("toc.dat", "1.dat.gz"):
        (folder / name).write_bytes(b"x" * 100_000)
    (tmp_path / "latest").symlink_to("orders.dir")
    for name in ("orders.dir", "latest"):
        (backup,) = listed(tmp_path / name).backups
        assert backup.size_bytes is not None
        assert 200_000 <= backup.size_bytes <= 210_000


def test_a_folder_that_cannot_be_seen_whole_has_no_size() -> None:
    newest, before = read(GOOD.replace("1789990000 400", "1789990000 ?")).backups
    assert (newest.size_bytes, before.size_bytes) == (None, 300)


def test_nothing_to_list_is_a_fact(tmp_path: Path) -> None:
    listing = listed(tmp_path / "*.dump")
    assert (listing.backups, listing.folder) == ((), "readable")
    assert listed(tmp_path / "none" / "*.dump").folder == "missing"


def test_a_name_with_a_line_break_is_no_answer(tmp_path: Path) -> None:
    (tmp_path / "a\nbackup=1.dump").write_text("PGDMP")
    with pytest.raises(Unreadable):
        listed(tmp_path / "*.dump")


def test_a_files_state_tells_every_change_and_a_folder_has_none(tmp_path: Path) -> None:
    file, folder = tmp_path / "a.dump", tmp_path / "b.dump"
    file.write_bytes(b"PGDMP1")
    folder.mkdir()
    (folder / "toc.dat").write_text("PGDMP")

    def states() -> dict[str, str]:
        return {Path(backup.path).name: backup.state for backup in listed(tmp_path / "*.dump").backups}

    before, times = states(), file.stat()
    assert before == states()
    assert before["b.dump"] == ""
    file.write_bytes(b"PGDMP2")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert states()["a.dump"] != before["a.dump"]


@pytest.mark.parametrize("told", ["8:1", "8:1:400:1789990000:1789990000", "8:1:400:%.9Y:%.9Z"])
def test_a_host_that_does_not_tell_fractions_of_seconds_gives_no_state(told: str) -> None:
    (first, _) = read(GOOD.replace("8:1 postgres", f"{told} postgres")).backups
    assert (first.identity, first.state) == ("8:1", "")
