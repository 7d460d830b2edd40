"""`preflight verify` on the demo's site, where its own scripts really run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from preflight.check import Expect
from preflight.cli.options import load
from preflight.clock import now
from preflight.demo.site import DemoSite
from preflight.engine.answered import Answered
from preflight.engine.inspection import inspect
from preflight.engine.run import collect, judge
from preflight.plan.load import load_plan
from preflight.questions.rehearsed import Rehearsal, parse_rehearsal
from preflight.sessions.pools import Pools
from preflight.sessions.secrets import Secrets
from preflight.verdict import Decision
from tests.cli.program import preflight
from tests.demo.test_demo_site import ssh

HOSTS = {"orders": "db1", "billing": "db2"}
VERSIONS = {"app1": ("4.1", "4.2"), "app2": ("2.7", "3.0")}


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoSite]:
    """The demo with a rehearsal of its scripts."""
    with DemoSite() as demo:
        text = demo.plan_path.read_text()
        demo.plan_path.write_text(re.sub(r"^without = .*\n", "", text, flags=re.MULTILINE))
        done = preflight("rehearse", demo.plan_path)
        assert done.returncode == 0, done.stdout + done.stderr
        yield demo


@pytest.fixture(scope="module")
def record(demo: DemoSite) -> Rehearsal:
    return parse_rehearsal(load_plan(demo.plan_path).rehearsal_record.read_text())


def verify(demo: DemoSite, expect: str) -> tuple[int, str]:
    done = preflight("verify", demo.plan_path, "--expect", expect)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def run(demo: DemoSite, record: Rehearsal, name: str, *files: str) -> None:
    """The declared line of the entry on its host, with these scripts in place of its own."""
    line, scripts = record.scripts[name].line, {each.script for each in record.scripts[name].forward}
    first = next(number for number, word in enumerate(line) if word in scripts) - 1
    words = [
        *line[:first],
        *(word for file in files for word in (line[first], file)),
        *line[first + 2 * len(scripts) :],
    ]
    staged = demo.hosts[HOSTS[name]].root / "release" / name
    done = ssh(demo, HOSTS[name], f"cd {shlex.quote(str(staged))} && {shlex.join(words)}")
    assert done.returncode == 0, done.stdout + done.stderr


def deploy(demo: DemoSite, *, new: bool) -> None:
    for name, versions in VERSIONS.items():
        demo.apps[name].version = versions[new]


def assert_nothing_is_taken_for_granted(demo: DemoSite) -> None:
    """Without any one answer the state is no longer valid."""
    plan, registry = load(demo.plan_path)
    inspection = inspect(plan, registry.verifying(Expect.AFTER), now(), expect=Expect.AFTER)
    with Pools(plan, Secrets.of(plan)) as pools:
        answered = collect(inspection, pools.session)
    assert judge(answered).decision is Decision.VALID
    for question, _ in answered.evidence:
        less = judge(Answered(inspection, answered.evidence.without(question.id)))
        assert less.decision is Decision.NOT_KNOWN, question.text


@pytest.mark.long
def test_the_work_and_the_way_back_are_verified(demo: DemoSite, record: Rehearsal) -> None:
    code, told = verify(demo, "before")
    assert code == 0, told
    code, told = verify(demo, "after")
    assert code == 1, told
    assert 'runs version "4.1", not 4.2' in told
    assert "not done: " in told

    run(demo, record, "orders", "010_delivery_date.sql")  # and the second one is forgotten
    run(demo, record, "billing", "010_currency.sql", "020_rounding.sql")
    deploy(demo, new=True)
    code, told = verify(demo, "after")
    assert code == 1, told
    assert told.startswith("NOT VALID  REL-DEMO"), told
    assert re.findall(r"^FAIL +(\S+ \S+) ", told, re.MULTILINE) == ["schema-drift orders"], told
    assert "not done: view public.late_orders" in told, told

    run(demo, record, "orders", "020_late_orders.sql")
    code, told = verify(demo, "after")
    assert code == 0, told
    assert told.startswith("VALID  REL-DEMO"), told
    assert not (demo.plan_path.parent / ".preflight").exists()
    assert_nothing_is_taken_for_granted(demo)
    code, told = verify(demo, "before")
    assert code == 1, told

    run(demo, record, "billing", "undo/020_rounding.down.sql", "undo/010_currency.down.sql")
    run(demo, record, "orders", "undo/020_late_orders.down.sql", "undo/010_delivery_date.down.sql")
    code, told = verify(demo, "before")
    assert code == 1, told
    assert 'runs version "4.2", not 4.1' in told
    deploy(demo, new=False)
    code, told = verify(demo, "before")
    assert code == 0, told
