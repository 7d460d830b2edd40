"""`preflight show --format markdown`: what has to be asked for before a plan can be GO, from whom, ready to be sent:
accounts, sudo rules, folders, roles, grants, ways through firewalls, people. Pure: everything follows from the plan;
nothing here knows whether it is there already."""

import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import groupby
from textwrap import indent
from typing import Any

from preflight.clock import format_moment
from preflight.plan import BackupMethod, Connect, Database, Host, Plan, Scripts, ServerRole, SslMode
from preflight.plan import work as planned
from preflight.plan.limits import split_server
from preflight.plan.ranges import in_ranges
from preflight.plan.release_plan import grouped
from preflight.plan.values import Content, Privilege, show_address
from preflight.questions.http import HttpRequest
from preflight.questions.sql import always_quoted, membership_grant, quote_identifier
from preflight.report.formats.markdown import fenced
from preflight.report.harmless import markdown_text
from preflight.units import format_duration

_PLAIN = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_./+-]*")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing to ask for, in words, and the lines that grant it."""

    owner: str
    """Id of the role that can grant it."""
    text: str
    checks: tuple[str, ...]
    """The checks that cannot pass without it."""
    language: str = ""
    """Of the lines: `sudoers`, `sql`, `sh`, `pg_hba.conf`."""
    lines: tuple[str, ...] = ()
    """Ready to be used."""


def render(plan: Plan) -> str:
    return "\n\n".join(_blocks(plan)) + "\n"


def requirements_by_owner(plan: Plan) -> dict[str, list[Requirement]]:
    """By the id of the role that is asked, empty for what nobody owns; who needs longest comes first."""
    found = grouped(_folded(_requirements(plan)), lambda requirement: requirement.owner)
    return dict(sorted(found.items(), key=lambda each: -_lead_time(plan, each[0])))


def _folded(requirements: Iterable[Requirement]) -> Iterator[Requirement]:
    """Those in a row that are equal but for numbers that count up are one: forty endpoints are asked for once."""
    for _, alike in groupby(requirements, lambda each: (each.owner, each.checks, each.language, each.lines)):
        first, *others = alike
        yield from (replace(first, text=text) for text in in_ranges(each.text for each in (first, *others)))


def _lead_time(plan: Plan, owner: str) -> timedelta:
    """How long the role's answer takes, as the plan says; 0 where it does not."""
    role = plan.roles.get(owner)
    return (role.lead_time if role else None) or timedelta()


def _blocks(plan: Plan) -> Iterator[str]:
    release, window = plan.release, plan.window
    title = " ".join(part for part in (release.id, release.title) if part)
    ticket = f" ({markdown_text(release.ticket)})" if release.ticket else ""
    yield f"# What {markdown_text(title)}{ticket} needs"
    start, end = (format_moment(at, window.zone) for at in (window.start, window.end))
    yield (
        f"The window is {start} to {end} ({window.zone}).\n"
        "Everything below follows from the release plan. preflight only reads; `preflight show` prints every question "
        "word for word, and docs/security.md says what it leaves behind."
    )
    for owner, needed in requirements_by_owner(plan).items():
        yield f"## {markdown_text(plan.person(owner) or 'Nobody in the plan')}"
        lead_time = _lead_time(plan, owner)
        lead = f" (such requests take {format_duration(lead_time)})" if lead_time > timedelta() else ""
        yield f"To be done by {format_moment(window.start - lead_time, window.zone)}{lead}."
        for number, requirement in enumerate(needed, 1):
            yield f"{number}. {markdown_text(requirement.text)} *({', '.join(requirement.checks)})*"
            if requirement.lines:
                block = "\n".join(fenced(requirement.lines, requirement.language))
                yield indent(block, " " * (len(str(number)) + 2), lambda _line: True)


def _requirements(plan: Plan) -> Iterator[Requirement]:
    yield from _logins(plan)
    for host in plan.hosts.values():
        yield from (_sudo(plan, host, account) for account in planned.other_accounts(plan, host))
    yield from _commands(plan)
    yield from _folders(plan)
    for database in plan.databases.values():
        yield from _of_database(plan, database)
        yield from _work_rights(plan, database)
    yield from _rehearsal_server(plan)
    yield from _other_engines(plan)
    yield from _queries(plan)
    yield from _network(plan)
    yield from _presence(plan)


def _logins(plan: Plan) -> Iterator[Requirement]:
    """Hosts of one owner with one account and one key are one request: he reads it once, not forty times."""
    until = format_moment(plan.window.needed_until, plan.window.zone)
    for (owner, login, how), hosts in grouped(plan.hosts.values(), _login).items():
        places = (f"{host.id} (at {host.address or host.id}, port {host.ssh_port}{_elsewhere(host)})" for host in hosts)
        text = (
            f"{login} on {', '.join(in_ranges(places))} by {how}, with a shell and without a forced command. "
            f"Account, password and key hold past {until}."
        )
        yield Requirement(owner, text, ("host-login",))


def _login(host: Host) -> tuple[str, str, str]:
    """(owner, account, credential), the last two in words."""
    login = f"The login {host.user}" if host.user else "The login of ssh_config"
    how = "a password, which whoever runs preflight holds" if host.password else "the key of ssh_config"
    if host.key or host.agent:
        how = f"the public key of {host.key.name if host.key else f'the agent ({host.agent})'} in authorized_keys"
    how += ", and a code for the second factor, which somebody types there" if host.second_factor else ""
    return host.owner, login, how


def _elsewhere(host: Host) -> str:
    return ", or where ssh_config leads" if host.ssh_config else ""


def _sudo(plan: Plan, host: Host, account: str) -> Requirement:
    text = (
        f"On {host.id}: {host.who} becomes {account} without a prompt for the programs of the work, and for a shell "
        f"that looks at the folders only {account} may see. Where the programs lie elsewhere, with their paths there."
    )
    if any(entry.account == account and entry.password for entry in host.become):
        text = text.replace("without a prompt", "with its own password")
    line = sudoers_line(plan, host, account)
    if not line:
        text += " A name in it means something else in sudoers: write this rule by hand."
    checks = ("become", "backup-location", "earlier-backup", "script-hashes", "rehearsal")
    return Requirement(host.owner, text, checks, "sudoers", (line,) if line else ())


def sudoers_line(plan: Plan, host: Host, account: str) -> str:
    """The rule with which the login becomes `account` for just what the plan's work and its checks run: the programs,
    and a shell that looks at folders which only the account may see. Empty for names that sudoers gives a meaning."""
    works = planned.work_of(plan, host.id, account)
    telling = [work.program("psql") for work in works if work.connects]  # which server it reaches; pg_dump does not
    started = [_started(plan, act) for work in works for act in work.acts if act.command]
    backups = [work for work in works if isinstance(work, planned.PlannedBackup)]
    verifying = [program for backup in backups for program in _verifying(backup)]
    asked = [work.program(work.backup.method) for work in backups if work.backup.method.has_repository]
    kept = planned.kept_on(plan, host.id)
    read = [each for each in kept if each.account == account and each.backup.previous and each.target]
    reading = [each.program("pg_restore") for each in read]
    fetching = _fetching(plan, host, account)
    names = [*planned.programs_of(plan, host.id, account), *telling, *started, *verifying, *asked, *reading, *fetching]
    programs = [name if name.startswith("/") else f"/usr/bin/{name}" for name in names]
    listed = [*programs, "/bin/sh"] if works or kept or not programs else programs
    secret = next((entry.password for entry in host.become if entry.account == account), None)
    tag = "" if secret else "NOPASSWD: "
    if not all(map(_is_plain, (host.user, account, *listed))):
        return ""
    return f"{host.user} ALL=({account}) {tag}{', '.join(dict.fromkeys(listed))}"


def _verifying(work: planned.PlannedBackup) -> tuple[str, ...]:
    """What says of a backup that is no dump, or that cannot be read here, whether it is whole, and of which server."""
    if work.backup.verify:
        return work.backup.verify[:1]
    is_read = work.replicates and work.backup.previous
    return (work.program("pg_verifybackup"), work.program("pg_controldata")) if is_read else ()


def _fetching(plan: Plan, host: Host, account: str) -> Iterator[str]:
    """What `preflight rehearse` calls there."""
    dumped = plan.rehearsal.content is Content.SCHEMA
    for source in plan.once(_sources).get((host.id, account), ()):
        yield from map(source.program, ("pg_dump", "pg_dumpall") if dumped else ("pg_dumpall",))


def _sources(plan: Plan) -> Mapping[tuple[str, str], Sequence[planned.ServerWork]]:
    """Where a rehearsal fetches what it runs on, by host and account; nowhere where the plan leaves it out."""
    works = [] if plan.release.without.rehearsal else [work for work in planned.script_work(plan) if work.connects]
    sources = (planned.planned_source(plan, work.database.id, work) for work in works)
    return grouped(sources, lambda each: (each.host.id, each.account))


def _is_plain(name: str) -> bool:
    """Whether it means in sudoers just what it says."""
    return bool(_PLAIN.fullmatch(name)) and name != "ALL"


def _started(plan: Plan, work: planned.ServerWork) -> str:
    """The program of a `command`, which may be named relative to the staged folder."""
    program = work.command[0]
    if "/" not in program or work.section is not planned.Section.SCRIPTS:
        return program
    return posixpath.normpath(posixpath.join(plan.scripts[work.id].staged, program))


def _commands(plan: Plan) -> Iterator[Requirement]:
    """Of `[checks.command]`: each program that sudo is to run."""
    run: Any = plan.checks.get("command", {}).get("run", {})
    for command in run.values():
        host = plan.hosts.get(command.host)
        if host is None or command.account in ("", host.user):
            continue
        text = f"On {host.id}: {host.who} runs {command.program} as {command.account} without a prompt."
        names = (host.user, command.account, command.program)
        plain = all(map(_is_plain, names)) and command.program.startswith("/")
        line = f"{host.user} ALL=({command.account}) NOPASSWD: {command.program}"
        yield Requirement(command.owner or host.owner, text, ("command",), "sudoers", (line,) if plain else ())


def _folders(plan: Plan) -> Iterator[Requirement]:
    for backup in plan.backups.values():
        if backup.method.has_repository:  # which is there
            continue
        host = plan.host_of(backup)
        account = backup.account or host.user
        who = account or host.who
        text = f"On {host.id}: the folder for the backup, on other storage than the data directory, writable by {who}."
        yield _folder(host, text, account, "0700", backup.directory, "backup-location", "backup-space")
    for scripts in plan.scripts.values():
        host = plan.host_of(scripts)
        account = scripts.account or host.user
        who = account or host.who
        starts = "" if account == host.user else f", to be entered by {host.who}, who starts the line there"
        text = f"On {host.id}: the folder for the staged scripts, readable by {who}{starts}; not writable by others."
        yield _folder(host, text, account, "0751" if starts else "0750", scripts.staged, "script-hashes")
        if scripts.log:
            text = f"On {host.id}: {who} may write {scripts.log}, whose folder is there."
            yield Requirement(host.owner, text, ("script-runner",))


def _folder(host: Host, text: str, account: str, mode: str, folder: str, *checks: str) -> Requirement:
    """With the line that makes it, where the plan names the account."""
    line = f"install -d -m {mode} -o {shlex.quote(account)} {shlex.quote(folder)}"
    return Requirement(host.owner, text, checks, "sh", (line,) if account else ())


def _of_database(plan: Plan, database: Database) -> Iterator[Requirement]:
    """Roles with their grants, the line of pg_hba.conf, and the logins of the work itself."""
    acts = [act for work in planned.work_with(plan, database.id) for act in work.acts if act.connects]
    connecting = {(act.host.id, act.account, act.connection): act for act in acts}.values()
    methods = {backup.method for backup in plan.backups.values() if backup.database == database.id}
    roles = dict.fromkeys([database.user, *(work.login for work in connecting)])
    until = format_moment(plan.window.needed_until, plan.window.zone)
    place = f"On the primary of {database.id}" if database.role is ServerRole.REPLICA else f"In {database.id}"
    named = f"login role{'s' if len(roles) > 1 else ''} {', '.join(roles)}"
    text = (
        f"{place}: {named}, valid past {until} (VALID UNTIL), with these grants for the checks. What the work itself "
        "needs is asked for below, or granted with the release."
    )
    grants = [grant for role in roles for grant in _grants(database, role, methods)]
    grants += [f"ALTER ROLE {quote_identifier(each.login)} REPLICATION;" for each in connecting if each.replicates]
    checks = ("database-login", *(("backup-location", "backup-space") if methods else ()))
    yield Requirement(database.owner, text, checks, "sql", tuple(grants))
    kind = _kind_of_line(database.sslmode)
    lines = [f"{kind} {always_quoted(database.dbname)} {always_quoted(database.user)} 127.0.0.1/32 scram-sha-256"]
    text = f"For {database.id}: a line of pg_hba.conf that lets {database.user} in, through the host's own SSH login."
    if database.connect is Connect.DIRECT:  # from where it is, no plan says
        lines.clear()
        text = (
            f"For {database.id}: a line of pg_hba.conf ({kind}, scram-sha-256) that lets {database.user} in to "
            f"{database.dbname} from the address of the machine that runs preflight."
        )
    yield Requirement(database.owner, text, ("database-login",), "pg_hba.conf", tuple(lines))
    for work in connecting:
        if work.replicates:
            yield _replication(database, work)
        text = (
            f"On {work.host.id}: {work.account or work.host.who} logs in to {work.dbname} as {work.login} without a "
            "prompt (peer, ~/.pgpass with mode 0600, or a certificate)."
        )
        yield Requirement(database.owner, text, ("script-runner",))


def _kind_of_line(sslmode: SslMode) -> str:
    """Of pg_hba.conf."""
    return "host" if sslmode is SslMode.DISABLE else "hostssl"


def _rehearsal_server(plan: Plan) -> Iterator[Requirement]:
    """Of `[rehearsal.server]`, asked of whoever owns the database that is rehearsed first."""
    server, works = plan.rehearsal.server, [work for work in planned.script_work(plan) if work.connects]
    if server is None or plan.release.without.rehearsal or not works:
        return
    owner, place = works[0].database.owner, show_address(server.address, server.port)
    databases = ", ".join(dict.fromkeys(work.database.id for work in works))
    logins = ", ".join(dict.fromkeys(work.login for work in works))
    room = ", room for all that is restored" if plan.rehearsal.content is Content.RESTORE else ""
    text = (
        f"At {place}: a PostgreSQL server for rehearsals alone, of the major version and with the extensions of "
        f"{databases}{room}; no database but postgres and the templates, autovacuum off, no role {logins}; "
        f"{server.user} is a superuser there, for whom whoever runs preflight holds the password."
    )
    made = [] if server.user == "postgres" else [f"CREATE ROLE {quote_identifier(server.user)} SUPERUSER LOGIN;"]
    lines = (*made, "ALTER SYSTEM SET autovacuum = off;", "SELECT pg_reload_conf();")
    yield Requirement(owner, text, ("rehearsal",), "sql", lines)
    kind = _kind_of_line(server.sslmode)
    text = (
        f"For {place}: lines of pg_hba.conf ({kind}, scram-sha-256) that let {server.user} and {logins}, which a "
        "rehearsal makes and removes, in to every database from the machine that runs preflight."
    )
    yield Requirement(owner, text, ("rehearsal",))
    key = show_address(server.address, server.ssh_port)
    text = f"From {_here('')} to {place}/tcp: the rehearsals; to {key}/tcp: its SSH host key, without a login."
    yield Requirement(owner, text, ("rehearsal",))


def _work_rights(plan: Plan, database: Database) -> Iterator[Requirement]:
    """What the work itself needs of the database, as far as the plan tells: who owns its objects, it does not."""
    works = planned.work_with(plan, database.id)
    dumps = (each for each in works if isinstance(each, planned.PlannedBackup) and not each.replicates)
    dumping = dict.fromkeys(each.login for each in dumps if each.connects)
    for role in dumping:
        text = (
            f"In {database.id}: {role} reads everything that pg_dump saves. Tables with row security take BYPASSRLS "
            "besides, and large objects SELECT on each: backup-rights names them."
        )
        grant = f"{membership_grant('pg_read_all_data', role)};"
        yield Requirement(database.owner, text, ("backup-rights",), "sql", () if role == "postgres" else (grant,))
    for work in (each for each in works if each.section is planned.Section.SCRIPTS):
        entry = plan.scripts[work.id]
        if entry.touches or entry.privileges:
            text = (
                f"In {database.id}: {work.login} may do what the scripts do. What is called "
                f"{' or '.join(entry.touches) or 'otherwise'} belongs to it, or to a role whose rights it inherits."
            )
            opened = work.login in dumping
            on, role = quote_identifier(work.dbname), quote_identifier(work.login)
            temporary = f"GRANT TEMPORARY ON DATABASE {on} TO {role};"
            grants = (temporary, *_for_scripts(entry, work.login, opened=opened)) if work.login != "postgres" else ()
            yield Requirement(database.owner, text, ("script-rights",), "sql", grants)


def _for_scripts(entry: Scripts, login: str, *, opened: bool) -> Iterator[str]:
    """`opened`: the role reads everything, for which every schema is open to it. `public` is to everybody."""
    role = quote_identifier(login)
    made = dict.fromkeys(pattern.partition(".")[0] for pattern in entry.touches)
    used = dict.fromkeys(pattern.partition(".")[0] for pattern in entry.privileges)
    for schema in (each for each in {**made, **used} if "*" not in each):
        is_open = opened or schema == "public"
        if rights := [*([] if is_open else ["USAGE"]), *(["CREATE"] if schema in made else [])]:
            yield f"GRANT {', '.join(rights)} ON SCHEMA {quote_identifier(schema)} TO {role};"
    for pattern, privileges in entry.privileges.items():
        schema, _, name = pattern.partition(".")
        kind = "SEQUENCE" if Privilege.USAGE in privileges else "TABLE"
        on = f"{kind} {quote_identifier(schema)}.{quote_identifier(name)}"
        if name == "*":
            on = f"ALL {kind}S IN SCHEMA {quote_identifier(schema)}"
        if "*" not in schema and (name == "*" or "*" not in name):  # what else fits, only the catalogue tells
            yield f"GRANT {', '.join(privileges)} ON {on} TO {role};"


def _other_engines(plan: Plan) -> Iterator[Requirement]:
    """What a person has to look at where no check answers for the engine."""
    for work in planned.server_work(plan):
        entry = plan.backups[work.id] if isinstance(work, planned.PlannedBackup) else plan.scripts[work.id]
        if work.engine and entry.engine_shown is None:
            text = (
                f"{work.what}, for {work.label}: where no check answers for {work.engine}, look whether it is up and "
                f"the role may do its work, and say how that is known: engine_shown in {work.table}."
            )
            yield Requirement(work.owner, text, ("database-engine",))


def _queries(plan: Plan) -> Iterator[Requirement]:
    """Of `[checks.sql]`: just which grants a query takes, only PostgreSQL can tell."""
    run: Any = plan.checks.get("sql", {}).get("run", {})
    for assertion in run.values():
        database, query = plan.databases[assertion.database], " ".join(assertion.query.split())
        may = f"{database.user} may run (USAGE on the schemas, SELECT on the tables): {query}"
        yield Requirement(database.owner, f"In {database.id}: {may}", ("sql",))


def _replication(database: Database, work: planned.ServerWork) -> Requirement:
    """pg_hba.conf has lines of its own for base backups: `all` is no database of theirs."""
    server, _ = split_server(work.server)
    way, origin = ("local", "") if not server or server.startswith("/") else ("host", "samehost ")
    line = f"{way} replication {always_quoted(work.login)} {origin}scram-sha-256"
    text = f"For {database.id}: a line of pg_hba.conf that lets {work.login} take base backups on the host itself."
    return Requirement(database.owner, text, ("script-runner",), "pg_hba.conf", (line,))


def _grants(database: Database, role: str, methods: set[BackupMethod]) -> Iterator[str]:
    """The least that preflight's own questions need of a role; statements for a superuser. The role `postgres`, which
    initdb makes as one, needs none. `methods`: of the database's backups."""
    if role == "postgres":
        return
    yield f"GRANT CONNECT ON DATABASE {quote_identifier(database.dbname)} TO {quote_identifier(role)};"
    if role == database.user and methods:  # where the data directory lies, which the backup must outlive
        yield f"{membership_grant('pg_read_all_settings', role)};"
    if role == database.user:  # what other sessions do; for a base backup, the size of every tablespace
        yield f"{membership_grant('pg_read_all_stats', role)};"
    if role == database.user and database.migration and database.migration.table:
        schema, _, table = database.migration.table.partition(".")
        yield f"GRANT USAGE ON SCHEMA {quote_identifier(schema)} TO {quote_identifier(role)};"
        yield f"GRANT SELECT ON {quote_identifier(schema)}.{quote_identifier(table)} TO {quote_identifier(role)};"


def _network(plan: Plan) -> Iterator[Requirement]:
    ways = grouped(
        plan.hosts.values(), lambda each: (each.owner, each.jump or _here(each.network_zone), _elsewhere(each))
    )
    for (owner, origin, elsewhere), hosts in ways.items():
        targets = dict.fromkeys(f"{show_address(host.address or host.id, host.ssh_port)}/tcp" for host in hosts)
        names = ", ".join(in_ranges(host.id for host in hosts))
        text = f"From {origin} to {', '.join(in_ranges(targets))}{elsewhere}: SSH to {names}."
        yield Requirement(owner, text, ("host-login",))
    for database in plan.databases.values():
        if database.connect is Connect.DIRECT:
            target = show_address(database.server_address(plan.home_of(database)), database.port)
            text = f"From {_here(plan.zone_of(database))} to {target}/tcp: PostgreSQL {database.id}."
            yield Requirement(database.owner, text, ("database-login",))
    for application in plan.applications.values():
        for endpoint in application.health:
            request = HttpRequest(endpoint.url)
            target = show_address(request.host, request.port)
            text = f"From {_here(application.network_zone)} to {target}/tcp: health of {application.id}."
            yield Requirement(application.owner, text, ("app-health",))


def _here(zone: str) -> str:
    return "the machine that runs preflight" + (f" in {zone}" if zone else "")


def _presence(plan: Plan) -> Iterator[Requirement]:
    """What is asked of people: to be there, and to say what only they can say."""
    window, age = plan.window, format_duration(plan.freshness.people)
    for role in plan.roles.values():
        who = f"{role.primary} and, as standby, {role.standby}" if role.standby else f"{role.primary} and a standby"
        text = (
            f"{who} say that they will be there from {format_moment(window.start, window.zone)} until "
            f"{format_moment(window.needed_until, window.zone)}, not more than {age} before it begins."
        )
        yield Requirement(role.id, text, ("on-call",))
    for item in plan.attest:
        role = plan.roles[item.owner]
        who = " or ".join(filter(None, (role.primary, role.standby)))
        text = f"{who} says, not more than {format_duration(item.valid)} before the window begins: {item.text}."
        yield Requirement(item.owner, text, ("attestations",))
