"""Sizes by the catalogue: what a server may answer."""

from __future__ import annotations

import json

import pytest

from preflight.probe import Reply, Unreadable
from preflight.questions.sizes import Sizes, SizesProbe
from tests.toy import MOMENT

ROW = {
    "database_bytes": "9000000",
    "table_bytes": "4000000",
    "tables": "12",
    "largest_table_bytes": "3000000",
    "large_object_bytes": "0",
    "large_objects": "0",
    "cluster_bytes": "30000000",
    "tablespaces": "2",
    "cluster_relations": "900",
    "wal_segment_bytes": "16777216",
}


def answer(text: str, code: int = 0) -> Reply:
    return Reply(code, text, MOMENT, 0.1, "from here as release")


def test_sizes_are_read() -> None:
    sizes = SizesProbe("orders").read(answer(json.dumps([{**ROW, "large_object_bytes": "500"}])))
    assert sizes.dumped_bytes == 4_000_500
    assert sizes == Sizes(
        database_bytes=9_000_000,
        table_bytes=4_000_000,
        tables=12,
        largest_table_bytes=3_000_000,
        large_object_bytes=500,
        large_objects=0,
        cluster_bytes=30_000_000,
        tablespaces=2,
        cluster_relations=900,
        wal_segment_bytes=16 * 1024 * 1024,
    )


def test_a_cluster_with_a_tablespace_the_role_may_not_see_has_no_size() -> None:
    assert SizesProbe("orders").read(answer(json.dumps([{**ROW, "cluster_bytes": None}]))).cluster_bytes is None


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in ROW for value in (None, "-1", "many", "") if (name, value) != ("cluster_bytes", None)],
)
def test_a_size_that_is_missing_or_no_number_is_unreadable(name: str, value: str | None) -> None:
    with pytest.raises(Unreadable):
        SizesProbe("orders").read(answer(json.dumps([{**ROW, name: value}])))


@pytest.mark.parametrize("rows", [[], [ROW, ROW]])
def test_another_number_of_rows_is_unreadable(rows: list[object]) -> None:
    with pytest.raises(Unreadable):
        SizesProbe("orders").read(answer(json.dumps(rows)))
