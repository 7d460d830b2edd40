"""script-hashes: what was approved is what was sealed, and what lies on the server."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.plan import Host, Scripts
from preflight.probe import NoReply
from preflight.probes.files import SCRIPT_SUFFIXES as SQL_SUFFIXES
from preflight.probes.files import TARGET, EntryKind, LocalFile, LocalText, LocalTexts, LocalTree, Texts, Tree
from preflight.probes.shell import AsAccount
from preflight.probes.staged import (
    MOST_FORMS,
    Forms,
    StagedBeginning,
    StagedFolder,
    StagedForms,
    StagedText,
)
from preflight.probes.staged_reply import StagedEntry, StagedTree
from preflight.scripts.manifest import ManifestError, parse_manifest
from preflight.scripts.manifest_comparison import SCRIPT_SUFFIXES, Comparison, is_script
from preflight.scripts.manifest_difference import Differences
from preflight.scripts.psql_script_inputs import Input, find_inputs
from preflight.scripts.text_diff import visible

_TEXTS = 3
_MOST_POINTS = 10
_MOST_NAMED = 8
_WORLD, _GROUP, _STICKY = 0o002, 0o020, 0o1000


@dataclass(frozen=True, slots=True)
class ScriptHashesSettings:
    strict: bool = False
    """What no manifest can seal (`\\i :variable`, `\\!`, `\\gexec`, COPY ... PROGRAM) is a FAIL instead of a WARN."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one judgement looks at."""

    scripts: Scripts
    host: Host
    texts: Texts
    files: Comparison
    differences: Differences
    manifest_problem: str = ""


class ScriptHashes(Check):
    """Are the approved scripts, byte for byte, what lies on the server, and is nothing else there?

    On the night this exists for, the scripts had been changed after their approval, nobody knew, and they failed (c).
    Three places must agree: the approved folder beside the plan, the manifest that `preflight seal` wrote, and the
    staged folder, hashed on the server by the account that will run the scripts (by the login, where sudo does not
    give it a shell of that account). FAIL: a changed, missing, empty or unsealed script, a symbolic link, what
    everybody may change, and whatever a script reads by `\\i`, `\\ir`, `\\copy` or `\\lo_import` without its being
    sealed. psql takes `\\i` relative to the folder it was started in: that is the staged folder, unless the run line
    says `cd`. What no manifest can seal is a WARN, with `strict = true` a FAIL. Not judged: the order of the scripts,
    which is the run line's, and COMMIT inside a script.
    """

    id = "script-hashes"
    waivable = False
    title = "the approved scripts are what lies on the server"
    Settings = ScriptHashesSettings
    judges_no_reply = frozenset({"forms", *(f"text_{number}" for number in range(_TEXTS))})

    def subjects(self) -> Sequence[Subject]:
        return [
            Subject(scripts.id, scripts, scripts.owner or self.plan.databases[scripts.database].owner)
            for scripts in self.plan.scripts.values()
        ]

    def probes(self, subject: Subject) -> Probes:
        scripts: Scripts = subject.item
        folder = self._beside(scripts.approved)
        return {
            "approved": LocalTree(TARGET, folder),
            "manifest": LocalFile(TARGET, self._beside(scripts.manifest)),
            "texts": LocalTexts(TARGET, folder),
            "staged": StagedFolder(*self._reader(scripts), scripts.staged),
        }

    def follow_up(
        self, subject: Subject, *, approved: Tree, manifest: LocalText, texts: Texts, staged: StagedTree
    ) -> Probes:
        """On the host, only where a staged script differs from the approved one: hashes of its text without
        carriage returns, byte order mark and last newlines, and the text of the first few for the report."""
        scripts: Scripts = subject.item
        files, _ = self._compare(scripts, approved, manifest, staged)
        names = tuple(files.changed[:MOST_FORMS])
        if not names:
            return {}
        reader = self._reader(scripts)
        shown = enumerate(files.worth_reading(texts.texts)[:_TEXTS])
        return {
            "forms": StagedForms(*reader, scripts.staged, names),
            **{f"text_{number}": StagedText(*reader, scripts.staged, name) for number, name in shown},
        }

    def judge(
        self,
        subject: Subject,
        *,
        approved: Tree,
        manifest: LocalText,
        texts: Texts,
        staged: StagedTree,
        forms: Mapping[str, Forms] | NoReply | None = None,
        **beginnings: StagedBeginning | NoReply,
    ) -> Judgement:
        scripts: Scripts = subject.item
        files, problem = self._compare(scripts, approved, manifest, staged)
        shown = enumerate(files.worth_reading(texts.texts)[:_TEXTS])
        answers = {name: beginnings.get(f"text_{number}") for number, name in shown}
        read = {name: text for name, text in answers.items() if isinstance(text, StagedBeginning) and not text.problem}
        seen = _Seen(
            scripts=scripts,
            host=self.plan.host_of(scripts.database),
            texts=texts,
            files=files,
            differences=Differences(files, texts.texts, read, forms if isinstance(forms, Mapping) else {}),
            manifest_problem=problem,
        )
        points = [
            *self._sealed(seen),
            *self._approved(seen),
            *self._staged_folder(seen),
            *self._changed(seen),
            *self._missing_and_extra(seen),
            *_rights(seen),
            *self._inputs(seen),
        ]
        return Judgement.of(points or [self._agreement(seen)])

    def _compare(
        self, scripts: Scripts, approved: Tree, manifest: LocalText, staged: StagedTree
    ) -> tuple[Comparison, str]:
        """(the comparison, what is wrong with the manifest)."""
        sealed: Mapping[str, str] = {}
        problem = manifest.problem
        if not problem:
            try:
                sealed = parse_manifest(manifest.text)
                problem = "" if sealed else "it lists no file"
            except ManifestError as error:
                problem = str(error)
        inside = scripts.manifest.is_relative_to(scripts.approved)
        name = scripts.manifest.relative_to(scripts.approved).as_posix() if inside else ""
        return Comparison(sealed, approved, staged, name, manifest.sha256), problem

    def _reader(self, scripts: Scripts) -> tuple[str, AsAccount]:
        host = self.plan.host_of(scripts.database)
        return host.id, AsAccount.on(host, scripts.account)

    def _beside(self, path: Path) -> str:
        """`path` as seen from the plan's folder, where it lies below."""
        return str(path.relative_to(self.plan.folder) if path.is_relative_to(self.plan.folder) else path)

    @property
    def _seal(self) -> str:
        return f"preflight seal {shlex.quote(str(self.plan.path.name))}"

    def _sealed(self, seen: _Seen) -> Iterator[Judgement]:
        if seen.manifest_problem:
            manifest = self._beside(seen.scripts.manifest)
            missing = seen.manifest_problem == "no such file" or seen.manifest_problem.endswith(": no such file")
            yield failed(
                "the scripts are not sealed" if missing else "the manifest cannot be relied on",
                expected=f"{manifest} with the SHA-256 of every approved script",
                actual=visible(seen.manifest_problem),
                remedy=f"once the scripts in {self._beside(seen.scripts.approved)} are approved, run: {self._seal}",
            )

    def _approved(self, seen: _Seen) -> Iterator[Judgement]:
        """The approved folder against the manifest."""
        folder, tree, files = self._beside(seen.scripts.approved), seen.files.approved_tree, seen.files
        if tree.problem:
            yield failed(
                "the approved folder cannot be read",
                expected=f"the approved scripts in {folder}",
                actual=tree.problem,
                remedy=f"check out {folder} beside the plan, or correct `approved` of [scripts.{seen.scripts.id}]",
            )
            return
        if tree.unread:
            yield unknown(
                "a part of the approved folder could not be read",
                actual=_named(f"{entry.path} ({entry.error})" for entry in tree.unread),
                remedy=f"make everything in {folder} readable, then run again",
            )
        unusual = [entry.path for entry in tree.entries if entry.kind in (EntryKind.SYMLINK, EntryKind.OTHER)]
        if unusual:
            yield failed(
                "the approved folder holds links or special files",
                expected="regular files only, because a link's target is not sealed",
                actual=_named(unusual),
                remedy=f"replace them by the files themselves in {folder}, then run: {self._seal}",
            )
        if files.sealed:
            yield from self._changed_after_sealing(files, folder)

    def _changed_after_sealing(self, files: Comparison, folder: str) -> Iterator[Judgement]:
        sealed, approved = files.sealed, files.approved
        kinds = {
            "changed": [name for name in sealed if approved.get(name, sealed[name]) not in ("", sealed[name])],
            "gone": [name for name in sealed if name not in approved],
            "added": [name for name in approved if name not in sealed],
        }
        said = [f"{kind}: {_named(names)}" for kind, names in kinds.items() if names]
        if said:
            yield failed(
                "the approved folder was changed after sealing",
                expected=f"{folder} as it was sealed",
                actual="; ".join(said),
                remedy=f"take the change back in {folder}; or review and rehearse it, then run: {self._seal}",
            )

    def _staged_folder(self, seen: _Seen) -> Iterator[Judgement]:
        """The staged folder as a whole."""
        staged, where, tree = seen.scripts.staged, seen.host.id, seen.files.staged_tree
        if tree.problem:
            denied = "ermission denied" in tree.problem
            yield (failed if self._is_refused(seen) or not denied else unknown)(
                f"the staged folder cannot be read by {tree.account}: {visible(tree.problem)}",
                expected=f"the sealed scripts in {staged} on {where}",
                actual=visible(tree.problem),
                remedy=f"copy the scripts to {staged} on {where}, readable for {self._account(seen)}",
            )
            return
        if not tree.complete:
            yield (failed if self._is_refused(seen) else unknown)(
                f"a part of the staged folder cannot be listed by {tree.account}",
                expected=f"everything below {staged} on {where} readable for {self._account(seen)}",
                actual=visible(tree.complaint.partition("\n")[0]),
                remedy=f"on {where}: chmod -R a+rX -- {shlex.quote(staged)}",
            )
        if not tree.tool:
            yield unknown(
                "nothing on the server can hash",
                expected=f"every file below {staged} hashed on {where}",
                actual="none of openssl, sha256sum and shasum works",
                remedy=f"have openssl or sha256sum installed on {where}",
            )
        if tree.link:
            yield warned(
                "the staged folder is reached through a symbolic link",
                expected="the folder itself, because whoever may change the link changes the scripts",
                actual=f"{staged} leads to {visible(tree.root)}",
                remedy=f'name the folder itself: staged = "{visible(tree.root)}" in [scripts.{seen.scripts.id}]',
            )

    def _changed(self, seen: _Seen) -> Iterator[Judgement]:
        """The heart of it: staged files with other bytes than sealed."""
        # What can be explained first: the others may not be shown.
        ordered = sorted(seen.files.changed, key=lambda name: name not in seen.differences.read)
        for name in ordered[:_MOST_POINTS]:
            entry = seen.files.staged[name]
            yield failed(
                f"{visible(name)} was changed on the server: {seen.differences.describe(name)}",
                expected=f"sha256 {seen.files.wanted[name][:12]}, as {'sealed' if seen.files.sealed else 'approved'}",
                actual=f"sha256 {entry.sha256[:12]}, {_who_and_when(entry)}, {entry.size_bytes} bytes",
                remedy=f"stage the approved file again: {self._copy(seen, name)}; or, if the change is wanted, review "
                "and rehearse it, put it into the approved folder and seal again",
                details=seen.differences.diff(name),
            )
        rest = ordered[_MOST_POINTS:]
        if rest:
            yield failed(
                f"{len(rest)} more scripts were changed on the server",
                expected="every staged file as sealed",
                actual=_named(rest),
                remedy=f"stage the approved folder again: {self._copy(seen)}",
            )

    def _missing_and_extra(self, seen: _Seen) -> Iterator[Judgement]:
        files, where = seen.files, f"{seen.scripts.staged} on {seen.host.id}"
        if files.staged_tree.problem:
            return
        if files.missing and files.staged_tree.complete:
            yield failed(
                f"{_count(files.missing, 'sealed file')} not on the server",
                expected=f"every sealed file in {where}",
                actual=f"missing: {_named(files.missing)}",
                remedy=f"stage what is missing: {self._copy(seen, files.missing[0])}",
            )
        if files.unread and files.staged_tree.tool:
            yield self._unread(seen)
        scripts = [entry for entry in files.extra if is_script(entry.path)]
        others = [entry for entry in files.extra if not is_script(entry.path)]
        if scripts:
            yield failed(
                f"{_count(scripts, 'script')} on the server that nobody sealed",
                expected=f"no unsealed file ending in {' '.join(SCRIPT_SUFFIXES)} in {where}",
                actual=_named(f"{entry.path} ({_who_and_when(entry)})" for entry in scripts),
                remedy=f"take it away: ssh {self._login(seen)} rm -- {_remote(seen, scripts[0].path)}; or have it "
                f"approved, then run: {self._seal}",
            )
        if others:
            yield warned(
                f"{_count(others, 'file')} on the server that nobody sealed",
                expected=f"nothing but the sealed files in {where}",
                actual=_named(f"{entry.path} ({_who_and_when(entry)})" for entry in others),
                remedy=f"take them away from {where}, or seal them with the scripts",
            )
        empty = [name for name, entry in files.staged.items() if is_script(name) and not entry.size_bytes]
        if empty:
            yield failed(
                f"{_count(empty, 'script')} on the server without content",
                expected="every script holds at least one statement",
                actual=f"0 bytes: {_named(empty)}",
                remedy="fill or remove the empty script in the approved folder, then seal and stage again",
            )

    def _unread(self, seen: _Seen) -> Judgement:
        tree, names = seen.files.staged_tree, seen.files.unread
        return (failed if self._is_refused(seen) else unknown)(
            f"{_count(names, 'sealed file')} on the server that {tree.account} cannot read",
            expected=f"readable for {self._account(seen)}, who runs the scripts",
            actual=_named(names),
            remedy=f"on {seen.host.id}: chmod a+r -- {_remote(seen, names[0])}",
        )

    def _is_refused(self, seen: _Seen) -> bool:
        """Whether the account that runs the scripts was denied something; the login being denied proves nothing."""
        tree = seen.files.staged_tree
        return "ermission denied" in tree.complaint + tree.problem and tree.account == self._account(seen)

    def _inputs(self, seen: _Seen) -> Iterator[Judgement]:
        """What the scripts and the run line make psql read besides."""
        found = find_inputs(seen.scripts.staged, seen.scripts.run, seen.texts.texts)
        bad = [each for each in found.inputs if each.outside or each.path not in seen.files.wanted]
        for each in bad[:_MOST_POINTS]:
            yield self._unsealed_input(seen, each)
        run = {name for name in seen.files.wanted if name.lower().endswith(SQL_SUFFIXES)}
        run |= {each.path for each in found.inputs if each.executed and each.path in seen.files.wanted}
        unread = dict.fromkeys(sorted(run - set(seen.texts.texts)), "its text was not read") | dict(seen.texts.unread)
        if unread:
            yield self._not_sealable(
                f"{_count(unread, 'script')} in which includes were not looked for",
                "; ".join(f"{visible(name)}: {why}" for name, why in list(unread.items())[:_MOST_NAMED]),
                "see by hand what they include; smaller scripts whose names end in .sql are followed",
            )
        places = [f"{visible(each.named_in)}: {visible(each.written)} {each.reason}" for each in found.open_places]
        if places:
            more = f"; and {len(places) - _MOST_NAMED} more" if len(places) > _MOST_NAMED else ""
            yield self._not_sealable(
                f"{_count(places, 'command')} in the scripts whose effect cannot be sealed",
                "; ".join(places[:_MOST_NAMED]) + more,
                "write out what is to run in a script of its own, and seal that",
            )

    def _not_sealable(self, summary: str, actual: str, remedy: str) -> Judgement:
        judged = failed if self.settings.strict else warned
        return judged(summary, expected="all that runs is fixed by the manifest", actual=actual, remedy=remedy)

    def _unsealed_input(self, seen: _Seen, each: Input) -> Judgement:
        where = f"{visible(each.named_in)}: {visible(each.written)}"
        folder = self._beside(seen.scripts.approved)
        if each.outside:
            return failed(
                f"{where} leaves the staged folder",
                expected=f"only files below {seen.scripts.staged}, which is taken for psql's working folder",
                actual=visible(each.path),
                remedy=f"put the file into {folder}, name it relative to that folder, then run: {self._seal}",
            )
        return failed(
            f"{where} is not sealed",
            expected=f"{visible(each.path)} in the manifest (\\i is relative to the folder psql starts in, \\ir to the "
            "script)",
            actual="the manifest does not list it",
            remedy=f"correct the path, or put {visible(each.path)} into {folder} and run: {self._seal}",
        )

    def _agreement(self, seen: _Seen) -> Judgement:
        tree = seen.files.staged_tree
        account = self._account(seen)
        by = tree.account if tree.account == account else f"{tree.account}, who may not become {account}"
        return passed(
            f"{_count(seen.files.wanted, 'file')}: approved = sealed = staged",
            actual=f"hashed on {seen.host.id} with {tree.tool.split()[0]} by {by}",
        )

    def _account(self, seen: _Seen) -> str:
        """Who runs the scripts; empty where ssh_config decides that."""
        return seen.scripts.account or seen.host.user or seen.files.staged_tree.account

    def _login(self, seen: _Seen) -> str:
        host = seen.host
        port = f"-p {host.port} " if host.port != 22 else ""
        return f"{port}{host.user}@{host.address or host.id}" if host.user else f"{port}{host.address or host.id}"

    def _copy(self, seen: _Seen, name: str = "") -> str:
        """The command that stages one file, or everything, again."""
        approved = shlex.quote(posixpath.join(self._beside(seen.scripts.approved), name or "."))
        login = self._login(seen).replace("-p ", "-P ")
        options, _, host = login.rpartition(" ")
        target = f"{host}:{_remote(seen, name)}"
        return " ".join(part for part in ("scp", "" if name else "-r", options, "--", approved, target) if part)


def _rights(seen: _Seen) -> Iterator[Judgement]:
    """What others could do to the staged folder before the window."""
    tree, where = seen.files.staged_tree, f"{seen.scripts.staged} on {seen.host.id}"
    odd = [entry for entry in tree.entries if entry.kind in (EntryKind.SYMLINK, EntryKind.OTHER)]
    if odd:
        yield failed(
            f"{_count(odd, 'link or special file', 'links or special files')} on the server",
            expected=f"only regular files and folders in {where}",
            actual=_named(f"{e.path} -> {e.link_target}" if e.link_target else f"{e.path} (special)" for e in odd),
            remedy=f"put the file itself in the link's place: rm -- {_remote(seen, odd[0].path)}, then stage it again",
        )
    solid = [entry for entry in tree.entries if entry.kind in (EntryKind.FILE, EntryKind.FOLDER)]
    by_anybody = [entry.path for entry in solid if entry.mode & _WORLD]
    by_anybody += [path for path, mode, _ in tree.parents if mode & _WORLD and not mode & _STICKY]
    if by_anybody:
        yield failed(
            "everybody on the server may change the staged scripts",
            expected=f"nothing in {where} or above it writable for others",
            actual=f"mode o+w: {_named(by_anybody)}",
            remedy=f"on {seen.host.id}: chmod o-w -- {_remote(seen, by_anybody[0])}"
            + (", and the others" if by_anybody[1:] else ""),
        )
    by_group = [entry.path for entry in solid if entry.mode & _GROUP and not entry.mode & _WORLD]
    if by_group:
        yield warned(
            "a whole group on the server may change the staged scripts",
            expected=f"nothing in {where} writable for its group",
            actual=f"mode g+w: {_named(by_group)}",
            remedy=f"on {seen.host.id}: chmod -R g-w -- {shlex.quote(seen.scripts.staged)}",
        )


def _remote(seen: _Seen, name: str) -> str:
    """A path below the staged folder (or an absolute one) as a shell word."""
    return shlex.quote(visible(posixpath.normpath(posixpath.join(seen.scripts.staged, name))))


def _who_and_when(entry: StagedEntry) -> str:
    when = "at an unknown time" if entry.modified_at is None else f"{entry.modified_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"owner {visible(entry.owner)}, modified {when}"


def _named(names: Iterable[str]) -> str:
    shown = [visible(name) for name in names]
    more = f", and {len(shown) - _MOST_NAMED} more" if len(shown) > _MOST_NAMED else ""
    return ", ".join(shown[:_MOST_NAMED]) + more


def _count(things: Sequence[object] | Mapping[str, str], one: str, many: str = "") -> str:
    return f"1 {one}" if len(things) == 1 else f"{len(things)} {many or one + 's'}"
