"""What is deployed, when, and whose it is: `[release]`, `[window]`, `[roles]`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

from preflight.plan.limits import Above, Between, ZoneName
from preflight.plan.values import (
    EntryId,
    Factor,
    Name,
    Text,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """`[release]`: what is deployed, under which number."""

    id: Name
    """The release's number, as the change system knows it."""
    title: str = ""
    """What is deployed, in a few words."""
    ticket: str = ""
    """Number of the change request."""
    attempt: Annotated[int, Between(1)] = 1
    """Which attempt at this release it is; from 2 on the plan says why the last one was backed out."""
    backed_out_because: Text = ""
    """Why the last attempt was backed out; required from attempt 2 on."""
    changed_since: Text = ""
    """What has changed since then; required from attempt 2 on."""
    checks: Path | None = None
    """Folder with checks of this plan's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """`[window]`: when the deployment may happen. All instants are UTC here, local in the file."""

    zone: Annotated[str, ZoneName()]
    """IANA name of the zone in which every time of the plan is written."""
    start: datetime
    """When the work may begin."""
    end: datetime
    """When everything, a rollback too, must be over."""
    margin: timedelta = timedelta(minutes=30)
    """Slack wanted before decide-by."""
    decision_reserve: timedelta = timedelta(minutes=15)
    """Time the decision itself takes."""
    rollback_factor: Factor = 1.2
    """Safety factor on the rollback's planned time."""
    rollback_reserve: timedelta = timedelta(hours=1)
    """How long after the window's end a rollback may still be at work; credentials must outlive it."""

    @property
    def needed_until(self) -> datetime:
        """Every credential, role and certificate must be valid past this instant, UTC."""
        return self.end + self.rollback_reserve


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """`[roles.NAME]`: who owns a finding and acts on it."""

    id: EntryId
    primary: Name
    """Who is called first."""
    standby: str = ""
    """Somebody else, who takes over when the primary cannot be reached."""
    contact: str = ""
    """How both are reached during the window."""
    confirmed_at: datetime | None = None
    """When both last confirmed that they will be there."""
    access: tuple[EntryId, ...] = ()
    """Hosts and databases whose logins the people of this role use; the entry's `person` says whose login it is."""
    lead_time: Annotated[timedelta, Above(0)] | None = None
    """How long a request to this role takes: a password request may take a working day."""
