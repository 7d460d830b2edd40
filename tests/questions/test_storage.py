"""Directories, mounts and quotas: the shell text run here, and the strict readers of what hosts print."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from preflight.probe import Reply, Unreadable
from preflight.questions.shell import AsAccount
from preflight.questions.sizes import DataDirectories, DataDirectoriesProbe
from preflight.questions.storage import (
    Directory,
    DirectoryKind,
    DirectoryProbe,
    Place,
    PlacesProbe,
    Quota,
    StorageKind,
    device_name,
    mount_of,
)

ME = AsAccount("me", is_login=True)
ROOT_LINE = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"
BACKUP_LINE = "30 22 8:17 / /backup rw,nosuid - xfs /dev/sdb1 rw"


def reply(text: str, code: int = 0) -> Reply:
    return Reply(code, text, datetime(2026, 10, 16, 19, 0, tzinfo=UTC), 0.1, "on db1 as me")


def asked(probe: DirectoryProbe | PlacesProbe, shell: str = "sh") -> Reply:
    done = subprocess.run([shell, "-c", probe.ask()], capture_output=True, text=True, check=False, timeout=60)
    return reply(done.stdout, done.returncode)


def seen(path: Path | str, shell: str = "sh") -> Directory:
    probe = DirectoryProbe("db1", ME, str(path))
    return probe.read(asked(probe, shell))


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("name", ["plain", "it's $(here)", "a  b ", "*", "-n", "tab\there", "back\\slash"])
def test_a_directory_is_described_whatever_its_name(tmp_path: Path, shell: str, name: str) -> None:
    path = tmp_path / name
    path.mkdir(mode=0o750)
    found = seen(path, shell)
    status = path.stat()
    assert found.kind is DirectoryKind.DIRECTORY
    assert (found.place.path, found.place.reached, found.place.real) == (str(path), str(path), str(path))
    assert (found.place.mode, found.ran_as) == (0o750, os.geteuid())
    assert found.place.mount is not None
    assert found.place.mount.device == f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
    assert found.as_account
    assert found.access
    assert [link.path for link in found.chain] == [str(path), *map(str, path.parents)]
    assert found.chain[0].mode == 0o750
    assert abs(found.place.free_bytes - os.statvfs(path).f_bavail * os.statvfs(path).f_frsize) < 2**30
    assert found.place.size_bytes > found.place.free_bytes
    assert list(path.iterdir()) == []


def test_a_directory_that_is_not_there_is_seen_as_far_as_it_goes(tmp_path: Path) -> None:
    found = seen(tmp_path / "a" / "b")
    assert (found.kind, found.place.reached, found.passable) == (DirectoryKind.MISSING, str(tmp_path), True)
    assert found.place.real == str(tmp_path / "a" / "b")
    assert not found.proved
    assert not found.access


def test_files_and_links_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert seen(tmp_path / "file").kind is DirectoryKind.OTHER
    assert seen(tmp_path / "dangling").kind is DirectoryKind.DANGLING
    followed = seen(tmp_path / "link")
    assert (followed.kind, followed.place.real) == (DirectoryKind.DIRECTORY, str(tmp_path / "real"))


def test_the_limit_on_files_is_in_bytes_in_every_shell(tmp_path: Path) -> None:
    assert seen(tmp_path).file_limit_bytes is None
    probe = DirectoryProbe("db1", ME, str(tmp_path))
    limited = subprocess.run(
        ["bash", "-c", f"ulimit -f 4096; exec sh -c {shlex.quote(probe.ask())}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert probe.read(reply(limited.stdout)).file_limit_bytes == 4096 * 1024


def test_several_places_are_told_in_one_answer(tmp_path: Path) -> None:
    paths = (str(tmp_path), "/proc", str(tmp_path / "not" / "there"))
    probe = PlacesProbe("db1", ME, paths)
    places = probe.read(asked(probe))
    assert tuple(places) == paths
    assert [places[path].seen for path in paths] == [True, True, False]
    assert places["/proc"].storage != places[str(tmp_path)].storage
    assert places[paths[2]].storage == places[paths[0]].storage


def test_another_accounts_answer_is_of_no_use_for_other_paths(tmp_path: Path) -> None:
    text = asked(PlacesProbe("db1", ME, (str(tmp_path),)))
    with pytest.raises(Unreadable, match="other paths"):
        PlacesProbe("db1", ME, ("/proc",)).read(text)


def test_a_place_without_its_real_path_is_no_answer(tmp_path: Path) -> None:
    """A host whose readlink knows no -f: the path must not be taken for one that begins at the root."""
    probe = PlacesProbe("db1", ME, (str(tmp_path), str(tmp_path / "new")))
    whole = asked(probe)
    with pytest.raises(Unreadable, match="real"):
        probe.read(replace(whole, text=re.sub(r"(?m)^real=.*", "real=", whole.text)))


def test_a_reply_without_any_one_of_its_lines_is_no_answer(tmp_path: Path) -> None:
    probe = DirectoryProbe("db1", ME, str(tmp_path))
    whole = asked(probe)
    lines = whole.text.splitlines()
    for number, line in enumerate(lines):
        if not line or line.startswith(("quotas=", "mount=")):
            continue
        with pytest.raises(Unreadable):
            probe.read(replace(whole, text="\n".join(lines[:number] + lines[number + 1 :])))
    with pytest.raises(Unreadable):
        probe.read(replace(whole, code=1))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("kind=directory", "kind=house"),
        ("access=yes", "access=perhaps"),
        ("access=yes", "access=yes\naccess=no"),
        ("end=yes", "end=yes\nnonsense"),
        ("fsize=unlimited", "fsize=many"),
        ("fsize=unlimited", "fsize="),
        ("cpu=unlimited", "cpu=much"),
        ("passable=yes", "passable="),
        ("proof=", "proof=x"),
    ],
)
def test_a_reply_of_another_shape_is_no_answer(tmp_path: Path, before: str, after: str) -> None:
    probe = DirectoryProbe("db1", ME, str(tmp_path))
    whole = asked(probe)
    assert before in whole.text
    with pytest.raises(Unreadable):
        probe.read(replace(whole, text=whole.text.replace(before, after)))


@pytest.mark.parametrize(
    ("path", "device", "lines", "point"),
    [
        ("/backup/orders", "8:17", [ROOT_LINE, BACKUP_LINE], "/backup"),
        ("/backup/orders", "", [ROOT_LINE, BACKUP_LINE], "/backup"),
        ("/backup", "8:17", [ROOT_LINE, BACKUP_LINE], "/backup"),
        ("/backup2/orders", "8:1", [ROOT_LINE, BACKUP_LINE], "/"),
        ("/backup/orders", "8:1", [ROOT_LINE, BACKUP_LINE], "/"),  # the longer one is hidden by a later mount
        ("/backup/orders", "0:55", [ROOT_LINE, BACKUP_LINE], "/backup"),  # btrfs shows another device
        ("/my backup/x", "8:17", [ROOT_LINE, BACKUP_LINE.replace("/backup", "/my\\040backup")], "/my backup"),
        ("/a\\b/x", "8:17", [ROOT_LINE, BACKUP_LINE.replace("/backup", "/a\\134b")], "/a\\b"),
    ],
)
def test_the_mount_of_a_path_is_found(path: str, device: str, lines: list[str], point: str) -> None:
    mount = mount_of(path, device, lines)
    assert mount is not None
    assert mount.point == point


def test_of_two_mounts_on_one_point_the_last_is_seen() -> None:
    automount = BACKUP_LINE.replace("8:17", "0:40").replace("xfs", "autofs")
    mount = mount_of("/backup/orders", "", [ROOT_LINE, automount, BACKUP_LINE])
    assert mount is not None
    assert (mount.type, mount.kind) == ("xfs", StorageKind.DISK)
    idle = mount_of("/backup/orders", "", [ROOT_LINE, automount])
    assert idle is not None
    assert idle.kind is StorageKind.AUTOMOUNTER


@pytest.mark.parametrize(
    ("line", "read_only"),
    [
        (BACKUP_LINE, False),
        (BACKUP_LINE.replace("rw,nosuid", "ro,nosuid"), True),  # the mount
        (BACKUP_LINE.replace("/dev/sdb1 rw", "/dev/sdb1 ro"), True),  # the file system below it
        (BACKUP_LINE.replace("/dev/sdb1 rw", "/dev/sdb1 rw,errors=remount-ro"), False),
    ],
)
def test_a_mount_is_read_only_by_either_option(line: str, read_only: bool) -> None:
    mount = mount_of("/backup", "", [line])
    assert mount is not None
    assert mount.read_only is read_only


def test_no_fitting_mount_is_none_and_a_strange_line_no_answer() -> None:
    assert mount_of("/x", "", []) is None
    with pytest.raises(Unreadable):
        mount_of("/x", "", ["/dev/sda1 / ext4 rw 0 0"])


def test_device_numbers_are_split_as_the_kernel_does(tmp_path: Path) -> None:
    for major, minor in ((8, 1), (259, 300), (0, 70000), (4095, 1048575)):
        assert device_name(os.makedev(major, minor)) == f"{major}:{minor}"


@pytest.mark.parametrize(
    ("line", "quotas"),
    [
        ("/dev/sdb1 900 900 1000 0 5 0 10 0", (Quota("/dev/sdb1", 100 * 1024, 5),)),
        ("/dev/sdb1 1200* 900 1000 0 5 0 0 0", (Quota("/dev/sdb1", 0, None),)),
        ("/dev/sdb1 900 900 0 0 5 0 0 0", (Quota("/dev/sdb1", None, None),)),
        (" fs:/x   1 0 9000000000  0  5 0 0 0", (Quota("fs:/x", 8_999_999_999 * 1024, None),)),
        ("Disk quotas for user me (uid 1000): none", ()),
        ("Filesystem blocks quota limit grace files quota limit grace", ()),
    ],
)
def test_quotas_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, quotas: tuple[Quota, ...]) -> None:
    program = tmp_path / "quota"
    program.write_text(f"#!/bin/sh\n[ $1 = -g ] || echo '{line}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert seen(tmp_path).quotas == quotas


def rows(*given: Mapping[str, str | None]) -> Reply:
    return reply(json.dumps(given))


def test_directories_of_the_server_are_read() -> None:
    probe = DataDirectoriesProbe("orders")
    data = {"kind": "data", "path": "/pg/data", "bytes": "0"}
    space = {"kind": "tablespace", "path": "/fast/space", "bytes": "7"}
    standard = {"kind": "tablespace", "path": "", "bytes": "9"}
    found = probe.read(rows(data, standard, space))
    assert found == DataDirectories("/pg/data", {"/fast/space": 7})
    assert found.paths == ("/pg/data", "/pg/data/pg_wal", "/fast/space")
    hidden = probe.read(rows(standard, space))
    assert hidden.paths == ("/fast/space",)
    assert probe.read(rows()).paths == ()


@pytest.mark.parametrize(
    "row",
    [
        {"kind": "data", "path": "relative"},
        {"kind": "data", "path": None},
        {"kind": "tablespace", "path": "/a\nb"},
        {"kind": "other", "path": "/a"},
    ],
)
def test_a_row_that_is_no_directory_is_no_answer(row: Mapping[str, str | None]) -> None:
    with pytest.raises(Unreadable):
        DataDirectoriesProbe("orders").read(rows(row))


def test_room_counts_where_it_is_the_paths_own_file_system() -> None:
    disk = mount_of("/backup/orders", "", [ROOT_LINE, BACKUP_LINE])
    place = Place(
        path="/backup/orders",
        reached="/backup",
        real="/backup/orders",
        mode=0o755,
        owner="root",
        mount=disk,
        free_bytes=1,
        size_bytes=2,
        free_inodes=None,
    )
    assert place.measured
    assert not replace(place, reached="/").measured
    assert not replace(place, mount=None).measured
