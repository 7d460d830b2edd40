"""The schema of a database as text that a person reads and a diff compares, from PostgreSQL's catalogues alone.

It tells what DDL sets: definitions, owners, grants, and the state of triggers, constraints and indexes. Comments, the
positions of sequences, gathered statistics and the members of extensions are left out, and so is what a role without
privileges may not see: the connections of subscriptions, the options of user mappings. PostgreSQL itself writes the
definitions, which locks views, and what they read, with ACCESS SHARE; 5,000 tables are 5 MB and take 3 s."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from typing import ClassVar, Self

from preflight.plan import Plan
from preflight.probe import Reply, Unreadable
from preflight.questions.fields import Value, read_row
from preflight.questions.files import LocalProbe, text_in
from preflight.questions.local import TARGET, LocalAct
from preflight.questions.schema_sql import SCHEMA_SQL
from preflight.questions.sql import SqlProbe, as_regular_expression
from preflight.wording import MASK, beside

_NAME = re.compile(r'(?:[a-z-]+ )*?([^ ]*[.("].*|[^ ]+)')
"""What follows the words of an object's kind."""
_NOT_RESTORED = ("database", "extension ", "subscription ")
"""How the names begin of what a dump does not restore as it was."""


@dataclass(frozen=True, slots=True)
class Schema:
    """Every object of a database that somebody made."""

    major: int
    """PostgreSQL's; another one may write the same definition in other words."""
    objects: Mapping[str, str]
    """Its indented lines by kind and name: `table billing.invoice`. A table's hold its indexes, constraints, triggers
    and grants, the sequences that its columns own, and its statistics objects."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises Unreadable, also for a text whose end is missing."""
        first, _, rest = text.partition("\n")
        body, end, count = rest.rpartition("end of ")
        major = first.removeprefix("PostgreSQL ")
        blocks = [block.partition("\n") for block in re.split(r"\n(?! )", body)[:-1]]
        objects = {name: lines for name, _, lines in blocks}
        if not end or not major.isdecimal() or count != f"{len(objects)} objects\n" or len(blocks) != len(objects):
            raise Unreadable("no schema, or one that is cut off")
        return cls(int(major), objects)

    @property
    def text(self) -> str:
        """As the server wrote it."""
        blocks = (f"{name}\n{lines}\n" for name, lines in self.objects.items())
        return f"PostgreSQL {self.major}\n{''.join(blocks)}end of {len(self.objects)} objects\n"


def hashed(schema: Schema) -> Mapping[str, str]:
    """The first 16 hex digits of the SHA-256 of each object's lines."""
    return {name: hashlib.sha256(lines.encode()).hexdigest()[:16] for name, lines in schema.objects.items()}


def unlike(schema: Schema, hashes: Mapping[str, str], allowed: Sequence[str]) -> list[str]:
    """The objects of a sealed schema that are others in one of which `hashed` was kept. Left out are what `allowed`
    matches, what a dump does not restore as it was, and what holds a secret, which is masked where a schema is kept."""
    now = hashed(schema)
    names = {name for name in now.keys() | hashes.keys() if now.get(name) != hashes.get(name)}
    restored = (name for name in names - set(matching(names, allowed)) if not name.startswith(_NOT_RESTORED))
    return sorted(name for name in restored if MASK not in schema.objects.get(name, ""))


def matching(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """The names of objects whose schema and name fit a pattern of the plan; a function's with its arguments, too."""
    wanted = re.compile("|".join(map(as_regular_expression, patterns)) or r"(?!)")
    return [name for name in names if any(wanted.search(each) for each in _spellings(name))]


def _spellings(name: str) -> Iterator[str]:
    """Without the words of its kind and without quotes."""
    found = _NAME.fullmatch(name)
    bare = (found[1] if found else name).replace('""', "\0").replace('"', "").replace("\0", '"')
    yield from (bare, bare.partition("(")[0])


def without(changes: Mapping[str, str], patterns: Iterable[str]) -> Mapping[str, str]:
    """`changes` by object, those left out that fit a pattern."""
    left_out = set(matching(changes, patterns))
    return {name: lines for name, lines in changes.items() if name not in left_out}


def difference(before: Schema, after: Schema) -> Mapping[str, str]:
    """For each object that is not the same, in order: below its name, lines that are gone (`-`) and new ones (`+`)."""
    names = before.objects.keys() | after.objects.keys()
    changed = sorted(name for name in names if not _is_same(before.objects.get(name), after.objects.get(name)))
    return {name: "\n".join(_lines(name, before, after)) for name in changed}


def _is_same(before: str | None, after: str | None) -> bool:
    """A secret that stands in a definition is masked where the text was kept, and not where it was just read."""
    if before == after or before is None or after is None or MASK not in before:
        return before == after
    return re.fullmatch(".*".join(map(re.escape, before.split(MASK))), after, re.DOTALL) is not None


def _lines(name: str, before: Schema, after: Schema) -> Iterator[str]:
    old, new = ([name, *each.objects[name].split("\n")] if name in each.objects else [] for each in (before, after))
    if old and new:
        yield f" {name}"
    yield from (line for line in list(unified_diff(old, new, n=0, lineterm=""))[2:] if not line.startswith("@@"))


class SchemaProbe(SqlProbe[Schema]):
    """The schema of the database, as any role may read it."""

    text = SCHEMA_SQL
    timeout_seconds: ClassVar[float] = 30.0
    own_channel: ClassVar[bool] = True
    asked_last: ClassVar[bool] = True

    def read(self, reply: Reply) -> Schema:
        return Schema.parse(read_row(Value, reply).value)


@dataclass(frozen=True, slots=True)
class SealedSchema:
    schema: Schema | None
    problem: str = ""
    """Why there is none: no such file, or one that cannot be relied on."""

    @property
    def is_missing(self) -> bool:
        """Whether it was never sealed."""
        return self.problem.endswith("no such file")


@dataclass(frozen=True)
class SealedSchemaProbe(LocalProbe[SealedSchema]):
    """Reads the schema that `preflight seal` recorded."""

    act = LocalAct.TEXT

    @classmethod
    def of(cls, plan: Plan, database: str) -> Self:
        return cls(TARGET, beside(plan.folder, plan.sealed_schema(database)))

    def read(self, reply: Reply) -> SealedSchema:
        told = text_in(reply)
        try:
            return SealedSchema(None if told.problem else Schema.parse(told.text), told.problem)
        except Unreadable as error:
            return SealedSchema(None, str(error))
