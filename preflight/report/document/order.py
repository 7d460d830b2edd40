"""In which order a report tells what is not good: what to do first stands first."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from preflight.finding import WORST_FIRST, Finding, Severity, Status
from preflight.plan import Plan
from preflight.report.comparison import Pair
from preflight.report.json_report import Line
from preflight.wording import counted


def findings_in_order(plan: Plan, findings: Sequence[Finding], severity: Severity) -> list[Finding]:
    """All but passes, what was not selected, and what shares its cause with others: by status, then by when the cure
    must have been asked for (a request that takes a day is made before one that takes an hour), then by the minutes
    at stake, then by how many could not look for the same reason, then in the plan's order."""
    hanging = Counter(finding.cause for finding in findings if is_folded(finding))
    places = _places(plan)

    def rank(finding: Finding) -> tuple[float, ...]:
        behind = sum(count for cause, count in hanging.items() if is_behind(cause, finding))
        ask_by = finding.cure_by.timestamp() if finding.cure_by else math.inf
        return (
            WORST_FIRST.index(finding.status),
            ask_by,
            -cost(finding),
            -behind,
            _first(places, finding.subject),
        )

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


def owners(findings: Iterable[Finding | Line]) -> str:
    """Who owns any of them, each once."""
    return ", ".join(dict.fromkeys(each.owner for each in findings if each.owner))


def is_folded(finding: Finding) -> bool:
    """Whether it is told with all others of its cause."""
    return bool(finding.cause) and finding.status in (Status.UNKNOWN, Status.STALE)


def folded_words(folded: Sequence[Finding]) -> str:
    """How many there are of one cause, and what that means for them."""
    number = counted(len(folded), "check")
    return f"{number} could not look" if folded[0].status is Status.UNKNOWN else f"{number} to be asked again"


def is_behind(cause: str, finding: Finding) -> bool:
    """Whether what has this cause could not be seen for the reason for which `finding` fails: the same way there, or
    because a check says that this line tells why."""
    by_line = cause.startswith(f"{finding.check} {finding.subject}: ")
    return by_line or (bool(finding.vantage) and cause.startswith(f"{finding.vantage}: "))


def pairs_by_cause(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """Lines of a comparison that could not look for one shared cause together; each other one alone."""
    groups: dict[object, list[Pair]] = {}
    for number, pair in enumerate(pairs):
        old, new = (_unseen_because(line) for line in (pair.old, pair.new))
        statuses = tuple(line.status if line else None for line in (pair.old, pair.new))
        groups.setdefault((old, new, statuses) if old or new else number, []).append(pair)
    return list(groups.values())


def _unseen_because(line: Line | None) -> str:
    return line.cause if line is not None and line.status is Status.UNKNOWN else ""


def _places(plan: Plan) -> dict[str, int]:
    """Where the plan has each entry."""
    names = [*plan.hosts, *plan.databases, *plan.backups, *plan.scripts, *plan.applications]
    return {name: place for place, name in reversed(list(enumerate(names)))}


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
