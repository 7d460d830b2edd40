"""How long the database server's own TLS certificate lasts. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from preflight.databases.planned_login import PlannedLogin
from preflight.finding import Event, Judgement, passed, unknown, warned
from preflight.plan import SslMode
from preflight.probes.http import Certificate
from preflight.probes.postgres import Identity
from preflight.units import format_duration

_VERIFYING = (SslMode.VERIFY_CA, SslMode.VERIFY_FULL)


def judge_certificate(login: PlannedLogin, identity: Identity, warn_before: timedelta) -> Iterator[Judgement]:
    """Nothing without TLS. Where the plan has the certificate verified, its end ends the work, and not to have seen
    it is UNKNOWN; elsewhere it is only told: libpq does not look at it then, but applications may."""
    if identity.session.get("ssl", "no") == "no":
        return
    verifies = login.database.sslmode in _VERIFYING
    text = identity.session.get("certificate", "")
    if text:
        certificate = Certificate.from_json(text)
        event = Event(at=certificate.not_after, text=f"TLS certificate of database {login.database.id} ends")
        yield replace(_judge_end(login, certificate, warn_before, verifies=verifies), events=(event,))
    elif verifies:
        where = identity.session.get("address", login.database.id)
        tunnel = identity.session.get("tunnel", "")
        look = f"look on {tunnel}" if tunnel else "look"
        yield unknown(
            "until when the server's TLS certificate is valid was not seen",
            expected=f"valid past {login.moment(login.plan.window.needed_until)}",
            remedy=f"{look}: openssl s_client -starttls postgres -connect {where} </dev/null | openssl x509 -noout "
            "-enddate; then run again",
        )


def _judge_end(login: PlannedLogin, certificate: Certificate, warn_before: timedelta, *, verifies: bool) -> Judgement:
    needed = login.plan.window.needed_until
    seen = f"the server's TLS certificate ends {login.moment(certificate.not_after)}"
    expected = f"valid past {login.moment(needed)}, the end of the window and of a rollback"
    actual = f"certificate for {', '.join(certificate.names[:5]) or 'nothing'}, issued by {certificate.issuer}"
    remedy = f"have the certificate of {login.database.host}'s PostgreSQL renewed, then: SELECT pg_reload_conf()"
    if certificate.not_after > needed + warn_before:
        return passed(seen)
    if certificate.not_after > needed:
        left = format_duration(certificate.not_after - needed)
        return warned(f"{seen}, only {left} after it is needed", expected=expected, actual=actual, remedy=remedy)
    if verifies:
        return login.failed(f"{seen}, before the work is over", expected, actual, remedy)
    summary = f"{seen}, which this login does not verify (sslmode {login.database.sslmode}) but others may"
    return warned(summary, expected=expected, actual=actual, remedy=remedy)
