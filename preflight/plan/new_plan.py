"""The text of a plan to begin with: commented, with a TODO wherever only people know. Pure.

A text that nobody has filled in begins with `TODO`, which the loader refuses; any other value is a comment, so that
lint says that its key is required, or, where it may stay away, that something is left to do. Thus lint names every TODO
that is left."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from preflight.plan.release_plan import FORMAT
from preflight.plan.values import POSTGRES_PORT, SSH_PORT
from preflight.wording import in_toml

TODO = "TODO"
_KEY = re.compile(r"(?:# )?(\w+) = ")
_MEANS_NOTHING_IN_PART = ("backups", "scripts", "applications", "steps", "tested", "rules", "decisions")
_HEAD = f"""\
# A release plan, begun by `preflight init`. Fill in what says TODO; `preflight lint` names what is left.
# All keys with their meaning are in docs/reference/plan.md, a whole plan is plans/example.toml.
# Times are 24-hour and local to the window's zone. Secrets are named, never written here: env:NAME,
# file:PATH (mode 0600), command:ARGV, prompt.

format = {FORMAT}
"""
_ROLE = """\
[roles.{name}]
primary = {primary}
standby = "TODO: another name"
contact = "TODO: how both are reached in the night"
"""
_HOST = """\
[hosts.{name}]
address = {address}
{port}user = {user}
{credential}
# become = ["postgres"]             # accounts it must reach with sudo, without a prompt
owner = "unix"
"""
_DATABASE = """\
[databases.{name}]
{place}
{port}user = {user}
password = {password}
sslmode = "verify-full"
{trust}
# version = "15"
owner = "dba"
"""
_IS_MANAGED = '  # managed; where somebody logs in to its machine: host = "NAME", of [hosts]'
_SYSTEM_CA = 'sslrootcert = "system"  # TODO: or the file with the authorities that its provider publishes'
_PROVIDER = """\
# provider_restores = { by = "dba", on = 2026-10-10, reason = "..." }  # TODO: who saw its provider put it back
"""
_BACKUP = """
[backups.{name}]
database = "{name}"
directory = "TODO: /path/on/the/server"
previous = "TODO: /path/on/the/server/*.dump  the newest must be readable to its end"
restore = {{ options = ["--clean", "--if-exists"] }}
# login = "backup"  # TODO: the role that takes it, where it is not the one that runs the scripts
step = "backup-{name}"
owner = "dba"
"""
_SCRIPTS = """
[scripts.{name}]
{place}
approved = "sql/{name}"  # the folder beside this plan
manifest = "sql/{name}.SHA256SUMS"  # `preflight seal` writes it
staged = "TODO: /path/on/the/server"
# files = ["010_first.sql"]         # in this order; all sealed scripts but the ways back when left out
# way_back = "undo/{{stem}}.down.sql"  # TODO: each script's way back, where its step is undone by scripts
{run}
step = "scripts-{name}"
owner = "dba"
"""
_BY_PSQL = '# server = "/run/postgresql"        # how psql reaches the server from its host: socket folder or host'
RESTORE = '# restore = { command = ["PROGRAM", "ARGUMENT"] }  # TODO: how its newest file is put back'
_BACKUP_OF_ENGINE = """\
[backups.{name}]
{place}
directory = "TODO: /path/on/the/server"
previous = "TODO: /path/on/the/server/*"
taken_by = "TODO: cron, or what else takes it; or, for one of this window: command = [\\"PROGRAM\\"]"
# verify = ["PROGRAM", "{{file}}"]  # TODO: what says by its status whether one is whole
# expected = "20GiB"  # TODO: how large the next one will be
{restore}
step = "backup-{name}"
owner = "dba"
"""
_BY_COMMAND = """\
command = ["./run.sh"]  # TODO: what runs them, one of them or a program, with its arguments
# stops_on_error = { by = "dba", on = 2026-10-10, reason = "..." }  # TODO: who says that it stops at an error
# engine_shown = { by = "dba", on = 2026-10-10, reason = "..." }  # TODO: who has looked at the database"""
_APPLICATION = """\
[applications.{name}]
from = "TODO: the version that answers before the window"
to = "TODO: the version that answers after it"
owner = "{name}"

[[applications.{name}.health]]      # one for each instance
url = {url}
{trust}version = "version"                 # where the JSON answer tells the version
# identity = {{ name = "{name}" }}     # a value that only this application answers with
"""
_TESTED = """
# The versions that may meet when the work stops half-way: each end state is tested, or ruled out.
[[tested]]
versions = {versions}
# on = 2026-10-10  # TODO
evidence = "TODO: where the result can be read"
"""
_RULE = """
[[rules]]
together = {names}  # or unrelated = [...], or exclude = {{ NAME = "VERSION", ... }}: never left standing
reason = "TODO: why; or take this rule away"
decides = "release-manager"
"""
_CREDENTIAL = (
    'password = "TODO: env:NAME, file:PATH, command:ARGV or prompt; or, instead of it: key = \\"PATH\\", agent"'
)
_CA = "TODO: the file with the authorities, where the system does not know them"
_UNDO = '{ kind = "TODO: restore, script, redeploy, nothing-to-undo or none", minutes = 0 }'
_DECISION = """
[[decisions]]
on = "{kind}"
rule = "TODO: what was agreed"
decides = "release-manager"
default = "TODO: what is done when nobody who decides can be reached"
"""
_ROLLBACK = """
[rollback]
# rehearsed = 2026-10-10           # when the way back was last tried
owner = "dba"

# [rehearsal]
# content = "restore"             # `preflight rehearse` runs the scripts on a backup put back"""
_NO_CHANGE = """
# [freeze.year-end]  # TODO: when nothing may change here; two weekdays, "Fri 16:00" and "Mon 06:00", for every week
# from = 2026-12-20
# until = 2027-01-03
"""
_ATTEST = """
# [[attest]]  # TODO: what only a person can say; `preflight confirm` writes down that it was said
# id = "vendor"
# text = "the vendor's engineer is on standby"
# owner = "release-manager"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A host or a database, and how it is reached; empty for what is not known."""

    name: str
    at: str = ""
    """A host's address, also a managed database's; else the host of this plan that a database runs on."""
    port: int = 0
    user: str = ""
    dbname: str = ""
    """What the server calls the database, where that is not its name here."""
    engine: str = ""
    """Of a database that is not PostgreSQL."""
    is_managed: bool = False
    """A database whose machine nobody logs in to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginnings:
    """What is known already; empty for what is not."""

    release: str = ""
    title: str = ""
    zone: str = ""
    start: str = ""
    """As TOML writes it: `2026-10-17T00:00:00`."""
    end: str = ""
    hosts: Sequence[Place] = ()
    databases: Sequence[Place] = ()
    applications: Sequence[tuple[str, str]] = ()
    """Name and health URL."""
    person: str = ""
    """Who answers for the window."""
    credential: str = ""
    """By which every host is logged in to, as a line of the plan."""
    database_password: str = ""
    """Where that of every database is found."""
    ca: str = ""
    """File with the authorities that sign the certificates of databases and applications."""

    @property
    def logins(self) -> Sequence[Place]:
        """The databases that a run logs in to."""
        return [each for each in self.databases if not each.engine]


def new_plan(known: Beginnings) -> str:
    """The text of the plan. Names are of letters, digits, `_` and `-`, which no part of it has to quote."""
    return "\n".join(_parts(known))


def with_lines(text: str, lines: Mapping[str, Sequence[str]]) -> str:
    """The plan with further lines in its tables; one with a key takes the place of that key's, commented out or not.
    `lines`: by the table's name, without brackets. A table that is not there yet stands at the end."""
    blocks = text.rstrip("\n").split("\n\n")
    blocks += [f"[{name}]" for name in lines.keys() - set(map(_table, blocks))]
    for number, block in enumerate(blocks):
        written = block.rstrip("\n").split("\n")
        for line in lines.get(_table(block), ()):
            key = _KEY.match(line)
            old = (at for at, each in enumerate(written) if key and (found := _KEY.match(each)) and found[1] == key[1])
            at = next(old, len(written))
            written[at : at + 1] = [line]
        blocks[number] = "\n".join(written)
    return "\n\n".join(blocks) + "\n"


def loadable(text: str) -> str:
    """The plan with what is still to be filled in as comments, so that a first run can judge the rest. A table that
    means nothing without it is a comment as a whole, with those below it."""
    blocks: list[str] = []
    left_out: list[str] = []
    for block in text.split("\n\n"):
        name, is_open = _table(block), bool(re.search(r'"TODO|^#.*# TODO$', block, re.MULTILINE))
        below = any(name.startswith(f"{each}.") for each in left_out)
        if below or (is_open and name.partition(".")[0] in _MEANS_NOTHING_IN_PART):
            left_out.append(name)
            blocks.append(re.sub(r"^(?!#|$)", "# ", block, flags=re.MULTILINE))
            continue
        commented = re.sub(r'^(?=[^#\n]*"TODO)', "# ", block, flags=re.MULTILINE)
        if name.startswith("roles."):  # lint names what is missing there
            commented = re.sub(r'^(# .*")TODO: ', r"\1", commented, flags=re.MULTILINE)
        blocks.append(re.sub(r"^(step = .*)$", r"# \1  # TODO: once that step is there", commented, flags=re.MULTILINE))
    return "\n\n".join(blocks)


def _table(block: str) -> str:
    found = re.search(r"^\[+([\w.-]+)\]+", block, re.MULTILINE)
    return found[1] if found else ""


def _parts(known: Beginnings) -> Iterator[str]:
    yield _HEAD
    yield "[release]\nid = " + _value(known.release, "the release's number")
    yield f"title = {_value(known.title, 'what is deployed')}"
    yield '# ticket = "CHG-1"                  # the change request'
    if without := _without(known):
        yield f"without = {in_toml(without)}"
    yield f"\n[window]\nzone = {_value(known.zone, 'IANA name such as Europe/Berlin')}"
    yield _bare("start", known.start, "2026-10-17T00:00:00")
    yield _bare("end", known.end, "2026-10-17T06:00:00")
    yield "\n# Who owns what: every finding names one of these. The standby is somebody else."
    roles = ["release-manager", "unix", *(["dba"] if known.databases else []), *dict(known.applications)]
    for name in roles:
        also = "  # TODO: or who else owns this" if known.person and name != "release-manager" else ""
        yield _ROLE.format(name=name, primary=_value(known.person, "name") + also)
    hosts = known.hosts or [Place(name="db1")]
    for host in hosts:
        at, user = _value(host.at, "name or IP address"), _value(host.user, "the login that does the work")
        credential = known.credential or _CREDENTIAL
        yield _HOST.format(name=host.name, address=at, user=user, port=_port(host, SSH_PORT), credential=credential)
    for database in known.databases:
        yield _other_engine(database) if database.engine else _database(known, database, hosts[0].name)
    for name, url in known.applications:
        trust = "" if url.startswith("http:") else _trust("ca", known.ca) + "\n"
        yield _APPLICATION.format(name=name, url=_value(url, "https://host/health"), trust=trust)
    if known.databases:
        yield _ROLLBACK
    yield "\n# The steps of the window. source: measured DATE | rehearsed DATE | guess. undo kinds: restore, script,"
    yield "# redeploy, nothing-to-undo, none."
    for database in known.databases:
        backups = [] if database.is_managed else [f"backup-{database.name}"]
        yield from (line for backup in backups for line in _step(backup, (), '{ kind = "nothing-to-undo" }'))
        yield from _step(f"scripts-{database.name}", backups, _UNDO)
    scripts = [f"scripts-{database.name}" for database in known.databases]
    for name, _ in known.applications:
        yield from _step(f"deploy-{name}", scripts, _UNDO, f'deploys = "{name}"')
    names = list(dict(known.applications))
    if len(names) > 1:
        yield _TESTED.format(versions=in_toml(dict.fromkeys(names, f"{TODO}: its version")))
        yield _RULE.format(names=in_toml(names))
    yield "\n# Decisions, agreed before the night."
    yield "".join(_DECISION.format(kind=kind) for kind in ("retry", "rollback", "partial go-live"))
    yield _ATTEST.rstrip("\n")
    yield _NO_CHANGE


def _without(known: Beginnings) -> Mapping[str, str]:
    """Kind of what the plan has nothing of -> why."""
    kinds = [] if known.databases else ["databases", "backups", "scripts", "rollback"]
    kinds += [] if known.applications else ["applications"]
    others = "; ".join(f"{each.engine}: see [scripts.{each.name}]" for each in known.databases if each.engine)
    said = {"databases": others} if others and not known.logins else {}
    return said | dict.fromkeys(kinds, f"{TODO}: why there is none")


def _database(known: Beginnings, database: Place, first_host: str) -> str:
    """Its tables, of PostgreSQL. `first_host`: from where the scripts reach a managed one."""
    name = database.name
    place, trust = f"host = {in_toml(database.at)}", _trust("sslrootcert", known.ca)
    scripts_place = f'database = "{name}"'
    if database.is_managed:
        place, trust = f"address = {in_toml(database.at)}{_IS_MANAGED}", trust if known.ca else _SYSTEM_CA
        scripts_place += f"\nhost = {in_toml(first_host)}  # TODO: the host from where psql reaches it"
    entry = _DATABASE.format(
        name=name,
        place=place,
        port=_port(database, POSTGRES_PORT, database.dbname),
        user=_value(database.user, "the role that runs the scripts"),
        password=_value(known.database_password, "env:NAME, file:PATH, command:ARGV or prompt"),
        trust=trust,
    )
    entry += _PROVIDER if database.is_managed else _BACKUP.format(name=name)
    return entry + _SCRIPTS.format(name=name, place=scripts_place, run=_BY_PSQL)


def _other_engine(database: Place) -> str:
    """The tables of one that is not PostgreSQL."""
    place = f"host = {in_toml(database.at)}\nengine = {in_toml(database.engine)}"
    backup = _BACKUP_OF_ENGINE.format(name=database.name, place=place, restore=RESTORE)
    return backup + _SCRIPTS.format(name=database.name, place=place, run=_BY_COMMAND)


def _step(name: str, after: Sequence[str], undo: str, *more: str) -> Iterator[str]:
    yield from ("", "[[steps]]", f'id = "{name}"')
    if after:
        yield f"after = {in_toml(after)}"
    yield from (_bare("minutes", "", "30"), 'source = "guess"', *more, f"undo = {undo}")


def _port(place: Place, default: int, dbname: str = "") -> str:
    name = f"name = {in_toml(dbname)}\n" if dbname else ""
    return name + (f"port = {place.port}\n" if place.port else f"# port = {default}\n")


def _trust(key: str, ca: str) -> str:
    return f"{key} = {in_toml(ca)}" if ca else f'# {key} = "ca.pem"  # {_CA}'


def _value(value: str, meaning: str) -> str:
    return in_toml(value or f"{TODO}: {meaning}")


def _bare(key: str, value: str, example: str) -> str:
    return f"{key} = {value}" if value else f"# {key} = {example}  # {TODO}"
