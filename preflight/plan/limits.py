"""What a value of the plan must keep to, beyond its type: `port: Annotated[int, Between(1, 65535)]`.

A limit is called with a value of the right type and gives a complaint, or an empty text. Complaints are printed as they
stand and never repeat the value: it may be a secret that somebody wrote into the wrong key."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from preflight.clock import zone
from preflight.faults import nearest_name
from preflight.units import format_duration

_ADDRESS = re.compile(r"\w[\w.-]*|(?=[^:]*:[^:]*:)[0-9A-Fa-f:.]+(?:%[\w.-]+)?")


@dataclass(frozen=True, slots=True)
class Between:
    """From `low` to `high`, both allowed; durations in seconds."""

    low: float
    high: float = float("inf")

    def __call__(self, value: Any) -> str:
        if self.low <= _number(value) <= self.high:
            return ""
        if self.high == float("inf"):
            return f"must be at least {_shown(self.low, value)}"
        return f"must be between {_shown(self.low, value)} and {_shown(self.high, value)}"


@dataclass(frozen=True, slots=True)
class Above:
    """More than `low`; durations in seconds."""

    low: float

    def __call__(self, value: Any) -> str:
        return "" if _number(value) > self.low else f"must be more than {_shown(self.low, value)}"


def filled(value: str) -> str:
    """Not empty, not only white space."""
    return "" if value.strip() else "is empty"


@dataclass(frozen=True, slots=True)
class Matches:
    """The whole text matches a pattern."""

    pattern: str
    expected: str
    """What the pattern stands for, after "expected"."""

    def __call__(self, value: Any) -> str:
        return "" if re.fullmatch(self.pattern, value) else f"expected {self.expected}"


MANY_LINES = "many lines"
"""Line breaks and tabs are allowed; every other text is one line."""
OR_NONE = "or none"
"""In its place a table `{ none = "reason" }` says why there is nothing; the plan keeps the reason."""
DAY = re.compile(r"\d{4}-\d\d-\d\d")
"""A day within a text, as `guess_or_dated` wants it."""
GUESS = "guess"
"""Where a number of minutes comes from that nobody measured."""


def remote_path(value: str) -> str:
    """An absolute path on a host, which does not go up."""
    if not value.startswith("/"):
        return "expected an absolute path on the host, beginning with /"
    return "a path on a host must not go up with .." if ".." in value.split("/") else ""


def guess_or_dated(value: str) -> str:
    """Where a number of minutes comes from: a guess, or a measurement or rehearsal of a day that there was."""
    dated = re.fullmatch(rf"(?:measured|rehearsed) ({DAY.pattern})", value)
    if dated is None:
        return "" if value == GUESS else 'expected "guess", "measured 2026-10-10" or "rehearsed 2026-10-10"'
    try:
        date.fromisoformat(dated[1])
    except ValueError:
        return "there is no such day in the calendar"
    return ""


def network(value: str) -> str:
    """An IP address, or a network without bits of a host: `10.2.0.0/16`."""
    try:
        ip_network(value)
    except ValueError:
        return "expected an IP address or a network such as 10.2.0.0/16, with no bits beyond the /16"
    return ""


def below_folder(value: str) -> str:
    """A path relative to a folder, which does not lead out of it."""
    if value.startswith("/") or value == "-" or {"", ".", ".."} & set(value.split("/")):
        return "expected a path relative to the folder, without . and .."
    return ""


_PASSWORD = re.compile(
    r"""passw(?:or)?d\s*=\s*(?!["']?\$)\S    # of libpq, of a program's option, of the environment
    | passw(?:or)?d\s+'[^']                # of SQL
    | ://[^\s/:@]*:(?!\$)[^\s/]+@          # of a URL""",
    re.IGNORECASE | re.VERBOSE,
)


def no_password(value: str) -> str:
    """A word of a command line, which every report prints: no password in it, in a URL or as `password=`.

    `$NAME` stands for what a shell finds there, in `["sh", "-c", "..."]`."""
    if not _PASSWORD.search(value):
        return ""
    return (
        "holds a password, and every report prints this: PostgreSQL's programs find it in ~/.pgpass of the account "
        "that runs them; let another program read it from a file that the account alone can read"
    )


def network_address(value: str) -> str:
    """A host name or an IP address, as one argument of a command and without a port."""
    if _ADDRESS.fullmatch(value):
        return ""
    port_too = re.fullmatch(r"\[?[\w.:-]+\]?:\d+", value)
    advice = ', without a port; write the port as "port"' if port_too else ""
    return f"expected a host name or an IP address{advice}"


def http_url(value: str) -> str:
    """An absolute http or https URL that carries no credential and no fragment."""
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:  # its text repeats the URL, which may hold a password
        return "is no valid URL: expected https://HOST/PATH or https://HOST:PORT/PATH, with a port from 1 to 65535"
    if any(char.isspace() for char in value):
        return "a URL holds no white space"
    if parts.scheme not in ("http", "https") or not host:
        return "expected a URL that begins with http:// or https:// and a host"
    if parts.username is not None or parts.password is not None:
        return "a URL in a plan must not hold a user name or password"
    if "{n}" in host:
        return "the host holds {n}, and no range says which numbers it stands for"
    if not host.isascii():
        return f"write the host name in its ASCII form{_ascii_form(host)}"
    if port == 0:
        return "the port must be between 1 and 65535"
    return "a URL that is asked has no #fragment" if "#" in value else ""


OF_THE_WHOLE = {"status", "state", "health", "outcome", "result", "healthstatus", "overallstatus", "overallhealth"}
"""Names, in lower case, under which an answer says in a word how it is."""
YES_OR_NO = {"healthy", "ok", "up", "alive", "ready", "success", "passed", "reachable", "connected"}
"""The same, by true and false."""


def part_of_answer(value: str) -> str:
    """The path of a part whose health does not count: the word for the whole always does."""
    first, *below = value.lower().split(".")
    if first in OF_THE_WHOLE | YES_OR_NO and all(name in ("code", "value") or name.isdigit() for name in below):
        return 'says how the whole is, and that counts; name the value that is right: json = { status = "UP" }'
    return ""


def zone_name(value: str) -> str:
    """The IANA name of a time zone that this machine knows."""
    try:
        zone(value)
    except ValueError:
        region, _, place = value.partition("/")
        near = nearest_name(value, [each for each in available_timezones() if {region, place} & {*each.split("/", 1)}])
        advice = f"did you mean {near}?" if near else "write an IANA name such as Europe/Berlin"
        return f"no such time zone on this machine; {advice}"
    return ""


def _ascii_form(host: str) -> str:
    """`, xn--...` for a host name with letters beyond ASCII; empty where it has no such form."""
    try:
        return f", {host.encode('idna').decode('ascii')}"
    except UnicodeError:
        return ""


def _number(value: Any) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else value


def _shown(limit: float, value: Any) -> str:
    return format_duration(timedelta(seconds=limit)) if isinstance(value, timedelta) else f"{limit:g}"


_PLACE = re.compile(r"(?:(/[^:]*)|\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(\w[\w.-]*))(?::(\d{1,5}))?")
"""A socket folder, an IPv6 address or a host; and the port."""
_HIGHEST_PORT = 65535


def server_place(value: str) -> str:
    """A socket folder, host name or IP address (IPv6 in brackets), each with `:PORT` where not the database's."""
    if not _PLACE.fullmatch(value):
        return 'expected a socket folder or a host, each with or without a port: "/run/postgresql:5433"'
    _, port = split_server(value)
    return f"the port must be between 1 and {_HIGHEST_PORT}" if port and not 1 <= int(port) <= _HIGHEST_PORT else ""


def split_server(server: str) -> tuple[str, str]:
    """(socket folder or host, port); empty for what `server`, a valid one or empty, does not say."""
    found = _PLACE.fullmatch(server)
    return (found[1] or found[2] or found[3], found[4] or "") if found else ("", "")
