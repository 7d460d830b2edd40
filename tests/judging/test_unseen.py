"""What nobody could look at: every cause has a cure, and none of them is just to try again."""

from __future__ import annotations

import pytest

from preflight.finding import Status
from preflight.judging.unseen import could_not_look
from preflight.probe import NO_SECRET, Cause, NoReply
from tests.toy import MOMENT


@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("reason", ["", "jump", NO_SECRET])
def test_every_cause_has_a_cure(cause: Cause, reason: str) -> None:
    found = could_not_look(NoReply(cause, "what was seen", MOMENT, reason=reason), " whether it works")
    assert (found.status, found.actual) == (Status.UNKNOWN, "what was seen")
    assert found.summary == f"could not look whether it works: {cause}"
    assert found.remedy
    assert "run again" not in found.remedy
