"""Questions about the account that logs in to a host: who it is there, and until when it may."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated

from preflight.plan.limits import Matches
from preflight.probe import Family, Reply, Unreadable
from preflight.questions.authorized_keys import KEY_LINES, AuthorizedKey, KeyLine, authorized_keys
from preflight.questions.fields import read_lines
from preflight.questions.shell import ShellProbe

_TIME = re.compile(r"([0-9]{1,9})([smhdw]?)", re.IGNORECASE)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True)
class Login:
    """A shell that answered: the account and machine it runs on, and what the session knows of the way there."""

    user: str
    uid: int
    node: str
    """The machine's own name for itself (`uname -n`)."""
    asked_at: datetime
    session: Mapping[str, str] = field(default_factory=dict)
    shell: str = ""
    """Name of the account's login shell."""

    @property
    def banner(self) -> str:
        """What the server said before the login, expiry warnings of PAM included; one line each."""
        return self.session.get("banner", "")


class LoginProbe(ShellProbe[Login]):
    """A command that really runs: connecting proves nothing (forced commands and nologin shells connect too)."""

    family = Family.ACCESS
    text = """\
id=$(id)
uid=${id#uid=}; uid=${uid%%[!0-9]*}
user=$uid
case $id in "uid=$uid("*) user=${id#*\\(}; user=${user%%\\)*} ;; esac
read -r node </proc/sys/kernel/hostname || node=$(uname -n)
printf 'user=%s\\nuid=%s\\nnode=%s\\nshell=%s\\n' "$user" "$uid" "$node" "${SHELL##*/}"
echo end=yes"""

    def read(self, reply: Reply) -> Login:
        found = read_lines(Login, reply, asked_at=reply.asked_at, session=dict(reply.session))
        if not found.user:
            raise Unreadable("id tells no name")
        return found


class WayThroughProbe(ShellProbe[Reply]):
    """The login alone, of an account that runs no commands. The session answers it; nothing is sent."""

    family = Family.ACCESS
    text = ": the login alone, without a command"

    def read(self, reply: Reply) -> Reply:
        return reply


class Aging(StrEnum):
    """What chage(1) could say of the account."""

    KNOWN = "known"
    NOT_LOCAL = "not local"
    """The account is in no local password file: a directory (LDAP, SSSD, Kerberos) holds its dates."""
    NOT_SHOWN = "not shown"
    """chage is missing, or may not read the shadow file."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """Until when the account may log in, as far as the host tells it."""

    aging: Aging
    said: str = ""
    """chage's words where it does not know the account."""
    account_expires: date | None = None
    """Logins are refused from 00:00 UTC of this day."""
    password_expires: date | None = None
    """Last day on which the password holds; from the next 00:00 UTC a change is forced, for logins by key too."""
    must_change: bool = False
    time_rules: tuple[str, ...] | None = None
    """Rules of pam_time; None where it is active neither for sshd nor for sudo."""
    time_of_sudo: bool = False
    """Whether it is active for sudo alone."""
    time_rules_readable: bool = True
    keys: tuple[AuthorizedKey, ...] = ()
    """The account's, of every file that sshd reads them from."""
    key_sources: frozenset[str] = frozenset()
    """What else gives it keys: `command` (AuthorizedKeysCommand), `authorities` (TrustedUserCAKeys), `unreadable`."""
    timeouts: str = ""
    """ChannelTimeout, where the account may read it: `session:*=5m agent-connection=1h`."""

    @property
    def silence_seconds(self) -> int:
        """After so long without a word sshd ends a shell of the account; 0 for never, and where that is not seen."""
        pairs = (each.rpartition("=") for each in self.timeouts.split())
        time = next((time for kind, _, time in pairs if fnmatchcase("session:shell", kind)), "")
        return sum(int(n) * _UNITS[unit.lower()] for n, unit in _TIME.findall(time))


@dataclass(frozen=True, slots=True)
class _Told:
    chage: int
    """Its exit status."""
    pam_time: Annotated[str, Matches("active|sudo|unreadable|absent", "what is seen of pam_time")]
    offset: timedelta
    """Of the host's zone, in which a date of a key may be."""
    timeouts: str
    said: tuple[str, ...] = ()
    rule: tuple[str, ...] = ()
    key: tuple[KeyLine, ...] = ()
    key_source: tuple[str, ...] = ()


class ExpiryProbe(ShellProbe[Expiry]):
    """The aging dates of the login's own account, which needs no privilege; hours of pam_time; lines of its keys."""

    family = Family.ACCESS
    text = """\
nl='
'
account=${LOGNAME:-$(id -un)}
printf 'offset=%s\\n' "$(unset TZ; date +%z)"
if command -v chage >/dev/null 2>&1; then
  text=$(chage -i -l "$account" 2>&1 </dev/null); code=$?
  case $text in *option*) text=$(chage -l "$account" 2>&1 </dev/null); code=$? ;; esac
  printf 'chage=%s\\n' "$code"
  IFS=$nl
  set -f
  printf 'said=%.200s\\n' $text
  unset IFS
  set +f
else
  printf 'chage=127\\n'
fi
time=absent
grep -qs '^[^#]*pam_time[.]so' /etc/pam.d/sudo && time=sudo
grep -qs '^[^#]*pam_time[.]so' /etc/pam.d/sshd /etc/pam.d/common-account /etc/pam.d/password-auth \\
  /etc/pam.d/system-auth && time=active
if [ "$time" != absent ]; then
  [ -r /etc/security/time.conf ] || time=unreadable
  grep -v '^[[:space:]]*#' /etc/security/time.conf | grep ';' | head -n 50 | cut -c 1-300 | sed 's/^/rule=/'
fi
printf 'pam_time=%s\\n' "$time"
"""
    text += KEY_LINES + "echo end=yes"

    def read(self, reply: Reply) -> Expiry:
        told = read_lines(_Told, reply)
        seen = Expiry(
            Aging.KNOWN,
            time_rules=None if told.pam_time == "absent" else told.rule,
            time_of_sudo=told.pam_time == "sudo",
            time_rules_readable=told.pam_time != "unreadable",
            keys=authorized_keys(told.key, told.offset),
            key_sources=frozenset(told.key_source),
            timeouts=told.timeouts,
        )
        if told.chage != 0:
            words = " ".join(told.said).strip()
            aging = Aging.NOT_LOCAL if "does not exist" in words else Aging.NOT_SHOWN
            return replace(seen, aging=aging, said=words or "chage is not installed")
        account, password, must_change = read_dates(told.said)
        return replace(seen, account_expires=account, password_expires=password, must_change=must_change)


def read_dates(said: Sequence[str]) -> tuple[date | None, date | None, bool]:
    """`account_expires`, `password_expires` and `must_change` of an `Expiry`, from the lines of chage."""
    lines = (line.partition(":") for line in said)
    shown = {name.strip(): value.strip() for name, colon, value in lines if colon}
    account, password = shown.get("Account expires"), shown.get("Password expires")
    if account is None or password is None:
        raise Unreadable("chage shows neither `Account expires` nor `Password expires`")
    if "password must be changed" in (password, shown.get("Last password change")):
        return _day(account), None, True
    return _day(account), _day(password), False


def _day(text: str) -> date | None:
    """A date of chage, in ISO form or (shadow before 4.7, without `-i`) that of the C locale; None for `never`."""
    if text == "never":
        return None
    try:
        if text[:1].isalpha():
            return datetime.strptime(text, "%b %d, %Y").replace(tzinfo=UTC).date()
        return date.fromisoformat(text)
    except ValueError:
        raise Unreadable(f"no date of chage: {text[:40]!r}") from None
