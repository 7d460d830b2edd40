"""database-host: the machine reached by SSH is the one the database runs on."""

import ipaddress
from collections.abc import Sequence
from datetime import timedelta

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, failed, passed, unknown
from preflight.judging.data_directory import not_shown
from preflight.plan import Connect, Database
from preflight.plan.said import answered_for
from preflight.plan.work import minutes_at_stake, work_with
from preflight.questions.postgres import Backend, BackendProbe, Identity, IdentityProbe, SystemIdentifierProbe
from preflight.questions.sql import quote_identifier
from preflight.units import format_duration

_LONGEST_WAIT = timedelta(minutes=10)
"""Between the login and the look on the host: more than a run takes."""


class DatabaseHost(Check):
    """Is the host where backup and scripts will run the one the database runs on?

    The night's first faults were a backup taken on another machine than the server's, and scripts that ran over the
    network (a, b): a plan that names the wrong host would repeat both with every other line green. While the database
    session is open, its server process is looked for on the host by role, database and client port; any account may
    read that. Where processes are hidden (containers, hidepid), it is UNKNOWN even though the server's own address may
    be one of the host's, until somebody answers for it with `located_by`. A clone has the same system identifier; it
    has not our connection. A server in a container names its directories as they are inside: what lies at that path on
    the host may be another server's, so it is UNKNOWN until somebody says where the data lies (`data_directory`).
    """

    id = "database-host"
    waivable = False
    title = "the SSH host is the database's host"
    sections = ("databases",)
    needs = "none beyond the login: the titles of processes in /proc"
    cure = "correct the host of the database in the plan"

    def subjects(self) -> Sequence[Subject]:
        placed = (entry for entry in self.plan.databases.values() if entry.host)
        return [Subject(f"{entry.id} on {entry.host}", entry, entry.owner) for entry in placed]

    def probes(self, subject: Subject) -> Probes:
        return {"identity": IdentityProbe(subject.item.id)}

    def follow_up(self, subject: Subject, *, identity: Identity) -> Probes:
        """On the host, as the login: the titles of PostgreSQL's processes in /proc, among them that of the open
        database connection, and the host's own IP addresses. In the database session the system identifier, as
        database-login asks it: whether the session is still open."""
        if identity.client_port is None:
            return {}
        database: Database = subject.item
        backend = BackendProbe(database.host, database.user, identity.database, identity.client_port)
        # Of a session that somebody has ended meanwhile, no process is found anywhere: then this is not answered.
        return {"backend": backend, "system": SystemIdentifierProbe(database.id)}

    def judge(self, subject: Subject, *, identity: Identity, backend: Backend | None = None, **_open: str) -> Judgement:
        database: Database = subject.item
        host = database.host
        if backend is not None and backend.titles:
            runs = f"the server process of this connection runs on {host}"
            pids = [pid for pid, _ in backend.titles]  # of another server's connection, too, that is titled alike
            if identity.backend_pid in pids:
                return passed(f"{runs} (pid {identity.backend_pid})")
            pid = pids[0]
            inside = f"{runs} (pid {pid}, in a container): where its data lies on {host} is not seen"
            seen = f"{pid} on {host} is {identity.backend_pid} for the server, whose paths are those of its container"
            remedy = "this tool does not look into containers: have whoever runs this one say where its volume lies"
            return not_shown(self.plan, self.moment, database, inside, seen=seen, remedy=remedy)
        unseen = self._unseen(database, identity, backend)
        if unseen is not None:
            keys = ("databases", database.id, "located_by")
            return answered_for(self.plan, self.moment, unseen, database.located_by, keys, database.owner)
        return failed(
            f"the server does not run on {host}",
            expected=f"{_process(database, identity)} on {host}",
            actual=f"no such process; the server's address is {identity.server_address or 'not told'}",
            remedy=f"name the machine the server really runs on: host in [databases.{database.id}]",
            minutes_at_stake=minutes_at_stake(work_with(self.plan, database.id)),
        )

    def _unseen(self, database: Database, identity: Identity, backend: Backend | None) -> Judgement | None:
        """What keeps its process from being found, if it runs there; None where it does not."""
        host, address = database.host, identity.server_address or ""
        if backend is None:
            remedy = "connect by TCP, not through a socket"
            return unknown(f"whether the server runs on {host} cannot be seen: it tells no client port", remedy=remedy)
        idle = _idle_limit(identity)
        actual = f"no such process; the server's address is {address or 'not told'}"
        # Loopback is an address of every machine, so it says something only when the connection began there.
        if address in backend.addresses and (
            database.connect is Connect.TUNNEL or not ipaddress.ip_address(address).is_loopback
        ):
            why = "its address is one of the host's, but no process of this connection is found there"
            actual = f"the server's address {address} is one of {host}"
            remedy = "look for what hides it: a container, hidepid, update_process_title = off"
        elif idle is not None:
            limit = f"{format_duration(idle)} (idle_session_timeout)"
            why = f"it ends idle sessions after {limit}, this one perhaps before it was looked for"
            keep = f"ALTER ROLE {quote_identifier(database.user)} SET idle_session_timeout = 0"
            remedy = f"{database.on_primary(keep)}; then run again"
        elif not backend.sees_all:
            why = "processes of others are hidden (hidepid)"
            remedy = f"have the login on {host} put in the group that may see all processes (gid= of /proc)"
        else:
            return None
        summary = f"whether the server runs on {host} cannot be seen: {why}"
        return unknown(summary, expected=_process(database, identity), actual=actual, remedy=remedy)


def _process(database: Database, identity: Identity) -> str:
    """The server's for this connection."""
    return f"a process `postgres: {database.user} {identity.database} port {identity.client_port}`"


def _idle_limit(identity: Identity) -> timedelta | None:
    """After how long the server ends the session; None for a time that no run takes, or without a limit."""
    told = identity.settings.shown("idle_session_timeout")
    limit = timedelta(milliseconds=int(told)) if told.isdecimal() else timedelta()
    return limit if timedelta() < limit < _LONGEST_WAIT else None
