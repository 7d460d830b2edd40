"""Questions about what starts by itself: on a host by crontabs, the system's tables and folders, anacron, systemd's
timers; in a database by pg_cron.

Commands are cleared of secrets at the far end, before they are sent. Nobody can know every program's way of taking a
password: what looks like one is masked, too much rather than too little; its owner will know a command all the same."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Self

from preflight.plan.release_plan import grouped
from preflight.probe import Reply, Unreadable
from preflight.questions.accounts import read_dates
from preflight.questions.clocks import HOST_ZONE, HostZone, ZoneTold
from preflight.questions.fields import output_of, read_fields, read_lines, read_row, read_rows
from preflight.questions.shell import NOT_ALLOWED, AccountProbe, ShellProbe, filled
from preflight.questions.sql import SqlProbe
from preflight.questions.timers import Timer, read_timers, shown

_MOST_LINES = 300
"""Of one table; more are counted as not seen."""
_MOST_SQL_JOBS = 500
_LEFT_OVERS = re.compile(r"~$|\.(?:rpm(?:save|orig|new)|dpkg-\w+|swp)$")
SHELL_FILLS_IN = re.compile(r"\$\([^()]*\)|`[^`]*`|\$\w+|\$\{\w+\}")
"""In a command mostly the day in the name of a file."""
FURTHER_COMMAND = re.compile(r";|&&|\|\||(?<!>)&(?!>)")
REDACTED = "[redacted]"
_WORDS = (
    r"passw(or)?d|passphrase|pwd|secret|token|credential|bearer|authorization"
    r"|api[_-]?key|access[_-]?key|private[_-]?key"
)
_SHELL_WORD = r"""("[^"]*"|'[^']*'|\\.|[^[:space:]"'\\;|&])*"""
SED_PROGRAM = rf"""s/([A-Za-z0-9_.-]*(pass|{_WORDS})[A-Za-z0-9_.-]*=){_SHELL_WORD}/\1{REDACTED}/Ig
s/\[redacted\]["'].*/{REDACTED}/
s/((^|[^A-Za-z]|h)pass|{_WORDS})[[:space:]:"'].*/\1 {REDACTED}/I
s,://[^@[:space:]]*@,://{REDACTED}@,g
s/([[:space:]](-u|--user))[[:space:]=]*[^[:space:]:]+:[^[:space:]]+/\1 {REDACTED}/g
/mysql|maria|mongo|redis|ldap|docker|zip|7z|ftp|smb|xtrabackup/s/([[:space:]]-[pPaw])[[:space:]]*[^-[:space:]][^[:space:]]*/\1{REDACTED}/g
"""
r"""For `sed -E` of GNU, BusyBox or BSD, whose flag I means any case. In order: the value of NAME=value where the name
speaks of a secret; the rest of the line after such a value that does not end; the rest of the line after such a word
alone (`sshpass -p`, `PASSWORD '...'`); what stands before the `@` of a URL; NAME:PASSWORD after -u; passwords as
-pPASSWORD or -p PASSWORD, for programs that take them."""
_FUNCTIONS = filled(
    """\
hide() { sed -E @REDACTION@; }
lines() { grep -v -E '^[[:space:]]*(#|$)' | hide | cut -c 1-600 | sed -n '1,@MORE@s/^/line=/p'; }
[ "$(printf '#\\nx\\n' | lines)" = 'line=x' ] || printf 'tools=unusable\\n'
""",
    REDACTION=shlex.quote(SED_PROGRAM),
    MORE=str(_MOST_LINES + 1),
)
SHUTDOWN = "shutdown"
"""What stands for a timer's name where a shutdown or restart is scheduled."""
CRONS = frozenset({"cron", "crond", "fcron"})
"""The names of the daemons that read crontabs."""
AT_SPOOLS = ("/var/spool/cron/atjobs", "/var/spool/at")
"""Of Debian, and of Red Hat: what everybody gave to `at`."""
_JOBS = """\
unread=
table() {
  if [ -r "$2" ]; then
    printf 'table=%s %s\\n%s\\nends=%s\\n' "$1" "$2" "$(ls -lLnd "$2")" "$(tail -c 1 <"$2" | od -An -c)"
    lines <"$2"; echo
  else unread=$unread:$2; fi
}
folder() {
  if [ ! -d "$2" ]; then :
  elif [ -r "$2" ] && [ -x "$2" ]; then for file in "$2"/*; do [ -f "$file" ] && table "$1" "$file"; done
  else unread=$unread:$2; fi
}
printf 'epoch=%s\\nuptime=%s\\n' "$(date +%s)" "$(cut -d ' ' -f 1 /proc/uptime 2>/dev/null)"
cron=none
command -v crontab >/dev/null 2>&1 && cron=crontab
for file in /usr/sbin/fcron /usr/sbin/crond /sbin/crond /usr/sbin/cron; do [ -e "$file" ] && cron=${file##*/}; done
printf 'cron=%s\\n' "$cron"
daemons= # of a login that is shown its own processes alone
# One with two numbers is a container's.
[ ! -r /proc/1/status ] || daemons=$(cat /proc/[0-9]*/status 2>/dev/null | awk '
  function told() { if (state !~ /[ZX]/ && words < 3 && name ~ /^(cron|crond|fcron|atd)$/) print name }
  $1 == "Name:" { told(); name = substr($0, 7); words = 0 } $1 == "State:" { state = $2 } $1 == "NSpid:" { words = NF }
  END { told() }' | grep . || echo none)
printf 'daemons=%s\\n' "$(printf %s "$daemons" | tr '\\n' ' ')"
atq 2>/dev/null | while read -r number _ month day time year _ user; do
  printf 'at=%s %s %s\\n' "$(date -d "$month $day $year $time" +%s)" "$user" "$number"
done
for spool in @AT_SPOOLS@; do
  [ ! -d "$spool" ] || [ -r "$spool" ] || unread=$unread:$spool
done
if [ -e /usr/sbin/anacron ]; then printf 'anacron=yes\\n'; else printf 'anacron=no\\n'; fi
[ -e /etc/crontab ] && table table /etc/crontab
[ -e /etc/anacrontab ] && table anacrontab /etc/anacrontab
folder table /etc/cron.d
for name in crontabs tabs .; do folder spool "/var/spool/cron/$name"; done
printf 'unread=%s\\n' "$unread"
for name in hourly daily weekly monthly; do
  for file in "/etc/cron.$name"/*; do [ -f "$file" ] && printf 'part=%s\\n' "$file"; done
done
show='systemctl show --no-pager'
if ! command -v systemctl >/dev/null 2>&1; then printf 'systemd=absent\\n'
elif text=$($show --property=Id,Unit,ActiveState,TimersCalendar,TimersMonotonic,RandomizedDelayUSec,AccuracyUSec \\
  --property=NextElapseUSecRealtime,NextElapseUSecMonotonic '*.timer' 2>/dev/null); then
  printf 'systemd=running\\n'
  printf '%s\\n' "$text" | cut -c 1-600 | sed 's/^/timer=/'
  units=$(printf '%s\\n' "$text" | sed -n 's/^Unit=//p' | sort -u)
  set -f
  [ -z "$units" ] || $show --property=Id,ExecStart -- $units 2>/dev/null | hide | cut -c 1-600 | sed 's/^/service=/'
else
  text=$($show '*.timer' 2>&1 | head -n 1 | cut -c 1-200)
  case $text in
    *'not been booted'*) printf 'systemd=offline\\n' ;;
    *) printf 'systemd=failed\\nsaid=%s\\n' "$text" ;;
  esac
fi
asked=/run/systemd/shutdown/scheduled # by `shutdown -r 03:00`: no unit, so put here as a timer
[ ! -r "$asked" ] || printf 'timer=%s\\n' '' Id=@SHUTDOWN@ "Unit=$(sed -n s/^MODE=//p "$asked")" ActiveState=active \\
  AccuracyUSec=1s NextElapseUSecMonotonic=0 NextElapseUSecRealtime= "TimersCalendar={ OnCalendar=$(
    date -u -d "@$(sed -n 's/^USEC=\\(.*\\)......$/\\1/p' "$asked")" '+%F %T UTC') ; next_elapse=n/a }"
"""


class Systemd(StrEnum):
    """Whether timers could be asked for."""

    RUNNING = "running"
    OFFLINE = "offline"
    """Installed, but another program is process 1."""
    ABSENT = "absent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Table:
    """The telling lines of one crontab."""

    source: str
    """Its path, or whose crontab it is."""
    user: str = ""
    """Whose crontab; empty where the lines name the user."""
    lines: tuple[str, ...] = ()
    cut: bool = False
    """It has more lines than are asked for."""

    @classmethod
    def told(cls, source: str, user: str, lines: tuple[str, ...]) -> Self:
        return cls(source, user, lines[:_MOST_LINES], len(lines) > _MOST_LINES)


@dataclass(frozen=True, slots=True)
class AtJob:
    """One of the login's own that `at` or `batch` starts once."""

    starts_at: datetime
    user: str
    number: str


@dataclass(frozen=True, slots=True)
class HostJobs:
    """What starts by itself on a host, as far as the login may see it."""

    zone: HostZone
    cron: str
    """Name of the cron daemon, `crontab` where only that program is seen, `none` without any."""
    tables: tuple[Table, ...] = ()
    anacrontab: Table | None = None
    """None where anacron is not installed, or has no table."""
    has_anacron: bool = False
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Folder (`/etc/cron.daily`) -> names of the scripts in it."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Path of a table of the system that cron does not trust, and starts nothing of -> its mode and owner."""
    unread: tuple[str, ...] = ()
    """Files and folders that are there and may not be read."""
    daemons: frozenset[str] | None = None
    """Which of those of cron and at run; None where the login sees no processes but its own."""
    at: tuple[AtJob, ...] = ()
    systemd: Systemd = Systemd.ABSENT
    timers: tuple[Timer, ...] = ()
    unread_timers: tuple[str, ...] = ()
    """Active timers whose description is not understood."""
    said: str = ""
    """systemctl's words where it failed."""


_TABLE = re.compile(r"^table=(\S+) (.*)\n(\S+) +\d+ +(\d+) .*\nends= *(.*)\n((?:line=.*\n)*)\n", re.MULTILINE)
"""Of one table: its kind, its path, of `ls -lnd` its mode and the number of its owner, its last byte, its lines."""
UNENDED = "its last line does not end"
"""For which Debian's cron leaves a table out, as its log says."""
_TRUSTED = {"crond": r"-r.-.--.--"}
_TRUSTED_BY_ALL = r"-.{4}-.{2}-"
"""The modes of a table of the system, which must be root's: in Debian's cron (`process_crontab`) only root may write to
it, in cronie (`check_open`) nobody may execute it, either."""


@dataclass(frozen=True, kw_only=True)
class _HostTold(ZoneTold):
    epoch: datetime
    uptime: str
    cron: str
    anacron: bool
    daemons: str
    systemd: Systemd
    unread: str
    """A colon before each."""
    said: tuple[str, ...] = ()
    at: tuple[AtJob, ...] = ()
    part: tuple[str, ...] = ()
    timer: tuple[str, ...] = ()
    service: tuple[str, ...] = ()


class HostJobsProbe(ShellProbe[HostJobs]):
    """Everything the login may read without becoming somebody else. Reads files and asks systemd; starts nothing."""

    text = f"{_FUNCTIONS}{HOST_ZONE}{filled(_JOBS, AT_SPOOLS=' '.join(AT_SPOOLS), SHUTDOWN=SHUTDOWN)}echo end=yes"

    def read(self, reply: Reply) -> HostJobs:
        text = output_of(reply)
        told = read_lines(_HostTold, read_fields(_TABLE.sub("", text)))
        daemons = frozenset(told.daemons.split())
        cron = told.cron if told.cron in daemons else max(CRONS & daemons, default=told.cron)  # a path tells less
        tables: list[Table] = []
        refused: dict[str, str] = {}
        anacrontab = None
        for kind, path, mode, uid, end, lines in _TABLE.findall(text):
            user = path.rpartition("/")[2] if kind == "spool" else ""
            source = f"crontab of {shown(user)}" if user else shown(path)
            table = Table.told(source, user, tuple(re.findall("^line=(.*)", lines, re.MULTILINE)))
            if kind == "anacrontab":
                anacrontab = table if told.anacron else None
            elif not _is_run(table, cron):
                continue
            elif end not in ("", r"\n") and cron == "cron":
                refused[source] = UNENDED
            elif kind == "spool" or (uid == "0" and re.match(_TRUSTED.get(cron, _TRUSTED_BY_ALL), mode)):
                tables.append(table)
            else:
                refused[source] = f"{mode}, owner {uid}"
        parts = grouped(told.part, lambda path: path.rpartition("/")[0])
        timers, unread_timers = read_timers(told.timer, told.service, told.epoch, told.uptime)
        return HostJobs(
            zone=HostZone.of(told, told.epoch),
            cron=cron,
            tables=tuple(tables),
            anacrontab=anacrontab,
            has_anacron=told.anacron,
            parts={folder: tuple(shown(path.rpartition("/")[2]) for path in paths) for folder, paths in parts.items()},
            refused=refused,
            unread=tuple(map(shown, filter(None, told.unread.split(":")))),
            daemons=daemons or None,
            at=told.at,
            systemd=told.systemd,
            timers=timers,
            unread_timers=unread_timers,
            said=shown(" ".join(told.said)),
        )


@dataclass(frozen=True, slots=True)
class OwnCrontab:
    """What `crontab -l` of one account printed."""

    account: str
    table: Table | None = None
    """None where it has none, or could not be asked."""
    refused: str = ""
    """Why it could not be asked."""
    starts_until: date | None = None
    """The last day on which cron starts anything for the account: from then on it, or its password, has expired. None
    where it does not, or nobody tells."""


@dataclass(frozen=True, slots=True)
class _CrontabTold:
    crontab: str
    aging: tuple[str, ...] = ()
    """The lines of chage; none where it tells nothing."""
    line: tuple[str, ...] = ()
    said: tuple[str, ...] = ()


class CrontabProbe(AccountProbe[OwnCrontab]):
    """The crontab of the login, or of an account that it may become."""

    def ask(self) -> str:
        return self.account.wrap(f"""\
{_FUNCTIONS}
LC_ALL=C chage -i -l "${{LOGNAME:-$(id -un)}}" 2>/dev/null </dev/null | cut -c 1-200 | sed 's/^/aging=/'
if ! command -v crontab >/dev/null 2>&1; then printf 'crontab=absent\\n'
elif text=$(crontab -l 2>/dev/null); then printf 'crontab=%s\\n' "$(id -un)"; printf '%s\\n' "$text" | lines
else
  text=$(crontab -l 2>&1 >/dev/null | head -n 1 | cut -c 1-200)
  case $text in
    *'no crontab for'*|*'No such file'*) printf 'crontab=none\\n' ;;
    *) printf 'crontab=refused\\nsaid=%s\\n' "$text" ;;
  esac
fi
echo end=yes""")

    def read(self, reply: Reply) -> OwnCrontab:
        name = self.account.account
        if reply.code == NOT_ALLOWED:
            return OwnCrontab(name, refused=f"sudo gives the login no shell of {name}")
        if reply.code != 0:
            return OwnCrontab(name, refused=shown(reply.error.strip().rpartition("\n")[2]) or f"status {reply.code}")
        told = read_lines(_CrontabTold, reply)
        found = OwnCrontab(name, starts_until=_starts_until(told.aging))
        if told.crontab in ("absent", "none"):
            return found
        if told.crontab == "refused":
            return replace(found, refused=shown(" ".join(told.said)) or "crontab refuses")
        return replace(found, table=Table.told(f"crontab of {shown(told.crontab)}", told.crontab, told.line))


def _starts_until(aging: Sequence[str]) -> date | None:
    if not aging:
        return None
    account, password, must_change = read_dates(aging)
    days = [account - timedelta(days=1) if account else None, date.min if must_change else password]
    return min(filter(None, days), default=None)


def _is_run(table: Table, cron: str) -> bool:
    """Whether cron reads the file: Debian's takes no name with a dot, the others leave out what packages left over."""
    folder, _, name = table.source.rpartition("/")
    if folder != "/etc/cron.d":
        return True
    return bool(re.fullmatch(r"[A-Za-z0-9_-]+", name)) if cron == "cron" else not _LEFT_OVERS.search(name)


@dataclass(frozen=True, slots=True)
class PgCron:
    """Whether a database holds pg_cron's table, and what the role may see of it."""

    found: bool
    readable: bool
    only_own: bool
    """Row security shows the role its own jobs only."""
    home: str
    """The database pg_cron works from; empty where the role may not see it, or pg_cron is not loaded."""
    zone: str
    """cron.timezone; empty where the role may not see it."""
    sees_settings: bool
    """Whether an empty `home` means that pg_cron is not loaded."""


class PgCronProbe(SqlProbe[PgCron]):
    """Looks in the catalogue only, so that any role may ask."""

    text = """\
SELECT (c.oid IS NOT NULL)::text AS found,
  coalesce(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'), false)::text AS readable,
  coalesce(row_security_active(c.oid), false)::text AS only_own,
  coalesce((SELECT setting FROM pg_settings WHERE name = 'cron.database_name'), '') AS home,
  coalesce((SELECT setting FROM pg_settings WHERE name = 'cron.timezone'), '') AS zone,
  coalesce((SELECT pg_has_role(oid, 'USAGE') FROM pg_roles WHERE rolname = 'pg_read_all_settings'), false)::text
    AS sees_settings
FROM (SELECT 1) AS always LEFT JOIN pg_namespace n ON n.nspname = 'cron'
  LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'job' AND c.relkind IN ('r', 'p', 'v')"""

    def read(self, reply: Reply) -> PgCron:
        found = read_row(PgCron, reply)
        return replace(found, home=shown(found.home))


@dataclass(frozen=True, slots=True)
class PgCronJob:
    """One active row of cron.job."""

    name: str
    schedule: str
    user: str
    database: str
    command: str


class PgCronJobsProbe(SqlProbe[tuple[PgCronJob, ...]]):
    """The active jobs that the role may see; asked only where the table may be read."""

    # Old versions have no columns jobname and active, hence the way through jsonb. A command is told up to the first
    # word that speaks of a secret, URLs without logins. All text is fixed.
    text = f"""\
SELECT coalesce(to_jsonb(j) ->> 'jobname', 'job ' || jobid::text) AS name, schedule::text AS schedule,
  username::text AS "user", database::text AS database,
  left(regexp_replace(regexp_replace(command::text, '({_WORDS}|passfile).*$', '\\1 {REDACTED}', 'i'),
    '://[^@[:space:]]*@', '://{REDACTED}@', 'g'), 400) AS command
FROM cron.job j WHERE coalesce(to_jsonb(j) ->> 'active', 'true') = 'true' ORDER BY jobid LIMIT {_MOST_SQL_JOBS + 1}"""  # noqa: S608

    def read(self, reply: Reply) -> tuple[PgCronJob, ...]:
        jobs = read_rows(PgCronJob, reply)
        if len(jobs) > _MOST_SQL_JOBS:
            raise Unreadable(f"more than {_MOST_SQL_JOBS} jobs")
        return tuple(PgCronJob(*map(shown, astuple(job))) for job in jobs)
