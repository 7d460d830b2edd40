"""What two plans use in windows that overlap: one machine, one database, one person cannot be in both. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from preflight.clock import format_moment
from preflight.faults import Keys, dotted, listed
from preflight.plan import Plan
from preflight.plan.release_plan import machine_of, server_of
from preflight.plan.rules import Broken
from preflight.plan.values import is_named, person_key

Used = Mapping[tuple[object, ...], tuple[str, Keys]]
"""What it is, equal in both plans -> what it is called, and the entry that names it."""


def shared_with(plan: Plan, others: Sequence[Plan]) -> Iterator[Broken]:
    """One sentence for each kind of thing that the plan and one of the others use in overlapping windows."""
    for other in others:
        start, end = max(plan.window.start, other.window.start), min(plan.window.end, other.window.end)
        if start >= end or plan.path.resolve() == other.path.resolve():
            continue
        zone = plan.window.zone
        time = f"from {format_moment(start, zone)} to {format_moment(end, zone)}"
        for kind, own, theirs in zip(("host", "database", "person"), _used(plan), _used(other), strict=True):
            shared = [each for each in own if each in theirs]
            if not shared:
                continue
            names = listed(list(dict.fromkeys(own[each][0] for each in shared)))
            there = listed([dotted(theirs[each][1]) for each in shared])
            told = f"The {kind} {names} is in {plan.path.name} and in {other.path.name} ({there})"
            cure = "move one window, or name another in one of them"
            yield Broken(own[shared[0]][1], f"{told}, whose windows overlap {time}: {cure}.")


def _used(plan: Plan) -> tuple[Used, Used, Used]:
    """Hosts by their machine, databases by their server and name, people by their name."""
    hosts: Used = {machine_of(host): (host.id, ("hosts", host.id)) for host in plan.hosts.values()}
    databases: Used = {
        (*server_of(plan, each), each.dbname): (each.id, ("databases", each.id)) for each in plan.databases.values()
    }
    people: Used = {
        (person_key(name),): (name, ("roles", role.id, key))
        for role in plan.roles.values()
        for key, name in (("primary", role.primary), ("standby", role.standby))
        if is_named(name)
    }
    return hosts, databases, people
