"""The file that `preflight confirm` writes, with everybody's word in it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from preflight.clock import now
from preflight.demo.people import all_confirmed
from preflight.errors import PlanError
from preflight.plan.confirmed import format_confirmed
from preflight.plan.load import load_plan


def confirm_all(path: Path, at: datetime | None = None) -> None:
    """Everybody of the plan in this file has confirmed just now; nobody where the plan is faulty."""
    with suppress(PlanError):
        plan = load_plan(path)
        said_at = (at or now() - timedelta(minutes=1)).replace(microsecond=0)
        plan.confirmed_file.write_text(format_confirmed(all_confirmed(plan, said_at)), encoding="utf-8")
