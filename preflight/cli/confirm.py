"""`preflight confirm` and `preflight decide`: write down beside the plan what people said."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

from preflight.cli.asking import with_origins
from preflight.cli.console import CallError, complain, no_such, write_stdout
from preflight.cli.options import PLAN, load, sign_option
from preflight.clock import format_moment, now
from preflight.engine.answered import Answered
from preflight.engine.conclude import withheld
from preflight.engine.inspection import inspect
from preflight.engine.registry import Registry
from preflight.engine.run import judge
from preflight.errors import ExitCode
from preflight.plan import Plan, Role
from preflight.plan.confirmed import Confirmation, Confirmed, Decided, DecisionTaken
from preflight.plan.covered import changed_since, covered_by_item, covered_by_role
from preflight.plan.values import same_person
from preflight.questions.local import Namespace
from preflight.report.document.order import blockers
from preflight.report.document.sections import decided
from preflight.report.layout import labelled, wrapped
from preflight.runs import saved_runs
from preflight.runs.gate import read_inputs, start_from
from preflight.seal import add_said
from preflight.sessions.signatures import sign
from preflight.verdict import Verdict
from preflight.wording import MOST_NAMED, beside, listed, visible

_SIGN = sign_option("Sign it with this SSH key; a public one: the agent.")


@click.command()
@PLAN
@click.option("--role", "role_id", metavar="ROLE", help="These people of the role will be there.")
@click.option("--item", "item_id", metavar="ID", help="This `[[attest]]` of the plan is so.")
@click.option("--by", metavar="NAME", multiple=True, required=True, help="Who says it; may be given several times.")
@_SIGN
def confirm(plan_path: Path, role_id: str | None, item_id: str | None, by: tuple[str, ...], key: Path | None) -> None:
    """Write down who confirmed a role or attested an item: PLAN.confirmed.toml beside the plan.

    It covers the window, the entries that the role owns and their steps, or the window and the item; a change there
    voids it, a change elsewhere in the plan does not. The file may be committed, and is no part of the plan's digest.
    """
    if (role_id is None) is (item_id is None):
        raise CallError("give one of --role and --item")
    plan, _ = load(plan_path)
    if role_id is not None:
        if role_id not in plan.roles:
            raise no_such("role", role_id, plan.roles, "--role")
        role = plan.roles[role_id]
        said, covers = {"role": role_id}, covered_by_role(plan, role)
    else:
        items = {item.id: item for item in plan.attest}
        if item_id not in items:
            raise no_such("item", item_id or "", items, "--item")
        role = plan.roles[items[item_id].owner]
        said, covers = {"item": item_id}, covered_by_item(plan, items[item_id])
    people = list(dict.fromkeys(_as_written(f"person of {role.id}", name, role.people) for name in by))
    at = now().replace(microsecond=0)
    if key and len(people) > 1:
        raise CallError("--sign is one person's: give one --by")
    words = [Confirmation(by=name, at=at, covers=covers, **said) for name in people]
    if key:
        words = [replace(each, signature=sign(key, Namespace.CONFIRMATION, each.signed_text)) for each in words]
    add_said(plan, words)
    who, when = " and ".join(people), format_moment(at, plan.window.zone)
    awaited = _awaited(plan, role, covers, people, at) if role_id else []
    written = beside(Path.cwd(), plan.confirmed_file)
    _tell(
        f"{role_id or item_id}: confirmed by {who}, {when}",
        {"for": listed(covers, MOST_NAMED), "in": written, "not yet": " and ".join(awaited)},
    )


def _awaited(plan: Plan, role: Role, covers: Mapping[str, str], people: Sequence[str], at: datetime) -> list[str]:
    """The role's other people, of whom no word counts yet."""
    words = {name: plan.confirmed.newest(at, by=name, role=role.id) for name in role.people if name not in people}
    since = at - plan.freshness.people
    return [name for name, word in words.items() if not word or word.at < since or changed_since(word, covers)]


def _tell(what: str, more: Mapping[str, str]) -> None:
    """In lines that fit a terminal, those of `more` below what was written down."""
    lines = [*wrapped(what, ""), *(line for label, text in more.items() if text for line in labelled(label, [text]))]
    write_stdout("\n".join(lines) + "\n")


@click.command()
@PLAN
@click.argument(
    "decision", metavar="go|no-go|hold", type=click.Choice([each.value for each in DecisionTaken]), help="Which one."
)
@click.option("--by", "by", metavar="NAME", required=True, help="Who decides.")
@click.option("--because", default="", metavar="REASON", help="Why; every report shows it.")
@click.option("--against", default="", metavar="REASON", help="Why it is a go though the verdict is not GO.")
@_SIGN
def decide(plan_path: Path, decision: str, by: str, because: str, against: str, key: Path | None) -> ExitCode:
    """Write down who decided what about the release, beside the plan; every later report shows it.

    It stands on the newest saved run, judged now, and changes nothing of its verdict: the exit code is the verdict's,
    here and in every report. A run that was not GO then is HOLD. A go on a verdict that is not GO is refused, unless
    --against says why."""
    plan, registry = load(plan_path)
    # Of the role that decides about the release, else of any role.
    roles = [plan.roles[plan.decided_by]] if plan.decided_by in plan.roles else plan.roles.values()
    person = _as_written("person who decides", by, [name for role in roles for name in role.people])
    verdict = _newest_verdict(plan, registry)
    is_go, contradicts = verdict.exit_code is ExitCode.GO, decision == DecisionTaken.GO
    if against and (is_go or not contradicts):
        raise CallError(f"--against is for a go on a verdict that is not GO; it is {verdict.headline}")
    if contradicts and not is_go and not against.strip():
        why = verdict.reason or listed([row.told for row in blockers(verdict)], MOST_NAMED, "; ")
        complain(f"not written: the verdict is {verdict.headline}, and a go needs --against REASON; {visible(why)}")
        return verdict.exit_code
    taken = Decided(
        decision=DecisionTaken(decision),
        by=person,
        at=now().replace(microsecond=0),
        verdict=verdict.headline,
        plan=plan.digest,
        run=verdict.evidence_digest,
        because=because,
        against=against,
    )
    if key:
        taken = replace(taken, signature=sign(key, Namespace.DECISION, taken.signed_text))
    add_said(plan, decided=[taken])
    written = with_origins(replace(verdict, plan=replace(plan, confirmed=Confirmed(decided=(taken,)))))
    _tell(decided(written)[0], {"in": beside(Path.cwd(), plan.confirmed_file)})
    return verdict.exit_code


def _newest_verdict(plan: Plan, registry: Registry) -> Verdict:
    """Of the newest saved run, judged now; HOLD where it was not GO then. Raises CallError where there is none."""
    present, newest = now(), saved_runs.newest(plan)
    inspection = inspect(plan, registry, present)
    basis = start_from(inspection, newest, read_inputs(plan), present, ask=False)
    if basis.earlier is None or not isinstance(newest, saved_runs.SavedRun):
        why = "; ".join(basis.grounds(None))
        raise CallError(f"there is nothing to decide on: {visible(why)}; first: {plan.call('run')}")
    verdict = judge(Answered(inspection, basis.earlier), basis=basis.grounds(None))
    return withheld(verdict, newest.held) if newest.held else verdict


def _as_written(kind: str, by: str, people: Sequence[str]) -> str:
    """The person who is meant, as the plan writes the name. Raises CallError."""
    person = next((each for each in people if same_person(each, by)), None)
    if person is None:
        raise no_such(kind, by, people, "--by")
    return person
