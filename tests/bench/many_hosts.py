"""How long many hosts take, side by side with what people do today. Run: python3 -m tests.bench.many_hosts [HOSTS]

Each host is an sshd of its own with stock limits, at its own loopback address. The tool runs whole, as a user starts
it: once with host-login alone, once with all checks of a plan that has a database, a backup and scripts on each host
(of one server of PostgreSQL). The peers send the account probe of host-login: bare paramiko, which is the floor for
this client, and the ssh client. What a further host costs is the slope between a tenth of the hosts and all. Figures
are medians of interleaved runs; only their ratios travel to other machines. Needs root (accounts)."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from tests.cli.program import BASE, environment
from tests.site.accounts import Account
from tests.site.site import Site
from tests.site.sshd import Sshd

REPETITIONS = 3
PROBE = 'id -un; id -u; uname -n; chage -i -l "$(id -un)"; date +%s'


def main(hosts: int) -> None:
    with Site() as site, tempfile.TemporaryDirectory() as folder:
        account = site.account("good")
        servers = [site.start_sshd(address=f"127.10.0.{number + 1}") for number in range(hosts)]
        sizes = sorted({max(1, hosts // 10), hosts})
        work = Work(site, Path(folder), account, hosts)
        figures = {size: measured(peers(Path(folder), account, servers[:size], work)) for size in sizes}
    print(f"{hosts} hosts, median of {REPETITIONS}, {os.cpu_count()} cores shared with the servers")
    print(f"{'':20} {'wall s':>8} {'client CPU s':>13} {'ms per further host':>20}")
    for name, (wall, cpu) in figures[hosts].items():
        further = hosts - sizes[0]
        slope = f"{(cpu - figures[sizes[0]][name][1]) / further * 1000:20.1f}" if further else ""
        print(f"{name:20} {wall:8.2f} {cpu:13.2f} {slope}")


class Work:
    """What is planned on each host: one database of one server, one folder of backups and twenty scripts serve all."""

    def __init__(self, site: Site, folder: Path, account: Account, hosts: int) -> None:
        self._postgres = site.start_postgres(settings={"max_connections": str(3 * hosts + 50)})
        self._role = self._postgres.create_role("release", options="IN ROLE pg_monitor")
        self._name = self._postgres.create_database("orders", owner=self._role.name)
        self._approved, self._staged, self._backups = folder / "sql", site.new_path("staged"), site.new_path("backups")
        self._approved.mkdir()
        for number in range(20):
            (self._approved / f"{number:03}.sql").write_text(f"SELECT {number};\n")
        shutil.copytree(self._approved, self._staged)
        self._backups.mkdir()
        self._postgres.client("pg_dump", "-Fc", "-f", self._postgres.backups / "a.dump", self._name)
        shutil.move(self._postgres.backups / "a.dump", self._backups)
        for path in (self._staged, *self._staged.iterdir(), self._backups, *self._backups.iterdir()):
            shutil.chown(path, account.name)
        (folder / "password").write_text(self._role.password)
        (folder / "password").chmod(0o600)
        self._folder = folder
        self.manifest = folder / "sums"
        sums = subprocess.run("sha256sum *.sql", shell=True, cwd=self._approved, capture_output=True, check=True)
        self.manifest.write_bytes(sums.stdout)

    def planned(self, number: int) -> str:
        return f"""
[databases.d{number}]
host = "h{number}"
name = "{self._name}"
address = "{self._postgres.address}"
port = {self._postgres.port}
user = "{self._role.name}"
password = "file:{self._folder}/password"
sslmode = "require"

[backups.b{number}]
database = "d{number}"
directory = "{self._backups}"
previous = "{self._backups}/*.dump"

[scripts.s{number}]
database = "d{number}"
approved = "{self._approved}"
manifest = "{self.manifest}"
staged = "{self._staged}"
"""


def peers(folder: Path, account: Account, servers: Sequence[Sshd], work: Work) -> dict[str, list[str]]:
    """Name -> command line, for these hosts."""
    folder = folder / str(len(servers))
    folder.mkdir()
    known_hosts, plan, script = folder / "plan.known_hosts", folder / "plan.toml", folder / "probe.sh"
    known_hosts.write_text("".join(server.known_hosts_lines() for server in servers))
    hosts = BASE + "".join(
        f'\n[hosts.h{number}]\naddress = "{server.address}"\nport = {server.port}\nuser = "{account.name}"\n'
        f'key = "{account.key}"\n'
        for number, server in enumerate(servers)
    )  # fmt: skip
    plan.write_text(hosts)
    whole = folder / "whole.toml"
    whole.write_text(hosts + "".join(work.planned(number) for number in range(len(servers))))
    whole.with_suffix(".known_hosts").write_bytes(known_hosts.read_bytes())
    script.write_text(PROBE)
    ssh = f"ssh -F none -o BatchMode=yes -o UserKnownHostsFile={known_hosts} -i {account.key} -l {account.name}"
    listed, places = folder / "hosts", folder / "places"
    listed.write_text("".join(f"-p {server.port} {server.address}\n" for server in servers))
    places.write_text("".join(f"{server.address} {server.port}\n" for server in servers))
    loop = f"while read -r line; do {ssh} $line sh -s < {script}; done < {listed}"
    parallel = f"xargs -P 50 -I{{}} sh -c '{ssh} {{}} sh -s < {script}' < {listed}"
    bare = [sys.executable, "-m", "tests.bench.bare_paramiko", places, account.name, account.key, known_hosts, script]
    tool = [sys.executable, "-m", "preflight", "run"]
    return {
        "preflight run": list(map(str, [*tool, plan, "--only", "host-login", "--format", "json"])),
        "... all checks": list(map(str, [*tool, whole, "--format", "json", "--timeout", "600"])),
        "bare paramiko": list(map(str, bare)),
        "ssh, 50 at a time": ["bash", "-c", parallel],
        "ssh, a loop": ["bash", "-c", loop],
    }


def measured(commands: Mapping[str, list[str]]) -> dict[str, tuple[float, float]]:
    """Name -> median wall and CPU seconds; the peers take turns, so that what else runs here hits all alike."""
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(REPETITIONS):
        for name, command in commands.items():
            runs[name].append(measure_call(lambda command=command: _call(command)))
    return {name: (median(wall for wall, _ in each), median(cpu for _, cpu in each)) for name, each in runs.items()}


def _call(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, env=environment(), stdin=subprocess.DEVNULL)
    whole = any(word.endswith("whole.toml") for word in argv)  # NO-GO: nobody is on call
    if done.returncode not in (0, 3) and (done.returncode, whole) != (1, True):
        raise SystemExit(f"{argv[:3]} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def measure_call(call: Callable[[], object]) -> tuple[float, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    call()
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
