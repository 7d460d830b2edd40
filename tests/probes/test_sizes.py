"""Sizes of earlier backups and of the catalogue: real files read by a real shell, and what a server may answer."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from preflight.probe import Reply, Unreadable
from preflight.probes.shell import AsAccount
from preflight.probes.sizes import PreviousBackup, PreviousBackupsProbe, Sizes, SizesProbe

MADE_AT = datetime(2026, 10, 15, 2, 0, tzinfo=UTC)
LOGIN = AsAccount("dbadmin", is_login=True)
ROW = {
    "database_bytes": "9000000",
    "table_bytes": "4000000",
    "tables": "12",
    "large_object_bytes": "0",
    "large_objects": "0",
    "cluster_bytes": "30000000",
    "hidden_tablespaces": "0",
    "tablespaces": "2",
    "cluster_relations": "900",
    "wal_segment_bytes": "16777216",
}


def make(path: Path, size: int, hours: int = 0) -> Path:
    path.write_bytes(b"x" * size)
    when = MADE_AT.timestamp() + hours * 3600
    os.utime(path, (when, when))
    return path


def answer(text: str, code: int = 0) -> Reply:
    return Reply(code, text, MADE_AT, 0.1, "on db1 as dbadmin")


def previous(pattern: str) -> tuple[PreviousBackup, ...]:
    probe = PreviousBackupsProbe("db1", LOGIN, pattern)
    done = subprocess.run(["sh", "-s"], input=probe.ask(), capture_output=True, text=True, check=False, timeout=10)
    return probe.read(answer(done.stdout, done.returncode))


def test_the_two_newest_backups_are_found_the_newest_first(tmp_path: Path) -> None:
    for number, size in enumerate((500, 400, 300)):
        make(tmp_path / f"orders-{number}.dump", size, hours=number)
    make(tmp_path / "other.dump", 9, hours=9)
    newest, before = previous(f"{tmp_path}/orders-*.dump")
    assert (newest.path, newest.size_bytes) == (f"{tmp_path}/orders-2.dump", 300)
    assert newest.made_at == datetime(2026, 10, 15, 4, 0, tzinfo=UTC)
    assert before.size_bytes == 400


def test_a_glob_is_no_shell_text(tmp_path: Path) -> None:
    folder = tmp_path / "a b; $(touch gone) 'x' \"y\""
    folder.mkdir()
    make(folder / "o-1 final.dump", 7)
    (found,) = previous(f"{folder}/o-[0-9]*.dump")
    assert (found.path, found.size_bytes) == (f"{folder}/o-1 final.dump", 7)
    assert not list(Path.cwd().glob("gone"))


def test_nothing_that_matches_is_an_answer(tmp_path: Path) -> None:
    assert previous(f"{tmp_path}/*.dump") == ()
    (tmp_path / "dangling.dump").symlink_to(tmp_path / "nothing")
    assert previous(f"{tmp_path}/*.dump") == ()


def test_a_name_with_a_line_break_is_not_taken_for_another_file(tmp_path: Path) -> None:
    make(tmp_path / "o\n9999999999 999999999999 .dump", 5)
    make(tmp_path / "o.dump", 5)
    with pytest.raises(Unreadable):
        previous(f"{tmp_path}/*.dump")


def test_all_files_of_a_directory_count(tmp_path: Path) -> None:
    folder = tmp_path / "orders.dir"
    folder.mkdir()
    for name in ("toc.dat", "1.dat.gz"):
        make(folder / name, 100_000)
    (found,) = previous(f"{tmp_path}/*.dir")
    assert found.size_bytes is not None
    assert 200_000 <= found.size_bytes <= 210_000


def test_a_link_counts_as_what_it_leads_to(tmp_path: Path) -> None:
    make(tmp_path / "orders.dump", 300)
    (tmp_path / "latest").symlink_to("orders.dump")
    (found,) = previous(f"{tmp_path}/latest")
    assert found.size_bytes == 300


@pytest.mark.parametrize(
    "text",
    [
        "",
        "backup=1760493600 300 /b/o.dump\n",  # cut off before its end
        "backup=1760493600 300\nend=yes\n",
        "backup=1760493600 -1 /b/o.dump\nend=yes\n",
        "backup=1760493600 3k /b/o.dump\nend=yes\n",
        "backup=x 300 /b/o.dump\nend=yes\n",
        "backup=99999999999999999999 300 /b/o.dump\nend=yes\n",
        "noise\nend=yes\n",
    ],
)
def test_what_is_no_list_of_backups_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        PreviousBackupsProbe("db1", LOGIN, "/b/*").read(answer(text))


def test_a_script_that_failed_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="ended with 2"):
        PreviousBackupsProbe("db1", LOGIN, "/b/*").read(answer("end=yes\n", 2))


def test_a_directory_that_cannot_be_read_whole_has_no_size() -> None:
    (found,) = PreviousBackupsProbe("db1", LOGIN, "/b/*").read(answer("backup=1760493600 ? /b/o.dir\nend=yes\n"))
    assert found.size_bytes is None


def test_sizes_are_read() -> None:
    sizes = SizesProbe("orders").read(answer(json.dumps([{**ROW, "large_object_bytes": "500"}])))
    assert sizes.dumped_bytes == 4_000_500
    assert sizes == Sizes(
        database_bytes=9_000_000,
        table_bytes=4_000_000,
        tables=12,
        large_object_bytes=500,
        large_objects=0,
        cluster_bytes=30_000_000,
        tablespaces=2,
        cluster_relations=900,
        wal_segment_bytes=16 * 1024 * 1024,
    )


def test_a_cluster_with_a_tablespace_the_role_may_not_see_has_no_size() -> None:
    hidden = {**ROW, "hidden_tablespaces": "1"}
    assert SizesProbe("orders").read(answer(json.dumps([hidden]))).cluster_bytes is None
    assert SizesProbe("orders").read(answer(json.dumps([{**hidden, "cluster_bytes": None}]))).cluster_bytes is None


@pytest.mark.parametrize("name", ROW)
@pytest.mark.parametrize("value", [None, "-1", "many", ""])
def test_a_size_that_is_missing_or_no_number_is_unreadable(name: str, value: str | None) -> None:
    with pytest.raises(Unreadable):
        SizesProbe("orders").read(answer(json.dumps([{**ROW, name: value}])))


@pytest.mark.parametrize("rows", [[], [ROW, ROW]])
def test_another_number_of_rows_is_unreadable(rows: list[object]) -> None:
    with pytest.raises(Unreadable):
        SizesProbe("orders").read(answer(json.dumps(rows)))
