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
LATER = EST + timedelta(hours=1)
TEXT = "2026-11-01 01:30:00 EDT"


def told(*offsets: str) -> str:
    return f"code=0\ntext={TEXT}\n" + "".join(f"offset={offset}\n" for offset in offsets) + "end=yes\n"


def read(text: str, born: datetime | None = None, changed: datetime = LATER) -> datetime | UnplacedTime | None:
    probe = BackupBegan("db1", AsAccount("", is_login=True), "/b/1.dump", 20.0, "pg_restore", changed, born)
    return probe.read(Reply(0, text, MOMENT, 0.1, "on db1"))


@pytest.mark.parametrize("offsets", [("-0400",), ("-0400", "+0100"), ("+0100", "-0400"), ("-0400", "-0500")])
@pytest.mark.parametrize("seconds", [-5, 0, 5])
def test_a_birth_at_the_moment_that_a_clock_of_the_host_showed_is_the_beginning(
    offsets: tuple[str, ...], seconds: int
) -> None:
    born = EDT + timedelta(seconds=seconds)
    assert read(told(*offsets), born) == born


def test_the_birth_tells_which_of_two_hours_it_was() -> None:
    assert read(told("-0400", "-0500"), EST) == EST


@pytest.mark.parametrize("offsets", [(), ("-0400",), ("-0400", "-0430")])
@pytest.mark.parametrize(
    ("born", "changed"),
    [
        (None, LATER),  # the file system keeps no birth
        (EDT + timedelta(hours=1), LATER),  # copied an hour later: no zone of the host explains it
        (EDT + timedelta(minutes=59, seconds=30), LATER),
        (EDT + timedelta(minutes=7), LATER),
        (EDT + timedelta(seconds=6), LATER),
        (EDT - timedelta(minutes=15), LATER),  # written over
        (EDT - timedelta(days=30), LATER),
        (EDT, EDT - timedelta(seconds=1)),  # copied with an older time of change
        (LATER, EST),
    ],
)
def test_what_the_birth_does_not_confirm_cannot_be_told(
    offsets: tuple[str, ...], born: datetime | None, changed: datetime
) -> None:
    assert read(told(*offsets), born, changed) == UnplacedTime(TEXT)


def test_an_archive_that_cannot_be_listed_tells_nothing() -> None:
    assert read("code=1\ntext=\nend=yes\n") is None
    assert read("code=0\ntext=\nend=yes\n", born=EDT) is None
    with pytest.raises(Unreadable):
        read("code=0\nend=yes\n")


def test_a_reply_that_is_cut_off_anywhere_tells_nothing() -> None:
    """Cut behind `text=`, it would be an archive of which nobody knows when it was begun: a WARN for a guess."""
    whole = told("-0400").rstrip()
    for length in range(len(whole)):
        with pytest.raises(Unreadable):
            read(whole[:length], EDT)
