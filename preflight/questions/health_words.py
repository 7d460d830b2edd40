"""What the body of an answer says of its own health, asked or not: at any depth, in the usual layouts. Pure.

The words are those of Spring Boot (status; parts at the top, in `details` or `components`), MicroProfile Health
(status; `outcome` and `state` in 1.0), ASP.NET Core, draft-inadarei-api-health-check, Consul, django-health-check,
gRPC, and what is written by hand. As JSON, as lines `name: word`, as Kubernetes' `[-]name failed`, as `<status>` in
XML, or as one word."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from preflight.plan.limits import OF_THE_WHOLE, YES_OR_NO
from preflight.questions.json_body import BodyError, JsonValue, Number, names_of, parse_json


class State(Enum):
    WELL = "well"
    IMPAIRED = "impaired"
    ILL = "ill"
    UNCLEAR = "unclear"
    """It does not know, or says it in a word of its own."""
    OLD = "old"
    """When it was looked at, which is too long ago."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WELL = _set(
    "up ok okay pass passing passed healthy working green alive available ready running live success successful "
    "operational serving online connected good active started true yes"
)
_IMPAIRED = _set(
    "warn warning degraded yellow partial partially_available limited circuit_open circuit_half_open paused suspended"
)
_ALWAYS_ILL = _set(
    "down out_of_service unhealthy unavailable unreachable connection_refused connection_lost shutting_down broken"
)
"""Under whatever name they stand."""
_ILL_PART = _ALWAYS_ILL | _set(
    "fail failed failing failure error critical fatal timeout dead offline disconnected unexpected_result "
    "unknown_error ko nok err refused unresponsive crashed faulty stalled stuck halted expired"
)
"""Under whatever name they stand, beside other parts that are well."""
_ILL = _ILL_PART | _set(
    "false no red stopped stopping maintenance impaired outage sick bad lost inactive read_only readonly"
)
"""Under a name of health."""
_UNSURE = _set("unknown starting initializing pending")
_KEYS = YES_OR_NO | OF_THE_WHOLE | _set("status_code statuscode mode")
_KEY_ENDS = ("status", "health", "healthcheck", "health_check", "health-check")
_YES_OR_NO_OF_A_PART = re.compile(
    r"(?:.*[_.-]|.*(?=[A-Z])|is)?(?i:healthy|ok|alive|ready|reachable|connected|valid|quorum"
    r"|accepting|acceptingTraffic|inRotation|inService)"
)
"""Names that say it of a part, or of the whole: `isHealthy`, `db_ok`."""
_USUAL_PARTS = _set("db database postgres postgresql mysql mongo mongodb redis rabbitmq kafka ldap")
"""What is false under such a name is ill."""
_UP = re.compile(r"(?:(.*)[_.-])?up|(.*[a-z0-9])Up")
"""`dbUp`, and Prometheus' `app_up 0`: of what it says it."""
_AT_HAND = re.compile(r"(.*?)[_.-]?(?i:available|connection)")
"""The same where it is a part that is usual: `db_available`; `update_available` says nothing of health."""
_IS_UP = _USUAL_PARTS | _set("is app application service server backend api pg cache queue broker mq smtp mail search")
_NOT_OF_HEALTH = _set("sign set back pop clean start warm wake follow pick look build mark roll speed scale top log")
"""`signUp` and its like name something else."""
_OF_A_BREAKER = re.compile(r"circuit|breaker", re.IGNORECASE)
_TELLS = _set("message msg reason detail")
"""What a text under these says in a sentence counts, too."""
_HOLDS_WHY = _set("unhealthy failing failed failures errors error exception problems")
"""A text under these says what is wrong, unless it says that nothing is."""
_HOLDS_ILL = _HOLDS_WHY | _set(
    "degraded draining shutting_down shuttingdown maintenance maintenance_mode maintenancemode read_only readonly "
    "out_of_service outofservice shutdown suspended drain drained"
)
"""What is true, or names anything, under these is ill."""
_TRUE = _set("true yes on 1")
_NOUGHT = _set("false no 0 0.0")
_NOTHING_WRONG = _set("off null nil n/a disabled")
_COUNT = re.compile(r"[\d.]+ ?\w{0,3}|none|no|false", re.IGNORECASE)
"""After a word, what makes it a number of something or a limit: `error: 0`, `timeout: 30 s`."""
_PARTS = _set("components checks entries results services dependencies")
"""What holds parts, each with its status: a word of somebody's own there is one of health."""
_HOLDS_ENTRIES = _set("components checks services dependencies")
"""Those that may hold a word for each part: `"checks": {"db": false}`."""
_ILL_IN_CAPITALS = re.compile(r"([^\s:=]{1,60}?)(?:[ \t,]|\.\.+)+(DOWN|FAIL|FAILED|ERROR|KO)")
"""A line of two words: `db ... FAIL`."""
_SAMPLE = re.compile(r"([\w:]{1,80})(?:\{[^{}]*\})?\s+(0(?:\.0+)?)(?:\s+\d+)?")
"""A nought among Prometheus' metrics."""
_PAIR = re.compile(r"([\w ./-]{1,60}?)(?:\s*[:=]\s*|\s+-+\s+)(.{1,60}).*")
_ELEMENT = re.compile(r"<([\w:-]{1,40})(?:\s[^<>]{0,200})?>([^<>]{1,60})</\1>")
_ATTRIBUTE = re.compile(r"\s([\w:-]{1,40})\s?=\s?[\"']([^<>\"']{1,40})[\"']")
_DENIED = re.compile(
    r"(?:\b(?:not|no longer|non|never)|n't)[ _-](?:(?:yet|currently|fully|quite) )?"
    r"(?:healthy|ok|okay|ready|available|operational|alive|serving|working|reachable|responding)\b|\bun-?healthy\b|\bunavailable\b"
    r"|(?-i:^\W{0,3}(?:ERROR|CRITICAL|FATAL|FAIL|FAILED|DOWN)\b(?! *[:=\d]))"
    r"|\bdown for\b|\b(?:is|are) (?:down|failing)\b"
    r"|\bconnection (?:failed|refused|lost|timed out)\b|\bunreachable\b"
    r"|\b(?:cannot|could not|failed to|unable to) connect\b",
    re.IGNORECASE,
)
_LONGEST_LINE = 200
_LOOKED_AT = frozenset({"lastchecked", "lastcheck", "checkedat", "last_checked", "last_check", "checked_at"})


@dataclass(frozen=True, slots=True)
class Word:
    """A word of health, and where it stands."""

    path: str
    """Dotted, as `value_at` reads it; empty for a text that is nothing else."""
    text: str
    state: State


def words_of(body: str, since: datetime | None = None) -> Iterator[Word]:
    """What the body says of its health, the whole and each part; and each part that was looked at before `since`."""
    try:
        value = parse_json(body)
        yield from _in_value(value, ())
        yield from _old_readings(value, since) if since else ()
    except BodyError:
        yield from _in_text(body)


def _old_readings(value: JsonValue, since: datetime, path: tuple[str, ...] = ()) -> Iterator[Word]:
    """By `time` of draft-inadarei-api-health-check, section 4: when a value below `checks` was read, which may be
    kept since; by `timestamp` of the whole answer, and by what says everywhere when a part was looked at."""
    fields = dict(zip(names_of(value), value, strict=True)) if isinstance(value, list) else value
    for key, each in fields.items() if isinstance(fields, dict) else ():
        here = (*path, key)
        yield from _old_readings(each, since, here) if isinstance(each, dict | list) else ()
        of_layout = key == "time" and len(here) == 4 and path[0] == "checks"
        if isinstance(each, str) and (of_layout or here == ("timestamp",) or key.lower() in _LOOKED_AT):
            with suppress(ValueError, TypeError):  # no such time, or one without an offset
                if datetime.fromisoformat(each) < since:
                    yield Word(".".join(here), each, State.OLD)


def _in_value(value: JsonValue, path: tuple[str, ...], says_it: bool = False) -> Iterator[Word]:
    """`says_it`: what it stands in says already that it is ill."""
    if isinstance(value, list):
        fields = dict(zip(names_of(value), value, strict=True))
    elif isinstance(value, dict):
        fields = value
    else:
        yield from _word("", value, path)
        return
    beside_well = any(
        _normal(each) in _WELL for key, each in fields.items() if isinstance(each, str) and not _is_key(key, path)
    )
    words = {key: each for key, each in fields.items() if not isinstance(each, dict | list)}
    states = {_state(key, each, path, False) for key, each in words.items()}
    says_it, says_well = says_it or State.ILL in states, State.WELL in states
    for key, part in fields.items():
        is_true = part is True or (isinstance(part, str) and _normal(part) in _TRUE)
        if key.lower() in _HOLDS_ILL and (is_true or (part and isinstance(part, list))):
            yield Word(".".join((*path, key)), "true" if is_true else "not empty", State.ILL)
        elif key.lower() in _HOLDS_WHY and not says_it and _says_why(part):
            yield Word(".".join((*path, key)), part if isinstance(part, str) else "not empty", State.ILL)
        elif key.lower() in _TELLS and not says_it and isinstance(part, str) and _DENIED.search(part):
            yield Word(".".join((*path, key)), part, State.UNCLEAR if says_well else State.ILL)
        elif isinstance(part, dict | list):
            yield from _in_value(part, (*path, key), says_it)
        else:
            yield from _word(key, part, path, beside_well)


def _in_text(body: str) -> Iterator[Word]:
    if body.lstrip().startswith("<"):
        for name, text in _ELEMENT.findall(body) + _ATTRIBUTE.findall(body):
            if _is_key(name):
                yield from _word(name, text.strip(), _NOT_JSON)
        return
    lines = [each for line in body.splitlines() for each in _pieces(line.strip()[:_LONGEST_LINE])]
    pairs = [(found[1], found[2]) for found in map(_PAIR.fullmatch, lines) if found]
    for line in lines:
        if line.startswith("[-]"):
            yield Word(line[3:].split(" ")[0], "failed", State.ILL)
        elif _DENIED.search(line):
            yield Word("", line, State.ILL)
        elif found := _ILL_IN_CAPITALS.fullmatch(line):
            yield Word(found[1], found[2], State.ILL)
        elif not _PAIR.fullmatch(line):
            yield from _word("", line, _NOT_JSON)
    for name, nought in (found.groups() for found in map(_SAMPLE.fullmatch, lines) if found):
        yield from _word(name, Number(nought), _NOT_JSON) if _UP.fullmatch(name) else ()
    beside_well = any(_normal(text) in _WELL for name, text in pairs if not _is_key(name))
    for name, text in pairs:
        yield from _word(name, text, _NOT_JSON, beside_well)
        if not _COUNT.fullmatch(text):  # `CRITICAL - db refused`, as monitoring plugins begin
            yield from _word("", name, _NOT_JSON)


def _pieces(line: str) -> list[str]:
    """The pairs of `status=UP;db=DOWN`, or the line itself."""
    for pieces in (re.split(r"\s*[;,|&]\s*", line.rstrip(";,")), line.split()):
        if len(pieces) > 1 and all(map(_PAIR.fullmatch, pieces)):
            return pieces
    return [line]


_NOT_JSON = ("",)
"""In place of a path, for a text that is no JSON: a word that is not known here says nothing of health there."""


def _word(key: str, value: JsonValue, path: tuple[str, ...], beside_well: bool = False) -> Iterator[Word]:
    """A value, if it says something of health. `beside_well`: so does a word for well, under another such name."""
    state = _state(key, value, path, beside_well)
    if state is not None:
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        yield Word(".".join(part for part in (*path, key) if part), shown, state)


def _state(key: str, value: JsonValue, path: tuple[str, ...], beside_well: bool) -> State | None:
    is_key = not key or _is_key(key, path)
    if value is False or _normal(value) in _NOUGHT:
        found = _is_not_up(key)
        if found is not None:
            return found
    if value is None or isinstance(value, Number):
        is_no = value == "0" and key.lower() in YES_OR_NO
        is_code = is_key or (not path and key.lower() == "code")
        return State.ILL if is_no or (is_code and re.fullmatch(r"[45]\d\d", str(value))) else None
    word = _normal(value)
    if word in ("open", "half_open") and any(map(_OF_A_BREAKER.search, (*path, key))):
        return State.IMPAIRED
    denies = word.startswith("not_") and word.removeprefix("not_") in _WELL
    is_entry = bool(path) and path[-1].lower() in _HOLDS_ENTRIES
    if value is False and (key.lower() in _USUAL_PARTS or _YES_OR_NO_OF_A_PART.fullmatch(key)):
        return State.ILL
    if not is_key and not is_entry:
        is_part = beside_well or key.lower() in _USUAL_PARTS
        return State.ILL if word in (_ILL_PART if is_part else _ALWAYS_ILL) or denies else None
    if word in _WELL or word in _IMPAIRED:
        return State.WELL if word in _WELL else State.IMPAIRED
    if word in _ILL or denies:
        return State.ILL
    is_whole = not path and key.lower() in OF_THE_WHOLE
    is_part = key.lower() == "status" and len(path) > 1 and (path[-2].lower() in _PARTS or path[:-1] == ("details",))
    return State.UNCLEAR if is_whole or is_part or (word in _UNSURE and path != _NOT_JSON) else None


def _is_not_up(name: str) -> State | None:
    """What it says that this is false."""
    part = _AT_HAND.fullmatch(name)
    if part and part[1].lower() in _IS_UP - {"is"}:
        return State.ILL
    found = _UP.fullmatch(name)
    of = (found[1] or found[2] or "app").lower() if found else ""
    if not of or re.split(r"[_.-]", of)[-1] in _NOT_OF_HEALTH:
        return None
    return State.ILL if of in _IS_UP else State.UNCLEAR


def _says_why(part: JsonValue) -> bool:
    """A text of what is wrong, or one within."""
    if isinstance(part, dict):
        return any(map(_says_why, part.values()))
    word = _normal(part) if isinstance(part, str) else ""
    return bool(word) and word not in _WELL | _NOTHING_WRONG and not _COUNT.fullmatch(str(part))


def _is_key(name: str, path: tuple[str, ...] = ()) -> bool:
    lower = name.lower()
    below = bool(path) and (lower in ("code", "value") or lower.isdigit()) and _is_key(path[-1])
    return below or lower in _KEYS or lower.endswith(_KEY_ENDS)


def _normal(value: object) -> str:
    """`OUT-OF SERVICE` -> `out_of_service`; of `unavailable: no route`, what stands before the colon."""
    return re.sub(r"[\s_-]+", "_", str(value).partition(":")[0].strip(" .!").lower())
