"""The approved scripts against their manifest: they are as they were sealed, and sealed is everything that runs, and
what it makes psql read besides. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.finding import Judgement, failed, unknown, warned
from preflight.judging.psql_script import CURE_UNREAD, Input, find_inputs, scan_script, unread_scripts
from preflight.questions.files import EntryKind
from preflight.wording import MOST_NAMED, beside, counted, listed, named

from .comparison import Comparison, visible

_MOST_POINTS = 10
_ALL_SEALED = "all that runs is fixed by the manifest"


def judge_approved(seen: Comparison) -> Iterator[Judgement]:
    yield from _sealed(seen)
    yield from _approved(seen)


def _sealed(seen: Comparison) -> Iterator[Judgement]:
    if seen.problem:
        manifest = beside(seen.plan.folder, seen.scripts.manifest)
        missing = seen.problem == "no such file" or seen.problem.endswith(": no such file")
        yield failed(
            "the scripts are not sealed" if missing else "the manifest cannot be relied on",
            expected=f"{manifest} with the SHA-256 of every approved script",
            actual=visible(seen.problem),
            remedy=f"once the scripts in {seen.approved_folder} are approved, run: {seen.seal}",
        )


def _approved(seen: Comparison) -> Iterator[Judgement]:
    """The approved folder against the manifest."""
    folder, tree = seen.approved_folder, seen.approved_tree
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
            actual=named(f"{entry.path} ({entry.error})" for entry in tree.unread),
            remedy=f"make everything in {folder} readable, then run again",
        )
    unusual = [entry.path for entry in tree.entries if entry.kind in (EntryKind.SYMLINK, EntryKind.OTHER)]
    if unusual:
        yield failed(
            "the approved folder holds links or special files",
            expected="regular files only, because a link's target is not sealed",
            actual=named(unusual),
            remedy=f"replace them by the files themselves in {folder}, then run: {seen.seal}",
        )
    if seen.sealed:
        yield from _changed_after_sealing(seen, folder)


def _changed_after_sealing(seen: Comparison, folder: str) -> Iterator[Judgement]:
    sealed, approved = seen.sealed, seen.approved
    kinds = {
        "changed": [name for name in sealed if approved.get(name, sealed[name]) not in ("", sealed[name])],
        "gone": [name for name in sealed if name not in approved],
        "added": [name for name in approved if name not in sealed],
    }
    said = [f"{kind}: {named(names)}" for kind, names in kinds.items() if names]
    if said:
        yield failed(
            "the approved folder was changed after sealing",
            expected=f"{folder} as it was sealed",
            actual="; ".join(said),
            remedy=f"take the change back in {folder}; or review and rehearse it, then run: {seen.seal}",
        )


def judge_inputs(seen: Comparison, *, strict: bool) -> Iterator[Judgement]:
    """The scripts that the plan lists, and what all of them make psql read besides."""
    yield from _unsealed_files(seen)
    not_sealable = failed if strict else warned
    found = find_inputs(seen.scripts.staged, seen.texts.texts)
    bad = [each for each in found if each.outside or each.path not in seen.wanted]
    for each in bad[:_MOST_POINTS]:
        yield _unsealed_input(seen, each)
    unread = unread_scripts(seen.scripts, seen.wanted, seen.texts)
    if unread:
        yield unknown(
            f"{counted(len(unread), 'script')} in which includes were not looked for",
            expected=_ALL_SEALED,
            actual="; ".join(f"{visible(name)}: {why}" for name, why in list(unread.items())[:MOST_NAMED]),
            remedy=CURE_UNREAD,
        )
    places = [
        f"{visible(f'{name} line {place.line}')}: {visible(place.text)} {place.reason}"
        for name, text in seen.texts.texts.items()
        for place in scan_script(text).unsealable
    ]
    if places:
        yield not_sealable(
            f"{counted(len(places), 'command')} in the scripts whose effect cannot be sealed",
            expected=_ALL_SEALED,
            actual=listed(places, MOST_NAMED, "; "),
            remedy="write out what is to run in a script of its own, and seal that",
        )


def _unsealed_files(seen: Comparison) -> Iterator[Judgement]:
    unsealed = [name for name in seen.scripts.files if name not in seen.wanted]
    if unsealed:
        yield failed(
            f"{counted(len(unsealed), 'listed script')} not sealed: {listed(unsealed, MOST_NAMED)}",
            expected=f"`files` of [scripts.{seen.scripts.id}] names what the manifest lists",
            actual="the manifest does not list it",
            remedy=f"correct `files` of [scripts.{seen.scripts.id}], or put it into {seen.approved_folder} and run: "
            f"{seen.seal}",
        )


def _unsealed_input(seen: Comparison, each: Input) -> Judgement:
    where = f"{visible(each.named_in)}: {visible(each.written)}"
    folder = seen.approved_folder
    if each.outside:
        return failed(
            f"{where} leaves the staged folder",
            expected=f"only files below {seen.scripts.staged}, which psql is started in",
            actual=visible(each.path),
            remedy=f"put the file into {folder}, name it relative to that folder, then run: {seen.seal}",
        )
    return failed(
        f"{where} is not sealed",
        expected=f"{visible(each.path)} in the manifest (\\i is relative to the folder psql starts in, \\ir to the "
        "script)",
        actual="the manifest does not list it",
        remedy=f"correct the path, or put {visible(each.path)} into {folder} and run: {seen.seal}",
    )
