"""script-runner on plain facts: the run line. Servers and logins are tried in tests/site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from preflight_checks.script_runner import ScriptRunner

from preflight.finding import Judgement, Status
from preflight.plan import Account, Database, Plan, RemotePath, Scripts, Step
from preflight.probes.files import LocalText, Texts
from preflight.probes.output_files import OutputFiles, OutputFilesProbe, Writing
from preflight.probes.sudo import ProgramRun
from preflight.probes.tools import ServerLogin, ServerLoginProbe
from preflight.scripts.line_trial import LineTrial
from preflight.scripts.manifest import format_manifest
from preflight.scripts.shell_expansion import Files
from tests.toy import MOMENT, toy_plan

TEXTS = {
    "010.sql": "create table a (b int);\n\\ir parts/columns.sql\n",
    "020.sql": "insert into a values (1);\n",
    "parts/columns.sql": "alter table a add c int;\n",
    "undo/010.down.sql": "drop table a;\n",
    "undo/020.down.sql": "delete from a;\n",
}
FOLDER = "/srv/release/orders"
P = "psql -X -w -v ON_ERROR_STOP=1 -U release -d orders"
BOTH = "-f 010.sql -f 020.sql"


def plan_of(run: str, account: str = "", **more: str) -> Plan:
    scripts = {
        name: Scripts(
            id=name,
            database="orders",
            approved=Path("plans/sql/orders"),
            manifest=Path("plans/sql/orders.SHA256SUMS"),
            staged=RemotePath(FOLDER),
            run=line,
            account=Account(account),
            way_back="undo/{stem}.down.sql",
            step="scripts",
        )
        for name, line in {"orders": run, **more}.items()
    }
    database = Database(id="orders", host="db1", user=Account("release"), owner="dba")
    steps = (Step(id="scripts", minutes=90, minutes_over_network=115),)
    return toy_plan(databases={"orders": database}, scripts=scripts, steps=steps)


def judge(
    run: str,
    *,
    account: str = "",
    texts: dict[str, str] | None = None,
    sealed: LocalText | None = None,
    states: dict[str, Writing] | None = None,
    seen_by: str = "",
    **more: str,
) -> Judgement:
    """The line on a host where the programs run, the login works, and every file can be written."""
    check = ScriptRunner(plan_of(run, account, **more), MOMENT)
    subject = check.subjects()[0]
    texts = TEXTS if texts is None else texts
    manifest = format_manifest(dict.fromkeys(texts, "0" * 64))
    facts: dict[str, Any] = {
        "programs": (ProgramRun(subject.item.programs[0], 0, "/usr/bin/psql", "psql (PostgreSQL) 15.18"),),
        "manifest": sealed or LocalText(manifest),
        "texts": Texts(texts),
    }
    for name, probe in check.follow_up(subject, **facts).items():
        if isinstance(probe, ServerLoginProbe):
            facts[name] = ServerLogin(None, "", "release", "orders", 5432, 150018)
        else:
            assert isinstance(probe, OutputFilesProbe)
            seen = {path: (states or {}).get(path, Writing.WRITABLE) for path in probe.paths}
            facts[name] = OutputFiles(seen_by or probe.writer.account, seen)
    judgement: Judgement = check.judge(subject, **facts)
    return judgement


def told(judgement: Judgement) -> str:
    points = judgement.telling_points()
    return "\n".join(f"{p.status}: {p.summary} | {p.expected} | {p.actual} | {p.remedy}" for p in points)


@pytest.mark.parametrize(
    ("line", "account"),
    [
        (f"{P} {BOTH}", ""),
        ("psql -X -v ON_ERROR_STOP=1 -1 -d orders -f 010.sql -f 020.sql", ""),
        (f"sudo -u postgres {P} {BOTH}", "postgres"),
        (f"sudo -n -u postgres {P} {BOTH} > log 2>&1", "postgres"),
        (f"su postgres -c '{P} {BOTH}'", "postgres"),
        (f"su - postgres -c 'cd {FOLDER} && {P} {BOTH}'", "postgres"),
        (f"PGOPTIONS='-c lock_timeout=5s' {P} {BOTH}", ""),
        (f"export PGOPTIONS='-c lock_timeout=5s'; {P} {BOTH}", ""),
        (f"cd {FOLDER} && {P} {BOTH}", ""),
        (f"cd {FOLDER}; {P} {BOTH}", ""),
        (f"set -e; cd {FOLDER}; {P} -f 010.sql; {P} -f 020.sql; echo done", ""),
        (f"{P} {BOTH} > log 2>&1", ""),
        (f"{P} {BOTH} >> /var/log/release/orders.log 2>&1 </dev/null", ""),
        (f"set -o pipefail; {P} {BOTH} 2>&1 | tee log", ""),
        (f"bash -c 'set -o pipefail; {P} {BOTH} | tee log'", ""),
        (f"{P} {BOTH} 2>&1 | tee log; exit ${{PIPESTATUS[0]}}", ""),
        (f"{P} -f 010.sql && {P} -f 020.sql", ""),
        (f"{P} -f 010.sql || exit 1; {P} -f 020.sql || exit 1", ""),
        (f"{P} -f 010.sql && {P} -f 020.sql || {{ {P} -f undo/010.down.sql; exit 1; }}", ""),
        (f'for f in *.sql; do {P} -f "$f" || exit 1; done', ""),
        (f'set -e; for f in 0[12]0.sql; do echo "$f"; {P} -f $f; done', ""),
        (f'cd {FOLDER} && for f in {FOLDER}/*.sql; do {P} -f "$f" || exit 1; done', ""),
        (f'for f in 010 020; do {P} -f "$f.sql" -L "$f.log" || exit 1; done', ""),
        (f"for f in 010.sql 020.sql\ndo\n  {P} -f $f || exit 1\ndone", ""),
        (f"psql --version && {P} {BOTH}", ""),
        (f"which psql && {P} {BOTH}", ""),
        (f"{P} -f {FOLDER}/010.sql -f ./020.sql -L run.log -o out.txt", ""),
        (f"{P} <<EOF\n\\i 010.sql\n\\i 020.sql\nEOF", ""),
        (f"{P} -c '\\i 010.sql' -c '\\i 020.sql'", ""),
        (f"nohup timeout 2h {P} {BOTH} > log 2>&1 # the whole release", ""),
        (f"{P} {BOTH} &\nwait $!", ""),
        (f"{P} {BOTH}; rc=$?; echo \"rc $rc\"; exit $rc", ""),
        (f"if ! {P} {BOTH}; then echo failed; exit 1; fi", ""),
        (f"if {P} {BOTH}\nthen echo done\nelse exit 1\nfi", ""),
        (f"{P} \\\n  -f 010.sql \\\n  -f 020.sql", ""),
        (f"psql -X -w -v ON_ERROR_STOP=1 -v today=$(date +%F) -U release -d orders {BOTH}", ""),
    ],
)  # fmt: skip
def test_a_good_line_passes(line: str, account: str) -> None:
    found = judge(line, account=account)
    assert found.status is Status.PASS, told(found)


LOST = "the exit status of psql is lost"
BAD = [
    (P, "given no script", BOTH),
    (f"{P} 010.sql 020.sql", "leaves arguments aside: 010.sql 020.sql", BOTH),
    (f"{P} < /dev/null", "given no script", BOTH),
    (f"{P} && {P} {BOTH}", "given no script", BOTH),
    (f"{P} {BOTH} --version", "no script is run: psql prints its version", BOTH),
    ("psql -V", "no script is run: psql prints its version", BOTH),
    (f"{P} -l", "no script is run: psql lists the databases", BOTH),
    (f"{P} --list {BOTH}", "no script is run: psql lists the databases", BOTH),
    (f"{P} --help", "no script is run: psql prints its help", BOTH),
    (f"{P} -? {BOTH}", "no script is run: psql prints its help", BOTH),
    (f"{P} -s {BOTH}", "asks before every statement", P),
    (f"{P} --single-step {BOTH}", "asks before every statement", P),
    (f"{P} -v SINGLESTEP=on {BOTH}", "asks before every statement", P),
    (f"{P} -S {BOTH}", "every line's end for the end of a statement", P),
    ("true", "runs no script", BOTH),
    ("echo the DBA does it", "runs no script", BOTH),
    ("# " + P, "runs no script", BOTH),
    (f"{P} {BOTH} || true", LOST, f": {P} {BOTH}"),
    (f"{P} {BOTH} || :", LOST, f": {P} {BOTH}"),
    (f"{P} {BOTH}; true", LOST, f": {P} {BOTH}"),
    (f"{P} {BOTH} ;echo done", "`echo done` comes after it", f": set -e; {P} {BOTH}"),
    (f"{P} {BOTH}\necho done", LOST, "set -e; "),
    (f"{P} {BOTH}; exit 0", LOST, f": {P} {BOTH}"),
    (f"{P} {BOTH} || exit 0", LOST, f": {P} {BOTH}"),
    (f"{P} {BOTH} || echo failed", LOST, f": {P} {BOTH}"),
    (f"{P} {BOTH} | tee log", "lost in a pipe: the line ends with that of `tee log`", "(bash) in `run` of [scripts."),
    (f"{P} {BOTH} 2>&1 | tee log", "lost in a pipe", f"set -o pipefail; {P} {BOTH} 2>&1 | tee log"),
    (f"bash -c '{P} {BOTH} | tee log'", "lost in a pipe", BOTH),
    (f"{P} {BOTH} &", LOST, f": {P} {BOTH}"),
    (f"{P} {BOTH} & wait", LOST, f": {P} {BOTH}"),
    (f"! {P} {BOTH}", "ends with 1 when every script succeeds", f": {P} {BOTH}"),
    (f"{P} -f 010.sql; {P} -f 020.sql", f"goes on after a failure: `{P} -f 020.sql` still runs", "set -e; "),
    (f"{P} -f 010.sql || {P} -f 020.sql", "leaves out 1 of 2 scripts: 020.sql", BOTH),
    (f"for f in *.sql; do {P} -f $f; done", "goes on after a failure", f"set -e; for f in *.sql; do {P} -f $f; done"),
    (f'for f in *.sql; do {P} -f "$f" || break; done', LOST, ": "),
    (f"if {P} {BOTH}; then echo done; fi", LOST, f": {P} {BOTH}"),
    (f"{P} -f '010.sql -f 020.sql", "the shell refuses the run line: a ' is not closed", f": {P} {BOTH}"),
    (f'{P} -f "010.sql -f 020.sql', 'the shell refuses the run line: a " is not closed', f": {P} {BOTH}"),
    (f"({P} {BOTH}", "the shell refuses the run line", f": {P} {BOTH}"),
    (f'for f in *.sql; do {P} -f "$f"', "the shell refuses the run line: `for` without its `done`", f": {P} {BOTH}"),
    (f"{P} -f 010.sql", "leaves out 1 of 2 scripts: 020.sql", f": {P} {BOTH}"),
    (f"{P} -f 020.sql -f 020.sql", "leaves out 1 of 2 scripts: 010.sql", f": {P} {BOTH}"),
    (f"{P} -c 'select 1'", "leaves out 2 of 2 scripts: 010.sql, 020.sql", f": {P} {BOTH}"),
    (f"{P} -f 010.sql < 020.sql", "leaves out 1 of 2 scripts: 020.sql", f": {P} {BOTH}"),
    (f'for f in 01*.sql; do {P} -f "$f" || exit 1; done', "leaves out 1 of 2 scripts: 020.sql", f": {P} {BOTH}"),
    (f"{P} -f *.sql", "leaves out 1 of 2 scripts: 020.sql", f": {P} {BOTH}"),
    (f"{P} {BOTH} -f 030.sql", "names what is not sealed: 030.sql", f": {P} {BOTH}"),
    (f"{P} {BOTH} -f /tmp/fix.sql", "names what is not sealed: /tmp/fix.sql", f": {P} {BOTH}"),
    (f'for f in *.psql; do {P} -f "$f" || exit 1; done', "names what is not sealed: *.psql", f": {P} {BOTH}"),
    (f"cd .. && {P} {BOTH}", "names what is not sealed: /srv/release/010.sql", f": {P} {BOTH}"),
    (f"{P} {BOTH} -f undo/010.down.sql", "runs ways back: undo/010.down.sql", f": {P} {BOTH}"),
    (f"psql -X -w -U release -d orders {BOTH}", "no ON_ERROR_STOP", "psql -v ON_ERROR_STOP=1 -X -w -U release"),
    (f"{P} --frobnicate {BOTH}", "psql will refuse the run line", BOTH),
]  # fmt: skip


@pytest.mark.parametrize(("line", "summary", "remedy"), BAD, ids=[line for line, *_ in BAD])
def test_a_bad_line_fails(line: str, summary: str, remedy: str) -> None:
    found = judge(line)
    points = [point for point in found.telling_points() if summary in point.summary]
    assert [point.status for point in points] == [Status.FAIL], told(found)
    assert remedy in points[0].remedy
    assert points[0].minutes_at_stake == 25
    assert points[0].expected
    assert points[0].actual


def test_a_login_shell_that_starts_at_home_finds_no_script() -> None:
    found = judge(f"su - postgres -c '{P} {BOTH}'", account="postgres")
    assert found.status is Status.FAIL
    assert "names what is not sealed: ~/010.sql, ~/020.sql" in told(found)


@pytest.mark.parametrize(
    ("line", "status", "summary"),
    [
        (f"false && {P} {BOTH}", Status.UNKNOWN, "the line does not come to it"),
        (f"if false; then {P} {BOTH}; fi", Status.UNKNOWN, "the line does not come to it"),
        (f"env -i {P} {BOTH}", Status.UNKNOWN, "env -i"),
        (f"env -u PGPASSFILE {P} {BOTH}", Status.UNKNOWN, "env -u"),
        (f"setsid {P} {BOTH}", Status.UNKNOWN, "setsid"),
        (f"sudo -u somebody {P} {BOTH}", Status.UNKNOWN, "sudo -u somebody"),
        (f"echo {P} {BOTH}", Status.UNKNOWN, "not tried: echo"),
        (f"PGOPTIONS='-c lock_timeout=5s' sudo -u postgres {P} {BOTH}", Status.UNKNOWN, "PGOPTIONS (sudo drops it)"),
        (f"eval {P} {BOTH}", Status.UNKNOWN, "not known: `eval`"),
        (f"run() {{ {P} {BOTH}; }}; run", Status.UNKNOWN, "not known: functions"),
        (f"trap 'exit 0' EXIT; {P} {BOTH}", Status.UNKNOWN, "not known: `trap`"),
        (f"ls *.sql | while read f; do {P} -f $f || exit 1; done", Status.UNKNOWN, "which scripts"),
        (f"for f in $(ls *.sql); do {P} -f $f || exit 1; done", Status.UNKNOWN, "which scripts"),
        (f"zcat all.sql.gz | {P}", Status.UNKNOWN, "which scripts"),
        (f"{P} -f $SCRIPT", Status.UNKNOWN, "which scripts"),
        ("psql -X -w -v ON_ERROR_STOP=1 -d $DB -f 010.sql -f 020.sql", Status.UNKNOWN, "not tried: $DB"),
        ("./run.sh", Status.WARN, "calls no psql"),
        ("", Status.WARN, "calls no psql"),
        (f"cat 010.sql 020.sql | {P}", Status.WARN, "psql gets nothing or a part"),
        (f"if [ -f ready ]; then {P} {BOTH}; fi", Status.WARN, "when `[ -f ready ]` fails, scripts are left out"),
        (f"{P} -v AUTOCOMMIT=off {BOTH}", Status.WARN, "AUTOCOMMIT is off"),
        (f"{P} {BOTH} > $LOG", Status.WARN, "whether $LOG can be written is not known"),
        (f"psql -v ON_ERROR_STOP=1 -w -U release -d orders {BOTH}", Status.WARN, "no -X"),
        (f"{P} -W {BOTH}", Status.WARN, "-W asks for a password"),
    ],
)  # fmt: skip
def test_what_the_line_does_not_tell_is_no_pass(line: str, status: Status, summary: str) -> None:
    account = "postgres" if "-u postgres" in line else ""
    found = judge(line, account=account)
    assert found.status is status, told(found)
    assert summary in told(found)


@pytest.mark.parametrize(
    ("option", "path"),
    [
        ("-L /var/log/release/run.log", "/var/log/release/run.log"),
        ("-o out/run.txt", f"{FOLDER}/out/run.txt"),
        ("> /var/log/release/run.log 2>&1", "/var/log/release/run.log"),
        ("2>> errors", f"{FOLDER}/errors"),
        ('-L "/var/log/release/$(date +%F).log"', "/var/log/release/"),
    ],
)
@pytest.mark.parametrize(
    ("state", "words"),
    [
        (Writing.ABSENT, "there is no such folder"),
        (Writing.CLOSED, "no file can be made in the folder"),
        (Writing.DENIED, "cannot be written"),
        (Writing.FOLDER, "a folder has that name"),
    ],
)
def test_a_file_that_cannot_be_written_fails(option: str, path: str, state: Writing, words: str) -> None:
    found = judge(f"{P} {BOTH} {option}", states={path: state})
    assert found.status is Status.FAIL, told(found)
    assert f"{path} cannot be written" in found.summary
    assert words in found.summary


def test_redirections_are_opened_by_the_login_and_psqls_own_files_by_its_account() -> None:
    check = ScriptRunner(plan_of(f"sudo -u postgres {P} {BOTH} -L own.log > login.log", "postgres"), MOMENT)
    subject = check.subjects()[0]
    manifest = LocalText(format_manifest(dict.fromkeys(TEXTS, "0" * 64)))
    probes = check.follow_up(subject, programs=(), manifest=manifest, texts=Texts(TEXTS))
    asked = {name: probe for name, probe in probes.items() if isinstance(probe, OutputFilesProbe)}
    assert asked["outputs"].paths == (f"{FOLDER}/own.log",)
    assert asked["outputs"].writer.account == "postgres"
    assert asked["login_outputs"].paths == (f"{FOLDER}/login.log",)
    assert asked["login_outputs"].writer.is_login


def test_a_file_that_only_the_login_could_look_for_is_a_warning() -> None:
    found = judge(f"{P} {BOTH} -L run.log", account="postgres", seen_by="dbadmin")
    assert found.status is Status.WARN, told(found)
    assert "dbadmin looked, who may not become postgres" in found.actual


def test_unsealed_scripts_leave_the_line_unknown() -> None:
    for sealed in (LocalText(problem="no such file"), LocalText("not a manifest"), LocalText("")):
        found = judge(f"{P} {BOTH}", sealed=sealed)
        assert found.status is Status.UNKNOWN, told(found)
        assert "they are not sealed" in found.summary


def test_entries_that_share_their_scripts_run_them_together() -> None:
    assert judge(f"{P} -f 010.sql", second=f"{P} -f 020.sql").status is Status.PASS
    found = judge(f"{P} -f 010.sql", second=f"{P} -f 010.sql")
    assert "leaves out 1 of 2 scripts: 020.sql" in told(found)


def test_a_driver_script_runs_what_it_includes() -> None:
    texts = {"all.sql": "\\ir 010.sql\n\\ir 020.sql\n", **TEXTS}
    assert judge(f"{P} -f all.sql", texts=texts).status is Status.PASS
    assert "leaves out 1 of 1 scripts: all.sql" in told(judge(f"{P} -f 010.sql -f 020.sql", texts=texts))


def test_scripts_that_were_not_read_leave_unknown_what_is_missing() -> None:
    check = ScriptRunner(plan_of(f"{P} -f 010.sql"), MOMENT)
    subject = check.subjects()[0]
    found = check.judge(
        subject,
        programs=(ProgramRun("psql", 0, "/usr/bin/psql", "psql (PostgreSQL) 15.18"),),
        manifest=LocalText(format_manifest({"010.sql": "0" * 64, "020.sql": "0" * 64})),
        texts=Texts({"020.sql": ""}, {"010.sql": "it is too large"}),
    )
    assert found.status is Status.UNKNOWN, told(found)


@pytest.mark.parametrize(("line", "summary", "remedy"), BAD, ids=[line for line, *_ in BAD])
def test_the_line_that_a_remedy_names_is_one_that_passes(line: str, summary: str, remedy: str) -> None:
    points = [point for point in judge(line).telling_points() if summary in point.summary]
    corrected = points[0].remedy.partition("in the runbook: ")[2].partition("; or have it")[0]
    if corrected.startswith("psql -v"):
        return
    LineTrial(corrected, Files(FOLDER, tuple(TEXTS)))
    assert judge(corrected).status is Status.PASS, corrected
