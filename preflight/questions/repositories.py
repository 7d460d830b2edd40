"""What pgBackRest and Barman say of their backups, as JSON."""

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
_COPIED = ("DONE", "WAITING_FOR_WALS")
_ASK = """\
printf 'now=%s\\n' "$(date +%s)"
printf 'list=%s\\n' "$(run @CALL@ list-backups @SERVER@ | tr '\\n' ' ')"
printf 'show=%s\\n' "$(run @CALL@ show-backup @SERVER@ latest | tr '\\n' ' ')"
system=$(run @CALL@ show-server @SERVER@ | sed -n 's/.*"postgres_systemid": "\\([0-9]*\\)".*/\\1/p')
printf 'system=%s\\n' "$system\""""


class PgBackRestBackups(RepositoryProbe):
    """Lists the backups of one stanza: `info`.

    Its exit status tells nothing: it is 0 without a stanza, without a backup, and for a repository it may not read."""

    script = _INFO

    @property
    def call(self) -> str:  # type: ignore[override]
        words = (*self.options, f"--stanza={self.name}", "--output=json", "info")
        return " ".join(['"$p"', *map(quoted, words)])

    def listing(self, told: Mapping[str, str], now: datetime, error: str) -> Listing:
        if not told["info"]:
            return Listing.told((), now, Repository(problem=error[:300] or "no answer", closed=True))
        (stanza,) = parse_json(told["info"])
        code, problem = stanza["status"]["code"], stanza["status"]["message"] if stanza["status"]["code"] else ""
        if code == _UNREADABLE:
            problem = "; ".join(each["status"]["message"] for each in stanza["repo"] if each["status"]["code"])
        backups = sorted(stanza["backup"], key=lambda each: int(each["timestamp"]["stop"]), reverse=True)
        if not backups:
            return Listing.told((), now, Repository(problem=problem or "no backup", closed=code == _UNREADABLE))
        newest = backups[0]
        own = newest["database"]["id"], newest["database"]["repo-key"]
        system = next(each["system-id"] for each in stanza["db"] if (each["id"], each["repo-key"]) == own)
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
    begun, ended = (_moment(backup["timestamp"][each]) for each in ("start", "stop"))
    size = int(backup["info"]["repository"]["delta"])
    return BackupFile.in_repository(str(backup["label"]), size, ended, begun if backup["type"] == "full" else None)


class BarmanBackups(RepositoryProbe):
    """Lists the backups of one server: `list-backups`, `show-backup` of the newest, and which server it saves.

    `list-backups` ends with 0 where there is none, and names failed ones among the others. `check`, which would make
    missing folders, is not asked. Of `show-server` the system identifier alone is taken: it may hold a password."""

    @property
    def script(self) -> str:  # type: ignore[override]
        return _ASK.replace("@SERVER@", quoted(self.name))

    @property
    def call(self) -> str:  # type: ignore[override]
        return " ".join(['"$p"', *map(quoted, self.options), "-f json"])

    def listing(self, told: Mapping[str, str], now: datetime, error: str) -> Listing:
        listed = parse_json(told["list"]) if told["list"] else {}
        if self.name not in listed:
            said = "; ".join(map(str, listed.get("_ERROR", ()))) or error[:300]
            return Listing.told((), now, Repository(problem=said or "no answer", closed=not listed))
        shown = parse_json(told["show"]).get(self.name)
        newest_first = sorted(listed[self.name], key=lambda each: str(each["backup_id"]), reverse=True)
        whole = [each for each in newest_first if each["status"] in _COPIED]
        failed = newest_first[0]["backup_id"] if newest_first and newest_first[0]["status"] == "FAILED" else ""
        if not whole:
            problem = f"the only ones failed, {failed} the last" if failed else "it has no backup"
            return Listing.told((), now, Repository(problem=problem))
        if shown["backup_id"] != whole[0]["backup_id"]:
            raise ValueError("another backup has become the latest one")
        base, wal = shown["base_backup_information"], shown["wal_information"]
        repository = Repository(
            system_identifier=told["system"],
            fault="it waits for write-ahead log that it needs" if whole[0]["status"] != "DONE" else "",
            failed=str(failed),
            begin_wal=base["begin_wal"] or "",
            end_wal=base["end_wal"] or "",
            first_wal=base["begin_wal"] or "",
            last_wal=wal["last_available"] or "",
        )
        begun = _moment(base["begin_time_timestamp"])
        kept = [
            (str(each["backup_id"]), int(each["size_bytes"]), _moment(each["end_time_timestamp"])) for each in whole
        ]
        files = [BackupFile.in_repository(*each, begun if place == 0 else None) for place, each in enumerate(kept)]
        return Listing.told(tuple(files), now, repository)


def _moment(seconds: Any) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
