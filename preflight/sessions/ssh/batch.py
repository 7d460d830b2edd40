"""Many questions in one round trip: the script that asks them, and the reader that takes the answers apart.

The script goes to the standard input of `env LC_ALL=C sh -s`, a command every login shell understands (csh and fish
too). Around each question it prints a line with a random nonce, to standard output and to standard error alike, so
that noisy profiles, binary output, a missing last line feed or an early `exit` cannot be mistaken for an answer, and
an answer counts only when its end was seen on both streams."""

import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from preflight.clock import monotonic, now
from preflight.probe import Question

COMMAND = "env LC_ALL=C sh -s"
OUTPUT_CAP_BYTES = 1024 * 1024
"""Of one question, per stream."""
LONGEST_ARGUMENT = 100_000
"""Bytes; Linux refuses a single argument of more than 128 KiB, so longer texts are not given to `sh -c`."""
_NOISE_CAP_BYTES = 64 * 1024
_TIMED_OUT = 124  # exit status of timeout(1)
_KILLED = 137  # the same after its -k

_PRELUDE = """\
LC_ALL=C; LANG=C; TZ=UTC0; export LC_ALL LANG TZ; unset TMOUT HISTFILE; umask 077
mark() { printf "\\n$NONCE %s\\n" "$@"; printf "\\n$NONCE %s\\n" "$@" >&2; }
limit=
case $(timeout --help 2>&1 </dev/null) in
*-k*) limit='timeout -k 2' ;;
*) if timeout 9 true </dev/null >/dev/null 2>&1; then limit=timeout; fi ;;
esac
run() { if [ -n "$limit" ]; then $limit "$1" sh -c "$2"; else sh -c "$2"; fi; }
ask() { run "$2" "$3" </dev/null; mark "E $1 $?" "B $(($1 + 1))"; }
ask_with_stdin() { run "$2" "$3"; mark "E $1 $?"; }
mark "S ${limit:-none}" "B 0"
"""
"""The end of an answer and the beginning of the next go in one write: each is a message to decrypt here. Without
HISTFILE, an interactive shell that a start-up file began in place of sh keeps nothing of it in a file."""


class Stream(IntEnum):
    OUT = 0
    ERR = 1


def script(nonce: str, questions: Sequence[Question]) -> bytes:
    """The whole script. A question with a secret must be alone: its command reads the standard input, on which the
    secret is written once the command is about to run."""
    asked = "\n".join(_ask(number, question) for number, question in enumerate(questions))
    # One compound command: the shell has read all of it before a question can read the standard input.
    return f"{{ NONCE={nonce}\n{_PRELUDE}{asked}\nexit 0; }}\n".encode("utf-8", "surrogateescape")


def _ask(number: int, question: Question) -> str:
    if len(question.text.encode("utf-8", "surrogateescape")) > LONGEST_ARGUMENT and not question.stdin_secret:
        return f'(\n{question.text}\n) </dev/null; mark "E {number} $?" "B {number + 1}"'
    function = "ask_with_stdin" if question.stdin_secret else "ask"
    return f"{function} {number} {max(1, math.ceil(question.timeout_seconds))} {shlex.quote(question.text)}"


@dataclass(frozen=True, slots=True)
class Frame:
    """The complete answer to one question."""

    number: int
    code: int
    out: bytes
    err: bytes
    asked_at: datetime
    took_seconds: float
    killed: bool
    """The far end's timeout(1) ended it."""
    chatter: bytes
    """What start-up files of the shell printed before the script began."""


class _MarkReader:
    """Finds the marks in one stream, piece by piece, scanning each byte once."""

    def __init__(self, nonce: str) -> None:
        self._sign = b"\n" + nonce.encode("ascii") + b" "
        self.pending = bytearray()
        """What has come since the last mark and is not yet known to be noise."""
        self._scanned = 0
        self.noise = bytearray()
        """What came outside of answers, up to a cap: the chatter of profiles."""
        self.inside: int | None = None
        """The number of the question to whose answer the bytes belong that are being read."""

    def feed(self, data: bytes) -> Iterator[tuple[list[str], bytes]]:
        """The words of each mark, and what came since the mark before."""
        self.pending += data
        while True:
            at = self.pending.find(self._sign, self._scanned)
            end = self.pending.find(b"\n", at + len(self._sign)) if at >= 0 else -1
            if end < 0:
                self._scanned = at if at >= 0 else max(0, len(self.pending) - len(self._sign))
                if self.inside is None and at < 0:
                    self._keep_noise(self._scanned)
                    del self.pending[: self._scanned]
                    self._scanned = 0
                return
            words = bytes(self.pending[at + len(self._sign) : end]).decode("ascii", "replace").split()
            body = bytes(self.pending[:at])
            if self.inside is None:
                self._keep_noise(at)
            del self.pending[: end + 1]
            self._scanned = 0
            yield words, body

    def _keep_noise(self, size: int) -> None:
        self.noise += self.pending[: min(size, _NOISE_CAP_BYTES - len(self.noise))]


@dataclass(slots=True)
class _Open:
    since: float
    """By the monotonic clock."""
    asked_at: datetime = field(default_factory=now)
    bodies: dict[Stream, bytes] = field(default_factory=dict)


class BatchReader:
    """Puts the answers of one batch together from its two output streams."""

    def __init__(self, nonce: str, questions: Sequence[Question]) -> None:
        self._questions = questions
        self._readers = {stream: _MarkReader(nonce) for stream in Stream}
        self._open: dict[int, _Open] = {}
        self._limit_word = ""
        self._chatter = b""
        self.started = False
        """The shell has begun to run the script."""
        self.total_bytes = 0

    def feed(self, stream: Stream, data: bytes) -> list[Frame]:
        """The answers that `data` completes."""
        self.total_bytes += len(data)
        marks = self._readers[stream].feed(data)
        return [frame for words, body in marks if (frame := self._take(stream, words, body)) is not None]

    @property
    def current(self) -> int | None:
        """The number of the question that is being answered; one before it may still miss its end on one stream."""
        return next(reversed(self._open), None)

    @property
    def current_seconds(self) -> float:
        """How long the current question has been running, in seconds."""
        number = self.current
        return 0.0 if number is None else monotonic() - self._open[number].since

    @property
    def overflowing(self) -> bool:
        """The current answer has passed its cap."""
        return any(each.inside is not None and len(each.pending) > OUTPUT_CAP_BYTES for each in self._readers.values())

    @property
    def noise(self) -> bytes:
        """What came outside of answers, standard error first: that is where a refusing login shell complains."""
        readers = (self._readers[Stream.ERR], self._readers[Stream.OUT])
        return b"\n".join(each.noise if each.inside is not None else each.noise + each.pending for each in readers)

    def _take(self, stream: Stream, words: list[str], body: bytes) -> Frame | None:
        match words:
            case ["S", limit, *_]:
                self.started = True
                self._limit_word = limit
                self._chatter = bytes(self._readers[Stream.OUT].noise)
            case ["B", number] if number.isdecimal() and int(number) < len(self._questions):
                self._readers[stream].inside = int(number)
                self._open.setdefault(int(number), _Open(monotonic()))
            case ["E", number, code] if number == str(self._readers[stream].inside) and code.isdecimal():
                return self._end(stream, int(number), int(code), body)
        return None

    def _end(self, stream: Stream, number: int, code: int, body: bytes) -> Frame | None:
        self._readers[stream].inside = None
        answer = self._open[number]
        answer.bodies[stream] = body
        if len(answer.bodies) < len(Stream):
            return None
        del self._open[number]
        took = monotonic() - answer.since
        out, err = answer.bodies[Stream.OUT], answer.bodies[Stream.ERR]
        killed = self._was_killed(number, code, took)
        return Frame(number, code, out, err, answer.asked_at, took, killed, self._chatter)

    def _was_killed(self, number: int, code: int, took: float) -> bool:
        if self._limit_word != "timeout":
            return False
        limit = self._questions[number].timeout_seconds
        # A program of the plan may end with 124 itself; the two marks may come closer together than they were printed.
        return (code == _TIMED_OUT and took >= limit / 2) or (code == _KILLED and took >= limit)
