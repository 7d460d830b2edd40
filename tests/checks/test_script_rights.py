"""script-rights judged from plain facts; tests/site/test_script_rights.py holds them against real statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.script_rights import ScriptRights
from preflight_checks.script_rights.needs import needs_of

from preflight.finding import Judgement, Status
from preflight.judging.touched import TouchedObjects
from preflight.plan import Account, Database, RemotePath, Role, Scripts
from preflight.plan.values import Privilege
from preflight.questions.files import LocalText
from preflight.questions.rehearsed import Rehearsal, Rehearsed, RehearsedEntry, Run, Touched
from preflight.questions.sql import BY_MEMBERSHIP, NOINHERIT
from preflight.questions.work_rights import OWNER, Lack, Lacks, Wanted, WorkRights
from tests.toy import MOMENT, toy_plan

SEALED = LocalText(f"{'a' * 64}  010.sql\n")
ORDERS = Database(id="orders", host="db1", user=Account("release"), owner="dba")


def rehearsed(*touched: Touched) -> Rehearsed:
    run = Run(script="010.sql", seconds=1, exit_code=0, touched=touched)
    tried = RehearsedEntry(database="orders", files={"010.sql": "a" * 64}, runs=(run,))
    return Rehearsed(Rehearsal(release="R", at=MOMENT, by="x", where="here", scripts={"orders": tried}))


def lack(lacks: Lacks, name: str = "app.t", **more: Any) -> Lack:
    of = {"right": "", "kind": "table", "owner": "app_owner", "takes_members": True, "member": False}
    return Lack(**{"lacks": lacks, "name": name, **of, "certain": True, "total": 1, **more})


def role(inherits: str = "INHERIT", kind: str = "role") -> Lack:
    return lack(Lacks.ROLE, "release", right=inherits, kind=kind)


def judged(
    *lacks: Lack,
    of: Lack | None = None,
    gone: bool = False,
    hidden: str = "",
    seen: Rehearsed | None = None,
    **entry: Any,
) -> Judgement:
    """`of`: the role, as it is. `gone`: there is none."""
    scripts = Scripts(
        id="orders", database="orders", approved=Path("sql"), manifest=Path("sums"), staged=RemotePath("/s"),
        **{"touches": ("app.*",), **entry},
    )  # fmt: skip
    plan = toy_plan(databases=[ORDERS], scripts=[scripts], roles=[Role(id="dba", primary="D. Kaya")])
    check = ScriptRights(plan, MOMENT)
    (subject,) = check.subjects()
    found = WorkRights(() if gone else (of or role(), *lacks), hidden)
    return check.judge(subject, rehearsed=seen or Rehearsed(None), manifest=SEALED, rights=found)


def judged_with(lacks: Sequence[Lack]) -> Judgement:
    return judged(*lacks)


def test_a_role_that_lacks_nothing_passes_and_says_who_told() -> None:
    found = judged()
    assert (found.status, found.summary) == (
        Status.PASS, "release may do all that is told by `touches` of [scripts.orders]"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("of", "more", "cure"),
    [
        (role(), {}, "GRANT app_owner TO release;"),
        (role(NOINHERIT), {}, "GRANT app_owner TO release; ALTER ROLE release INHERIT;"),
        (role(BY_MEMBERSHIP), {}, "GRANT app_owner TO release WITH INHERIT TRUE;"),
        (role(), {"owner": "postgres", "takes_members": False}, "ALTER TABLE app.t OWNER TO release;"),
    ],
)
def test_ownership_is_cured_by_membership_but_never_in_a_superuser(of: Lack, more: dict[str, Any], cure: str) -> None:
    found = judged(lack(Lacks.OWNER, **more), of=of)
    assert (found.status, found.remedy) == (Status.FAIL, cure)


def test_an_extension_of_a_superuser_is_altered_by_it() -> None:
    found = judged(lack(Lacks.OWNER, "vector", kind="extension", owner="postgres", takes_members=False))
    assert (found.status, found.remedy) == (Status.FAIL, "have postgres run what alters vector")


@pytest.mark.parametrize("kind", ["role", "superuser"])
def test_what_an_extension_requires_and_its_version_count_for_a_superuser_too(kind: str) -> None:
    required = lack(Lacks.REQUIRED, "cube", right="earthdistance", kind="extension")
    found = judged(required, of=role(kind=kind))
    assert (found.status, found.summary) == (
        Status.FAIL, "extension cube, which earthdistance requires, is not installed"
    )  # fmt: skip
    assert found.remedy.startswith("have it installed on db1, and where the scripts do not say CASCADE: CREATE EXT")
    assert judged(replace(required, certain=False), of=role(kind=kind)).status is Status.UNKNOWN
    found = judged(lack(Lacks.VERSION, "cube 2.1", right="2.0", kind="extension", certain=False), of=role(kind=kind))
    assert found.status is Status.UNKNOWN
    assert found.summary == "release gets extension cube 2.1, where the rehearsal had 2.0"
    assert judged(of=role(kind=kind)).status is Status.PASS


def test_a_superusers_other_objects_are_no_doubt_beside_an_extension() -> None:
    seen = rehearsed(Touched(kind="role", name="x", defined=True))
    required = lack(Lacks.REQUIRED, "cube", right="earthdistance", kind="extension")
    assert len(judged(required, seen=seen).telling_points()) == 2
    assert len(judged(required, of=role(kind="superuser"), seen=seen).telling_points()) == 1


def test_an_extension_is_asked_for_without_quotes_and_with_its_version() -> None:
    touched = TouchedObjects("r", extensions={'"my-""ext"': "1.0", "cube": ""})
    assert needs_of(touched).extensions == (('my-"ext', "1.0"), ("cube", ""))


def test_a_member_that_does_not_inherit_is_unknown_but_where_it_was_rehearsed() -> None:
    found = judged(lack(Lacks.OWNER, member=True), of=role(NOINHERIT))
    assert found.status is Status.UNKNOWN
    assert found.remedy.startswith("ALTER ROLE release INHERIT; or have D. Kaya (dba) answer for it")
    seen = rehearsed(Touched(kind="table", name="app.t", defined=True))
    assert judged(lack(Lacks.OWNER, member=True), seen=seen, touches=()).status is Status.PASS


def test_what_is_told_in_one_line_is_cured_by_one_statement() -> None:
    found = judged(*(lack(Lacks.PRIVILEGE, f"app.t{n}", right="INSERT", total=30) for n in range(20)))
    assert "release has no INSERT on 30 tables" in found.summary
    assert found.remedy.startswith("GRANT INSERT ON TABLE app.t0, app.t1, ")
    assert found.remedy.endswith(" TO release; and likewise for the other 10, which the next run names")


def test_a_stale_rehearsal_tells_nothing() -> None:
    seen = rehearsed(Touched(kind="table", name="app.t", defined=True))
    assert seen.record
    seen.record.scripts["orders"].files["020.sql"] = "b" * 64  # type: ignore[index]
    found = judged(lack(Lacks.OTHERS, total=3), lack(Lacks.OTHERS, owner="o", total=4), seen=seen, touches=())
    assert found.status is Status.UNKNOWN
    assert found.summary == (
        "what the scripts touch is not known: the sealed files are others than were rehearsed 2026-10-16"
    )
    assert found.actual == "tables of others in orders: 3 of app_owner, 4 of o"


@pytest.mark.parametrize(
    ("touched", "wanted"),
    [
        ({"kind": "table", "defined": True}, {(OWNER, True)}),
        ({"kind": "table", "updated": 1, "inserted": 2}, {("UPDATE", True), ("SELECT", True), ("INSERT", True)}),
        ({"kind": "table", "rewritten": True}, {(OWNER, False)}),
        ({"kind": "table", "lock": "AccessExclusiveLock"}, {(OWNER, False)}),
        ({"kind": "table", "lock": "AccessShareLock"}, {("SELECT", False)}),
        ({"kind": "table", "lock": "ShareRowExclusiveLock"}, {("REFERENCES", False)}),
        ({"kind": "sequence", "lock": "RowExclusiveLock"}, {("USAGE", False)}),
        ({"kind": "function", "name": "app.f(integer)", "defined": True}, {(OWNER, True)}),
        ({"kind": "trigger", "name": "t on app.t", "created": True, "defined": True}, {("TRIGGER", True)}),
        ({"kind": "trigger", "name": "t on app.t", "dropped": True, "defined": True}, {(OWNER, True)}),
        ({"kind": "policy", "name": "p on app.t", "created": True, "defined": True}, {(OWNER, True)}),
        ({"kind": "schema", "name": "app", "defined": True}, {(OWNER, True)}),
        ({"kind": "table", "updated": 1, "lock": "RowExclusiveLock"}, {("UPDATE", True), ("SELECT", True)}),
        ({"kind": "index", "lock": "AccessShareLock"}, {("SELECT", False)}),
        ({"kind": "materialized view", "defined": True, "inserted": 1}, {(OWNER, True)}),
        ({"kind": "role", "name": "x", "defined": True}, set()),
    ],
)
def test_what_was_seen_says_what_is_needed(touched: dict[str, Any], wanted: set[tuple[str, bool]]) -> None:
    needs = needs_of(TouchedObjects("r", seen=(Touched(**{"name": "app.t", **touched}),)))
    assert {(each.right, each.certain) for each in needs.wanted} == wanted
    assert needs.schemas == (("app",) if touched["kind"] == "schema" else ())
    assert needs.others == (("role x",) if touched["kind"] == "role" else ())


def test_what_is_certain_is_not_wanted_as_a_doubt_too() -> None:
    seen = (
        Touched(kind="table", name="app.t", lock="ShareRowExclusiveLock"),
        Touched(kind="table", name="app.t", defined=True),
        Touched(kind="table", name="app.t", rewritten=True),
    )
    needs = needs_of(TouchedObjects("r", seen=seen, privileges={"x.*": (Privilege.INSERT,)}, altered=("y.*",)))
    assert set(needs.wanted) == {
        Wanted(OWNER, "app.t"), Wanted("INSERT", pattern="x.*"), Wanted(OWNER, pattern="y.*")
    }  # fmt: skip


def test_what_the_scripts_make_is_told_from_what_they_rename() -> None:
    seen = (
        Touched(kind="table", name="app.new", defined=True, created=True),
        Touched(kind="table", name="app.new", defined=True),
        Touched(kind="table", name="app.renamed", defined=True),
    )
    made = {each.name: each.made for each in needs_of(TouchedObjects("r", seen=seen)).wanted}
    assert made == {"app.new": True, "app.renamed": False}
