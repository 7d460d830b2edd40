"""How long the database server's own TLS certificate lasts. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.finding import Judgement, unknown
from preflight.judging.ends import End, TimeOfNeed
from preflight.plan import SslMode
from preflight.questions.http import Certificate
from preflight.questions.postgres import Identity

from .planned_login import PlannedLogin

_VERIFYING = (SslMode.VERIFY_CA, SslMode.VERIFY_FULL)


def judge_certificate(login: PlannedLogin, identity: Identity, need: TimeOfNeed) -> Iterator[Judgement]:
    """Nothing without TLS. Where the plan has the certificate verified, its end ends the work, and not to have seen
    it is UNKNOWN; elsewhere it is only told: libpq does not look at it then, but applications may."""
    if identity.session.get("ssl", "no") == "no":
        return
    verifies = login.database.sslmode in _VERIFYING
    text = identity.session.get("certificate", "")
    if text:
        yield need.judge(_end(login, Certificate.from_json(text), verifies=verifies))
    elif verifies:
        where = identity.session.get("address", login.database.id)
        tunnel = identity.session.get("tunnel", "")
        look = f"look on {tunnel}" if tunnel else "look"
        yield unknown(
            "until when the server's TLS certificate is valid was not seen",
            expected=need.expected,
            remedy=f"{look}: openssl s_client -starttls postgres -connect {where} </dev/null | openssl x509 -noout "
            "-enddate; then run again",
        )


def _end(login: PlannedLogin, certificate: Certificate, *, verifies: bool) -> End:
    unverified = f"which this login does not verify (sslmode {login.database.sslmode}) but others may"
    return End(
        seen="the server's TLS certificate ends",
        at=certificate.not_after,
        remedy=f"have the certificate of {login.database.host}'s PostgreSQL renewed, then: SELECT pg_reload_conf()",
        event=f"TLS certificate of database {login.database.id} ends",
        actual=f"certificate for {', '.join(certificate.names[:5]) or 'nothing'}, issued by {certificate.issuer}",
        tolerated="" if verifies else unverified,
        minutes_at_stake=login.minutes_at_stake,
    )
