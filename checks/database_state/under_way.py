"""What goes on in a database and ends by itself: transactions, locks, clients; and prepared transactions, which do not.
Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from preflight.clock import format_moment
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.plan import Database, Plan
from preflight.questions.activity import Seen
from preflight.questions.sql import membership_grant, quote_literal
from preflight.units import format_duration
from preflight.wording import counted, one_line

_VACUUM = "autovacuum worker"


def judge_activity(plan: Plan, database: Database, seen: Sequence[Seen], *, is_near: bool) -> Iterator[Judgement]:
    """`is_near`: what ends by itself should have ended by now."""
    looked = _Looked(plan, database, is_near)
    judges = {
        "blocks": looked.judge_blockers,
        "idle": looked.judge_idle,
        "long": looked.judge_long,
        "prepared": looked.judge_prepared,
        "stranger": looked.judge_strangers,
        "backup": looked.tell_backups,
        "client": looked.tell_clients,
        "hidden": looked.judge_hidden,
    }
    for kind, judge in judges.items():
        if found := [each for each in seen if each.kind == kind]:
            yield judge(found)
    if not {"blocks", "idle", "long", "prepared", "hidden"} & {each.kind for each in seen}:
        yield passed("no transaction is open for long, idle, left prepared, or holds a lock on what the scripts touch")


@dataclass(frozen=True, slots=True)
class _Looked:
    plan: Plan = field(repr=False)
    database: Database
    is_near: bool

    def judge_blockers(self, found: Sequence[Seen]) -> Judgement:
        summary = f"{counted(found[0].total, 'session holds', 'sessions hold')} locks on tables that the scripts touch"
        return self._ends_by_itself(summary, "no lock on them that is held for long", found)

    def judge_idle(self, found: Sequence[Seen]) -> Judgement:
        summary = f"{counted(found[0].total, 'session is', 'sessions are')} idle in a transaction"
        return self._ends_by_itself(summary, "no session that is idle in a transaction for long", found)

    def judge_long(self, found: Sequence[Seen]) -> Judgement:
        summary = f"{counted(found[0].total, 'transaction is', 'transactions are')} open for long"
        return self._ends_by_itself(summary, "no transaction that is open for long", found)

    def judge_prepared(self, found: Sequence[Seen]) -> Judgement:
        """They keep their locks over a restart, and no session shows them."""
        rollback = " ".join(f"ROLLBACK PREPARED {quote_literal(each.words)};" for each in found)
        owners = " and ".join(dict.fromkeys(each.user for each in found))
        told = [f"{each.words} of {each.user}, {self._since(each)}{_locks(each)}" for each in found]
        left = counted(found[0].total, "prepared transaction is left over", "prepared transactions are left over")
        return failed(
            f"{left}: it takes somebody to end a prepared transaction",
            expected="none",
            actual=_listed(told, found),
            remedy=f"ask whoever runs the transactions of {owners} whether to commit (COMMIT PREPARED), else, in "
            f"{self.database.dbname}: {rollback}",
        )

    def judge_strangers(self, found: Sequence[Seen]) -> Judgement:
        addresses = dict.fromkeys(each.client or "" for each in found)
        ends = " ".join(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "  # noqa: S608 - only shown
            f"WHERE datname = {quote_literal(self.database.dbname)} AND client_addr = {quote_literal(each)};"
            for each in addresses
        )
        return self._or_later(
            f"clients are connected from {', '.join(addresses)}, which nobody listed",
            f"only clients from {', '.join(self.database.clients or ()) or 'the server itself'}: `clients` of "
            f"[databases.{self.database.id}]",
            _listed([f"{counted(each.sessions, 'session')} of {_who(each)}" for each in found], found),
            "ask whoever runs them there: have them stopped, or listed in `clients`; once they agree, what is left "
            f"over is ended by the DBA: {ends}",
        )

    def tell_backups(self, found: Sequence[Seen]) -> Judgement:
        first = found[0]
        return passed(f"a backup of the plan is being taken: pg_dump by {first.user}, {self._since(first)}")

    def tell_clients(self, found: Sequence[Seen]) -> Judgement:
        told = [f"{counted(each.sessions, 'session')} of {_who(each)}" for each in found]
        judged = "" if self.database.clients is not None else "; from where they may come, the plan does not say"
        return passed(f"connected: {_listed(told, found)}{judged}")

    def judge_hidden(self, found: Sequence[Seen]) -> Judgement:
        grant = membership_grant("pg_read_all_stats", self.database.user)
        return unknown(
            "what sessions of other roles do may not be seen: whether they hold locks, or transactions open",
            expected="no transaction that is open for long or holds a lock on what the scripts touch",
            actual=f"{counted(found[0].sessions, 'session')} of other roles now",
            remedy=self.database.on_primary(f"{grant};"),
        )

    def _ends_by_itself(self, summary: str, expected: str, found: Sequence[Seen]) -> Judgement:
        told = [f"pid {each.pid}, {_who(each)}, {self._since(each)}{_locks(each)}{_query(each)}" for each in found]
        people = " and ".join(dict.fromkeys(_person(each) for each in found))
        ends = " ".join(f"SELECT pg_terminate_backend({each.pid});" for each in found)
        remedy = f"ask {people} to end it (COMMIT or ROLLBACK); once they agree, the DBA ends what is left over: {ends}"
        if any(each.state == _VACUUM for each in found):
            remedy += " (an autovacuum that prevents wraparound begins anew: have it finished before the window)"
        return self._or_later(summary, expected, _listed(told, found), remedy)

    def _or_later(self, summary: str, expected: str, actual: str, remedy: str) -> Judgement:
        if self.is_near:
            return failed(summary, expected=expected, actual=actual, remedy=remedy)
        window = self.plan.window
        start = format_moment(window.start - self.plan.freshness.state, window.zone)
        later = f"{summary}: seen now, asked again at the gate"
        return warned(later, expected=f"{expected}, from {start} on", actual=actual, remedy=remedy)

    def _since(self, seen: Seen) -> str:
        lasted = format_duration(timedelta(seconds=seen.seconds))
        return f"since {format_moment(seen.since, self.plan.window.zone)} ({lasted})"


def _who(seen: Seen) -> str:
    if seen.state == _VACUUM:
        return "autovacuum, which prevents wraparound"
    place = seen.client or "the server itself"
    named = [f"from {place}", one_line(seen.application), seen.state]
    return f"{seen.user} {', '.join(filter(None, named))}"


def _person(seen: Seen) -> str:
    """Whom to ask."""
    what = one_line(seen.application) or "the session"
    return f"whoever runs {what} as {seen.user} on {seen.client or 'the server itself'}" if seen.user else "the DBA"


def _locks(seen: Seen) -> str:
    return f", holds {one_line(seen.locks)}" if seen.locks else ""


def _query(seen: Seen) -> str:
    return f", last query: {one_line(seen.words)}" if seen.words.strip() else ""


def _listed(told: Sequence[str], found: Sequence[Seen]) -> str:
    more = found[0].total - len(found)
    return "; ".join([*told, *([f"and {more} more"] if more > 0 else [])])
