"""Which scripts run forward, and what takes each of them back."""

from __future__ import annotations

import pytest

from preflight.judging.psql_script import included_scripts
from preflight.judging.sealed_scripts import by_number
from preflight.plan.command_lines import Pair, pairs

PATTERN = "undo/{stem}.down.sql"


def found(
    pattern: str, names: list[str], files: tuple[str, ...] = (), texts: dict[str, str] | None = None
) -> dict[str, str]:
    """Forward script -> its way back, with a question mark where it is missing."""
    pairs_found = pairs(pattern, files, names, included_scripts("/srv", texts or {}))
    return {pair.forward: pair.back + ("" if pair.present else "?") for pair in pairs_found}


def test_scripts_that_take_others_back_need_no_way_back_themselves() -> None:
    names = ["010.sql", "020.sql", "undo/010.down.sql", "readme.txt"]
    assert found(PATTERN, names) == {"010.sql": "undo/010.down.sql", "020.sql": "undo/020.down.sql?"}


def test_only_what_the_plan_lists_has_to_be_taken_back() -> None:
    names = ["010.sql", "check.sql", "undo/010.down.sql"]
    assert found(PATTERN, names, ("010.sql",)) == {"010.sql": "undo/010.down.sql"}


def test_scripts_keep_the_order_of_the_names() -> None:
    assert list(found(PATTERN, ["020.sql", "010.sql"])) == ["020.sql", "010.sql"]


def test_included_scripts_are_taken_back_with_the_one_that_includes_them() -> None:
    texts = {"010.sql": "\\i part.sql\n"}
    assert set(found(PATTERN, ["010.sql", "part.sql", "undo/010.down.sql"], texts=texts)) == {"010.sql"}


def test_the_pattern_may_start_at_the_top_or_at_the_scripts_own_folder() -> None:
    top = ["a/010.sql", "undo/010.down.sql"]
    beside = ["a/010.sql", "a/undo/010.down.sql"]
    assert found(PATTERN, top) == {"a/010.sql": "undo/010.down.sql"}
    assert found(PATTERN, beside) == {"a/010.sql": "a/undo/010.down.sql"}


def test_pairs_of_up_and_down_share_their_stem() -> None:
    names = ["010.up.sql", "010.down.sql"]
    assert found("{stem}.down.sql", names) == {"010.up.sql": "010.down.sql"}
    assert found("back/{name}", ["010.sql", "back/010.sql"]) == {"010.sql": "back/010.sql"}


def test_a_pattern_that_leads_out_of_the_folder_finds_nothing() -> None:
    assert pairs("../{stem}.sql", (), ["010.sql"], ()) == (Pair("010.sql", "../010.sql", False),)


@pytest.mark.parametrize(
    ("names", "right"),
    [
        (["10_a.sql", "9_b.sql"], ["9_b.sql", "10_a.sql"]),
        (["V2__a.sql", "V1.10__b.sql", "V1.9__c.sql"], ["V1.9__c.sql", "V1.10__b.sql", "V2__a.sql"]),
        (["b/1.sql", "a/2.sql", "a/1.sql"], ["b/1.sql", "a/1.sql", "a/2.sql"]),
        (["020.sql", "schema.sql", "010.sql"], ["010.sql", "schema.sql", "020.sql"]),
        (["010_b.sql", "010_a.sql"], ["010_b.sql", "010_a.sql"]),
        (["b.sql", "a.sql", "2nd.sql", "1st.sql"], ["b.sql", "a.sql", "2nd.sql", "1st.sql"]),
    ],
)
def test_numbers_order_the_scripts_of_one_folder(names: list[str], right: list[str]) -> None:
    assert by_number(names) == right
