"""GETs of a health endpoint: what is asked, what the answers say, and whether a cache gave them instead of the
application. Pure; `preflight.sessions.http` sends them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Self
from urllib.parse import quote, urlsplit

from preflight.probe import Family, NoReply, Probe, Reply, Unreadable, Via
from preflight.questions.certificates import Certificate
from preflight.questions.http_secrets import SecretHeader
from preflight.record import parse_json, plain, read_record
from preflight.units import format_duration
from preflight.wording import counted

LARGEST_BODY_BYTES = 64 * 1024
DEFAULT_SECONDS = 10.0
SECONDS_APART = 1.0
"""Between the end of one sample and the beginning of the next one of the same address."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNSAFE = re.compile(r"[\s\x00-\x20\x7f]")
_QUOTED_AS_IT_IS = "/?%:@!$&'()*+,;=~-._[]"
_TELLING = ("cache", "cache-status", "cache-remote", "cache-result")
"""How the names of headers end in which a cache says what it did: `X-Cache`, `CF-Cache-Status`, `X-Proxy-Cache`."""
_SERVED = re.compile(r"(?:hit|stale|updating|revalidated|(?<!re)fresh)(?![a-z])", re.IGNORECASE)
_OLD_SECONDS = 60
"""From the date of an answer to its question: two clocks that are kept right never differ by so much."""
_STILL_SECONDS = 1.9
"""After so long, a date that a server writes itself has moved on: it counts seconds, some renew it once a second."""
_SHAPE = re.compile(
    r"GET (\S+)\n(?:server-name: (\S+)\n)?trust: (?:system|file ([^\n]+))\nredirects: (?:refused|(same host))\n"
    r"((?:header [^\n]+\n)*)(?:client certificate: ([^\n]+)\nits key: ([^\n]+)\n)?"
    rf"body: at most {LARGEST_BODY_BYTES} bytes\ntime: at most (\d+(?:\.\d+)?) s\n"
    r"every address of the name: (\d+) times?"
)
"""Groups: URL, server name, file with roots, whether redirects are followed, headers with secrets, client certificate,
its key, limit of the time, samples."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A GET with its limits, and the text that stands for it in questions. Raises ValueError for a URL nobody should
    ask: no http(s), no host, a user or password in it, white space or control characters. Every address that the
    host's name stands for is asked."""

    url: str
    server_name: str = ""
    """Name for SNI, certificate and Host header where the URL holds an address; empty for the URL's own host."""
    ca: str = ""
    """PEM file with the roots to trust, relative to the plan's folder; empty for the system's."""
    follow_redirects: bool = False
    max_seconds: float = DEFAULT_SECONDS
    """From connecting to the last byte of the body, each time."""
    samples: int = 1
    """How often each address is asked, at least `SECONDS_APART` from each other."""
    headers: tuple[SecretHeader, ...] = ()
    """By which it proves who asks; sent to this URL's host and port only."""
    client_cert: str = ""
    """PEM file, relative to the plan's folder; empty without one."""
    client_key: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()  # without a password typed into it
        try:
            _ = parts.port
        except ValueError:
            raise ValueError(f"{shown}: the port is no number from 0 to 65535") from None
        if parts.scheme not in _DEFAULT_PORTS:
            raise ValueError(f"{shown} is no http or https URL")
        if parts.username is not None or parts.password is not None:
            raise ValueError(f"{shown}: a URL must not hold a user name or a password")
        if not parts.hostname:
            raise ValueError("the URL names no host")
        if _UNSAFE.search(self.server_name) or _UNSAFE.search(self.url):
            raise ValueError(f"white space or a control character in {self.url!r} or its server name")
        if re.search(r"[\n\r]", self.ca + self.client_cert + self.client_key):
            raise ValueError("a line break in the name of a file with a certificate or a key")
        if not 0.001 <= self.max_seconds <= 3600:
            raise ValueError("a request needs 1 ms to 1 h of time")
        if self.samples < 1:
            raise ValueError("a request is sent at least once")
        _ = _ascii_host(parts.hostname), _ascii_host(self.server_name)

    @property
    def scheme(self) -> str:
        return urlsplit(self.url).scheme

    @property
    def host(self) -> str:
        """Name or address to connect to: ASCII, lower case, an IPv6 address without its brackets."""
        return _ascii_host(urlsplit(self.url).hostname or "")

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or _DEFAULT_PORTS[self.scheme]

    @property
    def name(self) -> str:
        """The name the server must prove to have."""
        return _ascii_host(self.server_name) or self.host

    @property
    def host_header(self) -> str:
        host = f"[{self.name}]" if ":" in self.name else self.name
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def path(self) -> str:
        """Path and query as they go over the wire: non-ASCII characters quoted, existing escapes kept."""
        parts = urlsplit(self.url)
        path = quote(parts.path or "/", safe=_QUOTED_AS_IT_IS)
        return f"{path}?{quote(parts.query, safe=_QUOTED_AS_IT_IS)}" if parts.query else path

    def text(self) -> str:
        """Readable and canonical: equal requests have equal texts."""
        seconds = f"{self.max_seconds:.3f}".rstrip("0").rstrip(".")
        lines = [
            f"GET {self.url}",
            *([f"server-name: {self.server_name}"] if self.server_name else []),
            f"trust: file {self.ca}" if self.ca else "trust: system",
            f"redirects: {'same host' if self.follow_redirects else 'refused'}",
            *(header.text() for header in self.headers),
            *([f"client certificate: {self.client_cert}", f"its key: {self.client_key}"] if self.client_cert else []),
            f"body: at most {LARGEST_BODY_BYTES} bytes",
            f"time: at most {seconds} s",
            f"every address of the name: {counted(self.samples, 'time')}",
        ]
        return "\n".join(lines)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The request that `text` stands for. Raises ValueError."""
        found = _SHAPE.fullmatch(text)
        if found is None:
            raise ValueError("not the text of an HTTP request")
        url, server_name, ca, follow_redirects, headers, cert, key, max_seconds, samples = found.groups("")
        secrets = tuple(map(SecretHeader.parse, headers.splitlines()))
        return cls(
            url, server_name, ca, bool(follow_redirects), float(max_seconds), int(samples), secrets, cert, key
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A complete answer. A body that is cut short, over its cap or encoded never gets here: that is a `NoReply`."""

    status: int
    body: str
    """Decoded with the declared character set, else UTF-8; what does not fit is U+FFFD. Empty for a redirect."""
    body_bytes: int
    """As received."""
    final_url: str
    location: str
    """Where an unfollowed redirect points; empty otherwise."""
    redirect_refused: str
    """Why it was not followed."""
    headers: Mapping[str, str]
    """Those that tell where the answer comes from and of when it is; lower-case names."""
    asked_at: datetime
    latency_seconds: float
    """From connecting to the last byte of the body, redirects included."""
    address: str
    """Who answered: `192.0.2.7:443`."""
    certificate: Certificate | None
    """None for plain HTTP."""
    client_certificate: Certificate | None = None
    """The plan's own, which the server may have asked for."""


Sample = HttpAnswer | NoReply


@dataclass(frozen=True, slots=True)
class Samples:
    """What came of one request: of every address, in the order of the answers."""

    answers: tuple[HttpAnswer, ...]
    lost: tuple[NoReply, ...]
    """Of an address without a complete answer, which is then asked no more."""
    left_out: tuple[str, ...]
    """Addresses of a family for which the machine that asked has no route."""


@dataclass(frozen=True, slots=True)
class _End:
    """The last line of a reply."""

    left_out: tuple[str, ...]
    lines: int
    """How many come before it."""


@dataclass(frozen=True)
class HttpGet(Probe[Samples]):
    """One endpoint of an application. The target is the application's id."""

    family = Family.HEALTH
    via: ClassVar[Via] = Via.HTTP
    request: HttpRequest

    @property
    def timeout_seconds(self) -> float:  # type: ignore[override]  # each request has a limit of its own
        samples = self.request.samples
        return samples * self.request.max_seconds + (samples - 1) * SECONDS_APART

    def ask(self) -> str:
        return self.request.text()

    def read(self, reply: Reply) -> Samples:
        *lines, last = reply.text.split("\n")
        end = read_record(_End, parse_json(last))
        if len(lines) != end.lines:
            raise Unreadable(f"{len(lines)} lines, expected {end.lines}")
        found = [_read_sample("{" + part) for part in "\n".join(["", *lines]).split("\n{")[1:]]
        answers = tuple(each for each in found if isinstance(each, HttpAnswer))
        if not answers:
            raise Unreadable("no address has answered")
        return Samples(answers, tuple(each for each in found if isinstance(each, NoReply)), end.left_out)


def reply_text(samples: Sequence[Sample], left_out: Sequence[str] = ()) -> str:
    """The text of a `Reply` that `HttpGet` reads: of each sample one line of JSON and its body, each line of it after a
    space; last, as `_End`, what shows that nothing is missing. A body is not quoted, which would hide a secret from
    redaction."""
    lines = list[str]()
    for sample in samples:
        facts = asdict(sample)
        body = facts.pop("body", None)
        lines.append(json.dumps(facts, default=plain))
        lines += [] if body is None else [f" {line}" for line in body.split("\n")]
    return "\n".join([*lines, json.dumps({"left_out": left_out, "lines": len(lines)})])


def _read_sample(text: str) -> Sample:
    line, has_body, body = text.partition("\n ")
    facts = parse_json(line)
    return read_record(HttpAnswer, facts, body=body.replace("\n ", "\n")) if has_body else read_record(NoReply, facts)


def _ascii_host(host: str) -> str:
    if not host.isascii():
        # Python's own conversion is the old one, which takes ß for ss and so leads to another host.
        raise ValueError(f"write the host name {host!r} in its ASCII form, xn--...")
    return host.lower()


def cache_mark(answers: Sequence[HttpAnswer]) -> str:
    """What shows that a cache gave these answers of one address; empty when nothing does."""
    return next((mark for each in answers if (mark := _in_headers(each))), "") or _in_dates(answers)


def _in_headers(answer: HttpAnswer) -> str:
    for name, value in answer.headers.items():
        if name == "age":
            served = value.isascii() and value.isdigit() and int(value) > 0
        elif name == "x-varnish":
            served = len(value.split()) > 1  # of the request, and of the one whose answer was kept
        elif name == "warning":  # RFC 7234, 5.5: a cache says that what it gives is stale
            served = re.search(r"(?:^|,)\s*11[0-3]\b", value) is not None
        elif name.endswith("cache-hits"):
            served = any(int(number) > 0 for number in re.findall(r"\d+", value))
        elif name == "cache-status":  # RFC 9211: `fwd=stale` was forwarded
            served = re.search(r";\s*hit\b", value) is not None
        else:
            served = name.endswith(_TELLING) and _SERVED.search(value) is not None
        if served:
            return f"{name}: {value}"
    return ""


def _in_dates(answers: Sequence[HttpAnswer]) -> str:
    """A kept answer's date stands still; that of a server whose clock is wrong moves on."""
    dated = _dated(answers)
    if not dated:
        return ""
    lags = [(asked_at - at).total_seconds() for asked_at, at in dated]
    seconds = (dated[-1][0] - dated[0][0]).total_seconds()
    moves_on = seconds >= _STILL_SECONDS and max(lags) - min(lags) < _STILL_SECONDS
    if min(lags) > _OLD_SECONDS and not moves_on:
        return f"dated {format_duration(timedelta(seconds=min(lags)))} before it was asked"
    if seconds >= _STILL_SECONDS and len({at for _, at in dated}) == 1:
        return f"{len(dated)} answers within {seconds:.0f} s with one date"
    return ""


def clock_offset(answers: Sequence[HttpAnswer]) -> timedelta:
    """By how much the dates of answers that no cache gave are ahead of this machine's clock; below zero they are behind
    it. Zero where clocks that are kept right may differ by so much, and where no answer has a date. A date is of the
    clock of the server that writes it (RFC 9110, 6.6.1)."""
    least = min((at - asked_at for asked_at, at in _dated(answers)), key=abs, default=timedelta())
    return least if abs(least.total_seconds()) > _OLD_SECONDS else timedelta()


def _dated(answers: Sequence[HttpAnswer]) -> Sequence[tuple[datetime, datetime]]:
    """When each was asked, and its date."""
    return [(each.asked_at, at) for each in answers if (at := _date(each.headers.get("date", ""))) is not None]


def _date(text: str) -> datetime | None:
    from email.utils import parsedate_to_datetime  # not for what only reads plans

    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
