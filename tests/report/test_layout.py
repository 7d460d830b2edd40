"""Lines that are folded for a terminal."""

from __future__ import annotations

import pytest

from preflight.report.layout import wrapped


@pytest.mark.parametrize("quantity", ["6 h", "15 min", "0.4 s", "900 ms", "12 GiB", "512 B"])
def test_no_line_ends_between_a_number_and_its_unit(quantity: str) -> None:
    for width in range(20, 45):
        lines = list(wrapped(f"what is there takes {quantity} of the window", "  ", width=width))
        assert any(quantity in line for line in lines), lines
        assert " ".join(line.strip() for line in lines) == f"what is there takes {quantity} of the window"
