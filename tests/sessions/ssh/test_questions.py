"""Questions over a real sshd: login shells, noise, hangs, floods, secrets, channels, tunnels."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from preflight.clock import Deadline, monotonic
from preflight.plan import Host
from preflight.probe import Answer, NoReply
from preflight.reasons import Reason
from preflight.sessions import SessionFailed
from tests.sessions.conftest import MakePool, PoolOf, ask, ask_all, key_host, no_reply, question, reply
from tests.site.accounts import Account
from tests.site.machine import closed_port
from tests.site.site import Site


def test_awkward_questions_leave_the_others_alone(pool_of: PoolOf, good_account: Account) -> None:
    texts = {
        "exit 9": (9, "", ""),
        "cat": (0, "", ""),
        "printf 'no newline'": (0, "no newline", ""),
        "echo out; echo err >&2": (0, "out\n", "err\n"),
        r"printf 'a\0b\377c\r\n'": (0, "a\0b\\xffc\r\n", ""),
        "set -u; echo $UNSET_VARIABLE": (2, "", None),
        "kill -9 $$": (137, "", None),
        "echo 'unbalanced": (2, "", None),
        "exec >&-; echo lost": (1, "", None),
        'printf \'%s %s %s\' "$LC_ALL" "$TZ" "$(umask)"': (0, "C UTC0 0077", ""),
        "printf '\\n\\n\\n'": (0, "\n\n\n", ""),
        "echo 'it'\"'\"'s $HOME !x %s'": (0, "it's $HOME !x %s\n", ""),
    }
    answers = ask_all(pool_of(good_account), [question(text) for text in texts])
    for text, (code, out, err) in texts.items():
        answer = reply(answers[text])
        assert (answer.code, answer.text) == (code, out), text
        assert err is None or answer.error == err, text


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash", "/bin/csh", "/usr/bin/fish"])
def test_every_login_shell_answers_alike(pool_of: PoolOf, site: Site, shell: str) -> None:
    if not Path(shell).exists():
        pytest.fail(f"{shell} is not installed; tests/run.sh installs it by name")
    account = site.accounts.add("shell" + Path(shell).name, shell=shell)
    texts = ["id -un", "printf 'a b\\tc'", "echo $((6 * 7)) >&2; exit 3"]
    answers = ask_all(pool_of(account), [*map(question, texts), question("echo own", own_channel=True)])
    assert reply(answers["id -un"]).text == account.name + "\n"
    assert reply(answers[texts[1]]).text == "a b\tc"
    assert (reply(answers[texts[2]]).code, reply(answers[texts[2]]).error) == (3, "42\n")
    assert reply(answers["echo own"]).text == "own\n"


@pytest.mark.parametrize(("shell", "profile"), [("/bin/bash", ".bashrc"), ("/bin/csh", ".cshrc")])
def test_a_noisy_profile_does_not_get_into_answers(pool_of: PoolOf, site: Site, shell: str, profile: str) -> None:
    account = site.accounts.add("noisy", shell=shell)
    noise = "echo '*** Welcome ***'\necho -n 'no line end'\n"
    (account.home / profile).write_text(noise + "echo complaint >&2\n" * (shell == "/bin/bash"))
    answer = reply(ask(pool_of(account), "echo ok"))
    assert (answer.text, answer.error) == ("ok\n", "")


@pytest.mark.case(31)
def test_a_question_that_hangs_costs_its_own_time_and_nobody_elses(pool_of: PoolOf, good_account: Account) -> None:
    quick = [question(f"echo {number}") for number in range(5)]
    begun = monotonic()
    answers = ask_all(pool_of(good_account), [*quick[:2], question("sleep 60", seconds=1), *quick[2:]], 40)
    assert monotonic() - begun < 20
    assert [reply(answers[asked.text]).text for asked in quick] == [f"{number}\n" for number in range(5)]
    assert no_reply(answers["sleep 60"]).reason is Reason.QUESTION_LIMIT


def test_a_hang_is_survived_on_a_host_without_timeout(pool_of: PoolOf, site: Site) -> None:
    account = site.accounts.add("bare")
    tools = account.home / "bin"
    tools.mkdir()
    for name in ("sh", "env", "sleep"):
        (tools / name).symlink_to(f"/bin/{name}")
    (account.home / ".bashrc").write_text(f"PATH={tools}\n")
    answers = ask_all(pool_of(account), [question("echo 1"), question("sleep 8", seconds=0.1), question("echo 2")], 12)
    assert (reply(answers["echo 1"]).text, reply(answers["echo 2"]).text) == ("1\n", "2\n")
    assert no_reply(answers["sleep 8"]).reason is Reason.QUESTION_LIMIT


def test_a_question_that_ignores_the_end_of_time_is_given_up_at_the_deadline(
    pool_of: PoolOf, good_account: Account
) -> None:
    pool = pool_of(good_account)
    reply(ask(pool, "true"))  # logged in, so that the short deadline is the question's alone
    answers = ask_all(pool, [question("echo first"), question("sleep 60", seconds=50)], 1.5)
    assert reply(answers["echo first"]).text == "first\n"
    assert no_reply(answers["sleep 60"]).reason is Reason.TARGET_LIMIT


def test_a_flood_is_cut_off_and_the_rest_is_answered(pool_of: PoolOf, good_account: Account) -> None:
    asked = [question("echo first"), question("yes"), question("yes >&2"), question("echo last")]
    begun = monotonic()
    answers = ask_all(pool_of(good_account), asked, 40)
    assert monotonic() - begun < 20, "each flood is cut off long before its own 10 s and 3 s of grace"
    assert (reply(answers["echo first"]).text, reply(answers["echo last"]).text) == ("first\n", "last\n")
    for flood in ("yes", "yes >&2"):
        assert no_reply(answers[flood]).reason is Reason.TOO_MUCH
        assert "more than 1024 KiB" in no_reply(answers[flood]).detail


def test_large_output_on_both_streams_arrives_whole(pool_of: PoolOf, good_account: Account) -> None:
    text = "head -c 900000 /dev/zero >&2; head -c 1000000 /dev/zero"
    answer = reply(ask(pool_of(good_account), text))
    assert (len(answer.text), len(answer.error)) == (1_000_000, 900_000)


def test_a_very_long_question_is_asked_and_isolated(pool_of: PoolOf, good_account: Account) -> None:
    long = "exit 7 #" + "x" * 300_000
    answers = ask_all(pool_of(good_account), [question(long), question("echo ok")])
    assert reply(answers[long]).code == 7
    assert reply(answers["echo ok"]).text == "ok\n"


def test_a_child_left_in_the_background_does_not_hold_up_the_answer(pool_of: PoolOf, good_account: Account) -> None:
    begun = monotonic()
    assert reply(ask(pool_of(good_account), "sleep 30 & echo done")).text == "done\n"
    assert monotonic() - begun < 15


def test_a_secret_reaches_the_command_and_nothing_else(
    pool_of: PoolOf, good_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_PASSWORD", "s3cret value")
    text = 'read -r line; printf "%s" "$line" | wc -c; [ "$line" = "s3cret value" ] && echo same; cat | wc -c'
    asked = [question(text, stdin_secret="env:SUDO_PASSWORD"), question("cat; echo other")]
    answers = ask_all(pool_of(good_account), asked)
    assert reply(answers[text]).text.split() == ["12", "same", "0"]
    assert reply(answers["cat; echo other"]).text == "other\n"


def test_a_secret_is_never_written_where_no_shell_answers(
    pool_of: PoolOf, site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    account = site.accounts.add("thief", key_options='command="cat > stolen"')
    monkeypatch.setenv("SUDO_PASSWORD", "s3cret value")
    asked = question("sudo -S true", stdin_secret="env:SUDO_PASSWORD")
    ask_all(pool_of(account), [asked], 3)
    assert "s3cret" not in (account.home / "stolen").read_text()


def test_a_password_that_sudo_refuses_is_offered_once_in_a_run(
    pool_of: PoolOf, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_PASSWORD", "wrong-password")
    commands = [f"sudo -S -k -p '' -u postgres -- /usr/bin/psql --version {number}" for number in range(3)]
    asked = [question(text, stdin_secret="env:SUDO_PASSWORD") for text in commands]
    answers = ask_all(pool_of(site.account("sudo-password")), asked, 20)
    assert reply(answers[commands[0]]).code != 0
    for text in commands[1:]:
        assert no_reply(answers[text]).reason is Reason.REFUSED_ELSEWHERE


def test_a_password_that_pam_refuses_is_offered_once_in_a_run(
    pool_of: PoolOf, good_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the words that sudo repeats of PAM, without a `Sorry, try again.`"""
    monkeypatch.setenv("SUDO_PASSWORD", "wrong-password")
    refused = "echo 'sudo: PAM authentication error: Authentication failure' >&2; exit 1; sudo -S"
    asked = [question(f"{refused} {number}", stdin_secret="env:SUDO_PASSWORD") for number in range(2)]
    answers = ask_all(pool_of(good_account), asked, 20)
    assert reply(answers[asked[0].text]).code == 1
    assert no_reply(answers[asked[1].text]).reason is Reason.REFUSED_ELSEWHERE


def test_a_password_that_sudo_refuses_is_offered_on_one_host_only(
    make_pool: MakePool, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_PASSWORD", "wrong-password")
    account = site.account("sudo-password")
    hosts = [key_host(site.sshd, account, f"h{n}") for n in range(4)]
    pool = make_pool(*hosts, known_hosts=site.sshd.known_hosts_lines())
    command = "exec 2>&1; sudo -S -k -p '' -u postgres -- /usr/bin/psql --version"

    def ask_one(host: Host) -> Answer:
        return ask_all(pool, [question(command, host.id, stdin_secret="env:SUDO_PASSWORD")], 20)[command]

    with ThreadPoolExecutor(len(hosts)) as threads:
        answers = list(threads.map(ask_one, hosts))
    refused = Counter(answer.reason if isinstance(answer, NoReply) else None for answer in answers)
    assert refused == {None: 1, Reason.REFUSED_ELSEWHERE: 3}


def test_a_missing_secret_is_no_credential(pool_of: PoolOf, good_account: Account) -> None:
    asked = question("sudo -S true", stdin_secret="env:NOT_SET_ANYWHERE")
    assert no_reply(ask_all(pool_of(good_account), [asked])[asked.text]).reason is Reason.NO_SECRET


def test_a_server_that_allows_one_session_answers_all(make_pool: MakePool, site: Site, good_account: Account) -> None:
    narrow = site.start_sshd(options={"MaxSessions": "1"})
    pool = make_pool(key_host(narrow, good_account), known_hosts=narrow.known_hosts_lines())
    own = [question(f"echo own{number}; sleep 0.3", own_channel=True) for number in range(4)]
    answers = ask_all(pool, [question("sleep 0.5; echo batch"), *own])
    assert all(reply(answer).code == 0 for answer in answers.values())
    narrow.close()


def test_twelve_questions_of_their_own_share_four_channels(pool_of: PoolOf, good_account: Account) -> None:
    answers = ask_all(pool_of(good_account), [question(f"echo {n}", own_channel=True) for n in range(12)])
    assert sorted(reply(answer).text for answer in answers.values()) == sorted(f"{n}\n" for n in range(12))


def test_an_end_of_input_that_a_closed_channel_sends_late_does_not_end_the_connection(
    pool_of: PoolOf, good_account: Account, tmp_path: Path
) -> None:
    pool = pool_of(good_account)
    reply(ask(pool, "true"))
    transport = pool._connections["db1"].hold(Deadline(10)).transport
    channel = transport.open_session()
    channel.exec_command(f"until [ -e {tmp_path.name} ]; do sleep 0.01; done")
    with channel.lock:
        late = channel._send_eof()  # built, and overtaken before it is sent
    (good_account.home / tmp_path.name).touch()
    until = Deadline(20)
    while not channel.closed:
        assert not until.over
        channel.status_event.wait(0.01)
    transport._send_user_message(late)
    assert reply(ask(pool, "echo alive")).text == "alive\n"


KILL_SSHD = """\
sleep 0.3 # what was answered before is on its way by then
p=$PPID
while [ "$(cat /proc/$p/comm)" != sshd ]; do p=$(cut -d' ' -f4 /proc/$p/stat); done
kill -9 $p; sleep 60"""


def test_a_connection_that_dies_amid_a_batch_is_cut_off(pool_of: PoolOf, good_account: Account) -> None:
    answers = ask_all(pool_of(good_account), [question("echo first"), question(KILL_SSHD, seconds=50)])
    assert reply(answers["echo first"]).text == "first\n"
    assert no_reply(answers[KILL_SSHD]).reason is Reason.CONNECTION_LOST


def test_a_tunnel_reaches_a_port_beyond_the_host(pool_of: PoolOf, good_account: Account) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pool_of(good_account).open_channel("db1", "127.0.0.1", port, Deadline(10)) as channel:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"hello")
                assert channel.recv(5) == b"hello"


def test_a_tunnel_to_a_closed_port_fails_with_the_reason(pool_of: PoolOf, good_account: Account) -> None:
    with closed_port() as port, pytest.raises(SessionFailed) as failed:
        pool_of(good_account).open_channel("db1", "127.0.0.1", port, Deadline(10))
    assert failed.value.answer.reason is Reason.FORWARDING_REFUSED
    assert "Connection refused" in failed.value.answer.detail


def test_closing_the_pool_from_another_thread_ends_a_question(pool_of: PoolOf, good_account: Account) -> None:
    pool = pool_of(good_account)
    reply(ask(pool, "true"))
    answers: list[object] = []
    asked = question("sleep 60", seconds=60)
    begun = monotonic()
    thread = threading.Thread(
        target=lambda: pool.session("db1").ask([asked], Deadline(40), lambda _, answer: answers.append(answer))
    )
    thread.start()
    threading.Timer(0.3, pool.close).start()
    thread.join()
    assert isinstance(answers[0], NoReply)
    assert monotonic() - begun < 20


def test_the_module_is_imported_without_paramiko() -> None:
    code = "import sys, preflight.sessions.ssh.pool; sys.exit('paramiko' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_paramiko_is_imported_without_invoke() -> None:
    code = (
        "import sys, preflight.sessions.ssh.transport\n"
        "sys.exit('invoke' in sys.modules or 'paramiko' not in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
