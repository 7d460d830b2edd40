"""For a monitoring system: one line with performance data, and the plugins' own exit codes.

| exit code | word | verdict |
|---|---|---|
| 0 | OK | GO, VALID |
| 1 | WARNING | the same, but not every check passed, or there are waivers or things unconfirmed |
| 2 | CRITICAL | NO-GO, NOT VALID |
| 3 | UNKNOWN | HOLD, NOT KNOWN |

A plan that cannot be read ends with 2 in every format, and so reads CRITICAL here.
In the performance data `U` is what the plan leaves unknown."""

from preflight.errors import ExitCode
from preflight.finding import Status
from preflight.report import PLAIN, View
from preflight.report.comparison import in_words
from preflight.report.document.order import blockers, first_of
from preflight.report.document.sections import counts, decided, left_out
from preflight.report.harmless import clean
from preflight.verdict import Verdict
from preflight.wording import listed

_WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
_MOST_BLOCKERS = 3
_MOST_BYTES = 1023
"""What NRPE carries up to version 2; the performance data stands last, so the text before it is what is cut."""


def render(verdict: Verdict, view: View = PLAIN) -> str:
    """The status line, `|`, the performance data."""
    status = f"PREFLIGHT {_WORDS[exit_code(verdict)]} - {verdict.plan.release.id}: {verdict.headline}"
    rows = blockers(verdict)
    told = [row.told for row in first_of(rows, _MOST_BLOCKERS)]
    blocking = listed(told, _MOST_BLOCKERS, "; ", total=len(rows))
    decisions = [f"decision {each}" for each in decided(verdict)]
    waivers = [f"waiver {use.waiver.id} {use.state}" for use in verdict.waivers]
    without = [f"without {each}" for each in left_out(verdict)]
    changed = in_words(view.difference)
    parts = [status, *decisions, verdict.reason, blocking, *waivers, *without, *verdict.basis, changed, counts(verdict)]
    said = clean("; ".join(filter(None, parts)).replace("|", "/"))
    # `label=value[unit];warn;crit;min;max`, as the plugins' guidelines have it.
    values = [f"{status}={verdict.counts.get(status, 0)};;;0;{verdict.planned}" for status in Status]
    values.append(f"unconfirmed={len(verdict.unconfirmed)};;;0")
    found = verdict.found_schedule
    if found is not None:
        known = found.known
        margin = "U" if known.margin is None else f"{known.margin.total_seconds():.0f}s"
        work = "U" if known.finish_at is None else f"{(known.finish_at - found.begins_at).total_seconds():.0f}s"
        values += [f"margin={margin}", f"work={work};;;0"]
    data = f" | {' '.join(values)}\n"
    return said.encode()[: _MOST_BYTES - len(data)].decode(errors="ignore") + data


def exit_code(verdict: Verdict) -> int:
    """0 to 3, as monitoring systems read them."""
    if verdict.exit_code is not ExitCode.GO:
        return 2 if verdict.exit_code is ExitCode.NO_GO else 3
    all_pass = verdict.counts.get(Status.PASS, 0) == verdict.planned
    return 0 if all_pass and not verdict.waivers and not verdict.unconfirmed else 1
