"""What the body of an answer says: the words and values the plan wants, and the application's own words of health."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

from preflight.finding import Judgement, Status, failed, passed, unknown, warned
from preflight.plan import Endpoint
from preflight.questions.health_words import State, Word, words_of
from preflight.questions.http import HttpAnswer
from preflight.questions.json_body import BodyError, JsonValue, equals, parse_json, shown, value_at
from preflight.wording import in_toml, shortened

from .instance import Instance

LONGEST_EXCERPT = 120
_MOST_WORDS = 10
_WITHOUT_BODY = (204, 304)
"""By RFC 9110."""


def judge_body(instance: Instance, answer: HttpAnswer) -> Iterator[Judgement]:
    endpoint = instance.endpoint
    has_none = answer.location or answer.status in _WITHOUT_BODY  # nobody reads the body of a redirect
    if answer.body_bytes < endpoint.min_bytes and not has_none:
        yield failed(
            "the body is too short",
            expected=f"at least {endpoint.min_bytes} bytes",
            actual=f"{answer.body_bytes} bytes: {excerpt(answer.body)}",
            remedy=f"see why {instance.application.id} answers so little; a proxy may answer for it",
        )
    if endpoint.text and not _has_words(answer.body, endpoint.text):
        yield failed(
            "the body lacks the text that shows health",
            expected=excerpt(endpoint.text),
            actual=excerpt(answer.body),
            remedy=instance.fill("have {app} on {host} looked at: another page, or a sick application, answers"),
        )
    elif endpoint.text:
        yield passed(f"says {excerpt(endpoint.text)}")
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
            actual=f"{kind}: {excerpt(answer.body)}",
            remedy=f"see what answers at {answer.final_url}; have {instance.application.id} answer in sound JSON",
        )
        return
    yield from _values(instance, value)


def _has_words(body: str, words: str) -> bool:
    """Whole, and not denied."""
    begin, end = (r"\b" if re.match(r"\w", each) else "" for each in (words, words[::-1]))
    return re.search(rf"(?<!\bnot )(?<!\bNOT ){begin}{re.escape(words)}{end}", body) is not None


def _values(instance: Instance, body: JsonValue) -> Iterator[Judgement]:
    application, endpoint = instance.application, instance.endpoint
    if endpoint.version:
        yield _value(instance, body, endpoint.version, application.from_, is_version=True)
    for path, wanted in endpoint.identity.items():
        yield _identity(instance, body, path, wanted)
    for path, wanted in endpoint.json.items():
        if path == endpoint.version and wanted == application.from_:
            continue  # the very same comparison
        yield _value(instance, body, path, wanted, is_version=str(wanted) == application.from_)


def _identity(instance: Instance, body: JsonValue, path: str, wanted: str | float | bool) -> Judgement:
    """Whether it is the application at all that answers."""
    judged = _value(instance, body, path, wanted, is_version=False)
    if judged.status is Status.PASS:
        return judged
    cure = "correct the URL in the plan, or have the {owner} see what answers for {app} on {host} port {port}"
    summary = f"another application answers: {judged.summary}"
    return replace(judged, summary=summary, remedy=instance.fill(cure), waivable=False)


def _value(
    instance: Instance, body: JsonValue, path: str, wanted: str | float | bool, *, is_version: bool
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
    remedy = "have {app} on {host} looked at before the window; correct `json` in the plan if it is well so"
    if is_version:
        actual = f"version {shown(seen)}"
    if is_version and equals(seen, instance.application.to):
        summary = f"runs {instance.application.to} already, the version the window is to bring"
        remedy = "stop and ask the {owner} who deployed {app} on {host}; the way back to {old} is not what was planned"
    elif is_version:
        summary = f"runs version {shown(seen)}, not {instance.application.from_}"
        remedy = "have {app} on {host} brought to {old}, or correct `from` in the plan and rehearse the way back to it"
    return failed(summary, expected=expected, actual=actual, remedy=instance.fill(remedy))


def judge_words(instance: Instance, answer: HttpAnswer) -> Iterator[Judgement]:
    """What the answer itself says of health, besides what the plan names."""
    found = list(words_of(answer.body))
    well = next((word for word in found if word.state is State.WELL and "." not in word.path), None)
    beside = f", although the answer says {well.path} {json.dumps(well.text)}" if well else ""
    unwell = [word for word in found if word.state is not State.WELL and not _is_left_aside(instance.endpoint, word)]
    for word in unwell[:_MOST_WORDS]:
        place = shortened(word.path, LONGEST_EXCERPT)
        seen = f"{place} is {excerpt(word.text)}" if place else f"the answer is {excerpt(word.text)}"
        yield _unwell(instance, word, seen, beside)


def _is_left_aside(endpoint: Endpoint, word: Word) -> bool:
    """The plan names its value, or says that it does not count."""
    named = word.path in {*endpoint.json, *endpoint.identity, endpoint.version} or word.text == endpoint.text
    return named or any(f"{word.path}.".startswith(f"{path}.") for path in endpoint.ignore)


def _unwell(instance: Instance, word: Word, seen: str, beside: str) -> Judgement:
    expected = f"{word.path or 'an answer'} that is well"
    cure = instance.fill("have this part of {app} on {host} looked at before the window")
    if word.state is State.ILL:
        return failed(f"{seen}{beside}", expected=expected, actual=seen, remedy=cure)
    if word.state is State.IMPAIRED:
        return warned(f"{seen}{beside}", expected=expected, actual=seen, remedy=cure)
    entry = in_toml({json.dumps(word.path): word.text})
    remedy = f"{cure}; if it is well so, name it at the endpoint: json = {entry}, or its part in `ignore`"
    return unknown(f"{seen}, which tells nothing of health{beside}", expected=expected, actual=seen, remedy=remedy)


def excerpt(body: str) -> str:
    """The beginning of a text, quoted, control characters escaped."""
    text = body if len(body) <= LONGEST_EXCERPT else f"{body[:LONGEST_EXCERPT]}..."
    return json.dumps(text, ensure_ascii=False) if body else "nothing"
