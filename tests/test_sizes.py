"""Sizes as texts: what there is rounded down, what is needed rounded up."""

from __future__ import annotations

import pytest

from preflight.sizes import format_need, format_size

MIB, GIB, TIB = 1024**2, 1024**3, 1024**4


@pytest.mark.parametrize(
    ("count", "there_is", "needed"),
    [
        (0, "0 B", "0 B"),
        (1023, "1023 B", "1023 B"),
        (1024, "1 KiB", "1 KiB"),
        (1536, "1.5 KiB", "1.5 KiB"),
        (20 * GIB, "20 GiB", "20 GiB"),
        (GIB + 1, "1 GiB", "1.1 GiB"),
        (GIB - 1, "1023.9 MiB", "1 GiB"),
        (1.96 * MIB, "1.9 MiB", "2 MiB"),
        (5000 * TIB, "5000 TiB", "5000 TiB"),
    ],
)
def test_what_there_is_never_looks_like_enough_for_what_is_needed(count: float, there_is: str, needed: str) -> None:
    assert (format_size(count), format_need(count)) == (there_is, needed)
