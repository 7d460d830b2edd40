"""What ends, seen where it really ends: certificates, keys, sudo rules and roles of real servers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from preflight_checks.app_health import AppHealth
from preflight_checks.database_login import DatabaseLogin

from preflight.finding import Finding, Status
from preflight.plan import Application, Endpoint, SecretRef, SslMode
from tests.site.asking import NOW, WINDOW, database_on, finding, host_on, make_plan, told
from tests.site.certificates import Authority
from tests.site.https import HttpsApp
from tests.site.postgres import Cluster
from tests.site.site import Site

IN_5_HOURS = NOW + timedelta(hours=5)


def health(folder: Path, app: HttpsApp) -> Finding:
    app.answer_json({"status": "UP", "version": "4.1"})
    endpoint = Endpoint(url=app.url(), ca=app.ca, version="version")  # type: ignore[arg-type]
    application = Application(id="app1", from_="4.1", to="4.2", health=(endpoint,))
    found = finding(AppHealth, make_plan(folder, applications={"app1": application}))
    app.close()
    return found


@pytest.mark.case(8)
@pytest.mark.parametrize("which", ["root", "intermediate"])
def test_the_first_of_an_https_chain_to_end_fails_and_is_named(site: Site, tmp_path: Path, which: str) -> None:
    ends = {"root": timedelta(days=3650), "intermediate": timedelta(days=3650), which: timedelta(hours=5)}
    root = Authority(tmp_path / "root", "Example Root", not_after=NOW + ends["root"])
    below = Authority(tmp_path / "below", "Example CA 2", above=root, not_after=NOW + ends["intermediate"])
    found = health(tmp_path, HttpsApp(below.issue(), root.certificate))
    name = {"root": "root certificate CN=Example Root", "intermediate": "intermediate certificate CN=Example CA 2"}
    assert found.status is Status.FAIL, told(found)
    assert found.judgement.summary.startswith(f"the {name[which]} ends "), told(found)
    assert "before the start" in found.judgement.summary
    (event,) = [event for event in found.judgement.events if event.at == IN_5_HOURS.replace(microsecond=0)]
    assert event.text.startswith(f"{name[which]} of app1 at ")


def test_an_intermediate_certificate_that_has_ended_is_named(site: Site, tmp_path: Path) -> None:
    root = Authority(tmp_path / "root", "Example Root")
    below = Authority(tmp_path / "below", "Example CA 2", above=root, not_after=NOW - timedelta(hours=1))
    found = health(tmp_path, HttpsApp(below.issue(), root.certificate))
    assert found.status is Status.FAIL, told(found)
    assert "certificate has expired (intermediate certificate CN=Example CA 2)" in found.judgement.actual


def test_a_root_certificate_that_has_ended_is_told_from_what_the_server_sends(site: Site, tmp_path: Path) -> None:
    root = Authority(tmp_path / "root", "Example Root", not_after=NOW - timedelta(hours=1))
    found = health(tmp_path, HttpsApp(root.issue(), root.certificate))
    assert "certificate has expired (a root certificate that this machine trusts)" in found.judgement.actual


def test_a_chain_that_outlives_the_work_passes(site: Site, tmp_path: Path) -> None:
    root = Authority(tmp_path / "root", "Example Root")
    below = Authority(tmp_path / "below", "Example CA 2", above=root)
    found = health(tmp_path, HttpsApp(below.issue(), root.certificate))
    assert found.status is Status.PASS, told(found)


@pytest.mark.case(8)
@pytest.mark.parametrize(("sslmode", "status"), [(SslMode.VERIFY_FULL, Status.FAIL), (SslMode.REQUIRE, Status.WARN)])
def test_the_first_of_a_databases_chain_to_end_is_named(
    site: Site, postgres: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sslmode: SslMode, status: Status
) -> None:
    root = Authority(tmp_path / "root", "Example Root")
    below = Authority(tmp_path / "below", "Example CA 2", above=root, not_after=IN_5_HOURS)
    role = postgres.create_role("release")
    monkeypatch.setenv("ORDERS_PASSWORD", role.password)
    trusted = root.certificate if sslmode.verifies else None
    more = {"password": SecretRef("env", "ORDERS_PASSWORD"), "sslmode": sslmode, "sslrootcert": trusted}
    entry = database_on(postgres, role.name, name="postgres", **more)
    plan = make_plan(tmp_path, hosts=[host_on(site.sshd, site.account("good"))], databases=[entry], window=WINDOW)
    with postgres.showing(below.issue()):
        found = finding(DatabaseLogin, plan)
    assert found.status is status, told(found)
    assert "the intermediate certificate CN=Example CA 2 ends" in told(found)
