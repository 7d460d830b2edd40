"""The embedded site that `preflight demo` runs against."""

from __future__ import annotations

from preflight.errors import PreflightError


class DemoError(PreflightError):
    """The demo's site cannot be started; the text says what is missing and what to install."""
