"""Runs beside the plan: two at once, a half-written one, and how long they are kept."""

from __future__ import annotations

import errno
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from preflight.engine.answered import Answered
from preflight.engine.run import collect, judge
from preflight.evidence import Evidence
from preflight.plan import Plan
from preflight.report.formats import json as json_report
from preflight.runs import saved_runs
from preflight.runs.saved_runs import DAYS_KEPT, MOST_RUNS, SavedRun, UnreadableRun
from tests.runs.test_freshness import asked_at, at
from tests.toy import MOMENT, Ready, toy_plan

ROOT = Path(__file__).parent.parent.parent
DAY = timedelta(days=1)
RUNS_AT_ONCE = 40
KEEPS_MANY = f"""
import sys
from pathlib import Path
from tests.runs.test_saved_runs import keep_one, plan_in, MOMENT
plan = plan_in(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for _ in range({RUNS_AT_ONCE}):
    print(keep_one(plan, MOMENT, sys.argv[2]).name)
"""


def plan_in(folder: Path) -> Plan:
    return replace(toy_plan(), path=folder / "plan.toml")


def keep_one(plan: Plan, moment: datetime, word: str = "ready") -> Path:
    """Keeps a run of that moment, GO or (for another word) NO-GO."""
    inspection = replace(at(MOMENT, Ready), plan=plan)
    evidence = collect(inspection, asked_at(MOMENT, word).open, 5).evidence
    evidence = replace(evidence, collected_at=moment, inputs={"who": word})
    return saved_runs.keep(plan, evidence, json_report.render(judge(Answered(inspection, evidence))))


def kept(plan: Plan) -> list[Path]:
    return [found.path for found in saved_runs.every(plan)]


def only_kept(plan: Plan) -> Path:
    (path,) = kept(plan)
    return path


def test_why_a_run_cannot_be_kept_is_told_where_its_name_is_gone_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(path: Path, text: str) -> None:
        path.unlink()  # as a run beside it does with what it takes for old
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(saved_runs, "write_private", write)
    with pytest.raises(OSError, match="No space left on device"):
        keep_one(plan_in(tmp_path), MOMENT)


@pytest.mark.long
def test_two_processes_at_the_same_moment_keep_every_run_of_both(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", KEEPS_MANY, str(tmp_path), word],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for word in ("ready", "asleep")
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    while any(process.poll() is None for process in processes):
        newest = saved_runs.newest(plan_in(tmp_path))
        assert newest is None or (isinstance(newest, SavedRun) and newest.report is not None), "half-written"
    names = [name for process in processes for name in process.communicate(timeout=60)[0].split()]
    assert len(set(names)) == 2 * RUNS_AT_ONCE
    found = list(saved_runs.every(plan_in(tmp_path)))
    assert sorted(each.path.name for each in found) == sorted(names)
    for each in found:
        assert isinstance(each, SavedRun)
        assert each.report is not None
        expected = "GO" if each.evidence.inputs["who"] == "ready" else "NO-GO"
        assert each.report.verdict == expected, "the report of the other run"


def test_a_run_whose_evidence_is_not_written_yet_is_not_there(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    first = keep_one(plan, MOMENT)
    keep_one(plan, MOMENT + DAY).unlink()
    found = saved_runs.newest(plan)
    assert found is not None
    assert found.path == first


def test_a_report_of_other_evidence_is_not_taken_for_the_runs_own(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    first, second = keep_one(plan, MOMENT), keep_one(plan, MOMENT + DAY)
    second.with_suffix(".report.json").write_bytes(first.with_suffix(".report.json").read_bytes())
    found = saved_runs.newest(plan)
    assert isinstance(found, SavedRun)
    assert found.report is None


@pytest.mark.parametrize("content", ["", "{", '{"schema": 1}'])
def test_the_newest_is_the_newest_even_where_it_cannot_be_read(tmp_path: Path, content: str) -> None:
    plan = plan_in(tmp_path)
    keep_one(plan, MOMENT)
    newest = keep_one(plan, MOMENT + DAY)
    newest.write_text(content)
    found = saved_runs.newest(plan)
    assert isinstance(found, UnreadableRun)
    assert found.path == newest
    assert found.reason.startswith("this is no evidence file")


def test_an_older_run_under_a_newer_name_is_not_the_newest(tmp_path: Path) -> None:
    """Copied, so that a GO of yesterday would be decided on."""
    plan = plan_in(tmp_path)
    first, second = keep_one(plan, MOMENT), keep_one(plan, MOMENT + DAY, "asleep")
    newer = second.with_name(f"2099{second.name[4:]}")
    for name in (newer, second):
        name.write_bytes(first.read_bytes())
        found = saved_runs.newest(plan)
        assert isinstance(found, UnreadableRun)
        assert (found.path, "it was copied or renamed" in found.reason) == (name, True)
        newer.unlink(missing_ok=True)


def test_no_two_releases_share_a_folder(tmp_path: Path) -> None:
    """Else the runs of one would be the newest of the other, and void there."""
    ids = ("R.1", "R_1", "R 1", "R/1", "../R", "..", ".", "R%1", "R\u00fc")
    plan = plan_in(tmp_path)
    plans = [replace(plan, release=replace(plan.release, id=each)) for each in ids]
    folders = {saved_runs.folder_of(each) for each in plans}
    assert len(folders) == len(ids)
    assert {keep_one(each, MOMENT): kept(each) for each in plans} == {path: [path] for path in map(only_kept, plans)}
    assert {folder.resolve().parent for folder in folders} == {tmp_path / ".preflight"}


def test_without_a_folder_there_is_no_newest(tmp_path: Path) -> None:
    assert saved_runs.newest(plan_in(tmp_path)) is None


def test_a_folder_that_cannot_be_listed_is_no_missing_run(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    (tmp_path / ".preflight").mkdir()
    saved_runs.folder_of(plan).write_text("")
    assert isinstance(saved_runs.newest(plan), UnreadableRun)


def placed(plan: Plan, count: int, first: datetime) -> list[Path]:
    """Runs an hour apart; only their names count here."""
    folder = saved_runs.folder_of(plan)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{first + timedelta(hours=hour):%Y%m%dT%H%M%S.%fZ}.json" for hour in range(count)]
    for path in paths:
        path.write_text("{}")
        path.with_suffix(".report.json").write_text("{}")
    return paths


def test_what_is_young_or_among_the_newest_stays(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    old = placed(plan, 3, MOMENT - (DAYS_KEPT + 2) * DAY)
    young = placed(plan, MOST_RUNS - 3, MOMENT - DAY * 10)
    newest = keep_one(plan, MOMENT)
    assert kept(plan) == [newest, *reversed(young), *reversed(old[1:])]
    assert not old[0].exists()
    assert not old[0].with_suffix(".report.json").exists()
    young += placed(plan, 20, MOMENT - DAY * 5)
    last = keep_one(plan, MOMENT + timedelta(minutes=1))
    assert kept(plan) == [last, newest, *sorted(young, reverse=True)], "more than the newest are young"


def test_the_newest_go_and_no_go_stay_however_old(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    long_ago = MOMENT - 400 * DAY
    older = [keep_one(plan, long_ago, "ready"), keep_one(plan, long_ago + DAY, "asleep")]
    newest = [keep_one(plan, long_ago + 2 * DAY, "ready"), keep_one(plan, long_ago + 3 * DAY, "asleep")]
    placed(plan, MOST_RUNS, MOMENT - 10 * DAY)
    saved_runs.keep(plan, Evidence(plan.digest, MOMENT), "{}")
    assert all(path.exists() for path in newest)
    assert not any(path.exists() for path in older)


def test_files_of_others_are_never_removed(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    folder = saved_runs.folder_of(plan)
    stamp = placed(plan, 1, MOMENT - 900 * DAY)[0].name.removesuffix(".json")
    theirs = [folder / name for name in (f"{stamp}.json.bak", f"copy of {stamp}.json", "notes.txt", "1.json")]
    for path in theirs:
        path.write_text("")
    placed(plan, MOST_RUNS, MOMENT - DAY)
    keep_one(plan, MOMENT)
    assert not (folder / f"{stamp}.json").exists()
    assert all(path.exists() for path in theirs)
