"""`preflight lint` and `preflight show`: commands that only read the plan."""

from __future__ import annotations

from pathlib import Path

import click

from preflight.cli.console import CallError, complain
from preflight.cli.options import PLAN, format_option, load
from preflight.cli.output import carries_unicode, write_stdout
from preflight.clock import Deadline, now
from preflight.engine.inspection import inspect
from preflight.engine.run import TIMEOUT_SECONDS, command_sheet, sheet_questions
from preflight.errors import ExitCode, PlanError
from preflight.evidence import Evidence
from preflight.plan import Plan
from preflight.plan.gaps import missing_files, outlived, unconfirmed, unstaffed
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
    plans = [_linted(path) for path in plan_paths]
    if stdout_format == "text":
        for problem in (problem for plan in plans for problem in plan.problems):
            complain(str(problem))
    write_stdout(lint_report.render(stdout_format, plans))
    faulty = any(True for plan in plans for _ in plan.faults())
    context.exit(int(ExitCode.USAGE if faulty else ExitCode.GO))


def _linted(path: Path) -> LintedPlan:
    try:
        plan, registry = load(path)
    except PlanError as error:
        return LintedPlan(shown_as=str(path), problems=error.errors)
    present = now()
    gaps = (*outlived(plan, present), *missing_files(plan), *unstaffed(plan), *unconfirmed(plan))
    inspection = inspect(plan, registry, present)
    return LintedPlan(shown_as=str(path), inspection=inspection, registry=registry, unconfirmed=gaps)


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
        write_stdout(command_sheet_report.render(plan, command_sheet(plan, _beside(plan)), not carries_unicode()))
        return
    if stdout_format == "markdown":
        write_stdout(requests_report.render(plan))
        return
    inspection = inspect(plan, registry, now())
    write_stdout(questions_report.render(inspection, registry, inspection.first_round(), str(plan_path)))


def _beside(plan: Plan) -> Evidence:
    """What the files beside the plan say; nothing else is asked."""
    answers: dict[str, tuple[Question, Answer]] = {}

    def keep(question: Question, answer: Answer) -> None:
        answers[question.id] = (question, answer)

    LocalSession(plan.folder).ask(list(sheet_questions(plan)), Deadline(TIMEOUT_SECONDS), keep)
    return Evidence(plan.digest, now(), answers)
