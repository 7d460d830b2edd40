"""Which steps change what a backup of the window is to protect before that backup is finished. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from preflight.judging.schedule import waiting_for
from preflight.plan import BackupMethod, Plan, Step, UndoKind
from preflight.plan.machines import server_of
from preflight.plan.work import PlannedBackup, planned_backups


@dataclass(frozen=True, slots=True)
class Unprotected:
    """A step that may begin before a backup that it needs has ended."""

    step: Step
    backup: PlannedBackup
    waited_for: bool
    """The backup's step comes after it, directly or through others."""


def unprotected(plan: Plan) -> Iterator[Unprotected]:
    """In the order of the steps. Backups that no step takes are made before the window, and are in nobody's way."""
    taken = {each: waiting_for(plan, each.backup.step) for each in planned_backups(plan) if each.backup.step}
    for step in plan.steps:
        for backup in _needed(plan, step, taken):
            if step.id not in taken[backup]:
                yield Unprotected(step, backup, backup.backup.step in waiting_for(plan, step.id))


def _needed(plan: Plan, step: Step, taken: Mapping[PlannedBackup, frozenset[str]]) -> list[PlannedBackup]:
    """Of the databases that the step's scripts change. Where it runs none and is taken back by a restore, the plan does
    not say which backup that restores: any one that it waits for will do."""
    changed = [each.database for each in plan.scripts.values() if each.step == step.id and each.database]
    if changed:
        return [each for each in taken if any(_protects(plan, each, name) for name in changed)]
    restored = step.undo is not None and step.undo.kind is UndoKind.RESTORE
    return list(taken)[:1] if restored and not any(step.id in waiting for waiting in taken.values()) else []


def _protects(plan: Plan, planned: PlannedBackup, database_id: str) -> bool:
    """The same database, whichever entry names it; a base backup holds every database of its server."""
    own, other = plan.databases[planned.backup.database], plan.databases[database_id]
    whole = planned.backup.method is BackupMethod.PG_BASEBACKUP
    return server_of(plan, own) == server_of(plan, other) and (whole or own.dbname == other.dbname)
