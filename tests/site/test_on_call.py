"""on-call against a real sshd and a real PostgreSQL: whether the people of a role get in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from preflight_checks.database_login import DatabaseLogin
from preflight_checks.host_login import HostLogin
from preflight_checks.on_call import OnCall

from preflight.demo.people import all_confirmed
from preflight.engine.inspection import inspect
from preflight.engine.registry import Registry
from preflight.engine.run import collect
from preflight.finding import Finding, Status
from preflight.plan import Account as Login
from preflight.plan import Database, Host, Role, SecretRef
from preflight.sessions.pools import Pools
from preflight.sessions.secrets import Secrets
from tests.site.accounts import Account, Accounts
from tests.site.asking import NOW, database_on, finding, host_on, make_plan, told
from tests.site.machine import free_port
from tests.site.postgres import Cluster
from tests.site.site import Site

Ask = Callable[[Sequence[Host], Sequence[Database]], Finding]

KAYA, ORTIZ = "D. Kaya", "M. Ortiz"
ROLE = Role(id="dba", primary=KAYA, standby=ORTIZ, contact="ext. 4411")


def login(site: Site, name: str, person: str, account: Account) -> Host:
    return host_on(site.sshd, account, id=name, person=person)


@pytest.fixture
def kaya(site: Site) -> Host:
    return login(site, "db1", KAYA, site.account("good"))


@pytest.fixture
def ask(site: Site, tmp_path: Path) -> Ask:
    """The finding about the role, whose access are all these hosts and databases."""

    def ask(hosts: Sequence[Host], databases: Sequence[Database]) -> Finding:
        role = replace(ROLE, access=(*(host.id for host in hosts), *(database.id for database in databases)))
        known = site.sshd.known_hosts_lines()
        plan = make_plan(tmp_path, hosts=hosts, databases=databases, known_hosts=known, roles={"dba": role})
        return finding(OnCall, replace(plan, confirmed=all_confirmed(plan, NOW)))

    return ask


def test_two_people_with_logins_of_their_own_pass(site: Site, ask: Ask, kaya: Host, accounts: Accounts) -> None:
    found = ask([kaya, login(site, "db1-ortiz", ORTIZ, accounts.add("ortiz"))], [])
    assert found.status is Status.PASS, told(found)
    assert "primary D. Kaya can log in to db1; standby M. Ortiz can log in to db1-ortiz" in found.judgement.summary


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("expired", "denied (account expired)"),
        ("nologin", "no usable shell (nologin)"),
        ("must-change", "no usable shell (password expired)"),
    ],
)
def test_a_standby_whose_account_cannot_work_fails(site: Site, ask: Ask, kaya: Host, kind: str, said: str) -> None:
    found = ask([kaya, login(site, "db1-ortiz", ORTIZ, site.account(kind))], [])
    assert found.status is Status.FAIL, told(found)
    assert found.judgement.summary == f"standby M. Ortiz cannot log in to db1-ortiz: {said}"


def test_a_standby_without_an_account_fails(site: Site, ask: Ask, kaya: Host) -> None:
    """The night's own gap: the other DBA was never on the server."""
    stranger = replace(kaya, id="db1-ortiz", user=Login("nosuchaccount"), person=ORTIZ)
    found = ask([kaya, stranger], [])
    assert found.status is Status.FAIL, told(found)
    assert found.judgement.summary == "standby M. Ortiz cannot log in to db1-ortiz: denied (bad credential)"
    assert ask([kaya], []).judgement.summary == "standby M. Ortiz has no login"


def test_a_host_that_does_not_answer_fails_for_who_needs_it(ask: Ask, kaya: Host) -> None:
    silent = replace(kaya, id="db1-ortiz", port=free_port(), person=ORTIZ)
    found = ask([kaya, silent], [])
    assert found.status is Status.FAIL, told(found)
    assert "cannot log in to db1-ortiz: refused" in found.judgement.summary


def test_a_host_whose_jump_host_is_lost_leaves_it_unknown(ask: Ask, kaya: Host) -> None:
    bastion = replace(kaya, id="bastion", port=free_port(), person="")
    behind = replace(kaya, id="db1-ortiz", jump="bastion", person=ORTIZ)
    found = ask([kaya, bastion, behind], [])
    words = [point.summary for point in found.judgement.points if point.status is Status.UNKNOWN]
    assert [word.partition(":")[0] for word in words] == [
        "could not look whether standby M. Ortiz can log in to db1-ortiz"
    ], told(found)


def test_a_shared_login_is_a_warning(ask: Ask, kaya: Host) -> None:
    found = ask([replace(kaya, person="")], [])
    assert found.status is Status.WARN, told(found)
    assert "nobody's own" in found.judgement.summary


@pytest.fixture
def roles_of_two(
    site: Site, postgres: Cluster, kaya: Host, monkeypatch: pytest.MonkeyPatch
) -> tuple[Database, Database]:
    """One database, for the primary and for the standby."""
    mine, theirs = postgres.create_role("kaya"), postgres.create_role("ortiz")
    name = postgres.create_database("orders", owner=mine.name)
    monkeypatch.setenv("KAYA_PASSWORD", mine.password)
    monkeypatch.setenv("ORTIZ_PASSWORD", theirs.password)
    password = SecretRef("env", "KAYA_PASSWORD")
    entry = database_on(postgres, mine.name, host=kaya.id, name=name, password=password, person=KAYA)
    other = replace(
        entry,
        id="orders-ortiz",
        user=Login(theirs.name),
        password=SecretRef("env", "ORTIZ_PASSWORD"),
        person=ORTIZ,
    )
    return entry, other


def test_a_role_of_each_persons_own_is_access(
    site: Site, tmp_path: Path, kaya: Host, roles_of_two: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    role = replace(ROLE, access=("orders", "orders-ortiz"))
    plan = make_plan(tmp_path, hosts=[kaya], databases=roles_of_two, roles={"dba": role})
    found = finding(OnCall, replace(plan, confirmed=all_confirmed(plan, NOW)))
    assert found.status is Status.PASS, told(found)
    monkeypatch.setenv("ORTIZ_PASSWORD", "not-the-password")
    found = finding(OnCall, replace(plan, confirmed=all_confirmed(plan, NOW)))
    assert found.status is Status.FAIL, told(found)
    assert found.judgement.summary == "standby M. Ortiz cannot log in to orders-ortiz: bad password"
    assert "another one" not in repr(found)


def test_the_login_is_made_once_for_all_checks(
    site: Site, tmp_path: Path, kaya: Host, postgres: Cluster, roles_of_two: tuple[Database, Database]
) -> None:
    role = replace(ROLE, access=("db1", "orders"))
    plan = make_plan(
        tmp_path,
        hosts=[kaya],
        databases=roles_of_two[:1],
        known_hosts=site.sshd.known_hosts_lines(),
        roles={"dba": role},
    )
    inspection = inspect(plan, Registry((DatabaseLogin, HostLogin, OnCall)), NOW)
    ssh, sql = len(site.sshd.log), len(postgres.log)
    secrets = Secrets(plan.folder)
    with Pools(plan, secrets) as pools:
        collect(inspection, pools.session, 30.0, mask=secrets.redact).findings()
    accepted, authorized = (
        f"Accepted publickey for {kaya.user}",
        f"connection authorized: user={roles_of_two[0].user}",
    )
    site.sshd.wait_for_log(accepted, ssh)
    postgres.wait_for_log(authorized, sql)
    assert site.sshd.log[ssh:].count(accepted) == 1
    assert postgres.log[sql:].count(authorized) == 1
