"""OpenSSH's own client against a site's sshd."""

from __future__ import annotations

import subprocess

from tests.site.accounts import Account
from tests.site.machine import needs, run
from tests.site.sshd import Sshd


def ssh(sshd: Sshd, account: Account, command: str, *, password: bool = False) -> subprocess.CompletedProcess[str]:
    """Logs in with OpenSSH's own client and runs `command`."""
    known_hosts = sshd.known_hosts(account.key.parent / "known_hosts")
    options = ["-F", "none", "-o", f"UserKnownHostsFile={known_hosts}", "-o", "GlobalKnownHostsFile=none"]
    environment = {}
    if password:
        answer = account.key.parent / "askpass"
        answer.write_text(f"#!/bin/sh\necho '{account.password}'\n")
        answer.chmod(0o700)
        environment = {"SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force"}
        options += ["-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1"]
    else:
        options += ["-o", "IdentitiesOnly=yes", "-i", str(account.key), "-o", "BatchMode=yes"]
    where = ["-p", str(sshd.port), f"{account.name}@{sshd.address}"]
    return run(needs("ssh"), *options, *where, command, environment=environment, check=False)
