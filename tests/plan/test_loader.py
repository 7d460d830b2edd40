"""The plan loader: what a plan's values become, every message with its line, and that nothing else comes out."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from preflight import __version__
from preflight import plan as plan_types
from preflight.errors import PlanError
from preflight.finding import Severity
from preflight.plan import Become, Bytes, Plan, SecretRef, Undo, UndoKind
from preflight.plan.limits import Between
from preflight.plan.load import load_plan
from preflight.plan.release_plan import NOT_WRITTEN
from tests.plan_texts import ASSIGNMENTS, FULL, LINES, MINIMAL, VALUES, mutated_plans

DATA = Path(__file__).parent.parent / "data"
HOST = '[hosts.db1]\nuser = "dbadmin"\nagent = "id.pub"\n'  # lines 7 to 9 after MINIMAL
DATABASE = HOST + '[databases.orders]\nhost = "db1"\nuser = "release"\n'  # lines 10 to 12
APPLICATION = '[applications.app1]\nfrom = "1"\nto = "2"\n[[applications.app1.health]]\n'  # lines 7 to 10


@dataclass(frozen=True)
class SpaceSettings:
    reserve: Bytes = Bytes(0)  # noqa: RUF009 - a number
    percent: Annotated[int, Between(1, 100)] = 10

    def __post_init__(self) -> None:
        if self.reserve and self.percent == 99:
            raise ValueError("reserve and percent = 99 do not go together")


CHECKS: dict[str, type] = {"backup-space": SpaceSettings}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str | bytes, checks: dict[str, type] | None = None) -> Plan:
    """Loads a text as `x.toml` in the working directory."""
    Path("x.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    return load_plan(Path("x.toml"), checks)


def problems(text: str | bytes, checks: dict[str, type] | None = None) -> list[str]:
    """What is wrong with a text, without the file's name."""
    with pytest.raises(PlanError) as caught:
        load(text, checks)
    assert str(caught.value).splitlines() == [str(error) for error in caught.value.errors]
    assert caught.value.__context__ is None, "a context may hold the file's bytes"
    return [str(error).removeprefix("x.toml:").strip() for error in caught.value.errors]


# What is right


def keys_of(cls: Any, preset: set[str]) -> set[str]:
    return {field.name.rstrip("_") for field in dataclasses.fields(cls) if field.init and field.name not in preset}


def test_the_full_plan_of_these_tests_uses_every_key_there_is() -> None:
    text = tomllib.loads(FULL)
    sections: dict[tuple[Any, ...], Any] = {
        (plan_types.Release,): [text["release"]],
        (plan_types.Window,): [text["window"]],
        (plan_types.Rollback,): [text["rollback"]],
        (plan_types.RollbackFile,): text["rollback"]["files"],
        (plan_types.Become,): text["hosts"]["db1"]["become"][1:],
        (plan_types.Endpoint,): text["applications"]["app1"]["health"],
        (plan_types.Step,): text["steps"],
        (plan_types.Undo,): [text["steps"][1]["undo"]],
        (plan_types.Tested,): text["tested"],
        (plan_types.Rule,): text["rules"],
        (plan_types.Decision,): text["decisions"],
        (plan_types.Waiver,): text["waivers"],
        (plan_types.Attest,): text["attest"],
        (plan_types.Freshness,): [text["freshness"]],
        (plan_types.Freeze, "id"): text["freeze"].values(),
        (plan_types.Role, "id"): text["roles"].values(),
        (plan_types.Host, "id"): text["hosts"].values(),
        (plan_types.Database, "id"): text["databases"].values(),
        (plan_types.Backup, "id"): text["backups"].values(),
        (plan_types.Scripts, "id"): text["scripts"].values(),
        (plan_types.Application, "id"): text["applications"].values(),
        (plan_types.Plan, *NOT_WRITTEN): [text],
    }
    for (cls, *preset), tables in sections.items():
        assert {key for table in tables for key in table} == keys_of(cls, set(preset)), cls


def test_a_plan_says_its_format_and_one_of_another_format_is_not_read_any_further(folder: Path) -> None:
    assert load(MINIMAL).format == load("format = 1\n" + MINIMAL).format == 1
    (problem,) = problems("format = 2\nunknown = 1\n")
    reads = f"preflight {__version__}, which reads format 1"
    assert problem == f"1: format: the plan is written in format 2, for another version than {reads}"
    assert "1: format: expected an integer, found a string" in problems('format = "1"\n' + MINIMAL)


def test_a_plan_with_every_key_is_loaded_into_typed_values(folder: Path, clean_surroundings: Path) -> None:
    plan = load(FULL, CHECKS)
    assert plan.path == folder / "x.toml"
    assert plan.digest == hashlib.sha256(FULL.encode()).hexdigest()
    assert plan.release.checks == folder / "my_checks"
    assert plan.release.changed_since == "scripts sealed,\nstandby DBA named"
    assert plan.window.start == datetime(2026, 10, 17, 4, tzinfo=UTC)
    assert plan.window.end == datetime(2026, 10, 17, 10, tzinfo=UTC)
    assert plan.window.rollback_reserve == timedelta(minutes=90)
    db1 = plan.hosts["db1"]
    assert db1.password == SecretRef("env", "DB1_PASSWORD")
    assert db1.become == (
        Become(account=plan_types.Account("postgres")),
        Become(account=plan_types.Account("orders"), password=SecretRef("prompt")),
    )
    assert db1.known_hosts == (folder / "known_hosts", Path("/etc/ssh/ssh_known_hosts"))
    assert plan.hosts["app1-a"].key == clean_surroundings / ".ssh/id_ed25519"
    assert plan.hosts["app1.b"].id == "app1.b"
    orders = plan.databases["orders"]
    assert (orders.role, orders.connect, orders.sslmode) == ("replica", "tunnel", "verify-full")
    assert plan.backups["orders"].expected == round(20.5 * 1024**3)
    assert plan.backups["orders"].max_age == timedelta(days=2)
    assert plan.applications["app1"].from_ == "4.1"
    endpoint = plan.applications["app1"].health[0]
    assert endpoint.json == {
        "status": "UP", "components.db.status": "UP", "nodes": 3, "load": 0.5, "ready": True,
    }  # fmt: skip
    assert endpoint.json["ready"] is True
    assert endpoint.max_latency == timedelta(seconds=1.5)
    assert plan.rollback is not None
    assert plan.rollback.rehearsed == date(2026, 10, 10)
    assert plan.rollback.files[0].sha256 == "0123456789abcdef" * 4
    assert plan.steps[1].undo == Undo(kind=UndoKind.RESTORE, minutes=60, source="rehearsed 2026-10-10")
    assert plan.steps[1].price_minutes == 25.5
    assert isinstance(plan.steps[0].minutes, float)
    assert (plan.steps[2].deploys, plan.steps[2].blocking, plan.steps[3].blocking) == ("app1", True, False)
    assert plan.roles["dba"].access == ("db1", "orders")
    assert (plan.roles["dba"].lead_time, db1.lead_time) == (timedelta(hours=8), timedelta(days=1))
    assert plan.tested[0].versions == {"app1": "4.2", "app2": "2.7"}
    assert (plan.tested[0].on, plan.tested[0].result) == (date(2026, 10, 1), "failed")
    assert [rule.together or rule.unrelated or rule.exclude for rule in plan.rules] == [
        ("app1", "app2"), ("app1", "app2"), {"app1": "4.2", "app2": "2.7"},
    ]  # fmt: skip
    assert plan.decisions[0].on is plan_types.DecisionKind.PARTIAL
    assert plan.waivers[0].expires == datetime(2026, 10, 18, 16, tzinfo=UTC)
    assert plan.freshness.people == timedelta(hours=10)
    assert plan.checks == {"backup-space": {"severity": Severity.ADVISORY, "reserve": 5 * 1024**3}}


def test_without_the_checks_settings_their_tables_are_kept_as_written(folder: Path) -> None:
    assert load(FULL).checks == {"backup-space": {"severity": "advisory", "reserve": "5GiB"}}


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(folder: Path) -> None:
    plan = load(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert plan.release == load(MINIMAL).release


def test_relative_paths_start_at_the_plans_folder_not_at_the_working_directory(folder: Path) -> None:
    (folder / "plans").mkdir()
    (folder / "plans/x.toml").write_text(MINIMAL + '[hosts.a]\nuser = "u"\nkey = "k"\n')
    assert load_plan(Path("plans/x.toml")).hosts["a"].key == folder / "plans/k"


# What is wrong with one value, and with several together


def cases(name: str) -> list[Any]:
    """The cases of a file below `data`: (text, messages)."""
    _, *blocks = re.split(r"^== (.*)\n", (DATA / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = []
    for title, block in zip(blocks[::2], blocks[1::2], strict=True):
        text, _, messages = block.partition("\n--\n")
        found.append(pytest.param(text + "\n", messages.split("\n\n")[0].splitlines(), id=title))
    return found


@pytest.mark.parametrize(("added", "expected"), cases("faulty_additions.txt"))
def test_a_faulty_value_is_named_with_line_and_key(folder: Path, added: str, expected: list[str]) -> None:
    assert problems(MINIMAL + added, CHECKS) == expected


@pytest.mark.parametrize(("text", "expected"), cases("faulty_plans.txt"))
def test_a_faulty_release_or_window_is_named_with_line_and_key(folder: Path, text: str, expected: list[str]) -> None:
    assert problems(text, CHECKS) == expected


def test_endless_values_are_refused_and_cut(folder: Path) -> None:
    assert problems(MINIMAL + HOST + f"port = 0x{'f' * 5000}\n") == ["10: hosts.db1.port: does not fit into 64 bits"]
    endpoint = MINIMAL + APPLICATION + 'url = "http://a/"\nmax_latency = "{}"\n'
    where = '12: applications.app1.health[1].max_latency: expected a duration such as "30min", found'
    assert problems(endpoint.format("9" * 60 + "d")) == [f'{where} "{"9" * 60}..."; units are s, min, h and d']
    assert problems(endpoint.format("1" * 500_000)) == [f"{where} another text"]
    (found,) = problems(MINIMAL + f"[{'x' * 500_000}]\n")
    assert len(found) < 400


def test_a_size_needs_a_binary_unit(folder: Path) -> None:
    with_size = FULL.replace('"20.5GiB"', "{}")
    line = FULL[: FULL.index("expected =")].count("\n") + 1
    where = f"{line}: backups.orders.expected"
    example = 'expected a size such as "20GiB", found'
    assert problems(with_size.replace("{}", '"20GB"')) == [
        f'{where}: {example} "20GB"; units are KiB, MiB, GiB and TiB'
    ]
    assert problems(with_size.replace("{}", "20")) == [
        f"{where}: {example} an integer; write it in quotes with KiB, MiB, GiB or TiB"
    ]
    assert problems(with_size.replace("{}", '"99999999TiB"')) == [f"{where}: is larger than any file system"]
    assert problems(with_size.replace("{}", '"0GiB"')) == [f"{where}: must be more than 0"]


def test_a_database_whose_server_is_verified_may_name_a_root_certificate(folder: Path) -> None:
    load(MINIMAL + DATABASE + 'sslmode = "verify-ca"\nsslrootcert = "ca.pem"\n')


def test_two_backups_may_share_a_directory(folder: Path) -> None:
    backup = '[backups.{}]\ndatabase = "orders"\ndirectory = "/b"\n'
    load(MINIMAL + DATABASE + backup.format("a") + backup.format("b"))


def test_a_passphrase_may_belong_to_the_key_of_the_ssh_configuration(folder: Path) -> None:
    load(MINIMAL + '[hosts.a]\nssh_config = true\npassphrase = "env:X"\n')


def test_all_problems_are_reported_at_once_in_the_order_of_their_lines(folder: Path) -> None:
    text = MINIMAL.replace("Berlin", "Atlantis") + HOST.replace("dbadmin", "-x") + "port = 0\nzzzz = 1\n[jobs]\n"
    found = problems(text + "[checks.backup-spaces]\n", CHECKS)
    assert [line.split(": ")[:2] for line in found] == [
        ["4", "window.zone"], ["8", "hosts.db1.user"], ["10", "hosts.db1.port"], ["11", "hosts.db1.zzzz"],
        ["12", "jobs"], ["13", "checks.backup-spaces"],
    ]  # fmt: skip


def test_an_entry_with_a_fault_is_still_declared(folder: Path) -> None:
    assert len(problems(MINIMAL + DATABASE.replace("dbadmin", "db admin"))) == 1


@pytest.mark.long
def test_a_long_chain_of_steps_is_no_recursion(folder: Path) -> None:
    steps = [f'[[steps]]\nid = "s{n}"\nminutes = 1\nafter = ["s{n + 1}"]\n' for n in range(3000)]
    load(MINIMAL + "".join(steps) + '[[steps]]\nid = "s3000"\nminutes = 1\n')
    assert len(problems(MINIMAL + "".join(steps) + '[[steps]]\nid = "s3000"\nminutes = 1\nafter = ["s0"]\n')) == 1


# Settings of checks


def test_checks_can_be_looked_for_in_the_folder_that_the_plan_names(folder: Path) -> None:
    asked: list[Plan] = []

    def find(plan: Plan) -> dict[str, type]:
        asked.append(plan)
        return {"mine": SpaceSettings}

    text = MINIMAL.replace("[window]", 'checks = "my_checks"\n[window]') + "[checks.mine]\npercent = 5\n"
    Path("x.toml").write_text(text)
    assert load_plan(Path("x.toml"), find).checks == {"mine": {"percent": 5}}
    Path("x.toml").write_text(text.replace('id = "REL-1"', "id = 1") + "[checks.other]\n")
    with pytest.raises(PlanError) as caught:
        load_plan(Path("x.toml"), find)
    assert [error.where for error in caught.value.errors] == ["release.id", "checks.other"]
    assert [plan.release.checks for plan in asked if plan.release] == [folder / "my_checks"] * 2


def test_a_check_whose_settings_mean_nothing_is_named_not_raised(folder: Path) -> None:
    odd = dataclasses.make_dataclass("Odd", [("x", complex, 0)])
    assert problems(MINIMAL + "[checks.odd]\nx = 1\n", {"odd": odd}) == [
        "7: checks.odd: the check's settings cannot be read: a plan cannot hold a value of type <class 'complex'>"
    ]


# The file

FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty; [release] and [window] are required"),
    "only a comment": (b"\xef\xbb\xbf# nothing yet\n", "is empty; [release] and [window] are required"),
    "not UTF-8": (b"[release]\nid = \"R\xe9L\"\n", "2: not UTF-8: byte 0xe9 at byte 8 of the line"),
    "UTF-16": ("[release]".encode("utf-16"), "1: not UTF-8: byte 0xff at byte 1 of the line"),
    "no TOML": (b"[release]\nid REL\n", "2: not TOML: Expected '=' after a key in a key/value pair (column 4)"),
    "key twice": (b'[release]\nid = "a"\nid = "b"\n', "3: not TOML: this key or table is already set (column 9)"),
    "entry twice": (b"[hosts.a]\n[hosts.a]\n", "2: not TOML: Cannot declare ('hosts', 'a') twice (column 9)"),
    "open string": (b'[release]\nid = "a', "2: not TOML: Unterminated string at the end of the file"),
    "NUL": (b"[release]\n\x00", "2: not TOML: Invalid statement (column 1)"),
    "deep": (b"a = " + b"[" * 5000 + b"]" * 5000, "not TOML that can be read: nested too deep"),
    "long dotted key": (b"a." * 20000 + b"a = 1", "1: more than 1000 dots in one line"),
    "too large": (b"#" * (1024 * 1024 + 1), "is larger than 1 MiB, too much for a plan"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), FILES.values(), ids=FILES)
def test_a_file_that_is_no_plan_is_explained(folder: Path, content: bytes, expected: str) -> None:
    assert problems(content) == [expected]


def test_a_number_without_end_is_explained(folder: Path) -> None:
    (found,) = problems(b"a = " + b"9" * 5000)
    assert found.startswith("not TOML: Exceeds the limit")


def complaint(path: Path) -> str:
    with pytest.raises(PlanError) as caught:
        load_plan(path)
    return str(caught.value)


def test_a_missing_file_a_directory_and_a_path_that_is_none_are_explained(folder: Path) -> None:
    assert complaint(Path("plans/x.toml")) == "plans/x.toml: no such file"
    assert complaint(folder) == f"{folder}: is a directory; name the plan's file"
    assert complaint(Path("x\0y")) == "x\\x00y: cannot be read: a path holds no NUL"
    assert complaint(Path("x" * 5000)) == "x" * 5000 + ": cannot be read: File name too long"


def test_a_named_pipe_is_refused_without_waiting_for_its_writer(folder: Path) -> None:
    os.mkfifo("x.toml")
    assert complaint(Path("x.toml")) == "x.toml: is no regular file"


def test_a_file_without_the_right_to_read_it_is_explained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # the tests run as root, whom no mode keeps out
    assert complaint(Path("x.toml")) == "x.toml: cannot be read: Permission denied"


def test_no_descriptor_stays_open(folder: Path) -> None:
    load(FULL)
    before = len(list(Path("/proc/self/fd").iterdir()))
    load(FULL)
    complaint(folder)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# Secrets

CANARY = "hunter2canary"


@pytest.mark.parametrize(
    "value",
    [f'"{CANARY}"', f'"pass:{CANARY}"', f'["{CANARY}"]', f'{{ a = "{CANARY}" }}', f'"{CANARY}\\n"'],
)
@pytest.mark.parametrize("key", ["password", "passphrase", "key", "agent", "user", "become", "pasword", "known_hosts"])
def test_a_secret_written_into_the_plan_is_never_repeated(folder: Path, key: str, value: str) -> None:
    table = f"[hosts.db1]\n{key} = {value}\nport = 0\n"
    found = "\n".join(problems(MINIMAL + table))
    assert CANARY not in found


@pytest.mark.parametrize("key", ["url", "final_url", "server_name", "version"])
def test_a_secret_in_an_endpoint_is_never_repeated(folder: Path, key: str) -> None:
    table = {"url": '"http://a/"', "min_bytes": "-1"} | {key: f'"https://me:{CANARY}@a:{CANARY}/"'}
    text = APPLICATION + "".join(f"{name} = {value}\n" for name, value in table.items())
    assert CANARY not in "\n".join(problems(MINIMAL + text))


# Anything else


def loads_or_explains(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        load_plan(path, CHECKS)
    except PlanError as error:
        assert error.errors  # noqa: PT017 - both ways are right
        for line in str(error).splitlines():
            assert line.startswith(str(path))


@pytest.mark.long
@given(text=mutated_plans())
def test_a_mutated_plan_is_loaded_or_explained(tmp_path: Path, text: str) -> None:
    loads_or_explains(tmp_path / "x.toml", text.encode("utf-8", "surrogatepass"))


@given(content=st.binary(max_size=300))
@example(content=b"a = 00:00:00")
@example(content=b'"" = 1')
def test_any_bytes_are_loaded_or_explained(tmp_path: Path, content: bytes) -> None:
    loads_or_explains(tmp_path / "x.toml", content)


@pytest.mark.long
@given(where=st.sampled_from(ASSIGNMENTS), value=st.sampled_from(VALUES))
def test_every_key_with_every_odd_value_is_loaded_or_explained(tmp_path: Path, where: int, value: str) -> None:
    lines = [*LINES[:where], LINES[where].partition(" = ")[0] + " = " + value, *LINES[where + 1 :]]
    loads_or_explains(tmp_path / "x.toml", "\n".join(lines).encode())


def test_the_rule_about_arguments_leaves_a_faulty_one_to_its_own_error(tmp_path: Path) -> None:
    """It was a traceback."""
    text = "\n".join(LINES).replace('check", "{file}"]', 'check", 2, "{file}"]')
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(PlanError) as caught:
        load_plan(tmp_path / "x.toml", CHECKS)
    (error,) = caught.value.errors
    assert str(error).endswith("backups.orders.verify[2]: expected a string, found an integer; write it in quotes")


@pytest.mark.long
@pytest.mark.parametrize("value", ["1", '"x"', "[]", "{}"])
def test_every_key_with_a_value_of_each_type_is_loaded_or_explained(tmp_path: Path, value: str) -> None:
    for where in ASSIGNMENTS:
        lines = [*LINES[:where], LINES[where].partition(" = ")[0] + " = " + value, *LINES[where + 1 :]]
        loads_or_explains(tmp_path / "x.toml", "\n".join(lines).encode())


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ('address = "db.example.net"', []),
        ("", ["host is required, the machine that it runs on; or the address of a managed database"]),
        ('address = "a"\naddresses = ["b"]', ['exactly one of "address", "addresses" may be given']),
        ("addresses = []", ["names no address"]),
        ('address = "a"\nconnect = "tunnel"', ["through: is required without host"]),
        ('address = "a"\nthrough = "db1"', ['through: is used only with connect = "tunnel"']),
        ('addresses = ["a", "b"]\nconnect = "tunnel"\nthrough = "db1"', ["a tunnel leads to one `address`"]),
        ('address = "a"\n[scripts.x]\ndatabase = "orders"\nstaged = "/x"\napproved = "x"\nmanifest = "m"',
         ["scripts.x.host: is required: [databases.orders] names none"]),
        ('host = "db1"\n[scripts.x]\ndatabase = "orders"\nhost = "db1"\nstaged = "/x"\napproved = "x"\nmanifest = "m"',
         ['found "database", "host"']),
    ],
)  # fmt: skip
def test_a_managed_database_says_where_it_is_and_where_its_work_runs(
    tmp_path: Path, added: str, expected: list[str]
) -> None:
    path = tmp_path / "x.toml"
    host = '[hosts.db1]\nuser = "x"\nagent = "k.pub"\n'
    path.write_text(f'{MINIMAL}{host}[databases.orders]\nuser = "x"\n{added}\n')
    if not expected:
        assert load_plan(path).home_of(load_plan(path).databases["orders"]) is None
        return
    with pytest.raises(PlanError) as caught:
        load_plan(path)
    told = "\n".join(map(str, caught.value.errors))
    assert all(words in told for words in expected), told
