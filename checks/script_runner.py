"""script-runner: PostgreSQL's client programs work on the server, as the account that will run them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.plan import Connect, ServerRole
from preflight.plan.work import Section, ServerWork, minutes_at_stake, programs_of, server_work
from preflight.probes.files import LocalText, Texts
from preflight.probes.output_files import OutputFiles
from preflight.probes.shell import AsAccount
from preflight.probes.sudo import ProgramRun, Programs, ProgramsProbe, Refusal
from preflight.probes.tools import (
    LoginRefusal,
    Major,
    Method,
    ServerLogin,
    ServerLoginProbe,
    major_of,
    major_of_server,
    shown,
)
from preflight.scripts.line_points import judge_line
from preflight.scripts.output_points import judge_outputs, output_probes
from preflight.scripts.planned_line import line_probes, planned_line
from preflight.scripts.psql_call import with_server_options

_GOOD_LINE = "psql -X -w -v ON_ERROR_STOP=1 -U {role} -d {database} -f SCRIPT"
_HBA = "have pg_hba.conf on {host} let role {role} in to database {database} from {host} itself, then reload"
_REMEDIES = {
    LoginRefusal.NO_PASSWORD: "put the line *:{port}:{database}:{role}:PASSWORD into ~{account}/.pgpass on {host}, "
    "and run: chmod 600 ~{account}/.pgpass",
    LoginRefusal.PEER: "map {account} to {role} in pg_ident.conf, or name the server in the run line (-h localhost)",
    LoginRefusal.BAD_PASSWORD: "correct the password of {role} in ~{account}/.pgpass on {host}; it may have expired",
    LoginRefusal.NO_HBA: _HBA,
    LoginRefusal.NO_DATABASE: "correct the database in the run line (-d {database})",
    LoginRefusal.NO_ROLE: "correct the role in the run line (-U {role}), or have it made",
    LoginRefusal.NOT_PERMITTED: "ALTER ROLE {role} LOGIN",
    LoginRefusal.NO_CONNECT: "GRANT CONNECT ON DATABASE {database} TO {role}",
    LoginRefusal.NO_REPLICATION: "ALTER ROLE {role} REPLICATION",
    LoginRefusal.TOO_MANY: "end connections nobody needs, or raise the limit of {role} or of the server",
    LoginRefusal.NO_SERVER: "name the socket's folder or the address where the server of {database} listens: -h and "
    "-p {port} in the run line, or PGHOST and PGPORT for {account} on {host}",
    LoginRefusal.NO_NAME: "correct -h in the run line, or PGHOST of {account} on {host}",
    LoginRefusal.STARTING_UP: "wait until the server is up, then run again",
    LoginRefusal.TLS: "cure the TLS settings of {account} on {host} (PGSSLMODE, ~/.postgresql/root.crt)",
    LoginRefusal.TOO_OLD: "have the server's own client programs installed on {host}, first on the PATH of {account}",
    LoginRefusal.OTHER: "run it by hand as {account} on {host} and cure what it complains of: "
    "{program} -w -U {role} -d {database}",
}


class ScriptRunner(Check):
    """Do the client programs work on the server, as the account that will run the backup and the scripts?

    Scripts that run over the network instead of on the server took 115 minutes instead of 90 (b), and a dump made by
    an older program than the server is no dump. So the programs are run where and as whom the plan will run them, on
    the PATH a non-interactive login has, and their versions are held against the server's. Then the account logs in
    to the database there, as the run line does, with `-X -w`: what needs a prompt fails here and not at midnight. The
    run line itself must stop on the first error (d): without ON_ERROR_STOP psql goes on and ends with 0. The line is
    followed as a shell would, one command failing at a time: FAIL when it runs no script, leaves a sealed one out, runs
    one that is not sealed or takes another back, goes on after a failure, or ends with 0 all the same (`|| true`,
    `; echo`, a pipe without pipefail, `&`), and when a file that it writes cannot be written. A line that is not
    followed (functions, `case`, `eval`, `$( )` around psql), or that starts psql where it was not tried, is UNKNOWN.
    """

    id = "script-runner"
    title = "the client programs work on the server"
    sections = ("backups", "scripts")
    needs = (
        "run psql, pg_dump or pg_restore as the account that will; log in from there without a prompt "
        "(`~/.pgpass`, peer or a certificate)"
    )
    cure = "have the programs installed or the login made to work without a prompt; correct the run line"

    def subjects(self) -> Sequence[Subject]:
        return [
            Subject(work.label, work, work.owner, steps=(work.step,) if work.step else ())
            for work in server_work(self.plan)
        ]

    def probes(self, subject: Subject) -> Probes:
        work: ServerWork = subject.item
        account = AsAccount.on(work.host, work.account)
        programs = ProgramsProbe(work.host.id, account, programs_of(self.plan, work.host.id, work.account))
        more = line_probes(self.plan, work) if work.section is Section.SCRIPTS else {}
        return {"programs": programs, **more}

    def follow_up(
        self, subject: Subject, *, programs: Programs, manifest: LocalText | None = None, texts: Texts | None = None
    ) -> Probes:
        """One more login to the database for each, on the host itself, as the account and with the program that will
        do the work: `psql -X -w`, which asks where it arrived; `pg_dump -w --schema-only` of a schema that does not
        exist; or, for a base backup, psql with replication=true and IDENTIFY_SYSTEM. It never waits at a prompt. And
        for the files that the run line writes, whether they can be written; nothing is."""
        work: ServerWork = subject.item
        line = planned_line(self.plan, work, manifest, texts) if manifest and texts else None
        return {**self._login_probe(work, programs), **(output_probes(line) if line else {})}

    def _login_probe(self, work: ServerWork, programs: Programs) -> Probes:
        method = _method(work)
        unreadable = work.psql is not None and (work.psql.unreadable or work.psql.left_open)
        if unreadable or not all(run.ran for run in programs if run.program == work.programs[0]):
            return {}
        program = work.programs[0]
        if method is Method.REPLICATION:
            program = program.removesuffix("pg_basebackup") + "psql"
        account = AsAccount.on(work.host, work.account)
        return {"login": ServerLoginProbe(work.host.id, account, program, method, self._connection(work))}

    def _connection(self, work: ServerWork) -> tuple[tuple[str, str], ...]:
        """What the run line says, and nothing more; where there is none, what the plan says of the database."""
        if work.psql is not None:
            return with_server_options(work.psql)
        database = work.database
        told = {"port": str(database.port), "user": work.login, "dbname": database.name or database.id}
        lines = [each.psql for each in server_work(self.plan) if each.database == database and each.psql]
        # An address for direct connections holds from here. On the host, a program takes the socket by itself.
        host = next((line.says("host") for line in lines if line.says("host")), "")
        if not host and database.connect is Connect.TUNNEL:
            host = database.address
        if host:
            told["host"] = host
        return tuple(sorted(told.items()))

    def judge(
        self,
        subject: Subject,
        *,
        programs: Programs,
        manifest: LocalText | None = None,
        texts: Texts | None = None,
        login: ServerLogin | None = None,
        outputs: OutputFiles | None = None,
        login_outputs: OutputFiles | None = None,
    ) -> Judgement:
        work: ServerWork = subject.item
        mine = {run.program: run for run in programs if run.program in work.programs}
        points = [self._judge_program(work, run) for run in mine.values()]
        if login is not None:
            points += self._judge_login(work, login)
            points += self._judge_versions(work, mine, login)
        if manifest and texts:
            line = planned_line(self.plan, work, manifest, texts)
            points += judge_line(line)
            points += judge_outputs(line, outputs, login_outputs)
        return Judgement.of(points)

    def _judge_program(self, work: ServerWork, run: ProgramRun) -> Judgement:
        if run.ran and major_of(run.said) is None:
            return unknown(
                f"{run.program} tells no version",
                expected="a version, as PostgreSQL's programs print it",
                actual=run.last_words,
                remedy=f"look at what {run.path or run.program} is on {work.host.id}",
            )
        if run.ran:
            return passed(f"{run.path or run.program} {shown(major_of(run.said) or ())} as {_who(work)}")
        if run.refusal not in (Refusal.NOT_FOUND, Refusal.OTHER):  # the line of `become` fails, this one cannot look
            return unknown(
                f"could not look: {run.refusal}",
                actual=run.last_words,
                remedy=f"cure the line `become {_who(work)} on {work.host.id}`, then run again",
            )
        remedy = f"run it by hand as {_who(work)} on {work.host.id} and cure what it complains of"
        if run.refusal is Refusal.NOT_FOUND:
            remedy = (
                f"have {run.program} on the PATH that a non-interactive login of {_who(work)} has on {work.host.id}, "
                "or name its full path in the run line"
            )
        return self._failed(
            work, f"{run.program} does not run: {run.refusal}", "it runs on the server", run.last_words, remedy
        )

    def _judge_login(self, work: ServerWork, login: ServerLogin) -> Iterator[Judgement]:
        name = work.database.name or work.database.id
        if login.refusal is not None:
            yield self._login_failed(work, login, name)
            return
        if not login.user:
            yield passed(f"{work.login} logs in on the server without a prompt")
            return
        expected = f"role {work.login} in database {name}, port {work.database.port}"
        actual = f"role {login.user} in database {login.database}, port {login.port}"
        if (login.user, login.database) != (work.login, name):
            remedy = f"name both in the run line: {_GOOD_LINE.format(role=work.login, database=name)}"
            yield self._failed(work, "the login arrives elsewhere", expected, actual, remedy)
        elif not self._right_cluster(work, login):
            remedy = (
                f"name the server in the run line: -p {work.database.port} (and -h), or set PGPORT for {_who(work)}"
            )
            yield self._failed(work, "another server answers", expected, actual, remedy)
        elif login.in_recovery and work.section is Section.SCRIPTS and work.database.role is ServerRole.PRIMARY:
            remedy = f"name the primary in the run line, as [databases.{work.database.id}] does: -h and -p"
            yield self._failed(work, "a replica answers, on which nothing can be written", "primary", "replica", remedy)
        elif self._is_elsewhere(work):
            yield unknown(
                f"whether the server at {work.psql.says('host') if work.psql else ''} is that of {work.database.id} "
                "is not known: the port alone is compared",
                expected=f"a server that runs on {work.host.id}, or the system identifier that the plan names",
                actual=f"system identifier {login.system_identifier or 'not shown'}",
                remedy=f"leave -h out of the run line; or, if this is the right server: system_identifier = "
                f'"{login.system_identifier or "..."}" in [databases.{work.database.id}]',
            )
        else:
            yield passed(f"{login.user} logs in to {login.database} on the server without a prompt")

    @staticmethod
    def _is_elsewhere(work: ServerWork) -> bool:
        """The run line names an address that nothing ties to the plan's server."""
        named = work.psql.says("host") if work.psql else ""
        known = {"", "localhost", "127.0.0.1", "::1", work.database.address, work.host.address, work.host.id}
        return not work.database.system_identifier and named not in known and not named.startswith(("/", "@"))

    @staticmethod
    def _right_cluster(work: ServerWork, login: ServerLogin) -> bool:
        """By its system identifier where both are known, since a forwarded port has two numbers; else by its port."""
        if work.database.system_identifier and login.system_identifier:
            return work.database.system_identifier == login.system_identifier
        return login.port == work.database.port

    def _login_failed(self, work: ServerWork, login: ServerLogin, name: str) -> Judgement:
        refusal = login.refusal or LoginRefusal.OTHER
        if _method(work) is Method.REPLICATION and refusal is LoginRefusal.OTHER:
            return unknown(
                "whether a base backup may connect is not known: psql does not run as the account",
                actual=login.said,
                remedy=f"try it by hand as {_who(work)} on {work.host.id}: psql -w -d replication=true "
                f"-U {work.login} -c IDENTIFY_SYSTEM",
            )
        remedy = _REMEDIES[refusal].format(
            account=_who(work),
            host=work.host.id,
            role=work.login,
            database=name,
            port=work.database.port,
            program=work.programs[0],
        )
        expected = f"{work.login} logs in to {name} without a prompt, as {_who(work)} on {work.host.id}"
        return self._failed(work, f"no database login on the server: {refusal}", expected, login.said, remedy)

    def _judge_versions(self, work: ServerWork, runs: dict[str, ProgramRun], login: ServerLogin) -> Iterator[Judgement]:
        majors = {program.rpartition("/")[2]: major_of(run.said) for program, run in runs.items() if run.ran}
        server = self._server_major(work, login)
        for name, major in majors.items():
            if server is not None and major is not None and name != "pg_restore":
                yield from self._against_server(work, name, major, server)
        for (first, dump), (second, restore) in pairwise(majors.items()):
            if second == "pg_restore" and dump is not None and restore is not None and restore < dump:
                yield self._failed(
                    work,
                    f"pg_restore {shown(restore)} is older than {first} {shown(dump)}",
                    f"pg_restore {shown(dump)} or newer",
                    f"pg_restore {shown(restore)}",
                    f"have {first} and pg_restore of one version installed on {work.host.id}: an older one cannot "
                    "read the backup",
                )

    def _against_server(self, work: ServerWork, name: str, major: Major, server: Major) -> Iterator[Judgement]:
        if major < server:
            yield self._failed(
                work,
                f"{name} {shown(major)} is older than the server, {shown(server)}",
                f"{name} {shown(server)}",
                f"{name} {shown(major)}",
                f"have PostgreSQL {shown(server)}'s client programs installed on {work.host.id}, first on the PATH of "
                f"{_who(work)}",
            )
        elif major > server and name == "pg_dump":
            yield warned(
                f"{name} {shown(major)} is newer than the server, {shown(server)}",
                expected=f"{name} {shown(server)}",
                actual=f"{name} {shown(major)}",
                remedy=f"dump with version {shown(server)}: what a newer one writes, pg_restore and psql of the "
                "server's version may not read",
            )

    @staticmethod
    def _server_major(work: ServerWork, login: ServerLogin) -> Major | None:
        if login.version_num:
            return major_of_server(login.version_num)
        planned = work.database.version.split(".")[:2]
        if not all(part.isdecimal() for part in planned):
            return None
        return tuple(map(int, planned if planned[0] == "9" else planned[:1]))

    def _failed(self, work: ServerWork, summary: str, expected: str, actual: str, remedy: str) -> Judgement:
        stake = minutes_at_stake(self.plan, [work])
        return failed(summary, expected=expected, actual=actual, remedy=remedy, minutes_at_stake=stake)


def _who(work: ServerWork) -> str:
    return work.account or "the login"


def _method(work: ServerWork) -> Method:
    name = work.programs[0].rpartition("/")[2]
    return {"pg_dump": Method.PG_DUMP, "pg_basebackup": Method.REPLICATION}.get(name, Method.PSQL)
