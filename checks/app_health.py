"""app-health: every instance answers, healthy, in time, in the version that is to be replaced, or that replaced it."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from urllib.parse import urlsplit

from preflight.check import ANY_STATE, Check, Expect, Probes, Subject
from preflight.finding import Judgement, Quantity, Status, failed, passed, unknown, warned
from preflight.judging.cures import cure_of
from preflight.judging.ends import End, TimeOfNeed, certificate_ends
from preflight.plan import Application, Endpoint
from preflight.plan.applications import FORBIDDEN, UNAUTHORIZED
from preflight.plan.limits import part_of_answer
from preflight.plan.release_plan import grouped
from preflight.probe import NoReply, Via
from preflight.questions import http
from preflight.questions.certificates import Certificate
from preflight.questions.health_words import State, Word, words_of
from preflight.questions.http import HttpAnswer, Samples
from preflight.questions.http_secrets import secret_headers
from preflight.questions.json_body import BodyError, JsonValue, equals, parse_json, place_of, shown, value_at
from preflight.reasons import LOOK_AT_OUR_CLOCK, Reason, Side
from preflight.units import format_duration
from preflight.wording import beside, in_toml, shortened

_LONGEST_SECONDS = 3600.0
_LONGEST_EXCERPT = 120
_MOST_WORDS = 10
_WITHOUT_BODY = (204, 304)
"""By RFC 9110."""


@dataclass(frozen=True, slots=True)
class _Instance:
    """One endpoint and the application it belongs to."""

    application: Application
    endpoint: Endpoint
    fresh: timedelta
    """How old what it says of a part may be."""
    expect: Expect | None = None
    """See `Check.expect`."""

    @property
    def version(self) -> str:
        """The one that must answer."""
        return self.application.to if self.expect is Expect.AFTER else self.application.from_

    @property
    def fields(self) -> dict[str, object]:
        """The names that a remedy may hold."""
        request = http.HttpRequest(self.endpoint.url)
        return {
            "app": self.application.id,
            "owner": self.application.owner or "application's owner",
            "old": self.application.from_,
            "version": self.version,
            "host": request.host,
            "port": request.port,
            "name": self.endpoint.server_name or request.host,
        }

    def fill(self, remedy: str) -> str:
        """A remedy with the names of this instance in it."""
        return remedy.format(**self.fields)


class AppHealth(Check):
    """Does every instance of every application answer now, healthy, as the version the plan replaces?

    An application that is up but is the wrong version, or a login page, a cache or a neighbour that answers for it,
    makes the window's first hour a search (e). So every address that the name of an endpoint stands for is asked, three
    times at least 1 s apart, without proxies; an address of a family for which this machine has no route is left out.
    Two names that lead to one machine are told apart by the `identity` of each endpoint alone. Every part of each
    answer is compared exactly: status, values in a JSON body by path, words of a text, time to the last byte, final
    URL. Answers that differ in status or version fail. What the body itself says of its health counts, of the whole and
    of each part at any depth, asked or not; a part that may be down is named with its value, or stands in `ignore`. A
    number that counts failures says nothing by itself: name the right one in `json`. A part that was looked at longer
    ago than `health` in `[freshness]`, by `time` of IETF's health+json or `lastChecked`, is UNKNOWN, and so is a whole
    answer by its `timestamp`. A redirect is not followed unless the plan says so, and then only on the same host. The
    certificate and those above it, up to the root, must outlive the window and its rollback, and so must a client
    certificate; whether one was revoked is not looked at. A secret that was refused is not shown again, at whichever
    endpoint. What answers wrongly fails; what cannot be reached from here is UNKNOWN, and so is an application that a
    cache answers for, or whose answers are dated more than a minute off this machine's clock. Once the work is done,
    `preflight verify` asks for `to` instead.
    """

    @dataclass(frozen=True, slots=True)
    class Settings:
        warn_before: timedelta = timedelta(days=7)
        """A certificate that ends this soon after it is last needed is worth a warning."""

    id = "app-health"
    title = "the application answers, healthy, in the version expected"
    verifies = ANY_STATE
    sections = ("applications",)
    needs = "GETs of each health URL from where preflight runs, with the login that its endpoint names"
    cure = "bring the application back in the version the plan replaces, renew the certificate, or correct the plan"
    judges_no_reply = frozenset({"answer"})

    def subjects(self) -> Sequence[Subject]:
        subjects = []
        seen: Counter[str] = Counter()
        for application in self.plan.applications.values():
            for endpoint in application.health:
                name = f"{application.id} {endpoint.url}"
                seen[name] += 1
                again = f" ({seen[name]})" if seen[name] > 1 else ""
                item = _Instance(application, endpoint, self.plan.freshness.health, self.expect)
                subjects.append(Subject(name + again, item, application.owner))
        return subjects

    def probes(self, subject: Subject) -> Probes:
        instance: _Instance = subject.item
        endpoint = instance.endpoint
        files = (endpoint.ca, endpoint.client_cert, endpoint.client_key)
        ca, *client = ("" if file is None else beside(self.plan.folder, file) for file in files)
        request = http.HttpRequest(
            endpoint.url,
            endpoint.server_name,
            ca,
            endpoint.follow_redirects,
            min(max(http.DEFAULT_SECONDS, 2 * endpoint.max_latency.total_seconds()), _LONGEST_SECONDS),
            endpoint.samples,
            secret_headers(endpoint),
            *client,
        )
        return {"answer": http.HttpGet(instance.application.id, request)}

    def judge(self, subject: Subject, *, answer: Samples | NoReply) -> Judgement:
        instance: _Instance = subject.item
        if isinstance(answer, NoReply):
            return self._no_answer(instance, answer)
        points = [self._no_answer(instance, lost, answer.answers) for lost in answer.lost]
        live: list[HttpAnswer] = []
        for address, given in _by_address(answer.answers).items():
            mark = http.cache_mark(given)
            points += [_cached(instance, address, mark)] if mark else _clocks(instance, address, given)
            live += [] if mark else given
        points += _each_once(answer.answers, partial(self._certificate, instance))
        points += _agreement(instance, live)
        points += _each_once(live, partial(_answer, instance))
        if right := [seen for seen in live if seen.status == instance.endpoint.status]:
            points.append(_latency(instance, right))
        points += [passed(f"{address} is not asked: no route to its kind") for address in answer.left_out]
        return Judgement.of(dict.fromkeys(points))

    def _no_answer(self, instance: _Instance, lost: NoReply, answers: Sequence[HttpAnswer] = ()) -> Judgement:
        cure = cure_of(self.plan, Via.HTTP, instance.application.id, lost, **instance.fields)
        need, certificate = TimeOfNeed.of(self), Certificate.in_session(lost.session)
        events = tuple(end.event for end in _ends(instance, certificate)) if certificate else ()
        # Where another address of its kind answers, silence is no matter of the way from here.
        is_ipv6 = lost.session.get("address", "").startswith("[")
        alike = [each for each in answers if each.address.startswith("[") is is_ipv6]
        found = unknown(f"could not look: {lost.reason}", actual=lost.detail, remedy=cure)
        if lost.reason.side is Side.FAR_END or (alike and lost.reason is Reason.NO_ANSWER):
            told = f"; {certificate}, ends {need.told(certificate.not_after)}" if certificate else ""
            found = failed(
                f"no answer that counts: {lost.reason}",
                expected=f"status {instance.endpoint.status} from {instance.endpoint.url}",
                actual=lost.detail + told,
                remedy=cure,
            )
        return replace(found, events=events)

    def _certificate(self, instance: _Instance, answer: HttpAnswer) -> Iterator[Judgement]:
        if not answer.final_url.startswith("https:"):
            return
        certificate = answer.certificate
        if certificate is None or not certificate.verified:
            cure = "look by hand: openssl s_client -connect {host}:{port} -servername {name} </dev/null"
            yield unknown("the certificate was not seen", remedy=instance.fill(cure))
            return
        need = TimeOfNeed.of(self)
        yield from need.judge_together(_ends(instance, certificate))
        if answer.client_certificate:
            owner = f"{instance.application.id}'s health page"
            remedy = instance.fill("have the client certificate for {app} issued anew before the window")
            own = certificate_ends(answer.client_certificate, owner, remedy, "client certificate")
            yield from need.judge_together(own)


def _ends(instance: _Instance, certificate: Certificate) -> list[End]:
    server = f"{instance.application.id} at {urlsplit(instance.endpoint.url).netloc}"
    remedy = instance.fill("have the certificate of {host} renewed before the window")
    return certificate_ends(certificate, server, remedy)


def _by_address(answers: Sequence[HttpAnswer]) -> Mapping[str, Sequence[HttpAnswer]]:
    """In the order in which they were asked."""
    return grouped(sorted(answers, key=lambda each: (each.address, each.asked_at)), lambda each: each.address)


def _cached(instance: _Instance, address: str, mark: str) -> Judgement:
    clock = "; where only its clock is wrong, as `samples = 3` would tell, have that set"
    return unknown(
        f"a cache answers from {address}: the application was not seen",
        expected="an answer of this moment",
        actual=shortened(mark, _LONGEST_EXCERPT),
        remedy=instance.fill("name a health path of {app} that no cache keeps, or the instance's own address")
        + (clock if mark.startswith("dated") else ""),
    )


def _clocks(instance: _Instance, address: str, answers: Sequence[HttpAnswer]) -> Iterator[Judgement]:
    """A plan of applications alone has no other witness of this machine's clock, by which every time is judged."""
    offset, asked_at = http.clock_offset(answers), answers[0].asked_at
    if offset:
        said = f"{format_duration(abs(offset))} {'behind' if offset < timedelta() else 'ahead of'} this machine's clock"
        cure = f"{LOOK_AT_OUR_CLOCK}; where it is right, have the clock of {{host}} set from a time server"
        yield unknown(
            f"the clock of {address} is {said}: one of the two is wrong",
            expected="an answer dated as this machine's clock says",
            actual=f"asked {asked_at:%Y-%m-%d %H:%M:%S} UTC, dated about {asked_at + offset:%Y-%m-%d %H:%M:%S} UTC",
            remedy=instance.fill(cure),
        )


def _agreement(instance: _Instance, answers: Sequence[HttpAnswer]) -> Iterator[Judgement]:
    """A failure when the answers are not alike: not all instances behind the name are well, or one is not always."""
    if len({_told(instance, each) for each in answers}) > 1:
        places = _by_address(answers)
        told = [f"{address}: {', '.join(_told(instance, each) for each in given)}" for address, given in places.items()]
        cure = "have each instance of {app} behind {name} looked at; name each in the plan to see which"
        alike = "the same status and version from every address, each time"
        yield failed("the answers differ", expected=alike, actual="; ".join(told), remedy=instance.fill(cure))


def _told(instance: _Instance, answer: HttpAnswer) -> str:
    if not instance.endpoint.version or answer.status != instance.endpoint.status:
        return str(answer.status)
    try:
        version = value_at(parse_json(answer.body), instance.endpoint.version)
        return f"{answer.status} version {version if isinstance(version, str) else shown(version)}"
    except BodyError:
        return f"{answer.status} without a version"


def _each_once(given: Sequence[HttpAnswer], judge: Callable[[HttpAnswer], Iterable[Judgement]]) -> Iterator[Judgement]:
    """What is judged of each, once; of what is not well at every address, at which it is."""
    places: dict[Judgement, dict[str, None]] = {}
    for answer in given:
        for point in judge(answer):
            places.setdefault(point, {})[answer.address] = None
    every = {answer.address for answer in given}
    for point, addresses in places.items():
        is_everywhere = point.status is Status.PASS or len(addresses) == len(every)
        yield point if is_everywhere else replace(point, summary=f"{point.summary}: {', '.join(addresses)}")


def _answer(instance: _Instance, answer: HttpAnswer) -> Iterator[Judgement]:
    yield from _status(instance, answer)
    if answer.status == instance.endpoint.status:
        yield from _final_url(instance, answer)
        yield from _body(instance, answer)
    yield from _words(instance, answer)


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
        summary = f"status {answer.status} instead of {wanted}"
        cure = "correct the URL in the plan, or ask the {owner} why {app} does not answer there"
        if answer.status in (UNAUTHORIZED, FORBIDDEN):
            summary, cure = _refused(instance, answer)
        elif answer.status >= 500:
            cure = "have {app} on {host} looked at before the window: it says itself that it is not well"
        seen = f"{answer.status}: {_excerpt(answer.body)}"
        yield failed(summary, expected=f"status {wanted}", actual=seen, remedy=instance.fill(cure))


def _refused(instance: _Instance, answer: HttpAnswer) -> tuple[str, str]:
    """(That whoever asks may not see the page, the cure.)"""
    headers = secret_headers(instance.endpoint)
    if not headers and instance.endpoint.client_cert is None:
        cure = "name at the endpoint who may read it (`bearer`, `basic` or `headers`), or a health path that is open"
        return f"status {answer.status}: the page is not for everybody", cure
    shown = ", ".join(f"{each.what} from {each.secret}" for each in headers) or "client certificate"
    refuses, act = "may not read the page with", "let {app} be read with"
    if answer.status == UNAUTHORIZED:
        refuses, act = "does not accept", "confirm"
    return f"status {answer.status}: {refuses} the {shown}", f"have the {{owner}} {act} the {shown}"


def _final_url(instance: _Instance, answer: HttpAnswer) -> Iterator[Judgement]:
    wanted = instance.endpoint.final_url
    if wanted and answer.final_url != wanted:
        remedy = "see what answers there; correct `final_url` in the plan only if it is the application itself"
        yield failed("the redirects end at another URL", expected=wanted, actual=answer.final_url, remedy=remedy)


def _latency(instance: _Instance, answers: Sequence[HttpAnswer]) -> Judgement:
    limit = instance.endpoint.max_latency.total_seconds()
    seconds = max(each.latency_seconds for each in answers)
    taken = f"{seconds:.2f} s"
    if seconds <= limit:
        return passed(f"answers in {taken}")
    return failed(
        f"answers in {taken}, slower than allowed",
        expected=f"the whole answer within {limit:g} s",
        actual=taken,
        remedy=instance.fill("have {app} on {host} looked at: load, its database, its connection pool"),
        quantity=Quantity(seconds, "s"),
    )


def _body(instance: _Instance, answer: HttpAnswer) -> Iterator[Judgement]:
    endpoint = instance.endpoint
    has_none = answer.location or answer.status in _WITHOUT_BODY  # nobody reads the body of a redirect
    if answer.body_bytes < endpoint.min_bytes and not has_none:
        yield failed(
            "the body is too short",
            expected=f"at least {endpoint.min_bytes} bytes",
            actual=f"{answer.body_bytes} bytes: {_excerpt(answer.body)}",
            remedy=f"see why {instance.application.id} answers so little; a proxy may answer for it",
        )
    if endpoint.text and not _has_words(answer.body, endpoint.text):
        yield failed(
            "the body lacks the text that shows health",
            expected=_excerpt(endpoint.text),
            actual=_excerpt(answer.body),
            remedy=instance.fill("have {app} on {host} looked at: another page, or a sick application, answers"),
        )
    elif endpoint.text:
        yield passed(f"says {_excerpt(endpoint.text)}")
    is_json = answer.body.lstrip().startswith("{") or "json" in answer.headers.get("content-type", "")
    if not (is_json or endpoint.json or endpoint.version or endpoint.identity):
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


def _has_words(body: str, words: str) -> bool:
    """Whole, and not denied."""
    begin, end = (r"\b" if re.match(r"\w", each) else "" for each in (words, words[::-1]))
    return re.search(rf"(?<!\bnot )(?<!\bNOT ){begin}{re.escape(words)}{end}", body) is not None


def _values(instance: _Instance, body: JsonValue) -> Iterator[Judgement]:
    endpoint = instance.endpoint
    if endpoint.version:
        yield _value(instance, body, endpoint.version, instance.version, is_version=True)
    yield from (_identity(instance, body, path, wanted) for path, wanted in endpoint.identity.items())
    for path, wanted in endpoint.json.items():
        if path == endpoint.version and wanted == instance.application.from_:
            continue  # the very same comparison
        is_version = str(wanted) == instance.application.from_
        if instance.expect and is_version and not endpoint.version:  # the one before the work
            yield _value(instance, body, path, _alike(wanted, instance.version), is_version=True)
        else:
            yield _value(instance, body, path, wanted, is_version=is_version and not instance.expect)


def _alike(wanted: str | float | bool, version: str) -> str | float:
    """The version, as a number where the plan wants one."""
    with suppress(ValueError):
        return version if isinstance(wanted, str) else float(version)
    return version


def _identity(instance: _Instance, body: JsonValue, path: str, wanted: str | float | bool) -> Judgement:
    """Whether it is the application at all that answers."""
    judged = _value(instance, body, path, wanted, is_version=False)
    if judged.status is Status.PASS:
        return judged
    cure = "correct the URL in the plan, or have the {owner} see what answers for {app} on {host} port {port}"
    summary = f"another application answers: {judged.summary}"
    return replace(judged, summary=summary, remedy=instance.fill(cure), waivable=False)


def _value(
    instance: _Instance, body: JsonValue, path: str, wanted: str | float | bool, *, is_version: bool
) -> Judgement:
    expected = f"{path} is {json.dumps(wanted)}"
    try:
        seen = value_at(body, path)
    except BodyError as error:
        remedy = f"correct the path {path} in the plan, or have {instance.application.id} show it to this machine"
        return failed(f"the answer has no {path}", expected=expected, actual=str(error), remedy=remedy)
    if equals(seen, wanted):
        return passed(f"version {wanted}" if is_version else f"{path} {shown(seen)}")
    summary = actual = f"{path} is {shown(seen)}"
    remedy = "have {app} on {host} looked at before the window; correct `json` in the plan if it is well so"
    if is_version:
        actual = f"version {shown(seen)}"
    if is_version and instance.expect is not None:
        summary = f"runs version {shown(seen)}, not {instance.version}"
        remedy = "have the {owner} bring {app} on {host} to {version}, or tell why it is not there"
    elif is_version and equals(seen, instance.application.to):
        summary = f"runs {instance.application.to} already, the version the window is to bring"
        remedy = "stop and ask the {owner} who deployed {app} on {host}; the way back to {old} is not what was planned"
    elif is_version:
        summary = f"runs version {shown(seen)}, not {instance.application.from_}"
        remedy = "have {app} on {host} brought to {old}, or correct `from` in the plan and rehearse the way back to it"
    return failed(summary, expected=expected, actual=actual, remedy=instance.fill(remedy))


def _words(instance: _Instance, answer: HttpAnswer) -> Iterator[Judgement]:
    """What the answer itself says of health, besides what the plan names."""
    found = list(words_of(answer.body, answer.asked_at - instance.fresh))
    well = next((word for word in found if word.state is State.WELL and "." not in word.path), None)
    beside = f", although the answer says {well.path} {json.dumps(well.text)}" if well else ""
    aside = _left_aside(instance.endpoint, answer.body)
    unwell = [word for word in found if word.state is not State.WELL and not aside(word)]
    for word in unwell[:_MOST_WORDS]:
        place = shortened(word.path, _LONGEST_EXCERPT)
        seen = f"{place} is {_excerpt(word.text)}" if place else f"the answer is {_excerpt(word.text)}"
        yield _unwell(instance, word, seen, beside)


def _left_aside(endpoint: Endpoint, body: str) -> Callable[[Word], bool]:
    """Whether the plan names the value of a word, or says that it does not count."""
    try:
        value = parse_json(body)
    except BodyError:
        value = None
    named = {place_of(value, path) for path in (*endpoint.json, *endpoint.identity, endpoint.version) if path}
    ignored = tuple(f"{place_of(value, path)}." for path in endpoint.ignore)
    return lambda word: word.path in named or word.text == endpoint.text or f"{word.path}.".startswith(ignored)


def _unwell(instance: _Instance, word: Word, seen: str, beside: str) -> Judgement:
    expected = f"{word.path or 'an answer'} that is well"
    cure = instance.fill("have this part of {app} on {host} looked at before the window")
    if word.state in (State.ILL, State.IMPAIRED):
        judged = f"{seen}{beside}"
        return (failed if word.state is State.ILL else warned)(judged, expected=expected, actual=seen, remedy=cure)
    if word.state is State.OLD:
        expected = f"a part that was looked at within {format_duration(instance.fresh)} (`health` in [freshness])"
        summary = f"{seen}: so long ago the application itself looked at this part"
        remedy = f"{cure}: its check no longer runs; or, where it need not, put the part into `ignore`"
        return unknown(summary, expected=expected, actual=seen, remedy=remedy)
    entry = in_toml({word.path: word.text})
    aside = "" if part_of_answer(word.path) else ", or its part in `ignore`"
    remedy = f"{cure}; if it is well so, name it at the endpoint: json = {entry}{aside}"
    return unknown(f"{seen}, which tells nothing of health{beside}", expected=expected, actual=seen, remedy=remedy)


def _excerpt(body: str) -> str:
    text = body if len(body) <= _LONGEST_EXCERPT else f"{body[:_LONGEST_EXCERPT]}..."
    return json.dumps(text, ensure_ascii=False) if body else "nothing"
