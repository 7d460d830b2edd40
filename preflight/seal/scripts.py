"""Sealing scripts: writes down the hashes of approved scripts, which every later run compares with."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from preflight.clock import Deadline
from preflight.judging.sealed_scripts import ManifestError, format_manifest, name_problem, parse_manifest
from preflight.plan import Plan, Scripts
from preflight.questions.files import EntryKind
from preflight.seal import SealError, write_sealed
from preflight.sessions.local.files import Problem, TooMuchToRead, list_tree
from preflight.wording import counted, listed, visible

_READ_SECONDS = 60.0
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class SealedManifest:
    """One manifest, and how it differs from the one before."""

    scripts: Scripts
    files: Mapping[str, str]
    """SHA-256 by path relative to the approved folder."""
    text: str
    """The manifest's own."""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()
    previous: str = ""
    """What was there before: `new`, `replaced, it could not be read: ...`; empty for a manifest."""

    @property
    def changed(self) -> bool:
        return bool(self.previous or self.added or self.removed or self.modified)


def seal_scripts(plan: Plan) -> list[SealedManifest]:
    """Writes the manifest of every [scripts] entry, in the plan's order; an unchanged one is left alone.

    Raises SealError with everything that is in the way; then nothing was written, unless the last line says so."""
    sealed: list[SealedManifest] = []
    problems: list[str] = []
    for scripts in plan.scripts.values():
        try:
            sealed.append(_seal(scripts))
        except (SealError, ManifestError) as error:
            problems += [f"{scripts.id}: {line}" for line in str(error).splitlines()]
    problems += _shared(plan)
    if problems:
        raise SealError("\n".join(problems))
    for manifest in sealed:
        if manifest.changed:
            write_sealed(manifest.scripts.manifest, manifest.text)
    return sealed


def describe(manifest: SealedManifest) -> str:
    """For people: what was sealed, what is new in it, and how anybody can check it."""
    scripts = manifest.scripts
    what = f"{scripts.id}: {counted(len(manifest.files), 'file')} in {_shown(scripts.manifest)}"
    lines = [f"{what} ({manifest.previous or ('changed' if manifest.changed else 'unchanged')})"]
    for word, names in (("added", manifest.added), ("removed", manifest.removed), ("modified", manifest.modified)):
        if names and not manifest.previous:
            lines.append(f"  {word:<9} {listed(map(visible, names), _MOST_NAMED)}")
    there = os.path.relpath(scripts.manifest.resolve(), scripts.approved.resolve())
    lines.append(f"  check     cd {shlex.quote(str(scripts.approved))} && sha256sum --strict -c {shlex.quote(there)}")
    return "\n".join(lines)


def _seal(scripts: Scripts) -> SealedManifest:
    files = _hashes(scripts)
    before, previous = _before(scripts.manifest)
    return SealedManifest(
        scripts=scripts,
        files=files,
        text=format_manifest(files),
        added=tuple(sorted(set(files) - set(before))),
        removed=tuple(sorted(set(before) - set(files))),
        modified=tuple(sorted(name for name in files if before.get(name, files[name]) != files[name])),
        previous=previous,
    )


def _hashes(scripts: Scripts) -> Mapping[str, str]:
    """SHA-256 by path of everything in the approved folder but the manifest itself. Raises SealError."""
    folder = scripts.approved
    try:
        entries = list_tree(folder, Deadline(_READ_SECONDS))
    except (Problem, TooMuchToRead, TimeoutError) as error:
        raise SealError(f"{_shown(folder)}: {error}") from None
    except OSError as error:
        raise SealError(f"{_shown(folder)}: {error.strerror or error}") from None
    inside = scripts.manifest.is_relative_to(folder)
    own_name = scripts.manifest.relative_to(folder).as_posix() if inside else None
    hashes: dict[str, str] = {}
    problems = []
    for entry in entries:
        name, kind = entry["path"], entry["kind"]
        if name == own_name and kind == EntryKind.FILE:
            continue
        problem = entry["error"] or name_problem(name) or _kind_problem(kind)
        if problem:
            problems.append(f"{_shown(folder / name)}: {problem}")
        elif kind == EntryKind.FILE:
            hashes[name] = entry["sha256"]
    if not hashes and not problems:
        problems.append(f"{_shown(folder)}: holds no file to seal")
    if problems:
        raise SealError("\n".join(problems))
    return hashes


def _kind_problem(kind: str) -> str:
    if kind == EntryKind.SYMLINK:
        return "a symbolic link cannot be sealed; put the file itself there"
    return "a special file cannot be sealed" if kind == EntryKind.OTHER else ""


def _before(path: Path) -> tuple[Mapping[str, str], str]:
    """(what the manifest there lists, what is to be said of it). Raises SealError."""
    try:
        return parse_manifest(path.read_text(encoding="utf-8")), ""
    except FileNotFoundError:
        return {}, "new"
    except (ManifestError, UnicodeDecodeError) as error:
        return {}, f"replaced, it could not be read: {visible(str(error))}"
    except OSError as error:
        raise SealError(f"{_shown(path)}: {error.strerror or error}") from None


def _shared(plan: Plan) -> list[str]:
    """Entries whose manifests would overwrite each other."""
    first: dict[Path, Scripts] = {}
    problems = []
    for scripts in plan.scripts.values():
        other = first.setdefault(scripts.manifest, scripts)
        if other.approved != scripts.approved:
            problems.append(f"{scripts.id}: {_shown(scripts.manifest)} is the manifest of {other.id} too")
    return problems


def _shown(path: Path) -> str:
    return visible(str(path))
