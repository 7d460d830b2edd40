"""Questions about programs that an account of a host has to run: the login's own, or one reached through sudo.

`sudo -l` proves that a command is listed, not that it runs without a password, and a cached ticket of somebody's
earlier sudo makes anything run. So the very program is run, harmlessly (`--version`), with `-k`; the listing only
tells afterwards where sudo found it, why it refused, and whether it would run without `--version` too. Until when sudo
allows it, its rules tell: `sudo -ll` prints them with their NOTAFTER (sudoers(5))."""

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from preflight.plan import Host, Plan
from preflight.plan.command_lines import lines_of
from preflight.plan.work import programs_of
from preflight.probe import Family, Reply, Unreadable
from preflight.questions.fields import output_of, read_fields, read_lines, whole_number
from preflight.questions.shell import SUDO_WARNS, AccountProbe, AsAccount, Refusal, filled, newest_beside_path, quoted

_SUDO_SECONDS = 20.0  # a wrong password alone takes PAM two seconds


@dataclass(frozen=True, slots=True)
class ProgramRun:
    program: str
    code: int
    path: str
    """Where the account's PATH, or sudo's, finds it; empty where nobody says."""
    said: str
    """Standard output and error, cut short."""
    beside: str = ""
    """Where the login's PATH finds it, else where Debian and Red Hat keep the programs of a version; empty for none."""
    listed: bool = True
    """False where sudo, asked about it without `--version`, does not list it: its rule names arguments."""

    @property
    def ran(self) -> bool:  # Debian's wrapper ends with 0 where it may start no program
        return self.code == 0 and self.refusal not in (Refusal.NO_EXEC, Refusal.ONLY_VERSION)

    @property
    def refusal(self) -> Refusal:
        """Why it did not run; meaningful only then."""
        return Refusal.of(self.said) if self.listed or self.code else Refusal.ONLY_VERSION

    @property
    def last_words(self) -> str:
        """The last line of its output: complaints come last."""
        return self.said.strip().rpartition("\n")[2]


Programs = tuple[ProgramRun, ...]


@dataclass(frozen=True)
class ProgramsProbe(AccountProbe[Programs]):
    """Runs `PROGRAM --version` for each program, as the account, and where sudo wants no password has it say of each
    line of the night whether it may run. A password is offered until it is refused once: every further refusal would
    count towards locking the account."""

    family = Family.ACCESS
    timeout_seconds = _SUDO_SECONDS
    programs: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...] = ()
    """Programs with their arguments."""

    @classmethod
    def on(cls, plan: Plan, host: Host, account: str) -> Self:
        """All that the plan has `account` run on `host`."""
        run, lines = programs_of(plan, host.id, account), lines_of(plan, host.id, account)
        return cls(host.id, AsAccount.on(host, account), run, lines)

    def ask(self) -> str:
        asked = () if self.account.is_login or self.account.password else self.lines
        lines = (f"line {' '.join(map(quoted, line))}" for line in asked)
        tries = "\n".join([*lines, *(f"try {quoted(program)}" for program in self.programs)])
        run = _TRY_WITH_PASSWORD if self.account.password else _TRY_WITHOUT_PROMPT
        run = _TRY_AS_LOGIN if self.account.is_login else run.replace("ACCOUNT", quoted(self.account.account))
        return f"{_SHOW}\n{run}\n{tries}\necho end=yes"

    def read(self, reply: Reply) -> Programs:
        fields = read_fields(output_of(reply))
        told = [fields.pop(name, []) for name in ("program", "code", "path", "said", "beside")]
        if fields or tuple(told[0]) != self.programs or {len(lines) for lines in told} != {len(self.programs)}:
            raise Unreadable(f"answers for {len(told[0])} of {len(self.programs)} programs")
        return tuple(
            ProgramRun(
                program, whole_number(code), path if path[:1] == "/" else "", said.replace("|", "\n").strip(), beside,
                listed=self.account.is_login or path != "",
            )
            for program, code, path, said, beside in zip(*told, strict=True)
        )  # fmt: skip


_TRY_AS_LOGIN = """\
try() { path=$(command -v "$1"); out=$("$1" --version 2>&1 </dev/null); show "$1" $? "$path" "$out"; }"""
_TRY_WITHOUT_PROMPT = """\
allowed() { sudo -k -n -l -u ACCOUNT -- "$@" 2>&1 </dev/null | grep -e ^/ -e 'password is required' | head -n 1; }
refused=
line() { [ -n "$(allowed "$@")" ] || refused="$refused $1 "; }
try() {
  out=$(sudo -k -n -u ACCOUNT -- "$1" --version 2>&1 </dev/null); code=$?
  path=$(allowed "$1")
  case $refused in *" $1 "*) path= ;; esac
  show "$1" "$code" "$path" "$out"
}"""
_TRY_WITH_PASSWORD = """\
IFS= read -r secret; refused=
try() {
  if [ -z "$refused" ]; then
    out=$(printf '%s\\n' "$secret" | sudo -S -k -p '' -u ACCOUNT -- "$1" --version 2>&1); code=$? path=
    case $out in *"incorrect password"*|*"ry again"*|*"no password was"*) refused=yes ;; esac
    [ "$code" = 0 ] && path=$(printf '%s\\n' "$secret" | sudo -S -k -p '' -l -u ACCOUNT -- "$1" 2>/dev/null | head -n 1)
  fi
  show "$1" "$code" "$path" "$out"
}"""
_SHOW = f"""\
show() {{
  said=$(printf '%s\\n' "$4" | sed '/^{SUDO_WARNS}/d' | head -n 8 | cut -c 1-300 | tr '\\n' '|')
  beside=; case $1 in */*) ;; *) beside=$(command -v "$1" || {newest_beside_path('"$1"')}) ;; esac
  printf 'program=%s\\ncode=%s\\npath=%s\\nsaid=%s\\nbeside=%s\\n' "$1" "$2" "$3" "$said" "$beside"
}}"""


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether sudo gives the login a shell of another account, and what its rules list otherwise."""

    code: int
    said: str
    rules: tuple[str, ...]
    """The login's sudo rules for the account, as `sudo -l` prints them: `(postgres) NOPASSWD: /usr/bin/psql`."""

    @property
    def refusal(self) -> Refusal:
        return Refusal.of(self.said)


class ReachProbe(AccountProbe[Reach]):
    """For accounts of which the plan names no program: `id -un` in a shell, or else the rules there are."""

    family = Family.ACCESS
    timeout_seconds = _SUDO_SECONDS

    def ask(self) -> str:
        shell = f"-u {quoted(self.account.account)} -- /bin/sh -c 'id -un'"
        if self.account.password:
            return (
                "IFS= read -r secret\n"
                f"out=$(printf '%s\\n' \"$secret\" | sudo -S -k -p '' {shell} 2>&1); code=$?; rules=\n"
                'case $out in *"not allowed"*) '
                "rules=$(printf '%s\\n' \"$secret\" | sudo -S -k -p '' -l 2>/dev/null) ;; esac\n" + _TELL
            )
        return (
            f"if {self.account.may_run_shell}\n"
            f"then out=$(sudo -k -n {shell} 2>&1 </dev/null); code=$?; rules=\n"
            "else out=$(sudo -k -n -l 2>&1 </dev/null); code=1; rules=$out; fi\n" + _TELL
        )

    def read(self, reply: Reply) -> Reach:
        fields = read_fields(output_of(reply))
        accounts = {self.account.account, "ALL"}
        rules = [(rule, _RULE_ACCOUNTS.match(rule)) for rule in fields.pop("rule", [])]
        own = (rule for rule, found in rules if found and accounts & {name.strip() for name in found[1].split(",")})
        return read_lines(Reach, fields, said="\n".join(fields.pop("said", [])), rules=tuple(own))


_TELL = f"""\
printf 'code=%s\\n' "$code"
printf '%s\\n' "$out" | sed '/^{SUDO_WARNS}/d' | head -n 20 | cut -c 1-300 | sed 's/^/said=/'
printf '%s\\n' "$rules" | grep '^ *(' | head -n 50 | cut -c 1-300 | sed 's/^ */rule=/'
echo end=yes"""
_RULE_ACCOUNTS = re.compile(r"\(([^:)]*)")
_SPANS = re.compile(r"-|(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", re.IGNORECASE)
_SECONDS = (86_400, 3600, 60, 1)
_STAMP = "%Y%m%d%H%M%SZ"


@dataclass(frozen=True, slots=True)
class SudoRule:
    """One command that the login may run."""

    accounts: tuple[str, ...]
    """As whom: names, or what only sudo can resolve (`ALL`, `%group`, `#uid`, `!name`)."""
    until: datetime | None
    """First instant, UTC, at which sudo no longer goes by it; None for no end."""
    command: str
    seconds: int | None = None
    """After so many sudo ends the command (TIMEOUT, or command_timeout of Defaults); None for never."""

    @classmethod
    def parse(cls, line: str) -> Self:
        accounts, after, timeout, command = (*line.split(" ", 3), "", "", "")[:4]
        spans = _SPANS.fullmatch(timeout)
        if spans is None:
            raise Unreadable(f"no time limit of a sudo rule: {timeout[:40]!r}")
        seconds = sum(int(number or 0) * length for number, length in zip(spans.groups(), _SECONDS, strict=True))
        try:
            until = None if after == "-" else datetime.strptime(after, _STAMP).replace(tzinfo=UTC)
        except ValueError:
            raise Unreadable(f"no end of a sudo rule: {after[:40]!r}") from None
        return cls(tuple(accounts.split(",")), until, command, seconds or None)

    def may_cover(self, account: str, path: str) -> bool:
        """False only where it surely means another account or another program."""
        other_account = all(name[:1].isalnum() and name not in (account, "ALL") for name in self.accounts)
        named = self.command.partition(" ")[0]
        below = named.endswith("/") and path.startswith(named)
        other_program = named.startswith("/") and not below and not fnmatch.fnmatchcase(path, named)
        return not other_account and not other_program


Rules = tuple[SudoRule, ...]


@dataclass(frozen=True)
class SudoRulesProbe(AccountProbe[Rules]):
    """The login's own rules, of which those for the account count. None where sudo wants a password that the plan does
    not name to list them; one that it names must have been accepted before."""

    family = Family.ACCESS

    def ask(self) -> str:
        if self.account.password:
            return "IFS= read -r secret\n" + filled(_RULES, LIST="printf '%s\\n' \"$secret\" | sudo -S -k -p '' -ll")
        return filled(_RULES, LIST="sudo -k -n -ll </dev/null")

    def read(self, reply: Reply) -> Rules:
        return tuple(map(SudoRule.parse, read_fields(output_of(reply)).get("rule", [])))


_RULES = """\
unset TZ # by which sudo would read a NOTAFTER without a zone
@LIST@ 2>/dev/null | awk '
BEGIN { limit = "-" }
  !rules && match($0, /command_timeout=[0-9A-Za-z]+/) { limit = substr($0, RSTART + 16, RLENGTH - 16) }
  /^Sudoers entry/ { accounts = "root"; after = "-"; timeout = limit; rules = 1 }
  sub(/^ *Timeout: /, "") { timeout = $0 }
  sub(/^ *RunAsUsers: /, "") { accounts = $0; gsub(/ /, "", accounts) }
  sub(/^ *NotAfter: /, "") { after = $0 }
  sub(/^\\t/, "") { print "rule=" accounts " " after " " timeout " " $0 }' | head -n 500 | cut -c 1-300
echo end=yes"""


def last_moment(rules: Iterable[SudoRule], account: str, path: str) -> datetime | None:
    """When the last rule ends that lets the login run `path` as `account`; None for never, and where none is seen."""
    ends = [rule.until for rule in rules if rule.may_cover(account, path)]
    return max((end for end in ends if end), default=None) if all(ends) else None


def seconds_allowed(rules: Iterable[SudoRule], account: str, path: str) -> int | None:
    """After how long sudo ends `path`; None for never. Of the rules that fit, sudo goes by the last one."""
    fitting = [rule for rule in rules if rule.may_cover(account, path)]
    return fitting[-1].seconds if fitting else None


def stamp(moment: datetime) -> str:
    """As NOTAFTER wants it."""
    return moment.astimezone(UTC).strftime(_STAMP)
