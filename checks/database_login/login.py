"""What a login shows: the server that answered, how long its roles and certificate hold, and its settings. Pure."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.judging.cures import system_grant
from preflight.judging.ends import End, TimeOfNeed, certificate_ends
from preflight.judging.work_login import ScriptRole
from preflight.plan import Database, Plan, ServerRole
from preflight.plan.release_plan import grouped
from preflight.plan.work import PlannedBackup, ServerWork, connection_options, minutes_at_stake, scripts_in, work_with
from preflight.questions.certificates import Certificate
from preflight.questions.postgres import DatabaseRole, Identity, Replay
from preflight.questions.sql import major_of_server, quote_identifier, shown
from preflight.units import format_duration

_ANEW = {
    "database oid": "not the database that was sealed: it was made anew or renamed since, or the plan names another",
    "timeline": "the server was promoted or put back from a backup since it was sealed",
}


@dataclass(frozen=True, slots=True)
class PlannedLogin:
    """A database as the plan's role enters it."""

    plan: Plan = field(repr=False, compare=False)
    database: Database

    @property
    def work(self) -> Sequence[ServerWork]:
        """What the window does with it on its host."""
        return work_with(self.plan, self.database.id)

    @property
    def acts(self) -> Sequence[ServerWork]:
        """What may log in for it there: scripts, backups, and what puts those back."""
        return [act for each in self.work for act in each.acts]

    @property
    def other_roles(self) -> Mapping[str, Sequence[ServerWork]]:
        """Roles of that work that are not the one that logs in from here, each with what it does."""
        return grouped((act for act in self.acts if act.login != self.database.user), lambda act: act.login)

    def session_role(self, identity: Identity) -> ScriptRole:
        """The role as its session begins."""
        return ScriptRole(self.database.user, self.database, self.database.dbname, identity.settings, self.failed)

    def psql(self, statement: str) -> str:
        """A command of a superuser on the database's host. Rights on functions are each database's own."""
        return shlex.join(["psql", *connection_options((("dbname", self.database.dbname),)), "-c", statement])

    def enters(self, act: ServerWork) -> bool:
        """Whether it logs in to this very database, and not to the one that a restore names or to none."""
        return act.dbname == self.database.dbname and not act.replicates

    def failed(self, summary: str, expected: str, actual: str, remedy: str) -> Judgement:
        """At the price of the work that needs this login."""
        stake = minutes_at_stake(self.work)
        return failed(summary, expected=expected, actual=actual, remedy=remedy, minutes_at_stake=stake)

    def another(self, summary: str, expected: str, actual: str, remedy: str) -> Judgement:
        """It is not the server that the plan means: no waiver covers that."""
        return replace(self.failed(summary, expected, actual, remedy), waivable=False)


def most_of(acts: Iterable[ServerWork], sessions: int) -> int:
    """How many connections are needed: the plan's sessions, or what one piece of work opens at once."""
    return max([sessions, *(act.connections for act in acts)])


def judge_login(
    login: PlannedLogin, identity: Identity, system: str, roles: Mapping[str, DatabaseRole], need: TimeOfNeed
) -> Iterator[Judgement]:
    """All but the seal and the connections that are left."""
    yield from _judge_server(login, identity, system)
    yield from _judge_certificate(login, identity, need)
    yield from _judge_client_certificate(login, identity, need)
    yield from _judge_credential(login, identity, roles.get(login.database.user), need)
    yield from _judge_settings(login, identity)
    yield from _judge_other_roles(login, roles, need)


def _judge_server(login: PlannedLogin, identity: Identity, system: str) -> Iterator[Judgement]:
    """Whether it is the one that the plan means, and PostgreSQL itself."""
    database = login.database
    yield passed(_who_answered(database, identity, system))
    if identity.database != database.dbname or identity.user != database.user:
        # ALTER ROLE ... SET role, or a pooler with a mind of its own
        undo = login.session_role(identity).undo("role")
        yield login.another(
            f"works as {identity.user} in {identity.database}",
            f"{database.user} in {database.dbname}",
            f"{identity.user} in {identity.database}",
            f"look at the pooler's configuration, and undo what changes them: {undo}",
        )
    server = shown(major_of_server(identity.version_num))
    if database.version and server != database.version:
        cure = f"correct `version` in [databases.{database.id}], or {database.address_key}"
        yield login.another(f"server version {server}", database.version, server, f"{cure}: this may be another server")
    wanted = database.system_identifier
    if wanted and not system:
        yield _hides_system(login, wanted)
    elif wanted and system != wanted:
        remedy = (
            "ask the DBA whether the cluster was rebuilt (pg_upgrade, restore of a dump): correct "
            f"`system_identifier` in [databases.{database.id}] then; otherwise correct {database.address_key}"
        )
        yield login.another("another cluster answers", wanted, system, remedy)
    seen = ServerRole.REPLICA if identity.in_recovery else ServerRole.PRIMARY
    if database.role not in (seen, ServerRole.ANY):
        remedy = f"correct {database.address_key}: ask which server is the {database.role} now"
        yield login.another(f"the server is a {seen}", database.role, seen, remedy)
    if identity.pooled:
        yield warned(
            "a connection pooler answers in the server's place",
            expected="a connection to PostgreSQL itself",
            actual=f"backend {identity.session['backend_pid']} here, {identity.backend_pid} at the server",
            remedy=f"name the server's own address and port in [databases.{database.id}]: settings and locks of a "
            "script do not survive in a pool",
        )


def judge_replay(login: PlannedLogin, replay: Replay, most_otherwise: timedelta) -> Iterator[Judgement]:
    """A backup of a replica saves the state that it has replayed, and a way back to it has no newer one.
    `most_otherwise`: how old that may be where no backup says."""
    backups = (work.backup for work in login.work if isinstance(work, PlannedBackup))
    entry = min(backups, key=lambda backup: backup.max_lag, default=None)
    most = entry.max_lag if entry else most_otherwise
    key = f"`max_lag` of [backups.{entry.id}]" if entry else "`replica_lag` of [checks.database-login]"
    sender = replay.sender or "its sender, which this role may not see"
    expected = f"the primary's state, at most {format_duration(most)} old: {key}"
    last = timedelta(milliseconds=replay.behind_ms or 0)
    actual = f"the last transaction replayed is {format_duration(last)} old" if last else "nothing was replayed yet"
    instead = f"; or name a [databases] entry of the primary in [backups.{entry.id}]: `database`" if entry else ""
    if replay.paused:
        remedy = f"on {login.database.place}: {login.psql('SELECT pg_wal_replay_resume()')}{instead}"
        yield login.failed("the replica's replay is paused: it keeps an old state", expected, actual, remedy)
    elif replay.lag is None:
        summary = "how old the replica's state is cannot be seen: it receives nothing from a primary"
        look = login.psql("SELECT * FROM pg_stat_wal_receiver")
        remedy = f"have it connected to its primary; on {login.database.place}: {look}{instead}"
        yield unknown(summary, expected=expected, actual=actual, remedy=remedy)
    elif replay.lag > most:
        remedy = f"have the DBA find out why, or wait until it has caught up, then run again{instead}"
        yield login.failed(f"the replica is {format_duration(replay.lag)} behind", expected, actual, remedy)
    else:
        seen = f"the replica replays what it receives from {sender}, {format_duration(replay.lag)} behind it"
        if timedelta() < last <= most:
            yield passed(seen)
            return
        # A sender that is a replica itself may be cut off, and all that it has is replayed.
        yield warned(
            f"{seen}; nothing newer came for {format_duration(last)}" if last else f"{seen}; nothing came yet",
            expected=expected,
            actual=actual,
            remedy=f"see whether the primary was idle; or where {sender} is a replica, whether that gets anything",
        )


def _hides_system(login: PlannedLogin, wanted: str) -> Judgement:
    summary = "the system identifier, or the timeline, may not be seen by this role"
    remedy = login.psql(system_grant(login.database, login.database.user))
    return unknown(summary, expected=wanted, remedy=remedy)


def judge_seal(login: PlannedLogin, identity: Identity, system: str, timeline: str) -> Iterator[Judgement]:
    """Whether it is the server that `preflight seal` recorded."""
    database, plan = login.database, login.plan
    name, sealed = plan.sealed_servers.name, plan.sealed.get(database.id)
    if sealed is None:
        # Their manifests are sealed by the same call, so that the servers are not says that something is gone.
        summary = f"{name} says nothing of {database.id}: another server at the same address would not be noticed"
        yield (unknown if scripts_in(plan, database.id) else warned)(
            summary,
            expected=f"an entry of {database.id} in {name}, beside the plan",
            actual="other entries only" if plan.sealed else "no such file, or an empty one",
            remedy=f"where {database.id} was sealed, take the file back as it was; else, from where {database.id} "
            f"is reached: {plan.call('seal')}",
        )
        return
    of_cluster = system, identity.port, identity.settings.shown("data_directory")
    found = sealed.compared(*of_cluster, identity.oid, timeline)
    again = f"take the entry of {database.id} out of {name}, then: {plan.call('seal')}"
    older = timeline.isdecimal() and not identity.in_recovery and int(timeline) < int(sealed.timeline or 0)
    another = found.differ.keys() - _ANEW.keys()
    if another or older:
        summary = f"{'not' if another else 'an older copy of'} the server that was sealed: {found.told}"
        remedy = f"correct {database.address_key}; where the DBA confirms that this is the server now: {again}"
        yield login.another(summary, found.sealed, found.seen, remedy)
    elif found.differ:
        summary = "; ".join(_ANEW[each] for each in found.differ)
        remedy = f"where the DBA says that it is the right one, as after a failover or a restore: {again}"
        yield replace(unknown(summary, expected=found.sealed, actual=found.seen, remedy=remedy), waivable=False)
    elif not system or (sealed.timeline and not timeline):
        yield _hides_system(login, sealed.system_identifier)
    else:
        yield passed(f"the server that was sealed: {found.told}")
        address = identity.server_address
        if address and sealed.addresses and address not in sealed.addresses:
            yield warned(
                f"the server has another address than it was sealed with, {address}: moved, or a copy of it",
                expected=" or ".join(sealed.addresses),
                actual=address,
                remedy=f"ask the DBA whether {database.id} was moved; if so, add the address: {plan.call('seal')}",
            )


def _who_answered(database: Database, identity: Identity, system: str) -> str:
    session = identity.session
    tls = session.get("ssl", "no")
    encrypted = tls if database.sslmode.verifies else f"{tls}, certificate not verified"
    if tls == "no":
        encrypted = "without TLS"
    way = f" through {session['tunnel']}" if session.get("tunnel") else ""
    proof = "with its password" if session.get("used_password") == "yes" else "without a password"
    kind = "replica" if identity.in_recovery else "primary"
    known = f", system {system}" if system else ""
    named = f", cluster {identity.cluster_name}" if identity.cluster_name else ""
    return (
        f"{identity.user} logs in {proof} to {identity.database} at {session.get('address', '?')}{way} ({encrypted}); "
        f"{kind}, PostgreSQL {shown(major_of_server(identity.version_num))}{known}{named}"
    )


def _judge_certificate(login: PlannedLogin, identity: Identity, need: TimeOfNeed) -> Iterator[Judgement]:
    """Nothing without TLS. Where the plan has the certificate verified, its end ends the work, and not to have seen
    it is UNKNOWN; elsewhere it is only told: libpq does not look at it then, but applications may."""
    if identity.session.get("ssl", "no") == "no":
        return
    mode = login.database.sslmode
    if certificate := Certificate.in_session(identity.session):
        remedy = f"have the certificate of {login.database.place}'s PostgreSQL renewed, then: SELECT pg_reload_conf();"
        tolerated = "" if mode.verifies else f"which this login does not verify (sslmode {mode}) but others may"
        owner, stake = f"database {login.database.id}", minutes_at_stake(login.work)
        ends = certificate_ends(certificate, owner, remedy, tolerated=tolerated, minutes_at_stake=stake)
        yield from need.judge_together(ends)
    elif mode.verifies:
        where = identity.session.get("address", login.database.id)
        tunnel = identity.session.get("tunnel", "")
        look = f"look on {tunnel}" if tunnel else "look"
        yield unknown(
            "until when the server's TLS certificate is valid was not seen",
            expected=need.expected,
            remedy=f"{look}: openssl s_client -starttls postgres -connect {where} </dev/null | openssl x509 -noout "
            "-enddate; then run again",
        )


def _judge_client_certificate(login: PlannedLogin, identity: Identity, need: TimeOfNeed) -> Iterator[Judgement]:
    """The server breaks off the handshake with one that has ended, whatever pg_hba.conf asks for."""
    if certificate := Certificate.in_session(identity.session, "client_certificate"):
        user, stake = login.database.user, minutes_at_stake(login.work)
        remedy = f"have a client certificate issued for {user} that is valid past {need.told(need.until)}"
        owner = f"{user} on {login.database.id}"
        ends = certificate_ends(certificate, owner, remedy, "client certificate", minutes_at_stake=stake)
        yield from need.judge_together(ends)


def _judge_credential(
    login: PlannedLogin, identity: Identity, role: DatabaseRole | None, need: TimeOfNeed
) -> Iterator[Judgement]:
    """The role that logs in from here: how it proved itself, and until when it may."""
    database = login.database
    used = identity.session.get("used_password") == "yes"
    if database.password is not None and not used:
        yield warned(
            "the password was not asked for: the server lets anybody in (trust, peer or certificate)",
            expected="a login that proves the plan's password",
            actual="no password was used",
            remedy=f"have pg_hba.conf ask {database.user} for scram-sha-256; until then the password is unproven",
        )
    if role is None:
        remedy = "ask the DBA what hides the catalogue from the role"
        yield unknown(f"the role {database.user} is not in pg_roles", remedy=remedy)
        return
    yield _judge_expiry(login, role, need, used_password=used)
    if role.is_superuser:
        yield warned(
            f"{role.name} is a superuser",
            expected="a role with the rights the scripts need and no others",
            actual="rolsuper",
            remedy="have the scripts run as a role without SUPERUSER, or: "
            + database.on_primary(f"ALTER ROLE {quote_identifier(role.name)} NOSUPERUSER;"),
        )


def _judge_expiry(login: PlannedLogin, role: DatabaseRole, need: TimeOfNeed, *, used_password: bool) -> Judgement:
    if role.valid_until is None:
        return passed(f"role {role.name} does not expire")
    works_there = any(act.connects and act.login == role.name for act in login.acts)
    if not used_password and not works_there:
        return passed(f"role {role.name} logs in without its password, which ends {need.told(role.valid_until)}")
    end = End(
        what=f"password of role {role.name}",
        where=f"on {login.database.id}",
        at=role.valid_until,
        remedy=login.database.on_primary(f"ALTER ROLE {quote_identifier(role.name)} VALID UNTIL '{need.good_date()}';"),
        actual=f"VALID UNTIL {need.told(role.valid_until)}",
        tolerated="" if used_password else "which counts where its work on the host logs in with it",
        minutes_at_stake=minutes_at_stake(login.work),
    )
    return need.judge(end)


def _judge_other_roles(login: PlannedLogin, roles: Mapping[str, DatabaseRole], need: TimeOfNeed) -> Iterator[Judgement]:
    """Roles that log in on the server only; how is not seen from here, so a password is taken for granted. Whether they
    may connect matters for those that enter this database."""
    for name, acts in login.other_roles.items():
        role, quoted, table = roles.get(name), quote_identifier(name), acts[0].declared_in
        expected = f"a role {name} that may log in to {login.database.dbname}"
        if role is None:
            fault, actual = "does not exist", "no role"
            cure = f"have the role made, or correct `login` of {table}: CREATE ROLE {quoted} LOGIN;"
        elif not role.can_login:
            fault, actual, cure = "may not log in", "NOLOGIN", f"ALTER ROLE {quoted} LOGIN;"
        elif not role.has_connect and any(login.enters(act) for act in acts):
            database = quote_identifier(login.database.dbname)
            fault, actual, cure = "may not connect", "none", f"GRANT CONNECT ON DATABASE {database} TO {quoted};"
        else:
            yield _judge_expiry(login, role, need, used_password=True)
            continue
        yield login.failed(f"the role {name} of {table} {fault}", expected, actual, login.database.on_primary(cure))


def _judge_settings(login: PlannedLogin, identity: Identity) -> Iterator[Judgement]:
    """Those that break scripts."""
    user = login.database.user
    steps = [login.plan.step(work.step) for work in login.work if any(act.login == user for act in work.acts)]
    role = login.session_role(identity)
    if login.database.role is ServerRole.PRIMARY:
        yield from role.judge_read_only()
    yield from role.judge(timedelta(minutes=max((step.minutes for step in steps if step), default=0)))
