"""What several sections of a plan say together: which entries are one machine, which secrets are needed where."""

from __future__ import annotations

from dataclasses import replace

import pytest

from preflight.plan import Account, Database, Host, SecretRef
from preflight.plan.release_plan import is_one_machine, machine_of, server_of
from tests.toy import toy_plan

DB1 = Host(id="db1", address="db1.example.net")
SAME_PLACE = replace(DB1, id="db1-ortiz", user=Account("ortiz"))
ALIAS = Host(id="db1-too", address="192.0.2.11")


@pytest.mark.parametrize(
    ("other", "boots", "same"),
    [
        (SAME_PLACE, ("", ""), True),
        (ALIAS, ("", ""), False),
        (ALIAS, ("b1", "b1"), True),
        (SAME_PLACE, ("b1", "b2"), False),  # one name, two machines behind it
        (SAME_PLACE, ("b1", ""), True),
        (ALIAS, ("b1", ""), False),
        (replace(DB1, id="db9", port=2222), ("", ""), False),
        (replace(DB1, id="db9", jump="bastion"), ("", ""), False),  # a private address behind a jump host
    ],
)
def test_what_was_seen_counts_before_what_the_plan_says(other: Host, boots: tuple[str, str], same: bool) -> None:
    assert is_one_machine(DB1, boots[0], other, boots[1]) is same
    assert is_one_machine(other, boots[1], DB1, boots[0]) is same


def test_an_entry_without_an_address_is_reached_by_its_id() -> None:
    assert machine_of(Host(id="db1.example.net")) == machine_of(DB1)


def test_one_server_is_one_by_whichever_login_of_its_machine() -> None:
    plan = replace(toy_plan(()), hosts={each.id: each for each in (DB1, SAME_PLACE, ALIAS)})
    orders = Database(id="orders", host="db1", user=Account("release"))
    assert server_of(plan, orders) == server_of(plan, replace(orders, id="billing", host="db1-ortiz"))
    assert server_of(plan, orders) != server_of(plan, replace(orders, port=5433))
    assert server_of(plan, orders) != server_of(plan, replace(orders, address="192.0.2.12"))
    for own in (plan.hosts["db1"].address, "127.0.0.1"):
        assert server_of(plan, orders) == server_of(plan, replace(orders, address=own)), "the default, or named"


def test_one_network_zone_needs_its_own_secrets_and_those_of_the_way_to_it() -> None:
    def ref(name: str) -> SecretRef:
        return SecretRef("prompt", name)

    hosts = [
        Host(id="gate", address="gate", user=Account("a"), password=ref("gate"), network_zone="west"),
        Host(id="near", address="near", user=Account("a"), password=ref("near"), network_zone="west"),
        Host(id="far", address="far", user=Account("a"), password=ref("far"), network_zone="east", jump="gate"),
    ]
    orders = Database(id="orders", host="far", user=Account("release"), password=ref("orders"))
    plan = replace(toy_plan(), hosts={host.id: host for host in hosts}, databases={"orders": orders})

    def needed(zone: str) -> list[str]:
        return [secret.argument for secret, _ in plan.secrets(zone)]

    assert needed("") == ["gate", "near", "far", "orders"]
    assert needed("east") == ["gate", "far", "orders"]
    assert needed("west") == ["gate", "near"]
