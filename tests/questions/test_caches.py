"""Whether a cache answered, by headers and dates."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from preflight.questions.http import HttpAnswer, cache_mark, clock_offset

AT = datetime(2026, 10, 16, 12, tzinfo=UTC)
ANSWER = HttpAnswer(200, "", 0, "https://a/", "", "", {}, AT, 0.1, "192.0.2.7:443", None)


@pytest.mark.case(12)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("age", "86400"),
        ("cf-cache-status", "HIT"),
        ("cf-cache-status", "REVALIDATED"),
        ("x-varnish", "12 7"),
        ("warning", '199 - "odd", 110 cache "Response is Stale"'),
        ("x-cache", "Hit from cloudfront"),
        ("x-cache", "RefreshHit from cloudfront"),
        ("x-cache", "TCP_MEM_HIT from a23-45 (AkamaiGHost/10)"),
        ("x-cache", "MISS, HIT"),
        ("x-cache-hits", "0, 3"),
        ("x-cache-status", "STALE"),
        ("x-symfony-cache", "GET /health: fresh"),
        ("x-proxy-cache", "UPDATING"),
        ("x-litespeed-cache", "hit"),
        ("cache-status", "edge; hit; ttl=30"),
    ],
)
def test_a_cache_is_known_by_its_header(name: str, value: str) -> None:
    assert cache_mark([ANSWER, replace(ANSWER, headers={name: value})]) == f"{name}: {value}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("age", "0"),
        ("age", "00"),
        ("age", "-5"),
        ("cf-cache-status", "DYNAMIC"),
        ("x-varnish", "12"),
        ("warning", '299 - "Deprecated API 110"'),
        ("x-cache", "MISS from squid"),
        ("x-cache", "TCP_REFRESH_MISS from a23-45"),
        ("x-cache-lookup", "HIT from squid:3128"),
        ("x-cache-hits", "0"),
        ("cache-status", "edge; fwd=stale; fwd-status=200"),
        ("cache-control", "max-age=30, stale-while-revalidate=60"),
        ("cdn-cache-control", "stale-if-error=60"),
        ("date", "yesterday"),
    ],
)
def test_an_answer_that_passed_a_cache_by_is_the_application_s(name: str, value: str) -> None:
    assert cache_mark([replace(ANSWER, headers={name: value})]) == ""


def dated(*moments: tuple[float, float]) -> list[HttpAnswer]:
    """Seconds after `AT` at which it was asked, and those of the answer's date."""
    return [
        replace(
            ANSWER,
            asked_at=AT + timedelta(seconds=asked),
            headers={"date": format_datetime(AT + timedelta(seconds=date), usegmt=True)},
        )
        for asked, date in moments
    ]


@pytest.mark.case(12)
@pytest.mark.parametrize(
    ("answers", "mark"),
    [
        (dated((0, -3600)), "dated 1 h before it was asked"),
        (dated((0, -3600), (1, -3600), (2, -3600)), "dated 1 h before it was asked"),
        (dated((0, -3600), (1, -3700), (2, -3600)), "dated 1 h before it was asked"),
        (dated((0, -1), (1, -1), (2, -1)), "3 answers within 2 s with one date"),
    ],
)
def test_a_kept_answer_is_known_by_its_date(answers: list[HttpAnswer], mark: str) -> None:
    assert cache_mark(answers) == mark


@pytest.mark.parametrize(
    "answers",
    [
        dated((0, 0), (1.1, 1), (2.2, 2)),
        dated((0, -3600), (1.1, -3599), (2.2, -3598)),
        dated((0, 3600), (1.1, 3601), (2.2, 3602)),
        dated((0, 0), (0.1, 0), (0.2, 0)),
        dated((0, -50)),
        [replace(ANSWER, headers={"date": "Fri, 16 Oct 2026 12:00:00 -0000"})],
    ],
)
def test_a_clock_that_is_wrong_is_no_cache(answers: list[HttpAnswer]) -> None:
    assert cache_mark(answers) == ""


@pytest.mark.parametrize(
    ("answers", "seconds"),
    [
        (dated((0, 10800), (1, 10801)), 10800),
        (dated((0, -10800), (1.1, -10799), (2.2, -10798)), -10800),
        (dated((0, 61)), 61),
        (dated((0, 60)), 0),
        (dated((0, 10800), (1, 1)), 0),
        ([ANSWER], 0),
        ([replace(ANSWER, headers={"date": "yesterday"})], 0),
    ],
)
def test_how_far_the_clock_of_an_application_is_off(answers: list[HttpAnswer], seconds: float) -> None:
    assert clock_offset(answers).total_seconds() == pytest.approx(seconds, abs=0.3)
