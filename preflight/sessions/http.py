"""Asks health endpoints: every address of a name, as often as wanted, and each time to the end (connection, TLS,
redirects, body) within one absolute deadline. Those of one application are asked at the same time."""

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from email.message import Message
from functools import partial
from itertools import count
from pathlib import Path
from urllib.parse import urldefrag, urljoin

from preflight import __version__
from preflight.clock import Deadline, monotonic, now
from preflight.plan.applications import UNAUTHORIZED
from preflight.probe import Answer, NoReply, Question, Reply
from preflight.questions.certificates import Certificate
from preflight.questions.http import LARGEST_BODY_BYTES, SECONDS_APART, HttpAnswer, HttpRequest, Sample, reply_text
from preflight.reasons import Reason, Side
from preflight.sessions import VANTAGE, CannotAsk, Deliver, http_response
from preflight.sessions.dial import DialFailed, Resolved, connect, resolve
from preflight.sessions.http_secrets import Credential
from preflight.sessions.secrets import Secrets
from preflight.sessions.timetable import Timetable
from preflight.sessions.tls import TlsFailed, Trust, is_of_client_certificate, peer_certificate, secure

MOST_AT_ONCE = 32
"""Requests to one application that are under way at the same time: few enough not to slow each other down, which
would look like the application's latency."""
MOST_REDIRECTS = 5
_LATE_IN_PHASE = {
    "connect": Reason.NO_ANSWER,
    "handshake": Reason.HANDSHAKE,
    "headers": Reason.HEADERS_LATE,
    "body": Reason.BODY_LATE,
}
_REDIRECTS = (301, 302, 303, 307, 308)
_KEPT_HEADERS = ("age", "content-type", "date", "server", "via", "warning", "x-varnish")
"""Besides every header with "cache" in its name."""
_LONGEST_HEADER = 500
_ALERT_SECONDS = 2.0
_CHARSETS = ("utf-8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252", "utf-16")
"""Python knows many more, among them some that are no character sets."""


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    headers: Message
    body: bytes = b""

    @property
    def location(self) -> str:
        return str(self.headers.get("Location", ""))[:_LONGEST_HEADER] if self.status in _REDIRECTS else ""

    @property
    def text(self) -> str:
        charset = (self.headers.get_content_charset() or "").lower()
        return self.body.decode(charset if charset in _CHARSETS else "utf-8", "replace")


class HttpSession:
    """The endpoints of the applications. Their questions share TLS contexts and what the plan's secrets were found to
    be, and nothing else: no connection or cookie goes from one to the next. Proxies of the environment are not used."""

    stage = "asking its endpoints"

    def __init__(self, folder: Path, secrets: Secrets) -> None:
        """`folder`: the plan's; relative names of files with certificates and keys start there."""
        self._trust = Trust(folder)
        self._secrets = secrets

    def ask(self, questions: Sequence[Question], deadline: Deadline, deliver: Deliver) -> None:
        """See `preflight.sessions.Session`. Calls `deliver` in this thread or another, and returns after the last."""
        timetable = Timetable(MOST_AT_ONCE)
        for question in questions:
            timetable.add(partial(self._begin, question, deadline, partial(deliver, question), timetable))
        timetable.work_off()

    def close(self) -> None:
        """Nothing outlives a question, and each of those ends by its own deadline."""

    def _begin(
        self, question: Question, deadline: Deadline, deliver: Callable[[Answer], None], timetable: Timetable
    ) -> None:
        asked_at, begun = now(), monotonic()
        try:
            request = HttpRequest.parse(question.text)
            resolved = resolve(request.host, request.port, deadline.at_most(request.max_seconds))
        except DialFailed as error:
            deliver(NoReply(error.reason, f"{request.url}: {error.detail}", asked_at, monotonic() - begun, VANTAGE))
        except ValueError as error:
            deliver(NoReply(Reason.NOT_ASKED, f"no request that can be sent: {error}", asked_at, vantage=VANTAGE))
        else:
            credential = Credential(request, self._secrets)

            def ask(instance: Resolved) -> Sample:
                def answer(headers: Mapping[str, str]) -> Sample:
                    return Exchange(request, instance, headers, self._trust, deadline).answer()

                return credential.prove(answer, instance.first, deadline)

            _Sampling(request, resolved, ask, deliver, timetable).begin()


@dataclass(eq=False)
class _Sampling:
    """One request, sent to every address of its name as often as wanted. Delivers when the last has answered."""

    _request: HttpRequest
    _resolved: Resolved
    _ask: Callable[[Resolved], Sample]
    _deliver: Callable[[Answer], None]
    _timetable: Timetable

    def __post_init__(self) -> None:
        self._instances, self._left_out = self._resolved.instances(self._request.host)
        self._asked_at, self._begun = now(), monotonic()
        self._lock = threading.Lock()
        self._samples: list[Sample] = []
        self._under_way = len(self._instances)

    def begin(self) -> None:
        for instance in self._instances:
            self._timetable.add(partial(self._sample, instance, 1))

    def _sample(self, instance: Resolved, number: int) -> None:
        sample = self._ask(instance)
        is_refused = bool(self._request.headers) and isinstance(sample, HttpAnswer) and sample.status == UNAUTHORIZED
        again = isinstance(sample, HttpAnswer) and number < self._request.samples and not is_refused
        with self._lock:
            self._samples.append(sample)
            self._under_way -= 0 if again else 1
            ended = not self._under_way
        if again:
            self._timetable.add(partial(self._sample, instance, number + 1), SECONDS_APART)
        elif ended:
            self._deliver(self._answer())

    def _answer(self) -> Answer:
        """A reply when any address has answered; else why none has."""
        took = monotonic() - self._begun
        answers = [each for each in self._samples if isinstance(each, HttpAnswer)]
        if answers:
            return Reply(answers[0].status, reply_text(self._samples, self._left_out), self._asked_at, took, VANTAGE)
        lost = [each for each in self._samples if isinstance(each, NoReply)]
        telling = next((each for each in lost if each.reason.side is Side.FAR_END), lost[0])
        return replace(telling, detail="; ".join(dict.fromkeys(each.detail for each in lost)), took_seconds=took)


class Exchange:
    """Sends one request to one address, once. `answer` never raises for the outside world."""

    def __init__(
        self, request: HttpRequest, instance: Resolved, headers: Mapping[str, str], trust: Trust, deadline: Deadline
    ) -> None:
        """`headers`: what proves who asks. `deadline`: the session's own, which may be nearer than the request's."""
        self._request, self._instance, self._headers, self._trust = request, instance, headers, trust
        self._deadline = deadline
        self._phase = "connect"
        self._address = instance.first
        self._certificate: Certificate | None = None

    def answer(self) -> Sample:
        asked_at, begun = now(), monotonic()
        seconds = self._request.max_seconds
        cut_short = False
        try:
            if self._request.scheme == "https" or self._request.follow_redirects:
                # Before the clock starts: reading root certificates is not the server's latency.
                self._context(self._request)
            asked_at, begun = now(), monotonic()
            cut_short = self._deadline.left() < seconds
            self._deadline = self._deadline.at_most(seconds)
            return replace(self._ask(), asked_at=asked_at, latency_seconds=round(monotonic() - begun, 6))
        except Exception as error:  # noqa: BLE001 - a defect met on hostile input must cost one question only
            reason, detail = self._explained(error)
            if reason in _LATE_IN_PHASE.values() and cut_short:
                reason = Reason.RUN_DEADLINE
                detail += "; the run's own time limit was nearer than the request's"
            session = {"address": self._address}
            if self._certificate:
                session["certificate"] = self._certificate.to_json()
            return NoReply(reason, f"{self._request.url}: {detail}", asked_at, monotonic() - begun, VANTAGE, session)

    def _ask(self) -> HttpAnswer:
        """The answer after the redirects that may be followed; without its times."""
        request = self._request
        for hops in count():
            response = self._get(request)
            target, refused = None, ""
            if response.location:
                target, refused = redirect(self._request, request, response.location, hops)
            if target is None:
                break
            request = target
        return HttpAnswer(
            status=response.status,
            body=response.text,
            body_bytes=len(response.body),
            final_url=request.url,
            location=_absolute(request.url, response.location),
            redirect_refused=refused,
            headers=_kept(response.headers),
            asked_at=now(),
            latency_seconds=0.0,
            address=self._address,
            certificate=self._certificate if request.scheme == "https" else None,
            client_certificate=self._trust.client_certificate(request.client_cert),
        )

    def _context(self, request: HttpRequest) -> ssl.SSLContext:
        return self._trust.context(request.ca, request.client_cert, request.client_key)

    def _get(self, request: HttpRequest) -> _Response:
        self._phase = "connect"
        with self._connect(request) as sock:
            if request.scheme == "http":
                return self._converse(request, sock)
            self._phase = "handshake"
            context = self._context(request)
            with secure(sock, context, request.name, self._deadline, lambda: self._connect(request)) as secured:
                self._certificate = peer_certificate(secured, verified=True)
                try:
                    return self._converse(request, secured)
                except (ConnectionError, ssl.SSLEOFError):
                    if self._phase == "headers":
                        self._hear_alert(request, context)
                    raise

    def _hear_alert(self, request: HttpRequest, context: ssl.SSLContext) -> None:
        """TLS 1.3: a server refuses a client's certificate after the handshake, and the request that was sent meanwhile
        makes its alert be lost with the connection. Without a request it comes through. Raises ssl.SSLError for it."""
        try:
            with (
                self._connect(request) as sock,
                secure(sock, context, request.name, self._deadline, lambda: self._connect(request)) as silent,
            ):
                http_response.limit(silent, self._deadline.at_most(_ALERT_SECONDS))
                silent.recv(1)
        except ssl.SSLError:
            raise
        except (OSError, CannotAsk):
            return

    def _connect(self, request: HttpRequest) -> socket.socket:
        # The same address also after a redirect to the server name: the name may lead to another instance.
        sock, self._address = connect(self._instance.at_port(request.port), self._deadline)
        return sock

    def _converse(self, request: HttpRequest, sock: socket.socket) -> _Response:
        self._phase = "headers"
        http_response.limit(sock, self._deadline)
        _send(request, self._headers, sock)
        stream = http_response.AnswerStream(sock, self._deadline, LARGEST_BODY_BYTES + http_response.HEADER_ROOM_BYTES)
        with http_response.final_response(stream) as response:
            head = _Response(response.status, response.headers)
            if head.location:
                return head  # nobody reads the body of a redirect
            self._phase = "body"
            http_response.require_unencoded(response)
            declared = http_response.declared_bytes(response)
            body = http_response.read_body(response, declared, LARGEST_BODY_BYTES)
            if declared is not None and stream.holds_more():
                raise CannotAsk(Reason.BODY_LENGTH, f"more came than the {declared} bytes it declares")
            return replace(head, body=body)

    def _explained(self, error: Exception) -> tuple[Reason, str]:
        """Reason and sentence. The order matters: most of these are subclasses of later ones."""
        match error:
            case CannotAsk():
                if isinstance(error, TlsFailed):
                    self._certificate = error.certificate
                return error.reason, error.detail
            case http_response.TooMuch() if self._phase == "body":
                return Reason.BODY_TOO_LARGE, "the server sends more than the limit, without end"
            case http_response.TooMuch():
                return Reason.HEADERS_TOO_LARGE, "the server sends headers without end, and no body"
            case TimeoutError():
                detail = f"no complete answer within {self._deadline.spent():.3g} s; it stopped in the {self._phase}"
                return _LATE_IN_PHASE[self._phase], detail
            case http.client.RemoteDisconnected():
                return Reason.NO_RESPONSE, "the server closed the connection without an answer"
            case http.client.IncompleteRead():
                return Reason.SHORT_BODY, "the connection ended before the body was complete"
            case ssl.SSLError() if is_of_client_certificate(error.reason or ""):
                said = (error.reason or "").replace("_", " ").lower()
                return Reason.CLIENT_CERTIFICATE, f"the server answers: {said}"
            case OSError():
                return Reason.ANSWER_LOST, f"the connection was lost: {error.strerror or error}"
            case http.client.HTTPException() if http_response.is_of_headers(error):
                return Reason.HEADERS_TOO_LARGE, f"the server sends too much before its answer: {error}"
            case http.client.HTTPException() | ValueError():
                return Reason.NOT_HTTP, f"the answer is no HTTP: {type(error).__name__} {error!s:.100}"
            case _:
                return Reason.DEFECT, f"the answer cannot be read: {type(error).__name__}"


def redirect(first: HttpRequest, current: HttpRequest, location: str, hops: int) -> tuple[HttpRequest | None, str]:
    """The request a redirect leads to, or why it is not followed. Only the same host, and never out of TLS."""
    if not first.follow_redirects:
        return None, "the plan allows no redirect"
    try:
        target = replace(current, url=urldefrag(urljoin(current.url, location)).url)
    except ValueError:
        return None, "it points to no URL that can be asked"
    if (urlhost := HttpRequest(target.url).host) not in (first.host, first.name):
        return None, f"it points to another host, {urlhost}"
    if current.scheme == "https" and target.scheme == "http":
        return None, "it leaves TLS"
    if first.headers and (target.scheme, target.port) != (first.scheme, first.port):
        return None, f"it points to port {target.port}, which the plan's secrets are not for"
    if hops >= MOST_REDIRECTS:
        return None, f"it is redirect number {hops + 1}"
    return target, ""


def _kept(headers: Message) -> dict[str, str]:
    names = sorted({name.lower() for name in headers if name.lower() in _KEPT_HEADERS or "cache" in name.lower()})
    return {name: ", ".join(map(str, headers.get_all(name, [])))[:_LONGEST_HEADER] for name in names}


def _absolute(url: str, location: str) -> str:
    try:
        return urljoin(url, location) if location else ""
    except ValueError:
        return location


def _send(request: HttpRequest, more: Mapping[str, str], sock: socket.socket) -> None:
    headers = {
        "Host": request.host_header,
        "User-Agent": f"preflight/{__version__}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Cache-Control": "no-cache",
        "Connection": "close",
        **more,
    }
    lines = [f"GET {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    sock.sendall("".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii"))
