"""Sizes and durations as texts, both ways: what there is rounded down, what is needed rounded up."""

from __future__ import annotations

from datetime import timedelta

import pytest

from preflight.units import format_duration, format_need, format_size, parse_duration, parse_quantity, parse_size

MIB, GIB, TIB = 1024**2, 1024**3, 1024**4


@pytest.mark.parametrize(
    ("count", "there_is", "needed"),
    [
        (0, "0 B", "0 B"),
        (1023, "1023 B", "1023 B"),
        (1024, "1 KiB", "1 KiB"),
        (1536, "1.5 KiB", "1.5 KiB"),
        (20 * GIB, "20 GiB", "20 GiB"),
        (GIB + 1, "1 GiB", "1.1 GiB"),
        (GIB - 1, "1023.9 MiB", "1 GiB"),
        (1.96 * MIB, "1.9 MiB", "2 MiB"),
        (5000 * TIB, "5000 TiB", "5000 TiB"),
    ],
)
def test_what_there_is_never_looks_like_enough_for_what_is_needed(count: float, there_is: str, needed: str) -> None:
    assert (format_size(count), format_need(count)) == (there_is, needed)


@pytest.mark.parametrize(("text", "size"), [("20GiB", 20 * GIB), ("1.5 MiB", 1.5 * MIB), ("1KiB", 1024), ("0TiB", 0)])
def test_sizes_are_read(text: str, size: float) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "20", "20GB", "20 gib", "-1GiB", "1 B", "20GiB\n", "٢GiB", "1e3GiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30min", 1800), ("26h", 93600), ("2d", 172800), ("1h 30min", 5400), ("1.5h", 5400), ("0s", 0)],
)
def test_durations_are_read(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "30", "min", "30 minutes", "-5min", "1h, 30min", "1e3s", "nan s", "5m", "1H"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (3600, "1 h"), (5400, "1 h 30 min"), (90061, "1 d 1 h"), (-90, "-1 min 30 s")],
)
def test_durations_are_written(seconds: int, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("text", "quantity"),
    [("900 ms", (0.9, "s")), ("2min", (120.0, "s")), ("1.5 GiB", (1.5 * 2**30, "B")), ("3", (3.0, "")), ("x", None)],
)
def test_quantities_are_read(text: str, quantity: tuple[float, str] | None) -> None:
    assert parse_quantity(text) == quantity
