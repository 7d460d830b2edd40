"""Standard error: complaints, redacted. Standard error may be closed or full; failing over that helps nobody."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection

import click

# What only an error needs is imported there: `--help` and `--version` load neither plan nor reports.
_masks: list[Callable[[str], str]] = []


class CallError(click.UsageError):
    """A call that cannot be carried out as written; exit code 2."""


def no_such(kind: str, name: str, known: Collection[str], option: str = "") -> CallError:
    """The error for a name that is none of `known`: says which one is nearest, and which there are."""
    from preflight.faults import nearest_name
    from preflight.wording import visible

    if option and all(part.strip() in known for part in name.split(",")):
        apart = " ".join(f"{option} {part.strip()}" for part in name.split(","))
        return CallError(f"{option}: one {kind} each time: {apart}")
    nearest = nearest_name(name, known)
    meant = f"; did you mean {nearest}?" if nearest else "."
    where = f"{option}: " if option else ""
    return CallError(f"{where}no such {kind} {visible(name)!r}{meant} There are: {', '.join(known) or 'none'}")


def redact_with(mask: Callable[[str], str]) -> None:
    """From now on every complaint passes through `mask`, also one about a defect of the tool."""
    _masks.append(mask)


def complain(text: str) -> None:
    from preflight.report.harmless import no_command

    for mask in _masks:
        text = mask(text)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write("".join(f"{no_command(line)}\n" for line in text.rstrip("\n").split("\n")))
        sys.stderr.flush()


def complain_usage(error: click.ClickException) -> None:
    """The error in click's form; with the usage line where the call's form is wrong, not where its content is."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):  # its message is the whole help text
        complain(error.format_message())
        return
    message = error.format_message()
    if isinstance(error, click.NoSuchOption):  # click compares the hyphens too, and takes --plan for --at
        from preflight.faults import nearest_name

        known = [name.lstrip("-") for name in error.possibilities or ()]
        nearest = nearest_name(error.option_name.lstrip("-"), known)
        message = error.message + (f" Did you mean '--{nearest}'?" if nearest else "")
    context = getattr(error, "ctx", None)
    usage = "" if context is None or isinstance(error, CallError) else f"{context.get_usage()}\n\n"
    complain(f"{usage}Error: {message}")


def has_terminal() -> bool:
    """Whether a person can be asked something."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty()


def ask_hidden(purpose: str) -> str:
    """A line from the terminal that is not shown."""
    return str(click.prompt(purpose or "secret", hide_input=True, err=True))
