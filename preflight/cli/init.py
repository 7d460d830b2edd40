"""`preflight init`: a plan to begin with."""

import re
import shlex
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import click

from preflight.cli.console import CallError, complain, has_terminal, write_stdout
from preflight.cli.inventories import ansible_hosts, ssh_hosts, with_service
from preflight.cli.options import FILE, load, read_local
from preflight.clock import local_to_utc
from preflight.engine.registry import Registry
from preflight.errors import PlanError
from preflight.plan import Plan, SecretRef
from preflight.plan.limits import network_address
from preflight.plan.limits import zone_name as zone_fault
from preflight.plan.new_plan import Beginnings, Place, loadable, new_plan, with_lines
from preflight.plan.values import ENGINE, show_address
from preflight.probe import T
from preflight.seal import SealError
from preflight.wording import in_toml

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # without a dot, which a TOML key would have to quote

_HOST_HELP = "A host; ADDRESS as ssh takes it, [USER@]NAME[:PORT], an IPv6 address with a port in brackets."

_DATABASE_HELP = (
    "A database, NAME[=NAME-ON-SERVER]@[ROLE@]HOST[:PORT]: HOST is a name of --host, or the address of a managed one; "
    "mariadb:NAME@HOST where it is not PostgreSQL."
)
_CREDENTIALS = "key=PATH, agent=SHA256:..., env:NAME, prompt"
_CREDENTIAL_HELP = "Login of every host: key=PATH, agent=SHA256:..., or where its password is: env:NAME, prompt."


@click.command()
@click.argument("path", metavar="FILE", type=FILE, help="The plan to write; it must not exist.")
@click.option("--release", metavar="ID", help="The release's number.")
@click.option("--title", metavar="TEXT", help="What is deployed.")
@click.option("--zone", "zone_name", metavar="NAME", help="Time zone of the window: Europe/Berlin.")
@click.option("--start", metavar="TIME", help="Start of the window: '2026-10-17 00:00', 24-hour, in its zone.")
@click.option("--end", metavar="TIME", help="End of the window.")
@click.option("--host", "hosts", multiple=True, metavar="NAME[=ADDRESS]", help=_HOST_HELP)
@click.option("--database", "databases", multiple=True, metavar="NAME@HOST[:PORT]", help=_DATABASE_HELP)
@click.option("--ansible", metavar="FILE", type=FILE, help="Hosts: what `ansible-inventory --list` printed.")
@click.option("--ssh-config", metavar="PATTERN", help="Hosts of ~/.ssh/config that match: 'db*'.")
@click.option("--pg-service", "services", multiple=True, metavar="NAME", help="A database, of pg_service.conf.")
@click.option("--application", "applications", multiple=True, metavar="NAME[=URL]", help="An application, its health.")
@click.option("--look", is_flag=True, help="Log in, and fill the plan from what is seen there.")
@click.option("--by", "person", metavar="NAME", help="Who answers for the window.")
@click.option("--credential", metavar="TEXT", help=_CREDENTIAL_HELP)
@click.option("--database-password", metavar="REFERENCE", help="Of the databases: env:NAME, prompt.")
@click.option("--ca", metavar="FILE", help="Authorities that sign the certificates of databases and applications.")
@click.option("--accept-host-keys", is_flag=True, help="With --look: pin new host keys without asking, as `seal` does.")
def init(
    path: Path,
    release: str | None,
    title: str | None,
    zone_name: str | None,
    start: str | None,
    end: str | None,
    hosts: tuple[str, ...],
    databases: tuple[str, ...],
    ansible: Path | None,
    ssh_config: str | None,
    services: tuple[str, ...],
    applications: tuple[str, ...],
    look: bool,
    person: str | None,
    credential: str | None,
    database_password: str | None,
    ca: str | None,
    accept_host_keys: bool,
) -> None:
    """Write a commented plan to begin with; what is not known is a TODO that `lint` names.

    On a terminal it asks for what no option gives; an empty answer leaves a TODO. Nothing is ever overwritten. With
    --look it logs in to what is named, as a run does, and writes what it sees; what is then left to do are comments, so
    that `preflight run` can judge the rest at once."""
    if path.exists():
        raise CallError(f"{path} is there already: init writes a new plan and changes none")
    known = Beginnings(
        release=_one(release, "Release number", str.strip),
        title=title or "" if look else _one(title, "What is deployed", str.strip),
        zone=_one(zone_name, "Time zone of the window (Europe/Berlin)", _zone),
    )
    known = replace(known, start=_one(start, "Start of the window (2026-10-17 00:00)", partial(_time, known.zone, "")))
    known = replace(known, end=_one(end, "End of the window", partial(_time, known.zone, known.start)))
    found = [*(ansible_hosts(ansible) if ansible else ()), *(ssh_hosts(ssh_config) if ssh_config else ())]
    known = replace(known, hosts=_each(hosts, "Hosts, NAME=ADDRESS, with commas", partial(_place, "="), found))
    for service in services:
        known = with_service(known, service)
    read = partial(_database, known.hosts)
    named = _each(databases, "Databases, NAME@[ROLE@]HOST, with commas", read, known.databases)
    urls = _each(applications, "Applications, NAME=HEALTH-URL, with commas", partial(_pair, "="))
    known = replace(known, databases=named, applications=urls)
    # What --look needs besides is asked for only then.
    secret, needs_secret = "Password of the databases (env:NAME, prompt)", look and bool(known.logins)
    known = replace(
        known,
        person=_asked(look, person, "Who answers for the window", str.strip),
        credential=_asked(look, credential, f"Login of the hosts ({_CREDENTIALS})", _credential),
        database_password=_asked(needs_secret, database_password, secret, _reference),
        ca=_asked(look, ca, "File with the authorities of certificates, empty for the system's", str.strip),
    )
    _check(known)
    again = _call(path, known) if look and has_terminal() else ""
    try:
        text, is_whole = _looked(path, known, accept_host_keys) if look else (new_plan(known), True)
    except (CallError, SealError) as error:
        raise CallError("\n".join([str(error), *([f"with the same answers: {again}"] if again else [])])) from None
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CallError(f"{path}: cannot be written: {error.strerror}") from None
    if again and not is_whole:
        complain(f"once that is cured, with the same answers: rm {shlex.quote(str(path))} && {again}")
    write_stdout(f"{path} is written. What is left to do: preflight lint {path}\n")


def _call(path: Path, known: Beginnings) -> str:
    """The call that gives every answer as an option."""
    (key, value), *_ = [*tomllib.loads(known.credential).items(), ("", "")]
    said = [("--release", known.release), ("--title", known.title), ("--zone", known.zone)]
    said += [("--start", known.start), ("--end", known.end)]
    said += [("--host", f"{each.name}={_reached(each)}") for each in known.hosts]
    for each in known.databases:
        named = (f"{each.engine}:" if each.engine else "") + each.name + (f"={each.dbname}" if each.dbname else "")
        said.append(("--database", f"{named}@{_reached(each)}"))
    said += [("--application", f"{name}={url}") for name, url in known.applications]
    said += [("--by", known.person), ("--credential", value if key == "password" else f"{key}={value}" if key else "")]
    said += [("--database-password", known.database_password)]
    options = [word for option, value in said if value for word in (option, value)]
    return shlex.join(["preflight", "init", str(path), "--look", *options, "--ca", known.ca])


def _reached(place: Place) -> str:
    at = show_address(place.at, place.port) if place.port else place.at
    return f"{place.user}@{at}" if place.user else at


def _looked(path: Path, known: Beginnings, accept_host_keys: bool) -> tuple[str, bool]:
    """The plan with what is seen, and whether all was. Raises CallError where what every login needs is missing."""
    from preflight.cli.asking import secrets_of
    from preflight.cli.look import look
    from preflight.cli.seal import pin_host_keys
    from preflight.sessions.pools import Pools

    needed: dict[str, object] = {"--release": known.release, "--zone": known.zone}
    needed |= {"--start": known.start, "--end": known.end}
    needed |= {"--by": known.person, "--host": known.hosts, "--credential": known.credential}
    needed |= {f"--host {each.name}=USER@ADDRESS": each.at and each.user for each in known.hosts}
    needed |= {f"--database {each.name}@ROLE@{each.at}": each.user for each in known.logins}
    needed |= {"--database-password": known.database_password} if known.logins else {}
    if missing := [option for option, value in needed.items() if not value]:
        raise CallError(f"before --look can log in, it must be told {', '.join(missing)}")
    written = new_plan(known)
    unseen = {f"applications.{name}": ['from = "not seen"', 'to = "not seen"'] for name, _ in known.applications}
    plan, registry = _loaded(path, loadable(with_lines(written, unseen)))
    plan = replace(plan, path=path.absolute())
    with Pools(plan, secrets_of(plan)) as pools:
        pin_host_keys(plan, pools, accept_host_keys)
        lines, is_whole = look(plan, registry, pools)
    return loadable(with_lines(written, lines)), is_whole


def _loaded(path: Path, text: str) -> tuple[Plan, Registry]:
    """The plan that `text` would be at `path`, where nothing is written yet. Raises CallError."""
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.stem}-", suffix=".toml") as file:
            file.write(text)
            file.flush()
            return load(Path(file.name))
    except PlanError as error:
        told = (f"{each.where}: {each.message}" for each in error.errors)
        raise CallError("\n".join(["nobody can log in by what was said:", *told])) from None
    except OSError as error:
        raise CallError(f"{path}: cannot be written: {error.strerror}") from None


def _asked(is_asked: bool, option: str | None, question: str, read: Callable[[str], str]) -> str:
    return _one(option, question, read) if is_asked or option else ""


def _reference(text: str) -> str:
    try:
        return str(SecretRef.parse(text.strip()))
    except ValueError as error:
        raise CallError(str(error)) from None


def _credential(text: str) -> str:
    key, equals, value = text.strip().partition("=")
    if equals and key in ("key", "agent"):
        return f"{key} = {in_toml(value.strip())}"
    return f"password = {in_toml(_reference(text))}"


def _one(option: str | None, question: str, read: Callable[[str], str]) -> str:
    def read_printable(text: str) -> str:
        found = read(text)
        if not found.isprintable():
            raise CallError("that holds a character that cannot be printed")
        return found

    return "".join(_each(() if option is None else (option,), question, read_printable, between=None))


def _each(
    options: tuple[str, ...],
    question: str,
    read: Callable[[str], T],
    found: Sequence[T] = (),
    between: str | None = ",",
) -> tuple[T, ...]:
    """What was found elsewhere and what the options say, else the answers. A mistyped option is an
    error; a mistyped answer is asked for again."""
    if options or found or not has_terminal():
        return (*found, *map(read, options))
    while True:
        try:
            answer = str(click.prompt(question, default="", show_default=False, err=True))
            parts = answer.split(between) if between else [answer]
            return tuple(read(each.strip()) for each in parts if each.strip())
        except CallError as error:
            click.echo(f"  {error.format_message()}", err=True)


def _zone(text: str) -> str:
    if fault := zone_fault(text.strip()):
        raise CallError(f"{text}: {fault}")
    return text.strip()


def _time(zone_name: str, after: str, text: str) -> str:
    """As TOML writes it. `after`: the window's start, of its end."""
    found = read_local(text)
    if found is None:
        raise CallError(f"{text}: write the time as 2026-10-17 00:00, 24-hour")
    moments = [found, *([datetime.fromisoformat(after)] if after else [])]
    try:
        end, *starts = (local_to_utc(each, zone_name or "UTC") for each in moments)
    except ValueError as error:
        raise CallError(str(error)) from None
    if starts and end <= starts[0]:
        raise CallError(f"the window must end after it starts: start {after}, end {found.isoformat()}")
    return found.isoformat()


def _pair(between: str, text: str) -> tuple[str, str]:
    name, _, rest = text.partition(between)
    if not _NAME.fullmatch(name) or not rest.isprintable():
        raise CallError(f"{text}: begin with a name of letters, digits, '_' and '-', then {between}")
    return name, rest.strip()


def _place(between: str, text: str) -> Place:
    name, reached = _pair(between, text)
    user, _, at = reached.removeprefix("ssh://").rpartition("@")
    found = re.fullmatch(r"\[(.*)\](?::(\d+))?", at) or re.fullmatch(r"([^:]*)(?::(\d+))?", at)
    address, port = (found[1], int(found[2] or 0)) if found else (at, 0)
    complaint = network_address(address) if address else ""
    if complaint or not 0 <= port < 2**16:
        raise CallError(f"{text}: {complaint or 'expected a port from 1 to 65535'}")
    return Place(name=name, at=address, port=port, user=user)


def _database(hosts: Sequence[Place], text: str) -> Place:
    """`ENGINE:` stands first where it is not PostgreSQL, `=NAME` behind it where the server calls it otherwise."""
    named, at, reached = text.partition("@")
    engine, _, named = named.rpartition(":")
    name, _, dbname = named.partition("=")
    place = replace(_place("@", f"{name}{at}{reached}"), dbname=dbname)
    if engine in ("", "postgres", "postgresql"):
        return _placed(place, hosts)
    if fault := ENGINE(engine):
        raise CallError(f"{text}: {fault}")
    if place.user or place.port or dbname:
        raise CallError(f"{text}: write {engine}:NAME@HOST and no more: nobody logs in to {engine}")
    return _placed(replace(place, engine=engine), hosts)


def _placed(database: Place, hosts: Sequence[Place]) -> Place:
    """With what stands behind the @: a host's name, its address, else that of a managed database. Raises CallError."""
    host = next((each for each in hosts if database.at and database.at in (each.name, each.at)), None)
    if host is not None:
        return replace(database, at=host.name)
    if not database.engine and re.search("[.:]", database.at):
        return replace(database, is_managed=True)
    some = ", ".join(each.name for each in hosts) or "none"
    managed = "" if database.engine else "; or, where nobody logs in to its machine, the whole address"
    raise CallError(f"database {database.name}: write NAME@HOST with one of the hosts: {some}{managed}")


def _check(known: Beginnings) -> None:
    hosts = [host.name for host in known.hosts]
    databases, applications = [each.name for each in known.databases], [name for name, _ in known.applications]
    for kind, names in (("host", hosts), ("database", databases), ("application", applications)):
        if len(set(names)) < len(names):
            raise CallError(f"two entries of one name: {kind} {next(name for name in names if names.count(name) > 1)}")
