"""Why a database login failed: from SQLSTATE, the server's routine, and libpq's own words. Pure.

The server's sentences follow its `lc_messages` and are never matched. libpq's own are in English here, since Python
leaves LC_MESSAGES alone, and come from one bundled library."""

import errno
import os
import re
from dataclasses import dataclass

from preflight.reasons import Reason
from preflight.sessions import CannotAsk
from preflight.sessions.dial import NO_ROUTE
from preflight.sessions.postgres.libpq import ServerWord
from preflight.wording import one_line

_SERVER_SAYS = re.compile(r"\A[^\n]* failed: \S+:  ")
"""A server's sentence comes after its severity and two spaces. Met here only without its codes: old versions of
libpq (15, for one) do not trace logins, and none does outside Linux."""

_BY_SQLSTATE = {
    "28P01": (
        Reason.BAD_PASSWORD,
        "password wrong, or role {role} missing, or role expired, or without a password: the server does not say which",
    ),
    "3D000": (Reason.DATABASE_MISSING, "there is no database {name} on this server"),
    "42501": (Reason.NO_CONNECT_PRIVILEGE, "role {role} has no CONNECT privilege on database {name}"),
    "53300": (Reason.TOO_MANY_CONNECTIONS, "no connection is left of those that {whose} may have"),
    "57P03": (Reason.STARTING_UP, "the server is starting up, shutting down, or a standby that answers nobody"),
    "55000": (Reason.DATABASE_CLOSED, "database {name} does not accept connections (datallowconn)"),
}
"""SQLSTATEs that a server refuses a login with (PostgreSQL, Appendix A)."""

_LIMITED = {"CheckMyDatabase": "database {name}", "InitializeSessionUserId": "role {role}"}
"""By the server's routine, whose limit of connections is used up; in others it is the server's own."""

_POOLER_SAYS = (
    (("authentication failed", "no such user"), "28P01"),
    (("no such database",), "3D000"),
    (("no more connections allowed",), "53300"),
)
"""pgBouncer refuses a login with 08P01, a protocol error, whatever the reason (later versions with the codes of
PostgreSQL), and in English."""

_LIBPQ_SAYS = (
    (
        ("authentication method requirement",),
        Reason.CLEARTEXT_PASSWORD,
        "the server asks for the password in clear text over a connection without TLS; it was not sent",
    ),
    (("does not support SSL",), Reason.TLS_UNSUPPORTED, "the server does not offer TLS"),
    (("does not match host name", "host name from server certificate"), Reason.CERTIFICATE_NAME, "{said}"),
    (
        ("alert certificate", "alert unknown ca", "alert bad certificate"),
        Reason.CLIENT_CERTIFICATE,
        "the server refuses our client certificate, or wants one: {said}",
    ),
    (("certificate verify failed",), Reason.CERTIFICATE_UNTRUSTED, "the server's certificate is not trusted"),
    (("private key file",), Reason.CLIENT_KEY, "{said}"),
    (("root certificate file",), Reason.CA_FILE, "{said}"),
    (
        ("response to SSL negotiation", "expected authentication request"),
        Reason.NOT_POSTGRESQL,
        "what answers there does not speak PostgreSQL's protocol",
    ),
    (
        ("closed the connection", "EOF", "eof while reading", os.strerror(errno.ECONNRESET)),
        Reason.CLOSED_BY_SERVER,
        "the server closed the connection during the login",
    ),
    (
        ("alert protocol version", "unsupported protocol", "alert handshake failure"),
        Reason.TLS_PROTOCOL,
        "no TLS version or cipher in common: {said}",
    ),
    (("SSL error", "SSL SYSCALL"), Reason.TLS_FAILED, "the TLS handshake failed: {said}"),
)
"""What libpq says of a login that it ended itself; the first that fits counts."""


@dataclass(frozen=True, slots=True)
class Failed:
    role: str
    name: str
    """Database name."""
    tls: bool
    """Whether the connection was encrypted when it was refused."""
    connected: bool
    """Whether there was a TCP connection."""
    word: ServerWord
    message: str
    """libpq's, which ends with the server's."""
    used_password: bool = False
    needs_password: bool = False

    @property
    def said(self) -> str:
        """The message without libpq's `connection to server at ..., port ... failed: `, on one line."""
        head, found, tail = self.message.partition(" failed: ")
        return one_line(tail if found else head, 200)


def explain(failed: Failed) -> CannotAsk:
    if failed.word.sqlstate:
        reason, sentence = _server_refused(failed)
        said = failed.said.partition(": ")[2] or failed.said  # without the severity, FATAL in the server's language
        return CannotAsk(reason, f"{sentence} ({failed.word.sqlstate}: {said})")
    return _client_gave_up(failed) if failed.connected else _no_connection(failed)


def _server_refused(failed: Failed) -> tuple[Reason, str]:
    sqlstate = failed.word.sqlstate
    if sqlstate == "08P01" and not failed.word.routine:
        sqlstate = next((code for words, code in _POOLER_SAYS if any(each in failed.said for each in words)), sqlstate)
    if sqlstate == "42501" and failed.word.routine not in ("", "CheckMyDatabase"):
        return Reason.SERVER_FILES, "the file system of the server keeps it from one of its own files"
    if sqlstate in _BY_SQLSTATE:
        reason, sentence = _BY_SQLSTATE[sqlstate]
        sentence = sentence.replace("{whose}", _LIMITED.get(failed.word.routine, "the server"))
        return reason, sentence.format(role=failed.role, name=failed.name)
    if sqlstate.startswith("57P"):
        return Reason.CLOSED_BY_SERVER, "the server ended the connection during the login"
    match sqlstate, failed.word.routine:  # 28000 stands for several refusals: the routine that raised it tells which
        case "28000", "ClientAuthentication":
            how = "with TLS" if failed.tls else "without TLS"
            return Reason.NO_PG_HBA, (
                f"pg_hba.conf has no entry, or one that rejects, for role {failed.role} on database {failed.name} "
                f"from this address {how}"
            )
        case "28000", "InitializeSessionUserId":
            perhaps = "" if failed.used_password else ", or does not exist"
            return Reason.NOT_PERMITTED_TO_LOGIN, f"role {failed.role} may not log in (NOLOGIN){perhaps}"
        case "28000", "auth_failed" if failed.used_password:
            return Reason.BAD_PASSWORD, f"the password of role {failed.role} was refused (by LDAP, PAM or RADIUS)"
        case "28000", "auth_failed":
            return Reason.AUTHENTICATION_FAILED, f"role {failed.role} is not admitted by peer, ident or certificate"
    return Reason.SERVER_REFUSED, f"the server refused the login of role {failed.role}"


def _no_connection(failed: Failed) -> CannotAsk:
    if os.strerror(errno.ECONNREFUSED) in failed.message:
        return CannotAsk(Reason.NOT_LISTENING, "the connection was refused: nothing listens there")
    if os.strerror(errno.ETIMEDOUT) in failed.message:
        return CannotAsk(Reason.NO_ANSWER, "no answer to the attempt to connect")
    for number in NO_ROUTE:
        if os.strerror(number) in failed.message:
            return CannotAsk(Reason.NO_ROUTE, f"no route: {os.strerror(number)}")
    return CannotAsk(Reason.UNREACHABLE, f"no connection: {failed.said}")


def _client_gave_up(failed: Failed) -> CannotAsk:
    """libpq ended the login without an ErrorResponse: its own words are all there is."""
    message = failed.message
    if failed.needs_password:
        detail = f"the server asks for a password of role {failed.role}, and the plan names none"
        return CannotAsk(Reason.PASSWORD_NEEDED, detail)
    if _SERVER_SAYS.search(message):
        return CannotAsk(Reason.SERVER_REFUSED, f"the server refused the login of role {failed.role}: {failed.said}")
    for words, reason, sentence in _LIBPQ_SAYS:
        if any(each in message for each in words):
            return CannotAsk(reason, sentence.format(said=failed.said))
    return CannotAsk(Reason.PROTOCOL, f"the login broke off: {failed.said}")
