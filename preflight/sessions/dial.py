"""From a name and a port to a connected TCP socket, tuned for a conversation of small messages."""

import contextlib
import errno
import ipaddress
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

from preflight.clock import Deadline
from preflight.plan.values import show_address
from preflight.reasons import Reason
from preflight.sessions import CannotAsk

A = TypeVar("A")
R = TypeVar("R")

NO_DESCRIPTOR = "this machine's limit of open files (ulimit -n) lets no more connections be opened"
_TCP_OPTIONS = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 20_000}
"""Seconds, seconds, times and ms. Unacknowledged data that old means the peer is gone; TCP alone waits 15 minutes."""
_READ_BYTES = 65536
NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL}
_MOST_TELLING_FIRST = (Reason.OPEN_FILES, Reason.NOT_LISTENING, Reason.NO_ANSWER, Reason.NO_ROUTE, Reason.UNREACHABLE)
"""Of the reasons that keep several addresses of one name from being connected to."""
_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


class DialFailed(CannotAsk):
    """No TCP connection."""

    def __init__(self, reason: Reason, detail: str, address: str = "") -> None:
        super().__init__(reason, detail)
        self.address = address
        """The address tried last, `ip:port`; empty when the name had none."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """The addresses a name stands for, in the order the resolver prefers."""

    addresses: tuple[tuple[socket.AddressFamily, Any], ...]
    """Family and socket address; that of IPv6 has two more fields."""

    @property
    def first(self) -> str:
        return show_address(*self.addresses[0][1][:2])

    def at_port(self, port: int) -> Self:
        return replace(self, addresses=tuple((family, (at[0], port, *at[2:])) for family, at in self.addresses))

    def instances(self, name: str) -> tuple[list[Self], list[str]]:
        """Each address on its own; and, as `ip:port`, those of a family for which this machine has no route at all,
        while it has one for another. `localhost` is one machine, by whichever of its addresses it is reached."""
        if name == "localhost":
            return [self], []
        routed = {family for family, where in self.addresses if _has_route(family, where)}
        asked = [replace(self, addresses=(each,)) for each in self.addresses if each[0] in routed or not routed]
        left_out = [show_address(*where[:2]) for family, where in self.addresses if routed and family not in routed]
        return asked, left_out


class QuickSocket(socket.socket):
    """A TCP socket that acknowledges at once and reads big. Without TCP_NODELAY and TCP_QUICKACK every short exchange
    waits 40 ms for a delayed acknowledgement; the kernel forgets QUICKACK, so it is set again after each read. Reading
    big and serving small spares a system call for each of the many short reads of the SSH packet layer."""

    _unread = b""

    def tune(self) -> None:
        """Sets the options; those the platform lacks are left out."""
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _TCP_OPTIONS.items():
            if hasattr(socket, option):
                self.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def close(self) -> None:
        """Wakes a thread that is just reading, which closing alone does not."""
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)
        super().close()

    def recv(self, size: int, flags: int = 0) -> bytes:
        """As `socket.recv`, from the read-ahead first. Flags are not combined with the read-ahead."""
        if flags:
            return super().recv(size, flags)
        if not self._unread:
            self._unread = super().recv(max(size, _READ_BYTES))
            if sys.platform == "linux":
                self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        served, self._unread = self._unread[:size], self._unread[size:]
        return served


def _has_route(family: socket.AddressFamily, where: Any) -> bool:
    """Asks the kernel; connecting a UDP socket sends nothing."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect(where)
    except OSError as error:
        return error.errno not in {*NO_ROUTE, errno.EAFNOSUPPORT}
    return True


def resolve(name: str, port: int, deadline: Deadline) -> Resolved:
    """Raises DialFailed."""
    try:
        found = _look_up(name, port) if _is_address(name) else _look_up_within(name, port, deadline)
    except socket.gaierror as error:
        if error.errno in _NO_SUCH_NAME:
            raise DialFailed(Reason.NO_SUCH_NAME, f"the name {name} does not exist here") from None
        detail = f"the name {name} could not be resolved on this machine: {error.strerror}"
        raise DialFailed(Reason.NAME_SERVICE, detail) from None
    except UnicodeError:
        raise DialFailed(Reason.NO_SUCH_NAME, f"{name!r} is no host name") from None
    return Resolved(tuple(dict.fromkeys(tuple((family, where) for family, _, _, _, where in found))))


def _is_address(name: str) -> bool:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    return False


def _look_up(name: str, port: int) -> list[Any]:
    return socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)


def _look_up_within(name: str, port: int, deadline: Deadline) -> list[Any]:
    """No argument bounds `getaddrinfo`: a thread that still waits for the resolver at the deadline is left behind.
    Raises what it raises, and DialFailed."""
    looking: Future[list[Any]] = Future()

    def look() -> None:
        try:
            looking.set_result(_look_up(name, port))
        except Exception as error:  # noqa: BLE001 - raised again where the result is waited for
            looking.set_exception(error)

    threading.Thread(target=look, name="resolve", daemon=True).start()
    try:
        return looking.result(deadline.left())
    except FutureTimeout:
        detail = f"the name service of this machine gave no address for {name} in {deadline.seconds:.1f} s"
        raise DialFailed(Reason.NAME_SERVICE, detail) from None


def first_reached(addresses: Sequence[A], deadline: Deadline, reach: Callable[[A, float], R]) -> R:
    """What `reach` makes of the first address that answers, each within its share of the seconds left. Raises
    DialFailed with the most telling trouble: a refusal says more than silence, silence more than no route."""
    troubles: list[DialFailed] = []
    for index, address in enumerate(addresses):
        try:
            return reach(address, deadline.left() / (len(addresses) - index))
        except DialFailed as trouble:
            troubles.append(trouble)
    raise min(troubles, key=lambda trouble: _MOST_TELLING_FIRST.index(trouble.reason))


def connect(target: Resolved, deadline: Deadline) -> tuple[QuickSocket, str]:
    """A connected socket and `ip:port`. Raises DialFailed."""
    return first_reached(target.addresses, deadline, _connect_one)


def _connect_one(target: tuple[socket.AddressFamily, Any], seconds: float) -> tuple[QuickSocket, str]:
    family, where = target
    address = show_address(*where[:2])
    if seconds <= 0:
        raise DialFailed(Reason.NO_ANSWER, f"no time was left to connect to {address}", address)
    waiting = Deadline(seconds)
    try:
        with contextlib.ExitStack() as unless_connected:
            sock = unless_connected.enter_context(QuickSocket(family, socket.SOCK_STREAM))
            sock.tune()
            sock.settimeout(seconds)
            sock.connect(where)
            unless_connected.pop_all()
    except OSError as error:
        raise _trouble(error, address, waiting.spent()) from None
    return sock, address


def _trouble(error: OSError, address: str, seconds: float) -> DialFailed:
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return DialFailed(Reason.NO_ANSWER, f"{address} did not answer within {seconds:.1f} s", address)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return DialFailed(Reason.OPEN_FILES, NO_DESCRIPTOR, address)
    if error.errno == errno.ECONNREFUSED:
        return DialFailed(Reason.NOT_LISTENING, f"{address} refused the connection: nothing listens there", address)
    reason = Reason.NO_ROUTE if error.errno in NO_ROUTE else Reason.UNREACHABLE
    return DialFailed(reason, f"{address}: {error.strerror or error}", address)
