"""A code that somebody types, at the prompt that the plan declares: a real sshd with pam_oath, and servers that ask
something else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from paramiko import InteractiveQuery
from paramiko.common import AUTH_FAILED, AUTH_PARTIALLY_SUCCESSFUL

from preflight.clock import Deadline
from preflight.plan import Account as Login
from preflight.plan import Host, SecretRef
from preflight.reasons import Reason
from preflight.sessions.ssh import prompts
from preflight.sessions.ssh.pool import SshPool
from tests.sessions.conftest import GENEROUS_SECONDS, MakePool, ask, key_host, no_reply, password_host, reply
from tests.sessions.ssh import misbehaving
from tests.site.accounts import Accounts
from tests.site.one_time_codes import WORDS, Codes, wanting_codes
from tests.site.site import Site
from tests.site.sshd import Sshd

DECLARED = f"prompt:{WORDS.upper()}"


class Person:
    """Sits at the terminal."""

    def __init__(self, *typed: str | None) -> None:
        self._typed = list(typed)
        self.asked: list[str] = []
        self.shown: list[bool] = []

    def __call__(self, question: str, shown: bool, is_over: Callable[[], bool]) -> str | None:
        self.asked.append(question)
        self.shown.append(shown)
        return self._typed.pop(0)


def test_a_key_and_a_code_log_in_once_and_the_connection_stays_open_for_all(
    sshd: Sshd, make_pool: MakePool, site: Site, accounts: Accounts
) -> None:
    account, behind, codes = accounts.add(), accounts.add(), Codes()
    with wanting_codes(site, {account.name: codes}) as wanting:
        jump = key_host(wanting, account, "gate1", second_factor=DECLARED)
        inner = key_host(sshd, behind, "db1", jump="gate1")
        pool = make_pool(jump, inner, known_hosts=wanting.known_hosts_lines() + sshd.known_hosts_lines())
        person = Person(codes.next())
        pool.log_in_by_code(["gate1", "db1"], person)
        pool.log_in_by_code(["gate1", "db1"], person)
        answer = reply(ask(pool, target="gate1"))
        assert answer.text.strip() == account.name
        assert answer.session["code"] == "typed"
        pool.session("gate1").close()
        tunnel = pool.open_channel("gate1", sshd.address, sshd.port, Deadline(GENEROUS_SECONDS))
        assert tunnel.recv(4) == b"SSH-"
        tunnel.close()
        assert reply(ask(pool, target="db1")).text.strip() == behind.name
        assert person.asked == [f"gate1 asks {account.name}: One-time password (OATH) for `{account.name}':"]
        assert person.shown == [False]
        assert wanting.whole_log.count("Accepted keyboard-interactive") == 1
        pool.close()


def test_without_a_terminal_nothing_is_sent(make_pool: MakePool, site: Site, accounts: Accounts) -> None:
    account = accounts.add()
    with wanting_codes(site, {account.name: Codes()}) as sshd:
        pool = make_pool(key_host(sshd, account, second_factor=DECLARED), known_hosts=sshd.known_hosts_lines())
        answer = no_reply(ask(pool))
        assert answer.reason is Reason.NO_CODE
        assert repr(WORDS.upper()) in answer.detail
        assert "Connection from" not in sshd.log
        pool.close()


def test_a_refused_code_is_one_refusal_and_told_from_a_refused_key(
    make_pool: MakePool, site: Site, accounts: Accounts
) -> None:
    account, codes = accounts.add(), Codes()
    with wanting_codes(site, {account.name: codes}) as sshd:
        pool = make_pool(key_host(sshd, account, second_factor=DECLARED), known_hosts=sshd.known_hosts_lines())
        person = Person(codes.wrong())
        for _ in range(2):
            pool.log_in_by_code(["db1"], person)
            answer = no_reply(ask(pool))
            pool.begin_round(0, 0)
        assert answer.reason is Reason.BAD_CODE
        assert "accepts the key SHA256:" in answer.detail
        assert "refuses the code" in answer.detail
        assert len(person.asked) == 1
        assert pool.refused() == ["db1"]
        assert sshd.whole_log.count("Failed keyboard-interactive") == 1
        pool.close()


@pytest.mark.parametrize("typed", ["", None])
def test_a_code_that_nobody_types_ends_the_login_and_is_asked_for_once(
    make_pool: MakePool, site: Site, accounts: Accounts, typed: str | None
) -> None:
    account = accounts.add()
    with wanting_codes(site, {account.name: Codes()}) as sshd:
        pool = make_pool(key_host(sshd, account, second_factor=DECLARED), known_hosts=sshd.known_hosts_lines())
        person = Person(typed)
        pool.log_in_by_code(["db1"], person)
        answer = no_reply(ask(pool))
        assert answer.reason is Reason.NO_CODE
        pool.begin_round(0, 0)
        pool.log_in_by_code(["db1"], person)
        assert len(person.asked) == 1
        assert "Failed keyboard-interactive" not in sshd.whole_log
        pool.close()


def test_the_question_ends_when_the_server_does_not_wait_any_longer(
    make_pool: MakePool, site: Site, accounts: Accounts
) -> None:
    account = accounts.add()
    with wanting_codes(site, {account.name: Codes()}, options={"LoginGraceTime": "2"}) as sshd:
        host = key_host(sshd, account, second_factor=DECLARED)
        pool = make_pool(host, known_hosts=sshd.known_hosts_lines())

        def absent(question: str, shown: bool, is_over: Callable[[], bool]) -> None:
            while not is_over():
                threading.Event().wait(0.05)

        pool.log_in_by_code(["db1"], absent)
        answer = no_reply(ask(pool))
        assert answer.reason is Reason.NO_CODE
        assert "LoginGraceTime" in answer.detail
        pool.close()


@pytest.mark.parametrize("control", ["requisite", "required"])
def test_password_and_code_of_one_exchange_go_each_to_its_own_prompt(
    make_pool: MakePool, site: Site, accounts: Accounts, monkeypatch: pytest.MonkeyPatch, control: str
) -> None:
    account, codes = accounts.add(), Codes()
    with wanting_codes(site, {account.name: codes}, password=control) as sshd:

        def tried(code: str | None, password: str = "") -> tuple[SshPool, Person]:
            host = replace(password_host(sshd, account, monkeypatch, password), second_factor=DECLARED)
            pool, person = make_pool(host, known_hosts=sshd.known_hosts_lines()), Person(code)
            pool.log_in_by_code(["db1"], person)
            return pool, person

        assert reply(ask(tried(codes.next())[0])).text.strip() == account.name
        pool, person = tried(codes.next(), "not-the-password")
        refused = no_reply(ask(pool))
        if control == "requisite":
            assert (refused.reason, person.asked) == (Reason.BAD_CREDENTIAL, [])
        else:
            assert refused.reason is Reason.BAD_CODE
            assert "does not say which of the two it refuses" in refused.detail
        wrong = no_reply(ask(tried(codes.wrong())[0]))
        assert wrong.reason is Reason.BAD_CODE
        assert "the password or the code" in wrong.detail


def test_the_wait_for_somebody_has_an_end_of_its_own(
    make_pool: MakePool, site: Site, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = accounts.add()
    monkeypatch.setattr(prompts, "CODE_SECONDS", 0)
    with wanting_codes(site, {account.name: Codes()}) as sshd:
        pool = make_pool(key_host(sshd, account, second_factor=DECLARED), known_hosts=sshd.known_hosts_lines())
        pool.log_in_by_code(["db1"], lambda _question, _shown, is_over: None if is_over() else "482913")
        answer = no_reply(ask(pool))
        assert (answer.reason, "given up" in answer.detail) == (Reason.NO_CODE, True)
        pool.close()


class PasswordThenCode(misbehaving.Asking):
    """Takes the plain password, and then wants a code."""

    def get_allowed_auths(self, username: str) -> str:
        return "keyboard-interactive" if self.answers else "password"

    def check_auth_password(self, username: str, password: str) -> int:
        self.answers.append(password)
        return AUTH_PARTIALLY_SUCCESSFUL

    def check_auth_interactive(self, username: str, submethods: str) -> int | InteractiveQuery:
        return super().check_auth_interactive(username, submethods) if self.answers else AUTH_FAILED


def test_a_code_after_a_plain_password(make_pool: MakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _answers(make_pool, monkeypatch, PasswordThenCode(["Verification code: "]), None) == [
        "canary-password",
        "code-of-person",
    ]


def test_a_server_that_asks_for_no_code_lets_in_and_says_so(
    sshd: Sshd, make_pool: MakePool, accounts: Accounts
) -> None:
    account = accounts.add()
    host = key_host(sshd, account, second_factor=DECLARED)
    pool = make_pool(host, known_hosts=sshd.known_hosts_lines())
    person = Person()
    pool.log_in_by_code(["db1"], person)
    answer = reply(ask(pool))
    assert (answer.session["code"], person.asked) == ("not asked for", [])


@pytest.mark.parametrize(
    ("asked", "reason", "sent"),
    [
        (["Verification code: "], None, ["code-of-person"]),
        (["Password: ", "VERIFICATION  code: "], None, ["canary-password", "code-of-person"]),
        (["Verification code: ", "Password: "], None, ["code-of-person", "canary-password"]),
        (["Verification code: ", "Verification code: "], Reason.PARTIAL, ["code-of-person"]),
        (["Password: ", "Passcode: "], Reason.PARTIAL, ["canary-password"]),
        (["Verification code: ", "New password: "], Reason.PASSWORD_EXPIRED, ["code-of-person"]),
    ],
)
def test_each_secret_goes_once_and_only_to_the_prompt_that_asks_for_it(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch, asked: list[str], reason: Reason | None, sent: list[str]
) -> None:
    assert _answers(make_pool, monkeypatch, misbehaving.Asking(asked), reason) == sent


def _answers(
    make_pool: MakePool, patch: pytest.MonkeyPatch, server: misbehaving.Asking, reason: Reason | None
) -> list[str]:
    """What the server got until the login ended so."""
    patch.setenv("FAKE_PASSWORD", "canary-password")
    with misbehaving.serving(misbehaving.asking(server)) as port:
        login = {"user": Login("dba"), "password": SecretRef("env", "FAKE_PASSWORD")}
        host = Host(id="db1", address="127.0.0.1", port=port, second_factor="prompt:Verification code", **login)  # type: ignore[arg-type]
        pool = make_pool(host, known_hosts=f"* {misbehaving.HOST_KEY_FIELDS}\n")
        pool.log_in_by_code(["db1"], Person("code-of-person"))
        assert pool.refused() == (["db1"] if reason else [])
        if reason:
            assert no_reply(ask(pool)).reason is reason
        pool.close()
    return server.answers
