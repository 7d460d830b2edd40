"""plan-coverage judged from plans: what is there, what is left out, what is left out for a reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from preflight_checks.plan_coverage import PlanCoverage

from preflight.check import Expect
from preflight.finding import Judgement, Status
from preflight.plan import (
    Account,
    Application,
    Backup,
    Database,
    Plan,
    Release,
    RemotePath,
    Rollback,
    Said,
    Scripts,
    Without,
)
from preflight.plan.gaps import SECTIONS
from preflight.plan.values import Nothing
from tests.checks.test_restore_room import DBA
from tests.toy import MOMENT, toy_plan

EMPTY = toy_plan(hosts=())
ORDERS = Database(id="orders", host="db1", user=Account("release"), owner="dba")
BACKUP = Backup(id="nightly", database="orders", directory=RemotePath("/b"), previous=RemotePath("/b/*"), owner="dba")


def judged(plan: Plan) -> dict[str, Judgement]:
    check = PlanCoverage(plan, MOMENT)
    return {subject.id: check.judge(subject) for subject in check.subjects()}


def statuses(plan: Plan) -> dict[str, Status]:
    return {subject: found.status for subject, found in judged(plan).items()}


def test_what_is_in_the_plan_passes() -> None:
    plan = toy_plan(databases=[ORDERS], backups=[BACKUP])
    assert {name: status for name, status in statuses(plan).items() if name in ("hosts", "databases", "backups")} == {
        "hosts": Status.PASS, "databases": Status.PASS, "backups": Status.PASS
    }  # fmt: skip


@pytest.mark.parametrize("section", SECTIONS)
def test_a_kind_of_which_there_is_nothing_is_unknown_until_the_reason_stands_in_the_plan(section: str) -> None:
    found = judged(EMPTY)[section]
    assert found.status is Status.UNKNOWN
    assert f'say why in [release]: without = {{ {section} = "" }}' in found.remedy
    release = replace(EMPTY.release, without=Without(**{section: "read-only release"}))
    found = judged(replace(EMPTY, release=release))[section]
    assert (found.status, found.summary.endswith(": read-only release")) == (Status.WARN, True)


def test_a_managed_database_is_left_to_its_provider_by_a_person_who_answers_for_it() -> None:
    managed = replace(ORDERS, host="", address="db.example.net")
    plan = toy_plan(roles=DBA, databases=[managed], release=Release(id="x", without=Without(backups="managed")))
    assert "databases.orders.backup" not in judged(plan)
    found = judged(replace(plan, release=Release(id="x")))["backups"]
    assert "add [backups], or provider_restores to [databases.orders]; or say why" in found.remedy
    databases = {"orders": managed, "other": replace(ORDERS, id="other")}
    found = judged(replace(plan, backups={"other": replace(BACKUP, database="other")}, databases=databases))
    assert found["databases.orders.backup"].status is Status.UNKNOWN
    assert "[databases.orders] provider_restores = { by = " in found["databases.orders.backup"].remedy
    said = Said(by="dba", on=MOMENT.date(), reason="snapshot of 15 Oct restored")
    found = judged(toy_plan(roles=DBA, databases=[replace(managed, provider_restores=said)]))
    assert "backups" not in found, "there are none, and the database's own line says why"
    left = found["databases.orders.backup"]
    assert left.status is Status.WARN
    assert "said by D. Kaya (dba)" in left.summary
    assert "snapshot of 15 Oct restored" in left.summary


def test_an_entry_that_lacks_a_key_is_a_line_of_its_own_with_its_owner() -> None:
    plan = toy_plan(
        databases=[ORDERS, replace(ORDERS, id="billing")],
        backups=[replace(BACKUP, previous=RemotePath(""))],
        applications=[Application(id="app1", from_="1", to="2", owner="app1")],
        rollback=Rollback(owner="dba"),
    )
    unknown = [name for name, status in statuses(plan).items() if status is Status.UNKNOWN]
    assert unknown == [
        *("scripts", "databases.billing.backup", "backups.nightly.previous", "applications.app1.health"),
        "rollback.files",
    ]
    owners = {subject.id: subject.owner for subject in PlanCoverage(plan, MOMENT).subjects()}
    assert owners["applications.app1.health"] == "app1"
    keys = ("applications", "app1", "health")
    assert statuses(replace(plan, absent={keys: "no endpoint"}))["applications.app1.health"] is Status.WARN


def test_no_waiver_covers_it_and_no_release_says_so_of_what_is_there() -> None:
    assert PlanCoverage.waivable is False
    assert Release(id="REL-1").without.reasons == {}


def test_verify_tells_of_what_is_left_out_just_the_applications() -> None:
    app = Application(id="app1", from_="1", to="2", owner="app1")
    for plan, names in ((EMPTY, ["applications"]), (toy_plan(applications=[app]), ["applications.app1.health"])):
        check = PlanCoverage(plan, MOMENT, expect=Expect.AFTER)
        assert [subject.id for subject in check.subjects()] == names
        assert [check.judge(subject).status for subject in check.subjects()] == [Status.UNKNOWN]


def test_what_scripts_on_a_host_change_needs_a_backup_of_that_engine_there() -> None:
    scripts = Scripts(
        id="shop", host="db1", engine="mysql", approved=Path("sql"), manifest=Path("sums"), staged=RemotePath("/s"),
        command=("./run.sh",), owner="dba",
    )  # fmt: skip
    saved = replace(BACKUP, database="", host="db1", engine="mysql", taken_by="cron")
    plan = toy_plan(hosts=("db1", "db2"), databases=[ORDERS], backups=[BACKUP], scripts=[scripts])
    found = judged(plan)["scripts.shop.backup"]
    assert found.status is Status.UNKNOWN
    assert 'add a table to [backups] with host = "db1" and engine = "mysql"' in found.remedy
    assert "scripts.shop.backup" not in judged(replace(plan, backups={"nightly": BACKUP, "shop": saved}))
    for other in (replace(saved, host="db2"), replace(saved, engine="oracle")):
        assert "scripts.shop.backup" in judged(replace(plan, backups={"nightly": BACKUP, "shop": other}))
    excused = replace(plan, scripts={"shop": replace(scripts, backup=Nothing(none="only read"))})
    assert judged(excused)["scripts.shop.backup"].status is Status.WARN
