"""`preflight gate` as a release manager types it, over a plan whose one check reads a file beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from preflight import __version__
from preflight.evidence import Evidence
from preflight.report.formats import FORMATS
from tests.cli.program import CHECK, preflight, write_answer_plan


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A plan whose window begins in a minute or two."""
    begins = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=2)
    return write_answer_plan(tmp_path, begins)


def run_of(plan: Path) -> Path:
    """The one saved run beside the plan."""
    (found,) = (plan.parent / ".preflight" / "REL-1").glob("*Z.json")
    return found


def gate(plan: Path, *arguments: str) -> tuple[int, str, str]:
    done = preflight("gate", plan, *arguments)
    assert "Traceback" not in done.stderr
    return done.returncode, " ".join(done.stdout.split()), done.stderr


def test_without_an_earlier_run_everything_is_asked(plan: Path) -> None:
    code, told, _ = gate(plan)
    assert code == 0, told
    assert "no earlier run of REL-1" in told


def test_after_a_run_the_gate_says_what_it_starts_from_and_what_changed(plan: Path) -> None:
    assert preflight("run", plan).returncode == 0
    (plan.parent / "answer.txt").write_text("no")
    code, told, _ = gate(plan)
    assert code == 1
    assert "basis run of" in told
    assert "(GO" in told
    assert "pass -> FAIL answer file" in told


def test_without_asking_the_saved_run_is_judged_as_it_stands(plan: Path) -> None:
    assert preflight("run", plan).returncode == 0
    (plan.parent / "answer.txt").write_text("no")
    code, told, _ = gate(plan, "--no-ask")
    assert code == 0, told
    assert "judged again without asking" in told
    run_of(plan)  # nothing was asked, so nothing more was kept


def change_plan(plan: Path) -> None:
    plan.write_text(plan.read_text().replace('id = "REL-1"', 'id = "REL-1"\ntitle = "other"'))


def change_check(plan: Path) -> None:
    (plan.parent / "own" / "answer.py").write_text(CHECK + "\n")


def rehearse(plan: Path) -> None:
    plan.with_suffix(".rehearsal.json").write_text("{}")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_plan, "plan changed"),
        (change_check, "release.checks answer.py changed"),
        (rehearse, "record of the rehearsal was added"),
    ],
)
def test_a_change_since_voids_the_run_by_name(plan: Path, change: Callable[[Path], None], said: str) -> None:
    assert preflight("run", plan).returncode == 0
    change(plan)
    code, told, _ = gate(plan, "--no-ask")
    assert code == 3
    assert f"is void: {said}" in told
    assert gate(plan)[0] == 0


def test_a_run_that_was_edited_is_not_used(plan: Path) -> None:
    (plan.parent / "answer.txt").write_text("no")
    assert preflight("run", plan).returncode == 1
    saved = run_of(plan)
    saved.write_text(saved.read_text().replace('no"', 'yes"'))
    code, told, _ = gate(plan, "--no-ask")
    assert code == 3
    assert f"the newest saved run, {saved.name}, cannot be read: the evidence was changed after it was written" in told
    assert "nothing of it is judged" in told


def edit(saved: Path) -> None:
    saved.write_text(saved.read_text().replace('no"', 'yes"'))


def damage(saved: Path) -> None:
    saved.write_text(saved.read_text()[:200])


def save_by_another_version(saved: Path) -> None:
    document = json.loads(saved.read_text())
    saved.write_text(json.dumps({"schema": 99, "preflight": "9.0", "runs": document}))


@pytest.mark.case(26)
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (edit, "the evidence was changed after it was written"),
        (damage, "this is no evidence file"),
        (save_by_another_version, "saved by another version of preflight, 9.0: its schema is 99, this version reads 4"),
    ],
)
def test_an_older_go_never_stands_in_for_a_newest_run_that_cannot_be_read(
    plan: Path, spoil: Callable[[Path], None], said: str
) -> None:
    assert preflight("run", plan).returncode == 0
    (plan.parent / "answer.txt").write_text("no")
    assert preflight("run", plan).returncode == 1
    spoil(max((plan.parent / ".preflight" / "REL-1").glob("*Z.json")))
    code, told, _ = gate(plan, "--no-ask")
    assert code == 3
    assert "UNKNOWN" in told
    assert said in told
    code, told, _ = gate(plan)
    assert code == 1
    assert "everything is asked again" in told


def test_an_old_run_is_stale_and_hold_without_asking(plan: Path) -> None:
    assert preflight("run", plan).returncode == 0
    saved = run_of(plan)
    document = json.loads(saved.read_text())
    long_ago = datetime.now(UTC) - timedelta(days=1)
    document["collected_at"] = long_ago.isoformat()
    for entry in document["answers"]:
        entry["answer"]["asked_at"] = long_ago.isoformat()
    # A run that really is a day old: its digest is the one it had then.
    evidence = Evidence.from_json(json.dumps({**document, "digest": digest_of(document)}))
    saved.unlink()
    saved.with_name(f"{long_ago:%Y%m%dT%H%M%S.%fZ}.json").write_text(evidence.to_json())
    code, told, _ = gate(plan, "--no-ask")
    assert code == 3
    assert "STALE" in told
    assert gate(plan)[0] == 0


def digest_of(document: dict[str, object]) -> str:
    """Over all that is in it but what says how it was written."""
    rest = {key: document[key] for key in document.keys() - {"schema", "preflight", "digest"}}
    text = json.dumps(rest, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_gate_as_json_field_by_field(plan: Path) -> None:
    assert preflight("run", plan).returncode == 0
    (plan.parent / "answer.txt").write_text("no")
    before = datetime.now(UTC)
    done = preflight("gate", plan, "--format", "json")
    after = datetime.now(UTC)
    assert done.returncode == 1
    document = json.loads(done.stdout)
    finding, *reasons = document.pop("findings")
    assert {(each["check"], each["status"]) for each in reasons} == {("plan-coverage", "warn")}
    start = datetime.fromisoformat(document["window"]["start"])
    assert before <= datetime.fromisoformat(document.pop("collected_at")) <= after
    assert before <= datetime.fromisoformat(finding.pop("oldest_evidence_at")) <= after
    assert finding.pop("took_seconds") >= 0
    (age,) = document.pop("ages")
    assert (age["family"], age["max_seconds"]) == ("scripts", 1800)
    assert age["old_seconds"] <= (start - before).total_seconds()
    assert finding == {
        "check": "answer", "title": "the file says yes", "subject": "file", "status": "fail", "severity": "blocking",
        "summary": "it does not", "expected": "yes", "actual": "no", "remedy": "write yes", "details": "", "points": [],
        "owner": "", "cause": "", "vantage": "from here", "waiver": "", "price": None, "minutes_at_stake": None,
        "runbooks": [], "cure_by": start.isoformat(),
    }  # fmt: skip
    saved = max((plan.parent / ".preflight" / "REL-1").glob("*Z.json"))
    (basis,) = document.pop("basis")
    assert basis.endswith("(GO): everything is asked again")
    assert len(document.pop("unconfirmed")) == 1
    assert "hosts: a toy" in document.pop("without")
    assert document.pop("vantage").startswith("from ")
    since = document["since"]["collected_at"]
    assert document.pop("made_with") == [f"preflight {__version__}", "plan in no git commit"]
    assert document == {
        "schema": 2, "verdict": "NO-GO", "headline": "NO-GO", "exit_code": 1, "reason": "",
        "expect": None,
        "release": {"id": "REL-1", "title": "", "ticket": ""},
        "window": {
            "zone": "UTC", "start": start.isoformat(), "end": (start + timedelta(hours=6)).isoformat(),
            "needed_until": (start + timedelta(hours=7)).isoformat(),
        },
        "moment": start.isoformat(),
        "plan": {"file": "plan.toml", "sha256": hashlib.sha256(plan.read_bytes()).hexdigest(), "set": {}},
        "evidence_sha256": Evidence.from_json(saved.read_text()).digest,
        "planned": 7, "advisory": {}, "counts": {"fail": 1, "warn": 6}, "hosts_reached": {}, "decided": [],
        "since": {
            "collected_at": since, "headline": "GO", "new": ["answer file"], "changed": [], "disappeared": [],
            "cured": [],
        },
        "schedule": {"planned": None, "found": None}, "waivers": [], "events": [],
        "end_states": {
            "counts": {"runs-now": 1}, "listed": [{"versions": {}, "status": "runs-now", "reason": "runs now"}],
        },
    }  # fmt: skip


def test_the_json_of_a_void_run_names_what_changed(plan: Path) -> None:
    assert preflight("run", plan).returncode == 0
    change_plan(plan)
    done = preflight("gate", plan, "--no-ask", "--format", "json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["exit_code"], document["verdict"]) == (3, 3, "HOLD")
    (basis,) = document["basis"]
    assert " is void: plan changed from sha256 " in basis
    assert basis.endswith("; nothing of it is judged")
    assert document["counts"] == {"unknown": 1, "warn": 6}
    assert document["vantage"] == "(judged without asking)"


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_tells_what_changed_since_the_run(plan: Path, form: str) -> None:
    assert preflight("run", plan).returncode == 0
    change_plan(plan)
    done = preflight("gate", plan, "--format", form)
    told = "plan changed; everything" if form == "say" else "plan changed from sha256 "
    assert told in " ".join(done.stdout.split()), done.stdout


def test_whoever_lets_no_warning_pass_gets_hold_with_that_reason_in_every_format(plan: Path) -> None:
    for shown in FORMATS:
        done = preflight("gate", plan, "--fail-on", "warn", "--format", shown)
        assert done.returncode == 3, (shown, done.stdout)
        # A gauge has no words.
        assert shown == "prometheus" or "fail-on warn lets none pass" in done.stdout.replace("\n", " "), shown
    assert preflight("gate", plan, "--fail-on", "fail").returncode == 0


SINCE = {
    "json": '"new": [ "answer file" ]',
    "prometheus": 'preflight_changed{release="REL-1",change="new"} 1',
    "say": "Since the run before, one new.",
    "html": "1 new",
}
"""How it is told where it is no sentence of its own."""


@pytest.mark.parametrize("name", FORMATS)
def test_a_run_tells_what_changed_since_the_run_before(plan: Path, name: str) -> None:
    assert preflight("run", plan).returncode == 0
    assert "(GO): nothing changed" in " ".join(preflight("run", plan).stdout.split())
    (plan.parent / "answer.txt").write_text("no")
    told = " ".join(preflight("run", plan, "--format", name).stdout.split())
    assert SINCE.get(name, "(GO): 1 new") in told
