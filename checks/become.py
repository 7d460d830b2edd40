"""become: the accounts that do the work are reached, for the very programs they have to run."""

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from preflight.check import Check, Probes, Subject
from preflight.finding import Judgement, failed, passed, unknown, warned
from preflight.judging.ends import End, TimeOfNeed
from preflight.plan import Host
from preflight.plan.release_plan import grouped
from preflight.plan.work import minutes_at_stake, other_accounts, programs_of, sudo_cure, work_of
from preflight.questions import sudo
from preflight.questions.shell import AsAccount, Refusal
from preflight.units import format_duration

_BY_RULE = (Refusal.NOT_ALLOWED, Refusal.ONLY_VERSION, Refusal.NEEDS_PASSWORD, Refusal.NO_EXEC)
"""One line of sudoers cures it for all programs."""
_SHELL = "/bin/sh"
"""Other checks look at the account's folders with it."""
_REMEDIES = {
    Refusal.NO_SUDO: "have sudo installed on {host}, or let {login} log in as {account} directly",
    Refusal.NOT_FOUND: "have {program} installed on {host} where sudo's secure_path finds it, or name its full path in "
    "the plan: `program` or `command` of its entry",
    Refusal.UNKNOWN_ACCOUNT: "correct the account's name in the plan, or have {account} made on {host}",
    Refusal.NEEDS_TERMINAL: "have this line in sudoers on {host}: Defaults:{login} !requiretty",
    Refusal.NOT_ALLOWED: "{rule}",
    Refusal.ONLY_VERSION: "{rule} (after all others)",
    Refusal.WRONG_PASSWORD: "correct the secret that `password` of {account} names in `become` of [hosts.{host}]",
    Refusal.NEEDS_PASSWORD: "{rule}; or name the password in `become` of [hosts.{host}]",
    Refusal.NO_EXEC: "{starting}",
    Refusal.OWN_FILE: "have whoever keeps the rules of sudo on {host} mend the place of its log, iolog_dir "
    "or logfile of Defaults; as root, this shows them: sudo -V",
    Refusal.OTHER: "run it by hand on {host} and cure what it complains of: sudo -k -n -u {account} -- {program}",
}


@dataclass(frozen=True, slots=True)
class _Target:
    host: Host
    account: AsAccount
    programs: tuple[str, ...]


class BecomeAccount(Check):
    """Does the login reach each account it has to become, without a prompt, for the programs the plan needs?

    A DBA who may log in but not become the database's owner is back on the network with his backup (a, b). Each
    program that the plan's backups and scripts need is run as the account with `--version`: `sudo -l` shows what is
    listed, not what runs without a password, and `sudo true` fails where single programs are listed. A rule that names
    arguments (`pg_dump --version`) is FAIL, and so is one that refuses those of the night (`!/usr/bin/psql *-f *`). A
    cached ticket of somebody's earlier sudo does not help (`-k`). Where the plan names a password, it goes to sudo's
    standard input once; without one a prompt is a FAIL. An account for which the plan names no program is reached with
    a shell, or else judged by what its rules list. A rule that ends (NOTAFTER) must outlive the window and its
    rollback, and one that ends the command (TIMEOUT, command_timeout) must allow for its step. Each refusal is logged
    by sudo on the host, as any other would be.
    """

    id = "become"
    title = "the login becomes the account for the programs it needs"
    sections = ("hosts",)
    needs = "a sudoers line for each account: `LOGIN ALL = (ACCOUNT) NOPASSWD: /full/path/of/pg_dump, ...`"
    cure = "have the sudoers line written, or the password named in the plan"

    def subjects(self) -> Sequence[Subject]:
        found = []
        for host in self.plan.hosts.values():
            steps = self.plan.steps_on(host.id)
            for name in other_accounts(self.plan, host):
                target = _Target(host, AsAccount.on(host, name), programs_of(self.plan, host.id, name))
                found.append(Subject(f"{name} on {host.id}", target, host.owner, steps, host.lead_time))
        return found

    def probes(self, subject: Subject) -> Probes:
        target: _Target = subject.item
        rules: Probes = {} if target.account.password else self._rules(target)
        if target.programs:
            return {"programs": sudo.ProgramsProbe.on(self.plan, target.host, target.account.account), **rules}
        return {"reach": sudo.ReachProbe(target.host.id, target.account), **rules}

    def follow_up(
        self, subject: Subject, *, programs: sudo.Programs = (), reach: sudo.Reach | None = None, **_rules: object
    ) -> Probes:
        """The rules with their ends, where sudo has accepted the password that lists them."""
        target: _Target = subject.item
        accepted = any(run.ran for run in programs) or (reach is not None and reach.code == 0)
        return self._rules(target) if target.account.password and accepted else {}

    def _rules(self, target: _Target) -> Probes:
        return {"rules": sudo.SudoRulesProbe(target.host.id, target.account)}

    def judge(
        self, subject: Subject, *, rules: sudo.Rules = (), programs: sudo.Programs = (), reach: sudo.Reach | None = None
    ) -> Judgement:
        target: _Target = subject.item
        if reach is not None:
            paths = [_SHELL] if reach.code == 0 else []
            judged = [self._judge_reach(target, reach)]
        else:
            paths = [run.path for run in programs if run.ran and run.path]
            judged = [*self._judge_programs(target, programs)]
        return Judgement.of([*judged, *self._endings(target, rules, paths), *self._limits(target, rules, paths)])

    def _limits(self, target: _Target, rules: sudo.Rules, paths: Sequence[str]) -> Iterator[Judgement]:
        """sudo ends a command that runs for too long, whatever it is at."""
        host, account = target.host, target.account.account
        work = work_of(self.plan, host.id, account)
        for path in paths:
            seconds, name = sudo.seconds_allowed(rules, account, path), posixpath.basename(path)
            steps = [self.plan.step(each.step) for each in work if name in map(posixpath.basename, each.programs)]
            lasts = max((step.minutes for step in steps if step), default=0)
            if seconds is None or 0 < lasts * 60 < seconds:
                continue
            allowed = format_duration(timedelta(seconds=seconds))
            seen = f"sudo ends {path} after {allowed}"
            expected = f"no time limit of {path} as {account} on {host.id}, or one beyond its step"
            remedy = f"have the limit taken out of sudoers on {host.id}: TIMEOUT off the rule of {path}, and this line "
            remedy += f"after all others: Defaults:{host.user} !command_timeout"
            if not lasts:
                yield warned(seen, expected=expected, actual=allowed, remedy=remedy)
                continue
            summary, stake = f"{seen}, its step lasts {format_duration(timedelta(minutes=lasts))}", self._stake(target)
            yield failed(summary, expected=expected, actual=allowed, remedy=remedy, minutes_at_stake=stake)

    def _endings(self, target: _Target, rules: sudo.Rules, paths: Sequence[str]) -> Iterator[Judgement]:
        need = TimeOfNeed(self.plan, self.moment)
        host, account = target.host, target.account.account
        good = sudo.stamp(need.until + timedelta(days=1))
        tag = "PASSWD" if target.account.password else "NOPASSWD"
        ends = {path: sudo.last_moment(rules, account, path) for path in paths}
        for at in sorted({at for at in ends.values() if at}):
            listed = ", ".join(path for path in paths if ends[path] == at)
            line = f"{host.user} ALL=({account}) NOTAFTER={good} {tag}: {listed}"
            end = End(
                what=f"sudo rule for {listed}",
                where=f"of {account} on {host.id}",
                at=at,
                remedy=f"have this line in sudoers on {host.id}: {line}",
                minutes_at_stake=self._stake(target),
            )
            yield need.judge(end)

    def _stake(self, target: _Target) -> float | None:
        return minutes_at_stake(work_of(self.plan, target.host.id, target.account.account))

    def _judge_programs(self, target: _Target, programs: sudo.Programs) -> Iterator[Judgement]:
        """Those that a rule is missing for are one line: one rule lets them all run."""

        def why(run: sudo.ProgramRun) -> tuple[str, str]:
            listed = run.refusal is Refusal.NEEDS_PASSWORD and run.path
            alone = "" if run.refusal in _BY_RULE else run.program
            return f"{'it is listed, but ' if listed else ''}{run.refusal}", alone

        with_password = " with the password of the plan" if target.account.password else " without a prompt"
        yield from (passed(f"{run.path or run.program} runs{with_password}") for run in programs if run.ran)
        for (why_in_words, _), runs in grouped((run for run in programs if not run.ran), why).items():
            names = ", ".join(run.program for run in runs)
            summary = f"{names} {'do' if runs[1:] else 'does'} not run: {why_in_words}"
            found = [(run.program, run.path or run.beside) for run in runs]
            judged = self._failed(target, summary, runs[0].refusal, found, runs[0].last_words)
            keys = self._full_paths(target, runs) if runs[0].refusal is Refusal.NOT_FOUND else ""
            yield replace(judged, remedy=f"write in the plan where it lies: {keys}") if keys else judged

    def _full_paths(self, target: _Target, runs: Sequence[sudo.ProgramRun]) -> str:
        """What the entries say of programs that lie off PATH: the others are then called from the same folder."""
        beside = {run.program: posixpath.dirname(run.beside) for run in runs if run.beside}
        work = work_of(self.plan, target.host.id, target.account.account)
        found = [(each, beside[name]) for each in work for name in each.programs if name in beside]
        keys = (f'program = "{folder}/{each.programs[0]}" in {each.table}' for each, folder in found)
        return "; ".join(dict.fromkeys(keys))

    def _judge_reach(self, target: _Target, reach: sudo.Reach) -> Judgement:
        account = target.account.account
        said, _, reached = reach.said.rpartition("\n")
        if reach.code == 0 and reached == account:
            if said:
                return warned(
                    "a shell of the account is reached, and sudo complains",
                    expected="no word of sudo's own",
                    actual=said,
                    remedy=f"have whoever keeps the rules of sudo on {target.host.id} mend that, as root: visudo -c",
                )
            return passed("a shell of the account is reached; the plan names no program for it")
        free = [rule for rule in reach.rules if target.account.password or "NOPASSWD:" in rule]
        if reach.code != 0 and free:
            return unknown(
                "sudo allows single programs, and the plan names none to try",
                expected="the programs that the window needs, run as the account",
                actual="; ".join(free),
                remedy=f'say which work {account} does: account = "{account}" in its [backups] or [scripts] entry; or '
                f"take it out of `become` in [hosts.{target.host.id}]: a command of [checks.command] tries its own",
            )
        if reach.code == 0:
            summary = f"sudo gives a shell of {reached[:40] or 'nobody'} instead"
            return self._failed(target, summary, Refusal.OTHER, [(_SHELL, _SHELL)], reach.said)
        why = Refusal.NOT_ALLOWED if reach.rules or reach.refusal is Refusal.OTHER else reach.refusal
        return self._failed(target, f"not reached: {why}", why, [(_SHELL, _SHELL)], reached)

    def _failed(
        self, target: _Target, summary: str, why: Refusal, found: Sequence[tuple[str, str]], actual: str
    ) -> Judgement:
        """`found`: programs with where they were found, empty where nobody says."""
        host, account = target.host, target.account.account
        named = [path or (name if name.startswith("/") else f"/usr/bin/{name}") for name, path in found]
        names = ", ".join(name for name, _ in found)
        rule = sudo_cure(host, account, *named, _SHELL)
        return failed(
            summary,
            expected=f"sudo -k -n -u {account} runs them on {host.id}: {names}",
            actual=actual,
            remedy=_REMEDIES[why].format(
                host=host.id,
                login=host.user or "the login",
                account=account,
                program=names,
                rule=rule,
                starting=rule.replace("NOPASSWD: ", "NOPASSWD: EXEC: "),  # the tag of the last rule that fits counts
            ),
            minutes_at_stake=self._stake(target),
        )
