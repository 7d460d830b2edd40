"""What `preflight show` prints: every question of a run, word for word, before anybody is asked."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, groupby
from textwrap import indent

from preflight.check import Check
from preflight.engine.inspection import Inspection
from preflight.engine.registry import Registry
from preflight.plan import Connect, Database, Host, Plan
from preflight.plan.ranges import in_ranges
from preflight.plan.work import other_accounts, programs_of
from preflight.probe import Question, Via
from preflight.report.harmless import clean
from preflight.report.layout import wrapped
from preflight.wording import counted, first_paragraph, in_toml

_VERBATIM = "      | "
_QUOTE = "'\"'\"'"
"""A single quote inside single quotes, as shlex.quote writes it."""
_FIELD, _RECORD = "\x1f", "\x1e"
"""ASCII's separators; no text that is shown has one."""
_SINGLE_QUOTED = re.compile(r"""'[^']*'(?:"'"'[^']*')*""")
_PROMISES = (
    (
        "It only reads: no question of its own changes a file, a row or a setting (what a command of [checks.command] "
        "does is its author's word), and nothing is left behind but what the "
        "servers' own logs record of a login. One proof takes room for a moment: whether a backup directory can be "
        "written to is tried with a file of 1 MiB that has no name (O_TMPFILE) and is gone when the question ends."
    ),
    (
        "One login for each host and one for each database, for both rounds; what logs in once more on a server itself "
        "is named under the second round. A refused login is never tried again."
    ),
    "Passwords stand in no command, log or report; here only the names of their sources are printed.",
    "Unknown and changed host keys are refused before any password is sent.",
    "Every question has the time limit printed with it, and the whole run has one (`preflight run --timeout`).",
)
_MANNERS = {
    Via.SSH: (
        "All questions of a round go to one `env LC_ALL=C sh -s`, each between marks of a random number and, where "
        "the host has timeout(1), under its time limit. What is slow or may hang gets a channel of its own. "
        "Standard input is empty unless a secret's source is named. A script for another shell is shown indented, "
        "without the quoting that carries it there."
    ),
    Via.SQL: (
        "Each statement runs in a READ ONLY transaction of its own, with its time limit as statement_timeout, a "
        "lock_timeout of 1 s and search_path pg_catalog; application_name is preflight. After the login one more "
        "statement reads the connection's own settings from pg_settings and pg_stat_ssl; with TLS, one more connection "
        "makes a TLS handshake and nothing else, to see until when the certificate is valid."
    ),
    Via.HTTP: "GETs of each address behind the name, without cookies or a proxy; of secrets, those named with it.",
    Via.LOCAL: (
        "Files are read where preflight runs; nothing is sent anywhere. A command of the plan's own runs without a "
        "shell and gets neither a terminal nor a secret."
    ),
}


def render(inspection: Inspection, registry: Registry, first_round: Sequence[Question], shown_as: str) -> str:
    """`first_round`: what a run would ask first. `shown_as`: the plan's file as the caller wrote it."""
    return "\n".join(_lines(inspection, registry, first_round, shown_as)) + "\n"


def second_round(check: type[Check]) -> str:
    """What it may ask once it has its first answers, in its author's words; empty for a check that asks once."""
    if check.follow_up is Check.follow_up:
        return ""
    return first_paragraph(check.follow_up) or "its author does not say what."


def _purposes(inspection: Inspection) -> Mapping[str, Iterable[str]]:
    """Question id -> `check subject` of everything that is judged by its answer."""
    found: dict[str, dict[str, None]] = {}
    for item in inspection.items:
        for planned in item.probes.values():
            found.setdefault(planned.question.id, {})[f"{item.check_id} {item.subject.id}"] = None
    return found


def _lines(inspection: Inspection, registry: Registry, first_round: Sequence[Question], shown_as: str) -> Iterator[str]:
    plan, asked_for = inspection.plan, _purposes(inspection)
    kinds = list(Via)
    ordered = sorted(first_round, key=lambda question: (kinds.index(question.via), question.target))
    targets = {(question.via, question.target) for question in ordered}
    total = f"{counted(len(ordered), 'question')} to {counted(len(targets), 'target')}"
    title = "  ".join(part for part in (plan.release.id, plan.release.title, plan.release.ticket) if part)
    yield from wrapped(title, "")
    what = f"What `preflight run {shown_as}` asks, word for word: {total}. Nothing was asked to print this."
    yield from (*wrapped(what, ""), "")
    for promise in _PROMISES:
        yield from wrapped(promise, "    ", "  - ")
    for source in registry.broken:
        problem = f"What {source.name} would ask is not known, it cannot be loaded: {source.problem}"
        yield from wrapped(problem, "    ", "  - ")
    yield ""
    for line in in_ranges(_who_works_on(plan, host, ordered) for host in plan.hosts.values()):
        yield from wrapped(line, "    ", "  ")
    first: dict[tuple[Via, str], str] = {}
    numbers = count(1)
    for via, of_kind in groupby(ordered, key=lambda question: question.via):
        yield from ("", *wrapped(_MANNERS[via], "        ", f"  {via:<6}"))
        for told in in_ranges(_blocks(plan, via, of_kind, asked_for)):
            head, *questions = told.split(_RECORD)
            target, words = head.split(_FIELD)
            yield from ("", *wrapped(words, "  "))
            for limits, wanted, text in (each.split(_FIELD) for each in questions):
                number = next(numbers)
                same = first.setdefault((via, text), f"{number} on {target}")
                yield from ("", *wrapped(limits, "      ", f"  {number:>3} "))
                if wanted:
                    yield from wrapped(wanted, "      ")
                yield text if same == f"{number} on {target}" else f"{_VERBATIM}(the same text as question {same})"
    yield from ("", *_second_round(inspection, registry))


def _who_works_on(plan: Plan, host: Host, questions: Sequence[Question]) -> str:
    """`db1: 6 questions as dbadmin; with sudo as postgres: pg_dump, pg_restore`."""
    asked = sum(question.via is Via.SSH and question.target == host.id for question in questions)
    said = f"{host.id}: {counted(asked, 'question')} as {host.who}"
    for account in other_accounts(plan, host):
        programs = ", ".join(programs_of(plan, host.id, account)) or "no program that the plan names"
        said += f"; with sudo as {account}: {programs}"
    return said


def _blocks(plan: Plan, via: Via, questions: Iterable[Question], wanted: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """All that is told of each target, in one text, so that targets become one that are equal but for a number that
    counts up: forty hosts are read once. In a target, so do questions."""
    for target, of_target in groupby(questions, key=lambda question: question.target):
        told = [_FIELD.join(_question(each, wanted.get(each.id, ()))) for each in of_target]
        yield _RECORD.join([_FIELD.join([clean(target), clean(_target(plan, via, target))]), *in_ranges(told)])


def _question(question: Question, wanted: Iterable[str]) -> tuple[str, str, str]:
    """(its limits, what for, the text)."""
    limits = f"at most {question.timeout_seconds:g} s"
    if question.own_channel and question.via is Via.SSH:
        limits += ", in a channel of its own"
    if question.stdin_secret:
        limits += f"; the value of {question.stdin_secret} is written to its standard input, one line, for sudo"
    return limits, clean(f"for {', '.join(wanted)}") if wanted else "", "\n".join(text_of(question))


def text_of(question: Question) -> Iterator[str]:
    """The question word for word, scripts for another shell in clear; what a terminal acts on is escaped, tabs stay."""
    for line in _in_clear(question.text.removesuffix("\n")).split("\n"):
        yield _VERBATIM + "\t".join(map(clean, line.split("\t"))) if line else _VERBATIM.rstrip()


def _in_clear(text: str) -> str:
    """Scripts that are handed to another shell indented, without the quoting that carries them there."""

    def inner(quoted: re.Match[str]) -> str:
        script = quoted[0].replace(_QUOTE, "'")[1:-1]
        if _QUOTE not in quoted[0] or "\n" not in script:
            return quoted[0]
        return f"'\n{indent(_in_clear(script).rstrip(), '    ')}\n'"

    return _SINGLE_QUOTED.sub(inner, text)


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
    by = "the key of ssh_config" if host.ssh_config else "no credential"
    if host.password is not None:
        by = f"the password from {host.password}"
    elif host.agent:
        by = f"the SSH agent's key {host.agent}"
    elif host.key is not None:
        by = f"the key file {host.key}" + (f" with the passphrase from {host.passphrase}" if host.passphrase else "")
    by += f", and a code that somebody types at {in_toml(host.code_prompt)}" if host.second_factor else ""
    where = f"host {host.id}: {host.address or host.id} port {host.ssh_port} as {host.who}, by {by}"
    if host.jump:
        where += f", through {host.jump}"
    if host.ssh_config:
        where += "; ssh_config may complete this"
    accounts = [
        f"{entry.account} (password from {entry.password})" if entry.password else entry.account
        for entry in host.become
    ]
    return where + (f"; becomes {', '.join(accounts)} with sudo" if accounts else "")


def _database(plan: Plan, database: Database) -> str:
    way = f"through the SSH login to {database.tunnel_host}" if database.connect is Connect.TUNNEL else "directly"
    password = f"the password from {database.password}" if database.password else "no password"
    return (
        f"database {database.id}: {database.dbname} at {database.server_address(plan.home_of(database))} "
        f"port {database.port} as {database.user}, {password}, {way}, sslmode {database.sslmode}"
    )


def _second_round(inspection: Inspection, registry: Registry) -> Iterator[str]:
    yield from wrapped(
        "Second round: the answers decide whether more is asked, over the same logins and under the same limits; there "
        "is no third. A run saves every question that was really sent, with its answer, as evidence.",
        "  ",
    )
    subjects = Counter(item.check_id for item in inspection.items if item.check)
    for check in registry.checks:
        later = second_round(check)
        if subjects[check.id] and later:
            yield from wrapped(f"{check.id} ({counted(subjects[check.id], 'subject')}): {later}", "    ", "  - ")
