"""How much write-ahead log a server writes, by its own statistics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from preflight.probe import Family, Reply, Unreadable
from preflight.probes.fields import whole_number
from preflight.probes.postgres import SqlProbe, read_rows

# pg_stat_wal is there since PostgreSQL 14. A server that keeps WAL back does so for an archive that fails or a slot.
_STATISTICS = """\
SELECT extract(epoch FROM now())::bigint::text AS now, wal_bytes::bigint::text AS bytes,
  greatest(extract(epoch FROM now() - greatest(stats_reset, pg_postmaster_start_time())), 1)::bigint::text AS seconds,
  pg_size_bytes(current_setting('max_wal_size'))::text AS most_bytes,
  (EXISTS (SELECT FROM pg_replication_slots WHERE NOT active) OR coalesce(
    (SELECT last_failed_time > coalesce(last_archived_time, '-infinity') FROM pg_stat_archiver), false))::text AS held
FROM pg_stat_wal"""

_UNDEFINED_TABLE = "42P01"


@dataclass(frozen=True, slots=True)
class WalRate:
    """Write-ahead log since the statistics began."""

    seen_at: datetime
    """By the server's clock, UTC."""
    bytes: int
    seconds: int
    most_bytes: int
    """`max_wal_size`: about so much stays on disk while nothing holds it back."""
    held: bool
    """Something holds it back: a slot that nobody reads, or an archive command that fails."""

    def growth(self, time: timedelta) -> int:
        """Bytes that it may grow by in so much time, at the rate it had."""
        written = int(self.bytes / self.seconds * max(time.total_seconds(), 0))
        return written if self.held else min(written, self.most_bytes)


@dataclass(frozen=True)
class WalRateProbe(SqlProbe[WalRate | None]):
    """Asks pg_stat_wal, which every role may read; None from a server before PostgreSQL 14, which has no such view."""

    family = Family.SPACE
    timeout_seconds: ClassVar[float] = 10.0

    def ask(self) -> str:
        return _STATISTICS

    def read(self, reply: Reply) -> WalRate | None:
        if reply.code and reply.error.startswith(_UNDEFINED_TABLE):
            return None
        rows = read_rows(reply)
        if len(rows) != 1:
            raise Unreadable(f"{len(rows)} rows, expected one")
        row = rows[0]
        held = row.get("held")
        if held not in ("true", "false"):
            raise Unreadable(f"held={held!r}")
        names = ("now", "bytes", "seconds", "most_bytes")
        now, bytes_, seconds, most = (whole_number(row.get(name) or "", name) for name in names)
        if now < 0 or bytes_ < 0 or seconds < 1 or most < 0:
            raise Unreadable("a negative amount of WAL")
        return WalRate(datetime.fromtimestamp(now, UTC), bytes_, seconds, most, held == "true")
