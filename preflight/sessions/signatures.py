"""SSH signatures, made and verified by the `ssh-keygen` of this machine: what it trusts is what everybody's does."""

import base64
import os
import re
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from os.path import isfile
from pathlib import Path
from typing import Any

from preflight.clock import Deadline
from preflight.errors import RefusedError
from preflight.questions.authorized_keys import fingerprint
from preflight.questions.local import Namespace, Signature
from preflight.reasons import Reason
from preflight.sessions import CannotAsk
from preflight.wording import one_line

_PROGRAM = "ssh-keygen"
_NO_PROGRAM = f"{_PROGRAM} is not on this machine"
_NAMES = re.compile(r'^[ \t]*(?:"([^"]*)"|([^\s#"]\S*))', re.MULTILINE)
"""Of one line of the file of keys."""
_OWNED = re.compile(rf"{_NAMES.pattern}.*?[ \t](AAAA[A-Za-z0-9+/]+)", re.MULTILINE)
"""The same, and its key; the text of each begins so."""
_UNTIL = re.compile(r'valid-before="?(\d{8}(?:\d{4}(?:\d{2})?)?)(z?)', re.IGNORECASE)
_PATTERN = re.compile(r"[*?!]")
_LONGEST_SIGNATURE = 16 * 1024
"""It goes through a pipe that nobody reads yet; one of RSA 16384 has 4 KiB."""


class SignatureFailed(RefusedError):
    """Why a text could not be signed, with what to do about it."""


def sign(key: Path, namespace: Namespace, content: str) -> str:
    """The signature of a text, in the form that `ssh-keygen -Y verify` reads. ssh-keygen asks for a passphrase on the
    terminal itself; for a public key the agent signs. Raises SignatureFailed."""
    try:
        done = _keygen(["-Y", "sign", "-f", str(key), "-n", namespace], content)
    except FileNotFoundError:
        raise SignatureFailed(f"{_NO_PROGRAM}: {Reason.NO_SSH_KEYGEN.cure('local')}") from None
    if done.returncode:
        said = one_line(done.stderr.decode("utf-8", "replace"))
        advice = "; a key with a passphrase wants a terminal, or the agent: ssh-add it" if "passphrase" in said else ""
        raise SignatureFailed(f"--sign {key}: {_PROGRAM} did not sign: {said}{advice}")
    return done.stdout.decode("utf-8", "replace")


def verify(folder: Path, allowed: str, words: Sequence[str], deadline: Deadline) -> Signature:
    """Who signed. `words`: namespace, text, signature. Raises CannotAsk where ssh-keygen is missing; TimeoutError."""
    namespace, content, signature = words
    if not isfile(folder / allowed):
        return Signature(problem=f"{allowed}: no such file")
    try:
        listed = (folder / allowed).read_text("utf-8", "replace")
    except OSError as error:
        return Signature(problem=f"{allowed}: {error.strerror}")
    # On any line: ssh-keygen takes the name from one line of a key, and what it may sign from another.
    if pattern := next(filter(_PATTERN.search, map("".join, _NAMES.findall(listed))), ""):
        return Signature(problem=f"{allowed} has a pattern, {pattern}, where it must name the key's owner")
    if shared := _shared(listed):
        return Signature(problem=f"{allowed} has one key for {shared}: take a line away, or give each a key of his own")
    if len(signature) > _LONGEST_SIGNATURE:
        return Signature(problem="that is no signature: it is too long")

    def ask(*arguments: str) -> tuple[list[str], str]:
        return _run(folder, ["-f", allowed, *arguments], content, signature, deadline)

    found, problem = ask("-Y", "find-principals")
    signers, seen = list[str](), list[str]()
    for name in found:
        good, said = ask("-Y", "verify", "-I", name, "-n", namespace)
        signers += [name] * bool(good)
        seen += good
        problem = said or problem
    problem = "" if signers else problem or "it could not be verified"
    return Signature(tuple(signers), problem, _end_of_key(listed, " ".join(seen)))


def _end_of_key(listed: str, seen: str) -> datetime | None:
    """Until when the key counts that ssh-keygen names by its fingerprint; of several lines of it the longest."""
    ends: list[datetime | None] = []
    for line in _OWNED.finditer(listed):
        with suppress(ValueError, OverflowError):
            if fingerprint(base64.b64decode(line[3])) in seen.split():
                until = _UNTIL.search(line[0])
                ends.append(_moment(*until.groups()) if until else None)
    return None if None in ends else max(filter(None, ends), default=None)


def _moment(digits: str, utc: str) -> datetime:
    """Raises ValueError and OverflowError. ssh-keygen takes a time without `Z` as one of this machine's zone."""
    local = datetime.strptime(digits.ljust(14, "0"), "%Y%m%d%H%M%S")  # noqa: DTZ007
    return local.replace(tzinfo=UTC) if utc else local.astimezone(UTC)


def _shared(listed: str) -> str:
    """The owners of a key that has several lines with different ones: ssh-keygen names that of the first line alone."""
    owners: dict[str, str] = {}
    for quoted, plain, key in _OWNED.findall(listed):
        first = owners.setdefault(key, quoted or plain)
        if first != (quoted or plain):
            return f"{first} and for {quoted or plain}"
    return ""


def _run(folder: Path, argv: Sequence[str], content: str, signature: str, deadline: Deadline) -> tuple[list[str], str]:
    """(The lines that it printed, none where it failed; what it complained of.)"""
    reading, writing = os.pipe()
    try:
        os.write(writing, signature.encode())
        os.close(writing)
        named = [*argv, "-s", f"/dev/fd/{reading}"]
        done = _keygen(named, content, cwd=folder, pass_fds=(reading,), timeout=deadline.left())
    except FileNotFoundError:
        raise CannotAsk(Reason.NO_SSH_KEYGEN, _NO_PROGRAM) from None
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{_PROGRAM} did not end in time") from None
    finally:
        os.close(reading)
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return ([] if done.returncode else lines), one_line(done.stderr.decode("utf-8", "replace"))


def _keygen(arguments: Sequence[str], content: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([_PROGRAM, *arguments], input=content.encode(), capture_output=True, check=False, **more)
