"""Readers of what is under way in a database, of the state that it is in, and of queries of the plan."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from preflight.probe import Probe, Reply, Unreadable
from preflight.questions.activity import ActivityProbe
from preflight.questions.own_query import OwnQuery
from preflight.questions.state import SequencesProbe
from tests.toy import MOMENT

_NONE = timedelta(0)
_SEEN = dict.fromkeys(("user", "application", "state", "words", "locks"), "") | {
    "since": "0", "seconds": "0", "pid": None, "client": None, "sessions": "0", "total": "1",
}  # fmt: skip
_ITEM = dict.fromkeys(("schema", "table", "name", "detail"), "") | {"number": "1", "touched": "false", "total": "1"}


@pytest.mark.parametrize(
    ("probe", "row", "known", "unknown"),
    [
        (ActivityProbe("orders", "true", _NONE, _NONE, _NONE, _NONE, (), ()), _SEEN, "visible", "strnger"),
        (SequencesProbe("orders"), _ITEM, "server", "archivr"),
    ],
)
def test_a_kind_that_no_question_names_is_no_answer(
    probe: Probe[object], row: dict[str, str], known: str, unknown: str
) -> None:
    def reply(*kinds: str) -> Reply:
        return Reply(0, json.dumps([{"kind": kind, **row} for kind in kinds]), MOMENT, 0.1, "on db1")

    assert probe.read(reply(known))
    with pytest.raises(Unreadable, match="kind"):
        probe.read(reply(known, unknown))


def test_a_query_that_failed_without_a_word_gave_no_rows_and_is_no_answer() -> None:
    """`expect = "no rows"` would be met."""
    with pytest.raises(Unreadable):
        OwnQuery("orders", "SELECT 1", 10.0).read(Reply(1, "[]", MOMENT, 0.1, "on db1"))
