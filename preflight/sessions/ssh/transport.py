"""The SSH transport: paramiko, set up as it has to be. Importing this module imports paramiko (0.1 s), so it is
imported when the first SSH session is opened and not before."""

import logging
import queue
import re
import sys
import threading
from collections.abc import Sequence
from typing import Any

from preflight.clock import Deadline, monotonic
from preflight.plan import Host
from preflight.reasons import Reason
from preflight.sessions import CannotAsk
from preflight.sessions.ssh.known_hosts import KeyStatus, KnownKeys, PublicKey
from preflight.sessions.ssh.shared import Dropped
from preflight.wording import one_line


def _import_paramiko() -> Any:
    """paramiko without `invoke`, which it wants only for `Match exec` in its ssh_config reader, not used here, and
    which costs a third of its import time. paramiko's own code allows for its absence."""
    absent = "invoke" not in sys.modules
    if absent:
        sys.modules["invoke"] = None  # type: ignore[assignment]
    try:
        import paramiko
    finally:
        if absent:
            del sys.modules["invoke"]
    quiet = logging.getLogger("paramiko")  # else whole tracebacks go to standard error
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False
    return paramiko


paramiko: Any = _import_paramiko()
_KEX_ALIASES = {"curve25519-sha256@libssh.org": "curve25519-sha256"}  # paramiko knows the first name only
_BANNER_LIMIT = 4000
_TURNED_AWAY = ("Exceeded MaxStartups", "Not allowed at this time")
"""What sshd writes then: MaxStartups, and PerSourcePenalties from OpenSSH 9.8 on."""
_GRACE_SECONDS = 10.0
"""What paramiko's own limit of the banner has on top of ours, so that ours is always the one that strikes: no type of
paramiko's errors tells a server that was silent too long from one that hung up."""


class Channel(paramiko.Channel):  # type: ignore[misc]
    """A channel whose data and end of input carry its name, so that the transport can drop them when they are late."""

    def request_command(self, command: str) -> None:
        """`exec_command` without waiting for the answer, which is a round trip, and for which paramiko would wait for
        ever. A refusal closes the channel while `event_ready` is False."""
        request = paramiko.Message()
        request.add_byte(paramiko.common.cMSG_CHANNEL_REQUEST)
        request.add_int(self.remote_chanid)
        request.add_string("exec")
        request.add_boolean(True)
        request.add_string(command)
        self._event_pending()
        self.transport._send_user_message(request)

    def _send(self, s: bytes, m: Any) -> Any:
        m.channel = self
        return super()._send(s, m)

    def _send_eof(self) -> Any:
        message = super()._send_eof()
        if message is not None:
            message.channel = self
        return message


class AuthHandler(paramiko.auth_handler.AuthHandler):  # type: ignore[misc]
    """Sends the login right after the request for the service that takes it, without waiting a round trip for the
    answer. RFC 4253, section 10, allows it after every key exchange that is signed; the host's key is verified then."""

    def _request_auth(self) -> None:
        super()._request_auth()
        accepted = paramiko.Message()
        accepted.add_string("ssh-userauth")
        accepted.rewind()
        super()._parse_service_accept(accepted)

    def _parse_service_accept(self, message: Any) -> None:
        """The login is under way."""

    def _parse_userauth_info_request(self, message: Any) -> None:
        """Keeps what the server asks for whoever waits for the login: a person may have to be asked, meanwhile the
        thread of the transport must notice when the server hangs up."""
        self.asked.put(message)
        self.auth_event.set()

    def _parse_userauth_banner(self, message: Any) -> None:
        self.transport.remember(self.transport.banners, message.get_string().decode("utf-8", "replace"))

    def wait_for_response(self, event: threading.Event) -> Any:
        """Answers in the calling thread what the server asks; the time that takes is not the server's."""
        limit = Deadline(self.transport.auth_timeout)
        while event.wait(limit.left()) and self.transport.is_active() and not self.asked.empty():
            event.clear()
            begun = monotonic()
            super()._parse_userauth_info_request(self.asked.get())
            limit = Deadline(limit.left() + monotonic() - begun)
        self.transport.auth_timeout = limit.left()
        return super().wait_for_response(event)


class Transport(paramiko.Transport):  # type: ignore[misc]
    """paramiko's transport with the standard name of curve25519, without weak algorithms; it keeps what the server
    says when it refuses or ends a connection, and sends nothing to a channel that is closed."""

    _active_check_timeout = 2.0
    """Seconds; how often an idle connection looks whether it is closed. paramiko looks ten times a second, for each of
    a thousand hosts; `QuickSocket.close` wakes whoever reads."""
    _preferred_kex = tuple(
        name
        for known in paramiko.Transport._preferred_kex
        for name in dict.fromkeys((_KEX_ALIASES.get(known, known), known))
    )
    _kex_info = paramiko.Transport._kex_info | {
        _KEX_ALIASES.get(name, name): engine for name, engine in paramiko.Transport._kex_info.items()
    }
    _preferred_ciphers = tuple(
        sorted(
            (name for name in paramiko.Transport._preferred_ciphers if "cbc" not in name),
            key=lambda name: "gcm" not in name,  # it needs no MAC, which paramiko compares byte by byte in Python
        )
    )
    _preferred_macs = tuple(name for name in paramiko.Transport._preferred_macs if "sha2" in name)

    def __init__(self, sock: Any, seconds: float, known: KnownKeys | None) -> None:
        """`seconds`: for the whole login. With `known`, a key of a pinned type is asked for first."""
        super().__init__(sock)
        self._in_order = threading.Lock()
        self.daemon = True
        self.auth_timeout = self.channel_timeout = max(seconds, 0.1)
        self.banner_timeout = seconds + _GRACE_SECONDS
        # No timer, a thread of its own, with which paramiko bounds a handshake: whoever waits for it does.
        self.packetizer.start_handshake = lambda _seconds: None
        self.banners: list[str] = []
        """Every text the server sent before the login was decided, made printable."""
        self.preface: list[str] = []
        """Lines before the version string, for example `Exceeded MaxStartups`."""
        self.debug_messages: list[bytes] = []
        self.parting_words = ""
        """The text of the server's disconnect message."""
        self.refused_channel = ""
        """Why the server refused the last channel it refused."""
        if known is not None:
            options = self.get_security_options()
            options.key_types = known.ordered(options.key_types)

    def _log(self, level: int, msg: Any, *args: Any) -> None:
        """paramiko tells these things to its log only; nothing is really logged."""
        if not isinstance(msg, str):
            return
        if msg.startswith("Banner: "):
            self.remember(self.preface, msg.removeprefix("Banner: "))
        elif msg.startswith("Disconnect (code"):
            self.parting_words = one_line(msg.partition("): ")[2])
        elif " open FAILED: " in msg:
            self.refused_channel = one_line(msg.partition(" open FAILED: ")[2])

    @property
    def auth_handler(self) -> Any:
        return self._auth_handler

    @auth_handler.setter
    def auth_handler(self, handler: Any) -> None:
        if handler is not None:
            handler.__class__ = AuthHandler  # as for channels
            handler.asked = queue.SimpleQueue()
        self._auth_handler = handler

    def _parse_debug(self, message: Any) -> None:
        """sshd tells here which options the key in authorized_keys has; paramiko goes through it letter by letter."""
        self.debug_messages.append(message.asbytes()[:_BANNER_LIMIT])

    @property
    def has_forced_command(self) -> bool:
        """The server has said that the key's line in authorized_keys has a `command=`."""
        return any(re.search(rb"key options:.*\bcommand\b", said) for said in self.debug_messages)

    def open_channel(self, *arguments: Any, **keywords: Any) -> Any:
        channel = super().open_channel(*arguments, **keywords)
        channel.__class__ = Channel  # paramiko makes the object itself, and asks nobody of what class
        return channel

    def _send_user_message(self, data: Any) -> None:
        """paramiko builds a message under the channel's lock and sends it without. When the server closes the channel
        between the two, its thread's answer overtakes the message, and sshd ends the whole connection over it
        ("packet referred to nonexistent channel")."""
        with self._in_order:
            channel = getattr(data, "channel", None)
            if channel is None or not channel.closed:
                super()._send_user_message(data)

    @staticmethod
    def remember(texts: list[str], text: str) -> None:
        line = one_line(text, 1000)
        if line and sum(map(len, texts)) < _BANNER_LIMIT:
            texts.append(line)

    def close(self) -> None:
        """Also ends the wait for a handshake, and a connection on which none has begun, which paramiko leaves open."""
        super().close()
        self.sock.close()
        if self.completion_event is not None:
            self.completion_event.set()

    def shake_hands(self, deadline: Deadline) -> None:
        """Version strings and key exchange; no credential is sent. Raises CannotAsk and is closed then."""
        done = threading.Event()
        self.start_client(event=done)
        finished = done.wait(deadline.left())
        if finished and self.is_active():
            return
        trouble = self.get_exception()
        self.close()
        if not finished:
            detail = "the server accepted the connection but sent no SSH version string"
            if self.remote_version:
                detail = f"the key exchange with {one_line(self.remote_version, 80)} did not finish"
            raise CannotAsk(Reason.HANDSHAKE, detail)
        raise self._explain(trouble)

    def _explain(self, trouble: Exception | None) -> CannotAsk:
        said = one_line("; ".join(filter(None, [*self.preface, self.parting_words])))
        suffix = f": {said}" if said else ""
        if isinstance(trouble, paramiko.IncompatiblePeer):
            what = one_line(str(trouble)).removeprefix("Incompatible ssh peer ").strip("()")
            detail = f"{one_line(self.remote_version, 80)} and this tool share no algorithm: {what}"
            return CannotAsk(Reason.NO_COMMON_ALGORITHM, detail)
        if not self.remote_version:
            if not self.preface or any(words in said for words in _TURNED_AWAY):
                detail = f"the server closed the connection before it said anything of SSH{suffix}"
                return Dropped(Reason.CLOSED_EARLY, detail)
            return CannotAsk(Reason.NOT_SSH, f"this is no SSH server{suffix}")
        return CannotAsk(Reason.CLOSED_EARLY, f"the connection ended during the key exchange{suffix}")

    def server_key(self) -> PublicKey:
        """The key the server proved to hold in the key exchange."""
        key = self.get_remote_server_key()
        return PublicKey(key.get_name(), key.asbytes())


def verify_host_key(key: PublicKey, host: Host, known: KnownKeys, unreadable: Sequence[str]) -> CannotAsk | None:
    """What is wrong with the key a server showed; None when it is pinned."""
    seen = f"{key.type} {key.fingerprint}"
    where = host.host_key_alias or host.address
    match known.status(key):
        case KeyStatus.TRUSTED:
            return None
        case KeyStatus.REVOKED:
            return CannotAsk(Reason.HOST_KEY_REVOKED, f"{where} shows the revoked key {seen}")
        case KeyStatus.CHANGED:
            return CannotAsk(Reason.HOST_KEY_CHANGED, f"{where} shows {seen}, but pinned is {pinned_text(known)}")
    if known.only_cert_authority:
        detail = f"CA-signed host keys are not supported, pin the key: {where} shows {seen}"
        return CannotAsk(Reason.CERT_AUTHORITY, detail)
    detail = f"{where} shows {seen}, which is in no known_hosts file"
    if pinned_text(known):
        detail = f"{where} shows {seen}, but pinned are only keys of other types: {pinned_text(known)}"
    if unreadable:
        detail += f" (unreadable: {'; '.join(unreadable)})"
    return CannotAsk(Reason.HOST_KEY_UNKNOWN, detail)


def pinned_text(known: KnownKeys) -> str:
    pinned: Sequence[PublicKey] = sorted(known.keys | known.without_port, key=lambda key: (key.type, key.blob))
    return ", ".join(f"{key.type} {key.fingerprint}" for key in pinned)
