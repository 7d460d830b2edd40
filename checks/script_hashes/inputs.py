"""What runs, and what it makes psql read besides: everything must be sealed. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.finding import Judgement, failed, warned
from preflight.judging.psql_inputs import Input, find_inputs
from preflight.judging.sealed_scripts import MOST_NAMED
from preflight.questions.files import SCRIPT_SUFFIXES
from preflight.wording import counted, listed

from .seen import SeenScripts
from .text_diff import visible

_MOST_POINTS = 10
_ALL_SEALED = "all that runs is fixed by the manifest"


def judge_inputs(seen: SeenScripts, *, strict: bool) -> Iterator[Judgement]:
    """The scripts that the plan lists, and what all of them make psql read besides."""
    yield from _unsealed_files(seen)
    found = find_inputs(seen.scripts.staged, seen.texts.texts)
    not_sealable = failed if strict else warned
    bad = [each for each in found.inputs if each.outside or each.path not in seen.files.wanted]
    for each in bad[:_MOST_POINTS]:
        yield _unsealed_input(seen, each)
    run = {name for name in seen.files.wanted if name.lower().endswith(SCRIPT_SUFFIXES)}
    run |= {each.path for each in found.inputs if each.executed and each.path in seen.files.wanted}
    unread = dict.fromkeys(sorted(run - set(seen.texts.texts)), "its text was not read") | dict(seen.texts.unread)
    if unread:
        yield not_sealable(
            f"{counted(len(unread), 'script')} in which includes were not looked for",
            expected=_ALL_SEALED,
            actual="; ".join(f"{visible(name)}: {why}" for name, why in list(unread.items())[:MOST_NAMED]),
            remedy="see by hand what they include; smaller scripts whose names end in .sql are followed",
        )
    places = [f"{visible(each.named_in)}: {visible(each.written)} {each.reason}" for each in found.open_places]
    if places:
        yield not_sealable(
            f"{counted(len(places), 'command')} in the scripts whose effect cannot be sealed",
            expected=_ALL_SEALED,
            actual=listed(places, MOST_NAMED, "; "),
            remedy="write out what is to run in a script of its own, and seal that",
        )


def _unsealed_files(seen: SeenScripts) -> Iterator[Judgement]:
    unsealed = [name for name in seen.scripts.files if name not in seen.files.wanted]
    if unsealed:
        yield failed(
            f"{counted(len(unsealed), 'listed script')} not sealed: {listed(unsealed, MOST_NAMED)}",
            expected=f"`files` of [scripts.{seen.scripts.id}] names what the manifest lists",
            actual="the manifest does not list it",
            remedy=f"correct `files` of [scripts.{seen.scripts.id}], or put it into {seen.approved_folder} and run: "
            f"{seen.seal}",
        )


def _unsealed_input(seen: SeenScripts, each: Input) -> Judgement:
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
