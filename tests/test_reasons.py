"""The table of reasons: each is really produced, says on whose side it lies, and has a cure that can be filled in."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from preflight.finding import Status
from preflight.judging.cures import cure_of, refuses_login
from preflight.probe import NoReply, Via
from preflight.reasons import Reason, Side
from tests.toy import MOMENT, toy_plan

ROOT = Path(__file__).parent.parent
TARGETS = {Via.SSH: "db1", Via.SQL: "orders", Via.HTTP: "app1", Via.LOCAL: "plan"}
FROM_THE_CHECK = {"host": "app1.example.net", "port": 443, "name": "app1.example.net"}


def named(folder: str) -> set[str]:
    """Members of `Reason` that the code in `folder` names."""
    return {
        node.attr
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Reason"
    }


def test_every_reason_is_really_produced() -> None:
    assert {reason.name for reason in Reason} - named("preflight") == set()


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_every_reason_has_words_a_side_and_a_cure_that_can_be_filled_in(reason: Reason) -> None:
    assert reason.words
    assert isinstance(reason.side, Side)
    for via in Via if isinstance(reason.cures, str) else map(Via, reason.cures):
        cure = cure_of(toy_plan(), via, TARGETS[via], NoReply(reason, "db1: it was so", MOMENT), **FROM_THE_CHECK)
        assert cure
        assert "{" not in cure


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_what_lies_here_or_in_this_tool_refuses_no_login(reason: Reason) -> None:
    """But for a host key that nobody has pinned and a key that others may read: that login must not be made."""
    if reason.side in (Side.HERE, Side.TOOL, Side.SITE) and reason not in (Reason.HOST_KEY_UNKNOWN, Reason.KEY_MODE):
        assert reason.status is Status.UNKNOWN
        assert not refuses_login(NoReply(reason, "db1: it was so", MOMENT))


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_a_reason_is_found_again_by_what_evidence_keeps(reason: Reason) -> None:
    assert Reason.of(reason.id) is reason


def test_an_unknown_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="no reason that this version knows"):
        Reason.of("bad-weather")
