"""What a plan leaves unconfirmed: each gap is one sentence with the key to add."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from preflight_checks.host_login import HostLogin

from preflight.plan import Plan
from preflight.plan.gaps import SECTIONS, found_by_checks, left_out, outlived, unconfirmed
from preflight.plan.load import load_plan
from tests.plan_texts import FULL, MINIMAL

NEIGHBOUR = (
    "A neighbour at {0} could answer for application {1} unnoticed: "
    'add "identity" to an endpoint there in [[applications.{1}.health]].'
)
UNVERIFIED = (
    'Database {0} is reached without proof of which server answers: add sslmode = "verify-full" to [databases.{0}].'
)


def loaded(folder: Path, text: str) -> Plan:
    (folder / "x.toml").write_text(text)
    return load_plan(folder / "x.toml")


def gaps(folder: Path, text: str) -> tuple[str, ...]:
    plan = loaded(folder, text)
    return tuple(each.message for each in (*found_by_checks(plan), *unconfirmed(plan)))


def left(folder: Path, text: str) -> list[str]:
    """What is left out without a reason."""
    return [str(gap) for gap in left_out(loaded(folder, text)) if not gap.reason]


def test_a_plan_with_nothing_in_it_confirms_nothing(tmp_path: Path) -> None:
    assert left(tmp_path, MINIMAL) == [
        f'{missing}: add [{section}]; or say why in [release]: without = {{ {section} = "" }}.'
        for section, missing in SECTIONS.items()
    ]
    said = "How long the window's work and its rollback take is not known: add [[steps]]."
    assert gaps(tmp_path, MINIMAL) == (said,)


TEXT = MINIMAL + (
    '[roles.dba]\nprimary = "p"\n'
    '[hosts.db1]\nuser = "u"\nagent = "a"\n'
    '[databases.orders]\nhost = "db1"\nuser = "u"\n'
    '[databases.billing]\nhost = "db1"\nuser = "u"\n'
    '[backups.a]\ndatabase = "orders"\ndirectory = "/b"\n'
    '[scripts.b]\ndatabase = "orders"\napproved = "a"\nmanifest = "m"\nstaged = "/s"\n'
    '[applications.app1]\nfrom = "1"\nto = "2"\n'
    '[applications.app2]\nfrom = "1"\nto = "2"\nhealth = [{ url = "http://a/", json = { v = "2" } }]\n'
    "[rollback]\n"
    '[[steps]]\nid = "s"\nminutes = 1\n'
    '[[steps]]\nid = "t"\nminutes = 1\nundo = { kind = "restore" }\n'
    '[[steps]]\nid = "u"\nminutes = 1\nundo = { kind = "none" }\n'
)


def test_every_gap_is_named_with_the_key_that_closes_it(tmp_path: Path) -> None:
    assert gaps(tmp_path, TEXT) == (
        'Role dba has nobody to take over: add "standby" to [roles.dba].',
        'Role dba cannot be called: add "contact" to [roles.dba].',
        'The way back was never rehearsed: add "rehearsed" to [rollback], the date of the rehearsal.',
        'Nobody owns the findings of host db1: add "owner" to [hosts.db1].',
        *(
            f'Nobody owns the findings of [{entry}]: add "owner" to it.'
            for entry in (
                *("databases.orders", "databases.billing", "backups.a", "scripts.b"),
                *("applications.app1", "applications.app2"),
            )
        ),
        'Nobody owns the findings of the way back: add "owner" to [rollback].',
        UNVERIFIED.format("orders"),
        'Database billing has no scripts: add a [scripts.NAME] with database = "billing", if any will run there.',
        UNVERIFIED.format("billing"),
        'No step of the window runs the scripts b: add "step" to [scripts.b].',
        NEIGHBOUR.format("a", "app2"),
        'Step s does not say how it is taken back: add "undo" to it.',
        'Step t does not say how long taking it back lasts: add "minutes" to its undo.',
        "Step t is taken back by a restore, and no backup says how: add [backups.NAME.restore].",
    )


def test_what_an_entry_lacks_is_left_out_until_the_plan_says_why(tmp_path: Path) -> None:
    assert left(tmp_path, TEXT) == [
        f'{missing}: add {add}; or say why {where} = {{ none = "" }}.'
        for missing, add, where in (
            (
                "Database billing has no backup",
                'a table to [backups] with database = "billing"',
                "in [databases.billing]: backup",
            ),
            (
                "No earlier backup is read to its end for backup a",
                '"previous" to [backups.a], the pattern of its files',
                "in [backups.a]: previous",
            ),
            (
                "No way-back script is looked for beside the scripts b",
                '"way_back" to [scripts.b]',
                "in [scripts.b]: way_back",
            ),
            (
                "Application app1 is not asked for its health",
                '"health" to [applications.app1]',
                "in [applications.app1]: health",
            ),
            (
                "Nothing at a tells whether application app2 runs its version 1",
                '"version" to an endpoint there in [[applications.app2.health]]',
                "there: version",
            ),
            ("No file that the way back needs is looked for", '"files" to [rollback]', "in [rollback]: files"),
        )
    ]
    text = TEXT.replace(
        "[backups.a]\n", 'backup = { none = "only read" }\n[backups.a]\nprevious = { none = "first" }\n'
    )
    text = text.replace('staged = "/s"\n', 'staged = "/s"\nway_back = { none = "adds a view" }\n')
    text = text.replace('to = "2"\n[app', 'to = "2"\nhealth = { none = "no endpoint" }\n[app')
    text = text.replace('v = "2" }', 'v = "2" }, version = { none = "tells none" }')
    plan = loaded(tmp_path, text.replace("[rollback]\n", '[rollback]\nfiles = { none = "nothing is replaced" }\n'))
    reasons = ["only read", "first", "adds a view", "no endpoint", "tells none", "nothing is replaced"]
    assert [gap.reason for gap in left_out(plan)] == reasons


@pytest.mark.case(64)
def test_each_server_of_an_application_tells_version_and_name(tmp_path: Path) -> None:
    text = MINIMAL + (
        '[applications.app1]\nfrom = "1"\nto = "2"\nhealth = [\n'
        '{ url = "https://a/info", version = "v", identity = { name = "app1" } }, { url = "https://A/health" },\n'
        '{ url = "https://b/health" }, { url = "https://b/live" }]\n'
    )
    plan = loaded(tmp_path, text)
    assert [gap.keys for gap in left_out(plan) if len(gap.keys) > 1] == [
        ("applications", "app1", "health", 2, "version")
    ]
    assert [each.message for each in unconfirmed(plan) if "neighbour" in each.message] == [
        NEIGHBOUR.format("b", "app1")
    ]


def test_nothing_changes_on_a_replica_that_scripts_or_a_backup_could_be_for(tmp_path: Path) -> None:
    text = TEXT.replace("[databases.billing]\n", '[databases.billing]\nrole = "replica"\n')
    assert text != TEXT
    assert not [gap for gap in (*left(tmp_path, text), *gaps(tmp_path, text)) if "Database billing has no" in gap]


def test_a_base_backup_is_a_backup_of_every_database_of_its_server(tmp_path: Path) -> None:
    text = TEXT.replace('directory = "/b"', 'directory = "/b"\nmethod = "pg_basebackup"')
    assert not [gap for gap in left(tmp_path, text) if "has no backup" in gap]


@pytest.mark.parametrize("kind", ["restore", "nothing-to-undo", "none", "redeploy"])
def test_scripts_whose_step_is_restored_or_kept_need_no_way_back(tmp_path: Path, kind: str) -> None:
    text = TEXT.replace("[scripts.b]\n", '[scripts.b]\nstep = "x"\n').replace(
        'directory = "/b"\n', 'directory = "/b"\n[backups.a.restore]\noptions = ["--clean", "--if-exists"]\n'
    )
    text += f'[[steps]]\nid = "x"\nminutes = 1\nundo = {{ kind = "{kind}" }}\n'
    assert any("way-back" in gap for gap in left(tmp_path, text)) == (kind == "redeploy")


def test_of_a_section_that_is_left_out_its_entries_say_nothing(tmp_path: Path) -> None:
    text = MINIMAL + '[hosts.db1]\nuser = "u"\nagent = "a"\n[databases.orders]\nhost = "db1"\nuser = "u"\n'
    found = [gap.keys for gap in left_out(loaded(tmp_path, text))]
    assert found == [("backups",), ("scripts",), ("applications",), ("rollback",)]
    text = MINIMAL.replace("[window]", 'without = { databases = "none of ours" }\n[window]')
    reasons = {gap.keys[0]: gap.reason for gap in left_out(loaded(tmp_path, text))}
    assert reasons["databases"] == reasons["backups"] == "none of ours", "what is not there cannot be saved"


def test_an_owner_holds_for_what_lies_on_the_machine_and_belongs_to_the_database(tmp_path: Path) -> None:
    text = MINIMAL + (
        '[roles.unix]\nprimary = "p"\n[roles.dba]\nprimary = "q"\n'
        '[hosts.db1]\nuser = "u"\nagent = "a"\nowner = "unix"\n'
        '[databases.orders]\nhost = "db1"\nuser = "u"\n'
        '[databases.billing]\nhost = "db1"\nuser = "u"\nowner = "dba"\n'
        '[backups.orders]\ndatabase = "orders"\ndirectory = "/b"\n'
        '[backups.billing]\ndatabase = "billing"\ndirectory = "/c"\n'
        '[scripts.billing]\ndatabase = "billing"\napproved = "a"\nmanifest = "m"\nstaged = "/s"\n'
    )
    (tmp_path / "x.toml").write_text(text)
    plan = load_plan(tmp_path / "x.toml")
    assert {name: entry.owner for name, entry in plan.databases.items()} == {"orders": "unix", "billing": "dba"}
    assert {name: entry.owner for name, entry in plan.backups.items()} == {"orders": "unix", "billing": "dba"}
    assert plan.scripts["billing"].owner == "dba"
    assert not [gap for gap in unconfirmed(plan) if "owns" in gap.message]


def test_a_window_that_is_over_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(MINIMAL)
    plan = load_plan(tmp_path / "x.toml")
    assert outlived(plan, plan.window.end - timedelta(seconds=1)) == ()
    said = "The window was over Sat 2026-10-17 06:00 +02:00: correct start and end in [window]."
    assert outlived(plan, plan.window.end) == ((("window", "end"), said, ""),)


def test_words_that_are_too_old_are_told_wherever_they_stand(tmp_path: Path) -> None:
    def told(text: str) -> list[str]:
        file = tmp_path / "plan.toml"
        file.write_text(text)
        plan = load_plan(file, {"host-login": HostLogin.Settings})
        return [each.message.partition(" is of ")[0] for each in outlived(plan, plan.window.start)]

    until = 'db1 = { by = "dba", on = 2026-10-10, reason = "x", until = 2026-12-31 }'
    declared = FULL.partition("[checks.backup-space]")[0]
    asked = f"{declared}[checks.host-login.valid_through]\n{until}\n"
    assert told(asked) == []
    who = "What the DBA on call (dba), ext. 4411 says of "
    keys = (
        "[databases.ledger] provider_restores",
        "[databases.orders] data_directory", "[databases.orders] located_by", "[scripts.orders] runs_programs",
        "[scripts.orders] rights_shown", "[scripts.by-command] stops_on_error",
        "[scripts.by-command] engine_shown", "[backups.of-mysql] engine_shown", "[checks.host-login.valid_through] db1",
    )  # fmt: skip
    old = asked.replace('by = "dba", on = 2026-10-10', 'by = "dba", on = 2024-10-10')
    assert sorted(told(old)) == sorted(who + key for key in keys)


def test_a_version_among_the_json_values_counts_as_told(tmp_path: Path) -> None:
    text = MINIMAL + '[applications.a]\nfrom = "1"\nto = "2"\nhealth = [{ url = "http://a/", json = { v = "1" } }]\n'
    assert not [gap for gap in left(tmp_path, text) if "version" in gap]


def test_the_full_plan_of_these_tests_leaves_little_open(tmp_path: Path) -> None:
    assert left(tmp_path, FULL) == []
    assert gaps(tmp_path, FULL) == (
        'Nobody owns the findings of host bastion: add "owner" to [hosts.bastion].',
        'Nobody owns the findings of host app1-a: add "owner" to [hosts.app1-a].',
        'Nobody owns the findings of host app1.b: add "owner" to [hosts.app1.b].',
        'Step backup-orders does not say how it is taken back: add "undo" to it.',
    )
