"""Answers questions about files beside the plan, and runs commands of the plan's own. Several at the same time, since a
file system may hang (a lost network mount) and a command may take long."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path

from preflight.clock import Deadline, monotonic, now
from preflight.probe import Answer, NoReply, Question, Reply
from preflight.questions.files import Ended
from preflight.questions.local import LocalAct, LocalRequest
from preflight.questions.shell import NOT_EXECUTABLE, NOT_FOUND
from preflight.reasons import Reason
from preflight.sessions import VANTAGE, CannotAsk, Deliver
from preflight.sessions.local.files import Problem, TooMuchToRead, list_tree, read_scripts, read_text, sha256
from preflight.sessions.signatures import verify
from preflight.sessions.timetable import Timetable

MOST_AT_ONCE = 4
MOST_BYTES = 64 * 1024
"""Of output and error together."""
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ")
"""Environment that a command gets. The rest may hold the secrets of the plan."""
_CHUNK_BYTES = 16 * 1024


class LocalSession:
    """Reads, and runs what `[checks.command]` says; it never writes or follows anything out of a tree."""

    stage = "reading files and running commands"

    def __init__(self, folder: Path) -> None:
        """`folder`: the plan's; relative paths start there."""
        self._folder = folder

    def ask(self, questions: Sequence[Question], deadline: Deadline, deliver: Deliver) -> None:
        """See `preflight.sessions.Session`. Calls `deliver` in this thread or another, and returns after the last."""
        timetable = Timetable(MOST_AT_ONCE)
        for question in questions:
            timetable.add(partial(self._answer, question, deadline, deliver))
        timetable.work_off()

    def close(self) -> None:
        """Nothing outlives a question, and each of those ends by its own deadline."""

    def _answer(self, question: Question, deadline: Deadline, deliver: Deliver) -> None:
        deliver(question, self.answer(question, deadline))

    def answer(self, question: Question, deadline: Deadline) -> Answer:
        deadline = deadline.at_most(question.timeout_seconds)
        asked_at, begun = now(), monotonic()

        def lost(reason: Reason, detail: str) -> NoReply:
            return NoReply(reason, detail, asked_at, monotonic() - begun, VANTAGE)

        name = question.text
        try:
            request = LocalRequest.parse(question.text)
            name = request.path or request.argv[0]
            ended = self._done(request, deadline)
        except ValueError as error:
            return lost(Reason.NOT_ASKED, str(error))
        except CannotAsk as trouble:
            return lost(trouble.reason, trouble.detail)
        except Problem as problem:
            ended = Ended(1, "", f"{name}: {problem}")
        except TooMuchToRead as error:
            return lost(Reason.TOO_MUCH, f"{name}: {error}")
        except TimeoutError as error:
            return lost(Reason.QUESTION_LIMIT, f"{name}: {error}")
        except PermissionError:
            return lost(Reason.FILE_DENIED, f"{name}: permission denied")
        except FileNotFoundError:
            return lost(Reason.FILE_UNSTABLE, f"{name}: it changed while it was looked at")
        except OSError as error:
            return lost(Reason.FILE_TROUBLE, f"{name}: {error.strerror or error}")
        return Reply(ended.code, ended.output, asked_at, monotonic() - begun, VANTAGE, ended.error)

    def _done(self, request: LocalRequest, deadline: Deadline) -> Ended:
        """Raises Problem, TooMuchToRead and OSError."""
        path = self._folder / request.path
        match request.act:
            case LocalAct.TREE:
                return Ended(0, json.dumps({"entries": list_tree(path, deadline)}))
            case LocalAct.TEXTS:
                texts, unread = read_scripts(path, deadline)
                return Ended(0, json.dumps({"texts": texts, "unread": unread}))
            case LocalAct.TEXT:
                content = read_text(path)
                # The text as it is, so that quoting does not hide a secret from redaction.
                text = content.decode("utf-8", "replace")
                return Ended(0, f"{json.dumps({'sha256': sha256(content)})}\n{text}")
            case LocalAct.SIGNATURE:
                found = verify(self._folder, request.path, request.argv, deadline)
                return Ended(0, json.dumps(asdict(found), default=datetime.isoformat))
            case LocalAct.RUN:
                return run_command(request.argv, self._folder, deadline)


def run_command(argv: Sequence[str], folder: Path, deadline: Deadline) -> Ended:
    """Runs `argv` without a shell or a terminal. Raises TooMuchToRead and TimeoutError; either way the command and what
    it started are ended. A command that is not there or cannot be executed ends with 127 or 126, as in a shell."""
    try:
        process = subprocess.Popen(
            argv,
            cwd=folder,
            env={name: os.environ[name] for name in _KEPT if name in os.environ} | {"LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a group of its own, so that all of it can be ended
        )
    except FileNotFoundError as error:
        return Ended(NOT_FOUND, "", f"{error.filename}: {error.strerror}")
    except (OSError, ValueError) as error:
        return Ended(NOT_EXECUTABLE, "", f"{argv[0]}: {getattr(error, 'strerror', None) or error}")
    with process:
        try:
            output, errors = _read(process, deadline)
            code = process.wait(timeout=max(deadline.left(), 0.001))
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{argv[0]} did not end in time") from None
        finally:  # the whole group: a child that kept running must not outlive the question
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    return Ended(code if code >= 0 else 128 - code, output, errors)


def _read(process: subprocess.Popen[bytes], deadline: Deadline) -> tuple[str, str]:
    found = {stream.fileno(): bytearray() for stream in (process.stdout, process.stderr) if stream}
    with selectors.DefaultSelector() as selector:
        for descriptor in found:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(deadline.left())
            if not ready:
                raise TimeoutError("the command did not end in time")
            for key, _ in ready:
                chunk = os.read(key.fd, _CHUNK_BYTES)
                found[key.fd] += chunk
                if not chunk:
                    selector.unregister(key.fd)
            if sum(map(len, found.values())) > MOST_BYTES:
                raise TooMuchToRead(f"the command printed more than {MOST_BYTES // 1024} KiB")
    output, errors = (bytes(each).decode("utf-8", "replace") for each in found.values())
    return output, errors
