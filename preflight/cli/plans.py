"""`preflight lint` and `preflight show`: commands that only read the plan."""

from __future__ import annotations

from pathlib import Path

import click

from preflight.cli.console import CallError, complain
from preflight.cli.loading import PLAN, load
from preflight.cli.output import write_stdout
from preflight.clock import Deadline, now
from preflight.engine.command_sheet import command_sheet, sheet_questions
from preflight.engine.inspection import inspect
from preflight.engine.run import TIMEOUT_SECONDS
from preflight.errors import ExitCode, PlanError
from preflight.evidence import Evidence
from preflight.plan import Plan
from preflight.plan.gaps import missing_files, outlived, unconfirmed, unstaffed
from preflight.probe import Answer, Question
from preflight.report import command_sheet as command_sheet_report
from preflight.report import lint as lint_report
from preflight.report.lint import LintedPlan
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
@click.option(
    "--format",
    "name",
    type=click.Choice(lint_report.FORMATS),
    default="text",
    show_default=True,
    help="What is printed on standard output.",
)
@click.pass_context
def lint(context: click.Context, plan_paths: tuple[Path, ...], name: str) -> None:
    """Check plans without a network; say what they leave unconfirmed."""
    plans = [_linted(path) for path in plan_paths]
    if name == "text":
        for problem in (problem for plan in plans for problem in plan.problems):
            complain(str(problem))
    write_stdout(lint_report.render(name, plans))
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
@click.option(
    "--format",
    "name",
    type=click.Choice(("text", "markdown")),
    default="text",
    show_default=True,
    help="The questions as text, or what to request from whom as Markdown, to be sent.",
)
@click.option("--commands", is_flag=True, help="The night's command lines instead: where, as whom, and how long.")
def show(plan_path: Path, name: str, commands: bool) -> None:
    """Print every question that would be sent, word for word, or what to request from whom. Asks nothing."""
    from preflight.report import questions as questions_report
    from preflight.report import requirements as requirements_report

    if commands and name != "text":
        raise CallError("--commands prints text; leave --format out")
    plan, registry = load(plan_path)
    if commands:
        write_stdout(command_sheet_report.render(plan, command_sheet(plan, _beside(plan))))
        return
    if name == "markdown":
        write_stdout(requirements_report.render(plan))
        return
    inspection = inspect(plan, registry, now())
    beside = questions_report.overview(str(plan_path), inspection, registry)
    write_stdout(questions_report.render(plan, inspection.first_round(), beside))


def _beside(plan: Plan) -> Evidence:
    """What the files beside the plan say; nothing else is asked."""
    answers: dict[str, tuple[Question, Answer]] = {}

    def keep(question: Question, answer: Answer) -> None:
        answers[question.id] = (question, answer)

    LocalSession(plan.folder).ask(list(sheet_questions(plan)), Deadline(TIMEOUT_SECONDS), keep)
    return Evidence(plan.digest, now(), answers)
