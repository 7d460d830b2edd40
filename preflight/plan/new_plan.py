"""The text of a plan to begin with: commented, with a TODO wherever only people know. Pure.

A text that nobody has filled in begins with `TODO`, which the loader refuses; any other value is a comment, so that
lint says that its key is required. Thus lint names every TODO that is left.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from preflight.plan.release_plan import FORMAT

TODO = "TODO"
_UNDO = f'{{ kind = "{TODO}: restore, script, redeploy, nothing-to-undo or none", minutes = 0 }}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginnings:
    """What is known already; empty for what is not."""

    release: str = ""
    title: str = ""
    zone: str = ""
    start: str = ""
    """As TOML writes it: `2026-10-17T00:00:00`."""
    end: str = ""
    hosts: Sequence[tuple[str, str]] = ()
    """Name and address."""
    databases: Sequence[tuple[str, str]] = ()
    """Name and the host it runs on."""
    applications: Sequence[tuple[str, str]] = field(default_factory=tuple)
    """Name and health URL."""


def new_plan(known: Beginnings) -> str:
    """The text of the plan."""
    return "\n".join(_lines(known)) + "\n"


def _lines(known: Beginnings) -> Iterator[str]:
    yield "# A release plan, begun by `preflight init`. Fill in every TODO: `preflight lint` names those that are left."
    yield "# All keys with their meaning are in docs/reference/plan.md, a whole plan is plans/example.toml."
    yield "# Times are 24-hour and local to the window's zone. Secrets are named, never written here: env:NAME,"
    yield "# file:PATH (mode 0600), command:ARGV, prompt."
    yield from _release_and_window(known)
    yield from _roles(known)
    for name, address in known.hosts or [("db1", "")]:
        yield from _host(name, address)
    for name, host in known.databases:
        yield from _database(name, host)
    for name, url in known.applications:
        yield from _application(name, url)
    if known.databases:
        yield from ("", "[rollback]", "# rehearsed = 2026-10-10           # when the way back was last tried")
        yield 'owner = "dba"'
    yield from _steps(known)
    yield from _decisions()


def _release_and_window(known: Beginnings) -> Iterator[str]:
    yield from ("", f"format = {FORMAT}", "", "[release]", _text("id", known.release, "the release's number"))
    yield _text("title", known.title, "what is deployed")
    yield '# ticket = "CHG-1"                  # the change request'
    yield from ("", "[window]", _text("zone", known.zone, "IANA name such as Europe/Berlin"))
    yield _bare("start", known.start, "2026-10-17T00:00:00")
    yield _bare("end", known.end, "2026-10-17T06:00:00")


def _roles(known: Beginnings) -> Iterator[str]:
    yield ""
    yield "# Who owns what: every finding names one of these. The standby is somebody else."
    roles = ["release-manager", "unix"] + (["dba"] if known.databases else [])
    for role in [*roles, *(name for name, _ in known.applications)]:
        yield from (f"[roles.{role}]", _text("primary", "", "name"), _text("standby", "", "another name"))
        yield _text("contact", "", "how both are reached in the night")
        yield "# confirmed_at = 2026-10-16T15:00:00  # when both last said that they will be there"
        yield ""


def _host(name: str, address: str) -> Iterator[str]:
    yield f"[hosts.{name}]"
    yield _text("address", address, "name or IP address")
    yield _text("user", "", "the login that does the work in the window")
    yield _text("password", "", 'env:NAME, file:PATH, command:ARGV or prompt; or, instead of it: key = "PATH", agent')
    yield '# become = ["postgres"]             # accounts it must reach with sudo, without a prompt'
    yield 'owner = "unix"'
    yield ""


def _database(name: str, host: str) -> Iterator[str]:
    yield f"[databases.{name}]"
    yield _text("host", host, "a host of this plan")
    yield _text("user", "", "the role that runs the scripts")
    yield _text("password", "", "env:NAME, file:PATH, command:ARGV or prompt")
    yield 'sslmode = "verify-full"'
    yield '# version = "15"'
    yield from ('owner = "dba"', "", f"[backups.{name}]", f"database = {_quoted(name)}")
    yield _text("directory", "", "/path/on/the/server")
    yield _text("previous", "", "/path/on/the/server/*.dump  the newest must be readable to its end")
    yield from (f'step = "backup-{name}"', 'owner = "dba"', "", f"[scripts.{name}]", f"database = {_quoted(name)}")
    yield f"approved = {_quoted(f'sql/{name}')}  # the folder beside this plan"
    yield f"manifest = {_quoted(f'sql/{name}.SHA256SUMS')}  # `preflight seal` writes it"
    yield _text("staged", "", "/path/on/the/server")
    yield '# files = ["010_first.sql"]         # in this order; all sealed scripts but the ways back when left out'
    yield '# server = "/run/postgresql"        # how psql reaches the server on its host: socket folder or host'
    yield from (f'step = "scripts-{name}"', 'owner = "dba"', "")


def _application(name: str, url: str) -> Iterator[str]:
    yield f"[applications.{name}]"
    yield _text("from", "", "the version that answers before the window")
    yield _text("to", "", "the version that answers after it")
    yield f"owner = {_quoted(name)}"
    yield ""
    yield f"[[applications.{name}.health]]      # one for each instance"
    yield _text("url", url, "https://host/health")
    yield 'version = "version"                 # where the JSON answer tells the version'
    yield ""


def _steps(known: Beginnings) -> Iterator[str]:
    yield ""
    yield "# The steps of the window. source: measured DATE | rehearsed DATE | guess. undo kinds: restore, script,"
    yield "# redeploy, nothing-to-undo, none."
    last: list[str] = []
    for name, _ in known.databases:
        yield from _step(f"backup-{name}", (), '{ kind = "nothing-to-undo" }')
        yield from _step(f"scripts-{name}", (f"backup-{name}",), _UNDO)
        last.append(f"scripts-{name}")
    for name, _ in known.applications:
        yield from _step(f"deploy-{name}", last, _UNDO, name)


def _step(name: str, after: Sequence[str], undo: str, deploys: str = "") -> Iterator[str]:
    yield from ("", "[[steps]]", f"id = {_quoted(name)}")
    if after:
        yield f"after = [{', '.join(map(_quoted, after))}]"
    yield _bare("minutes", "", "30")
    yield 'source = "guess"'
    if deploys:
        yield f"deploys = {_quoted(deploys)}"
    yield f"undo = {undo}"


def _decisions() -> Iterator[str]:
    yield ""
    yield "# Decisions, agreed before the night."
    for kind in ("retry", "rollback", "partial go-live"):
        yield from ("", "[[decisions]]", f"on = {_quoted(kind)}")
        yield _text("rule", "", "what was agreed")
        yield 'decides = "release-manager"'
        yield _text("default", "", "what is done when nobody who decides can be reached")


def _text(key: str, value: str, meaning: str) -> str:
    return f"{key} = {_quoted(value or f'{TODO}: {meaning}')}"


def _bare(key: str, value: str, example: str) -> str:
    return f"{key} = {value}" if value else f"# {key} = {example}  # {TODO}"


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are a part of TOML's."""
    return json.dumps(text, ensure_ascii=False)
