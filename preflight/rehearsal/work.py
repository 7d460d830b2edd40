"""Runs what a plan declares, on this machine against a scratch server: nothing of the site's environment goes along,
and no network is in reach where the machine offers that."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from preflight.clock import Deadline
from preflight.plan import Scripts
from preflight.questions.files import LocalText, read_manifest
from preflight.rehearsal import ScratchError
from preflight.rehearsal.account import Account
from preflight.sessions.local.files import Problem, TooMuchToRead, read_text, sha256
from preflight.wording import one_line, visible

FLUSH = "\\if :AUTOCOMMIT\nSELECT pg_catalog.pg_stat_force_next_flush() \\g /dev/null\n\\endif\n"
"""What psql runs before a mark, so that changed rows are counted; not where it would open a transaction."""
_BROKEN = "preflight_drill_breaks_here"
_STATEMENT = re.compile(r"LOG:  (?:statement|execute [^:]*): (.*)")
_ENDS = re.compile(r"\s*(?:commit|rollback|abort|end|set|show|reset|discard|deallocate)\b", re.IGNORECASE)
_ERROR_SIGNS = ("ERROR:", "FATAL:", "PANIC:", "error:")
_PSQLS_ERROR = re.compile(r"^psql:[^:\n]*:\d+: (?:ERROR|FATAL|PANIC|error): .*", re.MULTILINE)
"""One of its own, and not one that a NOTICE quotes."""
_MOST_ERROR_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    """128 + N when signal N ended it."""
    said: str
    """Its error line: the first that says so, else the last line. With status 0: an error after which psql went on."""

    @property
    def stopped_at_drill(self) -> bool:
        return self.code != 0 and _BROKEN in self.said


@dataclass(frozen=True, slots=True)
class Runner:
    """Starts commands as one account in a copy of the sealed folder."""

    account: Account
    folder: Path
    deadline: Deadline
    """Each command may take what is left of it."""
    before: tuple[str, ...]
    """As of `offered`."""
    environment: Mapping[str, str]
    """All there is but PATH, HOME and the locale."""
    path: Path
    """The first folder of PATH."""

    def run(self, argv: Sequence[str], marks: Sequence[Path] = (), at_mark: Callable[[], None] = lambda: None) -> Ended:
        """Runs a command to its end, and ends it with all that it started, whatever ends us. `marks`: FIFOs that it
        reads in this order; at each, which it waits for, `at_mark` is called. Raises ScratchError after the time."""
        home = self.folder.parent
        known = {"PATH": f"{self.path}:/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C.UTF-8"}
        output, errors = home / "output", home / "errors"
        with output.open("wb") as out, errors.open("wb") as err:
            process = subprocess.Popen(
                [*self.before, *argv],
                cwd=self.folder,
                env={**known, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,  # a group of its own, so that all of it can be ended
                **self.account.identity,
            )
            limit = threading.Timer(self.deadline.left(), _end, [process])
            limit.start()
            try:
                _attend(process, marks, at_mark)
                code = process.wait()
            finally:
                limit.cancel()
                _end(process)
                process.wait()
        if self.deadline.over:
            raise ScratchError(f"{argv[0]} did not end in the time there was for all of it (--timeout)")
        with errors.open("rb") as told:
            said = told.read(_MOST_ERROR_BYTES).decode("utf-8", "replace")
        if code:
            return Ended(code if code >= 0 else 128 - code, _error_line(said))
        went_on_after = _PSQLS_ERROR.search(said)
        return Ended(0, one_line(went_on_after[0]) if went_on_after else "")

    @contextlib.contextmanager
    def broken(self, script: str) -> Iterator[None]:
        """Inside, the script begins with a statement that no server understands."""
        file = self.folder / script
        before = file.read_bytes()
        file.write_bytes(f"{_BROKEN}; ".encode() + before)
        try:
            yield
        finally:
            file.write_bytes(before)


def _attend(process: subprocess.Popen[bytes], marks: Sequence[Path], at_mark: Callable[[], None]) -> None:
    """Meets the command at its marks. When it ended before one of them, nobody waits there: a thread opens them all for
    reading then, so that opening them for writing returns."""
    held: list[int] = []

    def open_at_end() -> None:
        process.wait()
        held.extend(os.open(mark, os.O_RDONLY | os.O_NONBLOCK) for mark in marks)

    watcher = threading.Thread(target=open_at_end, daemon=True)
    watcher.start()
    try:
        for mark in marks:
            with mark.open("w"):
                if process.poll() is not None:
                    return
                at_mark()
        watcher.join()
    finally:
        if process.poll() is None:
            _end(process)
        watcher.join()
        for descriptor in held:
            os.close(descriptor)


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _error_line(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    found = next((line for line in lines if any(sign in line for sign in _ERROR_SIGNS)), lines[-1] if lines else "")
    return one_line(found)


def went_on(log: str) -> str:
    """The first statement of a log after the broken one that neither ends a transaction nor looks at settings."""
    _, broken, after = log.partition(_BROKEN)
    found = (statement for line in after.splitlines() if broken for statement in _STATEMENT.findall(line))
    return next((one_line(each, 120) for each in found if not _ENDS.match(each) and _BROKEN not in each), "")


def copy_sealed(entry: Scripts, folder: Path, account: Account) -> Mapping[str, str]:
    """Copies every sealed file; SHA-256 by path. Raises ScratchError for one that is not as it was sealed."""
    try:
        content = read_text(entry.manifest)
    except (Problem, TooMuchToRead, OSError) as error:
        raise ScratchError(f"{entry.id} is not sealed: {entry.manifest}: {error}") from None
    files, problem = read_manifest(LocalText(content.decode("utf-8", "replace")))
    if problem:
        raise ScratchError(f"{entry.id} is not sealed: {problem}")
    for name, sealed in files.items():
        source, target = entry.approved / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if sha256(source.read_bytes()) != sealed:
                raise ScratchError(f"{visible(str(source))} is not as it was sealed: seal {entry.id} again")
            shutil.copy(source, target)
        except OSError as error:
            raise ScratchError(f"{visible(str(source))}: {error.strerror}") from None
    for path in (folder, *folder.rglob("*")):
        account.give(path)
    return files
