"""`gate --watch` on the real site of the example plan, which breaks and heals at random.
Run as root: python3 -m tests.trials.soak [MINUTES [SEED]].

Each change is told once: what a line says it was, is what the line before said it is; each fault is told within the
round after next, and so is its end; no line tells of anything else. Memory, threads and descriptors do not grow.
"""

from __future__ import annotations

import contextlib
import random
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from queue import Empty, Queue

from preflight.clock import Deadline
from tests.cli.program import argv, environment
from tests.docs.example_site import PLANS, ExampleSite
from tests.site.site import Site

EVERY_SECONDS = 5
LATEST_SECONDS = 180
"""By when a change must have been told: a few rounds, on a machine that is busy."""
WINDOW_START = datetime(2026, 10, 17)
"""Of the example plan."""
_CHANGE = re.compile(r"^\d\d:\d\d(:\d\d)? (?P<what>[a-z-]+ .*?): (?P<before>\w+) -> (?P<after>\w+)(: |$)")


@dataclass(frozen=True)
class Fault:
    """`told`: a line that it makes, and no other fault does."""

    told: str
    begin: Callable[[], object]
    end: Callable[[], object]


def faults_of(example: ExampleSite) -> tuple[Fault, ...]:
    db1, db2 = example.machines["db1"], example.machines["db2"]
    app2 = example.apps[2]
    well = {"application": "app2", "status": "UP", "components": {"db": {"status": "UP"}}, "version": "2.7"}
    script = "/srv/release/billing/020_rounding.sql"
    orders, billing = example.clusters
    return (
        Fault(
            "backup-location orders",
            lambda: db1.run("chmod", "000", "/backup/orders"),
            lambda: db1.run("chmod", "755", "/backup/orders"),
        ),
        Fault(
            "app-health app2 https://app2.example.net/health",
            lambda: app2.answer_json({**well, "status": "DOWN"}),
            lambda: app2.answer_json(well),
        ),
        Fault(
            "script-hashes billing",
            lambda: db2.run("mv", script, f"{script}.away"),
            lambda: db2.run("mv", f"{script}.away", script),
        ),
        Fault(
            "script-runner scripts billing",
            lambda: billing.sql("ALTER ROLE release NOLOGIN"),
            lambda: billing.sql("ALTER ROLE release LOGIN"),
        ),
        Fault(
            "script-rights orders",
            lambda: orders.sql("ALTER TABLE orders OWNER TO postgres", dbname="orders"),
            lambda: orders.sql("ALTER TABLE orders OWNER TO release", dbname="orders"),
        ),
    )


@dataclass
class Watch:
    """A running `gate --watch`, and what its lines said so far."""

    child: subprocess.Popen[str]
    state: dict[str, str] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)
    sizes: list[Mapping[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            self._lines.put(line.rstrip("\n"))

    def end(self) -> None:
        """Ends the program, and waits for the end of its output."""
        self.child.terminate()
        self._reader.join()

    def first_round(self) -> None:
        line = self._lines.get(timeout=LATEST_SECONDS)
        assert re.search(r"^\d\d:\d\d(:\d\d)? GO", line), line

    def until(self, what: str, *, well: bool) -> None:
        """Reads lines up to the one that tells that `what` is well, or is not. Raises AssertionError."""
        while (self.state.get(what, "pass") == "pass") != well:
            try:
                self._take(self._lines.get(timeout=LATEST_SECONDS))
            except Empty:
                raise AssertionError(f"{what} was not told within {LATEST_SECONDS} s: {self.state}") from None
        self.sizes.append(self._size())

    def settle(self) -> None:
        """Reads on until a few rounds had nothing to tell."""
        with contextlib.suppress(Empty):
            while True:
                self._take(self._lines.get(timeout=4 * EVERY_SECONDS))

    def _take(self, line: str) -> None:
        print(line, flush=True)
        change = _CHANGE.match(line)
        if change is None:
            return
        what, before, after = change["what"], change["before"].lower(), change["after"].lower()
        assert before == self.state.get(what, before), f"told twice, or one is missing: {line}"
        self.state[what] = after
        self.told[what] = self.told.get(what, 0) + 1

    def _size(self) -> Mapping[str, int]:
        """Resident memory in KiB, threads and descriptors."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        found = {name: int(number) for name, number in re.findall(r"^(VmRSS|Threads):\s+(\d+)", status, re.MULTILINE)}
        return {**found, "descriptors": len(list(Path(f"/proc/{self.child.pid}/fd").iterdir()))}


def soak(site: Site, span: timedelta, seed: int) -> Watch:
    """Breaks and heals one thing after the other, now and then two at once, until the span is over."""
    chosen = random.Random(seed)
    example = ExampleSite(site)
    text = (PLANS / "example.toml").read_text()
    begin = WINDOW_START - span - timedelta(seconds=10 * LATEST_SECONDS)
    plan = example.plan(site.new_path("plans"), text, {}, begin)
    assert example.preflight("seal", plan, "--accept-host-keys").returncode == 0
    left = Deadline(span.total_seconds())
    line = argv("gate", plan, "--watch", "--every", f"{EVERY_SECONDS}s")
    with subprocess.Popen(
        example.here.enter(line), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=environment(**example.environment),
    ) as child:  # fmt: skip
        watch = Watch(child)
        watch.first_round()
        while not left.over:
            some = chosen.sample(faults_of(example), chosen.choice((1, 1, 2)))
            for fault in some:
                fault.begin()
            for fault in some:
                watch.until(fault.told, well=False)
            for fault in some:
                fault.end()
            for fault in some:
                watch.until(fault.told, well=True)
        watch.settle()
        watch.end()
    example.close()
    ill = {what: state for what, state in watch.state.items() if state not in ("pass", "warn", "waived")}
    assert not ill, f"not told to be well again: {ill}"
    return watch


def largest(sizes: Sequence[Mapping[str, int]]) -> Mapping[str, int]:
    return {name: max(size[name] for size in sizes) for name in sizes[0]}


def main(minutes: int = 20, seed: int = 0) -> None:
    with Site() as site:
        watch = soak(site, timedelta(minutes=minutes), seed)
    third = max(1, len(watch.sizes) // 3)
    print(f"{minutes} minutes, seed {seed}, {sum(watch.told.values())} changes, each told once:")
    for what, count in sorted(watch.told.items()):
        print(f"  {count:4} {what}")
    print(f"largest in the first third {largest(watch.sizes[:third])}, in the last {largest(watch.sizes[-third:])}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
