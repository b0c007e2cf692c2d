"""Budgets at their owners' word: a caller's of its own spending, and the operator's of anybody's.

Each word says all of an owner's budgets and is an entry of the journal; the newest one holds from
the next request on. Must not know: HTTP, terminals, or how an owner proves who he is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from cobot_meter.domain.budgets.budget import OPERATOR, Budget, Scope, window_of
from cobot_meter.domain.budgets.depletion import USUAL_PLAN, DepletionPlan
from cobot_meter.domain.budgets.sheets import CALLERS_MAX, OPERATORS_MAX, BudgetSheet
from cobot_meter.domain.budgets.spending import BudgetSpending
from cobot_meter.domain.errors import BooksBusy, RequestInvalid
from cobot_meter.domain.transitions.budgets import budgets_transition
from cobot_meter.flows.budget.zones import is_zone, offsets_of
from cobot_meter.flows.ledger import Ledger

TRIES = 16
# Words are rows that nobody pays for, and kept for ever.
WORDS_MAX = 1_000
Budgets = tuple[Budget, ...]


class ManageBudgets:
    """What owners do with budgets."""

    def __init__(self, *, ledger: Ledger) -> None:
        """Nothing is remembered here."""
        self._ledger = ledger

    async def standing(self, owner: str) -> tuple[BudgetSpending, ...]:
        """Every budget of the owner in the window of this moment, in the order they were said."""
        sheet = await self._sheet(owner)
        return await self._spent(sheet, sheet.budgets)

    async def for_key(self, caller_id: str, key_id: str) -> tuple[BudgetSpending, ...]:
        """Those of the caller that bound this API key: not what its other keys may spend."""
        sheet = await self._sheet(caller_id)
        own = (one for one in sheet.budgets if one.scope is not Scope.KEY or one.subject == key_id)
        return await self._spent(sheet, own)

    async def _spent(
        self, sheet: BudgetSheet, budgets: Iterable[Budget]
    ) -> tuple[BudgetSpending, ...]:
        at_ms = self._ledger.day_ms()
        windows = [window_of(sheet.owner, one, offsets_of(one.zone), at_ms) for one in budgets]
        return await self._ledger.books.budget_spending(windows)

    async def plan(self, owner: str) -> DepletionPlan | None:
        """How dear a model may be with what is left of the owner's budgets; None: any."""
        return (await self._sheet(owner)).plan

    async def put(
        self, caller_id: str, budgets: Budgets, *, plan: DepletionPlan | None = USUAL_PLAN
    ) -> tuple[BudgetSpending, ...]:
        """These are the caller's budgets from here on, and no others; how they stand now.

        Raises RequestInvalid with a sentence for the first that cannot be, and sets none then.
        """
        for budget in budgets:
            await self._refuse_not_own(caller_id, budget)
        return await self._said(caller_id, lambda sheet: replace(sheet, budgets=budgets, plan=plan))

    async def change(self, changed: Callable[[Budgets], Budgets]) -> tuple[BudgetSpending, ...]:
        """The operator's budgets with what `changed` makes of them; how they stand then."""
        return await self._said(
            OPERATOR, lambda sheet: replace(sheet, budgets=changed(sheet.budgets))
        )

    async def change_plan(self, plan: DepletionPlan | None) -> tuple[BudgetSpending, ...]:
        """The operator's budgets under this plan; how they stand then."""
        return await self._said(OPERATOR, lambda sheet: replace(sheet, plan=plan))

    async def _said(
        self, owner: str, changed: Callable[[BudgetSheet], BudgetSheet]
    ) -> tuple[BudgetSpending, ...]:
        """What stands after the owner's word, said anew when another one came between."""
        for _ in range(TRIES):
            sheet = await self._sheet(owner)
            after = changed(sheet)
            if after == sheet:
                return await self._spent(sheet, sheet.budgets)
            _refuse(owner, after.budgets, words=sheet.number)
            after = replace(after, number=sheet.number + 1)
            word = budgets_transition(after, at_ms=self._ledger.now_ms())
            applied = await self._ledger.apply(word)
            if not applied.repeated:
                return await self._spent(after, after.budgets)
        message = "Others are changing these budgets at this moment; ask again."
        raise BooksBusy(message, retry_after_s=1)

    async def _sheet(self, owner: str) -> BudgetSheet:
        own, operators = await self._ledger.books.budget_sheets(owner)
        return operators if owner == OPERATOR else own

    async def _refuse_not_own(self, caller_id: str, budget: Budget) -> None:
        match budget.scope:
            case Scope.KEY:
                key = await self._ledger.books.api_key(budget.subject)
                if key is None or key.caller_id != caller_id:
                    message = f"There is no key {budget.subject!r}, or it is not yours."
                    raise RequestInvalid(message, param="budgets")
            case Scope.OPERATOR:
                message = "A budget of the whole service is its operator's to set."
                raise RequestInvalid(message, param="budgets")
            case _:
                pass


def _refuse(owner: str, budgets: Budgets, *, words: int) -> None:
    """Raises RequestInvalid for too many, too often, one said twice, and a zone without rules."""
    most = OPERATORS_MAX if owner == OPERATOR else CALLERS_MAX
    if len(budgets) > most:
        message = f"There are {len(budgets)} budgets, and at most {most} can be set."
        raise RequestInvalid(message, param="budgets")
    if words >= WORDS_MAX and owner != OPERATOR:
        message = f"These budgets were changed {WORDS_MAX} times: they stay as they are."
        raise RequestInvalid(message, param="budgets")
    seen: set[tuple[str, str]] = set()
    for budget in budgets:
        if not is_zone(budget.zone):
            message = (
                f"There is no time zone {budget.zone!r}: say one by its IANA name, such as "
                "Europe/Berlin or UTC."
            )
            raise RequestInvalid(message, param="zone")
        if budget.identity in seen:
            message = (
                f"Two budgets are for the same {budget.scope.value}, {budget.period.value}, zone "
                "and unit: say one amount for it."
            )
            raise RequestInvalid(message, param="budgets")
        seen.add(budget.identity)
