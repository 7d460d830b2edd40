"""What people answer for in the plan because preflight cannot see it, and for how long their word counts. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import datetime

from preflight.clock import zone
from preflight.faults import Keys, dotted
from preflight.finding import Judgement, warned
from preflight.plan import Plan, Said
from preflight.plan.rules import Broken
from preflight.units import format_duration
from preflight.wording import in_toml


def answered_for(
    plan: Plan, moment: datetime, unseen: Judgement, said: Said | None, keys: Keys, owner: str = "", **more: object
) -> Judgement:
    """`unseen`, an UNKNOWN; or WARN, where a person answers for it in the plan: the only way in which what was not
    observed does not hold a release.

    `keys`: where that is written in the plan. `owner`: the role that would say it. `more`: what else is said there."""
    key = _key(keys)
    if said is None:
        role = owner or next(iter(plan.roles), "")
        entry = in_toml({**more, "by": role, "on": moment.astimezone(zone(plan.window.zone)).date(), "reason": ""})
        who = plan.person(role) or "somebody of [roles]"
        offer = f"or have {who} answer for it and write how that is known as `reason`: {key} = {entry}"
        return replace(unseen, remedy=f"{unseen.remedy}; {offer}" if unseen.remedy else offer)
    who = f"{plan.roles[said.by].primary} ({said.by})"
    if objection := _objection(plan, said, moment):
        summary = f"{unseen.summary}; what {who} says of it {objection}"
        remedy = f"have {who} look again, and write that day as `on` of {key}; or {unseen.remedy}"
        return replace(unseen, summary=summary, remedy=remedy)
    summary = f"{unseen.summary}; said by {who} on {said.on}, not observed: {said.reason}"
    return warned(summary, expected=unseen.expected, actual=unseen.actual, remedy=unseen.remedy)


def too_old(plan: Plan, moment: datetime) -> Iterator[Broken]:
    """One sentence for each word of the plan that does not count, for lint: a plan copied from the last release."""
    for keys, said in _all_said(plan, ()):
        if objection := _objection(plan, said, moment):
            told = f"What {plan.person(said.by)} says of {_key(keys)} {objection}: have it looked at again."
            yield Broken(keys, told)


def _objection(plan: Plan, said: Said, moment: datetime) -> str:
    """Why a person's word does not count: the one rule. Empty where it does."""
    today, start = (at.astimezone(zone(plan.window.zone)).date() for at in (moment, plan.window.start))
    if said.on > today:
        return f"is dated {said.on}, after the day judged, {today}"
    if start - said.on > plan.freshness.said:
        most = format_duration(plan.freshness.said)
        return f"is of {said.on}, more than {most} before the window (`said` of [freshness])"
    return ""


def _all_said(part: object, keys: Keys) -> Iterator[tuple[Keys, Said]]:
    if isinstance(part, Said):
        yield keys, part
    elif isinstance(part, Mapping):
        for key, value in part.items():
            yield from _all_said(value, (*keys, key))
    elif is_dataclass(part):
        for each in fields(part):
            yield from _all_said(getattr(part, each.name), (*keys, each.name))


def _key(keys: Keys) -> str:
    return f"[{dotted(keys[:-1])}] {dotted(keys[-1:])}"
