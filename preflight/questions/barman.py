"""What Barman says of its backups, as JSON: `list-backups`, `show-backup` of the newest, and which server it saves.

`list-backups` ends with 0 where there is none, and names failed ones among the others. `check` makes folders that are
missing, so it is not asked. Of `show-server` only the system identifier is taken: the rest may hold a password."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from preflight.plan.work import PlannedBackup
from preflight.probe import Reply, Unreadable
from preflight.questions.backups import OTHER_SHAPE, BackupFile, BackupKind, Listing, ProgramRead, Repository
from preflight.questions.fields import Mode, output_of, read_fields
from preflight.questions.shell import AsAccount, quoted
from preflight.record import parse_json

_COPIED = ("DONE", "WAITING_FOR_WALS")
_ASK = """\
printf 'now=%s\\n' "$(date +%s)"
printf 'list=%s\\n' "$(run @CALL@ list-backups @SERVER@ | tr '\\n' ' ')"
printf 'show=%s\\n' "$(run @CALL@ show-backup @SERVER@ latest | tr '\\n' ' ')"
system=$(run @CALL@ show-server @SERVER@ | sed -n 's/.*"postgres_systemid": "\\([0-9]*\\)".*/\\1/p')
printf 'system=%s\\n' "$system\""""


@dataclass(frozen=True)
class BarmanBackups(ProgramRead[Listing]):
    """Lists the backups of one server of Barman."""

    server: str
    options: tuple[str, ...]

    @classmethod
    def of(cls, planned: PlannedBackup) -> BarmanBackups:
        backup, program = planned.backup, planned.program(planned.backup.method)
        within = backup.read_within.total_seconds()
        return cls(planned.host.id, AsAccount.of(planned), "", within, program, backup.known_as, planned.asking_options)

    @property
    def script(self) -> str:  # type: ignore[override]
        return _ASK.replace("@SERVER@", quoted(self.server))

    @property
    def call(self) -> str:  # type: ignore[override]
        return " ".join(['"$p"', *map(quoted, self.options), "-f json"])

    def read(self, reply: Reply) -> Listing:
        fields = read_fields(output_of(reply))
        try:
            now = datetime.fromtimestamp(int(fields["now"][0]), UTC)
            told = parse_json(fields["list"][0]) if fields["list"][0].strip() else {}
            if self.server not in told:
                said = "; ".join(map(str, told.get("_ERROR", ()))) or reply.error.strip()[:300]
                return Listing.told((), now, Repository(problem=said or "no answer", closed=not told))
            return _listing(told[self.server], parse_json(fields["show"][0]).get(self.server), fields["system"][0], now)
        except OTHER_SHAPE as error:
            raise Unreadable(f"no answer of barman: {error}") from None


def _listing(told: Any, shown: Any, system: str, now: datetime) -> Listing:
    """Raises one of `OTHER_SHAPE`."""
    newest_first = sorted(told, key=lambda each: str(each["backup_id"]), reverse=True)
    whole = [each for each in newest_first if each["status"] in _COPIED]
    failed = newest_first[0]["backup_id"] if newest_first and newest_first[0]["status"] == "FAILED" else ""
    if not whole:
        problem = f"the only ones failed, {failed} the last" if failed else "it has no backup"
        return Listing.told((), now, Repository(problem=problem))
    if shown["backup_id"] != whole[0]["backup_id"]:
        raise ValueError("another backup has become the latest one")
    base, wal = shown["base_backup_information"], shown["wal_information"]
    repository = Repository(
        system_identifier=system,
        fault="it waits for write-ahead log that it needs" if whole[0]["status"] != "DONE" else "",
        failed=str(failed),
        begin_wal=base["begin_wal"] or "",
        end_wal=base["end_wal"] or "",
        first_wal=base["begin_wal"] or "",
        last_wal=wal["last_available"] or "",
    )
    begun = datetime.fromtimestamp(int(base["begin_time_timestamp"]), UTC)
    files = [_file(each, begun if each is whole[0] else None) for each in whole]
    return Listing.told(tuple(files), now, repository)


def _file(backup: Any, begun: datetime | None) -> BackupFile:
    return BackupFile(
        path=str(backup["backup_id"]),
        kind=BackupKind.MANAGED,
        size_bytes=backup["size_bytes"],
        changed_at=datetime.fromtimestamp(int(backup["end_time_timestamp"]), UTC),
        uid=0,
        owner="",
        mode=Mode(0),
        stat=str(backup["backup_id"]),
        born_at=begun,  # type: ignore[arg-type]
    )
