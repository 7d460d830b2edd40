"""What a shell is offered when it completes a command line."""

from __future__ import annotations

from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem


def complete_check(_context: click.Context, _parameter: click.Parameter, begun: str) -> Sequence[CompletionItem]:
    """The ids of checks; those of a plan's own folder are not known here."""
    from preflight.engine.registry import find_checks

    return [CompletionItem(check.id) for check in find_checks(None).checks if check.id.startswith(begun)]
