"""Lines of authorized_keys: as the question prints them of real files, and as they are read."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from preflight.probe import Reply
from preflight.questions.accounts import ExpiryProbe
from preflight.questions.authorized_keys import AuthorizedKey, KeyLine, UserCertificate, authorized_keys, last_to_end

AT = datetime(2026, 10, 16, 19, 0, tzinfo=UTC)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPGIbW2mBF5BbyLGuaUJCXcAqHOl7NMXOAQ0GFkb1kbd"


def seen(home: Path) -> tuple[AuthorizedKey, ...]:
    """What the question makes of the home's default file."""
    done = subprocess.run(
        ["dash", "-c", ExpiryProbe("db1").ask()], capture_output=True, text=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": str(home)}, check=True,
    )  # fmt: skip
    assert not done.stderr
    return ExpiryProbe("db1").read(Reply(0, done.stdout, AT, 0.1, "on db1 as dba")).keys


@pytest.mark.parametrize(
    ("options", "until"),
    [
        ("", None),
        ('expiry-time="20261017Z" ', "2026-10-17T00:00"),
        ('no-pty,Expiry-Time="202610170230Z",from="127.0.0.1" ', "2026-10-17T02:30"),
        ('EXPIRY-TIME="20261017023015Z",no-pty ', "2026-10-17T02:30:15"),
        ('command="echo \\"expiry-time=20200101Z\\" , x",expiry-time="20261017Z" ', "2026-10-17T00:00"),
        ('environment="A=expiry-time=20200101Z" ', None),
        ('expiry-time="20261018Z",expiry-time="20261017Z" ', "2026-10-17T00:00"),
    ],
)
@pytest.mark.parametrize("name", ["authorized_keys", "authorized_keys2"])
def test_the_end_of_a_key_is_found_among_its_options(
    tmp_path: Path, options: str, until: str | None, name: str
) -> None:
    (tmp_path / ".ssh").mkdir()
    text = f'# expiry-time="20200101Z" {KEY}\n\n \t{options}{KEY} dba\'s "own" key\n'
    (tmp_path / ".ssh" / name).write_text(text)
    (line,) = seen(tmp_path)
    assert line.file == str(tmp_path / ".ssh" / name)
    assert (line.until and line.until.isoformat().removesuffix(":00+00:00").removesuffix("+00:00")) == until
    made = subprocess.run(["ssh-keygen", "-l", "-f", "-"], input=KEY, capture_output=True, text=True, check=True)
    assert line.fingerprint == made.stdout.split()[1]


def test_nothing_of_a_line_but_its_key_and_dates_leaves_the_host(tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "authorized_keys").write_text(f'environment="TOKEN=verysecret" {KEY} somebody@example.net\n')
    done = subprocess.run(["dash", "-c", ExpiryProbe("db1").ask()], capture_output=True, env={"HOME": str(tmp_path)})
    assert b"AAAAC3" in done.stdout
    assert b"verysecret" not in done.stdout
    assert b"somebody" not in done.stdout


@pytest.mark.parametrize(
    ("option", "hours", "until"),
    [
        ("expiry-time=20261017", 0, "2026-10-16T23:00"),
        ("no-pty,expiry-time=202610170230", 2, "2026-10-16T23:30"),
        ("expiry-time=202610170230", -4, "2026-10-17T05:30"),
    ],
)
def test_a_time_without_z_is_the_servers_and_an_hour_early(option: str, hours: int, until: str) -> None:
    (key,) = authorized_keys([KeyLine(1, "/f", f"{option} {KEY}")], timedelta(hours=hours))
    assert key.until is not None
    assert key.until.isoformat().startswith(until)


@pytest.mark.parametrize("line", ["expiry-time=20261317 " + KEY, "ssh-ed25519 AAAA=AAAA", ""])
def test_lines_sshd_does_not_take_are_left_out(line: str) -> None:
    assert authorized_keys([KeyLine(1, "/f", line)], timedelta(0)) == ()


def test_of_each_setting_that_may_be_in_force_the_last_line_to_end_counts() -> None:
    def line(setting: int, day: int | None) -> AuthorizedKey:
        return AuthorizedKey(setting, "/f", "SHA256:x", day and AT.replace(day=day))  # type: ignore[arg-type]

    assert last_to_end([]) == []
    assert last_to_end([line(1, 17), line(1, None)]) == [line(1, None)]
    assert last_to_end([line(1, 17), line(1, 18)]) == [line(1, 18)]
    assert last_to_end([line(1, None), line(2, 17), line(2, 18)]) == [line(2, 18), line(1, None)]


def test_certificates_pass_through_the_session_as_they_are() -> None:
    pair = (
        UserCertificate("dba", "SHA256:ca", AT, AT + timedelta(hours=8)),
        UserCertificate("for ever", "SHA256:ca", AT, None, hop="ProxyJump jump.example.net"),
    )
    assert UserCertificate.in_session({"user_certificates": UserCertificate.as_json(pair)}) == pair
    assert UserCertificate.in_session({}) == ()
    assert [each.holds_at(AT + timedelta(hours=8)) for each in pair] == [False, True]
    assert not pair[0].holds_at(AT - timedelta(seconds=1))
