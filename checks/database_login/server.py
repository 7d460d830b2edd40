"""Which server answered, and whether it is the one that the plan means. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.finding import Judgement, passed, unknown, warned
from preflight.plan import Database, ServerRole, SslMode
from preflight.questions.postgres import Identity
from preflight.questions.tools import major_of_server, shown

from .planned_login import PlannedLogin
from .role_settings import undo_setting


def judge_server(login: PlannedLogin, identity: Identity, system: str) -> Iterator[Judgement]:
    """Whether it is the one that the plan means, and PostgreSQL itself."""
    database = login.database
    yield passed(_who_answered(database, identity, system))
    if identity.database != login.name or identity.user != database.user:
        # ALTER ROLE ... SET role, or a pooler with a mind of its own
        yield login.another(
            f"works as {identity.user} in {identity.database}",
            f"{database.user} in {login.name}",
            f"{identity.user} in {identity.database}",
            f"undo what changes them: {undo_setting(login, identity, 'role')} look at the pooler's configuration, too",
        )
    server = shown(major_of_server(identity.version_num))
    if database.version and server != database.version:
        remedy = f"correct `version` in [databases.{database.id}], or {login.address_key}: this may be another server"
        yield login.another(f"server version {server}", database.version, server, remedy)
    yield from _judge_system(login, system)
    yield from _judge_kind(login, identity)
    if identity.pooled:
        yield warned(
            "a connection pooler answers in the server's place",
            expected="a connection to PostgreSQL itself",
            actual=f"backend {identity.session['backend_pid']} here, {identity.backend_pid} at the server",
            remedy=f"name the server's own address and port in [databases.{database.id}]: settings and locks of a "
            "script do not survive in a pool",
        )


def _judge_system(login: PlannedLogin, system: str) -> Iterator[Judgement]:
    database = login.database
    wanted = database.system_identifier
    if not wanted:
        return
    if not system:
        yield unknown(
            "the system identifier may not be seen by this role",
            expected=wanted,
            remedy=f"GRANT EXECUTE ON FUNCTION pg_control_system() TO {login.role};",
        )
    elif system != wanted:
        remedy = (
            "ask the DBA whether the cluster was rebuilt (pg_upgrade, restore of a dump): correct "
            f"`system_identifier` in [databases.{database.id}] then; otherwise correct {login.address_key}"
        )
        yield login.another("another cluster answers", wanted, system, remedy)


def _judge_kind(login: PlannedLogin, identity: Identity) -> Iterator[Judgement]:
    database = login.database
    seen = ServerRole.REPLICA if identity.in_recovery else ServerRole.PRIMARY
    if database.role not in (seen, ServerRole.ANY):
        remedy = f"correct {login.address_key}: ask which server is the {database.role} now"
        yield login.another(f"the server is a {seen}", database.role, seen, remedy)


def _who_answered(database: Database, identity: Identity, system: str) -> str:
    session = identity.session
    tls = session.get("ssl", "no")
    if tls == "no":
        encrypted = "without TLS"
    elif database.sslmode in (SslMode.VERIFY_CA, SslMode.VERIFY_FULL):
        encrypted = tls
    else:
        encrypted = f"{tls}, certificate not verified"
    way = f" through {session['tunnel']}" if session.get("tunnel") else ""
    proof = "with its password" if session.get("used_password") == "yes" else "without a password"
    kind = "replica" if identity.in_recovery else "primary"
    known = f", system {system}" if system else ""
    named = f", cluster {identity.cluster_name}" if identity.cluster_name else ""
    return (
        f"{identity.user} logs in {proof} to {identity.database} at {session.get('address', '?')}{way} ({encrypted}); "
        f"{kind}, PostgreSQL {shown(major_of_server(identity.version_num))}{known}{named}"
    )
