"""The program `preflight`; also `python3 -m preflight`.

An interruption ends it at any moment in the same way, also before the rest of it is loaded, which takes longest."""

import os
from types import FrameType

from preflight import INTERRUPTED, on_interruption


def _end(_number: int, _frame: FrameType | None) -> None:
    os.write(2, f"{INTERRUPTED}\n".encode())
    os._exit(130)


on_interruption(_end)


def main() -> None:
    from preflight.cli import main as run

    run()


if __name__ == "__main__":
    main()
