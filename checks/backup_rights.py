"""backup-rights: the role that takes the backup may read everything that belongs in it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, passed, warned
from preflight.judging.cures import hidden_from, no_such_role
from preflight.plan.work import PlannedBackup, planned_backups
from preflight.questions.dump_rights import MOST_FOUND, DumpRights, DumpRightsProbe, Kind
from preflight.questions.sql import inheriting_grant, quote_identifier, quote_literal
from preflight.wording import MOST_NAMED, counted, listed

_AT_ONCE = "at once and leaves an empty file"
_IN_THE_MIDDLE = "while it copies the tables and leaves a part of a file"
_AT_THE_END = "after it has copied all tables and leaves a part of a file"


class _Fault(NamedTuple):
    """What a kind of object that the role may not read does to a dump, and the statement that cures it."""

    lacks: str
    fails: str
    cure: str


_FAULTS = {
    Kind.SCHEMA: _Fault("USAGE", _AT_ONCE, "GRANT USAGE ON SCHEMA {names} TO {role};"),
    Kind.TABLE: _Fault("SELECT", _AT_ONCE, "GRANT SELECT ON TABLE {names} TO {role};"),
    Kind.SEQUENCE: _Fault("SELECT", _AT_ONCE, "GRANT SELECT ON SEQUENCE {names} TO {role};"),
    Kind.CONFIGURATION: _Fault("SELECT", _IN_THE_MIDDLE, "GRANT SELECT ON TABLE {names} TO {role};"),
    Kind.ROW_SECURITY: _Fault("BYPASSRLS", _IN_THE_MIDDLE, "ALTER ROLE {role} BYPASSRLS;"),
    Kind.LARGE_OBJECT: _Fault("SELECT", _AT_THE_END, "GRANT SELECT ON LARGE OBJECT {names} TO {role};"),
}
_EACH_LARGE_OBJECT = (
    "SELECT format('GRANT SELECT ON LARGE OBJECT %s TO %I', oid, {role}) FROM pg_largeobject_metadata \\gexec"
)
"""For psql, where there are too many to be named."""
_MANY = {
    Kind.CONFIGURATION: "configuration tables of extensions",
    Kind.EXTENSION: "tables of extensions",
    Kind.ROW_SECURITY: "tables with row security",
}
_LEFT_OUT = {
    Kind.FOREIGN: "have their rows saved where they are, or know that the way back does not need them",
    Kind.EXTENSION: "CREATE EXTENSION makes them anew: have rows that were changed since then saved beside the backup "
    "(COPY), or declared in the extension's own script (pg_extension_config_dump)",
    Kind.SUBSCRIPTION: "have them written down, to be made anew after a restore; or taken by a superuser's pg_dump",
    Kind.UNLOGGED: "know that the way back does not need their rows, or have them saved on the primary (COPY)",
}


class BackupRights(Check):
    """May the role that takes the backup read everything that belongs in it?

    pg_dump may end at the first table it may not read, with an empty file, or after an hour at a row-security policy or
    a large object, with a part of one. So the catalogues tell for the backup's own role, whichever role asks: USAGE on
    schemas, SELECT on each table, partition, sequence and large object, and row security that holds for it, since
    pg_dump refuses to read only the rows that a policy shows; the line says when pg_dump would fail, and the GRANT.
    What a backup leaves out without an error is a WARN with names: rows of foreign tables, tables that an extension
    made, subscriptions where the role is no superuser, and rows of unlogged tables in base backups and dumps of a
    replica; so is a server with fewer locks than it has tables, all of which pg_dump locks at once. A base backup reads
    files: that the role may take one is tried by script-runner. Of a `command` and of what takes a backup by itself
    nobody knows what it reads; there the previous backup counts, which earlier-backup reads.
    """

    id = "backup-rights"
    title = "the backup's role may read everything"
    sections = ("backups",)
    needs = "CONNECT on the database; nothing more"
    cure = "have the rights granted that the line names"

    def subjects(self) -> Sequence[Subject]:
        works = (work for work in planned_backups(self.plan) if work.connects)
        return [Subject(work.id, work, work.owner, steps=work.steps) for work in works]

    def probes(self, subject: Subject) -> Probes:
        work: PlannedBackup = subject.item
        return {"rights": DumpRightsProbe(work.database.id, work.login)}

    def judge(self, subject: Subject, *, rights: DumpRights) -> Judgement:
        work: PlannedBackup = subject.item
        if rights.hidden:
            return hidden_from(work.database, rights.hidden, f"what {work.login} may read")
        if work.replicates:
            return Judgement.of([passed("a base backup reads files, not tables"), *_left_out(work, rights)])
        if not (rights.count(Kind.ROLE) or rights.count(Kind.SUPERUSER)):
            return no_such_role(work)
        return Judgement.of([*_may_not_read(work, rights), *_left_out(work, rights), *_locks(rights)])


def _may_not_read(work: PlannedBackup, rights: DumpRights) -> Iterator[Judgement]:
    faults = [kind for kind in _FAULTS if rights.count(kind)]
    for kind in faults:
        fault, names, total = _FAULTS[kind], rights.names[kind], rights.count(kind)
        where = counted(total, kind, _MANY.get(kind, ""))
        yield work.failed(
            f"pg_dump as {work.login} fails {fault.fails}: no {fault.lacks} for {where}",
            f"{work.login} may read everything that is dumped",
            _some(rights, kind),
            work.database.on_primary(_cure(kind, work.login, rights.names[Kind.ROLE][0], names, total)),
        )
    if not faults:
        yield passed(f"{work.login} may read {counted(rights.count(Kind.SAVED), 'table')} and all else that is dumped")


def _cure(kind: Kind, login: str, inherits: str, names: Sequence[str], total: int) -> str:
    """For a superuser, or the owner of what is named."""
    fault, role = _FAULTS[kind], quote_identifier(login)
    if total <= MOST_FOUND or kind is Kind.ROW_SECURITY:
        return fault.cure.format(names=", ".join(names), role=role)
    if kind is Kind.LARGE_OBJECT:
        return _EACH_LARGE_OBJECT.format(role=quote_literal(login))
    return inheriting_grant("pg_read_all_data", login, inherits)


def _left_out(work: PlannedBackup, rights: DumpRights) -> Iterator[Judgement]:
    """Without an error."""
    kinds = [Kind.UNLOGGED] if work.replicates or rights.count(Kind.REPLICA) else []
    if not work.replicates:
        kinds += [Kind.FOREIGN, Kind.EXTENSION, *([] if rights.count(Kind.SUPERUSER) else [Kind.SUBSCRIPTION])]
    for kind in kinds:
        if total := rights.count(kind):
            what = "" if kind is Kind.SUBSCRIPTION else "the rows of "
            yield warned(
                f"{work.programs[0]} leaves out {what}{counted(total, kind, _MANY.get(kind, ''))} without an error",
                expected="a backup that holds everything",
                actual=_some(rights, kind),
                remedy=_LEFT_OUT[kind],
            )


def _locks(rights: DumpRights) -> Iterator[Judgement]:
    """Beyond its settings a server gives locks as long as it has shared memory left for them (PostgreSQL, 20.12)."""
    for most in rights.names.get(Kind.LOCKS, ()):
        yield warned(
            f"pg_dump locks every table at once, and the server is made for {most} locks: it may run out of them",
            expected="as many locks as there are tables and sequences",
            actual=f"max_locks_per_transaction * (max_connections + max_prepared_transactions) = {most}",
            remedy="have max_locks_per_transaction raised and the server restarted before the window",
        )


def _some(rights: DumpRights, kind: Kind) -> str:
    return listed(rights.names[kind], MOST_NAMED, total=rights.count(kind))
