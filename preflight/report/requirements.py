"""`preflight show --format markdown`: what to request from whom, ready to be sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from preflight.clock import format_moment
from preflight.plan import Plan
from preflight.prerequisites import Request, Requirement, requests
from preflight.report.harmless import markdown_text
from preflight.report.markup import fenced
from preflight.units import format_duration


def render(plan: Plan) -> str:
    """The document."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: Plan) -> Iterator[str]:
    release, window = plan.release, plan.window
    title = " ".join(part for part in (release.id, release.title) if part)
    ticket = f" ({markdown_text(release.ticket)})" if release.ticket else ""
    yield f"# What {markdown_text(title)}{ticket} needs"
    yield ""
    start, end = (format_moment(at, window.zone) for at in (window.start, window.end))
    yield f"The window is {start} to {end} ({window.zone})."
    yield (
        "Everything below follows from the release plan. preflight only reads; `preflight show` prints every question "
        "word for word, and docs/security.md says what it leaves behind."
    )
    for request in requests(plan):
        yield ""
        yield from _request(plan, request)


def _request(plan: Plan, request: Request) -> Iterator[str]:
    yield f"## {markdown_text(plan.person(request.owner) or 'Nobody in the plan')}"
    yield ""
    by = format_moment(plan.window.start - request.lead_time, plan.window.zone)
    lead = f" (such requests take {format_duration(request.lead_time)})" if request.lead_time > timedelta() else ""
    yield f"To be done by {by}{lead}."
    for number, requirement in enumerate(request.requirements, 1):
        yield ""
        yield from _requirement(number, requirement)


def _requirement(number: int, requirement: Requirement) -> Iterator[str]:
    checks = f" *({', '.join(requirement.checks)})*" if requirement.checks else ""
    yield f"{number}. {markdown_text(requirement.text)}{checks}"
    if requirement.lines:
        yield ""
        indent = " " * (len(str(number)) + 2)
        for line in fenced(requirement.lines, requirement.language):
            yield f"{indent}{line}"
