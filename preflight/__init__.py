"""preflight: may the deployment window open, and if not, who must do what by when?"""

from collections.abc import Callable
from signal import SIG_IGN, Handlers, Signals, getsignal, signal
from types import FrameType

__version__ = "0.1.0"
INTERRUPTED = "preflight: interrupted; no verdict"
INTERRUPTIONS = tuple(each for each in Signals if each.name in ("SIGINT", "SIGTERM", "SIGHUP"))
"""Those of them that the system has: Windows hangs up on nobody."""


def on_interruption(act: Callable[[int, FrameType | None], None] | Handlers) -> None:
    """`act` is what an interruption does from now on; one that is ignored, as nohup leaves it, stays so."""
    for number in INTERRUPTIONS:
        if getsignal(number) is not SIG_IGN:
            signal(number, act)
