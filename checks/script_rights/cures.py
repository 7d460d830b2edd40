"""What is lacking in words, and the statement that cures it: sufficient for just that. Pure."""

from collections.abc import Sequence

from preflight.plan.work import ServerWork
from preflight.questions.sql import inheriting_grant, quote_identifier
from preflight.questions.work_rights import Lack, Lacks
from preflight.wording import counted

WORDS = {
    Lacks.OWNER: "{role} does not own {what}, which {owner} owns",
    Lacks.PRIVILEGE: "{role} has no {right} on {what}",
    Lacks.SEQUENCE: "{role} has no USAGE on {what}, which gives new rows their numbers",
    Lacks.ROW_SECURITY: "row security decides which rows of {what} {role} sees and changes",
    Lacks.USAGE: "{role} has no USAGE on {what}",
    Lacks.CREATE: "{role} has no CREATE on {what}",
    Lacks.DATABASE: "{role} has no CREATE on {what}, for a schema that is not there",
    Lacks.TEMPORARY: "{role} may make no temporary table in {what}; whether the scripts do is not told",
    Lacks.INVOKER: "{what} works on its tables with the rights of {role}, which are not looked at",
    Lacks.ABSENT: "{what} was altered in the rehearsal and is not there: whether {role} owns what it was is not known",
    Lacks.EXTENSION: "{role} may not make {what}",
}
"""Of what fails, or may."""
_CURES = {
    Lacks.PRIVILEGE: "GRANT {right} ON {kind} {names} TO {role};",
    Lacks.SEQUENCE: "GRANT USAGE ON SEQUENCE {names} TO {role};",
    Lacks.ROW_SECURITY: "ALTER ROLE {role} BYPASSRLS;",
    Lacks.USAGE: "GRANT USAGE ON SCHEMA {names} TO {role};",
    Lacks.CREATE: "GRANT CREATE ON SCHEMA {names} TO {role};",
    Lacks.DATABASE: "GRANT CREATE ON DATABASE {names} TO {role};",
    Lacks.TEMPORARY: "GRANT TEMPORARY ON DATABASE {names} TO {role};",
    Lacks.ABSENT: "name in `touches` of {table} what it was called before",
    Lacks.INVOKER: "name in `privileges` of {table} the tables of {names} instead",
}
_EXTENSION = {
    "create": "GRANT CREATE ON DATABASE {database} TO {role};",
    "superuser": "have a superuser run before the window: CREATE EXTENSION {names};",
    "package": "have the package that brings it installed on {host}",
}
"""Why it cannot be made -> what lets it be."""


def words(work: ServerWork, lacking: Sequence[Lack], every: int) -> str:
    """`every`: how many there are, of which `lacking` are named."""
    first = lacking[0]
    what = f"{first.kind} {first.name}" if every == 1 else counted(every, _kind_of(lacking))
    found = WORDS[first.lacks].format(role=work.login, what=what, owner=first.owner, right=first.right)
    if first.lacks is Lacks.OWNER and first.member:
        return f"{found}: it has to SET ROLE {quote_identifier(first.owner)}, and whether the scripts do is not told"
    return found


def _kind_of(lacking: Sequence[Lack]) -> str:
    kinds = {each.kind for each in lacking}
    return kinds.pop() if len(kinds) == 1 else "object"


def cure(work: ServerWork, role: Lack, lacking: Sequence[Lack]) -> str:
    """For a superuser, or the owner of what is named. `role`: how it is."""
    first, names = lacking[0], ", ".join(each.name for each in lacking)
    if first.lacks is Lacks.OWNER:
        return _of_ownership(role, lacking)
    template = _EXTENSION[first.right] if first.lacks is Lacks.EXTENSION else _CURES[first.lacks]
    return template.format(
        right=first.right, kind=first.kind.upper(), names=names, role=quote_identifier(work.login),
        database=quote_identifier(work.dbname), host=work.host.id, table=work.table,
    )  # fmt: skip


def _of_ownership(role: Lack, lacking: Sequence[Lack]) -> str:
    """By membership in the owner, or by another owner."""
    first, name = lacking[0], quote_identifier(role.name)
    if first.takes_members:
        return inheriting_grant(first.owner, role.name, role.right, member=first.member)
    moved = [each for each in lacking if each.kind != "extension"]
    kept = [f"have {first.owner} run what alters {each.name}" for each in lacking if each.kind == "extension"]
    return " ".join([f"ALTER {each.kind.upper()} {each.name} OWNER TO {name};" for each in moved] + kept)
