"""Plans of several files, with defaults, ranges and variables: what they load to, and where each fault is told."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.errors import PlanError
from preflight.faults import Keys
from preflight.plan import Plan, SecretRef, ranges, variables
from preflight.plan.load import load_plan
from preflight.plan.merged import DEFAULTS, read_merged
from preflight.reference import merged_plan
from preflight.wording import in_toml, toml_key
from tests.plan_texts import FULL, MINIMAL, mutated_plans

UNIX = '[roles.unix]\nprimary = "S. Lindqvist"\n'
LOGIN = '[defaults.hosts]\nuser = "deploy"\nagent = "id.pub"\n'
APPLICATION = '[applications.app1]\nfrom = "1"\nto = "2"\n'
ADVICE = "override = true lets what is said here win"
SHA = 'sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(text: str, files: Mapping[str, str]) -> Path:
    for name, content in {"rel/x.toml": text, **files}.items():
        Path(name).parent.mkdir(exist_ok=True, parents=True)
        Path(name).write_text(content)
    return Path("rel/x.toml")


def load(text: str, files: Mapping[str, str] | None = None, **values: str) -> Plan:
    """The plan in rel/x.toml: the minimal one and `text`, its `include` first."""
    return load_plan(written(with_head(text), files or {}), values=values)


def with_head(text: str) -> str:
    first, _, rest = text.partition("\n")
    return f"{first}\n{MINIMAL}{rest}" if first.startswith("include") else MINIMAL + text


def problems(text: str, files: Mapping[str, str] | None = None, **values: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        load(text, files, **values)
    assert caught.value.__context__ is None, "a context may hold the file's bytes"
    return [str(error) for error in caught.value.errors]


def same(one: Plan, other: Plan) -> bool:
    """The same but for the files that say it."""
    files = ("path", "digest", "included", "overridden", "set_values")
    return replace(other, **{name: getattr(one, name) for name in files}) == one


# include


def test_hosts_roles_and_defaults_are_said_once_for_all_releases() -> None:
    site = UNIX + LOGIN + '[hosts.db1]\naddress = "db1.example.net"\n'
    plan = load('include = ["../site.toml"]\n[hosts.app1]\nowner = "unix"\n', {"site.toml": site})
    assert list(plan.hosts) == ["db1", "app1"]
    assert {host.user for host in plan.hosts.values()} == {"deploy"}
    assert plan.path == Path("rel/x.toml").absolute()
    assert plan.included == (Path("site.toml").absolute(),)


def test_an_included_file_includes_others_and_each_is_read_once() -> None:
    files = {
        "site/all.toml": 'include = ["more/roles.toml", "hosts.toml"]\n',
        "site/hosts.toml": 'include = ["more/roles.toml"]\n[hosts.db1]\nuser = "a"\nagent = "x"\nowner = "unix"\n',
        "site/more/roles.toml": UNIX,
    }
    plan = load('include = ["../site/all.toml"]', files)
    assert plan.hosts["db1"].owner == "unix"
    assert [each.name for each in plan.included] == ["roles.toml", "hosts.toml", "all.toml"]


def test_relative_paths_start_at_the_folder_of_the_file_that_says_them(folder: Path) -> None:
    site = (
        '[defaults.hosts]\nuser = "a"\nknown_hosts = ["known", "/etc/known"]\n'
        '[hosts.one]\nkey = "keys/a"\npassphrase = "file:keys/a.pass"\n[hosts.two]\nkey = "~/a"\n'
    )
    plan = load('include = ["../site/site.toml"]\n[hosts.three]\nkey = "keys/a"\n', {"site/site.toml": site})
    one, two, three = plan.hosts.values()
    assert (one.key or folder).resolve() == folder / "site/keys/a"
    assert [each.resolve() for each in one.known_hosts] == [folder / "site/known", Path("/etc/known")]
    assert one.passphrase == SecretRef("file", "../site/keys/a.pass")
    assert two.key == Path.home() / "a"
    assert three.key == folder / "rel/keys/a"
    assert three.known_hosts == one.known_hosts


def test_behind_a_symbolic_link_paths_are_those_that_the_system_finds(folder: Path) -> None:
    site = '[hosts.one]\nuser = "a"\nkey = "keys/a"\n'
    written(with_head('include = ["../site.toml"]'), {"far/site.toml": site})
    Path("far/rel").mkdir()
    Path("rel/x.toml").rename("far/rel/x.toml")
    Path("near").symlink_to("far/rel")
    key = load_plan(Path("near/x.toml")).hosts["one"].key
    assert key is not None
    assert key.resolve() == folder / "far/keys/a"


def test_files_that_include_each_other_are_told_with_their_circle() -> None:
    files = {"rel/a.toml": 'include = ["b.toml"]\n', "rel/b.toml": '\ninclude = ["a.toml"]\n'}
    told = "the files include each other in a circle: rel/a.toml -> rel/b.toml -> rel/a.toml"
    assert problems('include = ["a.toml"]', files) == [f"rel/b.toml:2: include[1]: {told}"]
    assert "a circle: rel/x.toml -> rel/x.toml" in problems('include = ["x.toml"]')[0]


@pytest.mark.parametrize(
    ("include", "told"),
    [
        ('["site.toml"]', "rel/x.toml:1: include[1]: rel/site.toml: no such file"),
        ('["../rel"]', "rel/x.toml:1: include[1]: rel: is a directory; name the plan's file"),
        ('"site.toml"', 'rel/x.toml:1: include: expected an array such as ["site.toml"], found a string'),
        ('["bad.toml"]', "rel/bad.toml:2: not TOML: Invalid statement (column 1)"),
        ('["new.toml"]', "rel/new.toml:1: format: the plan is written in format 7, for another version than"),
        ("[1]", "rel/x.toml:1: include[1]: expected the path of a file, relative to the folder of this one"),
        ('["a\\u0000"]', "rel/x.toml:1: include[1]: expected the path of a file"),
    ],
)
def test_a_file_that_cannot_be_included_is_told(include: str, told: str) -> None:
    files = {"rel/bad.toml": "[hosts]\n!\n", "rel/new.toml": "format = 7\n"}
    assert problems(f"include = {include}", files)[0].startswith(told)


def test_a_fault_in_an_included_file_has_its_own_file_and_line() -> None:
    site = '[hosts.db1]\nuser = "a"\nagent = "x"\nadress = "db1"\n'
    assert problems('include = ["../site.toml"]\n[hosts.db2]\n', {"site.toml": site}) == [
        'site.toml:4: hosts.db1.adress: unknown key; did you mean "address"?',
        'rel/x.toml:8: hosts.db2: one of "password", "key", "agent" is required, or ssh_config = true',
        "rel/x.toml:8: hosts.db2.user: is required, or ssh_config = true",
    ]


def test_an_entry_that_is_doubled_is_told_with_both_lines_and_override_lets_its_keys_win() -> None:
    site = '[hosts.db1]\nuser = "a"\nkey = "k"\npassphrase = "prompt"\nport = 22\n[freshness]\naccess = "2h"\n'
    more = '[freshness]\naccess = "1h"\nspace = "1h"\n'
    assert problems(f'include = ["s.toml"]\n[hosts.db1]\nport = 2222\n{more}', {"rel/s.toml": site}) == [
        f"rel/x.toml:8: hosts.db1: is there already, at rel/s.toml:1; {ADVICE}",
        f"rel/x.toml:11: freshness.access: is there already, at rel/s.toml:7; {ADVICE}",
    ]
    won = '[hosts.db1]\noverride = true\nport = 2222\npassword = "env:X"\n'
    plan = load(f'include = ["s.toml"]\n{won}{more}override = true\n', {"rel/s.toml": site})
    assert (plan.hosts["db1"].user, plan.hosts["db1"].port, plan.hosts["db1"].key) == ("a", 2222, None)
    assert plan.freshness.access.total_seconds() == plan.freshness.space.total_seconds() == 3600
    told = problems('include = ["s.toml"]\n[hosts.db1]\noverride = true\nport = 0\n', {"rel/s.toml": site})
    assert told == ["rel/x.toml:10: hosts.db1.port: must be between 1 and 65535"]


@pytest.mark.parametrize("override", ["", "override = true\n"])
def test_a_release_does_not_override_a_freeze(override: str) -> None:
    site = "[freeze.audit]\nfrom = 2026-10-16\nuntil = 2026-10-18\n"
    (told,) = problems(f'include = ["s.toml"]\n[freeze.audit]\n{override}until = 2026-10-16\n', {"rel/s.toml": site})
    assert "freeze.audit: is there already, at rel/s.toml:1; a freeze is not overridden" in told


def test_what_overrides_a_list_is_told_where_it_stands() -> None:
    site = f'{LOGIN}[hosts."web[1-3]"]\n{UNIX}access = ["web[1-3]", "web1"]\n'
    text = 'include = ["s.toml"]\n[roles.unix]\noverride = true\naccess = ["web1", "web2", "web3", "web4"]\n'
    (told,) = problems(text, {"rel/s.toml": site})
    assert told.startswith('rel/x.toml:10: roles.unix.access[4]: "web4" is not declared in [hosts] or [databases]')


def test_steps_of_several_files_follow_each_other_and_one_of_the_same_id_is_doubled() -> None:
    site = '[[steps]]\nid = "stop"\nminutes = 5\n'
    text = 'include = ["s.toml"]\n[[steps]]\nid = "work"\nafter = ["stop"]\nminutes = 9\n'
    plan = load(text, {"rel/s.toml": site})
    assert [step.id for step in plan.steps] == ["stop", "work"]
    told = problems(f"{text}[[steps]]\nid = 'stop'\n", {"rel/s.toml": site})
    assert told == [f"rel/x.toml:12: steps[2]: is there already, at rel/s.toml:1; {ADVICE}"]
    plan = load(f"{text}[[steps]]\nid = 'stop'\noverride = true\nminutes = 7\n", {"rel/s.toml": site})
    assert [(step.id, step.minutes) for step in plan.steps] == [("stop", 7), ("work", 9)]


def test_override_is_refused_where_it_overrides_nothing() -> None:
    assert problems(LOGIN + "[hosts.db1]\noverride = true\n[hosts.db2]\noverride = 1\n") == [
        "rel/x.toml:11: hosts.db1.override: there is nothing that it could override",
        "rel/x.toml:13: hosts.db2.override: write true, or leave it out",
    ]


def test_override_of_a_table_without_entries_must_override_a_key_and_may_take_one_back() -> None:
    site = {"rel/s.toml": f'{LOGIN}jump = "a"\n[hosts.a]\njump = ""\n[hosts.b]\njump = "c"\n[hosts.c]\njump = ""\n'}
    told = "override: there is nothing that it could override"
    assert problems("[freshness]\noverride = true\n") == [f"rel/x.toml:8: freshness.{told}"]
    more = 'include = ["s.toml"]\n[defaults.hosts]\noverride = true\nperson = "x"\n'
    assert problems(more, site) == [f"rel/x.toml:9: defaults.hosts.{told}"]
    plan = load('include = ["s.toml"]\n[hosts.b]\noverride = true\njump = ""\n', site)
    assert plan.hosts["b"].jump == "", "neither the host's nor the default"


@pytest.mark.parametrize(
    ("shared", "own", "told"),
    [
        ("[hosts.a]\n", "hosts = 3\n", "rel/x.toml:2: hosts: expected a table, found an integer"),
        ("hosts = 3\n", "[hosts.a]\n", "rel/s.toml:1: hosts: expected a table, found an integer"),
        ("[[hosts]]\n", "[hosts.a]\n", "rel/s.toml:1: hosts: expected a table, found an array"),
        ("steps = 3\n", "[[steps]]\n", "rel/s.toml:1: steps: expected an array of tables, found an integer"),
        ("[[steps]]\n", "[steps]\n", "rel/x.toml:2: steps: expected an array of tables, found a table"),
        ("defaults = 3\n", "[defaults.hosts]\n", "rel/s.toml:1: defaults: expected a table, found an integer"),
    ],
)
def test_what_is_no_table_is_told_where_it_stands(shared: str, own: str, told: str) -> None:
    found = problems_of_files(f'include = ["s.toml"]\n{own}', shared)
    assert any(each.startswith(told) for each in found)
    assert not any("there already" in each for each in found)


def problems_of_files(own: str, shared: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        load_plan(written(own, {"rel/s.toml": shared}))
    return [str(error) for error in caught.value.errors]


def test_the_digest_is_of_all_files_and_of_the_values_that_were_set() -> None:
    text = '[variables]\nplace = "a"\n[hosts.db1]\nuser = "${place}"\nagent = "x"\n'
    alone = load(text)
    assert alone.digest == hashlib.sha256(Path("rel/x.toml").read_bytes()).hexdigest()
    assert load(text, place="a") == alone, "set to what it is"
    assert len({alone.digest, load(text, place="b").digest, load(text, place="c").digest}) == 3
    shared = 'include = ["s.toml"]'
    assert load(shared, {"rel/s.toml": UNIX}).digest != load(shared, {"rel/s.toml": f"{UNIX}# more\n"}).digest


# defaults


def test_defaults_are_what_an_entry_does_not_say_and_hold_for_the_health_of_every_application() -> None:
    health = '[defaults.health]\nsamples = 1\njson = { status = "UP" }\n'
    entry = "[[applications.app1.health]]\nurl ="
    own = f'{entry} "https://a/h"\n{entry} "https://b/h"\nsamples = 2\n'
    steps = '[defaults.steps]\nsource = "measured 2026-10-10"\n[[steps]]\nid = "a"\nminutes = 1\n'
    plan = load(health + APPLICATION + own + steps)
    assert [each.samples for each in plan.applications["app1"].health] == [1, 2]
    assert plan.applications["app1"].health[1].json == {"status": "UP"}
    common = '[defaults.applications]\nowner = "unix"\nhealth = [{ url = "https://c/h" }]\n'
    assert load(f"{health}{common}{APPLICATION}{UNIX}").applications["app1"].health[0].samples == 1
    (told,) = problems(health.replace("samples = 1", "samples = 0") + APPLICATION + own)
    assert told.startswith("rel/x.toml:8: defaults.health.samples: must be between 1 and 20 (of applications.app1)")
    assert plan.steps[0].source == "measured 2026-10-10"


def test_an_empty_text_takes_a_default_back_and_a_credential_takes_the_place_of_another() -> None:
    common = '[defaults.hosts]\nuser = "a"\nkey = "k"\npassphrase = "prompt"\njump = "bastion"\n'
    bastion = '[hosts.bastion]\njump = ""\nlogin = "through"\n'
    plan = load(f'{common}{bastion}[hosts.db1]\npassword = "env:DB1"\n[hosts.db2]\npassphrase = ""\n')
    bastion, db1, db2 = plan.hosts.values()
    assert (bastion.jump, db1.jump) == ("", "bastion")
    assert (db1.key, db1.passphrase, db1.password) == (None, None, SecretRef("env", "DB1"))
    assert db2.key is not None
    assert db2.passphrase is None


def test_a_fault_in_defaults_is_told_once_at_their_line() -> None:
    hosts = "".join(f"[hosts.db{number}]\n" for number in range(5))
    assert problems(f"{LOGIN}usr = 1\n[defaults.host]\n[defaults.scripts]\n[defaults]\nroles = 3\n{hosts}") == [
        'rel/x.toml:10: defaults.hosts.usr: unknown key; did you mean "user"? (of hosts.db0, and 4 more)',
        'rel/x.toml:11: defaults.host: there are no defaults of that name; did you mean "hosts"?',
        "rel/x.toml:12: defaults.scripts: the plan has no entry that they could be for",
        "rel/x.toml:14: defaults.roles: expected a table, found an integer",
    ]
    bastion = '[hosts.bastion]\nlogin = "through"\n'
    (told,) = problems(f'{LOGIN}jump = "bastion"\n[hosts.db1]\n{bastion}')
    assert told == "rel/x.toml:10: defaults.hosts.jump: a host cannot be its own jump host (of hosts.bastion)"
    load('include = ["s.toml"]', {"rel/s.toml": LOGIN})  # other plans have hosts
    assert problems("[default.hosts]\n") == ['rel/x.toml:7: default: unknown table; did you mean "defaults"?']


# ranges


def test_a_range_is_an_entry_for_each_number_which_keeps_its_zeros() -> None:
    text = f'{LOGIN}person = "{{n}}"\n[hosts."web[08-11]"]\naddress = "web{{n}}.example.net"\n[hosts."app[8-11]"]\n'
    plan = load(text)
    assert list(plan.hosts) == [
        *("web08", "web09", "web10", "web11"),
        *("app8", "app9", "app10", "app11"),
    ]
    assert plan.hosts["web09"].address == "web09.example.net"
    assert (plan.hosts["web09"].person, plan.hosts["app9"].person) == ("09", "9")


def test_every_place_that_takes_a_host_takes_a_range() -> None:
    hosts = f'{LOGIN}[hosts."web[1-3]"]\n[defaults.databases]\nhost = "web{{n}}"\nuser = "r"\n[databases."db[1-2]"]\n'
    rest = (
        UNIX + 'access = ["db1", "web[2-3]"]\n'
        f'[rollback]\nfiles = [{{ host = "web[1-3]", path = "/srv/{{n}}", {SHA} }}]\n'
        '[[steps]]\nid = "drain"\nhost = "web[1-2]"\nminutes = 1\n'
        '[[steps]]\nid = "fill-[1-2]"\nhost = "web{n}"\nminutes = 1\nafter = ["drain-web[1-2]"]\n'
        '[scripts.clean]\nhost = "web[1-2]"\nengine = "db2"\napproved = "a"\nmanifest = "m"\nstaged = "/s/{n}"\n'
        'command = ["./x"]\n'
        '[checks.command.run.page]\nhost = "web[2-3]"\nprogram = "p"\n'
        '[checks.competing-jobs.asked."web[1-3]"]\nby = "unix"\n'
    )
    plan = load(hosts + rest)
    assert plan.databases["db2"].host == "web2"
    assert plan.roles["unix"].access == ("db1", "web2", "web3")
    assert [(file.host, file.path) for file in plan.rollback.files if plan.rollback] == [
        (f"web{n}", f"/srv/{n}") for n in "123"
    ]
    assert [(step.id, step.host) for step in plan.steps] == [
        ("drain-web1", "web1"), ("drain-web2", "web2"), ("fill-1", "web1"), ("fill-2", "web2"),
    ]  # fmt: skip
    assert plan.steps[2].after == ("drain-web1", "drain-web2")
    assert [(entry.id, entry.host, entry.staged) for entry in plan.scripts.values()] == [
        ("clean-web1", "web1", "/s/1"), ("clean-web2", "web2", "/s/2"),
    ]  # fmt: skip
    assert plan.checks["command"]["run"] == {f"page-web{n}": {"host": f"web{n}", "program": "p"} for n in "23"}
    assert set(plan.checks["competing-jobs"]["asked"]) == {"web1", "web2", "web3"}  # type: ignore[call-overload]


def test_a_range_in_the_url_of_a_health_entry_is_an_instance_for_each() -> None:
    health = '[[applications.app1.health]]\nurl = "https://web[01-03].example.net/health"\nserver_name = "s{n}"\n'
    last = '[[applications.app1.health]]\nurl = "https://[::1]:8443/health"\n'
    found = load(APPLICATION + health + last).applications["app1"].health
    assert [each.url for each in found] == [
        *(f"https://web{n}.example.net/health" for n in ("01", "02", "03")), "https://[::1]:8443/health",
    ]  # fmt: skip
    assert found[2].server_name == "s03"
    told = problems(APPLICATION + health + last.replace("url", "urk"))
    assert told[1].startswith("rel/x.toml:14: applications.app1.health[2].urk: unknown key")
    (told,) = problems(APPLICATION + '[[applications.app1.health]]\nurl = "https://web{n}/h"\n')
    assert told.endswith("the host holds {n}, and no range says which numbers it stands for")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("web[40-01]", "the range is reversed: write [01-40]"),
        ("web[]", "expected one range of numbers such as web[01-40]"),
        ("web[a-f]", "expected one range of numbers such as web[01-40]"),
        ("web[1-", "expected one range of numbers such as web[01-40]"),
        ("w[1-2]-[1-2]", "expected one range of numbers such as web[01-40]"),
        ("web[01-100]", "both ends of the range have the same number of digits: [01-100]"),
        ("web[1-040]", "both ends of the range have the same number of digits: [1-040]"),
        ("web[1-6000]", "the range has 6000 entries; at most 5000 are allowed"),
        ("web[1-99999999999999999999]", "a number of the range has too many digits"),
    ],
)
def test_a_range_that_is_none_is_told(name: str, told: str) -> None:
    assert problems(f'{LOGIN}[hosts."{name}"]\n') == [f'rel/x.toml:10: hosts."{name}": {told}']
    assert problems(f'{UNIX}access = ["{name}"]\n') == [f"rel/x.toml:9: roles.unix.access[1]: {told}"]


def test_the_number_is_in_the_defaults_that_an_entry_takes() -> None:
    health = '[defaults.health]\nserver_name = "s{n}"\n[[applications.app1.health]]\nurl = "https://web[1-2]/h"\n'
    steps = '[defaults.steps]\ntrack = "{n}"\n[[steps]]\nid = "a[1-2]"\nminutes = 1\n[[steps]]\nid = "b"\nminutes = 1\n'
    plan = load(APPLICATION + health + steps)
    assert [each.server_name for each in plan.applications["app1"].health] == ["s1", "s2"]
    assert [step.track for step in plan.steps] == ["1", "2", "{n}"]
    site = {"rel/s.toml": f'{LOGIN}person = "{{n}}"\n[hosts."web[1-2]"]\n'}
    hosts = load('include = ["s.toml"]\n[hosts.web2]\noverride = true\nport = 2\n', site).hosts
    assert [host.person for host in hosts.values()] == ["1", "2"]


def test_what_a_range_makes_twice_within_an_entry_is_told() -> None:
    tested = '[[tested]]\non = 2026-10-01\nevidence = "e"\nversions = { "app[1-2]" = "2", app1 = "1" }\n'
    (told,) = problems(APPLICATION + APPLICATION.replace("app1", "app2") + tested)
    assert told == 'rel/x.toml:16: tested[1].versions.app1: "app1" is there twice'


def test_a_text_that_grows_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (ranges, variables):
        monkeypatch.setattr(module, "_MOST_CHARACTERS", 20_000)
    twice = "".join(f'v{number} = "${{v{number + 1}}}${{v{number + 1}}}"\n' for number in range(40))
    (told,) = problems(f'[variables]\n{twice}v40 = "xx"\n{UNIX}contact = "${{v0}}"\n')
    assert told.endswith(": is longer than 1000 characters")
    many = f"{{n}}{'x' * 1000}"
    (told,) = problems(f'{LOGIN}[hosts."web[1-50]"]\nperson = "{many}"\n')
    assert told.endswith(": the ranges of the plan make too long a text of it")
    told = problems(f'{LOGIN}person = "{many}"\n[hosts."web[1-50]"]\n')[0]
    assert told == "rel/x.toml:7: defaults.hosts: the ranges of the plan make too long a text of it"
    long = f"[variables]\nv = '{'x' * 1000}'\n{UNIX}contact = '{'${v}' * 21}'\n"
    assert problems(long) == ["rel/x.toml:11: roles.unix.contact: the variables make too long a text of the plan"]
    (told,) = problems(f"[variables]\nv = 'x'\n[{'.'.join('a' * 900)}]\nb = '${{v}}'\n")
    assert told == "rel/x.toml: its tables are nested too deep"


@pytest.mark.long
def test_an_id_that_two_ranges_make_is_told_once_for_each_and_one_may_override() -> None:
    hosts = f'{LOGIN}[hosts."web[1-9]"]\n[hosts."web[8-10]"]\nport = 1\n'
    (told,) = problems(hosts)
    doubled = f'hosts."web[8-10]": is there already, at rel/x.toml:10; {ADVICE} (of hosts.web8, and 1 more)'
    assert told == f"rel/x.toml:11: {doubled}"
    assert problems(f"{LOGIN}[hosts.web7]\noverride = true\nport = 7\n[hosts.'web[1-9]']\nprt = 1\n") == [
        'rel/x.toml:14: hosts."web[1-9]".prt: unknown key; did you mean "port"? (of hosts.web1, and 8 more)'
    ]
    plan = load(f"{LOGIN}[hosts.web7]\noverride = true\nport = 7\n[hosts.'web[1-9]']\n")
    assert [host.port for host in plan.hosts.values()] == [None] * 6 + [7] + [None] * 2
    many = "".join(f'[hosts."{name}[1-5000]"]\n' for name in "abcde")
    assert problems(LOGIN + many)[0].endswith("the ranges of the plan make more than 20000 entries")


# variables


def test_one_plan_for_staging_and_production() -> None:
    text = (
        '[variables]\ntarget = "staging"\ndomain = "${target}.example.net"\n'
        'word = { none = "what the vendor sent" }\n'
        '[hosts.db1]\naddress = "db1.${domain}"\nperson = "$${no}-${word}"\nuser = "a"\n'
        'password = "env:${target}_DB1"\n'
    )
    (told,) = problems(text)
    way = "--set word=VALUE, or PREFLIGHT_SET_word in the environment"
    assert told == f"rel/x.toml:10: variables.word: must be set (what the vendor sent): {way}"
    plan = load(text, word="w")
    assert (plan.hosts["db1"].address, plan.hosts["db1"].person) == ("db1.staging.example.net", "${no}-w")
    assert plan.hosts["db1"].password == SecretRef("env", "staging_DB1")
    other = load(text, word="w", target="production")
    assert other.hosts["db1"].address == "db1.production.example.net"
    assert other.set_values == {"target": "production", "word": "w"}
    assert other.sealed_known_hosts.name == "x.target-production.word-w.known_hosts"
    assert other.call("seal") == "preflight seal x.toml --set target=production --set word=w"
    assert load(text.replace("env:${target}_DB1", "env:a"), word="b/c").sealed_servers.name == "x.word-b_c.sealed.json"


def test_a_value_that_is_set_as_the_plan_writes_its_own_is_another_plan() -> None:
    """What is set is taken as it stands, also where it looks like a reference."""
    text = '[variables]\nsite = "a"\nname = "${site}"\n[hosts.db1]\nperson = "${name} ${site}"\nuser = "a"\n'
    text += 'password = "env:A"\n'
    own, other = load(text), load(text, name="${site}")
    assert (own.hosts["db1"].person, other.hosts["db1"].person) == ("a a", "${site} a")
    assert own.digest != other.digest


def test_an_empty_variable_takes_no_key_back() -> None:
    """As a CI job sets it where its own variable is not there: nobody meant to have less checked."""
    text = (
        '[variables]\nsite = "x"\n[defaults.hosts]\nperson = "R. Okafor"\n'
        '[hosts."db1"]\naddress = "db1${site}"\nuser = "a"\npassword = "env:A"\nperson = "${site}"\n'
    )
    assert problems(text, site="") == ["rel/x.toml:15: hosts.db1.person: is empty, because each variable in it is"]
    assert load(text.replace('person = "${', 'lead_time = "2${'), site="h").hosts["db1"].address == "db1h"


def test_a_file_may_be_included_by_a_variable() -> None:
    files = {"rel/staging.toml": UNIX, "rel/production.toml": UNIX.replace("unix", "ops")}
    text = 'include = ["${target}.toml"]\n[variables]\ntarget = "staging"\n'
    assert list(load(text, files).roles) == ["unix"]
    assert list(load(text, files, target="production").roles) == ["ops"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('a = "x"\n', "8: variables.a: is used nowhere: write ${a} in a string, or remove it"),
        ('stage = "x"\nb = "${stage} ${stag}"\n', 'variables.b: "stag" is not declared in [variables]'),
        ('a = "${b}"\nb = "${a}"\n', "variables.a: variables go in a circle: a -> b -> a"),
        ("a = 3\n", "8: variables.a: expected a string, found an integer"),
        ("a = { none = 3 }\n", "8: variables.a: expected a string, found a table; or { none ="),
        ('a-b = "x"\n', "8: variables.a-b: expected a name of letters, digits and _, no digit first"),
        ('a = "x\\ty"\n', "8: variables.a: holds a character that cannot be printed"),
        ('a = "postgres://u:hunter2@h"\n', "8: variables.a: holds a password"),
        ('db_password = "hunter2"\n', "8: variables.db_password: is named like a secret"),
    ],
)
def test_a_variable_that_is_none_is_told(text: str, told: str) -> None:
    used = "".join(f"${{{line.partition(' ')[0]}}}" for line in text.splitlines() if "nowhere" not in told)
    found = problems(f"[variables]\n{text}{UNIX}contact = '{used}'\n")
    assert any(told in each for each in found)
    assert "hunter2" not in "".join(found)


def test_what_refers_to_no_variable_is_told() -> None:
    role = UNIX + "contact = '{}'\n"
    (told,) = problems(role.format("${stage}"))
    none = 'the plan has no [variables] that "stage" could be one of'
    assert told == f"rel/x.toml:9: roles.unix.contact: {none}; a plain ${{ is written $${{"
    for broken in ("${}", "${a b}", "x ${", "${a"):
        (told,) = problems(role.format(broken))
        assert told == "rel/x.toml:9: roles.unix.contact: expected ${NAME}; a plain ${ is written $${"
    files = {"rel/s.toml": '[variables]\na = "x"\nother = "for other plans"\n'}
    more = '[variables]\na = "y"\n'
    assert problems(f'include = ["s.toml"]\n{more}{UNIX}contact = "${{a}}"\n', files) == [
        "rel/s.toml:2: variables.a: is declared already, at rel/x.toml:9"
    ]


def test_what_is_set_must_be_declared_and_used() -> None:
    text = f'[variables]\ntarget = "a"\n{UNIX}contact = "${{target}}"\n'
    assert problems(text, traget="b") == [
        'rel/x.toml: --set traget: "traget" is not declared in [variables]; did you mean "target"?'
    ]
    assert problems(UNIX, target="b")[0].startswith("rel/x.toml: --set target: the plan has no [variables]")
    site = {"rel/s.toml": '[variables]\nother = "for other plans"\n'}
    assert load('include = ["s.toml"]', site).included
    assert "is used nowhere" in problems('include = ["s.toml"]', site, other="x")[0]


def test_a_literal_secret_stays_an_error_whichever_way_it_comes_in() -> None:
    host = '[variables]\nword = "hunter2"\n[hosts.db1]\nuser = "a"\npassword = "${word}"\n'
    for told in (problems(host), problems(host, word="hunter3")):
        assert len(told) == 1
        assert "password: not a secret reference" in told[0]
        assert "hunter" not in told[0]


# show --plan


@pytest.mark.parametrize("values", [{}, {"target": "production"}])
def test_the_merged_plan_is_a_plan_that_loads_to_the_same(values: Mapping[str, str]) -> None:
    site = (
        '[variables]\ntarget = "staging"\n[defaults.hosts]\nuser = "a"\nkey = "k"\n'
        f'{UNIX}contact = "$${{é}} \\\\ \\""\naccess = ["web[01-03]"]\n'
        '[hosts."web[01-03]"]\naddress = "web{n}.${target}.example.net"\n'
    )
    text = 'include = ["../site.toml"]\n[hosts.web02]\noverride = true\nbecome = ["postgres", { account = "a" }]\n'
    plan = load(text, {"site.toml": site}, **values)
    printed = merged_plan.render(read_merged(Path("rel/x.toml"), values))
    Path("rel/y.toml").write_text(printed)
    assert same(load_plan(Path("rel/y.toml")), plan)
    place = next(line.partition("#")[2] for line in printed.splitlines() if "web03." in line)
    assert place == " site.toml:11"
    assert ("# --set target=production" in printed) is bool(values)


def test_a_plan_with_every_key_is_printed_as_itself() -> None:
    path = written(FULL, {})
    plan = load_plan(path)
    Path("rel/y.toml").write_text(merged_plan.render(read_merged(path, {})))
    assert same(load_plan(Path("rel/y.toml")), plan)


# Any plan


def split(chance: Random, plain: dict[str, Any]) -> tuple[str, str]:
    """The texts of two files, the second included by the first, that say together what `plain` says."""
    own: dict[str, Any] = {}
    shared: dict[str, Any] = {}

    def either() -> dict[str, Any]:
        return chance.choice((own, shared))

    for section, value in plain.items():
        if isinstance(value, list):
            cut = chance.randint(0, len(value))
            shared[section], own[section] = value[:cut], value[cut:]
        elif section not in DEFAULTS:
            either()[section] = value
        else:
            value = with_defaults(chance, section, value, either())
            for name, entry in value.items():
                either().setdefault(section, {})[name] = entry
    variables = {}
    for file in (own, shared):
        for path in [path for path, value in strings(file) if value and value.isprintable()]:
            if chance.random() < 0.1:
                at = within(file, path[:-1])
                variables[f"v{len(variables)}"], rest = at[path[-1]][:3], at[path[-1]][3:]
                at[path[-1]] = f"${{v{len(variables) - 1}}}{rest}"
    if variables:
        either()["variables"] = variables
    own["include"] = ["s.toml"]
    return toml(own), toml(shared)


def with_defaults(chance: Random, section: str, entries: dict[str, Any], file: dict[str, Any]) -> dict[str, Any]:
    """The entries without a key that `file` then says for all of them; where one has no such key, it takes it back."""
    keys = sorted({key for entry in entries.values() for key in entry} - {"json"})
    if chance.random() < 0.5 or not keys:
        return entries
    key = chance.choice(keys)
    value = chance.choice([entry[key] for entry in entries.values() if key in entry])
    file.setdefault("defaults", {})[section] = {key: value}
    return {
        name: {each: said for each, said in {key: "", **entry}.items() if (each, said) != (key, value)}
        for name, entry in entries.items()
    }


def strings(value: Any, path: Keys = ()) -> Iterator[tuple[Keys, str]]:
    if isinstance(value, str):
        yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from strings(each, (*path, key))


def within(value: Any, path: Keys) -> Any:
    for key in path:
        value = value[key]
    return value


def toml(tables: Mapping[str, Any]) -> str:
    return "".join(f"{toml_key(key)} = {in_toml(value)}\n" for key, value in tables.items())


@pytest.mark.long
@given(chance=st.randoms(use_true_random=False))
def test_a_plan_split_over_files_defaults_variables_and_ranges_is_the_plain_one(chance: Random) -> None:
    plain = tomllib.loads(FULL)
    count = chance.randint(1, 12)
    host = {"user": "web", "key": "keys/{n}", "network_zone": "east", "address": "web{n}.example.net"}
    for number in (str(each).zfill(2) for each in range(1, count + 1)):
        plain["hosts"][f"web{number}"] = {key: value.replace("{n}", number) for key, value in host.items()}
    whole = load_plan(written(toml(plain), {}))
    tables = tomllib.loads(FULL)
    tables["hosts"][f"web[01-{count:02}]"] = host
    own, shared = split(chance, tables)
    assert same(load_plan(written(own, {"rel/s.toml": shared})), whole)


SHARED = """\
include = ["s.toml", "t.toml"]
[variables]
target = "staging"
word = { none = "set it" }
[defaults.hosts]
user = "${target}"
key = "k"
[defaults.health]
samples = 1
[hosts."web[01-03]"]
address = "web{n}.${target}.net"
override = true
[hosts.web02]
override = true
port = 1
[roles.unix]
primary = "a"
access = ["web[01-03]", "web2"]
[applications."app[1-2]"]
from = "1"
to = "$${"
[[applications."app[1-2]".health]]
url = "https://a[1-2].net"
[[steps]]
id = "a[1-2]"
host = "web[01-02]"
override = true
[checks.command.run.x]
host = "web[01-03]"
"""


@pytest.mark.long
@given(own=mutated_plans(SHARED), shared=mutated_plans(SHARED), values=st.sampled_from([{}, {"word": "w"}, {"a": ""}]))
def test_no_text_gives_a_traceback(own: str, shared: str, values: Mapping[str, str]) -> None:
    path = written(own, {"rel/s.toml": shared.replace("s.toml", "t.toml"), "rel/t.toml": UNIX})
    with suppress(PlanError):
        load_plan(path, values=values)
