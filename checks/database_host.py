"""database-host: the machine reached by SSH is the one the database runs on."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import timedelta

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.plan import Connect, Database
from preflight.plan.work import minutes_at_stake, work_with
from preflight.questions.postgres import Backend, BackendProbe, Identity, IdentityProbe
from preflight.questions.sql import quote_identifier
from preflight.units import format_duration

_LONGEST_WAIT = timedelta(minutes=10)
"""Between the login and the look on the host: more than a run takes."""


class DatabaseHost(Check):
    """Is the host where backup and scripts will run the one the database runs on?

    The night's first faults were a backup taken on another machine than the server's, and scripts that ran over the
    network (a, b): a plan that names the wrong host would repeat both with every other line green. While the database
    session is open, its server process is looked for on the host by role, database and client port; any account may
    read that. Where processes are hidden (containers, hidepid), the server's own address is held against the host's,
    and the line says that it is by address alone. A clone has the same system identifier; it has not our connection.
    """

    id = "database-host"
    waivable = False
    title = "the SSH host is the database's host"
    sections = ("databases",)
    needs = "none beyond the login: the titles of processes in /proc"
    cure = "correct the host of the database in the plan"

    def subjects(self) -> Sequence[Subject]:
        return [Subject(f"{entry.id} on {entry.host}", entry, entry.owner) for entry in self.plan.databases.values()]

    def probes(self, subject: Subject) -> Probes:
        return {"identity": IdentityProbe(subject.item.id)}

    def follow_up(self, subject: Subject, *, identity: Identity) -> Probes:
        """On the host, as the login: the titles of PostgreSQL's processes in /proc, among them that of the open
        database connection, and the host's own IP addresses."""
        if identity.client_port is None:
            return {}
        host = subject.item.host
        return {"backend": BackendProbe(host, subject.item.user, identity.database, identity.client_port)}

    def judge(self, subject: Subject, *, identity: Identity, backend: Backend | None = None) -> Judgement:
        database: Database = subject.item
        host, address = database.host, identity.server_address or ""
        connection = f"{database.user} {identity.database} port {identity.client_port}"
        if backend is None:
            return unknown("the server tells no client port", remedy="connect by TCP, not through a socket")
        if backend.titles:
            pid = backend.titles[0][0]
            inside = "" if pid == identity.backend_pid else ", in a container"
            return passed(f"the server process of this connection runs on {host} (pid {pid}{inside})")
        own = self._is_address_of(database, address, backend)
        hidden = "" if backend.sees_all else ", but the account may not see the processes of others"
        if own:
            return warned(
                f"by address alone: no process of this connection is found on {host}{hidden}",
                expected=f"a process `postgres: {connection}`",
                actual=f"the server's address {address} is one of {host}",
                remedy=f"confirm by hand that the server of {database.id} runs on {host}: a container, hidepid or "
                "update_process_title = off hide it",
            )
        idle = _idle_limit(identity)
        if idle is not None:
            return unknown(
                f"whether the server runs on {host} cannot be seen: it ends idle sessions after "
                f"{format_duration(idle)} (idle_session_timeout), this one perhaps before it was looked for",
                expected=f"a process `postgres: {connection}`",
                actual=f"no such process; the server's address is {address or 'not told'}",
                remedy=f"ALTER ROLE {quote_identifier(database.user)} SET idle_session_timeout = 0; then run again",
            )
        if not backend.sees_all:
            return unknown(
                f"whether the server runs on {host} cannot be seen: processes of others are hidden (hidepid)",
                expected=f"a process `postgres: {connection}`",
                actual=f"the server's address is {address or 'not told'}",
                remedy=f"have the login on {host} put in the group that may see all processes (gid= of /proc)",
            )
        return failed(
            f"the server does not run on {host}",
            expected=f"a process `postgres: {connection}` on {host}",
            actual=f"no such process; the server's address is {address or 'not told'}",
            remedy=f"name the machine the server really runs on: host in [databases.{database.id}]",
            minutes_at_stake=minutes_at_stake(work_with(self.plan, database.id)),
        )

    @staticmethod
    def _is_address_of(database: Database, address: str, backend: Backend) -> bool:
        """Loopback is an address of every machine, so it says something only when the connection began there."""
        if address not in backend.addresses:
            return False
        return database.connect is Connect.TUNNEL or not ipaddress.ip_address(address).is_loopback


def _idle_limit(identity: Identity) -> timedelta | None:
    """After how long the server ends the session; None for a time that no run takes, or without a limit."""
    told = identity.settings.get("idle_session_timeout") or ""
    limit = timedelta(milliseconds=int(told)) if told.isdecimal() else timedelta()
    return limit if timedelta() < limit < _LONGEST_WAIT else None
