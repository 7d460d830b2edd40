"""Commands that ask nobody: `lint` and `show` read a plan; `checks`, `explain` and `schema` tell what there is."""

import json
from pathlib import Path

import click

from preflight.cli.console import CallError, carries_unicode, complain, no_such, write_stdout
from preflight.cli.options import FILE, PLAN, SET, complete_check, format_option, load, read_plan_files, refuse
from preflight.clock import Deadline, now
from preflight.engine.cut_off import TIMEOUT_SECONDS
from preflight.engine.inspection import inspect
from preflight.engine.registry import find_checks
from preflight.engine.run import command_sheet, sheet_questions
from preflight.engine.waivers import of_no_use
from preflight.errors import ExitCode, PlanError
from preflight.evidence import Evidence
from preflight.plan import Plan
from preflight.plan.overlaps import shared_with
from preflight.probe import Answer, Question
from preflight.reference import explanation, merged_plan
from preflight.reference import lint as lint_report
from preflight.reference.lint import LintedPlan
from preflight.reference.schemas import plan_schema, report_schema
from preflight.report import command_sheet as command_sheet_report
from preflight.sessions.local import LocalSession


@click.command()
@click.argument("plan_paths", metavar="PLAN...", nargs=-1, required=True, type=FILE, help="Release plans, TOML files.")
@SET
@format_option(lint_report.FORMATS)
@click.option("--strict", is_flag=True, help="What is only warned of is an error, too.")
def lint(plan_paths: tuple[Path, ...], stdout_format: str, strict: bool) -> ExitCode:
    """Check plans without a network; say what they leave unconfirmed, and what several of them use at one time."""
    present, linted = now(), []
    earlier: list[Plan] = []
    for path in plan_paths:
        try:
            plan, registry = load(path)
            refuse(path, of_no_use(plan, registry))
        except PlanError as error:
            linted.append(LintedPlan(str(path), problems=error.errors))
            continue
        inspection = inspect(plan, registry, present)
        found = (*lint_report.left_open(inspection), *shared_with(plan, earlier))
        merged = read_plan_files(path)
        warnings = (*lint_report.located(str(path), merged, found), *lint_report.left_to_do(merged, found))
        linted.append(LintedPlan(str(path), inspection=inspection, registry=registry, warnings=warnings, strict=strict))
        earlier.append(plan)
    write_stdout(lint_report.render(stdout_format, linted))
    return ExitCode.USAGE if any(True for each in linted for _ in each.faults()) else ExitCode.GO


@click.command()
@PLAN
@format_option(("text", "markdown"), "The questions as text, or what to request from whom as Markdown, to be sent.")
@click.option("--commands", is_flag=True, help="The night's command lines instead: where, as whom, and how long.")
@click.option("--plan", "whole", is_flag=True, help="The plan instead, all files in one, each value with its line.")
def show(plan_path: Path, stdout_format: str, commands: bool, whole: bool) -> None:
    """Print every question that would be sent, word for word, or what to request from whom. Asks nothing.

    What is equal but for a number that counts up is printed once: web[01-40]."""
    from preflight.reference import questions as questions_report
    from preflight.reference import requests as requests_report

    if commands and whole:
        raise CallError("--commands and --plan print different texts: give one of them")
    if (commands or whole) and stdout_format != "text":
        raise CallError(f"{'--plan' if whole else '--commands'} prints text; leave --format out")
    plan, registry = load(plan_path)
    if whole:
        write_stdout(merged_plan.render(read_plan_files(plan_path)))
        return
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


_ABOUT_PLAN = "Also the checks of this plan's own folder; `explain` shows what is asked of it."
_PLAN = click.option("--plan", "plan_path", metavar="PLAN", type=FILE, help=_ABOUT_PLAN)


@click.command()
@_PLAN
@SET
def checks(plan_path: Path | None) -> ExitCode:
    """List the checks: id, severity, what its answers tell, question."""
    registry = find_checks(load(plan_path)[0].release.checks if plan_path else None)
    write_stdout(explanation.listed([explanation.Explanation(check) for check in registry.checks]))
    for source in registry.broken:
        complain(str(source))
    return ExitCode.USAGE if registry.broken else ExitCode.GO


@click.command()
@click.argument("check_id", metavar="CHECK", shell_complete=complete_check, help="As `preflight checks` lists it.")
@_PLAN
@SET
def explain(check_id: str, plan_path: Path | None) -> None:
    """Why a check exists, what it asks, how it judges, its settings, the privileges it needs."""
    plan, registry = load(plan_path) if plan_path else (None, find_checks(None))
    inspection = inspect(plan, registry, now()) if plan else None
    found = {check.id: check for check in registry.checks}
    if check_id not in found:
        own = "" if plan_path else "; a check of a plan's own folder: with --plan PLAN"
        raise CallError(no_such("check", check_id, found).message + own)
    write_stdout(explanation.render(explanation.Explanation(found[check_id], inspection)))


@click.command()
@click.argument("document", metavar="plan|report", type=click.Choice(("plan", "report")), help="Of which document.")
def schema(document: str) -> None:
    """Print the JSON Schema of the plan, for editors, or of the JSON report."""
    written = plan_schema(find_checks(None)) if document == "plan" else report_schema()
    write_stdout(json.dumps(written, indent=2) + "\n")
