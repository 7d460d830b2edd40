"""backup-duration on a real host, with archives of the real pg_dump."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from preflight_checks.backup_duration import BackupDuration

from preflight.finding import Finding, Status
from preflight.plan import Account as Login
from preflight.plan import Backup, Become, Database, RemotePath, Step
from preflight.questions.backup_times import WriteRate
from preflight.questions.shell import AsAccount
from tests.site.accounts import Account, Accounts
from tests.site.archives import set_header
from tests.site.asking import finding, host_on, make_plan, told
from tests.site.netns import Namespace
from tests.site.postgres import Cluster
from tests.site.site import Site
from tests.site.sshd import Sshd

Ask = Callable[..., Finding]


@pytest.fixture
def ask(site: Site, tmp_path: Path, shared_path: Path, good_account: Account) -> Ask:
    """The finding about a backup whose step has 30 minutes and whose archives lie in the shared folder."""

    def ask(
        login: Account = good_account,
        account: str = "",
        *,
        sample: bool = False,
        pattern: str = "*",
        sshd: Sshd = site.sshd,
        within: Namespace | None = None,
        source: str = "guess",
    ) -> Finding:
        host = host_on(sshd, login, become=(Become(account=Login(account)),) if account else ())
        backup = Backup(
            id="orders", database="orders", directory=RemotePath(str(shared_path)), step="dump",
            previous=RemotePath(f"{shared_path}/{pattern}"), account=Login(account),
        )  # fmt: skip
        plan = make_plan(
            tmp_path,
            hosts=[host],
            databases=[Database(id="orders", host="db1", user=Login("release"))],
            known_hosts=sshd.known_hosts_lines(),
            backups={"orders": backup},
            steps=(Step(id="dump", minutes=30, source=source),),
            checks={"backup-duration": {"sample": sample}},
        )
        return finding(BackupDuration, plan) if within is None else within.call(lambda: finding(BackupDuration, plan))

    return ask


def dump(cluster: Cluster, folder: Path, owner: str, took: timedelta, *options: str, zone: str = "UTC") -> Path:
    """An archive that was finished so long after it was begun, which is now."""
    spool, made = cluster.backups / "duration", folder / "orders.dump"
    cluster.client("pg_dump", "--no-sync", "--schema-only", *options, "-f", spool, "postgres", zone=zone)
    shutil.move(spool, made)
    for path in [made, *made.rglob("*")]:
        shutil.chown(path, owner, owner)
        os.utime(path, ((datetime.now(UTC) + took).timestamp(),) * 2)
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


@pytest.fixture(scope="module", params=["America/New_York", "Asia/Kolkata"])
def zone(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def abroad(site: Site, zone: str) -> Namespace:
    return site.start_namespace(zone=zone)


@pytest.fixture(scope="module")
def sshd_abroad(site: Site, abroad: Namespace) -> Sshd:
    site.account("good")
    return site.start_sshd(namespace=abroad)


@pytest.mark.case(57)
@pytest.mark.parametrize(
    ("form", "minutes", "status"),
    [("-Fc", 25, Status.PASS), ("-Ft", 25, Status.PASS), ("-Fd", 25, Status.PASS), ("-Fc", 70, Status.WARN)],
)
def test_the_zone_of_the_host_neither_hides_nor_adds_time(
    ask: Ask, postgres: Cluster, shared_path: Path, good_account: Account, zone: str, abroad: Namespace,
    sshd_abroad: Sshd, form: str, minutes: int, status: Status,
) -> None:  # fmt: skip
    dump(postgres, shared_path, good_account.name, timedelta(minutes=minutes), form, zone=zone)
    found = ask(sshd=sshd_abroad, within=abroad)
    assert found.status is status, told(found)
    took = ("took 24 min", "took 25 min") if minutes == 25 else ("took 1 h 9 min", "took 1 h 10 min")
    assert any(each in told(found) for each in took), told(found)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Pacific/Chatham"])
def test_a_zone_that_the_host_does_not_name_is_unknown(
    ask: Ask, postgres: Cluster, shared_path: Path, good_account: Account, zone: str
) -> None:
    dump(postgres, shared_path, good_account.name, timedelta(minutes=25), "-Fc", zone=zone)
    cannot_be_told(ask())


def cannot_be_told(found: Finding) -> None:
    assert found.status is Status.UNKNOWN, told(found)
    assert "how long it took cannot be told" in found.judgement.summary
    assert "a new file each time" in found.judgement.remedy


@pytest.mark.parametrize("file", ["environment", "crontab", "cron.d/dump"])
def test_a_zone_that_the_hosts_cron_names_counts_too(
    site: Site, ask: Ask, postgres: Cluster, shared_path: Path, good_account: Account, file: str
) -> None:
    machine = site.start_namespace(zone="America/New_York")
    machine.run("sh", "-c", f"echo 'TZ=\"Europe/Berlin\"' >>/etc/{file}")
    sshd = site.start_sshd(namespace=machine)
    dump(postgres, shared_path, good_account.name, timedelta(minutes=70), "-Fc", zone="Europe/Berlin")
    found = ask(sshd=sshd, within=machine)
    assert found.status is Status.WARN, told(found)
    assert "took 1 h" in told(found)


@pytest.mark.parametrize("before", [timedelta(hours=1), timedelta(minutes=59, seconds=30), timedelta(minutes=15)])
@pytest.mark.parametrize("source", ["guess", "measured 2026-10-01"])
def test_a_copy_does_not_tell_how_long_the_dump_took(
    ask: Ask, postgres: Cluster, shared_path: Path, good_account: Account, before: timedelta, source: str
) -> None:
    """Its file was made so long after it was begun; as whole an hour as zones lie apart or not."""
    made = dump(postgres, shared_path, good_account.name, timedelta(), "-Fc")
    set_header(made, f"{datetime.now(UTC) - before:%Y-%m-%d %H:%M:%S}", summer=False)
    cannot_be_told(ask(source=source))


def test_a_file_that_is_written_over_does_not_tell_how_long_the_dump_took(
    ask: Ask, postgres: Cluster, shared_path: Path, good_account: Account
) -> None:
    made = dump(postgres, shared_path, good_account.name, timedelta(minutes=15), "-Fc")
    set_header(made, f"{datetime.now(UTC) + timedelta(minutes=15):%Y-%m-%d %H:%M:%S}", summer=False)
    cannot_be_told(ask())


def test_an_end_before_the_beginning_is_unknown(
    ask: Ask, postgres: Cluster, shared_path: Path, good_account: Account
) -> None:
    """Copied with its time of change."""
    dump(postgres, shared_path, good_account.name, -timedelta(hours=1), "-Fc")
    cannot_be_told(ask())


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


@pytest.mark.long
def test_a_sample_of_the_storage_leaves_nothing_behind(
    ask: Ask, postgres: Cluster, shared_path: Path, good_account: Account
) -> None:
    dump(postgres, shared_path, good_account.name, timedelta(minutes=5), "-Fc")
    before = sorted(shared_path.rglob("*")), shared_path.stat().st_mtime_ns
    found = ask(sample=True)
    assert found.status is Status.PASS, told(found)
    asked = WriteRate("db1", AsAccount("", is_login=True), RemotePath(str(shared_path))).ask()
    assert "written=" in subprocess.run(["sh", "-c", asked], capture_output=True, text=True).stdout, "it was tried"
    assert (sorted(shared_path.rglob("*")), shared_path.stat().st_mtime_ns) == before, "no name, not for a moment"
