"""Servers that hang, drip, hang up and lie: always an answer that says so, always by the deadline."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from preflight.clock import Deadline, monotonic
from preflight.plan import Account as Login
from preflight.plan import Host, SecretRef
from preflight.reasons import Reason
from preflight.sessions import CannotAsk, SessionFailed, dial
from preflight.sessions.ssh.shared import Dropped
from preflight.sessions.ssh.transport import Transport
from tests.sessions.conftest import LATE_SECONDS, MakePool, ask, no_reply
from tests.sessions.ssh import misbehaving
from tests.site.accounts import make_key

SECONDS = 0.7
"""For what hangs in the very first step, so that a busy machine cannot make another answer of it."""
FakeHost = Callable[..., Host]


@pytest.fixture
def fake_host(monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setenv("HOST_PASSWORD", "canary-password")

    def make(port: int, address: str = "127.0.0.1", known_hosts: tuple[Path, ...] = ()) -> Host:
        password = SecretRef("env", "HOST_PASSWORD")
        return Host(id="db1", address=address, port=port, user=Login("dba"), password=password, known_hosts=known_hosts)

    return make


def test_a_second_address_is_tried_when_the_first_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        addresses = ((socket.AF_INET, ("127.0.0.2", port)), (socket.AF_INET, ("127.0.0.1", port)))
        sock, address = dial.connect(dial.Resolved(addresses), Deadline(5))
        with sock:
            assert address == f"127.0.0.1:{port}"
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_silence_is_a_timeout_even_when_the_login_had_less_time_than_the_wait_for_it() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        socket.create_connection(silent.getsockname()) as client,
        pytest.raises(CannotAsk) as failed,
    ):
        Transport(client, 0.1, None).shake_hands(Deadline(0.5))
    assert failed.value.reason is Reason.HANDSHAKE
    assert not isinstance(failed.value, Dropped)  # else it would be dialled again as a throttling server


def test_scanning_a_silent_server_ends_at_the_deadline(make_pool: MakePool, fake_host: FakeHost) -> None:
    with misbehaving.serving(misbehaving.silent) as port:
        begun = monotonic()
        with pytest.raises(SessionFailed) as failed:
            make_pool(fake_host(port)).scan_host_key("db1", Deadline(SECONDS))
        assert monotonic() - begun < SECONDS + LATE_SECONDS
    assert failed.value.answer.reason is Reason.TARGET_LIMIT


def test_an_unreadable_known_hosts_file_is_named_in_the_refusal(
    make_pool: MakePool,
    fake_host: FakeHost,
    tmp_path: Path,
) -> None:
    with misbehaving.serving(misbehaving.hanging_in("auth")) as port:
        answer = no_reply(ask(make_pool(fake_host(port, known_hosts=(tmp_path,)))))
    assert answer.reason is Reason.HOST_KEY_UNKNOWN
    assert str(tmp_path) in answer.detail


@pytest.mark.parametrize("reason", [Reason.HOST_KEY_UNKNOWN, Reason.HOST_KEY_CHANGED])
def test_a_server_whose_key_is_not_the_pinned_one_is_sent_neither_name_nor_password(
    make_pool: MakePool, fake_host: FakeHost, tmp_path: Path, reason: Reason
) -> None:
    other = make_key(tmp_path / "other", kind="ecdsa").with_suffix(".pub").read_text()
    pinned = f"* {other}" if reason is Reason.HOST_KEY_CHANGED else ""
    server = misbehaving.Asking(["Password: "])
    with misbehaving.serving(misbehaving.asking(server)) as port:
        pool = make_pool(fake_host(port), known_hosts=pinned)
        assert no_reply(ask(pool)).reason is reason
        pool.close()
    assert (server.users, server.answers) == ([], [])


@pytest.mark.case(34)
@pytest.mark.parametrize(
    ("prompts", "reason", "sent"),
    [
        (["Verification code: "], Reason.PARTIAL, 0),
        (["Verification code: ", "Password: "], Reason.PARTIAL, 0),
        (["Password: ", "Verification code: "], Reason.PARTIAL, 1),
        (["Password: ", "New password: "], Reason.PASSWORD_EXPIRED, 1),
        (["Password: ", "Password: "], Reason.PARTIAL, 1),
        (["Password + token: "], Reason.PARTIAL, 0),
        (["Enter passphrase for key '/home/dba/.ssh/id_ed25519': "], Reason.PARTIAL, 0),
        (["Whoever forgot the password calls 4422.\nPress Enter: "], Reason.PARTIAL, 0),
    ],
)
def test_the_password_goes_to_no_prompt_that_does_not_ask_for_it_and_nowhere_twice(
    make_pool: MakePool, fake_host: FakeHost, prompts: list[str], reason: Reason, sent: int
) -> None:
    server = misbehaving.Asking(prompts)
    server.instructions = "Message of the day: whoever forgot it asks for another one. Password:"
    with misbehaving.serving(misbehaving.asking(server)) as port:
        pool = make_pool(fake_host(port), known_hosts=f"* {misbehaving.HOST_KEY_FIELDS}\n")
        answer = no_reply(ask(pool))
        pool.close()
    assert answer.reason is reason, answer
    assert server.answers == ["canary-password"] * sent
