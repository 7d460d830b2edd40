"""What a plan leaves unconfirmed: each gap is one sentence with the key to add."""

from __future__ import annotations

from pathlib import Path

from preflight.loader import load_plan
from preflight.plan.coverage import unconfirmed
from tests.plan_texts import FULL, MINIMAL

UNVERIFIED = (
    'Database {0} is reached without proof of which server answers: add sslmode = "verify-full" to [databases.{0}].'
)


def gaps(folder: Path, text: str) -> tuple[str, ...]:
    (folder / "x.toml").write_text(text)
    return unconfirmed(load_plan(folder / "x.toml"))


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
    )


def test_a_version_among_the_json_values_counts_as_told(tmp_path: Path) -> None:
    text = MINIMAL + '[applications.a]\nfrom = "1"\nto = "2"\nhealth = [{ url = "http://a/", json = { v = "1" } }]\n'
    assert len(gaps(tmp_path, text)) == len(gaps(tmp_path, MINIMAL))


def test_the_full_plan_of_these_tests_leaves_little_open(tmp_path: Path) -> None:
    assert gaps(tmp_path, FULL) == (
        'Nobody owns the findings of host bastion: add "owner" to [hosts.bastion].',
        'Nobody owns the findings of host app1-a: add "owner" to [hosts.app1-a].',
        'Nobody owns the findings of host app1.b: add "owner" to [hosts.app1.b].',
        'Step backup-orders does not say how it is taken back: add "undo" to it.',
    )
