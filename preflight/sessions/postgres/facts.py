"""What a fresh connection shows of its server, and the settings that a script of the same role would get."""

from __future__ import annotations

import json

from psycopg import pq

from preflight.questions.sql import settings_as_json
from preflight.sessions.postgres.connection import Statement

_SECONDS = 5.0
_CAPTURE = """\
SELECT pg_catalog.pg_backend_pid() AS server_pid, pg_catalog.current_setting('role') AS role,
  (SELECT s.version FROM pg_catalog.pg_stat_ssl s
    WHERE s.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()) AS tls,
  {} AS settings
"""

QUESTION = Statement(_CAPTURE.format(settings_as_json("setting")), _SECONDS, limits=False)
"""What the server tells of itself, without limits of ours, which would hide the role's."""
QUESTION_WITHIN_LIMITS = Statement(_CAPTURE.format(settings_as_json("reset_val")), _SECONDS)
"""The same for a role whose own statement_timeout is too short even for that. `reset_val` is what a new session of the
role begins with, whatever this transaction has set."""


def told(rows: str) -> dict[str, str]:
    """From the rows of either question: `server_pid`, `tls` (version of the server's own connection, may be empty) and
    `settings` (JSON: name to setting, unit and source)."""
    seen: dict[str, str] = json.loads(rows)[0]
    # pg_settings does not list `role`, which ALTER ROLE ... SET role sets.
    settings = {**json.loads(seen["settings"]), "role": {"setting": seen["role"], "unit": None, "source": None}}
    return {
        "server_pid": seen["server_pid"],
        "tls": seen["tls"] or "",
        "settings": json.dumps(settings, sort_keys=True),
    }


def known(pgconn: pq.abc.PGconn) -> dict[str, str]:
    """What the connection knows of itself without a question to the server."""
    return {
        "backend_pid": str(pgconn.backend_pid),
        "ssl": "TLS" if pgconn.ssl_in_use else "no",
        "used_password": "yes" if pgconn.used_password else "no",
    }
