"""What `preflight lint` found, for people in a terminal, for programs and for code review.

Every format but the text and the JSON is a list of the same remarks: an error with its line, or something that the plan
leaves unconfirmed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

import preflight
from preflight.engine.inspection import Inspection
from preflight.engine.registry import Registry
from preflight.errors import PlanProblem
from preflight.report.document.sections import unconfirmed_in_words
from preflight.report.formats.github import capped, command
from preflight.report.harmless import clean, json_text, no_command
from preflight.report.layout import wrapped
from preflight.wording import counted

SCHEMA = 1
_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LintedPlan:
    """One plan: its problems, or what will be judged."""

    shown_as: str
    """Its path as the user wrote it."""
    problems: tuple[PlanProblem, ...] = ()
    inspection: Inspection | None = None
    """None for a plan with problems."""
    registry: Registry | None = None
    unconfirmed: tuple[str, ...] = ()

    def faults(self) -> Iterator[PlanProblem]:
        """Everything for which lint ends with 2: problems of the plan, and checks that cannot be loaded or planned."""
        yield from self.problems
        yield from (PlanProblem(self.shown_as, None, "", broken) for broken in self.broken())

    def broken(self) -> Iterator[str]:
        """Checks that cannot be loaded, or raise before anything is asked."""
        for item in self.inspection.items if self.inspection else ():
            if item.crash:
                loaded = self.registry is not None and item.check_id in self.registry.ids
                what = f"cannot be planned for {item.subject.id}" if loaded else "cannot be loaded"
                yield f"{item.check_id} {what}: {item.crash}"


@dataclass(frozen=True, slots=True)
class _Rule:
    """A kind of remark, and how bad the readers take it to be."""

    id: str
    level: str
    """Of GitHub and SARIF."""
    severity: str
    """Of GitLab."""
    short: str
    full: str


_INVALID = _Rule(
    "invalid-plan",
    "error",
    "blocker",
    "The plan must be valid.",
    "A plan with an error is not run at all: correct what the message names, then `preflight lint` again.",
)
_UNCONFIRMED = _Rule(
    "unconfirmed",
    "warning",
    "minor",
    "The plan should leave nothing unconfirmed.",
    "Something the release depends on is asked by no check, so a GO does not speak of it.",
)
_RULES = (_INVALID, _UNCONFIRMED)


def render(name: str, plans: Sequence[LintedPlan]) -> str:
    """What was found, in the format of this name. Text leaves the errors of a faulty plan to standard error."""
    return _RENDERERS[name](plans)


def _remarks(plans: Sequence[LintedPlan]) -> Iterator[tuple[_Rule, PlanProblem]]:
    """Plan by plan, errors first."""
    for plan in plans:
        yield from ((_INVALID, fault) for fault in plan.faults())
        yield from ((_UNCONFIRMED, PlanProblem(plan.shown_as, None, "", gap)) for gap in plan.unconfirmed)


def _text(plans: Sequence[LintedPlan]) -> str:
    """A paragraph for each valid plan: what will be judged, and what it leaves unconfirmed."""
    return "".join(line + "\n" for plan in plans for line in _lines(plan))


def _lines(linted: LintedPlan) -> Iterator[str]:
    inspection, registry = linted.inspection, linted.registry
    if inspection is None or registry is None:
        return
    planned = Counter(item.check_id for item in inspection.items)
    count = counted(len(inspection.items), "check")
    yield no_command(clean(f"{linted.shown_as}: valid, {count} planned for {inspection.plan.release.id}"))
    counts = ", ".join(f"{check} {count}" for check, count in planned.items())
    idle = ", ".join(check_id for check_id in registry.ids if check_id not in planned)
    told = [("planned", counts)] if counts else []
    told += [("idle", f"{idle}: the plan has nothing for them")] if idle else []
    told += [("broken", broken) for broken in linted.broken()]
    for label, text in told:
        yield from wrapped(text, " " * 11, f"  {label:<9}")
    if linted.unconfirmed:
        yield f"  {unconfirmed_in_words(linted.unconfirmed).capitalize()}:"
        for line in linted.unconfirmed:
            yield from wrapped(line, "    ", "  - ")


def _json(plans: Sequence[LintedPlan]) -> str:
    """One document for all plans."""
    return json_text({"schema": SCHEMA, "plans": [_plan(plan) for plan in plans]})


def _plan(linted: LintedPlan) -> dict[str, Any]:
    faults = list(linted.faults())
    items = linted.inspection.items if linted.inspection else ()
    return {
        "file": linted.shown_as,
        "valid": not faults,
        "errors": [
            {
                "file": each.file,
                "line": each.line,
                "key": each.where,
                "message": each.message,
                "did_you_mean": each.nearest,
            }
            for each in faults
        ],
        "planned": dict(Counter(item.check_id for item in items)),
        "unconfirmed": list(linted.unconfirmed),
    }


def _github(plans: Sequence[LintedPlan]) -> str:
    """Annotations on the plans' lines, errors first; GitHub shows no more than 10 of a kind."""
    lines: list[str] = []
    for rule in _RULES:
        shown, left = capped([remark for kind, remark in _remarks(plans) if kind is rule])
        title = rule.id.replace("-", " ")
        lines += [command(rule.level, each.file, title, each.text, each.line) for each in shown]
        if left:
            lines.append(command(rule.level, plans[0].shown_as, "preflight lint", f"and {len(left)} more"))
    return "".join(lines)


def _gitlab(plans: Sequence[LintedPlan]) -> str:
    """A code quality report; empty for plans that are valid and leave nothing unconfirmed."""
    issues = []
    for rule, remark in _remarks(plans):
        path = PurePath(remark.file).as_posix()  # without a leading ./, or GitLab finds no such file
        # GitLab tells old from new by the fingerprint: without the line, so that an edit above changes nothing.
        identity = "\0".join((rule.id, path, remark.text))
        issue = {
            "description": clean(remark.text),
            "check_name": f"preflight-{rule.id}",
            "fingerprint": hashlib.sha256(identity.encode(errors="surrogatepass")).hexdigest()[:32],
            "severity": rule.severity,
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
    driver = {"name": "preflight", "semanticVersion": preflight.__version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": True, "exitCode": 2 if faulty else 0}],
        "columnKind": "unicodeCodePoints",
        "results": [_result(*remark) for remark in _remarks(plans)],
    }
    return json_text({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


def _result(rule: _Rule, remark: PlanProblem) -> dict[str, Any]:
    file = Path(remark.file)
    # Percent-encoded from the name's own bytes, which need not be UTF-8.
    encoded = quote(file.as_posix().encode("utf-8", "surrogateescape"))
    uri = f"file://{encoded}" if file.is_absolute() else encoded
    # Code scanning shows nothing without a line; what is about the whole file stands at its first.
    location = {"artifactLocation": {"uri": uri}, "region": {"startLine": remark.line or 1}}
    return {
        "ruleId": rule.id,
        "ruleIndex": _RULES.index(rule),
        "level": rule.level,
        "message": {"text": clean(remark.text)},
        "locations": [{"physicalLocation": location}],
    }


_RENDERERS = {"github": _github, "gitlab": _gitlab, "json": _json, "sarif": _sarif, "text": _text}
FORMATS = tuple(_RENDERERS)
