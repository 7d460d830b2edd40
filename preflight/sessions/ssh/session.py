"""Asks a host's questions over its connection: one batch, and a channel of its own for each that wants one."""

import re
from collections.abc import Sequence
from functools import partial

from preflight.clock import Deadline, monotonic, now
from preflight.plan import LoginUse, SecretRef
from preflight.probe import Question, Reply
from preflight.questions.accounts import WayThroughProbe
from preflight.questions.shell import NOT_EXECUTABLE, NOT_FOUND, Refusal, without_warning
from preflight.reasons import Reason
from preflight.sessions import CannotAsk, Deliver, SessionFailed, decode
from preflight.sessions.secrets import PasswordAccount, Secrets
from preflight.sessions.ssh import batch
from preflight.sessions.ssh.batch_run import BatchRun, Ending, News, too_much
from preflight.sessions.ssh.connection import Connection, Login
from preflight.wording import one_line

_HEAD_START_SECONDS = 0.15
_SLOT_POLL_SECONDS = 0.1
"""How soon to try again for a channel when all that are open belong to somebody else."""
_PASSWORD_EXPIRED = re.compile(
    r"password (?:has |is )?expired|expired password|change (?:your|the) password|password change required"
    r"|password must be changed|required to change",
    re.IGNORECASE,
)
_SYNTAX_ERROR = re.compile(r"syntax error", re.IGNORECASE)
"""What sh says to a script whose first lines somebody else has read."""
_OWN_MARKS = re.compile(r"\bS (?:timeout(?: -k 2)?|none)\s+B 0\b")
"""The script ran without its first line, and with that without the nonce."""
_NO_ENV = re.compile(r"\benv\b.*not found|unknown command:? '?env", re.IGNORECASE)
_RESTRICTED = re.compile(r"^r(?:bash|ksh|zsh)\b|\brestricted: cannot specify|: restricted\b")
_NO_PROCESS = re.compile(r"fork|resource temporarily unavailable", re.IGNORECASE)
_NO_LOGIN = re.compile(
    r"currently not available|nologin|account is disabled|unrecognized command 'env|what do you think i am",
    re.IGNORECASE,
)
"""nologin(8), and git-shell(1)."""
_SFTP_ONLY = re.compile(r"sftp connections only|restricted by rssh|scponly", re.IGNORECASE)
_NOT_UNIX = re.compile(r"is not recognized as (?:an internal or external command|(?:the|a) name of a cmdlet)", re.I)
"""cmd.exe, and PowerShell."""
_WINDOWS_SSHD = "OpenSSH_for_Windows"
"""In the version that it tells; its shells speak the language that Windows was installed in."""


class SshSession:
    """A `preflight.sessions.Session` over one connection."""

    def __init__(self, connection: Connection, secrets: Secrets) -> None:
        self._connection, self._secrets = connection, secrets
        self._asking: list[_Asking] = []

    @property
    def stage(self) -> str:
        return self._connection.stage

    def ask(self, questions: Sequence[Question], deadline: Deadline, deliver: Deliver) -> None:
        """See `preflight.sessions.Session`. Logs in at the first call."""
        left = deadline.left()  # a little less, so that this, which knows more, speaks before whoever asks
        sooner = Deadline(max(left - _HEAD_START_SECONDS, left * 0.9))
        asking = _Asking(self._connection, self._secrets, sooner, deliver)
        self._asking.append(asking)
        try:
            asking.run(questions)
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
        self._connection, self._secrets, self._deadline = connection, secrets, deadline
        self._deliver = deliver
        self._news = News()
        self._given_up = False
        self._waiting: list[list[Question]] = []
        self._running: list[BatchRun] = []

    def run(self, questions: Sequence[Question]) -> None:
        """Returns when every question has its answer."""
        try:
            login = self._connection.hold(self._deadline)
        except SessionFailed as failed:
            for question in questions:
                self._deliver(question, failed.answer)
            return
        if self._connection.host.login is LoginUse.THROUGH:
            self._answer_without_asking(login, questions)
            self._connection.release()
            return
        together = [question for question in questions if not _needs_own_channel(question)]
        self._waiting = [together] if together else []
        self._waiting += [[question] for question in questions if _needs_own_channel(question)]
        try:
            self._watch(login)
        except Exception as error:  # noqa: BLE001  # paramiko lets bare exceptions out of what it sends
            self._answer_rest(Reason.CONNECTION_LOST, f"the connection broke with {type(error).__name__}")
        finally:
            try:
                for run in self._running:
                    login.slots.close(run.channel)
            finally:
                self._connection.release()

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
                    login.slots.close(run.channel)
                    self._settle(login, run, ending)
            if self._given_up:
                self._answer_rest(Reason.CLOSED_HERE, "the session was closed")
                return
            if self._deadline.over:
                self._out_of_time()
                return
            if self._running or self._waiting:
                pauses = [run.wait_seconds for run in self._running] + [_SLOT_POLL_SECONDS] * bool(self._waiting)
                self._news.wait_once(min(self._deadline.left(), *pauses))

    def _start(self, login: Login) -> None:
        """Opens as many channels as there are batches and the server allows."""
        for questions in list(self._waiting):
            if self._deadline.over:
                return
            secret, reference = None, questions[0].stdin_secret
            try:
                if reference:
                    if not self._may_type(questions[0]):
                        continue
                    secret = self._secrets.value(SecretRef.parse(reference), self._connection.host.password_purpose)
                channel = login.slots.open(login.transport, self._deadline)
            except CannotAsk as failed:
                self._put_all(questions, failed.reason, failed.detail)
            else:
                if channel is None:
                    return
                self._running.append(BatchRun(questions, secret, partial(self._put_frame, login), channel, self._news))
            self._waiting.remove(questions)

    def _answer_without_asking(self, login: Login, questions: Sequence[Question]) -> None:
        """For an account that runs nothing: that it logs in is all that can be known."""
        for question in questions:
            if question.text == WayThroughProbe.text:
                self._deliver(question, Reply(0, "", now(), 0.0, login.vantage, session=login.session))
            else:
                self._put_all([question], Reason.ONLY_THROUGH, "its account only lets connections through")

    def _settle(self, login: Login, run: BatchRun, ending: Ending) -> None:
        """Answers what the batch left open. After a question that hangs or floods, the rest goes to a new channel."""
        unanswered = run.unanswered
        match ending:
            case Ending.STUCK if run.current is not None:
                stuck = run.current
                self._put_all([stuck], *run.complaint())
                rest = [question for question in unanswered if question is not stuck]
                self._waiting += [rest] if rest else []
            case Ending.STUCK if not run.reader.started:
                what = f"a start-up file of the shell prints without end: {run.complaint()[1]}"
                self._put_all(unanswered, Reason.START_UP_FILE, f"the login succeeded, but {what}")
            case Ending.STUCK:
                self._put_all(unanswered, *run.complaint())
            case Ending.ENDED if not run.reader.started:
                self._no_shell(login, run, unanswered)
            case Ending.ENDED:
                self._put_all(unanswered, Reason.SHELL_ENDED, "the shell ended before it answered")
            case Ending.REFUSED if self._connection.alive:
                detail = "the login succeeded, but the server refuses to run a command"
                self._put_all(unanswered, Reason.NO_SHELL, detail)
            case Ending.REFUSED | Ending.CUT_OFF:
                detail = "the connection was lost before the answer was complete"
                self._put_all(unanswered, Reason.CONNECTION_LOST, detail)

    def _answer_rest(self, reason: Reason, detail: str) -> None:
        for questions in [*(run.unanswered for run in self._running), *self._waiting]:
            self._put_all(questions, reason, detail)

    def _out_of_time(self) -> None:
        for run in self._running:
            what = "no answer" if run.reader.started else "the login succeeded, but no shell answered"
            detail = f"{what} in {monotonic() - run.begun:.1f} s, when the time for this host was over"
            self._put_all(run.unanswered, Reason.TARGET_LIMIT, detail)
        for questions in self._waiting:
            detail = f"its turn did not come in {self._deadline.seconds:.1f} s, all the time there was for this host"
            self._put_all(questions, Reason.TARGET_LIMIT, detail)

    def _no_shell(self, login: Login, run: BatchRun, unanswered: list[Question]) -> None:
        said = one_line(decode(run.reader.noise))
        told = f"{said} {' '.join(login.transport.banners)}"
        status = run.channel.exit_status
        forced = login.transport.has_forced_command
        if _PASSWORD_EXPIRED.search(told):
            reason, what = Reason.PASSWORD_EXPIRED, "the password has expired or must be changed"
        elif _NO_LOGIN.search(told):
            reason, what = Reason.NOLOGIN, "the account's shell runs no commands"
        elif _SFTP_ONLY.search(told):
            reason, what = Reason.SFTP_ONLY, "the account may only copy files"
        elif _NOT_UNIX.search(said) or _WINDOWS_SSHD in login.transport.remote_version:
            reason, what = Reason.NOT_UNIX, "a shell of Windows answered"
        elif _RESTRICTED.search(said):
            reason, what = Reason.NO_SHELL, "the account's shell is a restricted one, which finds no sh"
        elif _NO_ENV.search(said) or _NO_PROCESS.search(said):
            reason, what = Reason.START_UP_FILE, "a start-up file of the shell spoils its PATH or its limits"
        elif status in (NOT_EXECUTABLE, NOT_FOUND):
            reason, what = Reason.NO_SHELL, "the account's shell cannot run sh"
        elif status == 1 and not said and not forced:
            reason, what = Reason.NO_SHELL, "the account's shell ended at once, as /bin/false does"
        elif not forced and (not said or _SYNTAX_ERROR.search(said) or _OWN_MARKS.search(said)):
            reason, said = Reason.START_UP_FILE, "" if _OWN_MARKS.search(said) else said
            what = "a start-up file of the shell ended it, or read what was meant for the command"
        else:
            reason, what = Reason.FORCED_COMMAND, "something else than the command was run (forced command, menu)"
        detail = f"the login succeeded, but {what}; exit status {status}" + (f": {said}" if said else "")
        self._put_all(unanswered, reason, detail)

    def _may_type(self, question: Question) -> bool:
        """Whether the secret of a question that is asked alone may be typed now: one after another, since once sudo has
        refused it, another try could lock the account. Raises CannotAsk."""
        if any(each.stdin_secret for run in self._running for each in run.unanswered):
            return False
        return self._secrets.trials.claim(self._account(question), self._connection.host.id)

    def _account(self, question: Question) -> PasswordAccount:
        """Whose password it is that sudo asks for."""
        user = self._connection.reached.user
        return PasswordAccount.of(self._connection.host, "sudo", user, SecretRef.parse(question.stdin_secret))

    def _put_frame(self, login: Login, question: Question, frame: batch.Frame) -> None:
        if frame.killed:
            detail = f"{self._connection.host.id}: took more than {question.timeout_seconds:.0f} s"
            self._end_trial(question)
            self._deliver(question, self._connection.no_reply(Reason.QUESTION_LIMIT, detail, took=frame.took_seconds))
            return
        if max(len(frame.out), len(frame.err)) > batch.OUTPUT_CAP_BYTES:
            self._put_all([question], *too_much(batch.OUTPUT_CAP_BYTES))
            return
        self._end_trial(question, accepted=not Refusal.WRONG_PASSWORD.is_in(decode(frame.out + frame.err)))
        if chatter := one_line(decode(frame.chatter), 200):
            self._connection.note("chatter", chatter)
        reply = Reply(
            code=frame.code,
            text=decode(frame.out),
            asked_at=frame.asked_at,
            took_seconds=frame.took_seconds,
            vantage=login.vantage,
            error=without_warning(decode(frame.err)),
            session=login.session,
        )
        self._deliver(question, reply)

    def _put_all(self, questions: Sequence[Question], reason: Reason, detail: str) -> None:
        answer = self._connection.no_reply(reason, f"{self._connection.host.id}: {detail}")
        for question in questions:
            self._end_trial(question)
            self._deliver(question, answer)

    def _end_trial(self, question: Question, *, accepted: bool | None = None) -> None:
        if question.stdin_secret:
            self._secrets.trials.settle(self._account(question), self._connection.host.id, accepted=accepted)


def _needs_own_channel(question: Question) -> bool:
    too_long = len(question.text.encode("utf-8", "surrogateescape")) > batch.LONGEST_ARGUMENT
    return question.own_channel or bool(question.stdin_secret) or too_long
