"""Which jobs take which backup, by the lines of crontabs as they are written."""

from __future__ import annotations

import pytest

from preflight.plan import Account, BackupFormat, Database
from preflight.questions.backup_jobs import BackupJob, backup_jobs
from preflight.questions.jobs import Table

ORDERS = Database(id="orders", host="db1", user=Account("release"))
FOLDER = "/backup/orders"


@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        (f"pg_dump -Fc orders -f {FOLDER}/orders-$(date +\\%F).dump", f"{FOLDER}/orders-*.dump"),
        (f"pg_dump -Fc orders > {FOLDER}/`date +\\%F`.dump", f"{FOLDER}/*.dump"),
        (f"/usr/bin/pg_dump --format=custom --file={FOLDER}/$DAY.dump --dbname=orders", f"{FOLDER}/*.dump"),
        (f'pg_dump -h localhost -p 5432 -Fc -d orders -f "{FOLDER}/night.dump"', f"{FOLDER}/night.dump"),
        (f"pg_dump -h 10.0.0.1 -F c -f {FOLDER}/a.dump orders", f"{FOLDER}/a.dump"),
    ],
)
def test_a_dump_of_the_database_is_known_with_the_files_it_writes(line: str, pattern: str) -> None:
    (job,) = backup_jobs(None, Table("crontab of dba", "dba", (f"0 1 * * * {line}",)))
    assert job.saves(ORDERS, "10.0.0.1")
    assert (job.user, job.pattern, job.format, job.taken_by) == ("dba", pattern, BackupFormat.CUSTOM, "cron")


@pytest.mark.parametrize(
    ("options", "server"),
    [
        ("-h /run/postgresql -p 5433", "/run/postgresql:5433"),
        ("--host=localhost", "localhost"),
        ("-p 5433", ""),
        ("-h ::1 -p 5432", ""),
        ("-h /run/$CLUSTER", ""),
        ("-h '/run/postgresql'", ""),
    ],
)
def test_how_it_reaches_the_server_is_told_as_a_plan_names_it(options: str, server: str) -> None:
    assert BackupJob("dba", f"pg_dump {options} -Fc orders", "crontab of dba").server == server


@pytest.mark.parametrize(
    ("command", "login"),
    [
        ("pg_dump -Fc orders", "dba"),
        ("pg_dump -U backup orders", "backup"),
        ("pg_dump --username=backup orders", "backup"),
        ("PGUSER=backup pg_dump orders", ""),
        ('pg_dump -U "$ROLE" orders', ""),
    ],
)
def test_its_role_is_the_accounts_own_unless_it_names_another(command: str, login: str) -> None:
    assert BackupJob("dba", command, "crontab of dba").login == login


@pytest.mark.parametrize(
    "line",
    [
        "pg_dump -Fc -f /backup/orders/billing.dump billing",
        "pg_dump -Fc -p 5433 -f /b/a.dump orders",
        "pg_dump -Fc -h other.example.net -f /b/a.dump orders",
        "PGPORT=5433 pg_dump -Fc -f /b/a.dump orders",
        "pg_dump -f /b/a.dump postgresql://other/orders",
        "pg_dumpall -f /b/orders",
        "pg_basebackup -D /b/orders",
    ],
)
def test_what_may_save_something_else_is_a_job_and_no_backup_of_the_database(line: str) -> None:
    (job,) = backup_jobs(None, Table("crontab of dba", "dba", (f"@daily {line}",)))
    assert not job.saves(ORDERS, "10.0.0.1")


def test_the_table_of_the_system_names_the_account_and_its_settings_count() -> None:
    lines = ("PGPORT=5433", "30 2 * * * postgres pg_dump orders | gzip > /b/orders.gz", "0 4 * * * root /opt/cleanup")
    (job,) = backup_jobs(None, Table("/etc/cron.d/backup", "", lines))
    assert (job.user, job.pattern, job.format) == ("postgres", "/b/orders.gz", BackupFormat.PLAIN)
    assert not job.saves(ORDERS, "db1")
