"""Four verdicts every report format must show: one release, all its checks, and what they found.

The plan is a copy of an example, so that the golden files do not change with it: two applications, three hosts, twelve
steps, people, tested pairs and a waiver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from preflight.finding import Age, Event, Finding, Judgement, Quantity, Status, failed, passed, unknown, warned
from preflight.inspection import Inspection, inspect
from preflight.loader import load_plan
from preflight.plan import Plan
from preflight.registry import find_checks
from preflight.verdict import Verdict, conclude

PLAN = Path(__file__).parent / "release.toml"
COLLECTED = datetime(2026, 10, 16, 15, 4, 9, tzinfo=UTC)
HOSTILE = (
    "\033[31mred\033[0m <script>alert(1)</script> & | `x` \u202eevil\u202c \x07bell \r\nNO-GO\b\x9b2J \ud800 ]]> é"
)

Key = tuple[str, str]
"""Check and the beginning of the subject's name."""

NO_LOGIN = failed(
    "the password was refused",
    expected="a login as dbadmin with a command run",
    actual="db1 offers publickey,password; the password of dbadmin was not accepted",
    remedy="have the password of dbadmin on db1 set, then: ssh dbadmin@db1.example.net true",
)
CHANGED = failed(
    "2 of 4 staged scripts are not the approved ones",
    expected="sha256 8d1f0c55aa10 of 02-orders.sql",
    actual="sha256 44e0a1b9c3d2, changed 2026-10-16 13:22 by m.ivanov",
    remedy="have the release put 02-orders.sql on db1 again, then: preflight run --only script-hashes",
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
LOST = "on db1 as dbadmin: connection refused by 192.0.2.11 port 22"


@cache
def inspection() -> Inspection:
    registry = find_checks(None)
    plan = load_plan(PLAN, {check.id: check.Settings for check in registry.checks if check.Settings})
    return inspect(plan, registry, plan.window.start)


def _findings(plan: Plan, found: Mapping[Key, Judgement]) -> list[Finding]:
    """All planned checks pass, but for those that are `found` otherwise."""
    used: set[Key] = set()
    findings = []
    for number, item in enumerate(inspection().items):
        keys = [
            key for key in found if item.check_id == key[0] and item.subject.id.startswith(key[1]) and key not in used
        ]
        used.update(keys[:1])
        judgement = found[keys[0]] if keys else passed("as it should be")
        findings.append(
            Finding(
                check=item.check_id,
                title=item.title,
                subject=item.subject.id,
                severity=item.severity,
                judgement=judgement,
                owner=plan.person(item.subject.owner),
                cause=LOST if judgement.status is Status.UNKNOWN else "",
                vantage="on db1 as dbadmin" if item.probes else "",
                oldest_evidence_at=COLLECTED + timedelta(seconds=number % 7) if item.probes else None,
                took_seconds=round(0.1 + number % 5 / 10, 1) if item.probes else 0.0,
                steps=item.subject.steps,
                cure_by=datetime(2026, 10, 15, 20, 0, tzinfo=UTC) if item.check_id == "host-login" else None,
            )
        )
    assert used == set(found), f"no such check or subject: {set(found) - used}"
    return findings


def _verdict(found: Mapping[Key, Judgement], *, waivers: bool = False) -> Verdict:
    plan = replace(inspection().plan, path=Path("plans/release.toml"))
    if not waivers:
        plan = replace(plan, waivers=())
    findings = _findings(plan, found)
    return conclude(
        plan,
        findings,
        planned=len(findings),
        evidence_digest="e" * 64,
        collected_at=COLLECTED,
        moment=plan.window.start,
        unconfirmed=("The address of the role unix was confirmed 20 days ago.",),
        vantage="from control as release",
        ages=[
            Age("state", timedelta(minutes=12), timedelta(minutes=30)),
            Age("access", timedelta(hours=13), timedelta(hours=4)),
        ],
    )


def go() -> Verdict:
    return _verdict({("app-health", "app2"): EXPIRES})


def no_go() -> Verdict:
    return _verdict(
        {
            ("host-login", "db1"): NO_LOGIN,
            ("script-hashes", "orders"): CHANGED,
            ("backup-space", "orders"): NO_SPACE,
            ("database-login", "orders"): unknown("could not be asked", remedy="have sshd of db1 started"),
            ("backup-location", "orders"): unknown("could not be asked", remedy="have sshd of db1 started"),
            ("app-health", "app2"): EXPIRES,
        }
    )


def hold() -> Verdict:
    return _verdict(
        {
            ("database-login", "orders"): unknown("could not be asked", remedy="have sshd of db1 started"),
            ("backup-location", "orders"): unknown("could not be asked", remedy="have sshd of db1 started"),
        }
    )


def waived() -> Verdict:
    return _verdict({("app-health", "app1 https://app1-b"): SLOW}, waivers=True)


def hostile() -> Verdict:
    """Remote text at its worst, wherever it can stand."""
    bad = failed(
        HOSTILE, expected=HOSTILE, actual=HOSTILE * 500, remedy=HOSTILE, details=HOSTILE * 3, minutes_at_stake=5
    )
    verdict = _verdict({("host-login", "db1"): bad, ("app-health", "app2"): replace(EXPIRES, summary=HOSTILE)})
    findings = [
        replace(finding, subject=HOSTILE, owner=HOSTILE, vantage=HOSTILE) if finding.check == "host-login" else finding
        for finding in verdict.findings
    ]
    return replace(verdict, findings=findings, unconfirmed=(HOSTILE,), vantage=HOSTILE, basis=(HOSTILE,))


CASES: Mapping[str, Callable[[], Verdict]] = {"go": go, "no-go": no_go, "hold": hold, "waived": waived}
EXIT_CODES = {"go": 0, "no-go": 1, "hold": 3, "waived": 0}
