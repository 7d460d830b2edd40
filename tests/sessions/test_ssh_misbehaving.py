"""Servers that hang, drip, hang up and lie: always an answer that says so, always by the deadline."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from preflight.clock import Deadline, monotonic
from preflight.plan import Account as Login
from preflight.plan import Host
from preflight.probe import Cause
from preflight.secrets import SecretRef
from preflight.sessions import SessionFailed, dial
from tests.sessions import misbehaving
from tests.sessions.conftest import MakePool, ask, ask_all, no_reply, question

SECONDS = 1.2
FakeHost = Callable[..., Host]


@pytest.fixture
def fake_host(monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setenv("HOST_PASSWORD", "canary-password")

    def make(port: int, address: str = "127.0.0.1", known_hosts: tuple[Path, ...] = ()) -> Host:
        password = SecretRef("env", "HOST_PASSWORD")
        return Host(id="db1", address=address, port=port, user=Login("dba"), password=password, known_hosts=known_hosts)

    return make


@pytest.mark.parametrize(
    ("behaviour", "cause", "words"),
    [
        (misbehaving.silent, Cause.TIMED_OUT, "no SSH version string"),
        (misbehaving.banner_only, Cause.TIMED_OUT, "key exchange"),
        (misbehaving.dripping_banner, Cause.TIMED_OUT, "no SSH version string"),
        (misbehaving.endless_preface, Cause.TIMED_OUT, "no SSH version string"),
        (misbehaving.stalling_key_exchange, Cause.TIMED_OUT, "key exchange"),
        (misbehaving.hanging_up_after_banner, Cause.CUT_OFF, "during the key exchange"),
        (misbehaving.web_server, Cause.CUT_OFF, "no SSH server"),
        (misbehaving.hanging_in("auth"), Cause.TIMED_OUT, ""),
        (misbehaving.hanging_in("channel"), Cause.TIMED_OUT, ""),
        (misbehaving.hanging_in("no-channel"), Cause.CUT_OFF, "no session channel"),
        (misbehaving.hanging_in("exec"), Cause.TIMED_OUT, ""),
        (misbehaving.hanging_in("no-exec"), Cause.NO_SHELL, "refuses to run a command"),
        (misbehaving.hanging_in("output"), Cause.TIMED_OUT, ""),
        (misbehaving.hanging_in("cut"), Cause.CUT_OFF, "connection was lost"),
        (misbehaving.hanging_in("no-status"), Cause.CUT_OFF, "connection was lost"),
    ],
    ids=lambda value: getattr(value, "__name__", "") or str(value),
)
def test_every_misbehaviour_ends_by_the_deadline_with_its_cause(
    make_pool: MakePool,
    fake_host: FakeHost,
    behaviour: misbehaving.Behaviour,
    cause: Cause,
    words: str,
) -> None:
    with misbehaving.serving(behaviour) as port:
        pool = make_pool(fake_host(port), known_hosts=f"* {misbehaving.HOST_KEY_FIELDS}\n")
        questions = [question("echo batch"), question("echo own", own_channel=True)]
        answers = ask_all(pool, questions, SECONDS)
        for answer in answers.values():
            failed = no_reply(answer)
            assert failed.cause is cause, failed
            assert words in failed.detail
            assert failed.vantage == "from here to db1 as dba"
            assert failed.session["address"] == f"127.0.0.1:{port}"
            assert "canary-password" not in repr(failed)
        pool.close()


def test_a_server_that_always_hangs_up_is_called_throttling_after_a_few_tries(
    make_pool: MakePool,
    fake_host: FakeHost,
) -> None:
    tries = []

    def counted(connection: socket.socket, over: object) -> None:
        tries.append(connection)
        misbehaving.hanging_up(connection, over)  # type: ignore[arg-type]

    with misbehaving.serving(counted) as port:
        answer = no_reply(ask(make_pool(fake_host(port)), seconds=10))
    assert (answer.cause, answer.reason) == (Cause.REFUSED, "throttled")
    assert len(tries) == 4


def test_a_port_nobody_listens_on_is_refused(make_pool: MakePool, fake_host: FakeHost) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    answer = no_reply(ask(make_pool(fake_host(port)), seconds=5))
    assert (answer.cause, answer.session["address"]) == (Cause.REFUSED, f"127.0.0.1:{port}")


def test_a_black_hole_is_a_timeout(make_pool: MakePool, fake_host: FakeHost) -> None:
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        answer = no_reply(ask(make_pool(fake_host(hole.getsockname()[1])), seconds=SECONDS))
        for filler in fillers:
            filler.close()
    assert answer.cause is Cause.TIMED_OUT


def test_a_name_that_does_not_exist_is_unreachable(
    make_pool: MakePool,
    fake_host: FakeHost,
    mocker: MockerFixture,
) -> None:
    mocker.patch("socket.getaddrinfo", autospec=True, side_effect=socket.gaierror(socket.EAI_NONAME, "unknown"))
    answer = no_reply(ask(make_pool(fake_host(22, "no-such-host.example")), seconds=5))
    assert (answer.cause, answer.reason) == (Cause.UNREACHABLE, "no-such-name")


def test_a_hung_name_service_is_abandoned_at_the_deadline(
    make_pool: MakePool,
    fake_host: FakeHost,
    mocker: MockerFixture,
) -> None:
    release = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        release.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    mocker.patch("socket.getaddrinfo", autospec=True, side_effect=hang)
    begun = monotonic()
    answer = no_reply(ask(make_pool(fake_host(22, "slow.example")), seconds=SECONDS))
    assert monotonic() - begun < SECONDS + 0.3
    assert answer.cause is Cause.TIMED_OUT
    assert "resolving slow.example" in answer.detail
    release.set()


def test_a_second_address_is_tried_when_the_first_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        addresses = ((socket.AF_INET, ("127.0.0.2", port)), (socket.AF_INET, ("127.0.0.1", port)))
        sock, address = dial.connect(dial.Resolved("db1", addresses), Deadline(5))
        with sock:
            assert address == f"127.0.0.1:{port}"
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_scanning_a_silent_server_ends_at_the_deadline(make_pool: MakePool, fake_host: FakeHost) -> None:
    with misbehaving.serving(misbehaving.silent) as port:
        begun = monotonic()
        with pytest.raises(SessionFailed) as failed:
            make_pool(fake_host(port)).scan_host_key("db1", Deadline(SECONDS))
        assert monotonic() - begun < SECONDS + 0.3
    assert failed.value.answer.cause is Cause.TIMED_OUT


def test_an_unreadable_known_hosts_file_is_named_in_the_refusal(
    make_pool: MakePool,
    fake_host: FakeHost,
    tmp_path: Path,
) -> None:
    with misbehaving.serving(misbehaving.hanging_in("auth")) as port:
        answer = no_reply(ask(make_pool(fake_host(port, known_hosts=(tmp_path,))), seconds=5))
    assert answer.cause is Cause.HOST_KEY_UNKNOWN
    assert str(tmp_path) in answer.detail
