"""How long 100 health endpoints of 50 ms take above start-up, each asked once and three times.
Run: python3 -m tests.bench.many_endpoints. Figures are medians of interleaved runs of the whole program."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median

from tests.cli.program import BASE, argv, environment
from tests.plan_texts import with_reasons

ENDPOINTS = 100
SECONDS = 0.05
REPETITIONS = 5


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        time.sleep(SECONDS)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "UP", "version": "1"}')

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Says nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


def main() -> None:
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    with tempfile.TemporaryDirectory() as folder:
        plans = {samples: Path(folder) / f"{samples}.toml" for samples in (0, 1, 3)}
        for samples, plan in plans.items():
            plan.write_text(with_reasons(BASE + (application(url, samples) if samples else "")))
        taken: dict[int, list[float]] = {samples: [] for samples in plans}
        for _ in range(REPETITIONS):
            for samples, plan in plans.items():
                begun = time.perf_counter()
                subprocess.run(argv("run", plan), env=environment(), capture_output=True, check=False)
                taken[samples].append(time.perf_counter() - begun)
    for samples in (1, 3):
        above = median(taken[samples]) - median(taken[0])
        print(f"{ENDPOINTS} endpoints of {SECONDS * 1000:g} ms, samples = {samples}: {above:.2f} s above start-up")


def application(url: str, samples: int) -> str:
    one = '{{ url = "{}/{}", samples = {}, version = "version" }}'
    health = ", ".join(one.format(url, number, samples) for number in range(ENDPOINTS))
    return f'[applications.app1]\nfrom = "1"\nto = "2"\nhealth = [{health}]\n'


if __name__ == "__main__":
    main()
