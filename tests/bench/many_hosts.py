"""How long many hosts take, side by side with what people do today. Run: python3 -m tests.bench.many_hosts [HOSTS]

Each host is an sshd of its own with stock limits, at its own loopback address. The tool runs whole, as a user starts
it; the peers send the same account probe through the ssh client. Figures are medians; only their ratios travel to
other machines. Needs root (accounts)."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.cli.program import BASE, environment
from tests.site.site import Site

REPETITIONS = 3
PROBE = 'id -un; id -u; uname -n; chage -i -l "$(id -un)"; date +%s'


def main(hosts: int) -> None:
    with Site() as site, tempfile.TemporaryDirectory() as folder:
        account = site.account("good")
        servers = [site.start_sshd(address=f"127.10.0.{number + 1}") for number in range(hosts)]
        known_hosts = Path(folder) / "plan.known_hosts"
        known_hosts.write_text("".join(server.known_hosts_lines() for server in servers))
        plan = Path(folder) / "plan.toml"
        plan.write_text(BASE + "".join(
            f'\n[hosts.h{number}]\naddress = "{server.address}"\nport = {server.port}\nuser = "{account.name}"\n'
            f'key = "{account.key}"\n'
            for number, server in enumerate(servers)
        ))  # fmt: skip
        ssh = f"ssh -F none -o BatchMode=yes -o UserKnownHostsFile={known_hosts} -i {account.key} -l {account.name}"
        lines = "".join(f"-p {server.port} {server.address}\n" for server in servers)
        listed = Path(folder) / "hosts"
        listed.write_text(lines)
        script = Path(folder) / "probe.sh"
        script.write_text(PROBE)
        loop = f"while read -r line; do {ssh} $line sh -s < {script}; done < {listed}"
        parallel = f"xargs -P 50 -I{{}} sh -c '{ssh} {{}} sh -s < {script}' < {listed}"
        tool = [sys.executable, "-m", "preflight", "run", str(plan), "--format", "json"]
        peers: dict[str, Callable[[], object]] = {
            "preflight run": lambda: _call(tool),
            "ssh, 50 at a time": lambda: _call(["bash", "-c", parallel]),
            "ssh, a loop": lambda: _call(["bash", "-c", loop]),
        }
        print(f"{hosts} hosts, median of {REPETITIONS}, {os.cpu_count()} cores shared with the servers")
        print(f"{'':20} {'wall s':>8} {'client CPU s':>13} {'largest MiB':>12}")
        for name, call in peers.items():
            walls, cpus = zip(*(_measured(call) for _ in range(REPETITIONS)), strict=True)
            largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024 if name == "preflight run" else 0
            shown = f"{largest:12.0f}" if largest else f"{'':12}"
            print(f"{name:20} {statistics.median(walls):8.2f} {statistics.median(cpus):13.2f} {shown}")


def _call(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, env=environment(), stdin=subprocess.DEVNULL)
    if done.returncode not in (0, 3):
        raise SystemExit(f"{argv[:3]} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _measured(call: Callable[[], object]) -> tuple[float, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    call()
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
