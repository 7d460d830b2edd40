"""on-call judged from plans and recorded logins: each passing state beside those that flip it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from preflight_checks.database_login import DatabaseLogin
from preflight_checks.host_login import HostLogin
from preflight_checks.on_call import OnCall

from preflight.demo.people import all_confirmed
from preflight.engine.answered import Answered
from preflight.engine.inspection import inspect
from preflight.engine.registry import Registry
from preflight.evidence import Evidence
from preflight.finding import Finding, Judgement, Quantity, Status
from preflight.judging.confirmations import NOT_SAID
from preflight.plan import Account, Database, Freshness, Host, Plan, Role, Step, Window
from preflight.plan.confirmed import Confirmed
from preflight.probe import Answer, NoReply, Reply, Via
from preflight.reasons import Reason
from tests.toy import MOMENT, toy_plan

NEW_YORK = Window(zone="America/New_York", start=MOMENT + timedelta(hours=9), end=MOMENT + timedelta(hours=15))
ROLE = Role(id="dba", primary="D. Kaya", standby="M. Ortiz", contact="ext. 4411")


def host(name: str, person: str = "", user: str = "", address: str = "db1.example.net", **more: Any) -> Host:
    return Host(id=name, address=address, user=Account(user or name), person=person, **more)


KAYA = host("db1-kaya", "D. Kaya")
ORTIZ = host("db1-ortiz", "M. Ortiz")
SHARED = host("db1")
OTHER = host("db1-other", "X. Other")
KAYA_DB2 = host("db2-kaya", "D. Kaya", address="db2.example.net")


def database(name: str, person: str, user: str = "", host_id: str = "db1-kaya") -> Database:
    return Database(id=name, host=host_id, name="orders", user=Account(user or name), person=person)


def planned(role: Role, hosts: tuple[Host, ...] = (), databases: tuple[Database, ...] = (), **more: Any) -> Plan:
    plan = replace(toy_plan(()), window=NEW_YORK, roles={role.id: role}, **more)
    return replace(plan, hosts={each.id: each for each in hosts}, databases={each.id: each for each in databases})


def judged(moment: datetime = MOMENT, asked_at: datetime | None = None, **changed: Any) -> Judgement:
    freshness, said_at = changed.pop("freshness", Freshness()), changed.pop("confirmed_at", MOMENT)
    plan = planned(replace(ROLE, **changed), freshness=freshness)
    if said_at:
        plan = replace(plan, confirmed=all_confirmed(plan, said_at))
    check = OnCall(plan, moment, asked_at=asked_at)
    (subject,) = check.subjects()
    assert (subject.id, subject.owner) == ("dba", "dba")
    found: Judgement = check.judge(subject)
    return found


def test_what_is_said_later_than_it_was_asked_is_not_said_yet_and_the_cure_says_from_when_on_to_call() -> None:
    ahead = judged(asked_at=MOMENT - timedelta(hours=3), confirmed_at=MOMENT)
    assert points(ahead) == [(Status.FAIL, f"not confirmed by D. Kaya and M. Ortiz: {NOT_SAID}")]
    early = judged(asked_at=MOMENT - timedelta(hours=15), confirmed_at=MOMENT - timedelta(hours=15))
    assert early.status is Status.FAIL
    assert "call D. Kaya and M. Ortiz (ext. 4411) from Fri 2026-10-16 03:00 -04:00 on, then run" in early.remedy


def points(found: Judgement) -> list[tuple[Status, str]]:
    return [(point.status, point.summary) for point in found.telling_points()]


def test_two_people_with_a_contact_who_confirmed_pass() -> None:
    found = judged()
    assert found.status is Status.PASS
    assert found.summary == (
        "primary D. Kaya, standby M. Ortiz; reached by ext. 4411; confirmed by D. Kaya Fri 2026-10-16 15:00 -04:00; "
        "confirmed by M. Ortiz Fri 2026-10-16 15:00 -04:00"
    )


def test_a_primary_of_several_roles_is_told() -> None:
    roles = [ROLE, replace(ROLE, id="unix", primary="Kaya, D.", standby="K. Mori"), replace(ROLE, id="net", primary="")]
    check = OnCall(toy_plan(roles=roles), MOMENT)
    told = [repr(check.judge(subject)) for subject in check.subjects()]
    assert "D. Kaya is the primary of unix too" in told[0]
    assert "Kaya, D. is the primary of dba too" in told[1]
    assert "too" not in told[2]


@pytest.mark.parametrize(
    ("changed", "summary"),
    [
        ({"standby": ""}, "no standby: nobody takes over when the primary cannot"),
        ({"standby": "TBD"}, "no standby: nobody takes over when the primary cannot"),
        ({"standby": "N.N."}, "no standby: nobody takes over when the primary cannot"),
        ({"standby": "D. Kaya (mobile)"}, "primary and standby are one person"),
        ({"standby": "Kaya, D."}, "primary and standby are one person"),
        ({"primary": "tba"}, "no primary is named"),
        ({"standby": "D. Kaya"}, "primary and standby are one person"),
        ({"standby": " d.kaya "}, "primary and standby are one person"),
        ({"contact": " "}, "no contact: nobody knows how to reach them"),
        ({"contact": "tbd"}, "no contact: nobody knows how to reach them"),
        ({"confirmed_at": None}, f"not confirmed by D. Kaya and M. Ortiz: {NOT_SAID}"),
    ],
)
def test_what_a_role_lacks_fails_with_its_cure(changed: Mapping[str, Any], summary: str) -> None:
    found = judged(**changed)
    assert points(found) == [(Status.FAIL, summary)]
    assert "[roles.dba]" in found.remedy or "--role dba" in found.remedy
    assert found.expected
    assert found.actual


def test_a_contact_in_brackets_is_one() -> None:
    assert judged(contact="(ext. 4411)").status is Status.PASS
    assert judged(contact="(tbd)").status is Status.FAIL


def test_all_that_is_missing_is_said_at_once() -> None:
    found = judged(standby="", contact="", confirmed_at=None)
    assert [status for status, _ in points(found)] == [Status.FAIL] * 3


@pytest.mark.parametrize(
    ("age", "status"),
    [
        (timedelta(), Status.PASS),
        (timedelta(hours=3) - timedelta(seconds=1), Status.PASS),
        (timedelta(hours=3), Status.WARN),  # it will be too old at the start, 9 h later, when the gate asks again
        (timedelta(hours=12), Status.WARN),
        (timedelta(hours=12, seconds=1), Status.FAIL),
        (timedelta(days=30), Status.FAIL),
        (timedelta(seconds=-1), Status.FAIL),
    ],
)
def test_a_confirmation_holds_for_twelve_hours_and_not_from_the_future(age: timedelta, status: Status) -> None:
    assert judged(confirmed_at=MOMENT - age).status is status


def test_the_plan_sets_how_long_a_confirmation_holds() -> None:
    two_hours = Freshness(people=timedelta(hours=2))
    assert judged(confirmed_at=MOMENT - timedelta(hours=2), freshness=two_hours).status is Status.WARN
    assert judged(confirmed_at=MOMENT - timedelta(hours=2, seconds=1), freshness=two_hours).status is Status.FAIL


def test_a_confirmation_that_will_be_too_old_at_the_start_says_when_to_call_again() -> None:
    found = judged(confirmed_at=MOMENT - timedelta(hours=5))
    assert found.summary.startswith(
        "the confirmation ends Fri 2026-10-16 22:00 -04:00, 2 h before the start, and the gate"
    )
    assert "once more from Fri 2026-10-16 12:00 -04:00 on" in found.remedy


def test_a_confirmation_of_the_day_before_is_too_old_at_the_window() -> None:
    assert judged(moment=MOMENT).status is Status.PASS
    found = judged(moment=NEW_YORK.start + timedelta(hours=4))
    said = "said Fri 2026-10-16 15:00 -04:00, 13 h before the moment judged"
    assert found.summary == f"not confirmed by D. Kaya and M. Ortiz: {said}"
    wanted = "confirmed at most 12 h before the moment judged (people in [freshness]), of the plan as it is"
    assert found.expected == wanted
    (old,) = found.telling_points()
    assert old.quantity == Quantity(value=13 * 3600, unit="s")


def test_the_cure_can_be_pasted() -> None:
    assert judged(confirmed_at=None).remedy == (
        "call D. Kaya and M. Ortiz (ext. 4411), then run: "
        "preflight confirm toy.toml --role dba --by 'D. Kaya' --by 'M. Ortiz'"
    )


def confirmed_before(change: Callable[[Plan], Plan]) -> Judgement:
    """Of a plan that was changed after both had confirmed."""
    step = Step(id="deploy", minutes=30, host="db1")
    entries = (replace(KAYA, owner="dba"), host("web1", owner="unix"))
    plan = planned(replace(ROLE, access=("db1-kaya",)), entries, steps=(step, replace(step, id="web", host="web1")))
    changed = change(replace(plan, confirmed=all_confirmed(plan, MOMENT)))
    found: Judgement = Judgement.of(OnCall(changed, MOMENT)._confirming(changed.roles["dba"]).judge())
    return found


def with_host(plan: Plan, name: str, **fields: Any) -> Plan:
    return replace(plan, hosts={**plan.hosts, name: replace(plan.hosts[name], **fields)})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda plan: with_host(plan, "db1-kaya", user=Account("other")), "hosts.db1-kaya"),
        (lambda plan: replace(plan, window=replace(plan.window, margin=timedelta())), "window"),
        (lambda plan: replace(plan, roles={"dba": replace(ROLE, access=("db1-kaya",), contact="x")}), "roles.dba"),
        (lambda plan: with_host(plan, "web1", owner="dba"), "hosts.web1 (new), steps.web (new)"),
        (lambda plan: replace(plan, hosts={"web1": plan.hosts["web1"]}), "hosts.db1-kaya (gone)"),
    ],
)
def test_a_change_of_what_the_role_confirmed_voids_its_word_by_name(change: Callable[[Plan], Plan], named: str) -> None:
    found = confirmed_before(change)
    assert found.status is Status.FAIL
    said = "said Fri 2026-10-16 15:00 -04:00, and changed since then"
    assert found.summary == f"not confirmed by D. Kaya and M. Ortiz: {said}: {named}"


def test_a_change_elsewhere_does_not_void_it() -> None:
    assert confirmed_before(lambda plan: with_host(plan, "web1", user=Account("other"))).status is Status.PASS
    assert confirmed_before(lambda plan: replace(plan, digest="1" * 64)).status is Status.PASS


def test_the_word_of_one_of_two_is_half_of_it() -> None:
    plan = planned(ROLE)
    said = all_confirmed(plan, MOMENT).confirmations[:1]
    check = OnCall(replace(plan, confirmed=Confirmed(confirmations=said)), MOMENT)
    found = check.judge(check.subjects()[0])
    assert points(found) == [(Status.FAIL, f"not confirmed by M. Ortiz: {NOT_SAID}")]
    assert found.remedy.endswith("--role dba --by 'M. Ortiz'")


# Access


def reply() -> Reply:
    return Reply(0, "user=u\nuid=1000\nnode=db1\nshell=sh\nend=yes\n", MOMENT, 0.1, "on db1 as u")


def row() -> Reply:
    text = (
        '[{"user": "u", "database": "orders", "version_num": "150018", "in_recovery": "false", "backend_pid": "1",'
        ' "cluster_name": "", "server_address": null,'
        ' "client_port": null, "port": "5432", "started_ms": "1", "asked_ms": "2", "oid": "5"}]'
    )
    return Reply(0, text, MOMENT, 0.1, "from here as u")


def lost(reason: Reason = Reason.BAD_CREDENTIAL) -> NoReply:
    return NoReply(reason, "what was seen", MOMENT, vantage="from here")


def found(*entries: Host | Database, answers: Mapping[str, Answer] | None = None, **changed: Any) -> Finding:
    """The finding about a role whose access is `entries`, each of which answers unless `answers` says otherwise."""
    hosts = tuple(entry for entry in entries if isinstance(entry, Host))
    databases = tuple(entry for entry in entries if isinstance(entry, Database))
    more = () if any(each.id == "db1-kaya" for each in hosts) else (KAYA,)
    names = tuple(dict.fromkeys(entry.id for entry in entries))
    plan = planned(replace(ROLE, **{"access": names, **changed}), (*hosts, *more), databases)
    plan = replace(plan, confirmed=all_confirmed(plan, MOMENT))
    inspection = inspect(plan, Registry((OnCall,)), MOMENT)
    answered = Answered(inspection, Evidence(plan.digest, MOMENT))
    for question in answered.begin():
        usual = row() if question.via is Via.SQL else reply()
        answer = (answers or {}).get(question.target, usual)
        answered.add(question, answer)
    (only,) = answered.findings()
    return only


def test_a_login_of_each_that_works_passes() -> None:
    seen = found(KAYA, ORTIZ)
    assert seen.status is Status.PASS
    assert "primary D. Kaya can log in to db1-kaya; standby M. Ortiz can log in to db1-ortiz" in seen.judgement.summary


def test_the_questions_are_those_of_the_login_checks_so_a_login_is_made_once() -> None:
    orders = database("orders", "M. Ortiz")
    plan = planned(replace(ROLE, access=("db1-kaya", "orders")), (KAYA,), (orders,))
    ours = inspect(plan, Registry((OnCall,)), MOMENT).first_round()
    theirs = inspect(plan, Registry((DatabaseLogin, HostLogin)), MOMENT).first_round()
    assert len(ours) == 2
    assert {question.id for question in ours} <= {question.id for question in theirs}


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (Reason.BAD_CREDENTIAL, "standby M. Ortiz cannot log in to db1-ortiz: denied (bad credential)"),
        (Reason.UNREACHABLE, "standby M. Ortiz cannot log in to db1-ortiz: unreachable"),
        (Reason.NOLOGIN, "standby M. Ortiz cannot log in to db1-ortiz: no usable shell (nologin)"),
    ],
)
def test_a_standby_whose_login_is_refused_fails(reason: Reason, words: str) -> None:
    seen = found(KAYA, ORTIZ, answers={"db1-ortiz": lost(reason)})
    assert points(seen.judgement) == [(Status.FAIL, words)]
    assert seen.judgement.actual == "what was seen"
    assert "host-login db1-ortiz" in seen.judgement.remedy


def test_a_primary_whose_login_is_refused_fails_as_well() -> None:
    seen = found(KAYA, ORTIZ, answers={"db1-kaya": lost()})
    assert points(seen.judgement) == [
        (Status.FAIL, "primary D. Kaya cannot log in to db1-kaya: denied (bad credential)")
    ]


@pytest.mark.parametrize(
    "answer",
    [
        lost(Reason.NOT_ASKED),
        lost(Reason.UNREADABLE),
        lost(Reason.JUMP),
        lost(Reason.NO_CREDENTIAL),
        replace(reply(), text="hello"),
    ],
)
def test_a_login_that_nobody_tried_is_unknown(answer: Answer) -> None:
    assert found(KAYA, ORTIZ, answers={"db1-ortiz": answer}).status is Status.UNKNOWN


def test_a_database_login_counts_and_its_tunnel_is_another_line() -> None:
    kaya, ortiz = database("orders-kaya", "D. Kaya"), database("orders-ortiz", "M. Ortiz")
    assert found(kaya, ortiz).status is Status.PASS
    refused = found(kaya, ortiz, answers={"orders-ortiz": lost(Reason.BAD_PASSWORD)})
    assert points(refused.judgement) == [(Status.FAIL, "standby M. Ortiz cannot log in to orders-ortiz: bad password")]
    assert "database-login orders-ortiz" in refused.judgement.remedy
    assert found(kaya, ortiz, answers={"orders-ortiz": lost(Reason.HOST)}).status is Status.UNKNOWN


def test_a_shared_login_counts_for_both_with_a_warning() -> None:
    seen = found(SHARED)
    assert points(seen.judgement) == [(Status.WARN, "the login db1 is nobody's own: its entry has no `person`")]
    refused = found(SHARED, answers={"db1": lost()})
    assert points(refused.judgement)[0] == (
        Status.FAIL, "primary D. Kaya and standby M. Ortiz cannot log in to db1: denied (bad credential)",
    )  # fmt: skip


def test_one_account_under_two_peoples_names_is_a_shared_one() -> None:
    seen = found(host("a", "D. Kaya", user="dbadmin"), host("b", "M. Ortiz", user="dbadmin"))
    assert points(seen.judgement) == [
        (Status.WARN, "the login a is nobody's own: b says that the same account is M. Ortiz's"),
        (Status.WARN, "the login b is nobody's own: a says that the same account is D. Kaya's"),
    ]


def test_a_standby_without_any_login_fails() -> None:
    seen = found(KAYA)
    assert points(seen.judgement) == [(Status.FAIL, "standby M. Ortiz has no login")]
    assert "have a login for M. Ortiz made" in seen.judgement.remedy


def test_the_login_of_somebody_else_is_nobodys_access() -> None:
    seen = found(KAYA, OTHER)
    assert points(seen.judgement) == [
        (Status.FAIL, "standby M. Ortiz has no login"),
        (Status.WARN, "db1-other is the login of X. Other, who is neither primary nor standby"),
    ]


def test_a_machine_that_only_one_of_them_reaches_is_warned_of() -> None:
    seen = found(KAYA, ORTIZ, KAYA_DB2)
    assert points(seen.judgement) == [(Status.WARN, "standby M. Ortiz has no login where primary D. Kaya has db2-kaya")]
    shared = host("db2", address="db2.example.net")
    assert "db2-kaya" not in str(points(found(KAYA, ORTIZ, KAYA_DB2, shared).judgement))


def test_names_match_whatever_their_case_and_spaces() -> None:
    assert found(KAYA, replace(ORTIZ, person="m.ortiz")).status is Status.PASS


def test_access_that_names_nothing_is_nobodys_access() -> None:
    seen = found(KAYA, ORTIZ, access=("db1-kaya", "db9"))
    assert points(seen.judgement) == [(Status.FAIL, "standby M. Ortiz has no login")]


def test_a_name_of_a_host_and_of_a_database_stands_for_both() -> None:
    both = database("db1-ortiz", "M. Ortiz")
    kaya = database("orders", "D. Kaya")
    assert found(KAYA, ORTIZ, both, kaya).status is Status.PASS
    refused = {"db1-ortiz": lost(Reason.BAD_PASSWORD)}
    assert len(points(found(KAYA, ORTIZ, both, kaya, answers=refused).judgement)) == 2


def test_without_a_standby_the_primarys_login_is_still_judged() -> None:
    seen = found(KAYA, standby="", answers={"db1-kaya": lost()})
    assert [summary for _, summary in points(seen.judgement)] == [
        "no standby: nobody takes over when the primary cannot",
        "primary D. Kaya cannot log in to db1-kaya: denied (bad credential)",
    ]
