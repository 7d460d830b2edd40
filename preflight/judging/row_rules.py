"""What a change of the schema demands of the rows that are there, which a rehearsal without rows does not try. Pure."""

import re
from collections.abc import Iterator, Mapping

_NAME = r'("(?:[^"]|"")*"|\S+)'
_COLUMN = re.compile(rf"(?:column|domain) {_NAME} (.*)")
_RULE = re.compile(rf"(?:constraint {_NAME} (?=CHECK|FOREIGN KEY|EXCLUDE)|CREATE UNIQUE INDEX {_NAME} ON )(.*)")
_SAME_ROWS = re.compile(r" (?:ON (?:DELETE|UPDATE)|DEFERRABLE|INITIALLY) .*")
"""What a foreign key says besides; it holds for the same rows."""
_UNTRIED = ("NOT VALID", "NOT ENFORCED")
_AFTER_TYPE = re.compile(r" (?:collate|not null|default|generated|storage|compression|statistics|with \(|options \().*")
_GIVES_VALUES = re.compile(r" (?:default|generated) ")
_GIVES_ONE_VALUE = re.compile(r" default (?!nextval\(|gen_random_uuid\()")
_WIDER = {
    ("smallint", "integer"),
    ("smallint", "bigint"),
    ("integer", "bigint"),
    ("timestamp without time zone", "timestamp with time zone"),
}
"""Every value of the first type fits into the second."""


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
    for line in new:
        if (column := _COLUMN.fullmatch(line)) and _demands(columns.get(column[1]), column[2], rewritten):
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
    """Whether a new column stands in it whose value no row violates: NULL, or, but for a CHECK, not the same in all."""
    named = [each for name, each in fresh.items() if re.search(rf'(?<![\w"]){re.escape(name)}(?![\w"])', rule)]
    return bool(named) and (rule.startswith("CHECK") or not all(map(_GIVES_ONE_VALUE.search, named)))
