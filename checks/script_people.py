"""script-people: who wrote, who reviewed and who runs the scripts are three people."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from preflight.check import Check, Subject
from preflight.finding import Judgement, Severity, passed, warned
from preflight.plan import Scripts
from preflight.plan.values import is_named, same_person

_PARTS = ("author", "reviewer", "runner")


class ScriptPeople(Check):
    """Are the author, the reviewer and the runner of the scripts three different people?

    Scripts that were changed after their approval ran and failed, and nobody had seen the change (c). What one person
    writes, approves and runs, nobody else has read. The plan can only say who they are; so this is advisory: it warns
    where one of the three is not named, or where two are one person.
    """

    id = "script-people"
    title = "author, reviewer and runner of the scripts are three people"
    sections = ("scripts",)
    severity = Severity.ADVISORY
    cure = "name a second and a third pair of eyes"

    def subjects(self) -> Sequence[Subject]:
        return [Subject(scripts.id, scripts, self.plan.owner_of(scripts)) for scripts in self.plan.scripts.values()]

    def judge(self, subject: Subject) -> Judgement:
        scripts: Scripts = subject.item
        found = list(_faults(scripts, {part: getattr(scripts, part) for part in _PARTS}))
        known = [name for role in self.plan.roles.values() for name in (role.primary, role.standby)]
        if is_named(runner := scripts.runner) and not any(same_person(runner, name) for name in known):
            summary = f"the runner, {runner}, is in no role, so nobody confirms that they come"
            remedy = f"write who runs them in [scripts.{scripts.id}], or name {runner} in a role"
            found.append(warned(summary, expected="a primary or standby of a role", actual=runner, remedy=remedy))
        names = ", ".join(f"{part} {getattr(scripts, part)}" for part in _PARTS)
        return Judgement.of(found) if found else passed(names)


def _faults(scripts: Scripts, names: dict[str, str]) -> Iterator[Judgement]:
    expected = "author, reviewer and runner, three people"
    if missing := [part for part in _PARTS if not is_named(names[part])]:
        yield warned(
            f"no {' and no '.join(missing)} is named",
            expected=expected,
            actual=", ".join(f"{part} {name}" for part, name in names.items() if is_named(name)) or "nobody",
            remedy=f"write {', '.join(missing)} in [scripts.{scripts.id}]",
        )
    for one, other in combinations(_PARTS, 2):
        if same_person(names[one], names[other]):
            yield warned(
                f"{one} and {other} are one person, {names[one]}",
                expected=expected,
                actual=f"{one} {names[one]}, {other} {names[other]}",
                remedy=f"have somebody else be the {other}, and write the name in [scripts.{scripts.id}]",
            )
