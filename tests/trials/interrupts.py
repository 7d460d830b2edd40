"""SIGINT and SIGTERM at random moments of run, gate, seal, collect and rehearse, on the real site of the example plan.
Run as root: python3 -m tests.trials.interrupts [MOMENTS [SEED]].

After each: the exit code is 130, or that of a whole call where it had ended before; each saved file is whole or absent;
neither the hosts, nor the databases, nor this machine keep a process, a session or a file.
"""

from __future__ import annotations

import collections
import contextlib
import json
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from preflight import INTERRUPTIONS
from preflight.clock import Deadline
from preflight.plan.load import load_plan
from preflight.runs import saved_runs
from tests.cli.program import argv, environment
from tests.docs.example_site import PLANS, ExampleSite
from tests.sessions.conftest import GENEROUS_SECONDS
from tests.site.netns import Namespace
from tests.site.site import Site

COMMANDS: Sequence[Sequence[str]] = (
    ("run",),
    ("gate",),
    ("seal", "--accept-host-keys"),
    ("collect", "--output", "evidence.json"),
    ("rehearse",),
)
SESSIONS = """
SELECT usename, application_name, query FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY 1, 2
"""
SERVERS = ("postgres: ", "sh -euc ", "cat")
WHOLE = (0, 3)
"""The exit codes of a whole call there: on a busy machine an application may answer too late, which is a HOLD."""
INTERRUPTED = 130


class Trial:
    """The site, the plan's folder and what both look like when nobody is at work."""

    def __init__(self, site: Site) -> None:
        self.example = ExampleSite(site)
        self.folder = site.new_path("plans")
        self.plan = self.example.plan(self.folder, (PLANS / "example.toml").read_text(), {})
        self.temporary = site.new_path("temporary")
        self.temporary.mkdir()
        self.temporary.chmod(0o1777)
        self._let_rehearse()
        self.before = self._left()

    @cached_property
    def seconds(self) -> Mapping[Sequence[str], float]:
        """How long each of the commands takes."""
        return {command: self._measure(command) for command in COMMANDS}

    def _let_rehearse(self) -> None:
        """Does what the refused rehearsal asks for."""
        asked = self.call(("rehearse",))[1]
        for host, line in re.findall(r"sudoers on (\w+): ([^;\n]+)", asked):
            self.example.machines[host].run("tee", "-a", "/etc/sudoers.d/preflight", stdin=f"{line}\n")

    def _measure(self, command: Sequence[str]) -> float:
        begun = time.monotonic()
        code, said = self.call(command)
        assert code in WHOLE, said
        return time.monotonic() - begun

    def start(self, command: Sequence[str]) -> subprocess.Popen[str]:
        name, *options = command
        line = ["env", "--chdir", str(self.folder), *argv(name, self.plan, *options)]
        known = environment(**{**self.example.environment, "TMPDIR": str(self.temporary)})
        return subprocess.Popen(
            self.example.here.enter(line), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, env=known, process_group=0,
        )  # fmt: skip

    def call(self, command: Sequence[str]) -> tuple[int, str]:
        with self.start(command) as child:
            said, _ = child.communicate()
            return child.returncode, said

    def interrupt(self, command: Sequence[str], sent: signal.Signals, moment: float) -> int:
        """The exit code. `moment`: seconds after the start."""
        with self.start(command) as child:
            try:
                said, _ = child.communicate(timeout=moment)
            except subprocess.TimeoutExpired:
                child.send_signal(sent)
                said, _ = child.communicate(timeout=6 * GENEROUS_SECONDS)
        if not _ended_while_python_began(child.returncode, said):
            assert child.returncode in (INTERRUPTED, *WHOLE), f"{child.returncode}: {said}"
            assert "Traceback" not in said, said
        self.require_nothing_left(said)
        return child.returncode

    def require_nothing_left(self, said: str) -> None:
        self._require_whole_files()
        deadline = Deadline(GENEROUS_SECONDS)
        while (left := self._left()) != self.before and not deadline.over:
            time.sleep(0.05)  # what ends with a connection ends a moment after it
        assert left == self.before, f"{self._difference(left)}\n{said}"

    def _require_whole_files(self) -> None:
        """Each is read as the tool reads it; what was being written stays under no other name."""
        for run in saved_runs.every(load_plan(self.plan)):
            assert isinstance(run, saved_runs.SavedRun), run
        for file in self.folder.rglob("*.json"):
            json.loads(file.read_text())
        odd = [file for file in self.folder.rglob("*") if file.is_file() and re.search(r"tmp|part|~|\.lock", file.name)]
        assert not odd, odd

    def _left(self) -> Mapping[str, Sequence[str]]:
        """Per place, what would show that somebody was at work there."""
        machines = {**self.example.machines, "here": self.example.here}
        found: dict[str, Sequence[str]] = {"temporary": sorted(map(str, self.temporary.rglob("*")))}
        for name, machine in machines.items():
            found[f"files of {name}"] = _files(machine)
            found[f"processes of {name}"] = _processes(machine)
        for number, cluster in enumerate(self.example.clusters):
            found[f"sessions of database {number}"] = [str(row) for row in cluster.sql(SESSIONS)]
        return found

    def _difference(self, left: Mapping[str, Sequence[str]]) -> str:
        return "; ".join(f"{place}: {sorted({*now} ^ {*self.before[place]})}" for place, now in left.items())

    def close(self) -> None:
        self.example.close()


def _ended_while_python_began(code: int, said: str) -> bool:
    """Before the first line of the program had run."""
    return code in [-number for number in INTERRUPTIONS] or "Fatal Python error: init_" in said


def _files(machine: Namespace) -> Sequence[str]:
    """Those of its accounts, which have numbers of their own. The real machine's folders for temporary files show
    there, too."""
    own = "find /home /srv /var/tmp $(ls -d /backup 2>&-) -xdev -uid +60999"
    shared = "find /tmp /dev/shm -maxdepth 1 -uid +60999 || :"  # something there may be removed meanwhile
    return sorted(machine.run("sh", "-c", f"{own}; {shared}").splitlines())


def _processes(machine: Namespace) -> Sequence[str]:
    """The command lines of all that runs there but the servers' own; they share numbers with everything else."""
    network = Path(f"/proc/{machine.pid}/ns/net").stat().st_ino
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "ns/net").stat().st_ino == network:
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip())
    return sorted(line for line in found if line and not line.startswith(SERVERS))


def main(moments: int = 200, seed: int = 0) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    chosen = random.Random(seed)
    codes: collections.Counter[str] = collections.Counter()
    with Site() as site:
        trial = Trial(site)
        for number in range(moments):
            command = COMMANDS[number % len(COMMANDS)]
            sent = chosen.choice((signal.SIGINT, signal.SIGTERM))
            moment = chosen.uniform(0, 1.1 * trial.seconds[command])
            code = trial.interrupt(command, sent, moment)
            codes[f"{command[0]} {code}"] += 1
            print(f"{number + 1}: {sent.name} {moment:.2f} s into {command[0]}: exit code {code}", flush=True)
        trial.close()
    print(f"{moments} moments, seed {seed}: " + ", ".join(f"{what}: {count}" for what, count in sorted(codes.items())))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
