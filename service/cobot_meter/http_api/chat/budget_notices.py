"""How the budgets of a sale stand, told with its answer: in `cobot.budget`, a header and a counter.

Of a budget that counts what others spend too nothing is told. Must not know: routes, or what an
answer says else.
"""

from __future__ import annotations

from typing import Any

from prometheus_client import Counter

from cobot_meter.domain.budgets.spending import BudgetSpending, least_left
from cobot_meter.domain.errors import BooksBusy
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.http_api.context import FaceParts
from cobot_meter.http_api.http.budget_figures import budget_document
from cobot_meter.http_api.http.exchange import Header

Standing = tuple[BudgetSpending, ...]


class BudgetNotices:
    """Reads how budgets stand for whoever answers: two looks into the books, if there are any."""

    def __init__(self, *, parts: FaceParts) -> None:
        """Its counter goes to the face's registry, so there is one for each face."""
        self._find_budgets = parts.find_budgets
        self._told = Counter(
            "cobot_meter_budget_notices",
            "Answers that told of a budget spent to 50, 80 or 100 parts of a hundred",
            ["scope", "notice"],
            registry=parts.registry,
        )

    async def of(self, escrow: Escrow, *, told: bool = True) -> Standing:
        """The budgets that bound this sale as they stand; none where none does.

        An answer is not lost for what cannot be read beside it. `told` counts the notices.
        """
        try:
            standing = await self._find_budgets.of_sale(escrow)
        except BooksBusy:
            return ()
        own = tuple(one for one in standing if not one.window.is_of_others)
        for one in own if told else ():
            if one.notice is not None:
                self._told.labels(one.window.budget.scope.value, str(one.notice)).inc()
        return own


def budget_members(standing: Standing) -> dict[str, Any]:
    """What `cobot` says of them; nothing where no budget bounds it."""
    return {"budget": [budget_document(one) for one in standing]} if standing else {}


def budget_headers(standing: Standing) -> tuple[Header, ...]:
    """`X-Cobot-Budget`: the budget of which least is left, in one line of ASCII."""
    tightest = least_left(standing)
    if tightest is None:
        return ()
    budget = tightest.window.budget
    notice = "" if tightest.notice is None else f"; notice={tightest.notice}"
    said = (
        f"{budget.scope.value}/{budget.period.value}; used={tightest.used_percent}{notice}; "
        f'left="{budget.text(tightest.left)}"; resets="{tightest.window.resets_at}"'
    )
    return ((b"x-cobot-budget", said.encode("ascii")),)
