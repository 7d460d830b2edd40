"""database-login: the role that runs the scripts gets into the right server, until the work is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from preflight.check import Check, Probes, Subject
from preflight.clock import format_duration, format_moment
from preflight.finding import Event, Judgement, failed, passed, unknown, warned
from preflight.plan import Database, ServerRole, SslMode
from preflight.plan.work import Section, minutes_at_stake, server_work
from preflight.probe import Cause, NoReply
from preflight.probes.postgres import (
    DatabaseRole,
    Identity,
    IdentityProbe,
    RolesProbe,
    Slots,
    SlotsProbe,
    SystemIdentifierProbe,
    nothing_learnt,
)
from preflight.probes.tools import major_of_server, shown

_HBA = "have pg_hba.conf let {user} in to {name} from this machine, then: SELECT pg_reload_conf()"
_CERTIFICATE = "have the server given a certificate that holds through the window"
_REMEDIES = {
    "bad-password": "correct the secret that `password` in [databases.{id}] names; if it is right, the role is missing "
    "or expired: ALTER ROLE {user} LOGIN PASSWORD '...' VALID UNTIL '{date}'",
    "authentication-failed": "have pg_hba.conf ask {user} for a password (scram-sha-256), or map the account",
    "no-pg-hba": _HBA,
    "not-permitted-to-login": "ALTER ROLE {user} LOGIN",
    "database-missing": "correct `name` in [databases.{id}], or `address` and `port`: it has no database {name}",
    "database-closed": "ALTER DATABASE {name} ALLOW_CONNECTIONS true",
    "no-connect-privilege": "GRANT CONNECT ON DATABASE {name} TO {user}",
    "too-many-connections": "have connections ended, or the limit of the server, {name} or {user} raised",
    "password-needed": 'name the password of {user}: password = "env:NAME" in [databases.{id}]',
    "cleartext-password": "have the server use TLS or scram-sha-256; a password is not sent in clear text",
    "starting-up": "wait until the server is up, then run again",
    "refused": "have the server started and listen on that address (listen_addresses), or correct `port`",
    "no-route": "have the network opened to port {port}, or reach it through its host: connect = \"tunnel\"",
    "no-such-name": "correct `address` in [databases.{id}], or have the name entered in the DNS",
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
    """A role that expires this soon after it is last needed is worth a warning."""
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
    the window's end and a rollback (VALID UNTIL counts for logins by password), its own settings must not break the
    scripts, and connections must be left.
    """

    id = "database-login"
    title = "the role gets into the right database"
    Settings = DatabaseLoginSettings
    judges_no_reply = frozenset({"identity"})

    def subjects(self) -> Sequence[Subject]:
        return [
            Subject(entry.id, entry, entry.owner, lead_time=entry.lead_time) for entry in self.plan.databases.values()
        ]

    def probes(self, subject: Subject) -> Probes:
        return {"identity": IdentityProbe(subject.id)}

    def follow_up(self, subject: Subject, *, identity: Identity | NoReply) -> Probes:
        """In the same database session: the cluster's system identifier (pg_control_system), expiry, rights and
        connections of the roles that the work needs (pg_roles), and how many connections are taken and allowed."""
        if isinstance(identity, NoReply):
            return {}
        database: Database = subject.item
        return {
            "system": SystemIdentifierProbe(database.id),
            "roles": RolesProbe(database.id, tuple(dict.fromkeys([database.user, *self._backup_roles(database)]))),
            "slots": SlotsProbe(database.id),
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
        database: Database = subject.item
        if isinstance(identity, NoReply):
            return self._no_login(database, identity)
        if roles is None or slots is None:
            raise ValueError("roles and slots belong to every login")
        return Judgement.of(
            [
                *self._judge_server(database, identity, system),
                *self._judge_credential(database, identity, roles.get(database.user)),
                *self._judge_settings(database, identity),
                *self._judge_backup_roles(database, roles),
                *self._judge_slots(database, slots, roles.get(database.user)),
            ]
        )

    def _no_login(self, database: Database, lost: NoReply) -> Judgement:
        if nothing_learnt(lost):
            return unknown(
                f"could not look: {lost.cause}", actual=lost.detail, remedy="remove the cause, then run again"
            )
        default = "look for {user} in the server's log, which names the reason"
        template = _REMEDIES.get(lost.reason) or _REMEDIES_BY_CAUSE.get(lost.cause, default)
        why = lost.reason.replace("-", " ") or str(lost.cause)
        return self._another(
            database,
            f"no login: {why}",
            f"{database.user} logs in to {_name(database)}",
            lost.detail,
            template.format(
                id=database.id,
                user=database.user,
                name=_name(database),
                port=database.port,
                host=database.host,
                date=self._good_date(),
            ),
        )

    def _judge_server(self, database: Database, identity: Identity, system: str) -> Iterator[Judgement]:
        yield passed(_who_answered(database, identity, system))
        if identity.database != _name(database) or identity.user != database.user:
            # ALTER ROLE ... SET role, or a pooler with a mind of its own
            yield self._another(
                database,
                f"works as {identity.user} in {identity.database}",
                f"{database.user} in {_name(database)}",
                f"{identity.user} in {identity.database}",
                f"undo what changes them: ALTER ROLE {database.user} RESET role; look at the pooler's configuration",
            )
        server = shown(major_of_server(identity.version_num))
        if database.version and server != database.version:
            remedy = f"correct `version` in [databases.{database.id}], or the address: this may be another server"
            yield self._another(database, f"server version {server}", database.version, server, remedy)
        yield from self._judge_system(database, system)
        yield from self._judge_role_of_server(database, identity)
        if identity.pooled:
            yield warned(
                "a connection pooler answers in the server's place",
                expected="a connection to PostgreSQL itself",
                actual=f"backend {identity.session['backend_pid']} here, {identity.backend_pid} at the server",
                remedy=f"give [databases.{database.id}] the server's own address and port: settings and locks of a "
                "script do not survive in a pool",
            )

    def _judge_system(self, database: Database, system: str) -> Iterator[Judgement]:
        wanted = database.system_identifier
        if not wanted:
            return
        if not system:
            yield unknown(
                "the system identifier may not be seen by this role",
                expected=wanted,
                remedy=f"GRANT EXECUTE ON FUNCTION pg_control_system() TO {database.user}",
            )
        elif system != wanted:
            remedy = (
                "ask the DBA whether the cluster was rebuilt (pg_upgrade, restore of a dump): correct "
                f"`system_identifier` in [databases.{database.id}] then; otherwise correct its address"
            )
            yield self._another(database, "another cluster answers", wanted, system, remedy)

    def _judge_role_of_server(self, database: Database, identity: Identity) -> Iterator[Judgement]:
        seen = ServerRole.REPLICA if identity.in_recovery else ServerRole.PRIMARY
        if database.role not in (seen, ServerRole.ANY):
            remedy = f"correct the address in [databases.{database.id}]: ask which server is the {database.role} now"
            yield self._another(database, f"the server is a {seen}", database.role, seen, remedy)

    def _judge_credential(
        self, database: Database, identity: Identity, role: DatabaseRole | None
    ) -> Iterator[Judgement]:
        used = identity.session.get("used_password") == "yes"
        if database.password is not None and not used:
            yield warned(
                "the password was not asked for: the server lets anybody in (trust, peer or certificate)",
                expected="a login that proves the plan's password",
                actual="no password was used",
                remedy=f"have pg_hba.conf ask {database.user} for scram-sha-256; until then the password is unproven",
            )
        if role is None:
            yield unknown(
                f"the role {database.user} is not in pg_roles",
                remedy="ask the DBA what hides the catalogue from the role",
            )
            return
        yield self._judge_expiry(database, role, used_password=used)
        if role.is_superuser:
            yield warned(
                f"{role.name} is a superuser",
                expected="a role with the rights the scripts need and no others",
                actual="rolsuper",
                remedy=f"have the scripts run as a role without SUPERUSER, or: ALTER ROLE {role.name} NOSUPERUSER",
            )

    def _judge_expiry(self, database: Database, role: DatabaseRole, *, used_password: bool) -> Judgement:
        if role.valid_until is None:
            return passed(f"role {role.name} does not expire")
        event = Event(at=role.valid_until, text=f"password of role {role.name} on {database.id} ends")
        return replace(self._judge_end(database, role, role.valid_until, used_password), events=(event,))

    def _judge_end(self, database: Database, role: DatabaseRole, end: datetime, used_password: bool) -> Judgement:
        needed = self.plan.window.needed_until
        seen = f"role {role.name} is valid until {self._moment_text(end)}"
        expected = f"valid past {self._moment_text(needed)}, the end of the window and of a rollback"
        remedy = f"ALTER ROLE {role.name} VALID UNTIL '{self._good_date()}'"
        if end > needed + self.settings.warn_before:
            return passed(seen)
        if end > needed:
            summary = f"{seen}, only {format_duration(end - needed)} after it is needed"
        elif used_password:
            return self._failed(database, f"{seen}, before the work is over", expected, seen, remedy)
        else:
            summary = f"{seen}, which counts as soon as it logs in with a password"
        return warned(summary, expected=expected, actual=seen, remedy=remedy)

    def _backup_roles(self, database: Database) -> list[str]:
        work = [each for each in server_work(self.plan) if each.database.id == database.id]
        return [each.login for each in work if each.section is Section.BACKUPS and each.login != database.user]

    def _judge_backup_roles(self, database: Database, roles: Mapping[str, DatabaseRole]) -> Iterator[Judgement]:
        """Roles that log in on the server only; how is not seen from here, so a password is taken for granted."""
        for name in dict.fromkeys(self._backup_roles(database)):
            role = roles.get(name)
            expected = f"a role {name} that may log in to {_name(database)}"
            if role is None:
                remedy = f"have the role made, or correct `login` of the backup: CREATE ROLE {name} LOGIN"
                yield self._failed(database, f"the backup's role {name} does not exist", expected, "no role", remedy)
            elif not role.can_login:
                remedy = f"ALTER ROLE {name} LOGIN"
                yield self._failed(database, f"the backup's role {name} may not log in", expected, "NOLOGIN", remedy)
            elif not role.has_connect:
                remedy = f"GRANT CONNECT ON DATABASE {_name(database)} TO {name}"
                yield self._failed(database, f"the backup's role {name} may not connect", expected, "none", remedy)
            else:
                yield self._judge_expiry(database, role, used_password=True)

    def _judge_settings(self, database: Database, identity: Identity) -> Iterator[Judgement]:
        user = database.user
        read_only = identity.setting("default_transaction_read_only")
        if read_only is None:
            yield unknown("the role's own settings could not be seen", remedy="run again")
            return
        if read_only == "on" and database.role is ServerRole.PRIMARY:
            yield self._failed(
                database,
                f"{user} starts read-only transactions",
                "default_transaction_read_only = off",
                "default_transaction_read_only = on",
                f"ALTER ROLE {user} RESET default_transaction_read_only, also IN DATABASE {_name(database)}",
            )
        yield from self._judge_timeouts(database, identity)
        path = identity.setting("search_path") or ""
        names = [name.strip().strip('"') for name in path.split(",")]
        if not {"$user", "public"} & set(names):
            yield warned(
                f"unusual search_path: {path or 'empty'}",
                expected="a search_path with public or $user",
                actual=path or "empty",
                remedy=f"make sure the scripts name their schemas, or: ALTER ROLE {user} SET search_path = ...",
            )
        if identity.setting("session_replication_role") == "replica":
            yield warned(
                "triggers and foreign keys are off for the role (session_replication_role)",
                expected="origin",
                actual="replica",
                remedy=f"ALTER ROLE {user} RESET session_replication_role",
            )

    def _judge_timeouts(self, database: Database, identity: Identity) -> Iterator[Judgement]:
        steps = [work.step for work in server_work(self.plan) if work.database.id == database.id]
        minutes = [step.minutes for step in map(self.plan.step, dict.fromkeys(steps)) if step]
        longest = timedelta(minutes=max(minutes, default=0))
        for name in ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout"):
            raw = identity.setting(name) or "0"
            limit = timedelta(milliseconds=int(raw)) if raw.isdecimal() else timedelta()
            if not limit:
                continue
            seen = f"{name} of {database.user} is {format_duration(limit) if limit.seconds else f'{raw} ms'}"
            remedy = f"ALTER ROLE {database.user} SET {name} = 0, or SET {name} at the head of the scripts"
            if name == "statement_timeout" and limit < longest:
                summary = f"{seen}, shorter than the step of {format_duration(longest)} it may end"
                yield self._failed(database, summary, f"{name} = 0", f"{raw} ms", remedy)
            elif name != "lock_timeout":  # a lock_timeout is what scripts should have
                yield warned(seen, expected=f"{name} = 0", actual=f"{raw} ms", remedy=remedy)

    def _judge_slots(self, database: Database, slots: Slots, role: DatabaseRole | None) -> Iterator[Judgement]:
        """Our own connection is counted as free: it will be gone."""
        same = [
            each
            for each in self.plan.databases.values()
            if (each.host, each.port, each.address) == (database.host, database.port, database.address)
        ]
        need = sum(each.sessions for each in same)
        free, share = slots.most - slots.used + 1, (slots.used - 1) / max(slots.most, 1)
        limits = [("server", free, need)]
        if slots.database_limit >= 0:
            limits.append((f"database {_name(database)}", slots.database_limit - slots.database_used + 1,
                           database.sessions))  # fmt: skip
        if role is not None and role.connection_limit >= 0 and not role.is_superuser:
            wanted = sum(each.sessions for each in same if each.user == role.name)
            limits.append((f"role {role.name}", role.connection_limit - role.sessions + 1, wanted))
        for whose, left, needed in limits:
            yield self._judge_limit(database, whose, left, needed, share if whose == "server" else 0.0)

    def _judge_limit(self, database: Database, whose: str, left: int, need: int, share: float) -> Judgement:
        settings = self.settings
        seen = f"{max(left, 0)} connections of the {whose} are free, {need} needed"
        expected = f"at least {need + settings.spare_sessions} free"
        remedy = f"have idle connections ended, or the limit of the {whose} raised"
        if left < need or share >= settings.fail_used:
            return self._failed(database, seen, expected, f"{left} free, {share:.0%} used", remedy)
        # A limit set for this very work has no spare; only the server's own is shared with strangers.
        if whose == "server" and (left < need + settings.spare_sessions or share >= settings.warn_used):
            return warned(seen, expected=expected, actual=f"{left} free, {share:.0%} used", remedy=remedy)
        return passed(seen)

    def _good_date(self) -> date:
        """The first day of expiry with which no line would complain."""
        day: date = (self.plan.window.needed_until + self.settings.warn_before + timedelta(days=1)).date()
        return day

    def _moment_text(self, moment: datetime) -> str:
        return format_moment(moment, self.plan.window.zone)

    def _another(self, database: Database, summary: str, expected: str, actual: str, remedy: str) -> Judgement:
        """It is not the server that the plan means: no waiver covers that."""
        return replace(self._failed(database, summary, expected, actual, remedy), waivable=False)

    def _failed(self, database: Database, summary: str, expected: str, actual: str, remedy: str) -> Judgement:
        work = [each for each in server_work(self.plan) if each.database.id == database.id]
        stake = minutes_at_stake(self.plan, work)
        return failed(summary, expected=expected, actual=actual, remedy=remedy, minutes_at_stake=stake)


def _name(database: Database) -> str:
    return database.name or database.id


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
