"""What a run rests on besides the answers of the servers: the plan, the manifests, the pinned host keys, the checks of
the plan's own, the tool. When one of them changes, earlier evidence speaks for another release."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from preflight import __version__
from preflight.plan import Plan

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
    told = []
    for name in dict.fromkeys([*after, *before]):
        was, is_ = before.get(name, "absent"), after.get(name, "absent")
        if name == "preflight" and was != is_:
            told.append(f"preflight was {was}, now {is_}")
        elif was != is_:
            told.append(f"{name} {'was removed' if is_ == 'absent' else 'was added' if was == 'absent' else 'changed'}")
    return tuple(told)


def _files(plan: Plan) -> Iterator[tuple[str, Path]]:
    for scripts in plan.scripts.values():
        yield f"scripts.{scripts.id}.manifest", scripts.manifest
    yield "file of sealed host keys", plan.sealed_known_hosts
    for host in plan.hosts.values():
        for path in host.known_hosts:
            yield f"hosts.{host.id}.known_hosts {path.name}", path
    if plan.release.checks:
        for path in sorted(plan.release.checks.rglob("*.py")):
            yield f"release.checks {path.relative_to(plan.release.checks)}", path
    # What the plan's own commands run or read beside it: another script gives another answer.
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
