"""Sizes in bytes as texts. Pure; imports nothing of ours."""

from __future__ import annotations

import math
from collections.abc import Callable

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def format_size(count: float) -> str:
    """`1.5 GiB`, rounded down: of what there is, no text promises more."""
    return _format(count, math.floor)


def format_need(count: float) -> str:
    """`1.6 GiB`, rounded up: of what is needed, no text asks for less."""
    return _format(count, math.ceil)


def _format(count: float, whole: Callable[[float], int]) -> str:
    """One decimal at most, in the largest unit of which there is at least one."""
    for power in range(len(_UNITS)):
        shown = whole(count / 1024**power * 10) / 10
        if shown < 1024:
            break
    return f"{shown:g} {_UNITS[power]}"
