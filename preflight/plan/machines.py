"""Which entries of the plan are one machine. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TypeVar

from preflight.plan import Database, Host, Plan
from preflight.plan.values import LOOPBACK

T = TypeVar("T")
Place = TypeVar("Place", bound=Hashable)
Machine = tuple[object, ...]
"""Equal for entries of one machine."""


def machine_of(host: Host, boot: str = "") -> Machine:
    """By the boot that the host was seen in, which one kernel has; else by where the plan says it is reached.

    `boot`: the boot id that a question read; empty where nobody looked or the host shows none."""
    return (boot,) if boot else (host.address or host.id, host.ssh_port, host.jump)


def is_one_machine(one: Host, one_boot: str, other: Host, other_boot: str) -> bool:
    """What was seen counts only where both were seen."""
    if one_boot and other_boot:
        return one_boot == other_boot
    return machine_of(one) == machine_of(other)


def grouped(items: Iterable[T], place: Callable[[T], Place]) -> Mapping[Place, list[T]]:
    """What has one place, such as one machine or one server, in its order."""
    found: dict[Place, list[T]] = {}
    for each in items:
        found.setdefault(place(each), []).append(each)
    return found


def server_of(plan: Plan, database: Database) -> Machine:
    """Equal for entries of one database server, whichever login of its machine they name."""
    host = plan.host_of(database)
    own = ("", host.address, host.id, LOOPBACK, "localhost", "::1")
    return (*machine_of(host), "" if database.address in own else database.address, database.port)
