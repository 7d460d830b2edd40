"""`preflight init`: a plan to begin with."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import click

from preflight.cli.console import CallError, has_terminal
from preflight.cli.output import write_stdout
from preflight.clock import zone
from preflight.plan.new_plan import Beginnings, new_plan

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # without a dot, which a TOML key would have to quote


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path), help="The plan to write; it must not exist.")
@click.option("--release", metavar="ID", help="The release's number.")
@click.option("--title", metavar="TEXT", help="What is deployed.")
@click.option("--zone", "zone_name", metavar="NAME", help="Time zone of the window: Europe/Berlin.")
@click.option("--start", metavar="TIME", help="Start of the window: '2026-10-17 00:00', 24-hour, in its zone.")
@click.option("--end", metavar="TIME", help="End of the window.")
@click.option("--host", "hosts", multiple=True, metavar="NAME[=ADDRESS]", help="A host; may be given several times.")
@click.option("--database", "databases", multiple=True, metavar="NAME@HOST", help="A database and where it runs.")
@click.option("--application", "applications", multiple=True, metavar="NAME[=URL]", help="An application, its health.")
def init(
    path: Path,
    release: str | None,
    title: str | None,
    zone_name: str | None,
    start: str | None,
    end: str | None,
    hosts: tuple[str, ...],
    databases: tuple[str, ...],
    applications: tuple[str, ...],
) -> None:
    """Write a commented plan to begin with; what is not known is a TODO that `lint` names.

    On a terminal it asks for what no option gives; an empty answer leaves a TODO. Nothing is ever overwritten.
    """
    if path.exists():
        raise CallError(f"{path} is there already: init writes a new plan and changes none")
    ask = _ask if has_terminal() else _leave
    known = Beginnings(
        release=_one(release, "Release number", ask, str.strip),
        title=_one(title, "What is deployed", ask, str.strip),
        zone=_one(zone_name, "Time zone of the window (Europe/Berlin)", ask, _zone),
        start=_one(start, "Start of the window (2026-10-17 00:00)", ask, _time),
        end=_one(end, "End of the window", ask, _time),
        hosts=_many(hosts, "Hosts, NAME=ADDRESS, with commas", ask, _pair("=")),
        databases=_many(databases, "Databases, NAME@HOST, with commas", ask, _pair("@")),
        applications=_many(applications, "Applications, NAME=HEALTH-URL, with commas", ask, _pair("=")),
    )
    _check(known)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(new_plan(known))
    except OSError as error:
        raise CallError(f"{path}: cannot be written: {error.strerror}") from None
    write_stdout(f"{path} is written. What is left to do: preflight lint {path}\n")


def _ask(question: str) -> str:
    return str(click.prompt(question, default="", show_default=False, err=True))


def _leave(_question: str) -> str:
    return ""


def _one(given: str | None, question: str, ask: Callable[[str], str], read: Callable[[str], str]) -> str:
    """The option's value, else the answer. A mistyped option is an error; a mistyped answer is asked for again."""
    if given is not None:
        return _read(given, read)
    while True:
        try:
            answer = ask(question)
            return _read(answer, read) if answer.strip() else ""
        except CallError as error:
            click.echo(f"  {error.format_message()}", err=True)


def _many(
    given: tuple[str, ...], question: str, ask: Callable[[str], str], read: Callable[[str], tuple[str, str]]
) -> tuple[tuple[str, str], ...]:
    if given:
        return tuple(read(each) for each in given)
    while True:
        try:
            return tuple(read(each.strip()) for each in ask(question).split(",") if each.strip())
        except CallError as error:
            click.echo(f"  {error.format_message()}", err=True)


def _read(text: str, read: Callable[[str], str]) -> str:
    found = read(text)
    if not found.isprintable():
        raise CallError("that holds a character that cannot be printed")
    return found


def _zone(text: str) -> str:
    try:
        zone(text.strip())
    except ValueError:
        raise CallError(
            f"{text}: no such time zone on this machine; write an IANA name such as Europe/Berlin"
        ) from None
    return text.strip()


def _time(text: str) -> str:
    for form in ("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"):
        try:
            return datetime.strptime(text.strip(), form).strftime("%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007 - local
        except ValueError:
            continue
    raise CallError(f"{text}: write the time as 2026-10-17 00:00, 24-hour")


def _pair(between: str) -> Callable[[str], tuple[str, str]]:
    def read(text: str) -> tuple[str, str]:
        name, _, rest = text.partition(between)
        if not _NAME.fullmatch(name) or not rest.isprintable():
            raise CallError(f"{text}: begin with a name of letters, digits, '_' and '-', then {between}")
        return name, rest.strip()

    return read


def _check(known: Beginnings) -> None:
    if known.start and known.end and known.end <= known.start:
        raise CallError(f"the window must end after it starts: start {known.start}, end {known.end}")
    hosts = [name for name, _ in known.hosts]
    for name, host in known.databases:
        if host not in hosts:
            raise CallError(f"database {name}: write NAME@HOST with one of the hosts: {', '.join(hosts) or 'none'}")
    for kind, entries in (("host", known.hosts), ("database", known.databases), ("application", known.applications)):
        names = [name for name, _ in entries]
        if len(set(names)) < len(names):
            raise CallError(f"two entries of one name: {kind} {next(name for name in names if names.count(name) > 1)}")
