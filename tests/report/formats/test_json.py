"""The report for programs: its size does not follow the number of combinations."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.judging.end_states import end_states
from preflight.plan import Application
from preflight.report.formats import json as json_report
from preflight.report.harmless import json_text
from tests.report.formats.cases import go

PAIRS = 100 * 99 // 2


@pytest.mark.long
def test_a_hundred_applications_are_counted_and_the_telling_end_states_listed() -> None:
    applications = {f"app{n}": Application(id=f"app{n}", from_=f"1.{n}", to=f"2.{n}") for n in range(100)}
    plan = replace(go().plan, applications=applications, tested=(), rules=(), steps=())
    states = end_states(plan, go().moment, timedelta(days=90))
    text = json_report.render(replace(go(), plan=plan, end_states=states))
    found = json.loads(text)["end_states"]
    assert found["counts"] == {"runs-now": PAIRS, "untested": 3 * PAIRS}
    assert len(found["listed"]) == 100
    assert {state["status"] for state in found["listed"]} == {"untested"}
    assert len(text) - len(json_report.render(go())) < 50_000


def test_few_end_states_are_all_listed() -> None:
    found = json.loads(json_report.render(go()))["end_states"]
    assert [state["status"] for state in found["listed"]] == ["runs-now", "tested", "tested", "excluded"]
    assert sum(found["counts"].values()) == 4


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@pytest.mark.long
@given(VALUES)
def test_it_is_indented_as_the_standard_library_does(value: Any) -> None:
    assert json_text(value) == json.dumps(value, indent=2).replace("##", "#\\u0023") + "\n"
