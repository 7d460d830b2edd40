"""The command group and the outermost handler: every way a run can end becomes one of our exit codes here."""

import contextlib
import importlib
import os
import signal
import sys
from types import FrameType

import click

from preflight import INTERRUPTED, __version__, on_interruption
from preflight.cli.console import complain, complain_usage, no_such
from preflight.errors import ExitCode, Interruption, PlanError, PreflightError, RefusedError

_COMMANDS = {
    "run": ("preflight.cli.run", "Ask the real systems and print the go/no-go report."),
    "collect": ("preflight.cli.collect", "Only ask, in one network zone or job of several, and keep the answers."),
    "judge": ("preflight.cli.collect", "Judge saved evidence, of one run or of several jobs, without a network."),
    "diff": ("preflight.cli.run", "Show what changed between two JSON reports."),
    "gate": ("preflight.cli.run", "At the start of the call: ask again, judge, say what changed since the newest run."),
    "verify": ("preflight.cli.run", "Once the work is done or taken back: are the systems in that state?"),
    "history": ("preflight.cli.run", "List the saved runs of a release, each judged again."),
    "init": ("preflight.cli.init", "Write a commented plan to begin with."),
    "lint": ("preflight.cli.offline", "Check plans without a network; say what they leave unconfirmed."),
    "show": ("preflight.cli.offline", "Print every question that would be sent, word for word."),
    "confirm": ("preflight.cli.confirm", "Write down beside the plan who confirmed a role or attested an item."),
    "decide": ("preflight.cli.confirm", "Write down beside the plan who decided go, no-go or hold, on which verdict."),
    "seal": ("preflight.cli.seal", "Write the script manifests and pin the hosts' keys beside the plan."),
    "rehearse": ("preflight.cli.rehearse", "Run the sealed scripts for real, on a scratch server of this machine."),
    "checks": ("preflight.cli.offline", "List the checks: id, severity, question."),
    "explain": ("preflight.cli.offline", "Tell all about one check: why, how, settings, privileges."),
    "schema": ("preflight.cli.offline", "Print the JSON Schema of the plan or of the JSON report."),
    "demo": ("preflight.cli.run", "Run against an embedded site on this machine."),
}
"""Command -> (module, short help). The help stands here so that `--help` need not import the commands."""

_EPILOG = """
\b
Exit codes, the same in every format but nagios:
  0 GO, VALID    1 NO-GO, NOT VALID    2 wrong call or invalid plan    3 HOLD, NOT KNOWN
  4 the tool itself failed    130 interrupted
"""


_COMPLETE = "_PREFLIGHT_COMPLETE"
"""Environment variable by which a shell asks to have a command line completed."""


class _LazyGroup(click.Group):
    """Imports a command's module when the command is called, not before."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command = getattr(importlib.import_module(_COMMANDS[name][0]), name)
        assert isinstance(command, click.Command)  # noqa: S101 - for the type checker
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if arguments[0] not in _COMMANDS and not arguments[0].startswith("-") and not context.resilient_parsing:
            raise no_such("command", arguments[0], _COMMANDS)
        return super().resolve_command(context, arguments)

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, short) for name, (_, short) in _COMMANDS.items()])


@click.group(
    cls=_LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="preflight")
@click.pass_context
def cli(context: click.Context) -> None:
    """May the deployment window open, and if not, who must do what by when?

    preflight asks the real hosts, databases and applications of a release plan, the day before and at the start of
    the call, and answers GO, NO-GO or HOLD. It only reads; `rehearse` alone writes, on this machine."""
    from preflight.engine.cut_off import TIMEOUT_SECONDS, at_deadline  # not for --help

    context.with_resource(at_deadline(TIMEOUT_SECONDS))  # a command with --timeout names its own


def main() -> None:
    """Runs one command and ends the process with its exit code."""
    try:
        on_interruption(_interrupt)
        code = _run()
        on_interruption(signal.SIG_IGN)  # what came out stands
    except Interruption as interrupted:
        complain(str(interrupted) or INTERRUPTED)
        code = ExitCode.INTERRUPTED
    sys.exit(int(code))


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    on_interruption(signal.SIG_IGN)  # what is open is closed undisturbed, within seconds
    raise Interruption


def _run() -> ExitCode:
    if os.environ.get(_COMPLETE):
        return _complete()
    try:
        ended = cli.main(standalone_mode=False)  # what the command returns; click's own, of `--help`
        return ExitCode(ended or 0)
    except PlanError as error:
        complain(str(error))
        return ExitCode.USAGE
    except RefusedError as error:
        complain(f"Error: {error}")
        return ExitCode.USAGE
    except click.ClickException as error:
        complain_usage(error)
        return ExitCode.USAGE
    except click.Abort as end:
        raise Interruption from end
    except Interruption:
        raise
    except PreflightError as error:
        complain(f"preflight: {error}")
        return ExitCode.INTERNAL
    except SystemExit:
        # No command ends this way. click ends a broken pipe of a help text with 1, which would read as NO-GO; a 0 from
        # a plug-in would read as GO.
        return ExitCode.INTERNAL
    except BaseException as error:  # the outermost handler: anything else is a defect of the tool
        if isinstance(error.__cause__, Interruption):  # Python wraps what comes while a class is being made
            raise Interruption from error
        complain(f"preflight failed itself: {type(error).__name__}: {error}")
        if os.environ.get("PREFLIGHT_TRACEBACK"):
            import traceback

            complain(traceback.format_exc())
        return ExitCode.INTERNAL


def _complete() -> ExitCode:
    """Answers a shell that wants a command line completed; no command runs."""
    try:
        with contextlib.suppress(KeyError, ValueError):  # click trusts the shell's COMP_WORDS and COMP_CWORD
            cli.main(prog_name="preflight", complete_var=_COMPLETE, standalone_mode=False)
    except SystemExit as end:  # how click ends it; 1 for a value that it does not know
        if end.code == 0:
            return ExitCode.GO
    complain(f"preflight: {_COMPLETE} is not set as a shell sets it; take it out of the environment")
    return ExitCode.USAGE
