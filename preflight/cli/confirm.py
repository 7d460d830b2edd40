"""`preflight confirm`: writes down beside the plan what people said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from preflight.cli.console import CallError, no_such, write_stdout
from preflight.cli.options import PLAN, load
from preflight.clock import format_moment, now
from preflight.plan import Plan, Role
from preflight.plan.confirmed import Confirmation
from preflight.plan.covered import covered_by_item, covered_by_role
from preflight.plan.values import same_person
from preflight.questions.local import Namespace
from preflight.seal import SealError
from preflight.seal.confirmed import add_confirmations
from preflight.sessions.signatures import SignatureFailed, sign
from preflight.wording import MOST_NAMED, listed, visible


@click.command()
@PLAN
@click.option("--role", "role_id", metavar="ROLE", help="These people of the role will be there.")
@click.option("--item", "item_id", metavar="ID", help="This `[[attest]]` of the plan is so.")
@click.option(
    "--by", "names", metavar="NAME", multiple=True, required=True, help="Who says it; may be given several times."
)
@click.option(
    "--sign",
    "key",
    type=click.Path(path_type=Path),
    metavar="KEY",
    help="Sign it with this SSH key; a public one: the agent.",
)
def confirm(
    plan_path: Path, role_id: str | None, item_id: str | None, names: tuple[str, ...], key: Path | None
) -> None:
    """Write down who confirmed a role or attested an item: PLAN.confirmed.toml beside the plan.

    It covers the window, the entries that the role owns and their steps, or the window and the item; a change there
    voids it, a change elsewhere in the plan does not. The file may be committed, and is no part of the plan's digest.
    """
    if (role_id is None) is (item_id is None):
        raise CallError("give one of --role and --item")
    plan, _ = load(plan_path)
    if role_id is not None:
        role = _role(plan, role_id)
        said, covers = {"role": role_id}, covered_by_role(plan, role)
    else:
        items = {item.id: item for item in plan.attest}
        if item_id not in items:
            raise no_such("item", item_id or "", items, "--item")
        role = plan.roles[items[item_id].owner]
        said, covers = {"item": item_id}, covered_by_item(plan, items[item_id])
    people, at = _people(role, names), now().replace(microsecond=0)
    if key and len(people) > 1:
        raise CallError("--sign is one person's: give one --by")
    words = [Confirmation(by=name, at=at, covers=covers, **said) for name in people]
    try:
        if key:
            words = [replace(each, signature=sign(key, Namespace.CONFIRMATION, each.signed_text)) for each in words]
        add_confirmations(plan, words)
    except (SealError, SignatureFailed) as error:
        raise CallError(str(error)) from None
    who, when = " and ".join(map(visible, people)), format_moment(at, plan.window.zone)
    parts = listed(covers, MOST_NAMED)
    write_stdout(f"{role_id or item_id}: confirmed by {who} {when}, for {parts}, in {plan.confirmed_file}\n")


def _role(plan: Plan, name: str) -> Role:
    """Raises CallError."""
    if name not in plan.roles:
        raise no_such("role", name, plan.roles, "--role")
    return plan.roles[name]


def _people(role: Role, names: tuple[str, ...]) -> list[str]:
    """The people of the role who are meant, each once, as the plan writes them. Raises CallError."""
    found: dict[str, None] = {}
    for name in names:
        person = next((each for each in role.people if same_person(each, name)), None)
        if person is None:
            raise no_such(f"person of {role.id}", name, role.people, "--by")
        found[person] = None
    return list(found)
