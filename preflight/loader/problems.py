"""Collects what is wrong with a plan, each with the line of its key."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TypeVar

from preflight.errors import PlanProblem
from preflight.faults import Keys, dotted, listed, nearest_name
from preflight.loader.source import Source

T = TypeVar("T")


class Problems:
    """Every problem of one plan."""

    def __init__(self, source: Source) -> None:
        self.found: list[PlanProblem] = []
        self._source = source

    def add(self, keys: Keys, message: str, nearest: str = "") -> None:
        """`keys`: what it is about; a key that is missing gets the line of the table that should hold it."""
        line = self._source.nearest_line(keys)
        self.found.append(PlanProblem(self._source.name, line, dotted(keys), message, nearest))

    def add_unknown(self, keys: Keys, message: str, known: Collection[str]) -> None:
        """A name that is none of `known`: says which one is nearest, or else which there are."""
        nearest = nearest_name(str(keys[-1]), known)
        self.add(keys, message if nearest else f"{message}; known: {listed(known)}", nearest)


def present(elements: Sequence[T]) -> Iterator[tuple[int, T]]:
    """The elements that are there, with their places; in a draft a faulty one is None."""
    return ((index, element) for index, element in enumerate(elements) if element is not None)
