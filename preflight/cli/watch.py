"""`gate --watch`: asks in rounds from now to the window's start what can change, and shows each verdict."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from pathlib import Path

from preflight.cli import asking
from preflight.cli.console import CallError, ask_line, complain, write_stdout
from preflight.cli.options import ReportOptions, load, read_plan_files
from preflight.cli.screen import ASK_AGAIN, Lines, Screen, has_screen
from preflight.clock import now
from preflight.engine.answered import Answered
from preflight.engine.conclude import withheld
from preflight.engine.cut_off import at_deadline
from preflight.engine.run import judge
from preflight.errors import Interruption, PlanError
from preflight.plan import Plan
from preflight.plan.confirmed import read_confirmed
from preflight.report import Watch
from preflight.report.comparison import Difference, compare, in_lines
from preflight.report.document.now import decide_by, stamp
from preflight.report.document.order import blockers
from preflight.report.formats import render
from preflight.report.formats.json import report_of
from preflight.report.harmless import clean
from preflight.report.json_report import Report
from preflight.runs import saved_runs
from preflight.runs.gate import read_inputs, start_from
from preflight.runs.steady import Steadiness
from preflight.sessions.pools import Pools
from preflight.units import format_duration
from preflight.verdict import Verdict
from preflight.wording import MOST_NAMED, listed

_TICK_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How often is asked, and how long it must have been GO."""

    every: timedelta
    steady: timedelta | None
    timeout_seconds: float
    """Of one round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    asked: asking.Asked
    verdict: Verdict
    report: Report
    difference: Difference | None
    """Since the run from before the watch."""
    watch: Watch


def hold_watch(plan_path: Path, report: ReportOptions, rhythm: Rhythm) -> int:
    """Watches until the window's start; the exit code of the last verdict."""
    if report.at is not None:
        raise CallError("--at names a moment, --watch goes by the clock: give one of them")
    write = write_stdout if report.stdout_format == "text" else complain
    return Watching(plan_path, report, rhythm, Screen() if has_screen() else Lines(write)).hold()


class Watching:
    """One watch. What it keeps does not grow with its rounds."""

    def __init__(self, plan_path: Path, report: ReportOptions, rhythm: Rhythm, screen: Lines) -> None:
        self._plan, self._registry = load(plan_path)
        asking.chosen(self._plan, self._registry, report, now(), now())  # a mistyped name is told before anybody waits
        self._options, self._rhythm, self._screen = report, rhythm, screen
        self._saved = saved_runs.newest(self._plan)
        self._secrets = asking.secrets_of(self._plan)
        self._pools = Pools(self._plan, self._secrets)
        self._inputs = read_inputs(self._plan)
        self._begun_at = self._asked_at = now()
        self._rounds = 0
        self._last: _Round | None = None
        self._steadiness = Steadiness(rhythm.steady, 2 * rhythm.every, self._plan.window) if rhythm.steady else None

    def hold(self) -> int:
        """Asks and waits until a round begins in the window. Interrupted: delivers the last, raises Interruption."""
        try:
            with self._screen:
                while (last := self._round()).watch.goes_on:
                    self._wait(last)
        except Interruption:
            if self._last is None:
                raise
            self._deliver(self._last)
            at = stamp(self._plan.window, self._last.watch.at)
            raise Interruption(f"preflight: interrupted; the report is that of {at}; no verdict") from None
        finally:
            self._pools.close()
        return self._deliver(last)

    def _round(self) -> _Round:
        self._asked_at = begun_at = now()
        other_plan, inputs = _other_plan(self._plan), read_inputs(self._plan)
        is_changed = inputs != self._inputs
        if is_changed and not other_plan:  # sealed anew, perhaps: what is open was verified by what was pinned before
            self._plan, self._registry = load(self._plan.path)
        try:
            self._plan = replace(self._plan, confirmed=read_confirmed(self._plan.confirmed_file))
        except PlanError as error:
            other_plan = other_plan or str(error)
        plan = self._plan
        if not other_plan:
            self._inputs = inputs
        goes_on = begun_at < plan.window.start
        self._pools.begin_round(anew=is_changed or not goes_on)
        inspection = asking.chosen(plan, self._registry, self._options, _moment(plan, begun_at), begun_at)
        basis = start_from(inspection, self._saved, inputs, begun_at)
        earlier = basis.earlier if self._last is None or is_changed else self._last.asked.answered.evidence
        with at_deadline(self._rhythm.timeout_seconds):
            asked = asking.ask_by(
                self._pools,
                inspection,
                self._rhythm.timeout_seconds,
                inputs,
                self._screen.foot,
                earlier,
                keep_open=True,
                ask_line=self._ask_line,
            )
            grounds = basis.grounds(asked.answered.evidence)
            verdict = asking.with_origins(judge(asked.answered, vantage=asking.vantage_of_this_run(), basis=grounds))
        if other_plan:
            verdict = withheld(verdict, other_plan)
        return self._show(*self._steady(asked, verdict, goes_on=goes_on), goes_on=goes_on)

    def _steady(self, asked: asking.Asked, verdict: Verdict, *, goes_on: bool) -> tuple[asking.Asked, Verdict]:
        """HOLD at the start where it was not GO for long enough; what is kept of the round says so, too."""
        if self._steadiness is None:
            return asked, verdict
        self._steadiness.add(verdict, self._asked_at, now())
        lacking = self._steadiness.lacking
        if goes_on or not lacking:
            return asked, verdict
        evidence = replace(asked.answered.evidence, not_steady=lacking)
        answered = Answered(asked.answered.inspection, evidence)
        return replace(asked, answered=answered), replace(withheld(verdict, lacking), evidence_digest=evidence.digest)

    def _show(self, asked: asking.Asked, verdict: Verdict, *, goes_on: bool) -> _Round:
        """Writes the files that were asked for, the picture, and what changed since the round before."""
        self._rounds += 1
        watch = Watch(
            at=now(),
            begun_at=self._begun_at,
            rounds=self._rounds,
            every_seconds=self._rhythm.every.total_seconds(),
            goes_on=goes_on,
            steady=self._steadiness.text if self._steadiness else "",
            refused=tuple(self._pools.refused()),
        )
        report = report_of(verdict)
        difference = asking.since(self._saved, report)
        ended = _Round(asked=asked, verdict=verdict, report=report, difference=difference, watch=watch)
        self._screen.add([asked.mask(line) for line in _changes(self._last, ended)])
        if goes_on:
            view = asking.view_of(asked, self._options, difference, watch)
            self._screen.add(asking.write_outputs(asked, verdict, self._options, view))
            self._screen.show(asked.mask(render("text", verdict, asking.shown_here(view, self._options))))
        self._last = ended
        return ended

    def _wait(self, last: _Round) -> None:
        """Until the next round is due, or somebody types that it is."""
        due_at = min(self._asked_at + self._rhythm.every, self._plan.window.start)
        while (left := due_at - now()) > timedelta():
            self._screen.foot(self._foot(last, left))
            if self._screen.wait(min(left.total_seconds(), _TICK_SECONDS)):
                if last.watch.refused:
                    self._open_anew()
                return

    def _foot(self, last: _Round, left: timedelta) -> str:
        at = now().replace(microsecond=0)
        told = [f"{stamp(self._plan.window, at)}  next round in {format_duration(left)}", decide_by(last.verdict, at)]
        also = ", refused logins too" if last.watch.refused else ""
        keys = [f"{ASK_AGAIN}: ask now{also}"] if self._screen.keys else []
        return "  ".join([*told, *keys, "Ctrl-C: end"])

    def _open_anew(self) -> None:
        """Closes every connection and reads the secrets again, so that each account is tried again."""
        self._pools.close()
        self._screen.__exit__(None, None, None)  # for what is asked at a prompt
        self._secrets = asking.secrets_of(self._plan)
        self._screen.__enter__()
        self._pools = Pools(self._plan, self._secrets)

    def _ask_line(self, question: str, shown: bool, is_over: Callable[[], bool]) -> str | None:
        self._screen.__exit__(None, None, None)
        try:
            return ask_line(question, shown, is_over)
        finally:
            self._screen.__enter__()

    def _deliver(self, last: _Round) -> int:
        """As `gate` does. The page that is left does not read itself again."""
        watch = replace(last.watch, goes_on=False)
        return asking.deliver(last.asked, last.verdict, self._options, difference=last.difference, watch=watch)


def _moment(plan: Plan, at: datetime) -> datetime:
    """The window's start; now, as `run` judges, while what is asked now would be too old by then: it is asked again."""
    shortest = min(getattr(plan.freshness, each.name) for each in fields(plan.freshness))
    return at if plan.window.start - at > shortest else max(at, plan.window.start)


def _other_plan(plan: Plan) -> str:
    """Why the plan beside which this watch was called is no longer the one it watches; empty where it is."""
    try:
        is_same = read_plan_files(plan.path).digest == plan.digest
    except PlanError:
        return f"{plan.path.name} was changed and cannot be read: mend it, and call the watch again"
    return "" if is_same else f"{plan.path.name} was changed since this watch began: call it again"


def _changes(before: _Round | None, after: _Round) -> list[str]:
    """With the time; the first round tells its verdict."""
    verdict = after.verdict
    if before is None:
        names = listed([row.what for row in blockers(verdict)], MOST_NAMED)
        told = [f"{verdict.headline}{f': {names}' if names else ''}"]
    else:
        headlines = (before.verdict.headline, verdict.headline)
        told = [" -> ".join(headlines)] if headlines[0] != headlines[1] else []
        told += in_lines(compare(before.report, after.report))
    because = [f"because {verdict.reason}"] if verdict.reason and told else []
    return [f"{stamp(verdict.plan.window, after.watch.at)} {clean(each)}" for each in (*told, *because)]
