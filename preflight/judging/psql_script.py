"""What a psql script reads besides itself, what it does that no hash can seal, and where it turns ON_ERROR_STOP off.
Whatever else it does is shown by running it (`preflight rehearse`). Pure.

psql takes a backslash outside quotes, dollar quotes and comments for a meta-command wherever it stands, not only at
the beginning of a line (psqlscan.l, psqlscanslash.l and `parse_slash_copy` of PostgreSQL; behaviour tried on psql 15).
A pattern search would find includes in comments and string literals, and miss `select 1; \\i next.sql`."""

import posixpath
import re
from bisect import bisect_right
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from preflight.plan import Scripts
from preflight.plan.command_lines import pairs
from preflight.plan.values import SCRIPT_SUFFIXES
from preflight.questions.files import LARGEST_SCRIPT_BYTES
from preflight.questions.sql import VARIABLE, Token, next_token
from preflight.units import format_size

WHY_UNREAD = "its name does not end in .sql or .psql, and no \\i or \\ir names it plainly"
CURE_UNREAD = (
    f"make it a readable text file that ends in .sql, of at most {format_size(LARGEST_SCRIPT_BYTES)}: split a larger "
    "one, load data by \\copy; then seal again"
)
TAKES_BACK = re.compile(r"(?:^|[/._-])(?:undo|down|revert|rollback|back_?out|way_?back)(?:[/._-]|$)", re.IGNORECASE)
"""How scripts that take others back are named, where no pattern says which those are."""
_SHOWN_CHARACTERS = 60
_INCLUDES = frozenset({"i", "include", "ir", "include_relative"})
_WHOLE_LINE = frozenset({"!", "copy", "ef", "ev", "h", "help", "sf", "sv"})
"""Commands whose argument is the rest of the line as it stands: no quotes, variables or backquotes in it."""
_PIPES = frozenset({"o", "out", "w", "write", "g", "gx"})
"""Commands that write to a file, or to a shell command after `|`."""
_SENDS = frozenset({"g", "gx", "gexec", "gset", "crosstabview", "watch"})
"""Commands that end a statement, as a semicolon does."""
_ALWAYS_OPEN = {
    "!": "runs a shell command",
    "cd": "changes the folder from which \\i reads",
    "c": "connects to another database",
    "connect": "connects to another database",
    "e": "opens an editor",
    "edit": "opens an editor",
    "ef": "opens an editor",
    "ev": "opens an editor",
    "gexec": "executes what a query returns",
    "getenv": "takes a value from the environment",
    "prompt": "asks for a value",
    "setenv": "changes the environment of later commands",
}
_MOST_SCANS = 4096
_FALSE = frozenset({"off", "of", "0", "false", "fals", "fal", "fa", "f", "no", "n"})
_NAMES_AT = {"set": 0, "unset": 0, "getenv": 0, "prompt": -1}
"""Commands that set a variable, and where its name stands. \\gset refuses the variables that psql itself heeds."""
_STRINGS_SETTING = "standard_conforming_strings"
_TURNED_ON = re.compile(r"\s*(?:=|to\b)\s*'?(?:on|true|yes|1)'?\s*;", re.IGNORECASE)
_ADVISORY = re.compile(r"pg_advisory_(?:xact_)?lock", re.IGNORECASE)
_DATA_END = re.compile(r"^\\\.\r?$", re.MULTILINE)
_BLANKS = (" ", "\t", "\r", "\f", "\v")
_PIECE = re.compile(
    rf"""'(?P<quoted>(?:[^'\\\n]|''|\\[^\n])*)(?:'|(?=\n)|\Z)
    | (?P<kept>"[^"\n]*(?:"|(?=\n)|\Z))
    | (?P<command>`[^`\n]*(?:`|(?=\n)|\Z))
    | (?P<variable>{VARIABLE.pattern})
    | (?P<plain>[^ \t\n\r\f\v\\])""",
    re.VERBOSE,
)
"""Of an argument; psql keeps double quotes."""
_ESCAPE = re.compile(r"''|\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|(.))")
_CONTROLS = {"n": "\n", "t": "\t", "b": "\b", "r": "\r", "f": "\f"}
_COPY_TOKEN = re.compile(r"""'(?:[^']|'')*(?:'|\Z)|"(?:[^"]|"")*(?:"|\Z)|[()]|[^\s()'"]+""")
_COPY_FILE = re.compile(r"\s*(?:'((?:[^']|'')*)'|([^\s;]+))")


@dataclass(frozen=True, slots=True)
class Include:
    """A file of the client's machine that the script reads."""

    line: int
    command: str
    """As the script names it: `\\i`, `\\ir`, `\\copy`, `\\lo_import`."""
    path: str
    relative: bool = False
    """Relative to the script that names it; otherwise to the folder psql was started in."""
    executed: bool = True
    """What is read is run; otherwise it is loaded as data."""
    conditional: bool = False
    """It stands within `\\if`."""
    script: str = ""
    """The script that names it; by `find_inputs`, like"""
    found: str = ""
    """the path relative to the folder; absolute or beginning with `~` when it lies outside."""

    @property
    def outside(self) -> bool:
        return self.found.startswith(("/", "~"))

    def __str__(self) -> str:
        """`\\i sub/mid.sql`."""
        return f"{self.command} {self.path}"


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a script, and what psql does there."""

    line: int
    text: str
    """The command as written, cut."""
    reason: str
    certain: bool = False
    """It does so whatever the variables hold and whichever branch is taken."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What one script holds, in its order."""

    includes: tuple[Include, ...] = ()
    unsealable: tuple[Place, ...] = ()
    """What no hash of the script can fix."""
    deviations: tuple[Place, ...] = ()
    """From there on psql does not run every statement and stop at the first error, or may not."""
    hidden: tuple[Place, ...] = ()
    """Names and words that hold a character which nobody sees; psql takes it for a letter."""
    used: frozenset[str] = frozenset()
    """The variables that its SQL and its commands use."""
    awaits_snapshots: bool = False
    """A statement waits for every transaction of the database that keeps an older snapshot, whatever that reads: CREATE
    INDEX and REINDEX CONCURRENTLY, DETACH ... FINALIZE; others CONCURRENTLY wait for locks alone (tried on 15, 18)."""
    awaits_advisory_locks: bool = False
    """It calls a function that waits for one, itself or in a DO."""


@lru_cache(_MOST_SCANS)
def scan_script(text: str) -> Scan:
    """Reads a script as psql does; takes every branch of `\\if`, because each of them may be taken."""
    return _Reader(text.removeprefix("\ufeff")).scan()


def find_inputs(folder: str, texts: Mapping[str, str]) -> list[Include]:
    """What the scripts `texts` (by path relative to `folder`) read, in their order. psql takes `\\i` relative to the
    folder it was started in, which is `folder`; `\\ir` relative to the script."""
    found = []
    for name, text in texts.items():
        for include in scan_script(text).includes:
            base = posixpath.dirname(posixpath.join(folder, name)) if include.relative else folder
            # psql puts the home directory of whoever runs it for the tilde.
            path = include.path if include.path.startswith("~") else below(folder, posixpath.join(base, include.path))
            found.append(replace(include, script=name, found=path))
    return found


def included_scripts(folder: str, texts: Mapping[str, str], *, surely: bool = False) -> frozenset[str]:
    """What the scripts `texts` make psql run besides; paths as in `find_inputs`. `surely`: whatever `\\if` decides."""
    inputs = find_inputs(folder, texts)
    return frozenset(each.found for each in inputs if each.executed and not (surely and each.conditional))


def included_in_forward(entry: Scripts, names: Collection[str], texts: Mapping[str, str]) -> frozenset[str]:
    """Which of `names` run with another script that goes forward, whatever `\\if` decides, and so not by themselves;
    besides, what is named like a way back and included by one."""
    forward = {pair.forward for pair in pairs(entry.way_back, (), names, ())}
    backs = {name for name in names if name.lower().endswith(SCRIPT_SUFFIXES) and name not in forward}
    going = {name: text for name, text in texts.items() if name not in backs and not TAKES_BACK.search(name)}
    by_any = included_scripts(entry.staged, texts)
    return included_scripts(entry.staged, going, surely=True) | {name for name in by_any if TAKES_BACK.search(name)}


def below(folder: str, path: str) -> str:
    """`path` relative to `folder`, or as it is when it does not lie below."""
    normal, top = posixpath.normpath(path), posixpath.normpath(folder)
    return normal.removeprefix(f"{top}/")


@dataclass(frozen=True, slots=True)
class _Argument:
    """One argument, quotes and escapes resolved."""

    value: str
    variables: tuple[str, ...] = ()
    """The psql variables in it, as written: the script's text does not fix their values."""
    backquoted: bool = False
    """Holds the output of a shell command."""

    @property
    def open(self) -> bool:
        """The script's text does not tell the value."""
        return bool(self.variables) or self.backquoted


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._includes: list[Include] = []
        self._unsealable: list[Place] = []
        self._deviations: list[Place] = []
        self._hidden: list[Place] = []
        self._quit: Place | None = None
        """An unconditional `\\q`, while nothing has followed."""
        self._branches = 0
        """How many `\\if` are open."""
        self._statement: list[str] = []
        """Tokens of the current statement outside parentheses, kept only while it is a COPY."""
        self._is_copy: bool | None = None
        self._depth = 0
        self._used: set[str] = set()
        self._words: list[str] = []
        self._awaits_snapshots = False
        self._awaits_advisory_locks = False
        self._data_at: int | None = None
        """Where the data of a copy from the script begin: on the line after the one being read."""

    def scan(self) -> Scan:
        at = 0
        while token := next_token(self._text, at):
            if self._data_at is not None and token.start >= self._data_at:
                at, self._data_at = max(at, self._end_of_data(self._data_at)), None
            else:
                at = self._step(token)
        self._end_statement(at)
        if self._data_at is not None:
            self._end_of_data(self._data_at)
        deviations = sorted(dict.fromkeys(self._deviations), key=lambda each: each.line)
        found = tuple(self._includes), tuple(self._unsealable), tuple(deviations), tuple(self._hidden)
        return Scan(*found, frozenset(self._used), self._awaits_snapshots, self._awaits_advisory_locks)

    def _place(self, start: int, written: str, reason: str, *, certain: bool = False) -> Place:
        shown = " ".join(written.split())
        cut = shown if len(shown) <= _SHOWN_CHARACTERS else shown[: _SHOWN_CHARACTERS - 3] + "..."
        return Place(bisect_right(self._line_starts, start), cut, reason, certain)

    def _deviate(self, start: int, written: str, reason: str, *, certain: bool = False) -> None:
        self._deviations.append(self._place(start, written, reason, certain=certain))

    def _note_unsealable(self, start: int, written: str, reason: str) -> None:
        self._unsealable.append(self._place(start, written, reason))

    def _use(self, written: str) -> None:
        self._used.add(written.strip(":'\"{?}"))

    def _step(self, token: Token) -> int:
        """Where to go on after one token."""
        kind, start, end, _ = token
        written = self._text[start:end]
        if self._quit and kind not in ("comment", "block"):
            self._deviations.append(self._quit)
        self._awaits_advisory_locks |= kind in ("word", "dollar") and bool(_ADVISORY.search(written))
        if kind in ("word", "identifier") and not written.isprintable():
            self._hidden.append(self._place(start, written, "holds a character that nobody sees"))
        # With it off a backslash escapes in every string: this reader does not follow.
        is_statement = kind in ("word", "string", "identifier", "dollar", "variable")
        if is_statement and _STRINGS_SETTING in written.lower() and not _TURNED_ON.match(self._text, end):
            self._deviate(start, _STRINGS_SETTING, "may change where strings end: what follows cannot be read")
        match kind:
            case "word":
                self._note(written.upper())
            case "string":
                self._note("'")
            case "open":
                self._depth += 1
            case "close":
                self._depth = max(0, self._depth - 1)
            case "variable":  # psql reads its value as script, meta-commands in it too
                if self._is_copy is None and self._depth == 0 and written[1] not in "{'\"":
                    self._deviate(start, written, "stands where a statement begins: its value may be a meta-command")
                self._note(":")
                self._use(written)
            case "end" if self._depth == 0:
                self._end_statement(end)
            case "command":
                return self._command(self._text[start + 1 : end], start, end)
        return end

    def _note(self, token: str) -> None:
        self._words.append(token)
        if self._is_copy is None:
            self._is_copy = token == "COPY"
        if self._is_copy and self._depth == 0:
            self._statement.append(token)

    def _end_statement(self, end: int) -> None:
        """Judges a finished COPY; the data of a `COPY ... FROM STDIN` follows on the next lines of the script."""
        tokens = self._statement if self._is_copy else []
        built = self._words[:1] in (["CREATE"], ["REINDEX"]) and "CONCURRENTLY" in self._words
        self._awaits_snapshots |= built or {"DETACH", "FINALIZE"} <= {*self._words}
        self._statement, self._words, self._is_copy, self._depth = [], [], None, 0
        way = next((place for place, token in enumerate(tokens) if token in ("FROM", "TO")), len(tokens))
        match tokens[way : way + 2]:
            case [_, "PROGRAM"]:
                self._note_unsealable(end - 1, "COPY ... PROGRAM", "runs a command on the database server")
            case [_, "STDIN"]:
                self._expect_data(end)
            case ["FROM", *source]:
                what = "a file of the database server" if source == ["'"] else "what a variable names"
                self._note_unsealable(end - 1, "COPY ... FROM", f"reads {what}")

    def _expect_data(self, at: int) -> None:
        """The rest of this line is still script; the data begin on the next."""
        self._data_at = _rest_of_line(self._text, at)[1] + 1

    def _end_of_data(self, at: int) -> int:
        found = _DATA_END.search(self._text, at)
        return found.end() if found else len(self._text)

    def _command(self, name: str, start: int, end: int) -> int:
        """One meta-command with its arguments; where to go on."""
        if name == "":
            return end + 1 if self._text.startswith("\\", end) else end
        if name in _WHOLE_LINE:
            arguments, end = _rest_of_line(self._text, end)
            if name == "copy":
                self._copy(arguments, start, end)
        else:
            given, end = _read_arguments(self._text, end, pipes=name in _PIPES)
            self._arguments(name, given, start, self._text[start:end])
        written = self._text[start:end]
        if name in _ALWAYS_OPEN:
            self._note_unsealable(start, written, _ALWAYS_OPEN[name])
        if name in ("r", "reset"):
            self._is_copy = False
        if name in _SENDS or name in ("r", "reset"):
            self._end_statement(end)
        if name in ("q", "quit"):
            reason = "ends the script with status 0: what stands after it is not run"
            if self._branches:
                self._deviate(start, written, f"in \\if {reason}")
            else:
                self._quit = self._quit or self._place(start, written, reason, certain=True)
        return end

    def _arguments(self, name: str, given: list[_Argument], start: int, written: str) -> None:
        for variable in (each for argument in given for each in argument.variables):
            self._use(variable)
        self._branches = max(0, self._branches + {"if": 1, "endif": -1}.get(name, 0))
        if any(argument.backquoted for argument in given):
            self._note_unsealable(start, written, "runs a shell command between backquotes")
        if name in _PIPES and any(argument.value.startswith("|") for argument in given):
            self._note_unsealable(start, written, "pipes into a shell command")
        if name in _NAMES_AT and given:
            self._set(name, given, start, written)
        executed = name in _INCLUDES
        if not given or not (executed or name == "lo_import"):
            return
        path = given[0]
        if executed and (path.open or path.value == "-"):
            self._deviate(start, written, "runs what is not sealed: it may turn ON_ERROR_STOP off")
        if path.variables:
            self._note_unsealable(start, written, "reads a file whose name is in a variable")
        elif path.value == "-" and executed:
            self._note_unsealable(start, written, "reads the standard input")
        elif not path.backquoted:
            self._include(start, name, path.value, executed=executed)

    def _include(self, start: int, name: str, path: str, *, executed: bool) -> None:
        line, relative = bisect_right(self._line_starts, start), name in ("ir", "include_relative")
        self._includes.append(Include(line, f"\\{name}", path, relative, executed, self._branches > 0))

    def _set(self, command: str, given: list[_Argument], start: int, written: str) -> None:
        """A command that sets a variable: what that means for errors."""
        name, values = given[_NAMES_AT[command]], given[1:]
        if name.open:
            self._deviate(start, written, "sets a variable whose name is not written plainly")
        elif name.value == "ON_ERROR_STOP":
            self._set_error_stop(command, values, start, written)
        elif command == "set" and any("\\" in value.value for value in values):
            self._deviate(start, written, "puts a meta-command into a variable, which psql runs where it reads it")

    def _set_error_stop(self, command: str, values: list[_Argument], start: int, written: str) -> None:
        word = "off" if command == "unset" else "".join(each.value for each in values).lower()
        plain = command in ("set", "unset") and not any(each.open for each in values)
        if plain and word not in _FALSE:
            return  # on; or neither, which psql refuses and leaves the variable as it was
        certain = plain and not self._branches
        makes = "makes" if certain else "may make"
        self._deviate(start, written, f"{makes} psql go on after an error", certain=certain)

    def _copy(self, arguments: str, start: int, end: int) -> None:
        way, word, file = _copy_target(arguments)
        if word == "program":
            self._note_unsealable(start, self._text[start:end], "runs a shell command")
        elif way != "FROM":
            return
        elif word == "pstdin":
            self._note_unsealable(start, self._text[start:end], "reads the standard input")
        elif word == "stdin":
            self._expect_data(end)
        else:
            self._include(start, "copy", file, executed=False)


def _rest_of_line(text: str, at: int) -> tuple[str, int]:
    """(text up to the line's end, where that is)."""
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    return text[at:end].strip(), end


def _read_arguments(text: str, at: int, *, pipes: bool = False) -> tuple[list[_Argument], int]:
    """(arguments of a meta-command whose name ends at `at`, where reading goes on). They end with the line, at the next
    meta-command, or at `\\\\`. `pipes`: an argument that begins with `|` takes the rest of the line, as for `\\o` and
    `\\g`. Trailing semicolons are dropped, as `\\i` does."""
    arguments: list[_Argument] = []
    while True:
        while text.startswith(_BLANKS, at):
            at += 1
        if at >= len(text) or text[at] == "\n":
            return arguments, at
        if text[at] == "\\":
            return arguments, at + 2 if text.startswith("\\\\", at) else at
        if pipes and text[at] == "|":
            command, at = _rest_of_line(text, at)
            return [*arguments, _Argument(command)], at
        argument, at = _read_argument(text, at)
        arguments.append(argument)


def _copy_target(arguments: str) -> tuple[str, str, str]:
    """(`FROM` or `TO`, the bare word behind it in lower case, the file's name) of `\\copy`; empty if not understood."""
    depth = 0
    for number, token in enumerate(_COPY_TOKEN.finditer(arguments)):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        way = token[0].upper()
        if depth == 0 and number > 0 and way in ("FROM", "TO"):
            found = _COPY_FILE.match(arguments, token.end())
            if found is None:
                break
            return way, (found[2] or "").lower(), found[2] or found[1].replace("''", "'")
    return "", "", ""


def _read_argument(text: str, at: int) -> tuple[_Argument, int]:
    value, pieces = "", list[re.Match[str]]()
    unquoted = 0  # characters since the last quoted part; only these lose their semicolons
    while piece := _PIECE.match(text, at):
        value += piece[0] if piece["quoted"] is None else _ESCAPE.sub(_unescaped, piece["quoted"])
        unquoted = unquoted + 1 if piece["plain"] else 0
        at = piece.end()
        pieces.append(piece)
    variables = tuple(piece["variable"] for piece in pieces if piece["variable"])
    backquoted = any(piece["command"] for piece in pieces)
    return _Argument(value[: max(len(value.rstrip(";")), len(value) - unquoted)], variables, backquoted), at


def _unescaped(escape: re.Match[str]) -> str:
    octal, hexadecimal, other = escape.groups()
    if octal or hexadecimal:
        return chr(int(octal or hexadecimal, 8 if octal else 16) & 0xFF)
    return _CONTROLS.get(other, other) if other else "'"
