"""What a fast command costs, beside the interpreter and click. Run: python3 -m tests.bench.start_up

`--help`, `--version` and `lint` of the example plan load no driver; what they cost is imports. CPU seconds of the whole
process, medians of interleaved runs; only ratios travel to other machines. Where preflight is installed in place, its
finder adds to each start: install it from a wheel for the last percent."""

from __future__ import annotations

import subprocess
import sys
from statistics import median

from tests.bench.many_hosts import measure_call
from tests.cli.program import environment

REPETITIONS = 15
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import click": ["-c", "import click"],
    "preflight --version": ["-m", "preflight", "--version"],
    "preflight --help": ["-m", "preflight", "--help"],
    "preflight lint": ["-m", "preflight", "lint", "plans/example.toml"],
}


def main() -> None:
    runs: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(REPETITIONS):
        for name, arguments in COMMANDS.items():
            runs[name].append(measure_call(lambda arguments=arguments: _call(arguments))[1])
    click = median(runs["import click"])
    print(f"{'':20} {'CPU ms':>8} {'x import click':>15}")
    for name, seconds in runs.items():
        print(f"{name:20} {median(seconds) * 1000:8.0f} {median(seconds) / click:15.1f}")


def _call(arguments: list[str]) -> None:
    subprocess.run([sys.executable, *arguments], capture_output=True, env=environment(), stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
