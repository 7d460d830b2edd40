"""How a client program reaches a PostgreSQL server from the server's own host: the key `server` of a plan."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_PLACE = re.compile(
    r"(?P<folder>/[^:]*)(?::(?P<folder_port>\d{1,5}))?"
    r"|\[(?P<bracketed>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\](?::(?P<bracketed_port>\d{1,5}))?"
    r"|(?P<host>\w[\w.-]*)(?::(?P<host_port>\d{1,5}))?"
)
_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """A socket folder, a host name or an IP address (IPv6 in brackets), each with `:PORT` where that is not the
    database's."""

    def complaint(self, value: Any) -> str:
        if not _PLACE.fullmatch(value):
            return 'expected a socket folder or a host, each with or without a port: "/run/postgresql:5433"'
        _, port = split_server(value)
        return f"the port must be between 1 and {_HIGHEST_PORT}" if port and not 1 <= int(port) <= _HIGHEST_PORT else ""


def split_server(server: str) -> tuple[str, str]:
    """(socket folder or host, port); empty for what `server`, a valid one or empty, does not say."""
    found = _PLACE.fullmatch(server)
    if found is None:
        return "", ""
    kind = next(kind for kind in ("folder", "bracketed", "host") if found[kind])
    return found[kind], found[f"{kind}_port"] or ""
