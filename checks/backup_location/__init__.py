"""backup-location: the backup goes to a directory of the server, on storage that outlives what it protects."""

import posixpath
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from preflight.check import Check, Probes, Subject, asked
from preflight.finding import Judgement, passed, unknown, warned
from preflight.judging.data_directory import data_directory, not_shown, not_there
from preflight.plan.release_plan import is_one_machine
from preflight.plan.work import PlannedBackup, planned_backups
from preflight.probe import NoReply
from preflight.questions.shell import AsAccount
from preflight.questions.sizes import DataDirectories, DataDirectoriesProbe
from preflight.questions.storage import Directory, DirectoryKind, DirectoryProbe, Mount, Place, PlacesProbe, StorageKind
from preflight.units import format_size

from .writing import judge_absent, judge_writing

_NOT_LASTING = (StorageKind.MEMORY, StorageKind.LAYER, StorageKind.AUTOMOUNTER)


class SharedStorage(StrEnum):
    """How a backup on the storage of its own database is judged."""

    FAIL = "fail"
    WARN = "warn"


class BackupLocation(Check):
    """Is there a directory on the server that the backup's account can write to, on storage of its own?

    On the night, a backup had to go over the network to the DBA's own machine (a). The directory is looked at on the
    database's host, as the account that takes the backup: a file without a name is made in it (O_TMPFILE) and gets
    room, so nothing is left behind; where the host cannot do that, `test -w`, and where sudo gives no shell of the
    account, the permission bits of the whole way must do, and the line says so. FAIL: no such directory, not writable,
    a folder under the name of what is written (for a backup that is a folder, one that is not empty), a pipe or a
    device, a link, or a file that has a further name (it is that one which would be written over), mounted read-only,
    not on the mount point the plan names (an absent share leaves a writable folder on `/`), in memory or in a
    container's layer, on the storage of the data directory, WAL or a tablespace. WARN: the path leads elsewhere by a
    link, a network file system, a directory everybody may write to, or others by its group, processor time that is
    limited (`ulimit -t`) to less than the step's minutes. UNKNOWN: a data directory nobody shows. On which disk a file
    system lies (LVM, a loop device's file) is not asked.
    """

    @dataclass(frozen=True, slots=True)
    class Settings:
        """What the site accepts, and what its servers do not tell."""

        same_device: SharedStorage = SharedStorage.FAIL
        """A backup on the file system of its own database is lost with it, and may fill it up. `warn` where the machine
        has no other one and the backup is copied away before the window's work begins."""
        accepted_types: tuple[str, ...] = ()
        """Types of file systems that are as good as a disk here, as the kernel names them: `["nfs4"]`, `["overlay"]`.
        They go on being named."""

    id = "backup-location"
    title = "the backup directory is on the server and can be written"
    sections = ("backups",)
    needs = (
        "as the backup's account: write to the directory (proved through `sudo -n -u ACCOUNT -- /bin/sh`, "
        "else judged by mode bits); for the data directory's place the database role is a member of "
        "pg_read_all_settings, or somebody answers for it in `data_directory`"
    )
    cure = "have the directory made, mounted or handed to the backup's account; put it on other storage than the data"
    judges_no_reply = frozenset({"files", "places"})

    def subjects(self) -> Sequence[Subject]:
        works = (work for work in planned_backups(self.plan) if work.backup.directory)
        return [Subject(work.id, work, work.owner, steps=work.steps) for work in works]

    def probes(self, subject: Subject) -> Probes:
        planned: PlannedBackup = subject.item
        elsewhere = planned.database_host is not None and not planned.is_beside_database
        return asked(
            directory=DirectoryProbe.of(planned),
            files=DataDirectoriesProbe(planned.backup.database) if planned.target else None,
            beside=DirectoryProbe.of(planned.at_database) if elsewhere else None,  # in which boot that machine is
        )

    def follow_up(
        self, subject: Subject, *, directory: Directory, files: DataDirectories | NoReply | None = None, **_: object
    ) -> Probes:
        """On the host, as the account that takes the backup: on which storage the database's own directories lie (stat
        and the mount table, once for each), which the backup must outlive."""
        planned: PlannedBackup = subject.item
        paths = () if files is None or isinstance(files, NoReply) else _protected(planned, files).paths
        if not paths or directory.kind is not DirectoryKind.DIRECTORY or not planned.is_beside_database:
            return {}
        return {"places": PlacesProbe(planned.host.id, AsAccount.of(planned), paths)}

    def judge(
        self,
        subject: Subject,
        *,
        directory: Directory,
        files: DataDirectories | NoReply | None = None,
        places: Mapping[str, Place] | NoReply | None = None,
        beside: Directory | None = None,
    ) -> Judgement:
        planned: PlannedBackup = subject.item
        if directory.kind is not DirectoryKind.DIRECTORY:
            return judge_absent(planned, directory)
        points = [*judge_writing(planned, directory, self.moment), *self._mount(planned, directory)]
        if beside is not None:
            points.append(_elsewhere(planned, directory, beside))
        elif isinstance(files, NoReply) or isinstance(places, NoReply):
            remedy = f"cure the line database-login {planned.database.id}, then run again"
            points.append(unknown("whether it lies on the storage of the data directory was not seen", remedy=remedy))
        else:
            points += self._apart(planned, directory, files, places or {}) if files else ()  # else see database-engine
        return Judgement.of(points)

    def _mount(self, planned: PlannedBackup, directory: Directory) -> Iterator[Judgement]:
        real = directory.place.real
        if real != posixpath.normpath(planned.backup.directory):
            yield warned(
                f"the path leads elsewhere: to {real}",
                expected=f"a directory at {planned.backup.directory} itself",
                actual=f"symbolic links lead to {real}",
                remedy=f'if that is meant, say so: directory = "{real}" in {planned.table}',
            )
        mount = directory.place.mount
        if mount is None:
            yield unknown(
                "on which file system it lies cannot be seen",
                expected="a line of it in /proc/self/mountinfo",
                remedy=f"let {planned.who} read /proc/self/mountinfo on {planned.host.id}",
            )
            return
        wanted = posixpath.normpath(planned.backup.mount) if planned.backup.mount else mount.point
        if mount.point != wanted:
            summary = f"{planned.backup.mount} is not what it lies on: it is on {mount.label}"
            remedy = f"mount {wanted} on {planned.host.id}, or correct `mount` of {planned.table}"
            yield planned.failed(summary, f"a file system mounted on {wanted}", mount.label, remedy)
        if mount.read_only:
            again = f"mount -o remount,rw {shlex.quote(mount.point)} on {planned.host.id}"
            remedy = f"find out why (a disk error makes the kernel do it: dmesg), then: {again}"
            yield planned.failed(f"{mount.point} is mounted read-only", "mounted read-write", mount.label, remedy)
        yield self._kind(planned, directory, mount)

    def _kind(self, planned: PlannedBackup, directory: Directory, mount: Mount) -> Judgement:
        accept = f'accepted_types = ["{mount.type}"] in [checks.backup-location]'
        if mount.kind in _NOT_LASTING and mount.type not in self.settings.accepted_types:
            return planned.failed(
                f"it lies in {mount.kind}, not on a disk: {mount.label}",
                expected="a file system that outlives a restart",
                actual=mount.label,
                remedy=f"mount a disk on {planned.host.id} and back up there; where {mount.type} does last, "
                f"declare it: {accept}",
            )
        if mount.kind in (StorageKind.NETWORK, StorageKind.FUSE) and mount.type not in self.settings.accepted_types:
            return warned(
                f"it goes over {mount.kind}: {mount.label}",
                expected="a disk of the server's own, or a network file system that was measured and accepted",
                actual=mount.label,
                remedy=f"measure a backup to {planned.backup.directory}; when it is fast enough, declare it: {accept}",
            )
        return passed(f"on {mount.label}, {format_size(directory.place.free_bytes)} free")

    def _apart(
        self, planned: PlannedBackup, directory: Directory, files: DataDirectories, places: Mapping[str, Place]
    ) -> Iterator[Judgement]:
        protected, own = _protected(planned, files), directory.place.storage
        data = protected.data
        # WAL and tablespaces count where they were really seen: they may be links out of a closed folder.
        seen = [path for path in protected.paths if places[path].seen or (path == data and not places[path].absent)]
        if shared := [path for path in seen if own and places[path].storage == own]:
            yield self._shared(planned, directory, shared)
        unseen = "whether it shares the storage of the data directory cannot be seen"
        if not files.data or planned.database_host is None:
            yield not_shown(self.plan, self.moment, planned.database, unseen)
        elif shared:
            return
        elif places[data].absent:
            yield not_there(self.plan, self.moment, planned.database, places[data], unseen)
        elif not own or not places[data].storage:
            hidden, cure = f"no mount is seen of {data}", f"look on {planned.host.id}: findmnt -T {shlex.quote(data)}"
            yield not_shown(self.plan, self.moment, planned.database, unseen, seen=hidden, remedy=cure)
        elif places[data].seen:
            yield passed(f"the data directory {data} lies on other storage")
        else:
            reached = places[data].reached
            far = f"{data} is known by its name only: the account that looked gets as far as {reached}"
            cure = f"let {planned.who} enter {shlex.quote(reached)} on {planned.host.id}"
            yield not_shown(self.plan, self.moment, planned.database, unseen, seen=far, remedy=cure)

    def _shared(self, planned: PlannedBackup, directory: Directory, shared: Sequence[str]) -> Judgement:
        label = directory.place.mount.label if directory.place.mount else ""
        summary = f"it shares the storage of what it protects: {', '.join(shared)}"
        expected, actual = "a file system of its own", f"all on {label}"
        if self.settings.same_device is SharedStorage.WARN:
            remedy = f"copy the backup away from {planned.host.id} before the window's work begins"
            return warned(summary, expected=expected, actual=actual, remedy=remedy)
        return planned.failed(
            summary,
            expected,
            actual,
            f"have another file system mounted on {planned.host.id} and back up there; where there is "
            'none and the backup is copied away in time, declare it: same_device = "warn" in [checks.backup-location]',
        )


def _elsewhere(planned: PlannedBackup, directory: Directory, beside: Directory) -> Judgement:
    """Of a repository on a host that the plan reaches at another place than the database's."""
    own = planned.at_database.host
    if not is_one_machine(planned.host, directory.boot, own, beside.boot):
        return passed(f"on {planned.host.id}, another machine than the database's")
    return planned.failed(
        f"{planned.host.id} is the machine that the database runs on",
        f"a repository on another machine than {own.id}, or one of this machine's own storage",
        f"both are in boot {directory.boot}",
        f'correct `kept_on` of {planned.table}: kept_on = "{own.id}"',
    )


def _protected(planned: PlannedBackup, files: DataDirectories) -> DataDirectories:
    """What the backup must not share its storage with."""
    return replace(files, data=data_directory(planned.database, files))
