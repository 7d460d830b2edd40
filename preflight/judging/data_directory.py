"""Where a database's server keeps its data: by the server's own word, else by a person's."""

import shlex
from collections.abc import Iterator
from datetime import datetime

from preflight.finding import Judgement, failed, unknown
from preflight.plan import Database, Plan
from preflight.plan.said import answered_for
from preflight.questions.sizes import DataDirectories
from preflight.questions.sql import membership_grant
from preflight.questions.storage import SPARE_INODES, Place
from preflight.wording import counted


def data_directory(database: Database, shown: DataDirectories) -> str:
    """Empty where nobody tells."""
    said = database.data_directory
    return shown.data or (said.path if said else "")


def not_shown(
    plan: Plan, moment: datetime, database: Database, summary: str, *, seen: str = "", remedy: str = ""
) -> Judgement:
    """What is not known because the server does not show its data directory to the role, or because the host does not
    show where that lies (`seen`, with its `remedy`), or because it is managed; WARN where a person answers for it."""
    if not database.host:
        actual = "a managed database: nobody logs in to its machine"
        ask = "have its provider show a restore that was made"
        unseen = unknown(summary, expected="its provider's word", actual=actual, remedy=remedy or ask)
        keys = ("databases", database.id, "provider_restores")
        return answered_for(plan, moment, unseen, database.provider_restores, keys, database.owner)
    unseen = unknown(
        summary,
        expected="to see where the data directory lies",
        actual=seen or f"the role {database.user} may not see data_directory",
        remedy=remedy or database.on_primary(membership_grant("pg_read_all_settings", database.user)),
    )
    keys, path = ("databases", database.id, "data_directory"), "/var/lib/postgresql/15/main"
    return answered_for(plan, moment, unseen, database.data_directory, keys, database.owner, path=path)


def not_measured(plan: Plan, moment: datetime, database: Database, place: Place, who: str) -> Judgement:
    """What is free there is not known, because the account `who` cannot enter it, or because it is not there."""
    summary = f"what is free where {place.path} lies cannot be seen"
    if place.absent:
        return not_there(plan, moment, database, place, summary)
    return unknown(
        summary,
        expected=f"to see {place.path} on {database.host}",
        actual=f"{who} sees as far as {place.reached}",
        remedy=f"let {who} enter {shlex.quote(place.reached)} on {database.host}; or have the server's own account do "
        "the work",
    )


def without_inodes(database: Database, place: Place) -> Iterator[Judgement]:
    """A server makes new files for each table and index that is made or rewritten, whatever the free bytes."""
    if place.free_inodes is not None and place.free_inodes < SPARE_INODES:
        yield failed(
            f"{place.free_inodes} inodes free where {database.id} lies: the server can hardly make a file",
            expected=f"{SPARE_INODES} free inodes on {place.label}",
            actual=f"{place.free_inodes} free, whatever its free bytes",
            remedy=f"remove {counted(SPARE_INODES - place.free_inodes, 'file')} on {place.label} of {database.host}",
        )


def not_there(plan: Plan, moment: datetime, database: Database, place: Place, summary: str) -> Judgement:
    """What is not known because the host has no such directory: a server in a container names its own."""
    seen = f"{database.host} has no {place.path}: the server has it elsewhere, as one in a container has"
    volume = f"have the server's volume at {shlex.quote(place.path)} on {database.host} too"
    remedy = f"this tool does not look into containers: {volume}"
    return not_shown(plan, moment, database, summary, seen=seen, remedy=remedy)
