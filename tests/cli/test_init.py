"""A plan to begin with: lint names what is left to do, and takes it once that is done."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from preflight.engine.registry import find_checks
from preflight.errors import PlanError
from preflight.plan.load import load_plan
from preflight.plan.new_plan import Beginnings, new_plan
from tests.cli.program import argv, preflight, until

WHOLE = (
    *("--release", "REL-9", "--title", 'A "quoted" \\ title', "--zone", "Europe/Berlin"),
    *("--start", "2027-01-01 00:00", "--end", "2027-01-01T04:00", "--host", "db1=db1.example.net", "--host", "db2"),
    *("--database", "orders@db1", "--database", "billing@db2"),
    *("--application", "app1=https://app1.example.net/health", "--application", "app2"),
)
FILLED = {
    "address": "db2.example.net",
    "directory": "/backup",
    "previous": "/backup/*.dump",
    "staged": "/srv/release",
    "password": "env:PW",
    "user": "release",
    "url": "https://app2.example.net/health",
    "kind": "restore",
    "taken_by": "cron",
    "from": "1",
    "to": "2",
}


def problems(path: Path) -> dict[int, str]:
    """Line -> what lint says of it."""
    try:
        load_plan(path, find_checks(None).settings())
    except PlanError as error:
        return {problem.line or 0: problem.message for problem in error.errors}
    return {}


def filled_in(text: str) -> str:
    """What a person does with the TODOs."""
    text = re.sub(r"^# (\w+ = \S+)  # TODO$", r"\1", text, flags=re.MULTILINE)
    todo = r'(\w+) = "TODO(?:[^"\\]|\\.)*"'
    return re.sub(todo, lambda found: f'{found[1]} = "{FILLED.get(found[1], f"somebody {found[1]}")}"', text)


@pytest.mark.parametrize("arguments", [(), WHOLE, WHOLE[:6]])
def test_lint_names_every_todo_by_its_line_and_nothing_else(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    path = tmp_path / "plan.toml"
    done = preflight("init", path, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{path} is written. What is left to do: preflight lint {path}\n"
    text = path.read_text()
    todo = {number for number, line in enumerate(text.splitlines(), 1) if re.search(r'"TODO', line)}
    found = problems(path)
    assert {line for line, message in found.items() if "TODO" in message} == todo
    assert set(found.values()) <= {"is required", *(message for message in found.values() if "(TODO)" in message)}
    assert sum(message == "is required" for message in found.values()) <= len(re.findall(r"  # TODO$", text, re.M))


def test_once_filled_in_it_is_valid_and_every_entry_is_there(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    preflight("init", path, *WHOLE)
    path.write_text(filled_in(path.read_text()))
    assert problems(path) == {}
    plan = load_plan(path)
    assert plan.release.title == 'A "quoted" \\ title'
    assert [*plan.hosts] == ["db1", "db2"]
    assert [*plan.databases] == [*plan.backups] == [*plan.scripts] == ["orders", "billing"]
    assert [*plan.applications] == ["app1", "app2"]
    assert [step.id for step in plan.steps] == [
        "backup-orders", "scripts-orders", "backup-billing", "scripts-billing", "deploy-app1", "deploy-app2"
    ]  # fmt: skip


def test_the_shortest_plan_filled_in_is_valid_too(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(filled_in(new_plan(Beginnings(zone="Europe/Berlin"))))
    assert problems(path) == {}


def test_managed_databases_and_those_of_other_engines_have_entries_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    hosts = ("--host", "db1=db1.example.net", "--host", "tools")
    entries = ("ledger@release@ledger.abc.example.net:5433", "mariadb:shop@tools", "orders=orders_p@db1.example.net")
    databases = [word for entry in entries for word in ("--database", entry)]
    assert preflight("init", path, *WHOLE[:10], *hosts, *databases).returncode == 0
    path.write_text(filled_in(path.read_text()).replace('"restore"', '"redeploy"'))
    assert problems(path) == {}
    plan = load_plan(path)
    assert {name: (each.host, each.address) for name, each in plan.databases.items()} == {
        "ledger": ("", "ledger.abc.example.net"),
        "orders": ("db1", ""),
    }
    assert plan.databases["orders"].dbname == "orders_p"
    ledger = plan.databases["ledger"]
    assert (ledger.port, str(ledger.sslrootcert), plan.scripts["ledger"].host) == (5433, "system", "db1")
    assert (plan.scripts["shop"].host, plan.scripts["shop"].engine, plan.backups["shop"].engine) == (
        "tools",
        "mariadb",
        "mariadb",
    )
    assert [*plan.backups] == ["shop", "orders"]
    said = preflight("lint", path).stdout
    hints = ("provider_restores", "the host from where psql reaches it", "that its provider publishes", "engine_shown")
    for hint in (*hints, "stops_on_error", "verify", "what runs them"):
        assert re.search(rf"is left to do, or to take away: .*{hint}", said), hint


def test_without_postgresql_the_plan_says_where_its_databases_are(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    assert preflight("init", path, *WHOLE[:10], "--host", "db1", "--database", "mysql:shop@db1").returncode == 0
    path.write_text(filled_in(path.read_text()).replace('"restore"', '"redeploy"'))
    assert problems(path) == {}
    assert load_plan(path).release.without.databases == "mysql: see [scripts.shop]"


@pytest.mark.parametrize(
    ("written", "reached"),
    [
        ("db1.example.net", ("db1.example.net", None, "")),
        ("db1.example.net:2222", ("db1.example.net", 2222, "")),
        ("dba@db1.example.net:2222", ("db1.example.net", 2222, "dba")),
        ("ssh://dba@db1.example.net", ("db1.example.net", None, "dba")),
        ("[2001:db8::7]:2222", ("2001:db8::7", 2222, "")),
        ("dba@[2001:db8::7]", ("2001:db8::7", None, "dba")),
        ("2001:db8::7", ("2001:db8::7", None, "")),
    ],
)
def test_an_address_is_taken_apart_as_ssh_does(tmp_path: Path, written: str, reached: tuple[str, int, str]) -> None:
    path = tmp_path / "plan.toml"
    done = preflight("init", path, *WHOLE[:10], "--host", f"db1={written}", "--database", "orders@db1:5433")
    assert done.returncode == 0, done.stderr
    path.write_text(filled_in(path.read_text()))
    assert problems(path) == {}
    plan = load_plan(path)
    host = plan.hosts["db1"]
    assert (host.address, host.port, host.user if reached[2] else "") == reached
    assert plan.databases["orders"].port == 5433


def test_hints_are_named_by_lint_too_once_the_rest_is_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    preflight("init", path, *WHOLE)
    path.write_text(filled_in(path.read_text()))
    said = preflight("lint", path).stdout
    for hint in ("sslrootcert", "ca =", "login =", "way_back", "[[attest]]", "[freeze."):
        assert f"is left to do, or to take away: {hint}" in said, hint
    assert re.search(r'\[\[tested\]\]\nversions = \{ app1 = "', path.read_text())
    assert load_plan(path).rules[0].together == ("app1", "app2")
    path.write_text(
        re.sub(r"^# (?=\[\[attest|\[freeze|(?:id|text|owner|from|until) = )", "", path.read_text(), flags=re.M)
    )
    plan = load_plan(path)
    assert ([*plan.freeze], [each.id for each in plan.attest]) == (["year-end"], ["vendor"])


def test_hosts_come_from_an_inventory_of_ansible_without_a_password(tmp_path: Path) -> None:
    inventory, path = tmp_path / "inventory.json", tmp_path / "plan.toml"
    variables = {
        "db1": {"ansible_host": "10.0.0.1", "ansible_port": 2222, "ansible_user": "dba", "ansible_password": "canary"},
        "app1.example.net": {"ansible_user": "{{ who }}"},
    }
    groups = {"databases": {"hosts": ["db1"]}, "ungrouped": {"hosts": ["app1.example.net", "bare"]}}
    inventory.write_text(json.dumps({"_meta": {"hostvars": variables}, "all": {"children": [*groups]}, **groups}))
    assert preflight("init", path, *WHOLE[:10], "--ansible", inventory).returncode == 0
    assert "canary" not in path.read_text()
    path.write_text(filled_in(path.read_text()))
    hosts = load_plan(path).hosts
    assert [*hosts] == ["db1", "app1-example-net", "bare"]
    assert (hosts["db1"].address, hosts["db1"].port, hosts["db1"].user) == ("10.0.0.1", 2222, "dba")
    assert hosts["app1-example-net"].address == "app1.example.net"
    inventory.write_text("[]")
    done = preflight("init", tmp_path / "other.toml", "--ansible", inventory)
    assert (done.returncode, "ansible-inventory --list" in done.stderr) == (2, True)


def test_hosts_of_ssh_config_are_resolved_by_ssh_itself(tmp_path: Path) -> None:
    (tmp_path / ".ssh" / "more").mkdir(parents=True)
    config, path = tmp_path / ".ssh" / "config", tmp_path / "plan.toml"
    config.write_text("Include more/*\nHost db1 db2 !db3 db*\n  User dba\nHost other\n")
    (tmp_path / ".ssh" / "more" / "site").write_text("Host db1\n  HostName 10.0.0.1\n  Port 2222\n")
    assert preflight("init", path, *WHOLE[:10], "--ssh-config", "db*", HOME=str(tmp_path)).returncode == 0
    path.write_text(filled_in(path.read_text()))
    hosts = load_plan(path).hosts
    assert [*hosts] == ["db1", "db2"]
    assert (hosts["db1"].address, hosts["db1"].port, hosts["db1"].user) == ("10.0.0.1", 2222, "dba")
    assert (hosts["db2"].address, hosts["db2"].port) == ("db2", None)
    done = preflight("init", tmp_path / "x.toml", "--ssh-config", "web*", HOME=str(tmp_path))
    assert (done.returncode, "matches web*" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("Include config\n", "config: is included more than 16 deep, perhaps by itself"),
        ('Include "" ~nobody-of-that-name/x a**b\n', "no host of"),
        ("Include .\n", "no host of"),
    ],
)
def test_what_ssh_config_includes_to_no_purpose_is_no_crash(tmp_path: Path, config: str, said: str) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(config)
    done = preflight("init", tmp_path / "x.toml", "--ssh-config", "db*", HOME=str(tmp_path))
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_a_database_comes_from_pg_service_conf_as_libpq_reads_it(tmp_path: Path) -> None:
    services, path = tmp_path / "services", tmp_path / "plan.toml"
    services.write_text("[orders]\nhost=db1.example.net\nport=5433\ndbname=orders_p\nuser=release\npassword=canary\n")
    arguments = ("--host", "web1", "--pg-service", "orders")
    done = preflight("init", path, *WHOLE[:10], *arguments, PGSERVICEFILE=str(services), PGHOST="elsewhere")
    assert done.returncode == 0, done.stderr
    assert "canary" not in path.read_text()
    path.write_text(filled_in(path.read_text()))
    plan = load_plan(path)
    database = plan.databases["orders"]
    assert (database.dbname, database.port, database.user) == ("orders_p", 5433, "release")
    assert plan.hosts[database.host].address == "db1.example.net"
    done = preflight(
        "init", tmp_path / "x.toml", "--pg-service", "bill", PGSERVICEFILE=str(services), PGHOST="elsewhere"
    )
    assert (done.returncode, "no such service" in done.stderr) == (2, True)
    services.write_text("[orders]\nhost=db1.example.net\nport=five\n")
    done = preflight("init", tmp_path / "x.toml", "--pg-service", "orders", PGSERVICEFILE=str(services))
    assert (done.returncode, "its port is no number" in done.stderr) == (2, True)


def test_a_window_in_the_hour_that_clocks_repeat_says_which_one_is_meant(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    begin = ("init", path, "--zone", "America/New_York", "--end", "2026-11-01 05:00", "--start")
    assert "write 2026-11-01T01:30:00-04:00 for the first" in preflight(*begin, "2026-11-01 01:30").stderr
    assert "write 2027-03-14T01:59:00 or 2027-03-14T03:00:00" in preflight(*begin, "2027-03-14 02:30").stderr
    assert preflight(*begin, "2026-11-01 01:30-05:00").returncode == 0
    assert "start = 2026-11-01T01:30:00-05:00\n" in path.read_text()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text("mine")
    done = preflight("init", path)
    assert done.returncode == 2
    assert "is there already" in done.stderr
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--zone", "Mars"), "no such time zone"),
        (("--start", "tonight"), "write the time as 2026-10-17 00:00"),
        (("--start", "2026-10-17 06:00", "--end", "2026-10-17 00:00"), "the window must end after it starts"),
        (("--host", "=x"), "begin with a name"),
        (("--host", "a=b:70000"), "expected a port from 1 to 65535"),
        (("--host", "a=b c"), "expected a host name or an IP address"),
        (("--host", "a=b:x"), "expected a host name or an IP address"),
        (("--host", "a", "--database", "orders@"), "with one of the hosts: a;"),
        (("--database", "orders@db1"), "with one of the hosts: none; or, where nobody logs in to its machine"),
        (
            ("--host", "a", "--database", "mysql:shop@b.net"),
            "database shop: write NAME@HOST with one of the hosts: a\n",
        ),
        (("--database", "MySQL:shop@a"), "expected a name such as mysql"),
        (("--database", "mysql:shop@release@a"), "nobody logs in to mysql"),
        (("--host", "a", "--host", "a"), "two entries of one name: host a"),
        (("--title", "a\x1bb"), "cannot be printed"),
        (
            ("--look", "--host", "db1=db1.example.net"),
            "--release, --zone, --start, --end, --by, --credential, --host db1=",
        ),
        (("--credential", "hunter2"), "not a secret reference"),
    ],
)
def test_a_mistyped_option_is_told_and_nothing_written(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = preflight("init", tmp_path / "plan.toml", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("file", "login", "said"),
    [
        ("missing/plan.toml", "dba@127.0.0.1:1", "missing/plan.toml: cannot be written: No such file"),
        ("plan.toml", "d ba@127.0.0.1:1", "hosts.db1.user: "),
    ],
)
def test_what_nobody_can_log_in_by_is_told_before_anybody_is_asked(
    tmp_path: Path, file: str, login: str, said: str
) -> None:
    needed = ("--look", "--by", "D. Kaya", "--credential", "env:DB1_PASSWORD", "--host", f"db1={login}")
    done = preflight("init", tmp_path / file, *WHOLE[:10], *needed)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_looked_at_is_told_and_the_plan_loads_without_it(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    login = ("--look", "--by", "D. Kaya", "--credential", "env:DB1_PASSWORD", "--database-password", "env:DB1_PASSWORD")
    reached = (
        "--host",
        "db1=dba@127.0.0.1:1",
        "--database",
        "orders@release@db1:1",
        "--application",
        "app1=http://127.0.0.1:1/",
    )
    done = preflight("init", path, *WHOLE[:10], *login, *reached)
    assert done.returncode == 0, done.stderr
    for place in ("db1", "orders", "app1"):
        assert re.search(f"^not looked at: {place}: (?!{place}: ).*refused", done.stderr, re.MULTILINE), place
    plan = load_plan(path)
    assert [*plan.hosts, *plan.databases, *plan.backups, *plan.applications] == ["db1", "orders"]
    assert "# TODO: its server was not seen: version, role\n" in path.read_text()
    assert "canary" not in path.read_text() + done.stderr


@pytest.mark.long
def test_answers_that_do_not_suffice_to_log_in_need_not_be_given_again(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    call = ("init", tmp_path / "plan.toml", "--look", *WHOLE[:10], "--host", "db1=dba@h.net", "--by", "D. Kaya")
    things = (
        "--database",
        "orders@r@h.net",
        "--application",
        "shop=http://h.net/",
        "--ca",
        "",
        "--database-password",
        "env:P",
    )
    process = subprocess.Popen(argv(*call, *things), stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    until(ours, "Login of the hosts")
    os.write(ours, b"\n")
    said = until(ours, "--ca ''")
    os.close(ours)
    assert process.wait(20) == 2
    assert "it must be told --credential\r\nwith the same answers: preflight init " in said
    assert "--host db1=dba@h.net --database orders@r@db1 --application shop=http://h.net/ --by 'D. Kaya'" in said


@pytest.mark.long
def test_on_a_terminal_it_asks_and_asks_again_after_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(argv("init", path, "--title", "T"), stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = ""
    answers = {
        "Release number": "REL-7",
        "Time zone": "Mars\nEurope/Paris",
        "Start of": "2027-01-02 00:00",
        "End of": "2027-01-01 04:00\n2027-01-02 04:00",
        "Hosts": "db1=10.0.0.1, db2",
        "Databases": "orders@db3\norders@db1",
        "Applications": "",
    }
    for question, answer in answers.items():
        for line in answer.split("\n"):
            said = until(ours, question)
            os.write(ours, f"{line}\n".encode())
    rest = until(ours, "is written")
    assert process.wait(20) == 0, said + rest
    os.close(ours)
    text = path.read_text()
    assert 'id = "REL-7"' in text
    assert 'zone = "Europe/Paris"' in text
    assert 'title = "T"' in text
    assert "[databases.orders]" in text
    assert "end = 2027-01-02T04:00:00\n" in text
