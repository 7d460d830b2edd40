"""`preflight show --format markdown`: what to request from whom, ready to be sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from textwrap import indent

from preflight.clock import format_moment
from preflight.plan import Plan
from preflight.reference.requirements import Requirement, requirements
from preflight.report.harmless import markdown_text
from preflight.report.markup import fenced
from preflight.units import format_duration


def render(plan: Plan) -> str:
    """The document."""
    return "\n\n".join(_blocks(plan)) + "\n"


def requirements_by_owner(plan: Plan) -> dict[str, list[Requirement]]:
    """By the id of the role that is asked, empty for what nobody owns; who needs longest comes first."""
    found: dict[str, list[Requirement]] = {}
    for requirement in requirements(plan):
        found.setdefault(requirement.owner, []).append(requirement)
    return dict(sorted(found.items(), key=lambda each: -_lead_time(plan, each[0])))


def _lead_time(plan: Plan, owner: str) -> timedelta:
    """How long the role's answer takes, as the plan says; 0 where it does not."""
    role = plan.roles.get(owner)
    return (role.lead_time if role else None) or timedelta()


def _blocks(plan: Plan) -> Iterator[str]:
    release, window = plan.release, plan.window
    title = " ".join(part for part in (release.id, release.title) if part)
    ticket = f" ({markdown_text(release.ticket)})" if release.ticket else ""
    yield f"# What {markdown_text(title)}{ticket} needs"
    start, end = (format_moment(at, window.zone) for at in (window.start, window.end))
    yield (
        f"The window is {start} to {end} ({window.zone}).\n"
        "Everything below follows from the release plan. preflight only reads; `preflight show` prints every question "
        "word for word, and docs/security.md says what it leaves behind."
    )
    for owner, needed in requirements_by_owner(plan).items():
        yield f"## {markdown_text(plan.person(owner) or 'Nobody in the plan')}"
        lead_time = _lead_time(plan, owner)
        lead = f" (such requests take {format_duration(lead_time)})" if lead_time > timedelta() else ""
        yield f"To be done by {format_moment(window.start - lead_time, window.zone)}{lead}."
        for number, requirement in enumerate(needed, 1):
            yield f"{number}. {markdown_text(requirement.text)} *({', '.join(requirement.checks)})*"
            if requirement.lines:
                block = "\n".join(fenced(requirement.lines, requirement.language))
                yield indent(block, " " * (len(str(number)) + 2), lambda _line: True)
