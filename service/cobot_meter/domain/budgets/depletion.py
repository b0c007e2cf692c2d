"""The depletion plan: how much of a budget is left chooses how dear a model may be.

It only chooses; that nothing is overspent is the guards' business. Must not know: models, or who
asks for what.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cobot_meter.domain.budgets.spending import BudgetSpending
from cobot_meter.domain.routing.table import Tier

_WHOLE = 100
PLAN_WORD = "plan"
_OFF_LINE = f"{PLAN_WORD} off"


@dataclass(frozen=True, slots=True, kw_only=True)
class DepletionPlan:
    """Premium while more than so many parts of a hundred are left, middle while more than so many.

    Raises ValueError for bounds that are no shares, or stand the wrong way round.
    """

    premium_above: int = 60
    middle_above: int = 25

    def __post_init__(self) -> None:
        """Refuse what no plan is."""
        if not 0 <= self.middle_above <= self.premium_above <= _WHOLE:
            message = (
                "a depletion plan has two shares from 0 to 100, the one for premium models not "
                f"below the other: not {self.premium_above} and {self.middle_above}"
            )
            raise ValueError(message)

    @property
    def line(self) -> str:
        """All of it in one line, which no budget's line is."""
        return f"{PLAN_WORD} {self.premium_above} {self.middle_above}"

    def tier(self, standing: Iterable[BudgetSpending]) -> Tier:
        """What the budget with the smallest share left allows; premium where there is no budget.

        What is reserved is not left: many requests at once see each other.
        """
        return min((self._of(one) for one in standing), default=Tier.PREMIUM)

    def _of(self, one: BudgetSpending) -> Tier:
        left, whole = one.left * _WHOLE, one.window.budget.amount
        if left > self.premium_above * whole:
            return Tier.PREMIUM
        return Tier.MIDDLE if left > self.middle_above * whole else Tier.CHEAP


USUAL_PLAN = DepletionPlan()


def plan_line(plan: DepletionPlan | None) -> str:
    """How an owner's word has the plan, None for none at all; the usual one goes unsaid."""
    if plan is None:
        return _OFF_LINE
    return "" if plan == USUAL_PLAN else plan.line


def plan_of(line: str) -> DepletionPlan | None:
    """The plan that a line says. Raises ValueError for what no plan is."""
    if line == _OFF_LINE:
        return None
    word, premium, middle = line.split(" ")
    if word != PLAN_WORD:
        message = f"no plan is written {line[:80]!r}"
        raise ValueError(message)
    return DepletionPlan(premium_above=int(premium), middle_above=int(middle))
