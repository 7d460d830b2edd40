"""Names of people: who is somebody, and who is the same one."""

from __future__ import annotations

import pytest

from preflight.plan.values import is_named, same_person


@pytest.mark.parametrize("name", ["", "  ", "?", "-", "TBD", "t.b.d.", "n/a", "N/A", "nobody", "None", "unknown"])
def test_what_is_written_for_nobody_names_nobody(name: str) -> None:
    assert not is_named(name)
    assert not same_person(name, name)


@pytest.mark.parametrize("name", ["M. Ortiz", "x", "the DBA on call", "李", "Nobody Owens"])
def test_everything_else_names_somebody(name: str) -> None:
    assert is_named(name)


@pytest.mark.parametrize("other", ["M. Ortiz", "m. ortiz", " M.  Ortiz ", "M.Ortiz", "M\u00a0Ortiz", "\uff2d. Ortiz"])
def test_case_spaces_and_punctuation_make_no_other_person(other: str) -> None:
    assert same_person("M. Ortiz", other)
    assert same_person(other, "M. Ortiz")


@pytest.mark.parametrize("other", ["N. Ortiz", "M. Ortiz-Vega", "Ortiz", ""])
def test_another_name_is_another_person(other: str) -> None:
    assert not same_person("M. Ortiz", other)
