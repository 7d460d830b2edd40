"""app-health against real HTTPS servers: its passing and each of its failing states."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from preflight_checks.app_health import AppHealth

from preflight.check import Expect, Subject
from preflight.clock import now
from preflight.engine.answered import Answered
from preflight.engine.inspection import inspect
from preflight.engine.registry import Registry
from preflight.evidence import Evidence
from preflight.finding import Event, Finding, Judgement, Status
from preflight.plan import Application, Endpoint, Plan, Window
from preflight.probe import NoReply, Reply
from preflight.questions.http import Samples
from preflight.reasons import Reason
from tests.sessions.http.asking import ask, drips, raw_server, says, says_in_turn, stays_silent
from tests.site.https import HttpsApp
from tests.site.machine import free_port
from tests.site.site import Site
from tests.toy import toy_plan

NOW = now().replace(microsecond=0)
UP = {"status": "UP", "version": "4.1"}


def plan_of(*endpoints: Endpoint, ends: datetime | None = None, **more: Any) -> Plan:
    start = NOW + timedelta(hours=9)
    window = Window(zone="UTC", start=start, end=ends or start + timedelta(hours=6))
    application = Application(id="app1", from_="4.1", to="4.2", owner="app", health=endpoints)
    return replace(toy_plan(**more), window=window, applications={"app1": application})


def endpoint(app: HttpsApp, path: str = "/health", **more: Any) -> Endpoint:
    return Endpoint(**{"url": app.url(path), "ca": app.ca, "version": "version", "samples": 1, **more})


def findings(plan: Plan, expect: Expect | None = None) -> list[Finding]:
    """What the engine concludes about the check alone, over the real session."""
    inspection = inspect(plan, Registry((AppHealth,)), NOW, expect=expect)
    answered = Answered(inspection, Evidence(plan.digest, NOW))
    answered.begin()
    for item in inspection.items:
        planned = item.probes["answer"]
        answered.add(planned.question, ask(planned.probe, Path()))  # type: ignore[arg-type]
    return answered.findings()


def finding(plan: Plan, expect: Expect | None = None) -> Finding:
    [only] = findings(plan, expect)
    return only


def point(plan: Plan, status: Status, words: str) -> Judgement:
    """The one observation with these words; the finding must have this status as its worst."""
    found = finding(plan)
    assert found.status is status, found.judgement
    [match] = [each for each in found.judgement.telling_points() if words in each.summary]
    if status in (Status.FAIL, Status.WARN):
        assert match.expected, match
        assert match.actual, match
        assert match.remedy, match
    return match


def test_a_healthy_application_at_the_planned_version_passes(https_app: HttpsApp) -> None:
    https_app.answer_json({**UP, "components": {"db": {"status": "UP"}}})
    found = finding(plan_of(endpoint(https_app, json={"status": "UP"})))
    assert found.status is Status.PASS, found.judgement
    assert found.subject == f"app1 {https_app.url()}"
    assert found.vantage == "from here"
    for part in ("status 200", "version 4.1", 'status "UP"', "answers in", "the certificate ends"):
        assert part in found.judgement.summary


@pytest.mark.parametrize(
    ("expect", "version", "status", "said"),
    [
        (Expect.AFTER, "4.2", Status.PASS, "version 4.2"),
        (Expect.AFTER, "4.1", Status.FAIL, 'runs version "4.1", not 4.2'),
        (Expect.BEFORE, "4.1", Status.PASS, "version 4.1"),
        (Expect.BEFORE, "4.2", Status.FAIL, 'runs version "4.2", not 4.1'),
    ],
)
@pytest.mark.parametrize("asked", [{}, {"version": "", "json": {"version": "4.1", "status": "UP"}}])
def test_what_the_work_left_is_verified_by_its_version(
    https_app: HttpsApp, asked: dict[str, Any], expect: Expect, version: str, status: Status, said: str
) -> None:
    https_app.answer_json({**UP, "version": version})
    found = finding(plan_of(endpoint(https_app, **asked)), expect)
    assert found.status is status, found.judgement
    assert said in found.judgement.summary
    assert found.judgement.remedy == "" or "bring app1 on" in found.judgement.remedy


def test_a_version_that_is_a_number_is_verified_as_one(https_app: HttpsApp) -> None:
    https_app.answer_json({**UP, "version": 4.2})
    plan = plan_of(endpoint(https_app, version="", json={"version": 4.1}))
    assert finding(plan, Expect.AFTER).status is Status.PASS
    assert finding(plan, Expect.BEFORE).status is Status.FAIL


def test_each_instance_is_listed_separately_and_judged_alone(https_app: HttpsApp) -> None:
    https_app.answer_json(UP, "/a")
    https_app.answer_json({**UP, "version": "4.0"}, "/b")
    first, second = findings(plan_of(endpoint(https_app, "/a"), endpoint(https_app, "/b")))
    assert (first.status, second.status) == (Status.PASS, Status.FAIL)


def test_two_endpoints_with_one_url_are_two_subjects() -> None:
    same = Endpoint(url="https://app1/health")
    check = AppHealth(plan_of(same, replace(same, server_name="a"), replace(same, server_name="b")), NOW)
    assert [subject.id.removeprefix("app1 https://app1/health") for subject in check.subjects()] == ["", " (2)", " (3)"]


def test_a_plan_without_applications_has_no_subjects() -> None:
    assert AppHealth(toy_plan(), NOW).subjects() == []


@pytest.mark.parametrize(
    ("body", "says_"),
    [
        ('{"version": "4.0"}', 'runs version "4.0", not 4.1'),
        ('{"version": "4.1.0"}', 'runs version "4.1.0"'),
        ('{"version": 4.10}', "runs version 4.10"),
        ('{"version": true}', "runs version true"),
        ('{"version": {}}', "runs version an object"),
        ('{"version": "4.2"}', "runs 4.2 already"),
        ("{}", "the answer has no version"),
    ],
)
def test_another_version_fails(https_app: HttpsApp, body: str, says_: str) -> None:
    https_app.answer("/health", body)
    seen = point(plan_of(endpoint(https_app)), Status.FAIL, says_)
    assert seen.expected == 'version is "4.1"'


def test_a_deployment_that_already_happened_is_for_the_owner_to_explain(https_app: HttpsApp) -> None:
    https_app.answer_json({"version": "4.2"})
    assert "stop and ask the app" in point(plan_of(endpoint(https_app)), Status.FAIL, "already").remedy


def test_a_version_written_as_a_number_is_compared_as_written(https_app: HttpsApp) -> None:
    https_app.answer("/health", '{"version": 4.1}')
    assert finding(plan_of(endpoint(https_app))).status is Status.PASS


def test_a_wanted_value_that_is_the_version_confirms_the_version(https_app: HttpsApp) -> None:
    https_app.answer_json({"app": {"build": "4.1"}})
    assert finding(plan_of(endpoint(https_app, version="", json={"app.build": "4.1"}))).status is Status.PASS
    https_app.answer_json({"app": {"build": "4.0"}})
    point(plan_of(endpoint(https_app, version="", json={"app.build": "4.1"})), Status.FAIL, "runs version")


def test_a_wanted_value_at_the_place_of_the_version_does_not_replace_the_comparison(https_app: HttpsApp) -> None:
    https_app.answer_json({**UP, "version": "4.2"})
    mistaken = plan_of(endpoint(https_app, json={"version": "4.2"}))
    point(mistaken, Status.FAIL, "runs 4.2 already")
    https_app.answer_json(UP)
    assert finding(plan_of(endpoint(https_app, json={"version": "4.1"}))).status is Status.PASS


@pytest.mark.parametrize(
    ("body", "says_"),
    [
        ('{"version": "4.1", "status": "DOWN"}', 'status is "DOWN"'),
        ('{"version": "4.1", "status": "UPPER"}', 'status is "UPPER"'),
        ('{"version": "4.1", "status": true}', "status is true"),
        ('{"version": "4.1"}', "the answer has no status"),
        ('{"version": "4.1", "status": "DOWN", "status": "UP"}', '"status" occurs twice'),
        ('{"version": "4.1", "status": "UP", "load": NaN}', "NaN is no JSON value"),
        ("<html>login</html>", "the body is no JSON"),
        ("[" * 2000, "nested deeper"),
    ],
)
def test_a_body_that_does_not_say_what_is_wanted_fails(https_app: HttpsApp, body: str, says_: str) -> None:
    https_app.answer("/health", body)
    point(plan_of(endpoint(https_app, json={"status": "UP"})), Status.FAIL, says_)


@pytest.mark.parametrize(("part", "status"), [("DOWN", Status.FAIL), ("DEGRADED", Status.WARN)])
@pytest.mark.case(9)
def test_a_part_that_is_not_up_counts_although_the_whole_says_up(
    https_app: HttpsApp, part: str, status: Status
) -> None:
    https_app.answer_json({**UP, "components": {"db": {"status": "UP", "components": {"orders": {"status": part}}}}})
    seen = point(plan_of(endpoint(https_app)), status, 'although the answer says status "UP"')
    assert "components.db.components.orders.status" in seen.summary


def test_a_missing_text_fails_and_shows_what_came(https_app: HttpsApp) -> None:
    https_app.answer_json({**UP, "note": "\x1b[2J maintenance"})
    seen = point(plan_of(endpoint(https_app, text="Healthy")), Status.FAIL, "lacks the text")
    assert "maintenance" in seen.actual
    assert "\x1b" not in seen.actual


def test_another_status_fails_with_the_beginning_of_the_body(https_app: HttpsApp) -> None:
    https_app.answer_json({"status": "OUT_OF_SERVICE"}, status=503)
    seen = point(plan_of(endpoint(https_app)), Status.FAIL, "status 503 instead of 200")
    assert "OUT_OF_SERVICE" in seen.actual
    assert "correct the URL" in point(plan_of(endpoint(https_app, "/no")), Status.FAIL, "status 404").remedy


def test_a_redirect_to_a_login_page_fails(https_app: HttpsApp) -> None:
    https_app.answer("/health", status=302, headers={"Location": "https://login.example.net/"})
    seen = point(plan_of(endpoint(https_app)), Status.FAIL, "a redirect (status 302)")
    assert "https://login.example.net/" in seen.actual
    assert "correct the URL" in seen.remedy


def test_an_allowed_redirect_must_end_at_the_final_url(https_app: HttpsApp) -> None:
    https_app.answer("/health", status=302, headers={"Location": "/status"})
    https_app.answer_json(UP, "/status")
    assert "follow_redirects" in point(plan_of(endpoint(https_app)), Status.FAIL, "a redirect").remedy
    right = endpoint(https_app, follow_redirects=True, final_url=https_app.url("/status"))
    assert finding(plan_of(right)).status is Status.PASS
    wrong = replace(right, final_url=https_app.url("/elsewhere"))
    assert point(plan_of(wrong), Status.FAIL, "end at another URL").actual == https_app.url("/status")


def test_a_wanted_redirect_status_passes_without_a_body(https_app: HttpsApp) -> None:
    https_app.answer("/health", status=302, headers={"Location": "/status"})
    assert finding(plan_of(endpoint(https_app, status=302, version=""))).status is Status.PASS


def test_a_redirect_never_passes_for_a_body(https_app: HttpsApp) -> None:
    https_app.answer("/health", status=302, headers={"Location": "/status"})
    point(plan_of(endpoint(https_app, status=302)), Status.FAIL, "the body is empty")


def test_a_body_that_is_too_short_fails(https_app: HttpsApp) -> None:
    https_app.answer_json(UP)
    point(plan_of(endpoint(https_app, min_bytes=500)), Status.FAIL, "the body is too short")
    https_app.answer("/health", "")
    point(plan_of(endpoint(https_app, version="")), Status.FAIL, "the body is too short")


@pytest.mark.case(12)
def test_an_application_that_a_cache_answers_for_was_not_seen(https_app: HttpsApp) -> None:
    """What the cache kept, good or bad, tells nothing of this moment."""
    for body in ('{"version": "4.1"}', '{"version": "4.0", "status": "DOWN"}'):
        https_app.answer("/health", body, headers={"CF-Cache-Status": "HIT"})
        seen = point(plan_of(endpoint(https_app)), Status.UNKNOWN, "the application was not seen")
        assert seen.actual == "cf-cache-status: HIT"
        assert "no cache keeps" in seen.remedy


def test_an_answer_slower_than_allowed_fails(https_app: HttpsApp) -> None:
    https_app.answer_json(UP, delay_seconds=0.4)
    seen = point(plan_of(endpoint(https_app, max_latency=timedelta(seconds=0.3))), Status.FAIL, "slower than allowed")
    assert seen.expected == "the whole answer within 0.3 s"


def test_the_certificate_must_outlive_the_window_and_its_rollback(site: Site) -> None:
    """The window's end, an hour of reserve, then a week in which it is only worth a warning."""
    not_after = NOW + timedelta(days=10)
    app = site.start_app(not_after=not_after)
    app.answer_json(UP)
    reserve = timedelta(hours=1)
    with contextlib.closing(app):
        for ends, status, words in (
            (not_after - reserve, Status.FAIL, "before the work is over"),
            (not_after - reserve - timedelta(seconds=1), Status.WARN, "only 1 s after it is needed"),
            (not_after - reserve - timedelta(days=7), Status.WARN, "only 7 d after it is needed"),
        ):
            seen = point(plan_of(endpoint(app), ends=ends), status, words)
            assert "renewed" in seen.remedy
        early = not_after - reserve - timedelta(days=7, seconds=1)
        found = finding(plan_of(endpoint(app), ends=early))
        assert found.status is Status.PASS
        assert found.judgement.events == (event_of(app, not_after),)


def event_of(app: HttpsApp, not_after: datetime) -> Event:
    where = app.url("").removeprefix("https://")
    return Event(at=not_after, text=f"certificate of app1 at {where} ends")


@contextlib.contextmanager
def serving(app: HttpsApp) -> Iterator[HttpsApp]:
    app.answer_json(UP)
    with contextlib.closing(app):
        yield app


def test_a_certificate_for_another_name_fails_and_names_both(site: Site) -> None:
    with serving(site.start_app(["app2.example.net"])) as app:
        seen = point(plan_of(endpoint(app)), Status.FAIL, "certificate name")
    assert "app2.example.net" in seen.actual
    assert "127.0.0.1" in seen.remedy


def test_an_expired_certificate_fails_with_its_date(site: Site) -> None:
    expired = NOW - timedelta(days=2)
    with serving(site.start_app(not_after=expired)) as app:
        seen = point(plan_of(endpoint(app)), Status.FAIL, "certificate expired")
        assert seen.events == (event_of(app, expired),)
    assert f"{expired:%Y-%m-%d %H:%M}" in seen.actual


def test_an_untrusted_certificate_fails(https_app: HttpsApp) -> None:
    https_app.answer_json(UP)
    seen = point(plan_of(endpoint(https_app, ca=None)), Status.FAIL, "certificate untrusted")
    assert "as `ca` in the plan" in seen.remedy


def test_an_application_that_does_not_listen_fails() -> None:
    port = free_port()
    seen = point(plan_of(Endpoint(url=f"http://127.0.0.1:{port}/health")), Status.FAIL, "refused")
    assert f"nothing listens on {port}" in seen.remedy


def test_an_application_that_hangs_or_breaks_off_fails() -> None:
    half = says(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"version": "4.1"}')
    for talk, words in ((half, "short body"), (drips(b"", b"H"), "headers"), (stays_silent, "headers")):
        with raw_server(talk) as url:
            probe = AppHealth(plan_of(Endpoint(url=url)), NOW)
            [subject] = probe.subjects()
            get = probe.probes(subject)["answer"]
            answer = ask(replace(get, request=replace(get.request, max_seconds=0.3)))
            assert isinstance(answer, NoReply)
            judgement = probe.judge(subject, answer=answer)
        assert judgement.status is Status.FAIL
        assert words in judgement.summary


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        (Reason.NO_ROUTE, "port 443 opened"),
        (Reason.NO_SUCH_NAME, "DNS"),
        (Reason.NAME_SERVICE, "the machine that runs preflight"),
        (Reason.NO_ANSWER, "port 443 opened"),
        (Reason.RUN_DEADLINE, "--timeout"),
        (Reason.UNREACHABLE, "opened"),
        (Reason.CA_FILE, "correct `ca`"),
        (Reason.NOT_ASKED, "ask it, too: preflight run"),
        (Reason.CONTENT_ENCODING, "Accept-Encoding"),
    ],
)
def test_what_could_not_be_asked_is_unknown_never_a_pass(reason: Reason, remedy: str) -> None:
    check = AppHealth(plan_of(Endpoint(url="https://app1/health")), NOW)
    judgement = check.judge(check.subjects()[0], answer=NoReply(reason, "seen", NOW))
    assert judgement.status is Status.UNKNOWN
    assert remedy in judgement.remedy


def asked_when_up(app: HttpsApp) -> tuple[AppHealth, Subject, Samples]:
    """A check, its only subject, and what that answers."""
    app.answer_json(UP)
    check = AppHealth(plan_of(endpoint(app)), NOW)
    [subject] = check.subjects()
    probe = check.probes(subject)["answer"]
    answer = ask(probe)
    assert isinstance(answer, Reply)
    samples = probe.read(answer)
    assert isinstance(samples, Samples)
    return check, subject, samples


def test_an_https_answer_without_a_verified_certificate_is_never_a_pass(https_app: HttpsApp) -> None:
    check, subject, samples = asked_when_up(https_app)
    [seen] = samples.answers
    assert seen.certificate is not None
    for other in (None, replace(seen.certificate, verified=False)):
        doubtful = Samples((replace(seen, certificate=other),), (), ())
        assert check.judge(subject, answer=doubtful).status is Status.UNKNOWN


def test_a_remedy_holds_no_text_of_the_far_end_as_a_template(https_app: HttpsApp) -> None:
    https_app.answer_json({**UP, "components": {"{app}{0}": {"status": "DOWN {x}"}}, "version": "{old}"})
    found = finding(plan_of(endpoint(https_app)))
    assert found.status is Status.FAIL
    assert "failed itself" not in found.judgement.summary


def answer_of(body: object, status: str = "200 OK") -> bytes:
    text = json.dumps(body)
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


@pytest.fixture
def two_addresses(monkeypatch: pytest.MonkeyPatch) -> str:
    """A name that stands for 127.0.0.1 and 127.0.0.2."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (f"127.0.0.{number}", 0)) for number in (1, 2)]
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda _name, port, **_: [(*each[:4], (each[4][0], port)) for each in found]
    )
    return "app1.example.net"


@pytest.mark.case(11)
@pytest.mark.parametrize(
    ("answers", "both"),
    [
        ((answer_of(UP), answer_of({**UP, "version": "4.0"})), ("200 version 4.1", "200 version 4.0")),
        ((answer_of(UP), answer_of({"status": "UP"})), ("200 version 4.1", "200 without a version")),
        ((answer_of(UP), answer_of(UP, "503 Busy"), answer_of(UP)), ("200 version 4.1", "503")),
    ],
)
def test_answers_that_differ_fail_with_both(answers: tuple[bytes, ...], both: tuple[str, str]) -> None:
    with raw_server(says_in_turn(*answers)) as url:
        seen = point(plan_of(Endpoint(url=f"{url}/health", version="version")), Status.FAIL, "the answers differ")
    for words in both:
        assert words in seen.actual
    assert len(seen.actual.split(", ")) == 3


@pytest.mark.case(11)
def test_a_dead_address_behind_a_name_fails_and_is_named(site: Site, two_addresses: str) -> None:
    app = site.start_app([two_addresses])
    app.answer_json(UP)
    one = Endpoint(url=app.url(host=two_addresses), ca=app.ca, version="version")
    with contextlib.closing(app):
        seen = point(plan_of(one), Status.FAIL, "refused")
    assert f"127.0.0.2:{app.port}" in seen.actual


@pytest.mark.case(11)
def test_an_address_that_is_silent_fails_where_others_answer(https_app: HttpsApp) -> None:
    https_app.answer_json(UP)
    check = AppHealth(plan_of(endpoint(https_app)), NOW)
    [subject] = check.subjects()
    answer = ask(check.probes(subject)["answer"])
    assert isinstance(answer, Reply)
    seen = check.probes(subject)["answer"].read(answer)
    for reason, address, status in (
        (Reason.NO_ANSWER, "192.0.2.2:443", Status.FAIL),
        (Reason.NO_ANSWER, "[2001:db8::2]:443", Status.UNKNOWN),  # of another family: perhaps the way from here
        (Reason.NO_ROUTE, "192.0.2.2:443", Status.UNKNOWN),
    ):
        lost = NoReply(reason, f"{address} did not answer", NOW, session={"address": address})
        assert check.judge(subject, answer=replace(seen, lost=(lost,))).status is status
        assert check.judge(subject, answer=lost).status is Status.UNKNOWN


@pytest.mark.case(11)
def test_another_version_at_the_second_address_fails_with_both(site: Site, two_addresses: str) -> None:
    first = site.start_app([two_addresses])
    second = site.start_app([two_addresses], address="127.0.0.2", port=first.port)
    first.answer_json(UP)
    second.answer_json({**UP, "version": "4.0"})
    one = Endpoint(url=first.url(host=two_addresses), ca=first.ca, version="version", samples=1)
    with contextlib.closing(first), contextlib.closing(second):
        seen = point(plan_of(one), Status.FAIL, "the answers differ")
        assert seen.actual == (f"127.0.0.1:{first.port}: 200 version 4.1; 127.0.0.2:{first.port}: 200 version 4.0")
        assert (
            f'runs version "4.0", not 4.1: 127.0.0.2:{first.port}' in finding(plan_of(one)).judgement.points[1].summary
        )
        second.answer_json(UP)
        assert finding(plan_of(one)).status is Status.PASS


def test_a_certificate_of_one_address_that_ends_names_it(site: Site, two_addresses: str) -> None:
    first = site.start_app([two_addresses])
    ends = NOW + timedelta(hours=10)
    second = site.start_app([two_addresses], address="127.0.0.2", port=first.port, not_after=ends)
    first.answer_json(UP)
    second.answer_json(UP)
    one = Endpoint(url=first.url(host=two_addresses), ca=first.ca, version="version")
    with contextlib.closing(first), contextlib.closing(second):
        seen = point(plan_of(one), Status.FAIL, "before the work is over")
    assert seen.summary.endswith(f": 127.0.0.2:{first.port}")


@pytest.mark.case(9)
def test_what_the_body_says_of_its_health_counts_unless_the_plan_names_it(https_app: HttpsApp) -> None:
    https_app.answer_json({"status": "DOWN", "version": "4.1"})
    point(plan_of(endpoint(https_app)), Status.FAIL, 'status is "DOWN"')
    assert finding(plan_of(endpoint(https_app, json={"status": "DOWN"}))).status is Status.PASS
    https_app.answer_json(UP)
    seen = point(plan_of(endpoint(https_app, json={"status": "DOWN"})), Status.FAIL, 'status is "UP"')
    assert "correct `json`" in seen.remedy


@pytest.mark.case(10)
@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({**UP, "db": {"status": "DOWN", "error": "refused"}, "diskSpace": {"status": "UP"}}, "db.status"),
        ({**UP, "details": {"db": {"status": "DOWN", "details": {"error": "refused"}}}}, "details.db.status"),
        ({**UP, "components": {"db": {"status": "DOWN"}}}, "components.db.status"),
    ],
    ids=["Spring Boot 1", "Spring Boot 2.0", "Spring Boot 2 and 3"],
)
def test_a_part_that_is_down_is_named_whatever_else_is_asked(https_app: HttpsApp, body: object, path: str) -> None:
    https_app.answer_json(body)
    for more in ({"text": "UP"}, {"json": {"status": "UP"}}, {"version": "version"}):
        one = endpoint(https_app, **{"version": "", **more})
        assert path in point(plan_of(one), Status.FAIL, 'is "DOWN"').summary
    https_app.answer_json(body, status=503)
    point(plan_of(endpoint(https_app)), Status.FAIL, f"{path} is")
    https_app.answer_json(body)
    for aside in ({"ignore": (path.removesuffix(".status"),)}, {"json": {path: "DOWN"}}):
        assert finding(plan_of(endpoint(https_app, **aside))).status is Status.PASS


def test_a_part_that_was_looked_at_two_days_ago_is_not_known(https_app: HttpsApp) -> None:
    """By `time` of draft-inadarei-api-health-check; other layouts have a `time` of their own meaning."""

    def body(ago: timedelta, **more: object) -> dict[str, object]:
        told = {"status": "pass", "time": (NOW - ago).isoformat().replace("+00:00", "Z"), **more}
        return {"status": "pass", "version": "4.1", "checks": {"db:responseTime": [{"status": "pass"}, told]}}

    https_app.answer_json(body(timedelta(days=2)))
    old = point(plan_of(endpoint(https_app)), Status.UNKNOWN, "so long ago the application itself looked at this part")
    assert old.summary.startswith("checks.db:responseTime.1.time is ")
    assert old.expected == "a part that was looked at within 4 h (`health` in [freshness])"
    assert finding(plan_of(endpoint(https_app, ignore=("checks.db:responseTime",)))).status is Status.PASS
    for well in (body(timedelta(hours=1)), body(timedelta(), time="2020-01-01"), body(timedelta(), time=7)):
        https_app.answer_json(well)
        assert finding(plan_of(endpoint(https_app))).status is Status.PASS, well
    ago = (NOW - timedelta(days=2)).isoformat()
    for stale in ({"timestamp": ago}, {"db": {"status": "UP", "lastChecked": ago}}, {"parts": [{"checked_at": ago}]}):
        https_app.answer_json({**UP, **stale})
        point(plan_of(endpoint(https_app)), Status.UNKNOWN, "so long ago the application itself looked at this part")
    https_app.answer_json({**UP, "timestamp": NOW.isoformat(), "build": {"timestamp": ago}})
    assert finding(plan_of(endpoint(https_app))).status is Status.PASS
    https_app.answer_json({**UP, "time": "2020-01-01T00:00:00Z", "details": {"db": {"time": "2020-01-01T00:00:00Z"}}})
    assert finding(plan_of(endpoint(https_app))).status is Status.PASS


def test_a_part_in_a_list_is_named_by_a_key_of_its_own(https_app: HttpsApp) -> None:
    https_app.answer_json({**UP, "checks": [{"id": "db", "status": "UP"}, {"id": "mq", "status": "DOWN"}]})
    path = "checks[id=mq].status"
    point(plan_of(endpoint(https_app)), Status.FAIL, 'checks.1.status is "DOWN"')
    point(plan_of(endpoint(https_app, json={path: "UP"})), Status.FAIL, f'{path} is "DOWN"')
    for aside in ({"ignore": ("checks[id=mq]",)}, {"json": {path: "DOWN"}}):
        assert finding(plan_of(endpoint(https_app, **aside))).status is Status.PASS


def test_a_word_of_the_application_s_own_is_unknown_until_the_plan_names_it(https_app: HttpsApp) -> None:
    https_app.answer_json({"version": "4.1", "status": "Humming"})
    seen = point(plan_of(endpoint(https_app)), Status.UNKNOWN, "tells nothing of health")
    assert 'json = { status = "Humming" }' in seen.remedy
    assert finding(plan_of(endpoint(https_app, json={"status": "Humming"}))).status is Status.PASS


@pytest.mark.case(64)
@pytest.mark.parametrize("body", ["unhealthy", "not healthy", "healthyish", "Healthy: no", "NOT healthy at all"])
def test_a_text_is_found_as_whole_words_only(https_app: HttpsApp, body: str) -> None:
    https_app.answer("/health", body)
    point(plan_of(endpoint(https_app, version="", text="healthy")), Status.FAIL, "lacks the text")


@pytest.mark.parametrize("body", ["healthy", "[healthy]", "state=healthy", "all healthy.\n"])
def test_a_text_between_other_signs_is_found(https_app: HttpsApp, body: str) -> None:
    https_app.answer("/health", body)
    told = [each.summary for each in finding(plan_of(endpoint(https_app, version="", text="healthy"))).judgement.points]
    assert 'says "healthy"' in told


@pytest.mark.case(64)
def test_a_neighbour_with_the_right_version_is_another_application(https_app: HttpsApp) -> None:
    https_app.answer_json({**UP, "app": {"name": "billing"}})
    seen = point(
        plan_of(endpoint(https_app, identity={"app.name": "orders"})), Status.FAIL, "another application answers"
    )
    assert seen.actual == 'app.name is "billing"'
    assert not seen.waivable
    https_app.answer_json({**UP, "app": {"name": "orders"}})
    assert finding(plan_of(endpoint(https_app, identity={"app.name": "orders"}))).status is Status.PASS


def test_an_answer_that_has_no_body_by_its_status_is_not_too_short(https_app: HttpsApp) -> None:
    https_app.answer("/health", status=204)
    assert finding(plan_of(endpoint(https_app, version="", status=204))).status is Status.PASS


def test_a_version_as_text_and_as_number_is_the_same_answer() -> None:
    with raw_server(says_in_turn(answer_of({"version": "4.1"}), b'HTTP/1.1 200 OK\r\n\r\n{"version": 4.1}')) as url:
        assert finding(plan_of(Endpoint(url=url, version="version"))).status is Status.PASS


def test_an_address_without_a_route_to_its_kind_is_told(https_app: HttpsApp) -> None:
    check, subject, samples = asked_when_up(https_app)
    judged = check.judge(subject, answer=replace(samples, left_out=("[2001:db8::1]:443",)))
    assert judged.status is Status.PASS
    assert "[2001:db8::1]:443 is not asked" in judged.summary
