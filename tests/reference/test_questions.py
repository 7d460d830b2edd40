"""What `preflight show` prints: everything that would be sent, unaltered, and how it would be sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from preflight.check import Check
from preflight.engine.inspection import inspect
from preflight.engine.registry import BrokenSource, Registry, find_checks
from preflight.plan import Account, Application, Backup, Become, Connect, Database, Host, Plan, RemotePath, SecretRef
from preflight.plan.load import load_plan
from preflight.probe import Question, Via
from preflight.questions.shell import AsAccount
from preflight.questions.storage import PROOF_BYTES
from preflight.reference import requests
from preflight.reference.questions import render
from preflight.report.layout import WIDTH
from preflight.sessions.postgres.connection import LOCK_SECONDS
from preflight.sessions.ssh import batch
from tests.cli.program import BASE
from tests.toy import MOMENT, Deep, Ready, registry, toy_plan

SCRIPT = "exec </dev/null\n\nfor x in a b; do\n\tprintf '%s\\n' \"$x\"\ndone\n"


@pytest.fixture
def plan() -> Plan:
    hosts = {
        "bastion": Host(id="bastion", user=Account("ops"), agent="SHA256:abc"),
        "db1": Host(
            id="db1", address="10.0.0.1", port=2222, user=Account("dbadmin"), password=SecretRef("env", "DB1_PASSWORD"),
            become=(Become(account=Account("postgres"), password=SecretRef("file", "sudo.txt")),), jump="bastion",
        ),
        "web": Host(id="web", key=Path("key"), passphrase=SecretRef("prompt"), ssh_config=True),
    }  # fmt: skip
    orders = Database(
        id="orders", host="db1", user=Account("release"), password=SecretRef("env", "DB"), connect=Connect.TUNNEL
    )
    applications = {"app1": Application(id="app1", from_="1", to="2")}
    return replace(toy_plan(databases={"orders": orders}, applications=applications), hosts=hosts)


QUESTIONS = [
    Question(Via.LOCAL, "plan", "read the file x\n{}"),
    Question(Via.HTTP, "app1", "GET https://app1/health", 3.0),
    Question(Via.SQL, "orders", "SELECT 1", 5.0),
    Question(Via.SSH, "web", "id -un"),
    Question(Via.SSH, "db1", SCRIPT, 60.0, own_channel=True, stdin_secret="file:sudo.txt"),
    Question(Via.SSH, "bastion", "id -un"),
]


def printed(plan: Plan, questions: list[Question]) -> str:
    return render(inspect(plan, registry(), MOMENT), registry(), questions, "x.toml")


def test_every_question_stands_there_word_for_word(plan: Plan) -> None:
    text = printed(plan, QUESTIONS)
    shown = [line.removeprefix("      |").removeprefix(" ") for line in text.splitlines() if line.startswith("      |")]
    texts = [question.text.rstrip("\n").split("\n") for question in sorted_like_the_report()]
    assert texts[0] == texts[2], "the same words for another host"
    texts[2] = ["(the same text as question 1 on bastion)"]
    assert shown == [line for text in texts for line in text]
    assert "6 questions to 6 targets" in text


def sorted_like_the_report() -> list[Question]:
    order = [Via.SSH, Via.SQL, Via.HTTP, Via.LOCAL]
    return sorted(QUESTIONS, key=lambda question: (order.index(question.via), question.target))


def test_each_target_says_who_logs_in_and_with_what(plan: Plan) -> None:
    text = " ".join(printed(plan, QUESTIONS).split())
    for said in (
        "host bastion: bastion port 22 as ops, by the SSH agent's key SHA256:abc",
        (
            "host db1: 10.0.0.1 port 2222 as dbadmin, by the password from env:DB1_PASSWORD, through bastion; becomes "
            "postgres (password from file:sudo.txt) with sudo"
        ),
        (
            "host web: web port 22 as the login of ssh_config, by the key file key with the passphrase from prompt; "
            "ssh_config may complete this"
        ),
        (
            "database orders: orders at 127.0.0.1 port 5432 as release, the password from env:DB, through the SSH "
            "login to db1, sslmode require"
        ),
        "application app1",
        "files beside the plan",
    ):
        assert said in text


def test_limits_channels_and_secrets_are_printed_with_the_question(plan: Plan) -> None:
    text = " ".join(printed(plan, QUESTIONS).split())
    assert "at most 60 s, in a channel of its own; the value of file:sudo.txt is written to its standard input" in text
    assert "at most 3 s | GET https://app1/health" in text


def test_what_is_said_of_the_sessions_is_so() -> None:
    text = " ".join(printed(toy_plan(), QUESTIONS).split())
    assert f"`{batch.COMMAND}`" in text
    assert f"a lock_timeout of {LOCK_SECONDS:g} s" in text


def test_only_the_questions_may_be_wider_than_the_page(plan: Plan) -> None:
    wide = Question(Via.SSH, "db1", "echo " + "x" * 300)
    lines = printed(plan, [*QUESTIONS, wide]).splitlines()
    assert [line for line in lines if len(line) > WIDTH] == ["      | echo " + "x" * 300]


def test_nothing_that_a_terminal_acts_on_gets_through() -> None:
    text = printed(toy_plan(), [Question(Via.SSH, "db1", "echo '\x1b]0;owned\x07\u202e'\ttab")])
    assert "\\x1b]0;owned\\x07\\u202e'\ttab" in text
    assert "\x1b" not in text


def test_the_checks_that_share_a_question_are_named() -> None:
    inspection = inspect(toy_plan(["db1", "db2"]), registry(Ready, Deep), MOMENT)
    text = render(inspection, registry(Ready, Deep), inspection.first_round(), "x.toml")
    assert "for ready db1, deep db1" in text
    assert "2 questions to 2 targets" in text
    assert "What `preflight run x.toml` asks" in text


def test_the_second_round_says_what_each_check_may_ask_then() -> None:
    inspection = inspect(toy_plan(["db1", "db2"]), registry(Ready, Deep), MOMENT)
    text = render(inspection, registry(Ready, Deep), QUESTIONS, "x.toml")
    assert "there is no third" in " ".join(text.split())
    assert text.splitlines()[-1] == "  - deep (2 subjects): The same again, with the first word in it."
    assert "- ready" not in text


def test_a_check_that_has_nothing_to_judge_is_not_named() -> None:
    inspection = inspect(toy_plan([]), registry(Deep), MOMENT)
    assert "- deep" not in render(inspection, registry(Deep), [], "x.toml")


def test_a_check_that_cannot_be_loaded_is_named() -> None:
    broken = Registry((Ready,), (BrokenSource("own.py", "SyntaxError"),))
    inspection = inspect(toy_plan(), broken, MOMENT)
    text = " ".join(render(inspection, broken, QUESTIONS, "x.toml").split())
    assert "What own.py would ask is not known, it cannot be loaded: SyntaxError" in text


@pytest.mark.parametrize("check", find_checks().checks, ids=lambda check: check.id)
def test_every_check_says_itself_what_its_second_round_asks(check: type[Check]) -> None:
    if check.follow_up is not Check.follow_up:
        assert check.follow_up.__doc__
        assert check.follow_up.__doc__ != Check.follow_up.__doc__


def test_each_host_is_summed_up_with_its_accounts_and_their_programs(plan: Plan) -> None:
    backup = Backup(id="orders", database="orders", directory=RemotePath("/backup"), account=Account("postgres"))
    text = printed(replace(plan, backups={"orders": backup}), QUESTIONS)
    assert "  db1: 1 question as dbadmin; with sudo as postgres: pg_dump\n" in text
    assert "  bastion: 1 question as ops\n" in text
    assert "  db1: 1 question as dbadmin; with sudo as postgres: no program that the plan names\n" in printed(
        plan, QUESTIONS
    )


def test_what_is_written_on_a_server_is_said_openly() -> None:
    assert "a file of 1 MiB that has no name (O_TMPFILE)" in " ".join(printed(toy_plan(), []).split())
    assert PROOF_BYTES == 1024 * 1024


def test_a_plan_that_asks_nothing_says_so() -> None:
    assert "0 questions to 0 targets" in printed(toy_plan([]), [])


def test_a_script_for_another_shell_is_shown_without_the_quoting_that_carries_it_there() -> None:
    text = AsAccount("postgres", is_login=False).wrap("awk '\n{ print }' /etc/motd\necho 'it'\\''s'")
    shown = printed(toy_plan(), [Question(Via.SSH, "db1", text)])
    assert "'\"'\"'" not in shown
    assert (
        "/bin/sh -c '\n      |     id >/dev/null 2>&1 || exit 77\n      |     awk '\n      |     { print }' /etc/motd\n"
        in shown
    )
    assert "      | else exit 77; fi\n" in shown


def test_forty_hosts_that_are_asked_the_same_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(BASE + FORTY)
    plan = load_plan(tmp_path / "x.toml")
    inspection = inspect(plan, find_checks(), MOMENT)
    text = render(inspection, find_checks(), inspection.first_round(), "x.toml")
    assert text.count("host web[01-40]: web[01-40].example.net port 22 as u") == 1
    assert "  web[01-40]: 5 questions as u\n" in text
    assert "  host db1: db1.example.net port 22 as u" in text
    assert text.count("| GET https://") == text.count("| GET https://web[01-40].example.net/health") == 1
    asked = requests.render(plan)
    assert "The login u on web[01-40] (at web[01-40].example.net, port 22)" in asked.replace("`", "")
    assert asked.count("health of shop") == 1
    assert "`web[01-40].example.net:22/tcp`: SSH to db1, `web[01-40]`" in asked


FORTY = """
[hosts.db1]
address = "db1.example.net"
user = "u"
key = "k"
[hosts."web[01-40]"]
address = "web{n}.example.net"
user = "u"
agent = "SHA256:abc"
[applications.shop]
from = "1"
to = "2"
health = [{ url = "https://web[01-40].example.net/health", json = { v = "2" } }]
"""
