"""Whether the approved scripts can be taken back: each has its way back beside it. What that does is the rehearsal's to
show. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from preflight.finding import Judgement, failed, passed, unknown
from preflight.judging.psql_script import included_in_forward
from preflight.judging.sealed_scripts import approved_unread
from preflight.plan import Plan, Scripts
from preflight.plan.command_lines import Pair, pairs
from preflight.questions.files import Texts, Tree
from preflight.wording import named


@dataclass(frozen=True, slots=True)
class WaysBack:
    """One entry of `[scripts]` and what lies in its approved folder."""

    scripts: Scripts
    folder: str
    """The approved folder as the report names it."""
    plan: Plan
    approved: Tree
    texts: Texts

    def judge(self) -> Iterator[Judgement]:
        if problem := self.approved.problem or self.texts.problem:
            yield approved_unread(self.plan, self.scripts, problem)
            return
        scripts = self.scripts
        included = included_in_forward(scripts, self.approved.files, self.texts.texts)
        found = pairs(scripts.way_back, scripts.files, self.approved.files, included)
        if not found:
            yield unknown(
                "there is no script to take back",
                expected=f"scripts in {self.folder}",
                remedy=f"look into {self.folder}",
            )
            return
        points = [point for pair in found for point in self._judge_pair(pair)]
        names = named(pair.forward for pair in found)
        yield from points or [passed(f"{len(found)} scripts have their way back: {names}")]

    def _judge_pair(self, pair: Pair) -> Iterator[Judgement]:
        if not pair.present:
            yield self._failed(pair, f"{pair.forward} has no way back", "no such file")
        elif pair.back == pair.forward:
            yield self._failed(pair, f"the way back of {pair.forward} is the script itself", pair.back)
        elif not self.approved.files[pair.back].size_bytes:
            yield self._failed(pair, f"the way back of {pair.forward} is empty", f"{pair.back} holds nothing")

    def _failed(self, pair: Pair, summary: str, actual: str) -> Judgement:
        place = posixpath.join(self.folder, pair.back)
        remedy = f"write {place}, have it reviewed, then: {self.plan.call('seal')}"
        return failed(summary, expected=f"{place} takes {pair.forward} back", actual=actual, remedy=remedy)
