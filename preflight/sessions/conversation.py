"""Asks a host's questions over its connection: one batch, and a channel of its own for each risky one."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable, Sequence

from preflight.clock import Deadline
from preflight.errors import SecretError
from preflight.plan import SecretRef
from preflight.probe import NO_SECRET, Answer, Cause, Question, Reply
from preflight.sessions import Deliver, SessionFailed, batch
from preflight.sessions.channels import CHANNELS_AT_ONCE, ChannelRefused
from preflight.sessions.connection import Connection, Login
from preflight.sessions.ground import a_little_before
from preflight.sessions.remote_text import decode, one_line
from preflight.sessions.runner import Ending, Outcome, converse
from preflight.sessions.secrets import Secrets
from preflight.sessions.talk import BatchTalk, Numbered, too_much

_WATCHDOG_SECONDS = 0.5
"""After the deadline, when all that can end by itself has ended: the transport of what still hangs is closed."""
_PASSWORD_EXPIRED = re.compile(
    r"password (?:has |is )?expired|expired password|change (?:your|the) password|password change required"
    r"|password must be changed|required to change",
    re.IGNORECASE,
)
_SUDO_REFUSED = re.compile(r"sorry, try again|incorrect password|no password was provided", re.IGNORECASE)
_NO_LOGIN = re.compile(r"currently not available|nologin|account is disabled", re.IGNORECASE)

Put = Callable[[int, Answer], None]


class SshSession:
    """A `preflight.sessions.Session` over one connection."""

    stage = "waiting for the host"

    def __init__(self, connection: Connection, secrets: Secrets) -> None:
        self._connection = connection
        self._secrets = secrets

    def ask(self, questions: Sequence[Question], deadline: Deadline, deliver: Deliver) -> None:
        """Logs in at the first call. Everything that could block runs in daemon threads; this one only collects."""
        inbox: queue.SimpleQueue[tuple[int, Answer]] = queue.SimpleQueue()
        waiting = dict(enumerate(questions))
        within = a_little_before(deadline)
        work = _Work(self._connection, self._secrets, within, lambda number, answer: inbox.put((number, answer)))
        work.start(list(waiting.items()))
        while waiting and not deadline.over:
            try:
                number, answer = inbox.get(timeout=max(deadline.left(), 0.001))
            except queue.Empty:
                break
            question = waiting.pop(number, None)
            if question is not None:
                deliver(question, answer)
        for question in waiting.values():
            detail = f"{self._connection.host.id}: no answer within {deadline.seconds:.0f} s"
            deliver(question, self._connection.no_reply(Cause.TIMED_OUT, detail, took=deadline.seconds))

    def close(self) -> None:
        self._connection.close()


class _Work:
    """The threads of one `ask`."""

    def __init__(self, connection: Connection, secrets: Secrets, deadline: Deadline, put: Put) -> None:
        self._connection = connection
        self._secrets = secrets
        self._deadline = deadline
        self._put = put
        self._lock = threading.Lock()
        self._running = 0
        self._watchdog: threading.Timer | None = None

    def start(self, questions: list[Numbered]) -> None:
        if questions:
            self._spawn(lambda: self._begin(questions))

    def _begin(self, questions: list[Numbered]) -> None:
        try:
            login = self._connection.open(self._deadline)
        except SessionFailed as failed:
            for number, _ in questions:
                self._put(number, failed.answer)
            return
        self._set_watchdog(login)
        alone: queue.SimpleQueue[Numbered] = queue.SimpleQueue()
        together, with_password = [], []
        for number, question in questions:
            if question.stdin_secret:
                with_password.append((number, question))
            elif _needs_own_channel(question):
                alone.put((number, question))
            else:
                together.append((number, question))
        if with_password:
            self._spawn(lambda: self._ask_with_password(login, with_password))
        for _ in range(min(alone.qsize(), CHANNELS_AT_ONCE)):
            self._spawn(lambda: self._ask_singly(login, alone))
        if together:
            self._ask_batch(login, together)

    def _ask_singly(self, login: Login, alone: queue.SimpleQueue[Numbered]) -> None:
        while True:
            try:
                number, question = alone.get_nowait()
            except queue.Empty:
                return
            self._ask_batch(login, [(number, question)])

    def _ask_with_password(self, login: Login, questions: list[Numbered]) -> None:
        """One after another: once sudo has refused the password, offering it again could lock the account."""
        for numbered in questions:
            if self._connection.password_refused:
                detail = "sudo refused the password before; it is not offered again in this run"
                self._put_all([numbered], Cause.DENIED, detail, "sudo-password-refused")
            else:
                self._ask_batch(login, [numbered])

    def _ask_batch(self, login: Login, questions: list[Numbered]) -> None:
        """Asks all in one channel. A question that hangs or floods costs itself: the rest goes to a fresh one."""
        remaining = questions
        while remaining:
            try:
                secret = self._secret_of(remaining)
            except SecretError as error:
                self._put_all(remaining, Cause.NO_CREDENTIAL, str(error), NO_SECRET)
                return
            talk = BatchTalk(remaining, secret, lambda asked, frame: self._put_frame(login, asked, frame))
            try:
                with login.slots.session(login.transport, self._deadline) as channel:
                    channel.exec_command(batch.COMMAND)
                    outcome = converse(channel, talk, self._deadline)
            except ChannelRefused as refused:
                self._put_all(remaining, refused.cause, refused.detail)
                return
            except Exception as error:  # noqa: BLE001  # paramiko's exec_command lets bare exceptions out
                self._exec_failed(remaining, error)
                return
            remaining = self._settle(login, talk, outcome)

    def _settle(self, login: Login, talk: BatchTalk, outcome: Outcome) -> list[Numbered]:
        """Answers what the conversation left open; what is returned is asked again on a fresh channel."""
        unanswered = talk.unanswered
        if outcome.ending is Ending.STUCK and talk.current is not None:
            stuck = talk.current
            self._put_all([stuck], *talk.complaint())
            return [numbered for numbered in unanswered if numbered[0] != stuck[0]]
        match outcome.ending:
            case Ending.DEADLINE:
                what = "no answer" if talk.reader.started else "the login succeeded, but no shell answered"
                self._put_all(unanswered, Cause.TIMED_OUT, f"{what} within {self._deadline.seconds:.0f} s")
            case Ending.ENDED if not talk.reader.started:
                self._no_shell(login, talk, outcome, unanswered)
            case Ending.ENDED | Ending.ENOUGH:
                self._put_all(unanswered, Cause.CUT_OFF, "the shell ended before it answered")
            case Ending.STUCK:
                self._put_all(unanswered, *talk.complaint())
            case Ending.CUT_OFF:
                self._put_all(unanswered, Cause.CUT_OFF, "the connection was lost before the answer was complete")
        return []

    def _no_shell(self, login: Login, talk: BatchTalk, outcome: Outcome, unanswered: list[Numbered]) -> None:
        said = one_line(decode(talk.reader.noise))
        told = f"{said} {' '.join(login.transport.banners)}"
        if _PASSWORD_EXPIRED.search(told):
            reason, what = "password-expired", "the password has expired or must be changed"
        elif _NO_LOGIN.search(told):
            reason, what = "nologin", "the account's shell is nologin"
        elif outcome.exit_status in (126, 127):
            reason, what = "no-shell", "the account's shell cannot run sh"
        else:
            reason, what = "forced-command", "something else than the command was run (forced command, menu)"
        detail = f"the login succeeded, but {what}; exit status {outcome.exit_status}" + (f": {said}" if said else "")
        self._put_all(unanswered, Cause.NO_SHELL, detail, reason)

    def _exec_failed(self, questions: list[Numbered], error: Exception) -> None:
        if self._deadline.over:
            self._put_all(questions, Cause.TIMED_OUT, "the server did not start the command in time")
        elif self._connection.alive:
            detail = "the login succeeded, but the server refuses to run a command"
            self._put_all(questions, Cause.NO_SHELL, detail, "no-shell")
        else:
            detail = f"the connection was lost when the command was started ({type(error).__name__})"
            self._put_all(questions, Cause.CUT_OFF, detail)

    def _secret_of(self, questions: list[Numbered]) -> str | None:
        """The secret of a question that is asked alone. Raises SecretError."""
        reference = questions[0][1].stdin_secret
        if not reference:
            return None
        try:
            parsed = SecretRef.parse(reference)
        except ValueError as error:
            raise SecretError(str(error)) from None
        return self._secrets.value(parsed, self._connection.host.password_purpose)

    def _put_frame(self, login: Login, numbered: Numbered, frame: batch.Frame) -> None:
        number, question = numbered
        if frame.killed:
            detail = f"{self._connection.host.id}: took more than {question.timeout_seconds:.0f} s"
            self._put(number, self._connection.no_reply(Cause.TIMED_OUT, detail, took=frame.took_seconds))
            return
        for stream in (frame.out, frame.err):
            if len(stream) > batch.OUTPUT_CAP_BYTES:
                self._put_all([numbered], *too_much(batch.OUTPUT_CAP_BYTES))
                return
        if question.stdin_secret and _SUDO_REFUSED.search(decode(frame.err)):
            self._connection.password_refused = True
        reply = Reply(
            code=frame.code,
            text=decode(frame.out),
            asked_at=frame.asked_at,
            took_seconds=frame.took_seconds,
            vantage=login.vantage,
            error=decode(frame.err),
            session=login.session,
        )
        self._put(number, reply)

    def _put_all(self, questions: list[Numbered], cause: Cause, detail: str, reason: str = "") -> None:
        answer = self._connection.no_reply(cause, f"{self._connection.host.id}: {detail}", reason)
        for number, _ in questions:
            self._put(number, answer)

    def _spawn(self, run: Callable[[], None]) -> None:
        with self._lock:
            self._running += 1
        threading.Thread(target=self._run, args=(run,), name=f"ssh-ask-{self._connection.host.id}", daemon=True).start()

    def _run(self, run: Callable[[], None]) -> None:
        try:
            run()
        finally:
            with self._lock:
                self._running -= 1
                if not self._running and self._watchdog is not None:
                    self._watchdog.cancel()

    def _set_watchdog(self, login: Login) -> None:
        """Nothing in paramiko bounds an exec request, so whoever still waits then is released by closing."""
        self._watchdog = threading.Timer(self._deadline.left() + _WATCHDOG_SECONDS, login.transport.close)
        self._watchdog.daemon = True
        self._watchdog.start()


def _needs_own_channel(question: Question) -> bool:
    too_long = len(question.text.encode("utf-8", "surrogateescape")) > batch.LONGEST_ARGUMENT
    return question.own_channel or bool(question.stdin_secret) or too_long
