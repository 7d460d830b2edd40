"""app-health: every instance answers, healthy, in time, as the version that is to be replaced."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import urlsplit

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, Quantity, Status, failed, passed, unknown, warned
from preflight.judging.cures import cure_of
from preflight.judging.ends import End, TimeOfNeed, certificate_ends
from preflight.plan import Application, Endpoint
from preflight.probe import NoReply, Via
from preflight.questions.http import DEFAULT_SECONDS, Certificate, HttpAnswer, HttpGet, HttpRequest
from preflight.questions.json_body import BodyError, JsonValue, component_statuses, equals, parse_json, shown, value_at
from preflight.reasons import Side

_LONGEST_SECONDS = 3600.0
_LONGEST_EXCERPT = 120
_MOST_COMPONENTS = 10
_DOWN = ("DOWN", "OUT_OF_SERVICE")


@dataclass(frozen=True, slots=True)
class AppHealthSettings:
    """Thresholds."""

    warn_before: timedelta = timedelta(days=7)
    """A certificate that ends this soon after it is last needed is worth a warning."""


@dataclass(frozen=True, slots=True)
class _Instance:
    """One endpoint and the application it belongs to."""

    application: Application
    endpoint: Endpoint

    @property
    def server(self) -> tuple[str, int]:
        """Host and port, the usual one where the URL names none."""
        request = HttpRequest(self.endpoint.url)
        return request.host, request.port

    @property
    def fields(self) -> dict[str, object]:
        """The names that a remedy may hold."""
        host, port = self.server
        return {
            "app": self.application.id,
            "owner": self.application.owner or "application's owner",
            "old": self.application.from_,
            "host": host,
            "port": port,
            "name": self.endpoint.server_name or host,
        }

    def fill(self, remedy: str) -> str:
        """A remedy with the names of this instance in it."""
        return remedy.format(**self.fields)


class AppHealth(Check):
    """Does every instance of every application answer now, healthy, as the version the plan replaces?

    An application that is up but is the wrong version, or a login page, a cache or a neighbour that answers for it,
    makes the window's first hour a search (e). So each endpoint is asked once, without proxies, and every part of
    the answer is compared exactly: status, values in a JSON body by path, text, time to the last byte, final URL. A
    redirect is not followed unless the plan says so, and then only on the same host. The certificate and those
    above it, up to the root, must outlive the window and its rollback. Parts of a Spring Boot health answer that
    are not UP count although the whole says UP. What answers wrongly fails; what cannot be reached from here is
    UNKNOWN.
    """

    id = "app-health"
    title = "the application answers, healthy, as the version to be replaced"
    sections = ("applications",)
    needs = "a GET to each health URL from where preflight runs; no login"
    cure = "bring the application back in the version the plan replaces, renew the certificate, or correct the plan"
    Settings = AppHealthSettings
    judges_no_reply = frozenset({"answer"})

    def subjects(self) -> Sequence[Subject]:
        subjects = []
        seen: Counter[str] = Counter()
        for application in self.plan.applications.values():
            for endpoint in application.health:
                name = f"{application.id} {endpoint.url}"
                seen[name] += 1
                again = f" ({seen[name]})" if seen[name] > 1 else ""
                subjects.append(Subject(name + again, _Instance(application, endpoint), application.owner))
        return subjects

    def probes(self, subject: Subject) -> Probes:
        instance: _Instance = subject.item
        endpoint = instance.endpoint
        patience = max(DEFAULT_SECONDS, 2 * endpoint.max_latency.total_seconds())
        return {
            "answer": HttpGet(
                instance.application.id,
                HttpRequest(
                    endpoint.url,
                    endpoint.server_name,
                    "" if endpoint.ca is None else str(endpoint.ca),
                    endpoint.follow_redirects,
                    min(patience, _LONGEST_SECONDS),
                ),
            )
        }

    def judge(self, subject: Subject, *, answer: HttpAnswer | NoReply) -> Judgement:
        instance: _Instance = subject.item
        if isinstance(answer, NoReply):
            return self._no_answer(instance, answer)
        points = [*_status(instance, answer), *self._certificate(instance, answer)]
        if answer.status == instance.endpoint.status:
            points += [*_source(instance, answer), _latency(instance, answer), *_body(instance, answer)]
            points += self._version_told(instance)
        return Judgement.of(points)

    def _no_answer(self, instance: _Instance, lost: NoReply) -> Judgement:
        cure = cure_of(self.plan, Via.HTTP, instance.application.id, lost, **instance.fields)
        need, certificate = self._need, Certificate.in_session(lost.session)
        events = tuple(end.event for end in _ends(instance, certificate)) if certificate else ()
        if lost.reason.side is not Side.FAR_END:
            found = unknown(f"could not look: {lost.reason}", actual=lost.detail, remedy=cure)
            return replace(found, events=events)
        found = failed(
            f"no answer that counts: {lost.reason}",
            expected=f"status {instance.endpoint.status} from {instance.endpoint.url}",
            actual=f"{lost.detail}; {certificate}, ends {need.told(certificate.not_after)}"
            if certificate
            else lost.detail,
            remedy=cure,
        )
        return replace(found, events=events)

    def _certificate(self, instance: _Instance, answer: HttpAnswer) -> Iterator[Judgement]:
        if not answer.final_url.startswith("https:"):
            return
        certificate = answer.certificate
        if certificate is None or not certificate.verified:
            remedy = instance.fill(
                "look by hand: openssl s_client -connect {host}:{port} -servername {name} </dev/null"
            )
            yield unknown("the certificate was not seen", remedy=remedy)
            return
        yield from self._need.judge_together(_ends(instance, certificate))

    def _version_told(self, instance: _Instance) -> Iterator[Judgement]:
        """A warning when nothing on this instance says which version runs there."""
        version, every = instance.application.from_, instance.application.health
        same = [each for each in every if _Instance(instance.application, each).server == instance.server]
        if not any(each.version or version in map(str, each.json.values()) for each in same):
            yield warned(
                f"nothing tells whether {version} is what runs there",
                expected=f"an endpoint on {urlsplit(instance.endpoint.url).netloc} that tells the version",
                actual="the plan looks for no version in its answers",
                remedy='add `version = "PATH"` to the endpoint, the place of the version in its JSON answer',
            )

    @property
    def _need(self) -> TimeOfNeed:
        return TimeOfNeed(self.plan, self.moment, self.settings.warn_before)


def _ends(instance: _Instance, certificate: Certificate) -> list[End]:
    server = f"{instance.application.id} at {urlsplit(instance.endpoint.url).netloc}"
    return certificate_ends(
        certificate, server, instance.fill("have the certificate of {host} renewed before the window")
    )


def _status(instance: _Instance, answer: HttpAnswer) -> Iterator[Judgement]:
    wanted = instance.endpoint.status
    if answer.status == wanted:
        yield passed(f"status {answer.status} from {answer.address}")
    elif answer.location:
        same_host = urlsplit(answer.location).hostname == urlsplit(answer.final_url).hostname
        cure = "set follow_redirects = true and its final_url" if same_host else "correct the URL"
        yield failed(
            f"a redirect (status {answer.status}) instead of an answer",
            expected=f"status {wanted} from {answer.final_url} itself",
            actual=f"sends to {answer.location}; not followed: {answer.redirect_refused}",
            remedy=f"see what is there, perhaps a login or maintenance page; if it is right, {cure} in the plan",
        )
    else:
        unwell = "have {app} on {host} looked at before the window: it says itself that it is not well"
        elsewhere = "correct the URL in the plan, or ask the {owner} why {app} does not answer there"
        yield failed(
            f"status {answer.status} instead of {wanted}",
            expected=f"status {wanted}",
            actual=f"{answer.status}: {_excerpt(answer.body)}",
            remedy=instance.fill(unwell if answer.status >= 500 else elsewhere),
        )


def _source(instance: _Instance, answer: HttpAnswer) -> Iterator[Judgement]:
    """Whether it was the application itself that answered, at the right place."""
    wanted = instance.endpoint.final_url
    if wanted and answer.final_url != wanted:
        yield failed(
            "the redirects end at another URL",
            expected=wanted,
            actual=answer.final_url,
            remedy="see what answers there; correct `final_url` in the plan only if it is the application itself",
        )
    age = answer.headers.get("age", "").strip()
    marks = f"{answer.headers.get('x-cache', '')} {answer.headers.get('cache-status', '')}"
    old = age.isascii() and age.isdigit() and age.strip("0") != ""
    if old or "hit" in marks.lower():
        yield warned(
            "a cache answers instead of the application",
            expected="an answer of this moment",
            actual=f"{age} s old" if old else f"marked {_excerpt(marks.strip())}",
            remedy=instance.fill("name a health path of {app} that no cache keeps, or the instance's own address"),
        )


def _latency(instance: _Instance, answer: HttpAnswer) -> Judgement:
    limit = instance.endpoint.max_latency.total_seconds()
    taken = f"{answer.latency_seconds:.2f} s"
    if answer.latency_seconds <= limit:
        return passed(f"answers in {taken}")
    return failed(
        f"answers in {taken}, slower than allowed",
        expected=f"the whole answer within {limit:g} s",
        actual=taken,
        remedy=instance.fill("have {app} on {host} looked at: load, its database, its connection pool"),
        quantity=Quantity(answer.latency_seconds, "s"),
    )


def _body(instance: _Instance, answer: HttpAnswer) -> Iterator[Judgement]:
    endpoint = instance.endpoint
    if answer.body_bytes < endpoint.min_bytes and not answer.location:  # nobody reads the body of a redirect
        yield failed(
            "the body is too short",
            expected=f"at least {endpoint.min_bytes} bytes",
            actual=f"{answer.body_bytes} bytes: {_excerpt(answer.body)}",
            remedy=f"see why {instance.application.id} answers so little; a proxy may answer for it",
        )
    if endpoint.text and endpoint.text not in answer.body:
        yield failed(
            "the body lacks the text that shows health",
            expected=_excerpt(endpoint.text),
            actual=_excerpt(answer.body),
            remedy=instance.fill("have {app} on {host} looked at: another page, or a sick application, answers"),
        )
    elif endpoint.text:
        yield passed(f"says {_excerpt(endpoint.text)}")
    if not endpoint.json and not endpoint.version:
        return
    try:
        value = parse_json(answer.body)
    except BodyError as error:
        kind = answer.headers.get("content-type", "no content type")
        yield failed(
            f"the body cannot be relied on: {error}",
            expected="one JSON value, each key once",
            actual=f"{kind}: {_excerpt(answer.body)}",
            remedy=f"see what answers at {answer.final_url}; have {instance.application.id} answer in sound JSON",
        )
        return
    yield from _values(instance, value)
    yield from _components(instance, value)


def _values(instance: _Instance, body: JsonValue) -> Iterator[Judgement]:
    application, endpoint = instance.application, instance.endpoint
    if endpoint.version:
        yield _value(instance, body, endpoint.version, application.from_, is_version=True)
    for path, wanted in endpoint.json.items():
        if path == endpoint.version and wanted == application.from_:
            continue  # the very same comparison
        yield _value(instance, body, path, wanted, is_version=str(wanted) == application.from_)


def _value(
    instance: _Instance, body: JsonValue, path: str, wanted: str | float | bool, *, is_version: bool
) -> Judgement:
    """One value of the body against the one wanted."""
    expected = f"{path} is {json.dumps(wanted)}"
    try:
        seen = value_at(body, path)
    except BodyError as error:
        return failed(
            f"the answer has no {path}",
            expected=expected,
            actual=str(error),
            remedy=f"correct the path {path} in the plan, or have {instance.application.id} show it to this machine",
        )
    if equals(seen, wanted):
        return passed(f"version {wanted}" if is_version else f"{path} {shown(seen)}")
    summary = actual = f"{path} is {shown(seen)}"
    remedy = "have {app} on {host} looked at before the window: it says itself what is wrong"
    if is_version:
        actual = f"version {shown(seen)}"
    if is_version and equals(seen, instance.application.to):
        summary = f"runs {instance.application.to} already, the version the window is to bring"
        remedy = "stop and ask the {owner} who deployed {app} on {host}; the way back to {old} is not what was planned"
    elif is_version:
        summary = f"runs version {shown(seen)}, not {instance.application.from_}"
        remedy = "have {app} on {host} brought to {old}, or correct `from` in the plan and rehearse the way back to it"
    return failed(summary, expected=expected, actual=actual, remedy=instance.fill(remedy))


def _components(instance: _Instance, body: JsonValue) -> Iterator[Judgement]:
    """Parts that are not UP under a whole that says UP: Spring Boot leaves statuses it does not know out of account."""
    if not isinstance(body, dict) or body.get("status") != "UP":
        return
    parts = [(path, status) for path, status in component_statuses(body) if path not in instance.endpoint.json]
    for path, status in [part for part in parts if part[1] != "UP"][:_MOST_COMPONENTS]:
        seen = f"{path} is {shown(status)}"
        yield Judgement(
            status=Status.FAIL if status in _DOWN else Status.WARN,
            summary=f"{seen}, although the whole says UP",
            expected=f'{path} is "UP"',
            actual=seen,
            remedy=instance.fill("have this part of {app} on {host} looked at before the window"),
        )


def _excerpt(body: str) -> str:
    """The beginning of a text, quoted, control characters escaped."""
    text = body if len(body) <= _LONGEST_EXCERPT else f"{body[:_LONGEST_EXCERPT]}..."
    return json.dumps(text, ensure_ascii=False) if body else "nothing"
