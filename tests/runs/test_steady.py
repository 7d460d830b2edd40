"""A row of GO without a break."""

from __future__ import annotations

from datetime import timedelta

from preflight.runs.steady import Steadiness
from tests.report.formats.cases import go


def test_of_a_long_row_the_first_times_are_named_and_the_others_counted() -> None:
    verdict = go()
    row = Steadiness(timedelta(hours=1), timedelta(minutes=1), verdict.plan.window)
    for number in range(100):
        begun_at = verdict.moment + timedelta(seconds=10 * number)
        row.add(verdict, begun_at, begun_at)
    assert "in 100 rounds: " in row.lacking
    assert ", and 80 more" in row.lacking
