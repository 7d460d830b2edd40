"""For the call: what the release manager reads aloud, under a minute, the verdict first.

About 110 words; every waiver is said, so many of them make it longer. Times are spoken in 24-hour radio style, hours
and minutes in two digits each: `zero zero hundred` is 00:00, `zero four thirty-three` 04:33, `twenty-two zero five`
22:05. A time without a day is on the day on which the window opens. Whoever has something to cure is named once, with
the first of it; what it costs is heard in the new finish."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from preflight.clock import zone
from preflight.errors import ExitCode
from preflight.finding import Status
from preflight.plan import Plan, Window
from preflight.report import PLAIN, View
from preflight.report.comparison import TOLD, Difference
from preflight.report.document import sections
from preflight.report.document.order import Act, Card, blockers, called, cards
from preflight.report.document.window import Voice, times
from preflight.verdict import Decision, Verdict, WaiverState, WaiverUse

_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_MARKS = " .,:;-"
_SEEN_CHARACTERS = 1000
_MOST_DAYS_BY_NAME = 3
"""Before and after a day: then its week has every weekday once."""
_MOST_PEOPLE = 3
_MOST_WARNINGS = 2
_LONGEST_REASON = 300
_UNSEEN = ((Status.FAIL, "failed"), (Status.UNKNOWN, "could not look"), (Status.STALE, "looked too long ago"))


def render(verdict: Verdict, view: View = PLAIN) -> str:
    """Sentences, one on a line."""
    return "\n".join(f"{line[:1].upper()}{line[1:]}." for line in _sentences(verdict, view)) + "\n"


def _sentences(verdict: Verdict, view: View) -> Iterator[str]:
    release, window = verdict.plan.release, verdict.plan.window
    waived = verdict.exit_code is ExitCode.GO and verdict.waived
    covered = f" with {counted(verdict.waived, 'waiver')}" if waived else ""
    title = f", {name(release.title)}" if release.title else ""
    decision = verdict.decision.replace("-", " ").capitalize()
    yield f"{decision}{covered} for {name(release.id)}{title}"
    if verdict.expect:
        yield name(sections.expected_state(verdict), _LONGEST_REASON)
    for taken in verdict.plan.confirmed.decided[-1:]:
        against = f", against the verdict: {name(taken.against, _LONGEST_REASON)}" if taken.against else ""
        said = f"{name(taken.by)} decided {taken.decision.replace('-', ' ')} at {clock_time(taken.at, window)}{against}"
        yield ", ".join(filter(None, [said, sections.of_another(verdict.plan, taken)]))
        yield from filter(None, [name(sections.signed_words(verdict, taken), _LONGEST_REASON)])
    opens, ends = (clock_time(at, window) for at in (window.start, window.end))
    over = ", over" if verdict.moment >= window.end else ""
    yield f"window {day(window.start, window)}, {opens} to {ends}{over}"
    yield from _to_cure(verdict)
    if warnings := [each for each in verdict.findings if each.status is Status.WARN]:
        told = [said_of(each.check, each.subject) for each in warnings[:_MOST_WARNINGS]]
        told += [f"{number(len(warnings) - _MOST_WARNINGS)} more"] if len(warnings) > _MOST_WARNINGS else []
        yield f"{counted(len(warnings), 'warning')}: {listed(told)}"
    if verdict.reason:
        yield name(verdict.reason, _LONGEST_REASON)
    yield from (_waiver(verdict, use) for use in verdict.waivers)
    yield from _void(verdict)
    yield from _changed(view.difference)
    yield from (f"without {name(each, _LONGEST_REASON)}" for each in sections.left_out(verdict))
    for what, said in zip(("finish ", ""), times(verdict, Voice(clock_time, duration)), strict=False):
        yield what + name(said, _LONGEST_REASON)
    if verdict.decision is Decision.GO:
        yield from _agreed(verdict)
    skipped, gaps = len(sections.not_selected(verdict)), len(verdict.unconfirmed)
    told = [f"{counted(skipped, 'check')} not selected"] if skipped else []
    told += [f"{counted(gaps, 'thing')} left unconfirmed"] if gaps else []
    if told:
        yield f"not checked: {listed(told)}"


def _void(verdict: Verdict) -> Iterator[str]:
    """What changed since the saved run besides the servers, without the hashes, which nobody compares by ear."""
    for each in verdict.basis:
        _, void, changes = each.partition(" is void: ")
        if void:
            yield f"since the saved run, {name(re.sub(r' from sha256 [^;]*?(?=;)', '', changes), _LONGEST_REASON)}"
        elif " cannot be read: " in each:
            yield "the newest saved run cannot be read"


def _changed(difference: Difference | None) -> Iterator[str]:
    """How many lines are otherwise than in the run before."""
    if difference is not None:
        told = [f"{number(len(pairs))} {change}" for change in TOLD if (pairs := difference.which(change))]
        yield f"since the run before, {listed(told) if told else 'nothing changed'}"


def _to_cure(verdict: Verdict) -> Iterator[str]:
    """How many checks block (advisory findings never decide, so nobody has to hear them), and who must do what by when.
    What only waits for another cure is told with that one."""
    rows = blockers(verdict)
    if not rows:
        return
    blocking = Counter(each.status for each in verdict.findings if each.severity.decides)
    counts = [f"{number(blocking[status])} {words}" for status, words in _UNSEEN if blocking[status]]
    yield f"of {counted(verdict.planned, 'check')} {listed(counts)}"
    told = cards(rows)
    yield from (_person(verdict, card) for card in told[:_MOST_PEOPLE])
    if rest := sum(len(card.acts) for card in told[_MOST_PEOPLE:]):
        yield f"and {number(rest)} more"


def _person(verdict: Verdict, card: Card) -> str:
    who = name(card.name) or "somebody"
    acts = sorted(card.acts, key=lambda act: -act.waiting)
    shown = 2 if len(acts) == 2 else 1
    said = [_act(act) for act in acts[:shown]]
    said += [f"{number(len(acts) - shown)} more"] if len(acts) > shown else []
    at, window = card.first.ask_by, verdict.plan.window
    by = "by the start" if at == window.start else f"by {clock_time(at, window)}"
    by = "now" if verdict.expect else by
    return f"{who} must cure {listed(said)}, {'overdue' if at < verdict.moment else by}"


def _act(act: Act) -> str:
    if act.blocker.waiting:
        count, _, told = act.blocker.told.replace(" could not look", " that could not look").partition(" ")
        return f"{number(int(count))} {name(told, _LONGEST_REASON)}"
    behind = f" with {counted(act.waiting, 'check')} behind it" if act.waiting else ""
    return f"{said_of(*act.blocker.what.split(' ', 1))}{behind}"


def _waiver(verdict: Verdict, use: WaiverUse) -> str:
    waiver, plan = use.waiver, verdict.plan
    approved = f"approved by {_who(plan, waiver.approved_by)} until {clock_time(waiver.expires, plan.window)}"
    if use.state is WaiverState.COVERS:
        return f"waiver {name(waiver.id)} covers {said_of(waiver.check, waiver.subject)}, {approved}"
    return f"waiver {name(waiver.id)}, {approved}, covers nothing: {use.state}"


def _agreed(verdict: Verdict) -> Iterator[str]:
    """What is decided by whom, which a GO has time to repeat."""
    plan = verdict.plan
    for rule in plan.rules:
        if not rule.unrelated:
            said = name(sections.rule_in_words(rule))
            yield f"{said}, {_who(plan, rule.decides)} decides" if rule.decides else said
    for decision in plan.decisions:
        yield f"on {name(decision.on)} {_who(plan, decision.decides)} decides: {name(decision.rule, _LONGEST_REASON)}"


def _who(plan: Plan, role: str) -> str:
    return name(called(plan.person(role)))


def number(value: int) -> str:
    """`two hundred and fifty-five`; digits from a million on, which nobody says on a call."""
    if value < 0:
        return f"minus {number(-value)}"
    if value < len(_SMALL):
        return _SMALL[value]
    if value < 100:
        tens, ones = divmod(value, 10)
        return _TENS[tens] + (f"-{_SMALL[ones]}" if ones else "")
    if value < 1000:
        hundreds, rest = divmod(value, 100)
        return f"{_SMALL[hundreds]} hundred" + (f" and {number(rest)}" if rest else "")
    if value < 1_000_000:
        thousands, rest = divmod(value, 1000)
        joint = " and " if 0 < rest < 100 else " "
        return f"{number(thousands)} thousand" + (f"{joint}{number(rest)}" if rest else "")
    return str(value)


def counted(value: int, one: str) -> str:
    """`one check`, `three checks`."""
    return f"{number(value)} {one if value == 1 else one + 's'}"


def clock_time(at: datetime, window: Window) -> str:
    """24-hour radio style in the window's zone: `zero two hundred`, `zero four thirty-three`, `twenty-three zero five`.

    With the weekday on another day than the one the window starts on, with the date too where the weekday alone could
    be meant of another week, and with which of the two is meant in the hour that is repeated when clocks go back."""
    where = zone(window.zone)
    local, start = at.astimezone(where), window.start.astimezone(where)
    text = f"{_two_digits(local.hour)} {'hundred' if local.minute == 0 else _two_digits(local.minute)}"
    if local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset():
        text += f" {'after' if local.fold else 'before'} the clocks go back"
    days = (local.date() - start.date()).days
    if abs(days) > _MOST_DAYS_BY_NAME:
        return f"{day(at, window)}, {text}"
    return f"{local:%A} {text}" if days else text


def day(at: datetime, window: Window) -> str:
    """`Saturday seventeen October`, with the year where it is not the one of the window's start."""
    local, start = (each.astimezone(zone(window.zone)) for each in (at, window.start))
    year = "" if local.year == start.year else f" {number(local.year)}"
    return f"{local:%A} {number(local.day)} {local:%B}{year}"


def duration(span: timedelta) -> str:
    """`two hours thirteen minutes`; full minutes, never negative."""
    if timedelta() < span < timedelta(minutes=1):
        return "less than a minute"
    hours, minutes = divmod(max(0, int(span.total_seconds() // 60)), 60)
    parts = [counted(hours, "hour")] if hours else []
    parts += [counted(minutes, "minute")] if minutes or not hours else []
    return " ".join(parts)


def listed(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    *others, last = parts
    return f"{', '.join(others)} and {last}" if others else last


def name(text: str, longest: int = 60) -> str:
    """Text that may come from anywhere, as it can be said, and not without end: a URL by its host, hyphens of check
    names as they stand, no sign that is no letter, digit or mark of a sentence."""
    without_urls = re.sub(r"\bhttps?://([^/:\s]+)\S*", r"at \1", text[:_SEEN_CHARACTERS])
    words = without_urls.replace("@", " at ").replace("_", " ")
    said = " ".join(re.sub(r"[^\w.,:;' -]", " ", words).split()).strip(_MARKS)
    if len(said) <= longest:
        return said
    begin = said[:longest]
    return (begin.rpartition(" ")[0] or begin).strip(_MARKS) + " and so on"


def said_of(check: str, subject: str = "") -> str:
    """`backup space of orders`: a check in words, not as its id."""
    of = subject.removeprefix("of ")  # several are `of 3: a, b, c` already
    return name(" of ".join(filter(None, [check.replace("-", " "), of])))


def _two_digits(value: int) -> str:
    return f"zero {_SMALL[value]}" if value < 10 else number(value)
