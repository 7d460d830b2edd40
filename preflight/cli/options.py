"""The arguments and options that several commands have. A plan is read together with the checks that apply to it."""

import functools
import math
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from preflight.cli.console import CallError, no_such
from preflight.clock import format_moment, local_to_utc, now, zone
from preflight.engine.cut_off import TIMEOUT_SECONDS, at_deadline
from preflight.engine.registry import Registry, find_checks
from preflight.engine.selection import By, Selection, Term
from preflight.engine.waivers import misdirected
from preflight.errors import PlanError
from preflight.plan import Plan, Window
from preflight.plan.load import load_plan
from preflight.plan.merged import Merged, Problems, read_merged
from preflight.plan.rules import Broken
from preflight.probe import Family
from preflight.report.formats import FORMATS
from preflight.wording import visible

FILE = click.Path(path_type=Path)
COLOR = click.option(
    "--color",
    type=click.Choice(("auto", "always", "never")),
    default="auto",
    show_default=True,
    help="Colour the text report; auto obeys NO_COLOR and FORCE_COLOR.",
)


def _begin(context: click.Context, _option: click.Parameter, seconds: float) -> float:
    """The time runs from here. `nan` passes every range check of click and would be a deadline that never comes."""
    if math.isnan(seconds):
        raise click.BadParameter("'nan' is no number of seconds")
    context.with_resource(at_deadline(seconds))
    return seconds


TIMEOUT = click.option(
    "--timeout",
    type=click.FloatRange(min=1, max=86400),
    callback=_begin,
    default=TIMEOUT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Deadline of the whole run; what is missing then is UNKNOWN, and the report is still printed.",
)


QUIET = click.option("-q", "--quiet", is_flag=True, help="Nothing of the progress on standard error.")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def format_option(names: Sequence[str], about: str = "What is printed on standard output.") -> Decorator:
    """`--format`, one of `names`; the command receives it as `stdout_format`."""
    return click.option(
        "--format", "stdout_format", type=click.Choice(names), default="text", show_default=True, help=about
    )


def sign_option(about: str) -> Decorator:
    """`--sign KEY`; the command receives it as `key`."""
    return click.option("--sign", "key", type=FILE, metavar="KEY", help=about)


_PREFIX = "PREFLIGHT_SET_"
_VALUES = "preflight.values"
"""Of a call's context: what it sets variables to."""


def _read_values(context: click.Context, _option: click.Parameter, given: Sequence[str]) -> None:
    values: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise CallError("--set: write NAME=VALUE, where NAME is declared in [variables] of the plan")
        if name in values:
            raise CallError(f"--set {visible(name)} is given twice")
        values[name] = value
    found = {name.removeprefix(_PREFIX): value for name, value in os.environ.items() if name.startswith(_PREFIX)}
    context.meta[_VALUES] = found | values


SET = click.option(
    "--set",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_read_values,
    expose_value=False,
    help="What a variable of the plan is in this call; may be given several times. Also PREFLIGHT_SET_NAME in the "
    "environment.",
)


def PLAN(command: Callable[..., Any]) -> Callable[..., Any]:  # noqa: N802 - as the other decorators here
    """Decorator: the plan, and what its variables are set to, which `load` finds by itself."""
    argument = click.argument("plan_path", metavar="PLAN", type=FILE, help="The release plan, a TOML file.")
    decorated: Callable[..., Any] = argument(SET(command))
    return decorated


def read_plan_files(path: Path) -> Merged:
    """The plan's files, merged, with the variables as this call sets them. Raises PlanError."""
    return read_merged(path, _values())


def _values() -> Mapping[str, str]:
    context = click.get_current_context(silent=True)
    return context.meta.get(_VALUES, {}) if context else {}


def load(path: Path) -> tuple[Plan, Registry]:
    """The plan, valid to the last key, and the checks that it has something for. Raises PlanError and NoChecksError."""
    found: list[Registry] = []

    def settings(plan: Plan) -> Mapping[str, type | None]:
        found.append(find_checks(plan.release.checks if plan.release else None, plan))
        return found[0].settings()

    plan = load_plan(path, settings, _values())
    refuse(path, misdirected(plan, found[0], now()))
    return plan, found[0]


def refuse(path: Path, broken: Iterable[Broken]) -> None:
    """Raises PlanError, with the lines of the plan, for what a valid plan says to no purpose."""
    if faults := list(broken):
        problems = Problems(read_plan_files(path))
        for fault in faults:
            problems.add(*fault)
        raise PlanError(problems.found)


def complete_check(_context: click.Context, _parameter: click.Parameter, begun: str) -> Sequence[CompletionItem]:
    """What a shell is offered for the id of a check; those of a plan's own folder are not known here."""
    return [CompletionItem(check.id) for check in find_checks(None).checks if check.id.startswith(begun)]


def _terms(name: str, about: str) -> Decorator:
    return click.option(name, multiple=True, shell_complete=complete_check, metavar="WHAT", help=about)


_OPTIONS = (
    format_option(FORMATS),
    click.option(
        "--output",
        "outputs",
        multiple=True,
        metavar="FORMAT=FILE",
        help="Also write the report to a file; may be given several times.",
    ),
    sign_option("Sign each file of --output with this SSH key (a public one: the agent), as FILE.sig."),
    _terms(
        "--only",
        "Only these: a CHECK by its id as `lint` lists it, host:NAME, owner:ROLE, family:NAME (as in [freshness]) "
        "or subject:NAME; then the verdict is never GO.",
    ),
    _terms("--skip", "Not these, named alike; then the verdict is never GO."),
    click.option(
        "--at",
        metavar="TIME",
        help="Judge as if at this moment: '2026-10-17 02:30', or '02:30' in the window; 24-hour, in its zone.",
    ),
    click.option(
        "--fail-on",
        type=click.Choice(("fail", "warn")),
        default="fail",
        show_default=True,
        help="`warn`: a warning of a check that decides makes the verdict HOLD, too.",
    ),
    COLOR,
    click.option("-v", "--verbose", is_flag=True, help="Show the passes and everything the plan leaves unconfirmed."),
    QUIET,
    click.option("--short", is_flag=True, help="Five lines: the verdict, its times, what blocks."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """The values of these options, already checked: a mistyped one must not cost a run."""

    stdout_format: str = "text"
    outputs: tuple[tuple[str, Path], ...] = ()
    key: Path | None = None
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    at: str | None = None
    fail_on: str = "fail"
    color: str = "auto"
    verbose: bool = False
    short: bool = False
    quiet: bool = False

    @property
    def selection(self) -> Selection:
        return Selection(tuple(map(Term.parse, self.only)), tuple(map(Term.parse, self.skip)))

    def require_known(self, plan: Plan, checks: Sequence[str], subjects: Sequence[str]) -> None:
        """Raises CallError for a term of --only or --skip that names nothing of the plan."""
        known: dict[By, Collection[str]] = {By.CHECK: checks, By.HOST: plan.hosts, By.OWNER: plan.roles}
        known |= {By.FAMILY: tuple(Family), By.SUBJECT: subjects}
        for option, terms in (("--only", self.selection.only), ("--skip", self.selection.skip)):
            for term in terms:
                if term.name not in known[term.by]:
                    raise no_such(term.by, term.name, known[term.by], option)

    def moment(self, plan: Plan, asked_at: datetime) -> datetime | None:
        """The instant that --at names, UTC, or None. Raises CallError; before `asked_at` too: nothing was seen then."""
        if self.at is None:
            return None
        try:
            moment = named_moment(self.at, plan.window)
        except ValueError as error:
            raise CallError(f"--at {self.at}: {error}") from None
        if moment < asked_at.replace(second=0, microsecond=0):
            at, asked = (format_moment(each, plan.window.zone) for each in (moment, asked_at))
            raise CallError(f"--at {self.at}: {at} lies before the moment of asking, {asked}")
        return moment


def named_moment(text: str, window: Window) -> datetime:
    """The instant, UTC, that `2026-10-17 02:30` or `02:30` names in the window's zone. Raises ValueError.

    A bare time is the one inside the window, where there is one; else today's."""
    local = read_local(text)
    if local is not None:
        return local_to_utc(local, window.zone)
    bare = _parsed(text, "%H:%M")
    if bare is None:
        raise ValueError(f"write 'YYYY-MM-DD HH:MM' or 'HH:MM', 24-hour, in {window.zone}")
    first, last, today = (moment.astimezone(zone(window.zone)).date() for moment in (window.start, window.end, now()))
    for day in (first, last):
        local = datetime.combine(day, bare.time(), zone(window.zone))
        if any(window.start <= local.replace(fold=fold) <= window.end for fold in (0, 1)):
            return local_to_utc(local.replace(tzinfo=None), window.zone)
    return local_to_utc(datetime.combine(today, bare.time()), window.zone)


def read_local(text: str) -> datetime | None:
    """`2026-10-17 00:00`, as typed, or with seconds, as in a plan; with an offset, `2026-11-01 01:40-04:00`."""
    forms = ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M%z", "%Y-%m-%d %H:%M:%S%z")
    return next(filter(None, (_parsed(text.strip().replace("T", " "), form) for form in forms)), None)


def _parsed(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)  # noqa: DTZ007 - a local time; its zone is the window's
    except ValueError:
        return None


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: adds the options; the command receives them as one `report: ReportOptions`."""

    @functools.wraps(command)
    def call(*args: Any, **values: Any) -> Any:
        chosen = {name: values.pop(name) for name in list(values) if name in ReportOptions.__dataclass_fields__}
        outputs: list[tuple[str, Path]] = []
        for output in chosen["outputs"]:
            name, _, path = output.partition("=")
            if name not in FORMATS or not path:
                raise CallError(f"--output {output}: write FORMAT=FILE, where FORMAT is one of {', '.join(FORMATS)}")
            outputs.append((name, Path(path)))
        chosen["outputs"] = tuple(outputs)
        paths = [path.resolve() for _, path in outputs if not path.is_char_device()]
        if len(set(paths)) < len(paths):
            raise CallError("--output: two reports would be written to one file")
        if chosen["key"] and not paths:
            raise CallError("--sign signs the files of --output, and there is none")
        if chosen["short"] and chosen["verbose"]:
            raise CallError("--short tells less and --verbose tells more: give one of them")
        return command(*args, report=ReportOptions(**chosen), **values)

    decorated: Callable[..., Any] = call
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
