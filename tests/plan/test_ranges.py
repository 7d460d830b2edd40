"""Names that count up, as a plan may write them."""

from __future__ import annotations

import pytest

from preflight.plan.ranges import in_ranges


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([f"web{n:02}" for n in range(1, 41)], ["web[01-40]"]),
        (["db1", "web8", "web9", "web10", "web11", "x"], ["db1", "web[8-11]", "x"]),
        (["db1", "db2"], ["db1", "db2"]),
        (["web1", "web2", "web4", "web3"], ["web1", "web2", "web4", "web3"]),
        ([f"web{n} (web{n}.example.net, port 22)" for n in (1, 2, 3)], ["web[1-3] (web[1-3].example.net, port 22)"]),
        (["a1b1", "a2b1", "a2b2", "a2b3", "a2b4"], ["a1b1", "a2b1", "a2b[2-4]"]),
        (["a1b1", "a2b2", "a3b4"], ["a1b1", "a2b2", "a3b4"]),
        (["9" * 5000, "1" + "0" * 5000, ""], ["9" * 5000, "1" + "0" * 5000, ""]),
        ([], []),
    ],
)
def test_three_or_more_that_count_up_are_a_range(names: list[str], told: list[str]) -> None:
    assert in_ranges(names) == told
