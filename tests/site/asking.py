"""Runs single checks against the real servers of the site, the way the tool does."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from preflight.check import Check
from preflight.clock import now
from preflight.engine.answered import Answered
from preflight.engine.inspection import inspect
from preflight.engine.registry import Registry
from preflight.engine.run import collect
from preflight.evidence import Evidence
from preflight.finding import Finding
from preflight.plan import Account as Login
from preflight.plan import Database, Host, Plan, SslMode, Window
from preflight.plan.sealed_servers import SealedServer
from preflight.sessions.pools import Pools
from preflight.sessions.secrets import Secrets
from tests.damage import assert_none_better
from tests.site.accounts import Account
from tests.site.machine import TIMEOUT_SECONDS, clean_environment
from tests.site.postgres import Cluster
from tests.site.sshd import Sshd
from tests.toy import toy_plan

NOW = datetime.now(UTC)
WINDOW = Window(zone="UTC", start=NOW + timedelta(hours=9), end=NOW + timedelta(hours=15))


def make_plan(folder: Path, *, known_hosts: str = "", window: Window = WINDOW, **sections: Any) -> Plan:
    """A plan in `folder`, with the pinned host keys beside it as `preflight seal` leaves them. `sections`: as for
    `toy_plan`; without any no host is named."""
    plan = toy_plan(path=folder / "plan.toml", **{"hosts": (), "window": window, **sections})
    plan.sealed_known_hosts.write_text(known_hosts)
    return plan


def host_on(sshd: Sshd, account: Account, **more: Any) -> Host:
    """The entry, `db1` unless named otherwise, by which the account logs in to this server with its key."""
    login = {"address": sshd.address, "port": sshd.port, "user": Login(account.name), "key": account.key}
    return Host(**{"id": "db1", **login, **more})


def database_on(cluster: Cluster, user: str, **more: Any) -> Database:
    """The entry, `orders` on `db1` unless named otherwise, by which a role logs in to this cluster; over TLS, where it
    has any."""
    tls = {"sslmode": SslMode.VERIFY_FULL, "sslrootcert": cluster.ca} if cluster.tls else {"sslmode": SslMode.DISABLE}
    login = {"user": Login(user), "address": cluster.address, "port": cluster.port, **tls}
    return Database(**{"id": "orders", "host": "db1", **login, **more})


def sealed_at(cluster: Cluster, name: str = "orders", dbname: str = "") -> dict[str, SealedServer]:
    """What `preflight seal` records of a database at this cluster; with the oid where its own name is told."""
    system = str(cluster.scalar("SELECT system_identifier FROM pg_control_system()"))
    timeline = "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
    oid = cluster.scalar("SELECT coalesce(max(oid::bigint)::text, '') FROM pg_database WHERE datname = %s", dbname)
    is_replica = cluster.scalar("SELECT pg_is_in_recovery()")
    server = SealedServer(
        system_identifier=system, port=cluster.port, data_directory=str(cluster.data), addresses=(cluster.address,),
        oid=str(oid), timeline="1" if is_replica else str(int(str(cluster.scalar(timeline)), 16)),
    )  # fmt: skip
    return {name: server}


def findings(check: type[Check], plan: Plan, timeout_seconds: float = TIMEOUT_SECONDS) -> Mapping[str, Finding]:
    """The check's findings by subject. Saved evidence, judged again, must give the same ones, and none is better
    without any one of its answers, or with a damaged one."""
    inspection = inspect(plan, Registry((check,)), now())  # the suite may have begun minutes ago
    secrets = Secrets.of(plan)
    with Pools(plan, secrets) as pools:
        answered = collect(inspection, pools.session, timeout_seconds, mask=secrets.redact)
    found, evidence = answered.findings(), answered.evidence
    assert Answered(inspection, Evidence.from_json(evidence.to_json())).findings() == found
    assert_none_better(inspection, evidence)
    return {finding.subject: finding for finding in found}


def finding(check: type[Check], plan: Plan, timeout_seconds: float = TIMEOUT_SECONDS) -> Finding:
    """The only finding."""
    (found,) = findings(check, plan, timeout_seconds).values()
    return found


def as_root(found: Finding) -> None:
    """What root is to run on the host, which is this machine."""
    command = re.split("run on db1: |on db1, as root: ", found.judgement.remedy)[1].partition("; or ")[0]
    subprocess.run(["sh", "-c", command], check=True)


def told(found: Finding) -> str:
    """Everything a reader sees of a finding, for messages of failed tests and searches in them."""
    points = found.judgement.telling_points()
    lines = [
        f"{point.status}: {point.summary} | {point.expected} | {point.actual} | {point.remedy}" for point in points
    ]
    return "\n".join([f"{found.status} {found.check} {found.subject} ({found.cause})", *lines])


def pasted(plan: Plan, command: str) -> subprocess.CompletedProcess[str]:
    """What a shell in the plan's folder makes of it, without anything of the caller's, and nobody to ask."""
    alone = command.replace("ssh ", "ssh -F none ").replace("scp ", "scp -F none ", 1)
    return subprocess.run(
        ["sh", "-c", alone], cwd=plan.folder, env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=TIMEOUT_SECONDS,
    )  # fmt: skip
