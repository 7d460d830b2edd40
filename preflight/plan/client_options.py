"""Which further options the plan may give to PostgreSQL's client programs. Pure.

An option is allowed when it is known to leave the work what it is: a full backup, a restore of all of it, to the place
and from the server that the plan's keys name. Every other one is refused, also one that does no harm but is not known
here: the programs take clusters of short options and shortened long ones, so that what is forbidden cannot be listed.
Read from the manuals of PostgreSQL 12 to 17 and tried with pg_dump, pg_restore and psql."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from preflight.plan import BackupFormat

_EVERY = tuple(BackupFormat)
_NUMBER = r"[1-9]\d{0,3}"
_PACKED = (BackupFormat.CUSTOM, BackupFormat.DIRECTORY)
_COMPRESS = r"\d"


class _Option(NamedTuple):
    value: str = ""
    """Pattern of its value; empty for an option that takes none."""
    formats: Sequence[BackupFormat] = _EVERY
    """Of the backup, with which the program takes it."""
    needs: str = ""
    """Another option without which the program refuses it."""
    unless: str = ""
    """Another option with which the program refuses it."""


_ALLOWED: Mapping[str, Mapping[str, _Option]] = {
    "pg_dump": {
        "--jobs": _Option(_NUMBER, (BackupFormat.DIRECTORY,)),
        "--compress": _Option(_COMPRESS, _PACKED),  # a packed plain file is no script that psql reads
        "--lock-wait-timeout": _Option(r"\d+(?:ms|s|min)"),  # it fails instead of waiting for ever
        "--serializable-deferrable": _Option(),  # it waits for a moment at which nothing can be amiss
        "--quote-all-identifiers": _Option(),  # for a server whose reserved words are others
        "--load-via-partition-root": _Option(),  # rows find their partition again when they are put back
        "--clean": _Option("", (BackupFormat.PLAIN,)),  # as of pg_restore, which has no part in a plain one
        "--if-exists": _Option("", (BackupFormat.PLAIN,), needs="--clean"),
        "--verbose": _Option(),
    },
    "pg_basebackup": {
        "--checkpoint": _Option("fast|spread"),
        "--wal-method": _Option("stream|fetch"),  # `none` would leave out what makes the copy consistent
        "--max-rate": _Option(r"\d+[kM]?"),
        "--compress": _Option(_COMPRESS, (BackupFormat.TAR,)),
        "--label": _Option(".+"),
        "--progress": _Option(),
        "--verbose": _Option(),
    },
    "pg_restore": {
        "--clean": _Option(),  # what is there is replaced
        "--if-exists": _Option(needs="--clean"),
        "--no-owner": _Option(),  # everything belongs to the role that restores
        "--jobs": _Option(_NUMBER, _PACKED, unless="--single-transaction"),
        "--single-transaction": _Option(),
        "--verbose": _Option(),
    },
    "psql": {"--single-transaction": _Option(), "--quiet": _Option()},
}
"""By the name of the client program."""
_OF_KEYS: Mapping[str, str] = {
    "--host": "`server`",
    "--port": "`server`",
    "--username": "`login`",
    "--dbname": "`database`, or `into` of a restore",
    "--file": "`directory` and `file`",
    "--pgdata": "`directory` and `file`",
    "--format": "`format`",
    "--gzip": "--compress",
}
"""Options whose work a key of the plan does."""

_NO_OPTION = "expected one long option in full, --name or --name=VALUE"
_UNKNOWN = "is not known to be harmless"


def allowed(client: str, backup_format: BackupFormat) -> Mapping[str, _Option]:
    """What may be given to it for a backup in this format, by the option's name."""
    return {name: each for name, each in _ALLOWED[client].items() if backup_format in each.formats}


def complaints(client: str, backup_format: BackupFormat, options: Sequence[str]) -> Mapping[int, str]:
    """Why options are refused, by their places. No value is repeated: it may be a secret."""
    here = allowed(client, backup_format)
    named = [option.partition("=")[0] for option in options]
    known = ", ".join(map(_written, here, here.values()))
    instead = f"; {client} may be given {known} here, and for anything else there is `command`"
    found = {at: _complaint(option, _ALLOWED[client], backup_format, named) for at, option in enumerate(options)}
    return {at: said + instead * (said in (_NO_OPTION, _UNKNOWN)) for at, said in found.items() if said}


def _complaint(option: str, every: Mapping[str, _Option], backup_format: BackupFormat, named: Sequence[str]) -> str:
    name, equals, value = option.partition("=")
    if name in _OF_KEYS:
        return f"is written by the tool: use {_OF_KEYS[name]}"
    if not re.fullmatch(r"--[a-z][a-z-]*", name):
        return _NO_OPTION
    known = every.get(name)
    if known is None:
        return _UNKNOWN
    if backup_format not in known.formats:
        return f"is taken with format = {' or '.join(known.formats)} alone"
    if bool(equals) != bool(known.value) or not re.fullmatch(known.value, value):
        return f"expected {_written(name, known)}{f', where VALUE matches {known.value}' if known.value else ''}"
    if known.needs and known.needs not in named:
        return f"is refused without {known.needs}"
    if known.unless in named:
        return f"is refused beside {known.unless}"
    return "is given twice" if named.count(name) > 1 else ""


def _written(name: str, option: _Option) -> str:
    return f"{name}=VALUE" if option.value else name
