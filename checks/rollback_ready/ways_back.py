"""Whether the approved scripts can be taken back: each has its way back, and that changes something. Pure.

It tells the ways back that certainly change nothing from all the others: what it does not know counts as a change. It
takes ON_ERROR_STOP for granted, and the script's own transactions for the only ones."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from preflight.finding import Judgement, failed, passed, unknown
from preflight.judging.psql_script import CURE_UNREAD, WHY_UNREAD, included_in_forward
from preflight.plan import Plan, Scripts
from preflight.plan.command_lines import Pair, pairs
from preflight.plan.said import answered_for
from preflight.questions.files import Texts, Tree
from preflight.questions.sql import Token, next_token
from preflight.wording import named


class Effect(StrEnum):
    """The most that a script does, in the words of the report."""

    NOTHING = "holds comments and settings only"
    READS = "only reads"
    STOPS = "raises an exception, or quits, before it changes anything"
    UNDONE = "rolls back everything that it changes"
    UNFINISHED = "changes things in a transaction that it does not commit"
    CALLS = "only calls functions in queries"
    """Which may change something, or not."""
    CHANGES = "changes something"


class _Act(IntEnum):
    """What one statement does; of the first four, a later one is more."""

    NOTHING = 0
    READS = 1
    CALLS = 2
    CHANGES = 3
    BEGINS = 4
    COMMITS = 5
    ROLLS_BACK = 6
    STOPS = 7
    BRANCHES = 8
    JOINS = 9


_HARMLESS_COMMANDS = (
    r"set|unset|echo|qecho|warn|timing|pset|encoding|elif|else|conninfo|prompt|x|t|a|h|help|c|connect|cd|setenv|getenv"
    r"|errverbose|d\w*\+?|l\+?|sf|sv|g|gx|gset|r|reset|p|print|o|w"
)
_ACTS = (
    (_Act.BRANCHES, r"\\if\b.*"),
    (_Act.JOINS, r"\\endif\b.*"),
    (_Act.STOPS, r"\\q(?:uit)?\b.*"),
    # After a pair of backslashes the line goes on with SQL.
    (_Act.CHANGES, r"\\.*\\\\.*"),
    (_Act.NOTHING, rf"\\(?:{_HARMLESS_COMMANDS})(?![\w+]).*"),
    (_Act.CHANGES, r"\\.*"),
    (_Act.BEGINS, r"(?:begin|start\s+transaction)\b.*"),
    (_Act.NOTHING, r"(?:commit|end|rollback|abort)\b.*\band\s+chain\b.*"),
    (_Act.CHANGES, r"(?:commit|rollback)\s+prepared\b.*|prepare\s+transaction\b.*"),
    (_Act.COMMITS, r"(?:commit|end)\b.*"),
    (_Act.NOTHING, r"rollback\b.*\bto\b.*"),
    (_Act.ROLLS_BACK, r"(?:rollback|abort)\b.*"),
    (_Act.NOTHING, r"(?:set|reset|show|savepoint|release|discard|lock)\b.*"),
)
_PATTERNS = tuple((act, re.compile(pattern, re.DOTALL | re.IGNORECASE)) for act, pattern in _ACTS)
_QUERY = re.compile(r"[\s(]*(?:select|values|table|with)\b")
_FOR_UPDATE = re.compile(r"\bfor\s+(?:no\s+key\s+)?update\b")
_WRITES = re.compile(r"\b(?:into|insert|update|delete|merge)\b")
_CALL = re.compile(r'(?<![\w$."])((?:[\w$.]|"")++)\s*+\(')
_CHANGING_CALLS = frozenset({"setval", "lo_unlink", "lo_put", "lo_create", "lo_from_bytea", "dblink_exec"})
_HARMLESS_CALLS = frozenset({
    # Keywords and types before a parenthesis.
    "all", "and", "any", "array", "as", "between", "by", "case", "coalesce", "cube", "distinct", "else", "except",
    "exists", "filter", "from", "group", "having", "in", "intersect", "is", "join", "lateral", "like", "materialized",
    "not", "nullif", "on", "or", "over", "overlaps", "position", "return", "rollup", "row", "select", "sets", "some",
    "substring", "then", "trim", "union", "using", "values", "when", "where", "with", "within", "char", "decimal",
    "interval", "numeric", "timestamp", "varchar",
    # Functions of the server that change nothing.
    "abs", "array_agg", "avg", "bool_and", "bool_or", "cast", "ceil", "concat", "concat_ws", "count",
    "current_database", "current_schema", "current_setting", "date_trunc", "extract", "floor", "format",
    "format_type", "generate_series", "greatest", "has_table_privilege", "json_agg", "jsonb_agg", "least", "left",
    "length", "lower", "ltrim", "max", "md5", "min", "mod", "now", "obj_description", "pg_backend_pid",
    "pg_get_constraintdef", "pg_get_functiondef", "pg_get_indexdef", "pg_get_viewdef", "pg_is_in_recovery",
    "pg_relation_size", "pg_size_pretty", "pg_sleep", "pg_table_size", "pg_total_relation_size", "quote_ident",
    "quote_literal", "regexp_replace", "replace", "right", "round", "row_number", "rtrim", "set_config", "split_part",
    "string_agg", "strpos", "substr", "sum", "to_char", "to_date", "to_regclass", "to_timestamp", "unnest", "upper",
    "version",
})  # fmt: skip
_DO = re.compile(r"do\b(?P<before>[^']*)''(?P<after>.*)", re.DOTALL)
_OTHER_LANGUAGE = re.compile(r"\blanguage\s+(?!plpgsql\b)")
_CODE_WRITES = re.compile(
    r"\b(?:insert|update|delete|merge|alter|drop|create|truncate|execute|perform|call|copy|grant|revoke|comment|refresh"
    r"|reindex|cluster|vacuum|analyze|security|import|reassign|notify|do)\b"
)
_RAISES_FIRST = re.compile(
    r"(?:declare\b(?:(?!\bbegin\b).)*)?begin\s+raise\s+(?!debug\b|log\b|info\b|notice\b|warning\b)", re.DOTALL
)
_CATCHES = re.compile(r"\bexception\s+when\b")
_COPIES_DATA = re.compile(r"copy\b.*\bfrom\s+stdin\b", re.DOTALL)
_SHOWN = {"comment": "", "block": " ", "identifier": '""'}
"""What stands in a statement's syntax for a token of this kind."""
_DATA_END = re.compile(r"^\\\.[^\n]*$", re.MULTILINE)
_SUMMARIES: Mapping[Effect, str] = {
    Effect.NOTHING: "does nothing",
    Effect.READS: "changes nothing",
    Effect.STOPS: "changes nothing",
    Effect.UNDONE: "changes nothing",
    Effect.UNFINISHED: "does not commit what it changes",
    Effect.CALLS: "may change nothing",
}


@dataclass(frozen=True, slots=True)
class WaysBack:
    """One entry of `[scripts]` and what lies in its approved folder."""

    scripts: Scripts
    folder: str
    """The approved folder as the report names it."""
    plan: Plan
    moment: datetime
    """The instant judged, UTC."""
    approved: Tree
    texts: Texts

    def judge(self) -> Iterator[Judgement]:
        if self.approved.problem or self.texts.problem:
            yield failed(
                "the approved scripts cannot be read",
                expected=f"scripts in {self.folder}, each with its way back",
                actual=self.approved.problem or self.texts.problem,
                remedy=f"check out {self.folder} beside the plan, or correct `approved` of [scripts.{self.scripts.id}]",
            )
            return
        scripts = self.scripts
        included = included_in_forward(scripts, self.approved.files, self.texts.texts)
        found = pairs(scripts.way_back, scripts.files, self.approved.files, included)
        if not found:
            yield unknown(
                "there is no script to take back",
                expected=f"scripts in {self.folder}",
                remedy=f"look into {self.folder}",
            )
            return
        points = [point for pair in found for point in self._judge_pair(pair)]
        names = named(pair.forward for pair in found)
        yield from points or [passed(f"{len(found)} scripts have their way back: {names}")]

    def _judge_pair(self, pair: Pair) -> Iterator[Judgement]:
        if not pair.present:
            yield self._failed(pair, f"{pair.forward} has no way back", "no such file")
            return
        texts = self.texts.texts
        unread = next((name for name in (pair.back, pair.forward) if name not in texts), "")
        if unread:
            yield unknown(
                f"{unread} could not be read",
                expected=self._expected(pair),
                actual=self.texts.unread.get(unread, WHY_UNREAD),
                remedy=CURE_UNREAD,
            )
            return
        if does_the_same(texts[pair.back], texts[pair.forward]):
            summary = f"the way back of {pair.forward} is the same script"
            yield self._failed(pair, summary, f"{pair.back} differs from it in comments at most")
            return
        effect = effect_of(texts[pair.back])
        committed = effect is Effect.UNFINISHED and self.scripts.single_transaction
        if effect is not Effect.CHANGES and not committed:
            yield self._does_too_little(pair, effect)

    def _does_too_little(self, pair: Pair, effect: Effect) -> Judgement:
        summary, actual = f"the way back of {pair.forward} {_SUMMARIES[effect]}", f"{pair.back} {effect}"
        by_command = effect is Effect.UNFINISHED and self.scripts.command  # which may commit
        if effect is not Effect.CALLS and not by_command:
            return self._failed(pair, summary, actual)
        scripts, place = self.scripts, posixpath.join(self.folder, pair.back)
        unseen = unknown(
            summary,
            expected=f"{self._expected(pair)}, as far as its text tells",
            actual=actual,
            remedy=f"write out in {place} what it changes, then: {self.plan.seal_command}",
        )
        keys, owner = ("scripts", scripts.id, "way_back_shown"), self.plan.owner_of(scripts)
        return answered_for(self.plan, self.moment, unseen, scripts.way_back_shown, keys, owner)

    def _failed(self, pair: Pair, summary: str, actual: str) -> Judgement:
        place = posixpath.join(self.folder, pair.back)
        remedy = f"write {place}, have it reviewed, then: {self.plan.seal_command}"
        return failed(summary, expected=self._expected(pair), actual=actual, remedy=remedy)

    def _expected(self, pair: Pair) -> str:
        return f"{posixpath.join(self.folder, pair.back)} takes {pair.forward} back"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of SQL without its semicolon, or one command of psql with its backslash."""

    syntax: str
    """In lower case, without comments and with nothing in its strings and quoted names."""
    strings: tuple[str, ...] = ()
    """What its strings hold, in their order; of DO, the code."""


def does_the_same(one: str, other: str) -> bool:
    """Equal but for comments and white space."""
    return without_comments(one).split() == without_comments(other).split()


def effect_of(text: str) -> Effect:
    """The most that the script does when it runs alone from its first line."""
    done = pending = _Act.NOTHING  # so far, and what the open transaction would add
    in_transaction = undone = False
    depth = 0
    for statement in statements(text):
        act = _act(statement)
        match act:
            case _Act.STOPS:
                if not depth:
                    return Effect.CALLS if done is _Act.CALLS else Effect.STOPS
            case _Act.BRANCHES | _Act.JOINS:
                depth += 1 if act is _Act.BRANCHES else -1
            case _Act.BEGINS:
                in_transaction = True
            case _Act.COMMITS:
                done, pending, in_transaction = max(done, pending), _Act.NOTHING, False
            case _Act.ROLLS_BACK:
                undone |= pending is _Act.CHANGES
                pending, in_transaction = _Act.NOTHING, False
            case _ if in_transaction:
                pending = max(pending, act)
            case _:
                done = max(done, act)
        if done is _Act.CHANGES:
            return Effect.CHANGES
    if pending is _Act.CHANGES:
        return Effect.UNFINISHED
    if undone:
        return Effect.UNDONE
    return {_Act.CALLS: Effect.CALLS, _Act.READS: Effect.READS}.get(max(done, pending), Effect.NOTHING)


def _act(statement: Statement) -> _Act:
    for act, pattern in _PATTERNS:
        if pattern.fullmatch(statement.syntax):
            return act
    if _QUERY.match(statement.syntax):
        writes = _WRITES.search(_FOR_UPDATE.sub("", statement.syntax))
        return _Act.CHANGES if writes else _calls(statement.syntax)
    do = _DO.fullmatch(statement.syntax)
    if do and not _OTHER_LANGUAGE.search(do["before"] + do["after"]) and len(statement.strings) == 1:
        block = " ; ".join(each.syntax for each in statements(statement.strings[0]))
        if _RAISES_FIRST.match(block) and not _CATCHES.search(block):
            return _Act.STOPS
        return _Act.CHANGES if _CODE_WRITES.search(block) else _calls(block)
    return _Act.CHANGES


def _calls(syntax: str) -> _Act:
    calls = {name.removeprefix("pg_catalog.") for name in _CALL.findall(syntax)} - _HARMLESS_CALLS
    if calls & _CHANGING_CALLS:
        return _Act.CHANGES
    return _Act.CALLS if calls else _Act.READS


def without_comments(text: str) -> str:
    """SQL without its comments; block comments may be nested."""
    text = text.removeprefix("\ufeff")
    at, kept = 0, []
    while token := _next(text, at):
        comment = {"comment": "", "block": " "}.get(token.kind)
        kept += [text[at : token.start], text[token.start : token.end] if comment is None else comment]
        at = token.end
    return "".join([*kept, text[at:]])


def statements(text: str) -> Iterator[Statement]:
    """In the script's order; the data after `COPY ... FROM STDIN` are left out.

    A command of psql ends with its line, whatever it holds; what stands before it is a statement of its own."""
    text = text.removeprefix("\ufeff")
    at, syntax, strings = 0, list[str](), list[str]()
    while True:
        token = _next(text, at) or Token("end", len(text), len(text))
        syntax.append(text[at : token.start].lower())
        at, written = token.end, text[token.start : token.end]
        if token.kind in ("end", "command"):
            statement = Statement("".join(syntax).strip(), tuple(strings))
            syntax, strings = [], []
            if statement.syntax:
                yield statement
            if token.kind == "command":
                yield Statement(written.strip())
            elif _COPIES_DATA.match(statement.syntax):
                end = _DATA_END.search(text, at)
                at = end.end() if end else len(text)
            elif token.start == len(text):
                return
        elif token.kind in ("string", "dollar"):
            syntax.append("''")
            strings.append(_content(token.kind, written))
        else:
            syntax.append(_SHOWN.get(token.kind, written.lower()))


def _next(text: str, at: int) -> Token | None:
    """The next token; a command, and an escaped semicolon, take the rest of their line with them."""
    token = next_token(text, at)
    if token is None or token.kind not in ("command", "escape"):
        return token
    end = text.find("\n", token.end)
    return Token("command", token.start, len(text) if end < 0 else end)


def _content(kind: str, written: str) -> str:
    if kind == "dollar":
        edge = written.index("$", 1) + 1
        return written[edge:-edge]
    return written[written.index("'") + 1 : -1].replace("''", "'")
