"""competing-jobs judged from plain facts: each passing state beside those that flip it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.competing_jobs import CompetingJobs

from preflight.errors import PlanError
from preflight.finding import Judgement, Severity, Status
from preflight.plan import Account, Backup, Become, Database, Host, RemotePath, Role, Said, Step, Window
from preflight.plan.load import load_plan
from preflight.questions.clocks import HostZone
from preflight.questions.jobs import (
    UNENDED,
    AtJob,
    CrontabProbe,
    HostJobs,
    HostJobsProbe,
    OwnCrontab,
    PgCron,
    PgCronJob,
    PgCronJobsProbe,
    PgCronProbe,
    Systemd,
    Table,
)
from preflight.questions.shell import AsAccount
from preflight.questions.timers import Timer
from tests.plan_texts import MINIMAL
from tests.toy import MOMENT, toy_plan

NOTHING = Said(by="dba", on=MOMENT.date(), reason="nothing of root's starts then")
PRAGUE = HostZone("Europe/Prague", timedelta(hours=2))
IDLE = HostJobs(PRAGUE, "cron", tables=(Table("/etc/crontab", "", ("25 6 * * * root true",)),))
NO_PG_CRON = PgCron(False, False, False, "", "", sees_settings=True)
PG_CRON = PgCron(True, True, False, "orders", "GMT", sees_settings=True)
# 00:00 to 05:00 in Prague, needed until 06:00; a job that starts from 22:00 on may still be going.
WINDOW = Window(
    zone="Europe/Prague",
    start=datetime(2026, 10, 16, 22, tzinfo=UTC),
    end=datetime(2026, 10, 17, 3, tzinfo=UTC),
)


def check(window: Window = WINDOW, **settings: Any) -> CompetingJobs:
    database = Database(id="orders", host="db1", user=Account("release"), owner="dba")
    backup = Backup(id="b", database="orders", directory=RemotePath("/backup"), account=Account("pgbackup"))
    plan = toy_plan(
        databases={"orders": database},
        backups={"b": backup},
        roles={"dba": Role(id="dba", primary="the DBA on call", contact="ext. 4411")},
    )
    host = Host(id="db1", user=Account("dbadmin"), become=(Become(account=Account("postgres")),), owner="dba")
    plan = replace(plan, window=window, hosts={"db1": host})
    return CompetingJobs(plan, MOMENT, CompetingJobs.Settings(**settings))


def judged(jobs: HostJobs = IDLE, *crontabs: OwnCrontab, window: Window = WINDOW, **settings: Any) -> Judgement:
    made = check(window, **settings)
    facts = {f"crontab_of_{crontab.account}": crontab for crontab in crontabs}
    found: Judgement = made.judge(made.subjects()[0], jobs=jobs, **facts)
    return found


def crontab(*lines: str, account: str = "postgres") -> OwnCrontab:
    return OwnCrontab(account, Table(f"crontab of {account}", account, lines))


def with_timer(timer: Timer) -> HostJobs:
    return replace(IDLE, systemd=Systemd.RUNNING, timers=(timer,))


def summaries(found: Judgement, *statuses: Status) -> list[str]:
    wanted = statuses or (Status.WARN, Status.UNKNOWN)
    return [point.summary for point in (found.points or (found,)) if point.status in wanted]


def test_the_login_and_all_whom_it_becomes_are_asked_for_their_crontabs() -> None:
    made = check()
    host, database = made.subjects()
    assert made.severity is Severity.ADVISORY
    assert made.probes(host) == {
        "jobs": HostJobsProbe("db1"),
        "crontab_of_dbadmin": CrontabProbe("db1", AsAccount("dbadmin", is_login=True)),
        "crontab_of_postgres": CrontabProbe("db1", AsAccount("postgres", is_login=False)),
        "crontab_of_pgbackup": CrontabProbe("db1", AsAccount("pgbackup", is_login=False)),
    }
    assert (database.id, made.probes(database)) == ("pg_cron of orders", {"pg_cron": PgCronProbe("orders")})


def test_no_job_in_the_window_passes_and_says_what_was_looked_at() -> None:
    found = judged(IDLE, crontab("0 12 * * * true"), OwnCrontab("dbadmin"))
    assert found.status is Status.PASS
    assert found.summary == (
        "no job starts from 00:00 to 06:00; looked at 2 jobs: the crontab of postgres and dbadmin, 1 table of the "
        "system; no systemd, so no timers; zone Europe/Prague (+02:00)"
    )
    assert found.events == ()


@pytest.mark.parametrize(
    ("line", "starts"),
    [
        ("0 0 * * * job", "starts 00:00: job (postgres, 0 0 * * *, crontab of postgres)"),
        ("0 6 * * * job", "starts 06:00: job (postgres, 0 6 * * *, crontab of postgres)"),
        ("1 6 * * * job", ""),
        ("0 22 * * * job", "may still be going at the start (starts Fri 2026-10-16 22:00): job"),
        ("59 21 * * * job", ""),
        ("0 3 * * sun job", ""),
        ("0 2,4 * * * job", "starts 02:00, 04:00: job"),
        ("0 23,3 * * * job", "starts 03:00: job"),
        ("*/10 * * * * job", "starts 00:00, 00:10, 00:20, 00:30 and 33 times more: job"),
        ("@hourly job", "starts 00:00, 01:00, 02:00, 03:00 and 3 times more: job (postgres, @hourly, crontab of"),
        ("@daily job", "starts 00:00: job (postgres, @daily"),
        ("@reboot job", ""),
    ],
)
def test_a_start_counts_from_before_the_window_to_the_end_of_a_rollback(line: str, starts: str) -> None:
    found = judged(IDLE, crontab(line))
    assert found.status is (Status.WARN if starts else Status.PASS)
    assert [text[: len(starts)] for text in summaries(found)] == ([starts] if starts else [])


def test_how_long_a_job_may_be_going_can_be_set() -> None:
    assert judged(IDLE, crontab("59 21 * * * job"), may_run_for=timedelta(hours=3)).status is Status.WARN
    assert judged(IDLE, crontab("0 23 * * * job"), may_run_for=timedelta(minutes=59)).status is Status.PASS


def test_every_start_is_an_event() -> None:
    found = judged(IDLE, crontab("0 2 * * * job", "0 23 * * * late", "0 * * * * often"))
    label = "often (postgres, 0 * * * *, crontab of postgres) starts on db1"
    assert sorted((f"{event.at:%d %H:%M}", event.text) for event in found.events) == [
        ("16 22:00", "late (postgres, 0 23 * * *, crontab of postgres) may still be going on db1"),
        ("16 22:00", label),
        ("16 23:00", label),
        ("17 00:00", "job (postgres, 0 2 * * *, crontab of postgres) starts on db1"),
        ("17 00:00", label),
        ("17 01:00", f"{label}, and 3 times more"),
    ]


def test_what_deletes_locks_or_restarts_is_said_first() -> None:
    found = judged(
        IDLE, crontab("0 0 * * * report", "0 5 * * * find /backup -mtime +7 -delete", "0 4 * * * vacuumdb -a")
    )
    assert [re.sub(r" \(.*", "", text) for text in summaries(found)] == [
        "starts 04:00: vacuumdb -a",
        "starts 05:00: find /backup -mtime +7 -delete",
        "starts 00:00: report",
    ]
    assert found.summary.startswith("starts 04:00: vacuumdb -a")
    assert "the DBA on call (dba), ext. 4411" in found.remedy
    assert "(on db1: crontab -e as postgres, a # before its line)" in found.remedy


def test_the_remedy_says_how_it_is_switched_off() -> None:
    table = Table("/etc/cron.d/x", "", ("0 3 * * * root job",))
    assert "a # before its line in /etc/cron.d/x" in judged(replace(IDLE, tables=(table,))).telling_points()[0].remedy
    timer = judged(with_timer(Timer("a.timer", "a.service", ("*-*-* 02:00:00",))))
    assert "on db1, as root: systemctl stop a.timer" in timer.remedy
    assert "cron.alter_job(jobid, active := false)" in judged_pg(PG_CRON, pg_job("0 1 * * *")).remedy


@pytest.mark.parametrize(
    "command",
    [
        "pg_dump orders", "/opt/nightly_backup.sh", "pgbackrest --stanza=x backup", "reindexdb orders",
        "shutdown -r now", "/sbin/reboot", "apt-get -y upgrade", "dnf update", "/opt/cleanup.sh", "rm -rf /backup/old",
        "vacuumlo x", "systemctl restart app1", "rsync -a /srv db2:/srv", "psql -c 'VACUUM FULL'",
    ],
)  # fmt: skip
def test_risky_words_are_known(command: str) -> None:
    found = judged(IDLE, crontab("0 0 * * * report", f"0 5 * * * {command}"))
    assert command.split()[0] in found.summary


def test_agreed_jobs_are_named_and_not_warned_of() -> None:
    jobs = (crontab("0 2 * * * pg_dump orders", "0 3 * * * job"),)
    assert len(summaries(judged(IDLE, *jobs))) == 2
    found = judged(IDLE, *jobs, known=("pg_dump",))
    assert summaries(found) == ["starts 03:00: job (postgres, 0 3 * * *, crontab of postgres)"]
    assert len(found.events) == 2
    found = judged(IDLE, *jobs, known=("crontab of postgres",))
    assert found.status is Status.PASS
    assert "no other job starts from 00:00 to 06:00" in found.summary
    assert "known, and agreed: pg_dump orders (postgres" in found.summary
    assert judged(IDLE, *jobs, known=("0 2 *",)).status is Status.WARN


@pytest.mark.parametrize("part", ["", "sh", "rm ", "    "])
def test_what_is_known_by_so_few_letters_that_others_have_them_too_is_refused(tmp_path: Path, part: str) -> None:
    file = tmp_path / "p.toml"
    text = f"{MINIMAL}\n[checks.competing-jobs]\nknown = ["
    file.write_text(f'{text}"{part}"]')
    with pytest.raises(PlanError, match="expected at least 4 letters"):
        load_plan(file, {"competing-jobs": CompetingJobs.Settings})
    file.write_text(f'{text}"x.sh"]')
    assert load_plan(file, {"competing-jobs": CompetingJobs.Settings}).checks["competing-jobs"]["known"] == ("x.sh",)


def test_times_are_those_of_the_host_shown_in_the_window_s_zone() -> None:
    jobs = replace(IDLE, zone=HostZone("America/New_York", timedelta(hours=-4)))
    assert summaries(judged(jobs, crontab("0 20 * * * job")))[0].startswith("starts 02:00: job")
    assert judged(jobs, crontab("0 2 * * * job")).status is Status.PASS
    unnamed = replace(IDLE, zone=HostZone("", timedelta(hours=-4)))
    assert summaries(judged(unnamed, crontab("0 20 * * * job")))[0].startswith("starts 02:00: job")


def test_a_zone_of_the_crontab_counts_beside_the_host_s() -> None:
    found = judged(IDLE, crontab("CRON_TZ=America/New_York", "0 20,4 * * * job"))
    assert summaries(found)[0].startswith("starts 02:00, 04:00: job (postgres, 0 20,4 * * * CRON_TZ=America/New_York")
    assert judged(IDLE, crontab("CRON_TZ=Mars/Olympus", "0 20 * * * job")).status is Status.PASS


def test_a_night_with_a_clock_change_is_told_with_offsets() -> None:
    window = Window(
        zone="Europe/Prague",
        start=datetime(2026, 10, 24, 22, tzinfo=UTC),
        end=datetime(2026, 10, 25, 5, tzinfo=UTC),
    )
    jobs = replace(IDLE, tables=())
    assert summaries(judged(jobs, crontab("30 2 * * * once"), window=window))[0].startswith(
        "starts 02:30 +02:00 (first): once"
    )
    twice = judged(jobs, crontab("*/30 2 * * * twice"), window=window)
    times = "02:00 +02:00 (first), 02:30 +02:00 (first), 02:00 +01:00 (second), 02:30 +01:00 (second)"
    assert twice.summary.startswith(f"starts {times}: twice")
    assert len(twice.events) == 4


@pytest.mark.parametrize(
    ("line", "changes", "runs"),
    [
        ("0 3 * * * root test -x /usr/sbin/anacron || run-parts /etc/cron.daily", {}, True),
        ("0 3 * * * root test -x /usr/sbin/anacron || run-parts /etc/cron.daily", {"has_anacron": True}, False),
        ("0 3 * * * root test -e /run/systemd/system || e2scrub_all", {}, True),
        ("0 3 * * * root test -e /run/systemd/system || e2scrub_all", {"systemd": Systemd.RUNNING}, False),
        ("0 3 * * * root test -x /usr/bin/certbot -a \\! -d /run/systemd/system && certbot renew",
         {"systemd": Systemd.RUNNING}, False),
        ("0 3 * * * root [ -x /opt/clean ] && if [ ! -d /run/systemd/system ]; then /opt/clean; fi", {}, True),
    ],
)  # fmt: skip
def test_a_line_that_leaves_the_work_to_another_starts_nothing(line: str, changes: dict[str, Any], runs: bool) -> None:
    jobs = replace(IDLE, tables=(Table("/etc/crontab", "", (line,)),), **changes)
    assert bool(summaries(judged(jobs))) is runs


def test_a_folder_s_scripts_are_named() -> None:
    line = "0 3 * * * root cd / && run-parts --report /etc/cron.daily"
    parts = {"/etc/cron.daily": ("dpkg", "pg-backup"), "/etc/cron.weekly": ("man-db",)}
    found = judged(replace(IDLE, tables=(Table("/etc/crontab", "", (line,)),), parts=parts))
    assert "run-parts --report /etc/cron.daily [dpkg, pg-backup] (root, 0 3 * * *, /etc/crontab)" in found.summary


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        ("3-22", "starts at some time between 03:00 and 22:05: run-parts /etc/cron.daily (root, every 1 d"),
        ("6-22", "starts at some time between 06:00 and 22:05"),
        ("7-22", ""),
        ("0-24", "starts at some time between Fri 2026-10-16 00:00 and 00:05"),
    ],
)
def test_anacron_may_start_at_any_time_of_its_hours(hours: str, text: str) -> None:
    table = Table("/etc/anacrontab", "", (f"START_HOURS_RANGE={hours}", "1 5 cron.daily run-parts /etc/cron.daily"))
    found = judged(replace(IDLE, anacrontab=table, has_anacron=True))
    assert [one[: len(text)] for one in summaries(found)] == ([text] if text else [])


@pytest.mark.parametrize(
    ("timer", "text"),
    [
        (Timer("a.timer", "a.service", ("*-*-* 02:00:00",)), "starts 02:00: a.service (*-*-* 02:00:00, a.timer)"),
        (Timer("a.timer", "a.service", ("*-*-* 07:00:00",)), ""),
        (Timer("a.timer", "a.service", ("*-*-* 18:00:00",), delay=timedelta(hours=12)),
         "starts at some time between Fri 2026-10-16 18:00 and 06:00: a.service"),
        (Timer("a.timer", "a.service", ("*-*-* 18:00:00",), delay=timedelta(hours=3)), ""),
        (Timer("a.timer", "a.service", every=timedelta(hours=4), next_at=datetime(2026, 10, 16, 20, 30, tzinfo=UTC)),
         "starts 02:30: a.service (every 4 h, a.timer)"),
        (Timer("a.timer", "a.service", next_at=datetime(2026, 10, 17, 1, tzinfo=UTC), command="/opt/x"),
         "starts 03:00: /opt/x (once, a.timer)"),
        (Timer("a.timer", "a.service"), ""),
        (Timer("a.timer", "a.service", ("every full moon",)),
         "a line of a.timer cannot be read: every full moon"),
    ],
)  # fmt: skip
def test_timers_count_like_crontabs(timer: Timer, text: str) -> None:
    found = judged(with_timer(timer))
    assert [one[: len(text)] for one in summaries(found)] == ([text] if text else [])
    assert found.status is (Status.UNKNOWN if "cannot be read" in text else Status.WARN if text else Status.PASS)


@pytest.mark.case(45)
@pytest.mark.parametrize(
    ("cron", "lines", "text"),
    [
        (
            "crond",
            ["RANDOM_DELAY=45", "30 21 * * * dump"],
            "starts at some time between Fri 2026-10-16 21:30 and Fri 2026-10-16 22:15",
        ),
        (
            "crond",
            ['RANDOM_DELAY="180"', "30 21 * * * dump"],
            "starts at some time between Fri 2026-10-16 21:30 and 00:30",
        ),
        ("crond", ["RANDOM_DELAY=29", "30 21 * * * dump"], ""),
        ("crond", ["30 21 * * * dump", "RANDOM_DELAY=180"], ""),
        ("crond", ["RANDOM_DELAY=often", "30 21 * * * dump"], ""),
        ("cron", ["RANDOM_DELAY=180", "30 21 * * * dump"], ""),
    ],
)
def test_cronies_random_delay_is_told(cron: str, lines: list[str], text: str) -> None:
    found = judged(replace(IDLE, cron=cron), crontab(*lines))
    assert [one[: len(text)] for one in summaries(found)] == ([text] if text else [])


@pytest.mark.case(45)
def test_anacrons_delays_are_told() -> None:
    table = Table("/etc/anacrontab", "", ("START_HOURS_RANGE=3-21", "RANDOM_DELAY=45", "1 30 daily run-parts"))
    (found,) = summaries(judged(replace(IDLE, has_anacron=True, anacrontab=table)))
    assert found.startswith("starts at some time between 03:00 and 22:15: run-parts"), found


def test_a_start_at_random_is_on_the_axis_from_when_it_may_be() -> None:
    timer = Timer("a.timer", "a.service", ("*-*-* 18:00:00",), delay=timedelta(hours=12))
    (event,) = judged(with_timer(timer)).events
    assert (event.at, event.text) == (
        WINDOW.start,
        "a.service (*-*-* 18:00:00, up to 12 h later, a.timer) may start on db1",
    )


def test_a_line_of_another_system_cannot_be_read() -> None:
    found = judged(IDLE, crontab("0 12 * * * pg_dump orders\r", "\r"))
    assert summaries(found) == ["a line of crontab of postgres cannot be read: 0 12 * * * pg_dump orders"]


def test_a_line_that_cannot_be_read_is_shown() -> None:
    found = judged(IDLE, crontab("61 0 * * * job", "0~30 1 * * * job"))
    assert summaries(found) == [
        "a line of crontab of postgres cannot be read: 61 0 * * * job",
        "a line of crontab of postgres cannot be read: 0~30 1 * * * job",
    ]
    many = judged(IDLE, crontab(*["what"] * 12))
    assert summaries(many)[-1] == "2 more lines cannot be read"
    cut = judged(replace(IDLE, tables=(Table("/etc/crontab", "", (), cut=True),)))
    assert summaries(cut) == ["a line of /etc/crontab cannot be read: more than 0 lines"]
    timer = judged(replace(IDLE, systemd=Systemd.RUNNING, unread_timers=("odd.timer",)))
    assert summaries(timer) == ["a line of odd.timer cannot be read: its times are not understood"]


def test_crontabs_that_may_not_be_read_are_never_a_silent_pass() -> None:
    hidden = replace(IDLE, unread=("/var/spool/cron/crontabs", "/etc/cron.d/secret"))
    found = judged(hidden, OwnCrontab("postgres", refused="sudo gives the login no shell of postgres"))
    (point,) = found.telling_points()
    assert point.summary == (
        "not seen: the crontab of postgres (sudo gives the login no shell of postgres), the crontabs of root and all "
        "other accounts, /etc/cron.d/secret"
    )
    assert point.status is Status.UNKNOWN
    assert point.remedy.startswith(
        "ask the DBA on call (dba), ext. 4411 what of it starts from 00:00 to 06:00 (crontab -l as each of them); or "
        "have the DBA on call (dba), ext. 4411 answer for it and write how that is known as `reason`: "
        '[checks.competing-jobs.asked] db1 = { by = "dba", on = '
    )


def test_what_its_owner_said_of_it_is_told() -> None:
    hidden = replace(IDLE, unread=("/var/spool/cron/crontabs",))
    found = judged(hidden, asked={"db1": NOTHING})
    assert found.status is Status.WARN
    (point,) = found.telling_points()
    assert point.summary.startswith(
        "not seen: the crontabs of root and all other accounts; said by the DBA on call (dba)"
    )
    assert point.summary.endswith("not observed: nothing of root's starts then")
    assert judged(hidden, asked={"db2": NOTHING}).status is Status.UNKNOWN
    unread = judged(IDLE, crontab("0~30 1 * * * job"), asked={"db1": NOTHING})
    assert (unread.status, "0~30 1 * * * job; said by" in unread.summary) == (Status.WARN, True)


def test_without_cron_its_tables_start_nothing() -> None:
    table = Table("/etc/crontab", "", ("0 3 * * * root job",))
    jobs = replace(IDLE, cron="none", tables=(table,), unread=("/var/spool/cron/crontabs",))
    found = judged(jobs)
    assert found.status is Status.PASS
    assert "no cron is installed, its tables start nothing" in found.summary
    assert judged(replace(jobs, cron="crond")).status is Status.UNKNOWN


def test_a_table_that_cron_refuses_is_told_with_its_cure() -> None:
    jobs = replace(IDLE, refused={"/etc/cron.d/a b": "-rw-rw-r--, owner 0"})
    found = judged(jobs)
    assert (found.status, summaries(found)) == (
        Status.WARN, ["cron refuses /etc/cron.d/a b, and starts none of its jobs"]
    )  # fmt: skip
    assert found.actual == "-rw-rw-r--, owner 0"
    assert "as root on db1: chown root '/etc/cron.d/a b' && chmod a-x,go-w '/etc/cron.d/a b'; where not" in found.remedy
    assert judged(replace(jobs, cron="none")).status is Status.PASS
    assert (
        "as root on db1: echo >> '/etc/cron.d/a b'"
        in judged(replace(jobs, refused={"/etc/cron.d/a b": UNENDED})).remedy
    )


def test_a_restart_that_is_scheduled_in_the_window_is_told_with_what_takes_it_back() -> None:
    found = judged(replace(IDLE, timers=(Timer("shutdown", "reboot", next_at=WINDOW.start),)))
    assert found.status is Status.WARN
    assert "starts 00:00: reboot (once, shutdown)" in found.summary
    assert "as root: shutdown -c" in found.remedy


def test_what_is_given_to_at_starts_once_and_what_others_gave_is_asked_for() -> None:
    jobs = replace(IDLE, at=(AtJob(WINDOW.start, "dbadmin", "7"),), daemons=frozenset({"cron", "atd"}))
    found = judged(jobs)
    assert found.status is Status.WARN
    assert "starts 00:00: job 7 (dbadmin, once, at)" in found.summary
    assert "(on db1, as dbadmin: atrm 7)" in found.remedy
    assert judged(replace(jobs, at=(AtJob(WINDOW.start - timedelta(days=1), "dbadmin", "7"),))).status is Status.PASS
    hidden = replace(IDLE, unread=("/var/spool/cron/atjobs",), daemons=frozenset({"cron"}))
    assert judged(hidden).status is Status.PASS
    for daemons in (None, frozenset({"cron", "atd"})):
        found = judged(replace(hidden, daemons=daemons))
        assert (found.status, "not seen: what others gave to at" in found.summary) == (Status.UNKNOWN, True)


@pytest.mark.parametrize(
    ("by", "daemons", "fails"),
    [
        ("cron", {"none"}, True), ("/opt/nightly.sh orders", {"none"}, True), ("/opt/nightly.sh orders", {"atd"}, True),
        ("cron", {"crond"}, False), ("cron", None, False), ("the vendor's agent", {"none"}, False),
    ],
)  # fmt: skip
def test_without_a_cron_daemon_nothing_takes_the_backup(by: str, daemons: set[str] | None, fails: bool) -> None:
    jobs = replace(IDLE, daemons=None if daemons is None else frozenset(daemons))
    found = judged_with(taken(by), "30 2 * * 7 /opt/nightly.sh  orders", jobs=jobs)
    assert ("no cron daemon runs, so nothing takes the backup of [backups.b]" in found.summary) is fails
    assert (found.status is Status.FAIL) is fails
    assert any("no job was seen" in each for each in summaries(found)) is (not fails and not by.startswith("/opt"))


def test_root_s_own_crontab_counts_once() -> None:
    table = Table("crontab of root", "root", ("0 3 * * * job",))
    found = judged(replace(IDLE, tables=(table,)), OwnCrontab("root", table))
    assert len(summaries(found)) == 1


def test_timers_that_are_not_shown_are_unknown() -> None:
    found = judged(replace(IDLE, systemd=Systemd.FAILED, said="Failed to connect to bus"))
    assert (found.status, found.actual) == (Status.UNKNOWN, "Failed to connect to bus")


def judged_pg(pg_cron: PgCron, *jobs: PgCronJob, **settings: Any) -> Judgement:
    made = check(**settings)
    found: Judgement = made.judge(made.subjects()[1], pg_cron=pg_cron, pg_jobs=jobs)
    return found


def pg_job(schedule: str, command: str = "VACUUM orders") -> PgCronJob:
    return PgCronJob("nightly", schedule, "app", "orders", command)


def test_jobs_of_pg_cron_are_asked_for_only_where_they_may_be_read() -> None:
    made = check()
    subject = made.subjects()[1]
    assert made.follow_up(subject, pg_cron=NO_PG_CRON) == {}
    assert made.follow_up(subject, pg_cron=replace(PG_CRON, readable=False)) == {}
    assert made.follow_up(subject, pg_cron=PG_CRON) == {"pg_jobs": PgCronJobsProbe("orders")}


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        ("0 1 * * *", "starts 03:00: nightly in orders: VACUUM orders (app, 0 1 * * *, pg_cron)"),  # 01:00 GMT
        ("0 5 * * *", ""),
        ("30 seconds", "starts 00:00, 00:01, 00:02, 00:03 and 357 times more"),
        ("1 day", "a line of pg_cron job nightly cannot be read: 1 day"),
    ],
)
def test_jobs_of_pg_cron_count_like_crontabs(schedule: str, text: str) -> None:
    found = judged_pg(PG_CRON, pg_job(schedule))
    assert [one[: len(text)] for one in summaries(found)] == ([text] if text else [])
    assert found.status is (Status.UNKNOWN if "cannot be read" in text else Status.WARN if text else Status.PASS)


def test_pg_cron_s_zone_counts() -> None:
    in_prague = replace(PG_CRON, zone="Europe/Prague")
    assert judged_pg(in_prague, pg_job("0 1 * * *")).summary.startswith("starts 01:00")
    assumed = judged_pg(replace(PG_CRON, zone=""), pg_job("0 5 * * *"))
    assert "in GMT (assumed: cron.timezone is not shown to the role)" in assumed.summary
    assert judged_pg(replace(PG_CRON, zone="Mars/Olympus")).status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("pg_cron", "status", "text"),
    [
        (NO_PG_CRON, Status.PASS, "pg_cron has no table in this database"),
        (replace(NO_PG_CRON, sees_settings=False), Status.UNKNOWN, "not seen: whether pg_cron works from another"),
        (replace(NO_PG_CRON, home="postgres"), Status.UNKNOWN, "which works from the database postgres"),
        (PG_CRON, Status.PASS, "no job starts from 00:00 to 06:00; looked at 0 jobs in cron.job, in GMT"),
        (replace(PG_CRON, readable=False), Status.UNKNOWN, "not seen: cron.job, which the role may not read"),
        (replace(PG_CRON, only_own=True), Status.UNKNOWN, "not seen: jobs in cron.job of other roles than release"),
    ],
)
def test_jobs_of_pg_cron_that_are_not_seen_are_said(pg_cron: PgCron, status: Status, text: str) -> None:
    found = judged_pg(pg_cron)
    assert found.status is status
    assert text in found.summary
    if status is Status.UNKNOWN:
        assert judged_pg(pg_cron, asked={"pg_cron of orders": NOTHING}).status is Status.WARN


DUMP = "pg_dump -Fc -f /backup/orders-$(date +\\%F).dump orders >/dev/null 2>&1"
TAKEN = {"previous": RemotePath("/backup/*.dump"), "account": Account("postgres")}


def judged_with(
    backup: Backup,
    *lines: str,
    steps: tuple[Step, ...] = (),
    timer: Timer | None = None,
    jobs: HostJobs = IDLE,
    **settings: Any,
) -> Judgement:
    made = check(**settings)
    made.plan = replace(made.plan, backups={"b": backup}, steps=steps)
    facts: dict[str, Any] = {"jobs": with_timer(timer) if timer else jobs, "crontab_of_postgres": crontab(*lines)}
    return made.judge(made.subjects()[0], **facts)


def taken(by: str, **fields: Any) -> Backup:
    return Backup(id="b", database="orders", directory=RemotePath("/backup"), taken_by=by, **{**TAKEN, **fields})


def test_a_job_of_pg_dump_takes_no_backup_of_another_engine() -> None:
    other = replace(taken("cron"), database="", host="db1", engine="mysql")
    assert judged_with(other, f"30 22 * * * {DUMP}").status is Status.WARN
    assert judged_with(taken("cron"), f"30 22 * * * {DUMP}").status is Status.PASS


@pytest.mark.parametrize(
    ("by", "command", "is_it"),
    [
        ("cron", DUMP, True),
        ("cron", "pg_dump orders | gzip > /backup/orders-`date +\\%F`.dump", True),
        ("cron", "/usr/lib/postgresql/15/bin/pg_dump -f /backup/${DAY}.dump", True),
        ("/opt/nightly.sh orders", "/opt/nightly.sh  orders >>/var/log/nightly 2>&1", True),
        ("/opt/nightly.sh", "/opt/nightly.sh billing", False),  # another one's backup, perhaps
        ("cron", "pg_dump -Fc -d orders -f /backup/orders.dump", True),
        ("cron", "pg_dump -F c -f /backup/orders.dump -U postgres", True),
        ("cron", "pg_dump -Fc 'orders' >/backup/orders.dump", True),
        ("cron", "pg_dump -Fc -d billing -f /backup/orders.dump -v", False),
        ("cron", "pg_dump -Fc -f /backup/orders.dump billing", False),
        ("cron", "pg_dump -Fc --dbname=billing -f /backup/orders.dump", False),
        ("cron", "pg_dump -Fc -s -f /backup/orders.dump orders", False),
        ("cron", "pg_dump -vt paid -f /backup/orders.dump orders", False),
        ("cron", "pg_dump --exclude-table-data=paid -f /backup/orders.dump orders", False),
        ("cron", "/opt/nightly.sh orders", False),
        ("cron", "pg_dump -Fc -f /elsewhere/orders.dump orders", False),
        ("cron", "pg_dump -Fc -f /backup/deeper/orders.dump orders", False),
        ("cron", "rm /backup/old.dump", False),
        ("cron", f"{DUMP} ; rm /backup/old.dump", False),
        ("cron", f"{DUMP} && reboot", False),
        ("cron", "vacuumdb -a", False),
        ("", DUMP, False),
    ],
)
def test_the_job_that_takes_a_backup_of_the_plan_is_no_other_job(by: str, command: str, is_it: bool) -> None:
    found = judged_with(taken(by), f"30 22 * * * {command}")
    assert found.status is (Status.PASS if is_it else Status.WARN)
    assert ("takes the backup of [backups.b]: " in str(found.points)) is is_it
    assert len(found.events) == 1, "it stands on the axis of time all the same"
    if by and not is_it:
        named = re.escape(json.dumps(" ".join(command.split(" >/dev")[0].split())))
        assert re.search(
            f"if it takes the backup of \\[backups.b\\], say so there: taken_by = {named[:-1]}", found.remedy
        )


def test_a_timer_takes_the_backup_that_names_it() -> None:
    timer = Timer("night.timer", "night.service", ("*-*-* 23:00:00",))
    assert judged_with(taken("night.timer"), timer=timer).status is Status.PASS
    found = judged_with(taken("cron"), timer=timer)
    assert found.status is Status.WARN
    assert found.remedy.endswith('say so there: taken_by = "night.timer"')
    assert "taken_by" not in judged(with_timer(timer)).remedy


@pytest.mark.parametrize(
    ("when", "is_in_time"),
    [
        ("0 22 * * *", True), ("0 12 * * 5", True), ("0 22 * * 6", False), ("0 22 30 2 *", False), ("@reboot", False),
        ("0 22 1 * *", False),
    ],
)  # fmt: skip
def test_the_job_that_takes_the_backup_starts_within_its_greatest_age(when: str, is_in_time: bool) -> None:
    """The window starts on Saturday 2026-10-17 at 00:00 of the host: the day before counts from 22:00 on."""
    found = judged_with(taken("cron"), f"{when} {DUMP}")
    late = "the job that takes the backup of [backups.b] does not start in time for it"
    assert (found.status, summaries(found)) == ((Status.PASS, []) if is_in_time else (Status.WARN, [late]))
    if not is_in_time:
        assert found.expected.startswith("a start between ")
        assert found.remedy == "have it start then on db1, or that backup taken by hand"


def test_the_job_that_takes_the_backup_is_known_by_every_login_of_its_host() -> None:
    made = check()
    own = replace(made.plan.hosts["db1"], address="192.0.2.1")
    hosts = {"db1": own, "db1-kaya": replace(own, id="db1-kaya")}
    made.plan = replace(made.plan, backups={"b": taken("cron")}, hosts=hosts)
    subject = next(each for each in made.subjects() if each.id == "db1-kaya")
    table = Table("/etc/cron.d/backup", "", (f"30 22 * * * postgres {DUMP}",))
    found = made.judge(subject, jobs=replace(IDLE, tables=(table,)))
    assert found.status is Status.PASS
    assert "takes the backup of [backups.b]: " in str(found.points)
    assert made.judge(subject, jobs=IDLE).status is Status.PASS, "that none takes it is told of its own entry"


@pytest.mark.parametrize(
    ("until", "line", "status"),
    [
        (date(2026, 10, 15), f"30 22 * * * {DUMP}", Status.WARN),
        (date.min, f"30 22 * * * {DUMP}", Status.WARN),
        (date(2026, 10, 16), f"30 22 * * * {DUMP}", Status.PASS),
        (None, f"30 22 * * * {DUMP}", Status.PASS),
        (date.min, "0 12 * * * vacuumdb -a", Status.PASS),
    ],
)
def test_cron_starts_nothing_for_an_account_that_has_expired(until: date | None, line: str, status: Status) -> None:
    made = check()
    made.plan = replace(made.plan, backups={"b": taken("night.timer" if "vacuum" in line else "cron")})
    jobs = with_timer(Timer("night.timer", "night.service", ("*-*-* 12:00:00",)))
    own = replace(crontab(line), starts_until=until)
    found = made.judge(made.subjects()[0], jobs=jobs, crontab_of_postgres=own)
    assert found.status is status
    if status is Status.WARN:
        said = "cron starts nothing for postgres by then, so nothing takes the backup of [backups.b]"
        assert summaries(found) == [said]
        assert found.actual == (
            "by chage until 2026-10-15" if until != date.min else "its password must be changed first"
        )
        assert found.remedy == "as root on db1: chage -E -1 -M -1 postgres; or have it taken by hand"


UNTAKEN = "no job was seen that takes the backup of [backups.b]"


@pytest.mark.parametrize(
    ("by", "line", "is_seen"),
    [
        ("cron", "", False), ("cron", f"0 12 * * * {DUMP}", True),
        ("cron", "0 12 * * * vacuumdb -a", False), ("night.timer", f"0 12 * * * {DUMP}", True),
        ("night.timer", "", False), ("/opt/nightly.sh orders", "0 12 * * * /opt/nightly.sh billing", False),
        ("/opt/nightly.sh orders", "0 12 * * * /opt/nightly.sh orders 2>&1", True), ("", "", True),
    ],
)  # fmt: skip
def test_a_backup_that_no_job_seen_takes_is_warned_of(by: str, line: str, is_seen: bool) -> None:
    """Of all jobs, also those that do not start in the window."""
    found = judged_with(taken(by), *([line] if line else []))
    assert (found.status, summaries(found)) == ((Status.PASS, []) if is_seen else (Status.WARN, [UNTAKEN]))
    if not is_seen:
        (point,) = found.telling_points()
        assert point.expected == f"a job on db1 as `taken_by` says: {by}"
        assert point.actual.startswith(f"none of {1 + bool(line)} job")
        assert point.remedy.startswith(
            "have it put back on db1; or name the job that takes it in `taken_by` of [backups.b]:"
        )
        said = judged_with(taken(by), *([line] if line else []), asked={"db1": NOTHING})
        assert said.summary.startswith(f"{UNTAKEN}; said by the DBA on call (dba)")


@pytest.mark.parametrize("command", ["dump orders >/x/o.dump && rm /x/old", f"dump {'x' * 170} >/x/o.dump 2>&1"])
def test_a_job_is_known_by_its_crontab_s_line_and_by_the_name_that_is_offered(command: str) -> None:
    remedy = judged_with(taken("cron"), f"0 0 * * * {command}").remedy
    for by in (command, remedy.partition(' taken_by = "')[2].partition('"')[0]):
        line = f"0 12 * * * {command}"
        assert judged_with(taken(by), line).status is Status.PASS
        stopped = replace(IDLE, daemons=frozenset({"none"}))
        assert judged_with(taken(by), line, jobs=stopped).status is Status.FAIL


def test_a_timer_that_takes_the_backup_at_another_time_is_seen() -> None:
    timer = Timer("night.timer", "night.service", ("*-*-* 12:00:00",))
    assert judged_with(taken("night.timer"), timer=timer).status is Status.PASS


def test_the_job_that_calls_the_program_is_named_where_none_takes_the_backup() -> None:
    found = judged_with(taken("cron"), "0 12 * * * cd /x && pg_dump orders >/x/y.dump", "0 12 * * * vacuumdb -a")
    assert '`taken_by` of [backups.b]: "cd /x && pg_dump orders"; or have' in found.remedy


def test_another_job_is_no_guess_where_the_one_that_takes_the_backup_is_seen() -> None:
    hint = "if it takes the backup of [backups.b], say so there"
    jobs = replace(IDLE, tables=(Table("/etc/cron.d/e2scrub_all", "", ("30 3 * * 6 root e2scrub_all",)),))
    assert hint not in str(judged_with(taken("cron"), f"0 12 * * * {DUMP}", jobs=jobs).points)
    assert hint in str(judged_with(taken("cron"), jobs=jobs).points)


def test_the_job_of_another_account_takes_no_backup_of_this_one() -> None:
    assert judged_with(taken("cron", account=Account("pgbackup")), f"30 22 * * * {DUMP}").status is Status.WARN


def test_a_backup_that_is_taken_at_another_time_than_the_plan_says_is_warned_of() -> None:
    steps = (Step(id="wait", minutes=60), Step(id="scripts", minutes=60, after=("wait",)))
    found = judged_with(taken("cron"), f"30 0 * * * {DUMP}", steps=steps)
    assert found.status is Status.WARN
    assert found.remedy.startswith("it takes the backup of [backups.b]: have it moved ahead of the window; if it is to")
    in_step = taken("cron", step="wait")
    assert judged_with(in_step, f"30 0 * * * {DUMP}", steps=steps).status is Status.PASS
    found = judged_with(in_step, f"30 0,3 * * * {DUMP}", steps=steps)
    assert found.status is Status.WARN
    assert found.remedy.endswith("have it moved to before the end of its step wait")
