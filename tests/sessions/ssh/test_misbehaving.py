"""Servers that hang, drip, hang up and lie: always an answer that says so, always by the deadline."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from preflight.clock import Deadline, monotonic
from preflight.plan import Account as Login
from preflight.plan import Host, SecretRef
from preflight.probe import NoReply
from preflight.reasons import Reason
from preflight.sessions import SessionFailed, dial
from preflight.sessions.secrets import Secrets
from preflight.sessions.ssh.pool import SshPool
from preflight.sessions.ssh.transport import HandshakeFailed, Transport
from tests.sessions.conftest import GENEROUS_SECONDS, LATE_SECONDS, MakePool, ask, ask_all, no_reply, question
from tests.sessions.ssh import misbehaving
from tests.site.machine import closed_port

SECONDS = 0.7
"""For what hangs in the very first step, so that a busy machine cannot make another answer of it."""
HUNG_SECONDS = 3.0
"""For what hangs in a later step; the steps before it must be over by then."""
FakeHost = Callable[..., Host]


@pytest.fixture
def fake_host(monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setenv("HOST_PASSWORD", "canary-password")

    def make(port: int, address: str = "127.0.0.1", known_hosts: tuple[Path, ...] = ()) -> Host:
        password = SecretRef("env", "HOST_PASSWORD")
        return Host(id="db1", address=address, port=port, user=Login("dba"), password=password, known_hosts=known_hosts)

    return make


HANGING: dict[str, tuple[misbehaving.Behaviour, str]] = {
    "silent": (misbehaving.silent, "no SSH version string"),
    "banner only": (misbehaving.banner_only, "key exchange"),
    "dripping banner": (misbehaving.dripping_banner, "no SSH version string"),
    "endless preface": (misbehaving.endless_preface, "no SSH version string"),
    "stalling key exchange": (misbehaving.stalling_key_exchange, "key exchange"),
    "auth": (misbehaving.hanging_in("auth"), ""),
    "channel": (misbehaving.hanging_in("channel"), ""),
    "exec": (misbehaving.hanging_in("exec"), ""),
    "output": (misbehaving.hanging_in("output"), ""),
}
"""What hangs for ever, and a word about the stage it was seen in last."""


def answers_of(pool: SshPool, port: int, seconds: float, target: str = "db1") -> list[NoReply]:
    """What a batch and a question of its own get, with what holds of every misbehaving server."""
    questions = [question("echo batch", target), question("echo own", target, own_channel=True)]
    answers = [no_reply(answer) for answer in ask_all(pool, questions, seconds).values()]
    for failed in answers:
        assert failed.vantage == f"from here to {target} as dba"
        assert failed.session["address"] == f"127.0.0.1:{port}"
        assert "canary-password" not in repr(failed)
    return answers


@pytest.fixture(scope="module")
def hung(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Sequence[NoReply]]]:
    """The answers of all `HANGING` servers, which are asked side by side: each takes the whole time there is."""
    known_hosts = tmp_path_factory.mktemp("hung") / "known_hosts"
    known_hosts.write_text(f"* {misbehaving.HOST_KEY_FIELDS}\n")
    password = SecretRef("env", "HOST_PASSWORD")
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("HOST_PASSWORD", "canary-password")
        ports = {name: stack.enter_context(misbehaving.serving(behaviour)) for name, (behaviour, _) in HANGING.items()}
        hosts = {
            name: Host(
                id=name, address="127.0.0.1", port=port, user=Login("dba"), password=password, local_account=True
            )
            for name, port in ports.items()
        }
        pool = SshPool(hosts, Secrets(known_hosts.parent), user_known_hosts=[known_hosts])
        stack.callback(pool.close)
        with ThreadPoolExecutor(len(ports)) as threads:
            asked = {name: threads.submit(answers_of, pool, port, HUNG_SECONDS, name) for name, port in ports.items()}
        yield {name: answers.result() for name, answers in asked.items()}


TIMEOUTS = (Reason.HANDSHAKE, Reason.LOGIN_LATE, Reason.QUESTION_LIMIT, Reason.TARGET_LIMIT)


@pytest.mark.parametrize("name", HANGING)
def test_every_server_that_hangs_is_a_timeout_by_the_deadline(hung: Mapping[str, Sequence[NoReply]], name: str) -> None:
    for failed in hung[name]:
        assert failed.reason in TIMEOUTS, failed
        assert HANGING[name][1] in failed.detail


@pytest.mark.parametrize(
    ("behaviour", "reason", "words"),
    [
        (misbehaving.hanging_up_after_banner, Reason.CLOSED_EARLY, "during the key exchange"),
        (misbehaving.web_server, Reason.NOT_SSH, "no SSH server"),
        (misbehaving.hanging_in("no-channel"), Reason.CONNECTION_LOST, "no session channel"),
        (misbehaving.hanging_in("no-exec"), Reason.NO_SHELL, "refuses to run a command"),
        (misbehaving.hanging_in("cut"), Reason.CONNECTION_LOST, "connection was lost"),
        (misbehaving.hanging_in("no-status"), Reason.CONNECTION_LOST, "connection was lost"),
    ],
    ids=["hanging up after banner", "web server", "no channel", "no exec", "cut", "no status"],
)
def test_every_server_that_gives_up_is_told_at_once_with_its_cause(
    make_pool: MakePool,
    fake_host: FakeHost,
    behaviour: misbehaving.Behaviour,
    reason: Reason,
    words: str,
) -> None:
    with misbehaving.serving(behaviour) as port:
        pool = make_pool(fake_host(port), known_hosts=f"* {misbehaving.HOST_KEY_FIELDS}\n")
        for failed in answers_of(pool, port, GENEROUS_SECONDS):
            assert failed.reason is reason, failed
            assert words in failed.detail
        pool.close()


@pytest.mark.long
def test_a_server_that_always_hangs_up_is_tried_until_the_end_and_called_throttling(
    make_pool: MakePool,
    fake_host: FakeHost,
) -> None:
    tries = []

    def counted(connection: socket.socket, over: object) -> None:
        tries.append(connection)
        misbehaving.hanging_up(connection, over)  # type: ignore[arg-type]

    with misbehaving.serving(counted) as port:
        answer = no_reply(ask(make_pool(fake_host(port)), seconds=3 * HUNG_SECONDS))
    assert answer.reason is Reason.THROTTLED
    assert 4 <= len(tries) <= 12  # later and later, not as fast as it can
    assert f"{len(tries)} times" in answer.detail


def test_a_port_nobody_listens_on_is_refused(make_pool: MakePool, fake_host: FakeHost) -> None:
    with closed_port() as port:
        answer = no_reply(ask(make_pool(fake_host(port))))
    assert (answer.reason, answer.session["address"]) == (Reason.NOT_LISTENING, f"127.0.0.1:{port}")


def test_a_black_hole_is_a_timeout_of_the_login_unless_our_own_time_ends_first(
    make_pool: MakePool, fake_host: FakeHost
) -> None:
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        host = fake_host(hole.getsockname()[1])
        by_login = no_reply(ask(make_pool(replace(host, login_within=timedelta(seconds=SECONDS))), seconds=9))
        by_run = no_reply(ask(make_pool(host), seconds=SECONDS))
        for filler in fillers:
            filler.close()
    assert (by_login.reason, by_run.reason) == (Reason.NO_ANSWER, Reason.TARGET_LIMIT)


def test_a_name_that_does_not_exist_is_unreachable(
    make_pool: MakePool,
    fake_host: FakeHost,
    mocker: MockerFixture,
) -> None:
    mocker.patch("socket.getaddrinfo", autospec=True, side_effect=socket.gaierror(socket.EAI_NONAME, "unknown"))
    answer = no_reply(ask(make_pool(fake_host(22, "no-such-host.example"))))
    assert answer.reason is Reason.NO_SUCH_NAME


@pytest.mark.case(31)
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
    assert monotonic() - begun < SECONDS + LATE_SECONDS
    assert answer.reason is Reason.TARGET_LIMIT
    assert "resolving slow.example" in answer.detail
    release.set()


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
        pytest.raises(HandshakeFailed) as failed,
    ):
        Transport(client, 0.1, None).shake_hands(Deadline(0.5))
    assert failed.value.reason is Reason.HANDSHAKE
    assert not failed.value.nothing_received  # else it would be dialled again as a throttling server


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


@pytest.mark.case(34)
@pytest.mark.parametrize(
    ("prompts", "reason", "sent"),
    [
        (["Verification code: "], Reason.PARTIAL, 0),
        (["Verification code: ", "Password: "], Reason.PARTIAL, 0),
        (["Password: ", "Verification code: "], Reason.PARTIAL, 1),
        (["Password: ", "New password: "], Reason.PASSWORD_EXPIRED, 1),
        (["Password: ", "Password: "], Reason.PARTIAL, 1),
    ],
)
def test_the_password_goes_to_no_prompt_that_does_not_ask_for_it_and_nowhere_twice(
    make_pool: MakePool, fake_host: FakeHost, prompts: list[str], reason: Reason, sent: int
) -> None:
    server = misbehaving.Asking(prompts)
    with misbehaving.serving(misbehaving.asking(server)) as port:
        pool = make_pool(fake_host(port), known_hosts=f"* {misbehaving.HOST_KEY_FIELDS}\n")
        answer = no_reply(ask(pool))
        pool.close()
    assert answer.reason is reason, answer
    assert server.answers == ["canary-password"] * sent
