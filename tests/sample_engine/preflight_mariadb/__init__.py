"""mariadb: the MariaDB server behind an entry on a host is up, and the entry's role can do its work.

It is asked by its own client on the host, as the account that does the work. The password stands in an option file
there that this account alone can read: nothing secret is in a plan, in an argument or in a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, failed, passed, unknown
from preflight.plan import HostRef, RemotePath
from preflight.plan.limits import Matches
from preflight.plan.values import Name
from preflight.plan.work import Section, ServerWork, behind_become, engine_work
from preflight.probe import Reply, Unreadable
from preflight.questions.fields import read_lines
from preflight.questions.shell import NOT_ALLOWED, AccountProbe, AsAccount, filled, quoted

_ASK = """\
out=$(mariadb --defaults-file=@FILE@ --connect-timeout=5 --batch --skip-column-names -e @STATEMENT@ 2>&1 </dev/null)
code=$?
printf 'code=%s\\n' "$code"
if [ "$code" -eq 0 ]; then printf 'said=\\n%s\\n' "$out"
else
  printf 'said=%s\\n' "$(printf %s "$out" | tr '\\n' ' ' | cut -c 1-300)"
  printf 'version=\\nuser=\\nread_only=no\\ndatabase=\\n'
fi
"""
_READ = """\
out=$(mariadb-dump --defaults-file=@FILE@ --single-transaction --skip-lock-tables --where=1=0 @DATABASE@ \
2>&1 >/dev/null </dev/null)
printf 'dump_code=%s\\ndump_said=%s\\n' "$?" "$(printf %s "$out" | tr '\\n' ' ' | cut -c 1-300)"
"""
"""Every table is opened for reading, and no row is read."""
_NOT_READ = "printf 'dump_code=0\\ndump_said=\\n'\n"
_STATEMENT = """\
SELECT CONCAT('version=', VERSION()); SELECT CONCAT('user=', @USER@); \
SELECT CONCAT('read_only=', IF(@@global.read_only, 'yes', 'no')); \
SELECT CONCAT('database=', COALESCE(MAX(SCHEMA_NAME), '')) FROM information_schema.SCHEMATA \
WHERE SCHEMA_NAME = '@DATABASE@'; \
SELECT CONCAT('right=', PRIVILEGE_TYPE) FROM information_schema.USER_PRIVILEGES WHERE GRANTEE = @USER@; \
SELECT CONCAT('right=', PRIVILEGE_TYPE) FROM information_schema.SCHEMA_PRIVILEGES \
WHERE GRANTEE = @USER@ AND '@DATABASE@' LIKE TABLE_SCHEMA"""
_USER = """CONCAT("'", REPLACE(CURRENT_USER(), '@', "'@'"), "'")"""
"""As GRANT takes it, and as the tables of rights have it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the client on the host said."""

    code: int
    said: str
    version: str
    user: str
    read_only: bool
    database: str
    """Its name, where the role sees it."""
    dump_code: int
    dump_said: str
    right: tuple[str, ...] = ()
    """What the role may do in all of the database."""


@dataclass(frozen=True)
class ServerProbe(AccountProbe[Seen | None]):
    """Logs in once and runs one statement; for a backup every table is opened as well. None where sudo gives no shell
    of the account."""

    option_file: str
    database: str
    is_dumped: bool

    def ask(self) -> str:
        file, statement = quoted(self.option_file), filled(_STATEMENT, DATABASE=self.database, USER=_USER)
        script = filled(_ASK, FILE=file, STATEMENT=quoted(statement))
        script += filled(_READ, FILE=file, DATABASE=quoted(self.database)) if self.is_dumped else _NOT_READ
        return self.account.wrap(f"{script}echo end=yes\n")

    def read(self, reply: Reply) -> Seen | None:
        if reply.code == NOT_ALLOWED:
            return None
        if reply.error:
            raise Unreadable(reply.error)
        return read_lines(Seen, reply)


@dataclass(frozen=True, slots=True)
class Server:
    """One server."""

    database: Annotated[str, Matches(r"[A-Za-z0-9_$-]+", "a name of letters, digits, _, $ and -")]
    """In which the scripts work, and which is backed up."""
    scripts: RemotePath = RemotePath("")
    """Option file of the role that runs the scripts: `[client]` with socket or host, user and password."""
    backup: RemotePath = RemotePath("")
    """Option file of the role that takes the backup."""
    rights: tuple[Name, ...] = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "INDEX", "DROP")
    """What the scripts need in all of the database."""
    version: str = ""
    """With which its version begins: `10.11`."""
    read_only: bool = False
    """Whether it is meant to be a replica that takes no writes."""


@dataclass(frozen=True, slots=True)
class MariadbSettings:
    """`[checks.mariadb]`"""

    on: Mapping[HostRef, Server] = field(default_factory=dict)
    """Host -> its server."""


class Mariadb(Check):
    """Is the MariaDB server up, and can the role of the entry do its work in it?

    Entries on a host whose server `[checks.mariadb]` does not describe stay with database-engine, which says that
    nobody looked at them."""

    id = "mariadb"
    title = "the MariaDB server is up and its roles can work"
    engines = frozenset({"mariadb", "mysql"})
    needs = "as the account of the entry: read the option file"
    cure = "start the server, mend the role or its grants"
    Settings = MariadbSettings

    def subjects(self) -> Sequence[Subject]:
        works = (work for work in engine_work(self.plan, self.engines) if self._option_file(work))
        return [Subject(work.label, work, work.owner, steps=work.steps) for work in works]

    def probes(self, subject: Subject) -> Probes:
        work: ServerWork = subject.item
        file, database = self._option_file(work), self._server(work).database
        account, is_dumped = AsAccount.of(work), work.section is Section.BACKUPS
        return {"seen": ServerProbe(work.host.id, account, file, database, is_dumped)}

    def judge(self, subject: Subject, *, seen: Seen | None) -> Judgement:
        work: ServerWork = subject.item
        server, file = self._server(work), self._option_file(work)
        if seen is None:
            return unknown(
                f"sudo gives the login no shell of {work.who}",
                expected=f"{work.who} asks the server",
                actual="no shell",
                remedy=f"cure the line `become {work.who} on {work.host.id}`",
                behind=behind_become(work.host, work.who),
            )
        if seen.code:
            return failed(
                f"{work.who} on {work.host.id} cannot log in to {work.what}",
                expected=f"mariadb --defaults-file={file} runs a statement",
                actual=seen.said or f"status {seen.code}",
                remedy=f"on {work.host.id}, as {work.who}: mariadb --defaults-file={quoted(file)} -e 'SELECT 1'; have "
                "the server started, or the role or its option file mended, until that answers",
            )
        return Judgement.of(_judge(work, server, seen))

    def _server(self, work: ServerWork) -> Server:
        return self.settings.on[work.host.id]

    def _option_file(self, work: ServerWork) -> str:
        server = self.settings.on.get(work.host.id)
        if server is None:
            return ""
        return server.backup if work.section is Section.BACKUPS else server.scripts


def _judge(work: ServerWork, server: Server, seen: Seen) -> Iterator[Judgement]:
    yield passed(f"{seen.user} logs in to MariaDB {seen.version}")
    if not seen.version.startswith(server.version):
        yield failed(
            f"the server is of version {seen.version}",
            expected=server.version,
            actual=seen.version,
            remedy=f"correct `version` of [checks.mariadb.on.{work.host.id}], or find out which server answers there",
        )
    lacking = [right for right in server.rights if right not in seen.right]
    if not seen.database:
        yield failed(
            f"{seen.user} sees no database {server.database}",
            expected=server.database,
            actual="no such database, or no right in it",
            remedy=f"have the database made, or rights in it granted: GRANT ... ON {server.database}.* TO {seen.user}",
        )
    elif lacking and work.section is Section.SCRIPTS:
        yield failed(
            f"{seen.user} may not do in all of {server.database} what the scripts need: {', '.join(lacking)}",
            expected=", ".join(server.rights),
            actual=", ".join(seen.right) or "no right",
            remedy=f"GRANT {', '.join(lacking)} ON {server.database}.* TO {seen.user}; or correct `rights` of "
            f"[checks.mariadb.on.{work.host.id}]",
        )
    if seen.read_only is not server.read_only and work.section is Section.SCRIPTS:
        is_now = "takes no writes (read_only)" if seen.read_only else "takes writes"
        yield failed(
            f"the server {is_now}",
            expected=f"read_only = {int(server.read_only)}",
            actual=f"read_only = {int(seen.read_only)}",
            remedy=f"find out whether this is the primary; then on it: SET GLOBAL read_only = {int(server.read_only)}",
        )
    if seen.dump_code:
        yield failed(
            f"{seen.user} may not read everything that mariadb-dump saves",
            expected=f"every table of {server.database} can be read",
            actual=seen.dump_said or f"status {seen.dump_code}",
            remedy=f"GRANT SELECT, SHOW VIEW, TRIGGER ON {server.database}.* TO {seen.user}",
        )
