"""database-login: the role that runs the scripts gets into the right server, until the work is over."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial
from typing import Any

from preflight.check import ANY_STATE, Check, Probes, Subject, asked
from preflight.finding import Judgement, passed, warned
from preflight.judging.cures import could_not_look, cure_of, refuses_login
from preflight.judging.ends import TimeOfNeed
from preflight.plan import Database
from preflight.plan.release_plan import Machine, grouped, server_of
from preflight.probe import NoReply, Via
from preflight.questions import postgres

from .login import PlannedLogin, judge_login, judge_replay, judge_seal, most_of


class DatabaseLogin(Check):
    """Does the role that runs the scripts get into the right server, with room and rights, until the work is over?

    A login that is refused at midnight costs the window, one into the wrong server costs more. So the role logs in with
    the plan's own credential, and the line says which server answered: address, TLS, system identifier, version,
    primary or replica, a pooler in between, and whether the password was used at all. It must be the server that
    `preflight seal` recorded: system identifier, data directory and port, each where both were seen. With another oid
    of the database (made anew, renamed) or a later timeline (promoted, put back) it is UNKNOWN until sealed again; an
    earlier one fails: an older copy. Where its file says nothing of the database, it is UNKNOWN if scripts run there,
    and a WARN if not. The role must not expire before the window's end and a rollback (VALID UNTIL counts for logins by
    password alone), nor the server's TLS certificate or one above it, up to the root, where the plan has it verified;
    its own settings must not break the scripts, and connections must be left. Other roles that do the window's work
    must exist and outlive it too, may connect to what they enter, and have the connections that their jobs need; a base
    backup needs free WAL senders. A replica must not be behind its primary by more than its backup's `max_lag`, or else
    `replica_lag`, nor its replay paused; that it has all that was sent, and nothing came for so long, is a WARN: the
    primary was idle, or the replica that sends to it is cut off.
    """

    @dataclass(frozen=True, slots=True)
    class Settings:
        warn_before: timedelta = timedelta(days=7)
        """A role or a TLS certificate that ends this soon after it is last needed is worth a warning."""
        spare_sessions: int = 3
        """Connections that should be free beyond those the plan needs."""
        warn_used: float = 0.90
        """Share of the server's connections in use from which to warn."""
        fail_used: float = 0.95
        """Share of the server's connections in use from which to fail."""
        replica_lag: timedelta = timedelta(minutes=5)
        """How old the state of a replica may be of which no backup says so; one that lags on purpose needs more."""

    id = "database-login"
    title = "the role gets into the right database"
    verifies = ANY_STATE
    sections = ("databases",)
    needs = "CONNECT on the database; nothing more"
    cure = "have the role, its password, its expiry or pg_hba.conf corrected; give the right server in the plan"
    judges_no_reply = frozenset({"identity"})

    def subjects(self) -> Sequence[Subject]:
        logins = [PlannedLogin(self.plan, entry) for entry in self.plan.databases.values()]
        entries = ((login, login.database) for login in logins)
        return [Subject(entry.id, login, entry.owner, lead_time=entry.lead_time) for login, entry in entries]

    def probes(self, subject: Subject) -> Probes:
        return {"identity": postgres.IdentityProbe(subject.id)}

    def follow_up(self, subject: Subject, *, identity: postgres.Identity | NoReply) -> Probes:
        """In the same database session: the cluster's system identifier and timeline (pg_control_system,
        pg_control_checkpoint, pg_control_recovery), expiry, rights and connections of the roles that the work needs
        (pg_roles), and how many connections are taken and allowed; of a replica, how far behind it is."""
        if isinstance(identity, NoReply):
            return {}
        login: PlannedLogin = subject.item
        return asked(
            replay=postgres.ReplayProbe(subject.id) if identity.in_recovery else None,
            system=postgres.SystemIdentifierProbe(subject.id),
            timeline=postgres.TimelineProbe(subject.id),
            roles=postgres.RolesProbe(subject.id, (login.database.user, *login.other_roles)),
            slots=postgres.SlotsProbe(subject.id, tuple(act.login for act in login.acts if act.replicates)),
        )

    def judge(self, subject: Subject, *, identity: postgres.Identity | NoReply, **facts: Any) -> Judgement:
        login: PlannedLogin = subject.item
        if isinstance(identity, NoReply):
            return self._no_login(login, identity)
        roles: Mapping[str, postgres.DatabaseRole] = facts["roles"]
        shown = [*judge_login(login, identity, facts["system"], roles, TimeOfNeed.of(self))]
        shown += judge_seal(login, identity, facts["system"], facts["timeline"])
        shown += judge_replay(login, facts["replay"], self.settings.replica_lag) if "replay" in facts else ()
        shown += self._connections(login, facts["slots"], roles) if self.expect is None else ()
        return Judgement.of(shown)

    @cached_property
    def _by_server(self) -> Mapping[Machine, list[Database]]:
        return grouped(self.plan.databases.values(), partial(server_of, self.plan))

    def _no_login(self, login: PlannedLogin, lost: NoReply) -> Judgement:
        database = login.database
        if not refuses_login(lost):
            return could_not_look(self.plan, Via.SQL, database.id, lost)
        cure = cure_of(self.plan, Via.SQL, database.id, lost, date=TimeOfNeed.of(self).good_date())
        expected = f"{database.user} logs in to {database.dbname}"
        return login.another(f"no login: {lost.reason}", expected, lost.detail, cure)

    def _connections(
        self, login: PlannedLogin, slots: postgres.Slots, roles: Mapping[str, postgres.DatabaseRole]
    ) -> Iterator[Judgement]:
        """What is left of the limits of server, database and roles. Our own connection counts as free: it ends."""
        database = login.database
        same = self._by_server[server_of(self.plan, database)]
        free, share = slots.most - slots.used + 1, (slots.used - 1) / max(slots.most, 1)
        need = most_of((act for act in login.acts if not act.replicates), sum(each.sessions for each in same))
        limits = [("server", free, need)]
        if slots.database_limit >= 0:
            left = slots.database_limit - slots.database_used + 1
            need = most_of(filter(login.enters, login.acts), database.sessions)
            limits.append((f"database {database.dbname}", left, need))
        for role in roles.values():
            if role.connection_limit >= 0 and not role.is_superuser:
                limits.append(self._of_role(login, role, sum(each.sessions for each in same if each.user == role.name)))
        for whose, left, needed in limits:
            yield self._limit(login, whose, left, needed, share if whose == "server" else 0.0)
        need = most_of((act for act in login.acts if act.replicates and act.connects), 0)
        if slots.wal_senders < need:
            yield login.failed(
                f"{max(slots.wal_senders, 0)} WAL senders are free, {need} needed",
                f"at least {need} free: a base backup",
                f"{slots.wal_senders} of max_wal_senders free",
                "have max_wal_senders raised and the server restarted, or standbys nobody needs taken off; or, where "
                'one is free: options = ["--wal-method=fetch"] of the backup',
            )

    @staticmethod
    def _of_role(login: PlannedLogin, role: postgres.DatabaseRole, sessions: int) -> tuple[str, int, int]:
        """Those of another role may be logins of this very run on the host, which end; so they count as free."""
        own = 1 if role.name == login.database.user else role.sessions
        acts = (act for act in login.acts if act.login == role.name)
        return f"role {role.name}", role.connection_limit - role.sessions + own, most_of(acts, sessions)

    def _limit(self, login: PlannedLogin, whose: str, left: int, need: int, share: float) -> Judgement:
        seen = f"{max(left, 0)} connections of the {whose} are free, {need} needed"
        expected = f"at least {need + self.settings.spare_sessions} free"
        remedy = f"have idle connections ended, or the limit of the {whose} raised"
        if left < need or share >= self.settings.fail_used:
            return login.failed(seen, expected, f"{left} free, {share:.0%} used", remedy)
        # A limit set for this very work has no spare; only the server's own is shared with strangers.
        if whose == "server" and (left < need + self.settings.spare_sessions or share >= self.settings.warn_used):
            return warned(seen, expected=expected, actual=f"{left} free, {share:.0%} used", remedy=remedy)
        return passed(seen)
