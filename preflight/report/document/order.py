"""In which order a report tells what is not good: what to do first stands first. And what stands between a verdict and
GO, one entry for each thing to cure. Pure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from preflight.clock import zone
from preflight.finding import WORST_FIRST, Finding, Severity, Status
from preflight.plan import Plan
from preflight.report.comparison import owners
from preflight.verdict import Verdict
from preflight.wording import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """Something to cure, or one cause that keeps several checks from looking."""

    status: Status
    what: str
    """Check and subject, `host-login db1`, and the severity where that is not blocking; of a shared cause, how many
    checks wait for what."""
    why: str
    """What was seen; the shared cause."""
    cure: str
    waiting: int = 0
    """How many checks that decide share the cause; 0 for a thing of its own."""
    behind: str = ""
    """The entry of the same list that is that cause, where one is."""
    cost: str
    """What it costs in the window if it stays so: `70 min`, `70+ min` where that is not all; empty where the plan does
    not price it."""
    ask_by: datetime
    """When the cure must have been asked for at the latest, UTC: the owner's lead time before the window's start."""
    ask_by_words: str
    """The same in nine columns: `Sat 00:00`, `24 Oct`, `overdue`."""
    owner: str
    """Person, role and contact."""

    @property
    def name(self) -> str:
        """The owner without role and contact."""
        return self.owner.partition(" (")[0]


def blockers(verdict: Verdict) -> list[Blocker]:
    """What blocks, then what is required, by when the cures must have been asked for; shared causes last."""
    severities = (Severity.BLOCKING, Severity.REQUIRED)
    every = [each for severity in severities for each in findings_in_order(verdict.plan, verdict.findings, severity)]
    told = [each for each in every if each.status in (Status.FAIL, Status.UNKNOWN, Status.STALE)]
    rows = []
    for each in told:
        ask_by = _ask_by(verdict, [each])
        rows.append(
            Blocker(
                status=each.status,
                what=_named(each),
                why=each.judgement.summary,
                cure=each.judgement.remedy,
                cost=_cost_words(each),
                ask_by=ask_by,
                ask_by_words=ask_by_words(verdict, ask_by),
                owner=each.owner,
            )
        )
    shared = [_shared(verdict, folded, told) for folded in findings_by_cause(verdict.findings)]
    return rows + [each for each in shared if each.waiting]


def _shared(verdict: Verdict, folded: Sequence[Finding], told: Sequence[Finding]) -> Blocker:
    """`told`: the findings that are blockers of their own."""
    behind = next((each for each in told if is_behind(folded[0].cause, each)), None)
    asked = [behind] if behind else folded
    number, cause = counted(len(folded), "check"), _named(behind) if behind else ""
    ask_by = _ask_by(verdict, [each for each in asked if each.status is not Status.STALE])
    return Blocker(
        status=folded[0].status,
        what=f"{number} behind {cause}" if behind else folded_words(folded),
        why=folded[0].cause,
        cure=folded[0].judgement.remedy,
        waiting=sum(each.severity.decides for each in folded),
        behind=cause,
        cost="",
        ask_by=ask_by,
        ask_by_words=ask_by_words(verdict, ask_by),
        owner=owners(asked),
    )


def _named(finding: Finding) -> str:
    return f"{finding.check} {finding.subject}{finding.severity.mark}"


def _ask_by(verdict: Verdict, asked: Sequence[Finding]) -> datetime:
    """The window's start at the latest, as long as it is to begin."""
    latest = verdict.moment if verdict.expect else verdict.plan.window.start
    return min([latest, *(each.cure_by for each in asked if each.cure_by)])


def ask_by_words(verdict: Verdict, at: datetime) -> str:
    """In nine columns, `overdue`, `now`, `Sat 00:00`, `24 Oct`: the date where that is a week away or more."""
    if verdict.expect:
        return "now"
    if at < verdict.moment:
        return "overdue"
    local = at.astimezone(zone(verdict.plan.window.zone))
    return f"{local:%a %H:%M}" if (at - verdict.moment).days < 7 else f"{local:%d %b}"


def findings_in_order(plan: Plan, findings: Sequence[Finding], severity: Severity) -> list[Finding]:
    """All but passes, what was not selected, and what shares its cause with others: by status, then by when the cure
    must have been asked for (a request that takes a day is made before one that takes an hour), then by the minutes
    at stake, then by how many could not look for the same reason, then in the plan's order."""
    hanging = Counter(finding.cause for finding in findings if is_folded(finding))
    names = [*plan.hosts, *plan.databases, *plan.backups, *plan.scripts, *plan.applications]
    places = {name: place for place, name in reversed(list(enumerate(names)))}

    def rank(finding: Finding) -> tuple[float, ...]:
        behind = sum(count for cause, count in hanging.items() if is_behind(cause, finding))
        ask_by = finding.cure_by.timestamp() if finding.cure_by else math.inf
        return WORST_FIRST.index(finding.status), ask_by, -cost(finding), -behind, _first(places, finding.subject)

    untold = (Status.PASS, Status.SKIPPED)
    shown = [each for each in findings if each.severity is severity and each.status not in untold]
    return sorted((finding for finding in shown if not is_folded(finding)), key=rank)


def findings_by_cause(findings: Sequence[Finding]) -> list[list[Finding]]:
    """UNKNOWN and STALE findings, one list for each shared cause; the cause behind most of them first."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        if is_folded(finding):
            groups.setdefault(finding.cause, []).append(finding)
    return sorted(groups.values(), key=len, reverse=True)


def findings_by_host(plan: Plan, findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    """The findings by the host they were seen on or are about, in the plan's order; last, under an empty name, those
    that are about none."""
    groups: dict[str, list[Finding]] = {name: [] for name in [*plan.hosts, ""]}
    places = {name: place for place, name in enumerate(plan.hosts)}
    for finding in findings:
        groups[_host(plan, places, finding)].append(finding)
    return {name: group for name, group in groups.items() if group}


def cost(finding: Finding) -> float:
    """Minutes of the window that are lost if it stays so; 0 where the plan does not price it."""
    return finding.price.minutes if finding.price else finding.judgement.minutes_at_stake or 0.0


def _cost_words(finding: Finding) -> str:
    more = "+" if finding.price and finding.price.finish_at is None else ""
    return f"{cost(finding):.0f}{more} min" if cost(finding) else ""


def is_folded(finding: Finding) -> bool:
    """Whether it is told with all others of its cause."""
    return bool(finding.cause) and finding.status in (Status.UNKNOWN, Status.STALE)


def folded_words(folded: Sequence[Finding]) -> str:
    """How many there are of one cause, and what that means for them."""
    number = counted(len(folded), "check")
    return f"{number} could not look" if folded[0].status is Status.UNKNOWN else f"{number} to be asked again"


def is_behind(cause: str, finding: Finding) -> bool:
    """Whether what has this cause could not be seen for the reason for which `finding` fails: it tells the very same of
    the same way there (two databases of one role are both seen "from here as release"), or a check says that this line
    tells why."""
    told = {f"{finding.vantage}: {point.actual}" for point in finding.judgement.telling_points()}
    return cause in told or cause.startswith(f"{finding.check} {finding.subject}: ")


def _first(places: Mapping[str, int], text: str) -> float:
    """The place of the first entry that a text names; what names none comes last."""
    return min((places[word] for word in _words(text) if word in places), default=math.inf)


def _host(plan: Plan, places: Mapping[str, int], finding: Finding) -> str:
    """The host where it was seen, else the one its subject names, else that of the database its subject names."""
    for text in (finding.vantage, finding.subject):
        place = _first(places, text)
        if place < math.inf:
            return list(plan.hosts)[int(place)]
    words = _words(finding.subject)
    return next((database.host for name, database in plan.databases.items() if name in words and database.host), "")


def _words(text: str) -> set[str]:
    return set(re.findall(r"[\w.-]+", text))
