"""A code that somebody types on a real terminal, at the question of a real sshd: what is asked when, and where it must
not appear."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.program import BASE, preflight, write_plan
from tests.cli.terminal import Terminal
from tests.sessions.ssh import misbehaving
from tests.site.accounts import Account, Accounts
from tests.site.one_time_codes import WORDS, Codes, wanting_codes
from tests.site.postgres import Cluster
from tests.site.site import Site
from tests.site.sshd import Sshd

HOST = """
[hosts.{id}]
address = "{sshd.address}"
port = {sshd.port}
user = "{account.name}"
key = "{account.key}"
second_factor = "prompt:{words}"
"""
QUESTION = r"{} asks \S+: One-time password \(OATH\) for `\S+': "


@contextmanager
def planned(
    site: Site, accounts: Accounts, folder: Path, begin: str = BASE, more: str = ""
) -> Iterator[tuple[Path, Sshd, list[Codes]]]:
    """A plan of two hosts that want a code, each of its own account."""
    logins: list[Account] = [accounts.add("one"), accounts.add("two")]
    codes = [Codes(), Codes()]
    with wanting_codes(site, {login.name: each for login, each in zip(logins, codes, strict=True)}) as sshd:
        hosts = zip(("db1", "db2"), logins, strict=True)
        text = "".join(HOST.format(id=id_, sshd=sshd, account=login, words=WORDS) for id_, login in hosts)
        path = write_plan(folder, begin + text + more)
        (folder / "plan.known_hosts").write_text(sshd.known_hosts_lines())
        yield path, sshd, codes


@pytest.mark.long
def test_two_hosts_ask_one_after_another_hidden_and_the_code_stands_nowhere(
    site: Site, accounts: Accounts, tmp_path: Path
) -> None:
    with planned(site, accounts, tmp_path) as (plan, sshd, codes):
        kept, page = tmp_path / "evidence.json", tmp_path / "report.json"
        terminal = Terminal("run", plan, "-v", "--evidence", kept, "--output", f"json={page}", TERM="xterm")
        terminal.until(QUESTION.format("db1"))
        assert "db2" not in terminal.written
        assert not terminal.echoes
        terminal.type(f"{codes[0].next()}\n")
        terminal.until(QUESTION.format("db2"))
        terminal.type(f"{codes[1].next()}\n")
        assert terminal.end() in (0, 1, 3)
        given = [code for each in codes for code in each.given]
        outputs = [
            terminal.written,
            kept.read_text(),
            page.read_text(),
            *map(preflight_says, ("show", "lint"), [plan] * 2),
        ]
        assert not [text for text in outputs if any(code in text.replace(sshd.fingerprint(), "") for code in given)]
        assert page.read_text().count(" and a typed code") == 4, "in the finding and in its point"
        assert sshd.whole_log.count("Accepted keyboard-interactive") == 2


def preflight_says(command: str, plan: Path) -> str:
    done = preflight(command, plan)
    return done.stdout + done.stderr


def test_without_a_terminal_each_host_is_unknown_with_its_way_out_and_nothing_is_sent(
    site: Site, accounts: Accounts, tmp_path: Path
) -> None:
    with planned(site, accounts, tmp_path) as (plan, sshd, _):
        done = preflight("run", plan, "--only", "host-login", "-v")
        assert done.returncode == 3, done.stdout
        told = " ".join(done.stdout.split())
        assert "is typed on a terminal, and there is none: nothing was sent" in told
        assert "call preflight on a terminal where somebody has the code" in told
        assert "Connection from" not in sshd.log
        assert f'at "{WORDS}"' in preflight_says("show", plan)


@pytest.mark.long
@pytest.mark.parametrize("how", ["key", "signal"])
def test_an_interruption_at_the_question_ends_with_130_and_the_terminal_as_it_was(
    site: Site, accounts: Accounts, tmp_path: Path, how: str
) -> None:
    with planned(site, accounts, tmp_path) as (plan, sshd, _):
        terminal = Terminal("run", plan)
        terminal.until(QUESTION.format("db1"))
        if how == "key":
            terminal.type("\x03")
        else:
            terminal.process.send_signal(signal.SIGTERM)
        assert terminal.end() == 130
        assert "Traceback" not in terminal.written
        assert "Failed keyboard-interactive" not in sshd.whole_log


@pytest.mark.long
def test_an_empty_line_and_a_wrong_code_are_told_apart(site: Site, accounts: Accounts, tmp_path: Path) -> None:
    with planned(site, accounts, tmp_path) as (plan, sshd, codes):
        terminal = Terminal("run", plan, "--only", "host-login", "-v")
        terminal.until(QUESTION.format("db1"))
        terminal.type("\n")
        terminal.until(QUESTION.format("db2"))
        terminal.type(f"{codes[1].wrong()}\n")
        assert terminal.end() == 1
        assert "an empty line was typed for the code" in terminal.written
        assert "denied (second factor)" in terminal.written
        assert codes[1].wrong() not in terminal.written
        assert sshd.whole_log.count("Failed keyboard-interactive") == 1


@pytest.mark.long
def test_a_watch_asks_for_a_code_once_and_again_when_somebody_says_so(
    site: Site, accounts: Accounts, tmp_path: Path
) -> None:
    begins = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=20)
    window = f"start = {begins:%Y-%m-%dT%H:%M:%S}\nend = {begins + timedelta(hours=6):%Y-%m-%dT%H:%M:%S}\n"
    begin = f'[release]\nid = "REL-1"\n\n[window]\nzone = "UTC"\n{window}'
    with planned(site, accounts, tmp_path, begin) as (plan, sshd, codes):
        terminal = Terminal("gate", plan, "--watch", "--every", "10min", "--only", "host-login", TERM="xterm")
        try:
            terminal.until(QUESTION.format("db1"))
            terminal.type(f"{codes[0].next()}\n")
            terminal.until(QUESTION.format("db2"))
            terminal.type("\n")
            seen = terminal.until("refused logins too")
            assert "got no code" in seen
            start = len(terminal.written)
            terminal.type("r")
            terminal.until(QUESTION.format("db1"), start)
            terminal.type(f"{codes[0].next()}\n")
            terminal.until(QUESTION.format("db2"), start)
            terminal.type(f"{codes[1].next()}\n")
            terminal.until("2 rounds", start)
            start = len(terminal.written)
            terminal.type("r")
            terminal.until("3 rounds", start)
            assert " asks " not in terminal.written[start:]
            for session in sshd.sessions():
                os.kill(session, signal.SIGKILL)
            start = len(terminal.written)
            terminal.type("r")
            rounds = 4
            if "4 rounds" in terminal.until(r"4 rounds|db1 asks", start):  # before it noticed that they have ended
                terminal.type("r")
                rounds = 5
            for host, each in zip(("db1", "db2"), codes, strict=True):
                terminal.until(QUESTION.format(host), start)
                terminal.type(f"{each.next()}\n")
            terminal.until(f"{rounds} rounds", start)
            terminal.type("\x03")
            assert terminal.end() == 130
            assert sshd.whole_log.count("Accepted keyboard-interactive") == 5
        finally:
            terminal.process.kill()
            terminal.process.wait()


@pytest.mark.long
def test_what_is_behind_such_a_host_is_sealed_and_asked_through_it(
    site: Site, accounts: Accounts, tmp_path: Path, postgres: Cluster
) -> None:
    behind = HOST.format(id="db3", sshd=site.sshd, account=accounts.add(), words=WORDS).partition("second_factor")[0]
    tunnelled = (
        '[databases.orders]\nhost = "db2"\nconnect = "tunnel"\nsslmode = "disable"\nuser = "nobody"\n'
        f'password = "env:DB1_PASSWORD"\nport = {postgres.port}\n'
    )
    with planned(site, accounts, tmp_path, more=f'{behind}jump = "db1"\n{tunnelled}') as (plan, _, codes):
        terminal = Terminal("seal", plan, "--accept-host-keys")
        for host, each in (("db1", codes[0]), ("db2", codes[1])):
            terminal.until(QUESTION.format(host))
            terminal.type(f"{each.next()}\n")
        terminal.end()
        assert re.search(rf"db3: ssh-ed25519 {re.escape(site.sshd.fingerprint())}.* new", terminal.written)
        assert "server not sealed" in terminal.written
        assert "no login" in terminal.written or "password authentication failed" in terminal.written
        assert terminal.written.count(" asks ") == 2
        terminal = Terminal("run", plan, "--only", "host:db3")
        terminal.until(QUESTION.format("db1"))
        terminal.type(f"{codes[0].next()}\n")
        terminal.end()
        assert "asks" not in terminal.written.partition("'")[2], "none for what is not on the way"


@pytest.mark.long
def test_what_the_server_says_is_shown_is_shown_while_it_is_typed_and_masked_afterwards(tmp_path: Path) -> None:
    server = misbehaving.Asking(["\x1b[31mVerification \u202ecode: ", "canary-482913: "], shown=True)
    server.instructions = "Sent to the phone that ends in 42."
    with misbehaving.serving(misbehaving.asking(server)) as port:
        login = f'address = "127.0.0.1"\nport = {port}\nuser = "dba"\npassword = "env:DB1_PASSWORD"\n'
        plan = write_plan(tmp_path, f'{BASE}[hosts.db1]\n{login}second_factor = "prompt:verification code"\n')
        (tmp_path / "plan.known_hosts").write_text(f"* {misbehaving.HOST_KEY_FIELDS}\n")
        terminal = Terminal("run", plan, "-v", "--evidence", tmp_path / "kept.json")
        terminal.until("db1 asks dba: Sent to the phone that ends in 42. Verification code: ")
        assert terminal.echoes
        asked = len(terminal.written)
        terminal.type("canary-482913\n")
        assert terminal.end() == 1
        assert server.answers == ["canary-482913"]
        typed, _, told = terminal.written[asked:].partition("\n")
        assert typed.strip() == "canary-482913"
        assert "denied (partial)" in told
        assert not [text for text in (told, (tmp_path / "kept.json").read_text()) if "482913" in text]
