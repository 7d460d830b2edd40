"""`preflight gate --watch` as a release manager types it, over a plan whose one check reads a file beside it. The clock
goes on while the watch waits, and with it what a test does to the file."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from preflight.cli import asking, screen, watch
from preflight.errors import Interruption
from preflight.evidence import Evidence
from preflight.report.formats import FORMATS
from tests.cli.program import preflight, write_answer_plan
from tests.confirmed import confirm_all
from tests.window_plans import zone_at_noon

Act = Callable[[], object]


def nothing() -> None:
    """The site stays as it is."""


class Night:
    """The plan, and what becomes of its file from one wait to the next."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.start = self.now + timedelta(minutes=3)
        self.zone = zone_at_noon(self.start)
        self.plan = write_answer_plan(folder, self.start, self.zone)
        self.page = folder / "board.html"
        self.acts: list[Act] = []
        self._patch = patch
        patch.setattr(watch, "now", lambda: self.now)
        patch.setattr(screen.Lines, "wait", self._wait)

    def says(self, text: str) -> Act:
        return lambda: (self.plan.parent / "answer.txt").write_text(text)

    def edits(self, old: str, new: str) -> Act:
        return lambda: self.plan.write_text(self.plan.read_text().replace(old, new))

    def watch(self, acts: Sequence[Act], *arguments: str | Path) -> tuple[int, str, str]:
        """Exit code, output and errors of a watch; one act in each wait of 60 s."""
        self.acts = list(acts)
        done = preflight("gate", self.plan, "--watch", *arguments)
        assert "Traceback" not in done.stderr
        assert not self.acts, done.stdout + done.stderr
        return done.returncode, done.stdout, done.stderr

    def at(self, seconds: int) -> str:
        """As a line begins."""
        at = (self.start + timedelta(seconds=seconds)).astimezone(ZoneInfo(self.zone))
        return f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"

    def _wait(self, _seconds: float) -> bool:
        self.acts.pop(0)()
        self.now += timedelta(seconds=60)
        return False


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Night:
    return Night(tmp_path, monkeypatch)


def test_one_line_tells_each_change_and_the_last_verdict_is_the_exit_code(night: Night) -> None:
    code, told, _ = night.watch([night.says("no"), nothing, night.says("yes")])
    lines = [line for line in told.splitlines() if re.match(r"\d\d:\d\d", line)]
    assert code == 0
    assert lines == [
        f"{night.at(-180)} GO",
        f"{night.at(-120)} GO -> NO-GO",
        f"{night.at(-120)} answer file: pass -> FAIL: it does not",
        f"{night.at(0)} NO-GO -> GO",
        f"{night.at(0)} answer file: fail -> pass",
    ]


def test_the_code_is_the_one_at_the_start(night: Night) -> None:
    assert night.watch([nothing, nothing, night.says("no")])[0] == 1


@pytest.mark.parametrize("form", ["json", "junit", "prometheus"])
def test_lines_stand_apart_from_a_report_for_programs(night: Night, form: str) -> None:
    code, told, errors = night.watch([night.says("no"), nothing, nothing], "--format", form)
    assert code == 1
    assert "pass -> FAIL" in errors
    assert "pass -> FAIL" not in told.partition("Since")[0]
    if form == "json":
        assert json.loads(told)["verdict"] == "NO-GO"


def test_the_page_is_written_again_each_round_and_reads_itself_again_until_the_last(night: Night) -> None:
    pages: list[str] = []

    def look() -> None:
        pages.append(night.page.read_text())
        night.says("no")()

    assert night.watch([look, look, nothing], "--output", f"html={night.page}")[0] == 1
    first, second = pages
    last = night.page.read_text()
    for page, before in ((first, "3 min"), (second, "2 min")):
        assert '<meta http-equiv="refresh" content="60">' in page
        assert "<script" not in page
        assert f"{before} before the start" in page
        assert f"the window opens, in {before}" in page
        assert "decide by not known: the plan has no steps" in page
    assert "<title>GO " in first
    assert "<title>NO-GO " in second
    assert 'http-equiv="refresh"' not in last
    assert "4 rounds since" in last
    assert not list(night.page.parent.glob(".board*")), "written beside it and put in its place at once"


def test_a_page_that_cannot_be_written_is_told_and_costs_no_round(night: Night) -> None:
    code, told, errors = night.watch([nothing] * 3, "--output", f"html={night.page / 'x'}")
    assert told.count("the report could not be written") == 3
    assert "the report could not be written" in errors
    assert code == 4


def test_only_the_last_round_is_kept(night: Night) -> None:
    night.watch([nothing] * 3)
    (saved,) = (night.plan.parent / ".preflight" / "REL-1").glob("*Z.json")
    assert Evidence.load(saved)


def test_what_changed_since_the_run_before_the_watch_stands_in_its_report(night: Night) -> None:
    assert preflight("run", night.plan).returncode == 0
    _, told, _ = night.watch([night.says("no"), nothing, nothing])
    assert "pass -> FAIL  answer  file" in told
    assert "(GO): everything is asked again" in " ".join(told.split())


def interrupt() -> None:
    raise Interruption


def test_interrupted_it_prints_and_keeps_the_last_round(night: Night) -> None:
    code, told, errors = night.watch([night.says("no"), interrupt])
    assert code == 130
    assert "NO-GO (exit code 1)" in told
    assert f"interrupted; the report is that of {night.at(-120)}; no verdict" in errors
    (saved,) = (night.plan.parent / ".preflight" / "REL-1").glob("*.report.json")
    assert json.loads(saved.read_text())["verdict"] == "NO-GO"


STEADY = ("--steady", "2min")


def test_go_for_long_enough_is_go_and_each_sample_is_shown(night: Night) -> None:
    code, told, _ = night.watch([nothing] * 3, *STEADY)
    assert code == 0
    rounds = "3 rounds: " + ", ".join(night.at(seconds) for seconds in (-120, -60, 0))
    assert f"GO for 2 min without a break, 2 min wanted, in {rounds}" in " ".join(told.split())


def test_go_for_too_short_a_time_is_hold_in_every_format(night: Night) -> None:
    outputs = [part for form in FORMATS for part in ("--output", f"{form}={night.plan.parent / form}")]
    code, told, _ = night.watch([night.says("no"), night.says("yes"), nothing], *STEADY, *outputs)
    assert code == 3
    since = f"{night.at(-60)}, {night.at(0)}; before: NO-GO at {night.at(-120)}"
    assert f"not steady: GO for 1 min without a break, 2 min wanted, in 2 rounds: {since}" in " ".join(told.split())
    for form in FORMATS:
        report = (night.plan.parent / form).read_text()
        if form != "prometheus":
            assert "ot steady" in report, form
        if form not in ("prometheus", "say"):
            assert "HOLD" in report, form
    again = preflight("gate", night.plan, "--no-ask")
    assert (again.returncode, "not steady: GO for 1 min" in " ".join(again.stdout.split())) == (3, True)


def test_rounds_far_apart_are_no_row(night: Night) -> None:
    def sleep() -> None:
        night.now += timedelta(seconds=130)  # the machine was suspended

    code, told, _ = night.watch([sleep], *STEADY)
    assert code == 3
    assert "nothing asked from" in " ".join(told.split())


def test_a_round_that_takes_longer_than_every_is_followed_by_the_next_at_once(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_by, under_way, begun = asking.ask_by, [0], []

    def slowly(*values: object, **more: object) -> object:
        under_way[0] += 1
        assert under_way[0] == 1
        begun.append(night.now)
        night.now += timedelta(seconds=90)
        try:
            return ask_by(*values, **more)  # type: ignore[arg-type]
        finally:
            under_way[0] -= 1

    monkeypatch.setattr(asking, "ask_by", slowly)
    assert night.watch([])[0] == 0
    assert [(at - night.start).total_seconds() for at in begun] == [-180, -90, 0]


def test_called_in_the_window_it_asks_once(night: Night) -> None:
    night.now = night.start + timedelta(minutes=1)
    assert "1 round since" in night.watch([])[1]


def test_long_before_the_start_it_is_judged_for_now(night: Night) -> None:
    start, later = (f"start = {at:%Y-%m-%dT%H:%M:%S}" for at in (night.start, night.start + timedelta(hours=3)))
    night.edits(start, later)()
    code, told, _ = night.watch([interrupt])
    assert "GO (exit code 0)" in told, "what is asked now is asked again, so that nothing is stale"
    assert code == 130


def test_another_plan_is_hold_until_it_is_called_again(night: Night) -> None:
    code, told, _ = night.watch([night.edits('id = "REL-1"', 'id = "REL-1"\ntitle = "x"'), nothing, nothing])
    assert code == 3
    assert "GO -> HOLD" in told
    assert "plan.toml was changed since this watch began: call it again" in told


def test_a_word_that_is_given_during_the_watch_counts_from_the_next_round_on(night: Night) -> None:
    text = night.plan.read_text()
    people = '[roles.dba]\nprimary = "D. Kaya"\nstandby = "M. Ortiz"\ncontact = "ext. 4411"\n'
    night.plan.write_text(f"{text}\n{people}")
    said = [night.now - timedelta(hours=1)]
    code, told, _ = night.watch([lambda: confirm_all(night.plan, *said), nothing, nothing])
    assert "NO-GO: on-call dba" in told
    assert "NO-GO -> GO" in told
    assert code == 0


def test_what_was_said_cannot_be_read_any_more_is_hold(night: Night) -> None:
    said = night.plan.with_name("plan.confirmed.toml")
    code, told, _ = night.watch([lambda: said.write_text("format = 2\n"), nothing, nothing])
    assert (code, "plan.confirmed.toml: cannot be read: format" in told) == (3, True)


def test_a_watch_of_a_plan_with_a_variable_watches_that_plan(night: Night) -> None:
    text = night.plan.read_text().replace('id = "REL-1"', 'id = "REL-1"\ntitle = "${site}"')
    night.plan.write_text(f'{text}\n[variables]\nsite = "a"\n')
    assert night.watch([nothing, nothing, nothing], "--set", "site=b")[0] == 0


def test_a_plan_that_is_being_written_is_hold_for_so_long(night: Night) -> None:
    code, told, _ = night.watch([night.edits("[window]", "[windo"), night.edits("[windo", "[window]"), nothing])
    assert "plan.toml was changed and cannot be read: mend it" in told
    assert "HOLD -> GO" in told
    assert code == 0


@pytest.mark.long
def test_what_is_kept_does_not_grow_with_the_rounds(night: Night) -> None:
    alive: list[int] = []

    def count() -> None:
        gc.collect()
        alive.append(sum(isinstance(each, Evidence) for each in gc.get_objects()))

    night.now = night.start - timedelta(minutes=30)
    night.watch([count] * 30, "--output", f"html={night.page}")
    assert alive[-1] == alive[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--every", "5s"], "--every is for --watch"),
        (["--steady", "5min"], "--steady is for --watch"),
        (["--watch", "--no-ask"], "--watch asks, --no-ask does not"),
        (["--watch", "--at", "2030-01-01 00:00"], "--watch goes by the clock"),
        (["--watch", "--every", "0s"], "is not from 1s to 24h"),
        (["--watch", "--every", "soon"], "is no duration; write for example"),
        (["--watch", "--every", "2d"], "is not from 1s to 24h"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_says_what_is_wrong(night: Night, arguments: list[str], said: str) -> None:
    done = preflight("gate", night.plan, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.split())
