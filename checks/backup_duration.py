"""backup-duration: the window's backup is done in the minutes that its step has."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from preflight.check import Check, Probes, Subject, asked
from preflight.finding import Judgement, Quantity, failed, passed, unknown, warned
from preflight.judging.schedule import schedule, schedule_at, time_in_window
from preflight.plan import Step, UndoKind
from preflight.plan.limits import GUESS
from preflight.plan.release_plan import saves
from preflight.plan.work import PlannedBackup, planned_backups
from preflight.questions.backup_reads import earlier_backups
from preflight.questions.backup_times import BackupBegan, UnplacedTime, WriteRate
from preflight.questions.backups import BackupFile, Listing
from preflight.questions.shell import AsAccount
from preflight.units import format_duration, format_size

_LIST_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class _Estimate:
    """How long the backup takes, and how that is known."""

    time: timedelta
    known: str
    is_least: bool = False
    """It takes so long at least."""


class BackupDuration(Check):
    """Is the backup done in the minutes that its step has?

    A backup that was planned with 20 minutes and takes 70 uses up the time in which a rollback could still be decided.
    How long it takes is known best from the one before: pg_dump writes into its archive when it began, which the birth
    of the file confirms, and the file's last change is its end; where the plan expects another size, the time grows
    with it. WARN when that is longer than the step's minutes, FAIL when the window's margin is no longer kept then,
    UNKNOWN where the file was copied or written over. Text and base backups do not tell when they were begun: then the
    step's own record (`measured`, `rehearsed`) counts, and a guess is a WARN. With `sample` the storage is tried too;
    that can only show that the time does not suffice. Putting a backup back takes longer than taking it (measured 2.9
    times): a restore that the plan gives less time than the backup takes is a WARN with both.
    """

    @dataclass(frozen=True, slots=True)
    class Settings:
        """How the time is found out."""

        sample: bool = False
        """Write at most 64 MiB for at most 2 s to a file without a name in the backup's directory, to see how fast the
        storage is: a backup is never faster than that. Off, because it is work for the server's disk."""

    id = "backup-duration"
    title = "the backup is done in the minutes of its step"
    sections = ("backups",)
    needs = "as the backup's account: read the newest archive; with `sample`, write to the backup directory"
    cure = "give the step the minutes it takes, take a faster method, or move the backup ahead of the window"

    def subjects(self) -> Sequence[Subject]:
        """Backups that a step of the plan takes."""
        return [Subject(work.id, work, work.owner) for work in planned_backups(self.plan) if work.backup.step]

    def probes(self, subject: Subject) -> Probes:
        planned: PlannedBackup = subject.item
        rate = WriteRate(planned.host.id, AsAccount.of(planned), planned.backup.directory)
        sample = self.settings.sample and planned.backup.directory
        return asked(listing=earlier_backups(planned), rate=rate if sample else None)

    def follow_up(self, subject: Subject, *, listing: Listing | None = None, rate: float | None = None) -> Probes:
        """On the host, as the account that takes the backup: the list of the newest earlier archive (`pg_restore -l`),
        which says when it was begun."""
        planned: PlannedBackup = subject.item.kept
        if not listing or not listing.backups or not listing.backups[0].kind.is_archive:
            return {}
        newest, program = listing.backups[0], planned.program("pg_restore")
        host, account = planned.host.id, AsAccount.of(planned)
        began = BackupBegan(host, account, newest.path, _LIST_SECONDS, program, newest.changed_at, newest.born_at)
        return {"began": began}

    def judge(
        self,
        subject: Subject,
        *,
        listing: Listing | None = None,
        rate: float | None = None,
        began: datetime | UnplacedTime | None = None,
    ) -> Judgement:
        planned: PlannedBackup = subject.item
        step = next(each for each in self.plan.steps if each.id == planned.backup.step)
        newest = listing.backups[0] if listing and listing.backups else None
        begun = began if isinstance(began, datetime) else None
        if listing and listing.repository:  # which tells it of each; an incremental one is no measure of a full one
            newest = next((each for each in listing.backups if each.born_at), newest)
            begun = newest.born_at if newest else None
        size = planned.backup.expected or (newest.size_bytes if newest else None)
        estimates = [each for each in (_by_previous(newest, begun, size), _by_sample(size, rate)) if each]
        longest = max(estimates, key=lambda each: each.time, default=None)
        takes = longest.time if longest else timedelta(minutes=step.minutes)
        if longest and longest.time > timedelta(minutes=step.minutes):
            taking = self._too_long(step, longest)
        elif isinstance(began, UnplacedTime) and newest:
            taking = _unplaced(planned, newest, began)
        elif longest and not longest.is_least:
            taking = passed(longest.known, expected=f"at most {step.minutes:g} min, as step {step.id} plans")
        else:
            taking = self._by_record(step, listing, newest)
        return Judgement.of([taking, *self._restores(planned, takes)])

    def _restores(self, planned: PlannedBackup, takes: timedelta) -> Iterator[Judgement]:
        """Of steps whose scripts change the database of the backup."""
        plan = self.plan
        run = {scripts.step for scripts in plan.scripts.values() if saves(plan, planned.backup, scripts)}
        for step in plan.steps:
            undo = step.undo
            if step.id not in run or undo is None or undo.kind is not UndoKind.RESTORE:
                continue
            if timedelta(minutes=undo.minutes) < takes:
                yield warned(
                    f"the restore of step {step.id} is planned shorter than the backup takes: {undo.minutes:g} min",
                    expected="a restore of at least the time that the backup takes, as it builds the indexes too",
                    actual=f"{format_duration(takes)} for the backup, {undo.minutes:g} min ({undo.source}) to put it "
                    "back",
                    remedy=f"rehearse the restore on a copy, then write its minutes to `undo` of step {step.id}",
                )

    def _too_long(self, step: Step, longest: _Estimate) -> Judgement:
        window, over = self.plan.window, longest.time - timedelta(minutes=step.minutes)
        needed = math.ceil(longest.time.total_seconds() / 60)
        steps = tuple(replace(each, minutes=needed) if each.id == step.id else each for each in self.plan.steps)
        changed = replace(self.plan, steps=steps)
        found = schedule_at(changed, self.moment) or schedule(changed)
        assert found is not None  # noqa: S101 - there are steps
        late = found.finish_at > window.end or (found.last_risky is not None and found.margin < window.margin)
        least = "at least " if longest.is_least else ""
        margin = "" if found.known.margin is None else f", margin {format_duration(found.known.margin)}"
        judged = (failed if late else warned)(
            f"it takes {least}{format_duration(longest.time)}: {format_duration(over)} longer than planned",
            expected=f"at most {step.minutes:g} min, as step {step.id} plans",
            actual=f"{longest.known}; with it the work ends {time_in_window(window, found.finish_at)}{margin}",
            remedy=f"plan {needed} min for step {step.id}; or make the backup faster (-j with the directory format, "
            "a lower compression level), measure it and write that down",
        )
        return replace(judged, quantity=Quantity(over.total_seconds(), "s"), minutes_at_stake=over.total_seconds() / 60)

    def _by_record(self, step: Step, listing: Listing | None, newest: BackupFile | None) -> Judgement:
        """Nothing on the server tells how long it takes."""
        why = "no earlier backup was found" if listing else "the plan names no earlier backup"
        if newest is not None:
            why = f"{newest.path} does not tell how long it took"
        if step.source != GUESS:
            return passed(f"{step.minutes:g} min were {step.source}; {why}")
        return warned(
            f"how long it takes is a guess: {why}",
            expected="an earlier archive that tells, or a time that was measured or rehearsed",
            actual=f"step {step.id} plans {step.minutes:g} min, source guess",
            remedy=f"measure a backup of this size, then write its minutes and the day (`source`) to step {step.id}",
        )


def _unplaced(planned: PlannedBackup, newest: BackupFile, began: UnplacedTime) -> Judgement:
    made = "at a time that its file system does not tell"
    if newest.born_at is not None:
        made = f"{newest.born_at:%Y-%m-%d %H:%M:%S} UTC"
    return unknown(
        "how long it took cannot be told: nothing confirms when the newest archive was begun",
        expected=f"a file made in the second in which the archive was begun, by the clock of {planned.host.id}",
        actual=f"{newest.path} was begun {began.text} by its own clock; the file was made {made}, last changed "
        f"{newest.changed_at:%Y-%m-%d %H:%M:%S} UTC",
        remedy="let the job that takes it write into a new file each time, where the file stays (no copy, no rsync), "
        f"in the zone of {planned.host.id}; or measure one by hand and have this point waived with that time",
    )


def _by_previous(newest: BackupFile | None, began: datetime | None, size: int | None) -> _Estimate | None:
    if newest is None or began is None or not newest.size_bytes or not size or newest.changed_at < began:
        return None
    took = newest.changed_at - began
    known = f"{newest.path} took {format_duration(took)} for {format_size(newest.size_bytes)}"
    if size > newest.size_bytes:
        took *= size / newest.size_bytes
        known += f", so {format_duration(took)} for {format_size(size)}"
    return _Estimate(took, known)


def _by_sample(size: int | None, rate: float | None) -> _Estimate | None:
    if not size or not rate:
        return None
    known = f"the storage takes {format_size(int(rate))} a second, the backup has {format_size(size)}"
    return _Estimate(timedelta(seconds=size / rate), known, is_least=True)
