"""Evidence files: private, whole, and never believed after a hand edited them."""

from __future__ import annotations

import json
import os
import select
import stat
import threading
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from preflight.evidence import Evidence, EvidenceError, redact, write_private
from preflight.probe import NoReply, Question, Reply, Via
from preflight.reasons import Reason
from tests.toy import MOMENT, lost, reply

ASKED = Question(Via.SSH, "db1", "echo one")


def evidence() -> Evidence:
    other = Question(Via.SQL, "orders", "select 1", own_channel=True, stdin_secret="env:X")
    pairs = [(ASKED, reply("ön\udc80e\0")), (other, lost())]
    answers = {question.id: (question, answer) for question, answer in pairs}
    return Evidence("d" * 64, MOMENT, answers, no_warnings=True, not_steady="GO for 1 min")


def test_what_is_written_is_read_again() -> None:
    assert Evidence.from_json(evidence().to_json()) == evidence()


@pytest.mark.parametrize(
    "edit",
    [
        lambda document: document["answers"][1]["answer"].update(code=1),
        lambda document: document["answers"].pop(),
        lambda document: document["answers"].append(document["answers"][0]),
        lambda document: document.update(schema=99),
        lambda document: document.update(collected_at="2026-10-17T19:00:00+00:00"),
        lambda document: document.update(plan_digest="e" * 64),
        lambda document: document.pop("digest"),
        lambda document: document["answers"][1]["answer"].update(code="0"),
        lambda document: document["answers"][1]["answer"].update(asked_at="2026-10-16T19:00:00"),
        lambda document: document["answers"][0]["answer"].update(cause="bored"),
        lambda document: document.update(answers=7),
        lambda document: document.update(no_warnings=False),
        lambda document: document.update(not_steady=""),
        lambda document: document.pop("no_warnings"),
    ],
)
def test_an_edited_file_is_refused(edit: object) -> None:
    document = json.loads(evidence().to_json())
    edit(document)  # type: ignore[operator]
    with pytest.raises(EvidenceError):
        Evidence.from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "[" * 100_000, "\0", '{"schema": 1}'])
def test_what_is_no_evidence_is_a_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "evidence.json"
    path.write_text(text)
    with pytest.raises(EvidenceError, match=r"evidence\.json"):
        Evidence.load(path)


def test_files_that_cannot_be_read_are_clear_errors(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff")
    os.mkfifo(tmp_path / "pipe")
    for name in ("absent", "bytes", "pipe", "."):
        with pytest.raises(EvidenceError):
            Evidence.load(tmp_path / name)


def test_private_files_are_private_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "evidence.json"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["evidence.json"]


def test_a_symbolic_link_is_followed_and_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_private(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_private(tmp_path / "pipe", "through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_pipe_that_nobody_reads_is_an_error_and_no_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="nobody reads this pipe"):
        write_private(tmp_path / "pipe", "x")


def test_a_reader_that_takes_nothing_is_an_error_and_no_hang(tmp_path: Path, mocker: MockerFixture) -> None:
    mocker.patch("preflight.evidence._READER_SECONDS", 0.05)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OSError, match="took nothing"):
        write_private(tmp_path / "pipe", "x" * 1_000_000)
    os.close(reader)


def test_more_than_a_pipe_holds_arrives_whole_at_a_slow_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    writer = threading.Thread(target=write_private, args=(tmp_path / "pipe", "x" * 300_000), daemon=True)
    writer.start()
    select.select([reader], [], [], 10)  # before its writer is there, a pipe reads as ended
    with os.fdopen(reader, "rb") as stream:
        assert len(stream.read()) == 300_000
    writer.join(10)


def test_an_open_descriptor_is_written_to(tmp_path: Path) -> None:
    """As with `--output json=/dev/stdout` behind a pipe."""
    reader, writer = os.pipe()
    write_private(Path(f"/proc/self/fd/{writer}"), "through")
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        assert stream.read() == b"through"


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, mocker: object) -> None:
    path = tmp_path / "evidence.json"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_private(path, "\udc80")
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_redaction_reaches_every_text_of_an_answer() -> None:
    def mask(text: str) -> str:
        return text.replace("hunter22", "***")

    told = Reply(0, "hunter22", MOMENT, 0.1, "here", "hunter22", {"banner": "hunter22"})
    silent = NoReply(Reason.BAD_CREDENTIAL, "hunter22", MOMENT, session={"banner": "hunter22"})
    assert "hunter22" not in str(redact(told, mask)) + str(redact(silent, mask))
