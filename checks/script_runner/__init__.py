"""script-runner: PostgreSQL's client programs work on the server, as the account that will run them."""

import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, Status, passed, unknown, warned
from preflight.judging.sealed_scripts import sealing_probes
from preflight.judging.work_login import SOCKETS, Arrival, ScriptRole, let_psql_tell, method_of
from preflight.plan import ServerRole
from preflight.plan.work import PlannedBackup, Section, ServerWork, behind_become, no_shell, server_work
from preflight.probe import NoReply, Probe
from preflight.questions import work_start
from preflight.questions.files import LocalText, Texts
from preflight.questions.postgres import Identity, IdentityProbe, SystemIdentifierProbe
from preflight.questions.shell import AsAccount, Refusal
from preflight.questions.sql import Major, major_of_server, quote_identifier, shown
from preflight.questions.sudo import ProgramRun, Programs, ProgramsProbe
from preflight.questions.work_start import LoginRefusal, Method, ServerLogin, Start, WorkStart, major_of
from preflight.wording import visible

from .script_order import OrderedScripts, judge_command

_HBA = "have pg_hba.conf on {host} let role {role} in to database {database} from {host} itself, then reload"
_REMEDIES = {
    LoginRefusal.NO_PASSWORD: "on {host}, as {account}: {pgpass}",
    LoginRefusal.PEER: "have {declared_in} log in as the role of {account} (`login`); or map {account} to {role} in "
    "pg_ident.conf, by a map that the line of pg_hba.conf names",
    LoginRefusal.BAD_PASSWORD: "correct the password of {role} in ~{account}/.pgpass on {host}; it may have expired",
    LoginRefusal.NO_HBA: _HBA,
    LoginRefusal.NO_DATABASE: "correct {naming} ({database}), or `server` of {table}; or have that database made",
    LoginRefusal.NO_ROLE: "correct `login` of {declared_in} ({role}), or have the role made",
    LoginRefusal.NOT_PERMITTED: "ALTER ROLE {role_identifier} LOGIN;",
    LoginRefusal.NO_CONNECT: "GRANT CONNECT ON DATABASE {database_identifier} TO {role_identifier};",
    LoginRefusal.NO_REPLICATION: "ALTER ROLE {role_identifier} REPLICATION;",
    LoginRefusal.TOO_MANY: "end connections nobody needs, or raise the limit of {role} or of the server",
    LoginRefusal.NO_SERVER: "have the server started; or name the address, or the socket's folder, at which it "
    "listens: `server` of {table}. " + SOCKETS,
    LoginRefusal.NO_NAME: "correct `server` of {table}, or PGHOST of {account} on {host}",
    LoginRefusal.STARTING_UP: "wait until the server is up, then run again",
    LoginRefusal.TLS: "cure the TLS settings of {account} on {host} (PGSSLMODE, ~/.postgresql/root.crt)",
    LoginRefusal.TOO_OLD: "have the server's own client programs installed on {host}, first on the PATH of {account}",
    LoginRefusal.OTHER: "run it by hand as {account} on {host} and cure what it complains of: "
    "{program} -w -U {role} -d {database}",
}
_IN_THE_WAY = {
    Start.FOLDER_ABSENT: "the folder is not there",
    Start.FOLDER_CLOSED: "the folder cannot be entered",
    Start.PROGRAM_MISSING: "there is no such program",
    Start.PROGRAM_DENIED: "it is not executable",
    Start.LOG_IS_FOLDER: "a folder has that name",
    Start.LOG_DENIED: "the file is there and cannot be written",
    Start.LOG_ABSENT: "there is no such folder",
    Start.LOG_CLOSED: "no file can be made in the folder",
}


class ScriptRunner(Check):
    """Do the client programs work on the server, as the account that will run the backup and the scripts?

    Scripts that run over the network instead of on the server took 115 minutes instead of 90 (b), and a dump made by an
    older program than the server is no dump. So the programs are run where and as whom the plan will run them, on the
    PATH a non-interactive login has (start-up files that only a login shell at a terminal reads are not seen), and
    their versions are held against the server's. Then the account logs in to the database there, at the declared
    `server` as the declared `login`, with `-X -w`: what needs a prompt fails here and not at midnight; so does the role
    that puts a backup back, or the `command` that does. It must arrive at the server that database-login sees in the
    same run, by its start and its system identifier, and that `preflight seal` saw; a clone, another cluster, a
    connection pooler or a replica on which the work cannot be done is FAIL, and so are settings of the role that end
    the scripts, or make other letters of theirs (`client_encoding`). What `preflight show --commands` prints runs every
    sealed script and stops at the first error (d): FAIL when `files` leaves one out, names what is not sealed or takes
    another back, or runs them twice or out of their numbers' order; when a sealed script turns ON_ERROR_STOP off or
    ends before its end (`\\q`); when the login cannot enter the staged folder or the log cannot be written. UNKNOWN
    where a script's text does not tell it: a variable, backquotes or `\\if` stand in the way, or the script was not
    read. What else is wrong with a script is shown by `rehearsal`. Of a `command` that is not psql it is looked whether
    the account can start it; whether it stops at the first error is shown by `rehearsal`, where its `rehearse_command`
    is named; else UNKNOWN until somebody says by `stops_on_error` when that was shown.
    """

    id = "script-runner"
    title = "the client programs work on the server"
    sections = ("backups", "scripts")
    needs = (
        "run psql, pg_dump or pg_restore as the account that will; log in from there without a prompt "
        "(`~/.pgpass`, peer or a certificate)"
    )
    judges_no_reply = frozenset({"identity"})
    cure = "have the programs installed or the login made to work without a prompt; correct the declared command"

    def subjects(self) -> Sequence[Subject]:
        works = (work for work in server_work(self.plan) if not work.taken_by or work.restore)
        return [Subject(work.label, work, work.owner, steps=work.steps) for work in works]

    def probes(self, subject: Subject) -> Probes:
        """The programs of the work; whether the login can enter the folder from which it starts the work as another
        account; whether that account finds the program of a `command`, and may write the log; what is sealed."""
        work: ServerWork = subject.item
        host, account = work.host, AsAccount.of(work)
        probes: dict[str, Probe[Any]] = {}
        entry = self.plan.scripts[work.id] if work.section is Section.SCRIPTS else None
        if entry and not work.by_login:
            probes["entered"] = work_start.WorkStartProbe(host.id, AsAccount.on(host, ""), entry.staged)
        if work.started:
            probes["start"] = work_start.WorkStartProbe(host.id, account, entry.staged if entry else "/", work.started)
        elif entry and entry.log:
            probes["start"] = work_start.WorkStartProbe(host.id, account, log=entry.log)
        if work.restore and work.restore.command:
            probes["restore_start"] = work_start.WorkStartProbe(host.id, account, program=work.restore.command[0])
        if work.connects:
            probes["identity"] = IdentityProbe(work.database.id)
            probes["programs"] = ProgramsProbe.on(self.plan, host, work.account)
        if entry:
            probes["manifest"], probes["texts"] = sealing_probes(self.plan, entry)
        return probes

    def follow_up(
        self, subject: Subject, *, identity: Identity | NoReply | None = None, programs: Programs = (), **_: object
    ) -> Probes:
        """In the database session: the system identifier of the server (pg_control_system), as database-login asks it.
        And one more login to the database for each, on the host itself, as the account and with the program that will
        do the work: `psql -X -w`, which asks where it arrived, when that server was started and with which settings the
        role begins, and logs in again once it has ended, since a pooler then lends the same connection; `pg_dump -w
        --schema-only` of a schema that does not exist; or, for a base backup, psql with replication=true and
        IDENTIFY_SYSTEM. The role that puts a dump back logs in so too. It never waits at a prompt."""
        work: ServerWork = subject.item
        if not work.connects or not all(run.ran for run in programs if run.program in work.programs[:1]):
            return {}
        method = method_of(work)
        program = work.program("psql") if method is Method.REPLICATION else work.programs[0]
        account = AsAccount.of(work)
        # pg_dump does not tell where it arrived: psql has to, where the account may run it.
        rather = work.program("psql") if method is Method.PG_DUMP else ""
        probe = work_start.ServerLoginProbe(work.host.id, account, program, method, work.connection, rather)
        probes: dict[str, Probe[Any]] = {"login": probe}
        if isinstance(identity, Identity):
            probes["system"] = SystemIdentifierProbe(work.database.id)
        restore = work.restore
        if restore and not restore.command and restore.connection != work.connection:
            probes["restore_login"] = replace(probe, connection=restore.connection)
        return probes

    def judge(
        self,
        subject: Subject,
        *,
        identity: Identity | NoReply | None = None,
        system: str = "",
        programs: Programs = (),
        login: ServerLogin | None = None,
        restore_login: ServerLogin | None = None,
        restore_start: WorkStart | None = None,
        entered: WorkStart | None = None,
        start: WorkStart | None = None,
        manifest: LocalText | None = None,
        texts: Texts | None = None,
    ) -> Judgement:
        work: ServerWork = subject.item
        seen = identity if isinstance(identity, Identity) else None
        sealed = self.plan.sealed.get(work.database.id) if work.target else None
        mine = {run.program: run for run in programs if run.program in work.programs}
        points = [self._judge_program(work, run) for run in mine.values()]
        if login is not None:
            points += self._judge_login(Arrival(work, login, seen, system, sealed))
            points += self._judge_versions(work, mine, login)
        restore, put_back = work.restore, restore_login or (login if login and login.refusal is None else None)
        if restore and not restore.command and put_back is not None:
            told = [*self._judge_login(Arrival(restore, put_back, seen, system, sealed))]
            if isinstance(restore, PlannedBackup) and restore.into not in ("", restore.database.dbname):
                told += _judge_empty(restore, put_back, seen)
            points += [replace(each, summary=f"restore: {each.summary}") for each in told if each not in points]
        points += [self._judge_start(restore, restore_start)] if restore and restore_start is not None else []
        if entered is not None:
            points += self._judge_entered(work, entered)
        points += [self._judge_start(work, start)] if start is not None else []
        if manifest is not None and work.command:
            points += judge_command(self.plan, self.moment, work, manifest)
        elif manifest is not None and texts is not None:
            points += OrderedScripts.of(self.plan, work, manifest, texts).judge()
        return Judgement.of(points)

    def _judge_entered(self, work: ServerWork, entered: WorkStart) -> Iterator[Judgement]:
        if entered.state is not Start.READY:
            folder, seen = self.plan.scripts[work.id].staged, _IN_THE_WAY[entered.state]
            remedy = f"have the approved scripts put there on {work.host.id}, or correct `staged` of {work.table}"
            if entered.state is Start.FOLDER_CLOSED:
                closed = shlex.quote(entered.reached)
                remedy = f"have root run on {work.host.id}: chmod o+x {closed}; or let {entered.account} alone through"
            yield work.failed(
                f"{entered.account} cannot start the work in {folder}: {seen}",
                f"a folder that the login may enter, because it starts the line of {work.account} there",
                f"{seen}, as {entered.account} sees it",
                remedy,
            )

    def _judge_start(self, work: ServerWork, seen: WorkStart) -> Judgement:
        """Whether the account finds the program of the `command`, or may write the log."""
        account = work.account or seen.account
        name = visible(work.started or self.plan.scripts[work.id].log)
        can = f"{account} can {'start' if work.started else 'write'} {name}"
        expected = f"{can}, on {work.host.id}"
        if seen.account != account:
            looked = f"{seen.account} looked, who may not become {account}"
            return no_shell(work.host, account, f"whether {can} is not known", expected=expected, actual=looked)
        if seen.state is Start.READY:
            return passed(can)
        why = _IN_THE_WAY[seen.state]
        actual = f"{why}, as {account} sees it"
        if work.started:
            key = "command" if work.command else "program"
            remedy = f"have it put there, executable for {account}; or correct `{key}` of {work.declared_in}"
            return work.failed(f"{name} does not start: {why}", expected, actual, remedy)
        remedy = _log_remedy(work, name, seen.state, account)
        return work.failed(f"{name} cannot be written: {why}", expected, actual, remedy)

    def _judge_program(self, work: ServerWork, run: ProgramRun) -> Judgement:
        if run.ran and major_of(run.said) is None:
            return unknown(
                f"{run.program} tells no version",
                expected="a version, as PostgreSQL's programs print it",
                actual=run.last_words,
                remedy=f"have PostgreSQL's own program put in the place of {run.path or run.program} on {work.host.id}",
            )
        if run.ran:
            return passed(f"{run.path or run.program} {shown(major_of(run.said) or ())} as {work.who}")
        if run.refusal not in (Refusal.NOT_FOUND, Refusal.OTHER):  # the line of `become` fails, this one cannot look
            return unknown(
                f"could not look: {run.refusal}",
                actual=run.last_words,
                remedy=f"cure the line `become {work.who} on {work.host.id}`, then run again",
                behind=behind_become(work.host, work.account),
            )
        remedy = f"run it by hand as {work.who} on {work.host.id} and cure what it complains of"
        if run.refusal is Refusal.NOT_FOUND:
            remedy = (
                f"have {run.program} on the PATH that a non-interactive login of {work.who} has on {work.host.id}, "
                f"or name its full path: `program` of {work.table}"
            )
        summary = f"{run.program} does not run: {run.refusal}"
        return work.failed(summary, "it runs on the server", run.last_words, remedy)

    def _judge_login(self, arrival: Arrival) -> Iterator[Judgement]:
        work, login = arrival.work, arrival.login
        if login.refusal is not None:
            yield self._login_failed(work, login, login.refusal)
            return
        amiss = list(arrival.judge())
        if all(point.status is not Status.FAIL for point in amiss):
            into = f" to {login.database}" if login.user else ""
            yield passed(f"{work.login} logs in{into} on the server without a prompt")
        yield from amiss
        yield from self._judge_settings(work, login, arrival.identity)

    def _judge_settings(self, work: ServerWork, login: ServerLogin, identity: Identity | None) -> Iterator[Judgement]:
        """Of a role that writes, where database-login has not judged the very same."""
        if login.settings is None:
            return
        role = ScriptRole(work.login, work.database, work.dbname, login.settings, work.failed)
        if work.section is Section.SCRIPTS:
            yield from role.judge_encoding("Scripts in {taken} begin with \\encoding {taken} then")
        elif not work.part and not any("--encoding" in word for word in self.plan.backups[work.id].options):
            yield from role.judge_encoding('Or give the backup options = ["--encoding={own}"]')
        if not work.part and work.section is not Section.SCRIPTS:
            return
        same_role = identity and work.database.role is ServerRole.PRIMARY and work.login == work.database.user
        if identity and same_role and role.begins_like(identity.settings):
            return
        yield from role.judge_read_only()
        # pg_restore sets its own, and psql runs what pg_dump wrote for that; but read-only it must not begin.
        if not work.part or not role.is_seen:
            step = self.plan.step(work.step)
            yield from role.judge(timedelta(minutes=step.minutes if step else 0))

    def _login_failed(self, work: ServerWork, login: ServerLogin, refusal: LoginRefusal) -> Judgement:
        if method_of(work) is Method.REPLICATION and refusal is LoginRefusal.OTHER:
            summary = "whether a base backup may connect is not known: psql does not run as the account"
            return unknown(summary, actual=login.said, remedy=let_psql_tell(work))
        cure = _REMEDIES[refusal]
        if refusal is LoginRefusal.NO_SERVER and work.server:
            cure = "have the server of {database} on {host} started; or correct `server` of {table}, {server}"
        filled = cure.format(
            server=visible(work.server),
            account=work.who,
            host=work.host.id,
            role=work.login,
            role_identifier=quote_identifier(work.login),
            database=work.dbname,
            naming=f"`into` of {work.declared_in}" if work.into else f"`name` of [databases.{work.database.id}]",
            database_identifier=quote_identifier(work.dbname),
            pgpass=_pgpass_command(work),
            program=work.program("psql") if work.part else work.programs[0],
            table=work.table,
            declared_in=work.declared_in,
        )
        expected = f"{work.login} logs in to {work.dbname} without a prompt, as {work.who} on {work.host.id}"
        remedy = work.database.on_primary(filled)
        return work.failed(f"no database login on the server: {refusal}", expected, login.said, remedy)

    def _judge_versions(self, work: ServerWork, runs: dict[str, ProgramRun], login: ServerLogin) -> Iterator[Judgement]:
        majors = {program.rpartition("/")[2]: major_of(run.said) for program, run in runs.items() if run.ran}
        server: Major | None = major_of_server(login.version_num) if login.version_num else None
        planned = work.database.version.split(".")[:2]
        if server is None and all(part.isdecimal() for part in planned):
            server = tuple(map(int, planned if planned[0] == "9" else planned[:1]))
        for name, major in majors.items():
            if server is not None and major is not None and name != "pg_restore":
                yield from self._against_server(work, name, major, server)
        for (first, dump), (second, restore) in pairwise(majors.items()):
            if second == "pg_restore" and dump is not None and restore is not None and restore < dump:
                yield work.failed(
                    f"pg_restore {shown(restore)} is older than {first} {shown(dump)}",
                    f"pg_restore {shown(dump)} or newer",
                    f"pg_restore {shown(restore)}",
                    f"have {first} and pg_restore of one version installed on {work.host.id}: an older one cannot "
                    "read the backup",
                )

    def _against_server(self, work: ServerWork, name: str, major: Major, server: Major) -> Iterator[Judgement]:
        if major < server:
            yield work.failed(
                f"{name} {shown(major)} is older than the server, {shown(server)}",
                f"{name} {shown(server)}",
                f"{name} {shown(major)}",
                f"have PostgreSQL {shown(server)}'s client programs installed on {work.host.id}, first on the PATH of "
                f"{work.who}",
            )
        elif major > server and name == "pg_dump":
            yield warned(
                f"{name} {shown(major)} is newer than the server, {shown(server)}",
                expected=f"{name} {shown(server)}",
                actual=f"{name} {shown(major)}",
                remedy=f"dump with version {shown(server)}: what a newer one writes, pg_restore and psql of the "
                "server's version may not read",
            )


def _judge_empty(restore: PlannedBackup, login: ServerLogin, identity: Identity | None) -> Iterator[Judgement]:
    """Of a restore into another database than the one that was dumped: pg_restore ends at the first error."""
    known = (each.settings if each else None for each in (login, identity))
    taken, wanted = (settings.shown("server_encoding") if settings else "" for settings in known)
    amiss = {
        f"tables, views and sequences in it already: {login.objects}": login.objects
        and "--clean" not in restore.options,
        f"its encoding is {taken}, that of the backup {wanted}": wanted and taken not in ("", wanted, "UTF8"),
        f"{restore.login} has no CREATE on it": not login.may_create,
    }
    if found := "; ".join(what for what, is_so in amiss.items() if is_so):
        name, encoding = quote_identifier(restore.into), f" ENCODING '{wanted}'" if wanted else ""
        remedy = f"where nobody needs what is in it: DROP DATABASE {name}; CREATE DATABASE {name} "
        remedy += f"OWNER {quote_identifier(restore.login)} TEMPLATE template0{encoding};"
        expected = "an empty database of the same encoding in which the role may create"
        yield restore.failed(f"the backup does not go into {restore.into}: {found}", expected, found, remedy)


def _pgpass_command(work: ServerWork) -> str:
    """Asks for the password and adds a line to the password file (libpq, 34.16); the server's name is left open, since
    a socket has another one in each program. Root may run it too: the file is the account's."""
    database = "*" if method_of(work) is Method.REPLICATION else work.dbname
    fields = [re.sub(r"([:\\])", r"\\\1", field) for field in (work.port or "*", database, work.login)]
    file, line = f"~{work.account}/.pgpass", shlex.quote(":".join(["*", *fields]))
    asked = f"printf %s {shlex.quote(f'password of {work.login}: ')}; stty -echo; IFS= read -r p; stty echo"
    written = f"printf '%s:%s\\n' {line} \"$(printf %s \"$p\" | sed 's/[:\\\\]/\\\\&/g')\" >>{file}"
    owned = f" && chown {work.account} {file}" if work.account else ""
    return f"{asked}; {written} && chmod 600 {file}{owned}"


def _log_remedy(work: ServerWork, log: str, state: Start, account: str) -> str:
    """The file is made, or given to the account; its folder, which may be the system's, keeps its owner and mode."""
    file, folder = shlex.quote(log), shlex.quote(posixpath.dirname(log) or "/")
    make = f"touch -- {file} && chown {account} -- {file}"
    cures = {
        Start.LOG_ABSENT: f"mkdir -p -- {folder} && {make}",
        Start.LOG_CLOSED: make,
        Start.LOG_DENIED: f"chown {account} -- {file} && chmod u+w -- {file}",
    }
    cure = f"have root run on {work.host.id}: {cures[state]}; or " if state in cures else ""
    return f"{cure}name another file: `log` of {work.table}"
