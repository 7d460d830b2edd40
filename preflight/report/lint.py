"""What `preflight lint` says of a valid plan: what will be judged, and what the plan leaves unconfirmed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from preflight.inspection import Inspection
from preflight.registry import Registry
from preflight.report.layout import counted, wrapped


def render(shown_as: str, inspection: Inspection, registry: Registry, unconfirmed: Sequence[str]) -> str:
    return "\n".join(_lines(shown_as, inspection, registry, unconfirmed)) + "\n"


def _lines(shown_as: str, inspection: Inspection, registry: Registry, unconfirmed: Sequence[str]) -> Iterator[str]:
    plan = inspection.plan
    yield f"{shown_as}: valid, {counted(inspection.planned, 'check')} planned for {plan.release.id}"
    planned = Counter(item.check_id for item in inspection.items)
    if planned:
        yield from wrapped(
            ", ".join(f"{check} {count}" for check, count in planned.items()), "           ", "  planned  "
        )
    idle = [check.id for check in registry.checks if check.id not in planned]
    if idle:
        yield from wrapped(f"{', '.join(idle)}: the plan has nothing for them", "           ", "  idle     ")
    for source in registry.broken:
        yield from wrapped(f"{source.name} cannot be loaded: {source.problem}", "           ", "  broken   ")
    if unconfirmed:
        yield f"  The plan leaves {counted(len(unconfirmed), 'thing')} unconfirmed:"
        for line in unconfirmed:
            yield from wrapped(line, "    ", "  - ")
