"""What sudo and shells say, recorded with sudo 1.9.13, and how it is told apart."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from preflight.probe import Reply, Unreadable
from preflight.questions.shell import AsAccount, Refusal, without_warning
from preflight.questions.sudo import Programs, ProgramsProbe, ReachProbe

LOGIN = AsAccount("dbadmin", is_login=True)
POSTGRES = AsAccount("postgres", is_login=False)
WITH_PASSWORD = AsAccount("postgres", is_login=False, password="env:SUDO")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("sudo: a password is required", Refusal.NEEDS_PASSWORD),
        ("sudo: a terminal is required to read the password", Refusal.NEEDS_PASSWORD),
        ("sudo: sorry, you must have a tty to run sudo", Refusal.NEEDS_TERMINAL),
        ("sudo: unknown user nosuch\nsudo: error initializing audit plugin sudoers_audit", Refusal.UNKNOWN_ACCOUNT),
        ("Sorry, user a is not allowed to execute '/usr/bin/psql --version' as b on vm.", Refusal.NOT_ALLOWED),
        ("a is not in the sudoers file.  This incident will be reported.", Refusal.NOT_ALLOWED),
        ("Sorry, user a may not run sudo on vm.", Refusal.NOT_ALLOWED),
        (
            "Sorry, try again.\n\nsudo: no password was provided\nsudo: 1 incorrect password attempt",
            Refusal.WRONG_PASSWORD,
        ),
        ("sudo: psql: command not found", Refusal.NOT_FOUND),
        ("sh: 1: psql: not found", Refusal.NOT_FOUND),
        ("sh: 2: sudo: not found", Refusal.NO_SUDO),
        ("bash: line 3: sudo: command not found", Refusal.NO_SUDO),
        ("sudo: unable to execute /usr/bin/psql: No such file or directory", Refusal.NOT_FOUND),
        ("sudo: unable to mkdir /proc/nix: No such file or directory", Refusal.OWN_FILE),
        ("sudo: unable to open log file /a: No such file or directory\nsudo: x: command not found", Refusal.NOT_FOUND),
        ("sudo: unable to open log file /log/a: No such file or directory\nSegmentation fault", Refusal.OTHER),
        ("Segmentation fault", Refusal.OTHER),
        ("", Refusal.OTHER),
    ],
)
def test_refusals_are_told_apart(said: str, kind: Refusal) -> None:
    assert Refusal.of(said) is kind


def reply(text: str) -> Reply:
    return Reply(0, text, datetime(2026, 10, 16, tzinfo=UTC), 0.1, "on db1 as dbadmin")


def read(text: str, *programs: str) -> Programs:
    return ProgramsProbe("db1", POSTGRES, programs or ("psql",)).read(reply(f"{text}end=yes\n"))


GOOD = "program=psql\ncode=0\npath=/usr/bin/psql\nsaid=psql (PostgreSQL) 15.18|\nbeside=\n"


def test_a_program_that_ran_is_read() -> None:
    (run,) = read(GOOD)
    assert (run.ran, run.path, run.said) == (True, "/usr/bin/psql", "psql (PostgreSQL) 15.18")


def test_a_program_that_is_listed_with_other_arguments_alone_did_not_run() -> None:
    (run,) = read(GOOD.replace("path=/usr/bin/psql", "path="))
    assert (run.ran, run.refusal) == (False, Refusal.ONLY_VERSION)
    (run,) = read(GOOD.replace("path=/usr/bin/psql", "path=sudo: a password is required"))
    assert run.ran, "sudo lists nothing without a password (listpw), which says nothing of the rule"
    (run,) = ProgramsProbe("db1", LOGIN, ("psql",)).read(reply(GOOD.replace("path=/usr/bin/psql", "path=") + "end=yes"))
    assert run.ran, "no sudo is asked"


def test_a_path_is_only_a_path() -> None:
    assert read(GOOD.replace("/usr/bin/psql", "alias psql"))[0].path == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD * 2,
        GOOD.replace("program=psql", "program=pg_dump"),
        GOOD.replace("code=0\n", ""),
        GOOD.replace("0", "x"),
    ],
)
def test_answers_that_do_not_fit_the_programs_are_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        read(text)


def test_only_a_password_of_the_plan_reaches_standard_input() -> None:
    assert [
        ProgramsProbe("db1", who, ("psql",)).question().stdin_secret for who in (LOGIN, POSTGRES, WITH_PASSWORD)
    ] == [
        "",
        "",
        "env:SUDO",
    ]
    assert "sudo -" not in ProgramsProbe("db1", LOGIN, ("psql",)).ask()
    assert "sudo -k -n -u postgres" in ProgramsProbe("db1", POSTGRES, ("psql",)).ask()


def test_names_are_quoted() -> None:
    odd = AsAccount("a; reboot", is_login=False)
    assert "-u 'a; reboot' --" in ProgramsProbe("db1", odd, ("psql",)).ask()
    assert "try 'psql; reboot'" in ProgramsProbe("db1", odd, ("psql; reboot",)).ask()
    assert "-u 'a; reboot' --" in ReachProbe("db1", odd).ask()


def test_rules_for_the_account_are_found_among_all_rules() -> None:
    rules = ["(postgres) NOPASSWD: /usr/bin/psql", "(ALL : ALL) ALL", "(root, postgres) /bin/a", "(root) ALL"]
    text = "code=1\nsaid=\n" + "".join(f"rule={rule}\n" for rule in rules) + "end=yes\n"
    assert ReachProbe("db1", POSTGRES).read(reply(text)).rules == tuple(rules[:3])


WARNING = "sudo: unable to resolve host vm: Name or service not known"
SUDO = """\
#!/bin/sh
echo '{warning}' >&2
for last do :; done
case " $* " in
*" -l "*) [ '{allowed}' = yes ] && echo /bin/sh; exit ;;
*" -- "*) [ '{allowed}' = yes ] || exit 1 ;;
esac
while [ "$1" != -- ]; do shift; done; shift; exec "$@"
"""


@pytest.mark.parametrize("allowed", ["yes", "no"])
def test_a_host_that_does_not_know_its_own_name_refuses_nothing(tmp_path: Path, allowed: str) -> None:
    """sudo warns of it, and gives the account all the same."""
    (tmp_path / "sudo").write_text(SUDO.format(warning=WARNING, allowed=allowed))
    (tmp_path / "sudo").chmod(0o755)

    def printed(script: str) -> str:
        argv = ["sh", "-c", f"PATH={tmp_path}:$PATH\n{script}"]
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout

    assert printed(POSTGRES.wrap("echo looked")) == ("looked\n" if allowed == "yes" else "")
    assert printed(POSTGRES.or_login("echo $0")).strip() == "/bin/sh"
    told = ReachProbe("db1", POSTGRES).read(reply(printed(ReachProbe("db1", POSTGRES).ask())))
    (run,) = ProgramsProbe("db1", POSTGRES, ("sh",)).read(reply(printed(ProgramsProbe("db1", POSTGRES, ("sh",)).ask())))
    assert WARNING not in told.said + run.said
    assert (told.code == 0) is (allowed == "yes")


def test_the_warning_is_taken_out_of_what_a_program_says() -> None:
    assert without_warning(f"{WARNING}\npg_restore: error: no such file\n") == "pg_restore: error: no such file\n"
    refusal = "sudo: a password is required\n"
    assert without_warning(f"{WARNING}\n{refusal}") == refusal
    assert without_warning(f"pg_dump: {WARNING}") == f"pg_dump: {WARNING}"
