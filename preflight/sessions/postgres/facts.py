"""What a fresh connection shows of its server, and the settings that a script of the same role would get."""

from __future__ import annotations

import json

from psycopg import pq

from preflight.sessions.postgres.connection import Statement

SETTINGS = (
    "DateStyle",
    "TimeZone",
    "default_transaction_read_only",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "lock_timeout",
    "search_path",
    "session_replication_role",
    "statement_timeout",
)
_SECONDS = 5.0
# Every name and operator is spelled out, since it runs under the role's own search_path.
_CAPTURE = """\
SELECT pg_catalog.pg_backend_pid() AS server_pid, pg_catalog.current_setting('role') AS role,
  (SELECT s.version FROM pg_catalog.pg_stat_ssl s
    WHERE s.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()) AS tls,
  (SELECT pg_catalog.json_object_agg(s.name,
      pg_catalog.json_build_object('setting', s.<value>, 'unit', s.unit, 'source', s.source))
    FROM pg_catalog.pg_settings s WHERE s.name OPERATOR(pg_catalog.=) ANY (ARRAY[<names>])) AS settings
""".replace("<names>", ", ".join(f"'{name}'" for name in SETTINGS))

QUESTION = Statement(_CAPTURE.replace("<value>", "setting"), _SECONDS, limits=False)
"""What the server tells of itself, without limits of ours, which would hide the role's."""
QUESTION_WITHIN_LIMITS = Statement(_CAPTURE.replace("<value>", "reset_val"), _SECONDS)
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
