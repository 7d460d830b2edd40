"""`include`: the files of one plan, each once and after those it includes; paths in them start at their own folder."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from preflight import __version__
from preflight.errors import PlanError, PlanProblem
from preflight.faults import kind_of
from preflight.plan.release_plan import FORMAT
from preflight.plan.source import Source, read_source
from preflight.plan.values import SecretRef
from preflight.plan.variables import Variables
from preflight.record import Form, Shape, shape_below

_MOST_FILES = 100


class Files:
    def __init__(self, variables: Variables) -> None:
        """`variables`: declares those of each file, before the files that it includes are named."""
        self.sources: list[Source] = []
        """The release's own file last."""
        self.problems: list[PlanProblem] = []
        self._variables = variables
        self._known: set[str] = set()
        self._open: dict[str, str] = {}
        """Those whose includes are being read, in their order: where each lies -> its name."""

    def read(self, path: Path) -> Source:
        """One file, after all it includes. Raises PlanError where it cannot be read; faults in others are noted."""
        source = read_source(path)
        written = source.tables.get("format")
        if type(written) is int and written != FORMAT:  # its keys may mean something else: nothing of it is read
            reads = f"preflight {__version__}, which reads format {FORMAT}"
            message = f"the plan is written in format {written}, for another version than {reads}"
            raise PlanError([source.problem(("format",), message)])
        self._variables.declare(source)
        place = os.path.realpath(path)
        self._known.add(place)
        self._open[place] = source.name
        self._include(source)
        del self._open[place]
        self.sources.append(source)
        return source

    def _include(self, source: Source) -> None:
        named = source.tables.get("include", [])
        if not isinstance(named, list):
            message = f'expected an array such as ["site.toml"], found {kind_of(named)}'
            self.problems.append(source.problem(("include",), message))
            return
        for index, each in enumerate(self._variables.filled(source, ("include",), named)):
            if complaint := self._complaint(source, each):
                self.problems.append(source.problem(("include", index), complaint))

    def _complaint(self, source: Source, named: object) -> str:
        """Reads an included file; why that cannot be."""
        if not isinstance(named, str) or not named.strip() or not named.isprintable():
            return "expected the path of a file, relative to the folder of this one"
        path = _plain(source.path.parent / named)
        place = os.path.realpath(path)
        if place in self._open:
            first, *others = list(self._open.values())[list(self._open).index(place) :]
            return f"the files include each other in a circle: {' -> '.join([first, *others, first])}"
        if place in self._known:
            return ""
        if len(self._known) >= _MOST_FILES:
            return f"the plan has more than {_MOST_FILES} files"
        try:
            self.read(path)
        except PlanError as error:
            self.problems += [each for each in error.errors if each.line is not None]
            return "; ".join(str(each) for each in error.errors if each.line is None)
        return ""


def _plain(path: Path) -> Path:
    """Without `..`, where that names the same file: behind a symbolic link it may not."""
    plain = Path(os.path.normpath(path))
    try:
        return plain if plain.samefile(path) else path
    except OSError:
        return path


def rebased(shape: Shape, value: Any, folder: str) -> Any:
    """A value of a file in `folder`, with its relative paths as the release's own file would write them."""
    if isinstance(value, str):
        if shape.type is Path and value.strip() and not value.startswith("~"):
            return str(Path(folder, value))
        if shape.type is SecretRef and value.startswith("file:") and not value.startswith("file:~"):
            return f"file:{Path(folder, value.removeprefix('file:').strip())}"
        return value
    if shape.form is Form.LIST and isinstance(value, list):
        return [rebased(shape.inner[0], each, folder) for each in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: rebased(below, each, folder) if (below := shape_below(shape, key)) else each for key, each in value.items()
    }
