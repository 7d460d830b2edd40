"""The text of file questions and the strict reading of their answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.probe import Probe, Reply, Unreadable
from preflight.questions.files import LocalFile, LocalTexts, LocalTree
from preflight.questions.local import TARGET, LocalAct, LocalRequest

AT = datetime(2026, 10, 16, tzinfo=UTC)
PROBES: list[Probe[Any]] = [
    LocalTree(TARGET, "sql/orders"),
    LocalFile(TARGET, "sql/orders"),
    LocalTexts(TARGET, "sql/orders"),
]


def reply(text: str, code: int = 0, error: str = "") -> Reply:
    return Reply(code, text, AT, 0.1, "from here", error)


def test_questions_begin_with_a_sentence_for_people() -> None:
    assert [probe.ask() for probe in PROBES] == [
        'list and hash every file below sql/orders\n{"tree": "sql/orders"}',
        'read the text file sql/orders\n{"text": "sql/orders"}',
        'read every SQL script below sql/orders, and what they include\n{"texts": "sql/orders"}',
    ]


@given(
    st.sampled_from((LocalAct.TREE, LocalAct.TEXT, LocalAct.TEXTS)),
    st.text(st.characters(exclude_characters="\0\n\r"), min_size=1),
)
def test_a_request_is_read_back_from_its_text(act: LocalAct, path: str) -> None:
    request = LocalRequest(act, path)
    assert LocalRequest.parse(request.text()) == request


@pytest.mark.parametrize("path", ["", "a\nb", "a\0b", "a\rb"])
def test_a_path_that_would_break_the_text_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="no path"):
        LocalTree(TARGET, path).question()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "read the text file a",
        "read the text file a\n[]",
        'read the text file a\n{"text": 7}',
        'read the text file a\n{"text": "b"}',
        'read the text file a\n{"remove": "a"}',
        'read the text file a\n{"text": "a", "tree": "a"}',
    ],
)
def test_what_is_no_request_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="local request"):
        LocalRequest.parse(text)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: type(probe).__name__)
@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"entries": [7]}', '{"entries": [{}]}', "[" * 100_000])
def test_a_reply_of_another_shape_is_unreadable(probe: Probe[Any], text: str) -> None:
    with pytest.raises(Unreadable):
        probe.read(reply(text))


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: type(probe).__name__)
def test_a_negative_answer_is_a_problem_and_needs_a_reason(probe: Probe[Any]) -> None:
    assert probe.read(reply("", 1, "sql/orders: no such folder")).problem == "sql/orders: no such folder"
    with pytest.raises(Unreadable):
        probe.read(reply("", 1))


def test_an_entry_with_a_field_nobody_knows_or_no_zone_is_unreadable() -> None:
    entry = {"path": "a", "kind": "file", "size_bytes": 1}
    assert LocalTree(TARGET, "sql").read(reply(json.dumps({"entries": [entry]}))).files
    for change in ({"x": 1}, {"kind": "door"}):
        with pytest.raises(Unreadable, match=r"entries\[1\]"):
            LocalTree(TARGET, "sql").read(reply(json.dumps({"entries": [{**entry, **change}]})))
