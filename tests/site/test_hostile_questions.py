"""Every question that there is, of both rounds, with a hostile text in each of its fields: a real shell runs it, as a
login that the real sudo lets become another account, and a real server."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import psycopg
import pytest

from preflight.engine.registry import find_checks
from preflight.judging.touched import TouchedObjects
from preflight.plan.values import Privilege
from preflight.probe import Probe, Via
from preflight.questions.backups import BackupKind
from preflight.questions.migrations import TOOLS, HistoryTable
from preflight.questions.rehearsed import Touched
from preflight.questions.shell import AsAccount
from tests.hostile import FOR_A_SHELL, FOR_SQL
from tests.site.accounts import Accounts
from tests.site.machine import TIMEOUT_SECONDS, clean_environment
from tests.site.postgres import SUPERUSER, Cluster
from tests.toy import MOMENT

FOLDER, FILE = f"d{FOR_A_SHELL}", f"f{FOR_A_SHELL}"


def every_probe(via: Via) -> Sequence[type[Probe[Any]]]:
    """Each kind of question that the shipped checks may ask by it."""
    assert not find_checks().broken  # and so all are loaded
    found, below = dict[str, type[Probe[Any]]](), [Probe]
    while below:
        each = below.pop()
        below += each.__subclasses__()
        if each.__module__.startswith("preflight") and getattr(each, "via", None) is via and is_whole(each):
            found[each.__qualname__] = each
    return [found[name] for name in sorted(found)]


def is_whole(kind: type[Probe[Any]]) -> bool:
    """Whether it can be asked: nothing is left to the kinds below it."""
    declared = {name: hint for base in kind.__mro__ for name, hint in vars(base).get("__annotations__", {}).items()}
    left = {name for name, hint in declared.items() if "ClassVar" in str(hint) and not hasattr(kind, name)}
    return left <= ({"text"} if kind.ask is not Probe.ask else set())


def values(hint: Any, texts: Sequence[Any]) -> Iterator[Any]:
    """Of a field of this type; `texts`: what a text may be, and what is an account."""
    kind, parts = get_origin(hint), get_args(hint)
    if kind in (Union, UnionType, Annotated):
        yield from values(parts[0], texts)
    elif kind is tuple:
        inside = [each for each in parts if each is not Ellipsis]
        yield from itertools.product(*(values(each, texts) for each in inside))
    elif hint in (int, float, bool):
        yield hint(1)
    elif hint is timedelta:
        yield timedelta(minutes=1)
    elif hint is datetime:
        yield MOMENT
    elif isinstance(hint, type) and issubclass(hint, Enum):
        yield from hint
    elif is_dataclass(hint) and hint is not AsAccount:
        yield from filled(hint, {}, texts)
    else:
        yield from (each for each in texts if isinstance(each, AsAccount) == (hint is AsAccount))


def filled(kind: Any, given: Mapping[str, Sequence[Any]], texts: Sequence[Any]) -> Iterator[Any]:
    """Every one with one value of each field, or one of those that are given for it by name."""
    hints = get_type_hints(kind, include_extras=True)
    names = [each.name for each in fields(kind) if each.init]
    choices = [given.get(name) or [*values(hints[name], texts)] for name in names]
    yield from (kind(**dict(zip(names, chosen, strict=True))) for chosen in itertools.product(*choices))


def test_the_trap_is_one_in_either_account(shared_path: Path, accounts: Accounts) -> None:
    login = accounts.add("hostile")
    accounts.allow_sudo(login, SUPERUSER)
    for start in ("", f"sudo -n -u {SUPERUSER} -- "):
        run(f"{start}/bin/sh -c 'touch {shared_path}/x'; echo a{FOR_A_SHELL}", login.name, shared_path)
        assert {each.name for each in shared_path.iterdir()} == {"canary", "x"}
        for each in shared_path.iterdir():
            each.unlink()


def run(text: str, user: str, folder: Path, line: str = "") -> str:
    done = subprocess.run(
        ["/bin/sh", "-c", text], cwd=folder, user=user, group=user, extra_groups=[], env=clean_environment(),
        input=line, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_SECONDS,
    )  # fmt: skip
    return done.stderr


@pytest.mark.long
@pytest.mark.parametrize("kind", every_probe(Via.SSH), ids=lambda each: each.__qualname__)
def test_no_question_to_a_host_runs_what_a_field_says(
    kind: type[Probe[Any]], accounts: Accounts, shared_path: Path
) -> None:
    login, asked = accounts.add("hostile"), accounts.add("asked")
    accounts.allow_sudo(login, SUPERUSER)
    accounts.allow_sudo(asked, SUPERUSER, password=True)
    folder = shared_path / FOLDER
    folder.mkdir()
    (folder / FILE).write_text("x")
    bare = [FILE, f"--{FILE}"]
    known = {
        "target": ["db1"],
        "argv": [("/bin/echo", each) for each in bare],
        "connection": [tuple((name, FILE) for name in ("host", "port", "user", "dbname"))],
        "names": [(each,) for each in bare],
        "name": bare,
        "program": ["psql", FILE],
        "kind": [each for each in BackupKind if each.is_packed_text or each is BackupKind.TEXT],
    }
    as_login, silent = AsAccount(login.name, is_login=True), AsAccount(SUPERUSER, is_login=False)
    nobody = AsAccount(f"x{FOR_A_SHELL}", is_login=False)
    typing = AsAccount(SUPERUSER, is_login=False, password="env:X")
    users = [(as_login, login), (silent, login), (nobody, login), (typing, asked)]
    for (account, user), path in itertools.product(users, (folder, folder / FILE)):
        for text in dict.fromkeys(probe.ask() for probe in filled(kind, known, [account, str(path)])):
            complaint = run(text, user.name, shared_path, f"{user.password}\n")
            assert "yntax error" not in complaint, text
            assert "nterminated" not in complaint, text
            assert {*shared_path.rglob("*")} == {folder, folder / FILE}, text


@pytest.mark.parametrize("kind", every_probe(Via.SQL), ids=lambda each: each.__qualname__)
def test_no_question_to_a_database_runs_what_a_field_says(kind: type[Probe[Any]], postgres: Cluster) -> None:
    if kind.__qualname__ == "OwnQuery":
        return  # a statement of the plan, which is to be run
    name = f"x{FOR_SQL}"
    seen = Touched(kind="table", name=name, defined=True)
    touched = TouchedObjects(seen=(seen,), altered=(f"{name}.*",), privileges={f"{name}.{name}": (Privilege.SELECT,)})
    known = {
        "tool": [*TOOLS],
        "table": [HistoryTable("", name, name, usage=True, select=True, filtered=False).quoted],
        "touched": [touched.in_sql],
        "clients": [("10.0.0.0/8",)],  # no other text is a network
    }
    with postgres.connect() as connection:
        for probe in filled(kind, known, [name]):
            state = "00000"
            try:
                connection.execute(probe.ask().encode())
            except psycopg.Error as error:
                state = str(error.sqlstate)
            assert state != "42601", f"no SQL: {probe.ask()}"
            assert connection.execute("SELECT count(*) FROM pg_class WHERE relname = 'canary'").fetchone() == (0,)
