"""What several values of a plan must say together.

Each rule looks at the draft (faulty values are their defaults or None there) and at the raw tables, where it counts
whether a key was written at all: a faulty password is still a credential that was named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from preflight.faults import Keys, listed, quoted
from preflight.plan import (
    BackupFormat,
    BackupMethod,
    Database,
    Endpoint,
    Host,
    Plan,
    SslMode,
    Step,
)
from preflight.plan.agreement_rules import check_agreements, present
from preflight.plan.command_rules import check_commands
from preflight.plan.source import Problems
from preflight.units import format_duration

_CREDENTIALS = ("password", "key", "agent")


def check_rules(plan: Plan, raw: Mapping[str, Any], problems: Problems) -> None:
    """Notes every broken rule. `plan`: a draft whose parts may be None; `raw`: the tables as parsed."""
    _check_release(plan, raw, problems)
    _check_window(plan, problems)
    for name, host in plan.hosts.items():
        _check_credential(host, raw["hosts"][name], ("hosts", name), problems)
        _check_become(host, ("hosts", name), problems)
    _check_jumps(plan, problems)
    _check_network_zones(plan, problems)
    for name, database in plan.databases.items():
        _check_root_certificate(database, raw["databases"][name], ("databases", name), problems)
    for name, backup in plan.backups.items():
        basebackup = backup.method is BackupMethod.PG_BASEBACKUP
        if basebackup and "format" in raw["backups"][name] and not _suits_basebackup(backup.format):
            problems.add(("backups", name, "format"), 'pg_basebackup writes "plain" or "tar"')
    check_commands(plan, raw, problems)
    for name, application in plan.applications.items():
        for index, endpoint in present(application.health):
            _check_endpoint(endpoint, ("applications", name, "health", index), problems)
    _check_steps(dict(present(plan.steps)), problems)
    _check_steps_fit(plan, problems)
    check_agreements(plan, raw, problems)


def _check_release(plan: Plan, raw: Mapping[str, Any], problems: Problems) -> None:
    if not plan.release or plan.release.attempt < 2:
        return
    for key in ("backed_out_because", "changed_since"):
        written = raw["release"].get(key)
        if written is None:
            problems.add(("release", key), f"is required for attempt {plan.release.attempt}")
        elif isinstance(written, str) and not written.strip():
            problems.add(("release", key), f"is empty, and is required for attempt {plan.release.attempt}")


def _check_network_zones(plan: Plan, problems: Problems) -> None:
    """Each target is asked from somewhere: with zones, a target without one would be asked from nowhere."""
    entries = [
        *((("hosts", name), entry.network_zone) for name, entry in plan.hosts.items()),
        *((("applications", name), entry.network_zone) for name, entry in plan.applications.items()),
    ]
    zones = dict.fromkeys(zone for _, zone in entries if zone)
    for keys, zone in entries:
        if zones and not zone:
            problems.add((*keys, "network_zone"), f"is required when other entries have one: {listed(zones)}")


def _check_window(plan: Plan, problems: Problems) -> None:
    window = plan.window
    if window and window.start and window.end and window.end <= window.start:
        problems.add(("window", "end"), "the window must end after it starts")


def _check_credential(host: Host, raw: Mapping[str, Any], keys: Keys, problems: Problems) -> None:
    named = [key for key in _CREDENTIALS if key in raw]
    if len(named) > 1:
        problems.add((*keys, named[1]), f"exactly one of {listed(_CREDENTIALS)} may be given, found {listed(named)}")
    if host.ssh_config:
        if "passphrase" in raw and named and "key" not in named:
            problems.add((*keys, "passphrase"), 'belongs to a "key", and the host logs in without one')
        return
    if not named:
        problems.add(keys, f"one of {listed(_CREDENTIALS)} is required, or ssh_config = true")
    if "passphrase" in raw and "key" not in named:
        problems.add((*keys, "passphrase"), 'belongs to a "key", and there is none')
    if "user" not in raw:
        problems.add((*keys, "user"), "is required, or ssh_config = true")


def _check_become(host: Host, keys: Keys, problems: Problems) -> None:
    seen: set[str] = set()
    for index, become in present(host.become):
        if become.account in seen:
            problems.add((*keys, "become", index), f"{quoted(become.account)} is listed twice")
        elif become.account:
            seen.add(become.account)


def _check_jumps(plan: Plan, problems: Problems) -> None:
    """A host's connection must not lead through itself."""
    ways = {name: [host.jump] if host.jump in plan.hosts else [] for name, host in plan.hosts.items()}
    for cycle in _cycles(ways):
        first = ("hosts", cycle[0], "jump")
        if len(cycle) == 1:
            problems.add(first, "a host cannot be its own jump host")
        else:
            problems.add(first, f"the jump hosts go in a circle: {' -> '.join([*cycle, cycle[0]])}")


def _check_root_certificate(database: Database, raw: Mapping[str, Any], keys: Keys, problems: Problems) -> None:
    verifies = database.sslmode in (SslMode.VERIFY_CA, SslMode.VERIFY_FULL)
    if "sslrootcert" in raw and not verifies:
        problems.add((*keys, "sslrootcert"), 'is used only with sslmode "verify-ca" or "verify-full"')


def _suits_basebackup(form: BackupFormat) -> bool:
    return form in (BackupFormat.PLAIN, BackupFormat.TAR)


def _check_endpoint(endpoint: Endpoint, keys: Keys, problems: Problems) -> None:
    if endpoint.final_url and not endpoint.follow_redirects:
        problems.add((*keys, "final_url"), "is used only with follow_redirects = true")
    if not (endpoint.url or "").startswith("http:"):
        return
    for key, given in (("server_name", endpoint.server_name), ("ca", endpoint.ca)):
        if given:
            problems.add((*keys, key), "is used only with an https URL")


def _check_steps(steps: Mapping[int, Step], problems: Problems) -> None:
    places: dict[str, int] = {}
    for index, step in steps.items():
        keys = ("steps", index)
        if step.id and places.setdefault(step.id, index) != index:
            problems.add((*keys, "id"), f"{quoted(step.id)} is the id of an earlier step")
        over_network, minutes = step.minutes_over_network, step.minutes
        if over_network is not None and minutes is not None and over_network < minutes:
            problems.add((*keys, "minutes_over_network"), "must be at least the step's minutes")
    ways = {name: [each for each in steps[index].after if each in places] for name, index in places.items()}
    for cycle in _cycles(ways):
        if len(cycle) == 1:
            message = "a step cannot come after itself"
        else:
            message = f"the steps wait for each other: {' after '.join([*cycle, cycle[0]])}"
        problems.add(("steps", places[cycle[0]], "after"), message)


def _check_steps_fit(plan: Plan, problems: Problems) -> None:
    """A step that alone is longer than the window is a slip; whether all of them fit, the check time-budget judges."""
    window = plan.window
    if not (window and window.start and window.end and window.start < window.end):
        return
    length = window.end - window.start
    for index, step in present(plan.steps):
        if step.minutes is not None and step.minutes * 60 > length.total_seconds():
            message = f"the step alone takes longer than the window, which lasts {format_duration(length)}"
            problems.add(("steps", index, "minutes"), message)


def _cycles(ways: Mapping[str, list[str]]) -> Iterator[list[str]]:
    """Cycles, each as the names on the way round, beginning with the first one in the file; at least one of those
    that share a name.

    Without recursion: a plan may chain more steps than Python has frames."""
    done: set[str] = set()
    for start in ways:
        trail: dict[str, Iterator[str]] = {} if start in done else {start: iter(ways[start])}
        while trail:
            last = next(reversed(trail))
            name = next(trail[last], None)
            if name is None:
                done.add(last)
                del trail[last]
            elif name in trail:
                names = list(trail)
                yield _from_first(names[names.index(name) :], ways)
            elif name not in done:
                trail[name] = iter(ways[name])


def _from_first(cycle: list[str], ways: Mapping[str, list[str]]) -> list[str]:
    order = {name: place for place, name in enumerate(ways)}
    first = cycle.index(min(cycle, key=order.__getitem__))
    return cycle[first:] + cycle[:first]
