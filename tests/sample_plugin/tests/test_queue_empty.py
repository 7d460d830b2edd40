"""How the author of a check tests it: plain answers, no network."""

from pathlib import Path

import pytest
from preflight_queue import QueueEmpty

from preflight.finding import Status
from preflight.probe import Answer
from preflight.testing import Trial, answered, lost, plan_of

PLAN = """
[hosts.db1]
user = "dbadmin"
ssh_config = true
[checks.queue-empty]
folders = { db1 = "/var/spool/jobs" }
most = 2
"""


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (answered("2\n"), Status.PASS),
        (answered("3\n"), Status.FAIL),
        (answered("0\n", error="find: '/var/spool/jobs': Permission denied"), Status.UNKNOWN),
        (answered(""), Status.UNKNOWN),
        (lost(), Status.UNKNOWN),
    ],
)
def test_the_number_of_files_is_judged(tmp_path: Path, answer: Answer, status: Status) -> None:
    trial = Trial(QueueEmpty, plan_of(PLAN, tmp_path, QueueEmpty), lambda _question: answer)
    assert trial.finding.status is status
    trial.assert_contract()
