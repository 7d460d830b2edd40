"""`python -m preflight.reference`, in the project's folder, writes every page, table and schema that follows from the
code: the plan's from its own types, the checks' from the checks themselves."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from preflight import plan
from preflight.clock import now
from preflight.engine.inspection import inspect
from preflight.engine.registry import Registry, find_checks
from preflight.plan.load import load_plan
from preflight.plan.release_plan import FORMAT
from preflight.reference.explanation import NIGHT, Explanation
from preflight.reference.keys import SHARING, Key, in_words, keys
from preflight.reference.schemas import plan_schema, report_schema
from preflight.report import formats
from preflight.report.formats.markdown import table
from preflight.wording import first_paragraph

SECTIONS: Mapping[str, type] = {
    "[release]": plan.Release, "[release.without]": plan.Without, "[window]": plan.Window, "[roles.NAME]": plan.Role,
    "[hosts.NAME]": plan.Host,
    "[databases.NAME]": plan.Database, "[backups.NAME]": plan.Backup, "[backups.NAME.restore]": plan.Restore,
    "[scripts.NAME]": plan.Scripts, "[applications.NAME]": plan.Application,
    "[[applications.NAME.health]]": plan.Endpoint, "[rehearsal]": plan.Rehearsing,
    "[rehearsal.server]": plan.RehearsalServer, "[rollback]": plan.Rollback,
    "[[rollback.files]]": plan.RollbackFile,
    "[[steps]]": plan.Step, "undo = { ... } of a step": plan.Undo, "[[tested]]": plan.Tested, "[[rules]]": plan.Rule,
    "[[decisions]]": plan.Decision, "[[waivers]]": plan.Waiver, "[[attest]]": plan.Attest,
    "[freeze.NAME]": plan.Freeze, "[freshness]": plan.Freshness,
}  # fmt: skip
"""How a table of the plan is written -> its type."""


def pages() -> dict[str, str]:
    """Path -> content. The example plan says which answers a check asks for. Raises ValueError for a check that cannot
    be loaded: it would be missing."""
    registry = find_checks(None)
    if registry.broken:
        raise ValueError("; ".join(map(str, registry.broken)))
    inspection = inspect(load_plan(Path("plans/example.toml"), registry.settings()), registry, now())
    explanations = [Explanation(check, inspection) for check in registry.checks]
    return {
        "README.md": _readme(Path("README.md").read_text("utf-8"), explanations),
        "docs/reference/plan.md": "\n\n".join(_plan_blocks(registry)) + "\n",
        "docs/reference/checks.md": "\n\n".join(_checks_blocks(explanations)) + "\n",
        "docs/schema/plan.schema.json": json.dumps(plan_schema(registry), indent=2) + "\n",
        "docs/schema/report.schema.json": json.dumps(report_schema(), indent=2) + "\n",
    }


def _readme(readme: str, explanations: Sequence[Explanation]) -> str:
    """The README with each table between its two marks. Raises ValueError when they are not there."""
    asked = {each.check.id: each.question for each in explanations}
    checks = [(f"[`{name}`](docs/reference/checks.md#{name})", question) for name, question in asked.items()]
    # For whom a format is: the first sentence of its module's docstring.
    modules = {name: importlib.import_module(f"{formats.__name__}.{name}") for name in formats.FORMATS}
    purposes = [(f"`{name}`", first_paragraph(each).partition(". ")[0].rstrip(".")) for name, each in modules.items()]
    for name, head, rows in (("checks", ("check", "question"), checks), ("formats", ("format", ""), purposes)):
        begin, end = f"<!-- {name}, written by `python -m preflight.reference` -->\n", f"\n<!-- end of {name} -->\n"
        before, found, rest = readme.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"no place for {name} in the README")
        readme = "".join([before, begin, "\n".join(table(head, rows)), end, after])
    return readme


def _plan_blocks(registry: Registry) -> Iterator[str]:
    yield "# Plan reference"
    yield "<!-- Written by `python -m preflight.reference`; edit the types in preflight/plan instead. -->"
    yield (
        "A release plan is one TOML file. [plans/example.toml](../../plans/example.toml) is a whole one. An unknown "
        "table or key is an error. Relative paths start at the plan's folder; times are local to the window's zone, "
        "24-hour. Editors complete plans with the [schema](../schema/plan.schema.json)."
    )
    yield (
        f"`format = {FORMAT}` may stand above the first table: it says which format the plan is written in. Another "
        f"number is an error, and nothing else of such a plan is read; left out, it is {FORMAT}."
    )
    yield "## What several plans, or entries, share"
    yield "\n".join(table(("key or table", "meaning"), [(f"`{name}`", said) for name, said in SHARING.items()]))
    yield (
        'An id may hold a range: `[hosts."web[01-40]"]` is forty entries, and `{n}` in their strings the number with '
        "its zeros. So may every place that names entries, the `host` of an entry and the `url` of a health endpoint. "
        "[Plans that are shared and varied](../guides/plans.md) shows all of it."
    )
    for section, cls in SECTIONS.items():
        yield f"## `{section}`"
        said = first_paragraph(cls)
        meaning = said.partition(": ")[2] or said  # what follows the section's own name
        yield meaning[:1].upper() + meaning[1:]
        yield _key_table(keys(cls, without=("id",) if section.endswith(".NAME]") else ()))
    yield "## `[checks.ID]`"
    yield (
        '`severity` says what the findings of a check do to the verdict: with `"blocking"` a failure is NO-GO and what '
        'was not seen is HOLD, with `"required"` either is HOLD, with `"advisory"` it is told and never decides. '
        '`severity_of = { "SUBJECT" = "advisory" }` says it of single subjects, as the report names them. `runbook` is '
        "a URL that is printed with every finding of the check. The other settings are the check's own: see the "
        "[checks reference](checks.md)."
    )
    rows = [
        (f"`{check.id}`", ", ".join(f"`{key.name}`" for key in keys(check.Settings)) or "none")
        for check in registry.checks
    ]
    yield "\n".join(table(("check", "settings"), rows))


def _key_table(found: Sequence[Key]) -> str:
    rows: list[tuple[str, ...]] = []
    for key in found:
        default = "required" if key.required else f"`{key.default}`" if key.default else ""
        rows.append((f"`{key.name}`", in_words(key.shape), default, key.text))
    return "\n".join(table(("key", "value", "default", "meaning"), rows))


def _checks_blocks(explanations: Sequence[Explanation]) -> Iterator[str]:
    yield "# Checks reference"
    yield "<!-- Written by `python -m preflight.reference`; edit the checks instead. -->"
    yield f"{NIGHT} `preflight show PLAN` prints what is asked, word for word."
    rows = [(f"[{each.check.id}](#{each.check.id})", each.check.severity, each.question) for each in explanations]
    yield "\n".join(table(("check", "severity", "question"), rows))
    for each in explanations:
        yield f"## {each.check.id}"
        yield f"**{each.question}**"
        yield from each.why
        told = [*each.facts, *([("second round", each.second_round)] if each.second_round else [])]
        yield "\n".join(f"- **{name.capitalize()}:** {text}" for name, text in told)
        if each.settings:
            yield f"Settings, in `[checks.{each.check.id}]`:"
            yield _key_table(each.settings)


if __name__ == "__main__":
    for name, content in pages().items():
        Path(name).write_text(content, "utf-8")
