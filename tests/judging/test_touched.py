"""Which objects an entry's scripts touch."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from preflight.judging.touched import as_regular_expression, touched_objects
from preflight.plan import RemotePath, Scripts


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("billing.*", "billing.events", True),
        ("billing.*", "billing2.events", False),
        ("billing.*", "xbilling.events", False),
        ("billing.events_p*", "billing.events_p2026", True),
        ("billing.events_p*", "billing.events", False),
        ("b+(.a[x]", "b+(.a[x]", True),
        ("öl.Größe", "öl.Größe", True),
        ("*.*", "a.b\nc", True),
    ],
)
def test_a_pattern_fits_the_whole_name(pattern, name, fits):
    assert bool(re.search(as_regular_expression(pattern), name, re.DOTALL)) is fits


def entry(**keys):
    return Scripts(
        id="orders", database="orders", approved=Path("sql"), manifest=Path("sums"), staged=RemotePath("/s"), **keys
    )


def test_the_plan_says_what_is_touched_and_by_which_keys():
    assert not touched_objects(entry()).told_by
    touched = touched_objects(entry(touches=("billing.*",), writes_rows=("audit.log",)))
    assert touched.told_by == "`touches` and `writes_rows` of [scripts.orders]"
    assert (touched.altered, touched.rows) == (("billing.*",), ("audit.log",))
    assert touched_objects(entry(touches=("b.*",))).told_by == "`touches` of [scripts.orders]"
