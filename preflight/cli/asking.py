"""Asking the real systems from the command line: prompts, progress, keeping the run, delivering the reports."""

import getpass
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from preflight.check import Expect
from preflight.cli import console
from preflight.cli.options import ReportOptions, load
from preflight.cli.progress import Progress, progress_of_this_call
from preflight.cli.versions import made_with
from preflight.clock import Deadline, monotonic, now
from preflight.engine.answered import Answered
from preflight.engine.cut_off import TIMEOUT_SECONDS, begin_again
from preflight.engine.inspection import Inspection, inspect
from preflight.engine.registry import Registry
from preflight.engine.run import collect
from preflight.engine.shards import WHOLE, Part
from preflight.errors import ExitCode
from preflight.evidence import Evidence, write_private
from preflight.plan import Plan
from preflight.plan.confirmed import Decided
from preflight.probe import Reply
from preflight.questions.local import TARGET, Namespace, Signature, SignatureProbe
from preflight.report import PLAIN, View, Watch
from preflight.report.comparison import Difference, compare
from preflight.report.formats import exit_code, render
from preflight.report.json_report import Report
from preflight.runs import saved_runs
from preflight.runs.saved_runs import SavedRun, UnreadableRun
from preflight.sessions import AskLine
from preflight.sessions.local import LocalSession
from preflight.sessions.pools import Pools
from preflight.sessions.secrets import SecretError, Secrets
from preflight.sessions.signatures import SignatureFailed, sign
from preflight.verdict import Verdict
from preflight.wording import beside


@dataclass(frozen=True)
class Asked:
    answered: Answered
    mask: Callable[[str], str] = str
    """Redacts the secrets that were used."""
    took_seconds: float | None = None
    """None when nothing was asked."""


def ask(
    inspection: Inspection,
    timeout_seconds: float,
    inputs: Mapping[str, str],
    earlier: Evidence | None = None,
    part: Part = WHOLE,
    *,
    quiet: bool = False,
) -> Asked:
    """Asks everything, or a part, and tells of the progress unless `quiet`. `earlier`: see `collect`."""
    with (
        Pools(inspection.plan, secrets_of(inspection.plan, part.network_zone)) as pools,
        progress_of_this_call(quiet=quiet) as tell,
    ):
        return ask_by(pools, inspection, timeout_seconds, inputs, tell, earlier, part)


def ask_by(
    pools: Pools,
    inspection: Inspection,
    timeout_seconds: float,
    inputs: Mapping[str, str],
    tell: Callable[[str], None],
    earlier: Evidence | None = None,
    part: Part = WHOLE,
    *,
    keep_open: bool = False,
    ask_line: AskLine = console.ask_line,
) -> Asked:
    """The same with sessions that others may use later. `tell`: what is told of the progress. `keep_open`: see
    `collect`. `ask_line`: by which a code is asked for, where there is a terminal."""

    def log_in(hosts: Iterable[str]) -> None:
        tell("")  # where the question will stand
        pools.log_in_by_code(hosts, ask_line)

    progress, started = Progress(tell), monotonic()
    try:
        answered = collect(
            inspection,
            pools.session,
            timeout_seconds,
            earlier=earlier,
            inputs=inputs,
            part=part,
            mask=pools.redact,
            keep_open=keep_open,
            log_in=log_in if console.has_terminal() else None,
            on_ask=progress.expect,
            on_answer=progress.count,
        )
    finally:
        tell("")
    return Asked(answered, pools.redact, monotonic() - started)


def secrets_of(plan: Plan, zone: str = "") -> Secrets:
    """The plan's, masked from here on in everything that is printed."""
    secrets = Secrets.of(plan, console.ask_hidden if console.has_terminal() else None)
    console.redact_with(secrets.redact)
    if console.has_terminal():  # else the references stay open, and each login that needs one says so in the report
        for ref, purpose in plan.secrets(zone):
            if ref.is_typed:
                with suppress(SecretError):  # reported when the login needs it
                    secrets.value(ref, purpose)  # what is typed is asked for before the clock of the run starts
        begin_again()
    return secrets


def deliver(
    asked: Asked,
    verdict: Verdict,
    report: ReportOptions,
    *,
    evidence_path: Path | None = None,
    difference: Difference | None = None,
    watch: Watch | None = None,
) -> int:
    """Keeps the run, writes every report asked for, and gives the exit code: the one of the format on standard output,
    and never 0 when something that was asked for could not be written. `difference`: what changed since an earlier
    run. What `verify` saw is not kept: no gate may start from it."""
    verdict = verdict if watch else with_origins(verdict)  # those of a watch are there
    is_run = asked.took_seconds is not None and verdict.expect is None
    problems = _keep(asked, verdict, evidence_path) if is_run else []
    view = view_of(asked, report, difference, watch)
    problems += write_outputs(asked, verdict, report, view) or _sign_outputs(report)
    try:
        console.write_stdout(asked.mask(render(report.stdout_format, verdict, shown_here(view, report))))
    except console.OutputError as error:
        problems.append(str(error))
    for problem in problems:
        console.complain(f"preflight: {problem}")
    return exit_code(report.stdout_format, verdict) or (ExitCode.INTERNAL if problems else ExitCode.GO)


def since(saved: SavedRun | UnreadableRun | None, report: Report) -> Difference | None:
    """What changed since a saved run; None without its report."""
    before = saved.report if isinstance(saved, SavedRun) else None
    return compare(before, report) if before else None


def with_origins(verdict: Verdict) -> Verdict:
    """With what the report was made with, and who signed the decisions that it shows."""
    return replace(verdict, made_with=made_with(verdict.plan), signatures=_signatures(verdict.plan))


def _signatures(plan: Plan) -> dict[Decided, str]:
    allowed, found = plan.release.allowed_signers, dict[Decided, str]()
    for each in plan.confirmed.decided if allowed else ():
        if allowed and each.signature:
            path = beside(plan.folder, allowed)
            probe = SignatureProbe(TARGET, path, Namespace.DECISION, each.signed_text, each.signature)
            answer = LocalSession(plan.folder).answer(probe.question(), Deadline(TIMEOUT_SECONDS))
            signature = probe.read(answer) if isinstance(answer, Reply) else Signature(problem=answer.detail)
            found[each] = signature.objection(each.by)
    return found


def view_of(asked: Asked, report: ReportOptions, difference: Difference | None, watch: Watch | None) -> View:
    """What every report of a run tells besides the verdict."""
    return View(
        verbose=report.verbose,
        short=report.short,
        took_seconds=asked.took_seconds,
        difference=difference,
        watch=watch,
        command=shlex.join(["preflight", *sys.argv[1:]]),  # no option takes a secret
    )


def shown_here(view: View, report: ReportOptions) -> View:
    """The same for standard output."""
    return replace(view, color=console.wants_color(report.color), ascii=not console.carries_unicode())


def write_outputs(asked: Asked, verdict: Verdict, report: ReportOptions, view: View) -> list[str]:
    """Writes the files that were asked for; what went wrong."""
    problems = []
    for name, path in report.outputs:
        try:
            write_private(path, asked.mask(render(name, verdict, view)), mode=0o644)
        except OSError as error:
            problems.append(f"{path}: the report could not be written: {error.strerror}")
    return problems


def _sign_outputs(report: ReportOptions) -> list[str]:
    """Beside each file; what went wrong."""
    if report.key is None:
        return []
    try:
        for path in (path for _, path in report.outputs if path.is_file()):  # nothing stands beside a device
            signature = sign(report.key, Namespace.REPORT, path.read_bytes().decode())
            write_private(path.with_name(f"{path.name}.sig"), signature, mode=0o644)
    except OSError as error:
        return [f"{path}.sig: the signature could not be written: {error.strerror}"]
    except SignatureFailed as error:
        return [str(error)]
    return []


def planned(
    plan_path: Path, report: ReportOptions, default: Callable[[Plan], datetime], expect: Expect | None = None
) -> Inspection:
    """What is to be judged, at the moment that --at names, else at `default`. `expect`: what `verify` wants to find."""
    plan, registry = load(plan_path)
    if expect is not None:
        registry = registry.verifying(expect)
    moment = default(plan)
    asked_at = min(moment, now())
    return chosen(plan, registry, report, report.moment(plan, asked_at=asked_at) or moment, asked_at, expect)


def chosen(
    plan: Plan,
    registry: Registry,
    report: ReportOptions,
    moment: datetime,
    asked_at: datetime,
    expect: Expect | None = None,
) -> Inspection:
    """What the options select of the plan. Raises CallError for what they name and the plan does not have."""
    no_warnings = report.fail_on == "warn"
    found = inspect(plan, registry, moment, report.selection, asked_at=asked_at, expect=expect, no_warnings=no_warnings)
    report.require_known(plan, registry.ids, [item.subject.id for item in found.items])
    return found


def _keep(asked: Asked, verdict: Verdict, path: Path | None) -> list[str]:
    """Saves the run, or just its evidence where a place is named; the result is what went wrong."""
    try:
        if path is None:
            saved_runs.keep(verdict.plan, asked.answered.evidence, asked.mask(render("json", verdict, PLAIN)))
        else:
            write_private(path, asked.answered.evidence.to_json())
    except OSError as error:
        target = path or saved_runs.folder_of(verdict.plan)
        said = f"{target}: the evidence could not be kept: {error.strerror}; name another place with --evidence FILE"
        if path is not None:
            return [said]
        console.complain(f"preflight: {said}")  # a checkout that cannot be written costs a line, not the verdict
    return []


def vantage_of_this_run() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return f"from {os.uname().nodename} as {user}"
