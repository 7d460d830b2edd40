"""One host's SSH connection: reached, verified and logged in once, shared by everything that needs it."""

from __future__ import annotations

import contextlib
import getpass
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from preflight.clock import Deadline, monotonic, now
from preflight.plan import Account, Host
from preflight.probe import NoReply, T
from preflight.questions.authorized_keys import UserCertificate
from preflight.reasons import REFUSALS, Reason
from preflight.sessions import AskLine, CannotAsk, Closed, SessionFailed, require_time
from preflight.sessions.dial import NO_DESCRIPTOR
from preflight.sessions.ssh.attempt import Attempt, JumpFailed
from preflight.sessions.ssh.channels import ChannelSlots
from preflight.sessions.ssh.config import Configured, configure
from preflight.sessions.ssh.known_hosts import KnownKeys, PublicKey
from preflight.sessions.ssh.shared import Shared
from preflight.wording import one_line

if TYPE_CHECKING:
    from preflight.sessions.ssh.prompts import CodePrompt
    from preflight.sessions.ssh.transport import Transport
_OTHER_SECONDS = 30.0
"""For what precedes a login: ssh_config, the name service, the agent."""
_NOT_TRIED = (Reason.NOT_ASKED, Reason.CLOSED_HERE, Reason.BUSY, Reason.OPEN_FILES)
"""They tell nothing of the host: whoever comes later tries again."""


@dataclass(frozen=True, slots=True)
class Login:
    transport: Transport
    session: Mapping[str, str]
    vantage: str
    slots: ChannelSlots
    made_at: float
    """By the monotonic clock."""


class Connection:
    """Opened by the first who needs it, in the thread of whoever that is; failed once, failed for the whole round: a
    refused login is never repeated. Closed when nobody uses it, it is opened again for whoever comes next."""

    def __init__(self, host: Host, shared: Shared, planned_jump: Connection | None = None) -> None:
        self.host = host
        self.reached = host
        """The host as it is dialled: completed from ssh_config."""
        self._shared, self.planned_jump = shared, planned_jump
        self._jump: Connection | None = None
        """The planned one, or the last of those that ssh_config puts behind it; known once the host was configured."""
        self._changed = threading.Condition()
        self._users = 0
        self._opening = False
        self._finished = False
        self._login: Login | None = None
        self._failure: NoReply | None = None
        self._attempt: Attempt | None = None
        self._session: dict[str, str] = {}
        self._ask_line: AskLine | None = None
        """While somebody waits at the terminal for the server's question."""

    @property
    def way(self) -> list[Connection]:
        """It and the jump hosts before it, none twice: those of the plan, and those that ssh_config adds."""
        way = [self]
        while (jump := way[-1]._jump or way[-1].planned_jump) is not None and jump not in way:
            way.append(jump)
        return way

    @property
    def stage(self) -> str:
        """What is being waited for: a step of the login, or answers."""
        if self._login is not None:
            return "waiting for answers"
        attempt = self._attempt
        return "waiting for its turn" if attempt is None else attempt.stage

    @property
    def alive(self) -> bool:
        login = self._login
        return login is not None and login.transport.is_active()

    @property
    def is_refused(self) -> bool:
        """Whether its account was refused, and is not tried again."""
        return self._failure is not None and self._failure.reason in REFUSALS

    def is_outdated(self, oldest: float, oldest_by_code: float) -> bool:
        """Whether its connection has ended, or its login was made before `oldest`, or, where somebody typed a code for
        it, before `oldest_by_code`; both by the monotonic clock."""
        login, oldest = self._login, oldest_by_code if self.host.second_factor else oldest
        return login is not None and (login.made_at < oldest or not login.transport.is_active())

    def begin_round(self, oldest: float, oldest_by_code: float) -> None:
        """Forgets why it could not be opened unless its account was refused; closes what is outdated, the way too."""
        with self._changed:
            if self._opening or self._finished:
                return
            if not self.is_refused:
                self._failure = None
        if any(each.is_outdated(oldest, oldest_by_code) for each in self.way):
            self.close_unless_used(by_others_than=self._users)
            self._session = {}

    def hold(self, deadline: Deadline) -> Login:
        """The login, waited for no longer than the deadline, and kept open until `release`. Raises SessionFailed."""
        with self._changed:
            self._users += 1
        try:
            return self._open(deadline)
        except BaseException:
            self.release()
            raise

    def log_in_by_code(self, ask_line: AskLine) -> None:
        """Logs in, in a thread that may ask on the terminal, and stays open until `finish`, or until it is outdated.
        Why it failed is told to whoever asks it. Does nothing when it is open, or has failed."""
        if self._login is not None or self._failure is not None:
            return
        from preflight.sessions.ssh.prompts import CODE_SECONDS

        self._ask_line = ask_line
        try:
            self.hold(Deadline(self.host.login_within.total_seconds() + CODE_SECONDS + _OTHER_SECONDS))
        except SessionFailed:
            pass
        finally:
            self._ask_line = None

    def release(self) -> None:
        """Says that it is used by one less."""
        with self._changed:
            self._users -= 1

    def host_key(self, deadline: Deadline) -> PublicKey:
        """The key the host shows, without a login. Raises SessionFailed."""
        found = self._guarded(lambda: self._scan(deadline))
        if isinstance(found, NoReply):
            raise SessionFailed(found)
        return found

    def no_reply(self, reason: Reason, detail: str, took: float = 0.0) -> NoReply:
        """A `NoReply` with all that is known of this connection."""
        vantage = f"from here to {self.host.id} as {self.reached.user or '?'}"
        return NoReply(reason, detail, now(), took, vantage, dict(self._session))

    def note(self, name: str, fact: str) -> None:
        """Adds to what every reply tells of the connection."""
        self._session[name] = fact

    def close_unless_used(self, by_others_than: int = 0) -> bool:
        """Closes the connection, also one that is just being opened, unless more than so many use it; whether it did.
        A login under way ends at once."""
        with self._changed:
            if self._users > by_others_than or self._attempt is None:
                return False
            attempt, self._attempt, self._login = self._attempt, None, None
            self._shared.open_connections.leave(self)  # before it is opened again, and has a place anew
        attempt.close()
        return True

    def finish(self) -> None:
        """Ends the connection for good. Safe to call twice and from any thread."""
        with self._changed:
            self._finished = True
            if self._failure is None:
                self._failure = self._closed()
            attempt = self._attempt
            self._changed.notify_all()
        if attempt is not None:
            attempt.close()
            self._shared.open_connections.leave(self)

    def join(self, seconds: float) -> None:
        """Waits for the transport's thread to end, after `finish`."""
        attempt = self._attempt
        if attempt is not None and attempt.transport is not None and attempt.transport.is_alive():
            attempt.transport.join(seconds)

    def _open(self, deadline: Deadline) -> Login:
        with self._changed:
            self._changed.wait_for(lambda: not self._opening or self._finished, deadline.left())
            if self._failure is not None:
                raise SessionFailed(self._failure)
            if self._login is not None:
                return self._login
            if self._opening:
                detail = f"{self.host.id}: no login in the {deadline.seconds:.1f} s there were; last seen {self.stage}"
                raise SessionFailed(self.no_reply(Reason.TURN, detail, deadline.seconds))
            self._opening = True
        outcome = self._guarded(lambda: self._log_in(deadline))
        login = self._keep(outcome)
        if login is None:
            raise SessionFailed(self._failure or (outcome if isinstance(outcome, NoReply) else self._closed()))
        return login

    def _keep(self, outcome: Login | NoReply) -> Login | None:
        """Remembers how the login ended; the login, unless it failed or nobody wants it any more."""
        with self._changed:
            self._opening = False
            attempt = self._attempt
            if isinstance(outcome, Login) and attempt is not None and not self._finished:
                self._login = outcome
                attempt = None
            elif isinstance(outcome, NoReply) and outcome.reason not in _NOT_TRIED:
                self._failure = self._failure or outcome
            login = self._login
            if login is None:
                self._shared.open_connections.leave(self)
            self._changed.notify_all()
        if login is None and attempt is not None:
            attempt.close()
        return login

    def _guarded(self, attempt: Callable[[], T]) -> T | NoReply:
        begun = monotonic()
        try:
            return attempt()
        except CannotAsk as failed:
            detail = failed.detail if isinstance(failed, JumpFailed) else f"{self.host.id}: {failed.detail}"
            return self.no_reply(failed.reason, detail, monotonic() - begun)
        except Exception as error:  # noqa: BLE001  # paramiko lets bare exceptions out; a host must not be lost by one
            detail = f"{self.host.id}: the login broke with {type(error).__name__}: {one_line(str(error))}"
            return self.no_reply(Reason.DEFECT, detail, monotonic() - begun)

    def _closed(self) -> NoReply:
        closed = Closed()
        return self.no_reply(closed.reason, f"{self.host.id}: {closed.detail}")

    def _scan(self, deadline: Deadline) -> PublicKey:
        attempt = self._begin(self._configure(deadline), deadline)
        try:
            return attempt.reach(None).server_key()
        finally:
            attempt.end_turn()
            attempt.close()

    def _log_in(self, deadline: Deadline) -> Login:
        """What does not depend on the host (the driver, files, secrets) is done before its time begins."""
        begun = monotonic()
        from preflight.sessions.ssh.credentials import log_in

        configured = self._configure(deadline)
        host = configured.host
        code = self._code_prompt(host)
        attempt = self._begin(configured, deadline)
        known, unreadable = self._shared.known_hosts.lookup(host, configured.known_hosts)
        attempt.stage = "reading the credential"
        credential = self._shared.credentials().of(host, configured.agent_socket, deadline)
        self._session["auth"] = credential.description
        if credential.certificate is not None and credential.certificate.holds_at(now()):
            self._session["user_certificates"] = UserCertificate.as_json([credential.certificate])
        require_time(deadline, begun)
        attempt.stage = "waiting for other connections to end (this machine's limit of open files)"
        if self._jump is None and not self._shared.open_connections.enter(self, deadline):  # else it needs none
            raise CannotAsk(Reason.OPEN_FILES, NO_DESCRIPTOR)
        begun = monotonic()
        try:
            transport = attempt.reach(known)
            self._check_host_key(transport, host, known, unreadable)
            attempt.stage = f"waiting for the login of {host.user} elsewhere, which is tried alone"
            with self._shared.secrets.trials.alone(credential.account, host.id, deadline) as waited:
                attempt.stage = f"logging in as {host.user}"
                attempt.limit = deadline.at_most(attempt.limit.left() + waited)
                with attempt.limited():
                    log_in(transport, host.user, credential, attempt.limit, code)
            if code is not None:
                self._session["code"] = "typed" if code.typed else "not asked for"
        finally:
            attempt.end_turn()
            if attempt.transport is not None and attempt.transport.banners:
                self._session["banner"] = "\n".join(attempt.transport.banners)
        self._session["login_ms"] = str(round((monotonic() - begun) * 1000))
        return Login(transport, self._session, f"on {self.host.id} as {host.user}", ChannelSlots(), monotonic())

    def _code_prompt(self, host: Host) -> CodePrompt | None:
        """Raises CannotAsk where a code is wanted and nobody can be asked for it, before anything is sent."""
        from preflight.sessions.ssh.prompts import CodePrompt

        if not host.second_factor:
            return None
        if self._ask_line is None:
            said = f"the code of {host.user} for {host.code_prompt!r} is typed on a terminal, and there is none"
            raise CannotAsk(Reason.NO_CODE, f"{said}: nothing was sent")
        return CodePrompt(host, self._ask_line, self._shared.secrets.mask_code)

    def _configure(self, deadline: Deadline) -> Configured:
        host = self.host
        as_planned = Configured(replace(host, address=host.address or host.id))
        configured = configure(host, deadline) if host.ssh_config else as_planned
        if not configured.host.user:
            with contextlib.suppress(KeyError, OSError):  # as ssh: the login name of whoever runs this
                configured = replace(configured, host=replace(configured.host, user=Account(getpass.getuser())))
        self.reached = configured.host
        self._session |= {"user": configured.host.user, "port": str(configured.host.ssh_port)}
        if host.key is None and configured.host.key is not None:
            self._session["key"] = str(configured.host.key)
        return configured

    def _begin(self, configured: Configured, deadline: Deadline) -> Attempt:
        """The attempt, with the jump hosts that ssh_config adds."""
        with self._shared.lock:
            jump = self.planned_jump
            for hop in configured.jumps:  # each shared by all that go through it
                name = f"{hop.id} {jump.host.id if jump else ''}"
                jump = self._shared.hops.setdefault(name, Connection(hop, self._shared, jump))
            self._jump = jump
            way = self.way
            again = way[-1]._jump or way[-1].planned_jump
            if again is not None:
                circle = " -> ".join(each.host.id for each in [*way, again])
                raise CannotAsk(Reason.JUMP, f"jump hosts go in a circle: {circle}")
        attempt = Attempt(configured.host, jump, self._shared, deadline, self._session)
        with self._changed:
            if self._finished:
                raise Closed
            self._attempt = attempt
        return attempt

    def _check_host_key(self, transport: Transport, host: Host, known: KnownKeys, unreadable: tuple[str, ...]) -> None:
        from preflight.sessions.ssh.transport import pinned_text, verify_host_key

        key = transport.server_key()
        self._session["fingerprint"] = key.fingerprint
        self._session["key_type"] = key.type
        wrong = verify_host_key(key, host, known, unreadable)
        if wrong is not None:
            self._session["pinned"] = pinned_text(known)
            raise wrong
