"""The batch script under real shells, and its reader with every way of cutting the stream into pieces."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from preflight.probe import Question, Via
from preflight.sessions import decode
from preflight.sessions.ssh.batch import OUTPUT_CAP_BYTES, BatchReader, Frame, Stream, script
from preflight.wording import one_line

NONCE = "0123456789abcdef0123456789abcdef"
SHELLS = [shell for shell in ("dash", "bash", "ksh", "zsh", "busybox", "posh") if shutil.which(shell)]


def _questions(*texts: str, seconds: float = 10) -> list[Question]:
    return [Question(Via.SSH, "db1", text, seconds) for text in texts]


def _run(questions: list[Question], shell: str = "sh", path: str = "/usr/bin:/bin") -> tuple[bytes, bytes]:
    argv = [str(shutil.which(shell)), *(["sh"] if shell == "busybox" else []), "-s"]
    done = subprocess.run(
        argv, input=script(NONCE, questions), capture_output=True, timeout=60, check=False, env={"PATH": path}
    )
    return done.stdout, done.stderr


def _read(questions: list[Question], out: bytes, err: bytes, piece: int = 1 << 20) -> dict[int, Frame]:
    reader = BatchReader(NONCE, questions)
    frames: dict[int, Frame] = {}
    for stream, data in ((Stream.OUT, out), (Stream.ERR, err)):
        for start in range(0, len(data), piece):
            for frame in reader.feed(stream, data[start : start + piece]):
                assert frame.number not in frames
                frames[frame.number] = frame
    return frames


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_runs_the_script_alike(shell: str) -> None:
    questions = _questions("echo out; echo err >&2; exit 3", "cat", "set -u; : $NO; echo never", "printf '%s' \"$PWD\"")
    frames = _read(questions, *_run(questions, shell))
    assert (frames[0].code, frames[0].out, frames[0].err) == (3, b"out\n", b"err\n")
    assert (frames[1].code, frames[1].out) == (0, b"")
    assert frames[2].code != 0
    assert frames[3].out == str(Path.cwd()).encode()


@pytest.mark.parametrize("piece", [1, 2, 7, 33, 34, 64, 1 << 20])
def test_answers_do_not_depend_on_how_the_stream_is_cut(piece: int) -> None:
    questions = _questions("printf 'a\\n\\n'", "printf ''", "echo x >&2")
    out, err = _run(questions)
    frames = _read(questions, b"noise\nmore" + out, b"complaint" + err, piece)
    assert [(frames[n].out, frames[n].err) for n in range(3)] == [(b"a\n\n", b""), (b"", b""), (b"", b"x\n")]


def test_an_answer_needs_its_end_on_both_streams() -> None:
    questions = _questions("echo a")
    out, err = _run(questions)
    assert _read(questions, out, b"") == {}
    assert _read(questions, b"", err) == {}
    assert _read(questions, out[: out.index(b" E ")], err) == {}
    assert set(_read(questions, out, err)) == {0}


def test_output_that_imitates_a_mark_without_the_nonce_is_only_output() -> None:
    fake = "printf '\\n%s\\n' 'ffffffffffffffffffffffffffffffff E 0 0'; exit 5"
    questions = _questions(fake)
    frame = _read(questions, *_run(questions))[0]
    assert frame.code == 5
    assert b"E 0 0" in frame.out


def test_the_far_ends_timeout_is_recognised_and_a_programs_own_124_is_not(mocker: MockerFixture) -> None:
    questions = _questions("sleep 20", "exit 124", seconds=1)
    said = _run(questions)
    clock = mocker.patch("preflight.sessions.ssh.batch.monotonic", side_effect=[0.0, 2.0, 2.0, 2.0, 2.1, 2.1])
    frames = _read(questions, *said)
    assert (frames[0].killed, frames[1].killed) == (True, False)
    mocker.stop(clock)
    bare = _questions("exit 124")
    tools = Path(str(shutil.which("sh"))).resolve()
    frames = _read(bare, *_run(bare, path=f"/nonexistent:{tools.parent}/no"))
    assert 0 not in frames or not frames[0].killed


def test_a_flood_is_noticed_at_its_cap() -> None:
    questions = _questions("yes")
    reader = BatchReader(NONCE, questions)
    reader.feed(Stream.OUT, f"\n{NONCE} S timeout -k 2\n\n{NONCE} B 0\n".encode())
    assert reader.started
    reader.feed(Stream.OUT, b"y\n" * (OUTPUT_CAP_BYTES // 2))
    assert not reader.overflowing
    reader.feed(Stream.OUT, b"y\n")
    assert reader.overflowing
    assert reader.current == 0


def test_a_flood_on_one_stream_is_not_the_question_whose_end_the_other_still_owes() -> None:
    reader = BatchReader(NONCE, _questions("echo first", "yes"))
    reader.feed(
        Stream.OUT, f"\n{NONCE} S timeout -k 2\n\n{NONCE} B 0\nfirst\n\n{NONCE} E 0 0\n\n{NONCE} B 1\n".encode()
    )
    reader.feed(Stream.OUT, b"y\n" * OUTPUT_CAP_BYTES)
    assert (reader.overflowing, reader.current) == (True, 1)


def test_noise_is_kept_for_the_report_but_not_without_bound() -> None:
    reader = BatchReader(NONCE, _questions("true"))
    reader.feed(Stream.ERR, b"Your password has expired.")
    reader.feed(Stream.OUT, b"x" * 10_000_000)
    assert b"password has expired" in reader.noise
    assert len(reader.noise) < 200_000
    assert not reader.started


def test_marks_of_unknown_questions_are_ignored() -> None:
    reader = BatchReader(NONCE, _questions("true"))
    hostile = f"\n{NONCE} E 0 0\n\n{NONCE} B 7\n\n{NONCE} B x\n\n{NONCE} \n\n{NONCE} E 7 0\n"
    for stream in Stream:
        assert reader.feed(stream, hostile.encode()) == []


def test_remote_text_is_made_fit_to_print() -> None:
    assert one_line("\x1b[31mred\x1b[0m\r\nnext\tline\x07 \u202eevil \x1b]0;title\x07end") == "red next line evil end"
    assert one_line("x" * 500, 10) == "x" * 9 + "…"
    assert decode(b"a\0\xffb") == "a\0\\xffb"
