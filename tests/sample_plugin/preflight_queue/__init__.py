"""queue-empty: nothing waits in a host's spool folder when the window opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, Severity, failed, passed
from preflight.plan import HostRef, RemotePath
from preflight.plan.limits import Between
from preflight.probe import Reply, Unreadable
from preflight.questions.shell import ShellProbe, quoted


@dataclass(frozen=True)
class FilesIn(ShellProbe[int]):
    """How many files lie in a folder of a host."""

    folder: str

    def ask(self) -> str:
        return f"find {quoted(self.folder)} -type f | wc -l"

    def read(self, reply: Reply) -> int:
        if reply.error or not reply.text.strip().isdigit():
            raise Unreadable(reply.error or "no number")
        return int(reply.text)


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """`[checks.queue-empty]`"""

    folders: Mapping[HostRef, RemotePath] = field(default_factory=dict)
    """Host -> its spool folder."""
    most: Annotated[int, Between(0)] = 0
    """So many files may wait."""


class QueueEmpty(Check):
    """Is the job queue empty before the window opens?

    A job that is still queued runs against the new version."""

    id = "queue-empty"
    title = "the job queue is empty"
    needs = "the login that asks; the queue is readable for everybody"
    cure = "have the queue worked off, or wait for it"
    severity = Severity.ADVISORY
    Settings = QueueSettings

    def subjects(self) -> Sequence[Subject]:
        hosts = self.plan.hosts
        return [Subject(name, folder, hosts[name].owner) for name, folder in self.settings.folders.items()]

    def probes(self, subject: Subject) -> Probes:
        return {"waiting": FilesIn(subject.id, subject.item)}

    def judge(self, subject: Subject, *, waiting: int) -> Judgement:
        most = self.settings.most
        if waiting <= most:
            return passed(f"{waiting} jobs wait")
        return failed(
            f"{waiting} jobs wait in {subject.item}",
            expected=f"at most {most}",
            actual=str(waiting),
            remedy=f"let the queue of {subject.id} run empty, or move {subject.item} aside",
        )
