"""Evidence of several network zones and shards made one. Pure.

Each part asks its own targets; what two of them answer both must be the same. Nothing is chosen: of two different
answers neither is believed."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from preflight.clock import format_moment
from preflight.engine.answered import Answered
from preflight.engine.inspection import Inspection
from preflight.engine.shards import Part, Split
from preflight.errors import RefusedError
from preflight.evidence import Evidence, Shard
from preflight.plan import Plan
from preflight.plan.release_plan import grouped
from preflight.probe import Answer, NoReply, Question, Reply
from preflight.reasons import Reason
from preflight.runs.gate import ABSENT, changed
from preflight.units import format_duration
from preflight.wording import counted, listed

_MOST_TARGETS = 20
"""Named of what was not asked; how many more there are is told."""
_Pair = tuple[Question, Answer]


class MergeError(RefusedError):
    """Evidence that does not belong together."""


@dataclass(frozen=True, slots=True)
class Merged:
    answered: Answered
    notes: tuple[str, ...]
    """For the report: what came from where, what contradicts, what nobody asked."""


def merge(inspection: Inspection, parts: Mapping[str, Evidence], inputs: Mapping[str, str]) -> Merged:
    """`parts`: name of each file -> its evidence, at least one; `inputs`: the plan's files as they are now. Raises
    MergeError for evidence of another plan, of other scripts, manifests, pinned keys or versions of the tool, or of
    another number of shards; what is not there to compare, where it is judged elsewhere, does not count.

    The whole counts as collected when the last part was, so that the others must be fresh enough by then."""
    plan = inspection.plan
    _require_one_release(plan, parts, inputs)
    numbers = _shards(parts)
    if len(parts) == 1:
        answered = Answered(inspection, *parts.values())
        return Merged(answered, tuple(_gaps(answered, numbers)))
    told: dict[str, dict[str, _Pair]] = {}
    for name, part in parts.items():
        for question_id, pair in part.answers.items():
            told.setdefault(question_id, {})[name] = pair
    answers: dict[str, _Pair] = {}
    conflicts: Counter[tuple[str, str]] = Counter()
    for question_id, by_part in told.items():
        (first, (question, said)), *_ = by_part.items()
        others = [name for name, (_, answer) in by_part.items() if _says(answer) != _says(said)]
        alike = (pair for name, pair in by_part.items() if name not in others)
        answers[question_id] = latest = max(alike, key=lambda pair: pair[1].asked_at)
        if others:
            who = " and ".join(sorted([first, *others]))
            conflicts[question.target, who] += 1
            detail = f"{question.target}: {who} answer it differently"
            answers[question_id] = (question, NoReply(Reason.CONTRADICTION, detail, latest[1].asked_at))
    evidence = Evidence(
        plan_digest=plan.digest,
        collected_at=max(part.collected_at for part in parts.values()),
        answers=answers,
        inputs=inputs,
        no_warnings=any(part.no_warnings for part in parts.values()),
        not_steady="; ".join(part.not_steady for part in parts.values() if part.not_steady),
    )
    answered = Answered(inspection, evidence)
    notes = (
        *(_provenance(plan, name, part) for name, part in parts.items()),
        *_doubled(parts),
        *_old(plan, parts),
        *(
            f"{target}: {who} answer {counted(n, 'question')} differently, and neither is believed: pass one of them"
            for (target, who), n in conflicts.items()
        ),
        *_gaps(answered, numbers),
    )
    return Merged(answered, notes)


def _require_one_release(plan: Plan, parts: Mapping[str, Evidence], inputs: Mapping[str, str]) -> None:
    here = {each: digest for each, digest in inputs.items() if digest != ABSENT}  # elsewhere, the scripts may be absent
    first: dict[str, tuple[str, str]] = {}
    for name, part in parts.items():
        if part.plan_digest != plan.digest:
            was, is_ = part.plan_digest[:12], plan.digest[:12]
            raise MergeError(f"{name} was collected for another text of this plan ({was}, now {is_}); run it again")
        if part.network_zone and part.network_zone not in plan.network_zones:
            raise MergeError(f"{name} is of network zone {part.network_zone}, which the plan does not have")
        if changes := changed({each: digest for each, digest in part.inputs.items() if each in here}, here):
            raise MergeError(f"{name} is void: {'; '.join(changes)}; run it again")
        for each, digest in part.inputs.items():
            earlier, its_digest = first.setdefault(each, (name, digest))
            if digest != its_digest:
                raise MergeError(f"{earlier} and {name} were collected beside different files ({each}); run both again")


def _says(answer: Answer) -> tuple[object, ...]:
    return (answer.code, answer.text, answer.error) if isinstance(answer, Reply) else (answer.reason,)


def _provenance(plan: Plan, name: str, part: Evidence) -> str:
    zone = f"network zone {part.network_zone}" if part.network_zone else ""
    asked = ", ".join(filter(None, [zone, f"shard {part.shard}" if part.shard else ""])) or "every network zone"
    lost = sum(isinstance(answer, NoReply) for _, answer in part)
    without = f", {lost} without a reply" if lost else ""
    when = format_moment(part.collected_at, plan.window.zone)
    return f"{name}: {asked}, {when}, {counted(len(part.answers), 'question')}{without}"


def _shards(parts: Mapping[str, Evidence]) -> Mapping[str, tuple[int, frozenset[int]]]:
    """Network zone -> its number of shards, and which are here; zones may be split differently. Raises MergeError."""
    found: dict[str, tuple[str, Shard]] = {}
    for name, part in parts.items():
        if part.shard:
            earlier, shard = found.setdefault(part.network_zone, (name, part.shard))
            if part.shard.of != shard.of:
                raise MergeError(f"{earlier} is shard {shard} and {name} shard {part.shard}: run all by one number")
    here = [(part.network_zone, part.shard.number) for part in parts.values() if part.shard]
    return {zone: (shard.of, frozenset(n for at, n in here if at == zone)) for zone, (_, shard) in found.items()}


def _doubled(parts: Mapping[str, Evidence]) -> Iterator[str]:
    """One shard in several files does no harm, and yet somebody may have meant another."""
    sharded = {name: Part(part.network_zone, part.shard) for name, part in parts.items() if part.shard}
    for shard, names in grouped(sharded, lambda name: str(sharded[name])).items():
        if len(names) > 1:
            yield f"{shard} is given {len(names)} times: {', '.join(names)}"


def _old(plan: Plan, parts: Mapping[str, Evidence]) -> Iterator[str]:
    newest = max(part.collected_at for part in parts.values())
    for name, part in parts.items():
        if (age := newest - part.collected_at) > plan.freshness.state:
            yield f"{name} is {format_duration(age)} older than the newest part: is it of an earlier run?"


def _gaps(answered: Answered, numbers: Mapping[str, tuple[int, frozenset[int]]]) -> Iterator[str]:
    """Zones and shards from which something was not asked that the plan has there."""
    plan, registry = answered.inspection.plan, answered.inspection.registry
    left = answered.missing()
    for zone, (of, given) in numbers.items() if left else ():
        here = grouped(left, Split(plan, registry, zone, of).shard)
        missing = sorted(here.keys() - given - {0, -1})
        for number in missing:
            part = (*_of_zone(zone), "--shard", f"{number}/{of}", "--output", f"{zone or 'shard'}-{number}.json")
            cure = plan.call("collect", *part)
            yield f"shard {number} of {of} is missing, which asks {_targets(here[number])}: {cure}"
        left = [question for number, questions in here.items() if number not in missing for question in questions]
    for zone in plan.network_zones or ("",):
        if targets := _targets(question for question in left if plan.is_asked_from(zone, question)):
            cure = plan.call("collect", *_of_zone(zone), "--output", f"{zone}.json") if zone else plan.call("run")
            yield f"nobody asked {targets}: {cure}"


def _of_zone(zone: str) -> Sequence[str]:
    return ("--zone", zone) if zone else ()


def _targets(questions: Iterable[Question]) -> str:
    return listed(dict.fromkeys(question.target for question in questions), _MOST_TARGETS)
