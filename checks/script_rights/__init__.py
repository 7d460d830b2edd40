"""script-rights: the role that runs the scripts may do what they do."""

from collections.abc import Iterator, Sequence

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, Status, passed, unknown, warned
from preflight.judging.cures import hidden_from, no_such_role
from preflight.judging.touched import TouchedObjects, touched_objects
from preflight.plan.release_plan import grouped
from preflight.plan.said import answered_for
from preflight.plan.work import ServerWork, script_work
from preflight.questions.files import LocalFile, LocalText
from preflight.questions.local import TARGET
from preflight.questions.rehearsed import RehearsalProbe, Rehearsed
from preflight.questions.sql import inheriting_grant, quote_identifier
from preflight.questions.work_rights import OWNER, Lack, Lacks, WorkRights, WorkRightsProbe
from preflight.wording import MOST_NAMED, beside, counted, listed, named

from .needs import needs_of

_WORDS = {
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
    Lacks.REQUIRED: "{what}, which {right} requires, is not installed",
    Lacks.VERSION: "{role} gets {what}, where the rehearsal had {right}",
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
    Lacks.REQUIRED: "have it installed on {host}, and where the scripts do not say CASCADE: CREATE EXTENSION {names};",
    Lacks.VERSION: "have the packages of {host} installed where the scripts are rehearsed, and rehearse again",
}
_EXTENSION = {
    "create": "GRANT CREATE ON DATABASE {database} TO {role};",
    "superuser": "have a superuser run before the window: CREATE EXTENSION {names};",
    "package": "have the package that brings it installed on {host}",
}
"""Why it cannot be made -> what lets it be."""


class ScriptRights(Check):
    """May the role that runs the scripts do what they do?

    A role that logs in, into the right database, may still own none of the tables that its scripts alter: `must be
    owner of table` comes at 01:00. The catalogues tell for the role of the entry, whichever role asks. Which objects
    the scripts touch, a rehearsal of the very files that are sealed has seen; or `touches` and `privileges` of the
    entry name them. What they alter or drop must belong to the role, or to one whose rights it inherits: a member that
    does not inherit them has to SET ROLE, which only a rehearsal shows. What is new needs CREATE on its schema, rows
    that are changed need privileges on their table. A new extension needs its package, and those that it requires.
    FAIL names the GRANT. UNKNOWN is what nobody named, what depends on the statement (row security, grants on columns,
    a table that was only locked), and another version of an extension than was rehearsed; `rights_shown` takes it over.
    """

    id = "script-rights"
    title = "the scripts' role may do what they do"
    sections = ("scripts",)
    needs = "CONNECT on the database; nothing more"
    cure = "have the rights granted that the line names; rehearse the scripts, or name in `touches` what they alter"

    def subjects(self) -> Sequence[Subject]:
        return [Subject(work.id, work, work.owner, steps=work.steps) for work in script_work(self.plan) if work.target]

    def probes(self, subject: Subject) -> Probes:
        manifest = LocalFile(TARGET, beside(self.plan.folder, self.plan.scripts[subject.id].manifest))
        return {"rehearsed": RehearsalProbe.of(self.plan), "manifest": manifest}

    def follow_up(self, subject: Subject, *, rehearsed: Rehearsed, manifest: LocalText) -> Probes:
        """In the database session: owners, privileges and memberships of what the scripts touch, for their role."""
        work: ServerWork = subject.item
        needs = needs_of(touched_objects(self.plan.scripts[work.id], rehearsed, manifest))
        return {"rights": WorkRightsProbe(work.database.id, work.login, needs.wanted, needs.schemas, needs.extensions)}

    def judge(self, subject: Subject, *, rehearsed: Rehearsed, manifest: LocalText, rights: WorkRights) -> Judgement:
        work: ServerWork = subject.item
        touched = touched_objects(self.plan.scripts[work.id], rehearsed, manifest)
        if rights.hidden:
            return hidden_from(work.database, rights.hidden, f"what {work.login} may do")
        role = next((each for each in rights.lacks if each.lacks is Lacks.ROLE), None)
        if role is None:
            return no_such_role(work)
        if role.kind == "superuser" and len(rights.lacks) == 1:
            return passed(f"{work.login} is a superuser, who may do everything")
        if not touched.told_by:
            return self._not_told(work, touched, rights)
        return Judgement.of(self._judge(work, touched, role, rights))

    def _not_told(self, work: ServerWork, touched: TouchedObjects, rights: WorkRights) -> Judgement:
        others = {each.owner: each.total for each in rights.lacks if each.lacks is Lacks.OTHERS}
        owned = ", ".join(f"{total} of {owner}" for owner, total in sorted(others.items())) or "none"
        return unknown(
            f"what the scripts touch is not known: {touched.not_told}",
            expected=f"{work.login} may do what the scripts do",
            actual=f"tables of others in {work.dbname}: {owned}",
            remedy=f"run: {self.plan.call('rehearse')}; or name in {work.table} what they alter: "
            'touches = ["SCHEMA.*"]',
        )

    def _judge(self, work: ServerWork, touched: TouchedObjects, role: Lack, rights: WorkRights) -> Iterator[Judgement]:
        lacking = [each for each in rights.lacks if each.lacks in _WORDS and not _is_known(each, touched)]
        points = [_judge_lack(work, touched, role, each) for each in grouped(lacking, _place).values()]
        unfit = [each for each in rights.lacks if each.lacks is Lacks.NOTHING]
        fits = bool(touched.seen) or len(unfit) < len(touched.altered)
        points += [_fits_nothing(work, each, others_fit=fits) for each in unfit]
        if role.kind != "superuser" and (others := needs_of(touched).others):
            unlooked = unknown(
                f"whether {work.login} may touch {named(others)} is not looked at",
                expected=f"{work.login} may do what is told by {touched.told_by}",
                remedy=f"try the scripts as {work.login} where roles and owners are those of {work.dbname}",
            )
            points.append(unlooked)
        said, keys = self.plan.scripts[work.id].rights_shown, ("scripts", work.id, "rights_shown")
        for each in points:
            unseen = each.status is Status.UNKNOWN
            yield answered_for(self.plan, self.moment, each, said, keys, work.owner) if unseen else each
        if not points:
            yield passed(f"{work.login} may do all that is told by {touched.told_by}")


def _is_known(lack: Lack, touched: TouchedObjects) -> bool:
    """Whether the scripts become the owner by SET ROLE, as the role may; or the plan names what it was before."""
    if lack.lacks is Lacks.ABSENT:
        return bool(touched.altered)
    return lack.lacks is Lacks.OWNER and lack.member and bool(touched.seen) and not touched.altered


def _place(lack: Lack) -> tuple[object, ...]:
    """Of what is told in one line and cured by one statement."""
    kind = lack.kind if lack.lacks is Lacks.PRIVILEGE else ""
    owner = lack.owner if lack.lacks is Lacks.OWNER else ""
    return (lack.lacks, lack.right, owner, kind, lack.certain, lack.member and lack.lacks is Lacks.OWNER)


def _judge_lack(work: ServerWork, touched: TouchedObjects, role: Lack, lacking: Sequence[Lack]) -> Judgement:
    """`lacking`: of one place. Not all are named where there are many; then the next run names more."""
    first = lacking[0]
    every = sum({each.owner: each.total for each in lacking}.values())
    remedy = _cure(work, role, lacking)
    if every > len(lacking):
        remedy = f"{remedy} and likewise for the other {every - len(lacking)}, which the next run names"
    summary, expected = _words(work, lacking, every), f"{work.login} may do what is told by {touched.told_by}"
    actual, remedy = listed((each.name for each in lacking), MOST_NAMED), work.database.on_primary(remedy)
    if first.certain and not (first.lacks is Lacks.OWNER and first.member):
        return work.failed(summary, expected, actual, remedy)
    return unknown(summary, expected=expected, actual=actual, remedy=remedy.removesuffix(";"))


def _fits_nothing(work: ServerWork, lack: Lack, *, others_fit: bool) -> Judgement:
    """A pattern: a slip of the pen, or what the scripts make. `others_fit`: something else they touch is known."""
    key = "touches" if lack.right == OWNER else "privileges"
    summary, remedy = f"nothing in {work.dbname} is called {lack.name}", f"correct `{key}` of {work.table}"
    expected, actual = f"what `{key}` of {work.table} names", "no such object"
    if key == "privileges":
        return work.failed(summary, expected, actual, remedy)
    remedy, expected = f"where the scripts do not make it, {remedy}", f"{expected}, or the scripts make"
    return (warned if others_fit else unknown)(f"{summary} yet", expected=expected, actual=actual, remedy=remedy)


def _words(work: ServerWork, lacking: Sequence[Lack], every: int) -> str:
    """`every`: how many there are, of which `lacking` are named."""
    first = lacking[0]
    kind = first.kind if len({each.kind for each in lacking}) == 1 else "object"
    what = f"{first.kind} {first.name}" if every == 1 else counted(every, kind)
    found = _WORDS[first.lacks].format(role=work.login, what=what, owner=first.owner, right=first.right)
    if first.lacks is Lacks.OWNER and first.member:
        return f"{found}: it has to SET ROLE {quote_identifier(first.owner)}, and whether the scripts do is not told"
    return found


def _cure(work: ServerWork, role: Lack, lacking: Sequence[Lack]) -> str:
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
