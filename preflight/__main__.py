"""The program `preflight`; also `python3 -m preflight`.

An interruption ends it at any moment in the same way, also before the rest of it is loaded, which takes longest."""

import os
import sys
import threading
from contextlib import suppress
from types import FrameType

from preflight import INTERRUPTED, on_interruption


def _end(_number: int, _frame: FrameType | None) -> None:
    os.write(2, f"{INTERRUPTED}\n".encode())
    os._exit(130)


on_interruption(_end)


def main() -> None:
    """Runs one command. Where a thread still waits for a server, the process ends at once: a thread that is inside Rust
    or C++ when Python ends would abort it, and there would be no exit code of ours."""
    from preflight.cli import main as run

    try:
        run()
    except SystemExit as ended:
        if threading.active_count() == 1:
            raise
        with suppress(OSError, ValueError):  # then Python's own end tells that not all was written
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
            os._exit(int(ended.code or 0))
        raise


if __name__ == "__main__":
    main()
