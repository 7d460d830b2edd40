"""What `preflight show` prints: every question of a run, word for word, before anybody is asked."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from preflight.check import Check
from preflight.inspection import Inspection
from preflight.plan import Connect, Database, Host, Plan
from preflight.probe import Question, Via
from preflight.report.layout import clean, wrapped

_ORDER = (Via.SSH, Via.SQL, Via.HTTP, Via.LOCAL)
_VERBATIM = "      | "
_PROMISES = (
    (
        "It only reads: no question changes a file, a row or a setting, and nothing is left behind but what the "
        "servers' own logs record of a login."
    ),
    "One login for each host and one for each database, for both rounds. A refused login is never tried again.",
    "Passwords stand in no command, log or report; here only the names of their sources are printed.",
    "Unknown and changed host keys are refused before any password is sent.",
    "Every question has the time limit printed with it, and the whole run has one (`preflight run --timeout`).",
)
_MANNERS = {
    Via.SSH: (
        "All questions of a round go to one `env LC_ALL=C sh -s`, each between marks of a random number and, where "
        "the host has timeout(1), under its time limit. What is slow or may hang gets a channel of its own. "
        "Standard input is empty unless a secret's source is named."
    ),
    Via.SQL: (
        "Each statement runs in a READ ONLY transaction of its own, with its time limit as statement_timeout, a "
        "lock_timeout of 1 s and search_path pg_catalog; application_name is preflight. After the login one more "
        "statement reads the connection's own settings from pg_settings and pg_stat_ssl."
    ),
    Via.HTTP: "One GET each, without cookies, credentials or a proxy.",
    Via.LOCAL: "Files are read where preflight runs; nothing is sent anywhere.",
}


def render(
    plan: Plan,
    first_round: Sequence[Question],
    asked_for: Mapping[str, Sequence[str]] | None = None,
    checks: Sequence[type[Check]] = (),
) -> str:
    """`first_round`: what a run would ask first. `asked_for`: question id -> the checks that want its answer, as
    `purposes` gives it. `checks`: those of the run, to say which of them may ask more in a second round."""
    return "\n".join(_lines(plan, first_round, asked_for or {}, checks)) + "\n"


def purposes(inspection: Inspection) -> Mapping[str, Sequence[str]]:
    """Question id -> `check subject` of everything that is judged by its answer."""
    found: dict[str, list[str]] = {}
    for item in inspection.items:
        for probe in item.probes.values():
            wanted = found.setdefault(probe.question().id, [])
            label = f"{item.check_id} {item.subject.id}"
            if label not in wanted:
                wanted.append(label)
    return found


def _lines(
    plan: Plan, first_round: Sequence[Question], asked_for: Mapping[str, Sequence[str]], checks: Sequence[type[Check]]
) -> Iterator[str]:
    ordered = sorted(first_round, key=lambda question: (_ORDER.index(question.via), question.target))
    title = "  ".join(part for part in (plan.release.id, plan.release.title, plan.release.ticket) if part)
    yield from wrapped(title, "")
    what = f"What `preflight run {plan.path.name}` asks, word for word: {_total(ordered)}."
    yield from wrapped(f"{what} Nothing was asked to print this.", "")
    yield ""
    for promise in _PROMISES:
        yield from wrapped(promise, "    ", "  - ")
    number = 0
    for via, of_kind in groupby(ordered, key=lambda question: question.via):
        yield ""
        yield from wrapped(_MANNERS[via], "        ", f"  {via:<6}")
        for target, of_target in groupby(of_kind, key=lambda question: question.target):
            yield ""
            yield from wrapped(_target(plan, via, target), "  ")
            for question in of_target:
                number += 1
                yield ""
                yield from _question(number, question, asked_for.get(question.id, ()))
    yield ""
    yield from _second_round(checks)


def _total(questions: Sequence[Question]) -> str:
    count = len(questions)
    targets = len({(question.via, question.target) for question in questions})
    return f"{count} question{'' if count == 1 else 's'} to {targets} target{'' if targets == 1 else 's'}"


def _question(number: int, question: Question, wanted: Sequence[str]) -> Iterator[str]:
    limits = f"at most {question.timeout_seconds:g} s"
    if question.own_channel:
        limits += ", in a channel of its own"
    if question.stdin_secret:
        limits += f"; the value of {question.stdin_secret} is written to its standard input, one line, for sudo"
    yield from wrapped(limits, "      ", f"  {number:>3} ")
    if wanted:
        yield from wrapped(f"for {', '.join(wanted)}", "      ")
    for line in question.text.removesuffix("\n").split("\n"):
        yield _VERBATIM + _verbatim(line) if line else _VERBATIM.rstrip()


def _verbatim(line: str) -> str:
    """The line as it is sent; what a terminal would act on is shown as an escape, tabs stay."""
    return "\t".join(clean(part) for part in line.split("\t"))


def _target(plan: Plan, via: Via, target: str) -> str:
    match via:
        case Via.SSH if target in plan.hosts:
            return _host(plan.hosts[target])
        case Via.SQL if target in plan.databases:
            return _database(plan, plan.databases[target])
        case Via.HTTP:
            return f"application {target}"
        case Via.LOCAL:
            return "files beside the plan"
    return f"{via} {target}"


def _host(host: Host) -> str:
    user = host.user or "the login of ssh_config"
    where = f"host {host.id}: {host.address or host.id} port {host.port} as {user}, by {_credential(host)}"
    if host.jump:
        where += f", through {host.jump}"
    if host.ssh_config:
        where += "; ssh_config may complete this"
    accounts = [
        f"{entry.account} (password from {entry.password})" if entry.password else entry.account
        for entry in host.become
    ]
    return where + (f"; becomes {', '.join(accounts)} with sudo" if accounts else "")


def _credential(host: Host) -> str:
    if host.password is not None:
        return f"the password from {host.password}"
    if host.agent:
        return f"the SSH agent's key {host.agent}"
    if host.key is not None:
        passphrase = f" with the passphrase from {host.passphrase}" if host.passphrase else ""
        return f"the key file {host.key}{passphrase}"
    return "the key of ssh_config" if host.ssh_config else "no credential"


def _database(plan: Plan, database: Database) -> str:
    host = plan.host_of(database)
    address = database.address or host.address or host.id
    way = f"through the SSH login to {host.id}" if database.connect is Connect.TUNNEL else "directly"
    password = f"the password from {database.password}" if database.password else "no password"
    return (
        f"database {database.id}: {database.name or database.id} at {address} port {database.port} as {database.user}, "
        f"{password}, {way}, sslmode {database.sslmode}"
    )


def _second_round(checks: Sequence[type[Check]]) -> Iterator[str]:
    yield from wrapped(
        "Second round: the answers decide whether more is asked, over the same logins and under the same limits; there "
        "is no third. A run saves every question that was really sent, with its answer, as evidence.",
        "  ",
    )
    for check in checks:
        if check.follow_up is not Check.follow_up:
            said = (inspect.getdoc(check.follow_up) or "depends on the answers").partition("\n\n")[0]
            yield from wrapped(f"{check.id}: {said}", "    ", "  - ")
