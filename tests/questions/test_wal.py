"""What is read from pg_stat_wal, of a real server too."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from preflight.probe import Reply, Unreadable
from preflight.questions.sizes import WalRate, WalRateProbe
from tests.site.site import Site

PROBE = WalRateProbe("orders")
AT = datetime(2026, 10, 16, 19, tzinfo=UTC)
ROW = '{{"seen_at": "{now}", "bytes": "{bytes}", "seconds": "{seconds}", "most_bytes": "{most}", "held": "{held}"}}'


def reply(text: str, code: int = 0, error: str = "") -> Reply:
    return Reply(code, text, AT, 0.1, "here", error)


def test_a_row_is_read() -> None:
    text = ROW.format(now=1792177200, bytes=3600, seconds=60, most=100, held="false")
    assert PROBE.read(reply(f"[{text}]")) == WalRate(datetime.fromtimestamp(1792177200, UTC), 3600, 60, 100, held=False)


@pytest.mark.parametrize(
    "wrong", [{"held": "maybe"}, {"bytes": "-1"}, {"seconds": "0"}, {"most": ""}, {"now": "soon"}], ids=str
)
def test_anything_else_is_not_read(wrong: dict[str, str]) -> None:
    known = {"now": "1", "bytes": "1", "seconds": "1", "most": "1", "held": "true"}
    with pytest.raises(Unreadable):
        PROBE.read(reply(f"[{ROW.format(**{**known, **wrong})}]"))
    with pytest.raises(Unreadable):
        PROBE.read(reply("[]"))


def test_a_server_without_the_view_tells_nothing() -> None:
    assert PROBE.read(reply("", 1, '42P01: relation "pg_stat_wal" does not exist')) is None


def test_growth_is_the_rate_bounded_by_max_wal_size_unless_something_holds_it_back() -> None:
    rate = WalRate(AT, 36_000, 3600, 100_000, held=False)
    hourly = rate.bytes_per_hour
    assert hourly == 36_000
    assert rate.growth(timedelta(hours=2), hourly) == 72_000
    assert rate.growth(timedelta(hours=20), hourly) == 100_000
    assert rate.growth(timedelta(hours=-5), hourly) == 0
    assert replace(rate, held=True).growth(timedelta(hours=20), hourly) == 720_000


def test_a_server_too_young_to_tell_has_no_rate() -> None:
    young = WalRate(AT, 36_000, 3599, 1000, held=False)
    assert young.bytes_per_hour is None
    assert young.growth(timedelta(hours=2), None) == 1000
    assert replace(young, held=True).growth(timedelta(hours=2), None) is None


def test_a_real_server_answers_any_role(site: Site) -> None:
    role = site.postgres.create_role("wal")
    with psycopg.connect(
        host=site.postgres.address, port=site.postgres.port, dbname="postgres", user=role.name, password=role.password
    ) as connection:
        row = connection.execute(PROBE.ask()).fetchone()  # type: ignore[arg-type]
    assert row is not None
    now, bytes_, seconds, most, held = row
    assert int(now) > 0
    assert int(bytes_) > 0
    assert int(seconds) >= 1
    assert int(most) >= 1024**2
    assert held in ("true", "false")


@pytest.mark.long
@pytest.mark.case(59)
def test_the_counters_of_a_clean_restart_go_on_and_only_a_slot_that_holds_counts(site: Site) -> None:
    cluster = site.start_postgres()

    def rate() -> WalRate:
        (row,) = cluster.sql(f"SELECT row_to_json(r)::text FROM ({PROBE.ask()}) r")
        found = PROBE.read(reply(f"[{row[0]}]"))
        assert found is not None
        return found

    cluster.sql("SELECT pg_create_physical_replication_slot('unused')")
    before = rate()
    assert not before.held, "it has never held anything back"
    cluster.sql("SELECT pg_sleep(2.1)")  # whole seconds, and at least one: those of a new cluster may be none yet
    cluster.restart()
    after = rate()
    assert after.seconds > before.seconds, "counted from the counters' own begin, not from the restart"
    assert after.bytes >= before.bytes
    cluster.sql("SELECT pg_create_physical_replication_slot('holds', true)")
    assert rate().held
    cluster.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '3GB'")
    cluster.reload()
    bounded = rate()
    assert (bounded.held, bounded.most_bytes) == (False, 3 * 1024**3)
