"""Whether what runs is sealed, is all that is sealed, and stops at the first error: a part of script-runner. Pure."""

import posixpath
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from preflight.finding import Judgement, passed, unknown
from preflight.judging.psql_script import CURE_UNREAD, Place, below
from preflight.judging.sealed_scripts import SealedScripts, by_number, number_of, sealed_scripts
from preflight.plan import Plan, Scripts
from preflight.plan.said import answered_for
from preflight.plan.work import ServerWork, scripts_in
from preflight.questions.files import LocalText, Texts, read_manifest
from preflight.wording import in_toml, named, visible


@dataclass(frozen=True, slots=True)
class _Run:
    """What one entry runs, but for scripts that use a variable to which the entry that is judged gives another value:
    these may do the same elsewhere, such as in another schema."""

    forward: tuple[str, ...]
    included: tuple[str, ...]

    @classmethod
    def of(cls, judged: Scripts, entry: Scripts, sealed: SealedScripts) -> Self:
        differing = {name for name, _ in judged.variables.items() ^ entry.variables.items()}
        other = sealed.users_of(differing)
        forward, included = sealed.order.forward, sorted(sealed.included)
        return cls(*(tuple(each for each in names if each not in other) for names in (forward, included)))

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.forward, *self.included)


@dataclass(frozen=True, slots=True)
class OrderedScripts:
    """One entry of `[scripts]` that psql runs, with what is sealed."""

    plan: Plan
    work: ServerWork
    sealed: SealedScripts
    runs: Mapping[str, _Run]
    """By its id, what each entry runs of the same scripts in the same database, this one too; in the sheet's order."""

    @classmethod
    def of(cls, plan: Plan, work: ServerWork, manifest: LocalText, texts: Texts) -> Self:
        entry, manifest_read = plan.scripts[work.id], read_manifest(manifest)
        sealed = {
            each.id: sealed_scripts(each, *manifest_read, texts)
            for each in scripts_in(plan, entry.database)
            if not each.command
            and (entry.manifest == each.manifest or posixpath.normpath(entry.staged) == posixpath.normpath(each.staged))
        }
        runs = {name: _Run.of(entry, plan.scripts[name], found) for name, found in sealed.items()}
        return cls(plan, work, sealed[entry.id], runs)

    def judge(self) -> Iterator[Judgement]:
        sealed = self.sealed
        if sealed.problem:
            yield unknown(
                "whether every script runs is not known: they are not sealed",
                expected="a manifest of the scripts",
                actual=sealed.problem,
                remedy="cure the line of script-hashes, then run again",
            )
            return
        points = [
            *self._listed(),
            *self._unlisted(),
            *self._twice(),
            *self._out_of_order(),
            *self._not_as_sealed(),
            *self._deviations(),
        ]
        yield from points or [passed(f"psql runs {named(sealed.order.forward)} and stops at the first error")]

    def _listed(self) -> Iterator[Judgement]:
        """What `files` names and leaves out."""
        if not self._entry.files:
            return
        sealed = self.sealed
        if unsealed := [name for name in self._entry.files if name not in sealed.names]:
            yield self.work.failed(
                f"`files` names what is not sealed: {named(unsealed)}",
                self._expected,
                named(self._entry.files),
                f"{self._remedy}; or put it into the approved folder, have it approved, then run: "
                f"{self.plan.call('seal')}",
            )
        if backward := [name for name in self._entry.files if name in sealed.backward]:
            yield self._fails(f"`files` names ways back: {named(backward)}", self._entry.files)
        running = set(self._entry.files).union(*(run.forward for run in self.runs.values()))
        if passed_over := [name for name in sealed.passed_over if name not in running]:
            yield unknown(
                f"whether {named(passed_over)} is to run is not known: not in `files`, and nobody's way back",
                expected="every sealed script in `files`, or the way back of one",
                actual=f"named like scripts that take others back; way_back = {self._entry.way_back!r}",
                remedy=f"list it in `files` of {self.work.table}; or put it into a folder named undo, have that "
                "approved, then seal again",
            )
        missing = [name for name in sealed.wanted if name not in running]
        if not missing:
            return
        summary = f"`files` leaves out {len(missing)} of {len(sealed.wanted)} scripts: {named(missing)}"
        actual = named(self._entry.files)
        if sealed.unread:  # one of them may include what is missing
            yield unknown(summary, expected=self._expected, actual=actual, remedy=self._remedy)
        elif sealed.perhaps.issuperset(missing):
            yield unknown(
                f"{summary}, which a way back, or some \\if, includes",
                expected=self._expected,
                actual=actual,
                remedy=f"{self._remedy}; or, if ways back alone need it, put it into a folder named undo, have that "
                "approved, then seal again",
            )
        else:
            yield self._fails(summary, self._entry.files)

    def _unlisted(self) -> Iterator[Judgement]:
        """What the tool makes of an entry without `files`."""
        if not self.sealed.running:
            yield self._fails("there is no script to run", ())
        if self.sealed.doubtful:
            yield unknown(
                f"whether all of these are to run is not known: {named(self.sealed.doubtful)}",
                expected="scripts that go forward; without `files`, all that is sealed and nobody's way back runs",
                actual="named like scripts that take others back, or included by a way back or within \\if; and "
                f"way_back = {self._entry.way_back!r}",
                remedy=self._remedy,
            )

    def _twice(self) -> Iterator[Judgement]:
        """What runs by itself here, or in another entry, and again in the same database."""
        mine = self.runs[self.work.id]
        if again := [name for name in mine.forward if name in mine.included]:
            yield self.work.failed(
                f"{named(again)} runs twice: `files` lists it, and a script that runs includes it",
                "each script run once",
                named(again),
                f"take it out of `files` of {self.work.table}",
            )
        for other, run in self.runs.items():
            both = [name for name in mine.all if name in run.all and name in {*mine.forward, *run.forward}]
            if both and other != self.work.id:
                yield self.work.failed(
                    f"[scripts.{other}] runs {named(both)} in the same database as well",
                    "each script run once",
                    named(both),
                    f"take them out of `files` of {self.work.table} or of [scripts.{other}], or one of these two out",
                )

    def _out_of_order(self) -> Iterator[Judgement]:
        """What runs after a script with a greater number; the only order that the manifest is sure to keep."""
        names = list(dict.fromkeys(name for run in self.runs.values() for name in run.forward))
        right = by_number(names)
        wrong = {name for name, other in zip(names, right, strict=True) if name != other}
        if wrong.intersection(self.runs[self.work.id].forward):
            entries = [f"[scripts.{name}]" for name, run in self.runs.items() if wrong.intersection(run.forward)]
            put = f"order {named(entries)} and their steps so"
            if len(entries) == 1:
                put = f"write in {entries[0]}: files = {in_toml(right)}"
            yield self.work.failed(
                f"the scripts run in another order than that of their numbers: {named(names)}",
                f"the order of their numbers: {named(right)}",
                named(names),
                f"{put}; or give the scripts the numbers of the order that is meant, have that approved, then run: "
                f"{self.plan.call('seal')}",
            )

    def _not_as_sealed(self) -> Iterator[Judgement]:
        """Where names without numbers leave the order to the plan: `preflight seal` keeps it in the manifest."""
        files = [name for name in self._entry.files if name in self.sealed.names]
        sealed = [name for name in self.sealed.names if name in files]
        if files != sealed and not all(map(number_of, files)):
            yield self.work.failed(
                f"`files` runs the scripts in another order than sealed: {named(files)}",
                f"the sealed order: {named(sealed)}",
                named(files),
                f"write in {self.work.table}: files = {in_toml(sealed)}; or have the other order approved, "
                f"then run: {self.plan.call('seal')}",
            )

    def _deviations(self) -> Iterator[Judgement]:
        """Where psql does not run every statement and stop at the first error, or may not."""
        if unread := self.sealed.unread:
            yield unknown(
                f"whether psql stops at the first error is not known: {named(unread)} could not be read",
                expected="sealed scripts whose text tells it",
                actual=named(f"{name}: {why}" for name, why in unread.items()),
                remedy=CURE_UNREAD,
            )
        expected = "every statement run, ON_ERROR_STOP as the command line sets it"
        if places := [(name, each) for name, each in self.sealed.deviations if each.certain]:
            remedy = "take it out of the script, have that approved, then seal again"
            found = named(_place(*each) for each in places)
            yield self.work.failed(_deviation(*places[0]), expected, found, remedy)
        if places := [(name, each) for name, each in self.sealed.deviations if not each.certain]:
            yield unknown(
                f"whether psql stops at the first error is not known: {_deviation(*places[0])}",
                expected=expected,
                actual=named(_place(*each) for each in places),
                remedy="write it plainly (no variable, no backquotes, not in \\if) or take it out of the script; have "
                "that approved, then seal again",
            )

    @property
    def _entry(self) -> Scripts:
        return self.plan.scripts[self.work.id]

    @property
    def _expected(self) -> str:
        return f"every sealed script: {named(self.sealed.wanted)}"

    @property
    def _remedy(self) -> str:
        files = in_toml(by_number(self.sealed.wanted))
        return f"write in {self.work.table}: files = {files}, in the order in which they run"

    def _fails(self, summary: str, actual: Sequence[str]) -> Judgement:
        return self.work.failed(summary, self._expected, named(actual) or "none", self._remedy)


def _place(name: str, found: Place) -> str:
    return f"{name} line {found.line}: {found.text}"


def _deviation(name: str, found: Place) -> str:
    return f"{_place(name, found)} {found.reason}"


def judge_command(plan: Plan, moment: datetime, work: ServerWork, manifest: LocalText) -> Iterator[Judgement]:
    """Of the `command` of scripts: it is sealed where it lies in the folder, and who says that it stops."""
    entry, command = plan.scripts[work.id], visible(shlex.join(work.command))
    path = below(entry.staged, posixpath.join(entry.staged, work.command[0]))
    sealed, problem = read_manifest(manifest)  # script-hashes tells the problem
    if "/" in work.command[0] and not path.startswith("/") and not problem and path not in sealed:
        yield work.failed(
            f"{visible(path)} is not sealed",
            expected=f"{visible(path)} in the manifest, because it lies in the staged folder",
            actual="the manifest does not list it",
            remedy=f"put it into the approved folder of {work.table}, have it approved, then seal again",
        )
    if entry.rehearse_command and not plan.release.without.rehearsal:
        return  # the line of `rehearsal` tells whether it stops
    instead = f"name what `preflight rehearse` may run in its place: `rehearse_command` of {work.table}; or "
    unseen = unknown(
        f"whether {command} stops at the first error is not known",
        expected="a command that ends at the first error, with another status than 0",
        actual="it is not psql, and its text is not read",
        remedy=f"{instead if work.target else ''}let it run on a script that fails, and look at its exit status",
    )
    keys = ("scripts", entry.id, "stops_on_error")
    yield answered_for(plan, moment, unseen, entry.stops_on_error, keys, plan.owner_of(entry))
