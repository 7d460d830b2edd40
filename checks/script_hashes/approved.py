"""The approved scripts against their manifest. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.finding import Judgement, failed, unknown
from preflight.judging.sealed_scripts import named
from preflight.questions.files import EntryKind

from .seen import SeenScripts
from .text_diff import visible


def judge_approved(seen: SeenScripts) -> Iterator[Judgement]:
    yield from _sealed(seen)
    yield from _approved(seen)


def _sealed(seen: SeenScripts) -> Iterator[Judgement]:
    if seen.manifest_problem:
        manifest = seen.manifest
        missing = seen.manifest_problem == "no such file" or seen.manifest_problem.endswith(": no such file")
        yield failed(
            "the scripts are not sealed" if missing else "the manifest cannot be relied on",
            expected=f"{manifest} with the SHA-256 of every approved script",
            actual=visible(seen.manifest_problem),
            remedy=f"once the scripts in {seen.approved_folder} are approved, run: {seen.seal}",
        )


def _approved(seen: SeenScripts) -> Iterator[Judgement]:
    """The approved folder against the manifest."""
    folder, tree, files = seen.approved_folder, seen.files.approved_tree, seen.files
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
    if files.sealed:
        yield from _changed_after_sealing(seen, folder)


def _changed_after_sealing(seen: SeenScripts, folder: str) -> Iterator[Judgement]:
    sealed, approved = seen.files.sealed, seen.files.approved
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
