"""In which order a report tells what is not good, first what to do first; and who must cure what before a GO. Pure."""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from preflight.clock import zone
from preflight.finding import WORST_FIRST, Finding, Severity, Status
from preflight.plan import Plan
from preflight.plan.release_plan import grouped
from preflight.report.comparison import owners
from preflight.verdict import Verdict
from preflight.wording import counted, listed

_WORD = re.compile(r"[\w.-]+")
_MOST_SUBJECTS = 3
HOLDS = (Status.FAIL, Status.UNKNOWN, Status.STALE)
"""What holds a release, unless the check is advisory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """Something to cure, or one cause that keeps several checks from looking."""

    status: Status
    what: str
    """Check and subject, `host-login db1`; of a shared cause, how many checks wait for what."""
    why: str
    """What was seen; the shared cause."""
    cure: str
    alike: tuple[tuple[str, str], ...] = ()
    """Of several findings that are equal but for the names in them: each subject with its own cure."""
    waiting: int = 0
    """How many checks share the cause; 0 for a thing of its own, and where none of them decides."""
    behind: str = ""
    """The entry of the same list that is that cause, where one is."""
    cost: str
    """What it costs in the window: `70 min`, `70+ min` where that is not all; empty where the plan has no price."""
    ask_by: datetime
    """When the cure must have been asked for at the latest, UTC: the owner's lead time before the window's start."""
    ask_by_words: str
    """The same in nine columns: `Sat 00:00`, `24 Oct`, `overdue`."""
    owner: str
    """Person, role and contact."""

    @property
    def told(self) -> str:
        """In one line: `hashes orders`, `12 checks behind db1: the server refused the password of dbadmin`."""
        return f"{self.what}: {self.why}" if self.waiting else self.what

    @property
    def name(self) -> str:
        return called(self.owner)


@dataclass(frozen=True, slots=True)
class Act:
    blocker: Blocker
    waiting: int
    """How many checks could not look because of it."""


@dataclass(frozen=True, slots=True)
class Card:
    """All that one owner must do."""

    acts: tuple[Act, ...]

    @property
    def name(self) -> str:
        """Empty where the plan names nobody."""
        return self.acts[0].blocker.name

    @property
    def contact(self) -> str:
        """Role and contact: `(dba), ext. 4411`."""
        return self.acts[0].blocker.owner.removeprefix(self.name).strip()

    @property
    def first(self) -> Blocker:
        """What must be asked for first."""
        return min((act.blocker for act in self.acts), key=lambda blocker: blocker.ask_by)


def called(owner: str) -> str:
    """A person without role and contact; empty for nobody alone."""
    return owner.partition(" (")[0] or owner


def blockers(verdict: Verdict) -> list[Blocker]:
    """What blocks, then what is required, by when the cures must have been asked for; shared causes last."""
    severities = (Severity.BLOCKING, Severity.REQUIRED)
    every = [each for severity in severities for each in findings_in_order(verdict.plan, verdict.findings, severity)]
    own = findings_alike(verdict.plan, [each for each in every if each.status in HOLDS])
    lines = {key: place for place, alike in reversed(list(enumerate(own))) for each in alike for key in causes_of(each)}
    shared = [_shared(verdict, folded, own, lines) for folded in findings_by_cause(verdict.plan, verdict.findings)]
    return [*(_own(verdict, alike) for alike in own), *(each for each in shared if each.waiting)]


def cards(rows: Sequence[Blocker]) -> tuple[Card, ...]:
    """By deadline. What only waits for another cure is told with that one."""
    waiting = {each.behind: each.waiting for each in rows if each.behind}
    acts = (Act(each, waiting.get(each.what, 0) or each.waiting) for each in rows if not each.behind)
    told = [Card(tuple(own)) for own in grouped(acts, lambda act: act.blocker.name).values()]
    return tuple(sorted(told, key=lambda card: card.first.ask_by))


def first_of(rows: Sequence[Blocker], most: int) -> list[Blocker]:
    """At most `most`, one of them what could not be looked at, if any: it is no trouble itself, and hides others."""
    told = list(rows[:most])
    unseen = next((row for row in rows if row.waiting), None)
    return [*told[:-1], unseen] if unseen and unseen not in told else told


def _own(verdict: Verdict, alike: Sequence[Finding]) -> Blocker:
    first, ask_by = alike[0], _ask_by(verdict, alike)
    return Blocker(
        status=first.status,
        what=_what(alike),
        why=first.judgement.summary,
        cure=first.judgement.remedy,
        alike=_cures((each.subject, each) for each in alike),
        cost=_cost_words(first),
        ask_by=ask_by,
        ask_by_words=ask_by_words(verdict, ask_by),
        owner=first.owner,
    )


def _shared(
    verdict: Verdict, folded: Sequence[Finding], own: Sequence[Sequence[Finding]], lines: Mapping[str, int]
) -> Blocker:
    """`own`: the findings that are blockers of their own, those that are alike together. `lines`: where in it the
    first one stands that tells of a cause."""
    causes = {each.cause: each for each in folded}
    known = [lines[key] for cause in causes for key in beginnings(cause) if key in lines]
    behind = own[min(known)] if known else None
    places = [(_place(verdict.plan, cause)[0], each) for cause, each in causes.items()]
    whom = _what(behind) if behind else subjects([place for place, _ in places])
    asked = behind or folded
    ask_by = _ask_by(verdict, [each for each in asked if each.status is not Status.STALE])
    return Blocker(
        status=folded[0].status,
        what=f"{counted(len(folded), 'check')} behind {whom}" if whom else folded_words(folded),
        why=_place(verdict.plan, folded[0].cause)[1],
        cure=folded[0].judgement.remedy,
        alike=_cures(places),
        waiting=len(folded) if any(each.severity.decides for each in folded) else 0,
        behind=_what(behind) if behind else "",
        cost="",
        ask_by=ask_by,
        ask_by_words=ask_by_words(verdict, ask_by),
        owner=owners(asked),
    )


def _what(alike: Sequence[Finding]) -> str:
    return f"{alike[0].check} {subjects([each.subject for each in alike])}{alike[0].severity.mark}"


def _cures(pairs: Iterable[tuple[str, Finding]]) -> tuple[tuple[str, str], ...]:
    """Each with its own cure; none for a single one."""
    told = tuple((name, finding.judgement.remedy) for name, finding in pairs)
    return told if len(told) > 1 else ()


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
    hanging = Counter(key for finding in findings if is_folded(finding) for key in beginnings(finding.cause))
    names = [*plan.hosts, *plan.databases, *plan.backups, *plan.scripts, *plan.applications]
    places = {name: place for place, name in reversed(list(enumerate(names)))}

    def rank(finding: Finding) -> tuple[float, ...]:
        behind = sum(hanging[key] for key in causes_of(finding))
        ask_by = finding.cure_by.timestamp() if finding.cure_by else math.inf
        place = places.get(_first(places, finding.subject), math.inf)
        return WORST_FIRST.index(finding.status), ask_by, -cost(finding), -behind, place

    untold = (Status.PASS, Status.SKIPPED)
    shown = [each for each in findings if each.severity is severity and each.status not in untold]
    return sorted((finding for finding in shown if not is_folded(finding)), key=rank)


def findings_by_cause(plan: Plan, findings: Sequence[Finding]) -> list[list[Finding]]:
    """UNKNOWN and STALE findings, a list for each cause, alike but for the place's name; the one behind most first."""
    groups = grouped(filter(is_folded, findings), lambda each: _without(each.cause, {_place(plan, each.cause)[0]}))
    return sorted(groups.values(), key=len, reverse=True)


def findings_alike(plan: Plan, findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings of one check and owner that differ only in what they are about: forty hosts that refuse are one list."""

    def told(each: Finding) -> tuple[str, ...]:
        return each.check, each.severity, each.status, each.owner, _cost_words(each), *_told_without_names(plan, each)

    return list(grouped(findings, told).values())


def _told_without_names(plan: Plan, finding: Finding) -> Iterator[str]:
    own = _words(f"{finding.subject} {finding.vantage}")
    own |= {plan.hosts[name].address for name in own & plan.hosts.keys()}
    for point in finding.judgement.telling_points():
        for text in (point.summary, point.actual, point.expected, point.remedy, point.details):
            yield _without(text, own)


def _without(text: str, names: Collection[str]) -> str:
    """`db1` is a name in `db1.example.net`, too."""

    def unnamed(word: re.Match[str]) -> str:
        whole = word[0].rstrip(".") in names
        return "" if whole else ".".join("" if part in names else part for part in word[0].split("."))

    return _WORD.sub(unnamed, text)


def subjects(names: Sequence[str]) -> str:
    """`db1`; `db1, db2`; `of 40: web01, web02, web03, and 37 more`."""
    named = listed(names, _MOST_SUBJECTS)
    return f"of {len(names)}: {named}" if len(names) > _MOST_SUBJECTS else named


def _place(plan: Plan, cause: str) -> tuple[str, str]:
    """The entry of the plan that a shared cause names, empty where it names none, and what was seen there."""
    seen = cause.partition(": ")[2] if cause.startswith(("from ", "on ")) else cause
    name, _, why = seen.partition(": ")
    is_entry = bool(why) and (name in plan.hosts or name in plan.databases)
    return (name, why) if is_entry else ("", cause)


def findings_by_host(plan: Plan, findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    """The findings by the host they were seen on or are about, in plan order; last, under no name, those of none."""
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


def causes_of(finding: Finding) -> set[str]:
    """How the cause begins of whatever could not be seen for the reason for which this fails: it tells the very same of
    the same way there (two databases of one role are both seen "from here as release"), or names this line."""
    told = {f"{finding.vantage}: {point.actual}" for point in finding.judgement.telling_points() if point.actual}
    return {f"{finding.check} {finding.subject}: ", *told}


def beginnings(cause: str) -> set[str]:
    """The whole, and what stands before each of its colons."""
    return {cause, *(cause[: found.end()] for found in re.finditer(": ", cause))}


def _first(places: Mapping[str, int], text: str) -> str:
    """The first entry that a text names; empty where it names none."""
    return min(_words(text) & places.keys(), key=places.__getitem__, default="")


def _host(plan: Plan, places: Mapping[str, int], finding: Finding) -> str:
    """The host where it was seen, else the one its subject names, else that of the database its subject names."""
    if name := _first(places, finding.vantage) or _first(places, finding.subject):
        return name
    words = _words(finding.subject)
    return next((database.host for name, database in plan.databases.items() if name in words and database.host), "")


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text))
