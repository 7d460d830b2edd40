"""The formats of the report: every module here is one, and its name is the format's name on the command line.

A module has a docstring whose first line says for whom it is, and `render(verdict, view) -> str`. Nothing else has to
know of it. `exit_code(verdict) -> int` is for a format whose readers have exit codes of their own (Nagios)."""

import importlib
import pkgutil
from collections.abc import Callable

from preflight.report import View
from preflight.verdict import Verdict

FORMATS = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def render(name: str, verdict: Verdict, view: View) -> str:
    text: str = importlib.import_module(f"{__name__}.{name}").render(verdict, view)
    return text


def exit_code(name: str, verdict: Verdict) -> int:
    """What the process ends with when this format goes to standard output: the verdict's own code, but for formats
    whose readers know other codes."""
    own: Callable[[Verdict], int] | None = getattr(importlib.import_module(f"{__name__}.{name}"), "exit_code", None)
    return own(verdict) if own else int(verdict.exit_code)
