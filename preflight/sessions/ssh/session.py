"""Asks a host's questions over its connection: one batch, and a channel of its own for each that wants one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from preflight.clock import Deadline, monotonic
from preflight.errors import SecretError
from preflight.plan import SecretRef
from preflight.probe import NO_SECRET, Answer, Cause, Question, Reply
from preflight.sessions import Deliver, SessionFailed
from preflight.sessions.remote_text import decode, one_line
from preflight.sessions.secrets import Secrets
from preflight.sessions.ssh import batch
from preflight.sessions.ssh.batch_run import BatchRun, Ending, Numbered, too_much
from preflight.sessions.ssh.channels import ChannelRefused
from preflight.sessions.ssh.command_channel import CommandChannel, News
from preflight.sessions.ssh.connection import Connection, Login
from preflight.sessions.ssh.shared import a_little_before

_SLOT_POLL_SECONDS = 0.1
"""How soon to try again for a channel when all that are open belong to somebody else."""
_PASSWORD_EXPIRED = re.compile(
    r"password (?:has |is )?expired|expired password|change (?:your|the) password|password change required"
    r"|password must be changed|required to change",
    re.IGNORECASE,
)
_SUDO_REFUSED = re.compile(r"sorry, try again|incorrect password|no password was provided", re.IGNORECASE)
_BEHEADED = re.compile(r"syntax error", re.IGNORECASE)
"""What sh says to a script whose first lines somebody else has read."""
_NO_LOGIN = re.compile(r"currently not available|nologin|account is disabled", re.IGNORECASE)


class SshSession:
    """A `preflight.sessions.Session` over one connection."""

    def __init__(self, connection: Connection, secrets: Secrets) -> None:
        self._connection = connection
        self._secrets = secrets
        self._asking: list[_Asking] = []

    @property
    def stage(self) -> str:
        """See `preflight.sessions.Session`."""
        return self._connection.stage

    def ask(self, questions: Sequence[Question], deadline: Deadline, deliver: Deliver) -> None:
        """See `preflight.sessions.Session`. Logs in at the first call."""
        asking = _Asking(self._connection, self._secrets, a_little_before(deadline), deliver)
        self._asking.append(asking)
        try:
            asking.run(list(enumerate(questions)))
        finally:
            self._asking.remove(asking)

    def close(self) -> None:
        """See `preflight.sessions.Session`. The connection stays where others use it: hosts behind it, tunnels."""
        asking = list(self._asking)
        for each in asking:
            each.give_up()
        self._connection.close_unless_used(len(asking))


class _Asking:
    """The questions of one `ask`: batches on several channels of one connection, watched by one loop."""

    def __init__(self, connection: Connection, secrets: Secrets, deadline: Deadline, deliver: Deliver) -> None:
        self._connection = connection
        self._secrets = secrets
        self._deadline = deadline
        self._deliver = deliver
        self._news = News()
        self._given_up = False
        self._waiting: list[list[Numbered]] = []
        self._running: list[BatchRun] = []

    def run(self, questions: list[Numbered]) -> None:
        """Returns when every question has its answer."""
        try:
            with self._connection.used(self._deadline) as login:
                self._waiting = list(_batches(questions))
                try:
                    self._watch(login)
                finally:
                    for run in self._running:
                        login.slots.close(run.command.channel)
        except SessionFailed as failed:
            for _, question in questions:
                self._deliver(question, failed.answer)

    def give_up(self) -> None:
        """Ends the loop, from another thread."""
        self._given_up = True
        self._news.set()

    def _watch(self, login: Login) -> None:
        while self._waiting or self._running:
            self._start(login)
            for run in list(self._running):
                ending = run.advance()
                if ending is not None:
                    self._running.remove(run)
                    login.slots.close(run.command.channel)
                    self._settle(login, run, ending)
            if self._given_up:
                self._answer_rest(Cause.NOT_ASKED, lambda _: "the session was closed")
                return
            if self._deadline.over:
                self._answer_rest(Cause.TIMED_OUT, self._out_of_time)
                return
            if self._running or self._waiting:
                self._news.wait_once(self._wait_seconds())

    def _wait_seconds(self) -> float:
        if not self._running:
            return min(self._deadline.left(), _SLOT_POLL_SECONDS)
        return min(self._deadline.left(), *(run.wait_seconds for run in self._running))

    def _start(self, login: Login) -> None:
        """Opens as many channels as there are batches and the server allows."""
        for questions in list(self._waiting):
            if self._deadline.over or (
                _has_secret(questions) and any(_has_secret(r.unanswered) for r in self._running)
            ):
                continue  # one password after another: once sudo has refused it, another try could lock the account
            if not self._start_one(login, questions):
                return

    def _start_one(self, login: Login, questions: list[Numbered]) -> bool:
        """Whether the batch needs no more waiting: it runs, or has its answers."""
        secret = None
        try:
            if _has_secret(questions):
                secret = self._secret_of(questions[0][1])
            channel = login.slots.open(login.transport, self._deadline)
            if channel is None:
                return False
            self._waiting.remove(questions)
            self._running.append(
                BatchRun(
                    questions,
                    secret,
                    lambda asked, frame: self._put_frame(login, asked, frame),
                    lambda command: CommandChannel(channel, command, self._news),
                )
            )
        except ChannelRefused as refused:
            self._waiting.remove(questions)
            self._put_all(questions, refused.cause, refused.detail)
        except SecretError as error:
            self._waiting.remove(questions)
            self._put_all(questions, Cause.NO_CREDENTIAL, str(error), NO_SECRET)
        except _AlreadyRefused as refused_before:
            self._waiting.remove(questions)
            self._put_all(questions, Cause.DENIED, str(refused_before), "sudo-password-refused")
        return True

    def _settle(self, login: Login, run: BatchRun, ending: Ending) -> None:
        """Answers what the batch left open. After a question that hangs or floods, the rest goes to a new channel."""
        unanswered = run.unanswered
        match ending:
            case Ending.STUCK if run.current is not None:
                stuck = run.current
                self._put_all([stuck], *run.complaint())
                rest = [numbered for numbered in unanswered if numbered[0] != stuck[0]]
                self._waiting += [rest] if rest else []
            case Ending.STUCK:
                self._put_all(unanswered, *run.complaint())
            case Ending.ENDED if not run.reader.started:
                self._no_shell(login, run, unanswered)
            case Ending.ENDED:
                self._put_all(unanswered, Cause.CUT_OFF, "the shell ended before it answered")
            case Ending.REFUSED if self._connection.alive:
                detail = "the login succeeded, but the server refuses to run a command"
                self._put_all(unanswered, Cause.NO_SHELL, detail, "no-shell")
            case Ending.REFUSED | Ending.CUT_OFF:
                self._put_all(unanswered, Cause.CUT_OFF, "the connection was lost before the answer was complete")

    def _answer_rest(self, cause: Cause, say: Callable[[BatchRun | None], str]) -> None:
        for run in self._running:
            self._put_all(run.unanswered, cause, say(run))
        for questions in self._waiting:
            self._put_all(questions, cause, say(None))

    def _out_of_time(self, run: BatchRun | None) -> str:
        within = f"within {self._deadline.seconds:.1f} s, all that was left for this host"
        if run is None:
            return f"its turn did not come {within}"
        what = "no answer" if run.reader.started else "the login succeeded, but no shell answered"
        return f"{what} in {monotonic() - run.begun:.1f} s, when the time for this host was over"

    def _no_shell(self, login: Login, run: BatchRun, unanswered: list[Numbered]) -> None:
        said = one_line(decode(run.reader.noise))
        told = f"{said} {' '.join(login.transport.banners)}"
        status = run.command.exit_status
        if _PASSWORD_EXPIRED.search(told):
            reason, what = "password-expired", "the password has expired or must be changed"
        elif _NO_LOGIN.search(told):
            reason, what = "nologin", "the account's shell is nologin"
        elif status in (126, 127):
            reason, what = "no-shell", "the account's shell cannot run sh"
        elif (not said or _BEHEADED.search(said)) and not login.transport.has_forced_command:
            reason = "start-up-file"
            what = "a start-up file of the shell ended it, or read what was meant for the command"
        else:
            reason, what = "forced-command", "something else than the command was run (forced command, menu)"
        detail = f"the login succeeded, but {what}; exit status {status}" + (f": {said}" if said else "")
        self._put_all(unanswered, Cause.NO_SHELL, detail, reason)

    def _secret_of(self, question: Question) -> str:
        """The secret of a question that is asked alone. Raises SecretError, and _AlreadyRefused."""
        if self._connection.password_refused:
            raise _AlreadyRefused("sudo refused the password before; it is not offered again in this run")
        try:
            parsed = SecretRef.parse(question.stdin_secret)
        except ValueError as error:
            raise SecretError(str(error)) from None
        return self._secrets.value(parsed, self._connection.host.password_purpose)

    def _put_frame(self, login: Login, numbered: Numbered, frame: batch.Frame) -> None:
        question = numbered[1]
        if frame.killed:
            detail = f"{self._connection.host.id}: took more than {question.timeout_seconds:.0f} s"
            answer: Answer = self._connection.no_reply(Cause.TIMED_OUT, detail, took=frame.took_seconds)
            self._deliver(question, answer)
            return
        if max(len(frame.out), len(frame.err)) > batch.OUTPUT_CAP_BYTES:
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
        self._deliver(question, reply)

    def _put_all(self, questions: Sequence[Numbered], cause: Cause, detail: str, reason: str = "") -> None:
        answer = self._connection.no_reply(cause, f"{self._connection.host.id}: {detail}", reason)
        for _, question in questions:
            self._deliver(question, answer)


class _AlreadyRefused(Exception):
    """sudo has refused this password in this run."""


def _batches(questions: Sequence[Numbered]) -> Iterator[list[Numbered]]:
    """What is asked together, those that may take longest last; then those that want a channel of their own."""
    together = [numbered for numbered in questions if not _needs_own_channel(numbered[1])]
    if together:
        yield sorted(together, key=lambda numbered: numbered[1].timeout_seconds)
    yield from ([numbered] for numbered in questions if _needs_own_channel(numbered[1]))


def _has_secret(questions: Sequence[Numbered]) -> bool:
    return any(question.stdin_secret for _, question in questions)


def _needs_own_channel(question: Question) -> bool:
    too_long = len(question.text.encode("utf-8", "surrogateescape")) > batch.LONGEST_ARGUMENT
    return question.own_channel or bool(question.stdin_secret) or too_long
