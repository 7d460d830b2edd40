"""Sealing host keys: adds keys that a person has confirmed to the known_hosts file beside the plan. A key that is
pinned there is never replaced: whoever is asked at midnight whether to trust another key says yes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from preflight.seal import SealError
from preflight.sessions.ssh.known_hosts import HostKeys, KeyStatus, PublicKey, format_line

if TYPE_CHECKING:
    from preflight.sessions.ssh.pool import HostKeySeen

_HEADER = "# Host keys pinned by `preflight seal`; take a line away by hand when its host was really rebuilt.\n"


@dataclass(frozen=True, slots=True)
class HostKeyMerge:
    """The known_hosts file as it should become."""

    text: str
    added: tuple[str, ...]
    """Host ids whose key is new in the file."""


def merge_known_hosts(path: Path, seen: Mapping[str, HostKeySeen]) -> HostKeyMerge:
    """The file, which need not exist, with a line for every host whose key is not pinned yet; no line of it is changed
    or lost, and nothing is written. `seen`: the key each host shows, by host id.

    Raises SealError for a key that differs from a pinned one, also one of another type."""
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise SealError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    pinned = HostKeys([path])
    if pinned.unreadable:
        raise SealError("\n".join(pinned.unreadable))
    return _merged(text, pinned, seen, path.name)


def _merged(text: str, pinned: HostKeys, seen: Mapping[str, HostKeySeen], file: str) -> HostKeyMerge:
    """`pinned`: what `text` says. `file` is named in errors."""
    added: dict[str, PublicKey] = {}
    new_hosts = []
    problems: list[str] = []
    lines: list[str] = []
    for host, shown in seen.items():
        known, key = pinned.lookup(shown.address, shown.port, shown.alias), shown.key
        line = format_line(shown.address, shown.port, key, shown.alias)
        name = line.split(" ", 1)[0]
        status = known.status(key)
        if status is KeyStatus.REVOKED:
            problems.append(f"{host}: shows {_named(key)}, which {file} revokes")
        elif status is KeyStatus.TRUSTED or added.get(name) == key:
            continue
        elif known.keys or name in added:
            others = sorted(known.keys, key=_named) or [added[name]]
            problems.append(_changed(host, key, others, text, file))
        else:
            added[name] = key
            new_hosts.append(host)
            lines.append(f"{line}\n")
    if problems:
        raise SealError("\n".join(problems))
    head = text if text.endswith("\n") or not text else f"{text}\n"
    return HostKeyMerge((head or _HEADER) + "".join(lines), tuple(new_hosts))


def _changed(host: str, key: PublicKey, pinned: Sequence[PublicKey], text: str, file: str) -> str:
    places = " and ".join(_named(other) + _place(other, text) for other in pinned)
    return (
        f"{host}: shows {_named(key)}, but {file} pins {places}; somebody may be in between. Only when the host's "
        "owner confirms the new fingerprint: take the old line away by hand, then seal again"
    )


def _place(key: PublicKey, text: str) -> str:
    numbers = [str(number) for number, line in enumerate(text.splitlines(), 1) if key.base64 in line]
    return f" (line {', '.join(numbers)})" if numbers else ""


def _named(key: PublicKey) -> str:
    return f"{key.type} {key.fingerprint}"
