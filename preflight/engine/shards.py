"""A plan's questions split evenly over parallel jobs, each of which works out the same split by itself. Pure.

What hangs together stays in one job: a database with its machine and the host that leads to it, a backup or scripts
with the database that they are of, and all entries of one password, so that a wrong one is refused once."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from preflight.engine.inspection import inspect
from preflight.engine.registry import Registry
from preflight.evidence import Shard
from preflight.plan import Backup, Plan, Scripts
from preflight.plan.release_plan import grouped
from preflight.plan.targets import alone_at
from preflight.plan.values import SecretRef
from preflight.probe import Question, Via
from preflight.wording import listed

Target = tuple[Via, str]
"""A local question is a target of its own: its id stands for the machine."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one call of `preflight collect` asks of a plan."""

    network_zone: str = ""
    shard: Shard | None = None

    asks: Callable[[Question], bool] = lambda _question: True
    """False for a question of another part."""

    def __str__(self) -> str:
        """`east, shard 3/8`; empty for everything."""
        return ", ".join(filter(None, [self.network_zone, f"shard {self.shard}" if self.shard else ""]))


WHOLE = Part()


@dataclass(frozen=True)
class Split:
    """Who asks what, when a plan or one of its network zones is split over `of` jobs."""

    plan: Plan
    registry: Registry
    network_zone: str
    of: int

    def part(self, number: int) -> Part:
        """A second question is asked in whichever shard it comes up: what it follows from is known to one alone."""

        def asks(question: Question) -> bool:
            asked_in = self.shards_of.get(question.id, (number,))
            return number in asked_in and self.plan.is_asked_from(self.network_zone, question)

        return Part(self.network_zone, Shard(number, self.of), asks)

    @cached_property
    def shards_of(self) -> Mapping[str, frozenset[int]]:
        """Id of each first question -> who asks it. What is read on this machine for hosts of several shards, such as
        the approved scripts, each of these reads."""
        return {
            question: frozenset(self.shard_of[target] for target in targets)
            for question, targets in self._targets_of.items()
        }

    @cached_property
    def shard_of(self) -> Mapping[Target, int]:
        """The largest group goes first, always to the shard that has least to ask so far."""
        lightest = [(0, number) for number in range(1, self.of + 1)]
        found = {}
        for group in sorted(self.groups, key=lambda group: (-self._weight(group), group)):
            weight, number = heapq.heappop(lightest)
            heapq.heappush(lightest, (weight + self._weight(group), number))
            found.update(dict.fromkeys(group, number))
        return found

    @cached_property
    def groups(self) -> Sequence[Sequence[Target]]:
        """Targets that must stay in one shard."""
        leader: dict[Target, Target] = {target: target for target in sorted(self._questions)}

        def find(target: Target) -> Target:
            while leader[target] != target:
                leader[target] = leader[leader[target]]
                target = leader[target]
            return target

        for bound in _bound(self.plan):
            for one, other in pairwise(target for target in bound if target in leader):
                leader[find(one)] = find(other)
        return list(grouped(leader, find).values())

    def jump_hosts(self, number: int) -> Sequence[str]:
        """Those of other shards, or that nobody asks, by which this one reaches hosts of its own."""
        own = [name for (via, name), shard in self.shard_of.items() if via is Via.SSH and shard == number]
        steps = dict.fromkeys(step for name in own for step in self.plan.way_to(name))
        return [step for step in steps if self.shard_of.get((Via.SSH, step)) != number]

    def uneven(self) -> str:
        """Which group makes the split uneven, with more than half as much again as an average shard, in words."""
        largest, every = max(self.groups, key=self._weight, default=()), self._questions.total()
        if self._weight(largest) * self.of <= 1.5 * every or self.of == 1:
            return ""
        names = listed(dict.fromkeys(name for _, name in largest), 5)
        return f"{self._weight(largest)} of {every} questions are for {names}, which stay together"

    def _weight(self, group: Sequence[Target]) -> int:
        return sum(self._questions[target] for target in group)

    @cached_property
    def _questions(self) -> Counter[Target]:
        """How many first questions each target has; what is read here for several costs none of them more."""
        return Counter(next(iter(targets)) for targets in self._targets_of.values() if len(targets) == 1)

    @cached_property
    def _targets_of(self) -> Mapping[str, frozenset[Target]]:
        """Id of each first question -> for which targets it is asked. Of the moment at which the window begins: two
        jobs must not differ because one starts later."""
        found: dict[str, set[Target]] = {}
        for item in inspect(self.plan, self.registry, self.plan.window.start).items:
            asked = [planned.question for planned in item.probes.values()]
            asked = [each for each in asked if self.plan.is_asked_from(self.network_zone, each)]
            elsewhere = {(each.via, each.target) for each in asked if each.via is not Via.LOCAL}
            for each in asked:
                own = {(each.via, each.target)} if each.via is not Via.LOCAL else elsewhere
                found.setdefault(each.id, set()).update(own or {(Via.LOCAL, each.id)})
        return {question: frozenset(targets) for question, targets in found.items()}


def _bound(plan: Plan) -> Iterator[Sequence[Target]]:
    """Targets of which one must not be asked in another shard than the others."""
    for database in plan.databases.values():
        yield (Via.SQL, database.id), (Via.SSH, database.host), (Via.SSH, database.tunnel_host)
    works: list[Backup | Scripts] = [*plan.backups.values(), *plan.scripts.values()]
    for work in works:
        yield (Via.SSH, plan.host_of(work).id), (Via.SQL, work.database)
    accounts: dict[tuple[SecretRef, str], list[Target]] = {}
    for account, target in _passwords(plan):
        accounts.setdefault(account, []).append(target)
    yield from accounts.values()


def _passwords(plan: Plan) -> Iterator[tuple[tuple[SecretRef, str], Target]]:
    """Each secret that is shown for a target, and whose it is where it is one entry's alone. Whatever the user is: that
    may be known only where it is asked. A host needs the passwords of the jump hosts before it, too."""
    for name in plan.hosts:
        for step in map(plan.hosts.__getitem__, plan.way_to(name)):
            shown = [step.password, *(become.password for become in step.become if step.id == name)]
            yield from (((secret, alone_at(step, secret)), (Via.SSH, name)) for secret in shown if secret)
    for database in plan.databases.values():
        if database.password:
            yield (database.password, alone_at(database, database.password)), (Via.SQL, database.id)
    for application in plan.applications.values():
        for endpoint in application.health:
            for secret, purpose in endpoint.secrets():
                yield (secret, purpose if secret.is_typed else ""), (Via.HTTP, application.id)
