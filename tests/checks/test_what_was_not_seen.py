"""What was not seen is never a warning, and nothing unseen is without a way out.

Every place that warns or does not know has a line here; a new one fails until it has. `seen`: a fact that was asked
for and answered; `plan`: what the plan declares; `said`: a person, by role and day. The way out of an UNKNOWN is an
`act` that lets it be seen, a `command` that does, a `key` by which a person takes it over, or the `line` of another
check whose cure it is.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from preflight.finding import Judgement, Status, unknown

ROOT = Path(__file__).parent.parent.parent
WARNS: Mapping[str, tuple[str, ...]] = {
    "checks/app_health.py _unwell": ("seen: what the body says of its health",),
    "checks/backup_duration.py BackupDuration._by_record": ("plan: the step's minutes are a guess",),
    "checks/backup_duration.py BackupDuration._restores": ("plan: the minutes of a restore",),
    "checks/backup_location/__init__.py BackupLocation._kind": ("seen: what kind of file system it is",),
    "checks/backup_location/__init__.py BackupLocation._mount": ("seen: where it is mounted",),
    "checks/backup_location/__init__.py BackupLocation._shared": ("plan: same_device = warn; seen: the storage",),
    "checks/backup_location/writing.py judge_writing": ("seen: the folder's mode",),
    "checks/backup_space/__init__.py BackupSpace._judge_bytes": ("seen: how much is left",),
    "checks/backup_space/__init__.py _judge_expected": ("seen: the size of the previous backup",),
    "checks/command.py CommandCheck.judge": ("seen: the program itself warns",),
    "checks/competing_jobs/__init__.py CompetingJobs._judge_job": ("seen: the job and when it starts",),
    "checks/database_login/__init__.py DatabaseLogin._limit": ("seen: the sessions in use",),
    "checks/database_login/login.py _judge_credential": (
        "seen: the login was made without a password",
        "seen: rolsuper",
    ),
    "checks/database_login/login.py _judge_seal": ("plan: it was never sealed", "seen: the server's own address"),
    "checks/database_login/login.py _judge_server": ("seen: another process answers than serves",),
    "checks/decisions.py _attempt": ("plan: no reason of the last attempt",),
    "checks/decisions.py Decisions._agreed": ("plan: two decisions", "plan: no decision"),
    "checks/decisions.py Decisions._can_be_taken": ("plan: no contact", "plan: no default"),
    "checks/host_login.py _chatter": ("seen: what the shell's start-up files print",),
    "checks/on_call.py OnCall._access": ("plan: a shared login", "plan: the login of somebody else"),
    "checks/on_call.py OnCall._left_out": ("plan: the logins of one person",),
    "checks/plan_coverage.py PlanCoverage.judge": ("plan: the reason why it is left out",),
    "checks/rollback_ready/__init__.py RollbackReady._judge_rehearsal": ("plan: the reason why it is not rehearsed",),
    "checks/earlier_backup/content.py _completeness": ("seen: the oids in the backup and in the database",),
    "checks/earlier_backup/content.py _versions": ("seen: both versions",),
    "checks/earlier_backup/seen_backup.py being_written": ("seen: the backup before it was read",),
    "checks/earlier_backup/seen_backup.py judge_age": ("seen: its time and the host's clock",),
    "checks/earlier_backup/seen_backup.py judge_owner": ("seen: its owner", "seen: its mode"),
    "checks/script_hashes/agreement.py _missing_and_extra": ("seen: files that nobody sealed",),
    "checks/script_hashes/agreement.py _other_line_ends": ("seen: the line endings; plan: they are accepted",),
    "checks/script_hashes/agreement.py _rights": ("seen: the modes of the staged files",),
    "checks/script_hashes/agreement.py _staged_folder": ("seen: the link and where it leads",),
    "checks/script_people.py _faults": ("plan: nobody is named", "plan: one person under two names"),
    "checks/script_runner/__init__.py ScriptRunner._against_server": ("seen: both versions",),
    "checks/script_runner/script_order.py judge_command": ("said: stops_on_error, with the day and where",),
    "checks/time_budget.py TimeBudget._no_time_to_decide": ("plan: the steps and their minutes",),
    "checks/time_budget.py TimeBudget._odd_records": ("plan: the date of a source",),
    "checks/time_budget.py TimeBudget._points": ("plan: source = guess",),
    "checks/version_pairs.py VersionPairs._points": ("plan: a record of other versions", "plan: no step deploys it"),
    "preflight/judging/cures.py answered_for": ("said: by its role, on its day",),
    "preflight/judging/ends.py TimeOfNeed._judge": ("seen: its end, which this login does not mind", "seen: its end"),
    "preflight/judging/work_login.py ScriptRole._judge_search_path": ("seen: the setting", "seen: the setting"),
    "preflight/judging/work_login.py ScriptRole._judge_timeouts": ("seen: the setting",),
    "preflight/judging/work_login.py ScriptRole.judge": ("seen: the setting",),
}
UNKNOWNS: Mapping[str, tuple[str, ...]] = {
    "checks/app_health.py _cached": ("act: name a path that no cache keeps",),
    "checks/app_health.py _unwell": ("act: have the body say it",),
    "checks/app_health.py AppHealth._certificate": ("command: openssl s_client",),
    "checks/app_health.py AppHealth._no_answer": ("act: by the table of reasons",),
    "checks/backup_duration.py _unplaced": ("act: a new file each time, or measure one",),
    "checks/backup_location/__init__.py BackupLocation._mount": ("act: let the mounts be read",),
    "checks/backup_location/__init__.py BackupLocation.judge": ("line: database-login",),
    "checks/backup_location/writing.py _in_the_way": ("line: become; or by the account",),
    "checks/backup_space/__init__.py _judge_files": ("line: backup-location",),
    "checks/backup_space/__init__.py _not_measured": ("line: backup-location", "act: another directory"),
    "checks/backup_space/__init__.py _size_not_known": ("key: expected",),
    "checks/backup_space/__init__.py BackupSpace._judge_bytes": ("line: backup-location",),
    "checks/backup_space/__init__.py _judge_doubts": ("act: of what is in doubt",),
    "checks/become.py BecomeAccount._judge_reach": ("key: account of the work",),
    "checks/command.py CommandCheck.judge": ("command: the program", "act: the plan's `remedy`"),
    "checks/competing_jobs/__init__.py CompetingJobs._judge_found": ("key: asked", "key: asked"),
    "checks/competing_jobs/__init__.py CompetingJobs._judge_host": ("key: asked",),
    "checks/competing_jobs/__init__.py CompetingJobs._judge_pg_jobs": ("key: asked",),
    "checks/competing_jobs/__init__.py CompetingJobs._judge_unseen": ("key: asked",),
    "checks/database_host.py DatabaseHost._unseen": ("key: located_by", "key: located_by"),
    "checks/database_login/login.py _judge_certificate": ("command: openssl s_client, then run again",),
    "checks/database_login/login.py _judge_credential": ("act: the DBA looks",),
    "checks/database_login/login.py _hides_system": ("command: GRANT EXECUTE",),
    "checks/database_login/login.py judge_replay": ("key: database",),
    "checks/host_login.py HostLogin._no_dates": ("key: valid_through",),
    "checks/plan_coverage.py PlanCoverage.judge": ("key: the section or key, or the reason",),
    "checks/rollback_ready/__init__.py _judge_file": ("command: chmod, setfacl or sha256sum",),
    "checks/rollback_ready/__init__.py RollbackReady._judge_rehearsal": (
        *("key: rehearsed, or the reason", "act: rehearse it", "act: rehearse it"),
    ),
    "checks/earlier_backup/seen_backup.py _begun_before": ("act: a new file each time",),
    "checks/earlier_backup/content.py judge_content": ("line: database-login",),
    "checks/earlier_backup/content.py _judge_globals": ("act: let it be read",),
    "checks/earlier_backup/reading.py judge_recorded": ("command: sha256sum",),
    "checks/earlier_backup/reading.py _judge_verified": ("line: become",),
    "checks/earlier_backup/reading.py _not_listed": ("line: become",),
    "checks/earlier_backup/seen_backup.py judge_size": ("line: become",),
    "checks/earlier_backup/seen_backup.py SeenBackup.not_read": ("key: verify",),
    "checks/restore_room.py _not_measured": ("act: let the account enter it",),
    "checks/rollback_ready/ways_back.py WaysBack._does_too_little": ("key: way_back_shown",),
    "checks/rollback_ready/ways_back.py WaysBack._judge_pair": ("act: make it readable",),
    "checks/rollback_ready/ways_back.py WaysBack.judge": ("act: look into the folder",),
    "checks/script_hashes/agreement.py _staged_folder": ("act: have a tool installed",),
    "checks/script_hashes/agreement.py _approved_folder": ("act: make it readable",),
    "checks/script_hashes/agreement.py judge_inputs": ("act: make it readable",),
    "checks/script_runner/__init__.py ScriptRunner._judge_program": ("act: have the program put there", "line: become"),
    "checks/script_runner/__init__.py ScriptRunner._login_failed": ("command: the line of sudoers",),
    "checks/script_runner/script_order.py judge_command": ("key: stops_on_error",),
    "checks/script_runner/script_order.py OrderedScripts._deviations": (
        *("act: make it readable", "act: write it plainly"),
    ),
    "checks/script_runner/script_order.py OrderedScripts._listed": ("key: files", "key: files", "key: files"),
    "checks/script_runner/script_order.py OrderedScripts._transactions": ("key: single_transaction",),
    "checks/script_runner/script_order.py OrderedScripts._unlisted": ("key: files",),
    "checks/script_runner/script_order.py OrderedScripts.judge": ("line: script-hashes",),
    "checks/time_budget.py TimeBudget._unknown_undo": ("key: undo",),
    "preflight/judging/data_directory.py not_shown": ("key: data_directory",),
    "preflight/judging/cures.py could_not_look": ("act: by the table of reasons",),
    "preflight/judging/work_login.py Arrival._at_an_unknown_server": ("key: server",),
    "preflight/judging/work_login.py Arrival._at_another_server": ("command: run again",),
    "preflight/judging/work_login.py ScriptRole.judge": ("command: GRANT SELECT",),
}


def places(maker: str) -> Iterator[str]:
    """Where checks and what they share call `maker`, once for each call."""
    for path in sorted([*ROOT.glob("checks/**/*.py"), *ROOT.glob("preflight/judging/*.py")]):
        yield from _calls(ast.parse(path.read_text()), maker, str(path.relative_to(ROOT)), ())


def _calls(node: ast.AST, maker: str, file: str, within: tuple[str, ...]) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        deeper = (*within, child.name) if isinstance(child, ast.FunctionDef | ast.ClassDef) else within
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Name) and child.func.id == maker:
            yield f"{file} {'.'.join(deeper)}"
        yield from _calls(child, maker, file, deeper)


@pytest.mark.parametrize(
    ("maker", "table", "kinds"),
    [("warned", WARNS, ("seen", "plan", "said")), ("unknown", UNKNOWNS, ("act", "command", "key", "line"))],
)
def test_every_place_says_on_what_it_rests(
    maker: str, table: Mapping[str, tuple[str, ...]], kinds: tuple[str, ...]
) -> None:
    found, listed = Counter(places(maker)), Counter(place for place, told in table.items() for _ in told)
    assert (dict(found - listed), dict(listed - found)) == ({}, {}), "places not listed; places that are no more"
    assert {each.partition(": ")[0] for told in table.values() for each in told} <= {*kinds}


def test_nobody_else_makes_a_judgement_that_warns_or_does_not_know() -> None:
    """So that the tables above are whole."""
    assert [*places("Judgement")] == []


def test_an_unknown_has_a_way_out() -> None:
    with pytest.raises(TypeError, match="remedy"):
        unknown("not seen")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="needs a remedy"):
        Judgement(status=Status.UNKNOWN, summary="not seen")
