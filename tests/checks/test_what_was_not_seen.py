"""What was not seen is never a warning, and nothing unseen is without a way out that works.

Every place that warns has a line here, and every place that does not know one in `ways_out`; a new one fails until it
has. `seen`: a fact that was asked for and answered; `plan`: what the plan declares; `said`: a person, by role and day.
The way out of an UNKNOWN is an `act` that lets it be seen, the `line` of another check whose cure it is, or, word for
word in the remedy, a `command` or a `key` by which a person takes it over. Each way is taken here.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

from preflight.finding import Judgement, Status, unknown
from tests.checks.ways_out import UNKNOWNS

ROOT = Path(__file__).parent.parent.parent
WARNS: Mapping[str, tuple[str, ...]] = {
    "checks/app_health.py _unwell": ("seen: what the body says of its health",),
    "checks/backup_duration.py BackupDuration._by_record": ("plan: the step's minutes are a guess",),
    "checks/backup_duration.py BackupDuration._too_long": ("seen: how long the newest one took",),
    "checks/backup_duration.py BackupDuration._restores": ("plan: the minutes of a restore",),
    "checks/backup_location/__init__.py BackupLocation._kind": ("seen: what kind of file system it is",),
    "checks/backup_location/__init__.py BackupLocation._mount": ("seen: where it is mounted",),
    "checks/backup_location/__init__.py BackupLocation._shared": ("plan: same_device = warn; seen: the storage",),
    "checks/backup_location/writing.py _processor_time": ("seen: the limit of a session of the account",),
    "checks/backup_location/writing.py judge_writing": ("seen: the folder's mode",),
    "checks/backup_rights.py _locks": ("seen: the tables, and the settings of the server",),
    "checks/backup_rights.py _left_out": ("seen: what is in the database and in no dump",),
    "checks/backup_space/__init__.py BackupSpace._judge_bytes": ("seen: how much is left",),
    "checks/backup_space/__init__.py BackupSpace._judge_copied": ("seen: how much is free, and the largest table",),
    "checks/backup_space/need.py judge_expected": ("seen: the size of the previous backup",),
    "checks/become.py BecomeAccount._limits": (
        "seen: the rule's time limit; plan: no step says how long it is needed",
    ),
    "checks/become.py BecomeAccount._judge_reach": ("seen: what sudo complains of",),
    "checks/change_freeze.py ChangeFreeze.judge": ("plan: the days of a freeze that is over",),
    "checks/command.py CommandCheck.judge": ("seen: the program itself warns",),
    "checks/competing_jobs/__init__.py CompetingJobs._judge_expired": ("seen: the last day of the account",),
    "checks/competing_jobs/__init__.py CompetingJobs._judge_host": ("seen: the mode and the owner of the table",),
    "checks/competing_jobs/__init__.py CompetingJobs._judge_job": ("seen: the job and when it starts",),
    "checks/competing_jobs/__init__.py CompetingJobs._judge_takers": (
        "seen: the jobs, none of which takes it",
        "seen: when the one starts that takes it",
    ),
    "checks/database_state/judging.py Activity._or_later": ("seen: sessions that end by themselves",),
    "checks/database_state/judging.py _judge_age": ("seen: the age, and the server's own limit",),
    "checks/database_state/judging.py _judge_archiver": ("seen: archive_command",),
    "checks/database_state/judging.py _judge_collation": ("seen: both versions",),
    "checks/database_state/judging.py _judge_objects": ("seen: the catalogue",),
    "checks/database_state/judging.py _judge_sequences": ("seen: its last value",),
    "checks/database_state/judging.py _judge_silent": ("seen: the server's settings",),
    "checks/database_state/judging.py _judge_slot": ("seen: its wal_status",),
    "checks/database_state/judging.py _judge_waiting": ("seen: pending_restart",),
    "checks/database_login/__init__.py DatabaseLogin._limit": ("seen: the sessions in use",),
    "checks/database_login/login.py _judge_credential": (
        "seen: the login was made without a password",
        "seen: rolsuper",
    ),
    "checks/database_login/login.py judge_seal": (
        "plan: it was never sealed, and no scripts run there",
        "seen: the server's own address",
    ),
    "checks/database_login/login.py judge_replay": ("seen: when the newest transaction was made that came",),
    "checks/database_login/login.py _judge_server": ("seen: another process answers than serves",),
    "checks/decisions.py Decisions._agreed": ("plan: two decisions", "plan: no decision"),
    "checks/decisions.py Decisions._can_be_taken": ("plan: no contact",),
    "checks/host_login.py HostLogin._several": ("seen: the addresses of the name, of which one was reached",),
    "checks/host_login.py HostLogin._silence": ("seen: ChannelTimeout; plan: the minutes of the steps",),
    "checks/host_login.py _one_factor": ("seen: the server let the login in without a question",),
    "checks/host_login.py _chatter": ("seen: what the shell's start-up files print",),
    "checks/migration_history.py _which": ("seen: the histories that are there",),
    "checks/on_call.py OnCall._access": ("plan: a shared login", "plan: the login of somebody else"),
    "checks/on_call.py OnCall._left_out": ("plan: the logins of one person",),
    "checks/plan_coverage.py PlanCoverage.judge": ("plan: the reason why it is left out",),
    "checks/rehearsal.py RehearsalCheck._did_nothing": ("seen: that a script changed nothing on rows",),
    "checks/rehearsal.py RehearsalCheck.judge": ("plan: the reason why it is not rehearsed",),
    "checks/host_login.py _restricted": ("seen: the login shell",),
    "checks/restore_room.py RestoreRoom._judge_storage": ("seen: how much is free, and the server's own limit",),
    "checks/rollback_ready.py _judge_file": ("seen: that it is as in the plan, and its mode",),
    "checks/rollback_ready.py _room": ("seen: how its folder is mounted", "seen: how much is free"),
    "checks/rollback_ready.py RollbackReady._judge_rehearsal": ("plan: the reason why it is not rehearsed",),
    "checks/earlier_backup/reading.py judge_repository": ("seen: the failed one in Barman's list",),
    "checks/earlier_backup/reading.py _judge_verified": ("said: by the plan's own command, so in the plan",),
    "checks/earlier_backup/content.py judge_content": ("seen: the text in the backup, and what the tables hold",),
    "checks/earlier_backup/content.py _not_put_back": (
        "seen: what kinds of things both hold",
        "seen: what is filled, and in the dump",
    ),
    "checks/earlier_backup/content.py _versions": ("seen: both versions",),
    "checks/earlier_backup/seen_backup.py SeenBackup.being_written": ("seen: the backup before it was read",),
    "checks/earlier_backup/__init__.py EarlierBackup._globals_age": ("seen: when the file was last changed",),
    "checks/earlier_backup/seen_backup.py SeenBackup.judge_name": ("seen: the file that has the name",),
    "checks/earlier_backup/seen_backup.py SeenBackup.judge_owner": ("seen: its owner", "seen: its mode"),
    "checks/script_effect.py ScriptEffect._room": (
        "seen: how much is free; the rehearsal's record",
        "seen: how much is free",
    ),
    "checks/script_effect.py ScriptEffect._time": ("seen: the sizes of the tables; the rehearsal's record",),
    "checks/script_effect.py _for_reviewer": ("seen: what the rehearsal showed",),
    "checks/schema_drift.py SchemaDrift._judge_work": ("plan: the reason why the work was not rehearsed",),
    "checks/script_hashes/agreement.py _missing_and_extra": ("seen: files that nobody sealed",),
    "checks/script_hashes/agreement.py _other_line_ends": ("seen: the line endings; plan: they are accepted",),
    "checks/script_hashes/agreement.py _rights": ("seen: the modes of the staged files and the folders above",),
    "checks/script_hashes/agreement.py _staged_folder": ("seen: the link and where it leads",),
    "checks/script_hashes/agreement.py judge_inputs": ("seen: the characters of the approved scripts",),
    "checks/script_hashes/agreement.py judge_manifest": ("seen: the sums in the manifest; plan: which scripts run",),
    "checks/script_people.py ScriptPeople.judge": ("plan: the runner, and the people of the roles",),
    "checks/script_people.py _faults": ("plan: nobody is named", "plan: one person under two names"),
    "checks/script_rights/__init__.py _fits_nothing": ("seen: no object fits the plan's pattern",),
    "checks/script_runner/__init__.py ScriptRunner._against_server": ("seen: both versions",),
    "checks/time_budget.py TimeBudget._left_out": ("plan: what a step's undo leaves; seen: the rehearsal's ways back",),
    "checks/time_budget.py TimeBudget._no_time_to_decide": ("plan: the steps and their minutes",),
    "checks/time_budget.py TimeBudget._odd_records": ("plan: the date of a source",),
    "checks/time_budget.py TimeBudget._points": (
        "plan: source = guess",
        "plan: no step deploys it",
        "plan: no order of steps",
    ),
    "checks/version_pairs.py VersionPairs._points": ("plan: a record of other versions",),
    "preflight/judging/confirmations.py Confirming._unverified": ("plan: no file of keys that counts",),
    "preflight/plan/said.py answered_for": ("said: by its role, on its day",),
    "preflight/judging/ends.py TimeOfNeed._judge": ("seen: its end, which this login does not mind", "seen: its end"),
    "preflight/judging/work_login.py ScriptRole._judge_search_path": ("seen: the setting", "seen: the setting"),
    "preflight/judging/work_login.py ScriptRole._judge_timeouts": ("seen: the setting",),
    "preflight/judging/work_login.py ScriptRole.judge": ("seen: the setting",),
}


@cache
def calls(maker: str) -> Sequence[tuple[str, ast.Call]]:
    """Where checks and what they share call `maker`."""
    shared = [*ROOT.glob("preflight/judging/*.py"), *ROOT.glob("preflight/plan/*.py")]
    trees = {path: ast.parse(path.read_text()) for path in sorted([*ROOT.glob("checks/**/*.py"), *shared])}
    return [each for path, tree in trees.items() for each in _calls(tree, maker, str(path.relative_to(ROOT)), ())]


def _calls(node: ast.AST, maker: str, file: str, within: tuple[str, ...]) -> Iterator[tuple[str, ast.Call]]:
    for child in ast.iter_child_nodes(node):
        deeper = (*within, child.name) if isinstance(child, ast.FunctionDef | ast.ClassDef) else within
        if isinstance(child, ast.Call) and _names(child.func, maker):
            yield f"{file} {'.'.join(deeper)}", child
        yield from _calls(child, maker, file, deeper)


def _names(called: ast.expr, maker: str) -> bool:
    """Also as one of two: `(failed if strict else unknown)(...)`."""
    either = [called.body, called.orelse] if isinstance(called, ast.IfExp) else [called]
    return any(isinstance(each, ast.Name) and each.id == maker for each in either)


def kinds(told: Iterable[str]) -> set[str]:
    return {each.partition(": ")[0] for each in told}


def test_every_place_that_warns_says_on_what_it_rests() -> None:
    found = Counter(place for place, _ in calls("warned"))
    listed = Counter(place for place, told in WARNS.items() for _ in told)
    assert (dict(found - listed), dict(listed - found)) == ({}, {}), "places not listed; places that are no more"
    assert kinds(each for told in WARNS.values() for each in told) == {"seen", "plan", "said"}


def test_every_place_that_does_not_know_has_a_way_out() -> None:
    found = {place for place, _ in calls("unknown")}
    assert (found - UNKNOWNS.keys(), UNKNOWNS.keys() - found) == (set(), set()), "not listed; no more"
    assert kinds(way.out for ways in UNKNOWNS.values() for way in ways) == {"act", "command", "key", "line"}


@pytest.fixture
def seen_at(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, set[int]]:
    """File -> the lines from which `unknown` is called."""
    lines: dict[str, set[int]] = defaultdict(set)
    validate = Judgement.__post_init__

    def note(self: Judgement) -> None:
        frame = sys._getframe(2)  # who calls the class, and with that its `__init__`
        if frame.f_code is unknown.__code__ and frame.f_back:
            lines[frame.f_back.f_code.co_filename].add(frame.f_back.f_lineno)
        validate(self)

    monkeypatch.setattr(Judgement, "__post_init__", note)
    return lines


@pytest.mark.parametrize("place", UNKNOWNS)
def test_each_way_out_is_taken(place: str, seen_at: Mapping[str, set[int]]) -> None:
    """From every call of the place, and without it the check is content."""
    file = str(ROOT / place.partition(" ")[0])
    left = [range(call.lineno, (call.end_lineno or 0) + 1) for at, call in calls("unknown") if at == place]
    here = {line for call in left for line in call}
    for way in UNKNOWNS[place]:
        seen_at[file].clear()
        found = way.judge(**way.unseen)
        assert found.status is Status.UNKNOWN, (way.out, found)
        reached = seen_at[file] & here
        assert reached, f"{way.out}: it does not know, but not from here: {found}"
        left = [call for call in left if not reached & {*call}]
        kind, _, words = way.out.partition(": ")
        if kind in ("command", "key"):
            assert any(words in point.remedy for point in found.telling_points()), (way.out, found.remedy)
        seen_at[file].clear()
        cured = way.judge(**way.unseen | way.cured)
        assert cured.status in (Status.PASS, Status.WARN), (way.out, cured)
        said = [point for point in cured.telling_points() if "not observed" in point.summary]
        assert said or not seen_at[file] & here, f"{way.out}: it is still not known"
    assert not left, f"{place} does not know for another reason, too: {left}"


def test_nobody_else_makes_a_judgement_that_warns_or_does_not_know() -> None:
    """So that the tables above are whole."""
    assert [*calls("Judgement")] == []


def test_an_unknown_has_a_way_out() -> None:
    with pytest.raises(TypeError, match="remedy"):
        unknown("not seen")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="needs a remedy"):
        Judgement(status=Status.UNKNOWN, summary="not seen")
