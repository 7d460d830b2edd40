"""backup-location on a real host with real mounts and accounts, in every state a directory can be in."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.backup_location import BackupLocation, SharedStorage

from preflight.finding import Finding, Status
from preflight.plan import Account as Login
from preflight.plan import Backup, BackupFormat, Become, RemotePath, Role, SaidPath, SecretRef, Step, Window
from tests.site.accounts import Account, Accounts
from tests.site.asking import NOW, WINDOW, as_root, database_on, finding, host_on, make_plan, told
from tests.site.mounts import Mounts
from tests.site.postgres import Cluster
from tests.site.site import Site

Ask = Callable[..., Finding]


@pytest.fixture
def account(site: Site) -> Account:
    return site.account("good")


@pytest.fixture
def place(mounts: Mounts, account: Account) -> Path:
    """A backup directory of the account on a disk of its own."""
    place = mounts.ext4("disk", mode=0o755) / "orders"
    place.mkdir(mode=0o750)
    shutil.chown(place, account.name)
    return place


@pytest.fixture
def ask(
    site: Site, postgres: Cluster, account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ask]:
    """The finding about one backup to a directory, its entry changed by keywords."""
    role = postgres.create_role("release")
    monkeypatch.setenv("ORDERS_PASSWORD", role.password)
    database = postgres.create_database("orders", owner=role.name)

    def ask(
        directory: Path | str,
        *,
        login: Account = account,
        monitor: bool = True,
        settings: dict[str, Any] | None = None,
        become: tuple[Become, ...] = (),
        window: Window = WINDOW,
        said: SaidPath | None = None,
        **changes: Any,
    ) -> Finding:
        postgres.sql(f"{'GRANT pg_monitor TO' if monitor else 'REVOKE pg_monitor FROM'} {role.name}")
        host = host_on(site.sshd, login, owner="unix", become=become)
        password = SecretRef("env", "ORDERS_PASSWORD")
        entry = database_on(postgres, role.name, name=database, password=password, owner="dba", data_directory=said)
        backup = Backup(id="orders", database="orders", directory=RemotePath(str(directory)), step="backup", **changes)
        plan = make_plan(
            tmp_path,
            hosts=[host],
            databases=[entry],
            roles={"dba": Role(id="dba", primary="D. Kaya", standby="M. Ortiz", contact="ext. 4411")},
            known_hosts=site.sshd.known_hosts_lines(),
            window=window,
            backups={"orders": backup},
            steps=(Step(id="backup", minutes=30, minutes_over_network=75),),
            checks={"backup-location": settings or {}},
        )
        return finding(BackupLocation, plan)

    yield ask
    postgres.sql(f"DROP DATABASE {database} WITH (FORCE)")


def test_a_directory_of_the_account_on_a_disk_of_its_own_passes_and_stays_as_it_was(
    ask: Ask, place: Path, account: Account
) -> None:
    before = place.stat().st_mtime_ns
    found = ask(place, mount=RemotePath(str(place.parent)))
    assert found.status is Status.PASS, told(found)
    assert f"{account.name} writes to {place} (proved, nothing left behind)" in found.judgement.summary
    assert f"on {place.parent} (ext4" in found.judgement.summary
    assert (list(place.iterdir()), place.stat().st_mtime_ns) == ([], before)
    assert found.owner.startswith("D. Kaya (dba)")


def test_a_directory_with_blanks_and_quotes_in_its_name_passes(ask: Ask, mounts: Mounts, account: Account) -> None:
    place = mounts.ext4("a disk") / "it's $(here) "
    place.mkdir()
    shutil.chown(place, account.name)
    found = ask(place)
    assert found.status is Status.PASS, told(found)
    assert f"on {place.parent} (ext4" in found.judgement.summary


def test_a_missing_directory_fails_and_says_what_is_lost(ask: Ask, place: Path, account: Account) -> None:
    found = ask(place / "april" / "weekly")
    assert found.status is Status.FAIL, told(found)
    assert "does not exist" in found.judgement.summary
    assert "only a backup over the network is left" in found.judgement.summary
    assert str(place) in found.judgement.actual
    assert f"install -d -m 0700 -o {account.name} {place}/april/weekly" in found.judgement.remedy
    assert found.judgement.minutes_at_stake == 45


def test_a_file_and_a_link_to_nothing_fail(ask: Ask, place: Path) -> None:
    (place / "file").touch()
    (place / "link").symlink_to("nowhere")
    for name, words in (("file", "is no directory"), ("link", "is a link to nothing")):
        found = ask(place / name)
        assert found.status is Status.FAIL, told(found)
        assert words in found.judgement.summary


def test_a_directory_behind_one_the_account_may_not_enter_fails(ask: Ask, place: Path) -> None:
    place.parent.chmod(0o700)
    found = ask(place)
    assert found.status is Status.FAIL, told(found)
    assert f"may not enter {place.parent}" in found.judgement.summary
    as_root(found)
    assert ask(place).status is Status.PASS


def test_a_directory_of_somebody_else_fails(ask: Ask, place: Path, account: Account) -> None:
    shutil.chown(place, "root")
    place.chmod(0o755)
    found = ask(place)
    assert found.status is Status.FAIL, told(found)
    assert f"{account.name} may not write to {place}" in found.judgement.summary
    assert "EACCES" in found.judgement.actual
    as_root(found)
    assert ask(place).status is Status.PASS
    place.chmod(0o555)
    found = ask(place)
    assert found.status is Status.FAIL, told(found)
    as_root(found)
    assert ask(place).status is Status.PASS


def test_an_immutable_directory_fails(ask: Ask, place: Path) -> None:
    subprocess.run(["chattr", "+i", place], check=True)
    try:
        found = ask(place)
    finally:
        subprocess.run(["chattr", "-i", place], check=True)
    assert found.status is Status.FAIL, told(found)
    assert "EPERM" in found.judgement.actual
    assert f"chattr -i {place}" in found.judgement.remedy


def test_a_full_disk_fails_though_its_permissions_are_good(ask: Ask, place: Path) -> None:
    subprocess.run(["dd", "if=/dev/zero", f"of={place}/filler", "bs=64k"], check=False, capture_output=True)
    found = ask(place)
    assert found.status is Status.FAIL, told(found)
    assert "ENOSPC" in found.judgement.summary


def test_a_read_only_mount_fails_once_and_with_the_remedy_that_helps(ask: Ask, place: Path, mounts: Mounts) -> None:
    read_only = mounts.read_only("sealed", place)
    found = ask(read_only)
    assert found.status is Status.FAIL, told(found)
    assert "mounted read-only" in found.judgement.summary
    assert f"mount -o remount,rw {read_only}" in found.judgement.remedy
    assert sum(point.status is Status.FAIL for point in found.judgement.telling_points()) == 1
    mounts.remount_read_only(place.parent)
    assert "mounted read-only" in told(ask(place))


@pytest.mark.long
def test_a_share_that_is_not_mounted_fails_though_its_folder_can_be_written(
    ask: Ask, place: Path, shared_path: Path
) -> None:
    found = ask(shared_path, mount=RemotePath(str(shared_path)), settings={"same_device": SharedStorage.WARN})
    assert found.status is Status.FAIL, told(found)
    assert f"mount {shared_path} on db1" in told(found)
    assert ask(place, mount=RemotePath(str(place.parent))).status is Status.PASS


def test_memory_fails(ask: Ask, mounts: Mounts) -> None:
    found = ask(mounts.tmpfs("memory", size="4m", mode=0o1777))
    assert found.status is Status.FAIL, told(found)
    assert "memory" in found.judgement.summary
    assert "tmpfs" in found.judgement.summary


@pytest.mark.long
def test_a_containers_layer_fails_unless_the_plan_accepts_it(ask: Ask, place: Path, mounts: Mounts) -> None:
    layered = mounts.overlay("layered", place)
    found = ask(layered)
    assert found.status is Status.FAIL, told(found)
    assert "a container's layer" in found.judgement.summary
    assert ask(layered, settings={"accepted_types": ("overlay",)}).status is Status.PASS


IN_MEMORY = {"accepted_types": ("tmpfs",)}
"""Where the tests' clusters lie if they can."""


@pytest.fixture
def beside_data(postgres: Cluster) -> Iterator[Path]:
    """A folder on the file system of the data directory."""
    folder = postgres.directory / "beside"
    folder.mkdir()
    folder.chmod(0o1777)
    yield folder
    folder.rmdir()


@pytest.mark.long
@pytest.mark.case(52)
def test_the_disk_of_the_data_directory_fails_or_warns_as_the_plan_says(ask: Ask, beside_data: Path) -> None:
    found = ask(beside_data, settings=IN_MEMORY)
    assert found.status is Status.FAIL, told(found)
    assert "shares the storage of what it protects" in found.judgement.summary
    found = ask(beside_data, settings=IN_MEMORY | {"same_device": SharedStorage.WARN})
    assert found.status is Status.WARN, told(found)


@pytest.mark.long
def test_a_tablespace_on_the_backups_disk_fails(ask: Ask, place: Path, postgres: Cluster) -> None:
    space = place.parent / "space"
    space.mkdir()
    shutil.chown(space, "postgres")
    postgres.sql(f"CREATE TABLESPACE on_backup LOCATION '{space}'")
    try:
        found = ask(place)
    finally:
        postgres.sql("DROP TABLESPACE on_backup")
    assert found.status is Status.FAIL, told(found)
    assert str(space) in found.judgement.summary
    assert ask(place).status is Status.PASS


@pytest.mark.long
def test_a_data_directory_the_role_may_not_see_is_unknown_until_somebody_answers_for_it(
    ask: Ask, place: Path, postgres: Cluster, beside_data: Path
) -> None:
    found = ask(place, monitor=False)
    assert found.status is Status.UNKNOWN, told(found)
    assert "GRANT pg_read_all_settings TO" in found.judgement.remedy

    def said(path: str) -> SaidPath:
        return SaidPath(path=RemotePath(path), by="dba", on=NOW.date(), reason="pg_lsclusters")

    data = str(postgres.scalar("SHOW data_directory"))
    found = ask(place, monitor=False, said=said(data))
    assert found.status is Status.WARN, told(found)
    assert "said by D. Kaya (dba)" in found.judgement.summary
    found = ask(beside_data, monitor=False, said=said(data), settings=IN_MEMORY)
    assert found.status is Status.FAIL, told(found)
    assert "shares the storage of what it protects" in found.judgement.summary


def test_a_link_warns_unless_it_is_written_out(ask: Ask, place: Path, shared_path: Path) -> None:
    link = shared_path / "backup"
    link.symlink_to(place)
    found = ask(link)
    assert found.status is Status.WARN, told(found)
    assert f'directory = "{place}"' in found.judgement.remedy


@pytest.mark.long
@pytest.mark.parametrize(
    ("mode", "group", "who"), [(0o777, "", "everybody on the server"), (0o770, "daemon", "daemon")]
)
def test_a_directory_for_others_warns_without_the_sticky_bit(
    ask: Ask, place: Path, mode: int, group: str, who: str
) -> None:
    if group:
        shutil.chown(place, group="root")
        place.chmod(mode)
        found = ask(place)
        assert found.status is Status.PASS, told(found)
        shutil.chown(place, group=group)
    place.chmod(mode)
    found = ask(place)
    assert found.status is Status.WARN, told(found)
    assert found.judgement.summary == f"backups there may be removed and replaced by {who}"
    place.chmod(mode | 0o1000)
    assert ask(place).status is Status.PASS
    place.chmod(mode)
    as_root(found)
    assert ask(place).status is Status.PASS


@pytest.mark.long
def test_what_stands_in_the_way_under_the_backups_own_name_fails(ask: Ask, place: Path, account: Account) -> None:
    target = place / "night"

    def backup(backup_format: BackupFormat) -> Finding:
        return ask(place, file="night", format=backup_format)

    def owned(path: Path, mode: int) -> None:
        path.chmod(mode)
        shutil.chown(path, account.name)

    target.mkdir()
    owned(target, 0o700)
    assert backup(BackupFormat.DIRECTORY).status is Status.PASS, "pg_dump writes into an empty folder"
    found = backup(BackupFormat.CUSTOM)
    assert found.status is Status.FAIL, told(found)
    assert found.judgement.summary == f"pg_dump cannot write {target}: a folder has that name"
    (target / "toc.dat").touch()
    found = backup(BackupFormat.DIRECTORY)
    assert found.status is Status.FAIL, told(found)
    assert found.judgement.summary == f"pg_dump cannot write {target}: a folder has that name which is not empty"
    in_window = replace(WINDOW, start=NOW - timedelta(minutes=1))
    os.utime(target, (0, 0))
    assert ask(place, file="night", format=BackupFormat.DIRECTORY, window=in_window).status is Status.PASS, "tonight's"
    os.utime(target / "toc.dat", (0, 0))
    found = ask(place, file="night", format=BackupFormat.DIRECTORY, window=in_window)
    assert found.status is Status.FAIL, "an earlier one, whenever its folder was touched"
    cure = found.judgement.remedy.partition(": ")[2].partition(";")[0]
    subprocess.run(["sh", "-c", cure], check=True)
    assert backup(BackupFormat.DIRECTORY).status is Status.PASS, "the cure works"
    target.touch()
    owned(target, 0o600)
    assert backup(BackupFormat.CUSTOM).status is Status.PASS, "pg_dump writes over a file"
    assert backup(BackupFormat.DIRECTORY).status is Status.FAIL
    target.chmod(0o400)
    found = backup(BackupFormat.CUSTOM)
    assert found.status is Status.FAIL, told(found)
    assert "which may not be written" in found.judgement.summary


@pytest.mark.parametrize("kind", ["a pipe", "a link to a pipe", "a link to a device"])
def test_what_is_no_file_under_the_backups_own_name_fails_until_it_is_removed(
    ask: Ask, place: Path, kind: str, account: Account
) -> None:
    target, pipe = place / "it's tonight's", place.parent / "pipe"
    if kind == "a pipe":
        os.mkfifo(target, 0o600)
        shutil.chown(target, account.name)
    else:
        os.mkfifo(pipe)
        target.symlink_to("/dev/null" if kind == "a link to a device" else pipe)
    found = ask(place, file=target.name, format=BackupFormat.CUSTOM)
    assert found.status is Status.FAIL, told(found)
    assert found.judgement.summary.endswith("what has that name is no file: a pipe, a device, or a link to one")
    cure = found.judgement.remedy.partition(": ")[2].partition(";")[0]
    subprocess.run(["runuser", "-u", account.name, "--", "sh", "-c", cure], check=True)
    assert ask(place, file=target.name, format=BackupFormat.CUSTOM).status is Status.PASS, "the cure works"


@pytest.mark.parametrize("make", [os.symlink, os.link], ids=["a link", "a further name"])
def test_a_name_that_leads_to_an_earlier_backup_fails_until_it_is_removed(
    ask: Ask, place: Path, account: Account, make: Callable[[Path, Path], None]
) -> None:
    """pg_dump would write the earlier one over."""
    earlier, target = place / "earlier", place / "tonight"
    earlier.write_text("earlier")
    shutil.chown(earlier, account.name)
    make(earlier, target)
    found = ask(place, file=target.name, format=BackupFormat.CUSTOM)
    assert found.status is Status.FAIL, told(found)
    assert "what has that name is a link, or a file with a further name" in found.judgement.summary
    cure = found.judgement.remedy.partition(": ")[2].partition(";")[0]
    subprocess.run(["runuser", "-u", account.name, "--", "sh", "-c", cure], check=True)
    assert ask(place, file=target.name, format=BackupFormat.CUSTOM).status is Status.PASS, "the cure works"
    assert earlier.read_text() == "earlier"


def test_processor_time_below_the_minutes_of_the_step_warns(ask: Ask, place: Path, accounts: Accounts) -> None:
    limited = accounts.add("limited")
    profile = limited.home / ".bashrc"
    profile.write_text("ulimit -t 60\n")
    shutil.chown(place, limited.name)
    found = ask(place, login=limited)
    assert found.status is Status.WARN, told(found)
    assert "is given 1 min of processor time for each program" in found.judgement.summary
    assert "limits.conf" in found.judgement.remedy
    profile.write_text("ulimit -t 36000\n")
    assert ask(place, login=limited).status is Status.PASS


def test_a_limit_on_the_size_of_files_below_the_proof_fails(ask: Ask, place: Path, accounts: Accounts) -> None:
    limited = accounts.add("limited")
    (limited.home / ".bashrc").write_text("ulimit -f 512\n")  # bash counts in KiB
    shutil.chown(place, limited.name)
    found = ask(place, login=limited)
    assert found.status is Status.FAIL, told(found)
    assert "EFBIG" in told(found)


@pytest.mark.long
def test_the_backup_account_behind_sudo_is_the_one_that_is_judged(ask: Ask, place: Path, accounts: Accounts) -> None:
    login, keeper = accounts.add("login"), accounts.add("keeper", authorize=False)
    accounts.allow_sudo(login, keeper.name)
    shutil.chown(place, keeper.name)
    place.chmod(0o700)
    found = ask(place, login=login, account=Login(keeper.name))
    assert found.status is Status.PASS, told(found)
    assert f"{keeper.name} writes to {place} (proved" in found.judgement.summary
    shutil.chown(place, login.name)
    found = ask(place, login=login, account=Login(keeper.name))
    assert found.status is Status.FAIL, told(found)
    assert f"chown {keeper.name} {place}" in found.judgement.remedy


def test_the_backup_account_is_reached_with_the_password_of_the_plan(
    ask: Ask, place: Path, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    login, keeper = accounts.add("login"), accounts.add("keeper", authorize=False)
    accounts.allow_sudo(login, keeper.name, password=True)
    shutil.chown(place, keeper.name)
    monkeypatch.setenv("SUDO_PASSWORD", login.password)
    become = Become(account=Login(keeper.name), password=SecretRef("env", "SUDO_PASSWORD"))
    found = ask(place, login=login, account=Login(keeper.name), become=(become,))
    assert found.status is Status.PASS, told(found)
    assert f"{keeper.name} writes to {place} (proved" in found.judgement.summary
    assert login.password not in repr(found)


@pytest.mark.long
def test_without_a_shell_of_the_backup_account_its_permission_bits_decide(
    ask: Ask, place: Path, accounts: Accounts
) -> None:
    login, keeper = accounts.add("login"), accounts.add("keeper", authorize=False)
    accounts.allow_sudo(login, keeper.name, ["/usr/bin/pg_dump"])
    shutil.chown(place, keeper.name)
    found = ask(place, login=login, account=Login(keeper.name))
    assert found.status is Status.PASS, told(found)
    assert "by permission bits only" in found.judgement.summary
    shutil.chown(place, login.name)
    found = ask(place, login=login, account=Login(keeper.name))
    assert found.status is Status.FAIL, told(found)
    place.parent.chmod(0o700)
    found = ask(place, login=login, account=Login(keeper.name))
    assert found.status is Status.UNKNOWN, told(found)
    assert str(place.parent) in found.judgement.summary


def test_an_account_the_host_does_not_know_fails(ask: Ask, place: Path) -> None:
    found = ask(place, account=Login("nobody-of-that-name"))
    assert found.status is Status.FAIL, told(found)
    assert "knows no account nobody-of-that-name" in found.judgement.summary


def test_a_host_without_python_falls_back_to_test(ask: Ask, place: Path, accounts: Accounts) -> None:
    account = accounts.add("plain")
    programs = account.home / "bin"
    programs.mkdir(mode=0o755)
    for name in (
        "stat",
        "awk",
        "id",
        "readlink",
        "ls",
        "cut",
        "sed",
        "head",
        "timeout",
        "sh",
        "env",
        "cat",
        "cd",
        "tr",
    ):
        found_at = shutil.which(name)
        if found_at:
            (programs / name).symlink_to(found_at)
    (account.home / ".bashrc").write_text(f"export PATH={programs}\n")
    shutil.chown(place, account.name)
    found = ask(place, login=account)
    assert found.status is Status.PASS, told(found)
    assert "by permission bits only" in found.judgement.summary
    shutil.chown(place, "root")
    assert ask(place, login=account).status is Status.FAIL
