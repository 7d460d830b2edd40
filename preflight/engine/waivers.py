"""Waivers: one failing finding accepted for this window, exactly, up to a limit, by a named role. Pure.

A waiver covers a finding only when every failing observation in it is within a limit; what it was not granted for is
never covered, and every waiver is told, whatever became of it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from preflight.check import Expect
from preflight.engine.inspection import inspect
from preflight.engine.registry import Registry
from preflight.faults import Keys, listed, nearest_name, quoted
from preflight.finding import Finding, Judgement, Status
from preflight.judging.ends import End, TimeOfNeed
from preflight.plan import Plan, Waiver
from preflight.plan.release_plan import SEVERITY_OF
from preflight.plan.rules import Broken
from preflight.plan.values import same_person
from preflight.units import format_duration, parse_quantity
from preflight.verdict import WaiverState, WaiverUse


def apply_waivers(
    plan: Plan, findings: Sequence[Finding], moment: datetime
) -> tuple[list[Finding], tuple[WaiverUse, ...]]:
    """The findings with `waiver` set where one covers them, and what became of every waiver of the plan."""
    unusable = {waiver.id: _unusable(plan, waiver, moment) for waiver in plan.waivers}
    result = []
    covering: set[str] = set()
    usable = [waiver for waiver in plan.waivers if unusable[waiver.id] is None]
    for finding in findings:
        own = [each for each in usable if (each.check, each.subject) == (finding.check, finding.subject)]
        used = _covering(finding, own)
        covering.update(used)
        result.append(replace(finding, waiver=", ".join(used)) if used else finding)
    uses = [unusable[waiver.id] or _use(waiver, findings, waiver.id in covering) for waiver in plan.waivers]
    return result, tuple(uses)


def end_of(waiver: Waiver) -> End:
    where = f"for {waiver.check} {waiver.subject}"
    remedy = f"have {waiver.approved_by} grant it anew, then correct `expires`"
    return End(what=f"waiver {waiver.id}", where=where, at=waiver.expires, remedy=remedy)


def _unusable(plan: Plan, waiver: Waiver, moment: datetime) -> WaiverUse | None:
    """Valid from its granting until the window's end and its reserve are over."""
    need = TimeOfNeed(plan, moment)
    if waiver.granted > moment:
        text = f"is granted from {need.told(waiver.granted)} on, after the moment judged"
        return WaiverUse(waiver, WaiverState.NOT_YET, text)
    cutoff = plan.release.waiver_cutoff
    if cutoff and waiver.granted > plan.window.start - cutoff:
        text = f"was granted {need.told(waiver.granted)}, later than {format_duration(cutoff)} before the start"
        return WaiverUse(waiver, WaiverState.TOO_LATE, text)
    if not need.outlasted_by(waiver.expires):
        text = f"expires {need.told(waiver.expires)}, needed until {need.told(need.until)}"
        return WaiverUse(waiver, WaiverState.EXPIRED, text)
    return None


def misdirected(plan: Plan, registry: Registry, moment: datetime) -> Iterator[Broken]:
    """Waivers of a check or subject that there is not or that its owner approved, and `severity_of` of a subject that
    there is not. A check that cannot be loaded or planned says so itself."""
    named: list[tuple[Keys, str, str]] = [
        (("waivers", index, "subject"), waiver.check, waiver.subject) for index, waiver in enumerate(plan.waivers)
    ]
    for check, table in plan.checks.items():
        of = table.get(SEVERITY_OF)
        subjects = of if isinstance(of, Mapping) else ()
        named += [(("checks", check, SEVERITY_OF, subject), check, subject) for subject in subjects]
    found = _subjects(plan, registry, {check for _, check, _ in named}, moment)
    for keys, check, subject in named:
        if check not in registry.ids:
            if not registry.broken:
                nearest = nearest_name(check, registry.ids)
                yield Broken((*keys[:-1], "check"), f"there is no check {quoted(check)}", nearest)
        elif check in found and subject in found[check]:
            yield from _approved_by_its_owner(plan, registry, keys, found[check][subject])
        elif check in found:
            nearest = nearest_name(subject, found[check])
            there = f"its subjects are {listed(found[check])}" if found[check] else "the plan gives it nothing to judge"
            message = f"{check} has no subject {quoted(subject)}"
            yield Broken(keys, message if nearest else f"{message}: {there}", nearest)


def _approved_by_its_owner(plan: Plan, registry: Registry, keys: Keys, owner: str) -> Iterator[Broken]:
    """Whoever would have to mend it accepts that it is not mended: the role, or one of its people in another role."""
    if keys[0] != "waivers":
        return
    waiver = plan.waivers[int(keys[1])]
    owning, approving = plan.roles.get(owner), plan.roles[waiver.approved_by]
    exempt = any(check.owner_decides for check in registry.checks if check.id == waiver.check)
    owners = (owning.primary, *owning.people) if owning else ()
    if not exempt and any(same_person(approving.primary, each) for each in owners):
        message = f"{plan.person(owner)} owns {waiver.check} {waiver.subject}, and nobody approves his own waiver"
        yield Broken((*keys[:-1], "approved_by"), message)


def _subjects(
    plan: Plan, registry: Registry, named: Collection[str], moment: datetime
) -> Mapping[str, Mapping[str, str]]:
    """Check -> owner of each of its subjects, those of `preflight verify` too, for each that can be planned."""
    found: dict[str, dict[str, str]] = {check: {} for check in registry.ids if check in named}
    for expect in (None, *Expect) if named else ():
        asked = (each for each in registry.checks if expect is None or expect in each.verifies)
        known = Registry(tuple(check for check in asked if check.id in named))
        for item in inspect(plan, known, moment, expect=expect).items:
            if item.crash:
                found.pop(item.check_id, None)
            elif item.check_id in found:
                found[item.check_id].setdefault(item.subject.id, item.subject.owner)
    return found


def of_no_use(plan: Plan, registry: Registry) -> Iterator[Broken]:
    """Waivers of a check that has none, and those that do not hold from the window's start until its work is over: a
    run counts them as absent."""
    unwaivable = {check.id for check in registry.checks if not check.waivable}
    for index, waiver in enumerate(plan.waivers):
        if waiver.check in unwaivable:
            yield Broken(("waivers", index, "check"), f"no waiver ever covers {waiver.check}: it counts as absent")
        use = _unusable(plan, waiver, plan.window.start)
        if use is not None:
            key = "expires" if use.state is WaiverState.EXPIRED else "granted"
            yield Broken(("waivers", index, key), f"{use.text}: it counts as absent")


def _covering(finding: Finding, waivers: Sequence[Waiver]) -> list[str]:
    """The waivers that together cover every failing observation of a failed finding; none when one is left over."""
    if finding.judgement.status is not Status.FAIL:
        return []
    used: dict[str, None] = {}
    for point in _failing(finding.judgement):
        covering = next((waiver for waiver in waivers if point.waivable and _within(point, waiver.limit)), None)
        if covering is None:
            return []
        used[covering.id] = None
    return list(used)


def _failing(judgement: Judgement) -> list[Judgement]:
    """Everything that keeps it from being green: also what could not be seen, which no waiver covers."""
    return [point for point in judgement.points or (judgement,) if point.status not in (Status.PASS, Status.WARN)]


def _within(point: Judgement, limit: str) -> bool:
    if point.status is not Status.FAIL:
        return False
    if point.quantity is None:
        return bool(point.actual.strip()) and limit.strip() == point.actual.strip()
    most = parse_quantity(limit)
    if most is None or most[1] != point.quantity.unit:
        return False
    return point.quantity.value <= most[0] if point.quantity.more_is_worse else point.quantity.value >= most[0]


def _use(waiver: Waiver, findings: Sequence[Finding], covers: bool) -> WaiverUse:
    finding = next((each for each in findings if (each.check, each.subject) == (waiver.check, waiver.subject)), None)
    if finding is None:
        subjects = [each.subject for each in findings if each.check == waiver.check]
        known = f"its subjects are {', '.join(subjects)}" if subjects else f"the plan has no check {waiver.check}"
        return WaiverUse(waiver, WaiverState.UNMATCHED, f"covers nothing: {known}")
    if covers:
        return WaiverUse(waiver, WaiverState.COVERS, finding.judgement.summary)
    status = finding.judgement.status
    if status in (Status.PASS, Status.WARN):
        return WaiverUse(waiver, WaiverState.UNUSED, f"is not needed: the check is {status}; take it out of the plan")
    if status is not Status.FAIL:
        return WaiverUse(waiver, WaiverState.NOT_A_FAILURE, f"cannot cover what is {status}: only what was seen")
    failing = _failing(finding.judgement)
    if not all(point.waivable for point in failing):
        text = "cannot be waived: identity, script content and server role never are"
        return WaiverUse(waiver, WaiverState.FORBIDDEN, text)
    point = next((each for each in failing if not _within(each, waiver.limit)), failing[0])
    return WaiverUse(waiver, WaiverState.BEYOND, f"covers up to {waiver.limit}; found {point.actual or point.summary}")
