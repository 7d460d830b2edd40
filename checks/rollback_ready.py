"""rollback-ready: if the decision is "back", what it takes is there, whole, and has been tried."""

import posixpath
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from preflight.check import ANY_STATE, Check, Probes, Subject
from preflight.clock import zone
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.judging.psql_script import included_in_forward
from preflight.judging.sealed_scripts import approved_unread
from preflight.plan import Host, Rollback, RollbackFile, Scripts
from preflight.plan.command_lines import Pair, pairs
from preflight.plan.gaps import REHEARSED
from preflight.plan.release_plan import grouped
from preflight.plan.work import acl_cure
from preflight.questions.files import FileState, HashedFile, HashedFilesProbe, LocalTexts, LocalTree, Texts, Tree
from preflight.questions.local import TARGET
from preflight.questions.shell import AsAccount
from preflight.questions.storage import Place, PlacesProbe, StorageKind
from preflight.units import format_duration, format_size
from preflight.wording import beside, named


class RollbackReady(Check):
    """If the decision is "back", is what it takes there, whole, and tried?

    The night's own lesson is that nobody knew until when a rollback could be finished (g). Each listed rollback file
    must be there with its SHA-256 (WARN where everybody on the server may change it, or others by its group, or where
    its file system has no room for it once more or, of a disk, is mounted read-only), each script must have its way
    back beside it, approved and not empty, and the way back must have been rehearsed; that the ways back undo what
    their scripts do is shown by `rehearsal`. The backup that a restore would take is judged by `earlier-backup`.
    `preflight verify` looks at the rollback files alone.
    """

    id = "rollback-ready"
    title = "the way back is there and whole"
    verifies = ANY_STATE
    sections = ("scripts", "rollback")
    needs = "read the rollback files"
    cure = "stage what is missing; rehearse"

    def subjects(self) -> Sequence[Subject]:
        if self.expect is not None:
            return [*self._files()]
        plan, rollback = self.plan, self.plan.rollback
        ways = [each for each in plan.scripts.values() if each.way_back]
        scripts = [Subject(f"{each.id} way back", each, plan.owner_of(each)) for each in ways]
        rehearsal = [Subject("rehearsal", rollback, rollback.owner)] if rollback else []
        return [*self._files(), *scripts, *rehearsal]

    def probes(self, subject: Subject) -> Probes:
        match subject.item:
            case RollbackFile() as file:
                files = HashedFilesProbe(file.host, self._beside_each_other[_place(file)])
                folders = tuple(sorted(folder for host, folder in self._beside_each_other if host == file.host))
                places = PlacesProbe(file.host, AsAccount.on(self.plan.hosts[file.host], ""), folders)
                return {"files": files} if self.expect else {"files": files, "places": places}
            case Scripts() as scripts:
                folder = beside(self.plan.folder, scripts.approved)
                return {"approved": LocalTree(TARGET, folder), "texts": LocalTexts(TARGET, folder)}
        return {}

    def judge(self, subject: Subject, **facts: Any) -> Judgement:
        match subject.item:
            case RollbackFile() as file:
                host, seen = self.plan.hosts[file.host], facts["files"][file.path]
                room = _room(host, seen, facts["places"][_place(file)[1]]) if "places" in facts and seen.sha256 else ()
                return Judgement.of([_judge_file(file, host, seen), *room])
            case Scripts() as scripts:
                return Judgement.of(self._judge_ways_back(scripts, facts["approved"], facts["texts"]))
            case Rollback() as rollback:
                return self._judge_rehearsal(rollback)
        raise TypeError(f"no subject of this check: {subject.id}")

    @cached_property
    def _beside_each_other(self) -> Mapping[tuple[str, str], tuple[str, ...]]:
        """Host and folder -> the files there, which are one question."""
        places = grouped(self.plan.rollback.files if self.plan.rollback else (), _place)
        return {place: tuple(sorted({file.path for file in files})) for place, files in places.items()}

    def _files(self) -> Iterator[Subject]:
        rollback = self.plan.rollback
        seen: dict[tuple[str, str, str], RollbackFile] = {}
        for file in rollback.files if rollback else ():
            seen.setdefault((file.host, file.path, file.sha256), file)
        places = Counter((file.host, file.path) for file in seen.values())
        for file in seen.values():
            twice = f" {file.sha256[:8]}" if places[file.host, file.path] > 1 else ""
            owner = (rollback.owner if rollback else "") or self.plan.hosts[file.host].owner
            yield Subject(f"{file.host}:{file.path}{twice}", file, owner)

    def _judge_ways_back(self, scripts: Scripts, approved: Tree, texts: Texts) -> Iterator[Judgement]:
        if problem := approved.problem or texts.problem:
            yield approved_unread(self.plan, scripts, problem)
            return
        folder = beside(self.plan.folder, scripts.approved)
        included = included_in_forward(scripts, approved.files, texts.texts)
        found = pairs(scripts.way_back, scripts.files, approved.files, included)
        if not found:
            summary, remedy = "there is no script to take back", f"look into {folder}"
            yield unknown(summary, expected=f"scripts in {folder}", remedy=remedy)
            return
        points = [point for pair in found for point in self._judge_pair(pair, folder, approved)]
        names = named(pair.forward for pair in found)
        yield from points or [passed(f"{len(found)} scripts have their way back: {names}")]

    def _judge_pair(self, pair: Pair, folder: str, approved: Tree) -> Iterator[Judgement]:
        way_back = f"the way back of {pair.forward}"
        if not pair.present:
            fault, actual = f"{pair.forward} has no way back", "no such file"
        elif pair.back == pair.forward:
            fault, actual = f"{way_back} is the script itself", pair.back
        elif not approved.files[pair.back].size_bytes:
            fault, actual = f"{way_back} is empty", f"{pair.back} holds nothing"
        else:
            return
        place = posixpath.join(folder, pair.back)
        remedy = f"write {place}, have it reviewed, then: {self.plan.call('seal')}"
        yield failed(fault, expected=f"{place} takes {pair.forward} back", actual=actual, remedy=remedy)

    def _judge_rehearsal(self, rollback: Rollback) -> Judgement:
        window, limit = self.plan.window, rollback.max_rehearsal_age
        expected = f"a rehearsal not more than {format_duration(limit)} before the window"
        remedy = "rehearse the way back on a copy, note its minutes, and put the day into `rehearsed` of [rollback]"
        day = rollback.rehearsed
        if day is None:
            summary = "the way back was never rehearsed"
            if reason := self.plan.absent.get(REHEARSED):
                return warned(f"{summary}: {reason}", expected=expected, actual="no date", remedy=remedy)
            why = 'or say in [rollback] why not: rehearsed = { none = "" }'
            return unknown(summary, expected=expected, actual="no date", remedy=f"{remedy}; {why}")
        start, today = (at.astimezone(zone(window.zone)).date() for at in (window.start, self.moment))
        if day > today:
            summary = f"the rehearsal is still to come: {day}"
        elif start - day > limit:
            summary = f"the rehearsal of {day} will be {format_duration(start - day)} old"
        else:
            return passed(f"rehearsed {day}")
        return unknown(summary, expected=expected, actual=str(day), remedy=remedy)


def _place(file: RollbackFile) -> tuple[str, str]:
    return file.host, posixpath.dirname(file.path)


def _judge_file(file: RollbackFile, host: Host, seen: HashedFile) -> Judgement:
    expected = f"{file.path} on {file.host} with SHA-256 {file.sha256}"
    put_back = f"put the file of the running release back on {file.host}: {file.path}"
    if seen.state in (FileState.MISSING, FileState.OTHER):
        missing = seen.state is FileState.MISSING
        actual = "no such file" if missing else "no regular file"
        summary = "the file is not there" if missing else "it is no regular file"
        return failed(summary, expected=expected, actual=actual, remedy=put_back)
    if not seen.sha256:
        summary = "the file could not be hashed"
        actual = "no SHA-256: no sha256sum, shasum or openssl there, or an error of its disk"
        remedy = f"look what it says on {host.id}: sha256sum {shlex.quote(file.path)}"
        if seen.state is FileState.UNREADABLE:
            summary, actual = "the login may not read the file", f"mode {seen.mode:04o} of {seen.owner}"
            remedy = acl_cure(host, host.user, "r", file.path)
        elif seen.state is FileState.HIDDEN:
            summary, actual = f"the login may not look into {seen.behind}", f"nothing beyond {seen.behind} can be seen"
            remedy = acl_cure(host, host.user, "x", seen.behind)
        return unknown(summary, expected=expected, actual=actual, remedy=remedy)
    if seen.sha256 != file.sha256 or not seen.size_bytes:
        changed = f", changed {seen.changed_at:%Y-%m-%d %H:%M} UTC" if seen.changed_at else ""
        return failed(
            "the file is another one than the plan names" if seen.size_bytes else "the file is empty",
            expected=expected,
            actual=f"SHA-256 {seen.sha256}, {format_size(seen.size_bytes)}, of {seen.owner}{changed}",
            remedy=f"{put_back}; or correct `sha256` in [rollback] when this one is right",
        )
    if loose := {path: others for path, names in seen.writers.items() if (others := names - {host.user})}:
        who = named(sorted(set().union(*loose.values())))
        return warned(
            f"it is as in the plan, and may be changed by {who}",
            expected=f"neither {file.path} nor a folder above it writable for others",
            actual=f"mode go+w: {named(loose)}",
            remedy=f"on {host.id}, as root: chmod go-w -- {shlex.join(loose)}; or take whoever need not write "
            "there out of its group",
        )
    return passed(f"{format_size(seen.size_bytes)}, SHA-256 as in the plan")


def _room(host: Host, seen: HashedFile, place: Place) -> Iterator[Judgement]:
    """Where a file is, the release that takes its place, or is put back, is likely to be written."""
    mount, summary = place.mount, f"no release can be written or put back where it lies: {place.label}"
    expected = "a file system that can be written, with room for the file"
    point = shlex.quote(mount.point if mount else place.path)
    if mount and mount.read_only:
        remedy = "find out why (a disk error makes the kernel do it: dmesg), then "
        remedy += f"on {host.id}, as root: mount -o remount,rw {point}"
        if mount.kind is StorageKind.DISK:  # a share of releases is mounted so on purpose
            yield warned(summary, expected=expected, actual="mounted read-only", remedy=remedy)
    elif place.free_bytes < seen.size_bytes:
        actual = f"{format_size(place.free_bytes)} free, the file has {format_size(seen.size_bytes)}"
        remedy = f"make room on {host.id}; what takes most there: du -xk {point} | sort -n | tail"
        yield warned(summary, expected=expected, actual=actual, remedy=remedy)
