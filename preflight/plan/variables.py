"""`[variables]`: texts that a plan names once and a call may set: `${name}` in any string, `$${` for a plain `${`.

A value is never repeated in a message: somebody may have put a secret there."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from preflight.errors import PlanProblem
from preflight.faults import Keys, expected, not_declared, quoted
from preflight.plan.limits import no_password
from preflight.plan.source import Source
from preflight.plan.values import SECRET_NAME, SecretRef
from preflight.wording import visible

_REFERENCE = re.compile(r"(?P<plain>\$\$\{)|\$\{(?P<name>[^{}]*)(?P<closed>\})?")
_LONGEST = 1000
_MOST_CHARACTERS = 64 * 1024 * 1024
"""Of all places together that variables fill."""
_MAY_REFER = re.compile(r"\$\{|\\[uU]")
"""Of the text of a file: TOML can write the signs as an escape."""


class _Declared(NamedTuple):
    source: Source
    keys: Keys
    text: str | None
    """Its own value; None where it must be set."""
    wanted: str = ""
    """What it must be set to, in words."""


class Variables:
    """Those of one plan, from all of its files, and what a call set."""

    def __init__(self, given: Mapping[str, str]) -> None:
        """`given`: name -> value, by `--set` or the environment."""
        self.problems: list[PlanProblem] = []
        self._given = given
        self._declared: dict[str, _Declared] = {}
        self._used: set[str] = set()
        self._being_filled: list[str] = []
        self._values: dict[str, str] = dict(given)
        self._left = _MOST_CHARACTERS

    def declare(self, source: Source) -> None:
        table = source.tables.get("variables", {})
        if not isinstance(table, Mapping):
            self.problems.append(source.problem(("variables",), str(expected("a table", table))))
            return
        for name, value in table.items():
            keys = ("variables", name)
            complaint = _complaint(name, value) or _complaint(name, self._given.get(name, value))
            if earlier := self._declared.get(name):
                complaint = f"is declared already, at {earlier.source.at(earlier.keys)}"
            self.problems += [source.problem(keys, complaint)] if complaint else []
            is_text = isinstance(value, str)
            wanted = value.get("none", "") if isinstance(value, Mapping) else ""
            self._declared.setdefault(name, _Declared(source, keys, value if is_text else None, str(wanted)))

    @property
    def changed(self) -> dict[str, str]:
        """What was set to another value than the plan's own, in the order of the names."""
        return {
            name: value
            for name, value in sorted(self._given.items())
            # A value that is set is taken as it stands; of the plan's own a reference in it is replaced.
            if name in self._declared and (self._declared[name].text != value or "${" in value)
        }

    def filled(self, source: Source, keys: Keys, value: Any) -> Any:
        """`value`, which stands at `keys` of the file, with every reference in its strings replaced."""
        return self._filled(source, keys, value) if self.may_stand_in(source) else value

    @staticmethod
    def may_stand_in(source: Source) -> bool:
        """Whether a file's strings may hold references."""
        return _MAY_REFER.search(source.text) is not None

    def unused(self, own: Source) -> Iterator[PlanProblem]:
        """What was set and is not declared; what `own`, the release's file, declares or a call sets and nothing uses.
        What an included file declares may be for other plans."""
        for name in self._given:
            if name not in self._declared:
                yield PlanProblem(own.name, None, f"--set {visible(name)}", *self._not_declared(name))
        for name, declared in self._declared.items():
            if name not in self._used and (declared.source is own or name in self._given):
                message = f"is used nowhere: write ${{{name}}} in a string, or remove it"
                yield declared.source.problem(declared.keys, message)

    def _not_declared(self, name: str) -> tuple[str, str]:
        """(what is wrong, the nearest name)."""
        if not self._declared:
            return f"the plan has no [variables] that {quoted(name)} could be one of", ""
        misfit = not_declared(name, "[variables]", self._declared)
        return str(misfit), misfit.nearest

    def _filled(self, source: Source, keys: Keys, value: Any) -> Any:
        if isinstance(value, str) and "${" in value:
            before = len(self.problems)
            found = self._text(source, keys, value)
            if not found and len(self.problems) == before:  # which would take the key back, or a default
                self.problems.append(source.problem(keys, "is empty, because each variable in it is"))
            return found
        if isinstance(value, dict):
            return {key: self._filled(source, (*keys, key), each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._filled(source, (*keys, at), each) for at, each in enumerate(value)]
        return value

    def _text(self, source: Source, keys: Keys, text: str) -> str:
        def replace(match: re.Match[str]) -> str:
            if match["plain"]:
                return "${"
            name = match["name"]
            if not (match["closed"] and name.isascii() and name.isidentifier()):
                return self._fault(source, keys, "expected ${NAME}; a plain ${ is written $${")
            self._used.add(name)
            value = self._value(source, keys, name)
            self._left -= len(value)
            if self._left < 0:
                if self._left + len(value) >= 0:
                    self.problems.append(source.problem(keys, "the variables make too long a text of the plan"))
                return ""
            return value

        return _REFERENCE.sub(replace, text)

    def _fault(self, source: Source, keys: Keys, message: str, nearest: str = "") -> str:
        """Notes it. The text that stands for what is faulty: none."""
        self.problems.append(source.problem(keys, message, nearest))
        return ""

    def _value(self, source: Source, keys: Keys, name: str) -> str:
        declared = self._declared.get(name)
        if declared is None:
            message, nearest = self._not_declared(name)
            return self._fault(source, keys, f"{message}; a plain ${{ is written $${{", nearest)
        if name in self._values:
            return self._values[name]
        if declared.text is None:
            what = f" ({declared.wanted})" if declared.wanted else ""
            message = f"must be set{what}: --set {name}=VALUE, or PREFLIGHT_SET_{name} in the environment"
            return self._fault(declared.source, declared.keys, message)
        if name in self._being_filled:
            circle = " -> ".join([*self._being_filled[self._being_filled.index(name) :], name])
            return self._fault(declared.source, declared.keys, f"variables go in a circle: {circle}")
        self._being_filled.append(name)
        found = self._text(declared.source, declared.keys, declared.text)
        self._being_filled.pop()
        if len(found) > _LONGEST:
            found = self._fault(declared.source, declared.keys, f"is longer than {_LONGEST} characters")
        return self._values.setdefault(name, found)


def _complaint(name: str, value: object) -> str:
    if not (name.isascii() and name.isidentifier()):
        return "expected a name of letters, digits and _, no digit first"
    if isinstance(value, Mapping) and value.keys() == {"none"} and isinstance(value["none"], str):
        return ""
    if not isinstance(value, str):
        return str(expected("a string", value, 'or { none = "what to set it to" } where each call must set it'))
    if SECRET_NAME.search(name) and not _is_reference(value):
        return "is named like a secret, and every report may print a variable: name a reference, such as env:NAME"
    if not value.isprintable():
        return "holds a character that cannot be printed"
    return no_password(value)


def _is_reference(value: str) -> bool:
    try:
        SecretRef.parse(value)
    except ValueError:
        return False
    return True
