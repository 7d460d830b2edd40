"""An old key is answered with what is written now: what is printed is put into the plan, and the plan is loaded."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from preflight_checks.competing_jobs import CompetingJobsSettings
from preflight_checks.rollback_ready import RollbackReady

from preflight.errors import PlanError
from preflight.plan import Scripts
from preflight.plan.load import load_plan
from tests.plan_texts import MINIMAL

SITE = '[hosts.db1]\nuser = "dbadmin"\nagent = "id.pub"\n[databases.orders]\nhost = "db1"\nuser = "release"\n'
ENTRY = {"database": '"orders"', "approved": '"sql"', "manifest": '"sums"', "staged": '"/srv/release/orders"'}
EXAMPLE = {"command": ("./deploy.sh",)}


def answer(folder: Path, section: str = "scripts", **keys: str) -> str:
    """What the loader says of an entry that has these keys besides the usual ones: one thing."""
    (folder / "x.toml").write_text(text([f"[{section}.orders]", *(f"{key} = {value}" for key, value in keys.items())]))
    with pytest.raises(PlanError) as caught:
        load_plan(folder / "x.toml")
    (problem,) = caught.value.errors
    return problem.message


def text(lines: list[str]) -> str:
    usual = {"directory": '"/b"', "database": '"orders"'} if lines[0].startswith("[backups") else ENTRY
    return MINIMAL + SITE + "\n".join([*lines, *(f"{key} = {value}" for key, value in usual.items())]) + "\n"


def written(folder: Path, run: str, **keys: str) -> dict[str, object]:
    """The keys of the printed table, as the loader reads them."""
    said = answer(folder, run=f"'''{run}'''", **keys)
    (folder / "x.toml").write_text(text([line.strip() for line in said.splitlines()[1:]]))
    entry = load_plan(folder / "x.toml").scripts["orders"]
    usual = {"line_endings", *ENTRY, "id", "owner", "approved", "manifest"}
    return {
        name: value
        for name in Scripts.__slots__
        if name not in usual and (value := getattr(entry, name)) not in ("", (), None, {}, False)
    }


def psql(**keys: object) -> dict[str, object]:
    return {"program": "psql", **keys}


@pytest.mark.parametrize(
    ("run", "table"),
    [
        ("psql -X -w -v ON_ERROR_STOP=1 -f 010.sql -f 020.sql", psql(files=("010.sql", "020.sql"))),
        ("psql -U app -d orders -f a.sql", psql(login="app", files=("a.sql",))),
        ("psql -f /srv/release/orders/a.sql -f ./b.sql", psql(files=("a.sql", "b.sql"))),
        ("psql -h /run/postgresql -p 5433 -f a.sql", psql(server="/run/postgresql:5433", files=("a.sql",))),
        ("psql --host=localhost orders app -f a.sql", psql(server="localhost", login="app", files=("a.sql",))),
        ("psql -h ::1 -p5433", psql(server="[::1]:5433")),
        ("psql -p 5433 -f a.sql", psql(server="/var/run/postgresql:5433", files=("a.sql",))),
        ("/usr/pgsql-15/bin/psql -1Xf a.sql", psql(
            program="/usr/pgsql-15/bin/psql", files=("a.sql",), single_transaction=True,
        )),
        ('psql -v schema="app 1" --set=n=1 -L /var/log/x.log -f a.sql', psql(
            variables={"schema": "app 1", "n": "1"}, files=("a.sql",), log="/var/log/x.log",
        )),
        ("psql -X", psql()),
        ("cd /srv/release/orders/ && sudo -n -u postgres psql -f a -f b", psql(account="postgres", files=("a", "b"))),
        ('./deploy.sh prod "two words"', psql(command=("./deploy.sh", "prod", "two words"))),
        ("sudo -u deploy ./deploy.sh", psql(account="deploy", command=("./deploy.sh",))),
        ("sudo -i -u deploy ./deploy.sh", psql(command=("sudo", "-i", "-u", "deploy", "./deploy.sh"))),
    ],
)  # fmt: skip
def test_one_plain_call_is_translated(tmp_path: Path, run: str, table: dict[str, object]) -> None:
    assert written(tmp_path, run) == table


@pytest.mark.parametrize(
    ("run", "why"),
    [
        ('psql -c "select 1"', "option -c not recognized"),
        ("psql -f /elsewhere/a.sql", "files[1]: expected a path relative to the folder, without . and .."),
        ("psql -f -", "files[1]: expected a path relative to the folder, without . and .."),
        ("psql -f a.sql -f ./a.sql", 'files[2]: "a.sql" is listed twice'),
        ("psql -L x.log -f a.sql", "log: expected an absolute path on the host, beginning with /"),
        ("psql -v my-var=1", "variables.my-var: expected the name of a psql variable: letters, digits and _"),
        ("psql -v AUTOCOMMIT=off", "variables.AUTOCOMMIT: is psql's own: psql heeds it or sets it itself"),
        ("psql -v ON_ERROR_STOP=0", "variables.ON_ERROR_STOP: is psql's own: psql heeds it or sets it itself"),
        ("psql -v ON_ERROR_STOP", "-v without a value unsets a variable"),
        ("psql -h db1,db2 -f a.sql", "server: expected a socket folder or a host"),
        ('psql "host=x user=y" -f a.sql', "it names another database than [databases] does"),
        ("psql -d billing -f a.sql", "it names another database than [databases] does"),
    ],
)
def test_what_the_keys_of_psql_cannot_say_stays_a_command_and_says_why(tmp_path: Path, run: str, why: str) -> None:
    assert written(tmp_path, run)["command"] == tuple(shlex.split(run))
    assert f"    # no call that the keys of psql can say: {why}" in answer(tmp_path, run=f"'''{run}'''")


def test_what_is_said_beside_the_old_key_is_not_said_otherwise(tmp_path: Path) -> None:
    same = answer(tmp_path, run='"sudo -u postgres psql -f a.sql"', account='"postgres"')
    assert same.splitlines()[1:] == ["    [scripts.orders]", '    files = ["a.sql"]']
    other = answer(tmp_path, run='"psql -U x -f a.sql"', login='"y"')
    assert other.endswith("# no call that the keys of psql can say: `login` says something else already")


@pytest.mark.parametrize(
    "run",
    [
        "cd /srv && psql -f a.sql",
        "psql -f a.sql | tee log",
        'for f in *.sql; do psql -f "$f"; done',
        'psql -f "a.sql',
        "PGPASSWORD=hunter2 psql -f a.sql",
        "psql postgres://u:hunter2@db/orders -f a.sql",
        "psql -v password=hunter2 -f a.sql",
        "psql -phunter2 -f a.sql",
        "psql -p hunter2 -f a.sql",
        'psql "-phunter2"',
        "mysql -u root -phunter2 orders",
        "curl -u deploy:hunter2 db1",
        "./deploy.sh ''",
        "",
    ],
)
def test_shell_text_and_secrets_are_not_repeated(tmp_path: Path, run: str) -> None:
    assert written(tmp_path, run) == psql(**EXAMPLE)
    assert "hunter2" not in answer(tmp_path, run=f"''' {run}'''")


def test_other_old_keys_are_answered_with_the_new_ones(tmp_path: Path) -> None:
    assert "`format`, `directory`, `file`" in answer(tmp_path, "backups", run='"pg_dump orders"')
    socket = answer(tmp_path, "scripts", socket='"/run/postgresql:5433"')
    assert socket == 'is said by `server` now: server = "/run/postgresql:5433"'
    assert answer(tmp_path, "backups", socket="5").endswith('server = "/var/run/postgresql"')
    assert answer(tmp_path, runn='"x"') == "unknown key"


def test_settings_that_moved_are_answered_with_where_they_stand_now(tmp_path: Path) -> None:
    """And what was said by nobody, with the table that says by whom."""
    (tmp_path / "x.toml").write_text(
        MINIMAL
        + SITE
        + """
[checks.rollback-ready]
read_within = "5min"
growth = 1.2
least_size_ratio = 0.4
data_directory = { orders = "/data" }
[checks.competing-jobs]
asked = { db1 = "the DBA, by phone" }
"""
    )
    with pytest.raises(PlanError) as caught:
        load_plan(
            tmp_path / "x.toml", {"rollback-ready": RollbackReady.Settings, "competing-jobs": CompetingJobsSettings}
        )
    told = [error.message for error in caught.value.errors]
    assert told[:3] == [
        'stands in the [backups.NAME] it is for now: read_within = "5min"',
        "stands in [checks.restore-room] now: growth = 1.2",
        "stands in [checks.earlier-backup] now: least_size_ratio = 0.4",
    ]
    assert "in the [databases.NAME] it is for: data_directory = { path = " in told[3]
    assert told[4] == "expected a table { by, on, reason }, found a string"
