"""For people in a terminal: of each valid plan what will be judged, and what it leaves unconfirmed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from preflight.report.layout import clean, counted, no_command, wrapped
from preflight.report.lint import LintedPlan


def render(plans: Sequence[LintedPlan]) -> str:
    """A paragraph for each valid plan."""
    return "".join(line + "\n" for plan in plans for line in _lines(plan))


def _lines(linted: LintedPlan) -> Iterator[str]:
    inspection, registry = linted.inspection, linted.registry
    if inspection is None or registry is None:
        return
    planned = Counter(item.check_id for item in inspection.items)
    count = counted(inspection.planned, "check")
    yield no_command(clean(f"{linted.shown_as}: valid, {count} planned for {inspection.plan.release.id}"))
    if planned:
        counts = ", ".join(f"{check} {count}" for check, count in planned.items())
        yield from wrapped(counts, "           ", "  planned  ")
    idle = [check_id for check_id in registry.ids if check_id not in planned]
    if idle:
        yield from wrapped(f"{', '.join(idle)}: the plan has nothing for them", "           ", "  idle     ")
    for source in registry.broken:
        yield from wrapped(f"{source.name} cannot be loaded: {source.problem}", "           ", "  broken   ")
    if linted.unconfirmed:
        yield f"  The plan leaves {counted(len(linted.unconfirmed), 'thing')} unconfirmed:"
        for line in linted.unconfirmed:
            yield from wrapped(line, "    ", "  - ")
