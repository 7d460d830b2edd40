"""What people said of the plan by `preflight confirm`, and whether it counts at the moment judged. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any

from preflight.finding import Judgement, Quantity, Status, failed, passed, warned
from preflight.judging.ends import End, TimeOfNeed
from preflight.plan import Plan, Role
from preflight.plan.confirmed import Confirmation
from preflight.plan.covered import changed_since
from preflight.plan.values import same_person
from preflight.questions.local import TARGET, Namespace, Signature, SignatureProbe
from preflight.units import format_duration
from preflight.wording import beside

NOT_SAID = "nobody wrote down that it was said"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Whose word is wanted, on what."""

    role: Role
    item: str = ""
    """The `[[attest]]` that one of the role's people says; each of them confirms the role where it is empty."""
    covers: Mapping[str, str]
    """The parts of the plan it is about, as they are."""
    valid: timedelta
    """How old it may be."""
    key: str
    """Where the plan says so."""
    missing: Callable[..., Judgement] = failed
    """What it is that nobody said it."""

    @property
    def option(self) -> tuple[str, str]:
        return ("--item", self.item) if self.item else ("--role", self.role.id)

    @property
    def people(self) -> Sequence[tuple[str, ...]]:
        """Of each of these groups one must have said it."""
        return [self.role.people] if self.item else [(name,) for name in self.role.people]


@dataclass(frozen=True, slots=True)
class Confirming:
    """Holds what was said against what is wanted."""

    plan: Plan
    moment: datetime
    asked_at: datetime
    wanted: Wanted

    def words(self) -> Mapping[tuple[str, ...], Confirmation | None]:
        """The newest word of each group until the moment judged; what was said later is for a later run."""
        wanted, until = self.wanted, min(self.moment, self.asked_at)
        role = "" if wanted.item else wanted.role.id
        newest = partial(self.plan.confirmed.newest, until, role=role, item=wanted.item)
        said = {group: [newest(by=name) for name in group] for group in wanted.people}
        return {group: max(filter(None, each), key=lambda word: word.at, default=None) for group, each in said.items()}

    def probes(self) -> Mapping[str, SignatureProbe]:
        """Who signed the words, where the plan wants them signed."""
        if self.plan.release.allowed_signers is None:
            return {}
        keys = beside(self.plan.folder, self.plan.release.allowed_signers)
        words = (word for word in self.words().values() if word is not None and word.signature)
        probe = partial(SignatureProbe, TARGET, keys, Namespace.CONFIRMATION)
        return {f"signature_{number}": probe(word.signed_text, word.signature) for number, word in enumerate(words)}

    def judge(self, facts: Mapping[str, Any] = MappingProxyType({})) -> Iterator[Judgement]:
        """One for each reason why a word does not count, with those who must say it again; and what counts. `facts`:
        what was read of the probes, by their names."""
        seen = {probe.content: facts[name] for name, probe in self.probes().items()}
        against: dict[str, list[tuple[str, ...]]] = {}
        counted: list[Confirmation] = []
        keys: list[End] = []
        for group, word in self.words().items():
            objection = NOT_SAID if word is None else self._objection(word, seen.get(word.signed_text))
            if word is not None and not objection:
                counted.append(word)
                if (signature := seen.get(word.signed_text)) and signature.ends_at:
                    remedy = f"have its `valid-before` moved; or, with another key, {self._cure([group], '')}"
                    keys.append(End(what="key", where=f"of {word.by}", at=signature.ends_at, remedy=remedy))
            else:
                against.setdefault(objection, []).append(group)
        yield from (self._missing(objection, groups) for objection, groups in against.items())
        if counted:
            yield self._until(counted)
            yield from map(self._need.judge, keys)  # verified once more when the window begins
            yield from self._unverified(counted)

    def _unverified(self, words: Sequence[Confirmation]) -> Iterator[Judgement]:
        """What was signed and is verified by nothing, as where `allowed_signers` was taken out of the plan since."""
        signed = [word.by for word in words if word.signature]
        if signed and not self.plan.release.allowed_signers:
            yield warned(
                f"signed by {' and '.join(signed)}, which nothing verifies: [release] names no `allowed_signers`",
                expected="a file of the keys whose signature counts",
                remedy="name the file as `allowed_signers` in [release]; or, where no signature is wanted, "
                f"have them confirm once more without --sign: {self.plan.confirm_command(*self.wanted.option, signed)}",
            )

    def _objection(self, word: Confirmation, signature: Signature | None) -> str:
        """Why it does not count; empty where it does."""
        said = f"said {self._need.told(word.at)}"
        if self.plan.release.allowed_signers and signature is None:
            return f"{said}, and not signed"
        if signature is not None and (other := signature.objection(word.by)):
            return f"{said}, and {other}"
        if signature is not None and (also := self._also_signed_by(word, signature)):
            return f"{said}, and its key is that of {also}, too: each needs one of his own"
        if changed := changed_since(word, self.wanted.covers):
            return f"{said}, and changed since then: {changed}"
        age = self.moment - word.at
        return f"{said}, {format_duration(age)} before the moment judged" if age > self.wanted.valid else ""

    def _also_signed_by(self, word: Confirmation, signature: Signature) -> str:
        """Somebody else whose word is wanted, with the same key: a line of the file of keys may name several owners."""
        others = (group for group in self.wanted.people if not any(same_person(word.by, name) for name in group))
        return next((name for group in others for name in group if not signature.objection(name)), "")

    def _missing(self, objection: str, groups: Sequence[tuple[str, ...]]) -> Judgement:
        who = " and ".join(" or ".join(group) for group in groups)
        words = [word for group, word in self.words().items() if group in groups and word is not None]
        first = self.moment - self.wanted.valid
        when = f" from {self._need.told(first)} on" if self.asked_at < first else ""
        age = self.moment - min((word.at for word in words), default=self.moment)
        found = self.wanted.missing(
            f"not confirmed by {who}: {objection}",
            expected=f"confirmed at most {format_duration(self.wanted.valid)} before the moment judged "
            f"({self.wanted.key}), of the plan as it is",
            actual=objection,
            remedy=self._cure(groups, when),
        )
        return replace(found, quantity=Quantity(age.total_seconds(), "s")) if age > self.wanted.valid else found

    def _cure(self, groups: Sequence[tuple[str, ...]], when: str) -> str:
        names = [group[0] for group in groups]
        if self.plan.release.allowed_signers:
            each = (f"{name} runs: {self.plan.confirm_command(*self.wanted.option, [name])}" for name in names)
            return f"call {self._called(groups)}{when}; {'; '.join(each)}"
        return f"call {self._called(groups)}{when}, then run: {self.plan.confirm_command(*self.wanted.option, names)}"

    def _called(self, groups: Sequence[tuple[str, ...]]) -> str:
        contact = self.wanted.role.contact.strip()
        who = " and ".join(" or ".join(group) for group in groups)
        return f"{who} ({contact})" if contact else who

    def _until(self, words: Sequence[Confirmation]) -> Judgement:
        """What was said, as long as it counts at the window's start, too."""
        oldest = min(words, key=lambda word: word.at)
        again = f" once more from {self._need.told(self.plan.window.start - self.wanted.valid)} on"
        ends = End(
            what="confirmation",
            where=f"of {self.wanted.item or self.wanted.role.id}",
            at=oldest.at + self.wanted.valid,
            remedy=self._cure([(word.by,) for word in words], again),
            tolerated="and the gate will want another",
        )
        held = self._need.judge(ends)
        told = "; ".join(f"confirmed by {word.by} {self._need.told(word.at)}" for word in words)
        return passed(told) if held.status is Status.PASS else held

    @property
    def _need(self) -> TimeOfNeed:
        return TimeOfNeed(self.plan, self.moment, to_start=True)
