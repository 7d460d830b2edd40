"""A plan whose host, jump host and database name no port, on a machine where the standard ports are a real sshd and a
real PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from preflight_checks.app_health import AppHealth

from preflight.finding import Status
from preflight.plan import Application, Endpoint
from tests.cli.program import preflight_process, write_plan
from tests.confirmed import confirm_all
from tests.site.asking import findings, make_plan
from tests.site.netns import Namespace
from tests.site.postgres import Cluster
from tests.site.site import Site

PLAN = """
[release]
id = "REL-1"

[window]
zone = "UTC"
start = {start:%Y-%m-%dT%H:%M:%S}
end = {end:%Y-%m-%dT%H:%M:%S}

[roles.dba]
primary = "D. Kaya"
standby = "M. Ortiz"
contact = "ext. 4411"

[hosts.bastion]
address = "127.0.0.2"
user = "{account.name}"
key = "{account.key}"
owner = "dba"

[hosts."db1.test"]
user = "{account.name}"
key = "{account.key}"
jump = "bastion"
owner = "dba"

[databases.orders]
host = "db1.test"
name = "{name}"
user = "{role.name}"
password = "env:ORDERS_PASSWORD"
connect = "{connect}"
sslmode = "verify-full"
sslrootcert = "{ca}"
owner = "dba"
"""


@pytest.fixture(scope="module")
def machine(site: Site) -> Namespace:
    site.account("good")
    machine = site.start_namespace(names={"db1.test": "127.0.0.1"})
    for address in ("127.0.0.1", "127.0.0.2"):
        site.start_sshd(namespace=machine, address=address)
    return machine


@pytest.fixture(scope="module")
def cluster(site: Site, machine: Namespace) -> Cluster:
    return site.start_postgres(namespace=machine)


@pytest.mark.long
@pytest.mark.case(1)
@pytest.mark.parametrize("connect", ["direct", "tunnel"])
def test_an_address_is_enough(site: Site, machine: Namespace, cluster: Cluster, tmp_path: Path, connect: str) -> None:
    now, role = datetime.now(UTC), cluster.create_role("release", options="IN ROLE pg_read_all_stats")
    text = PLAN.format(
        start=now + timedelta(hours=9),
        end=now + timedelta(hours=15),
        account=site.account("good"),
        role=role,
        name=cluster.create_database("orders", owner=role.name),
        ca=site.authority.certificate,
        connect=connect,
    )
    plan = write_plan(tmp_path, text)
    confirm_all(plan)
    sealed = preflight_process("seal", plan, "--accept-host-keys", inside=machine, ORDERS_PASSWORD=role.password)
    assert sealed.returncode == 0, sealed.stderr
    pinned = {line.split()[0] for line in (tmp_path / "plan.known_hosts").read_text().splitlines()[1:]}
    assert pinned == {"127.0.0.2", "db1.test"}, "as ssh itself names a host on port 22"
    done = preflight_process("run", plan, "-v", inside=machine, ORDERS_PASSWORD=role.password)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "127.0.0.2:22" in done.stdout


def test_a_url_with_and_one_without_the_usual_port_are_one_instance(
    site: Site, machine: Namespace, tmp_path: Path
) -> None:
    app = site.start_app(namespace=machine)
    app.answer_json({"version": "4.1"})
    app.answer("/ready", "yes")
    told = Endpoint(url="https://127.0.0.1/health", ca=app.ca, version="version")
    ready = Endpoint(url="https://127.0.0.1:443/ready", ca=app.ca, text="yes")
    application = Application(id="app1", from_="4.1", to="4.2", health=(told, ready))
    plan = make_plan(tmp_path, applications={"app1": application})
    found = machine.call(lambda: findings(AppHealth, plan))
    app.close()
    assert {each.status for each in found.values()} == {Status.PASS}, found
