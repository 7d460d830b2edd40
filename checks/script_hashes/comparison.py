"""Three states of a folder of scripts held against each other: approved, sealed, staged; the commands that put a file
right, and how staged files differ from the approved ones, in words and as bounded diffs that are safe to show. Pure."""

import posixpath
import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property

from preflight.judging.cures import command_on, copy_command
from preflight.plan import Host, Plan, Scripts
from preflight.plan.values import SCRIPT_SUFFIXES, LineEndings
from preflight.questions.files import EntryKind, Texts, Tree
from preflight.questions.staged import TEXT_CAP_BYTES, Forms, StagedBeginning, StagedEntry, StagedTree
from preflight.wording import beside, visible

RUNNABLE_SUFFIXES = (*SCRIPT_SUFFIXES, ".sh", ".py")
"""Files that somebody might run."""
_MOST_DIFF_LINES = 20
MOST_COLUMNS = 120
_MOST_COMPARED_LINES = 400
"""Per side, after equal beginnings and ends are set aside: comparing takes quadratic time at worst."""
_CONTEXT_LINES = 2
_OWNERS, _GROUPS = 6, 3
"""Where their permission bits begin."""
_READ, _SEARCH = 4, 1
_OTHERS_WRITE = 0o022
_BOM = "\ufeff"
_FOREIGN_BYTE = re.compile(r"\\x[89a-f][0-9a-f]|\N{REPLACEMENT CHARACTER}")

_Opcode = tuple[str, int, int, int, int]


def is_script(name: str) -> bool:
    return name.lower().endswith(RUNNABLE_SUFFIXES)


@dataclass(frozen=True)
class Comparison:
    """The scripts of one entry in their three places, by path in the folder; the manifest itself counts nowhere."""

    plan: Plan
    scripts: Scripts
    sealed: Mapping[str, str]
    """SHA-256 by path; empty while there is no usable manifest."""
    problem: str
    """Why there is none."""
    manifest_sha256: str
    approved_tree: Tree
    texts: Texts
    """Of the approved scripts."""
    staged_tree: StagedTree

    @cached_property
    def approved(self) -> Mapping[str, str]:
        """SHA-256 of the approved files by path."""
        files, folder = self.approved_tree.files, self.scripts.approved
        return {name: entry.sha256 for name, entry in files.items() if folder / name != self.scripts.manifest}

    @cached_property
    def staged(self) -> Mapping[str, StagedEntry]:
        """The staged regular files by path. A copy of the manifest may be staged, too; another manifest is extra."""
        files = [entry for entry in self.staged_tree.entries if entry.kind is EntryKind.FILE]
        own = self.manifest_sha256 or None  # without one, a file that was not hashed is no copy of it
        return {entry.path: entry for entry in files if entry.sha256 != own or entry.path in self.sealed}

    @property
    def wanted(self) -> Mapping[str, str]:
        """What must be staged: the sealed files, or the approved ones while nothing usable is sealed."""
        return self.sealed or self.approved

    @cached_property
    def changed(self) -> Sequence[str]:
        """Files staged with other bytes than wanted."""
        staged = {name: entry.sha256 for name, entry in self.staged.items() if entry.sha256}
        return [name for name, sha256 in self.wanted.items() if staged.get(name, sha256) != sha256]

    @property
    def unread(self) -> Sequence[str]:
        """Wanted files that lie there and could not be hashed."""
        return [name for name in self.wanted if name in self.staged and not self.staged[name].sha256]

    @property
    def missing(self) -> Sequence[str]:
        """Wanted files of which nothing is staged, not even a link; a folder of that name is nothing."""
        there = {entry.path for entry in self.staged_tree.entries if entry.kind is not EntryKind.FOLDER}
        return [name for name in self.wanted if name not in there]

    @property
    def extra(self) -> Sequence[StagedEntry]:
        """Staged files nobody sealed."""
        return [entry for name, entry in self.staged.items() if name not in self.wanted]

    @property
    def staged_as_approved(self) -> Sequence[str]:
        """Changed files that equal the approved ones: somebody changed both after sealing."""
        return [name for name in self.changed if self.approved.get(name) == self.staged[name].sha256]

    def is_accepted(self, name: str, forms: Forms | None) -> bool:
        """Whether a changed file is the approved and sealed one but for line endings that the plan accepts."""
        approved = self.approved_tree.files.get(name)
        if self.scripts.line_endings is not LineEndings.LF_OR_CRLF or forms is None or approved is None:
            return False
        return approved.sha256 == self.wanted[name] and forms.with_lf == approved.sha256_with_lf

    @property
    def worth_reading(self) -> Sequence[str]:
        """Changed files whose text can be held against an approved one that differs."""
        as_approved = self.staged_as_approved
        return [name for name in self.changed if name in self.texts.texts and name not in as_approved]

    @property
    def host(self) -> Host:
        return self.plan.host_of(self.scripts)

    @property
    def approved_folder(self) -> str:
        return beside(self.plan.folder, self.scripts.approved)

    @property
    def account(self) -> str:
        """Who runs the scripts; empty where ssh_config decides that."""
        return self.scripts.account or self.host.user or self.staged_tree.account

    @property
    def login(self) -> str:
        return self.host.user or self.staged_tree.login

    @property
    def looked_as_login(self) -> bool:
        """Whether the login looked instead of the account that runs the scripts."""
        return self.staged_tree.account != self.account

    @property
    def is_refused(self) -> bool:
        """Whether the account that runs the scripts was denied something; the login being denied proves nothing."""
        tree = self.staged_tree
        return "ermission denied" in tree.complaint + tree.problem and not self.looked_as_login

    def remote(self, name: str) -> str:
        """A path below the staged folder (or an absolute one) as a shell word."""
        return shlex.quote(self._staged(name))

    def stage(self, names: Sequence[str] = ()) -> str:
        """How one file, or everything, is staged again: a command of the login's, where it may."""
        name = names[0] if len(names) == 1 else ""
        approved = posixpath.join(self.approved_folder, visible(name) or ".")
        if self._writer is None:
            return f"have root put {approved} there on {self.host.id}, as {self._staged(name)}"
        writer = self._writer or self.login
        foreign = [each for each in names if each in self.staged and self.staged[each].owner != writer]
        before = f"{self.removal(foreign)} && " if foreign else ""
        return before + copy_command(self.plan, self.host, self._writer, approved, self._staged(name))

    def removal(self, names: Iterable[str]) -> str:
        """The command that takes files away on the server."""
        line = f"rm -f -- {' '.join(map(self.remote, names))}"
        if self._writer is None:
            return f"have root run on {self.host.id}: {line}"
        return command_on(self.plan, self.host, self._writer, line)

    def command(self, command: str, paths: Iterable[str], owners: Collection[str]) -> str:
        """The command that does `command` to `paths` on the server, which `owners` may: given by the login, or as the
        account that it becomes; else what root is to run there."""
        line = " ".join([command, "--", *map(self.remote, paths)])
        if {*owners} <= {self.login}:
            return command_on(self.plan, self.host, "", line)
        if {*owners} <= {self.account} and not self.looked_as_login:
            return command_on(self.plan, self.host, self.scripts.account, line)
        return f"have root run on {self.host.id}: {line}"

    def may_read(self, entry: StagedEntry) -> bool:
        """Whether the account that runs the scripts may read the file, or search the folder, by its permission bits."""
        owns, groups = entry.owner == self.account, self.staged_tree.groups.split()
        shift = _OWNERS if owns else _GROUPS if entry.group in groups else 0
        return bool(entry.mode >> shift & (_SEARCH if entry.kind is EntryKind.FOLDER else _READ))

    @cached_property
    def _writer(self) -> str | None:
        """The account that may write into the staged folder, empty for the login; None where neither may."""
        top = next((entry for entry in self.staged_tree.entries if entry.path == "."), None)
        if top is None:
            return "" if self.looked_as_login else self.scripts.account
        if top.owner == self.account and not self.looked_as_login:
            return self.scripts.account
        return "" if top.owner == self.login or top.mode & _OTHERS_WRITE else None

    def _staged(self, name: str) -> str:
        return visible(posixpath.normpath(posixpath.join(self.scripts.staged, name)))


@dataclass(frozen=True, slots=True)
class Differences:
    files: Comparison
    read: Mapping[str, StagedBeginning]
    """What was read of staged files, by path; each has an approved text."""
    forms: Mapping[str, Forms]
    """Hashes of staged files' normalised forms, by path."""

    def describe(self, name: str) -> str:
        """`2 lines differ`, `the same but for ...`, or no more than `other content`."""
        if name in self.files.staged_as_approved:
            return "it is as in the approved folder now, not as sealed"
        if name in self.read:
            approved, staged = self._texts(name)
            if approved != staged:
                return describe_difference(approved, staged, cut=not self.read[name].whole)
            if not self.read[name].whole:
                return f"the first {TEXT_CAP_BYTES // 1024} KiB are the same, what follows is not"
        approved_file, forms = self.files.approved_tree.files.get(name), self.forms.get(name)
        if approved_file is None or forms is None or not approved_file.sha256_bare:
            return "other content"
        if forms.with_lf == approved_file.sha256_with_lf:
            ends = "LF instead of CRLF" if approved_file.crlf_lines else "CRLF instead of LF"
            return f"the same but for line endings ({ends})"
        if forms.bare == approved_file.sha256_bare:
            return "the same but for line endings, byte order mark or newlines at the end"
        return "other content"

    def diff(self, name: str) -> str:
        """A bounded unified diff; empty where there is nothing to show."""
        return unified_diff(*self._texts(name), f"approved {name}", f"staged {name}") if name in self.read else ""

    def _texts(self, name: str) -> tuple[str, str]:
        """Approved and staged text, made comparable: here a byte that is not UTF-8 is U+FFFD, from a server `\\xe9`;
        and where only the beginning was read, no more than that is looked at here."""
        approved, staged = self.files.texts.texts[name], self.read[name].text
        if "\N{REPLACEMENT CHARACTER}" in approved:
            approved, staged = (_FOREIGN_BYTE.sub("\N{REPLACEMENT CHARACTER}", text) for text in (approved, staged))
        end = None if self.read[name].whole else TEXT_CAP_BYTES
        return approved[:end], staged[:end]


def describe_difference(old: str, new: str, *, cut: bool) -> str:
    """Of two texts that differ: `the same but for line endings (CRLF instead of LF)`, or `3 lines differ`.

    `cut`: the texts are only the beginnings of longer ones, so nothing can be said of their ends."""
    ways = list(_ways(old, new, cut))
    old_lines, new_lines = _lines(old), _lines(new)
    if old_lines == new_lines:
        return f"the same but for {' and '.join(ways)}" if ways else "the same but for newlines at the end"
    if [line.rstrip() for line in old_lines] == [line.rstrip() for line in new_lines]:
        return f"the same but for {' and '.join([*ways, 'blanks at line ends'])}"
    opcodes = _opcodes(old_lines, new_lines)
    count = sum(max(old_end - old_at, new_end - new_at) for _, old_at, old_end, new_at, new_end in opcodes)
    besides = f", besides {' and '.join(ways)}" if ways else ""
    return f"{'at least ' if cut else ''}{count} line{' differs' if count == 1 else 's differ'}{besides}"


def unified_diff(old: str, new: str, old_name: str, new_name: str) -> str:
    """At most 20 lines; the last says how many were left out. Empty when only line endings, the byte order mark or
    newlines at the end differ.

    Control characters become escapes; so do blanks where lines differ in nothing visible."""
    old_lines, new_lines = _lines(old), _lines(new)
    opcodes = _opcodes(old_lines, new_lines)
    if not opcodes:
        return ""
    # Whether a removed and an added line would be shown alike.
    removed = {_shown(line).rstrip() for _, at, end, _, _ in opcodes for line in old_lines[at:end]}
    exact = any(_shown(line).rstrip() in removed for _, _, _, at, end in opcodes for line in new_lines[at:end])
    lines = [f"--- {visible(old_name)}", f"+++ {visible(new_name)}"]
    for mark, text in _marked(old_lines, new_lines, opcodes):
        lines.append(text if mark == "@" else mark + _shown(text, exact=exact))
    cut = [line if len(line) <= MOST_COLUMNS else line[: MOST_COLUMNS - 3] + "..." for line in lines]
    if len(cut) > _MOST_DIFF_LINES:
        cut[_MOST_DIFF_LINES - 1 :] = [f"... {len(cut) - _MOST_DIFF_LINES + 1} more lines of difference"]
    return "\n".join(cut)


def _shown(line: str, *, exact: bool = False) -> str:
    """The beginning of a script's line, safe for a terminal: every character that is not seen is escaped. `exact`: tabs
    and blanks at its end can be told apart."""
    line = line[: MOST_COLUMNS * 4]
    if exact:
        body = line.rstrip(" ")
        line = body + "\N{MIDDLE DOT}" * (len(line) - len(body))
    else:
        line = line.replace("\t", "    ")
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


def _ways(old: str, new: str, cut: bool) -> Iterator[str]:
    """The differences that no line shows."""
    if _ending(old) != _ending(new):
        yield f"line endings ({_ending(new)} instead of {_ending(old)})"
    if old.startswith(_BOM) != new.startswith(_BOM):
        yield f"the byte order mark ({'added' if new.startswith(_BOM) else 'removed'})"
    if not cut and old.endswith("\n") != new.endswith("\n"):
        yield f"the final newline ({'added' if new.endswith(chr(10)) else 'removed'})"


def _ending(text: str) -> str:
    crlf = text.count("\r\n")
    if crlf and crlf == text.count("\n"):
        return "CRLF"
    return "mixed" if "\r" in text else "LF"


def _lines(text: str) -> list[str]:
    """Without what `_ways` tells."""
    return text.removeprefix(_BOM).replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")


def _opcodes(old: Sequence[str], new: Sequence[str]) -> list[_Opcode]:
    """The differing stretches, as `SequenceMatcher.get_opcodes` names them."""
    start, stop = 0, 0
    shorter = min(len(old), len(new))
    while start < shorter and old[start] == new[start]:
        start += 1
    while stop < shorter - start and old[-1 - stop] == new[-1 - stop]:
        stop += 1
    old_part, new_part = old[start : len(old) - stop], new[start : len(new) - stop]
    if max(len(old_part), len(new_part)) > _MOST_COMPARED_LINES:
        return [("replace", start, start + len(old_part), start, start + len(new_part))]
    found = SequenceMatcher(None, old_part, new_part, autojunk=False).get_opcodes()
    return [(tag, a + start, b + start, c + start, d + start) for tag, a, b, c, d in found if tag != "equal"]


def _marked(old: Sequence[str], new: Sequence[str], opcodes: Sequence[_Opcode]) -> Iterator[tuple[str, str]]:
    """(`@`, ` `, `-` or `+`, text) of every line, with context before and after each stretch."""
    shown_to = 0
    for number, (_, old_at, old_end, new_at, new_end) in enumerate(opcodes):
        lead = max(shown_to, old_at - _CONTEXT_LINES)
        if number == 0 or lead > shown_to:
            yield "@", f"@@ line {old_at + 1}, now {new_at + 1} @@"
        yield from ((" ", line) for line in old[lead:old_at])
        yield from (("-", line) for line in old[old_at:old_end])
        yield from (("+", line) for line in new[new_at:new_end])
        following = opcodes[number + 1][1] if number + 1 < len(opcodes) else len(old)
        shown_to = min(old_end + _CONTEXT_LINES, following)
        yield from ((" ", line) for line in old[old_end:shown_to])
