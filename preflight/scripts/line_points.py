"""What a run line does wrong, point by point: a part of the check script-runner. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from preflight.finding import Judgement, Status, passed, unknown, warned
from preflight.scripts.corrected_line import keeping_status, with_option
from preflight.scripts.line_trial import LineTrial, Trial
from preflight.scripts.planned_line import RunLine
from preflight.scripts.psql_call import PsqlCall
from preflight.scripts.sealed_scripts import SealedScripts, runs
from preflight.scripts.shell_expansion import UNKNOWN
from preflight.scripts.shell_record import Ran
from preflight.scripts.shell_words import ShellSyntaxError, Unfollowed
from preflight.scripts.text_diff import visible

_MOST_NAMED = 8
_TAKES_LONG = "it waits at midnight for somebody to press a key"


def judge_line(run: RunLine) -> Iterator[Judgement]:
    """Everything that the line's text and the sealed scripts tell."""
    try:
        trial = run.trial()
    except ShellSyntaxError as error:
        yield run.fails(f"the shell refuses the run line: {error}", run.good, run.write(run.good))
        return
    except Unfollowed as error:
        yield unknown(
            f"whether the run line runs every script and stops at the first error is not known: {error}",
            expected=run.good,
            actual=visible(run.line),
            remedy=run.write(run.good),
        )
        return
    if not run.calls:
        yield _no_psql(run, trial)
        return
    yield from _untried(run)
    for call in run.calls:
        yield from _call(run, call)
    empty = tuple(_emptiness(run, trial.smooth))
    yield from empty
    if not any(point.status is Status.UNKNOWN for point in empty):
        yield from _status(run, trial)
        yield from _scripts(run, trial.smooth)


def _no_psql(run: RunLine, trial: LineTrial) -> Judgement:
    idle = all(ran.text.split()[:1] in (["echo"], ["printf"], ["true"], [":"], ["cd"]) for ran in trial.smooth.ran)
    if run.line.strip() and idle:
        return run.fails("the run line runs no script", run.good, run.write(run.good))
    return warned(
        "whether the scripts stop at the first error is not known: the run line calls no psql",
        expected=f"run = {run.good!r}",
        actual=visible(run.line) or "no run line",
        remedy=f'say how the scripts are run: run = "{run.good}" in [scripts.{run.work.id}]',
    )


def _untried(run: RunLine) -> Iterator[Judgement]:
    """Only the first psql of the line was tried, on the host, as the account: what arrives elsewhere was not."""
    work = run.work
    for call in run.calls:
        if call.only_tells:
            continue
        untried = [*([] if run.switched(call) else [" ".join(call.through)]), *call.variables]
        if work.psql and (call.program, call.connection) != (work.psql.program, work.psql.connection):
            untried.append("a second psql with another connection")
        named = ", ".join(name for name in untried if name)
        if named:
            yield unknown(
                f"the run line starts psql in a way that was not tried: {visible(named)}",
                expected=f"psql itself, with -h, -p, -U and -d, run by {work.account or 'the login'} on {work.host.id}",
                actual=visible(run.line),
                remedy=f"write the run line of [scripts.{work.id}] so, one entry for each connection; name the "
                f"account with `account`: {run.good}",
            )


def _call(run: RunLine, call: PsqlCall) -> Iterator[Judgement]:
    """The options of one call."""
    if call.unreadable:
        summary = f"psql will refuse the run line: {call.unreadable}"
        yield run.fails(summary, run.good, f"correct the option {run.where}: {run.good}")
        return
    if call.only_tells:
        return
    if call.on_error_stop:
        yield passed("scripts stop at the first error")
    else:
        added = "-v ON_ERROR_STOP=1"
        summary = "the run line goes on after an error and ends with 0: no ON_ERROR_STOP"
        yield run.fails(summary, added, f"add {added} {run.where}: {with_option(run.line, added)}")
    if call.turns_on("SINGLESTEP"):
        summary = "psql asks before every statement (-s)"
        yield run.fails(summary, "no question: " + _TAKES_LONG, f"leave -s out {run.where}: {run.good}")
    if call.turns_on("SINGLELINE"):
        summary = "psql takes every line's end for the end of a statement (-S)"
        yield run.fails(summary, "statements that end with a semicolon", f"leave -S out {run.where}: {run.good}")
    if call.ignored:
        summary = f"psql leaves arguments aside: {visible(' '.join(call.ignored))}"
        yield run.fails(summary, "every script behind a -f of its own", run.write(run.good))
    yield from _doubtful_options(run, call)


def _doubtful_options(run: RunLine, call: PsqlCall) -> Iterator[Judgement]:
    line = visible(run.line)
    if call.turns_off("AUTOCOMMIT"):
        yield warned(
            "AUTOCOMMIT is off: without a COMMIT in the scripts nothing is applied, and psql ends with 0",
            expected="AUTOCOMMIT as psql has it",
            actual=line,
            remedy=f"leave -v AUTOCOMMIT out; -1 makes one transaction of all scripts: {with_option(run.good, '-1')}",
        )
    if not call.no_psqlrc:
        summary = "a psqlrc may change what the scripts do: no -X"
        remedy = f"add -X {run.where}: {with_option(run.line, '-X')}"
        yield warned(summary, expected="-X", actual=line, remedy=remedy)
    if call.prompts:
        remedy = f"write -w {run.where}: {run.good}"
        yield warned("-W asks for a password at midnight", expected="-w", actual=line, remedy=remedy)


def _emptiness(run: RunLine, smooth: Trial) -> Iterator[Judgement]:
    """Calls of psql that run nothing, and a line that never comes to them."""
    reads_nothing = [call for call in run.calls if call.runs_nothing and not (call.only_tells or call.unreadable)]
    if reads_nothing:
        summary = "psql is given no script: it waits for commands at its prompt, or ends with 0 at the end of its input"
        yield run.fails(summary, "-f with every script", run.write(run.good))
    elif all(call.only_tells for call in run.calls):
        yield run.fails(f"no script is run: psql {run.calls[0].only_tells}, and ends", run.good, run.write(run.good))
    elif all(call.runs_nothing for call in smooth.calls) and not any(call.unreadable for call in run.calls):
        yield unknown(
            "whether psql is run at all is not known: the line does not come to it when all else succeeds",
            expected="psql, whatever came before it succeeded",
            actual=visible(run.line),
            remedy=run.write(run.good),
        )


def _status(run: RunLine, trial: LineTrial) -> Iterator[Judgement]:
    """Whether somebody notices when a script fails, or when psql is never started."""
    smooth = trial.smooth
    if smooth.status:
        summary = f"the run line ends with {smooth.status} when every script succeeds"
        yield run.fails(summary, "0 for success alone", run.write(_cured(run) or run.good))
    lost = _lost(trial, run.sealed)
    if lost:
        yield run.fails(lost, "the first failure ends the line, with psql's own exit status", _remedy(run))
        return
    for number, ran in enumerate(smooth.ran):
        if ran.psql is None and not (way := trial.failing(number)).status:
            yield from _skipped(run, ran, smooth, way)


def _lost(trial: LineTrial, sealed: SealedScripts) -> str:
    """How a failure of psql is lost; empty where it is not."""
    for number, ran in enumerate(trial.smooth.ran):
        if ran.psql is None or ran.psql.only_tells:
            continue
        way = trial.failing(number)
        later = [each for each in way.ran[number + 1 :] if not each.pipeline or each.pipeline != ran.pipeline]
        more = [each for each in later if each.psql and not _takes_back(each.psql, sealed)]
        if more:
            return f"the run line goes on after a failure: {_named(more)}"
        if not way.status:
            return _why_lost(ran, way.ran[number + 1 :])
    return ""


def _takes_back(call: PsqlCall, sealed: SealedScripts) -> bool:
    scripts = sealed.run_by(call)
    return call.only_tells != "" or (bool(scripts) and not set(scripts) & set(sealed.forward))


def _why_lost(ran: Ran, later: Sequence[Ran]) -> str:
    if later and ran.pipeline and later[-1].pipeline == ran.pipeline:
        return f"the exit status of psql is lost in a pipe: the line ends with that of `{visible(later[-1].text)}`"
    behind = f"`{visible(later[-1].text)}` comes after it" if later else "the line does not pass it on"
    return f"the exit status of psql is lost, and the line ends with 0 when a script fails: {behind}"


def _skipped(run: RunLine, ran: Ran, smooth: Trial, way: Trial) -> Iterator[Judgement]:
    feeds = ran.pipeline and any(each.psql and each.pipeline == ran.pipeline for each in smooth.ran)
    before = not feeds or smooth.ran.index(ran) < next(
        at for at, each in enumerate(smooth.ran) if each.psql and each.pipeline == ran.pipeline
    )
    fewer = len(way.calls) < len(smooth.calls)
    if fewer or (feeds and before):
        what = "scripts are left out" if fewer else "psql gets nothing or a part"
        yield warned(
            f"when `{visible(ran.text)}` fails, {what} and the line ends with 0",
            expected="a line that fails when a script is not run",
            actual=visible(run.line),
            remedy=run.write(run.good),
        )


def _cured(run: RunLine) -> str:
    def is_good(line: str) -> bool:
        trial = run.trial(line)
        return not trial.smooth.status and not _lost(trial, run.sealed) and bool(trial.smooth.calls)

    return keeping_status(run.line, is_good)


def _remedy(run: RunLine) -> str:
    cured = _cured(run)
    needs_bash = " (bash)" if "pipefail" in cured else ""
    return f"write{needs_bash} {run.where}: {cured or run.good}"


def _scripts(run: RunLine, smooth: Trial) -> Iterator[Judgement]:
    """The scripts that the line runs against those that are sealed."""
    sealed = run.sealed
    if sealed.problem:
        yield unknown(
            "whether the run line names every script is not known: they are not sealed",
            expected="a manifest of the scripts",
            actual=visible(sealed.problem),
            remedy="cure the line of script-hashes, then run again",
        )
        return
    named = runs(smooth, sealed)
    known = [name for name in named if UNKNOWN not in name]
    told = len(known) == len(named) and not any(call.reads_input and not call.files and not call.commands
                                                 for call in smooth.calls if not call.only_tells)  # fmt: skip
    missing = [name for name in sealed.forward if name not in (*known, *run.run_elsewhere)]
    unsealed = [name for name in known if name not in sealed.names]
    backward = [name for name in known if name in sealed.backward]
    every = f"every sealed script: {_listed(sealed.forward)}"
    if unsealed:
        summary = f"the run line names what is not sealed: {_listed(unsealed)}"
        yield run.fails(summary, every, f"{run.write(run.good)}; or have it approved and sealed")
    if backward:
        yield run.fails(f"the run line runs ways back: {_listed(backward)}", every, run.write(run.good))
    if not told:
        yield unknown(
            "which scripts the run line runs is not known: that is left to the shell",
            expected=every,
            actual=visible(run.line),
            remedy=run.write(run.good),
        )
    elif missing and run.calls and not _is_empty(run):
        yield from _missing(run, missing, every)


def _missing(run: RunLine, missing: Sequence[str], every: str) -> Iterator[Judgement]:
    summary = f"the run line leaves out {len(missing)} of {len(run.sealed.forward)} scripts: {_listed(missing)}"
    if run.sealed.unread:  # one of them may include what is missing
        yield unknown(summary, expected=every, actual=visible(run.line), remedy=run.write(run.good))
    else:
        yield run.fails(summary, every, run.write(run.good))


def _is_empty(run: RunLine) -> bool:
    """Already told."""
    return all(call.runs_nothing or call.unreadable for call in run.calls)


def _named(ran: Sequence[Ran]) -> str:
    return f"`{visible(ran[0].text)}` still runs"


def _listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(visible(name) for name in dict.fromkeys(names[:_MOST_NAMED])) + more
