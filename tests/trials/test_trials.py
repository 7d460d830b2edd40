"""A short run of each of the long programs; CONTRIBUTING.md has the long ones, with their last figures."""

from __future__ import annotations

import random
import signal
from contextlib import closing
from datetime import timedelta

import pytest

from tests.site.site import Site
from tests.trials.interrupts import COMMANDS, Trial
from tests.trials.soak import largest, soak

pytestmark = pytest.mark.long


def test_an_interruption_leaves_nothing_half_done(site: Site) -> None:
    chosen = random.Random(12)
    with closing(Trial(site)) as trial:
        for command in COMMANDS:
            for sent in (signal.SIGINT, signal.SIGTERM):
                trial.interrupt(command, sent, chosen.uniform(0.2, 1) * trial.seconds[command])


def test_a_watch_tells_each_change_once_and_does_not_grow(site: Site) -> None:
    watch = soak(site, timedelta(seconds=30), seed=12)
    assert watch.told
    first, last = largest(watch.sizes[:2]), largest(watch.sizes[-2:])
    assert last["Threads"] <= first["Threads"] + 2
    assert last["descriptors"] <= first["descriptors"] + 2
