"""Which secrets a plan needs, and where."""

from __future__ import annotations

from dataclasses import replace

from preflight.plan import Account, Database, Host, SecretRef
from tests.toy import toy_plan


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
