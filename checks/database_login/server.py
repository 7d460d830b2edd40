"""Which server answered, whether it is the one that the plan means, and how long its certificate lasts. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.finding import Judgement, passed, unknown, warned
from preflight.judging.ends import End, TimeOfNeed
from preflight.plan import Database, ServerRole, SslMode
from preflight.questions.http import Certificate
from preflight.questions.postgres import Identity
from preflight.questions.sql import major_of_server, shown

from .planned_login import PlannedLogin
from .roles import undo_setting

_VERIFYING = (SslMode.VERIFY_CA, SslMode.VERIFY_FULL)


def judge_server(login: PlannedLogin, identity: Identity, system: str) -> Iterator[Judgement]:
    """Whether it is the one that the plan means, and PostgreSQL itself."""
    database = login.database
    yield passed(_who_answered(database, identity, system))
    if identity.database != database.dbname or identity.user != database.user:
        # ALTER ROLE ... SET role, or a pooler with a mind of its own
        yield login.another(
            f"works as {identity.user} in {identity.database}",
            f"{database.user} in {database.dbname}",
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
    elif database.sslmode in _VERIFYING:
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


def judge_certificate(login: PlannedLogin, identity: Identity, need: TimeOfNeed) -> Iterator[Judgement]:
    """Nothing without TLS. Where the plan has the certificate verified, its end ends the work, and not to have seen
    it is UNKNOWN; elsewhere it is only told: libpq does not look at it then, but applications may."""
    if identity.session.get("ssl", "no") == "no":
        return
    verifies = login.database.sslmode in _VERIFYING
    if certificate := Certificate.in_session(identity.session):
        yield need.judge(_end(login, certificate, verifies=verifies))
    elif verifies:
        where = identity.session.get("address", login.database.id)
        tunnel = identity.session.get("tunnel", "")
        look = f"look on {tunnel}" if tunnel else "look"
        yield unknown(
            "until when the server's TLS certificate is valid was not seen",
            expected=need.expected,
            remedy=f"{look}: openssl s_client -starttls postgres -connect {where} </dev/null | openssl x509 -noout "
            "-enddate; then run again",
        )


def _end(login: PlannedLogin, certificate: Certificate, *, verifies: bool) -> End:
    unverified = f"which this login does not verify (sslmode {login.database.sslmode}) but others may"
    return End(
        seen="the server's TLS certificate ends",
        at=certificate.not_after,
        remedy=f"have the certificate of {login.database.host}'s PostgreSQL renewed, then: SELECT pg_reload_conf()",
        event=f"TLS certificate of database {login.database.id} ends",
        actual=f"certificate for {', '.join(certificate.names[:5]) or 'nothing'}, issued by {certificate.issuer}",
        tolerated="" if verifies else unverified,
        minutes_at_stake=login.minutes_at_stake,
    )
