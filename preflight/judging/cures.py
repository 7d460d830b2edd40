"""Cures of every reason why nobody could look; and their commands, ready to be pasted in the plan's folder. Pure."""

import posixpath
import shlex
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from preflight.clock import format_moment
from preflight.finding import Judgement, Status, unknown
from preflight.plan import Database, Host, Plan
from preflight.plan.values import SSH_PORT
from preflight.plan.work import ServerWork
from preflight.probe import NoReply, Via
from preflight.questions.shell import AsAccount
from preflight.questions.sql import quote_identifier, quote_literal
from preflight.wording import beside

ON_ROWS = 'rehearse them on rows, in [rehearsal]: content = "restore"'
_HANDED = "handed-over"
"""A file in the login's home, on its way to another account."""
_LOCKED = "; is it right, wrong ones may have locked the account: on {host}, as root: faillock --user {user} --reset"
"""pam_faillock(8) then refuses the right password in the same words."""
_GOOD_AFTER = timedelta(days=8)
"""After the last moment of need: an end with which no check complains, by its default `warn_before`."""


def pin_again_command(plan: Plan, host: Host) -> str:
    """Takes the host's pinned key out and asks for the one it shows now: `preflight seal` replaces none."""
    address = host.address or host.id
    name = host.host_key_alias or (address if host.ssh_port == SSH_PORT else f"[{address}]:{host.ssh_port}")
    file = beside(plan.folder, host.known_hosts[0] if host.known_hosts else plan.sealed_known_hosts)
    return f"ssh-keygen -R {shlex.quote(name)} -f {shlex.quote(file)} && {plan.call('seal')}"


def command_on(plan: Plan, host: Host, account: str, command: str) -> str:
    """`command`, of a shell, on the host as `account`; sudo may ask for the password that the plan names for it."""
    become = AsAccount.on(host, account)
    return _ssh(plan, host, _as(become, command), "-t" if become.password else "")


def copy_command(plan: Plan, host: Host, account: str, source: str, target: str) -> str:
    """`source`, a path seen from the plan's folder, to `target` on the host; what is in it where it ends in `/.`. What
    belongs to another account than the login is written by that account: through its shell, which alone its checks need
    too, and which takes nothing from the login but what it is handed."""
    folder, become = source.endswith("/."), AsAccount.on(host, account)
    if become.is_login:
        options = [*(["-r"] if folder else []), *_options(plan, host, port="-P")]
        return shlex.join(["scp", *options, "--", source, f"{_login(host)}:{target}"])
    where = shlex.quote(target if folder else posixpath.dirname(target))
    take = "tar -xof -" if folder else f"cat >{shlex.quote(posixpath.basename(target))}"
    take = f"mkdir -p -- {where} && cd -- {where} && {take}"
    give = f"tar -cf - -C {shlex.quote(source)} . | " if folder else f"<{shlex.quote(source)} "
    if not become.password:
        return give + _ssh(plan, host, _as(become, take))
    asked = _ssh(plan, host, f"{_as(become, take)} <{_HANDED} && rm {_HANDED}", "-t")  # sudo asks on a terminal
    return f"{give}{_ssh(plan, host, f'cat >{_HANDED}')} && {asked}"


def _ssh(plan: Plan, host: Host, command: str, *options: str) -> str:
    return shlex.join(["ssh", *filter(None, options), *_options(plan, host), "--", _login(host), command])


def _as(become: AsAccount, command: str) -> str:
    """For the shell of the host's login."""
    if become.is_login:
        return command
    silent = "" if become.password else "-n "
    return f"sudo {silent}-u {shlex.quote(become.account)} -- /bin/sh -c {shlex.quote(command)}"


def _options(plan: Plan, host: Host, *, port: str = "-p") -> list[str]:
    """What the plan says of the way to the host; the rest is ssh_config's, as it is for preflight."""
    options = []
    if host.port is not None:
        options += [port, str(host.port)]
    if host.key:
        options += ["-i", beside(plan.folder, host.key)]
    known_hosts = host.known_hosts or (plan.sealed_known_hosts, Path("~/.ssh/known_hosts"))
    files = [beside(plan.folder, file) for file in known_hosts]
    options += ["-o", "UserKnownHostsFile=" + " ".join(f'"{file}"' if " " in file else file for file in files)]
    if host.host_key_alias:
        options += ["-o", f"HostKeyAlias={host.host_key_alias}"]
    if host.jump:  # not -J, which takes neither the key nor the pinned keys of the host in between
        way = ["ssh", *_options(plan, plan.hosts[host.jump]), "-W", "%h:%p", "--", _login(plan.hosts[host.jump])]
        options += ["-o", f"ProxyCommand={shlex.join(way)}"]
    return options


def _login(host: Host) -> str:
    address = host.address or host.id
    return f"{host.user}@{address}" if host.user else address


def could_not_look(plan: Plan, via: Via, target: str, lost: NoReply, at: str = "") -> Judgement:
    """UNKNOWN for want of an answer. `at`: what one looked for, where that is not the whole subject."""
    return unknown(f"could not look{at}: {lost.reason}", actual=lost.detail, remedy=cure_of(plan, via, target, lost))


def refuses_login(lost: NoReply) -> bool:
    """Whether a login that was not made says something of the account: not where it had been made and a question
    failed, where the way broke off at another host, which has a line of its own, or where nobody tried."""
    return lost.reason.status is Status.FAIL and not lost.session.get("backend_pid")


def system_grant(database: Database, user: str) -> str:
    """What shows system identifier and timeline to a role; rights on functions are each database's own."""
    functions = "pg_control_system(), pg_control_checkpoint(), pg_control_recovery()"
    return database.on_primary(f"GRANT EXECUTE ON FUNCTION {functions} TO {quote_identifier(user)};")


def hidden_from(database: Database, catalogue: str, what: str) -> Judgement:
    """UNKNOWN, because the plan's role may not read a catalogue that every role may read elsewhere."""
    return unknown(
        f"{what} is not known: {database.user} may not read {catalogue}",
        remedy=database.on_primary(f"GRANT SELECT ON pg_catalog.{catalogue} TO {quote_identifier(database.user)};"),
    )


def no_such_role(work: ServerWork) -> Judgement:
    """UNKNOWN, because the server does not have the role that does the work."""
    made = work.database.on_primary(f"CREATE ROLE {quote_identifier(work.login)} LOGIN;")
    remedy = f"{made} or correct `login` of {work.table}"
    return unknown(f"the role {work.login} is not there", expected=f"a role that {work.table} names", remedy=remedy)


def cure_of(plan: Plan, via: Via, target: str, lost: NoReply, **more: object) -> str:
    """The act or command for a question of the kind `via` to `target`. `more`: fields that only a check knows."""
    fields = _fields(plan, target, lost)
    if via is Via.SSH and target in plan.hosts:
        fields |= _of_host(plan, plan.hosts[target], lost)
    if via is Via.SQL and target in plan.databases:
        fields |= _of_database(plan, plan.databases[target])
    cure = lost.reason.cure(via).format(**fields | more)
    return plan.databases[target].on_primary(cure) if via is Via.SQL and target in plan.databases else cure


def _fields(plan: Plan, target: str, lost: NoReply) -> dict[str, object]:
    window = plan.window
    return {
        **dict.fromkeys(("target", "host", "name", "role", "database", "server"), target),
        "owner": f"the owner of {target}",
        "port": lost.session.get("port", "of the plan"),
        "user": lost.session.get("user", "the login"),
        "credential": "credential",
        "locked": "",
        "key": "the key file",
        "literal": quote_literal(target),
        "address": "the address",
        "pin_again": plan.call("seal"),
        "jump": lost.session.get("jump", "before it"),
        "seal": plan.call("seal"),
        "until": format_moment(window.needed_until, window.zone),
        "date": (window.needed_until + _GOOD_AFTER).date(),
    }


def _of_host(plan: Plan, host: Host, lost: NoReply) -> Mapping[str, object]:
    key = beside(plan.folder, host.key) if host.key else lost.session.get("key", "")
    return {
        "user": host.user or lost.session.get("user", "") or "the login",
        "port": lost.session.get("port", host.ssh_port),
        "owner": plan.person(host.owner) or f"the owner of {host.id}",
        "credential": "password" if host.password else "key",
        "locked": _LOCKED.format(host=host.id, user=host.user or "the login") if host.password else "",
        "jump": lost.session.get("jump", host.jump),
        "key": shlex.quote(key) if key else "the key file",
        "pin_again": pin_again_command(plan, host),
    }


def _of_database(plan: Plan, database: Database) -> Mapping[str, object]:
    name, address = database.dbname, database.server_address(plan.home_of(database))
    return {
        "user": database.user,
        "role": quote_identifier(database.user),
        "literal": quote_literal(database.user),
        "name": name,
        "database": quote_identifier(name),
        "address": database.address_key,
        "server": shlex.quote(address),
        "port": database.port,
        "host": database.tunnel_host or address,
        "owner": plan.person(database.owner) or f"the owner of {database.id}",
    }
