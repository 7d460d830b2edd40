"""Connecting: what is said of a wait."""

from __future__ import annotations

import errno

import pytest
from pytest_mock import MockerFixture

from preflight.clock import Deadline
from preflight.sessions import dial


def test_a_wait_that_the_system_ends_early_is_told_as_long_as_it_was(mocker: MockerFixture) -> None:
    mocker.patch.object(dial.QuickSocket, "connect", side_effect=TimeoutError(errno.ETIMEDOUT, "timed out"))
    with pytest.raises(dial.DialFailed, match=r"did not answer within \d\.\d s"):
        dial.connect(dial.resolve("127.0.0.1", 9, Deadline(5)), Deadline(3600))
