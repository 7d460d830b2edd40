"""`preflight show --format markdown`: what to request from whom, ready to be sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import chain

from preflight.clock import format_moment
from preflight.plan import Plan
from preflight.prerequisites import Requirement, databases, hosts, network, presence
from preflight.report.harmless import markdown_text
from preflight.report.markup import fenced
from preflight.units import format_duration


def render(plan: Plan) -> str:
    """The document."""
    return "\n".join(_lines(plan)) + "\n"


def requirements_by_owner(plan: Plan) -> dict[str, list[Requirement]]:
    """By the id of the role that is asked, empty for what nobody owns; who needs longest comes first."""
    found: dict[str, list[Requirement]] = {}
    sources = (hosts.requirements, databases.requirements, network.requirements, presence)
    for requirement in chain.from_iterable(source(plan) for source in sources):
        found.setdefault(requirement.owner, []).append(requirement)
    return dict(sorted(found.items(), key=lambda each: -_lead_time(plan, each[0])))


def _lead_time(plan: Plan, owner: str) -> timedelta:
    """How long the role's answer takes, as the plan says; 0 where it does not."""
    role = plan.roles.get(owner)
    return (role.lead_time if role else None) or timedelta()


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
    for owner, requirements in requirements_by_owner(plan).items():
        yield ""
        yield from _request(plan, owner, requirements)


def _request(plan: Plan, owner: str, requirements: Sequence[Requirement]) -> Iterator[str]:
    yield f"## {markdown_text(plan.person(owner) or 'Nobody in the plan')}"
    yield ""
    lead_time = _lead_time(plan, owner)
    by = format_moment(plan.window.start - lead_time, plan.window.zone)
    lead = f" (such requests take {format_duration(lead_time)})" if lead_time > timedelta() else ""
    yield f"To be done by {by}{lead}."
    for number, requirement in enumerate(requirements, 1):
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
