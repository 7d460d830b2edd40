"""What a plan leaves unconfirmed: each gap is one sentence with the key to add."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from preflight.plan.gaps import outlived, unconfirmed, unstaffed
from preflight.plan.load import load_plan
from tests.plan_texts import FULL, MINIMAL

UNVERIFIED = (
    'Database {0} is reached without proof of which server answers: add sslmode = "verify-full" to [databases.{0}].'
)


def gaps(folder: Path, text: str) -> tuple[str, ...]:
    (folder / "x.toml").write_text(text)
    plan = load_plan(folder / "x.toml")
    return (*unstaffed(plan), *unconfirmed(plan))


def test_a_plan_with_nothing_in_it_confirms_nothing(tmp_path: Path) -> None:
    assert gaps(tmp_path, MINIMAL) == (
        "The way back is not confirmed at all: add [rollback].",
        "How long the window's work and its rollback take is not known: add [[steps]].",
    )


def test_every_gap_is_named_with_the_key_that_closes_it(tmp_path: Path) -> None:
    text = MINIMAL + (
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
    assert gaps(tmp_path, text) == (
        'Role dba has nobody to take over: add "standby" to [roles.dba].',
        'Role dba cannot be called: add "contact" to [roles.dba].',
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
        'Database billing has no backup: add a [backups.NAME] with database = "billing".',
        'Database billing has no scripts: add a [scripts.NAME] with database = "billing", if any will run there.',
        UNVERIFIED.format("billing"),
        'No earlier backup is read to its end for backup a: add "previous" to [backups.a], the pattern of its files.',
        'No way-back script is looked for beside the scripts b: add "way_back" to [scripts.b].',
        'No step of the window runs the scripts b: add "step" to [scripts.b].',
        'Application app1 is not asked for its health: add "health" to [applications.app1].',
        'No health endpoint of application app2 tells its version 1: add "version" to one in [applications.app2].',
        'The way back was never rehearsed: add "rehearsed" to [rollback], the date of the rehearsal.',
        'No file that the way back needs is looked for: add "files" to [rollback].',
        'Step s does not say how it is taken back: add "undo" to it.',
        'Step t does not say how long taking it back lasts: add "minutes" to its undo.',
        "Step t is taken back by a restore, and no backup says how: add [backups.NAME.restore].",
    )


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
    assert not [gap for gap in unconfirmed(plan) if "owns" in gap]


def test_a_window_that_is_over_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(MINIMAL)
    plan = load_plan(tmp_path / "x.toml")
    assert outlived(plan, plan.window.end - timedelta(seconds=1)) == ()
    said = "The window was over Sat 2026-10-17 06:00 +02:00: correct start and end in [window]."
    assert outlived(plan, plan.window.end) == (said,)


def test_a_version_among_the_json_values_counts_as_told(tmp_path: Path) -> None:
    text = MINIMAL + '[applications.a]\nfrom = "1"\nto = "2"\nhealth = [{ url = "http://a/", json = { v = "1" } }]\n'
    assert not [gap for gap in gaps(tmp_path, text) if "version" in gap]


def test_the_full_plan_of_these_tests_leaves_little_open(tmp_path: Path) -> None:
    assert gaps(tmp_path, FULL) == (
        'Nobody owns the findings of host bastion: add "owner" to [hosts.bastion].',
        'Nobody owns the findings of host app1-a: add "owner" to [hosts.app1-a].',
        'Nobody owns the findings of host app1.b: add "owner" to [hosts.app1.b].',
        'Step backup-orders does not say how it is taken back: add "undo" to it.',
    )
