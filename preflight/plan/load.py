"""Loads a plan: reads the file, converts every section, checks what they say together; all problems at once."""

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from preflight.errors import PlanError, PlanProblem
from preflight.faults import KINDS, Keys, Misfit, kind_of, not_declared, quoted
from preflight.finding import Severity
from preflight.plan import EntryId, Plan
from preflight.plan.confirmed import CONFIRMED, Confirmed, read_confirmed
from preflight.plan.limits import MANY_LINES, OR_NONE, zone_name
from preflight.plan.merged import LANGUAGE, Problems, read_merged
from preflight.plan.release_plan import BESIDE_SETTINGS
from preflight.plan.rules import broken_rules
from preflight.plan.scalars import choice, readers, text
from preflight.plan.sealed_servers import SEALED, Sealed, file_beside, read_sealed
from preflight.plan.values import Nothing, Ref, Url
from preflight.probe import T
from preflight.record import INVALID, Form, Reader, Shape, fields_of, shape_of
from preflight.wording import visible

CheckSettings = Mapping[str, type | None]
"""Check id -> the frozen dataclass of what `[checks.ID]` may set; None for a check that cannot be loaded, which is told
elsewhere: its table is kept as written."""
FindSettings = Callable[[Plan], CheckSettings]
"""Finds the checks that a plan has something for; its `[checks]` are as written."""


def load_plan(
    path: Path, check_settings: CheckSettings | FindSettings | None = None, values: Mapping[str, str] | None = None
) -> Plan:
    """The plan in a TOML file and those that it includes, valid to the last key. Raises PlanError with everything that
    is wrong.

    `check_settings`: validates `[checks.ID]` too; the plan then holds converted values, else the tables as they are
    written. A callable is asked once, with the plan as far as it could be read. `values`: what its variables are set
    to."""
    merged = read_merged(path, values or {})
    written = merged.tables
    if not written and not merged.problems:
        raise PlanError([PlanProblem(merged.own.name, None, "", "is empty; [release] and [window] are required")])
    problems = Problems(merged)
    path = path.absolute()
    tables = Tables(problems, readers(path.parent, _zone(written)), _declared(written))
    sealed = _beside(file_beside(path, merged.set_values, SEALED), read_sealed, problems) or Sealed()
    confirmed = _beside(file_beside(path, merged.set_values, CONFIRMED), read_confirmed, problems) or Confirmed()
    preset = {
        "digest": merged.digest,
        "included": tuple(source.path.absolute() for source in merged.sources[:-1]),
        "set_values": merged.set_values,
        "overridden": merged.told_overridden,
        "absent": tables.absent,
        "sealed": sealed.databases,
        "sealed_signers": sealed.allowed_signers,
        "confirmed": confirmed,
    }
    plan: Plan = tables.record(Plan, written, (), path=path, **preset)
    for broken in broken_rules(plan, written):
        problems.add(*broken)
    if check_settings is not None:
        known = check_settings(plan) if callable(check_settings) else check_settings
        plan = replace(plan, checks=tables.all_settings(plan.checks, known))
    if problems.found:
        raise PlanError(problems.found)
    return _with_owners(plan)


def _beside(path: Path, read: Callable[[Path], T], problems: Problems) -> T | None:
    """What `read` makes of a file beside the plan; None where its fault was noted."""
    try:
        return read(path)
    except PlanError as error:
        problems.found += error.errors
        return None


def _with_owners(plan: Plan) -> Plan:
    """Who owns the machine owns its database, and who owns that its backups and scripts, if not said otherwise."""
    databases = {
        name: replace(entry, owner=entry.owner or (plan.hosts[entry.host].owner if entry.host else ""))
        for name, entry in plan.databases.items()
    }
    owned = replace(plan, databases=databases)
    return replace(
        owned,
        backups={name: replace(entry, owner=owned.owner_of(entry)) for name, entry in plan.backups.items()},
        scripts={name: replace(entry, owner=owned.owner_of(entry)) for name, entry in plan.scripts.items()},
    )


def _zone(raw: Mapping[str, Any]) -> str:
    """The zone of the plan's times, needed before its section is read; UTC where it is faulty, which is noted there."""
    window = raw.get("window")
    name = window.get("zone") if isinstance(window, Mapping) else None
    return name if isinstance(name, str) and not zone_name(name) else "UTC"


def _declared(raw: Mapping[str, Any]) -> dict[str, Collection[str]]:
    """Section -> names of its entries as written, faulty entries too: a reference to one does not dangle."""
    sections: dict[str, Collection[str]] = {key: value for key, value in raw.items() if isinstance(value, Mapping)}
    steps = raw.get("steps")
    tables = [step for step in steps if isinstance(step, Mapping)] if isinstance(steps, list) else []
    sections["steps"] = dict.fromkeys(step["id"] for step in tables if isinstance(step.get("id"), str))
    return sections


class Tables(Reader):
    """Builds the plan's dataclasses from tables and notes every problem on the way.

    What comes out while there are problems is a draft: a faulty value is replaced by its default, or by None where it
    has none, so that the rest can still be judged. Only a caller that found no problem may use it as the real thing.
    """

    def __init__(
        self, problems: Problems, scalars: Mapping[Any, Callable[[Any], Any]], declared: Mapping[str, Collection[str]]
    ) -> None:
        """`declared`: the names of the entries of each section, for references to them."""
        super().__init__(scalars)
        self._problems, self._declared = problems, declared
        self.absent: dict[Keys, str] = {}
        """Keys that say why there is nothing, and the reason."""

    def all_settings(self, raw: Mapping[str, Mapping[str, object]], known: CheckSettings) -> dict[str, Any]:
        """The tables `[checks.ID]`."""
        checks: dict[str, Mapping[str, object]] = {}
        for check_id, table in raw.items():
            if check_id in known:
                settings = known[check_id]
                checks[check_id] = self._settings(table, settings, ("checks", check_id)) if settings else table
            else:
                self._problems.add_unknown(("checks", check_id), "unknown check", known)
        return checks

    def _settings(self, table: Mapping[str, object], settings: type, keys: Keys) -> dict[str, object]:
        """Severity, runbook and settings as converted, only those that were written."""
        before = len(self._problems.found)
        shapes = dict(zip(BESIDE_SETTINGS, map(shape_of, (Severity, Mapping[str, Severity], Url)), strict=True))
        values = {key: self.value(shapes[key], table[key], (*keys, key)) for key in shapes.keys() & table.keys()}
        try:
            written = self.fields(settings, table, keys, beside=BESIDE_SETTINGS)
            if len(self._problems.found) == before:
                settings(**written)  # may refuse values that do not go together
            return values | written
        except ValueError as error:
            self._problems.add(keys, visible(str(error)))
        except (NameError, TypeError) as error:  # a plug-in's own settings, with annotations that mean nothing here
            self._problems.add(keys, f"the check's settings cannot be read: {visible(str(error))}")
        return values

    def fault(self, keys: Keys, message: str, nearest: str = "") -> Any:
        self._problems.add(keys, message, nearest)
        return INVALID

    def unknown(self, keys: Keys, table: Mapping[str, Any], known: Collection[str]) -> None:
        value = table[str(keys[-1])]
        many_tables = isinstance(value, list) and value and all(isinstance(element, Mapping) for element in value)
        noun = "table" if isinstance(value, Mapping) or many_tables else "key"
        self._problems.add_unknown(keys, f"unknown {noun}", [*known, *(LANGUAGE if len(keys) == 1 else ())])

    def record(self, cls: Any, value: Any, keys: Keys = (), **preset: object) -> Any:
        if isinstance(value, str) and hasattr(cls, "shorthand"):
            short = fields_of(cls)[cls.shorthand]
            return cls(**{short.name: self.value_or_default(short, value, keys)})
        return super().record(cls, value, keys, **preset)

    def value(self, shape: Shape, value: Any, keys: Keys) -> Any:
        if OR_NONE not in shape.marks or not isinstance(value, Mapping):
            return super().value(shape, value, keys)
        nothing = self.record(Nothing, value, keys)
        if nothing.none:
            self.absent[keys] = nothing.none
        return INVALID  # the field keeps its default

    def scalar(self, shape: Shape, value: Any) -> Any:
        if shape.type is str:
            return text(value, many_lines=MANY_LINES in shape.marks)
        if inspect.isclass(shape.type) and issubclass(shape.type, StrEnum):
            return choice(shape.type, value)
        if shape.type not in self._scalars:
            raise TypeError(f"a plan cannot hold a value of type {shape.type!r}")
        return super().scalar(shape, value)

    def check(self, mark: Any, value: Any) -> None:
        if isinstance(mark, Ref):
            self._require_declared(mark.section, value)
        super().check(mark, value)

    def union(self, options: Collection[Shape], value: Any, keys: Keys) -> Any:
        """The scalar whose type the value has already."""
        if meant := next((option for option in options if option.type is type(value)), None):
            return self.value(meant, value, keys)
        advice = '; write a dotted path as one quoted key: "a.b" = ...' if isinstance(value, Mapping) else ""
        *others, last = (KINDS[option.type] for option in options)
        return self.fault(keys, f"expected {', '.join(others)} or {last}, found {kind_of(value)}{advice}")

    def table(self, shape: Shape, value: Mapping[str, Any], keys: Keys) -> Any:
        """Entries `[section.NAME]`, whose name becomes the field `id`, or values by name."""
        (inner,) = shape.inner
        has_id = inner.form is Form.RECORD and "id" in fields_of(inner.type)
        found = {}
        for name, element in value.items():
            if has_id:
                self.value(shape_of(EntryId), name, (*keys, name))
                found[name] = self.record(inner.type, element, (*keys, name), id=name)
                continue
            try:
                if not name.strip():
                    raise Misfit("the key is empty")
                for mark in shape.marks:
                    self.check(mark, name)
                found[name] = self.value(inner, element, (*keys, name))
            except Misfit as misfit:
                self.fault((*keys, name), str(misfit), misfit.nearest)
        return {name: each for name, each in found.items() if each is not INVALID and each is not None}

    def _require_declared(self, section: str, name: str) -> None:
        declared = self._declared.get(section, ())
        if name in declared:
            return
        header = "[[steps]]" if section == "steps" else f"[{section}]"
        if not declared:
            raise Misfit(f"{quoted(name)} is not declared; the plan has no {header}")
        raise not_declared(name, header, declared)
