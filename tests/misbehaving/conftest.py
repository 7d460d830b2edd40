"""Servers that misbehave beside a healthy one, in one whole run: what a row of these tables expects, and proof that the
run leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from preflight.clock import Deadline, monotonic
from preflight.engine.findings import WHOEVER_RUNS_IT
from preflight.evidence import Evidence
from preflight.finding import Status
from preflight.probe import NoReply
from preflight.reasons import Reason, Side
from tests.cli.program import BASE, preflight
from tests.misbehaving.certificates import LATE
from tests.site.accounts import Account
from tests.site.postgres import Cluster, DatabaseRole
from tests.site.site import Site

OWNER = "D. Kaya (dba), 1"
"""Who owns each server of these plans, as every finding names him."""
HEAD = f"""{BASE}
[roles.dba]
primary = "D. Kaya"
standby = "M. Ortiz"
contact = "1"
"""
"""What every plan here begins with: the entries of servers follow."""
_SETTLED_SECONDS = 60.0
"""What may end a moment after the run: the far end of a connection."""


@dataclass(frozen=True)
class Told:
    """What a report must tell of one fault."""

    status: Status
    reason: Reason | None
    """Of every question that stays without an answer; None where all are answered."""
    cure: str
    """A part of the remedy."""
    seen: str = ""
    """A part of what was found, or of the summary."""
    side: Side | None = None
    """Whose trouble it is; by default what the reason says, or the far end's."""

    @property
    def is_ours(self) -> bool:
        side = self.side or (self.reason.side if self.reason else Side.FAR_END)
        return side in (Side.HERE, Side.TOOL)


@dataclass(frozen=True)
class WholeRun:
    """What `preflight run` gave back."""

    code: int
    errors: str
    seconds: float
    report: Mapping[str, Any]
    evidence: Evidence

    def findings(self, subject: str) -> dict[str, Mapping[str, Any]]:
        """Those about one subject, by the check's id."""
        return {each["check"]: each for each in self.report["findings"] if each["subject"] == subject}

    def statuses(self, subject: str) -> dict[str, str]:
        return {check: each["status"] for check, each in self.findings(subject).items()}

    def reasons(self, target: str) -> set[Reason]:
        """Of all questions to the target that have no reply."""
        return {
            answer.reason
            for question, answer in self.evidence
            if question.target == target and isinstance(answer, NoReply)
        }

    def prove(self, check: str, subject: str, told: Told, target: str = "") -> None:
        """That the check tells of this subject just that. `target`: what was asked, where it is not the subject."""
        found = self.findings(subject)[check]
        assert found["status"] == told.status, found
        assert self.reasons(target or subject) == ({told.reason} if told.reason else set()), found
        if told.reason and not told.is_ours:
            assert str(told.reason) in found["summary"], found
        assert found["owner"] == (WHOEVER_RUNS_IT if told.is_ours else OWNER), found
        assert told.cure in found["remedy"], found
        assert told.seen in f"{found['summary']}\n{found['actual']}", found


def run_whole(plan: Path, *arguments: str | Path, timeout_seconds: int = 60, **environment: str) -> WholeRun:
    """One `preflight run` of this plan in this process; it must end within its limits, without a defect."""
    kept = plan.with_name("evidence.json")
    begun = monotonic()
    limit = ("--timeout", str(timeout_seconds))
    done = preflight("run", plan, "--format", "json", "--evidence", kept, *limit, *arguments, **environment)
    seconds = monotonic() - begun
    assert done.returncode in (0, 1, 3), done.stderr
    assert "Traceback" not in done.stderr
    assert seconds < timeout_seconds + _SETTLED_SECONDS
    evidence = Evidence.from_json(kept.read_text())
    report = json.loads(done.stdout)
    assert sum(report["counts"].values()) == report["planned"] == len(report["findings"]), "nothing vanishes"
    return WholeRun(done.returncode, done.stderr, seconds, report, evidence)


@pytest.fixture(scope="module", autouse=True)
def home_of_the_runs(home_folder: Path) -> Iterator[None]:
    """The empty home, also for the runs that the tests of a module share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home_folder))
        yield


@pytest.fixture(scope="module")
def postgres(site: Site) -> Iterator[Cluster]:
    """The site's own, with a certificate that outlives the window."""
    with site.postgres.showing(site.authority.issue(["127.0.0.1"], not_after=LATE)):
        yield site.postgres


@pytest.fixture(scope="module")
def role(postgres: Cluster) -> DatabaseRole:
    return postgres.create_role("release", options="IN ROLE pg_monitor")


@contextlib.contextmanager
def leaving_nothing(*accounts: Account, folders: tuple[Path, ...] = ()) -> Iterator[None]:
    """Afterwards there are the same threads, descriptors and child processes as before, no process of the accounts,
    and the same files in their homes, in the caller's home and in `folders`. Servers of the test begin and end inside,
    or have begun before."""
    kept = (Path.home(), *(account.home for account in accounts), *folders)
    threads, descriptors, children, files = set(threading.enumerate()), _descriptors(), _children(), _files(kept)
    yield
    until = Deadline(_SETTLED_SECONDS)
    for thread in set(threading.enumerate()) - threads:
        thread.join(until.left())

    def left() -> dict[str, object]:
        return {
            "threads": [thread.name for thread in set(threading.enumerate()) - threads],
            "descriptors": _descriptors() - descriptors,
            "child processes": _children() - children,
            "processes of accounts": [pid for account in accounts for pid in _processes_of(account)],
            "files": _files(kept) ^ files,
        }

    while any(left().values()) and not until.over:
        threading.Event().wait(0.05)
    assert not any(found := left().values()), dict(zip(left(), found, strict=True))


def _descriptors() -> set[str]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(f"{entry.name} {entry.readlink()}")
    return found - {each for each in found if each.endswith("/fd")}  # the one that lists them


def _children() -> set[str]:
    own = str(os.getpid())
    return {words[0] for words in map(_status, Path("/proc").glob("[0-9]*")) if words[3:4] == [own]}


def _status(process: Path) -> list[str]:
    """Its fields, with the second one, which may hold blanks, as one word."""
    try:
        before, _, after = (process / "stat").read_text().rpartition(")")
    except OSError:  # ended meanwhile
        return [""]
    return [before.partition(" ")[0], "", *after.split()]


def states(account: Account) -> set[str]:
    """In which its processes are: `S`, `R`, `D` (proc_pid_stat(5))."""
    return {"".join(_status(entry)[2:3]) for entry in _entries_of(account)}


def _processes_of(account: Account) -> list[str]:
    found = []
    for entry in _entries_of(account):
        with contextlib.suppress(OSError):
            found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def _entries_of(account: Account) -> Iterator[Path]:
    owner = account.home.stat().st_uid
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.stat(entry).st_uid == owner:  # noqa: PTH116 - a process may be gone: one call, one error
                yield entry


def _files(folders: tuple[Path, ...]) -> set[str]:
    return {str(file) for folder in folders for file in folder.rglob("*")}
