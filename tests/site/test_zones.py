"""Hosts that are not in UTC: what they say in their own local time means the right moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from preflight_checks.become import BecomeAccount
from preflight_checks.clock_skew import ClockSkew
from preflight_checks.command import Command, CommandCheck
from preflight_checks.competing_jobs import CompetingJobs
from preflight_checks.host_login import HostLogin

from preflight.check import Check
from preflight.finding import Finding, Status
from preflight.plan import Account as Login
from preflight.plan import Become, Host
from tests.site.accounts import Account, Accounts
from tests.site.asking import NOW, WINDOW, findings, make_plan, told
from tests.site.netns import Namespace
from tests.site.site import Site

pytestmark = pytest.mark.case(57)


@dataclass
class Abroad:
    """A host in another zone, and an account on it."""

    zone: str
    machine: Namespace
    host: Host
    known_hosts: str
    folder: Path

    def ask(self, check: type[Check], **settings: Any) -> Mapping[str, Finding]:
        plan = make_plan(
            self.folder,
            hosts=[self.host],
            known_hosts=self.known_hosts,
            checks={check.id: settings} if settings else {},
        )
        return self.machine.call(lambda: findings(check, plan))

    def local(self, moment: datetime) -> datetime:
        return moment.astimezone(ZoneInfo(self.zone))


@pytest.fixture
def account(accounts: Accounts) -> Account:
    return accounts.add()


@pytest.fixture(params=["America/New_York", "Asia/Kolkata"])
def abroad(request: pytest.FixtureRequest, site: Site, account: Account, tmp_path: Path) -> Iterator[Abroad]:
    machine = site.start_namespace(zone=request.param)
    sshd = site.start_sshd(namespace=machine)
    host = Host(id="db1", address=sshd.address, user=Login(account.name), key=account.key)
    yield Abroad(request.param, machine, host, sshd.known_hosts_lines(), tmp_path)
    sshd.close()


def test_its_zone_is_named(abroad: Abroad) -> None:
    found = abroad.ask(ClockSkew)["db1"]
    assert found.status is Status.PASS, told(found)
    assert abroad.zone in found.judgement.summary


def test_a_job_of_its_cron_starts_when_its_own_clock_says_so(abroad: Abroad) -> None:
    at = WINDOW.start + timedelta(minutes=10)
    abroad.machine.run("touch", "/usr/sbin/cron")
    line = f"{abroad.local(at):%M %H} * * * root /opt/report\n"
    abroad.machine.run("tee", "/etc/cron.d/report", stdin=line)
    found = abroad.ask(CompetingJobs)["db1"]
    (event,) = [each for each in found.judgement.events if "/opt/report" in each.text]
    assert event.at == at.replace(second=0, microsecond=0)


def test_a_key_ends_when_its_own_clock_says_so(abroad: Abroad, accounts: Accounts, account: Account) -> None:
    """sshd reads a time without Z in the zone of its machine."""
    ends = NOW + timedelta(hours=2)
    accounts.authorize(account.name, f'expiry-time="{abroad.local(NOW - timedelta(minutes=5)):%Y%m%d%H%M}"')
    assert abroad.ask(HostLogin)["db1"].judgement.summary.startswith("no login")
    line = f'expiry-time="{abroad.local(ends):%Y%m%d%H%M}" {account.key.with_suffix(".pub").read_text()}'
    accounts.authorize(account.name, public_key=line.strip())
    own = account.home / ".ssh"
    own.mkdir()
    (own / "authorized_keys").write_text(line)
    found = abroad.ask(HostLogin)["db1"]
    assert found.status is Status.FAIL, told(found)
    (event,) = found.judgement.events
    assert timedelta() <= ends - event.at <= timedelta(hours=1, minutes=1), "an hour early, as the clocks may change"


def test_a_sudo_rule_ends_when_its_own_clock_says_so(abroad: Abroad) -> None:
    """sudo reads a time without Z in the zone of its caller."""
    at = (WINDOW.start + timedelta(minutes=10)).replace(microsecond=0)
    rule = f"{abroad.host.user} ALL=(nobody) NOTAFTER={abroad.local(at):%Y%m%d%H%M%S} NOPASSWD: ALL\n"
    abroad.machine.run("tee", "/etc/sudoers.d/zones", stdin=rule)
    abroad.host = replace(abroad.host, become=(Become(account=Login("nobody")),))
    (found,) = abroad.ask(BecomeAccount).values()
    assert found.status is Status.FAIL, told(found)
    assert [event.at for event in found.judgement.events] == [at]


def test_a_command_of_the_plans_own_runs_by_its_own_clock(abroad: Abroad) -> None:
    command = Command(id="own", program="/bin/date", arguments=("+%z",), host="db1")
    found = abroad.ask(CommandCheck, run={"own": command})["own"]
    assert found.judgement.summary == f"{abroad.local(NOW):%z}"
