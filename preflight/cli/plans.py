"""`preflight lint` and `preflight show`: commands that only read the plan."""

from __future__ import annotations

from pathlib import Path

import click

from preflight.cli.console import CallError, complain
from preflight.cli.options import PLAN, format_option, load, refuse
from preflight.cli.output import carries_unicode, write_stdout
from preflight.clock import Deadline, now
from preflight.engine.cut_off import TIMEOUT_SECONDS
from preflight.engine.inspection import inspect
from preflight.engine.run import command_sheet, sheet_questions
from preflight.engine.waivers import of_no_use
from preflight.errors import ExitCode, PlanError
from preflight.evidence import Evidence
from preflight.plan.gaps import found_by_checks, left_out, missing_files, outlived, unconfirmed
from preflight.probe import Answer, Question
from preflight.reference import lint as lint_report
from preflight.reference.lint import LintedPlan
from preflight.report import command_sheet as command_sheet_report
from preflight.sessions.local import LocalSession


@click.command()
@click.argument(
    "plan_paths",
    metavar="PLAN...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
    help="Release plans, TOML files.",
)
@format_option(lint_report.FORMATS)
@click.pass_context
def lint(context: click.Context, plan_paths: tuple[Path, ...], stdout_format: str) -> None:
    """Check plans without a network; say what they leave unconfirmed."""
    present, linted = now(), []
    for path in plan_paths:
        try:
            plan, registry = load(path)
            refuse(path, of_no_use(plan))
        except PlanError as error:
            linted.append(LintedPlan(shown_as=str(path), problems=error.errors))
            continue
        unexplained = (str(gap) for gap in left_out(plan) if not gap.reason)
        files, judged = missing_files(plan), found_by_checks(plan)
        gaps = (*outlived(plan, present), *files, *judged, *unexplained, *unconfirmed(plan))
        inspection = inspect(plan, registry, present)
        linted.append(LintedPlan(shown_as=str(path), inspection=inspection, registry=registry, unconfirmed=gaps))
    if stdout_format == "text":
        for problem in (problem for each in linted for problem in each.problems):
            complain(str(problem))
    write_stdout(lint_report.render(stdout_format, linted))
    faulty = any(True for each in linted for _ in each.faults())
    context.exit(int(ExitCode.USAGE if faulty else ExitCode.GO))


@click.command()
@PLAN
@format_option(("text", "markdown"), "The questions as text, or what to request from whom as Markdown, to be sent.")
@click.option("--commands", is_flag=True, help="The night's command lines instead: where, as whom, and how long.")
def show(plan_path: Path, stdout_format: str, commands: bool) -> None:
    """Print every question that would be sent, word for word, or what to request from whom. Asks nothing."""
    from preflight.reference import questions as questions_report
    from preflight.reference import requests as requests_report

    if commands and stdout_format != "text":
        raise CallError("--commands prints text; leave --format out")
    plan, registry = load(plan_path)
    if commands:
        answers: dict[str, tuple[Question, Answer]] = {}  # what the files beside the plan say; nothing else is asked
        questions = list(sheet_questions(plan))
        LocalSession(plan.folder).ask(
            questions, Deadline(TIMEOUT_SECONDS), lambda each, answer: answers.update({each.id: (each, answer)})
        )
        sheet = command_sheet(plan, Evidence(plan.digest, now(), answers))
        write_stdout(command_sheet_report.render(plan, sheet, ascii=not carries_unicode()))
        return
    if stdout_format == "markdown":
        write_stdout(requests_report.render(plan))
        return
    inspection = inspect(plan, registry, now())
    write_stdout(questions_report.render(inspection, registry, inspection.first_round(), str(plan_path)))
