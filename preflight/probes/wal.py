"""How much write-ahead log a server writes, by its own statistics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, ClassVar

from preflight.plan.limits import Between
from preflight.probe import Family, Reply
from preflight.probes.fields import Count, read_row
from preflight.probes.postgres import SqlProbe

# pg_stat_wal is there since PostgreSQL 14. A server that keeps WAL back does so for an archive that fails or a slot.
_STATISTICS = """\
SELECT extract(epoch FROM now())::bigint::text AS seen_at, wal_bytes::bigint::text AS bytes,
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
    bytes: Count
    seconds: Annotated[int, Between(1)]
    most_bytes: Count
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
        return read_row(WalRate, reply)
