"""Four verdicts every report format must show: one release, a few toy checks, and what they found.

Neither the plan nor the checks are those that are shipped, so that the golden files change with the formats only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from preflight.check import Expect
from preflight.finding import (
    Age,
    Event,
    Finding,
    Judgement,
    Quantity,
    Severity,
    Status,
    failed,
    passed,
    unknown,
    warned,
)
from preflight.plan import Account, Host, Plan
from preflight.plan.load import load_plan
from preflight.verdict import Verdict
from tests.toy import conclude

PLAN = Path(__file__).parent.parent / "release.toml"
COLLECTED = datetime(2026, 10, 16, 15, 4, 9, tzinfo=UTC)
HOSTILE = (
    "\033[31mred\033[0m <script>alert(1)</script> & | `x` \u202eevil\u202c \x07bell \r\nNO-GO\b\x9b2J \ud800 ]]> é"
)

Key = tuple[str, str]
"""Check and subject."""


@dataclass(frozen=True)
class Toy:
    """One planned check of one subject."""

    check: str
    subject: str
    owner: str
    steps: Sequence[str] = ()
    host: str = "db1"
    """Where it is seen; empty for what the plan alone tells."""


TOYS = (
    Toy("login", "db1", "unix", ("backup-orders", "scripts-orders")),
    Toy("login", "db2", "unix", ("backup-billing", "scripts-billing"), "db2"),
    Toy("database", "orders", "dba", ("scripts-orders",)),
    Toy("place", "orders", "dba", ("backup-orders",)),
    Toy("space", "orders", "dba", ("backup-orders",)),
    Toy("hashes", "orders", "app1"),
    Toy("health", "app1 on app1-a", "app1"),
    Toy("health", "app1 on app1-b", "app1"),
    Toy("health", "app2", "app2"),
    Toy("call", "dba", "dba", host=""),
)

NO_LOGIN = failed(
    "the password was refused",
    expected="a login as dbadmin with a command run",
    actual="db1: the server refused the password of dbadmin",
    remedy="have the password of dbadmin on db1 set, then: ssh dbadmin@db1.example.net true",
)
CHANGED = failed(
    "2 of 4 staged scripts are not the approved ones",
    expected="sha256 8d1f0c55aa10 of 02-orders.sql",
    actual="sha256 44e0a1b9c3d2, changed 2026-10-16 13:22 by m.ivanov",
    remedy="have the release put 02-orders.sql on db1 again, then: preflight run --only hashes",
    details="--- approved/02-orders.sql\n+++ db1:/srv/release/02-orders.sql\n@@ -3 +3 @@\n"
    "-  note text\n+  note varchar(20)",
    waivable=False,
)
SLOW = replace(
    failed(
        "answers in 3.2 s",
        expected="not more than 2.0 s",
        actual="3.2 s",
        remedy="have app1-b's disk looked at",
    ),
    quantity=Quantity(3.2, "s"),
)
NO_SPACE = failed(
    "orders does not fit: 14.0 GiB missing, 26.0 GiB free",
    expected="orders needs 40.0 GiB (1.2 x 33.3 GiB, as the plan expects)",
    actual="26.0 GiB free of 200.0 GiB on /backup of db1",
    remedy="free 14.0 GiB on /backup of db1, or name another directory in [backups.orders]",
)
EXPIRES = replace(
    warned(
        "the certificate ends 6 days after the window",
        expected="30 days",
        actual="notAfter 2026-10-23 12:00 UTC",
        remedy="have the certificate of app2 renewed",
    ),
    events=(Event(at=datetime(2026, 10, 17, 6, 30, tzinfo=UTC), text="password of dbadmin on db1 expires"),),
)
LOST = f"on db1 as dbadmin: {NO_LOGIN.actual}"


@cache
def release() -> Plan:
    return replace(load_plan(PLAN, {}), path=Path("plans/release.toml"))


def _finding(number: int, toy: Toy, judgement: Judgement) -> Finding:
    return Finding(
        check=toy.check,
        title=f"the {toy.check} is as it should be",
        subject=toy.subject,
        severity=Severity.BLOCKING,
        judgement=judgement,
        owner=release().person(toy.owner),
        cause=LOST if judgement.status is Status.UNKNOWN else "",
        vantage=f"on {toy.host} as dbadmin" if toy.host else "",
        oldest_evidence_at=COLLECTED + timedelta(seconds=number) if toy.host else None,
        took_seconds=round(0.1 + number % 5 / 10, 1) if toy.host else 0.0,
        steps=tuple(toy.steps),
        cure_by=datetime(2026, 10, 15, 20, 0, tzinfo=UTC) if toy.check == "login" else None,
    )


def _verdict(
    found: Mapping[Key, Judgement], *, waivers: bool = False, expect: Expect | None = None, days: int = 0
) -> Verdict:
    """All toys pass, but for those that are `found` otherwise."""
    plan = release() if waivers else replace(release(), waivers=())
    judgements = [found.get((toy.check, toy.subject), passed("as it should be")) for toy in TOYS]
    verdict = conclude(
        plan,
        [
            _finding(number, toy, judgement)
            for number, (toy, judgement) in enumerate(zip(TOYS, judgements, strict=True))
        ],
        planned=len(TOYS),
        evidence_digest="e1" * 32,
        collected_at=COLLECTED,
        moment=plan.window.start + timedelta(days=days),
        expect=expect,
    )
    return replace(
        verdict,
        unconfirmed=() if expect else ("The address of the role unix was confirmed 20 days ago.",),
        vantage="from control as release",
        ages=[
            Age("state", timedelta(minutes=12), timedelta(minutes=30)),
            Age("access", timedelta(hours=13), timedelta(hours=4)),
        ],
    )


def go() -> Verdict:
    return _verdict({("health", "app2"): EXPIRES})


def no_go() -> Verdict:
    return _verdict(
        {
            ("login", "db1"): NO_LOGIN,
            ("hashes", "orders"): CHANGED,
            ("space", "orders"): NO_SPACE,
            ("database", "orders"): unknown("could not be asked", remedy="have sshd of db1 started"),
            ("place", "orders"): unknown("could not be asked", remedy="have sshd of db1 started"),
            ("health", "app2"): EXPIRES,
        }
    )


def hold() -> Verdict:
    return _verdict(
        {
            ("database", "orders"): unknown("could not be asked", remedy="have sshd of db1 started"),
            ("place", "orders"): unknown("could not be asked", remedy="have sshd of db1 started"),
        }
    )


def waived() -> Verdict:
    return _verdict({("health", "app1 on app1-b"): SLOW}, waivers=True)


def not_valid() -> Verdict:
    """What `preflight verify` says the day after."""
    return _verdict({("hashes", "orders"): CHANGED}, expect=Expect.AFTER, days=1)


def hostile() -> Verdict:
    """Remote text at its worst, wherever it can stand."""
    bad = failed(
        HOSTILE, expected=HOSTILE, actual=HOSTILE * 500, remedy=HOSTILE, details=HOSTILE * 3, minutes_at_stake=5
    )
    verdict = _verdict({("login", "db1"): bad, ("health", "app2"): replace(EXPIRES, summary=HOSTILE)})
    findings = [
        replace(finding, subject=HOSTILE, owner=HOSTILE, vantage=HOSTILE) if finding.check == "login" else finding
        for finding in verdict.findings
    ]
    return replace(verdict, findings=findings, unconfirmed=(HOSTILE,), vantage=HOSTILE, basis=(HOSTILE,))


def two_hundred_hosts() -> Verdict:
    """Two hundred hosts that fail in the same way, and what is behind each."""
    login = next(each for each in no_go().findings if each.check == "login")
    names = [f"web{n:03}.example.net" for n in range(200)]
    more = {name: Host(id=name, user=Account("dbadmin")) for name in names}
    plan = replace(no_go().plan, hosts={**no_go().plan.hosts, **more})
    findings = []
    for name in names:
        seen, told = f"from here to {name} as dbadmin", f"{name}: the server refused the password of dbadmin"
        bad = replace(login.judgement, actual=told, remedy=f"have it set on {name}, then: ssh dbadmin@{name} true")
        findings.append(replace(login, subject=name, judgement=bad, vantage=seen))
        dark = unknown("could not be asked", remedy=f"have it set on {name}")
        findings += [replace(login, check="clock", subject=name, judgement=dark, cause=f"{seen}: {told}")]
    return replace(no_go(), plan=plan, findings=[*findings, *no_go().findings])


CASES: Mapping[str, Callable[[], Verdict]] = {
    "go": go,
    "no-go": no_go,
    "hold": hold,
    "waived": waived,
    "not-valid": not_valid,
}
EXIT_CODES = {"go": 0, "no-go": 1, "hold": 3, "waived": 0, "not-valid": 1}
