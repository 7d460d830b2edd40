"""Ways through firewalls: from where each address and port is reached. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.plan import Connect, Plan
from preflight.plan.values import show_address
from preflight.prerequisites import Requirement
from preflight.questions.http import HttpRequest

_HERE = "the machine that runs preflight"


def requirements(plan: Plan) -> Iterator[Requirement]:
    for host in plan.hosts.values():
        source = host.jump or _where(host.network_zone)
        address = host.address or host.id
        target = f"{show_address(address, host.ssh_port)}/tcp"
        target += ", or where ssh_config leads" if host.ssh_config else ""
        yield _open(host.owner, source, target, f"SSH to {host.id}", "host-login")
    for database in plan.databases.values():
        host = plan.host_of(database)
        if database.connect is Connect.DIRECT:
            where = _where(host.network_zone)
            target = f"{show_address(database.server_address(host), database.port)}/tcp"
            yield _open(database.owner, where, target, f"PostgreSQL {database.id}", "database-login")
    for application in plan.applications.values():
        for endpoint in application.health:
            request = HttpRequest(endpoint.url)
            target = f"{show_address(request.host, request.port)}/tcp"
            where = _where(application.network_zone)
            yield _open(application.owner, where, target, f"health of {application.id}", "app-health")


def _where(zone: str) -> str:
    return f"{_HERE} in {zone}" if zone else _HERE


def _open(owner: str, source: str, target: str, purpose: str, check: str) -> Requirement:
    return Requirement(owner=owner, text=f"From {source} to {target}: {purpose}.", checks=(check,))
