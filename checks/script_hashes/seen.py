"""The scripts of one entry of the plan as seen in their three places, and the words to speak of them. Pure."""

from __future__ import annotations

import posixpath
import shlex
from dataclasses import dataclass

from preflight.judging.cures import copy_command, ssh_command
from preflight.plan import Host, Plan, Scripts
from preflight.questions.files import Texts
from preflight.questions.staged import StagedEntry
from preflight.wording import beside

from .comparison import Comparison, Differences, visible


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
        return self.plan.host_of(self.scripts)

    @property
    def approved_folder(self) -> str:
        return beside(self.plan.folder, self.scripts.approved)

    @property
    def manifest(self) -> str:
        return beside(self.plan.folder, self.scripts.manifest)

    @property
    def seal(self) -> str:
        """The command that seals what is approved."""
        return self.plan.seal_command

    @property
    def account(self) -> str:
        """Who runs the scripts; empty where ssh_config decides that."""
        return self.scripts.account or self.host.user or self.files.staged_tree.account

    @property
    def is_refused(self) -> bool:
        """Whether the account that runs the scripts was denied something; the login being denied proves nothing."""
        tree = self.files.staged_tree
        return "ermission denied" in tree.complaint + tree.problem and tree.account == self.account

    def remote(self, name: str) -> str:
        """A path below the staged folder (or an absolute one) as a shell word."""
        return shlex.quote(self._staged(name))

    def copy(self, name: str = "") -> str:
        """The command that stages one file, or everything, again."""
        approved = posixpath.join(self.approved_folder, visible(name) or ".")
        return copy_command(self.plan, self.host, approved, self._staged(name))

    def removal(self, name: str) -> str:
        """The command that takes one file away on the server."""
        return ssh_command(self.plan, self.host, f"rm -- {self.remote(name)}")

    def _staged(self, name: str) -> str:
        return visible(posixpath.normpath(posixpath.join(self.scripts.staged, name)))


def who_and_when(entry: StagedEntry) -> str:
    when = "at an unknown time" if entry.modified_at is None else f"{entry.modified_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"owner {visible(entry.owner)}, modified {when}"
