"""Adds to the file beside the plan in which `preflight confirm` and `decide` write down what people said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from preflight.plan import Plan
from preflight.plan.confirmed import Confirmation, Decided, format_confirmed, read_confirmed
from preflight.seal import SealError, write_sealed
from preflight.wording import visible


def add_said(plan: Plan, confirmations: Sequence[Confirmation] = (), decided: Sequence[Decided] = ()) -> None:
    """Writes them behind those that are there by now: of two people at once, none is lost. Raises SealError, and
    PlanError for a file that cannot be read; it is then as it was."""
    with _alone(plan.path):
        there = read_confirmed(plan.confirmed_file)
        confirmed = replace(
            there, confirmations=(*there.confirmations, *confirmations), decided=(*there.decided, *decided)
        )
        write_sealed(plan.confirmed_file, format_confirmed(confirmed))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Locks the file, which is the plan's own: a lock on it leaves nothing behind. Raises SealError."""
    import fcntl  # not on every system on which plans are read

    with ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise SealError(f"{visible(str(path))}: cannot be locked: {error.strerror or error}") from None
        yield
