"""Whether the account that takes a backup can write it to its directory. Pure."""

import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta

from preflight.finding import Judgement, passed, unknown, warned
from preflight.plan.command_lines import backup_path
from preflight.plan.work import PlannedBackup, acl_cure, behind_become, no_shell
from preflight.questions.shell import writers
from preflight.questions.storage import PROOF_BYTES, Directory, DirectoryKind, Target
from preflight.units import format_duration, format_size
from preflight.wording import named

_NETWORK_ONLY = "only a backup over the network is left"
_SEEN = {
    Target.FILE: "a file has that name",
    Target.CLOSED_FILE: "a file has that name which may not be written",
    Target.EMPTY_FOLDER: "a folder has that name",
    Target.FULL_FOLDER: "a folder has that name which is not empty",
    Target.CLOSED_FOLDER: "a folder has that name which may not be read",
    Target.ANOTHER: "what has that name is a link, or a file with a further name, which would be written over",
    Target.OTHER: "what has that name is no file: a pipe, a device, or a link to one",
}
_NOT_ITS_OWN = (Target.ANOTHER, Target.OTHER)


def judge_writing(planned: PlannedBackup, directory: Directory, moment: datetime) -> Iterator[Judgement]:
    """Of a directory that is there: the right and the room to write, and who else may."""
    yield from _writable(planned, directory)
    yield from _processor_time(planned, directory)
    changed_at = directory.target_changed_at
    if directory.target in _NOT_ITS_OWN or not changed_at or not planned.is_this_windows(changed_at, moment):
        yield from _in_the_way(planned, directory)
    place, path = directory.place, shlex.quote(planned.backup.directory)
    if others := writers(place.mode, place.owner, directory.members.split()) - {planned.who, planned.host.user}:
        yield warned(
            f"backups there may be removed and replaced by {named(sorted(others))}",
            expected="a directory only its account writes to",
            actual=f"mode {place.mode:04o} of {place.owner}",
            remedy=f"on {planned.host.id}, as root: chown {planned.who} {path} && chmod go-w {path}",
        )


def judge_absent(planned: PlannedBackup, directory: Directory) -> Judgement:
    host, path, who = planned.host.id, planned.backup.directory, planned.who
    expected = f"a directory on {host} that {who} can write to"
    reached = directory.place.reached
    if directory.kind is DirectoryKind.MISSING and not directory.passable:
        if not directory.as_account:
            summary = f"the login may not look into {reached}, and sudo gives it no shell of {who}"
            actual = f"nothing of {path} beyond {reached} can be seen"
            return no_shell(planned.host, who, summary, expected=expected, actual=actual)
        return planned.failed(
            f"{who} may not enter {reached}: {_NETWORK_ONLY}",
            expected=expected,
            actual=f"{reached} is mode {directory.place.mode:04o} of {directory.place.owner}",
            remedy=f"{acl_cure(planned.host, who, 'x', reached)}; or back up to another directory",
        )
    if directory.kind is not DirectoryKind.MISSING:
        what = "a link to nothing" if directory.kind is DirectoryKind.DANGLING else "no directory"
        remedy = f"have a directory put at {path} on {host}, or correct `directory` of {planned.table}"
        return planned.failed(f"{path} is {what}: {_NETWORK_ONLY}", expected=expected, actual=what, remedy=remedy)
    mount = f"mount {planned.backup.mount} on {host}; or, if it is mounted, " if planned.backup.mount else ""
    return planned.failed(
        f"{path} does not exist on {host}: {_NETWORK_ONLY}",
        expected=expected,
        actual=f"nothing below {reached}",
        remedy=f"{mount}have it made on {host}: install -d -m 0700 -o {who} {shlex.quote(path)}",
    )


def _writable(planned: PlannedBackup, directory: Directory) -> Iterator[Judgement]:
    mount = directory.place.mount
    if mount is not None and mount.read_only:
        return  # said with the mount
    who, path, host = planned.who, planned.backup.directory, planned.host.id
    if directory.proved:
        yield passed(f"{who} writes to {path} (proved, nothing left behind)")
    elif directory.refused in ("ENOSPC", "EDQUOT"):
        yield planned.failed(
            f"{who} gets no room for even {format_size(PROOF_BYTES)}: {directory.refused}",
            expected=f"room on the file system of {path}",
            actual=f"{format_size(directory.place.free_bytes)} free for an account without privilege",
            remedy=f"have room made on {host} where {path} lies, or the quota of {who} raised",
        )
    elif directory.as_account and (directory.refused or not directory.access):
        yield _refused(planned, directory, f"the kernel refuses it ({directory.refused or 'test -w'})")
    elif directory.as_account:
        yield passed(f"{who} may write to {path} (by permission bits only: the host cannot prove it)")
    elif directory.account is None:
        yield planned.failed(
            f"{host} knows no account {who}",
            expected=f"an account {who} on {host}",
            actual="id does not know it",
            remedy=f"correct `account` of {planned.table}, or have {who} made on {host}",
        )
    else:
        yield _by_bits(planned, directory)


def _processor_time(planned: PlannedBackup, directory: Directory) -> Iterator[Judgement]:
    """A backup takes no more of it than its step has minutes; of a login that is not the account it tells nothing."""
    step, cpu = planned.plan.step(planned.step), directory.cpu
    if step and directory.as_account and cpu != "unlimited" and int(cpu) < step.minutes * 60:
        yield warned(
            f"{planned.who} is given {format_duration(timedelta(seconds=int(cpu)))} of processor time for each program",
            expected=f"no such limit, or the {step.minutes:g} min of step {step.id}",
            actual=f"ulimit -t of a session of {planned.who}: {cpu}",
            remedy=f"have the limit lifted on {planned.host.id}, then log in anew: cpu in /etc/security/limits.conf, "
            "rlimit_cpu in sudoers",
        )


def _by_bits(planned: PlannedBackup, directory: Directory) -> Judgement:
    """Where nobody could look as the account."""
    who, path = planned.who, planned.backup.directory
    lacking, listed = directory.lacking(), [link.path for link in directory.chain if link.has_acl]
    if listed:
        summary = "whether the account may write is not known: an access control list is in force"
        actual = ", ".join(f"{each} has an access control list" for each in listed)
        return no_shell(planned.host, who, summary, expected=f"{who} writes to {path}", actual=actual)
    if lacking is None:
        return passed(f"{who} may write to {path} (by permission bits only)")
    seen = f"{lacking.path} is mode {lacking.mode:04o} of user id {lacking.uid} (permission bits)"
    return _refused(planned, directory, seen)


def _refused(planned: PlannedBackup, directory: Directory, seen: str) -> Judgement:
    who, path, place = planned.who, planned.backup.directory, directory.place
    return planned.failed(
        f"{who} may not write to {path}: {_NETWORK_ONLY}",
        expected=f"{who} writes to {path} on {planned.host.id}",
        actual=f"{seen}; {path} is mode {place.mode:04o} of {place.owner}",
        remedy=_cure(planned, directory),
    )


def _in_the_way(planned: PlannedBackup, directory: Directory) -> Iterator[Judgement]:
    """Both programs write into a folder that is empty, and pg_dump over a file: over nothing else."""
    target, many = directory.target, planned.writes_many_files
    if planned.backup.method.has_repository:
        yield _repository(planned, directory)
        return
    if target is Target.NOTHING or target is (Target.EMPTY_FOLDER if many else Target.FILE):
        return
    path, host = backup_path(planned.plan, planned.backup), planned.host.id
    expected = f"nothing at {path}, or {'an empty folder' if many else 'a file that may be written over'}"
    act = ["rm", "--", path] if target in _NOT_ITS_OWN else ["mv", "--", path, f"{path}.old"]
    remedy = f"on {host}: {shlex.join(act)}; or name another `file` in {planned.table}"
    summary = f"{planned.backup.method} cannot write {path}: {_SEEN[target]}"
    if directory.as_account or target in (Target.EMPTY_FOLDER, Target.FULL_FOLDER, *_NOT_ITS_OWN):
        yield planned.failed(summary, expected, _SEEN[target], remedy)
    else:
        yield unknown(
            f"whether {planned.who} may write over what is at {path} is not known",
            expected=expected,
            actual=f"{_SEEN[target]}, as the login sees it",
            remedy=remedy,
            behind=behind_become(planned.host, planned.who),
        )


def _repository(planned: PlannedBackup, directory: Directory) -> Judgement:
    """The directory is the plan's word: that the backups lie there shows in the folder of the server's name."""
    backup = planned.backup
    if directory.target in (Target.EMPTY_FOLDER, Target.FULL_FOLDER, Target.CLOSED_FOLDER):
        return passed(f"the repository of {backup.known_as} is there")
    repository = f"repository of {backup.method} with {backup.known_as} in it"
    expected = f"the folder in which {backup.method} keeps {backup.known_as}"
    if not directory.as_account:
        summary = f"whether {backup.directory} is the {repository} is not known"
        actual = f"the login of {planned.host.id} sees no such folder below it"
        return no_shell(planned.host, planned.who, summary, expected=expected, actual=actual)
    remedy = f"correct `directory` of {planned.table}; or `known_as`"
    return planned.failed(f"{backup.directory} is no {repository}", expected, "no such folder below it", remedy)


def _cure(planned: PlannedBackup, directory: Directory) -> str:
    host, who, path = planned.host.id, planned.who, shlex.quote(planned.backup.directory)
    if directory.refused == "EPERM":
        return f"on {host}, if lsattr -d shows an i: chattr -i {path}; otherwise ask what protects it (SELinux)"
    if directory.refused == "EFBIG":
        return f"have the limit of {who} on the size of files lifted on {host}: fsize in /etc/security/limits.conf"
    lacking = directory.lacking()
    if not directory.as_account and lacking is not None and lacking is not directory.chain[0]:
        return acl_cure(planned.host, who, "x", lacking.path)
    writable = f"chmod u+rwx {path}"
    if directory.place.owner == who:
        return f"on {host}, as root: {writable}"
    owned = f"on {host}, as root: chown {who} {path} && {writable}"
    return f"{owned}; or name the account that may write there: `account` of {planned.table}"
