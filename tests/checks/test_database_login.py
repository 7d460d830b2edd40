"""database-login judged from plain facts: each passing state beside those that flip it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.database_login import DatabaseLogin

from preflight.finding import Judgement, Status
from preflight.plan import (
    Account,
    Backup,
    BackupFormat,
    BackupMethod,
    Database,
    RemotePath,
    Restore,
    Scripts,
    ServerRole,
    SslMode,
)
from preflight.plan.sealed_servers import SealedServer
from preflight.probe import NoReply
from preflight.questions.certificates import Certificate
from preflight.questions.postgres import DatabaseRole, Identity, Replay, Slots
from preflight.reasons import Reason
from tests.toy import MOMENT, settings_of, toy_plan

ROLE = DatabaseRole("release", True, False, -1, None, True, 1)
SLOTS = Slots(most=97, used=10, database_limit=-1, database_used=3, wal_senders=10)
SEALED = SealedServer(system_identifier="42", port=5432, data_directory="/data", addresses=("192.0.2.7",))
PLAN = toy_plan(sealed={"orders": SEALED, "o": SEALED})
NEEDED_UNTIL = PLAN.window.needed_until


def identity(
    settings: Mapping[str, str] | None = None, session: Mapping[str, str] | None = None, **more: Any
) -> Identity:
    known = {
        "used_password": "yes",
        "backend_pid": "4711",
        "ssl": "TLSv1.3",
        "settings": settings_of(**(settings or {})),
    }
    plain = Identity("release", "orders", 150018, False, "192.0.2.7", 35540, 4711, "main", 5432, 1000, 2000, "16390")
    return replace(plain, session={**known, **(session or {})}, **more)


def judged(
    who: Identity | NoReply | None = None,
    of: DatabaseRole | None = ROLE,
    slots: Slots = SLOTS,
    *,
    system: str = "42",
    timeline: str = "3",
    sealed: Mapping[str, SealedServer] = PLAN.sealed,
    **entry: Any,
) -> Judgement:
    database = replace(Database(id="orders", host="db1", user=Account("release")), **entry)
    check = DatabaseLogin(replace(PLAN, databases={"orders": database}, sealed=sealed), MOMENT)
    (subject,) = check.subjects()
    roles = {"release": of} if of else {}
    facts = {"system": system, "timeline": timeline, "roles": roles, "slots": slots}
    found: Judgement = check.judge(subject, identity=who or identity(), **facts)
    return found


def test_all_good_passes() -> None:
    assert judged().status is Status.PASS


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        ({"version": "15"}, Status.PASS),
        ({"version": "16"}, Status.FAIL),
        ({"system_identifier": "42"}, Status.PASS),
        ({"system_identifier": "43"}, Status.FAIL),
        ({"role": ServerRole.ANY}, Status.PASS),
        ({"role": ServerRole.REPLICA}, Status.FAIL),
        ({"name": "other"}, Status.FAIL),
    ],
)
def test_the_server_must_be_the_planned_one(entry: Mapping[str, Any], status: Status) -> None:
    assert judged(**entry).status is status


@pytest.mark.case(17)
@pytest.mark.parametrize(
    ("seen", "system", "status", "told"),
    [
        ({}, "42", Status.PASS, "was sealed: system identifier and data directory and port agree"),
        ({"data_directory": ""}, "42", Status.PASS, "was sealed: system identifier and port agree"),
        ({"started_ms": 999_999}, "42", Status.PASS, "system identifier and data directory and port agree"),
        ({}, "43", Status.FAIL, "system identifier differs; data directory and port agree"),
        ({"port": 5433}, "42", Status.FAIL, "port differs; system identifier and data directory agree"),
        ({"data_directory": "/copy"}, "42", Status.FAIL, "data directory differs; system identifier and port agree"),
        ({"data_directory": "/copy", "port": 5433}, "42", Status.FAIL, "data directory and port differ; system ident"),
        ({}, "", Status.UNKNOWN, "the system identifier, or the timeline, may not be seen"),
        ({"server_address": "192.0.2.8"}, "42", Status.WARN, "another address than it was sealed with, 192.0.2.8"),
        ({"server_address": None}, "42", Status.PASS, "agree"),
    ],
)
def test_the_server_must_be_the_one_that_was_sealed(
    seen: dict[str, Any], system: str, status: Status, told: str
) -> None:
    settings = {"data_directory": seen.pop("data_directory", "/data")}
    found = judged(identity(settings, **seen), system=system)
    assert found.status is status, found
    assert told in found.summary
    assert found.waivable is (status is not Status.FAIL)


WHOLE = replace(SEALED, oid="16390", timeline="3")


@pytest.mark.parametrize(
    ("sealed", "seen", "timeline", "status", "told"),
    [
        (WHOLE, {}, "3", Status.PASS, "data directory and port and database oid and timeline agree"),
        (
            WHOLE,
            {"oid": "16391"},
            "3",
            Status.UNKNOWN,
            "not the database that was sealed: it was made anew or renamed",
        ),
        (WHOLE, {}, "4", Status.UNKNOWN, "the server was promoted or put back from a backup since it was sealed"),
        (WHOLE, {}, "10", Status.UNKNOWN, "the server was promoted"),
        (WHOLE, {"oid": "16391"}, "4", Status.UNKNOWN, "or the plan names another; the server was promoted"),
        (
            WHOLE,
            {},
            "2",
            Status.FAIL,
            "an older copy of the server that was sealed: timeline differs; system identifier",
        ),
        (WHOLE, {"oid": "16391"}, "2", Status.FAIL, "sealed: database oid and timeline differ"),
        (WHOLE, {"in_recovery": True}, "2", Status.UNKNOWN, "the server was promoted"),  # a replica tells it late
        (WHOLE, {"port": 5433}, "4", Status.FAIL, "not the server that was sealed: port and timeline differ"),
        (WHOLE, {"port": 5433}, "2", Status.FAIL, "not the server that was sealed: port and timeline differ"),
        (WHOLE, {}, "", Status.UNKNOWN, "the system identifier, or the timeline, may not be seen"),
        (replace(WHOLE, timeline=""), {}, "", Status.PASS, "port and database oid agree"),
        (replace(WHOLE, timeline=""), {}, "4", Status.PASS, "port and database oid agree"),
        (SEALED, {"oid": "16391"}, "4", Status.PASS, "data directory and port agree"),  # by an older version
    ],
)
def test_the_database_must_be_the_same_as_when_it_was_sealed(
    sealed: SealedServer, seen: dict[str, Any], timeline: str, status: Status, told: str
) -> None:
    role = ServerRole.ANY
    found = judged(
        identity({"data_directory": "/data"}, **seen), timeline=timeline, sealed={"orders": sealed}, role=role
    )
    assert found.status is status, found
    assert told in found.summary
    if status is not Status.PASS and timeline:
        assert not found.waivable
        assert "take the entry of orders out of toy.sealed.json, then: preflight seal toy.toml" in found.remedy
        if timeline != "3":
            assert ("timeline 3" in found.expected, f"timeline {timeline}" in found.actual) == (True, True)
        if "oid" in seen:
            assert ("database oid 16390" in found.expected, "database oid 16391" in found.actual) == (True, True)


def test_a_server_that_was_never_sealed_is_told() -> None:
    found = judged(sealed={})
    assert found.status is Status.WARN
    assert "toy.sealed.json says nothing of orders" in found.summary
    assert found.remedy.endswith(": preflight seal toy.toml")


def judged_with_scripts(sealed: Mapping[str, SealedServer]) -> Judgement:
    return judged_worker(ROLE, scripts={"s": SCRIPTS}, sealed=sealed)


def test_where_scripts_are_sealed_the_server_must_be_too() -> None:
    """Or its file was taken away, or not brought along."""
    for sealed, actual in (
        ({}, "no such file, or an empty one"),
        ({"billing": PLAN.sealed["orders"]}, "other entries only"),
    ):
        found = judged_with_scripts(sealed)
        assert found.status is Status.UNKNOWN, found
        assert actual in str(found.points)


def test_a_replica_is_no_primary() -> None:
    assert judged(identity(in_recovery=True)).status is Status.FAIL


@pytest.mark.parametrize(
    ("who", "status"),
    [
        (identity(backend_pid=1), Status.WARN),
        (identity(session={"settings": "{}"}), Status.UNKNOWN),
        (identity(session={"settings": "broken"}), Status.UNKNOWN),
        (identity({"default_transaction_read_only": "on"}), Status.FAIL),
        (identity({"statement_timeout": "300"}), Status.WARN),
        (identity({"idle_in_transaction_session_timeout": "1000"}), Status.WARN),
        (identity({"lock_timeout": "1000"}), Status.PASS),
        (identity({"search_path": ""}), Status.WARN),
        (identity({"search_path": "app, public"}), Status.PASS),
        (identity({"search_path": '"caf\N{REPLACEMENT CHARACTER}", public'}), Status.WARN),
        (identity({"session_replication_role": "replica"}), Status.WARN),
        (identity(user="other"), Status.FAIL),
    ],
)
def test_what_the_connection_shows_decides(who: Identity, status: Status) -> None:
    assert judged(who).status is status


def test_read_only_is_no_fault_of_a_replica() -> None:
    check = DatabaseLogin(
        replace(PLAN, databases={"o": Database(id="o", host="db1", user=Account("release"), role=ServerRole.REPLICA)}),
        MOMENT,
    )
    (subject,) = check.subjects()
    who = identity({"default_transaction_read_only": "on"}, in_recovery=True, database="o")
    facts = {"system": "42", "timeline": "3", "roles": {"release": ROLE}, "slots": SLOTS}
    assert check.judge(subject, identity=who, **facts).status is Status.PASS


@pytest.mark.parametrize(
    ("valid_until", "used_password", "status"),
    [
        (None, "yes", Status.PASS),
        (NEEDED_UNTIL + timedelta(days=7, seconds=1), "yes", Status.PASS),
        (NEEDED_UNTIL + timedelta(days=7), "yes", Status.WARN),
        (NEEDED_UNTIL + timedelta(seconds=1), "yes", Status.WARN),
        (NEEDED_UNTIL, "yes", Status.FAIL),
        (NEEDED_UNTIL, "no", Status.PASS),  # by peer, certificate or trust, and nothing else logs in as that role
        (datetime(2020, 1, 1, tzinfo=UTC), "yes", Status.FAIL),
    ],
)
def test_a_role_must_outlive_the_window_and_its_rollback(
    valid_until: datetime | None, used_password: str, status: Status
) -> None:
    who = identity(session={"used_password": used_password})
    found = judged(who, replace(ROLE, valid_until=valid_until))
    assert found.status is status
    events = [(event.at, event.text) for event in found.events]
    is_end = valid_until and used_password == "yes"
    assert events == ([(valid_until, "password of role release on orders ends")] if is_end else [])


@pytest.mark.parametrize(
    ("most", "used", "sessions", "status"),
    [
        (97, 10, 1, Status.PASS),
        (10, 7, 1, Status.PASS),  # 4 free with our own, 1 needed and 3 to spare
        (10, 8, 1, Status.WARN),
        (10, 10, 1, Status.WARN),
        (10, 11, 1, Status.FAIL),
        (10, 8, 4, Status.FAIL),
        (100, 91, 1, Status.WARN),
        (100, 90, 1, Status.PASS),
        (100, 96, 1, Status.FAIL),
        (0, 1, 1, Status.FAIL),
    ],
)
def test_connections_must_be_left(most: int, used: int, sessions: int, status: Status) -> None:
    assert judged(slots=Slots(most, used, -1, 3, 10), sessions=sessions).status is status


@pytest.mark.parametrize(
    ("limit", "used", "sessions", "status"),
    [
        (-1, 99, 9, Status.PASS),
        (3, 1, 3, Status.PASS),
        (3, 1, 4, Status.FAIL),
        (3, 3, 1, Status.PASS),
        (3, 4, 1, Status.FAIL),
    ],
)
def test_limits_of_database_and_role_count_too(limit: int, used: int, sessions: int, status: Status) -> None:
    slots = Slots(97, 10, limit, used, 10)
    assert judged(slots=slots, sessions=sessions).status is status
    role = replace(ROLE, connection_limit=limit, sessions=used)
    assert judged(of=role, sessions=sessions).status is status
    superuser = judged(of=replace(role, is_superuser=True), sessions=sessions)
    assert superuser.status is Status.WARN, "limits do not bind a superuser, which is a warning of its own"


def test_a_role_nobody_shows_is_unknown() -> None:
    assert judged(of=None).status is Status.UNKNOWN


def test_sessions_of_all_databases_of_the_server_are_added_up() -> None:
    entry = Database(id="orders", host="db1", user=Account("release"), sessions=2)
    other = replace(entry, id="billing", sessions=3)
    check = DatabaseLogin(replace(PLAN, databases={"orders": entry, "billing": other}), MOMENT)
    subject = check.subjects()[0]
    facts = {"identity": identity(), "system": "", "roles": {"release": replace(ROLE, connection_limit=4)}}
    found = check.judge(subject, slots=SLOTS, timeline="3", **facts)
    assert found.summary == "4 connections of the role release are free, 5 needed"


SCRIPTS = Scripts(
    id="s", database="orders", approved=Path("s"), manifest=Path("S"), staged=RemotePath("/s"), login=Account("worker")
)
BACKUP = Backup(id="b", database="orders", directory=RemotePath("/backup"), login=Account("worker"))
RESTORE = replace(BACKUP, login=Account(""), restore=Restore(login=Account("worker")))
WORKS: dict[str, dict[str, Any]] = {
    "scripts": {"scripts": {"s": SCRIPTS}},
    "backup": {"backups": {"b": BACKUP}},
    "restore": {"backups": {"b": RESTORE}},
    "job": {"backups": {"b": replace(BACKUP, taken_by="cron")}},
    "command": {"scripts": {"s": replace(SCRIPTS, command=("./deploy.sh",))}},
}


def judged_worker(
    role: DatabaseRole | None, slots: Slots = SLOTS, of: ServerRole = ServerRole.PRIMARY, **sections: Any
) -> Judgement:
    """With work that another role does, on the host."""
    entry = Database(id="orders", host="db1", user=Account("release"), role=of)
    check = DatabaseLogin(replace(PLAN, databases={"orders": entry}, **sections), MOMENT)
    (subject,) = check.subjects()
    roles = {"release": ROLE, **({"worker": replace(role, name="worker")} if role else {})}
    who = identity(in_recovery=of is ServerRole.REPLICA)
    return check.judge(subject, identity=who, system="42", timeline="3", roles=roles, slots=slots)


@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize(
    ("role", "summary"),
    [
        (ROLE, ""),
        (None, "the role worker of "),
        (replace(ROLE, can_login=False), "may not log in"),
        (replace(ROLE, has_connect=False), "may not connect"),
        (replace(ROLE, valid_until=NEEDED_UNTIL - timedelta(hours=1)), "the password of role worker ends"),
        (replace(ROLE, connection_limit=0), "0 connections of the role worker are free"),
        (replace(ROLE, connection_limit=2, sessions=2), ""),  # logins of this run on the host
    ],
)
def test_whoever_does_the_work_is_judged(work: str, role: DatabaseRole | None, summary: str) -> None:
    found = judged_worker(role, **WORKS[work])
    assert found.status is (Status.FAIL if summary else Status.PASS)
    assert summary in found.summary


@pytest.mark.parametrize("role", [None, replace(ROLE, can_login=False), replace(ROLE, has_connect=False)])
def test_roles_of_a_replica_are_mended_on_its_primary(role: DatabaseRole | None) -> None:
    remedy = judged_worker(role, of=ServerRole.REPLICA, backups={"b": BACKUP}).remedy
    assert remedy.endswith("; -- on the primary of orders")


@pytest.mark.parametrize(
    "seen",
    [
        identity({"search_path": "app"}),
        identity({"statement_timeout": "600000"}),
        identity({"session_replication_role": "replica"}),
        identity(user="owner"),
    ],
)
def test_settings_of_a_replicas_role_are_undone_on_its_primary(seen: Identity) -> None:
    found = judged(replace(seen, in_recovery=True), role=ServerRole.REPLICA)
    assert "RESET" in found.remedy
    assert found.remedy.endswith("; -- on the primary of orders")


@pytest.mark.parametrize(
    "backup",
    [
        replace(RESTORE, restore=Restore(login=Account("worker"), into="orders2")),
        replace(BACKUP, method=BackupMethod.PG_BASEBACKUP),
        replace(BACKUP, method=BackupMethod.PG_BASEBACKUP, taken_by="cron"),
    ],
)
def test_connect_is_not_needed_for_a_database_that_the_work_does_not_enter(backup: Backup) -> None:
    assert judged_worker(replace(ROLE, has_connect=False), backups={"b": backup}).status is Status.PASS


PARALLEL = replace(BACKUP, format=BackupFormat.DIRECTORY, options=("--jobs=4",))
FETCHING = replace(BACKUP, method=BackupMethod.PG_BASEBACKUP, options=("--wal-method=fetch",))


@pytest.mark.parametrize(
    ("backup", "need"),
    [
        (BACKUP, 1),
        (PARALLEL, 5),
        (replace(RESTORE, restore=Restore(login=Account("worker"), options=("--jobs=4",))), 4),
        (replace(BACKUP, method=BackupMethod.PG_BASEBACKUP), 2),
        (FETCHING, 1),
    ],
)
def test_connections_that_a_backup_opens_at_once_are_needed(backup: Backup, need: int) -> None:
    enough, few = (replace(ROLE, connection_limit=limit) for limit in (need, need - 1))
    assert judged_worker(enough, backups={"b": backup}).status is Status.PASS
    found = judged_worker(few, backups={"b": backup})
    assert (found.status, found.summary) == (
        Status.FAIL, f"{need - 1} connections of the role worker are free, {need} needed",
    )  # fmt: skip


@pytest.mark.parametrize(("backup", "need"), [(FETCHING, 1), (replace(FETCHING, options=()), 2)])
def test_a_base_backup_needs_wal_senders(backup: Backup, need: int) -> None:
    assert judged_worker(ROLE, SLOTS, backups={"b": backup}).status is Status.PASS
    found = judged_worker(ROLE, replace(SLOTS, wal_senders=need - 1), backups={"b": backup})
    assert (found.status, found.summary) == (Status.FAIL, f"{need - 1} WAL senders are free, {need} needed")
    assert judged_worker(ROLE, replace(SLOTS, wal_senders=0), **WORKS["backup"]).status is Status.PASS


def lost(reason: Reason, **session: str) -> NoReply:
    return NoReply(reason, "orders: what was seen", MOMENT, 0.1, "from here as release", session)


REFUSALS = [
    reason
    for reason in Reason
    if reason.status is Status.FAIL and (isinstance(reason.cures, str) or "sql" in reason.cures)
]


@pytest.mark.parametrize("reason", REFUSALS, ids=str)
def test_no_login_is_a_failure_where_the_far_end_or_the_network_is_the_reason(reason: Reason) -> None:
    found = judged(lost(reason))
    assert (found.status, found.actual) == (Status.FAIL, "orders: what was seen")
    assert found.summary == f"no login: {reason}"


@pytest.mark.parametrize(
    "answer",
    [
        lost(Reason.NOT_ASKED),
        lost(Reason.UNREADABLE),
        lost(Reason.HOST),
        lost(Reason.NO_SECRET),
        lost(Reason.NO_DRIVER),
        lost(Reason.NAME_SERVICE),
        lost(Reason.RUN_DEADLINE),
        lost(Reason.STATEMENT_TIMEOUT, backend_pid="4711"),
    ],
)
def test_what_says_nothing_of_the_login_is_unknown(answer: NoReply) -> None:
    assert judged(answer).status is Status.UNKNOWN


def shown(not_after: datetime) -> dict[str, str]:
    """What a session tells of the server's certificate."""
    certificate = Certificate(
        not_after=not_after, subject="db1", issuer="Our CA", names=("db1",), fingerprint="f" * 64,
        verified=False,
    )  # fmt: skip
    return {"certificate": certificate.to_json()}


@pytest.mark.parametrize(
    ("left", "verified", "unverified"),
    [
        (timedelta(days=400), Status.PASS, Status.PASS),
        (timedelta(days=7, seconds=1), Status.PASS, Status.PASS),
        (timedelta(days=7), Status.WARN, Status.WARN),
        (timedelta(seconds=1), Status.WARN, Status.WARN),
        (timedelta(0), Status.FAIL, Status.WARN),
        (timedelta(hours=-3), Status.FAIL, Status.WARN),
    ],
)
def test_the_servers_certificate_must_outlive_the_work_where_it_is_verified(
    left: timedelta, verified: Status, unverified: Status
) -> None:
    who = identity(session=shown(NEEDED_UNTIL + left))
    for mode in (SslMode.VERIFY_FULL, SslMode.VERIFY_CA):
        assert judged(who, sslmode=mode).status is verified
    found = judged(who, sslmode=SslMode.REQUIRE)
    assert found.status is unverified
    assert [(event.at, event.text) for event in found.events] == [
        (NEEDED_UNTIL + left, "certificate of database orders ends")
    ]


def test_a_certificate_that_was_not_seen_is_unknown_only_where_it_is_verified() -> None:
    unseen = judged(identity(session={"address": "192.0.2.7:5432"}), sslmode=SslMode.VERIFY_FULL)
    assert unseen.status is Status.UNKNOWN
    assert "look: openssl s_client -starttls postgres -connect 192.0.2.7:5432 " in unseen.remedy
    tunnelled = identity(session={"address": "127.0.0.1:5432", "tunnel": "db1"})
    assert "look on db1: openssl " in judged(tunnelled, sslmode=SslMode.VERIFY_FULL).remedy
    assert judged(sslmode=SslMode.REQUIRE).status is Status.PASS
    plain = identity(session={"ssl": "no"})
    assert judged(plain, sslmode=SslMode.DISABLE).status is Status.PASS


@pytest.mark.parametrize(("address", "table"), [("", "[hosts.db1]"), ("192.0.2.7", "[databases.orders]")])
def test_the_address_is_to_be_corrected_where_the_plan_names_it(address: str, table: str) -> None:
    found = judged(identity(in_recovery=True), address=address)
    assert f"correct `address` in {table}" in found.remedy
    missing = NoReply(Reason.NO_SUCH_NAME, "no such name", MOMENT, vantage="here")
    assert f"correct `address` in {table}" in judged(missing, address=address).remedy


BEHIND = Replay(paused=False, receives=True, caught_up=False, behind_ms=7_200_000, sender="192.0.2.1:5432")


@pytest.mark.case(27)
@pytest.mark.parametrize(
    ("replay", "max_lag", "status", "told"),
    [
        ({}, 5, Status.FAIL, "the replica is 2 h behind"),
        ({}, 121, Status.PASS, "replays what it receives from 192.0.2.1:5432, 2 h behind"),
        ({"caught_up": True}, 121, Status.PASS, "192.0.2.1:5432, 0 s behind it"),
        ({"caught_up": True, "sender": ""}, 121, Status.PASS, "its sender, which this role may not see"),
        # The primary is idle, or the replica that it receives from is cut off itself.
        ({"caught_up": True}, 5, Status.WARN, "0 s behind it; nothing newer came for 2 h"),
        ({"caught_up": True, "behind_ms": None}, 5, Status.WARN, "0 s behind it; nothing came yet"),
        ({"paused": True, "caught_up": True}, 5, Status.FAIL, "replay is paused"),
        ({"paused": True}, 121, Status.FAIL, "replay is paused"),
        ({"receives": False, "caught_up": True}, 5, Status.UNKNOWN, "it receives nothing from a primary"),
        ({"behind_ms": None}, 5, Status.UNKNOWN, "how old the replica's state is cannot be seen"),
    ],
)
def test_a_replica_that_is_backed_up_must_not_be_behind(
    replay: dict[str, Any], max_lag: int, status: Status, told: str
) -> None:
    entry = Database(id="o", host="db1", user=Account("release"), role=ServerRole.REPLICA)
    backup = Backup(
        id="b", database="o", directory=RemotePath("/backup"), max_lag=timedelta(minutes=max_lag), taken_by="cron"
    )
    check = DatabaseLogin(replace(PLAN, databases={"o": entry}, backups={"b": backup}), MOMENT)
    (subject,) = check.subjects()
    who = identity(in_recovery=True, database="o")
    assert "replay" in check.follow_up(subject, identity=who)
    facts = {"system": "42", "timeline": "3", "roles": {"release": ROLE}, "slots": SLOTS}
    found = check.judge(subject, identity=who, replay=replace(BEHIND, **replay), **facts)
    assert found.status is status, found
    assert told in found.summary
    if found.status not in (Status.PASS, Status.WARN):
        assert "`database`" in found.remedy
