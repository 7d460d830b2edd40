"""The textfile, read by Prometheus' own parser."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from preflight.report import View
from preflight.report.formats import prometheus
from preflight.verdict import Verdict
from tests.report.formats.cases import HOSTILE, go, hold, hostile, no_go, waived

ALL = [go(), no_go(), hold(), waived(), hostile()]


def families(verdict: Verdict, view: View | None = None) -> dict[str, Any]:
    return {each.name: each for each in text_string_to_metric_families(prometheus.render(verdict, view or View()))}


def value(verdict: Verdict, name: str, **labels: str) -> float:
    (found,) = [
        sample.value
        for sample in families(verdict)[f"preflight_{name}"].samples
        if labels.items() <= sample.labels.items()
    ]
    return float(found)


@pytest.mark.parametrize("verdict", ALL)
def test_it_is_read_and_every_family_is_a_documented_gauge(verdict: Verdict) -> None:
    for name, family in families(verdict, View(took_seconds=1.5)).items():
        assert re.fullmatch(r"preflight_[a-z_]+", name)
        assert family.type == "gauge"
        assert family.documentation.endswith(".")
        assert family.samples
        names = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
        assert len(set(names)) == len(names), "the collector refuses a sample that is told twice"


@pytest.mark.parametrize(("verdict", "word"), [(go(), "GO"), (waived(), "GO"), (no_go(), "NO-GO"), (hold(), "HOLD")])
def test_one_decision_is_1_and_the_others_are_0(verdict: Verdict, word: str) -> None:
    for decision in ("GO", "NO-GO", "HOLD"):
        assert value(verdict, "verdict", decision=decision) == (decision == word)


def test_counts_and_findings_agree_with_the_verdict() -> None:
    assert value(no_go(), "checks", status="fail") == 3
    assert value(no_go(), "finding", check="login", subject="db1", status="fail") == 1
    assert len(families(no_go())["preflight_finding"].samples) == no_go().planned


def test_times_are_seconds_since_1970_and_durations_seconds() -> None:
    verdict = no_go()
    assert verdict.found_schedule is not None
    assert value(verdict, "evidence_timestamp_seconds") == verdict.collected_at.timestamp()
    assert value(verdict, "decide_by_timestamp_seconds") == verdict.found_schedule.decide_by.timestamp()
    assert value(verdict, "margin_seconds") == 24 * 60
    assert families(verdict, View(took_seconds=1.5))["preflight_run_duration_seconds"].samples[0].value == 1.5


def test_without_steps_there_are_no_times_of_the_work() -> None:
    found = families(replace(go(), planned_schedule=None, found_schedule=None))
    assert "preflight_margin_seconds" not in found
    assert "preflight_window_end_timestamp_seconds" in found


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\nb", "{}", HOSTILE, "x" * 100_000])
def test_any_subject_can_be_a_label(text: str) -> None:
    verdict = replace(go(), findings=[replace(go().findings[0], subject=text)])
    (sample,) = families(verdict)["preflight_finding"].samples
    assert len(sample.labels["subject"]) < 5000


def test_two_subjects_of_one_name_are_told_once() -> None:
    verdict = replace(go(), findings=[go().findings[0]] * 2)
    assert len(families(verdict)["preflight_finding"].samples) == 1
