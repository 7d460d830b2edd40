"""What a run line does when one of its commands fails, held against a real bash with a psql that fails when told."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from preflight.scripts.line_trial import LineTrial, Trial
from preflight.scripts.shell_expansion import UNKNOWN, Files
from preflight.scripts.shell_words import ShellSyntaxError, Unfollowed

NAMES = ("010.sql", "020.sql", "list.txt", "undo/010.sql")
PSQL = """#!/bin/sh
[ -n "$FAILS" ] || exit 0
n=$(($(cat "$STATE/count") + 1)); echo $n > "$STATE/count"
echo "$*" >> "$STATE/ran"
[ $n -ne $FAILS ] || exit 3
"""
LINES = [
    "psql -f 010.sql",
    "psql -f 010.sql || true",
    "psql -f 010.sql || :",
    "psql -f 010.sql; true",
    "psql -f 010.sql ;echo done",
    "psql -f 010.sql\necho done",
    "psql -f 010.sql | cat",
    "set -o pipefail; psql -f 010.sql | cat",
    "set -euo pipefail; psql -f 010.sql 2>&1 | cat; psql -f 020.sql",
    "psql -f 010.sql > /dev/null 2>&1",
    "psql -f 010.sql; psql -f 020.sql",
    "psql -f 010.sql && psql -f 020.sql",
    "set -e; psql -f 010.sql; psql -f 020.sql; echo done",
    "set -e; psql -f 010.sql && psql -f 020.sql; psql -f 030.sql",
    "set -e; { psql -f 010.sql; psql -f 020.sql; } || exit 4; echo done",
    "false && psql -f 010.sql",
    "true && psql -f 010.sql",
    "! psql -f 010.sql",
    "if psql -f 010.sql; then echo done; else exit 1; fi",
    "if ! psql -f 010.sql; then exit 1; fi; psql -f 020.sql",
    "if psql -f 010.sql; then echo done; fi",
    "for f in *.sql; do psql -f \"$f\" || exit 1; done",
    "for f in *.sql; do psql -f \"$f\"; done",
    "for f in *.sql; do psql -f \"$f\" || break; done",
    "for f in [0-9]*.sql; do psql -f $f || { echo failed: $f; exit 2; }; done; echo all",
    "set -e; for f in 010.sql 020.sql; do psql -f $f; done",
    "ls *.sql | while read f; do psql -f x || exit 1; done",
    "psql -f 010.sql; rc=$?; echo $rc; exit $rc",
    "psql -f 010.sql; rc=$?; if [ $rc -ne 0 ]; then echo failed; exit $rc; fi; psql -f 020.sql",
    "psql -f 010.sql; [ $? -eq 0 ] || exit 7",
    "psql -f 010.sql | cat; exit ${PIPESTATUS[0]}",
    "(psql -f 010.sql; psql -f 020.sql) || exit 1",
    "( set -e; psql -f 010.sql; psql -f 020.sql )",
    "{ psql -f 010.sql && psql -f 020.sql; } > /dev/null",
    "bash -c 'psql -f 010.sql; psql -f 020.sql'",
    "bash -c 'psql -f 010.sql' && psql -f 020.sql",
    "bash -c \"set -o pipefail; psql -f 010.sql | cat\"",
    "exec psql -f 010.sql; echo never",
    "psql -f 010.sql & wait $!",
    "psql -f 010.sql & wait",
    "cat 010.sql 020.sql | psql",
    "cd undo && psql -f 010.sql",
    "(cd undo; psql -f *.sql); psql -f 0*.sql",
    "time psql -f 010.sql",
    "nohup psql -f 010.sql > /dev/null",
    "FILES='010.sql'; psql -f $FILES",
    "until psql -f 010.sql; do psql -f 020.sql; done",
    "[[ 1 == 1 && -f 010.sql ]] && psql -f 010.sql",
    "psql <<EOF && psql -f 020.sql\n\\i 010.sql\nEOF\n",
    "psql -f 010.sql > >(cat)",
]  # fmt: skip


def trial(line: str) -> LineTrial:
    return LineTrial(line, Files("/srv/orders", NAMES))


def really(folder: Path, line: str, fails: int) -> tuple[int, list[str]]:
    """Status and calls of psql, of which number `fails` fails."""
    state = folder / f"state{fails}"
    state.mkdir()
    (state / "count").write_text("0\n")
    (state / "ran").touch()
    environment = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "STATE": str(state), "FAILS": str(fails), "LC_ALL": "C"}
    done = subprocess.run(
        ["/bin/bash", "-c", line], cwd=folder / "work", env=environment, capture_output=True, timeout=20, check=False
    )
    return done.returncode, (state / "ran").read_text().splitlines()


def on_paper(way: Trial) -> tuple[int, list[str]]:
    return way.status, [" ".join(f"-f {file}" for file in call.files) for call in way.calls]


@pytest.mark.parametrize("line", LINES)
def test_a_line_goes_on_paper_as_it_goes_in_bash(line: str, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    psql = tmp_path / "bin" / "psql"
    psql.write_text(PSQL)
    psql.chmod(0o755)
    for name in NAMES:
        (tmp_path / "work" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "work" / name).touch()
    tried = trial(line)
    ways = {0: tried.smooth}
    for number, ran in enumerate(tried.smooth.ran):
        if ran.psql:
            ways[len(ways)] = tried.failing(number)
    for fails, way in ways.items():
        status, calls = really(tmp_path, line, fails)
        assert (bool(way.status), len(way.calls)) == (bool(status), len(calls)), (fails, way, calls)
        for call, argument in zip(way.calls, calls, strict=True):
            assert not call.reads_input or not argument
            assert call.reads_input or UNKNOWN in call.files[0] or f"{argument} ".startswith(f"-f {call.files[0]} ")


@pytest.mark.parametrize(
    "line",
    [
        "psql -f 'x", 'psql -f "x', "psql -f `x", "psql -f $(x", "(psql", "{ psql -f x;", "psql -f x &&", "psql |",
        "| psql", "psql )", "psql ;; psql", "for f in *.sql; do psql", "if psql; then exit", "if psql; fi", "psql >",
        "while psql; done", "( )", "done", "psql && && psql", "for", "esac",
    ],
)  # fmt: skip
def test_what_every_shell_refuses_is_told(line: str) -> None:
    with pytest.raises(ShellSyntaxError):
        trial(line)
    for shell in ("bash", "dash"):
        done = subprocess.run([shell, "-n", "-c", line], capture_output=True, check=False, timeout=20)
        assert done.returncode != 0, shell


@pytest.mark.parametrize(
    "line",
    [
        "f() { psql; }; f", "case x in x) psql;; esac", "eval psql -f x", "trap 'exit 0' EXIT; psql -f x",
        "x=$(psql -f x)", "a=(x y); psql", "for ((i=0;i<2;i++)); do psql; done", "psql ${x:-$y}", "[[ -f x", "! ; psql",
        "psql -f x; exit $n",
    ],
)  # fmt: skip
def test_what_is_not_followed_is_told(line: str) -> None:
    with pytest.raises(Unfollowed):
        trial(line)


def test_a_deep_nest_and_an_endless_line_are_not_followed() -> None:
    with pytest.raises(Unfollowed):
        trial("(" * 5000 + "psql" + ")" * 5000)
    with pytest.raises(Unfollowed):
        trial("for a in 1 2 3 4 5 6 7 8; do " * 5 + "echo" + "; done" * 5)
