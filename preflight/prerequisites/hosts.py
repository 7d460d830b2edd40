"""What is asked of those who own the hosts: logins, sudo rules, folders. Pure."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator

from preflight.clock import format_moment
from preflight.plan import Host, Plan
from preflight.plan.work import Section, ServerWork, programs_of, work_on
from preflight.prerequisites import Requirement

_BIN = "/usr/bin/"
_SHELL = "/bin/sh"
_PLAIN = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_./+-]*")


def requirements(plan: Plan) -> Iterator[Requirement]:
    for host in plan.hosts.values():
        yield _login(plan, host)
        for account in _accounts(plan, host):
            yield _sudo(plan, host, account)
    yield from _folders(plan)


def _login(plan: Plan, host: Host) -> Requirement:
    login = f"The login {host.user}" if host.user else "The login of ssh_config"
    how = "a password, which whoever runs preflight holds" if host.password else "the key of ssh_config"
    if host.key or host.agent:
        how = f"the public key of {host.key.name if host.key else f'the agent ({host.agent})'} in authorized_keys"
    until = format_moment(plan.window.needed_until, plan.window.zone)
    elsewhere = ", or where ssh_config leads" if host.ssh_config else ""
    text = (
        f"{login} on {host.id} ({host.address or host.id}, port {host.ssh_port}{elsewhere}) by {how}, "
        f"with a shell and without a forced command. Account, password and key hold past {until}."
    )
    return Requirement(owner=host.owner, text=text, checks=("host-login",))


def _accounts(plan: Plan, host: Host) -> list[str]:
    """Accounts other than the login that do work on this host, or that the plan wants to be reached."""
    worked = [work.account for work in work_on(plan, host.id)]
    named = [entry.account for entry in host.become]
    return [account for account in dict.fromkeys([*named, *worked]) if account and account != host.user]


def is_plain(names: Iterable[str]) -> bool:
    """Whether all of them mean just themselves in a line of sudoers."""
    return all(_PLAIN.fullmatch(name) and name != "ALL" for name in names)


def sudoers_line(plan: Plan, host: Host, account: str) -> str:
    """The rule with which the login becomes `account` for just what the plan's work and its checks run: the programs,
    and a shell that looks at folders which only the account may see. Empty for names that sudoers gives a meaning."""
    works = [work for work in work_on(plan, host.id) if work.account == account]
    telling = [work.program("psql") for work in works if work.connects]  # which server it reaches; pg_dump does not
    started = [_started(plan, act) for work in works for act in work.acts if act.command]
    names = [*programs_of(plan, host.id, account), *telling, *started]
    programs = [name if name.startswith("/") else _BIN + name for name in names]
    listed = [*programs, _SHELL] if works or not programs else programs
    secret = next((entry.password for entry in host.become if entry.account == account), None)
    tag = "" if secret else "NOPASSWD: "
    if not is_plain([host.user, account, *listed]):
        return ""
    return f"{host.user} ALL=({account}) {tag}{', '.join(dict.fromkeys(listed))}"


def _started(plan: Plan, work: ServerWork) -> str:
    """The program of a `command`, which may be named relative to the staged folder."""
    program = work.command[0]
    if "/" not in program or work.section is not Section.SCRIPTS:
        return program
    return posixpath.normpath(posixpath.join(plan.scripts[work.id].staged, program))


def _sudo(plan: Plan, host: Host, account: str) -> Requirement:
    text = (
        f"On {host.id}: {host.who} becomes {account} without a prompt for the programs of the work, and for a shell "
        f"that looks at the folders only {account} may see. Where the programs lie elsewhere, with their paths there."
    )
    if any(entry.account == account and entry.password for entry in host.become):
        text = text.replace("without a prompt", "with its own password")
    line = sudoers_line(plan, host, account)
    if not line:
        text += " A name in it means something else in sudoers: write this rule by hand."
    return Requirement(
        owner=host.owner,
        text=text,
        lines=(line,) if line else (),
        language="sudoers",
        checks=("become", "backup-location", "rollback-ready", "script-hashes"),
    )


def _folders(plan: Plan) -> Iterator[Requirement]:
    for backup in plan.backups.values():
        host = plan.host_of(backup)
        account = backup.account or host.user
        text = (
            f"On {host.id}: the folder for the backup, on other storage than the data directory, writable by "
            f"{account or host.who}."
        )
        yield _folder(host, text, account, "0700", backup.directory, "backup-location", "backup-space")
    for scripts in plan.scripts.values():
        host = plan.host_of(scripts)
        account = scripts.account or host.user
        who = account or host.who
        starts = "" if account == host.user else f", to be entered by {host.who}, who starts the line there"
        text = f"On {host.id}: the folder for the staged scripts, readable by {who}{starts}; not writable by others."
        yield _folder(host, text, account, "0751" if starts else "0750", scripts.staged, "script-hashes")
        if scripts.log:
            text = f"On {host.id}: {who} may write {scripts.log}, whose folder is there."
            yield Requirement(owner=host.owner, text=text, checks=("script-runner",))


def _folder(host: Host, text: str, account: str, mode: str, folder: str, *checks: str) -> Requirement:
    """With the line that makes it, where the plan names the account."""
    line = f"install -d -m {mode} -o {shlex.quote(account)} {shlex.quote(folder)}"
    return Requirement(owner=host.owner, text=text, lines=(line,) if account else (), language="sh", checks=checks)
