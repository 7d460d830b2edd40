"""Lists, hashes and reads files of this machine; never follows a link out of a tree or opens what may hang (a FIFO)."""

import codecs
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from preflight.clock import Deadline
from preflight.plan.source import READING
from preflight.plan.values import SCRIPT_SUFFIXES
from preflight.questions import files as asked
from preflight.questions.files import EntryKind

_NOT_A_LINK = getattr(os, "O_NOFOLLOW", 0)  # which Windows lacks: what was opened is held against what was listed
_CHUNK_BYTES = 1024 * 1024
_LARGEST_NORMALISED_BYTES = 8 * 1024 * 1024
_INCLUDED = re.compile(r"\\(?:i|ir|include|include_relative)[ \t]+([^\n]*)")
"""What may be an include of psql, a comment or text too: to read more than is included does no harm."""
_KINDS = {stat.S_IFREG: EntryKind.FILE, stat.S_IFDIR: EntryKind.FOLDER, stat.S_IFLNK: EntryKind.SYMLINK}


class TooMuchToRead(Exception):
    """More entries or bytes than one question may read."""


class Problem(Exception):
    """The path is there or not, but not what was asked for: a negative answer, not a failure to look."""


@dataclass(frozen=True, slots=True)
class _Found:
    path: str
    full: Path
    status: os.stat_result
    error: str = ""

    @property
    def kind(self) -> EntryKind:
        return _KINDS.get(stat.S_IFMT(self.status.st_mode), EntryKind.OTHER)


def list_tree(folder: Path, deadline: Deadline) -> list[dict[str, Any]]:
    """The fields of a `TreeEntry` for everything below `folder`, sorted by path. Raises Problem, TooMuchToRead,
    TimeoutError, and OSError when the folder itself cannot be listed."""
    found = _walk(folder, deadline)
    if sum(entry.status.st_size for entry in found if entry.kind is EntryKind.FILE) > asked.MOST_BYTES:
        raise TooMuchToRead(f"the files hold more than {asked.MOST_BYTES // 1024**2} MiB")
    return [_described(entry, deadline) for entry in found]


def read_text(path: Path) -> bytes:
    """The bytes of a regular file; a link to one is followed. Raises Problem, TooMuchToRead, OSError."""
    try:
        with _opened(path, path.stat()) as file:
            content = file.read(asked.LARGEST_TEXT_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise Problem("no such file") from None
    if len(content) > asked.LARGEST_TEXT_BYTES:
        raise TooMuchToRead(f"it holds more than {asked.LARGEST_TEXT_BYTES // 1024} KiB")
    return content


def read_scripts(folder: Path, deadline: Deadline) -> tuple[dict[str, str], dict[str, str]]:
    """Texts of the scripts below `folder`, and of what they include, by path; why one is missing. As `list_tree`."""
    texts: dict[str, str] = {}
    found = _walk(folder, deadline)
    unread = {entry.path: entry.error for entry in found if entry.error}
    files = [entry for entry in found if entry.kind is EntryKind.FILE]
    wanted = [entry for entry in files if entry.path.lower().endswith(SCRIPT_SUFFIXES)]
    room = asked.MOST_SCRIPT_BYTES
    while wanted:
        read: list[str] = []
        for entry in wanted:
            try:
                texts[entry.path] = _script(entry, room, deadline)
            except (TooMuchToRead, Problem) as problem:
                unread[entry.path] = str(problem)
            else:
                room -= entry.status.st_size
                read.append(texts[entry.path])
        included = "\n".join(line for text in read for line in _INCLUDED.findall(text))
        seen = {*texts, *unread}
        wanted = [entry for entry in files if entry.path not in seen and entry.full.name in included]
    return texts, unread


def _script(entry: _Found, room: int, deadline: Deadline) -> str:
    """Raises TooMuchToRead, and Problem for what cannot be read or is no text."""
    if entry.status.st_size > asked.LARGEST_SCRIPT_BYTES:
        raise TooMuchToRead(f"larger than {asked.LARGEST_SCRIPT_BYTES // 1024**2} MiB")
    if entry.status.st_size > room:
        raise TooMuchToRead(f"the scripts before it already hold {asked.MOST_SCRIPT_BYTES // 1024**2} MiB")
    try:
        content = b"".join(_chunks(entry, deadline))
    except TimeoutError:
        raise
    except OSError as error:
        raise Problem(error.strerror or str(error)) from None
    if b"\0" in content:
        raise Problem("no text: it holds NUL bytes")
    return content.decode("utf-8", "replace")


def _walk(folder: Path, deadline: Deadline) -> list[_Found]:
    try:
        with os.scandir(folder):
            pass
    except FileNotFoundError:
        raise Problem("no such folder") from None
    except NotADirectoryError:
        raise Problem("not a folder") from None
    return sorted(_below(folder, deadline), key=lambda entry: entry.path)


def _below(top: Path, deadline: Deadline) -> Iterator[_Found]:
    """Everything below `top`; a folder inside that cannot be listed is an entry with an error."""
    waiting = [(top, "")]
    count = 0
    while waiting:
        folder, prefix = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                count += 1
                if count > asked.MOST_ENTRIES:
                    raise TooMuchToRead(f"there are more than {asked.MOST_ENTRIES} entries")
                if deadline.over:
                    raise TimeoutError("the folder could not be listed in time")
                found = _Found(prefix + entry.name, Path(entry.path), entry.stat(follow_symlinks=False))
                if found.kind is EntryKind.FOLDER:
                    found = replace(found, error=_why_not_listed(found.full))
                    if not found.error:
                        waiting.append((found.full, f"{found.path}/"))
                yield found


def _why_not_listed(folder: Path) -> str:
    try:
        with os.scandir(folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _described(entry: _Found, deadline: Deadline) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "path": entry.path,
        "kind": entry.kind.value,
        "size_bytes": 0 if entry.kind is EntryKind.FOLDER else entry.status.st_size,
        "error": entry.error,
    }
    try:
        if entry.kind is EntryKind.SYMLINK:
            fields["link_target"] = os.readlink(entry.full)  # noqa: PTH115 - Path would tidy up what is written there
        elif entry.kind is EntryKind.FILE:
            fields |= _hashes(entry, deadline)
    except TimeoutError:
        raise
    except OSError as error:
        fields["error"] = error.strerror or str(error)
    return fields


def _hashes(entry: _Found, deadline: Deadline) -> dict[str, Any]:
    if entry.status.st_size > _LARGEST_NORMALISED_BYTES:
        hashed = hashlib.sha256()
        for chunk in _chunks(entry, deadline):
            hashed.update(chunk)
        return {"sha256": hashed.hexdigest()}
    content = b"".join(_chunks(entry, deadline))
    return {
        "sha256": sha256(content),
        "sha256_with_lf": sha256(content.replace(b"\r\n", b"\n")),
        "sha256_bare": sha256(content.replace(b"\r", b"").removeprefix(codecs.BOM_UTF8).rstrip(b"\n")),
        "crlf_lines": content.count(b"\r\n"),
    }


def sha256(content: bytes) -> str:
    """In lower-case hex."""
    return hashlib.sha256(content).hexdigest()


def _chunks(entry: _Found, deadline: Deadline) -> Iterator[bytes]:
    """A file's bytes. Raises OSError when it is no longer the file that was listed, TimeoutError at the deadline."""
    with _opened(entry.full, entry.status, _NOT_A_LINK) as file:
        while chunk := file.read(_CHUNK_BYTES):
            if deadline.over:
                raise TimeoutError("the files could not be read in time")
            yield chunk
        if _identity(os.fstat(file.fileno())) != _identity(entry.status):
            raise OSError("it changed while it was read")


def _opened(path: Path, expected: os.stat_result, more_flags: int = 0) -> BinaryIO:
    """The open file, proved to be the regular file that `expected` describes. Raises Problem, OSError."""
    if not stat.S_ISREG(expected.st_mode):
        raise Problem("not a regular file")
    file = os.fdopen(os.open(path, READING | more_flags), "rb")
    if _identity(os.fstat(file.fileno())) != _identity(expected):
        file.close()
        raise OSError("it changed after it was listed")
    return file


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns)
