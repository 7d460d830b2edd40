"""Evidence: every question with its answer, kept so that it can be judged again without a network."""

import errno
import hashlib
import json
import os
import select
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from preflight import __version__
from preflight.errors import RefusedError
from preflight.probe import Answer, Question, Reply, T
from preflight.record import fields_of, parse_json, plain, read_record
from preflight.units import format_size

SCHEMA = 4
_LARGEST_FILE_BYTES = 64 * 1024 * 1024
_READER_SECONDS = 10.0
MOST_SHARDS = 1000
"""More than any CI engine makes of one job."""


_dump = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":"), default=plain).encode
"""The one way in which evidence is written: its digest is over this."""


@dataclass(frozen=True, slots=True)
class Shard:
    """`3/8`: the third of the eight jobs that a plan is split over."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError."""
        number, slash, of = text.partition("/")
        if not (slash and number.isascii() and number.isdigit() and of.isascii() and of.isdigit()):
            raise ValueError(f"{text!r} is no shard: write K/N, as 3/8 for the third of eight")
        shard = cls(int(number[:9]), int(of[:9]))
        if not 1 <= shard.number <= shard.of <= MOST_SHARDS:
            raise ValueError(f"{text!r} is no shard: K goes from 1 to N, and N to {MOST_SHARDS}")
        return shard

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


class EvidenceError(RefusedError):
    """An evidence file that cannot be read or does not have the expected shape."""


@dataclass(frozen=True)
class Evidence:
    """Answers of one run. Immutable, and encoded once."""

    plan_digest: str
    collected_at: datetime
    answers: Mapping[str, tuple[Question, Answer]] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    """What the answers were asked with, by name: SHA-256 of plan, manifests and pinned host keys, the tool's version.
    When one of them changes, the evidence no longer speaks for this release."""
    network_zone: str = ""
    """Of the plan, when just that part was asked."""
    shard: Shard | None = None
    """Of that part, when several jobs asked it."""
    no_warnings: bool = False
    """Whoever asked wanted no GO with a warning, and gets none either when it is judged again."""
    not_steady: str = ""
    """Why the watch that asked did not see it GO for long enough."""

    def without(self, question_id: str) -> Self:
        """The same evidence with one answer lost."""
        return replace(self, answers={key: pair for key, pair in self.answers.items() if key != question_id})

    def __iter__(self) -> Iterator[tuple[Question, Answer]]:
        return iter(self.answers.values())

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the plan's digest, the time, the inputs, what was wanted, all questions and answers."""
        # As `_dump` writes it whole: "answers" is the first key.
        return hashlib.sha256(f'{{"answers":[{",".join(self._lines)}],{_dump(self._rest)[1:]}'.encode()).hexdigest()

    @property
    def _rest(self) -> Mapping[str, Any]:
        """All but the answers, by the keys of `_Saved`."""
        return {
            "plan_digest": self.plan_digest,
            "collected_at": self.collected_at.isoformat(),
            "inputs": dict(self.inputs),
            "network_zone": self.network_zone,
            "shard": self.shard and str(self.shard),
            "no_warnings": self.no_warnings,
            "not_steady": self.not_steady,
        }

    @cached_property
    def _lines(self) -> Sequence[str]:
        """One line of JSON for each question with its answer, in a fixed order."""
        pairs = sorted(self.answers.values(), key=lambda pair: (pair[0].via, pair[0].target, pair[0].text))
        return [_dump({"question": _written(question), "answer": _written(answer)}) for question, answer in pairs]

    def to_json(self) -> str:
        """One question with its answer on each line."""
        document = {"schema": SCHEMA, "preflight": __version__, "digest": self.digest, **self._rest}
        head = json.dumps(document, indent=1, ensure_ascii=True).removesuffix("\n}")
        answers = ",\n".join(self._lines)
        return f'{head},\n "answers": [\n{answers}\n]}}\n'

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises EvidenceError, also when the digest does not fit: the file was edited or damaged."""
        try:
            found = parse_json(text)
            if isinstance(found, dict) and "verdict" in found:
                raise EvidenceError("this is a report, not the evidence it was made from")
            require_schema(found, SCHEMA, "preflight", EvidenceError)
            saved = read_record(_Saved, found, complete=True)
            shard = Shard.parse(saved.shard) if saved.shard else None
        except ValueError as error:  # Unreadable is one
            raise EvidenceError(f"this is no evidence file: {error}") from None
        answers = {entry.question.id: (entry.question, entry.answer) for entry in saved.answers}
        asked_by = (saved.inputs, saved.network_zone, shard, saved.no_warnings, saved.not_steady)
        evidence = cls(saved.plan_digest, saved.collected_at, answers, *asked_by)
        if len(evidence.answers) != len(saved.answers):
            raise EvidenceError("the evidence answers one question twice")
        if evidence.digest != saved.digest:
            raise EvidenceError("the evidence was changed after it was written: its digest does not fit")
        return evidence

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises EvidenceError."""
        return load_saved(path, cls.from_json, EvidenceError)


@dataclass(frozen=True, slots=True)
class _Entry:
    question: Question
    answer: Answer


@dataclass(frozen=True, slots=True)
class _Saved:
    """The keys of an evidence file."""

    schema: int
    preflight: str
    plan_digest: str
    collected_at: datetime
    digest: str
    inputs: Mapping[str, str]
    network_zone: str
    shard: str | None
    no_warnings: bool
    not_steady: str
    answers: tuple[_Entry, ...]


def load_saved(path: Path, read: Callable[[str], T], fault: type[RefusedError]) -> T:
    """What `read` makes of a file that this program wrote. Raises `fault`, which names the file."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise fault("not a regular file")
        if found.st_size > _LARGEST_FILE_BYTES:
            raise fault(f"{format_size(found.st_size)} are too much")
        return read(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise fault(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise fault(f"{path}: not UTF-8 text") from None
    except (fault, ValueError) as error:  # ValueError: a NUL in the path
        raise fault(f"{path}: {error}") from None


def require_schema(found: Any, schema: int, key: str, fault: type[RefusedError]) -> None:
    """Raises `fault` for what another version wrote: its other keys may mean something else. `key`: one that every
    version writes, and no other kind of file has."""
    written = found.get("schema") if isinstance(found, dict) and key in found else None
    if type(written) is int and written != schema:
        by = f", {found['preflight']}" if "preflight" in found else ""
        raise fault(f"saved by another version of preflight{by}: its schema is {written}, this version reads {schema}")


def redact(answer: Answer, mask: Callable[[str], str]) -> Answer:
    """`answer` with every text passed through `mask`, for what is kept; itself where there is nothing to mask."""
    texts = {"text": answer.text, "error": answer.error} if isinstance(answer, Reply) else {"detail": answer.detail}
    session = {key: mask(value) for key, value in answer.session.items()}
    masked: dict[str, Any] = {key: mask(value) for key, value in texts.items()}
    return answer if masked == texts and session == answer.session else replace(answer, session=session, **masked)


def write_private(path: Path, text: str, mode: int = 0o600) -> None:
    """Writes a file atomically: readers see the old or the new one, never half. Only a regular or absent target is
    replaced; a device or pipe is written to, because replacing one would destroy it. Raises OSError."""
    try:
        special = not stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        special = False
    if special:
        _write_through(path, text.encode("utf-8"))
        return
    target = path.resolve()
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary = Path(name)
        temporary.chmod(mode)
        temporary.replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _write_through(path: Path, content: bytes) -> None:
    """Writes to a device or pipe. Raises OSError, also where nobody reads the pipe or its reader takes nothing."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, "nobody reads this pipe") from None
        raise
    try:
        while content:
            if not select.select([], [descriptor], [], _READER_SECONDS)[1]:
                raise OSError(errno.ETIMEDOUT, f"its reader took nothing for {_READER_SECONDS:.0f} s")
            content = content[os.write(descriptor, content) :]
    finally:
        os.close(descriptor)


def _written(record: Any) -> dict[str, Any]:
    """The values of a question or an answer, by the keys that `read_record` reads."""
    return {key: getattr(record, each.name) for key, each in fields_of(record.__class__).items()}
