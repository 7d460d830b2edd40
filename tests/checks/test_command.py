"""command: how the end of a plugin or script is understood."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from preflight_checks.command import Command, CommandCheck

from preflight.errors import PlanError
from preflight.finding import Judgement, Status
from preflight.plan import Account, Role
from preflight.plan.load import load_plan
from preflight.questions.files import Ended
from preflight.questions.local import LocalAct, LocalRequest
from tests.plan_texts import MINIMAL
from tests.toy import MOMENT, toy_plan

LOAD = Command(id="load", program="./check_load", arguments=("-w", "8 x"), host="db1", owner="dba")


def judge(ended: Ended, command: Command = LOAD) -> Judgement:
    plan = toy_plan(roles={"dba": Role(id="dba", primary="D. Kaya")})
    check = CommandCheck(plan, MOMENT, CommandCheck.Settings({command.id: command}))
    (subject,) = check.subjects()
    return check.judge(subject, ended=ended)


@pytest.mark.parametrize(
    ("code", "output", "error", "status", "summary"),
    [
        (0, "OK - load 0.3 | load1=0.3;8;12", "", Status.PASS, "OK - load 0.3"),
        (0, "", "", Status.PASS, "exit status 0, nothing printed"),
        (1, "WARNING - load 9|x=1\nmore\nlines", "", Status.WARN, "WARNING - load 9"),
        (1, "looking at the licence server ...", "Traceback ...", Status.FAIL, "looking at the licence server ..."),
        (1, "1c1", "", Status.FAIL, "1c1"),
        (1, "", "Traceback: ...", Status.FAIL, "exit status 1: Traceback: ..."),
        (2, "CRITICAL - load 40", "", Status.FAIL, "CRITICAL - load 40"),
        (2, "", "", Status.FAIL, "exit status 2, nothing printed"),
        (3, "UNKNOWN - no such sensor", "", Status.UNKNOWN, "UNKNOWN - no such sensor"),
        (4, "x", "", Status.UNKNOWN, "it ended with 4, which is no plugin's exit status"),
        (-1, "x", "", Status.UNKNOWN, "it ended with -1, which is no plugin's exit status"),
        (126, "", "no", Status.UNKNOWN, "./check_load, or a program that it calls, cannot be executed"),
        (127, "", "no", Status.UNKNOWN, "./check_load, or a program that it calls, is not there"),
        (137, "OK", "", Status.UNKNOWN, "it ended with 137, which is no plugin's exit status"),
    ],
)
def test_the_exit_status_decides(code: int, output: str, error: str, status: Status, summary: str) -> None:
    found = judge(Ended(code, output, error))
    assert (found.status, found.summary) == (status, summary)
    if status is not Status.PASS:
        assert found.expected
        assert found.remedy


def test_a_stopped_service_is_told_with_the_way_to_a_failure() -> None:
    """`systemctl is-active` ends with 3; a monitoring plugin means by that that it does not know."""
    active = Command(id="nginx", program="systemctl", arguments=("is-active", "nginx"))
    found = judge(Ended(3, "inactive\n", ""), active)
    assert (found.status, found.summary) == (Status.UNKNOWN, "inactive, exit status 3: it does not know")
    way = (
        """program = "sh" and arguments = ["-c", "systemctl is-active nginx || exit 2"] in [checks.command.run.nginx]"""
    )
    assert found.remedy.endswith(way)
    assert way in judge(Ended(4, "", "no such unit"), active).remedy
    assert "sh" not in judge(Ended(3, "UNKNOWN - no such sensor", ""), active).remedy.split()


def test_a_refusal_of_sudo_is_no_warning_of_the_plugin() -> None:
    refused = Ended(1, "", "sudo: a password is required\n")
    found = judge(refused, replace(LOAD, account=Account("postgres")))
    behind = "become postgres on db1: sudo does not give it to the login, or it can start nothing"
    assert (found.status, found.behind) == (Status.UNKNOWN, behind)
    assert "sudo does not let the login run it as postgres" in found.summary


def test_a_failure_says_how_to_run_it_again_word_for_word() -> None:
    assert judge(Ended(2, "CRITICAL", "")).remedy.endswith("run it again on db1: ./check_load -w '8 x'")
    assert judge(Ended(2, "x", ""), replace(LOAD, remedy="call the vendor")).remedy == "call the vendor"


def test_the_text_of_a_local_command_is_read_back_or_refused() -> None:
    request = LocalRequest(LocalAct.RUN, argv=("a", "b c", "ü"))
    assert LocalRequest.parse(request.text()) == request
    for text in (request.text().replace("b c", "b  c") + " ", "x\n{}", request.text().split("\n")[0] + '\n{"run": []}'):
        with pytest.raises(ValueError, match=r"no.* text of|say the same"):
            LocalRequest.parse(text)


def test_the_settings_are_read_from_a_plan(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text(MINIMAL + '[checks.command.run.load]\nprogram = "x"\narguments = ["-w", ""]\ntimeout = "3s"\n')
    settings = load_plan(file, {"command": CommandCheck.Settings}).checks["command"]
    (command,) = settings["run"].values()  # type: ignore[attr-defined]
    assert command.argv == ("x", "-w", "")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('program = ""', "checks.command.run.load.program"),
        ('arguments = "-w"', "expected an array"),
        ('program = "x"\nhost = "db9"', "checks.command.run.load.host"),
        ('program = "x"\ntimeout = "0s"', "checks.command.run.load.timeout"),
        ('programme = "x"', "unknown key"),
        ('program = "x"\narguments = ["https://u:hunter2@h/"]', "holds a password"),
    ],
)
def test_a_faulty_command_is_an_error_of_the_plan(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "plan.toml"
    file.write_text(f"{MINIMAL}[checks.command.run.load]\n{line}\n")
    with pytest.raises(PlanError) as caught:
        load_plan(file, {"command": CommandCheck.Settings})
    assert said in str(caught.value)
