"""Where reports go: standard output and files. The verdict is known before the first byte is written, and no trouble
while writing ever makes it better."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from preflight.errors import PreflightError


class OutputError(PreflightError):
    """A report that could not be written."""


def write_stdout(text: str) -> None:
    """Writes and flushes. A reader that went away (`| head`) is no error; a full disk raises OutputError."""
    stream = sys.stdout
    if stream is None:
        raise OutputError("standard output is closed, the report could not be written")
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, errors="backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        _detach_stdout()
    except (OSError, ValueError) as error:
        _detach_stdout()
        raise OutputError(f"the report could not be written to standard output: {error}") from None


def carries_unicode() -> bool:
    """Whether standard output can show what is drawn with characters beyond ASCII."""
    return sys.stdout is not None and (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def wants_color(choice: str, environment: Mapping[str, str]) -> bool:
    """`always` and `never` as said; `auto` follows NO_COLOR, FORCE_COLOR, TERM=dumb and the terminal, in this order."""
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return environment.get("TERM") != "dumb" and sys.stdout is not None and sys.stdout.isatty()


def _detach_stdout() -> None:
    """Points standard output at nothing, so that the interpreter's own flush at exit stays silent."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
