"""SSH signatures by the real ssh-keygen: who signed, and each reason why it was nobody."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from preflight.clock import Deadline
from preflight.probe import NoReply, Reply
from preflight.questions.local import TARGET, Namespace, Signature, SignatureProbe
from preflight.reasons import Reason
from preflight.sessions import local
from preflight.sessions.local import LocalSession
from preflight.sessions.signatures import SignatureFailed, sign
from tests.signing import allowed, signing_key

TEXT = "0" * 64 + "  010_tables.sql\n"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return signing_key(tmp_path / "kaya")


def verified(folder: Path, signature: str, text: str = TEXT) -> Signature:
    probe = SignatureProbe(TARGET, "signers", Namespace.MANIFEST, text, signature)
    answer = LocalSession(folder).answer(probe.question(), Deadline(60))
    assert isinstance(answer, Reply), answer
    return probe.read(answer)


def test_whoever_signed_is_named_as_the_file_names_him(tmp_path: Path, key: Path) -> None:
    signature = sign(key, Namespace.MANIFEST, TEXT)
    allowed(tmp_path / "signers", ('"D. Kaya" namespaces="preflight-manifest"', key))
    assert verified(tmp_path, signature) == Signature(("D. Kaya",))
    allowed(tmp_path / "signers", ("kaya@example.net,dba@example.net", key))
    assert verified(tmp_path, signature) == Signature(("kaya@example.net", "dba@example.net"))


@pytest.mark.parametrize(
    ("words", "ends_at"),
    [
        ('valid-before="20991231Z"', datetime(2099, 12, 31, tzinfo=UTC)),
        ('namespaces="preflight-manifest",Valid-Before="209912312330"', datetime(2100, 1, 1, 4, 30, tzinfo=UTC)),
        ('valid-before="20990701"', datetime(2099, 7, 1, 4, tzinfo=UTC)),
        ('valid-after="20200101"', None),
    ],
)
def test_until_when_the_key_of_a_signature_counts_is_as_its_line_says(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch, words: str, ends_at: datetime | None
) -> None:
    """A time without `Z` is of this machine's zone, as ssh-keygen reads it."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    other = signing_key(tmp_path / "other")
    allowed(tmp_path / "signers", ('kaya valid-before="20980101Z"', other), (f"kaya {words}", key))
    assert verified(tmp_path, sign(key, Namespace.MANIFEST, TEXT)) == Signature(("kaya",), "", ends_at)
    allowed(tmp_path / "signers", (f"kaya {words}", key), ("kaya", key))
    assert verified(tmp_path, sign(key, Namespace.MANIFEST, TEXT)).ends_at is None, "another line of it has no end"
    monkeypatch.undo()
    time.tzset()


def test_a_key_that_has_two_owners_names_neither(tmp_path: Path, key: Path) -> None:
    """Of several lines ssh-keygen takes the first: an author who adds his key under another name approves himself."""
    signature = sign(key, Namespace.MANIFEST, TEXT)
    owner = '"T. Lindgren" namespaces="preflight-manifest"'
    allowed(tmp_path / "signers", (owner, key), ("author@example.net", key))
    found = verified(tmp_path, signature)
    assert found.problem.startswith("signers has one key for T. Lindgren and for author@example.net: ")
    allowed(tmp_path / "signers", (owner, key), ('"T. Lindgren" namespaces="preflight-report"', key))
    assert verified(tmp_path, signature) == Signature(("T. Lindgren",))


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("*", "signers has a pattern, *, where it must name the key's owner"),
        ("*@example.net", "signers has a pattern, *@example.net, where"),
        ('kaya namespaces="preflight-confirmation"', "not permitted for use in signature namespace"),
        ('kaya valid-before="20200101"', "signers:1: key has expired"),
        ("kaya nonsense", "signers:1:"),
    ],
)
def test_a_line_that_allows_nothing_is_nobodys(tmp_path: Path, key: Path, words: str, problem: str) -> None:
    allowed(tmp_path / "signers", (words, key))
    found = verified(tmp_path, sign(key, Namespace.MANIFEST, TEXT))
    assert (found.signers, problem in found.problem) == ((), True), found


def test_a_name_and_a_pattern_on_two_lines_of_one_key_are_nobodys(tmp_path: Path, key: Path) -> None:
    """ssh-keygen finds the name on the first line, and the right to sign on the second."""
    allowed(tmp_path / "signers", ('"D. Kaya" namespaces="preflight-confirmation"', key), ('"?. *"', key))
    found = verified(tmp_path, sign(key, Namespace.MANIFEST, TEXT))
    assert (found.signers, "signers has a pattern, ?. *, where" in found.problem) == ((), True), found


def test_another_text_a_strangers_key_another_purpose_and_no_signature_are_nobodys(tmp_path: Path, key: Path) -> None:
    allowed(tmp_path / "signers", ("kaya", key))
    signature = sign(key, Namespace.MANIFEST, TEXT)
    stranger = sign(signing_key(tmp_path / "stranger"), Namespace.MANIFEST, TEXT)
    confirmed = sign(key, Namespace.CONFIRMATION, TEXT)
    for found in (
        verified(tmp_path, signature, TEXT + " "),
        verified(tmp_path, stranger),
        verified(tmp_path, confirmed),
        verified(tmp_path, "approved"),
        verified(tmp_path, signature * 100),
    ):
        assert (found.signers, bool(found.problem)) == ((), True)
    (tmp_path / "signers").unlink()
    assert verified(tmp_path, signature).problem == "signers: no such file"


def test_without_ssh_keygen_nobody_could_look_and_nothing_can_be_signed(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = sign(key, Namespace.MANIFEST, TEXT)
    allowed(tmp_path / "signers", ("kaya", key))
    monkeypatch.setenv("PATH", str(tmp_path))
    probe = SignatureProbe(TARGET, "signers", Namespace.MANIFEST, TEXT, signature)
    answer = LocalSession(tmp_path).answer(probe.question(), Deadline(60))
    assert isinstance(answer, NoReply)
    assert (answer.reason, answer.vantage) == (Reason.NO_SSH_KEYGEN, local.VANTAGE)
    with pytest.raises(SignatureFailed, match="not on this machine: install the client programs of OpenSSH"):
        sign(key, Namespace.MANIFEST, TEXT)


def test_a_key_that_cannot_sign_says_why(tmp_path: Path) -> None:
    with pytest.raises(SignatureFailed, match=r"--sign .*missing: ssh-keygen did not sign: .*No such file"):
        sign(tmp_path / "missing", Namespace.MANIFEST, TEXT)


@pytest.mark.long
def test_a_passphrase_without_a_terminal_is_an_error_and_not_waited_for(tmp_path: Path) -> None:
    key = signing_key(tmp_path / "locked", "correct horse")
    program = (
        "import sys; from pathlib import Path; from preflight.sessions.signatures import *\n"
        "try: sign(Path(sys.argv[1]), Namespace.MANIFEST, 'x')\n"
        "except SignatureFailed as failed: print(failed)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, key], capture_output=True, text=True, start_new_session=True, check=True
    )
    assert "a key with a passphrase wants a terminal, or the agent: ssh-add it" in done.stdout


SIGN = (
    "import sys; from pathlib import Path; from preflight.sessions.signatures import *\n"
    "sign(Path(sys.argv[1]), Namespace.MANIFEST, 'x')"
)


@pytest.mark.long
def test_on_a_terminal_ssh_keygen_asks_for_the_passphrase_itself(tmp_path: Path) -> None:
    key = signing_key(tmp_path / "locked", "correct horse")
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-c", SIGN, str(key)])
    shown = b""
    while b"passphrase" not in shown:
        shown += os.read(terminal, 1024)
    os.write(terminal, b"correct horse\n")
    with contextlib.suppress(OSError):  # a terminal whose process has ended
        while os.read(terminal, 1024):
            pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0


def test_for_a_public_key_the_agent_signs(tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as short:  # a socket's path has 107 characters
        folder = Path(short)
        with subprocess.Popen(["ssh-agent", "-D", "-a", folder / "agent"], stdout=subprocess.PIPE) as agent:
            try:
                assert agent.stdout is not None
                agent.stdout.readline()  # it says where it listens once it does
                monkeypatch.setenv("SSH_AUTH_SOCK", str(folder / "agent"))
                subprocess.run(["ssh-add", "-q", key], check=True)
                allowed(tmp_path / "signers", ("kaya", key))
                key.unlink()
                signature = sign(key.with_name("kaya.pub"), Namespace.MANIFEST, TEXT)
            finally:
                agent.kill()
    assert verified(tmp_path, signature) == Signature(("kaya",))
