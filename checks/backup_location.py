"""backup-location: the backup goes to a directory of the server, on storage that outlives what it protects."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.plan import Backup, BackupFormat, Host, Ref, RemotePath
from preflight.plan.work import Section, minutes_at_stake, server_work
from preflight.probe import NoReply
from preflight.probes.data_directory import DataDirectories, DataDirectoriesProbe
from preflight.probes.mounts import Mount, StorageKind
from preflight.probes.shell import AsAccount
from preflight.probes.storage import PROOF_BYTES, Directory, DirectoryKind, DirectoryProbe, Place, PlacesProbe

_NOT_LASTING = (StorageKind.MEMORY, StorageKind.LAYER, StorageKind.AUTOMOUNTER)
_NETWORK_ONLY = "only a backup over the network is left"
_FULL = ("ENOSPC", "EDQUOT")


class SharedStorage(StrEnum):
    """How a backup on the storage of its own database is judged."""

    FAIL = "fail"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class BackupLocationSettings:
    """What the site accepts, and what its servers do not tell."""

    same_device: SharedStorage = SharedStorage.FAIL
    """A backup on the file system of its own database is lost with it, and may fill it up. `warn` where the machine
    has no other one and the backup is copied away before the window's work begins."""
    accepted_types: tuple[str, ...] = ()
    """Types of file systems that are as good as a disk here, as the kernel names them: `["nfs4"]`, `["overlay"]`. They
    go on being named."""
    data_directory: Annotated[Mapping[str, RemotePath], Ref("databases")] = field(default_factory=dict)
    """Database -> its data directory, where its role is no member of pg_monitor and so may not see it."""


class BackupLocation(Check):
    """Is there a directory on the server that the backup's account can write to, on storage of its own?

    On the night, a backup had to go over the network to the DBA's own machine (a). The directory is looked at on the
    database's host, as the account that takes the backup: a file without a name is made in it (O_TMPFILE) and gets
    room, so nothing is left behind; where the host cannot do that, `test -w`, and where sudo gives no shell of the
    account, the permission bits of the whole way must do, and the line says so. FAIL: no such directory, not
    writable, mounted read-only, not on the mount point the plan names (an absent share leaves a writable folder on
    `/`), in memory or in a container's layer, on the storage of the data directory, WAL or a tablespace, and a limit on
    the size of files (`ulimit -f`) below `expected`. WARN: the path leads elsewhere by a link, a network file system, a
    directory everybody may write to, any other limit on the size of files, and a data directory nobody shows.
    """

    id = "backup-location"
    title = "the backup directory is on the server and can be written"
    Settings = BackupLocationSettings
    judges_no_reply = frozenset({"files", "places"})

    def subjects(self) -> Sequence[Subject]:
        return [
            Subject(
                backup.id,
                backup,
                backup.owner or self.plan.databases[backup.database].owner,
                steps=(backup.step,) if backup.step else (),
            )
            for backup in self.plan.backups.values()
        ]

    def probes(self, subject: Subject) -> Probes:
        backup: Backup = subject.item
        host, account = self._account(backup)
        probes: Probes = {"directory": DirectoryProbe(host.id, account, backup.directory)}
        if backup.database in self.settings.data_directory:
            return probes
        return {**probes, "files": DataDirectoriesProbe(backup.database)}

    def follow_up(
        self, subject: Subject, *, directory: Directory, files: DataDirectories | NoReply | None = None
    ) -> Probes:
        """On the host, as the account that takes the backup: on which storage the database's own directories lie (stat
        and the mount table, once for each), which the backup must outlive."""
        backup: Backup = subject.item
        paths = self._protected(backup, files)
        if not paths or directory.kind is not DirectoryKind.DIRECTORY:
            return {}
        host, account = self._account(backup)
        return {"places": PlacesProbe(host.id, account, paths)}

    def judge(
        self,
        subject: Subject,
        *,
        directory: Directory,
        files: DataDirectories | NoReply | None = None,
        places: Mapping[str, Place] | NoReply | None = None,
    ) -> Judgement:
        backup: Backup = subject.item
        if directory.kind is not DirectoryKind.DIRECTORY:
            return self._absent(backup, directory)
        points = [
            *self._writable(backup, directory),
            *self._link(backup, directory),
            *self._mount(backup, directory),
            *self._rights(backup, directory),
            *self._file_limit(backup, directory),
        ]
        if isinstance(files, NoReply) or isinstance(places, NoReply):
            points.append(unknown("whether it lies on the storage of the data directory was not seen"))
        else:
            points += self._apart(backup, directory, files, places or {})
        return Judgement.of(points)

    def _account(self, backup: Backup) -> tuple[Host, AsAccount]:
        host = self.plan.host_of(backup.database)
        return host, AsAccount.on(host, backup.account)

    def _who(self, backup: Backup) -> str:
        host, account = self._account(backup)
        return account.account or f"the login on {host.id}"

    def _protected(self, backup: Backup, files: DataDirectories | NoReply | None) -> tuple[str, ...]:
        """Directories whose storage the backup must not share: the data directory, its WAL, the tablespaces."""
        declared = self.settings.data_directory.get(backup.database)
        if declared:
            return DataDirectories(declared).paths
        return files.paths if isinstance(files, DataDirectories) else ()

    def _failed(self, backup: Backup, summary: str, *, expected: str, actual: str, remedy: str) -> Judgement:
        work = [each for each in server_work(self.plan) if (each.section, each.id) == (Section.BACKUPS, backup.id)]
        return failed(
            summary, expected=expected, actual=actual, remedy=remedy, minutes_at_stake=minutes_at_stake(self.plan, work)
        )

    def _absent(self, backup: Backup, directory: Directory) -> Judgement:
        host, path, who = backup_host(self, backup), backup.directory, self._who(backup)
        expected = f"a directory on {host} that {who} can write to"
        reached = directory.place.reached
        if directory.kind is DirectoryKind.MISSING and not directory.passable:
            if not directory.as_account:
                return unknown(
                    f"the login may not look into {reached}, and sudo gives it no shell of {who}",
                    expected=expected,
                    actual=f"nothing of {path} beyond {reached} can be seen",
                    remedy=f"have sudo allow {who}'s shell on {host}, or the login to enter {reached}",
                )
            return self._failed(
                backup,
                f"{who} may not enter {reached}: {_NETWORK_ONLY}",
                expected=expected,
                actual=f"{reached} is mode {directory.place.mode:04o} of {directory.place.owner}",
                remedy=f"on {host}: setfacl -m u:{who}:x {shlex.quote(reached)}, or back up to another directory",
            )
        if directory.kind is not DirectoryKind.MISSING:
            what = "a link to nothing" if directory.kind is DirectoryKind.DANGLING else "no directory"
            remedy = f"have a directory put at {path} on {host}, or correct `directory` of [backups.{backup.id}]"
            return self._failed(
                backup, f"{path} is {what}: {_NETWORK_ONLY}", expected=expected, actual=what, remedy=remedy
            )
        mount = f"mount {backup.mount} on {host}; or, if it is mounted, " if backup.mount else ""
        return self._failed(
            backup,
            f"{path} does not exist on {host}: {_NETWORK_ONLY}",
            expected=expected,
            actual=f"nothing below {reached}",
            remedy=f"{mount}have it made on {host}: install -d -m 0700 -o {who} {shlex.quote(path)}",
        )

    def _writable(self, backup: Backup, directory: Directory) -> Iterator[Judgement]:
        mount = directory.place.mount
        if mount is not None and mount.read_only:
            return  # said with the mount
        who, path, host = self._who(backup), backup.directory, backup_host(self, backup)
        if directory.proved:
            yield passed(f"{who} writes to {path} (proved, nothing left behind)")
        elif directory.refused in _FULL:
            yield self._failed(
                backup,
                f"{who} gets no room for even {format_bytes(PROOF_BYTES)}: {directory.refused}",
                expected=f"room on the file system of {path}",
                actual=f"{format_bytes(directory.place.free_bytes)} free for an account without privilege",
                remedy=f"have room made on {host} where {path} lies, or the quota of {who} raised",
            )
        elif directory.as_account and (directory.refused or not directory.access):
            yield self._refused(backup, directory, f"the kernel refuses it ({directory.refused or 'test -w'})")
        elif directory.as_account:
            yield passed(f"{who} may write to {path} (by permission bits only: the host cannot prove it)")
        elif directory.uid < 0:
            yield self._failed(
                backup,
                f"{host} knows no account {who}",
                expected=f"an account {who} on {host}",
                actual="id does not know it",
                remedy=f"correct `account` of [backups.{backup.id}], or have {who} made on {host}",
            )
        else:
            yield self._by_bits(backup, directory)

    def _by_bits(self, backup: Backup, directory: Directory) -> Judgement:
        """Where nobody could look as the account."""
        who, path = self._who(backup), backup.directory
        lacking = directory.lacking()
        if any(link.has_acl for link in directory.chain):
            return unknown(
                "whether the account may write is not known: an access control list is in force",
                expected=f"{who} writes to {path}",
                actual=", ".join(f"{link.path} has an access control list" for link in directory.chain if link.has_acl),
                remedy=f"look on {backup_host(self, backup)}: getfacl {shlex.quote(path)}; or have sudo allow the "
                f"login a shell of {who}",
            )
        if lacking is None:
            return passed(f"{who} may write to {path} (by permission bits only)")
        return self._refused(
            backup, directory, f"{lacking.path} is mode {lacking.mode:04o} of user id {lacking.uid} (permission bits)"
        )

    def _refused(self, backup: Backup, directory: Directory, seen: str) -> Judgement:
        who, path, place = self._who(backup), backup.directory, directory.place
        return self._failed(
            backup,
            f"{who} may not write to {path}: {_NETWORK_ONLY}",
            expected=f"{who} writes to {path} on {backup_host(self, backup)}",
            actual=f"{seen}; {path} is mode {place.mode:04o} of {place.owner}",
            remedy=self._cure(backup, directory),
        )

    def _cure(self, backup: Backup, directory: Directory) -> str:
        host, who, path = backup_host(self, backup), self._who(backup), shlex.quote(backup.directory)
        if directory.refused == "EPERM":
            return f"on {host}, if lsattr -d shows an i: chattr -i {path}; otherwise ask what protects it (SELinux)"
        if directory.refused == "EFBIG":
            return f"have the limit of {who} on the size of files lifted on {host}: fsize in /etc/security/limits.conf"
        lacking = directory.lacking()
        if not directory.as_account and lacking is not None and lacking is not directory.chain[0]:
            return f"have {who} let through on {host}: setfacl -m u:{who}:x {shlex.quote(lacking.path)}"
        return (
            f"on {host}: chown {who} {path}, or name the account that may write there: `account` of "
            f"[backups.{backup.id}]"
        )

    def _link(self, backup: Backup, directory: Directory) -> Iterator[Judgement]:
        real = directory.place.real
        if real != posixpath.normpath(backup.directory):
            yield warned(
                f"the path leads elsewhere: to {real}",
                expected=f"a directory at {backup.directory} itself",
                actual=f"symbolic links lead to {real}",
                remedy=f'if that is meant, say so: directory = "{real}" in [backups.{backup.id}]',
            )

    def _mount(self, backup: Backup, directory: Directory) -> Iterator[Judgement]:
        mount = directory.place.mount
        if mount is None:
            yield unknown(
                "on which file system it lies cannot be seen",
                expected="a line of it in /proc/self/mountinfo",
                remedy=f"look on {backup_host(self, backup)}: findmnt -T {shlex.quote(backup.directory)}",
            )
            return
        wanted = posixpath.normpath(backup.mount) if backup.mount else mount.point
        if mount.point != wanted:
            yield self._failed(
                backup,
                f"{backup.mount} is not what it lies on: it is on {mount.label}",
                expected=f"a file system mounted on {wanted}",
                actual=mount.label,
                remedy=f"mount {wanted} on {backup_host(self, backup)}, or correct `mount` of [backups.{backup.id}]",
            )
        if mount.read_only:
            yield self._failed(
                backup,
                f"{mount.point} is mounted read-only",
                expected="mounted read-write",
                actual=mount.label,
                remedy=f"find out why (a disk error makes the kernel do it: dmesg), then: mount -o remount,rw "
                f"{shlex.quote(mount.point)} on {backup_host(self, backup)}",
            )
        yield self._kind(backup, directory, mount)

    def _kind(self, backup: Backup, directory: Directory, mount: Mount) -> Judgement:
        accept = f'accepted_types = ["{mount.type}"] in [checks.backup-location]'
        if mount.kind in _NOT_LASTING and mount.type not in self.settings.accepted_types:
            return self._failed(
                backup,
                f"it lies in {mount.kind}, not on a disk: {mount.label}",
                expected="a file system that outlives a restart",
                actual=mount.label,
                remedy=f"mount a disk on {backup_host(self, backup)} and back up there; where {mount.type} does last, "
                f"declare it: {accept}",
            )
        if mount.kind in (StorageKind.NETWORK, StorageKind.FUSE) and mount.type not in self.settings.accepted_types:
            return warned(
                f"it goes over {mount.kind}: {mount.label}",
                expected="a disk of the server's own, or a network file system that was measured and accepted",
                actual=mount.label,
                remedy=f"measure a backup to {backup.directory}; when it is fast enough, declare it: {accept}",
            )
        return passed(f"on {mount.label}, {format_bytes(directory.place.free_bytes)} free")

    def _rights(self, backup: Backup, directory: Directory) -> Iterator[Judgement]:
        mode = directory.place.mode
        if mode & 0o002 and not mode & 0o1000:
            yield warned(
                "everybody on the server may remove and replace backups there",
                expected="a directory only its account writes to",
                actual=f"mode {mode:04o}",
                remedy=f"on {backup_host(self, backup)}: chmod o-w {shlex.quote(backup.directory)}",
            )

    def _file_limit(self, backup: Backup, directory: Directory) -> Iterator[Judgement]:
        """A program that passes `ulimit -f` is killed in the middle of its file (SIGXFSZ)."""
        limit, wanted = directory.file_limit_bytes, backup.expected
        if limit is None:
            return
        who, host = self._who(backup), backup_host(self, backup)
        whose = who if directory.as_account else f"the login (the limit of {who} cannot be seen)"
        summary = f"files of {whose} may grow to {format_bytes(limit)} only (ulimit -f)"
        expected = f"{format_bytes(wanted)}, the backup's expected size" if wanted else "no limit"
        remedy = f"have the limit of {who} lifted on {host}: fsize in /etc/security/limits.conf"
        in_one_file = backup.format is not BackupFormat.DIRECTORY
        if wanted and limit < wanted and in_one_file and directory.as_account:
            yield self._failed(backup, summary, expected=expected, actual=format_bytes(limit), remedy=remedy)
        elif not wanted or limit < wanted:
            yield warned(summary, expected=expected, actual=format_bytes(limit), remedy=remedy)

    def _apart(
        self, backup: Backup, directory: Directory, files: DataDirectories | None, places: Mapping[str, Place]
    ) -> Iterator[Judgement]:
        paths = self._protected(backup, files)
        own = directory.place.storage
        declared = self.settings.data_directory.get(backup.database)
        data = declared or (files.data if files else "")
        if declared and not places[declared].seen and posixpath.dirname(declared) != places[declared].reached:
            yield self._no_such_data(backup, declared, places[declared])
            return
        shared = [path for path in paths if own and places[path].storage == own and self._counts(places[path], data)]
        if shared:
            yield self._shared(backup, directory, shared)
        if not data:
            yield self._no_data_directory(backup)
        elif not shared and own and places[data].storage and not places[data].seen:
            yield warned(
                f"the data directory {data} is known by its name only",
                expected="to see on which storage it lies",
                actual=f"the account that looked gets as far as {places[data].reached}",
                remedy=f"look on {backup_host(self, backup)} as its owner: findmnt -T {shlex.quote(data)}",
            )
        elif not shared and own and places[data].storage:
            yield passed(f"the data directory {data} lies on other storage")
        elif not shared:
            yield unknown("on which storage the data directory lies cannot be seen", actual=data)

    @staticmethod
    def _counts(place: Place, data: str) -> bool:
        """WAL and tablespaces count where they were really seen: they may be links out of a closed folder."""
        return place.seen or place.path == data

    def _shared(self, backup: Backup, directory: Directory, shared: Sequence[str]) -> Judgement:
        label = directory.place.mount.label if directory.place.mount else ""
        summary = f"it shares the storage of what it protects: {', '.join(shared)}"
        expected, actual = "a file system of its own", f"all on {label}"
        if self.settings.same_device is SharedStorage.WARN:
            remedy = f"copy the backup away from {backup_host(self, backup)} before the window's work begins"
            return warned(summary, expected=expected, actual=actual, remedy=remedy)
        return self._failed(
            backup,
            summary,
            expected=expected,
            actual=actual,
            remedy=f"have another file system mounted on {backup_host(self, backup)} and back up there; where there is "
            'none and the backup is copied away in time, declare it: same_device = "warn" in [checks.backup-location]',
        )

    def _no_data_directory(self, backup: Backup) -> Judgement:
        role = self.plan.databases[backup.database].user
        return warned(
            "whether it shares the storage of the data directory cannot be seen",
            expected="to see where the data directory lies",
            actual=f"the role {role} may not see data_directory",
            remedy=f"GRANT pg_monitor TO {role}; or declare it: [checks.backup-location] "
            f'data_directory = {{ {backup.database} = "/var/lib/..." }}',
        )

    def _no_such_data(self, backup: Backup, declared: str, place: Place) -> Judgement:
        return warned(
            f"the declared data directory {declared} is not seen on {backup_host(self, backup)}",
            expected=f"the data directory of {backup.database}",
            actual=f"nothing is seen below {place.reached}",
            remedy="correct `data_directory` in [checks.backup-location]; SHOW data_directory tells it to a superuser",
        )


def format_bytes(count: int) -> str:
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.4g} {unit}"
        amount /= 1024
    return f"{amount:.4g} TiB"


def backup_host(check: Check, backup: Backup) -> str:
    """The id of the host that a backup runs on."""
    return check.plan.host_of(backup.database).id
