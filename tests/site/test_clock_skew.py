"""clock-skew against a real sshd and a real PostgreSQL: with a wrong clock there, and with a wrong one here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from preflight_checks.clock_skew import ClockSkew

from preflight import clock
from preflight.finding import Finding, Status
from preflight.plan import SecretRef
from tests.site.accounts import Account, Accounts
from tests.site.asking import database_on, findings, host_on, make_plan, told
from tests.site.site import Site

Ask = Callable[..., Mapping[str, Finding]]


@pytest.fixture
def ask(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """The findings about hosts with these logins, and about a database on the host `db1`."""

    def ask(database: bool = False, **logins: Account) -> Mapping[str, Finding]:
        hosts = [host_on(site.sshd, login, id=name) for name, login in logins.items()]
        databases = []
        if database:
            role = site.postgres.create_role("clock")
            monkeypatch.setenv("CLOCK_PASSWORD", role.password)
            password = SecretRef("env", "CLOCK_PASSWORD")
            databases.append(database_on(site.postgres, role.name, name="postgres", password=password))
        plan = make_plan(tmp_path, hosts=hosts, databases=databases, known_hosts=site.sshd.known_hosts_lines())
        return findings(ClockSkew, plan)

    return ask


def use_clock(account: Account, offset_seconds: float) -> None:
    """Gives the account a `date` that is off by so much."""
    account.replace_program(
        "date",
        f"""case $1 in
  +%s.%N) exec /usr/bin/date --date='{offset_seconds:+} seconds' "$@" ;;
  *) exec /usr/bin/date "$@" ;;
esac""",
    )


def use_machine(account: Account, number: int) -> None:
    """Lets the account see another boot than the test machine's, as if it were on a machine of its own."""
    boot = f"{number:08d}-0000-4000-8000-000000000000"
    account.replace_program("cat", f'case $1 in */boot_id) echo {boot} ;; *) exec /usr/bin/cat "$@" ;; esac')


def test_clocks_that_agree_pass_and_name_their_zones(ask: Ask, site: Site) -> None:
    found = ask(database=True, db1=site.account("good"))
    assert set(found) == {"db1", "database orders"}
    for one in found.values():
        assert one.status is Status.PASS, told(one)
    assert "(+" in found["db1"].judgement.summary
    assert "TimeZone" in found["database orders"].judgement.summary


@pytest.mark.parametrize(
    ("offset", "status", "way"),
    [(+30, Status.WARN, "ahead of"), (-30, Status.WARN, "behind"), (+90, Status.FAIL, "ahead of"),
     (-90, Status.FAIL, "behind")],
)  # fmt: skip
def test_a_host_whose_clock_is_off_is_told(
    ask: Ask, accounts: Accounts, site: Site, offset: int, status: Status, way: str
) -> None:
    account = accounts.add()
    use_clock(account, offset)
    found = ask(database=True, db1=account, db2=site.account("good"))
    assert found["db1"].status is status, told(found["db1"])
    assert f" {way} this machine's" in found["db1"].judgement.summary
    assert "suspect" not in found["db1"].judgement.summary
    assert "have the clock of db1 set" in found["db1"].judgement.remedy
    quantity = found["db1"].judgement.quantity
    assert quantity is not None
    assert quantity.value == pytest.approx(abs(offset), abs=2)
    assert found["db2"].status is found["database orders"].status is Status.PASS


@pytest.fixture
def behind_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's own clock is 100 s late."""

    class Behind(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) - timedelta(seconds=100)

    monkeypatch.setattr(clock, "datetime", Behind)


@pytest.mark.usefixtures("behind_here")
def test_a_wrong_clock_here_is_suspected_when_two_machines_agree(ask: Ask, accounts: Accounts) -> None:
    logins = {"db1": accounts.add(), "db2": accounts.add()}
    for number, login in enumerate(logins.values(), 1):
        use_machine(login, number)
    found = ask(database=True, **logins)
    for one in found.values():
        assert one.status is Status.FAIL, told(one)
        assert "this machine's own clock is suspect" in one.judgement.summary
        assert one.judgement.remedy.startswith("look at this machine's clock first")


@pytest.mark.case(47)
def test_two_entries_of_one_machine_whose_clock_is_off_do_not_blame_this_one(ask: Ask, accounts: Accounts) -> None:
    """Two logins of one machine agree with each other and with nobody else: it is that machine's clock."""
    logins = {"db1": accounts.add(), "db1-too": accounts.add()}
    for login in logins.values():
        use_clock(login, 90)
    for name, one in ask(**logins).items():
        assert one.status is Status.FAIL, told(one)
        assert "suspect" not in one.judgement.summary
        assert one.judgement.summary.endswith("; db1 and db1-too are one machine"), name
        assert "have the clock of db1 set" in one.judgement.remedy


def test_a_date_that_prints_no_time_is_unknown(ask: Ask, accounts: Accounts) -> None:
    account = accounts.add()
    use_clock(account, 0)
    (account.home / "bin" / "date").write_text("#!/bin/sh\necho soon\n")
    assert ask(db1=account)["db1"].status is Status.UNKNOWN


def test_a_host_nobody_reaches_is_unknown(ask: Ask, site: Site) -> None:
    found = ask(db1=site.account("nologin"))["db1"]
    assert found.status is Status.UNKNOWN, told(found)
    assert "nologin" in found.cause
