"""Questions about a folder of scripts on a server: what is in it, hashed there, and the text of a file that differs.

What names files is told in records that end in NUL, because a file's name may hold anything else. Files are hashed
where they are and never fetched, except for the beginning of a few that differ from what was approved."""

import shlex
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Annotated, ClassVar

from preflight.plan.limits import Matches
from preflight.probe import Family, Reply, Unreadable
from preflight.questions.fields import Count, Mode, Until, read_fields, read_lines, whole_number
from preflight.questions.files import FOLDERS_ABOVE, MOST_ENTRIES, Entry, EntryKind, path_and_sha256
from preflight.questions.shell import FIND_HASH_TOOL, AccountProbe, filled, quoted
from preflight.record import fields_of

TEXT_CAP_BYTES = 64 * 1024
MOST_FORMS = 500
"""Files whose normalised forms are hashed in one question."""
_TREE = """\
nl='
'; cr=$(printf '\\r'); stage=@STAGE@
printf 'account=%s\\0login=%s\\0' "$(id -un)" "${SUDO_USER:-$(id -un)}"
printf 'uid=%s\\0groups=%s\\0' "$(id -u @ACCOUNT@ 2>/dev/null)" "$(id -G @ACCOUNT@ 2>/dev/null)"
rest='complete=yes\\0acl=no\\0tool=\\0hashes=\\0end=yes\\0' # of a tree that is not listed
if [ -d "$stage" ] && cd -- "$stage"; then :; else
  printf "problem=%s\\0link=\\0root=\\0$rest" "$(ls -ld -- "$stage/." 2>&1)"; exit 0
fi
d=$(pwd -P); printf 'link=%s\\0root=%s\\0' "$([ ! -h "$stage" ] || ls -ld -- "$stage")" "$d"
set -- "$d"
@FOLDERS_ABOVE@
shift
seen=$(find . -printf x 2>/dev/null | head -c @LIMIT@) # find of GNU; others cannot print
n=${#seen}
[ -n "$seen" ] || n=$(($(find . 2>/dev/null | head -n @LIMIT@ | wc -l)))
if [ "$n" -ge @LIMIT@ ]; then printf "problem=it holds more than @MOST@ entries\\0$rest"; exit 0; fi
if [ -n "$seen" ]; then # of the folders above each alone
  find . "$@" \\( ! -path '/*' -o -prune \\) \\
    -printf 'entry=%y %m %Ts %s %p\\0owner=%u\\0group=%G\\0target=%l\\0'
else # POSIX find: one ls and one stat for each entry
  find . "$@" \\( ! -path '/*' -o -prune \\) -exec sh -c 'set -f; nl="
"
    owner() { printf "%s" "$3"; }
    entry() { printf "entry=%s %s %s %s\\0owner=%s\\0group=%s\\0target=%s\\0" "$3" "$2" "$7" "$1" "$o" "$6" "$k"; }
    for f do
      l=$(ls -ldn -- "$f") || continue
      o=$(owner $(ls -ld -- "$f"))
      t=$(stat -c "%a %Y" -- "$f" 2>/dev/null || stat -f "%Mp%Lp %m" -- "$f" 2>/dev/null)
      k=; [ ! -h "$f" ] || k=$(readlink -- "$f")
      entry "$f" "$t" ${l%%"$nl"*}
    done' sh {} +
fi
if [ $? -eq 0 ]; then complete=yes; else complete=no; fi
acl=no; [ -z "$({ ls -lnR . | grep '^.\\{10\\}+' | head -n 1; } 2>/dev/null)" ] || acl=yes
printf 'problem=\\0complete=%s\\0acl=%s\\0' "$complete" "$acl"
@FIND_TOOL@printf 'tool=%s\\0hashes=' "$tool"
if [ -n "$tool" ]; then
  # Names that a line of output cannot hold are hashed one by one.
  find . -type f ! -path "*$nl*" ! -path "*$cr*" ! -path '*\\\\*' -exec $tool {} +
  printf '\\0'
  find . -type f \\( -path "*$nl*" -o -path "*$cr*" -o -path '*\\\\*' \\) -exec sh -c 'tool=$1; shift
    for f do h=$($tool <"$f") && printf "hash=%s  %s\\0" "${h%%[!0-9a-f]*}" "$f"; done' sh "$tool" {} +
else printf '\\0'; fi
printf 'end=yes\\0'"""
_FORMS = """\
cd -- @STAGE@ || exit 0
@FIND_TOOL@[ -n "$tool" ] || exit 0
bom=$(printf '\\357\\273\\277'); cr=$(printf '\\r')
for f in @NAMES@; do
  [ -f "$f" ] && [ ! -h "$f" ] || { echo 'form=  0'; continue; }
  h=$(sed "s/$cr\\$//" <"$f" | $tool)
  b=$(printf '%s' "$(tr -d '\\r' <"$f" | sed "1s/^$bom//")" | $tool)
  printf 'form=%s %s %s\\n' "${h%%[!0-9a-f]*}" "${b%%[!0-9a-f]*}" "$(grep -c "$cr\\$" <"$f")"
done
echo end=yes"""
_TEXT = """\
if cd -- @STAGE@ && [ -f @NAME@ ] && [ ! -h @NAME@ ] && [ -r @NAME@ ]
then dd if=@NAME@ bs=@BYTES@ count=1 2>/dev/null; else false; fi
printf '\\0%s' "$?\""""


@dataclass(frozen=True, kw_only=True)
class StagedEntry(Entry):
    """One entry of the staged folder; the folder itself has the path `.`."""

    mode: int
    owner: str
    """Account name, or its number where the host knows no name for it."""
    group: str
    """Its number."""
    modified_at: Until


@dataclass(frozen=True, slots=True)
class StagedTree:
    """The staged folder as one account sees it."""

    account: str
    """Who looked: the account that was asked for, or the login where sudo does not allow that."""
    login: str = ""
    uid: str = ""
    """Of the account that was asked for; empty where the host does not know it."""
    groups: str = ""
    """Their numbers, with blanks between them: those of the account that was asked for."""
    problem: str = ""
    """Why nothing was listed: no such folder, not to be entered, far too large."""
    link: str = ""
    """The `ls -l` line of the folder's path where it is a symbolic link."""
    root: str = ""
    """The folder's path with every symbolic link resolved."""
    parents: tuple[StagedEntry, ...] = ()
    """Every folder above it, nearest first."""
    entries: tuple[StagedEntry, ...] = ()
    complete: bool = True
    """False when a part could not be listed."""
    acl: bool = False
    """Whether permission bits are not all that is said of who may read: an access control list may say more."""
    tool: str = ""
    """What hashed; empty when the server has nothing that can."""
    complaint: str = ""
    """What the server's commands said on standard error."""


_KINDS = {"f": EntryKind.FILE, "-": EntryKind.FILE, "d": EntryKind.FOLDER, "l": EntryKind.SYMLINK}
"""By the letter of find, or the first one of ls."""


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: str
    mode: Mode
    modified_at: Until
    size: str
    path: str


@dataclass(frozen=True, slots=True)
class _Listed:
    entry: tuple[_Entry, ...] = ()
    owner: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    hashes: str = ""
    """Lines of the tool."""
    hash: tuple[str, ...] = ()
    """Such lines, of names that no line can hold."""


@dataclass(frozen=True)
class StagedFolder(AccountProbe[StagedTree]):
    """Lists and hashes everything below a folder, as `account` or else as the login."""

    family = Family.SCRIPTS
    timeout_seconds: ClassVar[float] = 60.0
    folder: str

    def ask(self) -> str:
        limits = {"LIMIT": str(MOST_ENTRIES + 2), "MOST": str(MOST_ENTRIES)}
        values = {"STAGE": quoted(self.folder), "ACCOUNT": self.account.word, **limits}
        return self.account.or_login(filled(_TREE, **values, FIND_TOOL=FIND_HASH_TOOL, FOLDERS_ABOVE=FOLDERS_ABOVE))

    def read(self, reply: Reply) -> StagedTree:
        fields = read_fields(reply.text, ends_in_nul=True)
        listed = read_lines(_Listed, {name: fields.pop(name) for name in fields_of(_Listed) if name in fields})
        found = read_lines(StagedTree, fields, complaint=reply.error.strip())
        if problem := found.problem.strip().rpartition(": ")[2]:
            return replace(found, problem=problem)
        entries = _entries(listed)
        above = [name for name in entries if name.startswith("/")]
        if above != list(map(str, PurePosixPath(found.root).parents)):
            raise Unreadable("other folders above than the path has")
        parents = tuple(entries.pop(name) for name in above)
        return replace(found, parents=parents, entries=tuple(entry for _, entry in sorted(entries.items())))


def _entries(told: _Listed) -> dict[str, StagedEntry]:
    """By path; the folders above have theirs from the root."""
    pairs = list(map(path_and_sha256, [*filter(None, told.hashes.split("\n")), *told.hash]))
    hashes = {path.removeprefix("./"): sha256 for path, sha256 in pairs}
    if len(hashes) < len(pairs):
        raise Unreadable("a file is hashed twice")
    if not len(told.entry) == len(told.owner) == len(told.group) == len(told.target):
        raise Unreadable("an entry without its owner, its group, or what it leads to")
    found = {}
    for each, owner, group, target in zip(told.entry, told.owner, told.group, told.target, strict=True):
        name = each.path.removeprefix("./")
        kind = _KINDS.get(each.kind[:1], EntryKind.OTHER)
        found[name] = StagedEntry(
            path=name,
            kind=kind,
            mode=each.mode,
            size_bytes=whole_number(each.size) if kind is EntryKind.FILE else 0,
            owner=owner,
            group=group,
            modified_at=each.modified_at,
            link_target=target,
            sha256=hashes.get(name, ""),
        )
    if "." not in found or len(found) < len(told.entry):
        raise Unreadable("the reply does not list the folder, or an entry twice")
    if set(hashes) - set(found):
        raise Unreadable("a file is hashed that was not listed: the folder is being changed")
    return found


@dataclass(frozen=True, slots=True)
class Forms:
    """SHA-256 of a file's normalised forms, as `TreeEntry` has them; all empty for none, or one that cannot be read."""

    with_lf: Annotated[str, Matches("([0-9a-f]{64})?", "a SHA-256 sum")]
    bare: Annotated[str, Matches("([0-9a-f]{64})?", "a SHA-256 sum")]
    crlf_lines: Count


@dataclass(frozen=True, slots=True)
class _FormsTold:
    form: tuple[Forms, ...] = ()


@dataclass(frozen=True)
class StagedForms(AccountProbe[dict[str, Forms]]):
    """Hashes of files with LF for CRLF, and without carriage returns, byte order mark and last newlines: what tells a
    change of content from a change by the transfer. Files that cannot be read are not in the answer."""

    family = Family.SCRIPTS
    timeout_seconds: ClassVar[float] = 30.0
    folder: str
    names: tuple[str, ...]

    def ask(self) -> str:
        names = " ".join(_file(name) for name in self.names)
        return self.account.or_login(filled(_FORMS, STAGE=quoted(self.folder), NAMES=names, FIND_TOOL=FIND_HASH_TOOL))

    def read(self, reply: Reply) -> dict[str, Forms]:
        forms = read_lines(_FormsTold, reply).form
        if len(forms) != len(self.names):
            raise Unreadable(f"hashes of {len(forms)} files, expected {len(self.names)}")
        return {name: form for name, form in zip(self.names, forms, strict=True) if form.with_lf and form.bare}


@dataclass(frozen=True, slots=True)
class StagedBeginning:
    text: str = ""
    whole: bool = True
    problem: str = ""


@dataclass(frozen=True)
class StagedText(AccountProbe[StagedBeginning]):
    """The first `TEXT_CAP_BYTES` of one staged file, for a diff."""

    family = Family.SCRIPTS
    folder: str
    name: str

    def ask(self) -> str:
        script = filled(_TEXT, STAGE=quoted(self.folder), NAME=_file(self.name), BYTES=str(TEXT_CAP_BYTES + 1))
        return self.account.or_login(script)

    def read(self, reply: Reply) -> StagedBeginning:
        text, _, status = reply.text.rpartition("\0")
        if status != "0":
            return StagedBeginning(problem="it cannot be read")
        # Text may be longer or shorter than its bytes; only a file that is surely short counts as whole.
        return StagedBeginning(text, whole=len(text.encode("utf-8", "surrogatepass")) <= TEXT_CAP_BYTES)


def _file(name: str) -> str:
    """A relative path as one shell word that no command takes for an option; newlines are allowed in it."""
    if "\0" in name:
        raise ValueError(f"{name!r} holds a NUL")
    return shlex.quote(f"./{name}")
