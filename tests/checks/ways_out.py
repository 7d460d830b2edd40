"""Every place that does not know, each with its way out: facts without which a check cannot see, and what cures that.

A way is written in the order in which the report tells it; its facts are those of the tests of the check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any

from preflight_checks.app_health import AppHealth
from preflight_checks.become import BecomeAccount
from preflight_checks.database_login import DatabaseLogin
from preflight_checks.plan_coverage import PlanCoverage
from preflight_checks.restore_room import RestoreRoom
from preflight_checks.sql import Assertion, SqlCheck

from preflight.finding import Judgement
from preflight.plan import (
    Account,
    Backup,
    BackupFormat,
    BackupMethod,
    Become,
    Bytes,
    Content,
    Database,
    Endpoint,
    Host,
    Plan,
    RemotePath,
    Role,
    Rollback,
    RollbackFile,
    Said,
    SaidPath,
    Scripts,
    ServerRole,
    Sha256,
    SslMode,
    Undo,
    UndoKind,
    Without,
)
from preflight.plan.manifest import format_manifest
from preflight.probe import NoReply
from preflight.questions.backup_reads import Verified
from preflight.questions.backup_times import UnplacedTime
from preflight.questions.backups import BackupKind
from preflight.questions.certificates import Certificate
from preflight.questions.files import Ended, EntryKind, FileState, HashedFile, LocalText, Texts, Tree
from preflight.questions.http import HttpAnswer, Samples
from preflight.questions.jobs import HostJobs, PgCron, Systemd
from preflight.questions.own_query import Found
from preflight.questions.rehearsed import Touched
from preflight.questions.schema import SealedSchema
from preflight.questions.sizes import DataDirectories, WalRate
from preflight.questions.state import Item
from preflight.questions.storage import DirectoryKind, Target
from preflight.questions.sudo import ProgramRun, Reach
from preflight.questions.work_rights import OWNER, Lacks
from preflight.questions.work_start import LoginRefusal, ServerLogin
from preflight.reasons import Reason
from tests.checks import test_app_health as app_health
from tests.checks import test_backup_duration as backup_duration
from tests.checks import test_backup_location as backup_location
from tests.checks import test_backup_rights as backup_rights
from tests.checks import test_backup_space as backup_space
from tests.checks import test_command as command
from tests.checks import test_competing_jobs as competing_jobs
from tests.checks import test_database_engine as database_engine
from tests.checks import test_database_host as database_host
from tests.checks import test_database_login as database_login
from tests.checks import test_database_state as database_state
from tests.checks import test_earlier_backup as earlier_backup
from tests.checks import test_host_login as host_login
from tests.checks import test_migration_history as migration_history
from tests.checks import test_plan_coverage as plan_coverage
from tests.checks import test_rehearsal as rehearsal_check
from tests.checks import test_restore_room as restore_room
from tests.checks import test_rollback_ready as rollback_ready
from tests.checks import test_schema_drift as schema_drift
from tests.checks import test_script_effect as script_effect
from tests.checks import test_script_hashes as script_hashes
from tests.checks import test_script_rights as script_rights
from tests.checks import test_script_rows as script_rows
from tests.checks import test_script_runner as script_runner
from tests.checks import test_time_budget as time_budget
from tests.toy import MOMENT, settings_of, toy_plan

GIB = 1024**3
_A_PART_HUMS = '{"version": "4.1", "status": "UP", "components": {"mq": {"status": "Humming"}}}'
_A_PART_IS_OLD = '{"version": "4.1", "checks": {"mq": [{"time": "2020-01-01T00:00:00Z"}]}}'
SAID = Said(by="dba", on=MOMENT.date(), reason="looked with the DBA")
GONE = NoReply(Reason.CONNECTION_LOST, "gone", MOMENT)
SHA256 = "0123456789abcdef" * 4


@dataclass(frozen=True, slots=True)
class Way:
    """One way out of one UNKNOWN."""

    out: str
    """`key: NAME` and `command: WORDS` stand so in the remedy; `act` and `line` are told in other words."""
    judge: Callable[..., Judgement]
    unseen: Mapping[str, Any] = field(default_factory=dict)
    """What `judge` is given, so that the place does not know."""
    cured: Mapping[str, Any] = field(default_factory=dict)
    """What of it is another one, once the way was taken."""


def app(
    *, headers: Mapping[str, str] | None = None, body: str = '{"version": "4.1"}', verified: bool = True, **more: Any
) -> Judgement:
    """app1, which answers over HTTPS. `lost`: instead of its answer."""
    lost = more.pop("lost", None)
    plan = app_health.plan_of(Endpoint(url="https://app1/health", version="version", samples=1, **more))
    check = AppHealth(plan, app_health.NOW)
    certificate = Certificate(
        not_after=app_health.NOW + timedelta(days=400), subject="app1", issuer="Our CA",
        names=("app1",), fingerprint="f" * 64, verified=verified,
    )  # fmt: skip
    answer = HttpAnswer(
        status=200, body=body, body_bytes=len(body), final_url="https://app1/health",
        location="", redirect_refused="", headers=headers or {}, asked_at=app_health.NOW, latency_seconds=0.1,
        address="192.0.2.7:443", certificate=certificate,
    )  # fmt: skip
    found: Judgement = check.judge(check.subjects()[0], answer=lost or Samples((answer,), (), ()))
    return found


def becomes(*, work: Sequence[Backup] = ()) -> Judgement:
    """The login of db1, whom sudo lets run pg_dump and pg_restore as postgres, and no shell."""
    host = Host(id="db1", user=Account("dbadmin"), become=(Become(account=Account("postgres")),))
    orders = Database(id="orders", host="db1", user=Account("release"))
    check = BecomeAccount(toy_plan([host], databases=[orders], backups=work), MOMENT)
    (subject,) = check.subjects()
    runs = tuple(ProgramRun(name, 0, f"/usr/bin/{name}", "15.18") for name in subject.item.programs)
    refused = Reach(1, "sudo: a password is required", ("(postgres) NOPASSWD: /usr/bin/pg_dump",))
    found: Judgement = check.judge(subject, **({"programs": runs} if runs else {"reach": refused}))
    return found


def jobs(host_jobs: HostJobs = competing_jobs.IDLE, lines: Sequence[str] = (), **settings: Any) -> Judgement:
    return competing_jobs.judged(host_jobs, competing_jobs.crontab(*lines), **settings)


def pg_cron(seen: PgCron, asked: Mapping[str, Said]) -> Judgement:
    return competing_jobs.judged_pg(seen, asked=asked)


def replica(**replay: Any) -> Judgement:
    """One that is backed up, and has replayed all that it received."""
    entry = Database(id="o", host="db1", user=Account("release"), role=ServerRole.REPLICA)
    saved = Backup(id="b", database="o", directory=RemotePath("/backup"), taken_by="cron")
    check = DatabaseLogin(replace(database_login.PLAN, databases={"o": entry}, backups={"b": saved}), MOMENT)
    (subject,) = check.subjects()
    found: Judgement = check.judge(
        subject, identity=database_login.identity(in_recovery=True, database="o"), system="42", timeline="3",
        roles={"release": database_login.ROLE}, slots=database_login.SLOTS,
        replay=replace(database_login.BEHIND, caught_up=True, **replay),
    )  # fmt: skip
    return found


def standbys(state: Sequence[Item]) -> Judgement:
    return database_state.judged(*state)


def provided(provider_restores: Said | None = None) -> Judgement:
    managed = replace(plan_coverage.ORDERS, host="", address="db.example.net", provider_restores=provider_restores)
    check = RestoreRoom(toy_plan(roles=restore_room.DBA, databases=[managed], backups=[plan_coverage.BACKUP]), MOMENT)
    return check.judge(check.subjects()[0])


def covered(subject: str, backups: Sequence[Backup] = (), **of_plan: Any) -> Judgement:
    plan = toy_plan(databases=[plan_coverage.ORDERS], backups=backups, absent=of_plan.get("absent", {}))
    release = replace(plan.release, without=of_plan.get("without", Without()))
    check = PlanCoverage(replace(plan, release=release), MOMENT)
    return check.judge(next(each for each in check.subjects() if each.id == subject))


def rehearsed(record: Any = None, plan: Plan | None = None, schema: str = rehearsal_check.SCHEMA) -> Judgement:
    return rehearsal_check.judged(record, plan=plan, schema=schema)


def own_query(found: Found) -> Judgement:
    assertion = Assertion(id="open", database="orders", query="SELECT count(*) FROM app.orders", expect="0")
    plan = toy_plan(databases=[Database(id="orders", host="db1", user=Account("release"))])
    check = SqlCheck(plan, MOMENT, SqlCheck.Settings(run={"open": assertion}))
    return check.judge(check.subjects()[0], found=found)


def rollback_file(seen: HashedFile) -> Judgement:
    file = RollbackFile(host="db1", path=RemotePath("/srv/x"), sha256=Sha256(SHA256))
    ready = rollback_ready.check(rollback=Rollback(files=(file,)))
    return ready.judge(rollback_ready.subject(ready, "db1:/srv/x"), files={file.path: seen})


def rehearsal(rehearsed: date | None, absent: Mapping[tuple[str, ...], str] | None = None) -> Judgement:
    ready = rollback_ready.check(rollback=Rollback(rehearsed=rehearsed), absent=absent or {})
    return ready.judge(rollback_ready.subject(ready, "rehearsal"))


def way_back(texts: Mapping[str, str]) -> Judgement:
    """Of the scripts of one entry, which lie beside their ways back."""
    scripts = Scripts(
        id="s", database="orders", approved=Path("sql"), manifest=Path("SUMS"), staged=RemotePath("/srv"),
        way_back="undo/{stem}.down.sql",
    )  # fmt: skip
    ready = rollback_ready.check(scripts={"s": scripts}, roles=[Role(id="dba", primary="D. Kaya")])
    tree = Tree(tuple(script_hashes.local_entry(name, text) for name, text in texts.items()))
    return ready.judge(rollback_ready.subject(ready, "s way back"), approved=tree, texts=Texts(texts))


def hashed(mutate: Callable[[Any], None] = lambda _world: None, **fields: Any) -> Judgement:
    world = script_hashes.World(**fields)
    mutate(world)
    return world.judge()


def earlier(**facts: Any) -> Judgement:
    return earlier_backup.judged(**facts)


def dump(**more: Any) -> Plan:
    """A plan of one backup by pg_dump, which only its account may run."""
    return script_runner.plan_of(backup={"account": Account("postgres"), **more})


def hidden_sockets() -> Any:
    settings = settings_of(**{**script_runner.PLACE, "unix_socket_directories": ""})
    return replace(script_runner.IDENTITY, session={"settings": settings})


def undone(undo: Undo | None) -> Judgement:
    return time_budget.judged(*time_budget.with_deploy(undo=undo))


def lasted(began: Any) -> Judgement:
    return backup_duration.judged(began, backup_duration.NEWEST)


ORDERS, BILLING = backup_space.ORDERS, "/backup/billing"
DECLARED = replace(ORDERS, expected=Bytes(GIB))
PLAIN = replace(ORDERS, format=BackupFormat.PLAIN)
ELSEWHERE = backup_space.directory(path=BILLING, mount=backup_space.OTHER_DISK)
YOUNG = {
    "free_gib": 5.9, "files": DataDirectories("/pg"), "places": {"/pg": backup_space.place("/pg", backup_space.DISK)},
    "wal": WalRate(MOMENT, GIB, 180, 2 * GIB, held=False),
}  # fmt: skip
DATA_SAID = SaidPath(path=RemotePath("/var/lib/pg/data"), by="dba", on=MOMENT.date(), reason="pg_lsclusters")


def rewriting(**facts: Any) -> Judgement:
    return script_effect.effect(script_effect.run(script_effect.ORDERS), **facts)


HIDDEN_ROOM = replace(restore_room.PLACE, reached="/", real="/data/pg")
ABSENT_ROOM = replace(HIDDEN_ROOM, absent=True)
ASKED = {"asked": {"db1": SAID}}
NO_SHELL = "sudo: a password is required"
SCRIPTS = script_runner.TEXTS
BOTH = script_runner.BOTH
CREATED = {"010.sql": "create table a ();"}
DROPPING = {**CREATED, "undo/010.down.sql": "drop table a;"}
DEPLOYED = {"command": ("./deploy.sh",), "texts": {**SCRIPTS, "deploy.sh": "exit 0\n"}}

UNKNOWNS: Mapping[str, tuple[Way, ...]] = {
    "checks/app_health.py _cached": (
        Way("act: name a path that no cache keeps", app, {"headers": {"cf-cache-status": "HIT"}}, {"headers": {}}),
    ),
    "checks/app_health.py _clocks": (
        Way(
            "act: look at this machine's clock",
            app,
            {"headers": {"date": format_datetime(app_health.NOW + timedelta(hours=3))}},
            {"headers": {"date": format_datetime(app_health.NOW)}},
        ),
    ),
    "checks/app_health.py _unwell": (
        Way("key: json", app, {"body": '{"version": "4.1", "status": "Humming"}'}, {"json": {"status": "Humming"}}),
        Way("key: ignore", app, {"body": _A_PART_HUMS}, {"ignore": ("components.mq",)}),
        Way("key: ignore", app, {"body": _A_PART_IS_OLD}, {"ignore": ("checks.mq",)}),
    ),
    "checks/app_health.py AppHealth._certificate": (
        Way("command: openssl s_client", app, {"verified": False}, {"verified": True}),
    ),
    "checks/app_health.py AppHealth._no_answer": (
        Way("act: by the table of reasons", app, {"lost": NoReply(Reason.NO_ROUTE, "no", MOMENT)}, {"lost": None}),
    ),
    "checks/backup_duration.py _unplaced": (
        Way(
            "act: a new file each time",
            lasted,
            {"began": UnplacedTime("2026-10-16 20:30:00")},
            {"began": backup_duration.before(20)},
        ),
    ),
    "checks/backup_location/__init__.py BackupLocation._mount": (
        Way(
            "command: /proc/self/mountinfo",
            backup_location.judged,
            {"directory": backup_location.on(None)},
            {"directory": backup_location.GOOD},
        ),
    ),
    "checks/backup_location/__init__.py BackupLocation.judge": (
        Way(
            "line: database-login",
            backup_location.judged,
            {"data": GONE, "places": {}},
            {"data": backup_location.DATA, "places": None},
        ),
    ),
    "checks/backup_location/writing.py _in_the_way": (
        Way(
            "line: become",
            backup_location.judged,
            {"directory": replace(backup_location.BY_LOGIN, target=Target.CLOSED_FILE)},
            {"directory": replace(backup_location.GOOD, target=Target.FILE)},
        ),
        Way(
            "key: file",
            backup_location.judged,
            {"directory": replace(backup_location.GOOD, account=1000, ran_as=999, target=Target.CLOSED_FILE)},
            {"directory": replace(backup_location.GOOD, target=Target.NOTHING)},
        ),
    ),
    "checks/backup_space/need.py Room.only_if_elsewhere": (
        Way(
            "line: backup-location",
            backup_space.both,
            {"facts": {"orders": backup_space.directory(29), "billing": backup_space.missing(BILLING)}},
            {"facts": {"orders": backup_space.directory(29), "billing": ELSEWHERE}},
        ),
        Way(
            "line: backup-location",
            backup_space.both,
            {"facts": {"orders": backup_space.directory(90, inodes=101), "billing": backup_space.missing(BILLING)}},
            {"facts": {"orders": backup_space.directory(90, inodes=101), "billing": ELSEWHERE}},
        ),
    ),
    "checks/backup_space/__init__.py _not_measured": (
        Way(
            "line: backup-location",
            backup_space.judged,
            {"place": backup_space.missing("/backup/orders")},
            {"place": backup_space.directory()},
        ),
        Way(
            "act: another directory",
            backup_space.judged,
            {"place": backup_space.directory(size_gib=0)},
            {"place": backup_space.directory()},
        ),
    ),
    "checks/backup_space/need.py Need.not_known": (
        Way(
            "key: expected",
            backup_space.judged,
            {"place": backup_space.directory(), "backup": ORDERS, "sizes": None},
            {"backup": DECLARED},
        ),
        Way(
            "key: expected",
            backup_space.judged,
            {"place": backup_space.directory(), "backup": PLAIN, "text_gib": None},
            {"backup": replace(PLAIN, expected=Bytes(GIB))},
        ),
    ),
    "checks/backup_space/need.py Room.judge_doubts": (
        Way(
            "key: expected",
            backup_space.judged,
            {
                "place": backup_space.directory(9),
                "backup": ORDERS,
                "previous": (backup_space.dump(1),),
                "read orders": GONE,
            },
            {"backup": DECLARED},
        ),
        Way("key: wal_per_hour", backup_space.then, YOUNG, {"wal_per_hour": "0.1"}),
        Way("key: wal_per_hour", backup_space.then, {**YOUNG, "wal": None}, {"wal_per_hour": "0.1"}),
    ),
    "checks/become.py BecomeAccount._judge_reach": (
        Way("key: account", becomes, {}, {"work": (earlier_backup.BACKUP,)}),
    ),
    "checks/command.py CommandCheck.judge": (
        Way(
            "act: the program is put there",
            command.judge,
            {"ended": Ended(127, "", "no")},
            {"ended": Ended(0, "OK", "")},
        ),
        Way(
            "act: the plan's `remedy`",
            command.judge,
            {"ended": Ended(3, "no sensor", "")},
            {"ended": Ended(0, "OK", "")},
        ),
    ),
    "checks/competing_jobs/__init__.py CompetingJobs._judge_found": (
        Way("key: asked", jobs, {"lines": ["0~30 1 * * * job"]}, ASKED),
        Way("key: asked", jobs, {"lines": [f"0~{minute} 1 * * * job" for minute in range(1, 60)]}, ASKED),
    ),
    "checks/competing_jobs/__init__.py CompetingJobs._judge_host": (
        Way("key: asked", jobs, {"host_jobs": replace(competing_jobs.IDLE, systemd=Systemd.FAILED)}, ASKED),
    ),
    "checks/competing_jobs/__init__.py CompetingJobs._judge_pg_jobs": (
        Way(
            "key: asked",
            pg_cron,
            {"seen": replace(competing_jobs.PG_CRON, zone="Mars/Olympus"), "asked": {}},
            {"asked": {"pg_cron of orders": SAID}},
        ),
    ),
    "checks/competing_jobs/__init__.py CompetingJobs._judge_unseen": (
        Way("key: asked", jobs, {"host_jobs": replace(competing_jobs.IDLE, unread=("/etc/cron.d/x",))}, ASKED),
        Way(
            "key: asked",
            pg_cron,
            {"seen": replace(competing_jobs.PG_CRON, readable=False), "asked": {}},
            {"asked": {"pg_cron of orders": SAID}},
        ),
    ),
    "checks/database_engine.py DatabaseEngine.judge": (
        Way("key: engine_shown", database_engine.judged, {}, {"engine_shown": SAID}),
        Way("act: engines = frozenset", database_engine.answered_by, {"offers": ""}, {"offers": "mysql"}),
    ),
    "checks/database_host.py DatabaseHost._unseen": (
        Way("key: located_by", database_host.judged, {"backend": None}, {"located_by": SAID}),
        Way("key: located_by", database_host.judged, {"backend": database_host.ABSENT}, {"located_by": SAID}),
    ),
    "checks/database_login/login.py _judge_certificate": (
        Way(
            "command: openssl s_client",
            database_login.judged,
            {"sslmode": SslMode.VERIFY_FULL, "who": database_login.identity(session={"address": "192.0.2.7:5432"})},
            {
                "who": database_login.identity(
                    session=database_login.shown(database_login.NEEDED_UNTIL + timedelta(days=400))
                )
            },
        ),
    ),
    "checks/database_login/login.py judge_seal": (
        Way(
            "command: preflight seal",
            database_login.judged_with_scripts,
            {"sealed": {}},
            {"sealed": database_login.PLAN.sealed},
        ),
        Way(
            "command: preflight seal",
            database_login.judged,
            {"timeline": "4", "sealed": {"orders": database_login.WHOLE}},
            {"sealed": {"orders": replace(database_login.WHOLE, timeline="4")}},
        ),
    ),
    "checks/database_login/login.py _judge_credential": (
        Way("act: the DBA looks", database_login.judged, {"of": None}, {"of": database_login.ROLE}),
    ),
    "checks/database_login/login.py _hides_system": (
        Way("command: GRANT EXECUTE ON FUNCTION", database_login.judged, {"system": ""}, {"system": "42"}),
    ),
    "checks/database_login/login.py judge_replay": (
        Way("act: connect it to its primary", replica, {"receives": False}, {"receives": True}),
    ),
    "checks/database_state/__init__.py DatabaseState._untold": (
        Way(
            "key: touches",
            database_state.judged,
            {"scripts": replace(database_state.SCRIPTS, touches=())},
            {"scripts": database_state.SCRIPTS},
        ),
    ),
    "checks/database_state/judging.py Activity.judge_untracked": (
        Way(
            "command: ALTER SYSTEM SET track_activities = on;",
            database_state.judged,
            {"seen": (database_state.VISIBLE, replace(database_state.HIDDEN, kind="untracked"))},
            {"seen": (database_state.VISIBLE,)},
        ),
    ),
    "checks/database_state/judging.py Activity.judge_hidden": (
        Way(
            "command: GRANT pg_read_all_stats TO release;",
            database_state.judged,
            {"seen": (database_state.HIDDEN,)},
            {"seen": (database_state.VISIBLE,)},
        ),
    ),
    "checks/database_state/judging.py _judge_standbys": (
        Way(
            "command: GRANT pg_read_all_stats TO release;",
            standbys,
            {"state": [database_state.item("standbys", "a", "release", 1)]},
            {"state": []},
        ),
    ),
    "checks/host_login.py HostLogin._no_dates": (
        Way(
            "key: valid_through",
            host_login.judged,
            {"expiry": host_login.HIDDEN},
            {"declared": {"db1": date(2026, 12, 31)}},
        ),
    ),
    "checks/migration_history.py _unseen": (
        Way(
            "command: GRANT SELECT ON app.flyway_schema_history TO release;",
            migration_history.judged,
            {"table": replace(migration_history.TABLE, select=False)},
            {"table": migration_history.TABLE},
        ),
    ),
    "checks/plan_coverage.py PlanCoverage.judge": (
        Way("key: without", covered, {"subject": "backups"}, {"without": Without(backups="read-only release")}),
        Way(
            "key: previous",
            covered,
            {
                "subject": "backups.nightly.previous",
                "backups": [replace(plan_coverage.BACKUP, previous=RemotePath(""))],
            },
            {"absent": {("backups", "nightly", "previous"): "the first one"}},
        ),
    ),
    "checks/rehearsal.py RehearsalCheck._judge_before": (
        Way(
            "key: changes",
            rehearsed,
            {"record": rehearsal_check.RECORD, "plan": rehearsal_check.AFTER_A_COMMAND},
            {"plan": rehearsal_check.AFTER_AN_IDLE_COMMAND},
        ),
    ),
    "checks/rehearsal.py RehearsalCheck._did_nothing": (
        Way("key: changes", rehearsed, {"record": rehearsal_check.IDLE_WITHOUT_ROWS}, {"plan": rehearsal_check.MEANT}),
    ),
    "checks/rehearsal.py RehearsalCheck._judge_drills": (
        Way(
            "act: seal the scripts with the command",
            rehearsed,
            {"record": rehearsal_check.with_entry(drills=())},
            {"record": rehearsal_check.RECORD},
        ),
    ),
    "checks/rehearsal.py RehearsalCheck._judge_idle_ways_back": (
        Way(
            "act: rehearse them on rows",
            rehearsed,
            {"record": rehearsal_check.IDLE_WAYS_BACK},
            {"record": rehearsal_check.RECORD},
        ),
    ),
    "checks/rehearsal.py RehearsalCheck._judge_place": (
        Way(
            "key: programs",
            rehearsed,
            {"record": rehearsal_check.with_database(version_num=180004)},
            {"record": rehearsal_check.RECORD},
        ),
        Way(
            "key: programs",
            rehearsed,
            {"record": rehearsal_check.with_database(missing_extensions=("postgis",))},
            {"record": rehearsal_check.RECORD},
        ),
        Way(
            "command: preflight rehearse",
            rehearsed,
            {"record": rehearsal_check.with_database(system_identifier="8"), "plan": rehearsal_check.SEALED_AT_7},
            {"record": rehearsal_check.with_database(system_identifier="7")},
        ),
    ),
    "checks/rehearsal.py RehearsalCheck._judge_restores": (
        Way(
            "command: preflight rehearse",
            rehearsed,
            {"record": rehearsal_check.RECORD, "plan": rehearsal_check.with_restore()},
            {"record": rehearsal_check.RESTORED},
        ),
    ),
    "checks/rehearsal.py RehearsalCheck._judge_runs": (
        Way(
            "line: rehearsal, of the entry that failed",
            rehearsed,
            {"record": rehearsal_check.with_entry(runs=(), drills=())},
            {"record": rehearsal_check.RECORD},
        ),
    ),
    "checks/rehearsal.py RehearsalCheck._judge_schema": (
        Way(
            "command: preflight rehearse",
            rehearsed,
            {"record": rehearsal_check.with_database(objects={})},
            {"record": rehearsal_check.RECORD},
        ),
        Way(
            "act: cure schema-drift",
            rehearsed,
            {"record": rehearsal_check.RECORD, "schema": "PostgreSQL 15\ndatabase\n"},
            {"schema": rehearsal_check.SCHEMA},
        ),
    ),
    "checks/rehearsal.py RehearsalCheck.judge": (
        Way("command: preflight rehearse", rehearsed, {}, {"record": rehearsal_check.RECORD}),
        Way("key: without", rehearsed, {}, {"plan": rehearsal_check.plan_with(rehearsal="on the test server")}),
    ),
    "checks/schema_drift.py SchemaDrift.judge": (
        Way(
            "command: preflight seal",
            schema_drift.judged,
            {"sealed": SealedSchema(None, "no such file")},
            {"sealed": schema_drift.SEALED},
        ),
        Way(
            "command: preflight seal",
            schema_drift.judged,
            {"sealed": SealedSchema(None, "it is cut off")},
            {"sealed": schema_drift.SEALED},
        ),
    ),
    "checks/rollback_ready.py _judge_file": (
        Way(
            "command: setfacl -m u:dbadmin:r",
            rollback_file,
            {"seen": HashedFile(FileState.UNREADABLE, owner="app")},
            {"seen": HashedFile(FileState.FILE, SHA256, size_bytes=1)},
        ),
        Way(
            "command: sha256sum",
            rollback_file,
            {"seen": HashedFile(FileState.FILE)},
            {"seen": HashedFile(FileState.FILE, SHA256, size_bytes=1)},
        ),
    ),
    "checks/rollback_ready.py RollbackReady._judge_rehearsal": (
        Way("key: rehearsed", rehearsal, {"rehearsed": None}, {"absent": {("rollback", "rehearsed"): "no copy"}}),
        Way("act: rehearse it", rehearsal, {"rehearsed": date(2026, 10, 17)}, {"rehearsed": date(2026, 10, 10)}),
        Way("act: rehearse it", rehearsal, {"rehearsed": date(2026, 1, 10)}, {"rehearsed": date(2026, 10, 10)}),
    ),
    "checks/earlier_backup/seen_backup.py SeenBackup._begun_before": (
        Way(
            "act: a new file each time",
            earlier,
            {"read": replace(earlier_backup.ARCHIVE, created="2026-10-15 16:00:00")},
            {"read": earlier_backup.ARCHIVE},
        ),
    ),
    "checks/earlier_backup/seen_backup.py SeenBackup.judge_age": (
        Way(
            "act: its own time",
            earlier,
            {"listing": earlier_backup.with_new(changed_at=MOMENT + timedelta(hours=2))},
            {"listing": earlier_backup.LISTING},
        ),
    ),
    "checks/earlier_backup/content.py judge_content": (
        Way("line: database-login", earlier, {"live": GONE}, {"live": earlier_backup.LIVE}),
    ),
    "checks/earlier_backup/reading.py _judge_verified": (
        Way(
            "line: become",
            earlier,
            {"listing": earlier_backup.with_new(kind=BackupKind.BASE), "read": Verified(1, NO_SHELL)},
            {"read": Verified(0, "")},
        ),
    ),
    "checks/earlier_backup/reading.py _not_listed": (
        Way(
            "line: become",
            earlier,
            {"read": replace(earlier_backup.ARCHIVE, list_code=1, code=1, said=NO_SHELL)},
            {"read": earlier_backup.ARCHIVE},
        ),
    ),
    "checks/earlier_backup/seen_backup.py SeenBackup.judge_size": (
        Way(
            "line: become",
            earlier,
            {"listing": earlier_backup.with_new(size_bytes=None)},
            {"listing": earlier_backup.LISTING},
        ),
    ),
    "checks/earlier_backup/seen_backup.py SeenBackup.not_read": (
        Way(
            "key: verify",
            earlier,
            {"listing": earlier_backup.with_new(kind=BackupKind.UNKNOWN), "read": None},
            {"backup": replace(earlier_backup.BACKUP, verify=("/opt/check", "{file}")), "read": Verified(0, "")},
        ),
    ),
    "checks/earlier_backup/content.py _judge_globals": (
        Way(
            "act: let it be read",
            earlier,
            {"backup": replace(earlier_backup.BACKUP, globals=RemotePath("/b/*.roles")), "globals_read": GONE},
            {"globals_read": replace(earlier_backup.WHOLE, roles=("release",))},
        ),
    ),
    "checks/earlier_backup/reading.py _nothing_kept": (
        Way(
            "key: kept_by",
            earlier,
            {"backup": earlier_backup.MANAGED, "listing": earlier_backup.CLOSED},
            {"listing": earlier_backup.REPOSITORY},
        ),
    ),
    "checks/earlier_backup/reading.py judge_repository": (
        Way(
            "line: database-login",
            earlier,
            {"backup": earlier_backup.MANAGED, "listing": earlier_backup.REPOSITORY, "live": GONE},
            {"live": earlier_backup.LIVE},
        ),
    ),
    "checks/earlier_backup/reading.py judge_recorded": (
        Way(
            "command: sha256sum",
            earlier,
            {"recorded": replace(earlier_backup.RECORDED, sha256="")},
            {"recorded": earlier_backup.RECORDED},
        ),
    ),
    "checks/rollback_ready.py RollbackReady._judge_ways_back": (
        Way("act: look into the folder", way_back, {"texts": {}}, {"texts": DROPPING}),
    ),
    "checks/schema_drift.py SchemaDrift._judge_work": (
        Way(
            'key: without = { rehearsal = "" }',
            schema_drift.worked,
            {"problem": "no such file"},
            {"reason": "read with the DBA at 03:40"},
        ),
        Way(
            "act: put the record beside the plan",
            schema_drift.worked,
            {"problem": "no such file"},
            {"record": schema_drift.recorded()},
        ),
        Way(
            "key: migration",
            schema_drift.worked,
            {"seen": schema_drift.TEXT, "record": schema_drift.ROWS_ALONE},
            {"migration": schema_drift.MIGRATED},
        ),
    ),
    "checks/script_hashes/agreement.py _staged_folder": (
        Way(
            "command: chmod -R a+rX",
            hashed,
            {"mutate": script_hashes.with_staged(complete=False, complaint="find: x: gone")},
            {"mutate": script_hashes.with_staged()},
        ),
        Way(
            "act: have a tool installed",
            hashed,
            {"mutate": script_hashes.with_staged(tool="")},
            {"mutate": script_hashes.with_staged()},
        ),
    ),
    "checks/script_hashes/agreement.py _missing_and_extra": (
        Way(
            "command: chmod a+r",
            hashed,
            {"mutate": script_hashes.with_staged(script_hashes.staged_entry("data/rows.csv", "1,2\n", sha256=""))},
            {"mutate": script_hashes.with_staged()},
        ),
    ),
    "checks/script_hashes/agreement.py _readable": (
        Way(
            "command: chmod -R a+rX",
            hashed,
            {
                "account": "release",
                "mutate": script_hashes.with_staged(
                    script_hashes.staged_entry("data/rows.csv", "1,2\n", mode=0o640), uid="1001", acl=True
                ),
            },
            {"mutate": script_hashes.with_staged(uid="1001", acl=True)},
        ),
    ),
    "checks/script_hashes/agreement.py _rights": (
        Way(
            "command: chmod g-w",
            hashed,
            {"mutate": script_hashes.with_staged(script_hashes.folder("parts", 0o775), acl=True)},
            {"mutate": script_hashes.with_staged(acl=True)},
        ),
    ),
    "checks/script_hashes/agreement.py judge_approved": (
        Way(
            "act: make it readable",
            hashed,
            {"mutate": script_hashes.with_local(script_hashes.local_entry("d", kind=EntryKind.FOLDER, error="no"))},
            {"mutate": script_hashes.with_staged()},
        ),
    ),
    "checks/script_hashes/agreement.py judge_inputs": (
        Way(
            "act: make it readable",
            hashed,
            {"texts": lambda _texts: Texts({}, {"010_first.sql": "larger than 8 MiB"})},
            {"texts": lambda texts: texts},
        ),
        Way(
            "key: runs_programs",
            hashed,
            {"mutate": script_hashes.everywhere("030.sql", script_hashes.COPY)},
            {"runs_programs": SAID},
        ),
    ),
    "checks/script_rights/__init__.py ScriptRights._not_told": (
        Way("command: preflight rehearse", script_rights.judged, {"touches": ()}, {"seen": script_rights.rehearsed()}),
        Way("key: touches", script_rights.judged, {"touches": ()}, {"touches": ("app.*",)}),
    ),
    "checks/script_rights/__init__.py _judge_lack": (
        Way(
            "act: rehearse again with the same packages",
            script_rights.judged_with,
            {"lacks": [script_rights.lack(Lacks.VERSION, "cube 2.1", right="2.0", certain=False)]},
            {"lacks": []},
        ),
        Way(
            "key: rights_shown",
            partial(script_rights.judged, script_rights.lack(Lacks.ROW_SECURITY, certain=False)),
            {},
            {"rights_shown": SAID},
        ),
    ),
    "checks/script_rights/__init__.py _fits_nothing": (
        Way(
            "key: rights_shown",
            partial(script_rights.judged, script_rights.lack(Lacks.NOTHING, "app.*", right=OWNER, kind="pattern")),
            {},
            {"rights_shown": SAID},
        ),
    ),
    "checks/script_rights/__init__.py ScriptRights._judge": (
        Way(
            "key: rights_shown",
            script_rights.judged,
            {"seen": script_rights.rehearsed(Touched(kind="role", name="x", defined=True))},
            {"rights_shown": SAID},
        ),
    ),
    "checks/script_runner/__init__.py ScriptRunner._judge_program": (
        Way(
            "act: have the program put there",
            script_runner.judge,
            {"program": (0, "hello")},
            {"program": script_runner.PROGRAM},
        ),
        Way("line: become", script_runner.judge, {"program": (1, NO_SHELL)}, {"program": script_runner.PROGRAM}),
    ),
    "checks/script_runner/__init__.py ScriptRunner._login_failed": (
        Way(
            "command: NOPASSWD: /usr/bin/psql",
            script_runner.judgement_of,
            {"plan": dump(method=BackupMethod.PG_BASEBACKUP), "arrived": ServerLogin(LoginRefusal.OTHER, "no")},
            {"arrived": ServerLogin(None, port=5432, system_identifier="7", in_recovery=False)},
        ),
    ),
    "checks/script_runner/script_order.py judge_command": (
        Way("key: stops_on_error", script_runner.judge, DEPLOYED, {"stops_on_error": SAID}),
    ),
    "checks/script_runner/script_order.py OrderedScripts._deviations": (
        Way(
            "act: make it readable",
            script_runner.judge,
            {"texts": {"010.sql": "select 1;\n"}, "manifest": LocalText(format_manifest(dict.fromkeys(BOTH, SHA256)))},
            {"texts": SCRIPTS, "manifest": None},
        ),
        Way(
            "act: write it plainly",
            script_runner.judge,
            {"texts": {**SCRIPTS, "020.sql": "\\set x off\n\\set ON_ERROR_STOP :x\n"}},
            {"texts": SCRIPTS},
        ),
    ),
    "checks/script_runner/script_order.py OrderedScripts._listed": (
        Way(
            "key: files",
            script_runner.judge,
            {"files": BOTH, "texts": {**SCRIPTS, "030_scale_down.sql": "update a set b = 1;\n"}},
            {"files": (*BOTH, "030_scale_down.sql")},
        ),
        Way(
            "key: files",
            script_runner.judge,
            {
                "files": ("010.sql",),
                "texts": {"020.sql": ""},
                "manifest": LocalText(format_manifest(dict.fromkeys(BOTH, SHA256))),
            },
            {"files": BOTH, "texts": SCRIPTS},
        ),
        Way(
            "key: files",
            script_runner.judge,
            {"files": ("020.sql",), "texts": {**SCRIPTS, "undo/020.down.sql": "delete from a;\n\\ir ../010.sql\n"}},
            {"files": BOTH},
        ),
    ),
    "checks/script_runner/script_order.py OrderedScripts._unlisted": (
        Way("key: files", script_runner.judge, {"way_back": ""}, {"files": BOTH}),
    ),
    "checks/script_runner/script_order.py OrderedScripts.judge": (
        Way("line: script-hashes", script_runner.judge, {"manifest": LocalText("no manifest")}, {"manifest": None}),
    ),
    "checks/sql.py SqlCheck._refused": (
        Way(
            "command: USAGE on its schema, SELECT on its table",
            own_query,
            {"found": Found(error="42501 permission denied for table orders")},
            {"found": Found(("count",), (("0",),))},
        ),
    ),
    "checks/time_budget.py TimeBudget._unknown_undo": (
        Way("key: undo", undone, {"undo": None}, {"undo": Undo(kind=UndoKind.REDEPLOY, minutes=20)}),
    ),
    "checks/script_effect.py ScriptEffect._judge_storage": (
        Way(
            "key: expected",
            rewriting,
            {"backup": script_effect.PLAIN, "seen": script_effect.UNSIZED, "free": 5000},
            {"backup": replace(script_effect.PLAIN, expected=Bytes(GIB)), "seen": {}},
        ),
    ),
    "checks/script_effect.py ScriptEffect._room": (
        Way("act: run it again", rewriting, {"tablespace": "/made/meanwhile"}, {"tablespace": ""}),
    ),
    "checks/script_effect.py ScriptEffect._as_then": (
        Way("command: preflight rehearse", rewriting, {"allowed": {}}, {"allowed": script_effect.ALLOWED}),
        Way("command: preflight rehearse", rewriting, {"search_path": "public"}, {"search_path": "app"}),
    ),
    "checks/script_effect.py ScriptEffect.judge": (
        Way("line: rehearsal", rewriting, {"recorded": False}, {"recorded": True}),
    ),
    "checks/script_rows.py ScriptRows.judge": (
        Way("key: content", script_rows.not_null, {"content": Content.SCHEMA}, {"content": Content.RESTORE}),
        Way(
            "line: rehearsal", script_rows.not_null, {"recorded": False}, {"recorded": True, "content": Content.RESTORE}
        ),
    ),
    "preflight/judging/data_directory.py not_measured": (
        Way("act: let the account enter it", restore_room.room, {"place": HIDDEN_ROOM}, {"place": restore_room.PLACE}),
        Way("act: let the account enter it", rewriting, {"places": script_effect.HIDDEN}, {"places": None}),
    ),
    "preflight/judging/data_directory.py not_shown": (
        Way("key: provider_restores", provided, {}, {"provider_restores": DATA_SAID}),
        Way("key: data_directory", backup_location.judged, {"data": backup_location.HIDDEN}, {"said": DATA_SAID}),
        Way("key: data_directory", restore_room.room, {"place": ABSENT_ROOM}, {"said": DATA_SAID}),
        Way(
            "command: GRANT pg_read_all_settings TO",
            backup_location.judged,
            {"data": backup_location.HIDDEN},
            {"data": backup_location.DATA},
        ),
    ),
    "preflight/judging/cures.py hidden_from": (
        Way(
            "command: GRANT SELECT ON pg_catalog.", backup_rights.judged, {"hidden": "pg_subscription"}, {"hidden": ""}
        ),
    ),
    "preflight/judging/cures.py no_such_role": (
        Way("command: CREATE ROLE", backup_rights.judged, {"ROLE": 0}, {"ROLE": 1}),
        Way("command: CREATE ROLE", script_rights.judged, {"gone": True}, {"gone": False}),
    ),
    "preflight/judging/cures.py could_not_look": (
        Way(
            "act: by the table of reasons",
            database_login.judged,
            {"who": NoReply(Reason.HOST, "no", MOMENT)},
            {"who": None},
        ),
    ),
    "preflight/judging/work_login.py Arrival._at_an_unknown_server": (
        Way(
            "key: server",
            script_runner.judgement_of,
            {"plan": dump(server="/run/postgresql"), "arrived": ServerLogin(None), "identity": hidden_sockets()},
            {"plan": dump(server="localhost")},
        ),
        Way(
            "command: GRANT pg_read_all_settings TO",
            script_runner.judgement_of,
            {"plan": dump(server="/run/postgresql"), "arrived": ServerLogin(None), "identity": hidden_sockets()},
            {"identity": script_runner.IDENTITY},
        ),
        Way(
            "command: NOPASSWD: /usr/bin/psql",
            script_runner.judgement_of,
            {"plan": dump(), "arrived": ServerLogin(None)},
            {"arrived": None},
        ),
    ),
    "preflight/judging/work_login.py Arrival._at_another_server": (
        Way(
            "command: run again",
            script_runner.judge,
            {"arrived": replace(script_runner.ARRIVED, started_ms=2001, asked_ms=2900)},
            {"arrived": None},
        ),
    ),
    "preflight/judging/work_login.py ScriptRole.judge": (
        Way(
            "command: GRANT SELECT ON pg_catalog.pg_settings TO",
            database_login.judged,
            {"who": database_login.identity(session={"settings": "{}"})},
            {"who": None},
        ),
    ),
    "preflight/plan/work.py no_shell": (
        Way(
            "command: NOPASSWD: /bin/sh",
            backup_location.judged,
            {"directory": replace(backup_location.BY_LOGIN, kind=DirectoryKind.MISSING, passable=False)},
            {"directory": backup_location.GOOD},
        ),
    ),
}
