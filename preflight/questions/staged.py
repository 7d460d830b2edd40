"""Questions about a folder of scripts on a server: what is in it, hashed there, and the text of a file that differs.

Answers are records that end in NUL, because a file's name may hold anything else. Files are hashed where they are and
never fetched, except for the beginning of a few that differ from what was approved.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import ClassVar

from preflight.probe import Family, Reply, Unreadable
from preflight.questions.shell import FIND_HASH_TOOL, AccountProbe, filled, quoted
from preflight.questions.staged_reply import MOST_ENTRIES, SHA256, Records, StagedTree, read_tree

TEXT_CAP_BYTES = 64 * 1024
MOST_FORMS = 50
"""Files whose normalised forms are hashed in one question."""

_TREE = """\
exec </dev/null
LC_ALL=C; export LC_ALL
nl='
'; cr=$(printf '\\r'); stage=@STAGE@
printf 'account\\0%s\\0' "$(id -un)"
if [ -d "$stage" ] && cd -- "$stage"; then :; else
  printf 'absent\\0%s\\0end\\0' "$(ls -ld -- "$stage/." 2>&1)"; exit 0
fi
[ ! -h "$stage" ] || printf 'link\\0%s\\0' "$(ls -ld -- "$stage")"
d=$(pwd -P); printf 'root\\0%s\\0' "$d"
while [ "$d" != / ]; do
  d=${d%/*}; d=${d:-/}
  l=$(ls -ld -- "$d") && printf 'parent\\0%s\\0%s\\0' "$d" "${l%%"$nl"*}"
done
n=$(($(find . 2>/dev/null | head -n @LIMIT@ | wc -l)))
if [ "$n" -ge @LIMIT@ ]; then printf 'too many\\0end\\0'; exit 0; fi
if find . -prune -printf '' 2>/dev/null; then
  find . -printf 'entry\\0%M %s %T@\\0%u\\0%p\\0%l\\0'
else # POSIX find: one ls for each entry
  find . -exec sh -c 'set -f; nl="
"
    entry() { printf "entry\\0%s %s %s\\0uid %s\\0%s\\0%s\\0" "$3" "$7" "$2" "$5" "$1" "$k"; }
    for f do
      l=$(ls -ldn -- "$f") || continue
      t=$(stat -c %Y -- "$f" 2>/dev/null || stat -f %m -- "$f" 2>/dev/null || echo 0)
      k=; [ ! -h "$f" ] || k=$(readlink -- "$f")
      entry "$f" "$t" ${l%%"$nl"*}
    done' sh {} +
fi
printf 'listed\\0%s\\0' "$?"
@FIND_TOOL@printf 'tool\\0%s\\0hashes\\0' "$tool"
if [ -n "$tool" ]; then
  # Names that a line of output cannot hold are hashed one by one.
  find . -type f ! -path "*$nl*" ! -path "*$cr*" ! -path '*\\\\*' -exec $tool {} +
  printf '\\0'
  find . -type f \\( -path "*$nl*" -o -path "*$cr*" -o -path '*\\\\*' \\) -exec sh -c 'tool=$1; shift
    for f do h=$($tool <"$f") && printf "hash\\0%s\\0%s\\0" "${h%%[!0-9a-f]*}" "$f"; done' sh "$tool" {} +
else printf '\\0'; fi
printf 'end\\0'
exit 0
"""

_FORMS = """\
exec </dev/null
LC_ALL=C; export LC_ALL
cd -- @STAGE@ || exit 0
@FIND_TOOL@[ -n "$tool" ] || exit 0
bom=$(printf '\\357\\273\\277')
for f in @NAMES@; do
  [ -f "$f" ] && [ ! -h "$f" ] || { printf '\\0\\0'; continue; }
  h=$(tr -d '\\r' <"$f" | $tool); printf '%s\\0' "${h%%[!0-9a-f]*}"
  h=$(printf '%s' "$(tr -d '\\r' <"$f" | sed "1s/^$bom//")" | $tool); printf '%s\\0' "${h%%[!0-9a-f]*}"
done
printf 'end\\0'
exit 0
"""

_TEXT = """\
exec </dev/null
LC_ALL=C; export LC_ALL
if cd -- @STAGE@ && [ -f @NAME@ ] && [ ! -h @NAME@ ] && [ -r @NAME@ ]
then dd if=@NAME@ bs=@BYTES@ count=1 2>/dev/null; else false; fi
printf '\\0%s' "$?"
exit 0
"""


@dataclass(frozen=True)
class StagedFolder(AccountProbe[StagedTree]):
    """Lists and hashes everything below a folder, as `account` or else as the login."""

    family = Family.SCRIPTS
    timeout_seconds: ClassVar[float] = 60.0

    folder: str

    def ask(self) -> str:
        limit = str(MOST_ENTRIES + 2)
        script = filled(_TREE, STAGE=quoted(self.folder), LIMIT=limit, FIND_TOOL=FIND_HASH_TOOL)
        return self.account.or_login(script)

    def read(self, reply: Reply) -> StagedTree:
        return replace(read_tree(Records(reply.text)), complaint=reply.error.strip())


@dataclass(frozen=True, slots=True)
class Forms:
    """SHA-256 of a file's normalised forms, as `preflight.questions.files.TreeEntry` has them."""

    without_cr: str
    bare: str


@dataclass(frozen=True)
class StagedForms(AccountProbe[dict[str, Forms]]):
    """Hashes of files without their carriage returns, and without byte order mark and last newlines: what tells a
    change of content from a change by the transfer. Files that cannot be read are not in the answer."""

    family = Family.SCRIPTS
    timeout_seconds: ClassVar[float] = 30.0

    folder: str
    names: tuple[str, ...]

    def ask(self) -> str:
        names = " ".join(_file(name) for name in self.names)
        script = filled(_FORMS, STAGE=quoted(self.folder), NAMES=names, FIND_TOOL=FIND_HASH_TOOL)
        return self.account.or_login(script)

    def read(self, reply: Reply) -> dict[str, Forms]:
        records = Records(reply.text)
        forms = {name: Forms(records.take(), records.take()) for name in self.names}
        records.expect("end")
        records.finish()
        found = {name: form for name, form in forms.items() if form.without_cr and form.bare}
        if not all(SHA256.fullmatch(value) for form in found.values() for value in (form.without_cr, form.bare)):
            raise Unreadable("a hash is not 64 hex digits")
        return found


@dataclass(frozen=True, slots=True)
class StagedBeginning:
    """The beginning of a staged file."""

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
        size = len(text.encode("utf-8", "surrogatepass"))
        return StagedBeginning(text, whole=size <= TEXT_CAP_BYTES)


def _file(name: str) -> str:
    """A relative path as one shell word that no command takes for an option; newlines are allowed in it."""
    if "\0" in name:
        raise ValueError(f"{name!r} holds a NUL")
    return shlex.quote(f"./{name}")
