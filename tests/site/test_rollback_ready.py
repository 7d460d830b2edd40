"""rollback-ready on a real host, in every state a way back can be in."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.rollback_ready import RollbackReady

from preflight.finding import Finding, Status
from preflight.plan import Account, Database, RemotePath, Role, Rollback, RollbackFile, Scripts, Sha256
from tests.site.asking import NOW, as_root, findings, host_on, make_plan, told
from tests.site.mounts import Mounts
from tests.site.site import Site

DBA = Role(id="dba", primary="D. Kaya", standby="M. Ortiz", contact="ext. 4411")
Ask = Callable[..., Mapping[str, Finding]]


@pytest.fixture
def ask(site: Site, tmp_path: Path) -> Ask:
    """The findings about a plan with these sections."""

    def ask(**sections: Any) -> Mapping[str, Finding]:
        host = host_on(site.sshd, site.account("good"), owner="unix")
        entry = Database(id="orders", host="db1", user=Account("release"), owner="dba")
        plan = make_plan(
            tmp_path, hosts=[host], databases=[entry], known_hosts=site.sshd.known_hosts_lines(), **sections
        )
        return findings(RollbackReady, plan)

    return ask


# Files.


def test_rollback_files_are_hashed_where_they_are(site: Site, ask: Ask, shared_path: Path) -> None:
    def put(name: str, content: bytes) -> Path:
        made = shared_path / name
        made.write_bytes(content)
        shutil.chown(made, site.account("good").name)
        return made

    content = b"release 4.1" * 1000
    good = put("4.1 'it.tar.gz", content)
    sha256 = Sha256(hashlib.sha256(content).hexdigest())
    other = Sha256("0" * 64)
    secret = put("secret", content)
    shutil.chown(secret, "root")
    secret.chmod(0o600)
    shared_path.chmod(0o755)
    closed = shared_path / "closed"
    closed.mkdir(mode=0o700)
    paths = {
        good: (sha256, Status.PASS, "SHA-256 as in the plan"),
        put("changed", content + b"x"): (sha256, Status.FAIL, "another one than the plan names"),
        put("empty", b""): (Sha256(hashlib.sha256().hexdigest()), Status.FAIL, "the file is empty"),
        shared_path / "missing": (other, Status.FAIL, "not there"),
        shared_path: (other, Status.FAIL, "no regular file"),
        secret: (sha256, Status.UNKNOWN, "may not read"),
        closed / "x": (other, Status.UNKNOWN, f"may not look into {closed}"),
    }
    files = tuple(
        RollbackFile(host="db1", path=RemotePath(str(path)), sha256=wanted) for path, (wanted, _, _) in paths.items()
    )
    found = ask(rollback=Rollback(rehearsed=NOW.date(), files=files))
    for path, (_, status, words) in paths.items():
        line = found[f"db1:{path}"]
        assert line.status is status, told(line)
        assert words in line.judgement.summary
        assert line.owner == "unix"
    for hidden in (closed / "x", secret):
        as_root(found[f"db1:{hidden}"])
    found = ask(rollback=Rollback(rehearsed=NOW.date(), files=files))
    assert found[f"db1:{secret}"].status is Status.PASS
    assert found[f"db1:{closed / 'x'}"].status is Status.FAIL, "it is seen now, and is not there"


@pytest.mark.parametrize(
    ("loose", "mode", "who"),
    [
        ("app", 0o777, "everybody on the server"),
        ("app/4.1.tar", 0o666, "everybody on the server"),
        ("", 0o777, "everybody on the server"),
        ("app/4.1.tar", 0o664, "daemon"),
        ("app", 0o775, "daemon"),
    ],
)
def test_a_file_that_others_may_exchange_warns_and_the_cure_works(
    ask: Ask, shared_path: Path, loose: str, mode: int, who: str
) -> None:
    shared_path.chmod(0o755)
    made = shared_path / "app" / "4.1.tar"
    made.parent.mkdir()
    made.write_bytes(b"release 4.1")
    sha256 = Sha256(hashlib.sha256(b"release 4.1").hexdigest())
    rollback = Rollback(
        rehearsed=NOW.date(), files=(RollbackFile(host="db1", path=RemotePath(str(made)), sha256=sha256),)
    )
    assert ask(rollback=rollback)[f"db1:{made}"].status is Status.PASS
    (shared_path / loose).chmod(mode)
    if who == "daemon":
        assert ask(rollback=rollback)[f"db1:{made}"].status is Status.PASS, "its group has nobody else"
        shutil.chown(shared_path / loose, group="daemon")
    found = ask(rollback=rollback)[f"db1:{made}"]
    assert found.status is Status.WARN, told(found)
    assert found.judgement.summary == f"it is as in the plan, and may be changed by {who}"
    assert found.judgement.actual == f"mode go+w: {(shared_path / loose)}"
    as_root(found)
    assert ask(rollback=rollback)[f"db1:{made}"].status is Status.PASS


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_file_system_on_which_nothing_can_be_put_back_warns_and_the_cure_works(
    ask: Ask, mounts: Mounts, fault: str
) -> None:
    disk = mounts.ext4("srv", mode=0o755)
    made, other = disk / "app" / "4.1.tar", disk / "log"
    made.parent.mkdir()
    made.write_bytes(b"release 4.1" * 100_000)
    sha256 = Sha256(hashlib.sha256(made.read_bytes()).hexdigest())
    file = RollbackFile(host="db1", path=RemotePath(str(made)), sha256=sha256)
    rollback = Rollback(rehearsed=NOW.date(), files=(file,))
    found = ask(rollback=rollback)[f"db1:{made}"]
    assert found.status is Status.PASS, told(found)
    if fault == "full":
        with contextlib.suppress(OSError), other.open("wb", buffering=0) as filling:
            while True:
                filling.write(bytes(1024 * 1024))
    else:
        mounts.remount_read_only(disk)
    found = ask(rollback=rollback)[f"db1:{made}"]
    assert found.status is Status.WARN, told(found)
    assert f"no release can be written or put back where it lies: {disk} (ext4, " in found.judgement.summary
    if fault == "full":
        assert found.judgement.actual == "0 B free, the file has 1 MiB"
        command = found.judgement.remedy.partition("most there: ")[2]
        assert (
            str(other.parent) in subprocess.run(["sh", "-c", command], check=True, capture_output=True).stdout.decode()
        )
        other.unlink()
    else:
        assert found.judgement.actual == "mounted read-only"
        as_root(found)
    assert ask(rollback=rollback)[f"db1:{made}"].status is Status.PASS


# Scripts.


@pytest.mark.parametrize(
    ("back", "status", "words"),
    [
        ("DROP TABLE t;", Status.PASS, "1 scripts have their way back: 010.sql"),
        (None, Status.FAIL, "010.sql has no way back"),
        ("", Status.FAIL, "the way back of 010.sql is empty"),
    ],
)
def test_each_script_has_its_way_back(ask: Ask, tmp_path: Path, back: str | None, status: Status, words: str) -> None:
    folder = tmp_path / "sql"
    (folder / "undo").mkdir(parents=True)
    (folder / "010.sql").write_text("CREATE TABLE t ();\n")
    if back is not None:
        (folder / "undo" / "010.down.sql").write_text(back)
    scripts = Scripts(
        id="s",
        database="orders",
        approved=folder,
        manifest=tmp_path / "m",
        staged=RemotePath("/srv/s"),
        way_back="undo/{stem}.down.sql",
    )
    found = ask(scripts={"s": scripts})["s way back"]
    assert found.status is status, told(found)
    assert words in found.judgement.summary


def test_a_folder_without_scripts_is_no_pass(ask: Ask, tmp_path: Path) -> None:
    scripts = Scripts(
        id="s",
        database="orders",
        approved=tmp_path / "none",
        manifest=tmp_path / "m",
        staged=RemotePath("/srv/s"),
        way_back="{stem}.down.sql",
    )
    found = ask(scripts={"s": scripts})["s way back"]
    assert (found.status, "cannot be read" in found.judgement.summary) == (Status.FAIL, True), told(found)
    (tmp_path / "none").mkdir()
    assert ask(scripts={"s": scripts})["s way back"].status is Status.UNKNOWN


# The rehearsal.


@pytest.mark.case(21)
@pytest.mark.parametrize(
    ("days", "status", "words"),
    [
        (10, Status.PASS, "rehearsed"),
        (40, Status.UNKNOWN, "old"),
        (-20, Status.UNKNOWN, "still to come"),
        (None, Status.UNKNOWN, "never rehearsed"),
    ],
)
def test_the_rehearsal_is_recent(ask: Ask, days: int | None, status: Status, words: str) -> None:
    day: date | None = None if days is None else (NOW - timedelta(days=days)).date()
    found = ask(rollback=Rollback(rehearsed=day, owner="dba"))["rehearsal"]
    assert found.status is status, told(found)
    assert words in found.judgement.summary


def test_a_rehearsal_that_is_left_out_for_a_reason_is_a_warning(ask: Ask) -> None:
    found = ask(rollback=Rollback(owner="dba"), absent={("rollback", "rehearsed"): "one file is put back"})["rehearsal"]
    assert found.status is Status.WARN, told(found)
    assert found.judgement.summary == "the way back was never rehearsed: one file is put back"
