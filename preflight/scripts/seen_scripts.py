"""The scripts of one entry of the plan as seen in their three places, and the words to speak of them. Pure."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from preflight.plan import Host, Plan, Scripts
from preflight.probes.files import Texts
from preflight.probes.staged_reply import StagedEntry
from preflight.scripts.manifest_comparison import Comparison
from preflight.scripts.manifest_difference import Differences
from preflight.scripts.text_diff import visible

MOST_NAMED = 8
"""Of one kind; more are counted."""


@dataclass(frozen=True, slots=True)
class SeenScripts:
    """What one judgement looks at."""

    plan: Plan
    scripts: Scripts
    texts: Texts
    files: Comparison
    differences: Differences
    manifest_problem: str = ""

    @property
    def host(self) -> Host:
        return self.plan.host_of(self.scripts.database)

    @property
    def approved_folder(self) -> str:
        return beside(self.plan, self.scripts.approved)

    @property
    def manifest(self) -> str:
        return beside(self.plan, self.scripts.manifest)

    @property
    def seal(self) -> str:
        """The command that seals what is approved."""
        return f"preflight seal {shlex.quote(str(self.plan.path.name))}"

    @property
    def account(self) -> str:
        """Who runs the scripts; empty where ssh_config decides that."""
        return self.scripts.account or self.host.user or self.files.staged_tree.account

    @property
    def is_refused(self) -> bool:
        """Whether the account that runs the scripts was denied something; the login being denied proves nothing."""
        tree = self.files.staged_tree
        return "ermission denied" in tree.complaint + tree.problem and tree.account == self.account

    @property
    def login(self) -> str:
        """The host as ssh takes it, with its port."""
        host = self.host
        port = f"-p {host.port} " if host.port is not None else ""
        return f"{port}{host.user}@{host.address or host.id}" if host.user else f"{port}{host.address or host.id}"

    def remote(self, name: str) -> str:
        """A path below the staged folder (or an absolute one) as a shell word."""
        return shlex.quote(visible(posixpath.normpath(posixpath.join(self.scripts.staged, name))))

    def copy(self, name: str = "") -> str:
        """The command that stages one file, or everything, again."""
        approved = shlex.quote(posixpath.join(self.approved_folder, name or "."))
        options, _, host = self.login.replace("-p ", "-P ").rpartition(" ")
        target = f"{host}:{self.remote(name)}"
        return " ".join(part for part in ("scp", "" if name else "-r", options, "--", approved, target) if part)


def beside(plan: Plan, path: Path) -> str:
    """`path` as seen from the plan's folder, where it lies below."""
    return str(path.relative_to(plan.folder) if path.is_relative_to(plan.folder) else path)


def who_and_when(entry: StagedEntry) -> str:
    when = "at an unknown time" if entry.modified_at is None else f"{entry.modified_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"owner {visible(entry.owner)}, modified {when}"


def named(names: Iterable[str]) -> str:
    shown = [visible(name) for name in names]
    more = f", and {len(shown) - MOST_NAMED} more" if len(shown) > MOST_NAMED else ""
    return ", ".join(shown[:MOST_NAMED]) + more


def count(things: Sequence[object] | Mapping[str, str], one: str, many: str = "") -> str:
    return f"1 {one}" if len(things) == 1 else f"{len(things)} {many or one + 's'}"
