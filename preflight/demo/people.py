"""What `preflight confirm` writes once everybody was called: of the demo, and wherever nobody is to be called."""

from datetime import datetime

from preflight.plan import Plan
from preflight.plan.confirmed import Confirmation, Confirmed
from preflight.plan.covered import covered_by_item, covered_by_role


def all_confirmed(plan: Plan, at: datetime) -> Confirmed:
    """The word of everybody whom the plan names, on each role and each item."""
    roles = (
        Confirmation(by=name, at=at, role=role.id, covers=covered_by_role(plan, role))
        for role in plan.roles.values()
        for name in role.people
    )
    items = (
        Confirmation(by=plan.roles[item.owner].primary, at=at, item=item.id, covers=covered_by_item(plan, item))
        for item in plan.attest
    )
    return Confirmed(confirmations=(*roles, *items))
