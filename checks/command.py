"""command: what no other check asks, asked by a monitoring plugin or script of the plan's own."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, Severity, failed, passed, unknown, warned
from preflight.judging.cures import could_not_look
from preflight.plan import Account, EntryId, HostRef, Name, RoleRef
from preflight.plan.limits import Between
from preflight.plan.values import Argument, OpenText
from preflight.plan.work import behind_become, sudo_cure
from preflight.probe import NoReply, Via
from preflight.questions.files import Ended, HostCommand, LocalCommand
from preflight.questions.local import TARGET
from preflight.questions.shell import NOT_EXECUTABLE, NOT_FOUND, AsAccount
from preflight.reasons import Reason
from preflight.wording import in_toml

_OK, _WARNING, _CRITICAL, _UNKNOWN = range(4)
_WARNS = re.compile(r"\bWARN(?:ING)?\b", re.IGNORECASE)
"""How a monitoring plugin says that a 1 is a warning."""
_DOES_NOT_KNOW = re.compile(r"\bUNKNOWN\b", re.IGNORECASE)
"""How one says that a 3 is that it does not know."""
_LONGEST = 300
_MOST_LINES = 20


class Channel(StrEnum):
    """Over which SSH channel a command is run."""

    SHARED = "shared"
    OWN = "own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`[checks.command.run.NAME]`: one command and how its end is understood."""

    id: EntryId
    program: Argument
    """What is run, without a shell: `/usr/lib/nagios/plugins/check_load`."""
    arguments: tuple[OpenText, ...] = ()
    """Each a string of its own: `["-w", "8", "-c", "12"]`."""
    host: HostRef = ""
    """Where it runs; without it, where preflight runs, in the plan's folder."""
    account: Account = Account("")
    """OS account that runs it on the host, through sudo; the host's login when left out."""
    timeout: Annotated[timedelta, Between(1)] = timedelta(seconds=10)
    """After that it is ended, and UNKNOWN."""
    channel: Channel = Channel.SHARED
    """`own` for a command that takes long: on a host, the others of its batch then do not wait for it."""
    wanted: Name = "exit status 0"
    """What it confirms, in words for the report."""
    remedy: str = ""
    """What its owner does when it fails."""
    owner: RoleRef = ""
    """Who mends it; the host's owner when left out."""
    severity: Severity | None = None
    """What it does to the verdict; as the check when left out."""

    @property
    def argv(self) -> tuple[str, ...]:
        return (self.program, *self.arguments)


class CommandCheck(Check):
    """Do the plan's own commands end well?

    Every site has something that no general tool knows: a licence server, a queue that must be empty, a feature switch.
    What asks it may be any monitoring plugin or script, run without a shell on a host or beside the plan. Its exit
    status is understood as monitoring plugins mean it: 0 PASS, 1 WARN, 2 FAIL, 3 UNKNOWN, with the first line it
    prints as what was seen (what follows a `|` is performance data). A 1 whose first line has no WARN in it is no
    plugin's warning but how `test`, `grep`, `diff` and a crash end: FAIL. Every other end, and a command that cannot
    be started, is UNKNOWN: that of `systemctl is-active` of a stopped service, which is 3, too; `sh -c "... || exit 2"`
    makes a FAIL of it. It gets no secret, no terminal and no input; what it changes is its author's responsibility.
    """

    @dataclass(frozen=True, slots=True)
    class Settings:
        run: Mapping[str, Command] = field(default_factory=dict)
        """`[checks.command.run.NAME]`, one table for each."""

    id = "command"
    title = "the plan's own command ends well"
    sections = ("checks",)
    needs = "what the command itself needs, on the host as the named account"
    cure = "what the plan's `remedy` says"
    judges_no_reply = frozenset({"ended"})

    def subjects(self) -> Sequence[Subject]:
        runs = self.settings.run.values()
        owners = {host.id: host.owner for host in self.plan.hosts.values()}
        return [Subject(run.id, run, run.owner or owners.get(run.host, ""), severity=run.severity) for run in runs]

    def probes(self, subject: Subject) -> Probes:
        command: Command = subject.item
        seconds = command.timeout.total_seconds()
        if not command.host:
            return {"ended": LocalCommand(TARGET, command.argv, seconds)}
        account = AsAccount.on(self.plan.hosts[command.host], command.account)
        return {"ended": HostCommand(command.host, account, command.argv, seconds, command.channel is Channel.OWN)}

    def judge(self, subject: Subject, *, ended: Ended | NoReply) -> Judgement:
        command: Command = subject.item
        typed = shlex.join(command.argv)
        if isinstance(ended, NoReply):
            via, target = (Via.SSH, command.host) if command.host else (Via.LOCAL, TARGET)
            lost = could_not_look(self.plan, via, target, ended)
            if ended.reason is not Reason.QUESTION_LIMIT:
                return lost
            longer = f"raise `timeout` in [checks.command.run.{command.id}]"
            return replace(lost, remedy=f"see why it takes so long{_where(command)}: {typed}; or {longer}")
        said, details = _said(ended.output)
        remedy = command.remedy or f"look at what it says, mend that, then run it again{_where(command)}: {typed}"
        if problem := _not_run(command, ended):
            remedy, behind = f"make it run{_where(command)}: {typed}", ""
            remedy += "" if ended.code in (NOT_FOUND, NOT_EXECUTABLE) else _as_plugin(command)
            if _refused_by_sudo(command, ended):
                host = self.plan.hosts[command.host]
                behind = behind_become(host, command.account)
                remedy = sudo_cure(host, command.account, command.program)
                if not command.program.startswith("/"):  # sudoers wants it
                    remedy = f"name the full path in `program` of [checks.command.run.{command.id}], then run again"
            actual = ended.error.strip().partition("\n")[0][:_LONGEST] or f"exit status {ended.code}"
            return unknown(problem, expected=command.wanted, actual=actual, remedy=remedy, behind=behind)
        if ended.code == _OK:
            return passed(said or "exit status 0, nothing printed", expected=command.wanted)
        # What a program says last on standard error is why it ended: a traceback's exception, kubectl's refusal.
        complaint = ended.error.strip().rpartition("\n")[2][:_LONGEST]
        actual = said or complaint or "nothing printed"
        summary = said or f"exit status {ended.code}" + (f": {complaint}" if complaint else ", nothing printed")
        if ended.code == _WARNING and _WARNS.search(said):
            return warned(said, expected=command.wanted, actual=actual, remedy=remedy, details=details)
        if ended.code in (_WARNING, _CRITICAL):
            return failed(summary, expected=command.wanted, actual=actual, remedy=remedy, details=details)
        if not _DOES_NOT_KNOW.search(said):
            summary, remedy = f"{summary}, exit status {_UNKNOWN}: it does not know", remedy + _as_plugin(command)
        return unknown(summary, expected=command.wanted, actual=actual, remedy=remedy)


def _as_plugin(command: Command) -> str:
    """How a program that is no monitoring plugin says that something is not so."""
    arguments = in_toml(["-c", f"{shlex.join(command.argv)} || exit {_CRITICAL}"])
    return (
        "; or, where it is no monitoring plugin and means by this that something is not so (as `systemctl is-active` "
        f'of a stopped service), write program = "sh" and arguments = {arguments} in [checks.command.run.{command.id}]'
    )


def _not_run(command: Command, ended: Ended) -> str:
    """Why the end is not the command's own; empty when it is."""
    gone = {NOT_FOUND: "is not there", NOT_EXECUTABLE: "cannot be executed"}
    if ended.code in gone:
        return f"{command.program}, or a program that it calls, {gone[ended.code]}"
    if _refused_by_sudo(command, ended):
        return f"sudo does not let the login run it as {command.account}"
    if ended.code not in (_OK, _WARNING, _CRITICAL, _UNKNOWN):
        return f"it ended with {ended.code}, which is no plugin's exit status"
    return ""


def _refused_by_sudo(command: Command, ended: Ended) -> bool:
    return bool(command.account) and ended.code == 1 and ended.error.startswith("sudo: ")


def _said(output: str) -> tuple[str, str]:
    """The first line without its performance data, and some of the lines below it."""
    first, _, rest = output.strip().partition("\n")
    lines = rest.rstrip().split("\n")[:_MOST_LINES] if rest.strip() else []
    return first.partition("|")[0].strip()[:_LONGEST], "\n".join(line[:_LONGEST] for line in lines)


def _where(command: Command) -> str:
    if not command.host:
        return " in the plan's folder"
    return f" on {command.host}" + (f" as {command.account}" if command.account else "")
