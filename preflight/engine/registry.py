"""Finds the checks: built in (a scan of `preflight_checks`), installed (entry points) and the plan's own folder.

A source that does not load is remembered by name and becomes an UNKNOWN line in every report; it never silences the
checks beside it."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from preflight.check import Check, Expect
from preflight.engine.cut_off import code_of_checks
from preflight.errors import CRASHES, PreflightError
from preflight.finding import Severity
from preflight.plan import Plan

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "preflight.checks"
BUILT_IN = "preflight_checks"
_PACKAGE = "__init__.py"
_WRITTEN_SECTIONS = re.compile(r"""^    sections = \(([^)\n]*)\)$""", re.MULTILINE)
_WRITTEN_ID = re.compile(r"""^[ \t]+id\b[^=\n]*=[ \t]*["']([\w.-]+)["']""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class BrokenSource:
    """A plug-in that could not be loaded, or that offers an id somebody else has."""

    name: str
    problem: str
    offers: tuple[str, ...] = ()
    """Ids of the checks it seems to hold, from its name and its text: the plan may have settings for them."""

    def __str__(self) -> str:
        return f"{self.name} cannot be loaded: {self.problem}"


@dataclass(frozen=True, slots=True)
class Registry:
    checks: tuple[type[Check], ...]
    """Sorted by id; ids are unique."""
    broken: tuple[BrokenSource, ...] = ()
    unused: tuple[str, ...] = ()
    """Ids of built-in checks for which the plan has nothing; they were not loaded."""

    @property
    def ids(self) -> list[str]:
        """Of all checks that work, loaded or not."""
        return sorted([*(check.id for check in self.checks), *self.unused])

    def verifying(self, expect: Expect) -> Registry:
        """Just the checks that tell whether the systems are in that state."""
        return replace(self, checks=tuple(check for check in self.checks if expect in check.verifies))

    def settings(self) -> dict[str, type | None]:
        """Check id -> its settings; None for a check that is not loaded."""
        others = [check_id for source in self.broken for check_id in source.offers]
        return dict.fromkeys([*others, *self.unused]) | {check.id: check.Settings for check in self.checks}


class NoChecksError(PreflightError):
    """Not one built-in check was found: the tool is not installed but run from a bare folder."""


def find_checks(plan_folder: Path | None = None, plan: Plan | None = None) -> Registry:
    """All checks there are, those of the plan's own folder too; with `plan`, the built-in ones that it has something
    for. Raises NoChecksError when the built-in ones are missing: without them an empty run could look like a good
    one."""
    found: dict[str, type[Check]] = {}
    broken: list[BrokenSource] = []
    unused: list[str] = []

    def collect(name: str, load: Callable[[], Any], seeming_ids: Callable[[], tuple[str, ...]]) -> None:
        try:
            with code_of_checks:
                loaded = load()
            offered = [_complete(check) for check in ([loaded] if inspect.isclass(loaded) else _checks_in(loaded))]
            if not offered:
                raise TypeError("no Check subclass in it")
        except CRASHES as error:  # a plug-in may raise anything while it is imported
            broken.append(BrokenSource(name, f"{type(error).__name__}: {error}", seeming_ids()))
            return
        for check in offered:
            owner = f"{BUILT_IN}.{check.id.replace('-', '_')}" if check.id in unused else ""
            owner = found[check.id].__module__ if check.id in found else owner
            if owner:
                broken.append(BrokenSource(check.__module__, f"offers the check {check.id}, which {owner} has"))
            else:
                found[check.id] = check

    for name, path in _built_in_modules():
        check_id = path.stem.replace("_", "-")
        if plan is not None and not _is_used(check_id, path, plan):
            unused.append(check_id)
        else:
            collect(name, partial(importlib.import_module, name), partial(_seeming_ids, path))
    if not found and not unused:
        raise NoChecksError("no built-in checks found; install first: python3 -m pip install -e .")
    for entry in entry_points():
        origin = f"{entry.name} ({entry.dist.name} {entry.dist.version})" if entry.dist else entry.name
        collect(origin, entry.load, partial(_seeming_ids, entry.module, entry.name))
    if plan_folder is not None:
        for path in _files_of(plan_folder, broken):
            collect(f"{plan_folder.name}/{path.name}", partial(_load_file, path), partial(_seeming_ids, path))
    return Registry(tuple(found[check_id] for check_id in sorted(found)), tuple(broken), tuple(unused))


def _seeming_ids(source: Path | str, *names: str) -> tuple[str, ...]:
    """Ids of a source's checks as far as they can be told without loading it: from its text, its name, its further
    `names`. `source`: its file or folder, or the name of its module."""
    stem = source.stem if isinstance(source, Path) else source.rpartition(".")[2]
    try:
        spec = importlib.util.find_spec(source) if isinstance(source, str) else None
        path = source if isinstance(source, Path) else Path(spec.origin) if spec and spec.origin else None
        written = _WRITTEN_ID.findall(_text(path)) if path else []
    except CRASHES:  # finding a module's file imports the packages it lies in
        written = []
    return tuple(dict.fromkeys([*written, stem.replace("_", "-"), *names]))


def _text(path: Path) -> str:
    """Of a module or package. Raises OSError."""
    return (path / _PACKAGE if path.is_dir() else path).read_text(encoding="utf-8", errors="replace")


def entry_points() -> Sequence[EntryPoint]:
    """Of installed plug-ins, by name. importlib.metadata takes longer to load than all built-in checks are read in, so
    it is asked only where a distribution on the path declares the group."""
    if not any(map(_may_hold_plug_ins, sys.path)):
        return []
    from importlib import metadata

    return sorted(metadata.entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name)


def _may_hold_plug_ins(folder: str) -> bool:
    place, group = Path(folder), f"[{ENTRY_POINTS}]".encode()
    files = (file for kind in ("dist-info", "egg-info") for file in place.glob(f"*.{kind}/entry_points.txt"))
    try:
        # Only importlib.metadata looks into an archive.
        return place.is_file() or any(group in file.read_bytes() for file in files)
    except OSError:
        return True


def _is_used(check_id: str, path: Path, plan: Plan) -> bool:
    """Whether the plan has one of the sections that a built-in check names, or settings of its own for it."""
    try:
        written = _WRITTEN_SECTIONS.search(_text(path))
    except OSError:
        written = None
    if written is None or check_id in plan.checks:
        return True
    return any(getattr(plan, section) for section in re.findall(r"\w+", written[1]))


def _built_in_modules() -> Iterator[tuple[str, Path]]:
    try:
        package = importlib.import_module(BUILT_IN)
    except ModuleNotFoundError:
        return
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
        if not module.name.startswith("_"):
            file = module.name if module.ispkg else f"{module.name}.py"
            yield f"{BUILT_IN}.{module.name}", Path(package.__path__[0], file)


def _checks_in(module: ModuleType) -> Iterator[type[Check]]:
    for value in vars(module).values():
        if not (inspect.isclass(value) and issubclass(value, Check) and value.__module__ == module.__name__):
            continue
        # A base class has no id of its own. With one, a misspelt method must not make a check vanish.
        if not inspect.isabstract(value) or "id" in vars(value):
            yield value


def _complete(check: Any) -> type[Check]:
    if not (inspect.isclass(check) and issubclass(check, Check)) or inspect.isabstract(check):
        missing = ", ".join(sorted(getattr(check, "__abstractmethods__", ())))
        raise TypeError(f"{check!r} is no complete Check" + (f": it lacks {missing}" if missing else ""))
    for attribute in ("id", "title"):
        if not isinstance(getattr(check, attribute, None), str):
            raise TypeError(f"{check.__name__} has no {attribute}")
    if getattr(check, "severity", None) not in tuple(Severity):
        raise TypeError(f"{check.__name__} has no severity that exists: {', '.join(Severity)}")
    if not check.__doc__:
        raise TypeError(f"{check.__name__} has no docstring")
    return check


def _files_of(folder: Path, broken: list[BrokenSource]) -> list[Path]:
    """The modules in it, and its folders that are packages; a name with `_` in front is nobody's check."""
    try:
        entries = sorted(path for path in folder.iterdir() if not path.name.startswith("_"))
        files = [path for path in entries if path.suffix == ".py" or (path / _PACKAGE).is_file()]
    except OSError as error:
        broken.append(BrokenSource(folder.name, error.strerror or "cannot be read"))
        return []
    if not files:
        broken.append(BrokenSource(folder.name, "holds no check, though the plan names it"))
    return files


def _load_file(path: Path) -> ModuleType:
    """A check of the plan's own folder: a module, or a package whose parts it imports relatively."""
    name = f"preflight_plan_checks.{path.stem}"
    file, parts = (path / _PACKAGE, [str(path)]) if path.is_dir() else (path, None)
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=parts)
    if spec is None or spec.loader is None:
        raise ImportError("cannot be loaded as a module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their own module up while it is executed
    spec.loader.exec_module(module)
    return module
