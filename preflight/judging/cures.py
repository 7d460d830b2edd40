"""Commands that cures print, ready to be pasted in the plan's folder. Pure."""

from __future__ import annotations

import shlex
from pathlib import Path

from preflight.plan import Host, Plan
from preflight.plan.values import SSH_PORT
from preflight.wording import beside


def seal_command(plan: Plan) -> str:
    return f"preflight seal {shlex.quote(plan.path.name)}"


def pin_again_command(plan: Plan, host: Host) -> str:
    """Takes the host's pinned key out and asks for the one it shows now: `preflight seal` replaces none."""
    address = host.address or host.id
    name = host.host_key_alias or (address if host.ssh_port == SSH_PORT else f"[{address}]:{host.ssh_port}")
    file = beside(plan.folder, host.known_hosts[0] if host.known_hosts else plan.sealed_known_hosts)
    return f"ssh-keygen -R {shlex.quote(name)} -f {shlex.quote(file)} && {seal_command(plan)}"


def ssh_command(plan: Plan, host: Host, command: str) -> str:
    """`command`, quoted for the shell there, on the host."""
    return shlex.join(["ssh", *_options(plan, host), "--", _login(host), command])


def copy_command(plan: Plan, host: Host, source: str, target: str) -> str:
    """`source`, a path seen from the plan's folder, to `target` on the host; what is in it where it ends in `/.`."""
    folder = ["-r"] if source.endswith("/.") else []
    return shlex.join(["scp", *folder, *_options(plan, host, port="-P"), "--", source, f"{_login(host)}:{target}"])


def _options(plan: Plan, host: Host, *, port: str = "-p") -> list[str]:
    """What the plan says of the way to the host; the rest is ssh_config's, as it is for preflight."""
    options = []
    if host.port is not None:
        options += [port, str(host.port)]
    if host.key:
        options += ["-i", beside(plan.folder, host.key)]
    files = [
        beside(plan.folder, file) for file in host.known_hosts or (plan.sealed_known_hosts, Path("~/.ssh/known_hosts"))
    ]
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
