"""What a plan says about agreements: every message with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from preflight.errors import PlanError
from preflight.plan import Plan
from preflight.plan.limits import part_of_answer
from preflight.plan.load import load_plan
from tests.plan_texts import MINIMAL

APPLICATIONS = '[applications]\na = { from = "1.0", to = "2.0" }\nb = { from = "1.0", to = "2.0" }\n'  # 7 to 9
ROLE = '[roles.lead]\nprimary = "x"\n'  # lines 10 to 11
BASE = MINIMAL + APPLICATIONS + ROLE
ROLE_WITH_ACCESS = '[roles.dba]\nprimary = "y"\naccess = [{}]\n'
HOST = '[hosts.db1]\nuser = "x"\nagent = "k.pub"\n'
RULE = "[[rules]]\n"  # line 12
KINDS = '"together", "unrelated", "exclude"'


def load(folder: Path, added: str) -> Plan:
    path = folder / "x.toml"
    path.write_text(BASE + added, encoding="utf-8")
    return load_plan(path)


def problems(folder: Path, added: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        load(folder, added)
    return [str(error).partition("x.toml:")[2].strip() for error in caught.value.errors]


def step(name: str, deploys: str) -> str:
    return f'[[steps]]\nid = "{name}"\nminutes = 1\n' + (f'deploys = "{deploys}"\n' if deploys else "")


def waiver(name: str, expires: str) -> str:
    return (
        f'[[waivers]]\nid = "{name}"\ncheck = "app-health"\nsubject = "a"\nreason = "x"\nlimit = "1"\n'
        f'approved_by = "lead"\ngranted = 2026-10-16T18:00:00\nexpires = {expires}\n'
    )


@pytest.mark.parametrize(
    "added",
    [
        RULE + 'together = ["a", "b"]\n',
        RULE + 'unrelated = ["a", "b"]\ndecides = "lead"\n',
        RULE + 'exclude = { a = "2.0", b = "1.0" }\nreason = "x"\ndecides = "lead"\n',
        '[[tested]]\nversions = { a = "2.0", b = "0.9" }\non = 2026-10-01\nevidence = "run 1"\n',
        "".join(step(name, deploys) for name, deploys in (("s", "a"), ("t", "b"), ("u", ""), ("v", ""))),
        waiver("W-1", "2026-10-16T18:00:01") + waiver("W-2", "2026-10-17T08:00:00"),
        ROLE_WITH_ACCESS.format('"db1", "orders"') + HOST + '[databases.orders]\nhost = "db1"\nuser = "x"\n',
    ],
)
def test_sound_agreements_are_accepted(tmp_path: Path, added: str) -> None:
    assert load(tmp_path, added)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ('reason = "x"', [f"12: rules[1]: exactly one of {KINDS} is required"]),
        ('together = ["a", "b"]\nunrelated = ["a", "b"]',
         [f'14: rules[1].unrelated: exactly one of {KINDS} may be given, found "together", "unrelated"']),
        ('together = ["a"]', ["13: rules[1].together: names at least two different applications"]),
        ('together = []', ["13: rules[1].together: names at least two different applications"]),
        ('unrelated = ["a", "a"]', ["13: rules[1].unrelated: names at least two different applications"]),
        ('together = ["a", "c"]',
         ['13: rules[1].together[2]: "c" is not declared in [applications]; declared: "a", "b"']),
        ('together = "a"', ["13: rules[1].together: expected an array, found a string; write it in [ ]"]),
        ('exclude = { a = "2.1", b = "1.0" }\nreason = "x"\ndecides = "lead"',
         ['13: rules[1].exclude.a: "2.1" is neither `from` nor `to`: "1.0", "2.0"; did you mean "2.0"?']),
        ('exclude = {}\nreason = "x"\ndecides = "lead"', ["13: rules[1].exclude: names no versions"]),
        ('exclude = { a = "2.0" }',
         ["12: rules[1].decides: is required where a rule excludes an end state",
          "12: rules[1].reason: is required where a rule excludes an end state"]),
        ('exclude = { a = "2.0" }\nreason = " "\ndecides = "lead"',
         ["14: rules[1].reason: is empty, and is required where a rule excludes an end state"]),
        ('exclude = { a = "2.0" }\nreason = "x"\ndecides = "leed"',
         ['15: rules[1].decides: "leed" is not declared in [roles]; did you mean "lead"?']),
        ('exclude = "a"\nreason = "x"\ndecides = "lead"', ["13: rules[1].exclude: expected a table, found a string"]),
    ],
)  # fmt: skip
def test_a_faulty_rule_is_named_with_line_and_key(tmp_path: Path, rule: str, expected: list[str]) -> None:
    assert sorted(problems(tmp_path, RULE + rule + "\n")) == expected


def test_a_version_of_an_application_that_is_itself_faulty_is_not_noted_twice(tmp_path: Path) -> None:
    rule = RULE + 'exclude = { c = "9" }\nreason = "x"\ndecides = "lead"\n'
    assert problems(tmp_path, '[applications.c]\nto = "2"\n' + rule) == ["12: applications.c.from: is required"]


@pytest.mark.parametrize("section", ["rules", "tested", "waivers", "steps"])
def test_a_section_that_holds_no_tables_is_noted_once(tmp_path: Path, section: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(f"{section} = [1]\n" + BASE, encoding="utf-8")
    with pytest.raises(PlanError) as caught:
        load_plan(path)
    (error,) = caught.value.errors
    assert error.message.startswith("expected a table")
    assert error.message.endswith(", found an integer")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ('versions = {}\non = 2026-10-01', "13: tested[1].versions: names no versions"),
        ('versions = { a = "2" }\non = "2026-10-01"',
         "14: tested[1].on: expected a date such as 2026-10-10, found a string; write 2026-10-01, without quotes"),
        ('versions = { a = "2" }\non = 2026-10-01T00:00:00',
         "14: tested[1].on: expected a date such as 2026-10-10, found a date and time"),
        ('on = 2026-10-01', "12: tested[1].versions: is required"),
        ('versions = 1\non = 2026-10-01', "13: tested[1].versions: expected a table, found an integer"),
    ],
)  # fmt: skip
def test_a_faulty_record_is_named_with_line_and_key(tmp_path: Path, record: str, expected: str) -> None:
    assert problems(tmp_path, f'[[tested]]\n{record}\nevidence = "x"\n') == [expected]


def test_a_step_deploys_another_version(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, '[applications.same]\nfrom = "2"\nto = "2"\n' + step("s", "same"))
    assert problem.endswith(
        'steps[1].deploys: `to` of "same" is its `from`, so nothing can tell that it was deployed; leave `deploys` '
        "out, or correct the version"
    )


BACKUP = f'{HOST}[backups.b]\nhost = "db1"\nengine = "mysql"\ndirectory = "/b"\nstep = "s"\n'
SCRIPTS = BACKUP.replace("backups", "scripts").replace("directory", "staged")


@pytest.mark.parametrize(
    ("section", "deploys", "done"),
    [
        (BACKUP, "", "backups are taken or scripts are run in it"),
        (SCRIPTS, "", "backups are taken or scripts are run in it"),
        (HOST, "a", '"a" is deployed in it'),
        (HOST, "", ""),
    ],
)
def test_the_window_cannot_do_without_the_work_of_a_step_which_takes_time(
    tmp_path: Path, section: str, deploys: str, done: str
) -> None:
    def told(text: str) -> list[str]:
        found = [each.partition(": ")[2] for each in problems(tmp_path, section + text + "[hosts.db1.x]\n")]
        return [each for each in found if each.startswith("steps")]

    own = step("s", deploys)
    assert told(own) == []
    without = [f"steps[1].blocking: {done}, which the release cannot do without"] if done else []
    assert told(f"{own}blocking = false\n") == without
    assert told(own.replace("minutes = 1", "minutes = 0")) == (
        [f"steps[1].minutes: {done}, which takes time"] if done else []
    )
    assert told(own.replace("minutes = 1", "minutes = 0.1")) == []


ENDPOINT = '[[applications.a2.health]]\nurl = "https://a.example.net/health"\n'


@pytest.mark.parametrize(
    ("second", "is_same"),
    [
        ("", True),
        ('identity = { node = "b" }\n', True),
        ('bearer = "env:A"\nsamples = 1\n', False),
        ("status = 503\n", False),
        ('server_name = "b.example.net"\n', False),
    ],
)
def test_an_endpoint_asks_what_no_other_of_the_application_asks(tmp_path: Path, second: str, is_same: bool) -> None:
    application = '[applications.a2]\nfrom = "1"\nto = "2"\n'
    other = ENDPOINT.replace("a.example", "b.example")
    text = application + ENDPOINT + other + ENDPOINT + second
    if is_same:
        (problem,) = problems(tmp_path, text)
        assert problem == (
            "20: applications.a2.health[3].url: an earlier endpoint asks just this already: name that of the other "
            "server, or take one out"
        )
    else:
        assert load(tmp_path, text)
    assert load(tmp_path, application + ENDPOINT + other + ENDPOINT.replace("/health", "/ready"))
    assert load(tmp_path, application + ENDPOINT + ENDPOINT.replace("a2", "b2") + application.replace("a2", "b2"))


def test_two_steps_must_not_deploy_the_same_application(tmp_path: Path) -> None:
    assert problems(tmp_path, step("s", "a") + step("t", "a")) == [
        '19: steps[2].deploys: "a" is deployed by step "s" already; a step on a range is one for each host'
    ]


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (HOST,
         '14: roles.dba.access[1]: "db2" is not declared in [hosts] or [databases]; did you mean "db1"?'),
        (HOST.replace("db1", "web"),
         '14: roles.dba.access[1]: "db2" is not declared in [hosts] or [databases]; declared: "web"'),
        ("", '14: roles.dba.access[1]: "db2" is not declared in [hosts] or [databases]; declared: none'),
    ],
)  # fmt: skip
def test_access_names_a_host_or_a_database(tmp_path: Path, declared: str, expected: str) -> None:
    assert problems(tmp_path, ROLE_WITH_ACCESS.format('"db2"') + declared) == [expected]


@pytest.mark.parametrize("expires", ["2026-10-16T18:00:00", "2026-10-16T17:59:59"])
def test_a_waiver_expires_after_it_is_granted(tmp_path: Path, expires: str) -> None:
    assert problems(tmp_path, waiver("W-1", expires)) == [
        "20: waivers[1].expires: the waiver must expire after it is granted"
    ]


def test_the_ids_of_waivers_are_unique(tmp_path: Path) -> None:
    twice = waiver("W-1", "2026-10-17T08:00:00") * 2
    assert problems(tmp_path, twice) == ['22: waivers[2].id: "W-1" is the id of an earlier waiver']


@pytest.mark.parametrize("path", ["status", "Status", "status.code", "health", "ok", "status.0"])
def test_the_word_for_the_whole_is_never_left_aside(path: str) -> None:
    assert 'json = { status = "UP" }' in part_of_answer(path)


@pytest.mark.parametrize("path", ["health.mail", "components.mail.status", "results", "db.ok"])
def test_a_part_is_left_aside_whatever_holds_it(path: str) -> None:
    assert not part_of_answer(path)


SITE = (
    HOST
    + '[hosts.keep]\nuser = "x"\nagent = "k.pub"\n[databases.o]\nhost = "db1"\nuser = "x"\n'
    + '[backups.b]\ndatabase = "o"\n'
)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ('method = "pgbackrest"', "backups.b.known_as: is required for pgbackrest"),
        ('method = "barman"\nknown_as = "m"\nprevious = "/b/*"', "backups.b.previous: is for files of pg_dump"),
        (
            'method = "barman"\nknown_as = "m"\nkept_on = "keep"\naccount = "y"',
            "backups.b.account: is of the database's host, where nothing is run: it is `kept_by`",
        ),
        ('method = "barman"\nknown_as = "m"\nprogram = "x"', "backups.b.program: expected barman or its full path"),
        (
            'method = "pgbackrest"\nknown_as = "m"\nrestore = {}',
            "backups.b.restore.command: is required: pgbackrest puts it back by a command of its own",
        ),
        ("", "backups.b.directory: is required for pg_dump"),
        ('directory = { none = "x" }', "backups.b.directory: is required for pg_dump"),
        ('directory = "/b"\nknown_as = "m"', "backups.b.known_as: is what pgbackrest or barman calls the server"),
        ('directory = "/b"\nkept_by = "y"', "backups.b.kept_by: is the account on the host of `kept_on`"),
    ],
)
def test_where_backups_are_kept_is_said_in_one_way(tmp_path: Path, keys: str, told: str) -> None:
    (found,) = problems(tmp_path, SITE + keys + "\n")
    assert told in found


def test_a_repository_may_lie_on_another_host_or_where_nobody_looks(tmp_path: Path) -> None:
    keys = 'method = "barman"\nknown_as = "m"\nkept_on = "keep"\nkept_by = "barman"\ndirectory = { none = "in S3" }\n'
    plan = load(tmp_path, SITE + keys)
    assert plan.host_of(plan.backups["b"]).id == "keep"
    assert plan.absent["backups", "b", "directory"] == "in S3"


def test_a_host_that_only_lets_connections_through_takes_no_backup(tmp_path: Path) -> None:
    hosts = (
        HOST.replace("[hosts.db1]\n", '[hosts.db1]\nlogin = "through"\n')
        + f'{HOST.replace("db1", "db2")}jump = "db1"\n'
    )
    backup = '[backups.a]\nhost = "db1"\nengine = "mysql"\ndirectory = "/b"\ncommand = ["/usr/local/bin/save"]\n'
    (told,) = problems(tmp_path, hosts + backup)
    assert "lets connections through and runs nothing, but the plan has work there" in told
    load(tmp_path, hosts + backup.replace("db1", "db2"))
