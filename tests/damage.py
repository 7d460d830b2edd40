"""Damaged replies: whatever is lost of what a far end says, no finding gets better by it; and whatever is spoiled, none
is lost.

A reply whose signs or order are others may be a true one: of another name, another number, an honestly better one. So
greener than with the true reply it may be then, but not when what came over a network is cut off, or lines of it are
missing or doubled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import settings

from preflight.engine.answered import Answered
from preflight.engine.inspection import Inspection
from preflight.evidence import Evidence
from preflight.finding import WORST_FIRST, Finding, Status
from preflight.probe import Question, Reply, Unreadable, Via

_GREEN = (Status.PASS, Status.WARN)
_LISTING = ("key", "line", "mount", "rule")
"""Lines of which there may be any number: without one of them the reply is a true one, of a host that has less."""
_ODD = ("\0", "\n", "\r", "\t", "\x1b", "\ufffd", "x", "=")
_CODES = (1, 77, 127, 137, -1)
"""In place of 0, with all that was said: the last thing that a script did came to nothing."""
_SHARE = 20
"""Of the examples of the profile `long`, for each reply: there are many replies."""


def assert_none_better(inspection: Inspection, evidence: Evidence) -> None:
    """Without a reply no finding that changes is green, and with part of it none is greener than with the whole. The
    part of an answer that is none says so by `Unreadable`, and no check fails over it."""
    for question, answer, part in parts(inspection, evidence):
        without = Answered(part, evidence.without(question.id)).findings()
        assert all(now.status not in _GREEN for now in without), question.text
        true = Answered(part, evidence).findings()
        is_file = question.via is Via.LOCAL  # of this machine: a text that ends sooner is a true one, of another file
        for reply, may_be_true in _damaged(answer):
            may_be_true |= is_file and reply.code == answer.code
            found = _judged(part, answered_with(evidence, question, reply), crashes=may_be_true)
            for before, now in zip(true, found, strict=True):
                better = WORST_FIRST.index(now.status) > WORST_FIRST.index(before.status)
                assert may_be_true or not (better and now.status in _GREEN), (
                    f"{now.check} of {now.subject} is {now.status} in place of {before.status}, when {question} is "
                    f"answered with {reply.code} and {reply.text!r} in place of {answer}"
                )


def parts(inspection: Inspection, evidence: Evidence) -> Iterator[tuple[Question, Reply, Inspection]]:
    """Every question that was answered, and that part of the inspection whose findings rest on its answer."""
    true = Answered(inspection, evidence).findings()
    for question, answer in evidence:
        if isinstance(answer, Reply):
            without = Answered(inspection, evidence.without(question.id)).findings()
            items = [item for item, now, one in zip(inspection.items, without, true, strict=True) if now != one]
            yield question, answer, replace(inspection, items=items)


def _judged(inspection: Inspection, evidence: Evidence, *, crashes: bool) -> Sequence[Finding]:
    """`crashes`: a check may fail, which makes its finding UNKNOWN."""
    with pytest.MonkeyPatch.context() as patch:
        if not crashes:
            patch.setattr("preflight.engine.answered.CRASHES", (Unreadable,))
            patch.setattr("preflight.engine.findings.CRASHES", ())
        return Answered(inspection, evidence).findings()


def answered_with(evidence: Evidence, question: Question, reply: Reply) -> Evidence:
    return replace(evidence, answers={**evidence.answers, question.id: (question, reply)})


def _damaged(reply: Reply) -> Iterator[tuple[Reply, bool]]:
    """With the profile `long` as many as it wants, and every one where there are no more; else those with another code
    alone: what a reply says, and so where it is damaged, differs from run to run. With each, whether it may be true."""
    ways = (*_PARTS, *_OTHERS)
    numbers: Sequence[int] = range(len(ways) * len(reply.text))
    most = settings().max_examples // _SHARE
    if settings().derandomize:
        numbers = ()
    elif most < len(numbers):
        numbers = Random(reply.text).sample(numbers, most)
    for number in numbers:
        at, way = divmod(number, len(ways))
        yield replace(reply, text=ways[way](reply.text, at)), way >= len(_PARTS)
    if reply.code == 0:
        yield from ((replace(reply, code=code), False) for code in _CODES)


def _cut(text: str, at: int) -> str:
    return text[:at]


def _lost(text: str, at: int) -> str:
    return text[:at] + text[at + 1 :]


def _odd_inserted(text: str, at: int) -> str:
    return text[:at] + _ODD[at % len(_ODD)] + text[at:]


def _odd_instead(text: str, at: int) -> str:
    return text[:at] + _ODD[at % len(_ODD)] + text[at + 1 :]


def _lines_at(text: str, at: int) -> tuple[Sequence[str], int]:
    """The lines, with their ends, and which of them holds the sign."""
    return text.splitlines(keepends=True), len(text[: at + 1].splitlines()) - 1


def _line_lost(text: str, at: int) -> str:
    lines, place = _lines_at(text, at)
    is_one_of_many = lines[place].partition("=")[0] in _LISTING
    return text if is_one_of_many else "".join([*lines[:place], *lines[place + 1 :]])


def _line_doubled(text: str, at: int) -> str:
    lines, place = _lines_at(text, at)
    return "".join([*lines[:place], lines[place], *lines[place:]])


def _lines_swapped(text: str, at: int) -> str:
    lines, place = _lines_at(text, at)
    return "".join([*lines[:place], *lines[place + 1 : place + 2], lines[place], *lines[place + 2 :]])


_Way = Callable[[str, int], str]
_PARTS: Sequence[_Way] = (_cut, _line_lost, _line_doubled)
_OTHERS: Sequence[_Way] = (_lost, _odd_inserted, _odd_instead, _lines_swapped)
