"""Shell text for questions on hosts: quoting, and running as another account.

The text is fixed by the program; only quoted values vary. It is plain POSIX `sh`, reads no input, writes nothing and
is shown word for word by `preflight show`. The session sets the locale, the time zone and the time limits."""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, ClassVar, Self

from preflight.plan import Host
from preflight.plan.limits import Matches
from preflight.plan.work import ServerWork
from preflight.probe import Probe, T, Via

NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""Exit statuses with which a shell says that of a program."""
NOT_ALLOWED = 77
"""Exit status of `AsAccount.wrap` when sudo does not let the login run a shell as the account."""
_IF_PROGRAMS_START = f"id >/dev/null 2>&1 || exit {NOT_ALLOWED}\n"
"""In a shell that sudo starts with `noexec`, what needs a program would look as if it were not there."""
SUDO_WARNS = "sudo: unable to resolve host "
"""It does not know the name of its own host, and runs the program all the same."""
FIND_HASH_TOOL = """\
for tool in 'openssl dgst -sha256 -r' sha256sum 'shasum -a 256'; do
  case $($tool </dev/null 2>/dev/null) in e3b0c44298fc1c149afbf4c8996fb924*) break ;; esac
  tool=
done
"""
"""Sets `tool` to the first one that hashes nothing at all rightly, or to nothing. OpenSSL first: five times as fast."""
MEMBERS = """\
members() {
  { getent group "$1" 2>/dev/null || cat /etc/group; } | awk -F: -v g="$1" '$3 == g && $4 { print $4 }' | tr , ' '
  awk -F: -v g="$1" '$4 == g { print $1 }' /etc/passwd | tr '\\n' ' '
}
"""
"""Prints the members of a group by its number, as far as the host tells: a directory need not."""
BOOT = "printf 'boot=%s\\n' \"$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)\"\n"
"""Prints the boot that the host's kernel is in, or nothing (random(4)): unlike /etc/machine-id, no clone has it."""
BootId = Annotated[str, Matches(r"(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})?", "a boot id, or nothing")]


def quoted(value: str) -> str:
    """One shell word. Raises ValueError for NUL and newline, which no name in a plan needs."""
    if "\0" in value or "\n" in value:
        raise ValueError(f"{value!r} holds a NUL or a newline")
    return shlex.quote(value)


def glob_word(pattern: str) -> str:
    """A shell word in which only `*`, `?` and `[...]` of plain characters are wild. Raises ValueError as `quoted`."""
    parts = re.split(r"(\*|\?|\[!?[A-Za-z0-9_.-]+\])", pattern)
    return "".join(part if number % 2 else quoted(part) for number, part in enumerate(parts) if part)


def without_warning(said: str) -> str:
    """What a program said, without that."""
    return re.sub(f"(?m)^{SUDO_WARNS}.*\n?", "", said)


def fixed_folder(pattern: str) -> str:
    """The folder in which the pattern's first wild part is looked for."""
    return re.split(r"[*?\[]", pattern, maxsplit=1)[0].rpartition("/")[0] or "/"


def filled(script: str, **values: str) -> str:
    """`script` with every `@NAME@` replaced that is among `values`; what is put in is not looked at again."""
    return re.sub(r"@([A-Z_]+)@", lambda found: values.get(found[1], found[0]), script)


def writers(mode: int, owner: str, members: Iterable[str]) -> frozenset[str]:
    """Who may change it besides root and its owner: members of its group, or everybody."""
    if mode & 0o1002 == 0o002:  # in a folder with the sticky bit nobody takes another's file away
        return frozenset({"everybody on the server"})
    return frozenset(members) - {"root", owner} if mode & 0o1020 == 0o020 else frozenset()


class Complaint(Enum):
    """What the output of a program that failed stands for, as far as its words tell."""

    def __init__(self, words: str, sign: str = "") -> None:
        self._words = words
        self._sign = re.compile(sign, re.IGNORECASE)
        """Known by it; the first member whose sign is there counts, so the last one has none."""

    def __str__(self) -> str:
        return self._words

    @classmethod
    def of(cls, said: str) -> Self:
        return next(each for each in cls if each.is_in(said))

    def is_in(self, said: str) -> bool:
        """Whether its sign is there, whatever else is."""
        return self._sign.search(said) is not None


class Refusal(Complaint):
    """Why a program did not run."""

    UNKNOWN_ACCOUNT = "there is no such account", r"unknown user|no such user|invalid user"
    NEEDS_TERMINAL = "sudo wants a terminal (requiretty)", r"must have a tty"
    WRONG_PASSWORD = (
        "sudo refuses the password",
        r"incorrect password|sorry, try again|no password was provided|authentication failure",
    )
    NOT_ALLOWED = (
        "sudo does not allow it",
        r"is not allowed to execute|not in the sudoers|may not run sudo|not allowed to run sudo",
    )
    ONLY_VERSION = "sudo allows it with --version, and not with the arguments of the night", r"(?!)"
    NEEDS_PASSWORD = "sudo asks for a password", r"a password is required|a terminal is required|no askpass program"
    NO_SUDO = "sudo is not installed", r"sudo: (?:command )?not found|sudo: no such file"
    NOT_FOUND = (
        "the program is not found",
        r"command not found|: not found|(?m:^(?!sudo: unable to (?:mkdir|open)).*no such file or directory)",
    )
    OWN_FILE = "sudo cannot write its own log", r"sudo: unable to (?:mkdir|open)[^\n]*\s*\Z"
    NO_EXEC = "sudo lets it start no other program (noexec)", r"can't exec |/sh: (?:line )?\d+: .*permission denied"
    OTHER = "it fails"


@dataclass(frozen=True, slots=True)
class AsAccount:
    """An OS account that runs part of the work: the host's login itself, or one reached through sudo."""

    account: str
    is_login: bool
    password: str = ""
    """Secret reference for sudo's prompt; empty when sudo must not ask."""

    @classmethod
    def on(cls, host: Host, account: str) -> Self:
        """`account` on `host`; the login itself when it is empty or the same."""
        if account in ("", host.user):
            return cls(host.user, is_login=True)
        entry = next((entry for entry in host.become if entry.account == account), None)
        return cls(account, is_login=False, password=str(entry.password) if entry and entry.password else "")

    @classmethod
    def of(cls, work: ServerWork) -> Self:
        return cls.on(work.host, work.account)

    @property
    def word(self) -> str:
        """The name for a shell; nothing for the login, as `id` wants it."""
        return "" if self.is_login else quoted(self.account)

    def command(self, argv: str) -> str:
        """`argv` (already quoted) as the account; sudo uses no cached ticket and never waits at a prompt."""
        if self.is_login:
            return argv
        if self.password:
            return f"sudo -S -k -p '' -u {quoted(self.account)} -- {argv}"
        return f"sudo -k -n -u {quoted(self.account)} -- {argv}"

    def may_run(self, program: str) -> str:
        """A test whether the account has `program`; sudo answers it without a refusal in the server's log."""
        if self.is_login:
            return f"command -v -- {quoted(program)} >/dev/null 2>&1"
        return f"sudo -k -n -l -u {quoted(self.account)} -- {quoted(program)} >/dev/null 2>&1"

    @property
    def may_run_shell(self) -> str:
        """A test whether sudo gives the login its shell, which is tried where sudo lists only by password (listpw)."""
        user = quoted(self.account)
        return (
            f"case $(sudo -k -n -l -u {user} -- /bin/sh 2>&1 </dev/null && echo listed) in *listed) ;; "
            "*'password is required'*) "
            f"sudo -k -n -u {user} -- /bin/sh -c : >/dev/null 2>&1 </dev/null ;; *) false ;; esac"
        )

    def wrap(self, script: str) -> str:
        """A whole script as the account. Where sudoers lists single commands, a shell is not among them. `sudo -l`
        asks that without a refusal in the server's log; the reply then has the status `NOT_ALLOWED`."""
        if self.is_login:
            return script
        run = self.command(f"/bin/sh -c {shlex.quote(_IF_PROGRAMS_START + script)}")
        if self.password:
            return run
        return f"if {self.may_run_shell}\nthen {run}\nelse exit {NOT_ALLOWED}; fi"

    def or_login(self, script: str) -> str:
        """A whole script as the account, or as the login where sudo gives it no shell of the account; without input,
        in the locale C, which sudo may not keep. It says who ran it, and ends with 0: else it was refused by sudo."""
        script = f"exec </dev/null\nLC_ALL=C; export LC_ALL\n{_IF_PROGRAMS_START}{script}\nexit 0"
        if self.is_login:
            return script
        run = self.command('/bin/sh -c "$script"')
        if self.password:
            return f'script={shlex.quote(script)}\n{run} || /bin/sh -c "$script"'
        return f'script={shlex.quote(script)}\nif {self.may_run_shell} && {run}\nthen :; else /bin/sh -c "$script"; fi'


def newest_beside_path(name: str) -> str:
    """Prints the newest program `name` (a shell word) where Debian and Red Hat keep those of a version, of which only
    some are on PATH; nothing where there is none."""
    return f"ls -d /usr/lib/postgresql/*/bin/{name} /usr/pgsql-*/bin/{name} 2>/dev/null | sort -V | tail -n 1"


def found_program(program: str, account: AsAccount) -> str:
    """Sets `p` to what is called for `program`: itself, or the newest one beside PATH where the account has none."""
    name = quoted(program)
    if "/" in program:
        return f"p={name}"
    on_path = f"command -v -- {name} >/dev/null 2>&1" if account.password else account.may_run(program)
    return f"p={name}\nif ! {on_path}; then p=$({newest_beside_path(name)}); p=${{p:-{name}}}; fi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """Who looked, and for which account, by their user ids: the login may have looked in the account's stead."""

    ran_as: int
    account: int | None
    """None when the host does not know it."""

    @property
    def as_account(self) -> bool:
        return self.ran_as == self.account


class ShellProbe(Probe[T]):
    """A probe whose question is shell text for a host."""

    via: ClassVar[Via] = Via.SSH


@dataclass(frozen=True)
class AccountProbe(ShellProbe[T]):
    """A shell probe that looks as an account of the host."""

    account: AsAccount

    def stdin_secret(self) -> str:
        return self.account.password
