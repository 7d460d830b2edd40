"""Every way the program can end, seen from outside."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from preflight import INTERRUPTED, INTERRUPTIONS
from preflight.cli.main import _COMMANDS
from tests.cli.program import BASE, DEAD_HOST, argv, environment, preflight, write_plan

FORMATS = ("text", "json")


@pytest.mark.parametrize("form", FORMATS)
def test_a_failing_blocking_check_is_1_in_every_format(tmp_path: Path, form: str) -> None:
    done = preflight("run", write_plan(tmp_path), "--format", form)
    assert done.returncode == 1, done.stderr
    assert "NO-GO" in done.stdout


@pytest.mark.parametrize("form", FORMATS)
def test_a_plan_with_nothing_to_check_is_hold_and_3(tmp_path: Path, form: str) -> None:
    done = preflight("run", write_plan(tmp_path, BASE), "--format", form)
    assert done.returncode == 3, done.stderr
    assert "HOLD" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "absent.toml"],
        ["run", "."],
        ["run", "plan.toml", "--only", "host-logon"],
        ["run", "plan.toml", "--skip", "nothing"],
        ["run", "plan.toml", "--at", "yesterday"],
        ["run", "plan.toml", "--at", "25:00"],
        ["run", "plan.toml", "--timeout", "0"],
        ["run", "plan.toml", "--timeout", "nan"],
        ["run", "plan.toml", "--format", "yaml"],
        ["run", "plan.toml", "--output", "json"],
        ["run", "plan.toml", "--output", "yaml=x"],
        ["run", "plan.toml", "--output", "json=x", "--output", "text=./x"],
        ["judge", "plan.toml", "absent.json"],
        ["judge", "plan.toml", "plan.toml"],
        ["lint"],
        ["rum"],
        ["--nonsense"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_is_2_with_a_sentence_and_no_traceback(tmp_path: Path, arguments: list[str]) -> None:
    write_plan(tmp_path)
    done = preflight(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_a_mistyped_option_names_the_nearest(tmp_path: Path) -> None:
    said = preflight("run", write_plan(tmp_path), "--only", "host-logon").stderr
    assert said.startswith("Error: --only: no such check 'host-logon'; did you mean host-login? There are: app-health,")


def test_names_with_commas_are_told_how_to_be_written(tmp_path: Path) -> None:
    said = preflight("run", write_plan(tmp_path), "--only", "become,host-login").stderr
    assert said == "Error: --only: one check each time: --only become --only host-login\n"


def test_explain_of_an_unknown_check_says_how_a_plans_own_is_found() -> None:
    said = preflight("explain", "uptime-min").stderr
    assert said.rstrip().endswith("; a check of a plan's own folder: with --plan PLAN")


def test_a_mistyped_command_names_the_nearest_and_all_others() -> None:
    said = preflight("lintt").stderr
    assert said == "Error: no such command 'lintt'; did you mean lint? There are: " + ", ".join(_COMMANDS) + "\n"


def test_a_mistyped_switch_names_the_nearest(tmp_path: Path) -> None:
    assert "Did you mean '--format'?" in preflight("run", write_plan(tmp_path), "--formt").stderr
    assert "Did you mean" not in preflight("run", write_plan(tmp_path), "--plan").stderr


def test_a_bare_call_prints_the_help_once() -> None:
    done = preflight()
    assert done.returncode == 2
    assert done.stderr == preflight("--help").stdout


@pytest.mark.parametrize("value", ["garbage", "bash_", "bash_complete", "_", "csh_source"])
def test_an_environment_that_asks_for_no_completion_there_is_is_a_wrong_call(value: str) -> None:
    done = preflight("--version", _PREFLIGHT_COMPLETE=value)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "preflight: _PREFLIGHT_COMPLETE is not set as a shell sets it; take it out of the environment\n"
    )


def test_a_shell_can_complete_a_command() -> None:
    done = preflight(_PREFLIGHT_COMPLETE="bash_complete", COMP_WORDS="preflight ru", COMP_CWORD="1")
    assert (done.returncode, done.stdout.split()) == (0, ["plain,run"])


@pytest.mark.parametrize("at", ["2020-01-01 02:30", "2020-01-01T02:30"])
def test_a_moment_before_the_asking_is_a_wrong_call(tmp_path: Path, at: str) -> None:
    done = preflight("run", write_plan(tmp_path), "--at", at)
    assert done.returncode == 2
    assert "lies before the moment of asking" in done.stderr


def test_a_pipe_without_a_reader_is_said_and_does_not_hold_up_the_report(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = preflight("run", write_plan(tmp_path), "--output", f"json={tmp_path / 'pipe'}")
    assert done.returncode == 1
    assert "NO-GO" in done.stdout
    assert "nobody reads this pipe" in done.stderr


def test_only_and_skip_are_never_go(tmp_path: Path) -> None:
    done = preflight("run", write_plan(tmp_path, BASE), "--only", "host-login")
    assert done.returncode == 3


@pytest.mark.long
def test_a_reader_that_goes_away_does_not_change_the_code(tmp_path: Path) -> None:
    plan = write_plan(tmp_path)
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(argv("run", plan), stdout=write, stderr=subprocess.PIPE, env=environment(), timeout=600)
    os.close(write)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


@pytest.mark.long
def test_a_report_that_cannot_be_written_never_ends_in_0(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        for arguments in (
            ("run", write_plan(tmp_path)),
            ("lint", write_plan(tmp_path)),
            ("show", write_plan(tmp_path)),
        ):
            done = subprocess.run(argv(*arguments), stdout=full, stderr=subprocess.PIPE, env=environment(), timeout=600)
            assert done.returncode not in (0, 130), arguments
            assert b"Traceback" not in done.stderr


@pytest.mark.long
def test_a_closed_standard_output_never_ends_in_0(tmp_path: Path) -> None:
    line = f'exec "{sys.executable}" -m preflight run "{write_plan(tmp_path)}" >&-'
    done = subprocess.run(["sh", "-c", line], stderr=subprocess.PIPE, env=environment(), timeout=600)
    assert done.returncode == 1
    assert b"could not be written" in done.stderr


@pytest.mark.long
@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_130_and_waits_for_no_answer(tmp_path: Path, which: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        plan = write_plan(tmp_path, BASE + DEAD_HOST.replace("port = 1", f"port = {port}"))
        process = subprocess.Popen(argv("run", plan), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        silent.settimeout(30)
        connection, _ = silent.accept()  # the run is now waiting for a banner that never comes
        process.send_signal(which)
        out, err = process.communicate(timeout=60)
        connection.close()
    assert (process.returncode, out, err) == (130, b"", f"{INTERRUPTED}\n".encode())


def test_with_a_thread_left_it_ends_at_once_with_all_that_was_said() -> None:
    """Python's own end would stop the thread wherever it is; inside Rust or C++ that aborts the process."""
    program = (
        "import atexit, sys, threading\n"
        "import preflight.__main__, preflight.cli\n"
        "def run():\n"
        "    threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "    print('said')\n"
        "    sys.exit(3)\n"
        "atexit.register(print, 'Python has ended')\n"
        "preflight.cli.main = run\n"
        "preflight.__main__.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(), timeout=600
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "said\n", "")


@pytest.mark.parametrize("number", INTERRUPTIONS)
@pytest.mark.parametrize("module", ["click", "preflight.cli.run", "tomllib", "paramiko"])
def test_an_interruption_while_it_is_being_loaded_is_one_line_and_130(
    tmp_path: Path, module: str, number: signal.Signals
) -> None:
    """The program, told to stop at the moment at which it begins to load a module."""
    program = (
        "import importlib.abc, os, signal, sys, threading\n"
        "class Hook(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == {module!r}:\n"
        f"            os.kill(os.getpid(), {int(number)})\n"
        "            threading.Event().wait(60)\n"
        "sys.meta_path.insert(0, Hook())\n"
        f"sys.argv = ['preflight', 'run', {str(write_plan(tmp_path))!r}]\n"
        "from preflight.__main__ import main\nmain()\n"
    )
    argv = [sys.executable, "-c", program]
    done = subprocess.run(argv, capture_output=True, timeout=600, env=environment(), stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", f"{INTERRUPTED}\n".encode())


def test_several_formats_go_to_files_and_say_the_same(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    done = preflight("run", write_plan(tmp_path), "--output", f"json={out}", "--output", f"text={tmp_path / 'r.txt'}")
    assert done.returncode == json.loads(out.read_text())["exit_code"] == 1
    assert "NO-GO" in (tmp_path / "r.txt").read_text()


def test_an_output_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    done = preflight("run", write_plan(tmp_path), "--output", "json=absent/report.json", cwd=tmp_path)
    assert done.returncode == 1
    assert "could not be written" in done.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    ("does", "code", "said"),
    [
        ("raise ZeroDivisionError('unexpected')", 4, "preflight failed itself: ZeroDivisionError: unexpected"),
        # Python makes a RuntimeError of what comes while a class is being made.
        ("type('Report', (), {'field': Field()})", 130, "interrupted"),
    ],
)
def test_a_defect_of_the_tool_is_4_and_says_so_in_one_line(does: str, code: int, said: str) -> None:
    program = (
        "import os, signal, sys\nimport preflight.cli.options as loading\nfrom preflight.cli import main\n"
        "class Field:\n    def __set_name__(self, *_):\n        os.kill(os.getpid(), signal.SIGTERM)\n"
        f"def boom(_path):\n    {does}\n"
        "import preflight.cli.offline as plans\nplans.load = boom\n"
        "sys.argv = ['preflight', 'lint', 'x.toml']\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(), timeout=60
    )
    assert (done.returncode, said in done.stderr) == (code, True), done
    assert len(done.stderr.splitlines()) == 1


def test_without_a_terminal_a_prompt_is_no_hang_and_no_go(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, BASE + DEAD_HOST.replace("env:DB1_PASSWORD", "prompt"))
    done = preflight("run", plan)
    assert done.returncode in (1, 3)
    assert "needs a terminal" in done.stdout
    assert "cure    run preflight on a terminal" in done.stdout


def test_saved_evidence_is_private_and_judged_equally(tmp_path: Path) -> None:
    plan = write_plan(tmp_path)
    kept = tmp_path / "evidence.json"
    first = preflight("run", plan, "--evidence", kept, "--format", "json")
    assert kept.stat().st_mode & 0o777 == 0o600
    again = preflight("judge", plan, kept, "--format", "json")
    assert again.returncode == first.returncode
    one, two = json.loads(first.stdout), json.loads(again.stdout)
    assert one["findings"] == two["findings"]
    assert one["evidence_sha256"] == two["evidence_sha256"]


def test_evidence_of_another_plan_is_refused(tmp_path: Path) -> None:
    plan = write_plan(tmp_path)
    kept = tmp_path / "evidence.json"
    preflight("run", plan, "--evidence", kept)
    plan.write_text(plan.read_text() + "\n# changed\n")
    done = preflight("judge", plan, kept)
    assert done.returncode == 2
    assert "another text of this plan" in done.stderr


def test_evidence_is_kept_beside_the_plan_by_default(tmp_path: Path) -> None:
    plan = write_plan(tmp_path)
    preflight("run", plan)
    kept = tmp_path / ".preflight" / "REL-1"
    assert len(list(kept.glob("*Z.json"))) == 1
    done = preflight("judge", plan, *kept.glob("*.report.json"))
    assert done.returncode == 2
    assert "this is a report, not the evidence it was made from" in done.stderr


def test_colour_follows_the_option_and_the_environment(tmp_path: Path) -> None:
    plan = write_plan(tmp_path)
    assert "\033[" not in preflight("run", plan).stdout
    assert "\033[" in preflight("run", plan, "--color", "always").stdout
    assert "\033[" in preflight("run", plan, FORCE_COLOR="1").stdout
    assert "\033[" not in preflight("run", plan, FORCE_COLOR="1", NO_COLOR="1").stdout


def test_help_names_every_command_and_exit_code() -> None:
    done = preflight("--help")
    assert done.returncode == 0
    for word in ("run", "judge", "lint", "show", "seal", "demo", "3 HOLD", "130 interrupted"):
        assert word in done.stdout


def test_a_plug_in_that_exits_with_0_is_no_go(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "own.py").write_text("import sys\nsys.exit(0)\n")
    done = preflight("run", write_plan(tmp_path, BASE.replace("[window]", 'checks = "own"\n\n[window]')))
    assert done.returncode == 3
    assert "SystemExit" in done.stdout


def test_a_plug_in_that_cannot_be_loaded_is_one_line_though_the_plan_has_settings_for_it(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "certificate_store.py").write_text("import nowhere_to_be_found\n")
    text = BASE.replace("[window]", 'checks = "own"\n\n[window]') + "[checks.certificate-store]\nlimit = 3\n"
    done = preflight("run", write_plan(tmp_path, text), "--format", "json")
    assert done.returncode == 3, done.stderr
    (found,) = [each for each in json.loads(done.stdout)["findings"] if each["check"].startswith("own/")]
    assert (found["check"], found["status"]) == ("own/certificate_store.py", "unknown")
    assert "nowhere_to_be_found" in found["cause"]


def test_a_typing_error_in_a_setting_that_names_an_entry_of_the_plan_is_found(tmp_path: Path) -> None:
    database = '[databases.orders]\nhost = "db1"\nuser = "u"\n'
    for table, said in (
        ('[checks.backup-space]\nwal_per_hour = { order = "1GiB" }\n', 'did you mean "orders"?'),
        ("[checks.host-login.valid_through.db2]\nuntil = 2026-10-17\n", 'did you mean "db1"?'),
        ('[checks.host-login.valid_through.db1]\nby = "dab"\n', '"dab" is not declared'),
    ):
        done = preflight("lint", write_plan(tmp_path, BASE + DEAD_HOST + database + table))
        assert done.returncode == 2
        assert said in done.stdout


def test_lint_says_what_is_over_and_what_is_not_there(tmp_path: Path) -> None:
    text = (
        BASE.replace("2030", "2020")
        + DEAD_HOST
        + (
            '[databases.orders]\nhost = "db1"\nuser = "u"\n'
            '[scripts.orders]\ndatabase = "orders"\napproved = "sql"\nmanifest = "sums"\nstaged = "/s"\n'
        )
    )
    done = preflight("lint", write_plan(tmp_path, text))
    said = " ".join(done.stdout.split())
    assert "The window was over Sat 2020-10-17 06:00 +00:00: correct start and end in [window]." in said
    assert "The folder of approved scripts is not there" in said


def test_a_sheet_of_commands_is_text_alone(tmp_path: Path) -> None:
    plan = write_plan(tmp_path)
    assert preflight("show", plan, "--commands").returncode == 0
    done = preflight("show", plan, "--commands", "--format", "markdown")
    assert (done.returncode, done.stdout) == (2, "")
    assert "leave --format out" in done.stderr


def test_show_names_the_plan_as_it_was_called(tmp_path: Path) -> None:
    plan = write_plan(tmp_path)
    assert f"`preflight run {plan}`" in preflight("show", plan).stdout.replace("\n", " ")
