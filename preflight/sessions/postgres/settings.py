"""What a fresh connection shows of its server and of the settings a script of the same role would get."""

from __future__ import annotations

import json
from typing import Any

from preflight.clock import Deadline
from preflight.sessions.postgres.statement import ConnectionLost, Conversation, SqlError
from preflight.sessions.trouble import Trouble

SETTINGS = (
    "DateStyle",
    "TimeZone",
    "default_transaction_read_only",
    "idle_in_transaction_session_timeout",
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


def look_around(conversation: Conversation, deadline: Deadline) -> dict[str, str]:
    """`server_pid`, `tls` (version of the server's own connection, may be empty) and `settings` (JSON: name to
    setting, unit and source). Empty when the server does not tell. Raises ConnectionLost.

    Asked first without limits of ours, which would hide the role's; with them when the role's own statement_timeout
    is too short even for that."""
    for limits in (False, True):
        # reset_val: what a new session of the role begins with, whatever this transaction has set.
        statement = _CAPTURE.replace("<value>", "reset_val" if limits else "setting")
        try:
            seen = json.loads(conversation.rows(statement, _SECONDS, deadline, limits=limits))[0]
        except ConnectionLost:
            raise
        except (SqlError, Trouble):
            continue
        return _facts(seen)
    return {}


def _facts(seen: dict[str, Any]) -> dict[str, str]:
    # pg_settings does not list `role`, which ALTER ROLE ... SET role sets.
    settings = {**seen["settings"], "role": {"setting": seen["role"], "unit": None, "source": None}}
    return {
        "server_pid": str(seen["server_pid"]),
        "tls": seen["tls"] or "",
        "settings": json.dumps(settings, sort_keys=True),
    }
