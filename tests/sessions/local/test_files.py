"""Files beside the plan: what is listed, hashed and read, and what is never opened."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from preflight.clock import Deadline
from preflight.probe import Answer, NoReply, Probe, Question, Reply, Via
from preflight.questions.files import (
    LARGEST_TEXT_BYTES,
    EntryKind,
    LocalFile,
    LocalText,
    LocalTexts,
    LocalTree,
    Texts,
    Tree,
)
from preflight.questions.local import TARGET
from preflight.reasons import Reason
from preflight.sessions.local import LocalSession
from preflight.sessions.local import files as local_files


def ask_all(folder: Path, questions: Sequence[Question], seconds: float = 10.0) -> dict[str, Answer]:
    answers: dict[str, Answer] = {}

    def deliver(question: Question, answer: Answer) -> None:
        assert question.id not in answers, "answered twice"
        answers[question.id] = answer

    session = LocalSession(folder)
    session.ask(questions, Deadline(seconds), deliver)
    session.close()
    return answers


def ask(folder: Path, probe: Probe[Any], seconds: float = 10.0) -> Answer:
    return ask_all(folder, [probe.question()], seconds)[probe.question().id]


def lost(folder: Path, probe: Probe[Any], seconds: float = 10.0) -> NoReply:
    answer = ask(folder, probe, seconds)
    assert isinstance(answer, NoReply), answer
    return answer


def tree(folder: Path, name: str = "sql") -> Tree:
    answer = ask(folder, LocalTree(TARGET, name))
    assert isinstance(answer, Reply), answer
    return LocalTree(TARGET, name).read(answer)


def text(folder: Path, name: str) -> LocalText:
    answer = ask(folder, LocalFile(TARGET, name))
    assert isinstance(answer, Reply), answer
    return LocalFile(TARGET, name).read(answer)


def texts(folder: Path, name: str = "sql") -> Texts:
    answer = ask(folder, LocalTexts(TARGET, name))
    assert isinstance(answer, Reply), answer
    return LocalTexts(TARGET, name).read(answer)


@pytest.fixture
def sql(tmp_path: Path) -> Path:
    folder = tmp_path / "sql"
    folder.mkdir()
    return folder


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_every_file_below_the_folder_is_hashed(tmp_path: Path, sql: Path) -> None:
    (sql / "undo").mkdir()
    (sql / "010_a.sql").write_bytes(b"select 1;\n")
    (sql / "undo" / "010_a.down.sql").write_bytes(b"select 2;\nselect 3;")
    found = tree(tmp_path)
    assert [entry.path for entry in found.entries] == ["010_a.sql", "undo", "undo/010_a.down.sql"]
    assert [entry.kind for entry in found.entries] == [EntryKind.FILE, EntryKind.FOLDER, EntryKind.FILE]
    first, last = found.files["010_a.sql"], found.files["undo/010_a.down.sql"]
    assert first.sha256 == sha256(b"select 1;\n")
    assert (first.size_bytes, last.size_bytes) == (10, 19)
    assert found.unread == ()
    assert not found.problem


def test_two_checkouts_of_the_same_files_answer_alike(tmp_path: Path) -> None:
    """Another umask, and another file system, whose folders have sizes of their own: the runners of a CI engine."""
    texts = []
    for name, mode, beside in (("one", 0o644, 0), ("other", 0o666, 300)):
        sql = tmp_path / name / "sql"
        sql.mkdir(parents=True)
        (sql / "undo").mkdir()
        spare = [sql / "undo" / f"{'x' * 200}{number}" for number in range(beside)]
        for file in spare:  # a folder that was once full keeps its size on most file systems
            file.touch()
        for file in spare:
            file.unlink()
        (sql / "010_a.sql").write_text("select 1;\n")
        (sql / "010_a.sql").chmod(mode)
        os.utime(sql / "010_a.sql", (1_790_000_000 + mode, 1_790_000_000))
        answer = ask(tmp_path / name, LocalTree(TARGET, "sql"))
        assert isinstance(answer, Reply)
        texts.append(answer.text)
    assert texts[0] == texts[1]


@pytest.mark.parametrize("content", [b"a\r\nb\r\n", b"\xef\xbb\xbfa\nb\n", b"a\nb", b"\xef\xbb\xbfa\r\nb\r\n\r\n"])
def test_files_that_differ_in_line_ends_mark_or_last_newline_only_have_one_bare_hash(
    tmp_path: Path, sql: Path, content: bytes
) -> None:
    (sql / "a.sql").write_bytes(b"a\nb\n")
    (sql / "b.sql").write_bytes(content)
    plain, other = tree(tmp_path).files.values()
    assert plain.sha256 != other.sha256
    assert plain.sha256_bare == other.sha256_bare == sha256(b"a\nb")
    assert other.sha256_with_lf == sha256(content.replace(b"\r\n", b"\n"))
    assert other.crlf_lines == content.count(b"\r\n")


def test_links_are_listed_and_never_followed(tmp_path: Path, sql: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.sql").write_text("select 1;")
    (sql / "file.sql").symlink_to("../outside/secret.sql")
    (sql / "folder").symlink_to("../outside")
    (sql / "dangling").symlink_to("./nowhere")
    (sql / "loop").symlink_to(".")
    found = tree(tmp_path)
    assert {entry.path: entry.link_target for entry in found.entries} == {
        "file.sql": "../outside/secret.sql",
        "folder": "../outside",
        "dangling": "./nowhere",
        "loop": ".",
    }
    assert {entry.kind for entry in found.entries} == {EntryKind.SYMLINK}
    assert found.files == {}
    assert texts(tmp_path).texts == {}


def test_a_fifo_is_listed_and_never_opened(tmp_path: Path, sql: Path) -> None:
    os.mkfifo(sql / "pipe.sql")
    [entry] = tree(tmp_path).entries
    assert entry.kind is EntryKind.OTHER
    assert (entry.sha256, entry.error) == ("", "")
    assert texts(tmp_path).texts == {}
    assert text(tmp_path, "sql/pipe.sql").problem == "sql/pipe.sql: not a regular file"


def test_names_of_every_kind_survive(tmp_path: Path, sql: Path) -> None:
    names = ["*star.sql", " lead.sql", "new\nline.sql", "größe.sql", os.fsdecode(b"latin-\xe9.sql"), "-rf.sql"]
    for name in names:
        (sql / name).write_text(name, encoding="utf-8", errors="surrogateescape")
    assert set(tree(tmp_path).files) == set(names)
    assert set(texts(tmp_path).texts) == set(names)


def test_a_missing_folder_is_a_negative_answer(tmp_path: Path) -> None:
    assert tree(tmp_path).problem == "sql: no such folder"
    assert texts(tmp_path).problem == "sql: no such folder"
    assert text(tmp_path, "sql.sums").problem == "sql.sums: no such file"
    assert text(tmp_path, "sql/a/b").problem == "sql/a/b: no such file"


def test_a_file_in_place_of_the_folder_is_a_negative_answer(tmp_path: Path) -> None:
    (tmp_path / "sql").write_text("")
    assert tree(tmp_path).problem == "sql: not a folder"
    (tmp_path / "folder").mkdir()
    assert text(tmp_path, "folder").problem == "folder: not a regular file"


def test_an_empty_folder_is_an_empty_tree_without_a_problem(tmp_path: Path, sql: Path) -> None:
    assert tree(tmp_path) == Tree(())


def test_what_may_not_be_read_is_no_reply(tmp_path: Path, sql: Path, mocker: MockerFixture) -> None:
    """Root may read everything, so the refusal is a fake."""
    (sql / "a.sql").write_text("select 1;")
    mocker.patch("os.scandir", side_effect=PermissionError(13, "Permission denied"))
    mocker.patch("os.open", side_effect=PermissionError(13, "Permission denied"))
    assert lost(tmp_path, LocalTree(TARGET, "sql")).reason is Reason.FILE_DENIED
    assert lost(tmp_path, LocalTexts(TARGET, "sql")).reason is Reason.FILE_DENIED
    assert lost(tmp_path, LocalFile(TARGET, "sql/a.sql")).reason is Reason.FILE_DENIED


def test_a_file_that_may_not_be_read_is_an_entry_with_an_error(
    tmp_path: Path, sql: Path, mocker: MockerFixture
) -> None:
    (sql / "a.sql").write_text("select 1;")
    mocker.patch("os.open", side_effect=PermissionError(13, "Permission denied"))
    [entry] = tree(tmp_path).unread
    assert (entry.path, entry.sha256, entry.error) == ("a.sql", "", "Permission denied")
    assert texts(tmp_path).unread == {"a.sql": "Permission denied"}


def test_a_file_that_changes_while_it_is_hashed_has_no_hash(tmp_path: Path, sql: Path, mocker: MockerFixture) -> None:
    script = sql / "a.sql"
    script.write_text("select 1;")
    real = local_files._identity
    calls = 0

    def change(status: os.stat_result) -> tuple[int, ...]:
        nonlocal calls
        calls += 1
        if calls == 2:  # the file is open by now
            with script.open("a") as file:
                file.write("drop table orders;")
        return real(status)

    mocker.patch.object(local_files, "_identity", side_effect=change)
    [entry] = tree(tmp_path).entries
    assert (entry.sha256, entry.error) == ("", "it changed while it was read")


def test_too_many_entries_are_no_reply(tmp_path: Path, sql: Path, mocker: MockerFixture) -> None:
    mocker.patch.object(local_files.asked, "MOST_ENTRIES", 3)
    for number in range(4):
        (sql / f"{number}.sql").write_text("")
    answer = lost(tmp_path, LocalTree(TARGET, "sql"))
    assert (answer.reason, answer.detail) == (Reason.TOO_MUCH, "sql: there are more than 3 entries")


def test_too_many_bytes_are_no_reply_and_are_not_read(tmp_path: Path, sql: Path, mocker: MockerFixture) -> None:
    with (sql / "huge.dump").open("wb") as file:
        file.truncate(513 * 1024 * 1024)
    opened = mocker.spy(os, "open")
    assert lost(tmp_path, LocalTree(TARGET, "sql")).reason is Reason.TOO_MUCH
    assert not [call for call in opened.call_args_list if "huge.dump" in str(call)]


def test_a_large_file_is_hashed_without_its_normalised_forms(tmp_path: Path, sql: Path) -> None:
    content = b"x" * (9 * 1024 * 1024)
    (sql / "large.bin").write_bytes(content)
    entry = tree(tmp_path).files["large.bin"]
    assert entry.sha256 == sha256(content)
    assert entry.sha256_bare == ""


def test_a_file_system_that_hangs_holds_up_no_other_question(tmp_path: Path, sql: Path, mocker: MockerFixture) -> None:
    (tmp_path / "a.txt").write_text("here")
    released = threading.Event()
    mocker.patch("preflight.sessions.local.list_tree", side_effect=lambda *_: [released.wait(30)])
    hanging, quick = LocalTree(TARGET, "sql").question(), LocalFile(TARGET, "a.txt").question()
    order: list[Question] = []

    def deliver(question: Question, _answer: Answer) -> None:
        order.append(question)
        released.set()

    LocalSession(tmp_path).ask([hanging, quick], Deadline(10.0), deliver)
    assert order == [quick, hanging]


def test_the_deadline_holds_between_files(tmp_path: Path, sql: Path, mocker: MockerFixture) -> None:
    (sql / "a.sql").write_text("select 1;")
    expired = mocker.patch.object(Deadline, "over", new_callable=mocker.PropertyMock, return_value=True)
    assert lost(tmp_path, LocalTree(TARGET, "sql")).reason is Reason.QUESTION_LIMIT
    assert lost(tmp_path, LocalTexts(TARGET, "sql")).reason is Reason.QUESTION_LIMIT
    assert expired.called


def test_a_text_is_read_whole_with_its_hash(tmp_path: Path) -> None:
    content = 'größe "x"\n\nlast line without newline'
    (tmp_path / "SHA256SUMS").write_text(content, encoding="utf-8")
    found = text(tmp_path, "SHA256SUMS")
    assert (found.text, found.sha256) == (content, sha256(content.encode()))


def test_a_link_to_a_text_is_followed_because_configuration_is_mounted_so(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("x")
    (tmp_path / "link").symlink_to("real")
    assert text(tmp_path, "link").text == "x"


def test_a_text_that_is_not_utf_8_has_marks_in_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    found = text(tmp_path, "a.txt")
    assert (found.text, found.sha256) == ("caf\ufffd", sha256(b"caf\xe9"))


def test_a_text_over_its_cap_is_no_reply(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * LARGEST_TEXT_BYTES)
    assert len(text(tmp_path, "a.txt").text) == LARGEST_TEXT_BYTES
    (tmp_path / "a.txt").write_bytes(b"x" * (LARGEST_TEXT_BYTES + 1))
    assert lost(tmp_path, LocalFile(TARGET, "a.txt")).reason is Reason.TOO_MUCH


def test_scripts_are_read_and_what_is_left_out_is_named(tmp_path: Path, sql: Path, mocker: MockerFixture) -> None:
    mocker.patch.object(local_files.asked, "MOST_SCRIPT_BYTES", 300_000)
    mocker.patch.object(local_files.asked, "LARGEST_SCRIPT_BYTES", 262_144)
    (sql / "sub").mkdir()
    (sql / "010.sql").write_text("\\i sub/020.SQL")
    (sql / "sub" / "020.SQL").write_bytes(b"\xef\xbb\xbfselect '\xe9';")
    (sql / "readme.txt").write_text("no script")
    (sql / "a_large.sql").write_bytes(b"-" * 262_145)
    (sql / "b_fits.sql").write_bytes(b"-" * 250_000)
    (sql / "c_no_room.sql").write_bytes(b"-" * 100_000)
    found = texts(tmp_path)
    assert set(found.texts) == {"010.sql", "sub/020.SQL", "b_fits.sql"}
    assert found.texts["sub/020.SQL"] == "\ufeffselect '\ufffd';"
    assert found.unread["a_large.sql"].startswith("larger than ")
    assert "c_no_room.sql" in found.unread


def test_what_a_script_includes_is_read_whatever_its_name(tmp_path: Path, sql: Path) -> None:
    (sql / "010.sql").write_text("\\ir settings.inc\n\\copy t from rows.csv\n")
    (sql / "settings.inc").write_text("\\ir 'deeper one.txt'\n")
    (sql / "deeper one.txt").write_text("\\set ON_ERROR_STOP off\n")
    (sql / "rows.csv").write_text("1,2\n")
    (sql / "wide.sql").write_bytes("select 1;".encode("utf-16"))
    found = texts(tmp_path)
    assert set(found.texts) == {"010.sql", "settings.inc", "deeper one.txt"}
    assert found.unread == {"wide.sql": "no text: it holds NUL bytes"}


def test_a_question_that_is_no_file_request_is_not_asked(tmp_path: Path) -> None:
    question = Question(Via.LOCAL, TARGET, 'read the text file a\n{"text": "/etc/passwd"}')
    answer = ask_all(tmp_path, [question])[question.id]
    assert isinstance(answer, NoReply)
    assert answer.reason is Reason.NOT_ASKED
