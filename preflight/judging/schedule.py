"""Window arithmetic: when each step begins and ends, until when the work can still be taken back, and which steps
may change what a backup of the window is to protect before that backup is finished. Pure.

Every step begins as soon as those it comes after have ended; lines of work without a step in common run side by side.
The way back is the same graph backwards: a step is taken back only after those that came after it. Nothing here
knows a clock or a local time: all instants are UTC, and only `time_in_window` writes one down for a reader."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from preflight.clock import zone
from preflight.plan import Plan, Step, UndoKind, Window
from preflight.plan.agreements import ends_after, in_order
from preflight.plan.release_plan import saves
from preflight.plan.work import PlannedBackup, planned_backups

_NO_TIME = timedelta()
_END = attrgetter("ends_at")


@dataclass(frozen=True, slots=True)
class Slot:
    step: Step
    begins_at: datetime
    ends_at: datetime
    over_network: bool
    """Whether it was taken to run over the network, at its `minutes_over_network` where it has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTimes:
    """Those times of a schedule that are known, UTC; None where the plan does not give what they rest on. A report
    tells these alone: the schedule's own may be bounds."""

    finish_at: datetime | None
    latest_start: datetime | None
    start_rollback_by: datetime | None
    decide_by: datetime | None
    margin: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The work of a window when every step takes its planned time. Instants are UTC."""

    slots: tuple[Slot, ...]
    """In the order in which they begin; of those that begin together, a step comes before what waits for it."""
    begins_at: datetime
    finish_at: datetime
    rollback: timedelta
    """Planned time to take back all that begins before the point of no return; at least, with `unknown_undo`."""
    start_rollback_by: datetime
    """A rollback of all that, times the window's factor, still ends with the window when it begins now. Never after
    the last moment for a step that cannot be undone, and all that waits for it: by then it is begun or given up."""
    decide_by: datetime
    """The decision reserve before that."""
    point_of_no_return: datetime | None
    """Planned begin of the first step with undo `none`."""
    last_risky: Slot | None
    """Of the steps before the point of no return that leave something to undo, the one that ends last."""
    margin: timedelta
    """From the end of `last_risky`, or from `begins_at` without one, to decide-by; negative when none is left."""
    latest_start: datetime
    """The last moment to begin at which the window's margin is kept and the work ends in the window. It lies before
    `begins_at` when beginning then is too late already."""
    unknown_undo: tuple[str, ...]
    """Steps that do not say how they are taken back, or not how long that takes; counted as taking no time."""

    @property
    def critical_path(self) -> tuple[str, ...]:
        """The steps that decide when the work ends, each beginning when the one before it ends."""
        return self.path_to(max(self.slots, key=_END).step.id)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Steps over the network that do not say how long they take there; counted as taking no longer."""
        slots = (slot for slot in self.slots if slot.over_network and slot.step.minutes_over_network is None)
        return tuple(slot.step.id for slot in slots)

    @property
    def end_later(self) -> frozenset[str]:
        """The steps that may end later than their slots do: the unpriced ones, and all that wait for them."""
        found = set(self.unpriced)
        for slot in self.slots:
            if not found.isdisjoint(slot.step.after):
                found.add(slot.step.id)
        return frozenset(found)

    @property
    def known(self) -> KeyTimes:
        """Nothing to take back leaves nothing to decide."""
        has_end, has_way_back = not self.unpriced, self.last_risky is not None and not self.unknown_undo
        return KeyTimes(
            finish_at=self.finish_at if has_end else None,
            latest_start=self.latest_start if has_end and not self.unknown_undo else None,
            start_rollback_by=self.start_rollback_by if has_way_back else None,
            decide_by=self.decide_by if has_way_back else None,
            margin=self.margin if has_end and has_way_back else None,
        )

    def slot(self, step_id: str) -> Slot | None:
        return next((slot for slot in self.slots if slot.step.id == step_id), None)

    def running_at(self, at: datetime) -> tuple[str, ...]:
        """The steps that are under way at a moment."""
        return tuple(slot.step.id for slot in self.slots if slot.begins_at <= at < slot.ends_at)

    def path_to(self, step_id: str) -> tuple[str, ...]:
        """The steps that decide when this one ends, itself last."""
        by_id = {slot.step.id: slot for slot in self.slots}
        path = [by_id[step_id]]
        while path[-1].step.after:
            path.append(max((by_id[name] for name in path[-1].step.after), key=_END))
        return tuple(slot.step.id for slot in reversed(path))


def schedule(plan: Plan, begins_at: datetime | None = None, over_network: Collection[str] = ()) -> Schedule | None:
    """The schedule of the plan's work; None when the plan has no steps. `begins_at`: an aware moment, by default the
    window's start. `over_network`: ids of steps that run over the network. Raises graphlib.CycleError when steps wait
    for each other in a circle, which the loader refuses."""
    if not plan.steps:
        return None
    window = plan.window
    begin = (begins_at or window.start).astimezone(UTC)
    slots = _slots(plan.once(_in_order), begin, over_network)
    finals = [slot for slot in slots if slot.step.is_final]
    before = _before_no_return(slots, finals)
    undone = [slot.step for slot in before]  # their longest chain, which is as long in either direction
    rollback = max(ends_after(undone, {step.id: step.undo_time for step in undone}).values(), default=_NO_TIME)
    start_rollback_by = min([window.end - rollback * window.rollback_factor, *_latest_begins(slots, window.end)])
    decide_by = start_rollback_by - window.decision_reserve
    last_risky = max((slot for slot in before if slot.step.is_risky), key=_END, default=None)
    margin = decide_by - (last_risky.ends_at if last_risky else begin)
    finish_at = max(slot.ends_at for slot in slots)
    slack = window.end - finish_at
    return Schedule(
        slots=slots,
        begins_at=begin,
        finish_at=finish_at,
        rollback=rollback,
        start_rollback_by=start_rollback_by,
        decide_by=decide_by,
        point_of_no_return=finals[0].begins_at if finals else None,
        last_risky=last_risky,
        margin=margin,
        latest_start=begin + (min(slack, margin - window.margin) if last_risky else slack),
        unknown_undo=tuple(step.id for step in plan.steps if not step.knows_undo),
    )


def schedule_at(plan: Plan, moment: datetime, over_network: Collection[str] = ()) -> Schedule | None:
    """The schedule of the work as it can still be at the moment judged: it begins with the window, and now once that is
    open, because nobody here knows when it was begun. None once the window is over; else as `schedule`."""
    return None if moment >= plan.window.end else schedule(plan, max(plan.window.start, moment), over_network)


def _waiting(plan: Plan) -> Mapping[str, Collection[str]]:
    """For each step those that begin only after it has ended. Raises graphlib.CycleError as `schedule` does."""
    found: dict[str, set[str]] = {step.id: set() for step in plan.steps}
    for step in reversed(plan.once(_in_order)):  # so that all that wait for it are known
        for name in step.after:
            found[name] |= {step.id, *found[step.id]}
    return found


def time_in_window(window: Window, at: datetime) -> str:
    """`03:40` in the window's zone, with the date on another day than the one the window starts on, with the offset
    when clocks change in between, with which one is meant where there are two, and with seconds where there are any."""
    local, start = (moment.astimezone(zone(window.zone)) for moment in (at, window.start))
    text = clock_in_window(window, at)
    if local.date() != start.date():
        text = f"{local:%a %Y-%m-%d} {text}"
    if local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset():
        text += f" ({'second' if local.fold else 'first'})"
    return text


def clock_in_window(window: Window, at: datetime) -> str:
    """What a clock shows then, without the day: `03:40`, and the offset when clocks change in between."""
    local, start, end = (moment.astimezone(zone(window.zone)) for moment in (at, window.start, window.end))
    text = local.strftime("%H:%M:%S" if local.second else "%H:%M")
    if len({each.utcoffset() for each in (local, start, end)}) > 1:
        offset = local.strftime("%z")
        text += f" {offset[:3]}:{offset[3:5]}"
    return text


def _in_order(plan: Plan) -> tuple[Step, ...]:
    return in_order(plan.steps)


def _slots(steps: Sequence[Step], begin: datetime, over_network: Collection[str]) -> tuple[Slot, ...]:
    durations = {step.id: timedelta(minutes=step.minutes) for step in steps}
    for step in steps:
        if step.id in over_network and step.minutes_over_network is not None:
            durations[step.id] = timedelta(minutes=step.minutes_over_network)
    ends = ends_after(steps, durations)
    slots = (
        Slot(step, begin + ends[step.id] - durations[step.id], begin + ends[step.id], step.id in over_network)
        for step in steps
    )
    return tuple(sorted(slots, key=lambda slot: slot.begins_at))


def _before_no_return(slots: Sequence[Slot], finals: Sequence[Slot]) -> list[Slot]:
    """The steps that begin before the first of `finals`; of those that begin with it, what it waits for."""
    if not finals:
        return list(slots)
    first = finals[0].begins_at
    waited_for: set[str] = set()
    for slot in reversed(slots):  # steps of no length begin with it, and yet before it
        if slot.step.id in waited_for or (slot.step.is_final and slot.begins_at == first):
            waited_for.update(slot.step.after)
    return [slot for slot in slots if not slot.step.is_final and (slot.begins_at < first or slot.step.id in waited_for)]


def _latest_begins(slots: Sequence[Slot], end: datetime) -> list[datetime]:
    """When each step that cannot be undone begins at the latest, so that it and all that waits for it end by `end`."""
    latest: list[datetime] = []
    longest_after: dict[str, timedelta] = {}
    for slot in reversed(slots):
        left = slot.ends_at - slot.begins_at + longest_after.get(slot.step.id, _NO_TIME)
        if slot.step.is_final:
            latest.append(end - left)
        for name in slot.step.after:
            longest_after[name] = max(longest_after.get(name, _NO_TIME), left)
    return latest


@dataclass(frozen=True, slots=True)
class Unprotected:
    """A step that may begin before a backup that it needs has ended."""

    step: Step
    backup: PlannedBackup
    waited_for: bool
    """The backup's step comes after it, directly or through others."""


def unprotected(plan: Plan) -> Iterator[Unprotected]:
    """In the order of the steps. Backups that no step takes are made before the window, and are in nobody's way."""
    waiting = _waiting(plan)
    for step in plan.steps:
        for backup in dict.fromkeys(_needed(plan, step, waiting)):
            yield Unprotected(step, backup, backup.step in waiting[step.id])


def beside(plan: Plan) -> Iterator[tuple[Step, str]]:
    """Steps that deploy while a backup of their track may run, each with the last of the track's steps that take
    backups or run scripts: no `after` puts it before or after any such step of the plan."""
    waiting, taken = _waiting(plan), {each.step for each in planned_backups(plan)}
    work = [each for each in plan.steps if each.id in taken | {scripts.step for scripts in plan.scripts.values()}]
    for step in (each for each in plan.steps if each.deploys and plan.scripts and each not in work):
        near = [each.id for each in work if each.track == step.track]
        ordered = any(step.id in waiting[each.id] or each.id in waiting[step.id] for each in work)
        if not ordered and not taken.isdisjoint(near):
            yield step, near[-1]


def _needed(plan: Plan, step: Step, waiting: Mapping[str, Collection[str]]) -> Iterator[PlannedBackup]:
    """For each database that the step's scripts change, a backup that it should wait for, where it waits for none of
    those that would be restored. Where it runs no scripts and is taken back by a restore, the plan does not say which
    backup that restores: any one will do. `waiting`: the steps that wait for each."""
    changed = [each for each in plan.scripts.values() if each.step == step.id]
    planned = planned_backups(plan)
    protecting = [[each for each in planned if saves(plan, each.backup, scripts)] for scripts in changed]
    if not changed and step.undo is not None and step.undo.kind is UndoKind.RESTORE:
        protecting = [list(planned)]
    for found in protecting:
        restored = [each for each in found if each.backup.restore] or found
        taken = [each for each in restored if each.step]
        if len(taken) < len(restored):  # beside one from before the window, a later one keeps the new state
            taken = [each for each in taken if each.step not in waiting[step.id]]
        if taken and not any(step.id in waiting[each.step] for each in taken):
            yield taken[0]
