"""What several values of a plan must say together.

Each rule looks at the draft (faulty values are their defaults or None there; they have been noted already and are not
noted twice) and at the raw tables, where it counts whether a key was written at all: a faulty password is still a
credential that was named."""

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from preflight.clock import zone
from preflight.faults import Keys, listed, nearest_name, not_declared, quoted
from preflight.plan import BackupFormat, BackupMethod, Connect, Endpoint, Plan, Rule, UndoKind
from preflight.plan.applications import FORBIDDEN, UNAUTHORIZED
from preflight.plan.client_options import complaints
from preflight.plan.command_lines import backup_name
from preflight.plan.freeze import why_no_period
from preflight.plan.limits import DAY
from preflight.plan.release_plan import machine_of, saves
from preflight.plan.targets import CREDENTIALS, Backup, Database, Host, Restore, Scripts
from preflight.plan.values import PASSWORD_PROMPT, PSQL_VARIABLE, SECRET_NAME, THIS_MACHINE
from preflight.plan.work import restoring
from preflight.probe import T
from preflight.units import format_duration

_KINDS = ("together", "unrelated", "exclude")
_OF_PSQL = ("program", "login", "server", "files", "variables", "single_transaction", "log")
_OF_POSTGRES_BACKUP = ("method", "known_as", "format", "login", "program", "left_out", "globals", "max_lag")
_IS_OF_POSTGRES = "is of a PostgreSQL database, and the entry names a host instead of one"
_OF_FILES = ("format", "file", "login", "server", "previous", "verify", "left_out", "globals", "keep")
_NO_SECRET = (
    "is named like a secret, which every report would print, and no reference is looked up on the host: let the script "
    "read it there, from a file that its account alone can read: \\set NAME `cat FILE`, then select 1/length(:'NAME'), "
    "which stops where there is nothing; if it is no secret, give it another name"
)
_PLACEHOLDER = re.compile(r"\{(?!date\})[^}]*\}")


class Broken(NamedTuple):
    """A rule that a plan does not keep to."""

    keys: Keys
    message: str
    nearest: str = ""


Rules = Callable[[T, Mapping[str, Any]], Iterator[Broken]]
"""The rules of one entry, given its draft and its raw table; they name keys below it."""


def broken_rules(plan: Plan, raw: Mapping[str, Any]) -> Iterator[Broken]:
    """Every rule that is not kept to. `plan`: a draft whose parts may be None; `raw`: the tables as parsed."""
    yield from _release(plan, raw)
    window = plan.window
    if window and window.start and window.end and window.end <= window.start:
        yield Broken(("window", "end"), "the window must end after it starts")
    for name, freeze in plan.freeze.items() if window and window.zone else ():
        if freeze.from_ and freeze.until and (wrong := why_no_period(freeze, window.zone)):
            yield Broken(("freeze", name, "until"), wrong)
    yield from _in_each("hosts", plan.hosts, raw, _host)
    yield from _jumps(plan)
    yield from _network_zones(plan)
    yield from _in_each("databases", plan.databases, raw, _database)
    yield from _in_each("scripts", plan.scripts, raw, lambda scripts, table: _scripts(plan, scripts, table))
    yield from _in_each("backups", plan.backups, raw, lambda backup, table: _backup(plan, backup, table))
    yield from _written_twice(plan)
    yield from _ways_back(plan, raw)
    yield from _days(plan)
    for name, application in plan.applications.items():
        asked: list[tuple[int, object]] = []
        for at, each in _present(application.health):
            yield from _below(("applications", name, "health", at), _endpoint(each))
            request = (each.url, each.server_name, each.status, each.client_cert, *each.secrets())
            asked += [(at, request)] if each.url else []
        for at, _ in _repeated(asked):
            message = "an earlier endpoint asks just this already: name that of the other server, or take one out"
            yield Broken(("applications", name, "health", at, "url"), message)
    yield from _steps(plan)
    yield from _in_each("rules", dict(_present(plan.rules)), raw, lambda rule, table: _rule(plan, rule, table))
    for index, tested in _present(plan.tested):
        if tested.versions is not None and not raw["tested"][index]["versions"]:
            yield Broken(("tested", index, "versions"), "names no versions")
    yield from _access(plan, raw)
    for index, waiver in _present(plan.waivers):
        if waiver.granted and waiver.expires and waiver.expires <= waiver.granted:
            yield Broken(("waivers", index, "expires"), "the waiver must expire after it is granted")
    for section, noun in (("steps", "step"), ("waivers", "waiver"), ("attest", "item")):
        for index, name in _repeated((index, each.id) for index, each in _present(getattr(plan, section))):
            yield Broken((section, index, "id"), f"{quoted(name)} is the id of an earlier {noun}")


def _in_each(section: str, entries: Mapping[Any, T], raw: Mapping[str, Any], rules: Rules[T]) -> Iterator[Broken]:
    """What is broken in the entries of a section, by their names or their places."""
    for key, entry in entries.items():
        yield from _below((section, key), rules(entry, raw[section][key]))


def _repeated(named: Iterable[tuple[int, T]]) -> Iterator[tuple[int, T]]:
    """The places of names that stood there before."""
    seen: set[T] = set()
    for index, name in named:
        if name and name in seen:
            yield index, name
        seen.add(name)


def _more_than_one(names: Sequence[str], raw: Mapping[str, Any]) -> Iterator[Broken]:
    """Two of `names`, of which at most one may be given."""
    given = [name for name in names if name in raw]
    if len(given) > 1:
        yield Broken((given[1],), f"exactly one of {listed(names)} may be given, found {listed(given)}")


def _below(keys: Keys, found: Iterable[Broken]) -> Iterator[Broken]:
    return (each._replace(keys=(*keys, *each.keys)) for each in found)


def _present(elements: Sequence[T]) -> Iterator[tuple[int, T]]:
    """The elements that are there, with their places; in a draft a faulty one is None."""
    return ((index, element) for index, element in enumerate(elements) if element is not None)


def _release(plan: Plan, raw: Mapping[str, Any]) -> Iterator[Broken]:
    if not plan.release:
        return
    if plan.release.attempt > 1:
        keys, why = ("backed_out_because", "changed_since"), f"for attempt {plan.release.attempt}"
        yield from _below(("release",), _required(raw["release"], keys, why))
    for section in plan.release.without.reasons if plan.release.without else ():
        if section != "rehearsal" and getattr(plan, section):
            yield Broken(("release", "without", section), f"the plan has [{section}]: take out one of the two")


def _required(raw: Mapping[str, Any], keys: Iterable[str], why: str) -> Iterator[Broken]:
    for key in keys:
        if key not in raw:
            yield Broken((key,), f"is required {why}")
        elif isinstance(raw[key], str) and not raw[key].strip():
            yield Broken((key,), f"is empty, and is required {why}")


def _database(database: Database, raw: Mapping[str, Any]) -> Iterator[Broken]:
    """Where it runs, and how it is reached."""
    if "sslrootcert" in raw and not database.sslmode.verifies:
        yield Broken(("sslrootcert",), 'is used only with sslmode "verify-ca" or "verify-full"')
    yield from _without_other("sslcert", "sslkey", database)
    yield from _more_than_one(("address", "addresses"), raw)
    yield from _more_than_one(("host", "provider_restores"), raw)
    if raw.get("addresses") == []:
        yield Broken(("addresses",), "names no address")
    tunnelled = database.connect is Connect.TUNNEL
    if database.through and not tunnelled:
        yield Broken(("through",), 'is used only with connect = "tunnel"')
    if tunnelled and "addresses" in raw:
        yield Broken(("addresses",), "are tried from here alone: a tunnel leads to one `address`")
    if "host" in raw:
        return
    if "address" not in raw and "addresses" not in raw:
        yield Broken((), "host is required, the machine that it runs on; or the address of a managed database")
    if tunnelled and not database.through:
        yield Broken(("through",), "is required without host: the host whose login leads to the database")
    yield from _without(raw, ("located_by", "data_directory"), "is about its `host`, and none is named")


def _network_zones(plan: Plan) -> Iterator[Broken]:
    """Each target is asked from somewhere: with zones, a target without one would be asked from nowhere."""
    zones = plan.network_zones
    alone = {name: each for name, each in plan.databases.items() if each.tunnel_host == ""}
    for name, database in plan.databases.items():
        if database.network_zone and name not in alone:
            yield Broken(("databases", name, "network_zone"), "is that of its host: leave it out")
    for section, entries in (("hosts", plan.hosts), ("databases", alone), ("applications", plan.applications)):
        for name in (name for name, entry in entries.items() if zones and not entry.network_zone):
            yield Broken((section, name, "network_zone"), f"is required when other entries have one: {listed(zones)}")


def _host(host: Host, raw: Mapping[str, Any]) -> Iterator[Broken]:
    yield from _more_than_one(CREDENTIALS, raw)
    named = [key for key in CREDENTIALS if key in raw]
    if host.certificate and "password" in named:
        yield Broken(("certificate",), "belongs to a key, in a file or in the agent, and the entry has a password")
    if "passphrase" in raw and "key" not in named and (named or not host.ssh_config):
        none = "the host logs in without one" if host.ssh_config else "there is none"
        yield Broken(("passphrase",), f'belongs to a "key", and {none}')
    if host.password and len(host.code_prompt.split()) == 1 and PASSWORD_PROMPT.match(host.code_prompt):
        yield Broken(("second_factor",), "asks for the password; name the words that ask for the code")
    if not host.ssh_config and not named:
        yield Broken((), f"one of {listed(CREDENTIALS)} is required, or ssh_config = true")
    if not host.ssh_config and "user" not in raw:
        yield Broken(("user",), "is required, or ssh_config = true")
    for index, account in _repeated((index, become.account) for index, become in _present(host.become)):
        yield Broken(("become", index), f"{quoted(account)} is listed twice")


def _jumps(plan: Plan) -> Iterator[Broken]:
    """A host's connection must not lead through itself."""
    ways = {name: [host.jump] if host.jump in plan.hosts else [] for name, host in plan.hosts.items()}
    for cycle in _cycles(ways):
        message = f"the jump hosts go in a circle: {' -> '.join([*cycle, cycle[0]])}"
        yield Broken(("hosts", cycle[0], "jump"), message if cycle[1:] else "a host cannot be its own jump host")
    asked = {entry.host for section in (plan.databases, plan.scripts, plan.backups) for entry in section.values()}
    asked |= {file.host for file in plan.rollback.files} if plan.rollback else set()
    jumps = {host.jump for host in plan.hosts.values()}
    for name in plan.hosts.keys() - {host.id for host in plan.hosts_with_shell}:
        if name not in jumps:
            yield Broken(("hosts", name, "login"), 'is for a host that another one names as "jump"')
        if name in asked or plan.hosts[name].become:
            message = "lets connections through and runs nothing, but the plan has work there"
            yield Broken(("hosts", name, "login"), message)


def _scripts(plan: Plan, scripts: Scripts, raw: Mapping[str, Any]) -> Iterator[Broken]:
    yield from _database_or_host(plan, scripts, raw)
    if _is_of_engine(raw) and "command" not in raw:
        yield Broken(("command",), "is required with host: psql runs scripts in a database of PostgreSQL alone")
    if _is_of_engine(raw):
        yield from _without(raw, ("touches", "privileges", "rights_shown"), _IS_OF_POSTGRES)
    elif "backup" in raw:
        yield Broken(("backup",), "is said in the entry of the database: [databases.NAME] backup")
    if "command" in raw:
        yield from _without(raw, _OF_PSQL, "is psql's, and `command` runs something else")
        yield from _command(scripts.rehearse_command, raw, "rehearse_command")
        yield from _command(scripts.command, raw)  # started in `staged`: a path into that folder is well
    elif "stops_on_error" in raw:
        yield Broken(("stops_on_error",), "is said of a `command`; psql is made to stop at the first error")
    if "rehearse_command" in raw and not ("command" in raw and "database" in raw):
        yield Broken(("rehearse_command",), "stands for a `command` of a database; psql's line is rehearsed as it is")
    elif "rehearse_command" in raw and scripts.rehearse_command == scripts.command:
        yield Broken(("rehearse_command",), "is the `command` itself, which would find the real database")
    if scripts.program and not _is_called(scripts.program, "psql"):
        yield Broken(("program",), 'expected psql or its full path; another program is a command = ["PROGRAM", ...]')
    for at, file in _repeated(enumerate(scripts.files or ())):
        yield Broken(("files", at), f"{quoted(file)} is listed twice")
    for name, value in (scripts.variables or {}).items():
        if not (name.isascii() and name.isidentifier()):
            yield Broken(("variables", name), "expected the name of a psql variable: letters, digits and _")
        elif PSQL_VARIABLE.fullmatch(name):
            yield Broken(("variables", name), "is psql's own: psql heeds it or sets it itself, so use another name")
        elif value and SECRET_NAME.search(name):
            yield Broken(("variables", name), _NO_SECRET)


def _is_of_engine(raw: Mapping[str, Any]) -> bool:
    """Whether an entry of `[scripts]` or `[backups]` is about a database that is not PostgreSQL."""
    return "host" in raw and "database" not in raw


def _database_or_host(plan: Plan, entry: Backup | Scripts, raw: Mapping[str, Any]) -> Iterator[Broken]:
    """Of an entry of `[scripts]` or `[backups]`."""
    database = plan.databases.get(entry.database)
    if database is None or database.host != "":
        yield from _more_than_one(("database", "host"), raw)
    elif "host" not in raw:
        message = f"is required: [databases.{database.id}] names none, so this says on which host it is done"
        yield Broken(("host",), message)
    if "database" not in raw and "host" not in raw:
        yield Broken(("database",), 'is required; or "host" with "engine", for a database that is not PostgreSQL')
    elif "database" not in raw and "engine" not in raw:
        yield Broken(("engine",), 'is required with host: what runs there, such as "mysql" or "oracle"')
    elif "database" in raw:
        yield from _without(raw, ("engine", "engine_shown"), 'is of an entry with "host", and this is PostgreSQL')


def _is_called(program: str, name: str) -> bool:
    """Whether a program is called by its name or full path: another path leads from where the work is started."""
    _, slash, base = program.rpartition("/")
    return base == name and (not slash or program.startswith("/"))


def _backup(plan: Plan, backup: Backup, raw: Mapping[str, Any]) -> Iterator[Broken]:
    yield from _more_than_one(("command", "taken_by"), raw)
    yield from _database_or_host(plan, backup, raw)
    if _is_of_engine(raw):
        yield from _without(raw, _OF_POSTGRES_BACKUP, _IS_OF_POSTGRES)
        if "command" not in raw and "taken_by" not in raw:
            yield Broken(("command",), "is required with host, or taken_by: pg_dump saves no other database")
    if backup.kept_by and not backup.kept_on:
        yield Broken(("kept_by",), "is the account on the host of `kept_on`; on the database's own it is `account`")
    yield from _started_anywhere(backup.command, raw)
    if backup.program and not _is_called(backup.program, backup.method):
        yield Broken(("program",), f"expected {backup.method} or its full path")
    if backup.method and backup.method.has_repository:
        yield from _of_repository(backup, raw)
        return
    if backup.known_as:
        yield Broken(("known_as",), "is what pgbackrest or barman calls the server: name it as the `method`")
    if not backup.directory and not isinstance(raw.get("directory"), str):
        yield Broken(("directory",), f"is required for {backup.method}")
    if "command" in raw or "taken_by" in raw:
        message = f"is for {backup.method}, and something else takes this backup: leave it out"
        yield from _without(raw, ("file", "options"), message)
    if backup.taken_by and isinstance(raw.get("previous", {}), Mapping):
        yield Broken(("previous",), "is required with taken_by: without it nothing of that backup is looked at")
    yield from _started_anywhere(backup.verify, raw, "verify")
    if backup.verify and "previous" not in raw:
        yield Broken(("previous",), "is required with verify: it finds the backup that is verified")
    if backup.verify and not any("{file}" in word for _, word in _present(backup.verify[1:])):
        yield Broken(("verify",), "expected {file} among the arguments: without it no backup is read")
    if not backup.command and not backup.taken_by:
        yield from _options(backup.method, backup, backup.options)
    if backup.file and _PLACEHOLDER.search(backup.file):
        yield Broken(("file",), "expected a name that holds no other placeholder than {date}")
    if backup.file and "/" in backup.file:
        yield Broken(("file",), "expected a name without a folder: what is written lies directly in `directory`")
    suits = backup.format in (BackupFormat.PLAIN, BackupFormat.TAR)
    if backup.method is BackupMethod.PG_BASEBACKUP and "format" in raw and not suits:
        yield Broken(("format",), 'pg_basebackup writes "plain" or "tar"')
    if backup.restore:
        yield from _below(("restore",), _restore(plan, backup, backup.restore, raw["restore"]))


def _of_repository(backup: Backup, raw: Mapping[str, Any]) -> Iterator[Broken]:
    """Of what pgbackrest or barman takes."""
    yield from _required(raw, ("known_as",), f"for {backup.method}")
    yield from _without(raw, _OF_FILES, f"is for files of pg_dump and pg_basebackup; {backup.method} tells of its own")
    if backup.kept_on:
        yield from _without(raw, ("account",), "is of the database's host, where nothing is run: it is `kept_by`")
    if backup.restore and "command" not in raw["restore"]:
        yield Broken(("restore", "command"), f"is required: {backup.method} puts it back by a command of its own")


def _restore(plan: Plan, backup: Backup, restore: Restore, raw: Mapping[str, Any]) -> Iterator[Broken]:
    if "command" in raw:
        yield from _without(raw, ("login", "into", "options"), "is pg_restore's, and `command` runs something else")
    elif backup.method is BackupMethod.PG_BASEBACKUP:
        yield Broken(("command",), "is required: pg_restore puts no base backup back")
    elif backup.command or backup.taken_by:
        key = "command" if backup.command else "taken_by"
        yield Broken(("command",), f"is required: with `{key}` the name of the file that is put back is not known here")
    else:
        yield from _restored_over(plan.databases.get(backup.database), backup, restore)
    yield from _started_anywhere(restore.command, raw)
    yield from _options(restoring(backup), backup, restore.options)


def _restored_over(database: Database | None, backup: Backup, restore: Restore) -> Iterator[Broken]:
    """The tool's line ends at its first error: at what is there already, or is to be dropped and is not there."""
    plain = backup.format is BackupFormat.PLAIN
    options = backup.options if plain else restore.options  # pg_dump writes the DROPs into a plain one
    cure = f'write options = ["--clean", "--if-exists"] in [backups.{backup.id}{"" if plain else ".restore"}]'
    if "--clean" in options and "--if-exists" not in options:
        yield Broken((), f"--clean alone ends it at the first thing that is not there: {cure}")
    elif "--clean" not in options and database and restore.into in ("", database.dbname):
        yield Broken((), f"would end at the first table that is there already: {cure}, or restore `into` an empty one")


def _without(raw: Mapping[str, Any], keys: tuple[str, ...], why: str) -> Iterator[Broken]:
    yield from (Broken((key,), why) for key in keys if key in raw)


def _without_other(one: str, other: str, entry: Database | Endpoint) -> Iterator[Broken]:
    """Of two keys that mean nothing alone, just one."""
    given, missing = (one, other) if getattr(entry, one) else (other, one)
    if getattr(entry, given) and not getattr(entry, missing):
        yield Broken((given,), f"needs {missing} beside it")


def _started_anywhere(words: tuple[str, ...], raw: Mapping[str, Any], key: str = "command") -> Iterator[Broken]:
    """A command whose line is pasted in whatever folder the login happens to be in."""
    yield from _command(words, raw, key)
    if words and "/" in (words[0] or "") and not words[0].startswith("/"):
        yield Broken((key, 0), "expected a name on the account's PATH or a full path: it is started in no folder")


def _command(words: tuple[str, ...], raw: Mapping[str, Any], key: str = "command") -> Iterator[Broken]:
    if raw.get(key) == []:
        yield Broken((key,), "names no program")
    for at, word in _present(words):
        if "{date}" in word:
            yield Broken((key, at), "is run as it stands: {date} is replaced in `file` alone, so write the day")


def _options(client: str, backup: Backup, options: tuple[str, ...]) -> Iterator[Broken]:
    given = [option or "" for option in options]  # None for one that is faulty itself
    for at, complaint in complaints(client, backup.format, given).items():
        if options[at] is not None:
            yield Broken(("options", at), complaint)


def _written_twice(plan: Plan) -> Iterator[Broken]:
    """Of two backups that write to one place, one is lost."""
    first: dict[tuple[object, ...], str] = {}
    for name, backup in plan.backups.items():
        database = plan.databases.get(backup.database)
        host = plan.hosts.get(backup.host or (database.host if database else ""))
        if host is None or not backup.directory or backup.command or backup.taken_by:
            continue
        place = (*machine_of(host), posixpath.normpath(backup.directory), backup_name(backup))
        if first.setdefault(place, name) != name:
            message = f"writes what [backups.{first[place]}] writes: give one of them another `file`"
            yield Broken(("backups", name), message)


def _ways_back(plan: Plan, raw: Mapping[str, Any]) -> Iterator[Broken]:
    """What the `undo` of a step takes, for the scripts that it runs."""
    placed = {name for name, database in plan.databases.items() if not database.host or database.host in plan.hosts}

    def is_placed(entry: Backup | Scripts) -> object:
        return entry.database in placed or (entry.engine and entry.host in plan.hosts)

    backups = [backup for backup in plan.backups.values() if is_placed(backup)]
    for index, step in _present(plan.steps):
        kind = step.undo.kind if step.undo else None
        run = [scripts for scripts in plan.scripts.values() if step.id and scripts.step == step.id]
        for scripts in run if kind is UndoKind.SCRIPT else ():
            table = raw["scripts"][scripts.id]
            is_own = "command" in table and "way_back" not in table  # then the command has a way back of its own
            if isinstance(table.get("way_back") or {}, Mapping) and not is_own:
                message = f"is required: the step {step.id} is taken back by a script"
                yield Broken(("scripts", scripts.id, "way_back"), message)
        changed = {each.database or f"{each.engine} on {each.host}": each for each in run if is_placed(each)}
        for name, scripts in changed.items() if kind is UndoKind.RESTORE else ():
            own = [backup.id for backup in backups if saves(plan, backup, scripts)]
            provided = scripts.database and plan.databases[scripts.database].provider_restores
            if not provided and not any("restore" in raw["backups"][each] for each in own):
                add = f"[backups.{own[0]}.restore]" if own else "a [backups.NAME] with its [backups.NAME.restore]"
                yield Broken(("steps", index, "undo"), f"nothing says how {name} is restored: add {add}")


def _days(plan: Plan) -> Iterator[Broken]:
    """What is said to have been shown, measured or tried was so before the window."""
    window = plan.window
    if not window or not window.start or not window.zone:  # faulty themselves
        return
    last = window.start.astimezone(zone(window.zone)).date()
    for keys, day in _days_told(plan):
        if day > last:
            yield Broken(keys, f"is a day after the window's start, {last}")


def _days_told(plan: Plan) -> Iterator[tuple[Keys, date]]:
    for index, step in _present(plan.steps):
        sources = {("source",): step.source, ("undo", "source"): step.undo.source if step.undo else ""}
        for keys, text in sources.items():
            if found := DAY.search(text):
                yield ("steps", index, *keys), date.fromisoformat(found[0])
    yield from ((("tested", index, "on"), tested.on) for index, tested in _present(plan.tested) if tested.on)
    if plan.rollback and plan.rollback.rehearsed:
        yield ("rollback", "rehearsed"), plan.rollback.rehearsed


def _endpoint(endpoint: Endpoint) -> Iterator[Broken]:
    if endpoint.final_url and not endpoint.follow_redirects:
        yield Broken(("final_url",), "is used only with follow_redirects = true")
    if (endpoint.url or "").startswith("http:"):
        given = {"server_name": endpoint.server_name, "ca": endpoint.ca, "client_cert": endpoint.client_cert}
        yield from (Broken((key,), "is used only with an https URL") for key, value in given.items() if value)
        if urlsplit(endpoint.url).hostname not in THIS_MACHINE:
            secret = (key for key in ("bearer", "basic", "headers") if getattr(endpoint, key))
            yield from (Broken((key,), "needs an https URL: anybody on the way could read it") for key in secret)
    yield from _without_other("client_cert", "client_key", endpoint)
    authorizing = [key for key in ("bearer", "basic") if getattr(endpoint, key)]
    authorizing += [f"headers.{name}" for name in endpoint.headers if name.lower() == "authorization"]
    if endpoint.status in (UNAUTHORIZED, FORBIDDEN) and (authorizing or endpoint.headers):
        refused = f"{endpoint.status} says that the secret named here was refused"
        yield Broken(("status",), f"{refused}: name the status of the page, or take the secret out")
    if len(authorizing) > 1:
        yield Broken((authorizing[1].partition(".")[0],), f"only one of {listed(authorizing)} can say who asks")


def _steps(plan: Plan) -> Iterator[Broken]:
    steps = dict(_present(plan.steps))
    window = plan.window
    length = window.end - window.start if window and window.start and window.end else timedelta()
    places: dict[str, int] = {}
    deploying: dict[str, str] = {}
    working = {each.step for each in plan.backups.values()} | {each.step for each in plan.scripts.values()}
    for index, step in steps.items():
        if step.id:
            places.setdefault(step.id, index)
        over_network, minutes = step.minutes_over_network, step.minutes
        if over_network is not None and minutes is not None and over_network < minutes:
            yield Broken(("steps", index, "minutes_over_network"), "must be at least the step's minutes")
        # A slip; whether all of them fit, the check time-budget judges.
        if length > timedelta() and minutes is not None and minutes * 60 > length.total_seconds():
            message = f"the step alone takes longer than the window, which lasts {format_duration(length)}"
            yield Broken(("steps", index, "minutes"), message)
        if (step.deploys or step.id in working) and (step.blocking is False or minutes == 0):
            done = f"{quoted(step.deploys)} is deployed" if step.deploys else "backups are taken or scripts are run"
            key, why = ("minutes", "takes time") if minutes == 0 else ("blocking", "the release cannot do without")
            yield Broken(("steps", index, key), f"{done} in it, which {why}")
        application = (plan.applications or {}).get(step.deploys or "")
        if application and application.from_ and application.from_ == application.to:
            same = f"`to` of {quoted(step.deploys)} is its `from`, so nothing can tell that it was deployed"
            yield Broken(("steps", index, "deploys"), f"{same}; leave `deploys` out, or correct the version")
        if step.deploys in deploying:
            already = f"{quoted(step.deploys)} is deployed by step {quoted(deploying[step.deploys])} already"
            yield Broken(("steps", index, "deploys"), f"{already}; a step on a range is one for each host")
        elif step.deploys:
            deploying[step.deploys] = step.id or ""
    ways = {name: [each for each in steps[index].after if each in places] for name, index in places.items()}
    for cycle in _cycles(ways):
        message = f"the steps wait for each other: {' after '.join([*cycle, cycle[0]])}"
        yield Broken(("steps", places[cycle[0]], "after"), message if cycle[1:] else "a step cannot come after itself")


def _rule(plan: Plan, rule: Rule, raw: Mapping[str, Any]) -> Iterator[Broken]:
    if not any(key in raw for key in _KINDS):
        yield Broken((), f"exactly one of {listed(_KINDS)} is required")
    yield from _more_than_one(_KINDS, raw)
    for key, names in (("together", rule.together), ("unrelated", rule.unrelated)):
        if isinstance(raw.get(key), list) and None not in names and len(set(names)) < 2:
            yield Broken((key,), "names at least two different applications")
    if "exclude" in raw:
        yield from _exclude(plan, rule, raw)


def _exclude(plan: Plan, rule: Rule, raw: Mapping[str, Any]) -> Iterator[Broken]:
    if raw["exclude"] == {}:
        yield Broken(("exclude",), "names no versions")
    for name, version in rule.exclude.items():
        application = plan.applications.get(name)
        known = [application.from_, application.to] if application else []
        if version not in known and all(known) and known:
            message = f"{quoted(version)} is neither `from` nor `to`: {listed(known)}"
            yield Broken(("exclude", name), message, nearest_name(version, known))
    wanted = ["reason"] if "decides" in raw else ["reason", "decides"]
    yield from _required(raw, wanted, "where a rule excludes an end state")


def _access(plan: Plan, raw: Mapping[str, Any]) -> Iterator[Broken]:
    sections = (raw.get("hosts"), raw.get("databases"))
    declared = [name for section in sections if isinstance(section, Mapping) for name in section]
    for role_id, role in plan.roles.items():
        for index, name in _present(role.access):
            if name not in declared:
                misfit = not_declared(name, "[hosts] or [databases]", declared)
                yield Broken(("roles", role_id, "access", index), str(misfit), misfit.nearest)


def _cycles(ways: Mapping[str, list[str]]) -> Iterator[list[str]]:
    """Cycles, each as the names on the way round from the first in the file; at least one of those that share a name.
    Without recursion: a plan may chain more steps than Python has frames."""
    order = {name: place for place, name in enumerate(ways)}
    done: set[str] = set()
    for start in ways:
        trail: dict[str, Iterator[str]] = {} if start in done else {start: iter(ways[start])}
        while trail:
            last = next(reversed(trail))
            name = next(trail[last], None)
            if name is None:
                done.add(last)
                del trail[last]
            elif name in trail:
                names = list(trail)
                cycle = names[names.index(name) :]
                first = cycle.index(min(cycle, key=order.__getitem__))
                yield cycle[first:] + cycle[:first]
            elif name not in done:
                trail[name] = iter(ways[name])
