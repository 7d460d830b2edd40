"""What an earlier backup is worth by its listing: how old it is, whose, and how large beside the one before. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from preflight.clock import format_moment
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.judging.backups import PlannedBackup
from preflight.questions.backup_files import Listing
from preflight.units import format_duration, format_size

from .reading import judge_read
from .seen import SeenBackup

_CLOCK_SLACK = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings of the check that judge one backup."""

    read_within: timedelta
    warn_size_ratio: float
    least_size_ratio: float


def judge_previous(seen: SeenBackup, moment: datetime, limits: Limits) -> Iterator[Judgement]:
    """Everything there is to say of one earlier backup as of `moment` (UTC)."""
    yield _age(seen, moment)
    yield from _owner(seen)
    yield _size(seen, limits)
    yield from judge_read(seen, limits.read_within)


def no_backup(planned: PlannedBackup, listing: Listing) -> Judgement:
    """Nothing was listed."""
    backup, host, who = planned.backup, planned.host.id, planned.who
    expected = f"a backup on {host} that matches {backup.previous}"
    if not listing.as_account and (listing.folder != "readable" or listing.dangling):
        hidden = "leads where the login may not look" if listing.dangling else f"is {listing.folder} for the login"
        what = "what matches" if listing.dangling else "its folder"
        return unknown(
            "whether there is an earlier backup cannot be seen by the login",
            expected=expected,
            actual=f"{what} {hidden}, and sudo gives no shell of {who}",
            remedy=f"have sudo allow a shell of {who} on {host}, or let the login read the folder",
        )
    actual = f"0 matches in a {listing.folder} folder"
    if listing.dangling:
        actual = f"{listing.dangling} links to nothing"
    elif listing.folder == "missing":
        actual = "no such folder"
    return failed(
        f"there is no earlier backup: nothing matches {backup.previous}",
        expected=expected,
        actual=actual,
        remedy=f"take a backup of {backup.database} on {host} now, or correct `previous` of [backups.{backup.id}]",
    )


def _age(seen: SeenBackup, moment: datetime) -> Judgement:
    zone, limit = seen.planned.plan.window.zone, seen.planned.backup.max_age
    age, at, shown_limit = (
        moment - seen.file.changed_at,
        format_moment(seen.file.changed_at, zone),
        format_duration(limit),
    )
    if age > limit:
        return failed(
            f"the newest backup is {format_duration(age)} old: {seen.file.path}",
            expected=f"not older than {shown_limit}",
            actual=f"last changed {at}",
            remedy=f"{seen.anew}, and find out why the last ones were not made",
        )
    if age < -_CLOCK_SLACK:
        return warned(
            f"{seen.file.path} was changed after the moment judged: {at}",
            expected=f"a time before {format_moment(moment, zone)}",
            actual=f"the host's clock says {format_moment(seen.listing.host_now, zone)}",
            remedy=f"compare the clock of {seen.host} with the time, and look when the backup was made",
        )
    return passed(f"{seen.file.path} of {at}, {_shown(seen.file.size_bytes)}, of {seen.file.owner}, "
                  f"not older than {shown_limit}")  # fmt: skip


def _owner(seen: SeenBackup) -> Iterator[Judgement]:
    file, who = seen.file, seen.who
    if file.uid not in (0, seen.listing.uid):
        yield warned(
            f"the backup belongs to {file.owner}, not to {who}",
            expected=f"a file of {who}, who takes the backups",
            actual=f"{file.path} belongs to {file.owner} (user id {file.uid})",
            remedy=f"find out who made it; then on {seen.host}: chown {who} {shlex.quote(file.path)}",
        )
    if file.writable_by_others:
        yield warned(
            "everybody on the server may change the backup",
            expected="a file only its account writes to",
            actual=f"{file.path} has mode {file.mode:04o}",
            remedy=f"on {seen.host}: chmod o-w {shlex.quote(file.path)}",
        )


def _size(seen: SeenBackup, limits: Limits) -> Judgement:
    """A dump of emptied tables is whole and reads well: only its size tells."""
    if seen.before is None:
        return passed("the only one: its size cannot be compared")
    size, before = seen.file.size_bytes, seen.before.size_bytes
    if size is None or before is None:
        unseen = seen.file.path if size is None else seen.before.path
        return unknown(
            "its size cannot be compared with the one before",
            expected="both sizes seen",
            actual=f"not every file below {unseen} can be seen",
            remedy=f"have sudo allow a shell of {seen.who} on {seen.host}, or let the login read {unseen}",
        )
    ratio = size / max(1, before)
    summary = f"it has {ratio:.0%} of the size of the one before"
    for least, verdict in ((limits.least_size_ratio, failed), (limits.warn_size_ratio, warned)):
        if ratio < least:
            return verdict(
                summary,
                expected=f"at least {least:.0%}",
                actual=f"{format_size(size)}; {seen.before.path} has {format_size(before)}",
                remedy=f"find out what is missing in {seen.file.path} on {seen.host}: deleted data, or a failed dump",
            )
    return passed(summary)


def _shown(size: int | None) -> str:
    return "of unknown size" if size is None else format_size(size)
