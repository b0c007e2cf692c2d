"""The operator's budgets as JSON objects in and out: listed, one set, one or all taken away.

Must not know: sockets or terminals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cobot_meter.domain.budgets.budget import OPERATOR, Budget
from cobot_meter.domain.budgets.spending import BudgetSpending
from cobot_meter.domain.errors import RequestInvalid
from cobot_meter.flows.budget.manage_budgets import Budgets, ManageBudgets
from cobot_meter.flows.budget.said_budgets import budget_said, plan_document, plan_said
from cobot_meter.operator_api.commands import Command, Document

_EVERY = "every"


def budget_commands(manage_budgets: ManageBudgets) -> Mapping[str, Command]:
    """`budgets_list`, `_set`, `_clear` and `_plan`, by name; each answers all that stand."""

    async def listed(_request: Document) -> Document:
        standing = _standing(await manage_budgets.standing(OPERATOR))
        return {**standing, "plan": plan_document(await manage_budgets.plan(OPERATOR))}

    async def set_one(request: Document) -> Document:
        wanted = _said(request)
        return _standing(await manage_budgets.change(lambda before: _with(before, wanted)))

    async def clear(request: Document) -> Document:
        if request.get(_EVERY) is True:
            return _standing(await manage_budgets.change(lambda _: ()))
        wanted = _said(request)  # its amount says no more than the unit

        def without(before: Budgets) -> Budgets:
            left = tuple(one for one in before if one.identity != wanted.identity)
            if left == before:
                message = "there is no such budget: budgets list shows those that there are"
                raise RequestInvalid(message)
            return left

        return _standing(await manage_budgets.change(without))

    async def plan(request: Document) -> Document:
        wanted = plan_said(request.get("plan"))
        standing = _standing(await manage_budgets.change_plan(wanted))
        return {**standing, "plan": plan_document(wanted)}

    return {
        "budgets_list": listed,
        "budgets_set": set_one,
        "budgets_clear": clear,
        "budgets_plan": plan,
    }


def _said(request: Document) -> Budget:
    said = {name: value for name, value in request.items() if name not in {"command", _EVERY}}
    return budget_said(said, by_operator=True)


def _with(before: Budgets, wanted: Budget) -> Budgets:
    """In the place of the one that it changes, or behind all others."""
    kept = tuple(wanted if one.identity == wanted.identity else one for one in before)
    return kept if wanted in kept else (*kept, wanted)


def _standing(standing: Iterable[BudgetSpending]) -> Document:
    return {
        "budgets": [
            {
                "scope": one.window.budget.scope.value,
                "subject": one.window.budget.subject,
                "period": one.window.budget.period.value,
                "zone": one.window.budget.zone,
                "commodity": one.window.budget.commodity.value,
                "limit": one.window.budget.amount,
                "spent": one.spent,
                "reserved": one.reserved,
                "left": one.left,
                "used_percent": one.used_percent,
                "resets_at": one.window.resets_at,
            }
            for one in standing
        ]
    }
