"""What `preflight seal` writes beside the plan: manifests of scripts, and pinned host keys."""

from __future__ import annotations

from pathlib import Path

from preflight.errors import PreflightError
from preflight.evidence import write_private
from preflight.wording import visible


class SealError(PreflightError):
    """What cannot be sealed: every reason, or every host with another key, on a line of its own."""


def write_sealed(path: Path, text: str) -> None:
    """Writes the file, atomically, readable for everybody. Raises SealError; the file is then as it was."""
    try:
        write_private(path, text, 0o644)
    except OSError as error:
        raise SealError(f"{visible(str(path))}: not written: {error.strerror or error}") from None
