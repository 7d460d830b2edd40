"""When an archive was begun: read from its header, the birth of its file, and what the host's own clock makes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from preflight.probe import Reply, Unreadable
from preflight.questions.backup_times import BackupBegan, UnplacedTime
from preflight.questions.shell import AsAccount
from tests.toy import MOMENT

HEADER = datetime(2026, 11, 1, 1, 30, tzinfo=UTC)
"""What the clock of whoever dumped showed, read as UTC."""
EDT, EST = HEADER + timedelta(hours=4), HEADER + timedelta(hours=5)
TEXT = "text=2026-11-01 01:30:00 EDT\n"


def told(at: datetime, *offsets: str) -> str:
    return f"at={int(at.timestamp())}\n" + "".join(f"offset={offset}\n" for offset in offsets)


def read(text: str, born: datetime | None = None, changed: datetime = EST) -> datetime | UnplacedTime | None:
    probe = BackupBegan("db1", AsAccount("", is_login=True), "/b/1.dump", 20.0, "pg_restore", changed, born)
    return probe.read(Reply(0, text, MOMENT, 0.1, "on db1"))


def test_the_hosts_clock_places_the_header() -> None:
    assert read(f"code=0\n{TEXT}{told(EDT, '-0400', '-0400')}") == EDT


@pytest.mark.parametrize(
    "moments",
    [
        "",  # no clock here shows it, or date(1) is not GNU's
        told(EDT, "-0400", "+0100"),  # the zone of a crontab
        told(EDT, "-0400") + told(EST, "-0500"),  # a zone that calls both hours alike
        told(EST + timedelta(seconds=1), "-0500"),  # after the file was finished
    ],
)
def test_what_cannot_be_placed_is_unknown_unless_the_files_birth_places_it(moments: str) -> None:
    text = f"code=0\n{TEXT}{moments}"
    assert read(text) == UnplacedTime("2026-11-01 01:30:00 EDT")
    assert read(text, born=EDT + timedelta(seconds=1)) == EDT + timedelta(seconds=1)


@pytest.mark.parametrize("apart", [-14.75, -9.5, 0, 1, 5.75, 14.75])
@pytest.mark.parametrize("seconds", [-5, 0, 5])
def test_a_birth_that_differs_as_zones_do_is_the_beginning(apart: float, seconds: float) -> None:
    born = HEADER + timedelta(hours=apart, seconds=seconds)
    assert read(f"code=0\n{TEXT}", born=born) == born


@pytest.mark.parametrize(
    "born",
    [
        EDT + timedelta(minutes=7),
        EDT + timedelta(seconds=6),
        HEADER + timedelta(hours=15.25),
        HEADER - timedelta(days=30),  # written over an older file
    ],
)
def test_another_birth_places_nothing(born: datetime) -> None:
    assert isinstance(read(f"code=0\n{TEXT}", born=born), UnplacedTime)


def test_a_file_born_between_beginning_and_end_is_a_copy() -> None:
    text = f"code=0\n{TEXT}{told(EDT, '-0400')}"
    assert read(text, born=EDT + timedelta(minutes=7)) is None
    assert read(text, born=EDT + timedelta(seconds=40)) == EDT, "made by the job just before"
    assert read(text, born=EST + timedelta(minutes=7)) == EDT, "copied with its time of change"


def test_an_archive_that_cannot_be_listed_tells_nothing() -> None:
    assert read("code=1\ntext=\n") is None
    assert read("code=0\ntext=\n", born=EDT) is None
    with pytest.raises(Unreadable):
        read("code=0\n")
