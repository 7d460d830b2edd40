"""time-budget judged from plans: exactly enough time passes, one minute less does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from preflight_checks.time_budget import TimeBudget

from preflight.engine.answered import Answered
from preflight.engine.inspection import inspect
from preflight.engine.registry import Registry
from preflight.evidence import Evidence
from preflight.finding import Judgement, Quantity, Status
from preflight.judging.schedule import schedule, unprotected
from preflight.plan import (
    Account,
    Application,
    Backup,
    BackupMethod,
    Database,
    Decision,
    DecisionKind,
    RemotePath,
    Restore,
    Role,
    Scripts,
    Step,
    Undo,
    UndoKind,
    Window,
)
from preflight.plan.load import load_plan
from preflight.questions.rehearsed import Content, Rehearsal, Rehearsed, RehearsedDatabase, RehearsedEntry, Run
from tests.window_plans import NONE, RESTORE, minutes, step, steps, window, work

EXAMPLE = Path(__file__).parent.parent.parent / "plans" / "example.toml"
STRICT = window(margin=minutes(30), decision_reserve=minutes(15), rollback_factor=1.2)
EVENING = STRICT.start - timedelta(hours=9)
BACKUP, SCRIPTS = step("backup", 100), step("scripts", 95, "backup", undo=50)
DEPLOY = step("deploy", 25, "scripts", undo=20)
NIGHT = (BACKUP, SCRIPTS, DEPLOY)
"""Ends 03:40. Taking it back takes 70 min, with the factor 84: start by 04:36, decide by 04:21, margin 41 min."""
REDEPLOYED = Undo(kind=UndoKind.REDEPLOY, minutes=15, source="rehearsed 2026-10-10")


def judged(
    *own: Step, within: Window = STRICT, at: datetime = EVENING, record: Rehearsal | None = None, **fields: Any
) -> Judgement:
    check = TimeBudget(work(*own, within=within, **fields), at)
    (subject,) = check.subjects()
    assert subject.id == "window"
    facts = {name: Rehearsed(record) for name in check.probes(subject)}
    found: Judgement = check.judge(subject, **facts)
    for point in found.telling_points():
        assert point.status is Status.PASS or (point.expected and point.actual and point.remedy)
    return found


def told(found: Judgement) -> list[tuple[Status, str]]:
    return [(point.status, point.summary) for point in found.telling_points()]


def with_deploy(**fields: Any) -> tuple[Step, ...]:
    return (BACKUP, SCRIPTS, replace(DEPLOY, **fields))


# The plan has the time.


def test_a_plan_with_time_enough_passes_and_tells_the_times_of_the_night() -> None:
    found = judged(*NIGHT)
    assert found.status is Status.PASS
    assert found.summary == "as planned: finish 03:40, decide by 04:21, start rollback by 04:36, margin 41 min"


def test_a_plan_without_steps_gives_nothing_to_judge() -> None:
    assert not TimeBudget(work(), EVENING).subjects()


def test_the_numbers_of_the_example_plan_are_told() -> None:
    plan = load_plan(EXAMPLE)
    check = TimeBudget(plan, plan.window.start)
    (subject,) = check.subjects()
    assert subject.owner == "release-manager"
    found = check.judge(subject)
    assert told(found) == [
        (Status.PASS, "as planned: finish 02:55, decide by 04:09, start rollback by 04:24, margin 1 h 34 min"),
    ]


def test_work_that_leaves_nothing_to_undo_needs_only_the_window() -> None:
    assert told(judged(step("look", 360))) == [(Status.PASS, "as planned: finish 06:00, nothing to take back")]
    assert judged(step("look", 361)).status is Status.FAIL


def test_an_application_that_no_step_deploys_is_a_warning() -> None:
    app = Application(id="app1", from_="4.1", to="4.2")
    steps = with_deploy(deploys="app1")
    assert judged(*steps, applications=[app]).status is Status.PASS
    (point,) = told(judged(*NIGHT, applications=[app]))
    assert point == (
        Status.WARN, "no step deploys app1: taken to be deployed in any order and taken back at any time"
    )  # fmt: skip
    assert judged(*NIGHT, applications=[replace(app, to="4.1")]).status is Status.PASS


@pytest.mark.parametrize("undo", [Undo(kind=UndoKind.NOTHING_TO_UNDO), Undo(kind=NONE), DEPLOY.undo])
def test_what_is_deployed_is_deployed_back(undo: Undo) -> None:
    found = judged(*with_deploy(deploys="app1", undo=undo))
    warnings = [each for each in found.points if each.status is Status.WARN and "it says" in each.summary]
    assert len(warnings) == (undo.kind is UndoKind.NOTHING_TO_UNDO)
    for each in warnings:
        assert each.summary == "step deploy leaves nothing to undo, it says, and deploys app1"
        assert 'write undo = { kind = "redeploy", minutes = 10 }' in each.remedy
        assert each.remedy.endswith('or kind = "none", if nothing takes it back')


def test_work_that_cannot_be_taken_back_is_not_told_as_nothing_to_take_back() -> None:
    final = replace(step("drop", 30), undo=Undo(kind=UndoKind.NONE))
    (point,) = told(judged(step("look", 60), final))
    assert point == (Status.PASS, "as planned: finish 01:00, point of no return 00:00")


def test_the_finding_belongs_to_who_decides_about_a_rollback() -> None:
    decisions = (
        Decision(on=DecisionKind.RETRY, rule="once", decides="dba", default="back"),
        Decision(on=DecisionKind.ROLLBACK, rule="at decide-by", decides="manager", default="back"),
    )
    roles = {"manager": Role(id="manager", primary="A. Haddad", contact="ext. 4400")}
    plan = work(*NIGHT, within=STRICT, decisions=decisions, roles=roles)
    inspection = inspect(plan, Registry((TimeBudget,)), EVENING)
    (finding,) = Answered(inspection, Evidence(plan.digest, EVENING)).findings()
    assert finding.owner == "A. Haddad (manager), ext. 4400"
    assert finding.status is Status.PASS


# It has not: short of margin, or of window.


def test_exactly_the_margin_passes_and_one_minute_less_fails_with_what_is_missing() -> None:
    assert judged(*with_deploy(minutes=36)).status is Status.PASS
    found = judged(*with_deploy(minutes=37))
    assert told(found) == [(Status.FAIL, "1 min short: deploy ends 03:52, decide by 04:21")]
    assert found.expected == "the last step to take back ends 30 min before decide-by: by 03:51"
    assert found.actual == "margin 29 min; the rollback of 1 h 10 min x 1.2 must start by 04:36"
    assert found.remedy == (
        "shorten backup (1 h 40 min), the longest of backup -> scripts -> deploy, by 1 min, "
        "start the window at Fri 2026-10-16 23:59, or have the window end at 06:01"
    )
    assert (found.minutes_at_stake, found.quantity) == (1, Quantity(value=60, unit="s"))


@pytest.mark.parametrize(
    "short",
    [
        {"end": STRICT.end - minutes(12)},
        {"start": STRICT.start + minutes(12)},
        {"margin": minutes(42)},
        {"decision_reserve": minutes(27)},
        {"rollback_factor": 1.4},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_tighter_window_fails_the_same_work(short: dict[str, Any]) -> None:
    assert judged(*NIGHT).status is Status.PASS
    assert judged(*NIGHT, within=replace(STRICT, **short)).status is Status.FAIL


def test_every_cure_that_is_told_cures() -> None:
    own = with_deploy(minutes=47)
    assert judged(*own).minutes_at_stake == 11
    assert judged(replace(BACKUP, minutes=89), *own[1:]).status is Status.PASS
    assert judged(*own, within=replace(STRICT, start=STRICT.start - minutes(11))).status is Status.PASS
    assert judged(*own, within=replace(STRICT, end=STRICT.end + minutes(11))).status is Status.PASS


def test_harmless_work_may_use_the_window_to_its_last_minute() -> None:
    assert judged(*NIGHT, step("report", 140, "deploy")).status is Status.PASS
    found = judged(*NIGHT, step("report", 141, "deploy"))
    assert told(found) == [(Status.FAIL, "1 min short: the work ends 06:01, after the window")]
    assert (found.expected, found.minutes_at_stake) == ("all work ends by 06:00", 1)
    assert "shorten report (2 h 21 min), the longest of backup -> scripts -> deploy -> report, by 1 min" in found.remedy


def test_a_lack_that_no_single_step_holds_is_to_be_found_in_all_of_its_chain() -> None:
    found = judged(*(step(f"s{n}", 40, *([f"s{n - 1}"] if n else []), undo=1) for n in range(10)))
    assert "shorten s0 -> s1 -> s2 -> s3 -> s4 -> s5 -> s6 -> s7 -> s8 -> s9 by " in found.remedy
    assert found.remedy.partition(",")[0].endswith(" in all")
    assert [status for status, _ in told(found)] == [Status.FAIL, Status.FAIL]


def test_work_shorter_than_what_is_missing_cannot_make_up_for_it() -> None:
    found = judged(step("quick", 10, undo=300))
    assert found.remedy == (
        "shorten the rollback (5 h x 1.2), start the window at Fri 2026-10-16 23:05, or have the window end at 06:55"
    )
    late = judged(step("quick", 10, undo=30), at=STRICT.end - minutes(1))
    assert late.remedy == "agree on another window"


def test_a_lone_step_is_named_without_a_chain() -> None:
    assert judged(step("all", 300, undo=60)).remedy.startswith("shorten all (5 h) by ")


@pytest.mark.parametrize(
    ("start", "end", "takes"),
    [
        ("2026-10-31T23:00", "2026-11-01T05:00", 420),  # clocks go back: seven hours
        ("2027-03-13T23:00", "2027-03-14T05:00", 300),  # clocks go forward: five
        ("2026-10-16T23:00", "2026-10-17T05:00", 360),
    ],
)
def test_the_night_of_a_clock_change_is_judged_by_its_real_length(start: str, end: str, takes: float) -> None:
    within = window(start, end)
    rehearsed = within.start - timedelta(days=1)
    assert judged(step("all", takes), within=within, at=rehearsed).status is Status.PASS
    found = judged(step("all", takes + 1), within=within, at=rehearsed)
    assert found.status is Status.FAIL
    assert found.minutes_at_stake == 1


def test_times_on_the_night_of_a_clock_change_carry_their_offset() -> None:
    within = window("2026-11-01T00:00", "2026-11-01T06:00")
    assert judged(step("all", 60, undo=60), within=within).summary == (
        "as planned: finish 01:00 -04:00 (first), decide by 05:00 -05:00, start rollback by 05:00 -05:00, margin 5 h"
    )


# The call begins late.


def test_in_the_open_window_the_work_is_taken_to_begin_now() -> None:
    found = judged(*NIGHT, at=STRICT.start + minutes(11))
    assert told(found) == [
        (Status.PASS, "begun now: finish 03:51, decide by 04:21, start rollback by 04:36, margin 30 min"),
    ]


def test_after_the_latest_start_it_is_too_late_to_begin() -> None:
    found = judged(*NIGHT, at=STRICT.start + minutes(12))
    assert told(found) == [(Status.FAIL, "1 min too late to begin")]
    assert found.expected == "the work begins by 00:11"
    assert found.actual == "it is 00:12; begun now and as planned: finish 03:52, margin 29 min"
    assert found.remedy == (
        "shorten backup (1 h 40 min), the longest of backup -> scripts -> deploy, by 1 min, or agree on another window"
    )
    assert found.minutes_at_stake == 1


def test_too_late_for_the_end_of_the_window_names_the_chain_that_ends_last() -> None:
    found = judged(*NIGHT, step("report", 130, "deploy"), at=STRICT.start + minutes(14))
    assert told(found) == [(Status.FAIL, "4 min too late to begin")]
    assert "of backup -> scripts -> deploy -> report, by 4 min" in found.remedy


def test_a_plan_that_never_fitted_is_told_as_that_and_not_to_start_earlier_once_the_window_is_open() -> None:
    found = judged(*with_deploy(minutes=37), at=STRICT.start + minutes(5))
    assert told(found) == [(Status.FAIL, "6 min short: deploy ends 03:57, decide by 04:21")]
    assert "start the window" not in found.remedy


@pytest.mark.parametrize("own", [NIGHT, with_deploy(minutes=37), (step("look", 1),)])
def test_after_the_window_nothing_begins_any_more(own: tuple[Step, ...]) -> None:
    assert judged(*own, at=STRICT.end).status is Status.FAIL
    found = judged(*own, at=STRICT.end + timedelta(microseconds=1))
    assert told(found) == [(Status.FAIL, "the window is over")]
    assert found.remedy == "agree on another window"


# What the plan does not say.


@pytest.mark.parametrize("kind", [RESTORE, UndoKind.SCRIPT, UndoKind.REDEPLOY])
def test_a_way_back_of_no_length_leaves_decide_by_unknown(kind: UndoKind) -> None:
    found = judged(*with_deploy(undo=Undo(kind=kind, source="guess")))
    assert told(found) == [(Status.UNKNOWN, f"step deploy does not say how long taking it back ({kind}) lasts")]
    assert found.actual == "decide-by is not known, only that it is not after 04:45"
    assert "undo of step deploy" in found.remedy


def test_a_step_without_a_way_back_leaves_decide_by_unknown() -> None:
    found = judged(*with_deploy(undo=None))
    assert told(found) == [(Status.UNKNOWN, "step deploy does not say how it is taken back")]
    assert not [point for point in found.points if point.status is Status.PASS]


def test_an_unknown_way_back_does_not_hide_that_the_time_is_short_already() -> None:
    statuses = [status for status, _ in told(judged(*with_deploy(undo=None, minutes=90)))]
    assert statuses == [Status.FAIL, Status.UNKNOWN]


# What is warned of.


def test_guesses_on_blocking_steps_and_on_their_way_back_are_named() -> None:
    guessed = Undo(kind=RESTORE, minutes=50)
    found = judged(replace(BACKUP, source="guess"), replace(SCRIPTS, undo=guessed), DEPLOY)
    assert told(found) == [(Status.WARN, "guessed: the time of backup, the undo of scripts")]
    assert found.remedy.startswith("rehearse backup, the undo of scripts")


def test_a_rehearsal_on_a_restore_offers_its_minutes_and_one_on_the_schema_none() -> None:
    forward, back = (
        Run(script="a", seconds=5000.0, exit_code=0),
        Run(script="b", way_back=True, seconds=59, exit_code=0),
    )
    of = RehearsedDatabase(content=Content.RESTORE, size_bytes=61 * 1024**3, version_num=15, server_version_num=15)
    tried = RehearsedEntry(database="orders", runs=(forward, back))
    record = Rehearsal(
        release="R", at=EVENING, by="kaya", where="here", databases={"orders": of}, scripts={"orders": tried}
    )
    undo = Undo(kind=UndoKind.SCRIPT, minutes=50)
    folder: dict[str, Any] = {"approved": Path("a"), "manifest": Path("m"), "staged": RemotePath("/s")}
    plan_of: dict[str, Any] = {
        "databases": [Database(id="orders", host="db1", user=Account("release"))],
        "scripts": [Scripts(id="orders", database="orders", step="scripts", **folder)],
    }
    guessed = (BACKUP, replace(SCRIPTS, source="guess", undo=undo), DEPLOY)
    found = judged(*guessed, record=record, **plan_of)
    assert found.remedy == (
        'write minutes = 84, source = "rehearsed 2026-10-16" to scripts: it took 1 h 23 min on a restore of 61 GiB; '
        'write minutes = 1, source = "rehearsed 2026-10-16" to the undo of scripts: it took 59 s on a restore of 61 GiB'
    )
    stays = replace(guessed[1], source="measured 2026-10-01", undo=Undo(kind=UndoKind.NOTHING_TO_UNDO))
    left_out = judged(BACKUP, stays, DEPLOY, record=record, **plan_of)
    said = "step scripts leaves nothing to undo, it says, and its scripts have ways back"
    assert (told(left_out), left_out.actual) == ([(Status.WARN, said)], "b")
    again = replace(stays, undo=REDEPLOYED, deploys="app1")
    redeployed = judged(BACKUP, again, DEPLOY, record=record, **plan_of)
    said = "step scripts is taken back by a redeploy, it says, and its scripts have ways back"
    assert told(redeployed)[0] == (Status.WARN, said)
    without = replace(record, scripts={"orders": replace(tried, runs=(forward,))})
    assert judged(BACKUP, again, DEPLOY, record=without, **plan_of).status is Status.PASS
    assert judged(BACKUP, stays, DEPLOY, record=without, **plan_of).status is Status.PASS
    schema = replace(record, databases={"orders": replace(of, content=Content.SCHEMA)})
    for no_record in (schema, replace(record, scripts={}), None):
        assert judged(*guessed, record=no_record, **plan_of).remedy.startswith("rehearse scripts, the undo of scripts")


def test_guesses_are_no_matter_where_the_window_can_be_finished_without_or_nothing_is_undone() -> None:
    extra = step("mail", 5, "deploy", source="guess", blocking=False, undo=Undo(kind=RESTORE, minutes=1))
    assert BACKUP.undo is not None
    assert BACKUP.undo.source == "guess"
    assert judged(*NIGHT, extra).status is Status.PASS


def test_before_a_step_that_cannot_be_undone_there_is_time_to_decide() -> None:
    talk = step("talk", 15, "deploy")
    final = step("drop", 10, "talk", undo=NONE)
    times = "finish 04:05, decide by 04:21, start rollback by 04:36, margin 41 min, point of no return 03:55"
    assert told(judged(*NIGHT, talk, final)) == [(Status.PASS, f"as planned: {times}")]
    found = judged(*NIGHT, replace(talk, minutes=14), final)
    assert told(found) == [
        (
            Status.WARN,
            "no time to decide: deploy ends 03:40, and drop, which cannot be undone, begins 14 min later",
        )
    ]
    assert found.expected == "15 min (decision_reserve) to decide before the point of no return"
    assert "between deploy and drop" in found.remedy


def test_a_risky_step_that_is_still_under_way_at_the_point_of_no_return_is_warned_of() -> None:
    own = (step("long", 60, undo=10), step("short", 5), step("drop", 5, "short", undo=NONE))
    assert "long ends 01:00, and drop, which cannot be undone, begins before that" in judged(*own).summary


def test_a_record_from_the_future_is_warned_of() -> None:
    source = "measured 2026-10-17"
    found = judged(*with_deploy(source=source))
    assert told(found) == [(Status.WARN, f"the time of deploy was {source}, in the future")]
    found = judged(*with_deploy(undo=Undo(kind=RESTORE, minutes=20, source=source)))
    assert told(found) == [(Status.WARN, f"the time of the undo of deploy was {source}, in the future")]


@pytest.mark.parametrize(("day", "status"), [("2025-10-15", Status.PASS), ("2025-10-14", Status.WARN)])
def test_a_record_of_more_than_a_year_ago_is_warned_of(day: str, status: Status) -> None:
    found = judged(*with_deploy(source=f"rehearsed {day}"))
    assert found.status is status
    assert status is Status.PASS or told(found) == [
        (Status.WARN, f"the time of deploy was rehearsed {day}: since then it may have grown")
    ]


def test_a_record_of_today_counts_by_the_calendar_of_the_windows_zone() -> None:
    late_evening = datetime.fromisoformat("2026-10-17T01:00+00:00")  # still the 16th in New York
    assert judged(*with_deploy(source="measured 2026-10-16"), at=late_evening).status is Status.PASS
    assert judged(*with_deploy(source="measured 2026-10-17"), at=late_evening).status is Status.WARN
    assert judged(*with_deploy(source=f"measured {date(2026, 10, 17)}"), at=STRICT.start).status is Status.PASS


# Backups come before what they protect.


def with_backup(
    *own: Step, scripts: str = "scripts", backups: Sequence[Backup] = (), **more: Any
) -> list[tuple[Status, str]]:
    return told(judged_with(*own, scripts=scripts, backups=[backup_in("backup", **more), *backups]))


def judged_with(*own: Step, backups: Sequence[Backup], scripts: str = "scripts") -> Judgement:
    databases = [Database(id=name, host="db1", user=Account("release")) for name in ("orders", "billing")]
    folder = {"approved": Path("sql"), "manifest": Path("sql.SHA256SUMS"), "staged": RemotePath("/s")}
    entry = Scripts(id="orders", database="orders", step=scripts, **folder)
    return judged(*own, databases=databases, backups=backups, scripts=[entry])


def backup_in(step: str, **more: Any) -> Backup:
    return Backup(id=step, database="orders", directory=RemotePath("/b"), step=step, **more)


TOO_EARLY = (Status.FAIL, "scripts changes orders before backup is finished")


@pytest.mark.parametrize(
    "own",
    [
        (BACKUP, replace(SCRIPTS, after=())),
        (replace(BACKUP, after=("scripts",)), replace(SCRIPTS, after=())),
        (BACKUP, replace(SCRIPTS, after=(), undo=Undo(kind=UndoKind.SCRIPT, minutes=5))),
    ],
)
def test_scripts_that_may_run_before_the_backup_fail(own: tuple[Step, ...]) -> None:
    assert TOO_EARLY in with_backup(*own)


def test_a_step_may_wait_for_the_backup_through_others() -> None:
    assert TOO_EARLY not in with_backup(BACKUP, step("look", 1, "backup"), replace(SCRIPTS, after=("look",)))


def test_a_backup_taken_in_the_step_of_the_scripts_is_too_late() -> None:
    assert (Status.FAIL, "backup changes orders before backup is finished") in with_backup(BACKUP, scripts="backup")


def test_one_backup_before_the_scripts_is_enough_unless_a_later_one_would_be_restored() -> None:
    own = (BACKUP, SCRIPTS, step("record", 9, "scripts"))
    restored = {"restore": Restore(options=("--clean", "--if-exists"))}
    assert not _early(with_backup(*own, backups=[backup_in("record")]))
    assert not _early(with_backup(*own, **restored, backups=[backup_in("record")]))
    assert not _early(with_backup(*own, **restored, backups=[backup_in("record", **restored)]))
    found = _early(with_backup(*own, backups=[backup_in("record", **restored)]))
    assert found == ["scripts changes orders before record is finished"]


def test_a_backup_from_before_the_window_is_enough_beside_one_that_keeps_the_new_state() -> None:
    nightly = replace(backup_in(""), id="nightly")
    own = (BACKUP, SCRIPTS, step("record", 9, "scripts"))
    assert not _early(told(judged_with(*own, backups=[nightly, backup_in("record")])))
    assert _early(told(judged_with(*own, backups=[backup_in("record")])))
    unordered = (BACKUP, replace(SCRIPTS, after=()))
    assert _early(told(judged_with(*unordered, backups=[nightly, backup_in("backup")])))


def _early(found: list[tuple[Status, str]]) -> list[str]:
    return [summary for status, summary in found if status is Status.FAIL and "is finished" in summary]


def test_a_step_without_scripts_that_a_restore_takes_back_waits_for_a_backup() -> None:
    early = (Status.FAIL, "convert changes orders before backup is finished")
    assert early in with_backup(*NIGHT, step("convert", 5, undo=5))
    assert early not in with_backup(*NIGHT, step("convert", 5, "backup", undo=5))
    assert early not in with_backup(*NIGHT, step("convert", 5))


def test_the_cure_of_a_step_before_its_backup_is_a_line_of_the_plan() -> None:
    plan = load_plan(EXAMPLE)
    steps = tuple(replace(each, after=()) if each.id == "scripts-orders" else each for each in plan.steps)
    check = TimeBudget(replace(plan, steps=steps), plan.window.start)
    (point,) = (each for each in check.judge(check.subjects()[0]).points if each.status is Status.FAIL)
    assert point.remedy == 'write after = ["backup-orders"] in step scripts-orders'


@pytest.mark.parametrize(("method", "fails"), [(BackupMethod.PG_BASEBACKUP, True), (BackupMethod.PG_DUMP, False)])
def test_a_base_backup_protects_every_database_of_its_server(method: BackupMethod, fails: bool) -> None:
    plan = work(BACKUP, replace(SCRIPTS, after=()), databases=[])
    databases = {name: Database(id=name, host="db1", user=Account("release")) for name in ("orders", "billing")}
    backup = Backup(id="all", database="billing", directory=RemotePath("/b"), step="backup", method=method)
    folder = {"approved": Path("sql"), "manifest": Path("sql.SHA256SUMS"), "staged": RemotePath("/s")}
    entry = Scripts(id="orders", database="orders", step="scripts", **folder)
    plan = replace(plan, databases=databases, backups={"all": backup}, scripts={"orders": entry})
    assert bool(list(unprotected(plan))) is fails


@pytest.mark.parametrize(
    ("after", "tracks", "others", "warns"),
    [
        ((), {}, (), True),
        (("stop",), {}, (), True),
        ((), {}, ("deploy",), False),  # the scripts are meant to come after it
        (("backup",), {}, (), False),
        (("scripts",), {}, (), False),
        ((), {"backup": "orders", "scripts": "orders", "deploy": "orders"}, (), True),
        ((), {"backup": "orders", "scripts": "orders", "deploy": "web"}, (), False),
        ((), {"backup": "orders", "scripts": "orders"}, (), False),
    ],
)
def test_a_deployment_beside_the_backup_of_its_track_is_a_warning(
    after: Sequence[str], tracks: dict[str, str], others: Sequence[str], warns: bool
) -> None:
    made = (
        step("stop", 1),
        BACKUP,
        step("scripts", 95, "backup", *others, undo=50),
        step("deploy", 5, *after, undo=REDEPLOYED, deploys="app1"),
    )
    made = tuple(replace(each, track=tracks.get(each.id, "")) for each in made)
    found = judged_with(*made, backups=[backup_in("backup")])
    said = "deploy deploys app1, and nothing says whether before or after scripts"
    assert [each for each in told(found) if each[0] is Status.WARN] == warns * [(Status.WARN, said)]
    assert warns == (
        'write "scripts" into `after` of step deploy; or, if app1 uses no database of the plan, give it a `track` of '
        "its own" in found.remedy
    )
    assert judged_with(*made, backups=[]).status is Status.PASS
    assert judged(*made).status is Status.PASS


# Properties.


@given(steps(), st.integers(-60, 400))
def test_it_fails_exactly_when_a_limit_is_broken_from_where_the_work_can_begin(own: tuple[Step, ...], at: int) -> None:
    moment = STRICT.start + minutes(at)
    is_open = STRICT.start < moment <= STRICT.end
    plan = work(*own, within=STRICT)
    found = schedule(plan, moment if is_open else None)
    assert found is not None
    fits = found.finish_at <= STRICT.end and (found.last_risky is None or found.margin >= STRICT.margin)
    statuses = {point.status for point in judged(*own, at=moment).telling_points()}
    assert (Status.FAIL not in statuses) == (fits and moment <= STRICT.end)
    assert not (found.unknown_undo and statuses <= {Status.PASS, Status.WARN})


@given(steps())
def test_the_latest_start_is_the_last_moment_that_does_not_fail(own: tuple[Step, ...]) -> None:
    found = schedule(work(*own, within=STRICT))
    assert found is not None
    if STRICT.start <= found.latest_start < STRICT.end:  # what takes no time may begin until the window is over
        on_time, late = found.latest_start, found.latest_start + timedelta(microseconds=1)
        assert judged(*own, at=on_time).status is not Status.FAIL
        assert judged(*own, at=late).status is Status.FAIL
