"""app-health where an application answers only whom it knows: tokens, passwords, client certificates."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.app_health import AppHealth

from preflight.clock import now
from preflight.engine.inspection import inspect
from preflight.engine.registry import Registry
from preflight.engine.run import collect
from preflight.finding import Finding, Status
from preflight.plan import Application, Endpoint, Plan, SecretRef
from preflight.plan.applications import BasicLogin
from preflight.reasons import Reason
from preflight.sessions.pools import Pools
from preflight.sessions.secrets import Secrets
from tests.site.asking import WINDOW, findings, make_plan, told
from tests.site.certificates import Authority, Certificate
from tests.site.https import HttpsApp
from tests.site.site import Site

TOKEN = "canary%7 token+with/odd=parts"
UP = {"status": "UP", "version": "4.1"}
BY_TOKEN = {"Authorization": f"Bearer {TOKEN}"}
BY_PASSWORD = {"Authorization": "Basic " + base64.b64encode(f"monitor:{TOKEN}".encode()).decode()}


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_TOKEN", TOKEN)
    monkeypatch.setenv("APP_WRONG", "not the one wanted")


def plan_of(folder: Path, app: HttpsApp, *endpoints: dict[str, Any]) -> Plan:
    health = tuple(
        Endpoint(**{"url": app.url(), "ca": app.ca, "version": "version", "samples": 1, **each}) for each in endpoints
    )
    return make_plan(folder, applications={"app1": Application(id="app1", from_="4.1", to="4.2", health=health)})


def ask(folder: Path, app: HttpsApp, **endpoint: Any) -> Finding:
    (found,) = findings(AppHealth, plan_of(folder, app, endpoint)).values()
    return found


@pytest.mark.parametrize(
    ("wants", "endpoint"),
    [
        (BY_TOKEN, {"bearer": SecretRef("env", "APP_TOKEN")}),
        (BY_PASSWORD, {"basic": BasicLogin(user="monitor", password=SecretRef("env", "APP_TOKEN"))}),
        ({"X-Api-Key": TOKEN}, {"headers": {"X-Api-Key": SecretRef("env", "APP_TOKEN")}}),
    ],
)
def test_whoever_is_known_sees_the_page(
    tmp_path: Path, https_app: HttpsApp, wants: dict[str, str], endpoint: dict[str, Any]
) -> None:
    https_app.answer_json(UP, wants=wants)
    found = ask(tmp_path, https_app, **endpoint)
    assert found.status is Status.PASS, told(found)


def test_without_a_login_the_way_to_name_one_is_told(tmp_path: Path, https_app: HttpsApp) -> None:
    https_app.answer_json(UP, wants=BY_TOKEN)
    found = ask(tmp_path, https_app)
    assert found.status is Status.FAIL, told(found)
    assert "name at the endpoint who may read it (`bearer`, `basic` or `headers`)" in found.judgement.remedy


def test_who_is_known_and_may_not_read_it_is_not_taken_for_a_wrong_secret(tmp_path: Path, https_app: HttpsApp) -> None:
    https_app.answer_json(UP, status=403)
    found = ask(tmp_path, https_app, bearer=SecretRef("env", "APP_TOKEN"))
    assert found.status is Status.FAIL, told(found)
    assert "may not read the page with the bearer token from env:APP_TOKEN" in found.judgement.summary


def test_a_refused_secret_is_shown_once_however_many_endpoints_want_it(tmp_path: Path, https_app: HttpsApp) -> None:
    wrong = SecretRef("env", "APP_WRONG")
    paths = [f"/health/{number}" for number in range(5)]
    for path in paths:
        https_app.answer_json(UP, path, wants=BY_TOKEN)
    plan = plan_of(
        tmp_path, https_app, *({"url": https_app.url(path), "bearer": wrong, "samples": 3} for path in paths)
    )
    found = findings(AppHealth, plan).values()
    assert len(https_app.requests) == 1
    [failed] = [each for each in found if each.status is Status.FAIL]
    assert "does not accept the bearer token from env:APP_WRONG" in failed.judgement.summary
    others = [each for each in found if each is not failed]
    assert len(others) == 4
    for each in others:
        assert each.status is Status.UNKNOWN, told(each)
        assert "env:APP_WRONG, and the application is not asked again" in told(each)
        assert "have the owner of app1 confirm the secret" in told(each)


def test_a_page_that_is_open_to_everybody_lets_no_refused_secret_be_shown_again(
    tmp_path: Path, https_app: HttpsApp
) -> None:
    https_app.answer_json(UP, "/open")
    paths = [f"/closed/{number}" for number in range(4)]
    for path in paths:
        https_app.answer_json(UP, path, wants=BY_TOKEN)
    wrong = {"bearer": SecretRef("env", "APP_WRONG"), "samples": 2}
    findings(
        AppHealth, plan_of(tmp_path, https_app, *({"url": https_app.url(path), **wrong} for path in ["/open", *paths]))
    )
    assert sum("/closed/" in str(each) for each in https_app.requests) == 1


def test_no_other_port_and_no_other_host_gets_the_secret(tmp_path: Path, https_app: HttpsApp, site: Site) -> None:
    elsewhere = site.start_app()
    elsewhere.answer_json(UP)
    https_app.answer(status=302, headers={"Location": elsewhere.url()})
    found = ask(tmp_path, https_app, bearer=SecretRef("env", "APP_TOKEN"), follow_redirects=True)
    elsewhere.close()
    assert elsewhere.requests == []
    assert found.status is Status.FAIL, told(found)
    assert "which the plan's secrets are not for" in told(found)


def test_what_the_application_repeats_of_a_secret_is_masked(tmp_path: Path, https_app: HttpsApp) -> None:
    repeated = [TOKEN, BY_PASSWORD["Authorization"].removeprefix("Basic ")]
    https_app.answer_json({**UP, "status": f"you sent {repeated}"}, wants=BY_PASSWORD)
    login = BasicLogin(user="monitor", password=SecretRef("env", "APP_TOKEN"))
    plan = plan_of(tmp_path, https_app, {"basic": login})
    secrets = Secrets.of(plan)
    with Pools(plan, secrets) as pools:
        answered = collect(inspect(plan, Registry((AppHealth,)), now()), pools.session, 30.0, mask=secrets.redact)
    kept = answered.evidence.to_json() + "".join(told(each) for each in answered.findings())
    assert "you sent" in kept
    assert not [each for each in repeated if each in kept]


def test_a_secret_that_no_header_can_hold_is_named(
    tmp_path: Path, https_app: HttpsApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_TOKEN", "two lines\r\nX-Forged: yes")
    https_app.answer_json(UP)
    found = ask(tmp_path, https_app, bearer=SecretRef("env", "APP_TOKEN"))
    assert https_app.requests == []
    assert found.status is Status.UNKNOWN, told(found)
    assert "env:APP_TOKEN has a character that a header cannot hold" in told(found)


@pytest.fixture
def clients(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "clients", "clients")


@pytest.fixture
def closed_app(site: Site, clients: Authority) -> Iterator[HttpsApp]:
    """Lets in whoever has a certificate of `clients`."""
    app = site.start_app(clients=clients.certificate)
    app.answer_json(UP)
    yield app
    app.close()


def files(of: Certificate) -> dict[str, Path]:
    of.key.chmod(0o600)
    return {"client_cert": of.certificate, "client_key": of.key}


def test_a_client_certificate_lets_in_and_ends(tmp_path: Path, closed_app: HttpsApp, clients: Authority) -> None:
    found = ask(tmp_path, closed_app, **files(clients.issue(["monitor"], usage="clientAuth")))
    assert found.status is Status.PASS, told(found)
    ending = clients.issue(["monitor"], usage="clientAuth", not_after=WINDOW.start + timedelta(hours=1))
    found = ask(tmp_path, closed_app, **files(ending))
    assert found.status is Status.FAIL, told(found)
    assert "the client certificate ends" in told(found)


def test_a_server_that_wants_a_certificate_says_so(tmp_path: Path, closed_app: HttpsApp, site: Site) -> None:
    for endpoint in ({}, files(site.authority.issue(["monitor"], usage="clientAuth"))):
        found = ask(tmp_path, closed_app, **endpoint)
        assert found.status is Status.FAIL, told(found)
        assert str(Reason.CLIENT_CERTIFICATE) in told(found)
        assert "`client_cert` and `client_key`" in told(found)


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path, closed_app: HttpsApp, clients: Authority) -> None:
    own = files(clients.issue(["monitor"], usage="clientAuth"))
    own["client_key"].chmod(0o644)
    found = ask(tmp_path, closed_app, **own)
    assert found.status is Status.UNKNOWN, told(found)
    assert f"run: chmod 600 {own['client_key']}" in told(found)
    other = clients.issue(["other"], usage="clientAuth")
    found = ask(tmp_path, closed_app, **files(replace(other, key=clients.issue(["third"]).key)))
    assert found.status is Status.UNKNOWN, told(found)
    assert "are no client certificate that can be used: key values mismatch" in told(found)
