"""A plan with a free-text `run` is answered with the keys to write instead."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from preflight.plan.old_keys import instead_of


def answer(run: str) -> str:
    return instead_of(("scripts", "orders", "run"), {"run": run, "staged": "/srv/release/orders"})


def written(run: str) -> dict[str, Any]:
    """The table that is to be written, as TOML reads it."""
    table: dict[str, Any] = tomllib.loads(answer(run).partition("\n")[2])["scripts"]["orders"]
    return table


@pytest.mark.parametrize(
    ("run", "table"),
    [
        ("psql -X -w -v ON_ERROR_STOP=1 -f 010.sql -f 020.sql", {"files": ["010.sql", "020.sql"]}),
        ("psql -U release -d orders -f a.sql", {"login": "release", "files": ["a.sql"]}),
        ("psql -f /srv/release/orders/a.sql", {"files": ["a.sql"]}),
        ("psql -h /run/postgresql -p 5433 -f a.sql", {"server": "/run/postgresql:5433", "files": ["a.sql"]}),
        ("psql --host=localhost orders release -f a.sql", {
            "server": "localhost", "login": "release", "files": ["a.sql"],
        }),
        ("psql -h ::1 -p 5433", {"server": "[::1]:5433"}),
        ("psql -p 5433 -f a.sql", {"server": "/var/run/postgresql:5433", "files": ["a.sql"]}),
        ("/usr/pgsql-15/bin/psql -1Xf a.sql", {
            "program": "/usr/pgsql-15/bin/psql", "files": ["a.sql"], "single_transaction": True,
        }),
        ("psql -v schema='app 1' --set=n=1 -L /var/log/x.log -f a.sql", {
            "variables": {"schema": "app 1", "n": "1"}, "files": ["a.sql"], "log": "/var/log/x.log",
        }),
        ("psql -X", {}),
        ("./deploy.sh prod 'two words'", {"command": ["./deploy.sh", "prod", "two words"]}),
        ("psql -c 'select 1'", {"command": ["psql", "-c", "select 1"]}),
    ],
)  # fmt: skip
def test_one_plain_call_is_translated(run: str, table: dict[str, Any]) -> None:
    assert written(run) == table


@pytest.mark.parametrize(
    "run",
    [
        "cd /srv && psql -f a.sql",
        "psql -f a.sql | tee log",
        'for f in *.sql; do psql -f "$f"; done',
        "psql -f 'a.sql",
        "PGPASSWORD=hunter2 psql -f a.sql",
        "psql postgres://u:hunter2@db/orders -f a.sql",
        "psql -v password=hunter2 -f a.sql",
        "",
    ],
)
def test_shell_text_and_secrets_are_not_repeated(run: str) -> None:
    assert written(run) == {"command": ["./deploy.sh"]}
    assert "hunter2" not in answer(run)


def test_a_key_that_there_never_was_has_no_answer() -> None:
    assert not instead_of(("scripts", "orders", "runn"), {"runn": "x"})
    assert not instead_of(("backups", "orders", "run"), {"run": "x"})
