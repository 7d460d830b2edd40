"""What questions have in common that read a large file at the lowest priority, as the account that may."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar, TypeVar

from preflight.probe import Family, Question
from preflight.questions.shell import AccountProbe, filled, quoted

T = TypeVar("T")

_GRACE_SECONDS = 5  # the session's own limit comes first, and says that it was the time
_LOW = """\
low() { if ionice -c 3 true 2>/dev/null; then nice -n 19 ionice -c 3 "$@"; else nice -n 19 "$@"; fi; }
t=; ! timeout 3 true 2>/dev/null || t='timeout -k 5 @SECONDS@'
"""
_RUN_AS_LOGIN = 'run() { low $t "$@" </dev/null; }'
# The processor time is limited too: where sudo lists single programs, nobody but root can end them from outside.
_RUN_WITHOUT_PROMPT = """\
ulimit -t @SECONDS@
sudo -k -n -l -u @ACCOUNT@ -- $t @PROGRAM@ -l -- "$f" >/dev/null 2>&1 </dev/null || t=
run() { low sudo -k -n -u @ACCOUNT@ -- $t "$@" </dev/null; }"""
_RUN_WITH_PASSWORD = """\
ulimit -t @SECONDS@
IFS= read -r secret
run() { printf '%s\\n' "$secret" | low sudo -S -k -p '' -u @ACCOUNT@ -- "$@"; }"""


@dataclass(frozen=True)
class LongRead(AccountProbe[T]):
    """Reads a backup within a time limit of its own."""

    family = Family.BACKUP
    own_channel: ClassVar[bool] = True

    path: str
    seconds: float
    """How long the read may take."""
    state: str = field(default="", kw_only=True)
    """Of the file as it was listed (`BackupFile.state`). It stands in the text, so that another state of the file is
    another question."""

    def question(self) -> Question:
        return replace(super().question(), timeout_seconds=self.seconds)

    def _text(self, script: str, **values: str) -> str:
        if self.account.is_login:
            run = _RUN_AS_LOGIN
        else:
            run = _RUN_WITH_PASSWORD if self.account.password else _RUN_WITHOUT_PROMPT
        seconds = str(math.ceil(self.seconds) + _GRACE_SECONDS)
        account = "" if self.account.is_login else quoted(self.account.account)
        named = {"FILE": quoted(self.path), "ACCOUNT": account, "SECONDS": seconds, **values}
        text = filled(filled(script, LOW=_LOW, RUN=run), **named)
        return f"# as listed: {self.state}\n{text}" if self.state else text
