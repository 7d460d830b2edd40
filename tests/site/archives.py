"""Archives of pg_dump that say of themselves what a test wants."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path


def set_header(archive: Path, wall: str, *, summer: bool) -> None:
    """Writes another time into the header of an archive in custom format: WriteHead in pg_backup_archiver.c."""
    content, at = bytearray(archive.read_bytes()), datetime.fromisoformat(wall)
    place = 11 + (5 if (content[5], content[6]) < (1, 15) else 1)  # the compression, a byte since archives of 1.15
    for value in (at.second, at.minute, at.hour, at.day, at.month - 1, at.year - 1900, int(summer)):
        content[place : place + 5] = bytes([0]) + value.to_bytes(4, "little")
        place += 5
    archive.write_bytes(content)
