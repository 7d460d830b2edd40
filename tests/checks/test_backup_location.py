"""backup-location judged from plain facts: each passing state beside those that flip it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.backup_location import BackupLocation, SharedStorage

from preflight.errors import PlanError
from preflight.finding import Judgement, Status
from preflight.plan import (
    Account,
    Backup,
    BackupFormat,
    BackupMethod,
    Database,
    Host,
    RemotePath,
    Role,
    SaidPath,
    Step,
)
from preflight.plan.load import load_plan
from preflight.probe import NoReply
from preflight.questions.sizes import DataDirectories
from preflight.questions.storage import Directory, DirectoryKind, Link, Mount, Place, Target
from preflight.reasons import Reason
from tests.plan_texts import MINIMAL
from tests.toy import MOMENT, toy_plan

MIB = 1024**2
DISK = Mount("8:17", "/backup", read_only=False, type="ext4", source="/dev/sdb1")
ROOT = Mount("8:1", "/", read_only=False, type="ext4", source="/dev/sda1")
PLACE = Place(
    path="/backup/orders",
    reached="/backup/orders",
    real="/backup/orders",
    mode=0o750,
    owner="dbadmin",
    mount=DISK,
    free_bytes=10**10,
    size_bytes=10**11,
    free_inodes=10**6,
)
CHAIN = (
    Link("/backup/orders", 0o750, 1000, 1000, has_acl=False),
    Link("/backup", 0o755, 0, 0, has_acl=False),
    Link("/", 0o755, 0, 0, has_acl=False),
)
GOOD = Directory(
    place=PLACE,
    kind=DirectoryKind.DIRECTORY,
    passable=True,
    ran_as=1000,
    account=1000,
    groups=frozenset({1000}),
    access=True,
    proof="written",
    fsize="unlimited",
    cpu="unlimited",
    chain=CHAIN,
    members="",
)
BY_LOGIN = replace(GOOD, ran_as=999, access=False, proof="EACCES")
"""The same directory, seen by a login that gets no shell of the account."""
DATA = DataDirectories("/var/lib/pg/data")
BACKUP = Backup(id="orders", database="orders", directory=RemotePath("/backup/orders"), step="backup")
UNSEEN = NoReply(Reason.NOT_LISTENING, "orders: connection refused", MOMENT)


def at(path: str, mount: Mount | None = ROOT, reached: str = "") -> Place:
    return replace(PLACE, path=path, reached=reached or path, real=path, mount=mount)


PLACES = {path: at(path) for path in DATA.paths}


def judged(
    directory: Directory = GOOD,
    *,
    backup: Backup = BACKUP,
    data: DataDirectories | NoReply = DATA,
    places: Mapping[str, Place] | NoReply | None = None,
    beside: Directory | None = None,
    moment: datetime = MOMENT,
    said: SaidPath | None = None,
    **settings: Any,
) -> Judgement:
    step = Step(id="backup", minutes=30, minutes_over_network=75)
    hosts = [Host(id=name, address=name, user=Account("dbadmin")) for name in ("db1", "keep")]
    plan = toy_plan(
        hosts,
        databases={
            "orders": Database(id="orders", host="db1", user=Account("release"), owner="dba", data_directory=said)
        },
        backups={"orders": backup},
        steps=(step,),
        roles={"dba": Role(id="dba", primary="D. Kaya", standby="M. Ortiz", contact="ext. 4411")},
    )
    check = BackupLocation(plan, moment, BackupLocation.Settings(**settings))
    (subject,) = check.subjects()
    seen = PLACES if places is None else places
    found: Judgement = check.judge(subject, directory=directory, files=data, places=seen, beside=beside)
    return found


def on(mount: Mount | None, **changes: Any) -> Directory:
    return replace(GOOD, place=replace(PLACE, mount=mount, **changes))


def told(found: Judgement) -> str:
    return "\n".join(f"{point.status} {point.summary} {point.actual} {point.remedy}" for point in found.points)


@pytest.mark.parametrize(
    ("directory", "status"),
    [
        (GOOD, Status.PASS),
        (replace(GOOD, proof="none"), Status.PASS),  # by `test -w`
        (replace(GOOD, proof="EOPNOTSUPP"), Status.PASS),  # NFS has no files without a name
        (replace(GOOD, proof="none", access=False), Status.FAIL),
        (replace(GOOD, proof="EOPNOTSUPP", access=False), Status.FAIL),
        (replace(GOOD, proof="EACCES"), Status.FAIL),  # the kernel knows better than `test -w`
        (replace(GOOD, proof="EPERM"), Status.FAIL),
        (replace(GOOD, proof="ENOSPC"), Status.FAIL),
        (replace(GOOD, proof="EDQUOT"), Status.FAIL),
        (replace(GOOD, proof="ESTALE"), Status.FAIL),
        (replace(GOOD, proof="E"), Status.FAIL),
        (replace(GOOD, kind=DirectoryKind.MISSING), Status.FAIL),
        (replace(GOOD, kind=DirectoryKind.DANGLING), Status.FAIL),
        (replace(GOOD, kind=DirectoryKind.OTHER), Status.FAIL),
        (replace(GOOD, kind=DirectoryKind.MISSING, passable=False), Status.FAIL),
        (replace(BY_LOGIN, kind=DirectoryKind.MISSING, passable=False), Status.UNKNOWN),
        (replace(GOOD, account=None, proof="none"), Status.FAIL),
    ],
)
def test_the_account_must_be_able_to_write(directory: Directory, status: Status) -> None:
    found = judged(directory)
    assert found.status is status, told(found)
    if status is Status.FAIL:
        assert found.minutes_at_stake == 45
        assert found.remedy


@pytest.mark.parametrize("kind", [DirectoryKind.MISSING, DirectoryKind.DANGLING, DirectoryKind.OTHER])
def test_without_a_directory_the_summary_says_what_is_left(kind: DirectoryKind) -> None:
    assert "only a backup over the network is left" in judged(replace(GOOD, kind=kind)).summary


def test_a_missing_directory_names_the_parent_that_is_there_and_the_mount_that_may_be_absent() -> None:
    lacking = replace(GOOD, kind=DirectoryKind.MISSING, place=replace(PLACE, reached="/backup"))
    found = judged(lacking)
    assert "does not exist" in found.summary
    assert "/backup" in found.actual
    assert "install -d -m 0700 -o dbadmin /backup/orders" in found.remedy
    assert "mount /backup on db1" in judged(lacking, backup=replace(BACKUP, mount=RemotePath("/backup"))).remedy


def link(mode: int, *, uid: int = 0, gid: int = 0, has_acl: bool = False) -> tuple[Link, ...]:
    """The way with another last directory."""
    return (Link("/backup/orders", mode, uid, gid, has_acl), *CHAIN[1:])


@pytest.mark.parametrize(
    ("chain", "status"),
    [
        (link(0o700, uid=1000), Status.PASS),
        (link(0o770, gid=50), Status.PASS),
        (link(0o1777), Status.PASS),
        (link(0o600, uid=1000), Status.FAIL),  # w without x makes no file
        (link(0o077, uid=1000), Status.FAIL),  # the owner's bits hold, not a mixture
        (link(0o707, gid=50), Status.FAIL),
        (link(0o750, gid=50), Status.FAIL),
        (link(0o755), Status.FAIL),
        (link(0o700, uid=1000, has_acl=True), Status.UNKNOWN),
        (link(0o755, has_acl=True), Status.UNKNOWN),
        ((CHAIN[0], replace(CHAIN[1], mode=0o700), CHAIN[2]), Status.FAIL),
        ((*CHAIN[:2], replace(CHAIN[2], mode=0o750)), Status.FAIL),
    ],
)
def test_permission_bits_of_the_whole_way_decide_where_nobody_is_the_account(
    chain: tuple[Link, ...], status: Status
) -> None:
    found = judged(replace(BY_LOGIN, groups=frozenset({1000, 50}), chain=chain))
    assert found.status is status, told(found)
    assert "permission bits" in told(found) or status is Status.UNKNOWN


def test_what_a_login_can_write_says_nothing_of_the_account() -> None:
    found = judged(replace(GOOD, ran_as=999, chain=link(0o750, uid=999)))
    assert found.status is Status.FAIL


def test_root_needs_no_bits() -> None:
    assert judged(replace(BY_LOGIN, account=0, chain=link(0o700, uid=5))).status is Status.PASS


@pytest.mark.parametrize(
    ("changes", "status", "word"),
    [
        ({}, Status.PASS, "/dev/sdb1"),
        ({"type": "xfs"}, Status.PASS, "xfs"),
        ({"type": "btrfs"}, Status.PASS, "btrfs"),
        ({"read_only": True}, Status.FAIL, "read-only"),
        ({"type": "tmpfs"}, Status.FAIL, "memory"),
        ({"type": "ramfs"}, Status.FAIL, "memory"),
        ({"type": "devtmpfs"}, Status.FAIL, "memory"),
        ({"type": "overlay"}, Status.FAIL, "container"),
        ({"type": "autofs"}, Status.FAIL, "automounter"),
        ({"type": "nfs"}, Status.WARN, "nfs"),
        ({"type": "nfs4"}, Status.WARN, "nfs4"),
        ({"type": "cifs"}, Status.WARN, "cifs"),
        ({"type": "smb3"}, Status.WARN, "smb3"),
        ({"type": "9p"}, Status.WARN, "9p"),
        ({"type": "fuse.sshfs"}, Status.WARN, "fuse.sshfs"),
    ],
)
def test_the_kind_of_storage_is_judged_and_named(changes: dict[str, Any], status: Status, word: str) -> None:
    found = judged(on(replace(DISK, **changes)))
    assert found.status is status, told(found)
    assert word in found.summary


@pytest.mark.parametrize("kind", ["overlay", "nfs4", "tmpfs", "fuse.sshfs"])
def test_an_accepted_type_passes_and_goes_on_being_named(kind: str) -> None:
    found = judged(on(replace(DISK, type=kind)), accepted_types=(kind,))
    assert found.status is Status.PASS
    assert kind in found.summary
    assert judged(on(replace(DISK, type="cifs")), accepted_types=(kind,)).status is Status.WARN


def test_a_file_system_nobody_sees_is_unknown() -> None:
    assert judged(on(None)).status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        (None, Status.PASS),
        ("/backup", Status.PASS),
        ("/backup/", Status.PASS),
        ("/", Status.FAIL),
        ("/backup/orders", Status.FAIL),
        ("/back", Status.FAIL),
    ],
)
def test_the_mount_point_is_the_plans(wanted: str | None, status: Status) -> None:
    found = judged(backup=replace(BACKUP, mount=RemotePath(wanted) if wanted else None))
    assert found.status is status, told(found)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"real": "/backup/orders"}, Status.PASS),
        ({"real": "/srv/orders"}, Status.WARN),
        ({"mode": 0o777}, Status.WARN),
        ({"mode": 0o702}, Status.WARN),
        ({"mode": 0o1777}, Status.PASS),
        ({"mode": 0o770}, Status.PASS),
    ],
)
def test_links_and_open_directories_warn(changes: dict[str, Any], status: Status) -> None:
    assert judged(on(DISK, **changes)).status is status


def test_a_path_written_with_a_slash_at_its_end_is_no_link() -> None:
    slashed = replace(GOOD, place=replace(PLACE, path="/backup/orders/", reached="/backup/orders/"))
    assert judged(slashed, backup=replace(BACKUP, directory=RemotePath("/backup/orders/"))).status is Status.PASS


def with_place(path: str, mount: Mount | None, reached: str = "") -> dict[str, Place]:
    return {**PLACES, path: at(path, mount, reached)}


@pytest.mark.parametrize(
    ("places", "status"),
    [
        (PLACES, Status.PASS),
        (with_place("/var/lib/pg/data", DISK), Status.FAIL),
        (with_place("/var/lib/pg/data", replace(DISK, point="/data")), Status.FAIL),  # mounted twice
        (with_place("/var/lib/pg/data/pg_wal", DISK), Status.FAIL),
        (with_place("/var/lib/pg/data", DISK, "/var/lib/pg"), Status.FAIL),  # by its name
        (with_place("/var/lib/pg/data", ROOT, "/var/lib"), Status.UNKNOWN),  # by its name: a link may hide there
        (with_place("/var/lib/pg/data/pg_wal", ROOT, "/var/lib/pg/data"), Status.PASS),
        (with_place("/var/lib/pg/data", None), Status.UNKNOWN),
    ],
)
def test_the_storage_of_the_data_is_another_one(places: dict[str, Place], status: Status) -> None:
    found = judged(places=places)
    assert found.status is status, told(found)


def test_a_data_directory_that_the_host_does_not_have_lies_nowhere_on_it() -> None:
    """Its parent's storage is the backup's own: of a server in a container that says nothing."""
    place = replace(at("/var/lib/pg/data", DISK, "/var/lib/pg"), absent=True)
    found = judged(places={**PLACES, place.path: place})
    assert found.status is Status.UNKNOWN, told(found)
    assert "db1 has no /var/lib/pg/data" in told(found)


def test_two_datasets_of_one_pool_fill_up_together() -> None:
    ours = replace(DISK, type="zfs", source="tank/backup")
    theirs = replace(ROOT, type="zfs", source="tank/pg")
    assert judged(on(ours), places={path: at(path, theirs) for path in DATA.paths}).status is Status.FAIL
    other = replace(theirs, source="fast/pg")
    assert judged(on(ours), places={path: at(path, other) for path in DATA.paths}).status is Status.PASS


def test_a_tablespace_is_protected_too() -> None:
    data = replace(DATA, tablespaces={"/backup/space": 1})
    places = {path: at(path) for path in data.paths}
    assert judged(data=data, places=places).status is Status.PASS
    assert judged(data=data, places={**places, "/backup/space": at("/backup/space", DISK)}).status is Status.FAIL
    hidden = DataDirectories("", {"/backup/space": 1})
    assert judged(data=hidden, places={"/backup/space": at("/backup/space", DISK)}).status is Status.FAIL
    assert judged(data=hidden, places={"/backup/space": at("/backup/space")}).status is Status.UNKNOWN


def test_one_storage_for_both_is_a_warning_where_the_plan_says_so() -> None:
    places = with_place("/var/lib/pg/data", DISK)
    found = judged(places=places, same_device=SharedStorage.WARN)
    assert found.status is Status.WARN
    assert judged(replace(GOOD, proof="EACCES"), places=places, same_device=SharedStorage.WARN).status is Status.FAIL


SAID = SaidPath(path=RemotePath("/var/lib/pg/data"), by="dba", on=MOMENT.date(), reason="pg_lsclusters")
HIDDEN = DataDirectories("")


def test_a_data_directory_nobody_shows_is_unknown_until_it_is_granted_or_said() -> None:
    found = judged(data=HIDDEN, places={})
    assert found.status is Status.UNKNOWN
    assert found.remedy.startswith("GRANT pg_read_all_settings TO release; or have ")
    assert '[databases.orders] data_directory = { path = "' in found.remedy
    said = judged(data=HIDDEN, said=SAID)
    assert (said.status, "said by D. Kaya (dba)" in said.summary) == (Status.WARN, True)
    assert judged(data=HIDDEN, said=SAID, places=with_place("/var/lib/pg/data", DISK)).status is Status.FAIL
    by_name = with_place("/var/lib/pg/data", ROOT, "/var/lib")
    assert judged(places=by_name).status is Status.UNKNOWN
    assert judged(places=by_name, said=SAID).status is Status.WARN


@pytest.mark.parametrize("lost", [{"data": UNSEEN, "places": {}}, {"places": UNSEEN}])
def test_what_nobody_could_ask_is_no_pass_and_hides_no_failure(lost: dict[str, Any]) -> None:
    assert judged(**lost).status is Status.UNKNOWN
    assert judged(replace(GOOD, proof="EACCES"), **lost).status is Status.FAIL


def test_the_settings_are_read_from_a_plan(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    declared = '[hosts.db1]\nuser = "dba"\nssh_config = true\n[databases.a]\nhost = "db1"\nuser = "release"\n'
    table = '\n[checks.backup-location]\nsame_device = "{}"\naccepted_types = ["nfs4"]\n'
    file.write_text(MINIMAL + declared + table.format("warn"))
    settings = load_plan(file, {"backup-location": BackupLocation.Settings}).checks["backup-location"]
    assert settings == {
        "same_device": SharedStorage.WARN,
        "accepted_types": ("nfs4",),
    }
    file.write_text(MINIMAL + declared + table.format("ignore"))
    with pytest.raises(PlanError):
        load_plan(file, {"backup-location": BackupLocation.Settings})


@pytest.mark.parametrize(
    ("hours_into_window", "asked_hours_into_window", "status"),
    [(-1, 1, Status.FAIL), (1, 2, Status.PASS), (1, -1, Status.FAIL), (None, 1, Status.FAIL)],
)
@pytest.mark.parametrize("many", [True, False])
def test_what_the_window_itself_has_written_is_in_nobodys_way(
    hours_into_window: int | None, asked_hours_into_window: int, status: Status, many: bool
) -> None:
    start = toy_plan().window.start
    changed_at = None if hours_into_window is None else start + timedelta(hours=hours_into_window)
    target = Target.FULL_FOLDER if many else Target.CLOSED_FILE
    backup = replace(BACKUP, format=BackupFormat.DIRECTORY if many else BackupFormat.CUSTOM)
    found = judged(
        replace(GOOD, target=target, target_changed_at=changed_at),
        backup=backup,
        moment=start + timedelta(hours=asked_hours_into_window),
    )
    assert found.status is status


@pytest.mark.parametrize("directory", [GOOD, BY_LOGIN])
@pytest.mark.parametrize("backup_format", [BackupFormat.CUSTOM, BackupFormat.DIRECTORY])
def test_a_pipe_or_a_device_in_the_backups_place_is_in_the_way_whenever_it_was_put_there(
    directory: Directory, backup_format: BackupFormat
) -> None:
    moment = toy_plan().window.start + timedelta(hours=1)
    pipe = replace(directory, target=Target.OTHER, target_changed_at=moment)
    found = judged(pipe, backup=replace(BACKUP, format=backup_format), moment=moment)
    assert (found.status, "is no file: a pipe, a device, or a link to one" in found.summary) == (Status.FAIL, True)
    assert "on db1: rm -- /backup/orders/" in found.remedy


def test_a_file_that_only_the_login_could_see_waits_for_become() -> None:
    found = judged(replace(BY_LOGIN, target=Target.CLOSED_FILE))
    (point,) = found.telling_points()
    assert (point.status, point.behind) == (
        Status.UNKNOWN,
        "become dbadmin on db1: sudo does not give it to the login, or it can start nothing",
    )


REPOSITORY = replace(BACKUP, method=BackupMethod.BARMAN, known_as="main", kept_on="keep", kept_by=Account("barman"))
BOOTS = [f"{digit * 8}-{digit * 4}-{digit * 4}-{digit * 4}-{digit * 12}" for digit in "12"]


def test_a_repository_is_there_where_the_folder_of_the_server_is() -> None:
    here = replace(REPOSITORY, kept_on="", kept_by=Account(""))
    assert judged(replace(GOOD, target=Target.FULL_FOLDER), backup=here).status is Status.PASS
    found = judged(replace(GOOD, target=Target.NOTHING), backup=here)
    assert (found.status, "is no repository of barman with main in it" in found.summary) == (Status.FAIL, True)
    assert judged(replace(BY_LOGIN, target=Target.NOTHING), backup=here).status is Status.UNKNOWN


def test_a_repository_on_another_host_is_on_another_machine_unless_both_show_one_boot() -> None:
    there = replace(GOOD, target=Target.FULL_FOLDER, boot=BOOTS[0])
    found = judged(there, backup=REPOSITORY, beside=replace(GOOD, boot=BOOTS[1]))
    assert (found.status, "on keep, another machine than the database's" in found.summary) == (Status.PASS, True)
    found = judged(there, backup=REPOSITORY, beside=replace(GOOD, boot=BOOTS[0]))
    assert (found.status, found.remedy) == (Status.FAIL, 'correct `kept_on` of [backups.orders]: kept_on = "db1"')
