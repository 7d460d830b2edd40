"""script-runner on plain facts: what is declared. Servers and logins are tried in tests/site."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.script_runner import ScriptRunner

from preflight.finding import Judgement, Status
from preflight.plan import (
    Account,
    Backup,
    BackupMethod,
    Database,
    Plan,
    RemotePath,
    Restore,
    Role,
    Said,
    Scripts,
    ServerRole,
    Step,
)
from preflight.plan.manifest import format_manifest
from preflight.plan.sealed_servers import SealedServer
from preflight.questions.files import LocalText, Texts
from preflight.questions.postgres import Identity, IdentityProbe, SystemIdentifierProbe
from preflight.questions.sql import RoleSettings
from preflight.questions.sudo import ProgramRun
from preflight.questions.work_start import LoginRefusal, ServerLogin, ServerLoginProbe, Start, WorkStart, WorkStartProbe
from tests.toy import MOMENT, settings_of, toy_plan

TEXTS = {
    "010.sql": "create table a (b int);\n\\ir parts/columns.sql\n",
    "020.sql": "insert into a values (1);\n",
    "parts/columns.sql": "alter table a add c int;\n",
    "undo/010.down.sql": "drop table a;\n",
    "undo/020.down.sql": "delete from a;\n",
}
FOLDER = "/srv/release/orders"
BOTH = ("010.sql", "020.sql")
LOG = RemotePath("/srv/log/orders.log")


def plan_of(*entries: dict[str, Any], backup: dict[str, Any] | None = None, **database: Any) -> Plan:
    """A plan whose entries of [scripts] share their folder."""
    common: dict[str, Any] = {
        "database": "orders",
        "approved": Path("plans/sql/orders"),
        "manifest": Path("plans/sql/orders.SHA256SUMS"),
        "staged": RemotePath(FOLDER),
        "way_back": "undo/{stem}.down.sql",
        "step": "scripts",
    }
    scripts = {f"s{number}": Scripts(id=f"s{number}", **{**common, **more}) for number, more in enumerate(entries)}
    backups = {}
    if backup is not None:
        backups["b"] = Backup(id="b", database="orders", directory=RemotePath("/backup"), **backup)
    orders = Database(id="orders", host="db1", user=Account("release"), owner="dba", **database)
    steps = (Step(id="scripts", minutes=90, minutes_over_network=115),)
    dba = Role(id="dba", primary="D. Kaya")
    return toy_plan(databases={"orders": orders}, backups=backups, scripts=scripts, steps=steps, roles=[dba])


PLACE = {
    "data_directory": "/var/lib/postgresql/15/main",
    "listen_addresses": "localhost",
    "unix_socket_directories": "/var/run/postgresql, /tmp",
}
IDENTITY = Identity(
    "release", "orders", 150018, False, "192.0.2.7", 35540, 4711, "main", 5432, 1000, 2000, "16390",
    {"settings": settings_of(**PLACE)},
)  # fmt: skip
"""What database-login sees; the system identifier is 7."""
ARRIVED = ServerLogin(
    None, "", "release", "orders", 5432, 150018, "7", False, started_ms=1000, asked_ms=2001,
    settings=RoleSettings(settings_of(**PLACE)),
)  # fmt: skip

PROGRAM = (0, "psql (PostgreSQL) 15.18")
"""How each program ends, and what it says, that is asked for its version."""

SEEN = ("texts", "manifest", "arrived", "identity", "start", "seen_by", "program")


def judge(*others: dict[str, Any], database: dict[str, Any] | None = None, **entry: Any) -> Judgement:
    """One entry, with what is SEEN of it; by default on a host where the programs run, the login works, and every file
    can be written."""
    seen = {name: entry.pop(name) for name in SEEN if name in entry}
    return judgement_of(plan_of(entry, *others, **(database or {})), **seen)


def judgement_of(
    plan: Plan,
    *,
    texts: dict[str, str] | None = None,
    manifest: LocalText | None = None,
    arrived: ServerLogin | None = None,
    identity: Identity | None = IDENTITY,
    start: Start = Start.READY,
    seen_by: str = "",
    program: tuple[int, str] = PROGRAM,
) -> Judgement:
    check = ScriptRunner(plan, MOMENT)
    subject = check.subjects()[0]
    texts = TEXTS if texts is None else texts
    facts: dict[str, Any] = {}
    probes = {**check.probes(subject)}
    if "programs" in probes:
        facts["identity"] = identity
        facts["programs"] = tuple(
            ProgramRun(name, program[0], f"/usr/bin/{name}", program[1]) for name in subject.item.programs
        )
        probes |= check.follow_up(subject, **facts)
    for name, probe in probes.items():
        match probe:
            case ServerLoginProbe():
                seen = dict(probe.connection)
                facts[name] = arrived or replace(ARRIVED, user=seen["user"], database=seen["dbname"])
            case IdentityProbe():
                facts[name] = identity
            case SystemIdentifierProbe():
                facts[name] = "7"
            case WorkStartProbe():
                facts[name] = WorkStart(seen_by or probe.account.account, start)
    if "manifest" in probes:
        facts["manifest"] = manifest or LocalText(format_manifest(dict.fromkeys(texts, "0" * 64)))
        facts["texts"] = Texts(texts)
    return check.judge(subject, **facts)


def told(judgement: Judgement) -> str:
    points = judgement.telling_points()
    return "\n".join(f"{p.status}: {p.summary} | {p.expected} | {p.actual} | {p.remedy}" for p in points)


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"files": BOTH},
        {"files": BOTH, "account": Account("postgres")},
        {"login": Account("owner")},
        {"log": LOG, "variables": {"schema": "app1"}, "single_transaction": True},
        {"server": "/run/postgresql"},
        {"server": "/run/postgresql:5432"},
        {"server": "localhost"},
    ],
)
def test_declared_scripts_that_are_sealed_pass(entry: dict[str, Any]) -> None:
    found = judge(**entry)
    assert found.status is Status.PASS, told(found)
    assert "stops at the first error" in found.summary


@pytest.mark.parametrize(
    ("files", "summary"),
    [
        (("010.sql",), "leaves out 1 of 2 scripts: 020.sql"),
        (("010.sql", "020.sql", "030.sql"), "names what is not sealed: 030.sql"),
        (("010.sql", "020.sql", "undo/010.down.sql"), "names ways back: undo/010.down.sql"),
        (("parts/columns.sql",), "leaves out 2 of 2 scripts: 010.sql, 020.sql"),
    ],
)
def test_files_that_are_not_the_sealed_scripts_fail(files: tuple[str, ...], summary: str) -> None:
    found = judge(files=files)
    assert found.status is Status.FAIL
    assert summary in told(found)
    assert 'files = ["010.sql", "020.sql"]' in found.remedy
    assert found.minutes_at_stake == 25


def test_without_a_pattern_scripts_that_look_like_ways_back_are_not_simply_run() -> None:
    found = judge(way_back="")
    assert found.status is Status.UNKNOWN, told(found)
    assert "undo/010.down.sql" in found.summary
    assert judge(way_back="", files=BOTH).status is Status.PASS


def test_a_folder_without_a_script_fails() -> None:
    found = judge(texts={"readme.txt": "nothing"})
    assert found.status is Status.FAIL
    assert "there is no script to run" in found.summary


def test_unsealed_scripts_leave_it_unknown() -> None:
    for manifest in (LocalText(problem="no such file"), LocalText("not a manifest"), LocalText("")):
        found = judge(manifest=manifest)
        assert found.status is Status.UNKNOWN, told(found)
        assert "they are not sealed" in found.summary


def test_entries_that_share_their_scripts_run_them_together() -> None:
    assert judge({"files": ("020.sql",)}, files=("010.sql",)).status is Status.PASS
    found = judge({"files": ("010.sql",)}, files=("010.sql",))
    assert "leaves out 1 of 2 scripts: 020.sql" in told(found)


def test_a_driver_script_runs_what_it_includes() -> None:
    texts = {"all.sql": "\\ir 010.sql\n\\ir 020.sql\n", **TEXTS}
    assert judge(files=("all.sql",), texts=texts).status is Status.PASS
    assert judge(texts=texts).summary.startswith("psql 15 as") or "all.sql" in judge(texts=texts).summary
    assert "leaves out 1 of 1 scripts: all.sql" in told(judge(files=BOTH, texts=texts))


def test_scripts_that_were_not_read_leave_unknown_what_is_missing() -> None:
    manifest = LocalText(format_manifest({"010.sql": "0" * 64, "020.sql": "0" * 64}))
    found = judge(files=("010.sql",), texts={"020.sql": ""}, manifest=manifest)
    assert found.status is Status.UNKNOWN, told(found)


@pytest.mark.parametrize("text", ["\\set ON_ERROR_STOP off\nselect 1;\n", "\\unset ON_ERROR_STOP\n"])
def test_a_script_that_turns_the_stop_off_fails_and_can_be_waived(text: str) -> None:
    found = judge(texts={**TEXTS, "parts/columns.sql": text})
    assert found.status is Status.FAIL, told(found)
    assert found.summary.startswith("parts/columns.sql line 1: ")
    assert found.summary.endswith("makes psql go on after an error")
    assert found.waivable


def test_a_sealed_script_that_was_not_read_leaves_unknown_whether_psql_stops() -> None:
    manifest = LocalText(format_manifest(dict.fromkeys(["010.sql", "020.sql", "x.inc"], "0" * 64)))
    found = judge(texts={"010.sql": "select 1;\n"}, manifest=manifest)
    assert found.status is Status.UNKNOWN, told(found)
    assert found.summary == "whether psql stops at the first error is not known: 020.sql could not be read"
    included = judge(texts={"010.sql": "\\ir x.inc\n", "020.sql": ""}, manifest=manifest)
    assert "x.inc could not be read" in included.summary


def test_what_may_turn_the_stop_off_is_unknown_with_its_line_and_the_way_out() -> None:
    found = judge(texts={**TEXTS, "020.sql": "\\set x off\n\\set ON_ERROR_STOP :x\n"})
    assert found.status is Status.UNKNOWN, told(found)
    assert "020.sql line 2: \\set ON_ERROR_STOP :x" in found.summary
    assert "write it plainly" in found.remedy


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (Start.LOG_ABSENT, "there is no such folder"),
        (Start.LOG_CLOSED, "no file can be made in the folder"),
        (Start.LOG_DENIED, "cannot be written"),
        (Start.LOG_IS_FOLDER, "a folder has that name"),
    ],
)
def test_a_log_that_cannot_be_written_fails(state: Start, words: str) -> None:
    found = judge(log=LOG, start=state)
    assert found.status is Status.FAIL, told(found)
    assert f"{LOG} cannot be written" in found.summary
    assert words in found.summary


def test_a_log_that_only_the_login_could_look_for_is_unknown() -> None:
    found = judge(log=LOG, account=Account("postgres"), seen_by="dbadmin")
    assert found.status is Status.UNKNOWN, told(found)
    assert "dbadmin looked, who may not become postgres" in found.actual


def test_a_staged_folder_that_the_login_cannot_enter_fails() -> None:
    found = judge(account=Account("postgres"), start=Start.FOLDER_CLOSED)
    assert found.status is Status.FAIL, told(found)
    assert f"dbadmin cannot start the work in {FOLDER}" in found.summary
    assert "chmod o+x" in found.remedy


# The server that answers.


@pytest.mark.parametrize(
    ("arrived", "status", "summary"),
    [
        ({}, Status.PASS, ""),
        ({"system_identifier": ""}, Status.PASS, ""),  # one start is one server
        ({"system_identifier": "8"}, Status.FAIL, "another server answers"),
        ({"system_identifier": "8", "started_ms": 1500}, Status.FAIL, "another server answers"),
        ({"started_ms": 1500}, Status.FAIL, "another server answers"),  # a promoted clone
        ({"started_ms": 1500, "system_identifier": ""}, Status.FAIL, "another server answers"),
        ({"started_ms": 2001, "asked_ms": 2900}, Status.UNKNOWN, "one was started between the logins"),
        ({"started_ms": 500, "asked_ms": 900}, Status.UNKNOWN, "one was started between the logins"),
        ({"started_ms": 2001, "asked_ms": 2900, "system_identifier": "8"}, Status.FAIL, "another server answers"),
        ({"user": "other"}, Status.FAIL, "the login arrives elsewhere"),
    ],
)
@pytest.mark.parametrize("server", ["", "/run/postgresql", "10.20.0.11"])
def test_the_server_that_answers_is_the_one_that_database_login_sees(
    server: str, arrived: dict[str, Any], status: Status, summary: str
) -> None:
    found = judge(server=server, arrived=replace(ARRIVED, **arrived))
    assert found.status is status, told(found)
    assert summary in told(found)


def test_another_server_is_covered_by_no_waiver() -> None:
    points = judge(arrived=replace(ARRIVED, started_ms=1500)).telling_points()
    assert [point.waivable for point in points] == [False]


@pytest.mark.case(17)
@pytest.mark.parametrize(
    ("server", "database", "login", "pooled"),
    [
        ("/run/postgresql:6432", {}, {}, True),
        ("localhost:6432", {"port": 5433}, {}, True),
        ("localhost", {"port": 6432}, {}, False),  # forwarded: by this port the login from here meets PostgreSQL itself
        ("/run/postgresql", {}, {"begun_ms": 100, "asked_ms": 30_000}, True),  # longer than a login may take
        ("", {}, {"begun_ms": 100, "asked_ms": 30_000}, True),
        ("/run/postgresql", {}, {"begun_ms": 29_000, "asked_ms": 30_000}, False),
        ("/run/postgresql", {}, {"begun_ms": 29_000, "asked_ms": 30_000, "again_ms": 29_000}, True),  # lent again
        ("/run/postgresql", {}, {"begun_ms": 29_000, "asked_ms": 30_000, "again_ms": 30_050}, False),
    ],
)
def test_a_pooler_before_the_login_that_works_fails(
    server: str, database: dict[str, Any], login: dict[str, Any], pooled: bool
) -> None:
    found = judge(server=server, database=database, arrived=replace(ARRIVED, **login))
    assert found.status is (Status.FAIL if pooled else Status.PASS), told(found)
    assert ("a connection pooler answers" in told(found)) is pooled
    assert found.waivable is not pooled


def test_by_the_way_on_which_the_login_from_here_meets_a_pooler_the_work_meets_it_too() -> None:
    pooled = replace(IDENTITY, session={**IDENTITY.session, "backend_pid": "1"})
    for server, status in (("192.0.2.7", Status.FAIL), ("/run/postgresql", Status.PASS)):
        assert judge(server=server, database={"address": "192.0.2.7"}, identity=pooled).status is status


SEALED = SealedServer(system_identifier="7", port=5432, data_directory="/var/lib/postgresql/15/main")


@pytest.mark.case(17)
@pytest.mark.parametrize(
    ("sealed", "status"),
    [
        ({}, Status.PASS),
        ({"system_identifier": "8"}, Status.FAIL),
        ({"port": 5433}, Status.FAIL),
        ({"data_directory": "/copy"}, Status.FAIL),
        ({"data_directory": ""}, Status.PASS),
        ({"addresses": ("192.0.2.99",)}, Status.PASS),
    ],
)
@pytest.mark.parametrize("identity", [IDENTITY, None], ids=["seen", "not-seen"])
def test_the_login_arrives_at_the_server_that_was_sealed(
    sealed: dict[str, Any], status: Status, identity: Identity | None
) -> None:
    plan = replace(plan_of({}), sealed={"orders": replace(SEALED, **sealed)})
    found = judgement_of(plan, identity=identity)
    assert found.status is status, told(found)
    assert found.waivable is (status is Status.PASS)


@pytest.mark.case(17)
@pytest.mark.parametrize(
    ("server", "seen", "status"),
    [
        ("/run/postgresql", {}, Status.PASS),
        ("/var/run/postgresql", {}, Status.PASS),  # one folder
        ("/run/postgresql:5432", {}, Status.PASS),
        ("/run/other", {}, Status.UNKNOWN),  # another cluster may have the same port there
        ("/run/postgresql:5433", {}, Status.UNKNOWN),
        ("/run/postgresql", {"unix_socket_directories": ""}, Status.UNKNOWN),
        ("localhost", {}, Status.PASS),
        ("127.0.0.1", {"listen_addresses": "*"}, Status.PASS),
        ("localhost", {"listen_addresses": "10.20.0.11"}, Status.UNKNOWN),
        ("10.20.0.11", {}, Status.UNKNOWN),
        ("10.20.0.11", {"listen_addresses": "localhost, 10.20.0.11"}, Status.PASS),
        ("", {}, Status.UNKNOWN),
    ],
)
def test_where_pg_dump_alone_was_tried_the_server_must_hold_the_place_that_is_named(
    server: str, seen: dict[str, Any], status: Status
) -> None:
    plan = plan_of(backup={"server": server, "account": Account("postgres")})
    who = replace(IDENTITY, session={"settings": settings_of(**{**PLACE, **seen})})
    found = judgement_of(plan, arrived=ServerLogin(None), identity=who)
    assert found.status is status, told(found)
    if status is Status.UNKNOWN:
        assert "have this line in sudoers on db1: dbadmin ALL=(postgres) NOPASSWD: /usr/bin/psql" in found.remedy
    if seen == {"unix_socket_directories": ""}:
        cure = 'GRANT pg_read_all_settings TO release; or server = "localhost" in [backups.b]; or have this line'
        assert found.remedy.startswith(cure)
    assert judgement_of(plan_of(backup={}), arrived=ARRIVED).status is Status.PASS


@pytest.mark.parametrize(
    ("server", "arrived", "status"),
    [
        ("", {}, Status.PASS),
        ("localhost", {}, Status.PASS),
        ("localhost", {"in_recovery": None}, Status.PASS),  # PostgreSQL 13 does not tell
        ("localhost", {"system_identifier": "8"}, Status.FAIL),
        ("localhost", {"port": 5433}, Status.FAIL),
        ("localhost", {"in_recovery": True}, Status.FAIL),
        ("10.20.0.11", {}, Status.UNKNOWN),
    ],
)
def test_a_base_backup_shows_which_server_it_is(server: str, arrived: dict[str, Any], status: Status) -> None:
    plan = plan_of(backup={"method": BackupMethod.PG_BASEBACKUP, "server": server})
    seen = {"port": 5432, "system_identifier": "7", "in_recovery": False, **arrived}
    found = judgement_of(plan, arrived=ServerLogin(None, **seen))
    assert found.status is status, told(found)


WAITING = {"options": ("--serializable-deferrable",)}


@pytest.mark.parametrize("role", ServerRole)
@pytest.mark.parametrize(
    ("entry", "backup", "passes_on"),
    [
        ({}, None, ()),
        ({}, {}, (ServerRole.REPLICA, ServerRole.ANY)),
        ({}, WAITING, ()),
        ({}, {"restore": Restore()}, ()),
        ({}, {"restore": Restore(into="orders2")}, ()),
    ],
)
def test_on_a_replica_nothing_is_written(
    entry: dict[str, Any], backup: dict[str, Any] | None, passes_on: tuple[ServerRole, ...], role: ServerRole
) -> None:
    plan = plan_of(entry, backup=backup, role=role)
    found = judgement_of(plan, arrived=replace(ARRIVED, in_recovery=True))
    assert found.status is (Status.PASS if role in passes_on else Status.FAIL), told(found)
    assert judgement_of(plan).status is Status.PASS


@pytest.mark.parametrize(
    ("changed", "status", "summary"),
    [
        ({}, Status.PASS, ""),
        ({"default_transaction_read_only": "on"}, Status.FAIL, "owner starts read-only transactions"),
        ({"statement_timeout": "5"}, Status.FAIL, "statement_timeout of owner is 5 ms, shorter than the step"),
        ({"transaction_timeout": "600000"}, Status.FAIL, "transaction_timeout of owner is 10 min, shorter than"),
        ({"lock_timeout": "5"}, Status.PASS, ""),
        ({"search_path": "app"}, Status.WARN, "unusual search_path of owner: app"),
        (
            {"client_encoding": "LATIN1", "server_encoding": "UTF8"},
            Status.FAIL,
            "owner sends and reads is LATIN1",
        ),
        ({"client_encoding": "SQL_ASCII", "server_encoding": "UTF8"}, Status.PASS, ""),
        ({"client_encoding": "UTF8", "server_encoding": "LATIN1"}, Status.PASS, ""),
        ({"client_encoding": "UTF8", "server_encoding": "SQL_ASCII"}, Status.PASS, ""),
    ],
)
def test_the_role_of_the_scripts_begins_without_settings_that_end_them(
    changed: dict[str, str], status: Status, summary: str
) -> None:
    arrived = replace(ARRIVED, user="owner", settings=RoleSettings(settings_of(**changed)))
    found = judge(login=Account("owner"), arrived=arrived)
    assert found.status is status, told(found)
    assert summary in told(found)
    found = judge(arrived=replace(arrived, user="release"))
    assert found.status is status, "the account may have them of PGOPTIONS"
    restore = {"login": Account("backup"), "restore": Restore(login=Account("owner"), into="orders")}
    plan = plan_of(backup=restore)
    check = ScriptRunner(plan, MOMENT)
    facts = {"identity": IDENTITY, "system": "7", "login": replace(ARRIVED, user="backup")}
    found = check.judge(check.subjects()[0], restore_login=arrived, **facts)
    assert found.status is (Status.FAIL if "read_only" in str(changed) else Status.PASS), "pg_restore sets the rest"
    cut_off = replace(arrived, settings=RoleSettings(settings_of(**changed)[:20]))
    found = check.judge(check.subjects()[0], restore_login=cut_off, **facts)
    assert found.status is Status.UNKNOWN, "nor was it seen that it does not"


def test_what_database_login_says_of_its_role_is_said_once() -> None:
    same = {"search_path": "app"}
    arrived = replace(ARRIVED, settings=RoleSettings(settings_of(**same)))
    plan = plan_of({})
    check = ScriptRunner(plan, MOMENT)
    identity = replace(IDENTITY, session={"settings": settings_of(**same)})
    found = check.judge(check.subjects()[0], identity=identity, system="7", login=arrived)
    assert found.status is Status.PASS


def test_who_puts_a_backup_back_logs_in_too() -> None:
    plan = plan_of(backup={"login": Account("backup"), "server": "localhost", "restore": Restore(into="orders2")})
    check = ScriptRunner(plan, MOMENT)
    probes = check.follow_up(check.subjects()[0])
    connection = {"host": "localhost", "port": "5432", "user": "release", "dbname": "orders2"}
    assert isinstance(probes["restore_login"], ServerLoginProbe)
    assert dict(probes["restore_login"].connection) == connection
    in_vain = ServerLogin(LoginRefusal.NO_DATABASE, 'database "orders2" does not exist')
    found = check.judge(check.subjects()[0], restore_login=in_vain)
    assert (found.status, found.summary) == (
        Status.FAIL, "restore: no database login on the server: no such database",
    )  # fmt: skip


def test_the_command_that_puts_a_backup_back_is_looked_for() -> None:
    restore = Restore(command=("/opt/restore.sh", "orders"))
    plan = plan_of(backup={"taken_by": "cron", "previous": "/b/*", "restore": restore})
    found = judgement_of(plan, start=Start.PROGRAM_MISSING)
    assert (found.status, found.summary) == (
        Status.FAIL, "/opt/restore.sh does not start: there is no such program",
    )  # fmt: skip
    assert found.remedy.endswith("or correct `command` of [backups.b.restore]")


@pytest.mark.parametrize(
    ("refusal", "backup", "remedy"),
    [
        (LoginRefusal.NOT_PERMITTED, {}, 'ALTER ROLE "Rel-App" LOGIN'),
        (LoginRefusal.NO_CONNECT, {}, 'GRANT CONNECT ON DATABASE "a:b" TO "Rel-App"'),
        (LoginRefusal.NO_PASSWORD, {"server": "127.0.0.1:35005"}, r"*:35005:a\:b:Rel-App"),
        (LoginRefusal.NO_PASSWORD, {"server": "localhost"}, r"*:5432:a\:b:Rel-App"),
        (LoginRefusal.NO_PASSWORD, {}, r"*:*:a\:b:Rel-App"),
    ],
)
def test_a_cure_can_be_pasted(refusal: LoginRefusal, backup: dict[str, Any], remedy: str) -> None:
    plan = plan_of(backup={"login": Account("Rel-App"), **backup}, name="a:b")
    assert remedy in judgement_of(plan, arrived=ServerLogin(refusal, "said")).remedy


def test_the_role_of_a_replica_is_mended_on_its_primary() -> None:
    plan = plan_of(backup={}, role=ServerRole.REPLICA)
    cure = judgement_of(plan, arrived=ServerLogin(LoginRefusal.NOT_PERMITTED, "said")).remedy
    assert cure.startswith("ALTER ROLE release LOGIN; -- on the primary of ")


def test_each_entry_is_tried_at_its_own_server_as_its_own_login() -> None:
    entry = {"server": "localhost", "login": Account("owner")}
    check = ScriptRunner(plan_of(entry, backup={"account": Account("postgres"), "login": Account("backup")}), MOMENT)
    backup, scripts = check.subjects()
    (dump,) = check.follow_up(backup).values()
    (psql,) = check.follow_up(scripts).values()
    assert isinstance(dump, ServerLoginProbe)
    assert isinstance(psql, ServerLoginProbe)
    assert (dump.method, dump.account.account) == ("pg_dump", "postgres")
    assert dump.connection == (("user", "backup"), ("dbname", "orders"))
    assert dump.rather == "psql", "it tells which server that is"
    assert dict(psql.connection) == {"host": "localhost", "port": "5432", "user": "owner", "dbname": "orders"}


# What is not psql.

DEPLOY = {"command": ("./deploy.sh", "prod")}
WITH_DEPLOY = {**TEXTS, "deploy.sh": "exit 0\n"}
SHOWN = Said(by="dba", on=date(2026, 10, 10), reason="run 8812")


def test_a_command_is_unknown_until_somebody_showed_that_it_stops() -> None:
    found = judge(**DEPLOY, texts=WITH_DEPLOY)
    assert found.status is Status.UNKNOWN, told(found)
    assert "whether ./deploy.sh prod stops at the first error is not known" in found.summary
    found = judge(**DEPLOY, texts=WITH_DEPLOY, stops_on_error=SHOWN)
    assert found.status is Status.WARN, told(found)
    assert found.summary.endswith("; said by D. Kaya (dba) on 2026-10-10, not observed: run 8812")


@pytest.mark.parametrize(
    ("state", "words"),
    [(Start.PROGRAM_MISSING, "there is no such program"), (Start.PROGRAM_DENIED, "it is not executable")],
)
def test_a_command_that_cannot_be_started_fails(state: Start, words: str) -> None:
    found = judge(**DEPLOY, texts=WITH_DEPLOY, start=state)
    assert found.status is Status.FAIL, told(found)
    assert f"./deploy.sh does not start: {words}" in found.summary


def test_a_command_may_run_on_a_host_without_a_database() -> None:
    plan = plan_of({**DEPLOY, "database": "", "host": "db1", "stops_on_error": SHOWN})
    found = judgement_of(plan, texts=WITH_DEPLOY)
    assert found.status is Status.WARN, told(found)


def test_a_command_in_the_folder_is_sealed() -> None:
    found = judge(**DEPLOY)
    assert found.status is Status.FAIL, told(found)
    assert "deploy.sh is not sealed" in found.summary
    assert "is not sealed" not in told(judge(command=("/opt/deploy", "prod")))


def test_a_command_that_the_login_cannot_look_at_for_its_account_is_unknown() -> None:
    found = judge(**DEPLOY, texts=WITH_DEPLOY, account=Account("postgres"), seen_by="dbadmin")
    assert "whether postgres can start ./deploy.sh is not known" in told(found)


def test_no_database_login_is_tried_for_what_does_not_connect() -> None:
    check = ScriptRunner(plan_of(DEPLOY, backup={"command": ("/usr/local/bin/backup",)}), MOMENT)
    assert [check.follow_up(subject) for subject in check.subjects()] == [{}, {}]
    assert not [s for s in check.subjects() if "programs" in check.probes(s)]


def test_a_backup_that_is_taken_by_something_else_is_no_subject() -> None:
    assert not ScriptRunner(plan_of(backup={"taken_by": "cron"}), MOMENT).subjects()


def test_a_script_that_only_a_way_back_includes_still_runs_forward() -> None:
    texts = {**TEXTS, "undo/020.down.sql": "delete from a;\n\\ir ../010.sql\n"}
    found = judge(texts=texts, files=("020.sql",))
    assert found.status is Status.UNKNOWN, told(found)
    assert "leaves out 1 of 2 scripts: 010.sql" in found.summary
    found = judge(texts=texts)
    assert found.status is Status.UNKNOWN, told(found)
    assert "files = " in found.remedy
    assert judge(texts=texts, files=BOTH).status is Status.PASS


def test_a_script_that_some_branch_includes_may_have_to_run_by_itself() -> None:
    texts = {**TEXTS, "010.sql": TEXTS["010.sql"] + "\\if :{?never}\n\\ir 020.sql\n\\endif\n"}
    assert judge(texts=texts).status is Status.UNKNOWN
    assert judge(texts=texts, files=("010.sql",)).status is Status.UNKNOWN
    assert judge(texts=texts, files=BOTH).status is Status.PASS


def test_what_ways_back_share_does_not_run_forward() -> None:
    shared = {**TEXTS, "undo/010.down.sql": "\\ir common.sql\n", "undo/common.sql": "select 1;\n"}
    assert judge(texts=shared).status is Status.PASS
    assert judge(texts=shared, files=BOTH).status is Status.PASS


def test_another_database_does_not_excuse_a_script_that_is_left_out() -> None:
    plan = plan_of({"files": ("010.sql",)}, {"files": BOTH, "database": "billing"})
    billing = Database(id="billing", host="db1", user=Account("release"))
    plan = replace(plan, databases={**plan.databases, "billing": billing})
    found = judgement_of(plan)
    assert (found.status, found.summary) == (Status.FAIL, "`files` leaves out 1 of 2 scripts: 020.sql")
    same = replace(plan, databases={**plan.databases, "billing": replace(billing, name="orders")})
    found = judgement_of(same)
    assert found.status is Status.FAIL, told(found)
    assert "[scripts.s1] runs 010.sql in the same database as well" in told(found)


@pytest.mark.parametrize("second", [{"files": BOTH}, {}, {"files": ("020.sql",)}])
def test_a_script_that_runs_twice_in_one_database_fails(second: dict[str, Any]) -> None:
    found = judge(second, files=BOTH)
    assert (found.status, "in the same database as well" in found.summary) == (Status.FAIL, True)
    other = {**second, "variables": {"schema": "other"}}
    assert judge(other, files=BOTH).status is Status.FAIL, "no script uses the variable"
    uses = {
        **TEXTS,
        "parts/columns.sql": "alter table :schema.a add c int;",
        "020.sql": "insert into :schema.a values (1);",
    }
    assert judge(other, files=BOTH, texts=uses, variables={"schema": "app"}).status is Status.PASS
    copied = {**second, "manifest": Path("plans/sql/copy.SHA256SUMS"), "staged": RemotePath(f"{FOLDER}/")}
    assert judge(copied, files=BOTH).status is Status.FAIL
    assert judge({**second, "command": ("./x",)}, files=BOTH).status is Status.PASS


def test_a_script_that_is_listed_and_included_runs_twice() -> None:
    texts = {**TEXTS, "010.sql": "\\ir parts/columns.sql\n", "parts/columns.sql": "\\ir ../020.sql\n"}
    found = judge(files=BOTH, texts=texts)
    assert (found.status, "020.sql runs twice" in found.summary) == (Status.FAIL, True)
    found = judge({"files": ("020.sql",)}, files=("010.sql",), texts=texts)
    assert "[scripts.s1] runs 020.sql in the same database as well" in told(found)
    shared = {**TEXTS, "020.sql": "\\ir parts/columns.sql\n"}
    assert judge(files=BOTH, texts=shared).status is Status.PASS, "what both include is theirs"


def test_scripts_that_run_in_another_order_than_that_of_their_numbers_fail_with_both() -> None:
    found = judge(files=BOTH[::-1])
    assert (found.status, found.summary) == (
        Status.FAIL, "the scripts run in another order than that of their numbers: 020.sql, 010.sql",
    )  # fmt: skip
    assert found.expected == "the order of their numbers: 010.sql, 020.sql"
    assert 'write in [scripts.s0]: files = ["010.sql", "020.sql"]' in found.remedy
    found = judge({"files": ("010.sql",)}, files=("020.sql",))
    assert (found.status, "their steps" in found.remedy) == (Status.FAIL, True), "the same step: in the plan's order"


def test_the_order_of_entries_is_that_of_their_steps() -> None:
    plan = plan_of({"files": ("020.sql",), "step": "later"}, {"files": ("010.sql",)})
    later = Step(id="later", minutes=1, after=("scripts",))
    assert judgement_of(replace(plan, steps=(*plan.steps, later))).status is Status.PASS
    earlier = replace(plan.steps[0], after=("later",))
    found = judgement_of(replace(plan, steps=(earlier, replace(later, after=()))))
    assert (found.status, found.actual) == (Status.FAIL, "020.sql, 010.sql")


def test_a_script_that_is_only_named_like_a_way_back_is_not_left_out_in_silence() -> None:
    texts = {**TEXTS, "030_scale_down.sql": "update a set b = 1;\n", "undo/all.sql": "select 1;\n"}
    found = judge(files=BOTH, texts=texts)
    assert (found.status, "030_scale_down.sql" in found.summary) == (Status.UNKNOWN, True), told(found)
    assert "list it in `files` of [scripts.s0]" in found.remedy
    assert "undo/all.sql" not in told(found)
    back = {"undo/030_scale_down.down.sql": "update a set b = 2;\n"}
    assert judge(files=(*BOTH, "030_scale_down.sql"), texts={**texts, **back}).status is Status.PASS


def test_a_name_with_a_quote_stands_in_the_cure_as_toml() -> None:
    found = judge(files=BOTH, texts={**TEXTS, 'a"b.sql': "select 1;\n"})
    assert r'files = ["010.sql", "020.sql", "a\"b.sql"]' in found.remedy


def test_whether_a_command_stops_is_the_rehearsals_line_where_it_may_run_one() -> None:
    found = judge(**DEPLOY, texts=WITH_DEPLOY, rehearse_command=("./deploy.sh", "scratch"))
    assert found.status is Status.PASS, found
