"""The main job from end to end on the demo's site: what must always hold of a run over real servers."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from preflight.cli.rehearse import record_rehearsal
from preflight.clock import now
from preflight.demo.site import DemoSite
from preflight.demo.story import LOSSES, naming, tell_story
from preflight.engine.answered import Answered
from preflight.engine.inspection import Inspection, inspect
from preflight.engine.registry import find_checks
from preflight.engine.run import collect, judge
from preflight.evidence import Evidence
from preflight.finding import Finding, Severity, Status
from preflight.plan.load import load_plan
from preflight.reference import questions as questions_report
from preflight.report import View
from preflight.report.formats import html
from preflight.report.formats import json as json_report
from preflight.report.formats import text as text_report
from preflight.report.harmless import command_in
from preflight.sessions.pools import Pools
from preflight.sessions.secrets import Secrets
from preflight.verdict import Decision, Verdict
from tests.damage import answered_with, assert_none_better, parts
from tests.hostile import FOR_A_SHELL, commands_in, each_text_of_a_reply
from tests.report.html.browser import Browser
from tests.site.machine import command_lines

ADVISORY = {"competing-jobs"}
"""Checks whose lost reply leaves a GO: they are told, and never decide."""


@dataclass
class Run:
    inspection: Inspection
    evidence: Evidence
    verdict: Verdict
    secrets: tuple[str, ...]
    process_list: str
    log: str

    def named(self, check: str, subject: str = "") -> list[Finding]:
        return [finding for finding in self.verdict.findings if finding.check == check and subject in finding.subject]

    def text(self) -> str:
        return text_report.render(self.verdict, View(verbose=True))


class ProcessList:
    """Everything that any process showed as its command line while the run went on."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self.seen: set[str] = set()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> ProcessList:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.002):
            self.seen.update(command_lines().values())


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.getMessage()} {record.exc_info}")


def run_demo(*, night: bool) -> Run:
    with DemoSite(rehearsed=True) as site:
        if night:
            site.drift()
        plan = load_plan(site.plan_path, find_checks().settings())
        secrets = Secrets(plan.folder)
        record_rehearsal(plan, secrets, 90, lambda _: None)
        if night:
            site.break_night()
            plan = load_plan(site.plan_path, find_checks().settings())
        inspection = inspect(plan, find_checks(), now())
        log = Lines()
        logging.getLogger().addHandler(log)
        level = logging.getLogger().level
        logging.getLogger().setLevel(logging.DEBUG)
        try:
            with ProcessList() as processes, Pools(plan, secrets) as pools:
                answered = collect(inspection, pools.session, 90, mask=secrets.redact)
        finally:
            logging.getLogger().setLevel(level)
            logging.getLogger().removeHandler(log)
        values = [path.read_text().strip() for path in (plan.folder / "secrets").glob("*.password")]
        key_lines = (plan.folder / "secrets" / "login.key").read_text().splitlines()[1:-1]
        # Purely offline checks read files beside the plan, so judging happens while the site stands.
        verdict = judge(answered)
        return Run(
            inspection,
            answered.evidence,
            verdict,
            (*values, *key_lines),
            "\n".join(processes.seen),
            "\n".join(log.lines),
        )


@pytest.fixture(scope="module")
def good() -> Run:
    return run_demo(night=False)


@pytest.fixture(scope="module")
def night() -> Run:
    return run_demo(night=True)


def test_the_good_site_is_go(good: Run) -> None:
    assert good.verdict.decision is Decision.GO, good.text()


def test_an_archive_tells_how_long_it_took_and_text_does_not(good: Run) -> None:
    (orders,), (billing,) = (good.named("backup-duration", name) for name in ("orders", "billing"))
    assert " took " in orders.judgement.summary
    assert billing.judgement.summary.endswith("does not tell how long it took")


def test_every_check_was_at_work(good: Run) -> None:
    of_other_engines = {"database-engine"}  # the demo's databases are PostgreSQL
    every = {check.id for check in find_checks().checks}
    assert {finding.check for finding in good.verdict.findings} == every - of_other_engines


@pytest.mark.long
def test_dropping_any_one_reply_is_never_go(good: Run) -> None:
    asked = [question for question, _ in good.evidence]
    assert len(asked) > 30
    for question in asked:
        verdict = judge(Answered(good.inspection, good.evidence.without(question.id)))
        told = f"{question.via} {question.target}: {question.text}"
        unknown = [finding for finding in verdict.findings if finding.status is Status.UNKNOWN]
        assert unknown, told
        if any(finding.severity is Severity.BLOCKING for finding in unknown):
            assert verdict.decision is not Decision.GO, told
        else:
            assert {finding.check for finding in unknown} <= ADVISORY, told


@pytest.mark.long
@pytest.mark.parametrize("which", ["good", "night"])
def test_no_finding_is_better_without_a_reply_or_with_a_damaged_one(which: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(which)
    assert_none_better(run.inspection, run.evidence)


@pytest.mark.long
@pytest.mark.parametrize("which", ["good", "night"])
def test_no_command_to_paste_runs_what_a_server_says(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """With no program on PATH, so that the commands themselves do nothing."""
    run: Run = request.getfixturevalue(which)
    lines = set[str]()
    for question, answer, part in parts(run.inspection, run.evidence):
        for reply in each_text_of_a_reply(answer, FOR_A_SHELL):
            lines |= commands_in(Answered(part, answered_with(run.evidence, question, reply)).findings())
    assert lines
    for line in (each for each in lines if "canary" in each):
        subprocess.run(["/bin/sh", "-c", line], cwd=tmp_path, env={"PATH": "/nowhere"}, timeout=60, capture_output=True)
        assert [*tmp_path.iterdir()] == [], line


@pytest.mark.parametrize("which", ["good", "night"])
def test_saved_evidence_gives_equal_findings(which: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(which)
    again = Evidence.from_json(run.evidence.to_json())
    assert judge(Answered(run.inspection, again)).findings == run.verdict.findings


def test_a_host_is_asked_in_one_batch_and_a_question_once(good: Run) -> None:
    ids = [question.id for question, _ in good.evidence]
    assert len(ids) == len(set(ids))
    first = {question.id for question in good.inspection.first_round()}
    assert first < set(ids)


@pytest.mark.parametrize("which", ["good", "night"])
def test_no_secret_appears_anywhere(which: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(which)
    places = {
        "text report": run.text(),
        "json report": json_report.render(run.verdict),
        "evidence": run.evidence.to_json(),
        "questions": questions_report.render(run.inspection, find_checks(), run.inspection.first_round(), "demo.toml"),
        "log": run.log,
        "process list": run.process_list,
        "repr": repr(run.inspection.plan) + repr(run.evidence),
    }
    assert "preflight" in run.process_list or "pytest" in run.process_list
    for secret in run.secrets:
        for place, text in places.items():
            assert secret not in text, place


def test_the_night_is_no_go_and_every_cause_is_named(night: Run) -> None:
    assert night.verdict.decision is Decision.NO_GO
    causes = [
        ("host-login", "db1", "password"),
        ("host-login", "app1-a", "the account ends"),
        ("backup-location", "billing", "does not exist"),
        ("script-hashes", "billing", "020_rounding.sql"),
        ("database-login", "billing", "the password of role release ends"),
        ("earlier-backup", "billing", "end"),
        ("app-health", "app2", "2.6"),
        ("rehearsal", "billing", "psql:010_currency.sql:3: ERROR:"),
        ("schema-drift", "billing", "+column currency text"),
        ("on-call", "dba", "no standby"),
        ("version-pairs", "end states", "app1 4.2 with app2 2.7: never tested"),
    ]
    for check, subject, word in causes:
        failing = [finding for finding in night.named(check, subject) if finding.status is Status.FAIL]
        said = json.dumps(
            [[point.summary + point.actual for point in finding.judgement.telling_points()] for finding in failing]
        )
        assert failing, f"{check} {subject} did not fail"
        assert word.lower() in said.lower(), f"{check} {subject}: {said}"


def test_each_loss_of_the_night_stands_in_its_report(night: Run) -> None:
    assert [loss.what for loss in LOSSES if naming(night.verdict, loss) is None] == []
    told = tell_story(night.verdict)
    assert "At least 165 of 390 min: without them the night ends at 03:45, both applications live." in told
    assert [line for line in told.splitlines() if len(line) > 100] == []


def test_a_loss_that_no_line_names_is_told(good: Run) -> None:
    assert [loss.what for loss in LOSSES if naming(good.verdict, loss)] == []
    assert tell_story(good.verdict).count("no line of this report") == len(LOSSES)


def test_the_night_prints_the_times_the_price_and_the_pairs(night: Run) -> None:
    text = night.text()
    assert "finish   03:30 (08:30 UTC), 1 h 10 min longer with what failed, latest start 00:33 (05:33 UTC)" in text
    assert "decide by 04:33 (09:33 UTC), start rollback by 04:48 (09:48 UTC), margin 1 h 3 min" in text
    assert ", covered 2 of 3 hosts, missing db1" in text
    assert "price   70 min longer over the network: finish 03:30" in text
    assert "app1 4.2   NEVER TESTED   tested" in text
    assert "02:30  password of role release on orders ends" in text


def test_the_night_shows_the_changed_line(night: Run) -> None:
    details = "".join(
        point.details for finding in night.named("script-hashes") for point in finding.judgement.telling_points()
    )
    assert "-   SET total = round(total, 2)" in details
    assert "+   SET total = round(total, 1)" in details


def test_every_failing_line_says_what_was_needed_and_how_to_cure_it(night: Run) -> None:
    for finding in night.verdict.findings:
        for point in finding.judgement.telling_points():
            if point.status is Status.FAIL:
                assert point.summary, finding
                assert point.expected, finding
                assert point.remedy, finding
                assert finding.owner, finding


@pytest.mark.long
def test_the_first_view_of_the_page_holds_every_card_and_it_prints_on_one_sheet(night: Run, tmp_path: Path) -> None:
    (tmp_path / "night.html").write_text(html.render(night.verdict), "utf-8")
    with Browser() as browser:
        browser.open(tmp_path / "night.html", 1400)
        wanted = "'.word, .figures .value, svg.across, .card h3, .card > p strong, .card > ul > li:first-child > label'"
        ends = browser.evaluate(f"[...document.querySelectorAll({wanted})].map(e => e.getBoundingClientRect().bottom)")
        assert len(ends) == 1 + 5 + 1 + 3 * 4
        assert max(ends) <= 900
        assert len(re.findall(rb"/Type\s*/Page\b(?!s)", browser.pdf())) == 1


def test_the_report_fits_100_columns_but_for_commands_which_are_never_broken(good: Run, night: Run) -> None:
    for run in (good, night):
        points = [point for each in run.verdict.findings for point in each.judgement.telling_points()]
        commands = {command_in(point.remedy)[1] for point in points}
        wide = [line.strip() for line in run.text().splitlines() if len(line) > 100]
        assert [line for line in wide if line not in commands] == []
