"""The roles that the work needs: until when they may log in, and whether they may at all. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from preflight.finding import Judgement, passed, unknown, warned
from preflight.judging.ends import End, TimeOfNeed
from preflight.plan.work import Section
from preflight.questions.postgres import DatabaseRole, Identity
from preflight.questions.sql import quote_identifier

from .planned_login import PlannedLogin


def judge_credential(
    login: PlannedLogin, identity: Identity, role: DatabaseRole | None, need: TimeOfNeed
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
    yield _judge_expiry(login, role, need, used_password=used)
    if role.is_superuser:
        yield warned(
            f"{role.name} is a superuser",
            expected="a role with the rights the scripts need and no others",
            actual="rolsuper",
            remedy=f"have the scripts run as a role without SUPERUSER, or: ALTER ROLE {login.role} NOSUPERUSER;",
        )


def _judge_expiry(login: PlannedLogin, role: DatabaseRole, need: TimeOfNeed, *, used_password: bool) -> Judgement:
    if role.valid_until is None:
        return passed(f"role {role.name} does not expire")
    end = End(
        seen=f"role {role.name} is valid until",
        at=role.valid_until,
        remedy=f"ALTER ROLE {quote_identifier(role.name)} VALID UNTIL '{need.good_date()}';",
        event=f"password of role {role.name} on {login.database.id} ends",
        actual=f"VALID UNTIL {need.told(role.valid_until)}",
        tolerated="" if used_password else "which counts as soon as it logs in with a password",
        minutes_at_stake=login.minutes_at_stake,
    )
    return need.judge(end)


def backup_roles(login: PlannedLogin) -> list[str]:
    """Roles that take the backups, where they are others than the one that logs in from here."""
    logins = [each.login for each in login.work if each.section is Section.BACKUPS]
    return [name for name in dict.fromkeys(logins) if name != login.database.user]


def judge_backup_roles(login: PlannedLogin, roles: Mapping[str, DatabaseRole], need: TimeOfNeed) -> Iterator[Judgement]:
    """Roles that log in on the server only; how is not seen from here, so a password is taken for granted."""
    for name in backup_roles(login):
        role, quoted = roles.get(name), quote_identifier(name)
        expected = f"a role {name} that may log in to {login.name}"
        if role is None:
            remedy = f"have the role made, or correct `login` of the backup: CREATE ROLE {quoted} LOGIN;"
            yield login.failed(f"the backup's role {name} does not exist", expected, "no role", remedy)
        elif not role.can_login:
            remedy = f"ALTER ROLE {quoted} LOGIN;"
            yield login.failed(f"the backup's role {name} may not log in", expected, "NOLOGIN", remedy)
        elif not role.has_connect:
            remedy = f"GRANT CONNECT ON DATABASE {login.database_name} TO {quoted};"
            yield login.failed(f"the backup's role {name} may not connect", expected, "none", remedy)
        else:
            yield _judge_expiry(login, role, need, used_password=True)
