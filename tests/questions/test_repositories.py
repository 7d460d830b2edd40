"""What pgBackRest and Barman answer, word for word as the programs of Debian 12 do, and what is no answer."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from preflight.probe import Reply, Unreadable
from preflight.questions.backups import Listing, Repository
from preflight.questions.repositories import BarmanBackups, PgBackRestBackups
from preflight.questions.shell import AsAccount
from tests.toy import MOMENT

POSTGRES = AsAccount("postgres", is_login=False)
FIRST, LAST = "000000010000000000000002", "00000001000000000000000B"


def made(label: str, kind: str, stop: int, **changes: Any) -> dict[str, Any]:
    return {
        "archive": {"start": LAST, "stop": LAST}, "database": {"id": 1, "repo-key": 1}, "error": False,
        "info": {"delta": 8, "repository": {"delta": 5, "size": 9}, "size": 30}, "label": label,
        "timestamp": {"start": stop - 3, "stop": stop}, "type": kind, **changes,
    }  # fmt: skip


STANZA = {
    "archive": [{"database": {"id": 1, "repo-key": 1}, "id": "15-1", "max": LAST, "min": FIRST}],
    "backup": [made("20261128-182755F", "full", 1795890478), made("20261128-182755F_1I", "incr", 1795893465)],
    "db": [{"id": 1, "repo-key": 1, "system-id": 7713290851497348323, "version": "15"}],
    "name": "main", "repo": [{"key": 1, "status": {"code": 0, "message": "ok"}}],
    "status": {"code": 0, "message": "ok"},
}  # fmt: skip


def reply(text: str, error: str = "") -> Reply:
    return Reply(0, text, MOMENT, 0.1, "on db1", error)


def info(told: object, error: str = "") -> Listing:
    probe = PgBackRestBackups("db1", POSTGRES, "", 30.0, "pgbackrest", "main", ("--config=/etc/p.conf",))
    return probe.read(reply(f"now=1795893500\ninfo={json.dumps(told) if told else ''}\nend=yes\n", error))


def test_pgbackrest_lists_the_newest_first_and_times_the_full_ones_alone() -> None:
    found = info([STANZA])
    assert [each.path for each in found.backups] == ["20261128-182755F_1I", "20261128-182755F"]
    assert [each.born_at and each.changed_at - each.born_at for each in found.backups] == [None, timedelta(seconds=3)]
    assert found.repository == Repository(
        system_identifier="7713290851497348323", begin_wal=LAST, end_wal=LAST, first_wal=FIRST, last_wal=LAST
    )


def test_pgbackrest_is_well_only_where_its_json_says_so() -> None:
    missing = {**STANZA, "backup": [], "db": [], "status": {"code": 1, "message": "missing stanza path"}}
    assert info([missing]).repository == Repository(problem="missing stanza path")
    repo = [{"key": 1, "status": {"code": 99, "message": "[PathOpenError] Permission denied"}}]
    closed = {**missing, "repo": repo, "status": {"code": 99, "message": "other"}}
    assert info([closed]).repository == Repository(problem="[PathOpenError] Permission denied", closed=True)
    assert info(None, "sudo: a password is required\n").repository == Repository(
        problem="sudo: a password is required", closed=True
    )
    damaged = {**STANZA, "backup": [made("20261128-182755F", "full", 1795890478, error=True)]}
    repository = info([damaged]).repository
    assert repository is not None
    assert repository.fault == "damaged files were found in it"


@pytest.mark.parametrize("told", [[{}], {"main": 1}, [{**STANZA, "db": []}], [{**STANZA, "status": "ok"}], "x"])
def test_any_other_json_of_pgbackrest_is_no_answer(told: object) -> None:
    with pytest.raises(Unreadable):
        info(told)


def entry(backup_id: str, status: str = "DONE") -> dict[str, Any]:
    return {"backup_id": backup_id, "end_time_timestamp": "1795890508", "size_bytes": 39907433, "status": status}


def barman(listed: object, shown: str = "20261128T182826", system: str = "77", error: str = "") -> Listing:
    base = {"begin_time_timestamp": "1795890506", "begin_wal": LAST, "end_wal": LAST}
    show = {"main": {"backup_id": shown, "base_backup_information": base, "wal_information": {"last_available": LAST}}}
    text = f"now=1795893500\nlist={json.dumps(listed) if listed else ''}\nshow={json.dumps(show)}\nsystem={system}\n"
    text += "end=yes\n"
    return BarmanBackups("db1", POSTGRES, "", 30.0, "barman", "main", ()).read(reply(text, error))


def test_barman_lists_those_that_were_copied_and_names_a_later_failure() -> None:
    found = barman({"main": [entry("20261127T182826"), entry("20261129T0", "FAILED"), entry("20261128T182826")]})
    assert [each.path for each in found.backups] == ["20261128T182826", "20261127T182826"]
    assert found.repository == Repository(
        system_identifier="77", failed="20261129T0", begin_wal=LAST, end_wal=LAST, first_wal=LAST, last_wal=LAST
    )
    waiting = barman({"main": [entry("20261128T182826", "WAITING_FOR_WALS")]}).repository
    assert waiting is not None
    assert waiting.fault == "it waits for write-ahead log that it needs"


def test_barman_without_a_whole_backup_says_why() -> None:
    assert barman({"main": []}).repository == Repository(problem="it has no backup")
    assert barman({"main": [entry("x", "FAILED")]}).repository == Repository(problem="the only ones failed, x the last")
    assert barman({"_ERROR": ["Unknown server 'main'"]}).repository == Repository(problem="Unknown server 'main'")
    said = "ERROR: please run barman as 'barman' user"
    assert barman(None, error=said).repository == Repository(problem=said, closed=True)


@pytest.mark.parametrize("listed", [{"main": [{}]}, {"main": 1}, [1], {"main": [entry("20261130T0")]}])
def test_any_other_json_of_barman_is_no_answer(listed: object) -> None:
    with pytest.raises(Unreadable):
        barman(listed)


def test_barmans_secrets_stay_where_they_are() -> None:
    """show-server prints connection strings, passwords and all."""
    text = BarmanBackups("db1", POSTGRES, "", 30.0, "barman", "main", ()).ask()
    assert "show-server main | sed -n" in text
