"""The picture of the window: to scale, backwards from the end, within its width, harmless."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from preflight.finding import Event
from preflight.judging.schedule import schedule
from preflight.plan import Plan, Step, Undo, UndoKind, Window
from preflight.report import drawing
from preflight.report.document.window import timeline
from preflight.report.formats import html
from preflight.verdict import Verdict
from tests.report.formats.cases import HOSTILE, go, no_go

START = datetime(2026, 10, 17, 4, 0, tzinfo=UTC)


def drawn(verdict: Verdict, width: int = 100, ascii: bool = False) -> list[str]:  # noqa: A002 - as the encoding
    shown = timeline(verdict)
    return drawing.drawn(shown, width, ascii) if shown else []


def picture(*steps: Step, hours: float = 6, over_network: tuple[str, ...] = (), zone: str = "UTC") -> list[str]:
    window = replace(go().plan.window, start=START, end=START + timedelta(hours=hours), zone=zone)
    return drawn(_with(replace(go().plan, window=window, steps=steps), over_network), ascii=True)


def _with(plan: Plan, over_network: tuple[str, ...] = ()) -> Verdict:
    found = schedule(plan, over_network=over_network)
    return replace(go(), plan=plan, planned_schedule=schedule(plan), found_schedule=found, events=())


def step(name: str, minutes: float, *after: str, undo: float | None = 0, **fields: object) -> Step:
    kind = Undo(kind=UndoKind.NONE) if undo is None else Undo(kind=UndoKind.SCRIPT, minutes=undo)
    return Step(id=name, minutes=minutes, after=after, undo=kind, **fields)  # type: ignore[arg-type]


def row(lines: list[str], label: str) -> str:
    return next(line for line in lines if line.strip().startswith(label))[23:]


def test_a_plan_without_steps_has_no_picture() -> None:
    assert drawn(replace(go(), planned_schedule=None, found_schedule=None)) == []


def test_a_step_takes_its_share_of_the_width() -> None:
    lines = picture(step("first", 180), step("second", 180, "first"))
    cells = row(lines, "first").count("#"), row(lines, "second").count("#")
    assert abs(cells[0] - 38.5) <= 1
    assert abs(cells[1] - 38.5) <= 1
    assert row(lines, "second").startswith(" " * cells[0] + "#"), "it begins where the first one ends"


def test_the_shortest_step_is_still_seen() -> None:
    assert row(picture(step("blink", 1), hours=48), "blink") == "#"


def test_the_way_back_is_drawn_from_the_end_and_its_left_edge_is_the_last_moment_to_begin_it() -> None:
    lines = picture(step("only", 60, undo=120))
    back = row(lines, "way back")
    assert back.strip() == "<" + "=" * (len(back.strip()) - 1)
    assert len(back) == 77, "to the window's end"
    marks = next(line for line in lines if line.split() == ["D", "R"])[23:]
    assert marks.index("R") == back.index("<")
    assert marks.index("D") < marks.index("R")


def test_what_a_lost_path_moves_is_told_apart_from_what_was_planned() -> None:
    copy = step("copy", 60, minutes_over_network=120.0)
    lines = picture(copy, step("next", 60, "copy"), over_network=("copy",))
    assert set(row(lines, "copy")) == {"#", "/"}
    assert row(lines, "next").strip(" ") == "." * row(lines, "next").count(".") + "/" * row(lines, "next").count("/")
    assert "/ as found" in lines[-1]
    assert "as found" not in picture(copy)[-1]


def test_work_that_goes_on_after_the_window_shows_where_the_window_ends() -> None:
    lines = picture(step("long", 600))
    assert "E end of the window" in lines[-1]
    assert any(set(line.strip()) <= set("DRE ") and "E" in line for line in lines[:-1])
    assert len(row(lines, "long")) == 77


def test_a_step_that_cannot_be_undone_is_marked() -> None:
    lines = picture(step("first", 60), step("final", 60, "first", undo=None))
    assert "N no way back" in lines[-1]
    assert any("N" in line.split() for line in lines[:-1])


def test_lines_of_work_are_headed_by_their_names() -> None:
    lines = picture(step("a", 60, track="orders"), step("b", 60, track="billing"))
    assert [line for line in lines if line in ("orders", "billing")] == ["orders", "billing"]
    assert " a" in [line[:2] for line in lines]


def test_what_ends_inside_stands_at_its_time() -> None:
    verdict = _with(replace(go().plan, window=replace(go().plan.window, start=START, end=START + timedelta(hours=6))))
    event = Event(at=START + timedelta(hours=3), text="password of dbadmin ends")
    lines = drawn(replace(verdict, events=(event, event)), ascii=True)
    assert 37 <= row(lines, "inside").index("!") <= 39
    assert row(lines, "inside").count("!") == 1


@pytest.mark.parametrize("hours", [0.25, 1, 3, 6, 11, 26, 24 * 9])
@pytest.mark.parametrize("width", [60, 100, 160])
def test_every_scale_keeps_its_width_and_its_times_apart(hours: float, width: int) -> None:
    window = replace(go().plan.window, start=START, end=START + timedelta(hours=hours))
    lines = drawn(_with(replace(go().plan, window=window)), width)
    assert max(map(len, lines)) <= width
    times = lines[0].split()[2:]
    assert len(times) >= 2
    assert all(len(time) == 5 and time[2] == ":" for time in times)


def test_the_scale_tells_the_local_time_on_both_sides_of_a_clock_change() -> None:
    autumn = Window(
        start=datetime(2026, 11, 1, 4, 0, tzinfo=UTC), end=datetime(2026, 11, 1, 8, 0, tzinfo=UTC),
        zone="America/New_York",
    )  # fmt: skip
    lines = drawn(_with(replace(go().plan, window=autumn)))
    hours = [time for time in lines[0].split()[2:] if time.endswith(":00")]
    assert hours == ["00:00", "01:00", "01:00", "02:00", "03:00"]


def test_ascii_is_ascii_and_hostile_names_are_harmless() -> None:
    "\n".join(drawn(no_go(), ascii=True)).encode("ascii")
    plan = replace(go().plan, steps=(step(HOSTILE, 60, track=HOSTILE), step("b", 60)))
    lines = drawn(_with(plan))
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) <= 100


def test_two_marks_at_the_windows_end_are_both_seen() -> None:
    window = replace(go().plan.window, start=START, end=START + timedelta(hours=6), decision_reserve=timedelta())
    plan = replace(go().plan, window=window, steps=(step("only", 60, undo=1),))
    lines = drawn(_with(plan), ascii=True)
    marks = next(line for line in lines if set(line.split()) <= {"D", "R", "DR", "RD"} and line.strip())
    assert {"D", "R"} <= set(marks)


def test_on_the_page_start_rollback_by_stands_above_decide_by_where_its_right_has_no_room() -> None:
    def heights(undo: float) -> list[float]:
        plan = replace(go().plan, steps=(step("only", 60, undo=undo),))
        across = html.render(_with(plan)).partition('class="upright"')[0]
        found = [
            re.findall(rf'<text [^>]*y="([\d.]+)"[^>]*>{label} ', across)
            for label in ("decide by", "start rollback by")
        ]
        return [float(y) for (y,) in found]

    decide_by, rollback_by = heights(120)
    assert rollback_by == decide_by
    decide_by, rollback_by = heights(20)
    assert rollback_by < decide_by


def test_a_way_back_that_the_plan_does_not_time_is_not_drawn() -> None:
    lines = picture(Step(id="only", minutes=60))
    assert not [line for line in lines if line.startswith("way back")]
    assert lines[-1].split() == ["#", "planned"]


def test_each_step_has_the_time_at_which_it_ends_as_found() -> None:
    copy = step("copy", 60, minutes_over_network=120.0)
    lines = picture(copy, step("next", 60, "copy"), over_network=("copy",))
    assert [line.split()[1] for line in lines if line.startswith(("copy", "next"))] == ["06:00", "07:00"]
