"""Budgets as programs read them, in answers and in errors. Must not know: routes, or statuses."""

from __future__ import annotations

from typing import Any

from cobot_meter.domain.budgets.budget import OPERATOR
from cobot_meter.domain.budgets.faults import BudgetShortfall
from cobot_meter.domain.budgets.spending import BudgetSpending
from cobot_meter.domain.ledger.accounts import Commodity
from cobot_meter.domain.money import usd_text


def shortfall_document(shortfall: BudgetShortfall) -> dict[str, Any]:
    """What is left of which budget, and what would fit; of one that others spend too no figures."""
    standing, budget = shortfall.standing, shortfall.standing.window.budget
    asked = _in_unit(budget.commodity, "asked", shortfall.asked)
    return {
        **budget_document(standing),
        **({} if standing.window.is_of_others else asked),
        "fits_max_tokens": shortfall.fits_max_tokens or None,
    }


def budget_document(standing: BudgetSpending) -> dict[str, Any]:
    """A budget as it stands in its window: amounts as integers of msat, or as texts of USD.

    Of one that counts what others spend too its figures are the operator's alone.
    """
    window, budget = standing.window, standing.window.budget
    document: dict[str, Any] = {
        "scope": budget.scope.value,
        "subject": budget.subject or None,
        "set_by": OPERATOR if window.owner == OPERATOR else "caller",
        "period": budget.period.value,
        "zone": budget.zone,
        "resets_at": window.resets_at,
    }
    if window.is_of_others:
        return document
    amounts = {
        "limit": budget.amount,
        "spent": standing.spent,
        "reserved": standing.reserved,
        "left": standing.left,
    }
    for name, amount in amounts.items():
        document |= _in_unit(budget.commodity, name, amount)
    return {**document, "used_percent": standing.used_percent, "notice": standing.notice}


def _in_unit(commodity: Commodity, name: str, amount: int) -> dict[str, Any]:
    if commodity is Commodity.MSAT:
        return {f"{name}_msat": amount}
    return {f"{name}_usd": usd_text(amount)}
