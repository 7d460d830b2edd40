"""Files beside the plan that it names and that are not there: said before a run finds it out."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.plan import Plan


def missing_files(plan: Plan) -> tuple[str, ...]:
    """One sentence for each. Only what is looked at; nothing is read."""
    return tuple(_sentences(plan))


def _sentences(plan: Plan) -> Iterator[str]:
    for scripts in plan.scripts.values():
        table = f"[scripts.{scripts.id}]"
        if not scripts.approved.is_dir():
            yield f'The folder of approved scripts is not there: correct "approved" in {table} ({scripts.approved}).'
        elif not scripts.manifest.is_file():
            yield f"The scripts {scripts.id} are not sealed, {scripts.manifest} is not there: run preflight seal."
