"""The command group and the outermost handler: every way a run can end becomes one of our exit codes here."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from types import FrameType

import click

from preflight import __version__
from preflight.cli.console import complain, complain_usage
from preflight.errors import PlanError, PreflightError
from preflight.verdict import ExitCode

_COMMANDS = {
    "run": ("preflight.cli.run", "Ask the real systems and print the go/no-go report."),
    "judge": ("preflight.cli.run", "Judge saved evidence again, without a network."),
    "lint": ("preflight.cli.plans", "Check plans without a network; say what they leave unconfirmed."),
    "show": ("preflight.cli.plans", "Print every question that would be sent, word for word."),
    "seal": ("preflight.cli.seal", "Write the script manifests and pin the hosts' keys beside the plan."),
    "demo": ("preflight.cli.demo", "Run against an embedded site on this machine."),
}
"""Command -> (module, short help). The help stands here so that `--help` need not import the commands."""

_EPILOG = """
\b
Exit codes, the same in every format:
  0 GO    1 NO-GO    2 wrong call or invalid plan    3 HOLD
  4 the tool itself failed    130 interrupted
"""


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

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, short) for name, (_, short) in _COMMANDS.items()])


@click.group(
    cls=_LazyGroup,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="preflight")
def cli() -> None:
    """May the deployment window open, and if not, who must do what by when?

    preflight asks the real hosts, databases and applications of a release plan, the day before and at the start of
    the call, and answers GO, NO-GO or HOLD. It only reads.
    """


def main() -> None:
    """Runs one command and ends the process with its exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(int(_run()))


def _run() -> ExitCode:
    try:
        ended = cli.main(standalone_mode=False)
        return ExitCode(ended or 0)
    except PlanError as error:
        complain(str(error))
        return ExitCode.USAGE
    except click.ClickException as error:
        complain_usage(error)
        return ExitCode.USAGE
    except (KeyboardInterrupt, click.Abort):
        complain("preflight: interrupted; no verdict")
        return ExitCode.INTERRUPTED
    except PreflightError as error:
        complain(f"preflight: {error}")
        return ExitCode.INTERNAL
    except SystemExit:
        # No command ends this way. click ends a broken pipe of a help text with 1, which would read as NO-GO; a 0 from
        # a plug-in would read as GO.
        return ExitCode.INTERNAL
    except BaseException as error:  # noqa: BLE001 - the outermost handler: anything else is a defect of the tool
        complain(f"preflight failed itself: {type(error).__name__}: {error}")
        if os.environ.get("PREFLIGHT_TRACEBACK"):
            complain(traceback.format_exc())
        return ExitCode.INTERNAL


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
