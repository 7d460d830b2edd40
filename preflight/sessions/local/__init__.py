"""Answers questions about files beside the plan, and runs commands of the plan's own. Several at the same time, since a
file system may hang (a lost network mount) and a command may take long."""

from __future__ import annotations

import json
from pathlib import Path

from preflight.clock import Deadline, monotonic, now
from preflight.probe import Answer, NoReply, Question, Reply
from preflight.questions.files import Ended, LocalAct, LocalRequest
from preflight.reasons import Reason
from preflight.sessions.local.command import run_command
from preflight.sessions.local.files import Problem, TooMuchToRead, list_tree, read_scripts, read_text, sha256
from preflight.sessions.parallel import VANTAGE, ParallelSession


class LocalSession(ParallelSession):
    """Reads, and runs what `[checks.command]` says; it never writes or follows anything out of a tree."""

    stage = "reading files and running commands"
    most_at_once = 4

    def __init__(self, folder: Path) -> None:
        """`folder`: the plan's; relative paths start there."""
        self._folder = folder

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
            case LocalAct.RUN:
                return run_command(request.argv, self._folder, deadline)
