"""script-rows: the rows that are there allow what the scripts change."""

import re
from collections.abc import Iterator, Mapping, Sequence

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, passed, unknown
from preflight.judging.cures import ON_ROWS
from preflight.plan.work import ServerWork, rehearsed_work
from preflight.questions.rehearsed import LOCKS, RehearsalProbe, Rehearsed
from preflight.questions.sizes import LiveTable, TableSizesProbe
from preflight.wording import MOST_NAMED, listed

_KIND = re.compile("(?:foreign )?table |materialized view ")
_NAME = r'("(?:[^"]|"")*"|\S+)'
_COLUMN = re.compile(rf"(?:column|domain) {_NAME} (.*)")
_RULE = re.compile(rf"(?:constraint {_NAME} (?=CHECK|FOREIGN KEY|EXCLUDE)|CREATE UNIQUE INDEX {_NAME} ON )(.*)")
_SAME_ROWS = re.compile(r" (?:ON (?:DELETE|UPDATE)|DEFERRABLE|INITIALLY) .*")
"""What a foreign key says besides; it holds for the same rows."""
_UNTRIED = ("NOT VALID", "NOT ENFORCED")
_AFTER_TYPE = re.compile(r" (?:collate|not null|default|generated|storage|compression|statistics|with \(|options \().*")
_COMPUTED = re.compile(r"(?:CREATE .*INDEX | generated always stored as ).*(?:::(?!text|character)|[/%](?! [1-9]))")
"""A value of each row, by a cast or a division that may fail."""
_CALLED = re.compile(rf"(?:column|CREATE (?:UNIQUE )?INDEX) {_NAME}")
_LITERAL = re.compile(r"'(?:[^']|'')*'(?:::[\w ]+)?|(?<=\()(\d[\d.]*)\)::[\w ]+")
_OF_NULL = re.compile(r"IS NOT|COALESCE|CASE|num_n", re.IGNORECASE)
"""What may be false for a NULL."""
_LIMITS = re.compile(r"(.*)as \w+ start .* minimum (-?\d+) maximum (-?\d+) .*")
"""Of a sequence."""
_GIVES_VALUES = re.compile(r" (?:default|generated) ")
_GIVES_ONE_VALUE = re.compile(r" default (?!nextval\(|gen_random_uuid\()")
_WIDER = {
    ("smallint", "integer"),
    ("smallint", "bigint"),
    ("integer", "bigint"),
    ("timestamp without time zone", "timestamp with time zone"),
}
"""Every value of the first type fits into the second."""


class ScriptRows(Check):
    """Do the rows that are there allow what the scripts change?

    A table is made NOT NULL, unique or the end of a foreign key in a moment where it is empty, and not at all where one
    row violates it: at 01:00 the script ends there. A rehearsal on a restore tries it on the rows of its backup, and
    nothing here looks at what was written since. One on the schema alone does not, so what it changed is looked
    through: columns that become NOT NULL, or are new, NOT NULL and without a value of their own; constraints and unique
    indexes that are new, and not those of a new column that is NULL or different in each row; columns whose type
    changed so that each row was written anew, unless every value fits into the new type; what is computed of each row
    by a cast or a division; partitions; narrower limits of a sequence. UNKNOWN where a table of these has rows now, and
    for what is no table. What a script does with rows by statements of its own (INSERT, UPDATE, a function) leaves no
    trace in the schema, nor does how long a value is that an index takes: only a restore tries that.
    """

    id = "script-rows"
    title = "the rows that are there allow what the scripts change"
    sections = ("scripts",)
    needs = "CONNECT: it asks whether the tables have rows, and reads none"
    cure = "rehearse the scripts on a restore, or have a query look for rows that violate what they change"

    def subjects(self) -> Sequence[Subject]:
        return [Subject(work.id, work, work.owner) for work in rehearsed_work(self.plan)]

    def probes(self, subject: Subject) -> Probes:
        return {"rehearsed": RehearsalProbe.of(self.plan)}

    def follow_up(self, subject: Subject, *, rehearsed: Rehearsed) -> Probes:
        """In the database session: whether the tables have rows of which the scripts newly ask something."""
        work: ServerWork = subject.item
        rules = _new_rules(work, rehearsed)
        return {"tables": TableSizesProbe(work.database.id, tuple(sorted(rules)))} if rules else {}

    def judge(
        self, subject: Subject, *, rehearsed: Rehearsed, tables: Mapping[str, LiveTable] | None = None
    ) -> Judgement:
        work: ServerWork = subject.item
        if rehearsed.record is None or rehearsed.entry(work.id) is None:
            return unknown(
                "what the scripts ask of rows is not known (see rehearsal)",
                expected="a rehearsal that shows what they change",
                actual="no record of theirs",
                remedy=f"cure what rehearsal says of {work.id}",
            )
        if rehearsed.record.databases[work.database.id].has_rows:
            return passed("they were rehearsed on the rows of a backup")
        rules, seen = _new_rules(work, rehearsed), tables or {}
        filled = {name for name in rules if name not in seen or seen[name].of_rows}
        if told := [f"{name}: {rule}" for name in sorted(filled) for rule in rules[name]]:
            return unknown(
                f"whether rows that are there allow it was not tried: {listed(told, MOST_NAMED)}",
                expected="a rehearsal on rows",
                actual="one on the schema alone, where no row could violate it",
                remedy=f"{ON_ROWS}; or have a query look for rows that violate it, and have this waived",
            )
        return passed("no table has rows of which they ask something new" if rules else "they ask nothing new of rows")


def _new_rules(work: ServerWork, rehearsed: Rehearsed) -> Mapping[str, Sequence[str]]:
    """What the entry's scripts newly ask of rows, by table; of a domain, by its name with its kind."""
    tried = rehearsed.entry(work.id)
    of = rehearsed.record.databases[work.database.id] if rehearsed.record and tried else None
    if tried is None or of is None or of.has_rows:
        return {}
    own = {line for run in tried.forward for line in run.changes.splitlines()}
    rewritten = {each.name for run in tried.forward for each in run.touched if each.rewritten}
    found = {}
    if any(line.startswith("+  partition of ") for line in own):
        # Of those that are there, its default partition alone is locked so and not altered: it may hold its rows.
        beside = (each for run in tried.forward for each in run.touched if each.lock == LOCKS[-1])
        found = {each.name: ["no row of the new partition"] for each in beside if not (each.defined or each.created)}
    # A domain that is new may have got its rules after it was given to a column.
    domains = [each.partition(" ")[2] for each, lines in of.changes.items() if "\n+  domain over " in lines]
    for each, lines in of.changes.items():
        name = _KIND.sub("", each)
        rules = row_rules(lines, rewritten=name in rewritten or any(f" {domain}" in lines for domain in domains))
        found[name] = found.get(name, []) + [rule.removeprefix("CREATE ") for rule in rules if f"+  {rule}" in own]
    return {name: rules for name, rules in found.items() if rules}


def row_rules(lines: str, *, rewritten: bool) -> Iterator[str]:
    """The new lines of an object of the schema that one of its rows may violate, as PostgreSQL words them.

    `lines`: of `difference`; an object that is itself new has none. `rewritten`: whether the table was, as it is for
    most changes of a type. A column that is new counts where it is NOT NULL without a value of its own: whether the
    script fills it is not seen. What refers to a new column holds for the NULLs in it."""
    if not lines.startswith(" "):
        return
    gone, new = ([line[3:] for line in lines.splitlines() if line.startswith(sign)] for sign in ("-  ", "+  "))
    columns = {found[1]: found[2] for found in map(_COLUMN.fullmatch, gone) if found}
    fresh = {found[1]: found[2] for found in map(_COLUMN.fullmatch, new) if found and found[1] not in columns}
    before = {_SAME_ROWS.sub("", found[3]) for found in map(_RULE.fullmatch, gone) if found}
    called = {_CALLED.sub("", line) for line in gone}
    limits = {found[1]: found for found in map(_LIMITS.fullmatch, gone) if found}
    for line in new:
        is_computed = _CALLED.sub("", line) not in called and _COMPUTED.search(_LITERAL.sub(r"\1", line))
        column = _COLUMN.fullmatch(line)
        asks = column and _demands(columns.get(column[1]), column[2], rewritten)
        given, old = (found := _LIMITS.fullmatch(line)), limits.get(found[1]) if found else None
        is_narrower = given and old and (int(given[2]) > int(old[2]) or int(given[3]) < int(old[3]))
        if asks or is_computed or is_narrower or line.startswith("partition of "):
            yield line
            continue
        rule = None if line.endswith(_UNTRIED) else _RULE.fullmatch(line)
        if rule and _SAME_ROWS.sub("", rule[3]) not in before and not _is_of_new(rule[3], fresh):
            yield line


def _demands(old: str | None, new: str, rewritten: bool) -> bool:
    """Whether a column's definition asks something of the rows that it did not before; `old` is None for a new one."""
    if old is None:
        return " not null" in new and not _GIVES_VALUES.search(new)
    if " not null" in new and " not null" not in old:
        return True
    types = (_AFTER_TYPE.sub("", old), _AFTER_TYPE.sub("", new))
    return rewritten and types[0] != types[1] != "text" and types not in _WIDER


def _is_of_new(rule: str, fresh: Mapping[str, str]) -> bool:
    """Whether it holds for a new column: NULL (in each part of a CHECK), or not the same in all rows."""

    def named(text: str) -> list[str]:
        return [each for name, each in fresh.items() if re.search(rf'(?<![\w"]){re.escape(name)}(?![\w"])', text)]

    if rule.startswith("CHECK"):
        parts = map(named, rule.split(" AND "))
        return not _OF_NULL.search(rule) and all(part and not any(map(_GIVES_VALUES.search, part)) for part in parts)
    return bool(named(rule)) and not all(map(_GIVES_ONE_VALUE.search, named(rule)))
