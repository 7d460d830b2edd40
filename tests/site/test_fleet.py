"""Two hundred hosts, a tenth of them with a fault: each has its reason, and all others are complete."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from preflight.evidence import Evidence
from preflight.probe import NoReply
from preflight.reasons import Reason
from tests.cli.program import preflight
from tests.site.fleet import FAULTS, Fleet, fleet
from tests.site.site import Site

pytestmark = pytest.mark.long
HOSTS = 200


@pytest.fixture(scope="module")
def many(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(site, tmp_path_factory.mktemp("fleet")) as found:
        yield found


@pytest.mark.parametrize("seed", range(20))
def test_each_fault_is_told_with_its_reason_and_every_other_host_is_complete(many: Fleet, seed: int) -> None:
    chosen = random.Random(seed)
    names = [f"h{number}" for number in range(HOSTS)]
    # Every kind in each run, and some twice.
    kinds = [*FAULTS, *chosen.choices(list(FAULTS), k=HOSTS // 10 - len(FAULTS))]
    faults = dict(zip(chosen.sample(names, len(kinds)), kinds, strict=True))
    plan = many.plan(HOSTS, faults)
    kept = plan.with_name("evidence.json")
    done = preflight(
        "run", plan, "--only", "host-login", "--format", "json", "--evidence", kept, FAKE_PASSWORD="canary-hunter22"
    )
    assert done.returncode == 1, done.stderr
    assert "canary-hunter22" not in done.stdout + kept.read_text()
    found = {each["subject"]: each for each in json.loads(done.stdout)["findings"] if each["check"] == "host-login"}
    assert found.keys() == set(names), "nothing is lost"
    assert {name for name, each in found.items() if each["status"] == "pass"} == {*names} - faults.keys()
    lost: dict[str, set[Reason]] = {}
    asked = Counter(question.target for question, _ in Evidence.load(kept))
    for question, answer in Evidence.load(kept):
        if isinstance(answer, NoReply):
            lost.setdefault(question.target, set()).add(answer.reason)
            assert found[question.target]["status"] == answer.reason.status
            assert found[question.target]["remedy"]
    assert lost == {name: {FAULTS[fault].reason} for name, fault in faults.items()}
    assert {asked[name] for name in names if name not in faults} == {max(asked.values())}, "the others are complete"
