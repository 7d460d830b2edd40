"""on-call: every role has two people who confirmed, can be called, and have logins that work."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, failed, passed, warned
from preflight.judging.confirmations import Confirming, Wanted
from preflight.judging.cures import could_not_look, refuses_login
from preflight.plan import Database, Host, Plan, Role
from preflight.plan.covered import covered_by_role
from preflight.plan.release_plan import machine_of, server_of
from preflight.plan.values import is_named, same_person
from preflight.probe import NoReply, Via
from preflight.questions.accounts import Login, LoginProbe
from preflight.questions.local import Signature
from preflight.questions.postgres import Identity, IdentityProbe
from preflight.wording import named

_LOGINS = 100
"""Logins of one role whose refusal is judged; one beyond that is UNKNOWN, as any fact that could not be asked."""


class _Person(NamedTuple):
    """One of the two people of a role: `primary` or `standby`, and the name."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class _Access:
    """One entry that the role's `access` names."""

    entry: Host | Database
    users: tuple[_Person, ...]
    """Who of the role works with this login."""
    shared_because: str
    """Why it is nobody's own; empty when it is somebody's."""

    @property
    def table(self) -> str:
        return f"[{'hosts' if isinstance(self.entry, Host) else 'databases'}.{self.entry.id}]"

    @property
    def probe(self) -> LoginProbe | IdentityProbe:
        """The very question of host-login and database-login: the login is made once."""
        return LoginProbe(self.entry.id) if isinstance(self.entry, Host) else IdentityProbe(self.entry.id)


class OnCall(Check):
    """Does every role have two people who confirmed that they will be there, and who can both do the work?

    When the DBA's own access failed, the call went silent while somebody looked for another one, who then had to be
    let in (f). So a role without a standby, with one person under both names, or without a contact fails; and one that
    not both have confirmed by `preflight confirm`, freshly (`people` in `[freshness]`) and for the plan as it is: a
    change of the window, of an entry that the role owns or of its steps voids their word, a change elsewhere does not.
    Where the plan says which logins the role's people use (`access`), primary and standby must each have one, their own
    by the entry's `person` or a shared one, and it must work: it is the same login that host-login and database-login
    make. A shared login counts, with a warning: it does not show who did what, and one wrong password locks both people
    out.
    """

    id = "on-call"
    title = "two people stand behind the role, confirmed and with access"
    sections = ("roles",)
    needs = "none beyond the logins that `access` names"
    cure = "find the second person, ask both, and write it down by `preflight confirm`"
    judges_no_reply = frozenset(f"login_{number}" for number in range(_LOGINS))

    def subjects(self) -> Sequence[Subject]:
        return [Subject(role.id, role, role.id) for role in self.plan.roles.values()]

    def probes(self, subject: Subject) -> Probes:
        used = [access.probe for access in self._accesses(subject.item) if access.users]
        logins = {f"login_{number}": probe for number, probe in enumerate(used)}
        return {**logins, **self._confirming(subject.item).probes()}

    def judge(self, subject: Subject, **facts: Login | Identity | Signature | NoReply) -> Judgement:
        role: Role = subject.item
        confirmed = self._confirming(role).judge(facts)
        logins = {name: fact for name, fact in facts.items() if not isinstance(fact, Signature)}
        return Judgement.of([*self._two_people(role), *confirmed, *self._access(role, logins)])

    def _two_people(self, role: Role) -> Iterator[Judgement]:
        expected = "a primary and a standby, two different people"
        seen = f"primary {role.primary}, standby {role.standby or 'nobody'}"
        find = f"find a second person for {role.id} and write the name as `standby` in [roles.{role.id}]"
        fault = ""
        if not is_named(role.primary):
            fault, find = "no primary is named", f"write who does the work as `primary` in [roles.{role.id}]"
        elif not is_named(role.standby):
            fault = "no standby: nobody takes over when the primary cannot"
        elif same_person(role.primary, role.standby):
            fault = "primary and standby are one person"
        others = (each for each in self.plan.roles.values() if each is not role)
        also = [each.id for each in others if same_person(each.primary, role.primary)]
        if also and is_named(role.primary):
            seen += f"; {role.primary} is the primary of {named(also)} too, who can do one thing at a time"
        yield failed(fault, expected=expected, actual=seen, remedy=find) if fault else passed(seen)
        if is_named(role.contact):
            yield passed(f"reached by {role.contact}")
        else:
            yield failed(
                "no contact: nobody knows how to reach them",
                expected="a number or place where both can be reached in the window",
                actual=f"no `contact` in [roles.{role.id}]",
                remedy=f'ask them, then write contact = "..." in [roles.{role.id}]',
            )

    def _confirming(self, role: Role) -> Confirming:
        covers = covered_by_role(self.plan, role)
        wanted = Wanted(role=role, covers=covers, valid=self.plan.freshness.people, key="people in [freshness]")
        return Confirming(self.plan, self.moment, self.asked_at, wanted)

    def _people(self, role: Role) -> tuple[_Person, ...]:
        return tuple(_Person("primary" if name == role.primary else "standby", name) for name in role.people)

    def _accesses(self, role: Role) -> list[_Access]:
        """What the role's `access` names; a name that is a host's and a database's stands for both."""
        people = self._people(role)
        found = []
        for name in dict.fromkeys(role.access):  # the loader has seen to it that there is one
            for entry in (self.plan.hosts.get(name), self.plan.databases.get(name)):
                if entry is not None:
                    shared = _shared_because(self.plan, entry)
                    users = [person for person in people if shared or same_person(person.name, entry.person)]
                    found.append(_Access(entry, tuple(users), shared))
        return found

    def _access(self, role: Role, logins: dict[str, Login | Identity | NoReply]) -> Iterator[Judgement]:
        accesses = self._accesses(role)
        used = [access for access in accesses if access.users]
        for number, access in enumerate(used):
            yield _login(self.plan, role, access, logins[f"login_{number}"])
            if access.shared_because:
                yield warned(
                    f"the login {access.entry.id} is nobody's own: {access.shared_because}",
                    expected=f"a login of their own for each person of {role.id}",
                    actual=f"{access.entry.user or 'its account'} is used by {' and '.join(map(str, access.users))}",
                    remedy=f"have a login for each made; name whose it is by `person` in {access.table}",
                )
        for access in accesses:
            if not access.users:
                yield warned(
                    f"{access.entry.id} is the login of {access.entry.person}, who is neither primary nor standby",
                    expected=f"logins of the people of {role.id}",
                    actual=f'person = "{access.entry.person}" in {access.table}',
                    remedy=f"correct `person` in {access.table}, or take {access.entry.id} out of `access`",
                )
        if role.access:
            for person in self._people(role):
                yield from self._left_out(role, person, used)

    def _left_out(self, role: Role, person: _Person, used: Sequence[_Access]) -> Iterator[Judgement]:
        """Where the role works and this person has no login."""
        own = [access for access in used if person in access.users]
        arrange = f"have a login for {person.name} made, add it to the plan with `person`, and to [roles.{role.id}]"
        if not own:
            yield failed(
                f"{person} has no login",
                expected=f"a login of {person.name} among the role's access",
                actual=f"access = [{', '.join(role.access)}]: none with this `person`, none shared",
                remedy=f"{arrange} access",
            )
            return
        reached = {_place(self.plan, access.entry) for access in own}
        for access in used:
            place = _place(self.plan, access.entry)
            if place not in reached:
                reached.add(place)  # said once
                yield warned(
                    f"{person} has no login where {access.users[0]} has {access.entry.id}",
                    expected=f"a login of {person.name} there, too",
                    actual=f"logins of {person.name}: {', '.join(each.entry.id for each in own)}",
                    remedy=f"{arrange} access",
                )


def _login(plan: Plan, role: Role, access: _Access, fact: Login | Identity | NoReply) -> Judgement:
    """Whether the login can be made; of which account and server it is, host-login and database-login judge."""
    who, name = " and ".join(map(str, access.users)), access.entry.id
    if not isinstance(fact, NoReply):
        return passed(f"{who} can log in to {name}")
    is_host = isinstance(access.entry, Host)
    if not refuses_login(fact):
        return could_not_look(plan, Via.SSH if is_host else Via.SQL, name, fact, f" whether {who} can log in to {name}")
    line = f"{'host-login' if is_host else 'database-login'} {name}"
    return failed(
        f"{who} cannot log in to {name}: {fact.reason}",
        expected=f"{who} logs in before the window",
        actual=fact.detail,
        remedy=f"have the login mended as the line {line} says; else name somebody in [roles.{role.id}] who has one",
    )


def _shared_because(plan: Plan, entry: Host | Database) -> str:
    """Empty for a login of one person alone. Two people's entries may well name one account."""
    if not is_named(entry.person):
        return "its entry has no `person`"
    entries: Sequence[Host | Database] = list((plan.hosts if isinstance(entry, Host) else plan.databases).values())
    for other in entries:
        one_account = entry.user and (other.user, _place(plan, other)) == (entry.user, _place(plan, entry))
        if one_account and is_named(other.person) and not same_person(other.person, entry.person):
            return f"{other.id} says that the same account is {other.person}'s"
    return ""


def _place(plan: Plan, entry: Host | Database) -> tuple[object, ...]:
    """What the entry logs in to, whoever does: the same for two people's entries of one server."""
    if isinstance(entry, Host):
        return ("host", *machine_of(entry))
    return ("database", *server_of(plan, entry), entry.dbname)
