"""backup-duration on a real host, with archives of the real pg_dump."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from preflight_checks.backup_duration import BackupDuration

from preflight.finding import Finding, Status
from preflight.plan import Account as Login
from preflight.plan import Backup, Become, Database, Host, RemotePath, Step
from tests.site.accounts import Account, Accounts
from tests.site.asking import NOW, finding, make_plan, told
from tests.site.postgres import Cluster
from tests.site.site import Site

Ask = Callable[..., Finding]


@pytest.fixture
def ask(site: Site, tmp_path: Path, shared_path: Path, good_account: Account) -> Ask:
    """The finding about a backup whose step has 30 minutes and whose archives lie in the shared folder."""

    def ask(login: Account = good_account, account: str = "", *, sample: bool = False, pattern: str = "*") -> Finding:
        host = Host(
            id="db1", address=site.sshd.address, port=site.sshd.port, user=Login(login.name), key=login.key,
            become=(Become(account=Login(account)),) if account else (),
        )  # fmt: skip
        backup = Backup(
            id="orders", database="orders", directory=RemotePath(str(shared_path)), step="dump",
            previous=RemotePath(f"{shared_path}/{pattern}"), account=Login(account),
        )  # fmt: skip
        plan = make_plan(
            tmp_path,
            hosts=[host],
            databases=[Database(id="orders", host="db1", user=Login("release"))],
            known_hosts=site.sshd.known_hosts_lines(),
            backups={"orders": backup},
            steps=(Step(id="dump", minutes=30),),
            checks={"backup-duration": {"sample": sample}},
        )
        return finding(BackupDuration, plan)

    return ask


def dump(cluster: Cluster, folder: Path, owner: str, took: timedelta, *options: str) -> Path:
    """An archive that was finished so long after it was begun, which is now."""
    spool, made = cluster.backups / "duration", folder / "orders.dump"
    cluster.client("pg_dump", "--no-sync", "--schema-only", *options, "-f", spool, "postgres")
    shutil.move(spool, made)
    for path in [made, *made.rglob("*")]:
        shutil.chown(path, owner, owner)
        os.utime(path, ((NOW + took).timestamp(),) * 2)
    return made


@pytest.mark.parametrize("form", ["-Fc", "-Ft", "-Fd"])
@pytest.mark.parametrize(("minutes", "status"), [(25, Status.PASS), (70, Status.WARN), (700, Status.FAIL)])
def test_the_archives_own_header_and_its_last_change_tell_how_long_it_took(
    ask: Ask, postgres: Cluster, shared_path: Path, good_account: Account, form: str, minutes: int, status: Status
) -> None:
    dump(postgres, shared_path, good_account.name, timedelta(minutes=minutes), form)
    found = ask()
    assert found.status is status, told(found)
    assert "took" in told(found) + found.judgement.summary


def test_an_account_that_may_only_run_the_programs_is_asked_too(
    ask: Ask, postgres: Cluster, shared_path: Path, accounts: Accounts
) -> None:
    login = accounts.add()
    accounts.allow_sudo(login, "postgres", ["/usr/bin/pg_dump", "/usr/bin/pg_restore"])
    shared_path.chmod(0o755)
    dump(postgres, shared_path, "postgres", timedelta(minutes=70), "-Fc").chmod(0o644)
    found = ask(login, "postgres")
    assert "it takes 1 h" in found.judgement.summary, told(found)


def test_text_tells_nothing_and_a_guess_is_warned_of(ask: Ask, shared_path: Path, good_account: Account) -> None:
    (shared_path / "orders.sql").write_text("-- PostgreSQL database dump\n")
    shutil.chown(shared_path / "orders.sql", good_account.name)
    found = ask()
    assert found.status is Status.WARN, told(found)
    assert "how long it takes is a guess" in found.judgement.summary


def test_a_sample_of_the_storage_leaves_nothing_behind(
    ask: Ask, postgres: Cluster, shared_path: Path, good_account: Account
) -> None:
    dump(postgres, shared_path, good_account.name, timedelta(minutes=5), "-Fc")
    before = sorted(shared_path.rglob("*"))
    found = ask(sample=True)
    assert found.status is Status.PASS, told(found)
    assert sorted(shared_path.rglob("*")) == before
