"""The reader of records: every value of another kind is refused with its place, in every syntax."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import pytest

from preflight.plan.limits import Between
from preflight.probe import Reply, Unreadable
from preflight.questions.fields import Count, Mode, Until, read_lines, read_row, read_rows
from preflight.record import parse_json, read_record

AT = datetime(2026, 10, 16, 19, tzinfo=UTC)


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    size: Annotated[int, Between(0, 9)]


@dataclass(frozen=True, slots=True)
class Other:
    reason: str


@dataclass(frozen=True, slots=True)
class Whole:
    name: str
    count: int
    ratio: float
    ready: bool
    at: datetime
    colour: Colour
    parts: tuple[Part, ...]
    words: Mapping[str, str]
    outcome: Part | Other
    note: str | None = None
    more: tuple[str, ...] = field(default=())


GOOD: dict[str, Any] = {
    "name": "a", "count": 1, "ratio": 0.5, "ready": True, "at": "2026-10-16T19:00:00+00:00", "colour": "red",
    "parts": [{"name": "p", "size": 1}], "words": {"x": "y"}, "outcome": {"reason": "none"},
}  # fmt: skip


def test_an_object_becomes_its_dataclass() -> None:
    found = read_record(Whole, parse_json(json.dumps(GOOD)))
    assert found == Whole("a", 1, 0.5, True, AT, Colour.RED, (Part("p", 1),), {"x": "y"}, Other("none"))
    assert read_record(Whole, {**GOOD, "ratio": 1, "note": None, "outcome": {"name": "p", "size": 2}}).ratio == 1.0


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("name", 1, "name: expected a string, found an integer"),
        ("name", None, "name: expected a string, found nothing"),
        ("count", True, "count: expected an integer, found a boolean"),
        ("count", 1.0, "count: expected an integer, found a number"),
        ("count", "1", "count: expected an integer, found a string"),
        ("ratio", True, "ratio: expected a finite number, found a boolean"),
        ("ratio", float("nan"), "ratio: expected a finite number, found a number"),
        ("ratio", 10**400, "ratio: expected a finite number, found an integer"),
        ("ready", 1, "ready: expected a boolean, found an integer"),
        ("at", "2026-10-16T19:00:00", "at: expected a date and time with its offset from UTC"),
        ("at", 5, "at: expected a date and time"),
        ("colour", "reed", 'colour: "reed" is not one of "red", "green"; did you mean red?'),
        ("parts", {}, "parts: expected an array of tables, found a table"),
        ("parts", [{"name": "p"}], "parts[1].size: is required"),
        ("parts", [{"name": "p", "size": 10}], "parts[1].size: must be between 0 and 9"),
        ("parts", [{"name": "p", "size": 1, "x": 1}], "parts[1].x: unknown key"),
        ("words", {"x": 1}, "words.x: expected a string, found an integer"),
        ("outcome", {"name": "p"}, "outcome: none of 2 kinds of record"),
        ("outcome", "x", "outcome: none of 2 kinds of record"),
        ("colou", "red", "colou: unknown key"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(key: str, value: object, said: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_record(Whole, {**GOOD, key: value})
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("key", GOOD)
def test_every_key_without_a_default_is_required(key: str) -> None:
    with pytest.raises(Unreadable, match=f"{key}: is required"):
        read_record(Whole, {name: value for name, value in GOOD.items() if name != key})
    with pytest.raises(Unreadable, match="note: is required"):
        read_record(Whole, GOOD, complete=True)


@pytest.mark.parametrize("text", ["", " ", "{", "NaN", "[Infinity]", '{"a": 1, "a": 1}', "[" * 100_000, "1" * 5000])
def test_json_that_a_lenient_reader_would_guess_at_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        parse_json(text)


def reply(text: str, code: int = 0) -> Reply:
    return Reply(code, text, AT, 0.1, "on db1")


@dataclass(frozen=True, slots=True)
class Line:
    words = ("mode", "size", "path")

    path: str
    size: Count | None
    mode: Mode


@dataclass(frozen=True, slots=True)
class Lines:
    count: int
    ready: bool
    offset: timedelta
    at: datetime | None
    file: tuple[Line, ...] = ()


TEXT = "count=-3\nready=no\noffset=-0330\nat=\nfile=644 5 /a b\nfile=1777 ? /c\nend=yes\n"


def test_lines_become_their_dataclass() -> None:
    files = (Line("/a b", 5, Mode(0o644)), Line("/c", None, Mode(0o1777)))
    assert read_lines(Lines, reply(TEXT)) == Lines(-3, False, -timedelta(hours=3, minutes=30), None, files)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("count=-3\n", ""), ("count=-3", "count=-3\ncount=-3"), ("count=-3", "count=3.0"), ("count=-3", "count=٣"),
        ("count=-3", "count="), ("ready=no", "ready=perhaps"), ("ready=no", "ready="), ("offset=-0330", "offset=CET"),
        ("offset=-0330", "offset=+2400"), ("at=", "at=soon"), ("at=", "at=99999999999999"), ("644 5", "648 5"),
        ("644 5", "644 -5"), ("644 5 /a b", "644 5"), ("end=yes\n", ""), ("end=yes", "end=no"), ("end=yes", "more"),
        ("end=yes", "end=yes\nextra=1"), ("1777 ?", "? 1"),
    ],
)  # fmt: skip
def test_lines_of_another_shape_are_no_answer(before: str, after: str) -> None:
    assert before in TEXT
    with pytest.raises(Unreadable):
        read_lines(Lines, reply(TEXT.replace(before, after)))


def test_lines_of_a_script_that_failed_are_no_answer() -> None:
    with pytest.raises(Unreadable, match="the script ended with 3"):
        read_lines(Lines, reply(TEXT, 3))


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    count: Count | None
    until: Until | None


def test_rows_become_their_dataclass() -> None:
    text = '[{"name": "a", "count": "1", "until": null}, {"name": "", "count": null, "until": "99999999999999"}]'
    first, second = read_rows(Row, reply(text))
    assert first == Row("a", 1, None)
    assert second.until is not None
    assert second.until.year == 9999


@pytest.mark.parametrize(
    "row",
    [
        {"name": None}, {"name": 1}, {"count": "-1"}, {"count": 1}, {"count": True}, {"count": ""}, {"until": "soon"},
        {"until": ""}, {"other": "1"}, {"name": ["a"]}, {"name": {}},
    ],
)  # fmt: skip
def test_a_row_of_another_shape_is_no_answer(row: dict[str, object]) -> None:
    good = {"name": "a", "count": "1", "until": "1792177200"}
    assert read_row(Row, reply(json.dumps([good]))).count == 1
    with pytest.raises(Unreadable):
        read_row(Row, reply(json.dumps([good | row])))


@pytest.mark.parametrize("text", ["[]", "{}", "null", "[1]", "x", '["a"]', "[[]]"])
def test_another_number_of_rows_is_no_answer(text: str) -> None:
    with pytest.raises(Unreadable):
        read_row(Row, reply(text))
