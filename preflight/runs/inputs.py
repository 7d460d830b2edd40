"""What a run rests on besides the answers of the servers: the plan, the approved scripts, their manifests, pinned host
keys, its own checks, the tool. When one of them changes, earlier evidence speaks for another release."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from preflight import __version__
from preflight.plan import Plan
from preflight.wording import visible

_LARGEST_BYTES = 16 * 1024 * 1024


def read_inputs(plan: Plan) -> dict[str, str]:
    """Name -> SHA-256 of the file, or `absent`; the tool's version for `preflight`."""
    return {
        "preflight": __version__,
        "plan": plan.digest,
        **{name: _digest(path) for name, path in _files(plan)},
    }


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the inputs that differ, in words for the report."""
    names = [*after, *(name for name in before if name not in after)]
    return tuple(
        _sentence(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)
    )


def _files(plan: Plan) -> Iterator[tuple[str, Path]]:
    for scripts in plan.scripts.values():
        yield f"scripts.{scripts.id}.manifest", scripts.manifest
        yield from _below(f"scripts.{scripts.id}.approved", scripts.approved)
    yield "sealed host keys", plan.sealed_known_hosts
    for host in plan.hosts.values():
        for path in host.known_hosts:
            yield f"hosts.{host.id}.known_hosts {path.name}", path
    if plan.release.checks:
        yield from _below("release.checks", plan.release.checks, ".py")
    yield from _files_of_commands(plan)


def _below(name: str, folder: Path, suffix: str = "") -> Iterator[tuple[str, Path]]:
    for top, _, files in sorted(os.walk(folder)):
        for path in (Path(top, file) for file in sorted(files) if file.endswith(suffix)):
            yield f"{name} {visible(str(path.relative_to(folder)))}", path


def _files_of_commands(plan: Plan) -> Iterator[tuple[str, Path]]:
    """What the plan's own commands run or read beside it: another script gives another answer."""
    commands = plan.checks.get("command", {}).get("run", {})
    for name, command in commands.items() if isinstance(commands, Mapping) else ():
        if getattr(command, "host", ""):
            continue
        for argument in getattr(command, "argv", ()):
            path = plan.folder / argument
            if path.is_file():
                yield f"checks.command.run.{name} {argument}", path


def _digest(path: Path) -> str:
    try:
        if not path.is_file():
            return "absent"
        if path.stat().st_size > _LARGEST_BYTES:
            return "too large"
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _sentence(name: str, before: str | None, after: str | None) -> str:
    if name == "preflight":
        return f"preflight was {before}, now {after}"
    if after is None or after == "absent":
        return f"{name} is gone"
    if before is None or before == "absent":
        return f"{name} is new"
    return f"{name} changed"
