"""The file beside the plan in which `preflight seal` records at which server each database is, and where
the plan named who may sign, with the hashes of these files.

The system identifier, the data directory and the server's own port identify it, each where both were seen; oid and
timeline say whether the database is the same. The start does not: servers restart. Nor does an address: it may move."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from preflight.errors import PlanError, PlanProblem
from preflight.plan.confirmed import Digest
from preflight.plan.limits import Between, Matches
from preflight.plan.values import Port
from preflight.probe import Unreadable
from preflight.record import parse_json, read_record
from preflight.wording import visible

SEALED = ".sealed.json"
"""How its name ends."""
_FORMAT = 1
_LONGEST = 40
"""Of a value in the name of a file."""


@dataclass(frozen=True, slots=True)
class ServerComparison:
    """Which facts of an identity agree, and which differ: (sealed, seen) by name."""

    agree: tuple[str, ...]
    differ: Mapping[str, tuple[str, str]]

    @property
    def told(self) -> str:
        """`port differs; system identifier and data directory agree`."""
        said = [(self.differ, "differs", "differ"), (self.agree, "agrees", "agree")]
        told = (f"{' and '.join(names)} {one if len(names) == 1 else many}" for names, one, many in said if names)
        return "; ".join(told)

    @property
    def sealed(self) -> str:
        return ", ".join(f"{name} {sealed}" for name, (sealed, _) in self.differ.items())

    @property
    def seen(self) -> str:
        return ", ".join(f"{name} {seen}" for name, (_, seen) in self.differ.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedServer:
    """What identifies a server."""

    system_identifier: Annotated[str, Matches(r"\d{1,20}", "the digits that pg_controldata shows")]
    port: Port
    """The server's own."""
    data_directory: str = ""
    """Empty where the role that sealed may not see it."""
    addresses: tuple[str, ...] = ()
    """The server's own, as it was reached; several where it moved and was sealed again."""
    oid: Annotated[str, Matches(r"\d{0,10}", "the digits that pg_database has")] = ""
    timeline: Annotated[str, Matches(r"\d{0,10}", "digits")] = ""
    """Both are empty where an older version sealed; this one also where the role that sealed may not see it."""

    @property
    def told(self) -> str:
        """In one line, for people."""
        place = " or ".join(self.addresses) or "a socket"
        data = f", {visible(self.data_directory)}" if self.data_directory else ""
        return f"system {self.system_identifier}{data}, port {self.port} at {place}"

    def compared(self, system: str, port: int, data: str, oid: str = "", timeline: str = "") -> ServerComparison:
        """With what a login saw; empty or 0 for what it did not."""
        facts = (
            ("system identifier", self.system_identifier, system),
            ("data directory", self.data_directory, data),
            ("port", str(self.port), str(port or "")),
            ("database oid", self.oid, oid),
            ("timeline", self.timeline, timeline),
        )
        both = [each for each in facts if each[1] and each[2]]
        return ServerComparison(
            tuple(name for name, sealed, seen in both if sealed == seen),
            {name: (sealed, seen) for name, sealed, seen in both if sealed != seen},
        )


@dataclass(frozen=True, slots=True)
class Sealed:
    """The whole file."""

    databases: Mapping[str, SealedServer] = field(default_factory=dict)
    """By the name of the [databases] entry."""
    allowed_signers: Mapping[str, Digest] = field(default_factory=dict)
    """Where the plan named who may sign, `release` or `scripts.orders` -> SHA-256 of that file."""
    format: Annotated[int, Between(_FORMAT, _FORMAT)] = _FORMAT


def file_beside(plan: Path, set_values: Mapping[str, str], ending: str) -> Path:
    """A file that belongs to the plan in the file `plan`. With other values of its variables it is another plan, about
    other servers, with files of its own: `release.target-production.known_hosts`."""
    chosen = (f".{name}-{re.sub(r'[^A-Za-z0-9_-]', '_', value)[:_LONGEST]}" for name, value in set_values.items())
    return plan.with_name(f"{plan.stem}{''.join(chosen)}{ending}")


def read_sealed(path: Path) -> Sealed:
    """What was sealed; nothing without the file. Raises PlanError."""
    try:
        return read_record(Sealed, parse_json(path.read_text("utf-8")))
    except FileNotFoundError:
        return Sealed()
    except (Unreadable, UnicodeDecodeError) as error:
        problem = str(error)
    except OSError as error:
        problem = error.strerror or str(error)
    message = f"cannot be read: {visible(problem)}; take back the file as it was sealed, or remove it and seal again"
    raise PlanError([PlanProblem(visible(path.name), None, "", message)])


def format_sealed(sealed: Sealed) -> str:
    return json.dumps(asdict(sealed), indent=2, ensure_ascii=False) + "\n"
