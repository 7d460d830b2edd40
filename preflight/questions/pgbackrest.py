"""What pgBackRest says of its backups: `info` as JSON. Its exit status tells nothing: it is 0 for a stanza that is not
there, for one without a backup, and for a repository that the account may not read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from preflight.questions.backups import BackupFile, Listing, Repository, RepositoryProbe
from preflight.questions.shell import quoted
from preflight.record import parse_json

_UNREADABLE = 99
"""`status.code` where the repository could not be read; the words are with each repository."""
_INFO = """\
printf 'now=%s\\n' "$(date +%s)"
printf 'info=%s\\n' "$(run @CALL@ | tr '\\n' ' ')\""""


class PgBackRestBackups(RepositoryProbe):
    """Lists the backups of one stanza."""

    script = _INFO

    @property
    def call(self) -> str:  # type: ignore[override]
        words = (*self.options, f"--stanza={self.name}", "--output=json", "info")
        return " ".join(['"$p"', *map(quoted, words)])

    def listing(self, told: Mapping[str, str], now: datetime, error: str) -> Listing:
        if not told["info"]:
            return Listing.told((), now, Repository(problem=error[:300] or "no answer", closed=True))
        (stanza,) = parse_json(told["info"])
        return _listing(stanza, now)


def _listing(stanza: Any, now: datetime) -> Listing:
    """Raises one of `OTHER_SHAPE`."""
    code, problem = stanza["status"]["code"], stanza["status"]["message"] if stanza["status"]["code"] else ""
    if code == _UNREADABLE:
        problem = "; ".join(each["status"]["message"] for each in stanza["repo"] if each["status"]["code"])
    backups = sorted(stanza["backup"], key=lambda each: int(each["timestamp"]["stop"]), reverse=True)
    if not backups:
        return Listing.told((), now, Repository(problem=problem or "no backup", closed=code == _UNREADABLE))
    newest = backups[0]
    system = next(
        each["system-id"]
        for each in stanza["db"]
        if (each["id"], each["repo-key"]) == (newest["database"]["id"], newest["database"]["repo-key"])
    )
    archives = [each for each in stanza["archive"] if each["database"] == newest["database"]]
    repository = Repository(
        problem=problem,
        system_identifier=str(system),
        fault="damaged files were found in it" if newest["error"] else "",
        begin_wal=newest["archive"]["start"] or "",
        end_wal=newest["archive"]["stop"] or "",
        first_wal=min((each["min"] for each in archives if each["min"]), default=""),
        last_wal=max((each["max"] for each in archives if each["max"]), default=""),
    )
    return Listing.told(tuple(map(_file, backups)), now, repository)


def _file(backup: Any) -> BackupFile:
    """Of an incremental one just its own part, and not how long it took."""
    begun, ended = (datetime.fromtimestamp(int(backup["timestamp"][each]), UTC) for each in ("start", "stop"))
    size = int(backup["info"]["repository"]["delta"])
    return BackupFile.in_repository(str(backup["label"]), size, ended, begun if backup["type"] == "full" else None)
