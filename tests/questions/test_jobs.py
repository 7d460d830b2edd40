"""What starts by itself on a host: the shell text run for real, and replies as systemd and cron print them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from preflight.probe import Reply, Unreadable
from preflight.questions.jobs import (
    REDACTED,
    SED_PROGRAM,
    CrontabProbe,
    HostJobs,
    HostJobsProbe,
    OwnCrontab,
    Systemd,
    Table,
)
from preflight.questions.shell import AsAccount
from preflight.questions.timers import Timer
from tests.site.machine import needs_root

ASKED_AT = datetime(2026, 10, 16, 19, 0, tzinfo=UTC)
LOGIN = AsAccount("dbadmin", is_login=True)
HEAD = """\
offset=+0200
localtime=/usr/share/zoneinfo/Europe/Prague
zone=
epoch=1792177200
uptime=86400.5
cron=cron
anacron=no
daemons=cron atd
unread=
at=1792177200 dbadmin 7
"""
LS = "-rw-r--r-- 1 0 0 45 Nov 29 10:00 /etc/a table\nends=  \\n\n"
OFFLINE = "systemd=offline\nend=yes\n"
TIMERS = """\
systemd=running
timer=Unit=pg-backup.service
timer=TimersCalendar={ OnCalendar=*-*-* 01:00:00 ; next_elapse=Fri 2026-10-16 23:00:00 UTC }
timer=TimersCalendar={ OnCalendar=Sun *-*-* 12:00:00 ; next_elapse=Sun 2026-10-18 10:00:00 UTC }
timer=NextElapseUSecRealtime=Fri 2026-10-16 23:00:00 UTC
timer=NextElapseUSecMonotonic=0
timer=RandomizedDelayUSec=20min
timer=AccuracyUSec=1min
timer=Id=pg-backup.timer
timer=ActiveState=active
timer=
timer=Unit=systemd-tmpfiles-clean.service
timer=TimersMonotonic={ OnUnitActiveUSec=1d ; next_elapse=1d 15min }
timer=TimersMonotonic={ OnBootUSec=15min ; next_elapse=15min }
timer=NextElapseUSecRealtime=
timer=NextElapseUSecMonotonic=1d 15min 0.5s
timer=RandomizedDelayUSec=0
timer=AccuracyUSec=1min
timer=Id=systemd-tmpfiles-clean.timer
timer=ActiveState=active
timer=
timer=Unit=off.service
timer=TimersCalendar={ OnCalendar=*-*-* 02:00:00 ; next_elapse=n/a }
timer=Id=off.timer
timer=ActiveState=inactive
service=ExecStart={ path=/usr/bin/pg_dump ; argv[]=/usr/bin/pg_dump -Fc orders ; ignore_errors=no ; start_time=[n/a] }
service=Id=pg-backup.service
service=
service=Id=systemd-tmpfiles-clean.service
end=yes
"""


ONE_TIMER = [line for line in TIMERS.partition("timer=\n")[0].splitlines() if line.startswith("timer=")]
PG_CALENDARS, BY_SPAN = (
    "".join(f"{line}\n" for line in TIMERS.splitlines() if word in line and "off" not in line and "02:00" not in line)
    for word in ("TimersCalendar", "TimersMonotonic")
)


def reply(text: str, code: int = 0, error: str = "") -> Reply:
    return Reply(code, text, ASKED_AT, 0.1, "on db1 as dbadmin", error)


def read(text: str) -> HostJobs:
    return HostJobsProbe("db1").read(reply(text))


def ask(script: str, path: Path | None = None) -> Reply:
    """Runs a question's text as the session's batch does, with the programs in `path` before all others."""
    search = f"{path}:/usr/bin:/bin" if path else "/usr/bin:/bin"
    surroundings = {"LC_ALL": "C", "TZ": "UTC0", "PATH": search}
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=surroundings, timeout=60)
    return reply(done.stdout, done.returncode, done.stderr)


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_this_machine_can_be_asked() -> None:
    answer = ask(HostJobsProbe("db1").ask())
    assert (answer.code, answer.error) == (0, "")
    found = HostJobsProbe("db1").read(replace(answer, asked_at=datetime.now(UTC)))
    assert found.zone.name


def test_a_restart_that_is_scheduled_is_one_of_the_timers() -> None:
    needs_root("have a /run of its own")
    laid = (
        "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/shutdown && "
        "printf 'USEC=1792201800000000\\nWARN_WALL=1\\nMODE=reboot\\n' >/run/systemd/shutdown/scheduled"
    )
    asked = f"{laid}\n{HostJobsProbe('db1').ask()}"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", asked], capture_output=True, text=True, check=False)
    found = HostJobsProbe("db1").read(Reply(done.returncode, done.stdout, datetime.now(UTC), 0.1, "here", done.stderr))
    (restart,) = (timer for timer in found.timers if timer.name == "shutdown")
    assert (restart.starts, restart.calendars) == ("reboot", ("2026-10-17 01:50:00 UTC",))
    moment = datetime(2026, 10, 17, 1, 50, tzinfo=UTC)
    assert restart.runs(moment - timedelta(hours=2), moment + timedelta(days=400), UTC) == [moment]


def test_timers_are_asked_of_systemctl(tmp_path: Path) -> None:
    shown = "\n".join(line.removeprefix("timer=") for line in TIMERS.splitlines() if line.startswith("timer="))
    service = "ExecStart={ path=/usr/bin/x ; argv[]=/usr/bin/x --token=abc -v ; ignore_errors=no ; pid=0 }"
    script = f"""case "$*" in
*Unit,ActiveState*) printf '%s\\n' {_quoted(shown)} ;;
*'-- '*) printf '%s\\n' "$*" >{tmp_path}/asked; printf '%s\\nId=pg-backup.service\\n' {_quoted(service)} ;;
esac"""
    program(tmp_path / "bin", "systemctl", script)
    found = HostJobsProbe("db1").read(ask(HostJobsProbe("db1").ask(), tmp_path / "bin"))
    assert found.systemd is Systemd.RUNNING
    assert [timer.name for timer in found.timers] == ["pg-backup.timer", "systemd-tmpfiles-clean.timer"]
    assert found.timers[0].command == f"/usr/bin/x --token={REDACTED} -v"
    assert "-- off.service pg-backup.service" in (tmp_path / "asked").read_text()


@pytest.mark.parametrize(
    ("script", "systemd", "said"),
    [
        ("echo \"System has not been booted with systemd as init system (PID 1). Can't operate.\" >&2; exit 1",
         Systemd.OFFLINE, ""),
        ("echo 'Failed to connect to bus: No data available' >&2; exit 1", Systemd.FAILED,
         "Failed to connect to bus: No data available"),
        ("exit 0", Systemd.RUNNING, ""),
    ],
)  # fmt: skip
def test_a_systemctl_that_cannot_answer_is_told(tmp_path: Path, script: str, systemd: Systemd, said: str) -> None:
    program(tmp_path / "bin", "systemctl", script)
    found = HostJobsProbe("db1").read(ask(HostJobsProbe("db1").ask(), tmp_path / "bin"))
    assert (found.systemd, found.said, found.timers) == (systemd, said, ())


def test_a_host_whose_tools_do_not_work_is_no_answer(tmp_path: Path) -> None:
    """Without a working sed, every line would be lost, and the host would look idle."""
    program(tmp_path / "bin", "sed", "exit 2")
    with pytest.raises(Unreadable, match="unknown key"):
        HostJobsProbe("db1").read(ask(HostJobsProbe("db1").ask(), tmp_path / "bin"))


@pytest.mark.parametrize(
    ("processes", "daemons", "cron"),
    [
        ({1: "systemd|S|1", 70: "crond|S|70", 71: "cron job|R|71", 9: "atd|S|9"}, {"atd", "crond"}, "crond"),
        ({1: "init|S|1", 70: "fcron|Z|70", 71: "cron|S|71"}, {"cron"}, "cron"),
        ({1: "init|S|1", 70: "cron|Z|70", 71: "crond|X|71"}, {"none"}, None),
        ({1: "init|S|1", 70: "cron|S|70\t1", 71: "atd|S|71"}, {"atd"}, None),  # a container's
        ({1: "init|S|1", 70: "cron|S"}, {"cron"}, "cron"),  # a kernel before 4.1
        ({}, None, None),
    ],
)
def test_a_daemon_counts_while_it_runs_wherever_its_program_is(
    tmp_path: Path, processes: Mapping[int, str], daemons: set[str] | None, cron: str | None
) -> None:
    """The kernel's words on each process stand in for `/proc`: other tests ask for this machine's own."""
    for number, told in processes.items():
        (tmp_path / f"{number}").mkdir()
        words = zip(("Name", "State", "NSpid"), told.split("|"), strict=False)
        (tmp_path / f"{number}/status").write_text("".join(f"{name}:\t{word}\n" for name, word in words))
    answer = ask(HostJobsProbe("db1").ask().replace("/proc/", f"{tmp_path}/"))
    installed = re.findall("^cron=(.*)", answer.text, re.MULTILINE)[0]
    found = HostJobsProbe("db1").read(answer)
    assert (found.daemons, found.cron) == (daemons, cron or installed)


def test_timers_are_read_as_systemd_shows_them() -> None:
    found = read(HEAD + TIMERS)
    calendars = ("*-*-* 01:00:00", "Sun *-*-* 12:00:00")
    assert found.timers == (
        Timer(
            "pg-backup.timer", "pg-backup.service", calendars, next_at=datetime(2026, 10, 16, 23, tzinfo=UTC),
            delay=timedelta(minutes=20), command="/usr/bin/pg_dump -Fc orders",
        ),
        Timer(
            "systemd-tmpfiles-clean.timer", "systemd-tmpfiles-clean.service", every=timedelta(days=1),
            next_at=datetime(2026, 10, 16, 19, 15, tzinfo=UTC),
        ),
    )  # fmt: skip
    assert found.unread_timers == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("OnCalendar=*-*-* 01:00:00 ; next_elapse=", "what is this"),
        ("1d 15min 0.5s", "5 parsecs"),
        ("uptime=86400.5", "uptime="),
        ("RandomizedDelayUSec=20min", "RandomizedDelayUSec=infinity"),
        (PG_CALENDARS, ""),  # it would be taken for one that starts once
        (
            PG_CALENDARS + "timer=NextElapseUSecRealtime=Fri 2026-10-16 23:00:00 UTC\n",
            "timer=NextElapseUSecRealtime=\n",
        ),
        (BY_SPAN, ""),
        *((f"{line}\n", "") for line in ONE_TIMER if "OnCalendar" not in line and "Randomized" not in line),
    ],
)
def test_a_timer_of_another_shape_is_not_lost(old: str, new: str) -> None:
    found = read((HEAD + TIMERS).replace(old, new, 1))
    assert len(found.timers) + len(found.unread_timers) == 2
    assert len(found.unread_timers) == 1


@pytest.mark.parametrize("place", [1, 2])
def test_two_timers_that_are_not_told_apart_are_not_lost(place: int) -> None:
    parts = TIMERS.split("timer=\n")
    parts[place - 1 : place + 1] = ["".join(parts[place - 1 : place + 1])]
    assert read(HEAD + "timer=\n".join(parts)).unread_timers


def test_tables_are_read_with_their_users() -> None:
    found = read(
        HEAD.replace("unread=", "unread=:/etc/cron.d/secret:/var/spool/cron/crontabs")
        + f"table=table /etc/crontab\n{LS}line=17 * * * * root run-parts /etc/cron.hourly\n\n"
        f"table=table /etc/cron.d/backup\n{LS}" + "line=0 1 * * * postgres pg_dump\n" * 301 + "\n"
        f"table=spool /var/spool/cron/./root\n{LS}line=@daily clean\n\n"
        "part=/etc/cron.daily/dpkg\npart=/etc/cron.daily/man-db\n" + OFFLINE
    )
    assert found.tables == (
        Table("/etc/crontab", "", ("17 * * * * root run-parts /etc/cron.hourly",)),
        Table("/etc/cron.d/backup", "", ("0 1 * * * postgres pg_dump",) * 300, cut=True),
        Table("crontab of root", "root", ("@daily clean",)),
    )
    assert found.unread == ("/etc/cron.d/secret", "/var/spool/cron/crontabs")
    assert found.parts == {"/etc/cron.daily": ("dpkg", "man-db")}
    assert (found.systemd, found.zone.text) == (Systemd.OFFLINE, "Europe/Prague (+02:00)")


@pytest.mark.parametrize(
    ("cron", "name", "is_run"),
    [("cron", "backup", True), ("cron", "backup.bak", False), ("crond", "backup.bak", True), ("crond", "x~", False),
     ("crond", "x.rpmnew", False), ("crontab", "a.dpkg-old", False)],
)  # fmt: skip
def test_only_files_that_cron_reads_count(cron: str, name: str, is_run: bool) -> None:
    head = HEAD.replace("cron=cron\n", f"cron={cron}\n").replace("cron atd", cron.replace("crontab", "none"))
    text = head + f"table=table /etc/cron.d/{name}\n{LS}line=* * * * * root x\n\n"
    assert bool(read(text + OFFLINE).tables) is is_run


@pytest.mark.parametrize(
    ("cron", "listed", "refused"),
    [
        ("cron", "-rw-r--r-- 1 0", ""), ("cron", "-rw-------  1 0", ""), ("cron", "-rwxr-xr-x+ 1 0", ""),
        ("cron", "-rw-r--r-- 1 1000", "-rw-r--r--, owner 1000"), ("cron", "-rw-rw-r-- 1 0", "-rw-rw-r--, owner 0"),
        ("cron", "-rw-r--rw- 1 0", "-rw-r--rw-, owner 0"), ("crontab", "-rw-rw-r--. 1 0", "-rw-rw-r--., owner 0"),
        ("crond", "-rw-r--r--. 1 0", ""), ("crond", "-rw------- 1 0", ""),
        ("crond", "-rw-rw-r-- 1 0", "-rw-rw-r--, owner 0"), ("crond", "-rwxr-xr-x 1 0", "-rwxr-xr-x, owner 0"),
    ],
)  # fmt: skip
def test_a_table_that_cron_does_not_trust_is_not_run(cron: str, listed: str, refused: str) -> None:
    text = HEAD.replace("cron=cron", f"cron={cron}").replace("cron atd", "atd")
    ended = "ends=  \\n\nline=* * * * * root x\n\n"
    text += f"table=table /etc/cron.d/b\n{listed}     0 45 Nov 29 10:00 /etc/cron.d/b\n{ended}"
    found = read(text + OFFLINE)
    assert (found.refused, bool(found.tables)) == ({"/etc/cron.d/b": refused} if refused else {}, not refused)
    assert not read(text.replace("/cron.d/b", "/cron.d/b~") + OFFLINE).refused, "cron does not look at it"


@pytest.mark.parametrize("folder", ["", "cron.d/"])
def test_the_mode_and_the_owner_of_a_table_are_asked(tmp_path: Path, folder: str) -> None:
    (tmp_path / "etc/cron.d").mkdir(parents=True)
    table = tmp_path / "etc" / folder / "crontab"
    table.write_text("* * * * * root x\n")
    for mode, word in ((0o644, "-rw-r--r--"), (0o664, "-rw-rw-r--")):
        table.chmod(mode)
        answer = ask(HostJobsProbe("db1").ask().replace("/etc/cron", f"{tmp_path}/etc/cron"))
        found = HostJobsProbe("db1").read(replace(answer, text=answer.text.replace(f"{tmp_path}", "")))
        is_trusted = mode == 0o644 and os.geteuid() == 0
        told = {} if is_trusted else {f"/etc/{folder}crontab": f"{word}, owner {os.geteuid()}"}
        assert (found.refused, len(found.tables)) == (told, is_trusted)


@pytest.mark.parametrize(("anacron", "there"), [("yes", True), ("no", False)])
def test_a_table_of_anacron_counts_where_anacron_is(anacron: str, there: bool) -> None:
    text = (
        HEAD.replace("anacron=no", f"anacron={anacron}")
        + f"table=anacrontab /etc/anacrontab\n{LS}line=1 5 cron.daily true\n\n"
    )
    assert (read(text + OFFLINE).anacrontab is not None) is there


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "Europe/Prague"),
        ({"localtime=/usr/share/zoneinfo/Europe/Prague": "localtime=/etc/localtime"}, ""),
        ({"localtime=/usr/share/zoneinfo/Europe/Prague": "localtime=/etc/localtime", "zone=": "zone=Europe/Prague"},
         "Europe/Prague"),
        ({"+0200": "+0900"}, ""),
        ({"Europe/Prague": "Mars/Olympus"}, ""),
        ({"zoneinfo/Europe": "zoneinfo/posix/Europe"}, "Europe/Prague"),
        ({"Europe/Prague": "../../etc/passwd"}, ""),
    ],
)  # fmt: skip
def test_a_zone_counts_when_it_shows_the_time_of_the_host(changes: Mapping[str, str], name: str) -> None:
    text = HEAD + OFFLINE
    for old, new in changes.items():
        text = text.replace(old, new)
    assert read(text).zone.name == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEAD,
        HEAD + "systemd=offline\n",
        HEAD + OFFLINE + "more\n",
        HEAD + "line=* * * * * x\n" + OFFLINE,
        HEAD + f"table=table /etc/crontab\n{LS}line=* * * * * x\n" + OFFLINE,
        HEAD + f"table=table /etc/crontab\n{LS.partition('ends')[0]}line=* * * * * x\n\n" + OFFLINE,
        HEAD + "table=table /etc/crontab\nline=* * * * * x\n\n" + OFFLINE,
        HEAD + "rumour=1\n" + OFFLINE,
        HEAD + "systemd=maybe\nend=yes\n",
        (HEAD + OFFLINE).replace("epoch=1792177200", "epoch=soon"),
        (HEAD + OFFLINE).replace("offset=+0200", "offset=CEST"),
        (HEAD + OFFLINE).replace("cron=cron\n", ""),
        (HEAD + OFFLINE).replace("unread=\n", ""),
    ],
)
def test_a_reply_of_another_shape_is_no_answer(text: str) -> None:
    with pytest.raises(Unreadable):
        read(text)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo '# mine'; echo; echo '0 1 * * * pg_dump orders'", ("0 1 * * * pg_dump orders",)),
        ("printf '0 1 * * * x'", ("0 1 * * * x",)),
        ("true", ()),
        ("echo 'no crontab for dbadmin' >&2; exit 1", None),
        ("echo \"crontab: can't open 'dbadmin': No such file or directory\" >&2; exit 1", None),
    ],
)
def test_an_own_crontab_is_listed(tmp_path: Path, script: str, expected: tuple[str, ...] | None) -> None:
    program(tmp_path / "bin", "crontab", script)
    probe = CrontabProbe("db1", LOGIN)
    found = probe.read(ask(probe.ask(), tmp_path / "bin"))
    assert found.refused == ""
    assert (found.table.lines if found.table else None) == expected


def test_a_secret_at_the_end_of_what_is_sent_is_masked_before_the_line_is_cut(tmp_path: Path) -> None:
    program(tmp_path / "bin", "crontab", f"echo '0 1 * * * {'x' * 570} http://u:s3cret@db1/'")
    probe = CrontabProbe("db1", LOGIN)
    assert "s3cr" not in ask(probe.ask(), tmp_path / "bin").text


def test_long_crontabs_are_cut_and_say_so(tmp_path: Path) -> None:
    program(tmp_path / "bin", "crontab", "seq 1 301 | sed 's/$/ 1 * * * x/'")
    probe = CrontabProbe("db1", LOGIN)
    table = probe.read(ask(probe.ask(), tmp_path / "bin")).table
    assert table is not None
    assert (len(table.lines), table.cut) == (300, True)


def test_a_crontab_that_is_refused_is_told(tmp_path: Path) -> None:
    program(tmp_path / "bin", "crontab", "echo 'You (dbadmin) are not allowed to use this program' >&2; exit 1")
    probe = CrontabProbe("db1", LOGIN)
    found = probe.read(ask(probe.ask(), tmp_path / "bin"))
    assert found == OwnCrontab("dbadmin", refused="You (dbadmin) are not allowed to use this program")


def test_without_crontab_there_is_none(tmp_path: Path) -> None:
    for name in ("sh", "sed", "grep", "cut", "head", "id"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    probe = CrontabProbe("db1", LOGIN)
    done = subprocess.run(
        ["/bin/sh", "-c", probe.ask()], capture_output=True, text=True, env={"PATH": str(tmp_path)}, timeout=30
    )
    assert probe.read(reply(done.stdout, done.returncode)) == OwnCrontab("dbadmin")


def test_an_account_that_sudo_refuses_is_told() -> None:
    probe = CrontabProbe("db1", AsAccount("postgres", is_login=False))
    assert "sudo gives the login no shell" in probe.read(reply("", 77)).refused
    assert probe.read(reply("", 1, "Sorry, try again.\nsudo: 1 incorrect password attempt\n")).refused == (
        "sudo: 1 incorrect password attempt"
    )
    assert probe.read(reply("", 1)).refused == "status 1"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("pg_dump -Fc -p 5432 orders > /backup/o.dump", None),
        ("0 1 * * * PGPASSWORD=s3cret pg_dump orders", f"0 1 * * * PGPASSWORD={REDACTED} pg_dump orders"),
        ("PGPASSWORD='s3 cret'\"s3cret\" pg_dump orders", f"PGPASSWORD={REDACTED} pg_dump orders"),
        ("PGPASSWORD=s3\\ cret pg_dump orders", f"PGPASSWORD={REDACTED} pg_dump orders"),
        ('PGPASSWORD="s3cret and more', f"PGPASSWORD={REDACTED}"),
        ("x --password=s3cret --verbose", f"x --password={REDACTED} --verbose"),
        ("x --password s3cret --verbose", f"x --password {REDACTED}"),
        ("x --Passwd: s3cret", None),
        ("sshpass -p s3cret ssh db2 pg_dump", f"sshpass {REDACTED}"),
        ("psql -c \"ALTER ROLE x PASSWORD 's3cret'\"", f'psql -c "ALTER ROLE x PASSWORD {REDACTED}'),
        ("psql postgresql://app:s3cret@db1/orders -c 'VACUUM'", f"psql postgresql://{REDACTED}@db1/orders -c 'VACUUM'"),
        ("curl -u admin:s3cret https://x/", f"curl -u {REDACTED} https://x/"),
        ("curl --user=admin:s3cret https://x/", f"curl --user {REDACTED} https://x/"),
        ("curl -H 'Authorization: Bearer s3cret' https://x/", None),
        ("mysqldump -u root -ps3cret shop", f"mysqldump -u root -p{REDACTED} shop"),
        ("redis-cli -a s3cret SAVE", f"redis-cli -a{REDACTED} SAVE"),
        ("AWS_SECRET_ACCESS_KEY=s3cret aws s3 sync /b s3://b", f"AWS_SECRET_ACCESS_KEY={REDACTED} aws s3 sync /b s3://b"),
        ('curl -d \'{"token":"s3cret"}\' https://x/', None),
        ("find /backup -mtime +7 -print -delete", None),
        ("mkdir -p /backup && rsync -a /srv /backup", None),
    ],
)  # fmt: skip
def test_secrets_do_not_leave_the_host(command: str, expected: str | None) -> None:
    done = subprocess.run(["sed", "-E", SED_PROGRAM], input=command + "\n", capture_output=True, text=True, check=True)
    assert "s3cret" not in done.stdout
    assert "s3 cret" not in done.stdout
    if expected is not None:
        assert done.stdout == expected + "\n"
    elif "s3cret" not in command:
        assert done.stdout == command + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
