"""Rehearses the scripts of a plan, one database after the other, and makes the record of it."""

import getpass
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import psycopg

from preflight.clock import Deadline, now
from preflight.evidence import write_private
from preflight.judging.cures import cure_of
from preflight.plan import Plan, Scripts
from preflight.plan.work import logins_in, planned_source, scripts_by_database
from preflight.probe import Answer, NoReply, Probe, T, Unreadable
from preflight.questions.postgres import AllowedProbe, IdentityProbe, SystemIdentifierProbe
from preflight.questions.rehearsed import Rehearsal, RehearsedDatabase, RehearsedEntry, format_rehearsal
from preflight.rehearsal import ScratchError
from preflight.rehearsal.account import READABLE, site_account
from preflight.rehearsal.content import Source
from preflight.rehearsal.named import Place
from preflight.rehearsal.place import place_of
from preflight.rehearsal.processes import NO_ROUTE, offered
from preflight.rehearsal.stage import RealServer, Stage, Tried, work_of
from preflight.sessions import SessionFailed
from preflight.sessions.pools import Pools
from preflight.sessions.secrets import SecretError, Secrets
from preflight.wording import one_line, visible

_ASKED_SECONDS = 30.0


def rehearsable(plan: Plan) -> Sequence[Sequence[Scripts]]:
    """The entries that are rehearsed, those of one database together, in the order in which they run."""
    every = plan.once(scripts_by_database).values()
    groups = ([each for each in entries if not each.command or each.rehearse_command] for entries in every)
    return [group for group in groups if group]


def announced(plan: Plan) -> Iterator[str]:
    """What will be written and read, and where, in sentences; and what will not be rehearsed. Raises ScratchError."""
    named = plan.rehearsal.server
    where = "scratch servers on this machine, on a socket in a private folder, thrown away afterwards"
    if named:
        where = (
            f"on the server {named.address}, port {named.port}, as {named.user}: the databases of the scripts and the "
            "roles that are missing there, removed afterwards, with what a rehearsal left that was killed"
        )
    yield f"rehearse is the one command that writes: {where}; and the record {plan.rehearsal_record.name}"
    if named:
        yield "what the scripts call, here or on that server, could reach the site's network"
    elif not offered(NO_ROUTE, site_account()):
        yield "this machine offers no network of its own (unshare): what the scripts call could reach the site's"
    for entries in rehearsable(plan):
        work = work_of(plan, entries[0])
        names = ", ".join(each.id for each in entries)
        yield f"{names}: {Source.said(planned_source(plan, work.database.id, work), plan.rehearsal.content)}"
    for entry in plan.scripts.values():
        if entry.command and not entry.rehearse_command:
            why = "names no `rehearse_command`"
            if not entry.database:
                why = f"is about {entry.engine}, and a scratch server is made of PostgreSQL alone"
            yield f"{entry.id}: not rehearsed, its `command` {why}, and is never started with its own arguments"


def rehearse(plan: Plan, pools: Pools, secrets: Secrets, deadline: Deadline, say: Callable[[str], None]) -> Rehearsal:
    """Runs everything; whatever ends it leaves nothing behind. A database that cannot be rehearsed is told by name, and
    the others are rehearsed. Raises ScratchError where none can, and before anything is sent to a server that the plan
    names and that could be one of its own."""
    begun = now()
    place = _place(plan, pools, secrets, deadline, say)
    databases: dict[str, RehearsedDatabase] = {}
    scripts: dict[str, RehearsedEntry] = {}
    not_rehearsed: dict[str, str] = {}
    for entries in rehearsable(plan):
        try:
            tried = _rehearse_one(plan, entries, place, pools, secrets, deadline, say)
        except (ScratchError, SessionFailed) as error:
            not_rehearsed |= {each.database: secrets.redact(str(error)) for each in entries}
            continue
        scripts |= tried.scripts
        databases |= {each.database: tried.database for each in entries}
    if not_rehearsed and not databases:
        raise ScratchError("; ".join(dict.fromkeys(not_rehearsed.values())))
    for database, problem in not_rehearsed.items():
        say(f"{database} was not rehearsed: {problem}")
    return Rehearsal(
        release=plan.release.id,
        at=begun,
        by=getpass.getuser(),
        where=os.uname().nodename,
        databases=databases,
        scripts=scripts,
        not_rehearsed=not_rehearsed,
    )


def _rehearse_one(
    plan: Plan,
    entries: Sequence[Scripts],
    place: Place | None,
    pools: Pools,
    secrets: Secrets,
    deadline: Deadline,
    say: Callable[[str], None],
) -> Tried:
    """The entries of one database. Raises ScratchError and SessionFailed."""
    database, work = entries[0].database, work_of(plan, entries[0])
    identity = _asked(plan, IdentityProbe(database), pools, deadline)
    system = _asked(plan, SystemIdentifierProbe(database), pools, deadline)
    allowed = _asked(plan, AllowedProbe(database, logins_in(plan, database), identity.version_num), pools, deadline)
    real = RealServer(identity, system, allowed)
    with ExitStack() as stack:
        stack.callback(os.umask, os.umask(READABLE))
        try:
            stage = Stage(plan, entries, site_account(), real, place, deadline, say, stack)
            return stage.rehearse(Source(planned_source(plan, database, work), pools, secrets, deadline))
        except OSError as error:  # the disk is full
            raise ScratchError(f"the scratch server could not be filled: {error.strerror or error}") from None
        except psycopg.Error as error:
            raise ScratchError(f"the scratch server was lost: {one_line(str(error))}") from None


def _place(plan: Plan, pools: Pools, secrets: Secrets, deadline: Deadline, say: Callable[[str], None]) -> Place | None:
    """Of the server that the plan names. Raises ScratchError."""
    server = plan.rehearsal.server
    if server is None:
        return None
    try:
        purpose = f"password of {server.user} for [rehearsal.server]"
        secret = secrets.value(server.password, purpose) if server.password else ""
    except SecretError as error:
        raise ScratchError(f"`password` of [rehearsal.server]: {error}") from None
    return place_of(plan, server, secret, lambda name: _asked(plan, SystemIdentifierProbe(name), pools, deadline), say)


def write_record(plan: Plan, record: Rehearsal) -> None:
    """Beside the plan, for its owner alone. Raises ScratchError."""
    try:
        write_private(plan.rehearsal_record, format_rehearsal(record))
    except OSError as error:
        raise ScratchError(f"{visible(str(plan.rehearsal_record))}: {error.strerror or error}") from None


def _asked(plan: Plan, probe: Probe[T], pools: Pools, deadline: Deadline) -> T:
    """Raises ScratchError, with the cure, where the plan's role gets no answer."""
    answers: list[Answer] = []
    question = probe.question()
    session = pools.session(question.via, question.target)
    session.ask([question], deadline.at_most(_ASKED_SECONDS), lambda _, answer: answers.append(answer))
    [answer] = answers
    if isinstance(answer, NoReply):
        cure = cure_of(plan, question.via, question.target, answer)
        raise ScratchError(f"{question.target} was not seen: {answer.detail}; cure: {cure}")
    try:
        return probe.read(answer)
    except Unreadable as error:
        raise ScratchError(f"{question.target} was not seen: {error}") from None
