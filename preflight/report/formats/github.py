"""For a GitHub Actions job: annotations on the plan, failures first. The step's summary is the markdown format:
`--output markdown="$GITHUB_STEP_SUMMARY"`.

GitHub shows 10 errors, 10 warnings and 10 notices of a step and drops the rest, so the last of a kind counts what is
left out. Text from elsewhere stands behind `::error ...::` on one line: it can give the runner no command of its own.
"""

from collections.abc import Sequence

from preflight.errors import ExitCode
from preflight.finding import Status
from preflight.probe import T
from preflight.report import PLAIN, View
from preflight.report.comparison import in_words
from preflight.report.document.order import HOLDS
from preflight.report.document.sections import counts, decided, entries, left_out, unconfirmed_in_words
from preflight.report.document.window import times
from preflight.report.harmless import annotation_property, annotation_text
from preflight.verdict import Verdict

_MOST = 10
_MOST_OF_A_TITLE = 200
"""Characters; GitHub refuses a title of more than 255."""
_LEVELS = {ExitCode.GO: "notice", ExitCode.NO_GO: "error", ExitCode.HOLD: "error"}


def render(verdict: Verdict, view: View = PLAIN) -> str:
    """One workflow command on a line."""
    path = verdict.plan.path.as_posix()
    told: dict[str, list[tuple[str, str]]] = {"error": [], "warning": [], "notice": []}
    title = f"{verdict.plan.release.id}: {verdict.headline}"
    decisions = [f"decision: {each}" for each in decided(verdict)]
    versions = ", ".join(verdict.made_with)
    changed = in_words(view.difference)
    without = [f"without {each}" for each in left_out(verdict)]
    lines = [*decisions, verdict.reason, *without, *verdict.basis, changed, *times(verdict), counts(verdict), versions]
    told[_LEVELS[verdict.exit_code]].append((title, "\n".join(filter(None, lines))))
    told["notice"] += [
        (f"waiver {use.waiver.id}", f"{use.waiver.check} {use.waiver.subject}: {use.state}; {use.text}")
        for use in verdict.waivers
    ]
    for entry in entries(verdict):
        if entry.status is not Status.WAIVED:
            level = "error" if entry.status in HOLDS and entry.severity.decides else "warning"
            told[level].append((f"{entry.status.upper()} {entry.name}{entry.severity.mark}", "\n".join(entry.lines)))
    if verdict.unconfirmed:
        told["warning"].append((unconfirmed_in_words(verdict.unconfirmed), "\n".join(verdict.unconfirmed)))
    commands = []
    for level, every in told.items():
        shown, left = capped(every)
        rest = [(f"and {len(left)} more", "\n".join(title for title, _ in left))] if left else []
        commands += [command(level, path, *each) for each in (*shown, *rest)]
    return "".join(commands)


def command(level: str, path: str, title: str, text: str, line: int | None = None) -> str:
    """A workflow command that annotates a line of a file."""
    at = f",line={line}" if line else ""
    shown = annotation_property(title[:_MOST_OF_A_TITLE])
    return f"::{level} file={annotation_property(path)}{at},title={shown}::{annotation_text(text)}\n"


def capped(annotations: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    """As many as GitHub shows of a step, with room for one that counts the others; and those others."""
    return (annotations, ()) if len(annotations) <= _MOST else (annotations[: _MOST - 1], annotations[_MOST - 1 :])
