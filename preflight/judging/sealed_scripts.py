"""Which sealed scripts run, in which order, and what takes each of them back. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from preflight.judging.psql_script import (
    TAKES_BACK,
    Deviation,
    included_in_forward,
    included_scripts,
    scan_script,
    unread_scripts,
)
from preflight.plan import Scripts
from preflight.plan.command_lines import Pair, ScriptOrder, pairs
from preflight.questions.files import Texts


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
    deviations: tuple[tuple[str, Deviation], ...] = ()
    """The script, and a place in it from which on psql does not do what the command line asks, or may not."""
    transactions: tuple[tuple[str, Deviation], ...] = ()
    """The script, and a statement in it that begins or ends a transaction."""
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

    @property
    def doubtful(self) -> tuple[str, ...]:
        """What runs only because the plan lists nothing, and is named like a script that takes another one back, or is
        included by what may not run."""
        own = () if self.listed else tuple(pair.forward for pair in self.own)
        return tuple(name for name in own if name in self.perhaps or TAKES_BACK.search(name))

    @property
    def order(self) -> ScriptOrder:
        forward = tuple(pair.forward for pair in self.running)
        back = tuple(pair.back for pair in self.running if pair.present and pair.back != pair.forward)
        return ScriptOrder(forward, back, self.problem)


def sealed_scripts(entry: Scripts, sealed: Collection[str], problem: str, texts: Texts) -> SealedScripts:
    """Of what the manifest lists, in its order, or why that is not known; `texts`: of the approved scripts."""
    if problem:
        return SealedScripts(problem=problem)
    names = tuple(sealed)
    known = {name: texts.texts[name] for name in names if name in texts.texts}
    included = included_in_forward(entry, names, known)
    own = pairs(entry.way_back, (), names, included)
    listed = pairs(entry.way_back, entry.files, names, included) if entry.files else ()
    backs = (pair.back for pair in (*own, *listed) if pair.present and pair.back != pair.forward)
    return SealedScripts(
        names,
        own,
        listed,
        tuple(dict.fromkeys(backs)) if entry.way_back else (),
        unread_scripts(entry, names, texts),
        tuple((name, each) for name, text in known.items() for each in scan_script(text).deviations),
        tuple((name, each) for name, text in known.items() for each in scan_script(text).transactions),
        included_scripts(entry.staged, known) - included,
    )
