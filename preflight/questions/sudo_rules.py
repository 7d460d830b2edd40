"""Until when sudo lets a login run what: the rules that `sudo -ll` prints, with their NOTAFTER (sudoers(5))."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from preflight.probe import Family, Reply, Unreadable
from preflight.questions.fields import read_fields
from preflight.questions.shell import ShellProbe

_STAMP = "%Y%m%d%H%M%SZ"
# sudo reads a NOTAFTER without a zone by the TZ of whoever calls it.
_ASK = """\
unset TZ
sudo -k -n -ll 2>/dev/null </dev/null | awk '
  /^Sudoers entry/ { accounts = "root"; after = "" }
  sub(/^ *RunAsUsers: /, "") { accounts = $0; gsub(/ /, "", accounts) }
  sub(/^ *NotAfter: /, "") { after = $0 }
  sub(/^\\t/, "") { print "rule=" accounts " " (after == "" ? "-" : after) " " $0 }' | head -n 500 | cut -c 1-300
exit 0"""


@dataclass(frozen=True, slots=True)
class SudoRule:
    """One command that the login may run."""

    accounts: tuple[str, ...]
    """As whom: names, or what only sudo can resolve (`ALL`, `%group`, `#uid`, `!name`)."""
    until: datetime | None
    """First instant, UTC, at which sudo no longer goes by it; None for no end."""
    command: str

    def may_cover(self, account: str, path: str) -> bool:
        """False only where it surely means another account or another program."""
        other_account = all(name[:1].isalnum() and name not in (account, "ALL") for name in self.accounts)
        named = self.command.partition(" ")[0]
        below = named.endswith("/") and path.startswith(named)
        other_program = named.startswith("/") and not below and not fnmatch.fnmatchcase(path, named)
        return not other_account and not other_program


@dataclass(frozen=True)
class SudoRulesProbe(ShellProbe[tuple[SudoRule, ...]]):
    """The login's own rules; none where sudo wants a password to list them, which is no reason to offer it again."""

    family = Family.ACCESS

    def ask(self) -> str:
        return _ASK

    def read(self, reply: Reply) -> tuple[SudoRule, ...]:
        return tuple(map(_rule, read_fields(reply.text).get("rule", [])))


def last_moment(rules: Iterable[SudoRule], account: str, path: str) -> datetime | None:
    """When the last rule that lets the login run `path` as `account` ends; None where one has no end, or none is
    seen."""
    ends = [rule.until for rule in rules if rule.may_cover(account, path)]
    return max((end for end in ends if end), default=None) if all(ends) else None


def stamp(moment: datetime) -> str:
    """As NOTAFTER wants it."""
    return moment.astimezone(UTC).strftime(_STAMP)


def _rule(text: str) -> SudoRule:
    accounts, _, rest = text.partition(" ")
    after, _, command = rest.partition(" ")
    try:
        until = None if after == "-" else datetime.strptime(after, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        raise Unreadable(f"no end of a sudo rule: {after[:40]!r}") from None
    return SudoRule(tuple(accounts.split(",")), until, command)
