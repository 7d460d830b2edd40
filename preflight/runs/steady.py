"""For how long a watch has seen GO without a break: `--steady`. Pure."""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from preflight.errors import ExitCode
from preflight.plan import Window
from preflight.report.document.now import stamp
from preflight.units import format_duration
from preflight.verdict import Verdict
from preflight.wording import counted, listed

_MOST_TIMES = 20


@dataclass(slots=True)
class Steadiness:
    """The rounds that were GO since the last that was not; of those, no more than `wanted` needs."""

    wanted: timedelta
    most_apart: timedelta
    """From the end of one round to the begin of the next; what lies further apart is no row of samples."""
    window: Window
    _begun_at: deque[datetime] = field(default_factory=deque)
    _ended_at: datetime | None = None
    _before: str = "nothing was asked"

    def add(self, verdict: Verdict, begun_at: datetime, ended_at: datetime) -> None:
        begun_at = begun_at.replace(microsecond=0)
        if self._ended_at is not None and begun_at - self._ended_at > self.most_apart:
            self._begun_at.clear()
            self._before = f"nothing asked from {self._clock(self._ended_at)} to {self._clock(begun_at)}"
        self._ended_at = ended_at.replace(microsecond=0)
        if verdict.exit_code is not ExitCode.GO:
            self._begun_at.clear()
            self._before = f"{verdict.headline} at {self._clock(begun_at)}"
            return
        self._begun_at.append(begun_at)
        while len(self._begun_at) > 1 and begun_at - self._begun_at[1] >= self.wanted:
            self._begun_at.popleft()
            self._before = ""

    @property
    def text(self) -> str:
        """`GO for 2 min of the 5 min wanted, in 3 rounds: 23:57:00, 23:58:00, 23:59:00; before: HOLD at 23:56:00`."""
        if not self._begun_at:
            return f"not GO: {format_duration(self.wanted)} without a break are wanted"
        lasted = self._begun_at[-1] - self._begun_at[0]
        times = listed(map(self._clock, self._begun_at), _MOST_TIMES)
        told = f"GO for {format_duration(lasted)} without a break, {format_duration(self.wanted)} wanted"
        before = f"; before: {self._before}" if self._before else ""
        return f"{told}, in {counted(len(self._begun_at), 'round')}: {times}{before}"

    @property
    def lacking(self) -> str:
        """Why the last round does not end a long enough row of GO, and what tells the state of now; else empty."""
        long_enough = self._begun_at and self._begun_at[-1] - self._begun_at[0] >= self.wanted
        return "" if long_enough else f"not steady: {self.text}; `preflight gate` without --steady judges just now"

    def _clock(self, at: datetime) -> str:
        return stamp(self.window, at)
