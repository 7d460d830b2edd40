"""A real browser for the tests: Debian's chromium, headless, driven over its debugging pipe."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

CHROMIUM = "chromium"
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--remote-debugging-pipe"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)


class Browser:
    """One process, one page. What goes wrong in the page is collected until it is asked for."""

    def __init__(self) -> None:
        if shutil.which(CHROMIUM) is None:
            raise RuntimeError("these tests need a browser: apt-get install -y --no-install-recommends chromium")
        self._profile = Path(tempfile.mkdtemp(prefix="preflight-browser-"))
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()

        def place() -> None:
            """Chromium reads commands from descriptor 3 and writes to 4."""
            high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 10) for descriptor in (theirs_in, theirs_out)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self._process = subprocess.Popen(
            [CHROMIUM, *_FLAGS, f"--user-data-dir={self._profile}"],
            preexec_fn=place,
            pass_fds=(3, 4),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._unread, self._number, self._session = b"", 0, ""
        self.troubles: list[str] = []
        target = self._send("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = self._send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._send(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._out)  # chromium ends when its pipe does
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        shutil.rmtree(self._profile, ignore_errors=True)

    def open(self, path: Path, width: int = 1280, *, dark: bool = False) -> None:
        """Loads the file at a width of so many CSS pixels; troubles are those of this page."""
        self.troubles.clear()
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self._send("Emulation.setDeviceMetricsOverride", metrics)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._send("Emulation.setEmulatedMedia", {"features": scheme})
        self._send("Page.navigate", {"url": path.as_uri()})
        self._wait_for("Page.loadEventFired")

    def wait_for_reload(self) -> None:
        """Until the page has read itself again."""
        self._wait_for("Page.loadEventFired")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, evaluated from outside the page's policy."""
        done = self._send("Runtime.evaluate", {"expression": expression, "returnByValue": True})
        return done["result"].get("value")

    def pdf(self) -> bytes:
        """The page as it is printed on its own page size."""
        done = self._send("Page.printToPDF", {"preferCSSPageSize": True, "printBackground": True})
        return base64.b64decode(done["data"])

    def picture(self) -> bytes:
        """A PNG of what is on the screen."""
        return base64.b64decode(self._send("Page.captureScreenshot")["data"])

    def _send(self, method: str, parameters: Mapping[str, Any] | None = None) -> Any:
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters or {}}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            told = self._read()
            if told.get("id") == number:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error']}")
                return told["result"]

    def _wait_for(self, event: str) -> None:
        while self._read().get("method") != event:
            pass

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            more = os.read(self._in, 1 << 20)
            if not more:
                raise RuntimeError("the browser ended")
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\0")
        told: dict[str, Any] = json.loads(line)
        self._note(told.get("method", ""), told.get("params", {}))
        return told

    def _note(self, method: str, told: Mapping[str, Any]) -> None:
        match method:
            case "Runtime.exceptionThrown":
                self.troubles.append(str(told["exceptionDetails"]))
            case "Runtime.consoleAPICalled":
                self.troubles.append(f"console: {told['args']}")
            case "Log.entryAdded":
                self.troubles.append(f"{told['entry']['level']}: {told['entry']['text']}")
            case "Network.requestWillBeSent" if not told["request"]["url"].startswith("file:"):
                self.troubles.append(f"request: {told['request']['url']}")
            case "Network.loadingFailed":
                self.troubles.append(f"stopped: {told.get('blockedReason')}")
