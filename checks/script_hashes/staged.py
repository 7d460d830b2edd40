"""The staged scripts against what was sealed: content, presence, rights. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from preflight.finding import Judgement, failed, unknown, warned
from preflight.plan.work import no_shell
from preflight.questions.files import EntryKind
from preflight.questions.staged import StagedEntry
from preflight.wording import counted, named

from .comparison import RUNNABLE_SUFFIXES, Comparison, Differences, is_script, visible

_MOST_POINTS = 10
_WORLD, _GROUP, _STICKY = 0o002, 0o020, 0o1000


def judge_staged(seen: Comparison, differences: Differences) -> Iterator[Judgement]:
    yield from _staged_folder(seen)
    yield from _changed(seen, differences)
    yield from _missing_and_extra(seen)
    yield from _rights(seen)


def _staged_folder(seen: Comparison) -> Iterator[Judgement]:
    """The staged folder as a whole."""
    staged, where, tree = seen.scripts.staged, seen.host.id, seen.staged_tree
    if tree.problem:
        denied = "ermission denied" in tree.problem
        if denied and not seen.is_refused:
            yield _hidden(seen, f"the staged folder cannot be read by {tree.account}", visible(tree.problem))
            return
        yield failed(
            f"the staged folder cannot be read by {tree.account}: {visible(tree.problem)}",
            expected=f"the sealed scripts in {staged} on {where}",
            actual=visible(tree.problem),
            remedy=f"copy the scripts to {staged} on {where}, readable for {seen.account}",
        )
        return
    complaint, part = visible(tree.complaint.partition("\n")[0]), "a part of the staged folder cannot be listed by"
    if not tree.complete and seen.looked_as_login:
        yield _hidden(seen, f"{part} {tree.account}", complaint)
    elif not tree.complete:
        yield (failed if seen.is_refused else unknown)(
            f"{part} {tree.account}",
            expected=f"everything below {staged} on {where} readable for {seen.account}",
            actual=complaint,
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


def _changed(seen: Comparison, differences: Differences) -> Iterator[Judgement]:
    """The heart of it: staged files with other bytes than sealed."""
    # What can be explained first: the others may not be shown.
    ordered = sorted(seen.changed, key=lambda name: name not in differences.read)
    for name in ordered[:_MOST_POINTS]:
        entry = seen.staged[name]
        yield failed(
            f"{visible(name)} was changed on the server: {differences.describe(name)}",
            expected=f"sha256 {seen.wanted[name][:12]}, as {'sealed' if seen.sealed else 'approved'}",
            actual=f"sha256 {entry.sha256[:12]}, {_who_and_when(entry)}, {entry.size_bytes} bytes",
            remedy="if the change is wanted, review and rehearse it, put it into the approved folder and seal again; "
            f"if not, stage the approved file again: {seen.copy(name)}",
            details=differences.diff(name),
        )
    rest = ordered[_MOST_POINTS:]
    if rest:
        yield failed(
            f"{len(rest)} more scripts were changed on the server",
            expected="every staged file as sealed",
            actual=named(rest),
            remedy=f"stage the approved folder again: {seen.copy()}",
        )


def _missing_and_extra(seen: Comparison) -> Iterator[Judgement]:
    where = f"{seen.scripts.staged} on {seen.host.id}"
    if seen.staged_tree.problem:
        return
    if seen.missing and seen.staged_tree.complete:
        yield failed(
            f"{counted(len(seen.missing), 'sealed file')} not on the server",
            expected=f"every sealed file in {where}",
            actual=f"missing: {named(seen.missing)}",
            remedy=f"stage what is missing: {seen.copy(seen.missing[0])}",
        )
    if seen.unread and seen.staged_tree.tool:
        yield _unread(seen)
    scripts = [entry for entry in seen.extra if is_script(entry.path)]
    others = [entry for entry in seen.extra if not is_script(entry.path)]
    if scripts:
        yield failed(
            f"{counted(len(scripts), 'script')} on the server that nobody sealed",
            expected=f"no unsealed file ending in {' '.join(RUNNABLE_SUFFIXES)} in {where}",
            actual=named(f"{entry.path} ({_who_and_when(entry)})" for entry in scripts),
            remedy=f"take it away: {seen.removal(scripts[0].path)}; or have it approved, then run: {seen.seal}",
        )
    if others:
        yield warned(
            f"{counted(len(others), 'file')} on the server that nobody sealed",
            expected=f"nothing but the sealed files in {where}",
            actual=named(f"{entry.path} ({_who_and_when(entry)})" for entry in others),
            remedy=f"take them away from {where}, or seal them with the scripts",
        )
    empty = [name for name, entry in seen.staged.items() if is_script(name) and not entry.size_bytes]
    if empty:
        yield failed(
            f"{counted(len(empty), 'script')} on the server without content",
            expected="every script holds at least one statement",
            actual=f"0 bytes: {named(empty)}",
            remedy="fill or remove the empty script in the approved folder, then seal and stage again",
        )


def _hidden(seen: Comparison, summary: str, complaint: str) -> Judgement:
    """From the login, which looked because sudo gives it no shell of the account."""
    expected = f"the sealed scripts in {seen.scripts.staged} on {seen.host.id}, readable for {seen.account}"
    return no_shell(seen.host, seen.account, summary, expected=expected, actual=complaint)


def _unread(seen: Comparison) -> Judgement:
    tree, names = seen.staged_tree, seen.unread
    if seen.looked_as_login:
        return _hidden(
            seen, f"{counted(len(names), 'sealed file')} on the server that {tree.account} cannot read", named(names)
        )
    return (failed if seen.is_refused else unknown)(
        f"{counted(len(names), 'sealed file')} on the server that {tree.account} cannot read",
        expected=f"readable for {seen.account}, who runs the scripts",
        actual=named(names),
        remedy=f"on {seen.host.id}: chmod a+r -- {seen.remote(names[0])}",
    )


def _rights(seen: Comparison) -> Iterator[Judgement]:
    """What others could do to the staged folder before the window."""
    tree, where = seen.staged_tree, f"{seen.scripts.staged} on {seen.host.id}"
    odd = [entry for entry in tree.entries if entry.kind in (EntryKind.SYMLINK, EntryKind.OTHER)]
    if odd:
        yield failed(
            f"{counted(len(odd), 'link or special file', 'links or special files')} on the server",
            expected=f"only regular files and folders in {where}",
            actual=named(f"{e.path} -> {e.link_target}" if e.link_target else f"{e.path} (special)" for e in odd),
            remedy=f"put the file itself in the link's place: rm -- {seen.remote(odd[0].path)}, then stage it again",
        )
    solid = [entry for entry in tree.entries if entry.kind in (EntryKind.FILE, EntryKind.FOLDER)]
    by_anybody = [entry.path for entry in solid if entry.mode & _WORLD]
    by_anybody += [path for path, mode, _ in tree.parents if mode & _WORLD and not mode & _STICKY]
    if by_anybody:
        yield failed(
            "everybody on the server may change the staged scripts",
            expected=f"nothing in {where} or above it writable for others",
            actual=f"mode o+w: {named(by_anybody)}",
            remedy=f"on {seen.host.id}: chmod o-w -- {seen.remote(by_anybody[0])}"
            + (", and the others" if by_anybody[1:] else ""),
        )
    by_group = [entry.path for entry in solid if entry.mode & _GROUP and not entry.mode & _WORLD]
    if by_group:
        yield warned(
            "a whole group on the server may change the staged scripts",
            expected=f"nothing in {where} writable for its group",
            actual=f"mode g+w: {named(by_group)}",
            remedy=f"on {seen.host.id}: chmod -R g-w -- {shlex.quote(seen.scripts.staged)}",
        )


def _who_and_when(entry: StagedEntry) -> str:
    when = "at an unknown time" if entry.modified_at is None else f"{entry.modified_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"owner {visible(entry.owner)}, modified {when}"
