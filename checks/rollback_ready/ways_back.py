"""Whether the approved scripts can be taken back: each has its way back, and that changes something. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.judging.sealed_scripts import Pair, pairs
from preflight.plan import Scripts
from preflight.questions.files import Texts, Tree
from preflight.wording import named

from .script_effect import Effect, does_the_same, effect_of

_SUMMARIES: Mapping[Effect, str] = {
    Effect.NOTHING: "does nothing",
    Effect.READS: "changes nothing",
    Effect.STOPS: "changes nothing",
    Effect.UNDONE: "changes nothing",
    Effect.UNFINISHED: "does not commit what it changes",
    Effect.CALLS: "may change nothing",
}
_MAY_WORK = frozenset({Effect.UNFINISHED, Effect.CALLS})
"""With psql's --single-transaction, and with the right functions."""


@dataclass(frozen=True, slots=True)
class WaysBack:
    """One entry of `[scripts]` and what lies in its approved folder."""

    scripts: Scripts
    folder: str
    """The approved folder as the report names it."""
    seal: str
    """The command that seals them."""
    approved: Tree
    texts: Texts

    def judge(self) -> Iterator[Judgement]:
        if self.approved.problem or self.texts.problem:
            yield failed(
                "the approved scripts cannot be read",
                expected=f"scripts in {self.folder}, each with its way back",
                actual=self.approved.problem or self.texts.problem,
                remedy=f"check out {self.folder} beside the plan, or correct `approved` of [scripts.{self.scripts.id}]",
            )
            return
        scripts = self.scripts
        found = pairs(scripts.way_back, scripts.files, scripts.staged, self.approved.files, self.texts.texts)
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
            return
        texts = self.texts.texts
        unread = next((name for name in (pair.back, pair.forward) if name not in texts), "")
        if unread:
            yield unknown(
                f"{unread} could not be read",
                expected=self._expected(pair),
                actual=self.texts.unread.get(unread, "it is no .sql or .psql file"),
                remedy=f"make {unread} a text file that ends in .sql",
            )
        elif does_the_same(texts[pair.back], texts[pair.forward]):
            summary = f"the way back of {pair.forward} is the same script"
            yield self._failed(pair, summary, f"{pair.back} differs from it in comments at most")
        else:
            yield from self._judge_effect(pair, effect_of(texts[pair.back]))

    def _judge_effect(self, pair: Pair, effect: Effect) -> Iterator[Judgement]:
        if effect is Effect.CHANGES:
            return
        summary, actual = f"the way back of {pair.forward} {_SUMMARIES[effect]}", f"{pair.back} {effect}"
        if effect not in _MAY_WORK:
            yield self._failed(pair, summary, actual)
            return
        place = posixpath.join(self.folder, pair.back)
        yield warned(
            summary,
            expected=f"{self._expected(pair)}, as far as its text tells",
            actual=actual,
            remedy=f"add COMMIT to {place}, then seal again: {self.seal}"
            if effect is Effect.UNFINISHED
            else f"rehearse {place} on a copy and look at what it changed; or write its statements out",
        )

    def _failed(self, pair: Pair, summary: str, actual: str) -> Judgement:
        place = posixpath.join(self.folder, pair.back)
        remedy = f"write {place}, have it reviewed, then: {self.seal}"
        return failed(summary, expected=self._expected(pair), actual=actual, remedy=remedy)

    def _expected(self, pair: Pair) -> str:
        return f"{posixpath.join(self.folder, pair.back)} takes {pair.forward} back"
