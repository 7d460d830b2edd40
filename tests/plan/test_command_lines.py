"""The command lines of the night, from what a plan declares."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

from preflight.plan import Account, BackupFormat, BackupMethod, Become, Restore, SecretRef, Step, Undo, UndoKind
from preflight.plan.command_lines import (
    Act,
    ScriptOrder,
    backup_command,
    night_commands,
    restore_command,
    script_commands,
    way_back_commands,
)
from preflight.plan.work import planned_backups, server_work
from tests.plan.test_work import plan_of

ORDER = ScriptOrder(("010.sql", "020.sql"), ("undo/010.sql", "undo/020.sql"))
PSQL = "psql -X -w -v ON_ERROR_STOP=1"


def backup_line(**backup: Any) -> str:
    plan = plan_of(backup=backup)
    return backup_command(plan, server_work(plan)[0]).line


def restore_line(**backup: Any) -> str:
    plan = plan_of(backup=backup)
    (planned,) = planned_backups(plan)
    return restore_command(plan, planned).line


def script_line(order: ScriptOrder = ORDER, **scripts: Any) -> str:
    plan = plan_of(scripts=scripts)
    (command,) = script_commands(plan, server_work(plan)[0], order)
    return command.line


def test_scripts_run_in_their_folder_in_one_call() -> None:
    assert script_line() == f"cd /backup && {PSQL} -U release -d orders -f 010.sql -f 020.sql"


def test_everything_declared_is_in_the_line() -> None:
    line = script_line(
        program="/usr/pgsql-15/bin/psql",
        server="/run/postgresql:5433",
        login="owner",
        variables={"schema": "app 1"},
        single_transaction=True,
        log="/srv/log/x.log",
        account="postgres",
    )
    assert line == (
        "cd /backup && sudo -n -u postgres /usr/pgsql-15/bin/psql -X -w -v ON_ERROR_STOP=1 -v 'schema=app 1' "
        "--single-transaction -h /run/postgresql -p 5433 -U owner -d orders -L /srv/log/x.log -f 010.sql -f 020.sql"
    )


def test_names_are_quoted_for_the_shell() -> None:
    line = script_line(ScriptOrder(("it's; rm -rf x.sql",)))
    assert shlex.split(line)[-1] == "it's; rm -rf x.sql"


def test_what_is_not_psql_runs_as_it_is_declared() -> None:
    assert script_line(command=("./deploy.sh", "a b")) == "cd /backup && ./deploy.sh 'a b'"


def test_scripts_that_are_not_known_give_no_line() -> None:
    plan = plan_of(scripts={})
    (command,) = script_commands(plan, server_work(plan)[0], ScriptOrder(problem="no such file"))
    assert not command.line
    assert "no such file" in command.note


def test_ways_back_are_one_line_each_the_last_first() -> None:
    plan = plan_of(scripts={})
    commands = list(way_back_commands(plan, server_work(plan)[0], ORDER))
    assert [each.argv[-1] for each in commands] == ["undo/020.sql", "undo/010.sql"]
    plan = plan_of(scripts={"command": ("./deploy.sh",)})
    assert not list(way_back_commands(plan, server_work(plan)[0], ORDER))


def test_a_command_that_a_script_takes_back_has_its_place_on_the_sheet() -> None:
    work = Step(id="work", minutes=90, undo=Undo(kind=UndoKind.SCRIPT, minutes=5))
    plan = plan_of(scripts={"command": ("./deploy.sh",), "step": "work"}, steps=(work,))
    (command,) = way_back_commands(plan, server_work(plan)[0], ORDER)
    assert (command.line, command.minutes) == ("", 5)
    assert command.note == "no key says what takes a command back: write its line here"


def test_a_dump_goes_to_a_file_with_the_windows_day() -> None:
    assert backup_line() == "pg_dump -w -F c -U release -d orders -f /backup/b-2026-10-17.dump"
    line = backup_line(
        account="postgres",
        login="backup",
        server="/run/postgresql",
        file="orders-{date}",
        format=BackupFormat.DIRECTORY,
        options=("--jobs=4",),
    )
    assert line == (
        "sudo -n -u postgres pg_dump -w -F d -h /run/postgresql -p 5432 -U backup -d orders --jobs=4 "
        "-f /backup/orders-2026-10-17"
    )


def test_a_base_backup_names_no_database() -> None:
    line = backup_line(method=BackupMethod.PG_BASEBACKUP)
    assert line == "pg_basebackup -w -F p -U release -D /backup/b-2026-10-17"


def test_what_takes_the_backup_by_itself_needs_no_line() -> None:
    plan = plan_of(backup={"taken_by": "cron"})
    command = backup_command(plan, server_work(plan)[0])
    assert (command.line, command.note) == ("", "taken by cron; nothing to start, its result is judged")
    assert backup_line(command=("/opt/backup", "orders")) == "/opt/backup orders"


def test_a_restore_stops_at_the_first_error() -> None:
    options = Restore(into="orders2", options=("--clean", "--if-exists"))
    assert restore_line(restore=options, login="backup") == (
        "pg_restore -w --exit-on-error -U release -d orders2 --clean --if-exists /backup/b-2026-10-17.dump"
    )
    plain = restore_line(restore=Restore(), format=BackupFormat.PLAIN)
    assert plain == f"{PSQL} -U release -d orders -f /backup/b-2026-10-17.sql"
    assert restore_line(restore=Restore(command=("/opt/restore",))) == "/opt/restore"
    assert not restore_line(), "the plan does not say how"


def test_the_sheet_follows_the_steps_and_comes_back_the_other_way() -> None:
    steps = (
        Step(id="dump", minutes=30),
        Step(id="work", minutes=90, undo=Undo(kind=UndoKind.RESTORE, minutes=60)),
    )
    plan = plan_of(backup={"step": "dump"}, scripts={"step": "work"}, steps=steps)
    commands = night_commands(plan, ["dump", "work"], {"s": ORDER})
    assert [(each.act, each.minutes) for each in commands] == [
        (Act.BACKUP, 30), (Act.SCRIPTS, 90), (Act.WAY_BACK, None), (Act.WAY_BACK, None), (Act.RESTORE, 60),
    ]  # fmt: skip


def test_a_restore_comes_after_the_ways_back_where_there_are_some() -> None:
    for way_back, order in (("undo/{name}", "after the ways back; "), ("", "")):
        plan = plan_of(backup={"restore": Restore(into="orders2")}, scripts={"way_back": way_back})
        (planned,) = planned_backups(plan)
        assert restore_command(plan, planned).note.startswith(f"{order}password of release: ")


def test_no_line_holds_a_secret_and_each_says_where_the_password_is() -> None:
    become = (Become(account=Account("postgres"), password=SecretRef.parse("env:SUDO_PASSWORD")),)
    plan = plan_of(scripts={"account": "postgres"})
    plan = replace(plan, hosts={"db1": replace(plan.hosts["db1"], become=become)})
    (command,) = script_commands(plan, server_work(plan)[0], ORDER)
    assert " sudo -u postgres psql -X -w " in command.line, "sudo asks, so that -n would fail"
    assert command.note == (
        "sudo asks for the password of dbadmin; password of release: ~postgres/.pgpass on db1; none with peer or a "
        "certificate"
    )
