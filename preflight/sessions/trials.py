"""A password is tried once for each account, however many entries of the plan log in with it: a directory that counts
refusals over all its hosts would lock the account."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Self

from preflight.clock import Deadline, monotonic
from preflight.plan import Database, Host, SecretRef
from preflight.reasons import Reason
from preflight.sessions import CannotAsk


class PasswordAccount(NamedTuple):
    """Entries with the same user and the same secret reference are one account."""

    asked_by: str
    """`sshd`, `sudo` or `PostgreSQL`."""
    user: str
    reference: str
    entry: str
    """Id of the only entry that has it; empty for an account that others share."""

    @classmethod
    def of(cls, entry: Host | Database, asked_by: str, user: str, reference: SecretRef) -> Self:
        alone = entry.local_account or reference.scheme == "prompt"  # what is typed is typed for this entry
        return cls(asked_by, user, str(reference), entry.id if alone else "")


class PasswordTrials:
    """Of one account the first to come is tried alone, the others once it was accepted."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._tried_at: dict[PasswordAccount, str] = {}
        self._accepted: set[PasswordAccount] = set()
        self._refused_at: dict[PasswordAccount, list[str]] = {}

    def claim(self, account: PasswordAccount, entry: str) -> bool:
        """Whether its password may be tried at `entry` now; False while another tries. Raises CannotAsk where it was
        refused before. Whoever may calls `settle`."""
        with self._changed:
            self.require_not_refused(account, entry)
            if account in self._accepted:
                return True
            return self._tried_at.setdefault(account, entry) == entry

    def settle(self, account: PasswordAccount, entry: str, *, accepted: bool | None) -> None:
        """Ends a trial. None: the password was not judged."""
        with self._changed:
            if accepted:
                self._accepted.add(account)
            elif accepted is False:
                self._refused_at.setdefault(account, []).append(entry)
            if self._tried_at.get(account) == entry:
                del self._tried_at[account]
            self._changed.notify_all()

    def require_not_refused(self, account: PasswordAccount, entry: str) -> None:
        """Raises CannotAsk where it was refused before, here, or elsewhere and accepted nowhere."""
        refused_at = self._refused_at.get(account, [])
        if entry in refused_at or (refused_at and account not in self._accepted):
            detail = (
                f"refused on {refused_at[0]}: the password of {account.user}, and {account.asked_by} is not asked again"
            )
            raise CannotAsk(Reason.REFUSED_ELSEWHERE, detail)

    @contextmanager
    def alone(self, account: PasswordAccount, entry: str, deadline: Deadline) -> Iterator[float]:
        """Around one attempt, which ends with CannotAsk when it is refused; the seconds for which another was waited
        for. Raises CannotAsk when it must not be made."""
        begun = monotonic()
        with self._changed:
            if not self._changed.wait_for(lambda: self.claim(account, entry), deadline.left()):
                detail = f"the login of {account.user} on {self._tried_at[account]} took all the time there was"
                raise CannotAsk(Reason.TURN, detail)
        accepted = None
        try:
            yield monotonic() - begun
            accepted = True
        except CannotAsk as failed:
            accepted = False if failed.reason in (Reason.BAD_CREDENTIAL, Reason.BAD_PASSWORD) else None
            raise
        finally:
            self.settle(account, entry, accepted=accepted)
