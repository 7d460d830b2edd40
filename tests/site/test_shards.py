"""Jobs that share a plan share no password: a wrong one is refused once, whatever it is split into."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.program import BASE, preflight, write_plan
from tests.site.accounts import Accounts
from tests.site.site import Site

SHARDS = 3


@pytest.mark.long
def test_a_wrong_password_that_ten_entries_share_is_refused_once(
    site: Site, accounts: Accounts, tmp_path: Path
) -> None:
    account = accounts.add()
    server = site.start_sshd(address="0.0.0.0")
    addresses = [f"127.21.0.{number + 1}" for number in range(20)]
    (tmp_path / "known_hosts").write_text(
        "".join(server.known_hosts_lines(f"[{address}]:{server.port}") for address in addresses)
    )
    hosts = ""
    for number, address in enumerate(addresses):
        login = f'key = "{account.key}"' if number % 2 else 'password = "env:SHARED"'
        hosts += f'\n[hosts.h{number}]\naddress = "{address}"\nport = {server.port}\nuser = "{account.name}"\n{login}\n'
    plan = write_plan(tmp_path, BASE + hosts.replace("\nuser", '\nknown_hosts = ["known_hosts"]\nuser'))
    files = [tmp_path / f"{number}.json" for number in range(1, SHARDS + 1)]
    for number, file in enumerate(files, 1):
        done = preflight("collect", plan, "--shard", f"{number}/{SHARDS}", "--output", file, SHARED="canary-hunter22")
        assert done.returncode == 0, done.stderr
    judged = preflight("judge", plan, *files)
    assert judged.returncode == 1
    assert "is missing, which asks" not in judged.stdout
    server.wait_for_log(f"Failed password for {account.name} ")
    server.close()
    assert server.log.count(f"Failed password for {account.name} ") == 1
    assert server.log.count("Accepted publickey") == 10
