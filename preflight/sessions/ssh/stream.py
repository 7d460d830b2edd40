"""What a command of a host prints, however much, taken as it arrives."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from preflight.clock import Deadline
from preflight.questions.shell import without_warning
from preflight.reasons import Reason
from preflight.sessions import CannotAsk, decode
from preflight.sessions.ssh import batch

if TYPE_CHECKING:
    from preflight.sessions.ssh.transport import Channel

_READ_BYTES = 256 * 1024
_MOST_ERROR_BYTES = 64 * 1024


def stream(
    channel: Channel, script: str, secret: str, take: Callable[[bytes], object], deadline: Deadline
) -> tuple[int, str]:
    """Runs a script of sh; what it prints goes to `take`, from a line on that start-up files of the shell cannot know.
    `secret`: written to its standard input once it runs. Its exit status, and what it said on standard error.

    When we end, its output leads nowhere, and the next thing it writes ends it (SIGPIPE). Raises CannotAsk, and what
    `take` raises."""
    begin = f"begin {secrets.token_hex(16)}\n".encode()
    errors = bytearray()
    reader = threading.Thread(target=_read_errors, args=(channel, errors), daemon=True)
    # One compound command: the shell has read all of it before the secret comes, which is not for the shell.
    asked = f"{{ printf '%s\\n' '{begin.decode().strip()}'\n(\n{script}\n) || exit $?\nexit 0; }}\n"
    with _told(deadline):
        channel.settimeout(max(deadline.left(), 0.1))
        channel.exec_command(batch.COMMAND)
        reader.start()
        channel.sendall(asked.encode())
        rest = _after(channel, begin, deadline)
        if secret:
            channel.sendall(secret.encode() + b"\n")
        channel.shutdown_write()
    while rest:
        take(rest)
        with _told(deadline):
            rest = _read(channel, deadline)
    status = channel.recv_exit_status() if channel.status_event.wait(max(deadline.left(), 0.1)) else -1
    reader.join(1.0)
    if status < 0:
        raise CannotAsk(Reason.CONNECTION_LOST, "the connection was lost before the end")
    return status, without_warning(decode(bytes(errors)))


@contextmanager
def _told(deadline: Deadline) -> Iterator[None]:
    """Errors of the channel as CannotAsk."""
    try:
        yield
    except TimeoutError:
        raise CannotAsk(Reason.QUESTION_LIMIT, f"it did not end within {deadline.seconds:.0f} s") from None
    except (OSError, EOFError) as error:
        raise CannotAsk(Reason.CONNECTION_LOST, f"the connection was lost: {error}") from None


def _read(channel: Channel, deadline: Deadline) -> bytes:
    """Empty at the end. Raises TimeoutError."""
    channel.settimeout(max(deadline.left(), 0.1))
    found: bytes = channel.recv(_READ_BYTES)
    if deadline.over:
        raise TimeoutError
    return found


def _after(channel: Channel, begin: bytes, deadline: Deadline) -> bytes:
    """What follows `begin`, as far as it has arrived; an empty text where nothing follows it."""
    seen = b""
    while begin not in seen:
        chunk = _read(channel, deadline)
        if not chunk:
            raise EOFError("the shell ended before the command began")
        seen = (seen + chunk)[-len(begin) - _READ_BYTES :]
    return seen.partition(begin)[2] or _read(channel, deadline)


def _read_errors(channel: Channel, into: bytearray) -> None:
    """To its end, so that what nobody reads does not stop the command; the beginning is kept."""
    with suppress(OSError):
        while chunk := channel.recv_stderr(_READ_BYTES):
            into += chunk[: _MOST_ERROR_BYTES - len(into)]
