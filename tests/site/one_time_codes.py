"""sshd that wants a one-time code (HOTP, from pam_oath), by a PAM service of its own beside the system's."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.site.machine import is_alive, needs, own_tag, run
from tests.site.site import Site
from tests.site.sshd import Sshd

_SERVICES = Path("/etc/pam.d")
_PREFIX = "preflight-test-"
WORDS = "One-time password"
"""With which pam_oath asks."""


class Codes:
    """The codes of one account."""

    def __init__(self) -> None:
        self._secret = secrets.token_hex(20)
        self._counter = 0
        self.given: list[str] = []

    def next(self) -> str:
        code = run(needs("oathtool"), "-c", str(self._counter), self._secret).stdout.strip()
        self._counter += 1
        self.given.append(code)
        return code

    def wrong(self) -> str:
        """None of those that hold."""
        ahead = run(needs("oathtool"), "-c", "0", "-w", "100", self._secret).stdout.split()
        return next(code for code in (f"{number:06}" for number in range(100001, 200000)) if code not in ahead)

    def line(self, user: str) -> str:
        """As pam_oath keeps it."""
        return f"HOTP {user} - {self._secret}\n"


@contextmanager
def wanting_codes(
    site: Site, users: dict[str, Codes], *, password: str = "", options: dict[str, str] | None = None
) -> Iterator[Sshd]:
    """An sshd at which these accounts need a code, after their key. `password`: the control of pam_unix, `requisite` or
    `required`, where the password is asked for in the same exchange instead."""
    _clear_leftovers()
    folder = site.new_path("codes")
    folder.mkdir()
    file = folder / "users.oath"
    file.write_text("".join(codes.line(user) for user, codes in users.items()))
    file.chmod(0o600)
    name = f"{_PREFIX}{secrets.token_hex(2)}.{own_tag()}"
    program = folder / name
    program.symlink_to(needs("sshd"))
    service = _SERVICES / name
    first = f"auth {password} pam_unix.so nodelay\n" if password else ""
    service.write_text(
        f"{first}auth required pam_oath.so usersfile={file} window=20 digits=6\n"
        "account required pam_permit.so\nsession required pam_permit.so\n"
    )
    methods = "keyboard-interactive" if password else "publickey,keyboard-interactive"
    own = {"KbdInteractiveAuthentication": "yes", "AuthenticationMethods": methods, **(options or {})}
    sshd = site.start_sshd(options=own, program=program)
    try:
        yield sshd
    finally:
        sshd.close()
        service.unlink()


def _clear_leftovers() -> None:
    for file in _SERVICES.glob(f"{_PREFIX}*"):
        if not is_alive(file.name.rpartition(".")[2]):
            file.unlink(missing_ok=True)
