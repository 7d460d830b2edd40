"""Real Linux accounts with passwords, expiry dates and sudo rules, removed after the run.

Every account's comment field holds the tag of the run that made it, by which the accounts of a killed run are found.
"""

from __future__ import annotations

import contextlib
import pwd
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

from tests.site.machine import is_alive, needs, needs_root, own_tag, run

_COMMENT = "preflight test account of "
_SUDOERS = Path("/etc/sudoers.d")
_SUDOERS_PREFIX = "preflight-test-"
_NAME_PREFIX = "pf"


@dataclass(frozen=True)
class Account:
    """One Linux account that exists while the test runs."""

    name: str
    password: str
    home: Path
    key: Path
    """Private key file (no passphrase) that the account accepts, unless it was made with `authorize=False`."""

    def replace_program(self, name: str, script: str) -> None:
        """Lets its commands find a program of its own of this name, a script of sh."""
        folder = self.home / "bin"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
        (self.home / ".bashrc").write_text(f"PATH={folder}:$PATH\n")


class Accounts:
    """Makes accounts in one run's directory."""

    def __init__(self, directory: Path) -> None:
        needs_root("create Linux accounts")
        clear_leftovers()
        self._homes = directory / "homes"
        self._homes.mkdir()
        self.authorized_keys = directory / "authorized_keys"
        """Folder with one `authorized_keys` file per account; `AuthorizedKeysFile` of every sshd of the site."""
        self.authorized_keys.mkdir()
        self.key = make_key(directory / "login_key")
        self._rules: dict[str, list[str]] = {}
        self._names: list[str] = []
        self._made = 0
        self._run = secrets.token_hex(2)

    def add(
        self,
        label: str = "user",
        *,
        password: str = "",
        shell: str = "/bin/bash",
        authorize: bool = True,
        key_options: str = "",
        account_expires: date | None = None,
        last_change: date | None = None,
        max_days: int | None = None,
        warn_days: int | None = None,
        inactive_days: int | None = None,
        must_change: bool = False,
    ) -> Account:
        """A new account, `label` being part of its name.

        `key_options` go before its key in `authorized_keys` (`command="/bin/true"`); the dates and days are those of
        chage(1): `last_change` + `max_days` is the day the password expires."""
        self._made += 1
        name = f"{_NAME_PREFIX}{self._run}{self._made}-{label}"
        password = password or f"Pw-{secrets.token_hex(8)}"
        home = self._homes / name
        own = ("-U", "-K", "SUB_UID_COUNT=0", "-K", "SUB_GID_COUNT=0", "-p", _hashed(password))
        comment = _COMMENT + own_tag()
        run(needs("useradd"), *own, "-m", "-k", "/nonexistent", "-d", home, "-s", shell, "-c", comment, name)
        self._names.append(name)
        if authorize:
            self.authorize(name, key_options)
        aging: list[str] = []
        if account_expires is not None:
            aging += ["-E", account_expires.isoformat()]
        if last_change is not None:
            aging += ["-d", last_change.isoformat()]
        for option, days in (("-M", max_days), ("-W", warn_days), ("-I", inactive_days)):
            aging += [] if days is None else [option, str(days)]
        aging += ["-d", "0"] if must_change else []
        if aging:
            run(needs("chage"), *aging, name)
        return Account(name, password, home, self.key)

    def authorize(self, name: str, key_options: str = "", public_key: str = "") -> None:
        """Writes the account's `authorized_keys`: one key, by default the site's own."""
        line = public_key or self.key.with_suffix(".pub").read_text().strip()
        (self.authorized_keys / name).write_text(f"{key_options} {line}\n".lstrip())

    def allow_sudo(
        self,
        account: Account,
        become: str,
        commands: Sequence[str] | str = "ALL",
        *,
        password: bool = False,
        until: str = "",
    ) -> None:
        """Lets `account` run `commands` (absolute paths) as `become`, with its own password or with none; `until`: as
        NOTAFTER of sudoers has it."""
        needs("sudo")
        listed = commands if isinstance(commands, str) else ", ".join(commands)
        tag = (f"NOTAFTER={until} " if until else "") + ("PASSWD" if password else "NOPASSWD")
        self._rules.setdefault(account.name, []).append(f"{account.name} ALL=({become}) {tag}: {listed}")
        self._write_sudoers()

    def forget_sudo(self, account: Account) -> None:
        """Takes all its rules away again."""
        self._rules.pop(account.name, None)
        self._write_sudoers()

    def sudo_defaults(self, account: Account, setting: str) -> None:
        """A `Defaults` line for the account alone, for example `requiretty`."""
        self.add_rule(account, f"Defaults:{account.name} {setting}")

    def add_rule(self, account: Account, line: str) -> None:
        """Any line of sudoers, until its rules are forgotten."""
        self._rules.setdefault(account.name, []).append(line)
        self._write_sudoers()

    def remove(self, name: str) -> None:
        """Deletes one account of this run with its home, sudo rules and whatever still runs under it."""
        self._names.remove(name)
        if self._rules.pop(name, None):
            self._write_sudoers()
        (self.authorized_keys / name).unlink(missing_ok=True)
        _delete(name)

    @contextmanager
    def temporary(self) -> Iterator[Self]:
        """Removes, on leaving, the accounts made inside."""
        before = set(self._names)
        try:
            yield self
        finally:
            for name in [name for name in self._names if name not in before]:
                self.remove(name)

    def close(self) -> None:
        _sudoers_file(own_tag()).unlink(missing_ok=True)
        self._rules.clear()
        while self._names:
            _delete(self._names.pop())

    def _write_sudoers(self) -> None:
        file = _sudoers_file(own_tag())
        lines = [line for rules in self._rules.values() for line in rules]
        # sudo passes over names with a dot. A broken or half-written file would stop sudo for everybody.
        draft = file.with_name(f"{file.name}.draft")
        draft.write_text("\n".join(lines) + "\n")
        draft.chmod(0o440)
        try:
            run(needs("visudo"), "-c", "-q", "-f", draft)
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)


def make_key(file: Path, passphrase: str = "", kind: str = "ed25519") -> Path:
    """A new private key file, mode 0600, with its `.pub` beside it."""
    run(needs("ssh-keygen"), "-q", "-t", kind, "-N", passphrase, "-C", "preflight-test", "-f", file)
    return file


def clear_leftovers() -> None:
    """Removes accounts and sudo rules of runs that no longer exist."""
    for file in _SUDOERS.glob(f"{_SUDOERS_PREFIX}*"):
        if not is_alive(file.name.removeprefix(_SUDOERS_PREFIX).removesuffix(".draft")):
            file.unlink(missing_ok=True)
    for entry in pwd.getpwall():
        if entry.pw_gecos.startswith(_COMMENT) and not is_alive(entry.pw_gecos.removeprefix(_COMMENT)):
            _delete(entry.pw_name)


def _sudoers_file(tag: str) -> Path:
    return _SUDOERS / f"{_SUDOERS_PREFIX}{tag}"


def _hashed(password: str) -> str:
    """As the shadow file has it; few rounds, since tests log in often."""
    salt = f"rounds=1000${secrets.token_hex(4)}"
    return run(needs("openssl"), "passwd", "-5", "-salt", salt, "-stdin", stdin=password).stdout.strip()


def _delete(name: str) -> None:
    """Ends what still runs under the account, then deletes it with its home."""
    with contextlib.suppress(KeyError):  # another run may be clearing up the same leftovers
        run(needs("pkill"), "-KILL", "-U", str(pwd.getpwnam(name).pw_uid), check=False)
    run(needs("userdel"), "-f", "-r", name, check=False)
