"""`preflight decide` as people call it on the call: written beside the plan, shown by every report, never a switch."""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from preflight.clock import now
from preflight.plan.confirmed import DecisionTaken
from preflight.plan.load import load_plan
from preflight.report.formats import FORMATS
from preflight.report.layout import WIDTH
from tests.cli.program import preflight, write_answer_plan
from tests.signing import allowed, signing_key

PEOPLE = """
[roles.release-manager]
primary = "A. Haddad"
standby = "L. Brandt"
contact = "ext. 4400"

[checks.on-call]
severity = "advisory"
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = write_answer_plan(tmp_path, now() + timedelta(hours=1))
    path.write_text(path.read_text() + PEOPLE)
    return path


def decide(plan: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = preflight("decide", plan.name, *arguments, cwd=plan.parent)
    assert all(len(line) <= WIDTH for line in done.stdout.splitlines())
    done.stdout = " ".join(done.stdout.split())
    return done


def run(plan: Path, answer: str = "yes") -> None:
    (plan.parent / "answer.txt").write_text(answer)
    preflight("run", plan)


def test_a_go_on_a_go_is_written_with_who_when_and_the_run(plan: Path) -> None:
    run(plan)
    done = decide(plan, "go", "--by", "a. haddad", "--because", "all is green")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("GO by A. Haddad, ")
    assert "the verdict was GO; because all is green; run " in done.stdout
    (taken,) = load_plan(plan).confirmed.decided
    report = json.loads(preflight("gate", plan, "--no-ask", "--format", "json").stdout)
    assert (taken.decision, taken.plan) == (DecisionTaken.GO, load_plan(plan).digest)
    assert taken.run == report["evidence_sha256"]


@pytest.mark.parametrize(("answer", "code", "verdict"), [("no", 1, "NO-GO"), (None, 3, "HOLD")])
def test_a_go_against_the_verdict_is_refused_until_it_says_why_and_the_code_stays_the_verdicts(
    plan: Path, answer: str | None, code: int, verdict: str
) -> None:
    if answer:
        run(plan, answer)
    else:
        plan.write_text(plan.read_text() + '\n[[attest]]\nid = "v"\ntext = "t"\nowner = "release-manager"\n')
        run(plan)
    refused = decide(plan, "go", "--by", "L. Brandt")
    assert refused.returncode == code
    why = {"NO-GO": "answer file", "HOLD": "attestations v"}[verdict]
    assert refused.stderr == f"not written: the verdict is {verdict}, and a go needs --against REASON; {why}\n"
    assert load_plan(plan).confirmed.decided == ()
    done = decide(plan, "go", "--by", "L. Brandt", "--against", "the board accepts it")
    assert (done.returncode, done.stderr) == (code, "")
    for name in FORMATS:
        report = preflight("run", plan, "--format", name)
        shown = " ".join(report.stdout.split())
        assert "L. Brandt" in shown, name
        if name not in ("prometheus", "nagios"):
            assert (report.returncode, "the board accepts it" in shown) == (code, True), name
    short = " ".join(preflight("run", plan, "--short").stdout.split())
    assert f"AGAINST THE VERDICT {verdict}: the board accepts it" in short


def test_a_run_that_let_no_warning_pass_lets_none_pass_when_it_is_judged_again(plan: Path) -> None:
    assert preflight("run", plan, "--fail-on", "warn").returncode == 3
    refused = decide(plan, "go", "--by", "A. Haddad")
    assert (refused.returncode, refused.stderr.startswith("not written: the verdict is HOLD")) == (3, True)
    assert decide(plan, "hold", "--by", "A. Haddad").returncode == 3
    (saved,) = (plan.parent / ".preflight" / "REL-1").glob("*Z.json")
    again = preflight("judge", plan, saved)
    assert (again.returncode, "--fail-on warn lets none pass" in " ".join(again.stdout.split())) == (3, True)
    (listed,) = json.loads(preflight("history", plan, "--format", "json").stdout)["runs"]
    assert (listed["verdict"], "--fail-on warn lets none pass" in listed["reason"]) == ("HOLD", True)
    assert "because  " in preflight("history", plan).stdout


def test_a_gate_that_was_no_go_for_its_moment_is_none_to_decide_on_before_it(plan: Path) -> None:
    gate = preflight("gate", plan, "--at", f"{now() + timedelta(hours=5):%Y-%m-%d %H:%M}")
    assert gate.returncode == 3, gate.stdout
    refused = decide(plan, "go", "--by", "A. Haddad")
    assert refused.returncode == 3
    assert refused.stderr.startswith("not written: the verdict is HOLD")
    assert "it was HOLD when it was run" in " ".join(refused.stderr.split())


@pytest.fixture
def signing(plan: Path) -> Path:
    """The key of A. Haddad; whoever decides must sign."""
    key = signing_key(plan.parent / "haddad")
    allowed(plan.parent / "signers", ('"A. Haddad" namespaces="preflight-decision"', key))
    plan.write_text(plan.read_text().replace('id = "REL-1"', 'id = "REL-1"\nallowed_signers = "signers"'))
    return key


def reported(plan: Path) -> str:
    """Every format's text of a run, but the gauges'."""
    told = {name: " ".join(preflight("run", plan, "--format", name).stdout.split()) for name in FORMATS}
    short = " ".join(preflight("run", plan, "--short").stdout.split())
    return "\n".join(text for name, text in {**told, "short": short}.items() if name != "prometheus")


@pytest.mark.long
def test_a_signed_decision_is_shown_with_who_signed_it_in_every_format(plan: Path, signing: Path) -> None:
    run(plan)
    done = decide(plan, "go", "--by", "A. Haddad", "--sign", str(signing))
    assert (done.returncode, done.stderr) == (0, "")
    assert "; signed by A. Haddad; " in done.stdout
    lines = reported(plan).splitlines()
    assert [line for line in lines if "signed by A. Haddad" not in line.replace("Signed", "signed")] == []
    (taken,) = json.loads(preflight("run", plan, "--format", "json").stdout)["decided"]
    assert taken["signed"] == "signed by A. Haddad"


@pytest.mark.long
@pytest.mark.parametrize(
    ("then", "now"),
    [('decision = "hold"', 'decision = "go"'), ('because = "late"', 'because = "early"'), ("run = ", "run = ")],
)
def test_a_decision_that_was_edited_or_signed_by_another_is_told_in_every_format(
    plan: Path, signing: Path, then: str, now: str
) -> None:
    run(plan)
    key = signing if then != now else signing_key(plan.parent / "stranger")
    decide(plan, "hold", "--by", "A. Haddad", "--because", "late", "--sign", str(key))
    file = load_plan(plan).confirmed_file
    file.write_text(file.read_text().replace(then, now))
    for line in reported(plan).splitlines():
        shown = line.lower()
        assert "not to be believed, the signature is not of a. haddad" in shown, line
        assert "signed by a. haddad" not in shown, line


def test_a_decision_without_a_signature_says_so_where_one_is_wanted(plan: Path, signing: Path) -> None:
    run(plan)
    done = decide(plan, "go", "--by", "A. Haddad")
    assert (done.returncode, "NOT SIGNED: A. Haddad decides again with --sign KEY" in done.stdout) == (0, True)
    signers = plan.read_text().replace('allowed_signers = "signers"', "")
    decide(plan, "go", "--by", "A. Haddad", "--sign", str(signing))
    plan.write_text(signers)
    assert "signed, which nobody verified: [release] names no allowed_signers" in reported(plan)


def test_a_key_that_cannot_sign_is_an_error_and_nothing_is_decided(plan: Path) -> None:
    run(plan)
    done = decide(plan, "go", "--by", "A. Haddad", "--sign", "missing")
    assert (done.returncode, "--sign missing: ssh-keygen did not sign" in done.stderr) == (2, True)
    assert load_plan(plan).confirmed.decided == ()


def test_hold_and_no_go_need_no_reason_and_the_newest_stands_first(plan: Path) -> None:
    run(plan, "no")
    assert decide(plan, "hold", "--by", "A. Haddad").returncode == 1
    assert decide(plan, "no-go", "--by", "A. Haddad", "--because", "it is late").returncode == 1
    report = preflight("run", plan).stdout
    assert report.index("NO-GO by A. Haddad") < report.index("HOLD by A. Haddad")


def test_a_decision_says_when_the_plan_has_changed_since(plan: Path) -> None:
    run(plan)
    decide(plan, "go", "--by", "A. Haddad")
    plan.write_text(plan.read_text() + "\n# later\n")
    assert "of another text of the plan" in " ".join(preflight("run", plan).stdout.split())
    (said,) = (line for line in preflight("run", plan, "--format", "say").stdout.splitlines() if " decided " in line)
    assert said.endswith(", of another text of the plan."), said


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("go", "--by", "A. Hadad"), "no such person who decides 'A. Hadad'; did you mean A. Haddad?"),
        (("go", "--by", "A. Haddad", "--against", "x"), "--against is for a go on a verdict that is not GO; it is GO"),
        (("hold", "--by", "A. Haddad", "--against", "x"), "--against is for a go"),
        (("goo", "--by", "A. Haddad"), "'goo' is not one of"),
    ],
)
def test_a_wrong_call_is_told_and_nothing_is_written(plan: Path, arguments: tuple[str, ...], error: str) -> None:
    run(plan)
    done = decide(plan, *arguments)
    assert (done.returncode, error in done.stderr) == (2, True), done.stderr
    assert load_plan(plan).confirmed.decided == ()


def test_without_a_run_of_this_very_plan_there_is_nothing_to_decide_on(plan: Path) -> None:
    none = decide(plan, "go", "--by", "A. Haddad")
    assert (none.returncode, "there is nothing to decide on: no earlier run of REL-1" in none.stderr) == (2, True)
    run(plan)
    plan.write_text(plan.read_text() + "\n# later\n")
    changed = decide(plan, "go", "--by", "A. Haddad")
    assert (changed.returncode, "is void: plan changed" in changed.stderr) == (2, True), changed.stderr
