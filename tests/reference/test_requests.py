"""The list of what to request from whom, as a document."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from preflight.engine.registry import find_checks
from preflight.plan import Account as Login
from preflight.plan import Become, RehearsalServer, RemotePath, Said, SecretRef, ServerRole
from preflight.plan.load import load_plan
from preflight.reference import requests as requirements
from preflight.reference.requests import sudoers_line
from tests.report.formats.cases import HOSTILE
from tests.report.formats.test_markdown import headings, read

PLAN = load_plan(Path("plans/example.toml"), find_checks(None).settings())


def test_everybody_is_told_once_who_needs_longest_first() -> None:
    owners = list(requirements.requirements_by_owner(PLAN))
    assert set(owners) == set(PLAN.roles)
    leads = [PLAN.roles[owner].lead_time or timedelta() for owner in owners]
    assert leads == sorted(leads, reverse=True)
    text = requirements.render(PLAN)
    assert [title.partition(" (")[0] for title in headings(text)[1:]] == [
        PLAN.person(owner).partition(" (")[0] for owner in owners
    ]


def test_each_owner_is_told_by_when() -> None:
    role = replace(PLAN.roles["dba"], lead_time=timedelta(hours=30))
    text = requirements.render(replace(PLAN, roles={**PLAN.roles, "dba": role}))
    assert "To be done by Thu 2026-10-15 18:00 -04:00 (such requests take 1 d 6 h)." in text


def test_every_target_of_the_plan_is_reached_from_somewhere() -> None:
    text = requirements.render(PLAN)
    for host in PLAN.hosts.values():
        assert f"{host.address or host.id}:{host.ssh_port}/tcp" in text
    for application in PLAN.applications.values():
        for endpoint in application.health:
            assert f"health of {application.id}" in text
            assert endpoint.url.partition("//")[2].partition("/")[0] in text


def test_where_the_plan_leaves_the_port_open_the_usual_one_is_asked_for_or_that_of_ssh_config() -> None:
    host = replace(PLAN.hosts["db1"], address="2001:db8::1", port=None)
    text = requirements.render(replace(PLAN, hosts={**PLAN.hosts, "db1": host}))
    assert "`[2001:db8::1]:22/tcp`" in text
    text = requirements.render(replace(PLAN, hosts={**PLAN.hosts, "db1": replace(host, ssh_config=True)}))
    assert "to `[2001:db8::1]:22/tcp`, or where ssh_config leads: SSH to db1." in text


def test_a_login_that_only_ssh_config_names_is_told_in_words_and_stands_in_no_line() -> None:
    host = replace(PLAN.hosts["db1"], user=Login(""), password=None, ssh_config=True)
    backup = replace(PLAN.backups["orders"], account=Login(""))
    plan = replace(PLAN, hosts={**PLAN.hosts, "db1": host}, backups={"orders": backup})
    text = requirements.render(plan)
    assert "The login of ssh_config on db1" in text
    assert "by the key of ssh_config," in text
    assert "writable by the login of ssh_config." in text
    assert "the login of ssh_config logs in to orders as" in text
    assert "''" not in text


def test_grants_for_a_replica_are_asked_for_on_its_primary() -> None:
    replica = replace(PLAN.databases["billing"], role=ServerRole.REPLICA)
    text = requirements.render(replace(PLAN, databases={**PLAN.databases, "billing": replica}))
    assert "On the primary of billing: login roles" in text
    assert "In orders: login roles" in text


def test_hosts_with_one_account_and_one_key_are_asked_for_once() -> None:
    web = [replace(PLAN.hosts["app1-a"], id=f"web{n}", address=f"web{n}.example.net") for n in (1, 2)]
    other = replace(web[0], id="web3", address="web3.example.net", user=Login("other"))
    plan = replace(PLAN, hosts={**PLAN.hosts, **{each.id: each for each in [*web, other]}})
    text = requirements.render(plan).replace("`", "")
    assert (
        "web1 (at web1.example.net, port 22), web2 (at web2.example.net, port 22) by the public key of appadmin" in text
    )
    assert text.count("The login appadmin on") == 1
    assert text.count("The login other on web3 (at web3.example.net, port 22) by") == 1
    assert text.count("web[1-3].example.net:22/tcp") == 1


def test_what_only_people_can_say_is_asked_of_them() -> None:
    text = requirements.render(PLAN)
    (item,) = PLAN.attest
    assert f"J. Novak or App 2 team lead says, not more than 12 h before the window begins: {item.text}." in text
    host = {"database": "", "host": "db1", "engine": "mysql"}
    scripts = replace(PLAN.scripts["orders"], touches=(), privileges={}, **host)  # type: ignore[arg-type]
    text = requirements.render(replace(PLAN, scripts={"orders": scripts}))
    assert "mysql on db1, for scripts orders: where no check answers for mysql, look whether it is up" in text
    said = Said(by="dba", on=date(2026, 10, 14), reason="looked")
    text = requirements.render(replace(PLAN, scripts={"orders": replace(scripts, engine_shown=said)}))
    assert "where no check answers for mysql" not in text


def test_the_log_of_psql_is_asked_for() -> None:
    scripts = replace(next(iter(PLAN.scripts.values())), log=RemotePath("/srv/log/orders.log"))
    text = requirements.render(replace(PLAN, scripts={scripts.id: scripts}))
    assert "dbadmin may write `/srv/log/orders.log`, whose folder is there. *(script-runner)*" in text


def test_sudo_asks_for_a_password_only_where_the_plan_names_one() -> None:
    host = PLAN.hosts["db1"]
    assert " NOPASSWD: " in sudoers_line(PLAN, host, "postgres")
    asked = replace(host, become=(Become(account=Login("postgres"), password=SecretRef("env", "X")),))
    assert "PASSWD" not in sudoers_line(PLAN, asked, "postgres")
    assert sudoers_line(PLAN, host, "postgres").endswith(", /bin/sh"), "folders that only the account may see"
    assert sudoers_line(PLAN, host, "nobody") == f"{host.user} ALL=(nobody) NOPASSWD: /bin/sh"


def test_the_rule_has_what_rehearse_calls_unless_the_plan_leaves_the_rehearsal_out() -> None:
    release = PLAN.release
    wanted = replace(PLAN, release=replace(release, without=replace(release.without, rehearsal="")))
    without = replace(PLAN, release=replace(release, without=replace(release.without, rehearsal="tried by hand")))
    assert "/usr/bin/pg_dumpall, /bin/sh" in sudoers_line(wanted, PLAN.hosts["db1"], "postgres")
    assert "pg_dumpall" not in sudoers_line(without, PLAN.hosts["db1"], "postgres")


def test_hostile_names_stay_text() -> None:
    plan = replace(
        PLAN,
        release=replace(PLAN.release, title=HOSTILE),
        roles={**PLAN.roles, "dba": replace(PLAN.roles["dba"], primary=HOSTILE, contact=HOSTILE)},
    )
    kinds = {token.type for token in read(requirements.render(plan))}
    assert not kinds & {"html_inline", "html_block", "link_open", "image"}


def test_a_name_with_a_meaning_in_sudoers_is_never_printed_as_a_rule() -> None:
    host = PLAN.hosts["db1"]
    for account in ("ALL", "ALL:ALL", "%wheel", "x)NOPASSWD:/bin/su,(root", "#0", "a,b", "a b", "a\\b"):
        assert sudoers_line(PLAN, host, account) == ""
        assert sudoers_line(PLAN, replace(host, user=Login(account)), "postgres") == ""
    named = replace(host, become=(Become(account=Login("ALL")),))
    text = requirements.render(replace(PLAN, hosts={**PLAN.hosts, "db1": named}))
    assert "write this rule by hand" in text
    assert "(ALL)" not in text


def test_the_server_of_rehearsals_is_asked_for_unless_they_are_left_out() -> None:
    server = RehearsalServer(address="db-rehearsal.example.net", port=5433, user=Login("rehearsal"))
    plan = replace(PLAN, rehearsal=replace(PLAN.rehearsal, server=server))
    assert "rehearsals alone" not in requirements.render(plan), "the example leaves them out"
    release = replace(plan.release, without=replace(plan.release.without, rehearsal=""))
    text = requirements.render(replace(plan, release=release))
    for asked in (
        "At `db-rehearsal.example.net:5433`: a PostgreSQL server for rehearsals alone, of the major version",
        "CREATE ROLE rehearsal SUPERUSER LOGIN;",
        "ALTER SYSTEM SET autovacuum = off;",
        "hba.conf` (hostssl, scram-sha-256) that let rehearsal and ",
        "to `db-rehearsal.example.net:5433/tcp`: the rehearsals; to `db-rehearsal.example.net:22/tcp`: its SSH host",
    ):
        assert asked in text, text
