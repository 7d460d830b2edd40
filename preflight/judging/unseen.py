"""What is said of a subject that nobody could look at, and what lets the next run look. Pure."""

from __future__ import annotations

from preflight.finding import Judgement, unknown
from preflight.probe import NO_SECRET, Cause, NoReply

_BY_REASON = {
    NO_SECRET: "set the secret where preflight runs, or name another reference in the plan",
    "jump": "mend the login to the jump host, as its own line of host-login says",
    "host": "mend the login to the database's host, as its own line of host-login says",
    "no-driver": "have psycopg installed again where preflight runs: python3 -m pip install 'psycopg[binary]'",
    "busy": "ask from a machine that has less to do, or with a longer --timeout",
    "internal": "report it to the authors of preflight: it is a defect",
}
_BY_CAUSE = {
    Cause.NOT_ASKED: "ask it, too: preflight run, or the part of preflight collect that asks it",
    Cause.TIMED_OUT: "ask with a longer --timeout",
    Cause.UNREADABLE: "have somebody run what `preflight show` prints for it there, and mend what spoils its output",
    Cause.CUT_OFF: "read the far end's log for why it ended the session",
    Cause.CONTRADICTION: "ask from one place, or find out why the answers differ",
}
_OTHERWISE = "mend what the detail names, as the line of host-login or database-login says"


def could_not_look(lost: NoReply, at: str = "") -> Judgement:
    """UNKNOWN for want of an answer. `at`: what one looked for, where that is not the whole subject."""
    remedy = _BY_REASON.get(lost.reason) or _BY_CAUSE.get(lost.cause, _OTHERWISE)
    return unknown(f"could not look{at}: {lost.cause}", actual=lost.detail, remedy=remedy)
