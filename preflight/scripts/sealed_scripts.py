"""Which sealed scripts a run line has to run, and which it must not. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from preflight.scripts.line_trial import Trial
from preflight.scripts.manifest import ManifestError, parse_manifest
from preflight.scripts.psql_call import PsqlCall
from preflight.scripts.psql_script import scan_script
from preflight.scripts.way_back import pairs

_SUFFIXES = (".sql", ".psql")
_NO_FORWARD = re.compile(r"(?:^|[/._-])(?:undo|down|revert|rollback|back_?out|way_?back)(?:[/._-]|$)", re.IGNORECASE)
"""How scripts that take others back are named, where no pattern says which those are."""


@dataclass(frozen=True, slots=True)
class SealedScripts:
    """Paths are relative to the staged folder."""

    folder: str
    """The staged folder."""
    names: tuple[str, ...] = ()
    """Everything sealed, in the manifest's order."""
    forward: tuple[str, ...] = ()
    """What a run line has to name: no script includes it, and it takes none back."""
    backward: tuple[str, ...] = ()
    """Ways back of other scripts."""
    unread: tuple[str, ...] = ()
    """Scripts whose text was not read: what they include is not known."""
    problem: str = ""
    """Why nothing of this is known."""

    def relative(self, path: str, working_folder: str) -> str:
        """A path as the manifest would list it; absolute where it lies outside."""
        full, top = posixpath.normpath(posixpath.join(working_folder, path)), posixpath.normpath(self.folder)
        return full.removeprefix(f"{top}/")

    def run_by(self, call: PsqlCall) -> tuple[str, ...]:
        """The scripts that one call of psql, as tried on paper, runs; `UNKNOWN` stands in what nobody can tell."""
        if call.only_tells or call.unreadable:
            return ()
        included = [each.path for text in call.commands for each in scan_script(text).includes if each.executed]
        return tuple(self.relative(file, call.folder) for file in (*call.files, *included))


def sealed_scripts(
    manifest: str, problem: str, texts: Mapping[str, str], *, folder: str, way_back: str
) -> SealedScripts:
    """From the manifest's text (or why there is none), and the texts of the approved scripts by path."""
    try:
        names = tuple(parse_manifest(manifest)) if not problem else ()
    except ManifestError as error:
        problem = str(error)
    if problem or not names:
        return SealedScripts(folder, problem=problem or "the manifest lists no file")
    found = pairs(way_back, "", folder, names, {name: text for name, text in texts.items() if name in names})
    backward = tuple(pair.back for pair in found if way_back and pair.present and pair.back != pair.forward)
    forward = tuple(pair.forward for pair in found if not _NO_FORWARD.search(pair.forward))
    unread = tuple(name for name in names if name.lower().endswith(_SUFFIXES) and name not in texts)
    return SealedScripts(folder, names, forward, backward, unread)


def runs(trial: Trial, sealed: SealedScripts) -> Sequence[str]:
    """Every script of a way through the line, in its order."""
    return [name for call in trial.calls for name in sealed.run_by(call)]
