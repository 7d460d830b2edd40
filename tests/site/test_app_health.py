"""app-health against a real HTTPS server: its passing state and each failing one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.app_health import AppHealth

from preflight.finding import Finding, Status
from preflight.plan import Application, Endpoint
from tests.site.asking import WINDOW, finding, findings, make_plan, told
from tests.site.https import HttpsApp
from tests.site.site import Site

UP = {"status": "UP", "version": "4.1", "components": {"db": {"status": "UP"}}}
WANTED = {"status": "UP", "components.db.status": "UP"}


def ask(folder: Path, app: HttpsApp, **endpoint: Any) -> Finding:
    keys = {"url": app.url(), "ca": app.ca, "json": WANTED, "version": "version", **endpoint}
    application = Application(id="app1", from_="4.1", to="4.2", health=(Endpoint(**keys),))
    return finding(AppHealth, make_plan(folder, applications={"app1": application}))


def test_a_healthy_instance_in_the_right_version_passes(tmp_path: Path, https_app: HttpsApp) -> None:
    https_app.answer_json(UP)
    found = ask(tmp_path, https_app)
    assert found.status is Status.PASS, told(found)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({**UP, "version": "4.0"}, "4.0"),
        ({**UP, "status": "DOWN"}, "DOWN"),
        ({**UP, "components": {"db": {"status": "DOWN"}}}, "DOWN"),
        ({"status": "UP", "version": "4.1"}, "components"),
        ({}, "status"),
    ],
)
def test_an_answer_that_is_not_the_planned_one_fails(
    tmp_path: Path, https_app: HttpsApp, answer: dict[str, Any], said: str
) -> None:
    https_app.answer_json(answer)
    found = ask(tmp_path, https_app)
    assert found.status is Status.FAIL, told(found)
    assert said in told(found)


@pytest.mark.parametrize("status", [204, 404, 500, 503])
def test_another_status_fails(tmp_path: Path, https_app: HttpsApp, status: int) -> None:
    https_app.answer_json(UP, status=status)
    found = ask(tmp_path, https_app)
    assert found.status is not Status.PASS, told(found)


def test_a_missing_text_and_a_short_body_fail(tmp_path: Path, https_app: HttpsApp) -> None:
    https_app.answer_json(UP)
    assert ask(tmp_path, https_app, text="ready for work").status is Status.FAIL
    assert ask(tmp_path, https_app, min_bytes=5000).status is Status.FAIL


def test_a_slow_answer_fails(tmp_path: Path, https_app: HttpsApp) -> None:
    https_app.answer_json(UP)
    found = ask(tmp_path, https_app, max_latency=timedelta(microseconds=1))
    assert found.status is Status.FAIL, told(found)


def test_a_certificate_that_ends_inside_the_window_fails(tmp_path: Path, site: Site) -> None:
    app = site.start_app(not_after=WINDOW.start + timedelta(hours=1))
    app.answer_json(UP)
    found = ask(tmp_path, app)
    app.close()
    assert found.status is Status.FAIL, told(found)


def test_each_instance_is_listed_and_one_dead_node_is_seen(tmp_path: Path, https_app: HttpsApp) -> None:
    https_app.answer_json(UP)
    alive = Endpoint(url=https_app.url(), ca=https_app.ca, json=WANTED, version="version")  # type: ignore[arg-type]
    dead = Endpoint(url="https://127.0.0.1:1/health", ca=https_app.ca, version="version")
    application = Application(id="app1", from_="4.1", to="4.2", health=(alive, dead))
    found = findings(AppHealth, make_plan(tmp_path, applications={"app1": application}))
    good, bad = (next(one for subject, one in found.items() if url in subject) for url in (alive.url, dead.url))
    assert good.status is Status.PASS, told(good)
    assert bad.status in (Status.FAIL, Status.UNKNOWN), told(bad)
