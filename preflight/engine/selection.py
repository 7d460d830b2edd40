"""Which planned checks are to be run: `--only` and `--skip`, by check, host, owner, family or subject. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from preflight.check import Subject
from preflight.plan import Plan
from preflight.probe import Family, Question, Via


class By(StrEnum):
    """What a term names; a bare word is the id of a check."""

    CHECK = "check"
    HOST = "host"
    OWNER = "owner"
    FAMILY = "family"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class Term:
    """`host:db1`."""

    by: By
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        kind, colon, name = text.partition(":")
        return cls(By(kind), name) if colon and kind in set(By) else cls(By.CHECK, text)


@dataclass(frozen=True, slots=True)
class Selection:
    """Without any term everything is selected."""

    only: tuple[Term, ...] = ()
    skip: tuple[Term, ...] = ()

    @classmethod
    def of_checks(cls, *checks: str) -> Self:
        return cls(tuple(Term(By.CHECK, check) for check in checks))

    def may_take(self, check: str) -> bool:
        """Whether any subject of this check can be selected: of one that cannot, nobody plans what it would ask."""
        is_wanted = not self.only or any(term.by is not By.CHECK or term.name == check for term in self.only)
        return is_wanted and Term(By.CHECK, check) not in self.skip

    def takes(self, plan: Plan, check: str, subject: Subject, planned: Collection[tuple[Family, Question]]) -> bool:
        """`planned`: what it asks first."""
        if not (self.only or self.skip):
            return True
        named = _names(plan, check, subject, planned)
        is_wanted = not self.only or any(term.name in named[term.by] for term in self.only)
        return is_wanted and not any(term.name in named[term.by] for term in self.skip)


EVERYTHING = Selection()


def _names(
    plan: Plan, check: str, subject: Subject, planned: Collection[tuple[Family, Question]]
) -> Mapping[By, Collection[str]]:
    """By which terms a check of one subject is meant. It is a host's when it asks there, or a database there."""
    hosts = {each.target for _, each in planned if each.via is Via.SSH}
    hosts |= {plan.databases[each.target].host for _, each in planned if each.via is Via.SQL}
    return {
        By.CHECK: (check,),
        By.HOST: {*hosts, subject.id},
        By.OWNER: (subject.owner,),
        By.FAMILY: {family for family, _ in planned},
        By.SUBJECT: (subject.id,),
    }
