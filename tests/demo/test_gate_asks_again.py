"""The gate on real servers, minutes after a run that was GO: it sees what broke since, and what was made since."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from preflight.clock import now
from preflight.demo.site import DemoSite
from tests.cli.program import preflight

KEPT = "everything is asked again but the full reads of 2 backups, unchanged since"


@contextmanager
def about_to_begin() -> Iterator[DemoSite]:
    """The demo's site after a run that was GO, its window about to begin.

    The backup of orders is seconds old: that it could still be being written, so that the one before is read too, would
    depend on how fast this machine is."""
    with DemoSite(soon=True) as demo:
        with demo.plan_path.open("a") as plan:
            plan.write('\n[checks.earlier-backup]\nwritten_within = "0s"\n')
        assert ask(demo, "run")["verdict"] == "GO"
        yield demo


@pytest.fixture
def demo() -> Iterator[DemoSite]:
    """For one test."""
    with about_to_begin() as demo:
        yield demo


@pytest.fixture(scope="module")
def kept_site() -> Iterator[DemoSite]:
    with about_to_begin() as demo:
        yield demo


@pytest.fixture
def shared(kept_site: DemoSite) -> Iterator[DemoSite]:
    """For tests that add a backup at most: it is taken away again, and so are the runs after the first one."""
    places = [archive(kept_site), kept_site.plan_path.parent / ".preflight" / "REL-DEMO"]
    before = [set(place.iterdir()) for place in places]
    yield kept_site
    for place, files in zip(places, before, strict=True):
        for file in set(place.iterdir()) - files:
            file.unlink()


def ask(demo: DemoSite, *command: str) -> dict[str, Any]:
    """The JSON report of `preflight run` or `preflight gate`."""
    name, *options = command
    done = preflight(name, demo.plan_path, *options, "--format", "json")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def failures(report: dict[str, Any]) -> set[tuple[str, str]]:
    return {(found["check"], found["subject"]) for found in report["findings"] if found["status"] == "fail"}


def archive(demo: DemoSite) -> Path:
    return demo.hosts["db2"].root / "archive" / "billing"


def newest(demo: DemoSite) -> Path:
    return max(archive(demo).iterdir(), key=lambda file: file.stat().st_mtime)


def stop_the_application(demo: DemoSite) -> None:
    demo.apps["app1"].stop()


def lock_the_role(demo: DemoSite) -> None:
    demo.postgres.query("ALTER ROLE release NOLOGIN")


def move_the_folder_away(demo: DemoSite) -> None:
    folder = demo.hosts["db1"].root / "backup" / "orders"
    folder.rename(folder.with_name("moved"))


def cut_off_the_backup(demo: DemoSite) -> None:
    """In place and with its old time, as a disk that was full leaves it: only its size and its change time tell."""
    file = newest(demo)
    before = file.stat()
    os.truncate(file, before.st_size * 6 // 10)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def overwrite_the_backup(demo: DemoSite) -> None:
    """With as many bytes, and its old time."""
    file = newest(demo)
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def settle(file: Path) -> None:
    """Makes a backup one of five minutes ago, so that it is not taken for one that is just being written."""
    ago = (now() - timedelta(minutes=5)).timestamp()
    os.utime(file, (ago, ago))


@pytest.mark.long
@pytest.mark.case(2)
@pytest.mark.parametrize(
    "changes",
    [
        {
            stop_the_application: ("app-health", "app1"),
            lock_the_role: ("database-login", "orders"),
            move_the_folder_away: ("backup-location", "orders"),
            cut_off_the_backup: ("earlier-backup", "billing"),
        },
        {overwrite_the_backup: ("earlier-backup", "billing")},
    ],
    ids=["several", "overwritten"],
)
def test_what_broke_since_the_run_is_no_go(
    demo: DemoSite, changes: dict[Callable[[DemoSite], None], tuple[str, str]]
) -> None:
    for change in changes:
        change(demo)
    report = ask(demo, "gate", "--no-ask")
    assert report["verdict"] == "GO", "without asking the run is judged as it stands, and says so"
    assert report["basis"][0].endswith("judged again without asking")
    report = ask(demo, "gate")
    assert report["verdict"] == "NO-GO"
    for check, subject in changes.values():
        assert any(failed == check and where.startswith(subject) for failed, where in failures(report)), check


@pytest.mark.long
@pytest.mark.case(4)
def test_a_backup_taken_since_is_the_one_that_is_read(shared: DemoSite) -> None:
    made = archive(shared) / "tonight.dump"
    shared.postgres.run("pg_dump", "-Fp", "-C", "-Z6", "-f", made, "billing")
    settle(made)
    report = ask(shared, "gate")
    (read,) = (
        found for found in report["findings"] if (found["check"], found["subject"]) == ("earlier-backup", "billing")
    )
    assert report["verdict"] == "GO"
    assert "tonight.dump" in read["summary"]
    assert report["basis"][0].endswith("everything is asked again but the full read of 1 backup, unchanged since")


@pytest.mark.case(3)
def test_a_nightly_dump_that_was_cut_off_fails(shared: DemoSite) -> None:
    content = newest(shared).read_bytes()
    made = archive(shared) / "tonight.dump"
    made.write_bytes(content[: len(content) * 6 // 10])
    settle(made)
    assert ("earlier-backup", "billing") in failures(ask(shared, "gate"))


@pytest.mark.long
@pytest.mark.case(25)
def test_scripts_changed_with_their_manifest_are_told_by_hash_and_a_pinned_manifest_decides(demo: DemoSite) -> None:
    manifest = demo.plan_path.parent / "sql" / "orders.SHA256SUMS"
    before = hashlib.sha256(manifest.read_bytes()).hexdigest()
    for folder in (manifest.with_suffix(""), demo.hosts["db1"].root / "release" / "orders"):
        with (folder / "010_delivery_date.sql").open("a") as script:
            script.write("DELETE FROM orders;\n")
    sealed = preflight("seal", demo.plan_path, "--scripts-only")
    after = hashlib.sha256(manifest.read_bytes()).hexdigest()
    assert f"sha256    {after}" in sealed.stdout
    told = ask(demo, "gate")["basis"][0]
    assert f"scripts.orders.manifest changed from sha256 {before[:12]} to {after[:12]}" in told
    plan = demo.plan_path.read_text()
    assert plan.count("orders.SHA256SUMS") == 1
    for pinned, fails in ((after, False), (before, True)):
        named = f'orders.SHA256SUMS"\nmanifest_sha256 = "{pinned}"'
        demo.plan_path.write_text(plan.replace('orders.SHA256SUMS"', named))
        assert (("script-hashes", "orders") in failures(ask(demo, "gate"))) is fails


@pytest.mark.long
def test_of_an_unchanged_site_only_the_full_reads_are_kept(shared: DemoSite) -> None:
    report = ask(shared, "gate")
    assert report["verdict"] == "GO"
    assert report["basis"][0].endswith(KEPT)
    (read,) = (
        found for found in report["findings"] if (found["check"], found["subject"]) == ("earlier-backup", "billing")
    )
    assert read["oldest_evidence_at"] < report["collected_at"]
    others = [found for found in report["findings"] if found is not read and found["check"] != "earlier-backup"]
    assert all(found["oldest_evidence_at"] >= report["collected_at"] for found in others if found["oldest_evidence_at"])
