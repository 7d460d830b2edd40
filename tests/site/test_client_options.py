"""The further options of a plan, given to the real programs in the lines that the tool writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from preflight.plan import Account, BackupFormat, BackupMethod, RemotePath, Restore
from preflight.plan.client_options import allowed, complaints
from preflight.plan.command_lines import backup_command, backup_path, restore_command
from preflight.plan.work import connection_options, planned_backups
from tests.plan.test_work import plan_of
from tests.site.postgres import SUPERUSER, Cluster

VALUES = {
    "--jobs": "2",
    "--compress": "5",
    "--lock-wait-timeout": "60s",
    "--checkpoint": "fast",
    "--wal-method": "fetch",
    "--max-rate": "100M",
    "--label": "night",
}
ROWS = "SELECT n AS id, 'row ' || n AS name FROM generate_series(1, 3) n"
FORMATS = [*BackupFormat]


class Lines:
    """The lines of one backup, run by the superuser over the socket."""

    def __init__(self, cluster: Cluster, database: str, **backup: Any) -> None:
        folder = RemotePath(str(cluster.backups))
        server = f"{cluster.socket_directory}:{cluster.port}"
        plan = plan_of(backup={"login": Account(SUPERUSER), "server": server, **backup})
        entry = replace(plan.backups["b"], directory=folder, id=f"b-{database}")
        databases = {"orders": replace(plan.databases["orders"], name=database, user=Account(SUPERUSER))}
        self.plan = replace(plan, databases=databases, backups={entry.id: entry})
        self.cluster = cluster
        (self.planned,) = planned_backups(self.plan)

    def back_up(self) -> Path:
        self._run(backup_command(self.plan, self.planned).argv)
        return Path(backup_path(self.plan, self.planned.backup))

    def restore(self) -> None:
        self._run(restore_command(self.plan, self.planned).argv)

    def _run(self, argv: tuple[str, ...]) -> None:
        self.cluster.client(argv[0], *argv[1:])


def test_a_bare_number_to_wait_for_a_lock_is_refused_as_pg_dump_takes_it_for_milliseconds() -> None:
    said = complaints("pg_dump", BackupFormat.CUSTOM, ["--lock-wait-timeout=60"])
    assert said == {0: r"expected --lock-wait-timeout=VALUE, where VALUE matches \d+(?:ms|s|min)"}


@pytest.fixture
def database(postgres: Cluster) -> str:
    return filled(postgres, postgres.create_database("orders"))


def filled(cluster: Cluster, name: str) -> str:
    cluster.sql(f"CREATE TABLE delivery AS {ROWS}", dbname=name)
    return name


def options(client: str, backup_format: BackupFormat) -> list[str]:
    """Every one that is allowed, with a value where it takes one."""
    return [f"{name}={VALUES[name]}" if name in VALUES else name for name in allowed(client, backup_format)]


def count(cluster: Cluster, database: str) -> object:
    return cluster.scalar("SELECT count(*) FROM delivery", dbname=database)


@pytest.mark.parametrize("backup_format", FORMATS)
def test_a_dump_with_every_option_that_is_allowed_is_put_back_whole(
    postgres: Cluster, database: str, backup_format: BackupFormat
) -> None:
    dumping = tuple(options("pg_dump", backup_format))
    restoring = "psql" if backup_format is BackupFormat.PLAIN else "pg_restore"
    putting = [option for option in options(restoring, backup_format) if not option.startswith("--jobs")]
    assert not complaints("pg_dump", backup_format, dumping)
    assert not complaints(restoring, backup_format, putting)
    lines = Lines(postgres, database, format=backup_format, options=dumping, restore=Restore(options=tuple(putting)))
    lines.back_up()
    postgres.sql("DELETE FROM delivery WHERE id > 1", dbname=database)
    lines.restore()
    assert count(postgres, database) == 3


@pytest.mark.parametrize("backup_format", [BackupFormat.CUSTOM, BackupFormat.DIRECTORY])
def test_many_jobs_put_a_dump_back(postgres: Cluster, database: str, backup_format: BackupFormat) -> None:
    restore = Restore(options=("--clean", "--if-exists", "--jobs=2"))
    lines = Lines(postgres, database, format=backup_format, restore=restore)
    lines.back_up()
    postgres.sql("DROP TABLE delivery", dbname=database)
    lines.restore()
    assert count(postgres, database) == 3


@pytest.mark.long
@pytest.mark.parametrize("backup_format", [BackupFormat.PLAIN, BackupFormat.TAR])
def test_a_base_backup_with_every_option_that_is_allowed_is_whole(
    postgres: Cluster, backup_format: BackupFormat
) -> None:
    given = tuple(options("pg_basebackup", backup_format))
    assert not complaints("pg_basebackup", backup_format, given)
    name = f"base_{backup_format}"
    lines = Lines(postgres, name, method=BackupMethod.PG_BASEBACKUP, format=backup_format, options=given)
    folder = lines.back_up()
    if backup_format is BackupFormat.PLAIN:
        postgres.client("pg_verifybackup", folder)
    else:
        assert (folder / "base.tar.gz").stat().st_size > 0


@pytest.mark.parametrize("name", ["a=b", "postgresql://x", "it's=\\"])
def test_a_database_is_reached_whatever_its_name(postgres: Cluster, name: str) -> None:
    quoted = f'"{name}"'
    postgres.sql(f"CREATE DATABASE {quoted}")
    try:
        lines = Lines(postgres, name, file="odd.dump", restore=Restore(options=("--clean", "--if-exists")))
        connection = connection_options(lines.planned.connection)
        postgres.client("psql", "-X", "-c", f"CREATE TABLE delivery AS {ROWS}", *connection)
        lines.back_up()
        postgres.client("psql", "-X", "-c", "DROP TABLE delivery", *connection)
        lines.restore()
        found = postgres.client("psql", "-X", "-At", "-c", "SELECT count(*) FROM delivery", *connection)
        assert found.strip() == "3"
    finally:
        postgres.sql(f"DROP DATABASE {quoted} WITH (FORCE)")
