"""What the night that the demo repeats cost, by its log, and which line of the report names each cause before it."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from preflight.finding import Finding, Status
from preflight.verdict import Verdict

_LASTED_MINUTES = 390
"""From 00:00 on."""
_WIDTHS = (42, 34, 24)


@dataclass(frozen=True, slots=True)
class Loss:
    what: str
    check: str
    subject: str
    """How the subject of the check's finding begins that names it the day before."""
    minutes: int = 0
    """0 where it is counted elsewhere, or was not timed."""
    note: str = ""
    """What the minutes went into, or where they are counted."""


LOSSES = (
    Loss("the DBA had no login on the server: the scripts ran over the network, in 115 min instead of at most 90",
         "host-login", "db1", 25),
    Loss("a script had been changed after its approval, nobody knew, and it failed",
         "script-hashes", "billing", 140, "70 debate, 10 dead air, 60 to read in"),
    Loss("the pair of versions that was left had never been tested: 70 min of debate",
         "version-pairs", "end states", note="within the 140"),
    Loss("no rule said who decides, and by what", "decisions", "scripts-orders", note="within the 140"),
    Loss("a second DBA had to be found and read in", "on-call", "dba", note="within the 140"),
    Loss("the backup went over the network: its folder was not on the server",
         "backup-location", "billing", note="not timed"),
    Loss("nobody could say whether the database was valid", "schema-drift", "billing", note="not timed"),
)  # fmt: skip
"""The untested pair, the missing rule and the missing second DBA would each have cut short what the changed script
began: their minutes are the same, and count once."""


def tell_story(verdict: Verdict) -> str:
    """The table below the night's report, in 100 columns."""
    lost = sum(loss.minutes for loss in LOSSES)
    heads = ("what went wrong", "named the day before by", "what it cost")
    losses = [(loss.what, _named_by(verdict, loss), _cost(loss)) for loss in LOSSES]
    end = _clock(_LASTED_MINUTES - lost)
    return "\n".join(
        [
            "",
            f"That night the work began at 00:00 and was given up at {_clock(_LASTED_MINUTES)}.",
            "",
            *(line for cells in (heads, *losses) for line in _row(*cells)),
            "",
            f"At least {lost} of {_LASTED_MINUTES} min: without them the night ends at {end}, both applications live.",
            "",
        ]
    )


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def naming(verdict: Verdict, loss: Loss) -> Finding | None:
    """The finding that names it; None where the report does not."""
    found = (each for each in verdict.findings if each.check == loss.check and each.subject.startswith(loss.subject))
    return next((each for each in found if each.status in (Status.FAIL, Status.WARN)), None)


def _named_by(verdict: Verdict, loss: Loss) -> str:
    found = naming(verdict, loss)
    return f"{found.status.upper()} {found.check} {found.subject}" if found else "no line of this report"


def _cost(loss: Loss) -> str:
    return ": ".join(filter(None, [f"{loss.minutes} min" if loss.minutes else "", loss.note]))


def _row(*cells: str) -> Iterator[str]:
    folded = [textwrap.wrap(cell, width - 2) for cell, width in zip(cells, _WIDTHS, strict=True)]
    for number in range(max(map(len, folded))):
        parts = (each[number] if number < len(each) else "" for each in folded)
        yield "".join(f"{part:<{width}}" for part, width in zip(parts, _WIDTHS, strict=True)).rstrip()
