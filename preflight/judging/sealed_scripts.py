"""Which sealed scripts run, in which order, and what takes each of them back. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from preflight.judging.psql_script import Deviation, included_scripts, scan_script, unread_scripts
from preflight.plan import Scripts
from preflight.plan.command_lines import Pair, ScriptOrder, pairs
from preflight.questions.files import Texts

_TAKES_BACK = re.compile(r"(?:^|[/._-])(?:undo|down|revert|rollback|back_?out|way_?back)(?:[/._-]|$)", re.IGNORECASE)
"""How scripts that take others back are named, where no pattern says which those are."""


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


def sealed_scripts(entry: Scripts, sealed: Collection[str], problem: str, texts: Texts) -> SealedScripts:
    """Of what the manifest lists, in its order, or why that is not known; `texts`: of the approved scripts."""
    if problem:
        return SealedScripts(problem=problem)
    names = tuple(sealed)
    known = {name: texts.texts[name] for name in names if name in texts.texts}
    included = included_scripts(entry.staged, known)
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
    )
