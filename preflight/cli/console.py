"""Standard error: complaints, redacted. Standard error may be closed or full; failing over that helps nobody."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

import click

_masks: list[Callable[[str], str]] = []


class CallError(click.UsageError):
    """A call that cannot be carried out as written; exit code 2."""


def redact_with(mask: Callable[[str], str]) -> None:
    """From now on every complaint passes through `mask`, also one about a defect of the tool."""
    _masks.append(mask)


def complain(text: str) -> None:
    for mask in _masks:
        text = mask(text)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text.rstrip("\n") + "\n")
        sys.stderr.flush()


def complain_usage(error: click.ClickException) -> None:
    """The error in click's form, with the usage line where there is one."""
    context = getattr(error, "ctx", None)
    usage = f"{context.get_usage()}\n\n" if context is not None else ""
    complain(f"{usage}Error: {error.format_message()}")


def has_terminal() -> bool:
    """Whether a person can be asked something."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty()


def ask_hidden(purpose: str) -> str:
    """A line from the terminal that is not shown."""
    return str(click.prompt(purpose or "secret", hide_input=True, err=True))
