"""command against a real sshd, real sudo and real processes here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from preflight_checks.command import Command, CommandCheck

from preflight.finding import Finding, Status
from preflight.plan import Account as Login
from preflight.plan import Become
from tests.site.accounts import Account, Accounts
from tests.site.asking import finding, host_on, make_plan, told
from tests.site.site import Site

Ask = Callable[..., Finding]


@pytest.fixture
def ask(site: Site, tmp_path: Path, good_account: Account) -> Ask:
    """The finding about a shell script, run as a command on the host or, without one, here."""

    def ask(
        script: str, *, host: str = "db1", login: Account = good_account, account: str = "", seconds: float = 10
    ) -> Finding:
        command = Command(
            id="own", program="/bin/sh", arguments=("-c", script), host=host, account=Login(account),
            timeout=timedelta(seconds=seconds),
        )  # fmt: skip
        db1 = host_on(site.sshd, login, become=(Become(account=Login("nobody")),))
        plan = make_plan(
            tmp_path,
            hosts=[db1],
            known_hosts=site.sshd.known_hosts_lines(),
            checks={"command": {"run": {"own": command}}},
        )
        return finding(CommandCheck, plan)

    return ask


@pytest.mark.parametrize("host", ["db1", ""])
@pytest.mark.parametrize(
    ("script", "status", "summary"),
    [
        ("echo 'OK - all well|x=1'", Status.PASS, "OK - all well"),
        ('echo "WARNING: it\'s $((40 + 2))"; exit 1', Status.WARN, "WARNING: it's 42"),
        ('echo "looking ..."; exit 1', Status.FAIL, "looking ..."),
        ("exit 1", Status.FAIL, "exit status 1, nothing printed"),
        ("printf 'Traceback:\\nKeyError: 1\\n' >&2; exit 1", Status.FAIL, "exit status 1: KeyError: 1"),
        ("echo CRITICAL; exit 2", Status.FAIL, "CRITICAL"),
        ("echo dunno; exit 3", Status.UNKNOWN, "dunno, exit status 3: it does not know"),
        ("kill -9 $$", Status.UNKNOWN, "it ended with 137, which is no plugin's exit status"),
        ("/absent/plugin", Status.UNKNOWN, "/bin/sh, or a program that it calls, is not there"),
    ],
)
def test_the_end_of_the_command_is_judged(ask: Ask, host: str, script: str, status: Status, summary: str) -> None:
    found = ask(script, host=host)
    assert (found.status, found.judgement.summary) == (status, summary), told(found)


@pytest.mark.parametrize("host", ["db1", ""])
def test_a_command_that_hangs_is_unknown(ask: Ask, host: str) -> None:
    found = ask("sleep 600", host=host, seconds=0.5)
    assert found.status is Status.UNKNOWN, told(found)
    assert found.judgement.remedy.endswith("sleep 600'; or raise `timeout` in [checks.command.run.own]"), told(found)


def test_a_command_runs_as_the_account_that_the_plan_names(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    accounts.allow_sudo(account, "nobody", ["/bin/sh"])
    found = ask("id -un", login=account, account="nobody")
    assert (found.status, found.judgement.summary) == (Status.PASS, "nobody"), told(found)


def test_an_account_that_sudo_refuses_is_unknown_and_no_warning(ask: Ask, accounts: Accounts) -> None:
    found = ask("echo OK", login=accounts.add(), account="nobody")
    assert found.status is Status.UNKNOWN, told(found)
    assert "sudo does not let the login run it as nobody" in found.judgement.summary
