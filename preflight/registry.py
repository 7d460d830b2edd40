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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from preflight.check import Check
from preflight.errors import CRASHES, PreflightError
from preflight.finding import Severity

ENTRY_POINTS = "preflight.checks"
BUILT_IN = "preflight_checks"
_PACKAGE = "__init__.py"
_WRITTEN_ID = re.compile(r"""^[ \t]+id\b[^=\n]*=[ \t]*["']([\w.-]+)["']""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class BrokenSource:
    """A plug-in that could not be loaded, or that offers an id somebody else has."""

    name: str
    problem: str
    offers: tuple[str, ...] = ()
    """Ids of the checks it seems to hold, from its name and its text: the plan may have settings for them."""


@dataclass(frozen=True, slots=True)
class Registry:
    checks: tuple[type[Check], ...]
    """Sorted by id; ids are unique."""
    broken: tuple[BrokenSource, ...] = ()

    def settings(self) -> dict[str, type | None]:
        """Check id -> its settings; None for a check that could not be loaded."""
        broken: dict[str, type | None] = {check_id: None for source in self.broken for check_id in source.offers}
        return broken | {check.id: check.Settings for check in self.checks}


@dataclass(frozen=True, slots=True)
class _Source:
    """Where checks may come from."""

    name: str
    load: Callable[[], Any]
    text: Path | str
    """Its file, or the name of its module."""
    entry: str = ""
    """Name of the entry point."""

    def seeming_ids(self) -> tuple[str, ...]:
        """Ids of its checks as far as they can be told without loading it: from its text, its name, its entry point."""
        stem = self.text.stem if isinstance(self.text, Path) else self.text.rpartition(".")[2]
        try:
            written = _WRITTEN_ID.findall(self._file().read_text(encoding="utf-8", errors="replace"))
        except CRASHES:  # finding a module's file imports the packages it lies in
            written = []
        return tuple(dict.fromkeys(filter(None, (*written, stem.replace("_", "-"), self.entry))))

    def _file(self) -> Path:
        if isinstance(self.text, Path):
            return self.text / _PACKAGE if self.text.is_dir() else self.text
        spec = importlib.util.find_spec(self.text)
        if spec is None or not spec.origin:
            raise FileNotFoundError(self.text)
        return Path(spec.origin)


class NoChecksError(PreflightError):
    """Not one built-in check was found: the tool is not installed but run from a bare folder."""


def find_checks(plan_folder: Path | None = None) -> Registry:
    """All checks there are. Raises NoChecksError when the built-in ones are missing: without them an empty run
    could look like a good one."""
    found: list[type[Check]] = []
    broken: list[BrokenSource] = []
    for name in _built_in_modules():
        _collect(found, broken, _Source(name, partial(importlib.import_module, name), name))
    if not found:
        raise NoChecksError("no built-in checks found; install first: python3 -m pip install -e .")
    for entry in sorted(metadata.entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        origin = f"{entry.name} ({entry.dist.name} {entry.dist.version})" if entry.dist else entry.name
        _collect(found, broken, _Source(origin, entry.load, entry.module, entry.name))
    if plan_folder is not None:
        for path in _files_of(plan_folder, broken):
            _collect(found, broken, _Source(f"{plan_folder.name}/{path.name}", partial(_load_file, path), path))
    return Registry(_without_duplicates(found, broken), tuple(broken))


def _built_in_modules() -> Iterator[str]:
    try:
        package = importlib.import_module(BUILT_IN)
    except ModuleNotFoundError:
        return
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
        if not module.name.startswith("_"):
            yield f"{BUILT_IN}.{module.name}"


def _collect(found: list[type[Check]], broken: list[BrokenSource], source: _Source) -> None:
    try:
        loaded = source.load()
        offered = [loaded] if inspect.isclass(loaded) else list(_checks_in(loaded))
        if not offered:
            raise TypeError("no Check subclass in it")
        found.extend([_complete(check) for check in offered])
    except CRASHES as error:  # a plug-in may raise anything while it is imported
        broken.append(BrokenSource(source.name, f"{type(error).__name__}: {error}", source.seeming_ids()))


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
        broken.append(BrokenSource(str(folder), error.strerror or "cannot be read"))
        return []
    if not files:
        broken.append(BrokenSource(str(folder), "holds no check, though the plan names it"))
    return files


def _load_file(path: Path) -> ModuleType:
    """A check of the plan's own folder: a module, or a package whose parts it imports relatively."""
    name = f"preflight_plan_checks.{path.stem}"
    spec = (
        importlib.util.spec_from_file_location(name, path / _PACKAGE, submodule_search_locations=[str(path)])
        if path.is_dir()
        else importlib.util.spec_from_file_location(name, path)
    )
    if spec is None or spec.loader is None:
        raise ImportError("cannot be loaded as a module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their own module up while it is executed
    spec.loader.exec_module(module)
    return module


def _without_duplicates(found: list[type[Check]], broken: list[BrokenSource]) -> tuple[type[Check], ...]:
    by_id: dict[str, type[Check]] = {}
    for check in found:
        first = by_id.setdefault(check.id, check)
        if first is not check:
            broken.append(BrokenSource(check.__module__, f"offers the check {check.id}, which {first.__module__} has"))
    return tuple(by_id[key] for key in sorted(by_id))
