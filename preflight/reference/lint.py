"""What `preflight lint` found, for people in a terminal, for programs and for code review.

Every format tells the same remarks, each with its file and line: an error; or a warning, which `--strict` makes an
error. Every format goes to standard output as a whole."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path, PurePath
from typing import Any, NamedTuple
from urllib.parse import quote

import preflight
from preflight.engine.inspection import Inspection
from preflight.engine.registry import Registry
from preflight.errors import PlanProblem
from preflight.faults import dotted
from preflight.plan.gaps import found_by_checks, left_out, missing_files, outlived, unconfirmed
from preflight.plan.merged import Merged
from preflight.plan.rules import Broken
from preflight.report.document.sections import unconfirmed_in_words
from preflight.report.formats.github import capped, command
from preflight.report.harmless import clean, json_text, no_command
from preflight.report.layout import wrapped
from preflight.wording import counted

SCHEMA = 1
_TABLE = re.compile(r"\[\[?([^\]]+)\]")
_COMMENTED_KEY = re.compile(r"#\s*([\w-]+)\s*=")
_TODO = re.compile(r"#\s*(.*\bTODO(?::.*|$))")


@dataclass(frozen=True, slots=True)
class _Rule:
    id: str
    level: str
    """What it is without --strict, in the words of GitHub and SARIF."""
    short: str
    full: str


_INVALID = _Rule(
    "invalid-plan",
    "error",
    "The plan must be valid.",
    "A plan with an error is not run at all: correct what the message names, then `preflight lint` again.",
)
_UNCONFIRMED = _Rule(
    "unconfirmed",
    "warning",
    "The plan should leave nothing unconfirmed.",
    "What nobody confirms, a time that is over, or what two releases use at once: a run would be no GO, or a GO that "
    "does not speak of it.",
)
_RULES = (_INVALID, _UNCONFIRMED)


class _Remark(NamedTuple):
    rule: _Rule
    problem: PlanProblem
    is_error: bool


@dataclass(frozen=True, slots=True)
class LintedPlan:
    """One plan: its problems, or what will be judged."""

    shown_as: str
    """Its path as the user wrote it."""
    _: KW_ONLY
    problems: tuple[PlanProblem, ...] = ()
    inspection: Inspection | None = None
    """None for a plan with problems."""
    registry: Registry | None = None
    warnings: tuple[PlanProblem, ...] = ()
    strict: bool = False
    """Warnings are errors."""

    def faults(self) -> Iterator[PlanProblem]:
        """Everything for which lint ends with 2."""
        yield from (each.problem for each in self.remarks() if each.is_error)

    def remarks(self) -> Iterator[_Remark]:
        """Errors first: problems of the plan, checks that cannot be loaded or planned, then the warnings."""
        yield from (_Remark(_INVALID, each, True) for each in self.problems)
        yield from (_Remark(_INVALID, PlanProblem(self.shown_as, None, "", each), True) for each in self.broken())
        yield from (_Remark(_UNCONFIRMED, each, self.strict) for each in self.warnings)

    def broken(self) -> Iterator[str]:
        """Checks that cannot be loaded, or raise before anything is asked."""
        for item in self.inspection.items if self.inspection else ():
            if item.crash:
                loaded = self.registry is not None and item.check_id in self.registry.ids
                what = f"cannot be planned for {item.subject.id}" if loaded else "cannot be loaded"
                yield f"{item.check_id} {what}: {item.crash}"


def left_open(inspection: Inspection) -> Iterator[Broken]:
    """What is over, not there or left unconfirmed in a valid plan, and that a run would ask nothing at all."""
    plan = inspection.plan
    yield from outlived(plan, inspection.moment)
    yield from missing_files(plan)
    yield from found_by_checks(plan)
    yield from (Broken(gap.keys, str(gap)) for gap in left_out(plan) if not gap.reason)
    yield from unconfirmed(plan)
    if not any(item.probes or item.crash for item in inspection.items):
        told = "No check of the plan asks anything, so nothing can be confirmed: add what the release depends on."
        yield Broken(("release",), told)


def left_to_do(merged: Merged, told: Iterable[Broken] = ()) -> Iterator[PlanProblem]:
    """Comments with a TODO, as `preflight init` leaves them; but those at a key of which it is `told` already."""
    wanted = {dotted(each.keys) for each in told}
    for source in merged.sources:
        table = ""
        for number, line in enumerate(source.text.splitlines(), 1):
            table = header[1] if (header := _TABLE.match(line)) else table
            key = _COMMENTED_KEY.match(line)
            if (found := _TODO.search(line)) and not (key and f"{table}.{key[1]}" in wanted):
                what = f"is left to do, or to take away: {found[1].removeprefix('TODO: ').strip()}"
                yield PlanProblem(source.name, number, "", what)


def located(shown_as: str, merged: Merged, found: Iterable[Broken]) -> Iterator[PlanProblem]:
    """With file and line; what a whole section is missing for stands at [release]. `shown_as`: the plan's own file.
    What is so of every entry that a range stands for is told of the first one."""
    head = merged.problem(("release",), "")
    alike: dict[tuple[object, ...], list[Broken]] = {}
    for each in found:
        source, written = merged.place(each.keys)
        message = each.message if written == each.keys else re.sub(r"\d+", "", each.message)
        alike.setdefault((source.name, written, message), []).append(each)
    for each, *more in alike.values():
        problem = merged.problem(each.keys, each.message)
        place = problem if problem.line else head
        file = shown_as if place.file == merged.own.name else place.file
        count = f"{len(more) + 1} that this line stands for" if more else ""
        yield PlanProblem(file, place.line, "", each.message, of=count)


def render(name: str, plans: Sequence[LintedPlan]) -> str:
    """What was found, in the format of this name."""
    return _RENDERERS[name](plans)


def _remarks(plans: Sequence[LintedPlan]) -> Iterator[_Remark]:
    return (remark for plan in plans for remark in plan.remarks())


def _text(plans: Sequence[LintedPlan]) -> str:
    """Each remark on a line; for each plan that can be read, what will be judged."""
    return "".join(line + "\n" for plan in plans for line in _lines(plan))


def _lines(linted: LintedPlan) -> Iterator[str]:
    yield from (no_command(clean(str(each))) for each in linted.problems)
    inspection, registry = linted.inspection, linted.registry
    if inspection is None or registry is None:
        return
    planned = Counter(item.check_id for item in inspection.items)
    count = counted(len(inspection.items), "check")
    valid = "not valid" if any(linted.faults()) else "valid"
    yield no_command(clean(f"{linted.shown_as}: {valid}, {count} planned for {inspection.plan.release.id}"))
    counts = ", ".join(f"{check} {count}" for check, count in planned.items())
    idle = ", ".join(check_id for check_id in registry.ids if check_id not in planned)
    told = [("planned", counts)] if counts else []
    told += [("idle", f"{idle}: the plan has nothing for them")] if idle else []
    told += [("override", f"{of}: {', '.join(keys)}") for of, keys in inspection.plan.overridden.items()]
    told += [("broken", broken) for broken in linted.broken()]
    for label, text in told:
        yield from wrapped(text, " " * 11, f"  {label:<9}")
    if linted.warnings:
        level = "error, by --strict" if linted.strict else "warning"
        yield f"  {unconfirmed_in_words(linted.warnings).capitalize()} ({level}):"
        yield from (no_command(clean(str(each))) for each in linted.warnings)


def _json(plans: Sequence[LintedPlan]) -> str:
    return json_text({"schema": SCHEMA, "plans": [_plan(plan) for plan in plans]})


def _plan(linted: LintedPlan) -> dict[str, Any]:
    faults, items = list(linted.faults()), linted.inspection.items if linted.inspection else ()
    return {
        "file": linted.shown_as,
        "valid": not faults,
        "errors": list(map(_problem, faults)),
        "warnings": [] if linted.strict else list(map(_problem, linted.warnings)),
        "planned": dict(Counter(item.check_id for item in items)),
        "overridden": linted.inspection.plan.overridden if linted.inspection else {},
    }


def _problem(problem: PlanProblem) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line,
        "key": problem.where,
        "message": problem.message,
        "did_you_mean": problem.nearest,
    }


def _github(plans: Sequence[LintedPlan]) -> str:
    """Annotations on the plans' lines, errors first; GitHub shows no more than 10 of a kind."""
    lines: list[str] = []
    for level, is_error in (("error", True), ("warning", False)):
        shown, left = capped([remark for remark in _remarks(plans) if remark.is_error is is_error])
        for rule, each, _ in shown:
            lines.append(command(level, each.file, rule.id.replace("-", " "), each.text, each.line))
        lines += [command(level, plans[0].shown_as, "preflight lint", f"and {len(left)} more")] if left else []
    return "".join(lines)


def _gitlab(plans: Sequence[LintedPlan]) -> str:
    """A code quality report; empty for plans that are valid and leave nothing unconfirmed."""
    issues = []
    for rule, remark, is_error in _remarks(plans):
        path = PurePath(remark.file).as_posix()  # without a leading ./, or GitLab finds no such file
        # GitLab tells old from new by the fingerprint: without the line, so that an edit above changes nothing.
        identity = "\0".join((rule.id, path, remark.text))
        issue = {
            "description": clean(remark.text),
            "check_name": f"preflight-{rule.id}",
            "fingerprint": hashlib.sha256(identity.encode(errors="surrogatepass")).hexdigest()[:32],
            "severity": "blocker" if is_error else "minor",
            "location": {"path": path, "lines": {"begin": remark.line or 1}},
        }
        issues.append(issue)
    return json_text(issues)


def _sarif(plans: Sequence[LintedPlan]) -> str:
    """SARIF 2.1.0 for code scanning: one run over all plans."""
    faulty = any(list(plan.faults()) for plan in plans)
    rules = [
        {
            "id": rule.id,
            "shortDescription": {"text": rule.short},
            "fullDescription": {"text": rule.full},
            "help": {"text": rule.full},
            "defaultConfiguration": {"level": rule.level},
        }
        for rule in _RULES
    ]
    run = {
        "tool": {"driver": {"name": "preflight", "semanticVersion": preflight.__version__, "rules": rules}},
        "invocations": [{"executionSuccessful": True, "exitCode": 2 if faulty else 0}],
        "columnKind": "unicodeCodePoints",
        "results": list(map(_result, _remarks(plans))),
    }
    return json_text({"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]})


def _result(remark: _Remark) -> dict[str, Any]:
    rule, problem, is_error = remark
    file = Path(problem.file)
    # Percent-encoded from the name's own bytes, which need not be UTF-8.
    encoded = quote(file.as_posix().encode("utf-8", "surrogateescape"))
    uri = f"file://{encoded}" if file.is_absolute() else encoded
    # Code scanning shows nothing without a line; what is about the whole file stands at its first.
    location = {"artifactLocation": {"uri": uri}, "region": {"startLine": problem.line or 1}}
    return {
        "ruleId": rule.id,
        "ruleIndex": _RULES.index(rule),
        "level": "error" if is_error else "warning",
        "message": {"text": clean(problem.text)},
        "locations": [{"physicalLocation": location}],
    }


_RENDERERS = {"github": _github, "gitlab": _gitlab, "json": _json, "sarif": _sarif, "text": _text}
FORMATS = tuple(_RENDERERS)
