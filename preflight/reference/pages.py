"""The reference pages, Markdown: the plan's from its own types, the checks' from the checks themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from preflight import plan
from preflight.engine.registry import Registry
from preflight.plan.release_plan import FORMAT
from preflight.reference.explanation import NIGHT, Explanation
from preflight.reference.keys import Key, in_words, keys
from preflight.reference.questions import second_round
from preflight.report.markup import table
from preflight.wording import first_paragraph

SECTIONS: Mapping[str, type] = {
    "[release]": plan.Release, "[window]": plan.Window, "[roles.NAME]": plan.Role, "[hosts.NAME]": plan.Host,
    "[databases.NAME]": plan.Database, "[backups.NAME]": plan.Backup, "[backups.NAME.restore]": plan.Restore,
    "[scripts.NAME]": plan.Scripts, "[applications.NAME]": plan.Application,
    "[[applications.NAME.health]]": plan.Endpoint, "[rollback]": plan.Rollback, "[[rollback.files]]": plan.RollbackFile,
    "[[steps]]": plan.Step, "undo = { ... } of a step": plan.Undo, "[[tested]]": plan.Tested, "[[rules]]": plan.Rule,
    "[[decisions]]": plan.Decision, "[[waivers]]": plan.Waiver, "[freshness]": plan.Freshness,
}  # fmt: skip
"""How a table of the plan is written -> its type."""


def plan_page(registry: Registry) -> str:
    """The page; a test compares it with docs/reference/plan.md."""
    return "\n".join(_plan_lines(registry)) + "\n"


def checks_page(explanations: Sequence[Explanation]) -> str:
    """The page; a test compares it with docs/reference/checks.md."""
    return "\n".join(_checks_lines(explanations)) + "\n"


def _plan_lines(registry: Registry) -> Iterator[str]:
    yield "# Plan reference"
    yield ""
    yield "<!-- Written by `python -m preflight.reference`; edit the types in preflight/plan instead. -->"
    yield ""
    yield (
        "A release plan is one TOML file. [plans/example.toml](../../plans/example.toml) is a whole one. An unknown "
        "table or key is an error. Relative paths start at the plan's folder; times are local to the window's zone, "
        "24-hour. Editors complete plans with the [schema](../schema/plan.schema.json)."
    )
    yield ""
    yield (
        f"`format = {FORMAT}` may stand above the first table: it says which format the plan is written in. Another "
        f"number is an error, and nothing else of such a plan is read; left out, it is {FORMAT}."
    )
    for section, cls in SECTIONS.items():
        yield ""
        yield f"## `{section}`"
        yield ""
        yield _meaning(cls)
        yield ""
        yield from _key_table(keys(cls, without=("id",) if section.endswith(".NAME]") else ()))
    yield ""
    yield "## `[checks.ID]`"
    yield ""
    yield (
        '`severity = "advisory"` makes every finding of a check one that is told and never decides; `"blocking"` is '
        "the other word. The other settings are the check's own: see the [checks reference](checks.md)."
    )
    yield ""
    rows = [
        (f"`{check.id}`", ", ".join(f"`{key.name}`" for key in keys(check.Settings)) or "none")
        for check in registry.checks
    ]
    yield from table(("check", "settings"), rows)


def _key_table(found: list[Key]) -> Iterator[str]:
    """Key, value, default and meaning."""
    rows = []
    for key in found:
        default = "required" if key.required else f"`{key.default}`" if key.default else ""
        rows.append((f"`{key.name}`", in_words(key.shape), default, key.text))
    yield from table(("key", "value", "default", "meaning"), rows)


def _meaning(cls: Any) -> str:
    """What follows the section's own name in the docstring."""
    said = first_paragraph(cls)
    meaning = said.partition(": ")[2] or said
    return meaning[:1].upper() + meaning[1:]


def _checks_lines(explanations: Sequence[Explanation]) -> Iterator[str]:
    yield "# Checks reference"
    yield ""
    yield "<!-- Written by `python -m preflight.reference`; edit the checks instead. -->"
    yield ""
    yield f"{NIGHT} `preflight show PLAN` prints what is asked, word for word."
    yield ""
    rows = [(f"[{each.check.id}](#{each.check.id})", str(each.check.severity), each.question) for each in explanations]
    yield from table(("check", "severity", "question"), rows)
    for each in explanations:
        yield from _check(each)


def _check(explanation: Explanation) -> Iterator[str]:
    yield ""
    yield f"## {explanation.check.id}"
    yield ""
    yield f"**{explanation.question}**"
    yield ""
    yield _prose(explanation.why)
    yield ""
    later = second_round(explanation.check)
    if later:
        yield f"- **Second round:** {later}"
    yield f"- **Needs:** {explanation.check.needs}."
    yield f"- **Mostly cured by:** {explanation.check.cure}."
    waivable = "may be covered by a waiver" if explanation.check.waivable else "no waiver ever covers it"
    families = (
        f"; answers age by `{'`, `'.join(explanation.families)}` in `[freshness]`" if explanation.families else ""
    )
    yield f"- **Severity:** {explanation.check.severity}, {waivable}{families}."
    if explanation.settings:
        yield ""
        yield f"Settings, in `[checks.{explanation.check.id}]`:"
        yield ""
        yield from _key_table(list(explanation.settings))


def _prose(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
