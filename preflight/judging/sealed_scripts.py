"""Sealed scripts: which of them run, in which order, and what takes each of them back."""

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from preflight.finding import Judgement, failed
from preflight.judging import psql_script
from preflight.judging.psql_script import TAKES_BACK, WHY_UNREAD, Place, Scan, included_scripts, scan_script
from preflight.plan import Plan, Scripts
from preflight.plan.command_lines import Pair, ScriptOrder, pairs
from preflight.plan.release_plan import grouped
from preflight.plan.values import SCRIPT_SUFFIXES
from preflight.questions.files import LocalFile, LocalText, LocalTexts, Texts, read_manifest
from preflight.questions.local import TARGET
from preflight.wording import beside

_NUMBER = re.compile(r"[Vv]?(\d+(?:\.\d+)*)(?![A-Za-z0-9])")


def sealing_probes(plan: Plan, entry: Scripts) -> tuple[LocalFile, LocalTexts]:
    """What tells the sealed scripts: the manifest, and the texts of the approved folder."""
    manifest, approved = (beside(plan.folder, each) for each in (entry.manifest, entry.approved))
    return LocalFile(TARGET, manifest), LocalTexts(TARGET, approved)


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
    unread: Mapping[str, str] = field(default_factory=dict)
    """Scripts whose text was not read, and why: what they do and include is not known."""
    deviations: tuple[tuple[str, Place], ...] = ()
    """The script, and a place in it from which on psql does not do what the command line asks, or may not."""
    scans: Mapping[str, Scan] = field(default_factory=dict)
    """What each script holds that runs forward, by itself or through another one, as far as it was read."""
    below: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """What each of these makes psql run, and what that makes it run."""
    included: frozenset[str] = frozenset()
    """What runs through another script that goes forward, whatever `\\if` decides."""
    perhaps: frozenset[str] = frozenset()
    """Scripts that run by themselves as far as is known, though a way back, or some `\\if`, includes them."""
    problem: str = ""
    """Why nothing of this is known."""

    @property
    def running(self) -> tuple[Pair, ...]:
        return self.listed or self.own

    @property
    def wanted(self) -> tuple[str, ...]:
        """What a list of the plan must not leave out."""
        return tuple(pair.forward for pair in self.own if not TAKES_BACK.search(pair.forward))

    def users_of(self, variables: Collection[str]) -> frozenset[str]:
        """Of the scripts that run forward, those that use one of these psql variables, or may; also through others."""
        if not variables:
            return frozenset()
        using = {name for name, scan in self.scans.items() if not scan.used.isdisjoint(variables)}
        using.update(self.unread)
        return frozenset(name for name, below in self.below.items() if name in using or not using.isdisjoint(below))

    @property
    def passed_over(self) -> tuple[str, ...]:
        """Nobody's ways back that are named like one, where others are declared; a folder that is named so, such as
        `undo`, says that what lies in it is not to run."""
        own = (pair.forward for pair in self.own if self.backward)
        named_so = (name for name in own if TAKES_BACK.search(name))
        return tuple(name for name in named_so if not TAKES_BACK.search(f"{posixpath.dirname(name)}/"))

    @property
    def doubtful(self) -> tuple[str, ...]:
        """What runs only as the plan lists nothing, and is named like a way back, or included by what may not run."""
        own = () if self.listed else tuple(pair.forward for pair in self.own)
        return tuple(name for name in own if name in self.perhaps or TAKES_BACK.search(name))

    @property
    def order(self) -> ScriptOrder:
        forward = tuple(pair.forward for pair in self.running)
        back = tuple(pair.back for pair in self.running if pair.present and pair.back != pair.forward)
        return ScriptOrder(forward, back, self.problem)


def included_below(
    folder: str, texts: Mapping[str, str], names: Iterable[str], *, surely: bool = False
) -> frozenset[str]:
    """What the scripts `names` make psql run, and what that makes it run; else as `included_scripts`."""
    found, new = frozenset[str](), frozenset(names)
    while new:
        new = included_scripts(folder, {name: texts[name] for name in new if name in texts}, surely=surely) - found
        found |= new
    return found


def unread_scripts(entry: Scripts, names: Collection[str], texts: Texts) -> Mapping[str, str]:
    """Of the sealed `names`: what psql runs although its text was not read, and why it was not."""
    run = {*entry.files, *included_scripts(entry.staged, texts.texts)}
    run |= {name for name in names if name.lower().endswith(SCRIPT_SUFFIXES)}
    return {name: texts.unread.get(name, WHY_UNREAD) for name in names if name in run and name not in texts.texts}


def approved_unread(plan: Plan, entry: Scripts, problem: str) -> Judgement:
    """The folder of the approved scripts could not be read."""
    folder = beside(plan.folder, entry.approved)
    summary, expected = "the approved folder cannot be read", f"the approved scripts in {folder}"
    remedy = f"check out {folder} beside the plan, or correct `approved` of [scripts.{entry.id}]"
    return failed(summary, expected=expected, actual=problem, remedy=remedy)


def by_number(names: Sequence[str]) -> list[str]:
    """`names` with those of each folder that begin with a number (`010_`, `V2.1__`) in the order of their numbers."""
    numbered = grouped((name for name in names if number_of(name)), posixpath.dirname)
    places = {folder: iter(sorted(found, key=number_of)) for folder, found in numbered.items()}
    return [next(places[posixpath.dirname(name)]) if number_of(name) else name for name in names]


def number_of(name: str) -> list[int]:
    """The number with which a script's name begins; empty without one."""
    found = _NUMBER.match(posixpath.basename(name))
    return [int(part) for part in found[1].split(".")] if found else []


def sealed_scripts(entry: Scripts, sealed: Collection[str], problem: str, texts: Texts) -> SealedScripts:
    """Of what the manifest lists, in its order, or why that is not known; `texts`: of the approved scripts."""
    if problem:
        return SealedScripts(problem=problem)
    names = tuple(sealed)
    known = {name: texts.texts[name] for name in names if name in texts.texts}
    included = psql_script.included_in_forward(entry, names, known)
    own = pairs(entry.way_back, (), names, included)
    listed = pairs(entry.way_back, entry.files, names, included) if entry.files else ()
    backs = [pair.back for pair in (*own, *listed) if pair.present and pair.back != pair.forward]
    forward = [pair.forward for pair in listed or own]
    going = {*forward, *included_below(entry.staged, known, forward)}
    return SealedScripts(
        names,
        own,
        listed,
        tuple(dict.fromkeys(backs)) if entry.way_back else (),
        unread_scripts(entry, names, texts),
        tuple(_deviations(entry, known)),
        {name: scan_script(text) for name, text in known.items() if name in going},
        {name: included_below(entry.staged, known, [name]) for name in going},
        included_below(entry.staged, known, forward, surely=True),
        included_scripts(entry.staged, known) - included,
    )


def _deviations(entry: Scripts, texts: Mapping[str, str]) -> Iterator[tuple[str, Place]]:
    for name, text in texts.items():
        yield from ((name, each) for each in scan_script(text).deviations)
        for each in psql_script.find_inputs(entry.staged, {name: text}):
            if each.executed and name in {each.found, *included_below(entry.staged, texts, [each.found], surely=True)}:
                reason = "includes this script again, without end"
                yield name, Place(each.line, str(each), reason, certain=not each.conditional)


def sealed_order(entry: Scripts, manifest: LocalText, texts: Texts) -> ScriptOrder:
    return sealed_scripts(entry, *read_manifest(manifest), texts).order
