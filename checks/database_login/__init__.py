"""database-login: the role that runs the scripts gets into the right server, until the work is over."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement
from preflight.judging.ends import TimeOfNeed
from preflight.judging.unseen import could_not_look
from preflight.probe import Cause, NoReply
from preflight.questions.postgres import (
    DatabaseRole,
    Identity,
    IdentityProbe,
    RolesProbe,
    Slots,
    SlotsProbe,
    SystemIdentifierProbe,
    nothing_learnt,
)
from preflight.questions.sql import quote_literal

from .certificate import judge_certificate
from .connections import Room, judge_connections
from .planned_login import PlannedLogin
from .role_settings import judge_settings
from .roles import backup_roles, judge_backup_roles, judge_credential
from .server import judge_server

_HBA = "have pg_hba.conf let {user} in to {name} from this machine, then: SELECT pg_reload_conf()"
_LOOK = "have the DBA look: SELECT rolcanlogin, rolvaliduntil FROM pg_roles WHERE rolname = {literal}; "
_CERTIFICATE = "have the server given a certificate that holds through the window"
_REMEDIES = {
    "bad-password": f"correct the secret that `password` in [databases.{{id}}] names; if it is right, {_LOOK}"
    "no row: CREATE ROLE {role} LOGIN; an end in the past: ALTER ROLE {role} VALID UNTIL '{date}'; then, in psql, "
    "\\password {role}",
    "authentication-failed": "have pg_hba.conf ask {user} for a password (scram-sha-256), or map the account",
    "no-pg-hba": _HBA,
    "not-permitted-to-login": f"{_LOOK}a row: ALTER ROLE {{role}} LOGIN; no row: CREATE ROLE {{role}} LOGIN;",
    "database-missing": "correct `name` in [databases.{id}], or {address}, or its `port`: that server has no database "
    "{name}",
    "database-closed": "ALTER DATABASE {database} ALLOW_CONNECTIONS true;",
    "no-connect-privilege": "GRANT CONNECT ON DATABASE {database} TO {role};",
    "too-many-connections": "have connections ended, or the limit of the server, {name} or {user} raised",
    "password-needed": 'name the password of {user}: password = "env:NAME" in [databases.{id}]',
    "cleartext-password": "have the server use TLS or scram-sha-256; a password is not sent in clear text",
    "starting-up": "wait until the server is up: pg_isready -h {server} -p {port}",
    "refused": "have the server started and listen on that address (listen_addresses), or correct `port`",
    "no-route": "have the network opened to port {port}, or reach it through its host: connect = \"tunnel\"",
    "no-such-name": "correct {address}, or have the name entered in the DNS",
    "tls-unsupported": "have TLS switched on at the server (ssl = on), or say sslmode = \"disable\"",
    "certificate-name": "say `server_name` in [databases.{id}], or have a certificate for that name made",
    "certificate-untrusted": "name the authority that signed it: sslrootcert in [databases.{id}]",
    "certificate-expired": _CERTIFICATE,
    "ca-file": "correct `sslrootcert` in [databases.{id}]",
    "tunnel": "have sshd on {host} allow port forwarding (AllowTcpForwarding) to port {port}, and the server listen",
    "not-postgresql": "correct `port` in [databases.{id}]: something else than PostgreSQL answers there",
}  # fmt: skip
_REMEDIES_BY_CAUSE = {
    Cause.UNREACHABLE: "have the network opened to port {port}, or reach it through its host: connect = \"tunnel\"",
    Cause.TIMED_OUT: "have the firewall to port {port} opened, or the server mended",
    Cause.TLS: "cure the TLS settings of the server or of [databases.{id}]",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DatabaseLoginSettings:
    """Thresholds for what is left."""

    warn_before: timedelta = timedelta(days=7)
    """A role or a TLS certificate that ends this soon after it is last needed is worth a warning."""
    spare_sessions: int = 3
    """Connections that should be free beyond those the plan needs."""
    warn_used: float = 0.90
    """Share of the server's connections in use from which to warn."""
    fail_used: float = 0.95
    """Share of the server's connections in use from which to fail."""


class DatabaseLogin(Check):
    """Does the role that runs the scripts get into the right server, with room and rights, until the work is over?

    A login that is refused at midnight costs the window, one into the wrong server costs more. So the role logs in with
    the plan's own credential, and the line says which server answered: address, TLS, system identifier, version,
    primary or replica, a pooler in between, and whether the password was used at all. The role must not expire before
    the window's end and a rollback (VALID UNTIL counts for logins by password), nor the server's TLS certificate where
    the plan has it verified; its own settings must not break the
    scripts, and connections must be left.
    """

    id = "database-login"
    title = "the role gets into the right database"
    sections = ("databases",)
    needs = "CONNECT on the database; nothing more"
    cure = "have the role, its password, its expiry or pg_hba.conf corrected; give the right server in the plan"
    Settings = DatabaseLoginSettings
    judges_no_reply = frozenset({"identity"})

    def subjects(self) -> Sequence[Subject]:
        return [
            Subject(entry.id, PlannedLogin(self.plan, entry), entry.owner, lead_time=entry.lead_time)
            for entry in self.plan.databases.values()
        ]

    def probes(self, subject: Subject) -> Probes:
        return {"identity": IdentityProbe(subject.id)}

    def follow_up(self, subject: Subject, *, identity: Identity | NoReply) -> Probes:
        """In the same database session: the cluster's system identifier (pg_control_system), expiry, rights and
        connections of the roles that the work needs (pg_roles), and how many connections are taken and allowed."""
        if isinstance(identity, NoReply):
            return {}
        login: PlannedLogin = subject.item
        return {
            "system": SystemIdentifierProbe(subject.id),
            "roles": RolesProbe(subject.id, (login.database.user, *backup_roles(login))),
            "slots": SlotsProbe(subject.id),
        }

    def judge(
        self,
        subject: Subject,
        *,
        identity: Identity | NoReply,
        system: str = "",
        roles: Mapping[str, DatabaseRole] | None = None,
        slots: Slots | None = None,
    ) -> Judgement:
        login: PlannedLogin = subject.item
        if isinstance(identity, NoReply):
            return self._no_login(login, identity)
        if roles is None or slots is None:
            raise ValueError("roles and slots belong to every login")
        settings, need, role = self.settings, self._need, roles.get(login.database.user)
        room = Room(settings.spare_sessions, settings.warn_used, settings.fail_used)
        return Judgement.of(
            [
                *judge_server(login, identity, system),
                *judge_certificate(login, identity, need),
                *judge_credential(login, identity, role, need),
                *judge_settings(login, identity),
                *judge_backup_roles(login, roles, need),
                *judge_connections(login, slots, role, room),
            ]
        )

    @property
    def _need(self) -> TimeOfNeed:
        return TimeOfNeed(self.plan, self.moment, self.settings.warn_before)

    def _no_login(self, login: PlannedLogin, lost: NoReply) -> Judgement:
        if nothing_learnt(lost):
            return could_not_look(lost)
        database = login.database
        default = "look for {user} in the server's log, which names the reason"
        template = _REMEDIES.get(lost.reason) or _REMEDIES_BY_CAUSE.get(lost.cause, default)
        why = lost.reason.replace("-", " ") or str(lost.cause)
        return login.another(
            f"no login: {why}",
            f"{database.user} logs in to {login.name}",
            lost.detail,
            template.format(
                id=database.id,
                user=database.user,
                role=login.role,
                literal=quote_literal(database.user),
                name=login.name,
                database=login.database_name,
                address=login.address_key,
                server=shlex.quote(database.address or self.plan.host_of(database).address or database.host),
                port=database.port,
                host=database.host,
                date=self._need.good_date(),
            ),
        )
