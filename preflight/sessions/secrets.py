"""The values of the plan's secret references, their redaction, and how often a password is tried.

Values live only in a `Secrets` registry; every text that leaves the program passes through `Secrets.redact`. A password
is tried once for each account, however many entries of the plan log in with it: a directory that counts refusals over
all its hosts would lock the account."""

import base64
import html
import json
import os
import re
import shlex
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import quote, quote_plus

from preflight.clock import Deadline, monotonic
from preflight.errors import PreflightError
from preflight.plan import Database, Host, Plan, SecretRef
from preflight.plan.targets import alone_at
from preflight.reasons import Reason
from preflight.sessions import CannotAsk, Once, local_path
from preflight.wording import MASK

_SHORTEST = 6
"""Characters; a shorter value stands by chance in numbers, names and hashes, where its mask gives it away."""
_COMMAND_TIMEOUT_SECONDS = 20.0
_LARGEST_FILE_BYTES = 64 * 1024


_WRONG = (Reason.BAD_CREDENTIAL, Reason.BAD_PASSWORD, Reason.BAD_CODE)
"""How the trial of a password ends that may be wrong."""


class SecretError(CannotAsk, PreflightError):
    """A secret reference that yields no value. The text names the reference, never a value."""

    def __init__(self, detail: str, reason: Reason = Reason.NO_SECRET) -> None:
        super().__init__(reason, detail)


class Secrets:
    """The values of one run, resolved once each, and the redaction of all of them. Safe to share by threads."""

    def __init__(self, base: Path, ask: Callable[[str], str] | None = None, printed: str = "") -> None:
        """`base`: relative `file:` references start there. `ask`: reads a hidden line from a terminal; None when
        there is no terminal, so that a `prompt` is an error instead of a hang. `printed`: what reports may print of
        the plan; a secret that stands in it is not used."""
        self._base, self._ask, self._printed = base, ask, printed
        self.trials = PasswordTrials()
        self._values = Once[SecretRef, str | SecretError]()
        """Also what yields none: a command that hangs must not do so for every host."""
        self._forms: list[str] = []
        """Longest first; replaced as a whole, so that nobody waits to read it."""
        self._codes: set[str] = set()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, plan: Plan, ask: Callable[[str], str] | None = None) -> Self:
        return cls(plan.folder, ask, repr(plan))

    def __repr__(self) -> str:
        return "Secrets()"

    def value(self, ref: SecretRef, purpose: str = "") -> str:
        """The secret that `ref` names. Raises SecretError; the error never holds a value. `purpose` is shown at a
        prompt, for example `password of dbadmin on db1`."""
        key = SecretRef(ref.scheme, purpose) if ref.is_typed else ref

        def resolve() -> str | SecretError:
            try:
                return self._usable(ref, purpose)
            except SecretError as error:
                return error

        found = self._values.get(key, resolve)
        if isinstance(found, SecretError):
            raise SecretError(found.detail, found.reason)
        return found

    def redact(self, text: str) -> str:
        """`text` with every known value, also in quoted, percent, base64, JSON and HTML form, masked."""
        for form in self._forms:
            text = text.replace(form, MASK)
        for code in self._codes:
            text = re.sub(rf"(?<!\w){code}(?!\w)", MASK, text)
        return text

    def _usable(self, ref: SecretRef, purpose: str) -> str:
        """A value that can be masked: masked where it is a word of the plan or of the report, it would be read there,
        and the word that it takes from a report could be the verdict."""
        value = self._resolve(ref, purpose)
        if not value:
            raise SecretError(f"{ref} is empty")
        if len(value) < _SHORTEST or value in self._printed or value in _own_words():
            detail = f"{ref} has fewer than {_SHORTEST} characters, or is a word of the plan or of the report"
            raise SecretError(f"{detail}: this tool cannot keep it out of the report", Reason.SECRET_NOT_MASKED)
        self.mask(value)  # before anybody has it
        return value

    def mask(self, value: str) -> None:
        """From now on `redact` masks this too: a value, or what is made of one before it is sent."""
        with self._lock:
            self._forms = sorted({*self._forms, *_forms(value)}, key=len, reverse=True)

    def mask_code(self, code: str) -> None:
        """The same for what holds once. One of digits alone is masked where it is a whole number: within sums and
        moments the same six digits stand by chance."""
        if not code.isdigit():
            self.mask(code)
        elif len(code) >= _SHORTEST:
            with self._lock:
                self._codes = {*self._codes, code}

    def _resolve(self, ref: SecretRef, purpose: str) -> str:
        match ref.scheme:
            case "env":
                try:
                    return os.environ[ref.argument]
                except KeyError:
                    raise SecretError(f"the environment variable {ref.argument} is not set") from None
            case "file":
                return _from_file(self._base / local_path(ref.argument))
            case "command":
                return _from_command(ref.argument)
            case "prompt":
                if self._ask is None:
                    said = f"a prompt for the {purpose or 'secret'} needs a terminal, and there is none"
                    raise SecretError(said, Reason.NO_TERMINAL)
                return self._ask(purpose)
            case _:
                raise SecretError(f"no secret scheme {ref.scheme!r}")


@cache
def _own_words() -> str:
    """The source of this program, and with it every word that a report has of its own."""
    checks = find_spec("preflight_checks")
    folders = [Path(__file__).parents[1], *map(Path, (checks and checks.submodule_search_locations) or ())]
    files = (file for folder in folders for file in folder.rglob("*.py"))
    return "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files)


def why_not_private(path: Path, mode: int) -> str:
    """That others may read the file, with the cure; empty where they may not. `mode`: as stat tells it."""
    told = f"{path} can be read by others (mode {stat.S_IMODE(mode):04o}); run: chmod 600 {shlex.quote(str(path))}"
    return told if mode & 0o077 else ""


def _from_file(path: Path) -> str:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise SecretError(f"{path} is no regular file")
        if problem := why_not_private(path, found.st_mode):
            raise SecretError(problem)
        if found.st_size > _LARGEST_FILE_BYTES:
            raise SecretError(f"{path} has {found.st_size} bytes, too many for a secret")
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecretError(f"{path} is not UTF-8 text") from None
    except OSError as error:
        raise SecretError(f"{path}: {error.strerror}") from None


def _from_command(argument: str) -> str:
    try:
        done = subprocess.run(  # by argv, never through a shell
            shlex.split(argument),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # may repeat the secret, so it is not shown
            timeout=_COMMAND_TIMEOUT_SECONDS,
            check=False,
        )
    except ValueError:
        raise SecretError("a command: reference has unbalanced quotes") from None
    except subprocess.TimeoutExpired:
        raise SecretError(f"command:{argument} took more than {_COMMAND_TIMEOUT_SECONDS:.0f} s") from None
    except OSError as error:
        raise SecretError(f"command:{argument}: {error.strerror}") from None
    if done.returncode:
        raise SecretError(f"command:{argument} ended with {done.returncode}")
    try:
        return done.stdout.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecretError(f"command:{argument} did not print UTF-8 text") from None


def _forms(value: str) -> set[str]:
    """The spellings in which libraries and shells repeat a value."""
    escaped = re.sub(r"(['\\])", r"\\\1", value)  # libpq keyword/value quoting
    spellings = {
        value,
        shlex.quote(value),
        quote(value, safe="", errors="surrogateescape"),
        quote_plus(value, errors="surrogateescape"),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        escaped,
        html.escape(value),
        html.escape(value).replace("&#x27;", "&#39;"),
        value.replace("'", "''"),
        base64.b64encode(value.encode("utf-8", "surrogateescape")).decode(),
    }
    spellings |= set(value.splitlines()) if "\n" in value else set()
    return {form for form in spellings if len(form) >= _SHORTEST}


class PasswordAccount(NamedTuple):
    """Entries with the same user and the same secret reference are one account."""

    asked_by: str
    """`sshd`, `sudo`, `PostgreSQL` or `the application`."""
    user: str
    """Empty for a token, which stands for itself."""
    reference: str
    entry: str
    """Id of the only entry that has it; empty for an account that others share."""

    @classmethod
    def of(cls, entry: Host | Database, asked_by: str, user: str, reference: SecretRef) -> Self:
        return cls(asked_by, user, str(reference), alone_at(entry, reference))

    @property
    def secret(self) -> str:
        return f"the password of {self.user}" if self.user else self.reference


class PasswordTrials:
    """The first login of an account is tried alone; the others wait until its password was accepted."""

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
            return account in self._accepted or self._tried_at.setdefault(account, entry) == entry

    def begin_round(self) -> None:
        """Between two rounds of a watch: an accepted password may have been changed since, so its next login is tried
        alone again. What was refused somewhere stays refused there."""
        with self._changed:
            self._accepted &= set(self._refused_at)

    def refused_at(self) -> set[str]:
        """Ids of the entries where a password was refused."""
        with self._changed:
            return {entry for entries in self._refused_at.values() for entry in entries}

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
            detail = f"refused on {refused_at[0]}: {account.secret}, and {account.asked_by} is not asked again"
            raise CannotAsk(Reason.REFUSED_ELSEWHERE, detail)

    def wait_for_turn(self, account: PasswordAccount, entry: str, deadline: Deadline) -> None:
        """Until its password may be tried here; whoever returns calls `settle`. Raises CannotAsk when it must not be,
        or when that takes too long."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.claim(account, entry), deadline.left()):
                detail = f"the trial of {account.secret} on {self._tried_at[account]} took all the time there was"
                raise CannotAsk(Reason.TURN, detail)

    @contextmanager
    def alone(self, account: PasswordAccount | None, entry: str, deadline: Deadline) -> Iterator[float]:
        """Around one attempt, which ends with CannotAsk when it is refused; the seconds for which another was waited
        for: none without a password. Raises CannotAsk when it must not be made."""
        if account is None:
            yield 0.0
            return
        begun = monotonic()
        self.wait_for_turn(account, entry, deadline)
        accepted = None
        try:
            yield monotonic() - begun
            accepted = True
        except CannotAsk as failed:
            accepted = False if failed.reason in _WRONG else None
            raise
        finally:
            self.settle(account, entry, accepted=accepted)
