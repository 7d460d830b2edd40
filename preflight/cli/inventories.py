"""Hosts and databases that other files of the site name already, for `preflight init`."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path
from typing import Any

from preflight.cli.console import CallError
from preflight.plan.new_plan import Beginnings, Place
from preflight.plan.values import POSTGRES_PORT, SSH_PORT

_SSH_SECONDS = 5.0
_DEEPEST_INCLUDE = 16
"""As ssh has it."""
_OTHER_LETTERS = re.compile(r"[^A-Za-z0-9_-]+")
_NO_NAME = re.compile(r"[*?!%]")
"""What stands in a pattern of ssh_config(5), or in a path that ssh fills in."""


def ansible_hosts(path: Path) -> list[Place]:
    """The hosts in what `ansible-inventory --list` prints; no other variable, password or key. Raises CallError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        names = dict.fromkeys(name for group in found.values() for name in group.get("hosts", ()))
        variables = found["_meta"]["hostvars"]
        return [_ansible_host(name, variables.get(name, {})) for name in {**names, **variables}]
    except OSError as error:
        raise CallError(f"{path}: cannot be read: {error.strerror}") from None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise CallError(f"{path}: expected what `ansible-inventory --list` prints, with _meta.hostvars") from None


def _ansible_host(name: str, variables: dict[str, Any]) -> Place:
    at, port, user = (variables.get(f"ansible_{key}", "") for key in ("host", "port", "user"))
    words = (str(at or name), str(user))
    if any("{{" in word for word in (*words, str(port))):  # a template that only Ansible can fill in
        words, port = ("" if "{{" in words[0] else words[0], "" if "{{" in words[1] else words[1]), 0
    return Place(name=_name_of(name), at=words[0], port=int(port or 0), user=words[1])


def ssh_hosts(pattern: str) -> list[Place]:
    """The hosts of ~/.ssh/config and what it includes that match, each as `ssh -G` resolves it. Raises CallError."""
    own = Path.home() / ".ssh" / "config"
    names = [name for name in dict.fromkeys(_ssh_names(own, own.parent)) if fnmatchcase(name, pattern)]
    if not names:
        raise CallError(f"no host of {own} matches {pattern}")
    return [_ssh_host(name, own) for name in names]


def _ssh_names(path: Path, folder: Path, depth: int = 0) -> Iterator[str]:
    if depth > _DEEPEST_INCLUDE:
        raise CallError(f"{path}: is included more than {_DEEPEST_INCLUDE} deep, perhaps by itself")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CallError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    for line in lines:
        keyword, *words = re.split(r"[\s=]+", line.strip().replace('"', ""))
        if keyword.lower() == "host":
            yield from (word for word in words if not _NO_NAME.search(word))
        elif keyword.lower() == "include":
            for word in words:
                for file in map(Path, sorted(glob(str(folder / os.path.expanduser(word))))):  # noqa: PTH111, PTH207 - no pattern raises
                    yield from _ssh_names(file, folder, depth + 1) if file.is_file() else ()


def _ssh_host(name: str, config: Path) -> Place:
    try:
        argv = ["ssh", "-G", "-F", str(config), "--", name]
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SSH_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or error
        raise CallError(f"ssh -G {name}: {' '.join(str(said).split())}") from None
    told = dict(line.split(" ", 1) for line in reversed(done.stdout.splitlines()) if " " in line)
    port = _unless(SSH_PORT, int(told.get("port", SSH_PORT)))
    return Place(name=_name_of(name), at=told.get("hostname", name), port=port, user=told["user"])


def with_service(known: Beginnings, name: str) -> Beginnings:
    """With the database that a service of pg_service.conf names, and its host. Raises CallError."""
    from preflight.sessions.postgres.libpq import service_parameters

    told = service_parameters(name)
    address = told.get("host", "").partition(",")[0]
    if not address or address.startswith("/"):
        raise CallError(f"service {name}: pg_service.conf has no such service, or it names no host")
    host = next((each for each in known.hosts if address in (each.at, each.name)), None)
    is_number = ":" in address or address.replace(".", "").isdecimal()
    added = Place(name=_name_of(address if is_number else address.partition(".")[0]), at=address)
    port, database = told.get("port", str(POSTGRES_PORT)).partition(",")[0], told.get("dbname", "")
    if not port.isdecimal():
        raise CallError(f"service {name}: its port is no number in pg_service.conf: {port}")
    entry = Place(
        name=_name_of(name),
        at=(host or added).name,
        port=_unless(POSTGRES_PORT, int(port)),
        user=told.get("user", ""),
        dbname="" if database == _name_of(name) else database,
    )
    hosts = known.hosts if host else (*known.hosts, added)
    return replace(known, hosts=hosts, databases=(*known.databases, entry))


def _unless(usual: int, port: int) -> int:
    """A port, as a plan names it: 0 for the usual one."""
    return 0 if port == usual else port


def _name_of(name: str) -> str:
    """As an entry of the plan may be called without quotes."""
    return _OTHER_LETTERS.sub("-", name).strip("-_") or "host"
