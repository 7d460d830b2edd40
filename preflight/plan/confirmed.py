"""The file beside the plan that holds what people said of it: who confirmed, who attested an item, who decided.

`preflight confirm` and `preflight decide` add to it and take nothing away, so that a saved run is judged again by what
was said until then. It is no part of the plan's digest: what a word covers is told by the digests in it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from preflight.errors import PlanError, PlanProblem
from preflight.plan.limits import Between, Matches, filled
from preflight.plan.source import read_source
from preflight.plan.values import same_person
from preflight.probe import Unreadable
from preflight.record import fields_of, plain, read_record, without_defaults
from preflight.wording import in_toml, visible

Digest = Annotated[str, Matches("[0-9a-f]{64}", "SHA-256, 64 hex digits")]
CONFIRMED = ".confirmed.toml"
"""How its name ends."""
_FORMAT = 1
_HEADER = "# What people said of the plan beside this file, by `preflight confirm` and `decide`: not edited by hand.\n"
_CURE = "take back the file as `preflight confirm` wrote it, or remove it and have everybody confirm again"


class _Signable:
    __slots__ = ()

    @property
    def signed_text(self: Any) -> str:
        """Everything that is said, in the one form that is signed."""
        said = {key: getattr(self, key) for key in fields_of(self.__class__) if key != "signature"}
        return json.dumps(said, default=plain, sort_keys=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation(_Signable):
    """What one person said at one time: that he will be there for his role, or that an item is so."""

    by: Annotated[str, filled]
    at: datetime
    covers: Mapping[str, str]
    """The parts of the plan that it was said of, `hosts.db1`, each as it was then: its SHA-256."""
    role: str = ""
    """The role, where it is confirmed."""
    item: str = ""
    """The id of the `[[attest]]`, where that is said."""
    signature: str = ""
    """By whoever says it, of `signed_text`."""


class DecisionTaken(StrEnum):
    GO = "go"
    NO_GO = "no-go"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided(_Signable):
    """What one person decided about the release. It changes no verdict."""

    decision: DecisionTaken
    by: Annotated[str, filled]
    at: datetime
    verdict: str
    """What preflight said then of the newest saved run: `NO-GO`."""
    plan: Digest
    """SHA-256 of the plan."""
    run: Digest
    """SHA-256 of the run's evidence."""
    because: str = ""
    against: str = ""
    """Why it is a go though the verdict is none."""
    signature: str = ""
    """By whoever decides, of `signed_text`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """The whole file."""

    confirmations: tuple[Confirmation, ...] = ()
    decided: tuple[Decided, ...] = ()
    format: Annotated[int, Between(_FORMAT, _FORMAT)] = _FORMAT

    def newest(self, until: datetime, *, by: str = "", role: str = "", item: str = "") -> Confirmation | None:
        """The last one up to a moment of a role or an item; by this person, or by anybody where none is named."""
        said = (each for each in self.confirmations if (each.role, each.item) == (role, item) and each.at <= until)
        found = [each for each in said if not by or same_person(by, each.by)]
        return max(reversed(found), key=lambda each: each.at, default=None)  # of one second, the one written last


def read_confirmed(path: Path) -> Confirmed:
    """What was said; nothing without the file. Raises PlanError."""
    if not path.exists():
        return Confirmed()
    source = read_source(path)
    try:
        return read_record(Confirmed, source.tables)
    except Unreadable as error:
        message = f"cannot be read: {visible(str(error))}; {_CURE}"
    raise PlanError([PlanProblem(source.name, None, "", message)])


def format_confirmed(confirmed: Confirmed) -> str:
    tables: list[tuple[str, Any]] = [("confirmations", each) for each in confirmed.confirmations]
    tables += [("decided", each) for each in confirmed.decided]
    entries = "".join(f"\n[[{name}]]\n{''.join(_lines(each))}" for name, each in tables)
    return f"{_HEADER}format = {confirmed.format}\n{entries}"


def _lines(record: Any) -> Iterator[str]:
    for key, value in without_defaults(record):
        yield f"{key} = {in_toml(plain(value) if isinstance(value, datetime) else value)}\n"
