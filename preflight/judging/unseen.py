"""What is said of a subject that nobody could look at, and what cures it: the table of reasons with the plan's own
names filled in. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import timedelta

from preflight.clock import format_moment
from preflight.finding import Judgement, Status, unknown
from preflight.judging.cures import pin_again_command, seal_command
from preflight.plan import Database, Host, Plan
from preflight.probe import NoReply, Via
from preflight.questions.sql import quote_identifier, quote_literal

_GOOD_AFTER = timedelta(days=8)
"""After the last moment of need: an end with which no check complains, by its default `warn_before`."""


def could_not_look(plan: Plan, via: Via, target: str, lost: NoReply, at: str = "") -> Judgement:
    """UNKNOWN for want of an answer. `at`: what one looked for, where that is not the whole subject."""
    cure = cure_of(plan, via, target, lost)
    return unknown(f"could not look{at}: {lost.reason}", actual=lost.detail, remedy=cure)


def refuses_login(lost: NoReply) -> bool:
    """Whether a login that was not made says something of the account: not where it had been made and a question
    failed, where the way broke off at another host, which has a line of its own, or where nobody tried."""
    return lost.reason.status is Status.FAIL and not lost.session.get("backend_pid")


def cure_of(plan: Plan, via: Via, target: str, lost: NoReply, **more: object) -> str:
    """The act or command for a question of the kind `via` to `target`. `more`: fields that only a check knows."""
    fields = _fields(plan, target, lost)
    if via is Via.SSH and target in plan.hosts:
        fields |= _of_host(plan, plan.hosts[target], lost)
    if via is Via.SQL and target in plan.databases:
        fields |= _of_database(plan, plan.databases[target])
    return lost.reason.cure(via).format(**fields | more)


def _fields(plan: Plan, target: str, lost: NoReply) -> dict[str, object]:
    window = plan.window
    return {
        "target": target,
        "owner": f"the owner of {target}",
        "host": target,
        "name": target,
        "port": lost.session.get("port", "of the plan"),
        "user": lost.session.get("user", "the login"),
        "jump": lost.session.get("jump", "before it"),
        "seal": seal_command(plan),
        "until": format_moment(window.needed_until, window.zone),
        "date": (window.needed_until + _GOOD_AFTER).date(),
    }


def _of_host(plan: Plan, host: Host, lost: NoReply) -> Mapping[str, object]:
    return {
        "user": host.user or lost.session.get("user", "") or "the login",
        "port": lost.session.get("port", host.ssh_port),
        "owner": plan.person(host.owner) or f"the owner of {host.id}",
        "credential": "password" if host.password else "key",
        "jump": lost.session.get("jump", host.jump),
        "key": host.key or "the key file",
        "pin_again": pin_again_command(plan, host),
    }


def _of_database(plan: Plan, database: Database) -> Mapping[str, object]:
    name = database.name or database.id
    host = plan.host_of(database)
    entry = f"databases.{database.id}" if database.address else f"hosts.{host.id}"
    return {
        "user": database.user,
        "role": quote_identifier(database.user),
        "literal": quote_literal(database.user),
        "name": name,
        "database": quote_identifier(name),
        "address": f"`address` in [{entry}]",
        "server": shlex.quote(database.server_address(host)),
        "port": database.port,
        "host": host.id,
        "owner": plan.person(database.owner) or f"the owner of {database.id}",
    }
