"""preflight: may the deployment window open, and if not, who must do what by when?"""

from signal import SIGHUP, SIGINT, SIGTERM

__version__ = "0.1.0"
INTERRUPTED = "preflight: interrupted; no verdict"
INTERRUPTIONS = (SIGINT, SIGTERM, SIGHUP)
