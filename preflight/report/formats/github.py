"""For a GitHub Actions job: annotations on the plan, failures first. The step's summary is the markdown format:
`--output markdown="$GITHUB_STEP_SUMMARY"`.

GitHub shows 10 errors, 10 warnings and 10 notices of a step and drops the rest, so the last of a kind counts what is
left out. Text from elsewhere stands behind `::error ...::` on one line: it can give the runner no command of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from preflight.finding import Finding, Severity, Status
from preflight.report import window
from preflight.report.layout import clean, counted
from preflight.report.order import by_cause, told_one_by_one
from preflight.report.view import PLAIN, View
from preflight.verdict import Decision, Verdict

MOST = 10
_MOST_CHARACTERS = 4000
_MOST_OF_A_TITLE = 200
"""GitHub cuts a message at 4096 characters and refuses a title of more than 255."""
_LEVELS = {Decision.GO: "notice", Decision.NO_GO: "error", Decision.HOLD: "error"}
_RED = (Status.FAIL, Status.UNKNOWN, Status.STALE)

Annotation = tuple[str, str]
"""Title and text."""


def render(verdict: Verdict, view: View = PLAIN) -> str:  # noqa: ARG001 - the same call for every format
    """One workflow command on a line."""
    path = verdict.plan.path.as_posix()
    told: dict[str, list[Annotation]] = {"error": [], "warning": [], "notice": []}
    told[_LEVELS[verdict.decision]].append(_verdict(verdict))
    told["notice"] += [
        (f"waiver {use.waiver.id}", f"{use.waiver.check} {use.waiver.subject}: {use.state}; {use.text}")
        for use in verdict.waivers
    ]
    for finding in told_one_by_one(verdict.plan, verdict.findings, Severity.BLOCKING):
        if finding.status is not Status.WAIVED:
            told["error" if finding.status in _RED else "warning"].append(_finding(finding))
    told["error"] += [_cause(folded) for folded in by_cause(verdict.findings)]
    for finding in told_one_by_one(verdict.plan, verdict.findings, Severity.ADVISORY):
        told["warning"].append(_finding(finding))
    if verdict.unconfirmed:
        title = f"the plan leaves {counted(len(verdict.unconfirmed), 'thing')} unconfirmed"
        told["warning"].append((title, "\n".join(verdict.unconfirmed)))
    return "".join(command(level, path, *each) for level, all_ in told.items() for each in capped(all_))


def command(level: str, path: str, title: str, text: str, line: int | None = None) -> str:
    """A workflow command that annotates a line of a file."""
    at = f",line={line}" if line else ""
    return f"::{level} file={_property(path)}{at},title={_property(title[:_MOST_OF_A_TITLE])}::{_data(text)}\n"


def capped(annotations: Sequence[Annotation]) -> list[Annotation]:
    """As many as GitHub shows of a step."""
    if len(annotations) <= MOST:
        return list(annotations)
    left = annotations[MOST - 1 :]
    return [*annotations[: MOST - 1], (f"and {len(left)} more", "\n".join(title for title, _ in left))]


def _verdict(verdict: Verdict) -> Annotation:
    lines = [*window.times(verdict), window.counts(verdict)]
    return f"{verdict.plan.release.id}: {verdict.headline}", "\n".join(filter(None, [verdict.reason, *lines]))


def _finding(finding: Finding) -> Annotation:
    lines = []
    for point in finding.judgement.telling_points():
        labelled = (("found", point.actual), ("wanted", point.expected), ("cure", point.remedy))
        lines += [point.summary, *(f"{label}: {text}" for label, text in labelled if text)]
    lines.append(f"owner: {finding.owner or 'nobody named in the plan'}")
    return f"{finding.status.upper()} {finding.check} {finding.subject}", "\n".join(lines)


def _cause(folded: Sequence[Finding]) -> Annotation:
    names = ", ".join(f"{each.check} {each.subject}" for each in folded)
    return f"UNKNOWN {counted(len(folded), 'check')} could not look", f"{folded[0].cause}\n{names}"


def _data(text: str) -> str:
    """As the runner reads it back: three characters are escaped, lines are kept."""
    lines = [clean(line) for line in text[:_MOST_CHARACTERS].replace("\r", "").split("\n")]
    return "%0A".join(line.replace("%", "%25") for line in lines)


def _property(text: str) -> str:
    shown = clean(text).replace("%", "%25")
    return shown.replace(":", "%3A").replace(",", "%2C")
