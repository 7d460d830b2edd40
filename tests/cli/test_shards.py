"""`preflight collect --shard`: one plan split over the jobs of a CI engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.program import BASE, preflight, write_plan

HOSTS = "".join(
    f'\n[hosts.h{number}]\naddress = "127.0.0.1"\nport = 1\nuser = "a"\nkey = "id"\n' for number in range(9)
)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    (tmp_path / "id").write_text("no key")
    (tmp_path / "id").chmod(0o600)
    return write_plan(tmp_path, BASE + HOSTS)


def targets(file: Path) -> set[str]:
    return {each["question"]["target"] for each in json.loads(file.read_text())["answers"]}


ENGINES = [
    ("CI_NODE_INDEX", "CI_NODE_TOTAL", 1),
    ("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", 0),
    ("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", 0),
    ("SYSTEM_JOBPOSITIONINPHASE", "SYSTEM_TOTALJOBSINPHASE", 1),
]


@pytest.mark.parametrize(("number", "of", "first"), ENGINES)
def test_the_jobs_of_an_engine_ask_everything_once(plan: Path, number: str, of: str, first: int) -> None:
    files = [plan.with_name(f"{job}.json") for job in range(3)]
    for job, file in enumerate(files):
        done = preflight("collect", plan, "--shard", "auto", "--output", file, **{number: str(job + first), of: "3"})
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"{file}: ")
        assert f"questions of shard {job + 1}/3, " in done.stdout
    asked = [targets(file) - {"plan"} for file in files]
    assert sorted(name for names in asked for name in names) == [f"h{number}" for number in range(9)]
    assert {len(names) for names in asked} == {3}
    assert "is missing, which asks" not in preflight("judge", plan, *files).stdout


def test_a_variable_that_happens_to_be_set_takes_nothing_away(plan: Path) -> None:
    file = plan.with_name("all.json")
    done = preflight("collect", plan, "--output", file, CI_NODE_INDEX="2", CI_NODE_TOTAL="3")
    assert done.returncode == 0
    assert len(targets(file) - {"plan"}) == 9


@pytest.mark.parametrize(
    ("shard", "variables", "said"),
    [
        ("auto", {}, "--shard: auto: this job has no number, in none of CI_NODE_INDEX, CIRCLE_NODE_INDEX, "),
        ("auto", {"CI_NODE_TOTAL": "1"}, "run it in parallel jobs, or write K/N"),
        ("auto", {"CI_NODE_INDEX": "x", "CI_NODE_TOTAL": "3"}, "CI_NODE_INDEX is 'x', which is no number"),
        ("auto", {"CI_NODE_INDEX": "4", "CI_NODE_TOTAL": "3"}, "'4/3' is no shard: K goes from 1 to N"),
        ("auto", {"CI_NODE_INDEX": "0", "CI_NODE_TOTAL": "3"}, "'0/3' is no shard: K goes from 1 to N"),
        (
            "auto",
            {"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "3", "CIRCLE_NODE_INDEX": "1", "CIRCLE_NODE_TOTAL": "3"},
            "CI_NODE_INDEX and CI_NODE_TOTAL say 1/3, CIRCLE_NODE_INDEX and CIRCLE_NODE_TOTAL say 2/3; write K/N",
        ),
        ("0/3", {}, "'0/3' is no shard: K goes from 1 to N, and N to 1000"),
        ("4/3", {}, "'4/3' is no shard"),
        ("1/1001", {}, "'1/1001' is no shard"),
        ("3", {}, "'3' is no shard: write K/N, as 3/8 for the third of eight"),
        ("-1/3", {}, "'-1/3' is no shard"),
        ("", {}, "'' is no shard"),
        ("1/" + "9" * 5000, {}, "is no shard"),
    ],
)  # fmt: skip
def test_a_number_that_is_none_is_a_wrong_call(plan: Path, shard: str, variables: dict[str, str], said: str) -> None:
    done = preflight("collect", plan, "--shard", shard, "--output", plan.with_name("x.json"), **variables)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.split())
    assert not plan.with_name("x.json").exists()


def test_judge_names_the_shard_that_is_missing_and_what_it_asks(plan: Path) -> None:
    files = [plan.with_name(f"{number}.json") for number in (1, 3)]
    for number, file in zip((1, 3), files, strict=True):
        preflight("collect", plan, "--shard", f"{number}/3", "--output", file)
    lost = {f"h{number}" for number in range(9)} - targets(files[0]) - targets(files[1])
    told = " ".join(preflight("judge", plan, *files).stdout.split())
    assert (
        f"shard 2 of 3 is missing, which asks {', '.join(sorted(lost))}: "
        "preflight collect plan.toml --shard 2/3 --output shard-2.json"
    ) in told


def test_jump_hosts_and_a_split_that_is_not_even_are_told(plan: Path) -> None:
    behind = "".join(f'\n[hosts.b{n}]\nuser = "a"\nkey = "id"\njump = "h0"\n' for n in range(6))
    shared = "".join(f'\n[hosts.s{n}]\naddress="127.0.0.1"\nport=1\nuser="a"\npassword="env:PW"\n' for n in range(9))
    plan.write_text(plan.read_text() + behind + shared)
    told = [preflight("collect", plan, "--shard", f"{number}/5", "--output", plan.with_name("x.json")).stdout
            for number in range(1, 6)]  # fmt: skip
    also = [text for text in told if "Also logged in to, as by other shards: h0, to reach hosts behind it" in text]
    assert 1 <= len(also) <= 4
    (larger,) = [text for text in told if "This shard is larger than others: " in text]
    assert "questions are for s0, s1, s2, s3, s4, and 4 more, which stay together" in larger


def test_evidence_with_a_shard_that_cannot_be_is_no_evidence(plan: Path) -> None:
    file = plan.with_name("1.json")
    preflight("collect", plan, "--shard", "1/3", "--output", file)
    file.write_text(file.read_text().replace('"1/3"', '"4/3"'))
    done = preflight("judge", plan, file)
    assert done.returncode == 2
    assert "is no shard" in done.stderr
