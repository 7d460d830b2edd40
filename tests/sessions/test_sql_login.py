"""Why a login fails, against a real server and against servers that misbehave."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from preflight.clock import monotonic
from preflight.plan import Connect, SslMode
from preflight.probe import Cause
from preflight.secrets import SecretRef
from preflight.sessions.libpq_trace import ServerWord, read
from tests.sessions import pg_fakes as fakes
from tests.sessions.pg_asking import Asker, asker, no_reply, reply, role
from tests.site.certificates import Authority
from tests.site.postgres import Cluster, DatabaseRole

__all__ = ["asker", "role"]

NOBODY = DatabaseRole("nobody_here", "Pw-not-to-be-seen")


def closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def test_the_session_says_who_answered_and_how(asker: Asker, postgres: Cluster, role: DatabaseRole) -> None:
    answer = reply(asker.login(role, postgres.port, sslmode=SslMode.VERIFY_FULL, sslrootcert=postgres.ca))
    session = answer.session
    assert answer.vantage == f"from here as {role.name}"
    assert session["address"] == f"127.0.0.1:{postgres.port}"
    assert (session["user"], session["database"]) == (role.name, "postgres")
    assert (session["ssl"], session["ssl_verified"]) == ("TLSv1.3", "verify-full")
    assert (session["used_password"], session["in_recovery"], session["is_superuser"]) == ("yes", "no", "no")
    assert session["server_version"].startswith(f"{postgres.version}.")
    assert int(session["server_version_num"]) // 10000 == postgres.version
    assert int(session["login_ms"]) >= 0
    seen = postgres.sql("SELECT client_port, application_name FROM pg_stat_activity WHERE pid = %s",
                        int(session["backend_pid"]))  # fmt: skip
    assert seen == [(int(session["client_port"]), "preflight")]


def refused_by(asker: Asker, postgres: Cluster, who: DatabaseRole, **more: Any) -> tuple[Cause, str]:
    """Cause and reason of a refused login, which must be the only one, must give no secret away, and stays refused
    without another attempt."""
    before = len(postgres.log)
    pool = asker.pool(who, postgres.port, **more)
    answers = []
    for _ in range(2):
        pool.session("app1").ask([QUESTION], DEADLINE(), lambda _, answer: answers.append(answer))
    first = no_reply(answers[0])
    assert no_reply(answers[1]).reason == first.reason
    assert who.password not in repr(answers)
    assert first.session["user"] == who.name
    assert postgres.log[before:].count(f'user "{who.name}"') + postgres.log[before:].count(f'role "{who.name}"') >= 0
    assert postgres.log[before:].count("connection received: host=127.0.0.1") == 1, "more than one login attempt"
    return first.cause, first.reason


from preflight.clock import Deadline  # noqa: E402
from tests.sessions.pg_asking import question  # noqa: E402

QUESTION = question("SELECT 1")


def DEADLINE() -> Deadline:  # noqa: N802
    return Deadline(20)
