"""rollback-ready judged from plain facts: a good state beside those that flip it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from preflight_checks.rollback_ready import RollbackReady

from preflight.finding import Status
from preflight.plan import Account, Database, RemotePath, Rollback, RollbackFile, Sha256
from preflight.questions.fields import Mode
from preflight.questions.files import FileState, HashedFile
from preflight.questions.storage import Mount, Place
from tests.toy import MOMENT, WINDOW, toy_plan


def check(**sections: Any) -> RollbackReady:
    database = Database(id="orders", host="db1", user=Account("release"))
    return RollbackReady(toy_plan(**{"databases": {"orders": database}, **sections}), MOMENT)


def subject(of: RollbackReady, name: str) -> Any:
    return next(each for each in of.subjects() if each.id == name)


def test_two_wanted_contents_of_one_file_are_two_lines() -> None:
    path = RemotePath("/srv/x")
    files = tuple(RollbackFile(host="db1", path=path, sha256=Sha256(digit * 64)) for digit in ("1", "1", "2"))
    ready = check(rollback=Rollback(files=files))
    ids = [each.id for each in ready.subjects() if isinstance(each.item, RollbackFile)]
    assert ids == ["db1:/srv/x 11111111", "db1:/srv/x 22222222"]


def test_a_plan_that_says_nothing_of_a_way_back_gives_no_lines() -> None:
    assert not list(check().subjects())


def test_a_rehearsal_is_counted_to_the_start_of_the_window() -> None:
    start = toy_plan().window.start
    assert start > datetime(2026, 10, 17, tzinfo=UTC)
    for days, status in ((30, Status.PASS), (31, Status.UNKNOWN)):
        ready = check(rollback=Rollback(rehearsed=(start - timedelta(days=days)).date()))
        assert ready.judge(subject(ready, "rehearsal")).status is status


@pytest.mark.parametrize(
    ("kind", "read_only", "free", "status"),
    [
        ("xfs", False, 7, Status.PASS),
        ("xfs", False, 6, Status.WARN),
        ("xfs", True, 7, Status.WARN),
        ("nfs4", False, 6, Status.WARN),
        ("nfs4", True, 0, Status.PASS),
    ],
)
def test_the_file_system_of_a_file_can_take_it_once_more(kind: str, read_only: bool, free: int, status: Status) -> None:
    """A share of releases is mounted read-only on purpose."""
    files = tuple(RollbackFile(host="db1", path=RemotePath(path), sha256=Sha256("1" * 64)) for path in ("/x", "/srv/y"))
    ready = check(rollback=Rollback(files=files))
    of = subject(ready, "db1:/x")
    asked: Any = ready.probes(of)["places"]
    assert asked.paths == ("/", "/srv"), "one question for all folders of the host"
    mount = Mount("8:1", "/", read_only, kind, "/dev/sda1")
    place = Place(
        path="/", reached="/", real="/", mode=Mode(0o755), owner="root", mount=mount, free_bytes=free,
        size_bytes=100, free_inodes=1,
    )  # fmt: skip
    seen = HashedFile(FileState.FILE, "1" * 64, 7)
    assert ready.judge(of, files={"/x": seen}, places={"/": place}).status is status


@pytest.mark.case(21)
@pytest.mark.parametrize(("zone", "status"), [("Pacific/Auckland", Status.PASS), ("America/New_York", Status.UNKNOWN)])
def test_a_rehearsal_of_today_counts_where_today_has_begun(zone: str, status: Status) -> None:
    """At 19:00 UTC it is the morning after in Auckland."""
    rollback = Rollback(rehearsed=MOMENT.date() + timedelta(days=1))
    ready = check(rollback=rollback, window=replace(WINDOW, zone=zone))
    assert ready.judge(subject(ready, "rehearsal")).status is status
