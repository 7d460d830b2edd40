"""Ranges: `web[01-40]` stands for forty names, and `{n}` in what is written once for all of them for the number."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from preflight.faults import Keys, Misfit, quoted
from preflight.plan.values import EntryId, Ref
from preflight.record import Form, Shape, shape_below, shape_of

_MOST_ENTRIES = 5000
"""Of one range."""
_MOST_OF_ALL = 20_000
_MOST_DIGITS = 9
_MOST_CHARACTERS = 64 * 1024 * 1024
_RANGE = re.compile(r"\[(?P<first>\d+)-(?P<last>\d+)\]")
_DIGITS = re.compile(rf"([0-9]{{1,{_MOST_DIGITS}}})")
_BRACKETS = re.compile(r"\[[^\]]*\]?")
_RANGED = ("host", "url")
"""Keys of an entry that may hold its range in place of its name."""


def may_have_ranges(text: str) -> bool:
    """Whether a file's text holds what looks like a range, or is meant as one."""
    return re.search(rf"[\w.-]\[|{_RANGE.pattern}", text) is not None


class Made(NamedTuple):
    """An entry, or one of those that an entry with a range stands for."""

    name: str
    entry: Any
    number: str = ""


class Ranges:
    """Writes out the ranges of one plan."""

    def __init__(self) -> None:
        self._left = _MOST_OF_ALL
        self._left_characters = _MOST_CHARACTERS
        self.numbers: dict[Keys, str] = {}
        """Where an entry stands that a range stands for -> its number."""
        self.moved: dict[Keys, Keys] = {}
        """Where a value stands now -> where it was written, for what `inside` moved."""
        self.faults: list[tuple[Keys, Misfit]] = []
        """What is wrong with ranges that `inside` met, and where it is written."""

    def entries(self, name: str, entry: Any) -> Iterator[Made]:
        """What `[section.NAME]` stands for: itself, or one entry for each number of its range. Raises Misfit.

        Without a range in its name that of its `host` counts: the entries are then named `NAME-HOST`."""
        ranged, before = (name, "") if "[" in name else (_ranged(entry, "host"), f"{name}-")
        if not ranged:
            yield Made(name, entry)
        for number, made in self._written_out(ranged) if ranged else ():
            yield Made(before + made, self._of_number(entry, ranged, number), number)

    def elements(self, element: Any) -> Iterator[Made]:
        """The same of an element of an array of tables, by its `id`, `host` or `url`. Raises Misfit."""
        if isinstance(element, Mapping) and isinstance(element.get("id"), str):
            for made in self.entries(element["id"], element):
                yield made._replace(entry={**made.entry, "id": made.name})
            return
        ranged = next(filter(None, (_ranged(element, key) for key in _RANGED)), "")
        if not ranged:
            yield Made("", element)
        for number, made_text in self._written_out(ranged) if ranged else ():
            yield Made(made_text, self._of_number(element, ranged, number), number)

    def _names(self, name: Any) -> Iterator[Made]:
        """The same of the name of an entry, where entries are named. Raises Misfit."""
        if isinstance(name, str) and "[" in name:
            yield from (Made(made, made) for _, made in self._written_out(name))
        else:
            yield Made("", name)

    def numbered(self, value: Any, number: str) -> Any:
        """`value` with `{n}` in every string replaced. Raises Misfit."""
        self._left_characters -= len(repr(value))
        if self._left_characters < 0:
            raise Misfit("the ranges of the plan make too long a text of it")
        return _numbered(value, number)

    def inside(self, shape: Shape, value: Any, at: Keys, written: Keys) -> Any:
        """A value of this shape, with the ranges below it written out: elements of arrays of tables, and names of
        entries in lists and as keys. Notes what it moves, and what is wrong.

        `at`: where it will stand; `written`: where it stands in its file."""
        if isinstance(value, Mapping):
            return self._table(shape, value, at, written)
        if shape.form is not Form.LIST or not isinstance(value, list):
            return value
        (inner,) = shape.inner
        found: list[Any] = []
        for index, each in enumerate(value):
            was = (*written, index)
            write_out = self.elements if inner.form is Form.RECORD else self._names if _is_name(inner) else None
            for made in self._or_none(write_out(each), was) if write_out else [Made("", each)]:
                now = (*at, len(found))
                if now[-1] != index:
                    self.moved[now] = was
                if made.number:
                    self.numbers[now] = made.number
                found.append(self.inside(inner, made.entry, now, was))
        return found

    def _table(self, shape: Shape, value: Mapping[str, Any], at: Keys, written: Keys) -> Mapping[str, Any]:
        is_open = shape.type is object  # settings of a check, whose types are not known yet
        found: dict[str, Any] = {}
        for key, each in value.items():
            named = _is_name(shape) or (is_open and bool(_RANGE.search(key) or _ranged(each, "host")))
            for made in self._or_none(self.entries(key, each), (*written, key)) if named else [Made(key, each)]:
                if made.name in found:
                    self.faults.append(((*written, key), Misfit(f"{quoted(made.name)} is there twice")))
                if made.name != key:
                    self.moved[*at, made.name] = (*written, key)
                below = shape if is_open else shape_below(shape, key)
                where = ((*at, made.name), (*written, key))
                found[made.name] = self.inside(below, made.entry, *where) if below else made.entry
        return found

    def _or_none(self, written_out: Iterator[Made], written: Keys) -> list[Made]:
        try:
            return list(written_out)
        except Misfit as misfit:
            self.faults.append((written, misfit))
            return []

    def _of_number(self, entry: Any, ranged: str, number: str) -> Any:
        """The entry of this number, with the number for its range where that stands again. Raises Misfit."""
        range_text = ranged[ranged.index("[") : ranged.rindex("]") + 1]
        texts = {key: _ranged(entry, key).replace(range_text, number) for key in _RANGED if _ranged(entry, key)}
        return self.numbered({**entry, **texts} if texts else entry, number)

    def _written_out(self, text: str) -> Iterator[tuple[str, str]]:
        """Each number of the one range of `text`, and the text with it. Raises Misfit."""
        first, last, width = _bounds(text)
        self._left -= last - first + 1
        if self._left < 0:
            raise Misfit(f"the ranges of the plan make more than {_MOST_OF_ALL} entries")
        for number in (str(each).zfill(width) for each in range(first, last + 1)):
            yield number, _RANGE.sub(number, text)


def _is_name(shape: Shape) -> bool:
    """Whether values, or the keys of a table, are names of entries."""
    return any(isinstance(mark, Ref) for mark in shape.marks) or shape == shape_of(EntryId)


def _bounds(text: str) -> tuple[int, int, int]:
    """(first, last, digits that each number has at least). Raises Misfit."""
    found = _RANGE.search(text)
    if found is None or len(_RANGE.findall(text)) > 1 or (len(_BRACKETS.findall(text)) > 1 and "://" not in text):
        raise Misfit("expected one range of numbers such as web[01-40]")
    digits, more = found["first"], found["last"]
    if len(digits) != len(more) and (digits.startswith("0") or more.startswith("0")):
        raise Misfit(f"both ends of the range have the same number of digits: {found[0]}")
    if len(more) > _MOST_DIGITS:
        raise Misfit("a number of the range has too many digits")
    first, last = int(digits), int(more)
    if first > last:
        raise Misfit(f"the range is reversed: write [{more}-{digits}]")
    if last - first >= _MOST_ENTRIES:
        raise Misfit(f"the range has {last - first + 1} entries; at most {_MOST_ENTRIES} are allowed")
    return first, last, len(digits) if len(digits) == len(more) else 0


def in_ranges(names: Iterable[str]) -> list[str]:
    """Names as a plan may write them: three or more that count up stand as `web[01-40]`, each number that does."""
    runs: list[list[str]] = []
    for name in names:
        run = runs[-1] if runs else []
        places = _counted_up(run[-1], name) if run else ()
        if places and (len(run) == 1 or places == _counted_up(run[0], run[1])):
            run.append(name)
        else:
            runs.append([name])
    return [told for run in runs for told in ([_range_of(run[0], run[-1])] if len(run) > 2 else run)]


def _counted_up(before: str, after: str) -> tuple[int, ...]:
    """Where the second has a number that is one more, if they are equal otherwise: the same number in each place."""
    ones, others = _DIGITS.split(before), _DIGITS.split(after)
    changed = [place for place, (one, other) in enumerate(zip(ones, others, strict=False)) if one != other]
    steps = {(ones[place], others[place]) for place in changed}
    if len(ones) != len(others) or len(steps) != 1:
        return ()
    [(number, following)] = steps
    is_next = number.isdecimal() and following == str(int(number) + 1).zfill(len(number))
    return tuple(changed) if is_next else ()


def _range_of(first: str, last: str) -> str:
    pairs = zip(_DIGITS.split(first), _DIGITS.split(last), strict=True)
    return "".join(one if one == other else f"[{one}-{other}]" for one, other in pairs)


def _ranged(entry: Any, key: str) -> str:
    """The text at `key`, where it holds a range."""
    text = entry.get(key) if isinstance(entry, Mapping) else None
    return text if isinstance(text, str) and _RANGE.search(text) else ""


def _numbered(value: Any, number: str) -> Any:
    if isinstance(value, str):
        return value.replace("{n}", number)
    if isinstance(value, Mapping):
        return {key: _numbered(each, number) for key, each in value.items()}
    if isinstance(value, list):
        return [_numbered(each, number) for each in value]
    return value
