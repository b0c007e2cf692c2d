"""Which budgets bound what is asked, how they stand, and what a refused request would fit in.

One look into the books with every ask, for the caller's words and the operator's: no cache, so a
budget that was set holds in every process from the next request on. Must not know: HTTP, or how
anything is reserved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from cobot_meter.domain.budgets.budget import BudgetWindow
from cobot_meter.domain.budgets.faults import BudgetExhausted, BudgetShortfall
from cobot_meter.domain.budgets.sheets import (
    NO_BUDGETS,
    BudgetLimits,
    BudgetsAsked,
    limits_now,
    windows_named,
)
from cobot_meter.domain.budgets.spending import BudgetSpending
from cobot_meter.domain.errors import ExposureExceeded
from cobot_meter.domain.escrow.budget_reservations import counted_at
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.ledger.accounts import is_budget
from cobot_meter.domain.money import ExchangeRate
from cobot_meter.domain.pricing.quotes import most_tokens
from cobot_meter.domain.refusals import budget_exhausted
from cobot_meter.flows.budget.zones import offsets_of
from cobot_meter.flows.ledger import Ledger
from cobot_meter.ports.books import Books

# Nobody's words but the operator's: of what no caller's own budgets are to count.
NOBODY = ""


def _of_no_task() -> str | None:
    """Where nobody says what is asked."""
    return None


async def limits_of_sale(books: Books, sale: Escrow) -> BudgetLimits:
    """The limits of the windows that an open sale counts in, as they are by now."""
    if not sale.budgets:
        return NO_BUDGETS
    return limits_now(sale.budgets.split(), await books.budget_sheets(sale.caller_id))


class FindBudgets:
    """Reads budgets for whoever opens or shows a sale."""

    def __init__(self, *, ledger: Ledger) -> None:
        """Nothing is remembered here."""
        self._ledger = ledger

    async def asked(
        self,
        caller_id: str,
        *,
        key_id: str | None = None,
        task_of: Callable[[], str | None] = _of_no_task,
    ) -> BudgetsAsked:
        """What bounds an ask of this caller, at this moment of the clock by which days begin.

        `task_of` says what it is about, and is asked only where a budget depends on that.
        """
        asked = BudgetsAsked(
            sheets=await self._ledger.books.budget_sheets(caller_id),
            caller_id=caller_id,
            key_id=key_id,
            at_ms=self._ledger.day_ms(),
            zones=offsets_of,
        )
        return replace(asked, task=task_of()) if asked.by_task else asked

    async def depleted(self, asked: BudgetsAsked) -> BudgetsAsked:
        """With the tier that what is left of the caller's budgets allows; a look at each window.

        Each by its owner's plan. Budgets that count what others spend too say nothing here: they
        are the operator's.
        """
        plans = {sheet.owner: sheet.plan for sheet in asked.sheets}
        planned = [one for one in asked.windows(()) if plans[one.owner] and not one.is_of_others]
        if not planned:
            return asked
        standing = await self._ledger.books.budget_spending(planned)
        tiers = (
            plan.tier([one]) for one in standing if (plan := plans[one.window.owner]) is not None
        )
        return replace(asked, most=min(tiers))

    async def of_sale(self, sale: Escrow) -> tuple[BudgetSpending, ...]:
        """How the budgets stand in the windows that a sale counts in; none where none does."""
        if not sale.budgets:
            return ()
        sheets = await self._ledger.books.budget_sheets(sale.caller_id)
        windows = windows_named(sale.budgets.split(), sheets, offsets_of)
        return await self._ledger.books.budget_spending(windows)

    async def refusal(
        self,
        refused: ExposureExceeded,
        windows: Sequence[BudgetWindow],
        rate: ExchangeRate,
        *,
        costs: Callable[[int], int | None] | None = None,
        max_tokens: int = 0,
        advice: str = "",
    ) -> BudgetExhausted | None:
        """What to say of a guard that is a budget; None where it is another one.

        `costs` says in msat what the same request could come to with fewer tokens than
        `max_tokens`: what would fit has to fit in every budget. None where it asks for no tokens:
        `advice` says what would help then.
        """
        if not is_budget(refused.guard):
            return None
        standing = await self._ledger.books.budget_spending(windows)
        short = next(one for one in standing if one.window.account.code == refused.guard)
        fits_max_tokens = None
        if costs is not None:
            fits_max_tokens = most_tokens(
                lambda tokens: _fits(costs(tokens), standing, rate), below=max_tokens
            )
        return budget_exhausted(
            BudgetShortfall(
                standing=short,
                asked=refused.asked,
                fits_max_tokens=fits_max_tokens,
                advice=advice,
            )
        )


def _fits(msat: int | None, standing: Sequence[BudgetSpending], rate: ExchangeRate) -> bool:
    return msat is not None and all(
        counted_at(rate, one.window.budget.commodity, msat) <= one.left for one in standing
    )
