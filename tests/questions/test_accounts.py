"""Replies about the login's account, recorded on Debian 12, and what is refused of them."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from preflight.probe import Reply, Unreadable
from preflight.questions.accounts import Aging, Expiry, ExpiryProbe, LoginProbe

AT = datetime(2026, 10, 16, 19, 0, tzinfo=UTC)
AGING = """\
chage=0
said=Last password change\t\t\t\t\t: 2026-09-25
said=Password expires\t\t\t\t\t: 2026-11-24
said=Password inactive\t\t\t\t\t: never
said=Account expires\t\t\t\t\t\t: 2027-01-01
said=Minimum number of days between password change\t\t: 0
pam_time=absent
offset=+0000
timeouts=
end=yes
"""


def reply(text: str, code: int = 0) -> Reply:
    return Reply(code, text, AT, 0.1, "on db1 as dbadmin")


def expiry(text: str) -> Expiry:
    return ExpiryProbe("db1").read(reply(text))


def test_dates_are_read_in_both_forms_of_chage() -> None:
    assert (expiry(AGING).password_expires, expiry(AGING).account_expires) == (date(2026, 11, 24), date(2027, 1, 1))
    older = AGING.replace("2026-11-24", "Nov 24, 2026").replace("2027-01-01", "never")
    assert (expiry(older).password_expires, expiry(older).account_expires) == (date(2026, 11, 24), None)


def test_a_password_that_must_be_changed_is_seen() -> None:
    forced = AGING.replace("2026-09-25", "password must be changed").replace("2026-11-24", "password must be changed")
    assert expiry(forced).must_change
    assert not expiry(AGING).must_change


@pytest.mark.parametrize(
    ("said", "aging"),
    [
        ("chage=1\nsaid=chage: user 'ldapuser' does not exist in /etc/passwd", Aging.NOT_LOCAL),
        ("chage=1\nsaid=chage: Permission denied.", Aging.NOT_SHOWN),
        ("chage=127", Aging.NOT_SHOWN),
    ],
)
def test_an_account_chage_does_not_know_is_told_apart(said: str, aging: Aging) -> None:
    found = expiry(f"{said}\npam_time=absent\noffset=+0000\ntimeouts=\nend=yes\n")
    assert found.aging is aging
    assert found.said
    assert found.account_expires is None


@pytest.mark.parametrize(
    ("damage", "instead"),
    [
        ("chage=0", ""),
        ("chage=0", "chage=zero"),
        ("chage=0", "chage=0\nchage=1"),
        ("2027-01-01", "soon"),
        ("2027-01-01", "2027-13-01"),
        ("2027-01-01", "Foo 1, 2027"),
        ("Account expires", "Konto läuft ab"),
        ("pam_time=absent", ""),
        ("pam_time=absent", "pam_time=perhaps"),
        ("offset=+0000\n", ""),
        ("end=yes\n", ""),
        ("offset=+0000", "noise without an equals sign"),
    ],
)
def test_a_reply_of_another_shape_is_refused(damage: str, instead: str) -> None:
    assert damage in AGING
    with pytest.raises(Unreadable):
        expiry(AGING.replace(damage, instead))


def test_rules_of_hours_are_kept_where_pam_time_is_active() -> None:
    assert expiry(AGING).time_rules is None
    active = AGING.replace("pam_time=absent", "pam_time=active\nrule=sshd;*;dbadmin;Wk0800-1800")
    assert expiry(active).time_rules == ("sshd;*;dbadmin;Wk0800-1800",)
    assert not expiry(active).time_of_sudo
    of_sudo = expiry(active.replace("=active", "=sudo"))
    assert of_sudo == replace(expiry(active), time_of_sudo=True)
    hidden = expiry(AGING.replace("pam_time=absent", "pam_time=unreadable"))
    assert (hidden.time_rules, hidden.time_rules_readable) == ((), False)


LOGIN = "user=dbadmin\nuid=1017\nnode=db1\nshell=bash\nend=yes\n"


def test_a_login_is_a_name_and_a_number() -> None:
    login = LoginProbe("db1").read(reply(LOGIN))
    assert (login.user, login.uid, login.node, login.asked_at) == ("dbadmin", 1017, "db1", AT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        *(LOGIN.replace(f"{line}\n", "") for line in LOGIN.splitlines()),
        LOGIN.replace("dbadmin", ""),
        LOGIN.replace("1017", "x"),
        "garbage",
    ],
)
def test_a_shell_that_answers_otherwise_is_no_login(text: str) -> None:
    with pytest.raises(Unreadable):
        LoginProbe("db1").read(reply(text))


def test_an_id_that_failed_is_no_login() -> None:
    with pytest.raises(Unreadable):
        LoginProbe("db1").read(reply(LOGIN, 1))


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_questions_run_in_any_posix_shell(shell: str) -> None:
    for probe in (LoginProbe("db1"), ExpiryProbe("db1")):
        done = subprocess.run(
            [shell, "-c", probe.ask()], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
        )
        probe.read(reply(done.stdout, done.returncode))
        assert not done.stderr


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("", 0),
        ("none", 0),
        ("direct-tcpip=5 agent-connection=1m", 0),
        ("session:*=90", 90),
        ("session:command=0 session:*=1h30M", 5400),
        ("*=2d session:shell=1", 172_800),
        ("session:shell=0 session:*=1m", 0),
        ("session:command=1w session:shell=10m", 600),
    ],
)
def test_the_silence_after_which_sshd_ends_a_session_is_read_as_sshd_does(said: str, seconds: int) -> None:
    """Of several patterns the first that fits counts."""
    assert expiry(AGING.replace("timeouts=", f"timeouts={said}")).silence_seconds == seconds
