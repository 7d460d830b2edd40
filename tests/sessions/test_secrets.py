"""Secret references: where values come from, and that they go nowhere."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from preflight.plan import Account, Host, SecretRef
from preflight.reasons import Reason
from preflight.sessions import CannotAsk
from preflight.sessions.secrets import PasswordAccount, PasswordTrials, SecretError, Secrets
from preflight.wording import MASK
from tests.toy import toy_plan

CANARY = "c4n'ary %\\\"pass wörd"


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets(tmp_path)


@pytest.mark.parametrize("text", ["env:DB1", "file:db1.secret", "command:pass show 'db 1'", "prompt"])
def test_references_are_read_and_written_the_same(text: str) -> None:
    assert str(SecretRef.parse(text)) == text


@pytest.mark.parametrize("text", ["hunter22", "env:", "vault:hunter22", "", "file: ", ":hunter22"])
def test_a_literal_is_refused_and_never_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="not a secret reference") as refused:
        SecretRef.parse(text)
    assert "hunter22" not in str(refused.value)


def test_from_the_environment(secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB1", CANARY)
    assert secrets.value(SecretRef("env", "DB1")) == CANARY


def test_from_a_private_file(secrets: Secrets, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(CANARY + "\n")
    path.chmod(0o600)
    assert secrets.value(SecretRef("file", "secret")) == CANARY


def test_from_a_command_by_argv_without_a_shell(secrets: Secrets) -> None:
    assert secrets.value(SecretRef("command", "printf %s '$HOME;x'")) == "$HOME;x"


def test_from_a_prompt_that_names_its_purpose(tmp_path: Path) -> None:
    asked: list[str] = []
    secrets = Secrets(tmp_path, lambda purpose: asked.append(purpose) or CANARY)  # type: ignore[func-returns-value]
    for _ in range(2):
        assert secrets.value(SecretRef("prompt"), "password of dbadmin on db1") == CANARY
    secrets.value(SecretRef("prompt"), "password of dbadmin on db2")
    assert asked == ["password of dbadmin on db1", "password of dbadmin on db2"]


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("env:NOT_SET", "NOT_SET is not set"),
        ("env:EMPTY", "is empty"),
        ("env:SHORT", "fewer than 6 characters"),
        ("file:absent", "No such file"),
        ("file:~gone/secret", "No such file"),
        ("file:op en", "chmod 600 '/"),
        ("file:folder", "no regular file"),
        ("file:binary", "not UTF-8"),
        ("command:false", "ended with 1"),
        ("command:no-such-program-at-all", "No such file"),
        ("command:echo 'x", "unbalanced quotes"),
        ("prompt", "needs a terminal"),
    ],
)
def test_what_yields_nothing_is_a_clear_error(
    secrets: Secrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ref: str, said: str
) -> None:
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("SHORT", "qzxv7")
    (tmp_path / "op en").write_text("hunter22")
    (tmp_path / "op en").chmod(0o644)
    (tmp_path / "folder").mkdir(mode=0o700)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "binary").chmod(0o600)
    with pytest.raises(SecretError, match=said) as error:
        secrets.value(SecretRef.parse(ref))
    assert "hunter22" not in str(error.value)
    assert "qzxv7" not in str(error.value)


def test_a_known_value_is_masked_in_every_usual_spelling(secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    import base64
    import html
    import json
    import shlex
    from urllib.parse import quote, quote_plus

    monkeypatch.setenv("DB1", CANARY)
    secrets.value(SecretRef("env", "DB1"))
    for spelling in (
        CANARY, shlex.quote(CANARY), quote(CANARY, safe=""), quote_plus(CANARY), json.dumps(CANARY), repr(CANARY),
        json.dumps(CANARY, ensure_ascii=False), base64.b64encode(CANARY.encode()).decode(),
        html.escape(CANARY), html.escape(CANARY).replace("&#x27;", "&#39;"),
    ):  # fmt: skip
        assert secrets.redact(f"before {spelling} after").replace(MASK, "").strip("'\" ").startswith("before")
        assert MASK in secrets.redact(spelling), spelling


def test_a_value_that_is_the_beginning_of_another_leaves_nothing_of_it(
    secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("DB1", "canary-hunter22"), ("DB2", "canary-hunter22-and-more")):
        monkeypatch.setenv(name, value)
        secrets.value(SecretRef("env", name))
    assert secrets.redact("canary-hunter22-and-more, canary-hunter22") == f"{MASK}, {MASK}"


def test_no_repr_shows_a_value(secrets: Secrets) -> None:
    os.environ["DB_CANARY"] = "hunter22"
    try:
        ref = SecretRef("env", "DB_CANARY")
        secrets.value(ref)
        assert "hunter22" not in repr(secrets) + repr(ref) + str(ref)
    finally:
        del os.environ["DB_CANARY"]


def test_a_command_that_hangs_holds_up_neither_other_secrets_nor_redaction(
    secrets: Secrets, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    monkeypatch.setenv("DB1", CANARY)
    slow = threading.Thread(target=secrets.value, args=(SecretRef("command", f"cat {fifo}"),), daemon=True)
    slow.start()
    end = os.open(fifo, os.O_WRONLY)  # the command has begun to read

    def use() -> None:
        secrets.redact(secrets.value(SecretRef("env", "DB1")))

    quick = threading.Thread(target=use, daemon=True)
    quick.start()
    quick.join(10)
    held_up = quick.is_alive()
    os.write(end, b"late-value")
    os.close(end)
    slow.join(10)
    assert not held_up
    assert secrets.redact("late-value") == MASK


def test_a_value_that_is_no_text_is_masked_too(secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "DB1", "p\udcffss-word")
    assert secrets.redact(secrets.value(SecretRef("env", "DB1"))) == MASK


@pytest.mark.case(30)
@pytest.mark.parametrize("word", ["release", "orders", "ders-a", "blocking", "qzxv7"])
def test_a_secret_that_a_report_would_show_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    """Of the plan, in the middle of its words, of the report's own, and one that is short."""
    plan = toy_plan(hosts=[Host(id="orders-a", user=Account("release"))])
    secrets = Secrets.of(plan)
    monkeypatch.setenv("DB1", word)
    with pytest.raises(SecretError, match="cannot keep it out of the report") as refused:
        secrets.value(SecretRef("env", "DB1"))
    assert refused.value.reason is Reason.SECRET_NOT_MASKED
    assert word not in refused.value.detail
    assert secrets.redact(word) == word


def test_a_reference_without_a_value_is_looked_up_once(secrets: Secrets, tmp_path: Path) -> None:
    count = tmp_path / "count"
    for _ in range(3):
        with pytest.raises(SecretError, match="ended with 1"):
            secrets.value(SecretRef("command", f"sh -c 'echo >>{count}; exit 1'"))
    assert count.read_text() == "\n"


def test_in_another_round_an_accepted_password_is_tried_alone_again_and_a_refused_one_never() -> None:
    trials, account = PasswordTrials(), PasswordAccount("sshd", "dbadmin", "env:DB", "")
    other = PasswordAccount("sshd", "other", "env:OTHER", "")
    for each, accepted in ((account, True), (other, False)):
        assert trials.claim(each, "db1")
        trials.settle(each, "db1", accepted=accepted)
    assert trials.claim(account, "db2"), "accepted, so nobody waits"
    trials.begin_round()
    assert trials.claim(account, "db1")
    assert not trials.claim(account, "db2"), "it may have been changed: one attempt, not one on every host"
    trials.settle(account, "db1", accepted=False)
    for each in (account, other):
        with pytest.raises(CannotAsk, match="refused on db1"):
            trials.claim(each, "db2")
    assert trials.refused_at() == {"db1"}


def test_a_code_of_digits_is_masked_where_it_is_a_whole_number(secrets: Secrets) -> None:
    secrets.mask_code("482913")
    secrets.mask_code("ccccccbchvthlivuitriujjifivbvtrjkjfirllluurj")
    secrets.mask_code("1")
    told = "it says: 482913; again '482913': ccccccbchvthlivuitriujjifivbvtrjkjfirllluurj"
    assert secrets.redact(told) == f"it says: {MASK}; again '{MASK}': {MASK}"
    for text in ("SHA256:e482913b", "1748291345 bytes", "1 line"):
        assert secrets.redact(text) == text
