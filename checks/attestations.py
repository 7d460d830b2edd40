"""attestations: what only a person can say has been said, and not long ago."""

from collections.abc import Sequence

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, passed, unknown
from preflight.judging.confirmations import Confirming, Wanted
from preflight.plan import Attest
from preflight.plan.covered import covered_by_item
from preflight.questions.local import Signature


class Attestations(Check):
    """Has somebody said what only a person can say?

    "The vendor is on standby" is in no catalogue and on no server; when nobody asks, everybody believes that somebody
    did. So each `[[attest]]` wants the word of one of its owner's people, by `preflight confirm PLAN --item ID`, no
    older than `valid` at the moment judged. Without it the item is UNKNOWN, and the release on HOLD; with it the report
    says who said it and when. A change of the item or of the window voids the word.
    """

    id = "attestations"
    title = "what only a person can say was said"
    sections = ("attest",)
    needs = "none: it reads what `preflight confirm` wrote beside the plan"
    cure = "ask whoever can say it, and write it down by `preflight confirm`"

    def subjects(self) -> Sequence[Subject]:
        return [Subject(item.id, item, item.owner) for item in self.plan.attest]

    def probes(self, subject: Subject) -> Probes:
        return self._confirming(subject.item).probes()

    def judge(self, subject: Subject, **signatures: Signature) -> Judgement:
        item: Attest = subject.item
        told = passed(item.text + (f" ({item.evidence})" if item.evidence else ""))
        return Judgement.of([told, *self._confirming(item).judge(signatures)])

    def _confirming(self, item: Attest) -> Confirming:
        wanted = Wanted(
            role=self.plan.roles[item.owner],
            item=item.id,
            covers=covered_by_item(self.plan, item),
            valid=item.valid,
            key=f"valid of item {item.id}",
            missing=unknown,
        )
        return Confirming(self.plan, self.moment, self.asked_at, wanted)
