"""What many hosts take of the machine that asks: memory, threads, files. Run: python3 -m tests.bench.fleet [HOSTS]

The hosts are loopback addresses of one sshd with stock limits; a tenth of them has a fault of `tests.site.fleet`: some
are silent, some refuse and some lie. The tool runs whole, as a user starts it. What it holds is read from /proc until
it ends. Needs root (accounts)."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from tests.bench.many_hosts import measure_call
from tests.cli.program import argv, environment
from tests.site.fleet import FAULTS, fleet
from tests.site.site import Site

_LOOK_SECONDS = 0.05


def main(hosts: int) -> None:
    chosen = random.Random(hosts).sample(range(hosts), hosts // 10)
    faults = {f"h{number}": kind for number, kind in zip(chosen, cycle(FAULTS))}
    load, most = os.getloadavg()[0], Counter[str]()
    with Site() as site, tempfile.TemporaryDirectory() as name, fleet(site, Path(name)) as found:
        plan, report = found.plan(hosts, faults), Path(name) / "report.json"
        output = f"json={report}"
        call = argv("run", plan, "--only", "host-login", "--short", "--output", output, "--timeout", "600")
        wall, cpu = measure_call(lambda: _watch(call, most))
        statuses = Counter(
            each["status"] for each in json.loads(report.read_text())["findings"] if each["check"] == "host-login"
        )
    told = ", ".join(f"{number} {status}" for status, number in sorted(statuses.items()))
    print(f"{hosts} hosts, {len(faults)} with a fault: {told}; load {load:.1f} before, {os.cpu_count()} cores")
    print(f"wall {wall:.1f} s, client CPU {cpu:.2f} s ({cpu / hosts * 1000:.1f} ms a host)")
    print(f"at most {most['VmHWM'] / 1024:.0f} MiB, {most['Threads']} threads, {most['descriptors']} descriptors")


def _watch(call: list[str], most: Counter[str]) -> None:
    """Runs it; `most` becomes the highest of what was seen. Memory is the kernel's own high-water mark, in KiB."""
    secrets = environment(FAKE_PASSWORD="canary-hunter22")
    quiet = subprocess.DEVNULL
    with subprocess.Popen(call, stdin=quiet, stdout=quiet, stderr=quiet, env=secrets) as process:
        while process.poll() is None:
            for name, value in _held(Path("/proc", str(process.pid))):
                most[name] = max(most[name], value)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_SECONDS)
    if process.returncode not in (0, 1, 3):
        raise SystemExit(f"{call} ended with {process.returncode}")


def _held(process: Path) -> Iterator[tuple[str, int]]:
    with contextlib.suppress(OSError):  # it may end meanwhile
        for line in (process / "status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in ("VmHWM", "Threads"):
                yield name, int(value.split()[0])
        yield "descriptors", len(list((process / "fd").iterdir()))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
