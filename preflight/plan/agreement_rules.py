"""What was agreed beforehand, and what it must say together: tested versions, rules, deployments, access, waivers.

As in `preflight.plan.rules`, the plan is a draft whose faulty values are their defaults or None; they have been
noted already and are not noted twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from preflight.faults import Keys, listed, nearest_name, quoted
from preflight.plan import Plan, Rule
from preflight.plan.source import Problems

T = TypeVar("T")

_KINDS = ("together", "unrelated", "exclude")


def check_agreements(plan: Plan, raw: Mapping[str, Any], problems: Problems) -> None:
    """Notes every broken rule. `plan`: a draft; `raw`: the tables as parsed."""
    for index, rule in present(plan.rules):
        _check_rule(plan, rule, raw["rules"][index], ("rules", index), problems)
    for index, record in present(plan.tested):
        if record.versions is not None and not raw["tested"][index]["versions"]:
            problems.add(("tested", index, "versions"), "names no versions")
    _check_deployments(plan, problems)
    _check_access(plan, raw, problems)
    _check_waivers(plan, problems)


def present(elements: Sequence[T]) -> Iterator[tuple[int, T]]:
    """The elements that are there, with their places; in a draft a faulty one is None."""
    return ((index, element) for index, element in enumerate(elements) if element is not None)


def _check_rule(plan: Plan, rule: Rule, raw: Mapping[str, Any], keys: Keys, problems: Problems) -> None:
    named = [key for key in _KINDS if key in raw]
    if not named:
        problems.add(keys, f"exactly one of {listed(_KINDS)} is required")
    elif len(named) > 1:
        problems.add((*keys, named[1]), f"exactly one of {listed(_KINDS)} may be given, found {listed(named)}")
    for key, names in (("together", rule.together), ("unrelated", rule.unrelated)):
        if isinstance(raw.get(key), list) and None not in names and len(set(names)) < 2:
            problems.add((*keys, key), "names at least two different applications")
    if "exclude" in raw:
        _check_exclude(plan, rule, raw, keys, problems)


def _check_exclude(plan: Plan, rule: Rule, raw: Mapping[str, Any], keys: Keys, problems: Problems) -> None:
    if raw["exclude"] == {}:
        problems.add((*keys, "exclude"), "names no versions")
    for name, version in rule.exclude.items():
        application = plan.applications.get(name)
        known = [application.from_, application.to] if application else []
        if version not in known and all(known) and known:
            message = f"{quoted(version)} is neither `from` nor `to`: {listed(known)}"
            problems.add((*keys, "exclude", name), message, nearest_name(version, known))
    for key in ("reason", "decides"):
        if key not in raw:
            problems.add((*keys, key), "is required where a rule excludes an end state")
    if isinstance(raw.get("reason"), str) and not raw["reason"].strip():
        problems.add((*keys, "reason"), "is empty, and is required where a rule excludes an end state")


def _check_deployments(plan: Plan, problems: Problems) -> None:
    deploying: dict[str, str] = {}
    for index, step in present(plan.steps):
        if step.deploys in deploying:
            message = f"{quoted(step.deploys)} is deployed by step {quoted(deploying[step.deploys])} already"
            problems.add(("steps", index, "deploys"), message)
        elif step.deploys:
            deploying[step.deploys] = step.id or ""


def _check_access(plan: Plan, raw: Mapping[str, Any], problems: Problems) -> None:
    sections = (raw.get("hosts"), raw.get("databases"))
    declared = [name for section in sections if isinstance(section, Mapping) for name in section]
    for role_id, role in plan.roles.items():
        for index, name in present(role.access):
            if name in declared:
                continue
            nearest = nearest_name(name, declared)
            known = "" if nearest else f"; declared: {listed(declared)}"
            message = f"{quoted(name)} is not declared in [hosts] or [databases]{known}"
            problems.add(("roles", role_id, "access", index), message, nearest)


def _check_waivers(plan: Plan, problems: Problems) -> None:
    seen: set[str] = set()
    for index, waiver in present(plan.waivers):
        if waiver.id and waiver.id in seen:
            problems.add(("waivers", index, "id"), f"{quoted(waiver.id)} is the id of an earlier waiver")
        seen.add(waiver.id)
        if waiver.granted and waiver.expires and waiver.expires <= waiver.granted:
            problems.add(("waivers", index, "expires"), "the waiver must expire after it is granted")
