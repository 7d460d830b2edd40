"""The parts of the report: its head (of what, when, from where, how it ended), findings, what to cure, waivers,
versions, people, ages, what was not checked, what changed. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC

from preflight.check import Expect
from preflight.clock import format_moment, zone
from preflight.finding import WORST_FIRST, Finding, Judgement, Severity, Status
from preflight.judging.end_states import matrix
from preflight.judging.schedule import time_in_window
from preflight.plan import Plan, Rule
from preflight.plan.confirmed import Decided
from preflight.plan.release_plan import SEVERITY_OF
from preflight.report import PLAIN, View
from preflight.report.comparison import TOLD, Difference, in_words, owners, pairs_by_cause
from preflight.report.document import order
from preflight.report.document.blocks import Cell, Entry, Labelled, Point, Section, Table, row
from preflight.report.document.window import price_text, times, window_span
from preflight.report.json_report import Line
from preflight.units import format_duration
from preflight.verdict import Verdict, WaiverState
from preflight.wording import MOST_NAMED, counted, listed

NOBODY = "nobody named in the plan"
RUNBOOK = "runbook"
"""The label whose lines are URLs."""


def facts(verdict: Verdict, view: View = PLAIN) -> tuple[Labelled, ...]:
    """The head, in the order of the report, without what has nothing to say."""
    plan, window = verdict.plan, verdict.plan.window
    needed = time_in_window(window, max(window.needed_until, verdict.moment))
    lasts = "" if verdict.expect else f"; what is used must last until {needed}"
    took = "" if view.took_seconds is None else f", took {view.took_seconds:.1f} s"
    asked = f"{format_moment(verdict.collected_at, window.zone)} {verdict.vantage}".rstrip() + took + _covered(verdict)
    gaps = [f"{unconfirmed_in_words(verdict.unconfirmed)}, below"] if verdict.unconfirmed else []
    chosen = ", ".join(f"{name} = {value}" for name, value in plan.set_values.items())
    file = " with ".join(filter(None, [plan.path.name, chosen]))
    lines = {
        "expects": [expected_state(verdict)],
        "decision": decided(verdict),
        "window": [window_span(window, verdict.moment)],
        "judged": [f"for {format_moment(verdict.moment, window.zone)}" + lasts],
        "asked": [asked],
        "plan": [f"{file}, sha256 {plan.digest[:12]}, evidence {verdict.evidence_digest[:12]}"],
        "made": [f"with {', '.join(verdict.made_with)}" if verdict.made_with else ""],
        "finish": times(verdict),
        "basis": verdict.basis,
        "changed": [in_words(view.difference)],
        "because": [verdict.reason],
        "without": ["; ".join(left_out(verdict))],
        "checks": [counts(verdict)],
        "open": ["; ".join([*_deselected(verdict), *gaps])],
    }
    told = [Labelled(label, tuple(each)) for label, each in lines.items()]
    return tuple(fact for fact in told if any(fact.lines))


def decided(verdict: Verdict) -> list[str]:
    """What people decided, the newest first: who, when, on which verdict; loud where it was against that one."""
    plan, told = verdict.plan, []
    for each in reversed(plan.confirmed.decided):
        said = f"{each.decision.upper()} by {each.by}, {format_moment(each.at, plan.window.zone)}"
        on = f"AGAINST THE VERDICT {each.verdict}: " if each.against else f"the verdict was {each.verdict}"
        because = f"because {each.because}" if each.because else ""
        signed, run = signed_words(verdict, each), f"run {each.run[:12]}"
        told.append("; ".join(filter(None, [said, signed, on + each.against, because, of_another(plan, each), run])))
    return told


def of_another(plan: Plan, decision: Decided) -> str:
    """What was decided on the plan as it was, or of another release; empty where it is this one."""
    return "of another text of the plan" if decision.plan != plan.digest else ""


def signed_words(verdict: Verdict, decision: Decided) -> str:
    """Whether it is the word of whom it names; loud where the plan wants it signed and it is not."""
    if not verdict.plan.release.allowed_signers:
        return "signed, which nobody verified: [release] names no allowed_signers" if decision.signature else ""
    if not decision.signature:
        return f"NOT SIGNED: {decision.by} decides again with --sign KEY"
    other = verdict.signatures.get(decision, "nobody verified the signature")
    return f"NOT TO BE BELIEVED, {other}: ask {decision.by}" if other else f"signed by {decision.by}"


def expected_state(verdict: Verdict) -> str:
    """Of `verify`: `the state after the work: app1 4.2, app2 3.0`."""
    if verdict.expect is None:
        return ""
    is_after = verdict.expect is Expect.AFTER
    versions = [f"{each.id} {each.to if is_after else each.from_}" for each in verdict.plan.applications.values()]
    told = f": {listed(versions, MOST_NAMED)}" if versions else ""
    return f"the state {verdict.expect} the work{told}"


def _covered(verdict: Verdict) -> str:
    """`, covered 7 of 8 hosts, missing node8`."""
    reached = verdict.hosts_reached
    missing = [host for host, answered in reached.items() if not answered]
    told = f", covered {len(reached) - len(missing)} of {counted(len(reached), 'host')}" if reached else ""
    return told + (f", missing {listed(missing, MOST_NAMED)}" if missing else "")


def left_out(verdict: Verdict) -> list[str]:
    """`backups: read-only release`: every kind of entries that the plan leaves out, and why; every check, or subject
    of one, that it does not let block; and what an included file says and the plan overrides."""
    plan = verdict.plan
    reasons = [f"{kind}: {reason}" for kind, reason in plan.release.without.reasons.items()]
    overridden = [f"{of}: {listed(keys, MOST_NAMED)} overridden by the plan" for of, keys in plan.overridden.items()]
    return [*reasons, *[f"{name}: made {severity} by the plan" for name, severity in _lowered(plan)], *overridden]


def _lowered(plan: Plan) -> Iterator[tuple[str, str]]:
    for check, table in plan.checks.items():
        of, own = table.get(SEVERITY_OF), table.get("run")  # as the loader has read them
        found = {check: table.get("severity")}
        for name, each in own.items() if isinstance(own, Mapping) else ():
            found[f"{check} {name}"] = getattr(each, "severity", None)
        for name, each in of.items() if isinstance(of, Mapping) else ():
            found[f"{check} {name}"] = each
        lowered = (Severity.REQUIRED, Severity.ADVISORY)
        yield from ((name, str(severity)) for name, severity in found.items() if severity in lowered)


def counts(verdict: Verdict) -> str:
    """Every planned check, by what became of it: `2 fail (1 advisory)`."""
    told = []
    for status in (each for each in WORST_FIRST if verdict.counts.get(each)):
        count, advisory = verdict.counts[status], verdict.advisory.get(status, 0) if status in order.HOLDS else 0
        which = "advisory" if advisory == count else f"{advisory} advisory"
        told.append(f"{count} {status}" + (f" ({which})" if advisory else ""))
    return f"{verdict.planned} planned: {', '.join(told) or 'none'}"


def not_selected(verdict: Verdict) -> list[str]:
    """Ids of the checks that were left out, each once; of one left out for some only, `app-health (2 of 3)`."""
    every = Counter(each.check for each in verdict.findings)
    left = Counter(each.check for each in verdict.findings if each.status is Status.SKIPPED)
    return [check if count == every[check] else f"{check} ({count} of {every[check]})" for check, count in left.items()]


def unconfirmed_in_words(gaps: Sequence[object]) -> str:
    """`the plan leaves 2 things unconfirmed`."""
    return f"the plan leaves {counted(len(gaps), 'thing')} unconfirmed"


def _deselected(verdict: Verdict) -> list[str]:
    skipped = not_selected(verdict)
    return [f"not selected: {', '.join(skipped)}"] if skipped else []


def entries(verdict: Verdict) -> tuple[Entry, ...]:
    """All that is no pass, each once: what blocks, what is required, what could not look by cause, what is advisory."""
    plan, findings = verdict.plan, verdict.findings
    ordered = (order.findings_in_order(plan, findings, severity) for severity in Severity)
    alike = (order.findings_alike(plan, told) for told in ordered)
    blocking, required, advisory = ([_alike_entry(verdict, each) for each in told] for told in alike)
    return (*blocking, *required, *map(_cause_entry, order.findings_by_cause(plan, findings)), *advisory)


def _alike_entry(verdict: Verdict, alike: Sequence[Finding]) -> Entry:
    """The first of several that are alike, and the names of all."""
    entry, names = finding_entry(verdict, alike[0]), [each.subject for each in alike]
    if len(alike) == 1:
        return entry
    same = Labelled("alike", (f"the same, each with its own name: {', '.join(names[1:])}",))
    kept = tuple(fact for fact in entry.facts if fact.label != "seen")
    return replace(entry, subject=order.subjects(names), facts=(same, *kept))


def finding_entry(verdict: Verdict, finding: Finding) -> Entry:
    """One finding with the observations that a reader must see."""
    at, when = finding.oldest_evidence_at, "not asked"
    if at is not None:
        when = f"{at.astimezone(zone(verdict.plan.window.zone)):%H:%M:%S}, {finding.took_seconds:.1f} s"
    facts = [
        ("owner", finding.owner or NOBODY),
        ("price", "" if finding.price is None else price_text(verdict, finding, finding.price)),
        ("lead", _lead(verdict, finding)),
        ("seen", f"{finding.vantage}, {when}" if finding.vantage else ""),
    ]
    runbooks = (Labelled(RUNBOOK, finding.runbooks),) if finding.runbooks else ()
    return Entry(
        status=finding.status,
        check=finding.check,
        subject=finding.subject,
        severity=finding.severity,
        points=tuple(_point(each, finding) for each in finding.judgement.telling_points()),
        facts=(*_labelled(facts), *runbooks),
    )


def _point(point: Judgement, finding: Finding) -> Point:
    mark = "" if point.status is finding.status else f"{point.status}: "
    stake = point.minutes_at_stake if finding.price is None else None
    labelled = [
        ("found", "" if point.actual in point.summary else point.actual),
        ("wanted", point.expected),
        ("cure", point.remedy),
        ("cost", f"{round(stake, 1):g} min if it stays so" if stake else ""),
    ]
    return Point(summary=mark + point.summary, labelled=_labelled(labelled), details=point.details)


def _lead(verdict: Verdict, finding: Finding) -> str:
    """By when the cure must have been asked for, where that is before the window."""
    by, window = finding.cure_by, verdict.plan.window
    if by is None or finding.status not in (Status.FAIL, Status.UNKNOWN) or by >= window.start:
        return ""
    late = ": that is over, so escalate now" if by < verdict.moment else ""
    return f"ask by {format_moment(by, window.zone)}{late}"


def _cause_entry(folded: Sequence[Finding]) -> Entry:
    first = folded[0]
    facts = [
        ("cause", listed(dict.fromkeys(each.cause for each in folded), MOST_NAMED, "; ")),
        ("open", ", ".join(f"{each.check} {each.subject}" for each in folded)),
        ("cure", first.judgement.remedy),
        ("owner", owners(folded)),
    ]
    return Entry(status=first.status, check=order.folded_words(folded), facts=_labelled(facts))


def _labelled(pairs: Iterable[tuple[str, str]]) -> tuple[Labelled, ...]:
    return tuple(Labelled(label, (text,)) for label, text in pairs if text)


def to_cure(verdict: Verdict, blockers: Sequence[order.Blocker]) -> Section:
    rows = []
    for each in blockers:
        status, what = Cell(each.status.upper(), each.status), Cell(each.what, strong=True, then=each.why)
        moment = each.ask_by_words if verdict.expect else format_moment(each.ask_by, verdict.plan.window.zone)
        ask_by = Cell("overdue", strong=True, then=moment) if each.ask_by < verdict.moment else moment
        rows.append(row(status, what, each.cure, each.cost, ask_by, each.owner or NOBODY))
    return Section(title="To cure", table=Table(("status", "what", "cure", "cost", "ask by", "owner"), tuple(rows)))


def steps(verdict: Verdict) -> Section:
    """When each step begins and ends, as found, in digits."""
    window, found, rows = verdict.plan.window, verdict.found_schedule, []
    if found is None:
        return Section(title="Steps")
    for slot in found.slots:
        utc = " to ".join(f"{at.astimezone(UTC):%H:%M}" for at in (slot.begins_at, slot.ends_at))
        begins, ends = (time_in_window(window, at) for at in (slot.begins_at, slot.ends_at))
        notes = ["over the network"] * slot.over_network + ["ends later"] * (slot.step.id in found.end_later)
        rows.append(row(slot.step.id, begins, ends, utc, ", ".join(notes)))
    return Section(title="Steps", table=Table(("step", "begins", "ends", "in UTC", ""), tuple(rows)))


def waivers(verdict: Verdict) -> Section:
    """Every waiver of the plan, what became of it, who approved it; loud where it covers nothing."""
    plan, rows = verdict.plan, []
    for use in verdict.waivers:
        waiver, covers = use.waiver, use.state is WaiverState.COVERS
        state = Cell(use.state if covers else use.state.upper(), strong=not covers, then=use.text)
        approved = f"{plan.person(waiver.approved_by)} until {time_in_window(plan.window, waiver.expires)}"
        rows.append(row(waiver.id, f"{waiver.check} {waiver.subject}", state, waiver.limit, waiver.reason, approved))
    heads = ("waiver", "for", "state", "limit", "reason", "approved by")
    return Section(title="Waivers", table=Table(heads, tuple(rows)))


def versions(verdict: Verdict) -> Section:
    """The end states: versions that cross for two applications, a list for more; nothing for a single one."""
    title, applications = "Versions that may meet", len(verdict.plan.applications)
    lines = matrix(verdict.plan, verdict.end_states) if applications > 1 and verdict.end_states else ()
    if not lines:
        return Section(title=title)
    head, *others = lines if applications == 2 else (("",) * len(lines[0]), *lines)
    return Section(title=title, table=Table(head, tuple(row(*line) for line in others), narrow=True))


def agreed(plan: Plan) -> Section:
    """What was decided beforehand, by whom: what is done in the window, and which versions are left standing."""
    rows = []
    for each in plan.decisions:
        about = f"{each.on}: {', '.join(each.steps)}" if each.steps else each.on
        rows.append(row(about, each.rule, plan.person(each.decides), each.default))
    for rule in plan.rules:
        said = "; ".join(filter(None, [rule_in_words(rule), rule.reason]))
        rows.append(row("versions", said, plan.person(rule.decides) or NOBODY, ""))
    return Section(title="Decisions and rules", table=Table(("on", "agreed", "decides", "by default"), tuple(rows)))


def rule_in_words(rule: Rule) -> str:
    """`app1 and app2 go back together`."""
    if rule.together:
        return f"{' and '.join(rule.together)} go back together"
    if rule.unrelated:
        return f"{' and '.join(rule.unrelated)} never talk to each other"
    end_state = [f"{application} {version}" for application, version in rule.exclude.items()]
    return f"never leave {' with '.join(end_state)} standing"


def people(verdict: Verdict) -> Section:
    """Who is called for what, and who takes over."""
    nobody = Cell("NO STANDBY", strong=True)
    roles = verdict.plan.roles.values()
    rows = tuple(row(each.id, each.primary, each.standby or nobody, each.contact) for each in roles)
    return Section(title="People", table=Table(("role", "primary", "standby", "contact"), rows))


def ages(verdict: Verdict) -> Section:
    """How old the answers are at the moment judged, against what the plan allows."""
    good, old = Cell("good", Status.PASS), Cell("too old", Status.STALE)
    rows = tuple(
        row(age.family, format_duration(age.old), format_duration(age.most), old if age.too_old else good)
        for age in verdict.ages
    )
    return Section(title="Age of the evidence", table=Table(("family", "oldest answer", "allowed", ""), rows))


def not_checked(verdict: Verdict) -> Section:
    """What no verdict speaks of: what was deselected, and what the plan does not ask."""
    return Section(title="Not checked", items=(*_deselected(verdict), *verdict.unconfirmed))


def changes(difference: Difference | None) -> Section:
    """What changed since the run that a gate started from."""
    title, rows = "Since the run before", []
    if difference is None:
        return Section(title=title)
    for change in TOLD:
        for group in pairs_by_cause(difference.which(change)):
            names = ", ".join(f"{pair.line.check} {pair.line.subject}" for pair in group)
            what = names if len(group) == 1 else f"{counted(len(group), 'check')}: {names}"
            rows.append(row(change, what, _told(group[0].old), _told(group[0].new)))
    headline = f"{difference.before.headline} before, {difference.after.headline} now."
    table = Table(("change", "what", "before", "now"), tuple(rows))
    return Section(title=title, items=(headline, *(f"note: {note}" for note in difference.notes)), table=table)


def _told(line: Line | None) -> str:
    """What was seen; of a pass no more than that it is one."""
    if line is None:
        return ""
    if line.status is Status.PASS:
        return line.status
    return f"{line.status}: {line.cause or line.telling[0].summary}"
