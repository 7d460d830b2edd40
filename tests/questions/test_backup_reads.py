"""Reading backups to their end: what a reply must look like, and what the shell really does with odd files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from preflight.probe import Reply, Unreadable
from preflight.questions.backup_reads import Held, ReadArchive, ReadText, TextRead, Verify, connected_to
from preflight.questions.backups import BackupKind
from preflight.questions.shell import AsAccount
from preflight.questions.sql import major_in
from tests.toy import MOMENT

LOGIN = AsAccount("", is_login=True)
SUDO = AsAccount("postgres", is_login=False)
ARCHIVE = """\
list_code=0
header=Archive created at 2026-11-23 05:37:42 UTC
header=dbname: orders
header=TOC Entries: 9
header=Dumped from database version: 15.18 (Debian 15.18-0+deb12u1)
header=Dumped by pg_dump version: 16.4
created=2026-11-23 05:37:42
tables=2
text_bytes=900
unended=0
code=0
said=
end=yes
"""
TEXT = """\
ran_as=1
account=1
readable=yes
code=0
text_bytes=900
first_line=-- PostgreSQL database dump
holds_archive=0
server=15.18
dumped_by=15.18
created=
complete=1
end=yes
"""
TEXT += "database=2 \n"
BEGIN, END = "-- PostgreSQL database dump\n", "-- PostgreSQL database dump complete\n"
DATA = "-- Data for Name: a; Type: TABLE DATA; Schema: public; Owner: release\n"
BEGIN_ALL, END_ALL = "-- PostgreSQL database cluster dump\n", "-- PostgreSQL database cluster dump complete\n"


def reply(text: str, code: int = 0) -> Reply:
    return Reply(code, text, MOMENT, 0.1, "on db1")


def archive(text: str, code: int = 0) -> object:
    return ReadArchive("db1", LOGIN, "/b/x", 30.0, "pg_restore").read(reply(text, code))


def text_read(text: str, code: int = 0) -> TextRead:
    return ReadText("db1", LOGIN, "/b/x", 30.0, BackupKind.TEXT).read(reply(text, code))


def test_an_archives_header_tells_whose_it_is() -> None:
    read = ReadArchive("db1", LOGIN, "/b/x", 30.0, "pg_restore").read(reply(ARCHIVE))
    assert (read.listed, read.is_whole, read.database, read.server, read.tables) == (True, True, "orders", "15.18", 2)
    assert major_in(read.server) == (15,)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("list_code=0\n", ""),
        ("list_code=0", "list_code=1"),  # a full read that succeeds where the listing did not
        ("list_code=0", "list_code=yes"),
        ("code=0\nsaid", "said"),
        ("said=\n", ""),
        ("text_bytes=900\n", ""),
        ("text_bytes=900", "text_bytes=0"),
        ("unended=0\n", ""),
        ("unended=0", "unended=-1"),
        ("end=yes\n", ""),
        ("header=dbname: orders\n", ""),
        ("created=2026-11-23 05:37:42\n", ""),  # its file may be younger than what is in it
        ("created=2026-11-23", "created=Mon Nov 23"),
        ("header=Dumped from", "header=Drawn from"),
        ("tables=2", "tables=two"),
        ("tables=2", "tables=2\ntables=3"),
        ("tables=2", "noise"),
    ],
)
def test_any_other_shape_of_an_archives_reply_is_no_answer(old: str, new: str) -> None:
    with pytest.raises(Unreadable):
        archive(ARCHIVE.replace(old, new, 1))


def test_a_script_that_broke_off_is_no_answer() -> None:
    for probe, text in (
        (ReadArchive("db1", LOGIN, "/b/x", 30.0, "pg_restore"), ARCHIVE),
        (
            Verify("db1", LOGIN, "/b/x", 30.0, "pg_verifybackup", ("-q",)),
            "major=\nidentifier=\nwal=no\ncode=0\nsaid=\nend=yes\n",
        ),
        (ReadText("db1", LOGIN, "/b/x", 30.0, BackupKind.TEXT), TEXT),
    ):
        probe.read(reply(text))
        with pytest.raises(Unreadable):
            probe.read(reply(text, 2))
        with pytest.raises(Unreadable):
            probe.read(reply(""))


@pytest.mark.parametrize("field", TEXT.splitlines())
def test_every_field_of_a_texts_reply_is_needed(field: str) -> None:
    with pytest.raises(Unreadable):
        text_read(TEXT.replace(f"{field}\n", ""))


@pytest.mark.parametrize(
    ("argument", "name"),
    [
        ("orders", "orders"),
        ('"Orders"', "Orders"),
        ("""-reuse-previous=on "dbname='my-orders'\"""", "my-orders"),
        ("""-reuse-previous=on "dbname='it\\'s a \\\\ ""x""'\"""", 'it\'s a \\ "x"'),
    ],
)
def test_a_database_is_known_however_its_name_is_quoted(argument: str, name: str) -> None:
    assert connected_to(argument) == name
    read = text_read(f"{TEXT}database=3 {argument}\n")
    assert (read.databases, read.of(name).tables) == ((name,), 3)


@pytest.mark.parametrize("line", ["database=x orders", "database=orders", "database=", "kind"])
def test_a_database_without_its_count_is_no_answer(line: str) -> None:
    with pytest.raises(Unreadable):
        text_read(f"{TEXT}{line}\n")


@pytest.mark.parametrize(
    ("version", "major"), [("15.18", (15,)), ("18beta1", (18,)), ("9.6.24", (9, 6)), ("", None), ("x", None)]
)
def test_major_versions(version: str, major: tuple[int, ...] | None) -> None:
    assert major_in(version) == major


def test_the_time_limit_is_the_questions_own() -> None:
    question = ReadArchive("db1", SUDO, "/b/x", 90.0, "pg_restore").question()
    assert (question.timeout_seconds, question.own_channel) == (90.0, True)
    assert "timeout -k 5 95" in question.text
    assert "ulimit -t 95" in question.text


def test_a_backup_is_read_at_the_lowest_priority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, programs = tmp_path / "seen", tmp_path / "bin"
    programs.mkdir()
    (programs / "pg_restore").write_text(f"#!/bin/sh\n{{ nice; ionice -p $$; }} >>{seen}\n")
    (programs / "pg_restore").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    subprocess.run(["sh", "-c", ReadArchive("db1", LOGIN, "/b/x", 90.0, "pg_restore").ask()], capture_output=True)
    assert seen.read_text().splitlines()[-2:] == ["19", "idle"]


def test_sudo_is_never_given_a_ticket_or_a_prompt() -> None:
    text = ReadArchive("db1", SUDO, "/b/x", 90.0, "pg_restore").ask()
    assert "sudo -k -n -u postgres --" in text
    with_password = AsAccount("postgres", is_login=False, password="env:X")
    probe = ReadArchive("db1", with_password, "/b/x", 90.0, "pg_restore")
    assert "sudo -S -k -p '' -u postgres --" in probe.ask()
    assert probe.question().stdin_secret == "env:X"


def run(probe: ReadText) -> TextRead:
    done = subprocess.run(["sh", "-c", probe.ask()], capture_output=True, text=True, check=False, timeout=60)
    return probe.read(Reply(done.returncode, done.stdout, MOMENT, 0.1, "here", done.stderr))


@pytest.mark.parametrize(
    ("content", "complete", "tables"),
    [
        (f"{BEGIN}{DATA}COPY a (n) FROM stdin;\n1\n\\.\n{END}", True, 1),
        # Since the minor releases of 2025 another line follows.
        (f"{BEGIN}{DATA}INSERT INTO a VALUES (1);\n{END}--\n\n\\unrestrict x\n\n", True, 1),
        (BEGIN + END + "SELECT 1;\n" * 50, False, 0),
        (f"{BEGIN}{DATA}COPY a (n) FROM stdin;\n1\npreflight-status 0\n", False, 1),
    ],
)
def test_the_end_of_a_text_is_looked_for_where_it_ends(
    tmp_path: Path, content: str, complete: bool, tables: int
) -> None:
    file = tmp_path / "it's $x.sql"
    file.write_text(content)
    read = run(ReadText("db1", LOGIN, str(file), 20.0, BackupKind.TEXT))
    assert (read.code, bool(read.first_line), read.complete, read.of("").tables) == (0, True, complete, tables)


def cluster(end: str) -> str:
    """What pg_dumpall writes: one dump after the other, between a beginning and an end of its own."""
    first = f"\\connect template1\n{BEGIN}{END}"
    copied = f"{DATA}COPY a (n) FROM stdin;\n1\n\\.\n" + DATA.replace("a; T", "b;b; T")
    second = f"CREATE DATABASE x;\n\\connect orders\n{BEGIN}-- Dumped from database version 15.18\n{copied}{END}"
    roles = "".join(f"CREATE ROLE x{number};\n" for number in range(300))
    return BEGIN_ALL + roles + first + second + end


def test_a_dump_of_the_whole_cluster_is_told_by_database_and_ends_with_its_own_line(tmp_path: Path) -> None:
    file = tmp_path / "all.sql"
    file.write_text(cluster(END_ALL))
    read = run(ReadText("db1", LOGIN, str(file), 20.0, BackupKind.TEXT))
    assert (read.of_cluster, read.complete, read.server) == (True, True, "15.18")
    assert (read.databases, read.of("template1").tables, len(read.roles)) == (("template1", "orders"), 0, 300)
    assert read.of("orders") == Held(2, frozenset({"public a", "public b;b"}), frozenset(), frozenset({"release"}))
    file.write_text(cluster(""))
    read = run(ReadText("db1", LOGIN, str(file), 20.0, BackupKind.TEXT))
    assert (read.of_cluster, read.complete) == (True, False), "the end of its last database is not its own"


def test_bytes_that_are_no_text_are_read_through(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(bytes(range(256)) * 1000)
    read = run(ReadText("db1", LOGIN, str(file), 20.0, BackupKind.TEXT))
    assert (read.code, bool(read.first_line), read.complete) == (0, False, False)
