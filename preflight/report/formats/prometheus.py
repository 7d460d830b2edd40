"""For the node exporter's textfile collector: gauges, replaced by each run.

Write it with `--output prometheus=FILE.prom`: files are replaced as a whole, which the collector asks for. An alert on
`preflight_verdict{decision="GO"} == 0` and one on an old `preflight_evidence_timestamp_seconds` are a start: a run
that never happened changes no gauge. What the plan leaves unknown has no gauge; once the window is open, the work is
taken to begin at the moment judged."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from preflight.finding import Status
from preflight.report import PLAIN, View
from preflight.report.comparison import Change
from preflight.report.document.sections import left_out
from preflight.report.harmless import label_value
from preflight.verdict import READINESS, VERIFIED, Verdict

Sample = tuple[Mapping[str, str], float]


def render(verdict: Verdict, view: View = PLAIN) -> str:
    """The text exposition format, version 0.0.4; times are seconds since 1970, UTC."""
    return "\n".join(line for family in _families(verdict, view) for line in family) + "\n"


def _families(verdict: Verdict, view: View) -> Iterator[Iterator[str]]:
    release = {"release": verdict.plan.release.id}
    digests = {"plan_sha256": verdict.plan.digest[:12], "evidence_sha256": verdict.evidence_digest[:12]}
    yield _family("info", "What was judged.", [({**release, **digests}, 1)])
    words = VERIFIED if verdict.expect else READINESS
    decisions = [({**release, "decision": each.value}, each is verdict.decision) for each in words]
    yield _family("verdict", "1 for the decision, 0 for the others.", decisions)
    counts = [({**release, "status": each.value}, verdict.counts.get(each, 0)) for each in Status]
    yield _family("checks", "Planned checks by what became of them.", counts)
    findings = [
        ({**release, "check": each.check, "subject": each.subject, "status": each.status, "severity": each.severity}, 1)
        for each in verdict.findings
    ]
    yield _family("finding", "One for each planned check; its status is a label.", findings)
    yield _family("unconfirmed", "Things that the plan does not ask.", [(release, len(verdict.unconfirmed))])
    for each in verdict.plan.confirmed.decided[-1:]:
        taken = {**release, "decision": each.decision, "by": each.by, "plan_sha256": each.plan[:12]}
        yield _family("decided", "What people decided last.", [(taken, 1)])
    if waivers := [({**release, "waiver": use.waiver.id, "state": use.state.value}, 1) for use in verdict.waivers]:
        yield _family("waiver", "One for each waiver of the plan; what became of it is a label.", waivers)
    if without := [({**release, "what": each}, 1.0) for each in left_out(verdict)]:
        yield _family("without", "What the plan leaves out, does not let block, or overrides.", without)
    if view.difference:
        changes = [({**release, "change": each.value}, len(view.difference.which(each))) for each in Change]
        yield _family("changed", "Lines by what became of them since the run before.", changes)
    if verdict.basis:
        basis = [({**release, "basis": each}, 1) for each in verdict.basis]
        yield _family("basis", "What of an earlier run the verdict stands on, and what voided it.", basis)
    asked = [each.oldest_evidence_at for each in verdict.findings if each.oldest_evidence_at is not None]
    moments: dict[str, tuple[str, datetime | None]] = {
        "evidence": ("When the oldest answers were given.", min([*asked, verdict.collected_at])),
        "judged": ("The moment judged.", verdict.moment),
        "window_start": ("Start of the window.", verdict.plan.window.start),
        "window_end": ("End of the window.", verdict.plan.window.end),
    }
    found = verdict.found_schedule
    if found is not None:
        known = found.known
        moments["latest_start"] = ("When to begin the work at the latest, with what failed.", known.latest_start)
        moments["finish"] = ("End of the work, with what failed.", known.finish_at)
        moments["decide_by"] = ("When to decide at the latest.", known.decide_by)
        moments["start_rollback_by"] = ("When to begin the way back at the latest.", known.start_rollback_by)
        if known.margin is not None:
            margin = known.margin.total_seconds()
            yield _family("margin_seconds", "From the last risky step to decide-by.", [(release, margin)])
    for name, (text, at) in moments.items():
        if at is not None:
            yield _family(f"{name}_timestamp_seconds", text, [(release, at.timestamp())])
    if view.took_seconds is not None:
        yield _family("run_duration_seconds", "How long the run took.", [(release, view.took_seconds)])


def _family(name: str, text: str, samples: Iterable[Sample]) -> Iterator[str]:
    """A gauge; of two samples with equal labels, which the format forbids, the first."""
    yield from (f"# HELP preflight_{name} {text}", f"# TYPE preflight_{name} gauge")
    lines: dict[str, float] = {}
    for labels, value in samples:
        written = ",".join(f'{key}="{label_value(label)}"' for key, label in labels.items())
        lines.setdefault(f"preflight_{name}{{{written}}}", value)
    yield from (f"{line} {float(value):.15g}" for line, value in lines.items())
