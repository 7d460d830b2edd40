"""With what a report was made: the version of the tool and of installed checks, and which commit of its plan.

git itself is asked: it knows worktrees, ignored line endings and whose repository it must not trust."""

import os
import subprocess
from contextlib import suppress

from preflight import __version__
from preflight.engine.registry import entry_points
from preflight.plan import Plan

_SECONDS = 5.0
_SHOWN = 12
"""Digits of a commit that people compare."""


def made_with(plan: Plan) -> tuple[str, ...]:
    """`preflight 1.2`, `acme-checks 0.3`, `plan at git commit 1a2b3c4d5e6f, clean`."""
    plug_ins = {each.dist.name: each.dist.version for each in entry_points() if each.dist}
    named = (f"{name} {version}" for name, version in sorted(plug_ins.items()))
    return (f"preflight {__version__}", *named, _commit(plan))


def _commit(plan: Plan) -> str:
    found = _git(plan, "rev-parse", "--verify", "HEAD")
    if not found:
        return "plan in no git commit"
    files = [str(path.resolve()) for path in (plan.path, *plan.included)]
    changed = _git(plan, "status", "--porcelain", "--untracked-files=all", "--ignored", "--", *files)
    state = "not known whether clean" if changed is None else "changed since" if changed else "clean"
    return f"plan at git commit {found[:_SHOWN]}, {state}"


def _git(plan: Plan, *arguments: str) -> str | None:
    """What git answers in the plan's folder, which it writes nothing to; None where it cannot."""
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            ["git", "-c", "core.fsmonitor=false", "-C", str(plan.folder), *arguments],
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=True,
        )
        return done.stdout.strip()
    return None
