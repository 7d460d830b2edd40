"""A plan split over parallel jobs: the same everywhere, even by what is asked, and what hangs together in one."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import pytest

from preflight.check import Probes, Subject
from preflight.engine.shards import Split
from preflight.plan import Account, Application, Backup, Become, Database, Host, Plan, SecretRef
from preflight.plan.applications import Endpoint
from preflight.plan.values import Connect
from preflight.probe import Via
from tests.toy import Echo, Ready, registry, toy_plan

USER = Account("dba")
SHARED = SecretRef.parse("env:SHARED")


class Asks(Echo):
    via: ClassVar[Via] = Via.SQL


class Http(Echo):
    via: ClassVar[Via] = Via.HTTP


class Local(Echo):
    via: ClassVar[Via] = Via.LOCAL


class Runs(Local):
    asked_last = True


class Several(Ready):
    """A host named `xN` is asked N questions; each database, application and host one; a file for each host."""

    id = "several"

    def subjects(self) -> Sequence[Subject]:
        every = (*self.plan.hosts.values(), *self.plan.databases.values(), *self.plan.applications.values())
        return [Subject(each.id, each) for each in every]

    def probes(self, subject: Subject) -> Probes:
        match subject.item:
            case Host(id=name):
                many = int(name.rpartition("x")[2]) if "x" in name else 1
                return {
                    "file": Local("plan"),
                    "program": Runs("plan", "run"),
                    **{f"word{n}": Echo(name, f"{n}") for n in range(many)},
                }
            case Database(id=name):
                return {"word": Asks(name)}
        return {"word": Http(subject.id)}


def split(plan: Plan, of: int, zone: str = "") -> Split:
    return Split(plan, registry(Several), zone, of)


def shard(plan: Plan, of: int = 7) -> dict[str, int]:
    """Entry -> its shard."""
    return {name: number for (_, name), number in split(plan, of).shard_of.items()}


def spread(*hosts: Host, **fields: object) -> Plan:
    """These, among a hundred that hang together with nobody."""
    return toy_plan([*hosts, *(f"other{number}" for number in range(100))], **fields)


def host(name: str, **fields: object) -> Host:
    return Host(id=name, user=USER, **fields)  # type: ignore[arg-type]


@pytest.mark.long
def test_the_shards_of_5000_hosts_are_equal_and_each_host_is_in_one() -> None:
    many = random.Random(12)
    names = [f"h{number}x{many.choice([1, 2, 5, 20])}" for number in range(5000)]
    whole = split(toy_plan(names), 8)
    load = Counter(whole.shard_of[Via.SSH, name] for name in names for _ in range(int(name.rpartition("x")[2])))
    assert max(load.values()) - min(load.values()) <= 20
    assert len(whole.shard_of) == 5001, "and the program that runs here"
    assert set(load) == set(range(1, 9))
    assert not any(map(whole.held_together, range(1, 9)))
    many.shuffle(names)
    assert split(toy_plan(names), 8).shard_of == whole.shard_of, "whatever the order of the plan"


def test_a_database_stays_with_its_machine_and_the_host_that_leads_to_it() -> None:
    databases = [
        Database(id="orders", host="db1", user=USER),
        Database(id="billing", host="db1", user=USER),
        Database(id="cloud", address="db.example.net", user=USER, through="gate", connect=Connect.TUNNEL),
    ]
    found = shard(spread(host("db1"), host("gate"), databases=databases))
    assert found["orders"] == found["billing"] == found["db1"]
    assert found["cloud"] == found["gate"]


def test_a_backup_of_a_managed_database_stays_with_the_host_that_takes_it() -> None:
    found = shard(spread(
        host("runner"),
        databases=[Database(id="cloud", address="db.example.net", user=USER)],
        backups=[Backup(id="cloud", database="cloud", host="runner", directory="/b")],
    ))  # fmt: skip
    assert found["cloud"] == found["runner"]


@pytest.mark.parametrize("local", [False, True])
def test_entries_of_one_password_are_in_one_shard(local: bool) -> None:
    hosts = [host(f"h{number}", password=SHARED, local_account=local) for number in range(10)]
    hosts.append(host("sudo", become=(Become(account=USER, password=SHARED),), local_account=local))
    database = Database(id="orders", address="db.example.net", user=USER, password=SHARED, local_account=local)
    health = Application(
        id="app1", from_="1", to="2", health=(Endpoint(url="https://a.example.net/", bearer=SHARED),)
    )  # fmt: skip
    found = shard(spread(*hosts, databases=[database], applications=[health]))
    own = {found[name] for name in (*(each.id for each in hosts), "orders")}
    assert len(own) == (7 if local else 1)
    assert local or found["app1"] in own


def test_what_is_typed_is_typed_for_one_entry() -> None:
    found = shard(spread(*(host(f"h{number}", password=SecretRef.parse("prompt")) for number in range(30))))
    assert len({found[f"h{number}"] for number in range(30)}) == 7


@pytest.mark.parametrize("local", [False, True])
def test_hosts_behind_a_jump_host_with_a_password_stay_together(local: bool) -> None:
    jump = host("jump", password=SHARED, local_account=local)
    found = shard(spread(jump, *(host(f"h{number}", jump="jump") for number in range(10))))
    assert len({found[name] for name in ("jump", *(f"h{number}" for number in range(10)))}) == 1


def test_a_jump_host_without_a_password_leads_into_several_shards_which_say_so() -> None:
    behind = [host(f"h{number}", jump="inner") for number in range(10)]
    whole = split(toy_plan([host("outer"), host("inner", jump="outer"), *behind]), 4)
    outer, inner = whole.shard_of[Via.SSH, "outer"], whole.shard_of[Via.SSH, "inner"]
    for number in range(1, 5):
        assert set(whole.jump_hosts(number)) == {
            name for name, own in (("inner", inner), ("outer", outer)) if number != own
        }


def test_a_shard_that_cannot_be_made_smaller_says_why() -> None:
    plan = spread(*(host(f"h{number}", password=SHARED) for number in range(60)))
    told = "60 of 161 questions are for h0, h1, h10, h11, h12, and 55 more, which stay together"
    assert [split(plan, 8).held_together(number) for number in range(1, 9)] == [told, *[""] * 7]
    assert not any(split(plan, of).held_together(1) for of in (1, 2))


def test_each_shard_reads_the_files_and_one_runs_a_program() -> None:
    whole = split(toy_plan(["a", "b", "c"]), 4)
    file, program = Local("plan").question(), Runs("plan", "run").question()
    assert [whole.part(number).asks(file) for number in range(1, 5)] == [True] * 4
    assert [whole.part(number).asks(program) for number in range(1, 5)].count(True) == 1


def test_a_second_question_is_asked_where_its_target_is() -> None:
    """Also by what was read beside the plan, which each shard knows."""
    whole = split(toy_plan(["a", "b", "c"]), 4)
    asking = [number for number in range(1, 5) if whole.part(number).asks(Echo("b", "again").question())]
    assert asking == [whole.shard_of[Via.SSH, "b"]]


def test_a_network_zone_is_split_by_itself() -> None:
    hosts = [host(f"h{number}", network_zone="east" if number % 2 else "west") for number in range(10)]
    found = split(toy_plan(hosts), 6, "east").shard_of
    assert sorted(found[Via.SSH, f"h{number}"] for number in (1, 3, 5, 7, 9)) in ([*range(1, 6)], [*range(2, 7)])
