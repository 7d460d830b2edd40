"""A plan's questions split evenly over parallel jobs, each of which works out the same split by itself. Pure.

What hangs together stays in one job: a database with its machine and the host that leads to it, a backup or scripts
with the database that they are of, and all entries of one password, so that a wrong one is refused once."""

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
from preflight.probe import Question, Via
from preflight.wording import listed

Target = tuple[Via, str]
"""Of a local question its id: a program that runs on this machine is a target of its own."""


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
        return Part(self.network_zone, Shard(number, self.of), lambda question: self.shard(question) in (0, number))

    def shard(self, question: Question) -> int:
        """Who asks it: 0 is each of them, for a file beside the plan, which each reads in its own checkout, as merging
        compares them; -1 is none."""
        return self.shard_of.get(_place(question), 0) if self.plan.is_asked_from(self.network_zone, question) else -1

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
        group_of = {target: {target} for target in sorted(self._questions)}
        for bound in _bound(self.plan):
            for one, other in pairwise(target for target in bound if target in group_of):
                small, large = sorted((group_of[one], group_of[other]), key=len)
                if small is not large:
                    large |= small  # the smaller one moves: a thousand databases behind one host are joined one by one
                    group_of.update(dict.fromkeys(small, large))
        return list(grouped(group_of, lambda target: id(group_of[target])).values())

    def jump_hosts(self, number: int) -> Sequence[str]:
        """Those of other shards, or that nobody asks, by which this one reaches hosts of its own."""
        asked = [target for target, shard in self.shard_of.items() if shard == number and self._questions[target]]
        own = [name for via, name in asked if via is Via.SSH]
        steps = dict.fromkeys(step for name in own for step in self.plan.way_to(name))
        return [step for step in steps if self.shard_of.get((Via.SSH, step)) != number]

    def held_together(self, number: int) -> str:
        """Which group makes this shard more than half as large again as the average, in words; empty for none."""
        groups, every = (group for group in self.groups if self.shard_of[group[0]] == number), self._questions.total()
        largest = max(groups, key=self._weight, default=())
        if self._weight(largest) * self.of <= 1.5 * every:
            return ""
        names = listed(dict.fromkeys(name for _, name in largest), 5)
        return f"{self._weight(largest)} of {every} questions are for {names}, which stay together"

    def _weight(self, group: Sequence[Target]) -> int:
        return sum(self._questions[target] for target in group)

    @cached_property
    def _questions(self) -> Counter[Target]:
        """How many first questions each target has. Of the moment at which the window begins: two jobs must not differ
        because one starts later."""
        plan = self.plan
        kinds = ((Via.SSH, plan.hosts), (Via.SQL, plan.databases), (Via.HTTP, plan.applications))
        found: Counter[Target] = Counter(dict.fromkeys(((via, name) for via, names in kinds for name in names), 0))
        items = inspect(plan, self.registry, plan.window.start).items
        for each in {each.question.id: each for item in items for each in item.probes.values()}.values():
            if each.question.via is not Via.LOCAL or each.probe.asked_last:
                found[_place(each.question)] += plan.is_asked_from(self.network_zone, each.question)
        return found


def _place(question: Question) -> Target:
    return question.via, question.id if question.via is Via.LOCAL else question.target


def _bound(plan: Plan) -> Iterator[Sequence[Target]]:
    """Targets of which one must not be asked in another shard than the others."""
    for database in plan.databases.values():
        yield (Via.SQL, database.id), (Via.SSH, database.host), (Via.SSH, database.tunnel_host)
    works: list[Backup | Scripts] = [*plan.backups.values(), *plan.scripts.values()]
    for work in works:
        yield (Via.SSH, plan.host_of(work).id), (Via.SQL, work.database)
    # Whatever the user is: that may be known only where it is asked.
    shown = (each for each in plan.shown_secrets() if each.alone is not None)
    accounts = grouped(shown, lambda each: (each.ref, each.alone))
    yield from ([(each.via, each.target) for each in account] for account in accounts.values())
