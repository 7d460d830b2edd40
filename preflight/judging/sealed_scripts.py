"""Which sealed scripts run, in which order, and what takes each of them back. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from preflight.judging.manifest import ManifestError, parse_manifest
from preflight.judging.psql_script import find_inputs, scan_script
from preflight.plan import Plan, Scripts
from preflight.plan.command_lines import ScriptOrder
from preflight.questions.files import SCRIPT_SUFFIXES, TARGET, LocalFile, LocalText, LocalTexts, Texts
from preflight.wording import beside, listed, visible

MOST_NAMED = 8
"""Of one kind; more are counted."""
_TAKES_BACK = re.compile(r"(?:^|[/._-])(?:undo|down|revert|rollback|back_?out|way_?back)(?:[/._-]|$)", re.IGNORECASE)
"""How scripts that take others back are named, where no pattern says which those are."""
_UP = ".up"


@dataclass(frozen=True, slots=True)
class Pair:
    """A script and its way back, as paths relative to the folder."""

    forward: str
    back: str
    """Where it is, or where it should be."""
    present: bool


@dataclass(frozen=True, slots=True)
class SealedScripts:
    """Paths are relative to the staged folder."""

    names: tuple[str, ...] = ()
    """Everything sealed, in the manifest's order."""
    own: tuple[Pair, ...] = ()
    """The scripts that run when the plan lists none, in the manifest's order, with their ways back."""
    listed: tuple[Pair, ...] = ()
    """The scripts that the plan lists, with their ways back."""
    backward: tuple[str, ...] = ()
    """Ways back of other scripts."""
    unread: tuple[str, ...] = ()
    """Scripts whose text was not read: what they include is not known."""
    goes_on: tuple[str, ...] = ()
    """Places in sealed scripts from which on psql goes on after an error: `010.sql line 3: \\set ON_ERROR_STOP off`."""
    problem: str = ""
    """Why nothing of this is known."""

    @property
    def running(self) -> tuple[Pair, ...]:
        return self.listed or self.own

    @property
    def wanted(self) -> tuple[str, ...]:
        """What a list of the plan must not leave out."""
        return tuple(pair.forward for pair in self.own if not _TAKES_BACK.search(pair.forward))

    @property
    def doubtful(self) -> tuple[str, ...]:
        """What runs only because the plan lists nothing, and is named like a script that takes another one back."""
        return () if self.listed else tuple(pair.forward for pair in self.own if _TAKES_BACK.search(pair.forward))

    @property
    def order(self) -> ScriptOrder:
        forward = tuple(pair.forward for pair in self.running)
        back = tuple(pair.back for pair in self.running if pair.present and pair.back != pair.forward)
        return ScriptOrder(forward, back, self.problem)


def sealing_probes(plan: Plan, entry: Scripts) -> tuple[LocalFile, LocalTexts]:
    """What tells the sealed scripts: the manifest, and the texts of the approved folder."""
    return LocalFile(TARGET, beside(plan.folder, entry.manifest)), LocalTexts(
        TARGET, beside(plan.folder, entry.approved)
    )


def sealed_scripts(entry: Scripts, manifest: LocalText, texts: Texts) -> SealedScripts:
    """From the manifest and the texts of the approved scripts."""
    problem = manifest.problem
    try:
        names = tuple(parse_manifest(manifest.text)) if not problem else ()
    except ManifestError as error:
        problem, names = str(error), ()
    if problem or not names:
        return SealedScripts(problem=problem or "the manifest lists no file")
    known = {name: texts.texts[name] for name in names if name in texts.texts}
    own = pairs(entry.way_back, (), entry.staged, names, known)
    listed = pairs(entry.way_back, entry.files, entry.staged, names, known) if entry.files else ()
    backs = (pair.back for pair in (*own, *listed) if pair.present and pair.back != pair.forward)
    return SealedScripts(
        names,
        own,
        listed,
        tuple(dict.fromkeys(backs)) if entry.way_back else (),
        tuple(name for name in names if name.lower().endswith(SCRIPT_SUFFIXES) and name not in known),
        _goes_on(known),
    )


def pairs(
    pattern: str, files: Sequence[str], staged: str, names: Collection[str], texts: Mapping[str, str]
) -> tuple[Pair, ...]:
    """The forward scripts with their way back.

    `files`: the scripts that the plan lists; `names`: the files of the folder; `texts`: of its scripts, by path. Where
    the plan lists none, all run that neither take another one back nor are included by one, in the order of `names`."""
    if not files:
        scripts = [name for name in names if name.lower().endswith(SCRIPT_SUFFIXES)]
        backs = {place for name in scripts for place in _places(pattern, name) if place != name}
        included = {found.path for found in find_inputs(staged, texts).inputs if found.executed}
        files = [name for name in scripts if name not in backs | included]
    return tuple(_pair(pattern, name, names) for name in files)


def _pair(pattern: str, name: str, names: Collection[str]) -> Pair:
    places = _places(pattern, name)
    found = next((place for place in places if place in names), None)
    return Pair(name, found or places[0], found is not None)


@lru_cache(5000)
def _places(pattern: str, name: str) -> tuple[str, ...]:
    """Where the pattern may mean: from the top of the folder, or from the script's own folder."""
    folder, base = posixpath.split(name)
    stem = posixpath.splitext(base)[0].removesuffix(_UP)
    written = pattern.replace("{stem}", stem).replace("{name}", base)
    return tuple(dict.fromkeys(posixpath.normpath(posixpath.join(top, written)) for top in ("", folder)))


def _goes_on(texts: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        f"{name} line {line}: {written}" for name, text in texts.items() for line, written in scan_script(text).goes_on
    )


def named(names: Iterable[str]) -> str:
    """Names of scripts, which may hold anything, the first of them. A line break is no blank in a name."""
    return listed((visible(name.replace("\n", "\\n")) for name in names), MOST_NAMED)
