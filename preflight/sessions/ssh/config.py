"""`~/.ssh/config` through `ssh -G`: OpenSSH's own reading of its own file, where the plan opts in.

paramiko's reader drops `Include`, takes an unknown `Match` criterion for true, and runs `Match exec` on a mere look-up
(as `ssh -G` does, too)."""

import os
import re
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from os.path import isfile
from pathlib import Path

from preflight.clock import Deadline
from preflight.plan import Account, Host
from preflight.reasons import Reason
from preflight.sessions import CannotAsk, local_path

_SECONDS = 5.0
_AT_ONCE = threading.BoundedSemaphore(8)
"""Programs started at the same time: each takes several descriptors and a core."""
_NOWHERE = ("-v", "-N", "-o", "ProxyCommand=false", "-o", "ControlPath=none", "-o", "BatchMode=yes")
_LISTS = frozenset({"userknownhostsfile", "globalknownhostsfile"})


@dataclass(frozen=True, slots=True)
class Configured:
    """A host with what ssh_config adds to the plan."""

    host: Host
    jumps: tuple[Host, ...] = ()
    """ProxyJump, the hop next to the host last."""
    known_hosts: tuple[Path, ...] | None = None
    """UserKnownHostsFile and GlobalKnownHostsFile; None without ssh_config."""
    agent_socket: str = ""
    """IdentityAgent; empty for SSH_AUTH_SOCK."""


def configure(host: Host, deadline: Deadline) -> Configured:
    """`host` completed from ssh_config where the plan says nothing. Raises CannotAsk."""
    done = _ssh(host, deadline, "-G")
    if done.returncode != 0:
        raise CannotAsk(Reason.SSH_CONFIG, f"`ssh -G` for {host.id} failed: {' '.join(done.stderr.split())[:300]}")
    options = parse(done.stdout)
    first = {name: values[0] for name, values in options.items() if values}
    jump = first.get("proxyjump", "none")
    if not host.jump and jump == "none" and first.get("proxycommand", "none") != "none":
        detail = f"ssh_config reaches {host.id} by ProxyCommand, which is not supported; name a jump host"
        raise CannotAsk(Reason.PROXY_COMMAND, detail)
    alias = first.get("hostkeyalias", "none")
    complete = replace(
        host,
        address=first.get("hostname", host.address or host.id),
        port=int(first["port"]) if host.port is None and first.get("port", "").isdecimal() else host.port,
        user=host.user or Account(first.get("user", "")),
        host_key_alias=host.host_key_alias or ("" if alias == "none" else alias),
    )
    names = _key_files(host, options, deadline)
    if not host.agent and host.password is None:  # one credential: that of the plan comes before it
        complete = replace(complete, key=host.key or _first_file(names["identity"]))
    complete = replace(complete, certificate=host.certificate or _first_file(names["certificate"]))
    files = options.get("userknownhostsfile", []) + options.get("globalknownhostsfile", [])
    agent = first.get("identityagent", "SSH_AUTH_SOCK")
    return Configured(
        host=complete,
        jumps=() if host.jump or jump == "none" else tuple(_jump_host(spec) for spec in jump.split(",")),
        known_hosts=tuple(local_path(name) for name in files if name != "none"),
        agent_socket="" if agent in ("SSH_AUTH_SOCK", "none") else str(local_path(os.path.expandvars(agent))),
    )


def parse(output: str) -> dict[str, list[str]]:
    """The lines of `ssh -G`: lower-case keyword, value. Lists of files are split, repeated keywords add up (an
    identity file has a line of its own, so that its name may hold spaces)."""
    options: dict[str, list[str]] = {}
    for line in output.splitlines():
        keyword, _, value = line.strip().partition(" ")
        if value:
            options.setdefault(keyword.lower(), []).extend(_files(value) if keyword in _LISTS else [value])
    return options


def _files(value: str) -> list[str]:
    """The names in a list of files; of one that holds a space, which `ssh -G` prints unquoted, the file that exists."""
    words, names = value.split(" "), list[str]()
    while words:
        end = next((end for end in range(len(words), 1, -1) if isfile(local_path(" ".join(words[:end])))), 1)
        names.append(" ".join(words[:end]))
        del words[:end]
    return names


def _ssh(host: Host, deadline: Deadline, *options: str) -> subprocess.CompletedProcess[str]:
    argv = ["ssh", *options]
    argv += [] if host.port is None else ["-p", str(host.port)]
    argv += ["-l", host.user] if host.user else []
    argv += ["--", host.address or host.id]
    try:
        with _AT_ONCE:
            return subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=min(_SECONDS, deadline.left()),
                check=False,
                encoding="utf-8",
                errors="replace",
            )
    except FileNotFoundError:
        detail = f"ssh_config = true for {host.id} needs the OpenSSH client, and there is no `ssh` here"
        raise CannotAsk(Reason.SSH_CONFIG, detail) from None
    except subprocess.TimeoutExpired:
        raise CannotAsk(Reason.SSH_CONFIG, f"`ssh -G` for {host.id} did not finish within {_SECONDS:.0f} s") from None
    except (OSError, ValueError) as error:
        raise CannotAsk(Reason.SSH_CONFIG, f"`ssh -G` for {host.id}: {error}") from None


def _key_files(host: Host, options: Mapping[str, list[str]], deadline: Deadline) -> dict[str, list[str]]:
    """The names of files with keys (`identity`) and with certificates (`certificate`). `ssh -G` prints them as they are
    written. What their tokens and variables stand for, ssh tells when it is about to connect; the way there that it is
    given leads nowhere."""
    names = {kind: options.get(f"{kind}file", []) for kind in ("identity", "certificate")}
    if not any(mark in name for written in names.values() for name in written for mark in "%$"):
        return names
    told = _ssh(host, deadline, *_NOWHERE).stderr
    return {kind: re.findall(rf"^debug1: {kind} file (.+) type -?\d+$", told, re.MULTILINE) for kind in names}


def _first_file(names: list[str]) -> Path | None:
    """The first that exists: one credential, one attempt."""
    return next((path for path in map(local_path, names) if isfile(path)), None)


def _jump_host(spec: str) -> Host:
    """A hop of ProxyJump: `[user@]host[:port]` or `ssh://[user@]host[:port]`."""
    user, _, place = spec.strip().removeprefix("ssh://").rpartition("@")
    if place.startswith("["):
        address, _, port = place[1:].partition("]")
        port = port.removeprefix(":")
    else:
        address, _, port = place.partition(":")
    number = int(port) if port.isdecimal() else None
    return Host(id=f"ProxyJump {spec.strip()}", address=address, port=number, user=Account(user), ssh_config=True)
