"""The roles that the work needs: until when they may log in, and whether they may at all. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta

from preflight.databases.planned_login import PlannedLogin
from preflight.finding import Event, Judgement, passed, unknown, warned
from preflight.plan.work import Section
from preflight.probes.postgres import DatabaseRole, Identity
from preflight.units import format_duration


def judge_credential(
    login: PlannedLogin, identity: Identity, role: DatabaseRole | None, warn_before: timedelta
) -> Iterator[Judgement]:
    """The role that logs in from here: how it proved itself, and until when it may."""
    database = login.database
    used = identity.session.get("used_password") == "yes"
    if database.password is not None and not used:
        yield warned(
            "the password was not asked for: the server lets anybody in (trust, peer or certificate)",
            expected="a login that proves the plan's password",
            actual="no password was used",
            remedy=f"have pg_hba.conf ask {database.user} for scram-sha-256; until then the password is unproven",
        )
    if role is None:
        yield unknown(
            f"the role {database.user} is not in pg_roles",
            remedy="ask the DBA what hides the catalogue from the role",
        )
        return
    yield _judge_expiry(login, role, warn_before, used_password=used)
    if role.is_superuser:
        yield warned(
            f"{role.name} is a superuser",
            expected="a role with the rights the scripts need and no others",
            actual="rolsuper",
            remedy=f"have the scripts run as a role without SUPERUSER, or: ALTER ROLE {role.name} NOSUPERUSER",
        )


def _judge_expiry(login: PlannedLogin, role: DatabaseRole, warn_before: timedelta, *, used_password: bool) -> Judgement:
    if role.valid_until is None:
        return passed(f"role {role.name} does not expire")
    event = Event(at=role.valid_until, text=f"password of role {role.name} on {login.database.id} ends")
    return replace(_judge_end(login, role, role.valid_until, warn_before, used_password=used_password), events=(event,))


def _judge_end(
    login: PlannedLogin, role: DatabaseRole, end: datetime, warn_before: timedelta, *, used_password: bool
) -> Judgement:
    needed = login.plan.window.needed_until
    seen = f"role {role.name} is valid until {login.moment(end)}"
    expected = f"valid past {login.moment(needed)}, the end of the window and of a rollback"
    remedy = f"ALTER ROLE {role.name} VALID UNTIL '{good_date(login, warn_before)}'"
    if end > needed + warn_before:
        return passed(seen)
    if end > needed:
        summary = f"{seen}, only {format_duration(end - needed)} after it is needed"
    elif used_password:
        return login.failed(f"{seen}, before the work is over", expected, seen, remedy)
    else:
        summary = f"{seen}, which counts as soon as it logs in with a password"
    return warned(summary, expected=expected, actual=seen, remedy=remedy)


def backup_roles(login: PlannedLogin) -> list[str]:
    """Roles that take the backups, where they are others than the one that logs in from here."""
    logins = [each.login for each in login.work if each.section is Section.BACKUPS]
    return [name for name in dict.fromkeys(logins) if name != login.database.user]


def judge_backup_roles(
    login: PlannedLogin, roles: Mapping[str, DatabaseRole], warn_before: timedelta
) -> Iterator[Judgement]:
    """Roles that log in on the server only; how is not seen from here, so a password is taken for granted."""
    for name in backup_roles(login):
        role = roles.get(name)
        expected = f"a role {name} that may log in to {login.name}"
        if role is None:
            remedy = f"have the role made, or correct `login` of the backup: CREATE ROLE {name} LOGIN"
            yield login.failed(f"the backup's role {name} does not exist", expected, "no role", remedy)
        elif not role.can_login:
            remedy = f"ALTER ROLE {name} LOGIN"
            yield login.failed(f"the backup's role {name} may not log in", expected, "NOLOGIN", remedy)
        elif not role.has_connect:
            remedy = f"GRANT CONNECT ON DATABASE {login.name} TO {name}"
            yield login.failed(f"the backup's role {name} may not connect", expected, "none", remedy)
        else:
            yield _judge_expiry(login, role, warn_before, used_password=True)


def good_date(login: PlannedLogin, warn_before: timedelta) -> date:
    """The first day of expiry with which no line would complain."""
    return (login.plan.window.needed_until + warn_before + timedelta(days=1)).date()
