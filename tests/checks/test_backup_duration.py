"""backup-duration judged from plain facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from preflight_checks.backup_duration import BackupDuration

from preflight.finding import Judgement, Status
from preflight.plan import Account, Backup, Bytes, Database, RemotePath, Scripts, Step, Undo, UndoKind
from preflight.questions.backup_times import BackupBegan, WriteRate
from preflight.questions.backups import BackupFile, BackupKind, Listing
from tests.toy import MOMENT, toy_plan

GIB = 1024**3
NEWEST = BackupFile("/b/1.dump", BackupKind.CUSTOM, 10 * GIB, MOMENT, 1000, "dba", 0o600, "1:1")
STEP = Step(id="dump", minutes=30, source="measured 2026-10-01", undo=Undo(kind=UndoKind.NOTHING_TO_UNDO))
WORK = Step(id="work", minutes=60, after=("dump",), undo=Undo(kind=UndoKind.SCRIPT, minutes=60))
SCRIPTS = Scripts(
    id="s", database="orders", approved=Path("sql"), manifest=Path("sql.SHA256SUMS"), staged=RemotePath("/srv")
)
BACKUP = Backup(
    id="orders", database="orders", directory=RemotePath("/b"), previous=RemotePath("/b/*.dump"), step="dump"
)


def check(backup: Backup = BACKUP, step: Step = STEP, *, sample: bool = False) -> BackupDuration:
    """In a window of six hours, with an hour's work after the backup and an hour's rollback."""
    plan = replace(
        toy_plan(steps=(step, WORK)),
        databases={"orders": Database(id="orders", host="db1", user=Account("release"))},
        backups={"orders": backup},
    )
    return BackupDuration(plan, MOMENT, BackupDuration.Settings(sample=sample))


@pytest.mark.case(63)
@pytest.mark.parametrize(
    ("took", "restore", "kind", "status"),
    [
        (25, 25, UndoKind.RESTORE, Status.PASS),
        (25, 24, UndoKind.RESTORE, Status.WARN),
        (None, 10, UndoKind.RESTORE, Status.WARN),  # the step's own 30 minutes
        (None, 30, UndoKind.RESTORE, Status.PASS),
        (25, 8, UndoKind.SCRIPT, Status.PASS),
    ],
)
def test_a_restore_planned_shorter_than_the_backup_takes(
    took: float | None, restore: float, kind: UndoKind, status: Status
) -> None:
    work = replace(WORK, undo=Undo(kind=kind, minutes=restore, source="rehearsed 2026-10-01"))
    plan = replace(check().plan, steps=(STEP, work), scripts={"s": replace(SCRIPTS, step="work")})
    found = BackupDuration(plan, MOMENT, BackupDuration.Settings())
    began = None if took is None else before(took)
    judged = found.judge(found.subjects()[0], listing=listed(NEWEST), began=began)
    assert judged.status is status
    if status is Status.WARN:
        assert f"{restore} min (rehearsed 2026-10-01) to put it back" in judged.actual
        assert f"{took or 30} min for the backup" in judged.actual


def listed(*backups: BackupFile) -> Listing:
    return Listing(
        backups=backups, count=len(backups), dangling=0, folder="readable", ran_as=1000, account=1000, now=MOMENT
    )


def judged(
    began: datetime | None,
    *backups: BackupFile,
    backup: Backup = BACKUP,
    step: Step = STEP,
    rate: float | None = None,
) -> Judgement:
    found = check(backup, step)
    (subject,) = found.subjects()
    return found.judge(subject, listing=listed(*backups), began=began, rate=rate)


def before(minutes: float) -> datetime:
    return MOMENT - timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("minutes", "status"),
    [
        (0, Status.PASS),
        (29.9, Status.PASS),
        (30, Status.PASS),
        (30.1, Status.WARN),
        (183, Status.WARN),
        (183.1, Status.FAIL),
        (400, Status.FAIL),
    ],
)
def test_the_time_of_the_newest_backup_is_held_against_the_step_and_the_margin(minutes: float, status: Status) -> None:
    """Six hours less 72 min of rollback, 15 of decision, 30 of margin and 60 of work leave 183; whole minutes count."""
    assert judged(before(minutes), NEWEST).status is status


def test_a_longer_backup_says_how_much_when_the_work_ends_and_what_to_plan() -> None:
    found = judged(before(45), NEWEST)
    assert found.summary == "it takes 45 min: 15 min longer than planned"
    assert found.actual.startswith("/b/1.dump took 45 min for 10 GiB; with it the work ends 05:45, margin")
    assert "plan 45 min for step dump" in found.remedy
    assert found.quantity is not None
    assert (found.quantity.value, found.quantity.unit) == (900, "s")
    assert found.minutes_at_stake == 15


def test_a_larger_expected_size_takes_longer_in_proportion() -> None:
    larger = replace(BACKUP, expected=Bytes(20 * GIB))
    assert judged(before(15), NEWEST, backup=larger).status is Status.PASS
    found = judged(before(16), NEWEST, backup=larger)
    assert found.status is Status.WARN
    assert "took 16 min for 10 GiB, so 32 min for 20 GiB" in found.actual
    assert judged(before(31), NEWEST, backup=replace(BACKUP, expected=Bytes(GIB))).status is Status.WARN


@pytest.mark.parametrize(
    ("began", "backups", "why"),
    [
        (None, [NEWEST], "/b/1.dump does not tell how long it took"),
        (MOMENT + timedelta(seconds=1), [NEWEST], "/b/1.dump does not tell how long it took"),  # copied from elsewhere
        (before(5), [replace(NEWEST, size_bytes=None)], "/b/1.dump does not tell how long it took"),
        (before(5), [replace(NEWEST, size_bytes=0)], "/b/1.dump does not tell how long it took"),
        (None, [], "no earlier backup was found"),
    ],
)
def test_without_a_measure_the_steps_own_record_counts_and_a_guess_is_a_warning(
    began: datetime | None, backups: list[BackupFile], why: str
) -> None:
    recorded = judged(began, *backups)
    assert (recorded.status, recorded.summary) == (Status.PASS, f"30 min were measured 2026-10-01; {why}")
    guessed = judged(began, *backups, step=replace(STEP, source="guess"))
    assert (guessed.status, guessed.summary) == (Status.WARN, f"how long it takes is a guess: {why}")


@pytest.mark.parametrize(
    ("mib_per_second", "status"), [(5, Status.WARN), (5.7, Status.PASS), (0.9, Status.FAIL), (1000, Status.PASS)]
)
def test_a_sample_can_only_show_that_the_time_does_not_suffice(mib_per_second: float, status: Status) -> None:
    """10 GiB in 30 min are 5.69 MiB/s."""
    assert judged(None, NEWEST, rate=mib_per_second * 1024**2).status is status
    guess = judged(None, NEWEST, rate=1000 * 1024**2, step=replace(STEP, source="guess"))
    assert guess.status is Status.WARN


def test_only_backups_of_a_step_are_judged_and_only_archives_are_asked() -> None:
    assert not check(replace(BACKUP, step="")).subjects()
    found = check()
    (subject,) = found.subjects()
    assert set(found.probes(subject)) == {"listing"}
    assert {name: type(probe) for name, probe in found.follow_up(subject, listing=listed(NEWEST)).items()} == {
        "began": BackupBegan
    }
    for none in (listed(), listed(replace(NEWEST, kind=BackupKind.GZIP))):
        assert not found.follow_up(subject, listing=none)
    sampled = check(replace(BACKUP, previous=RemotePath("")), sample=True)
    assert {name: type(probe) for name, probe in sampled.probes(sampled.subjects()[0]).items()} == {"rate": WriteRate}
