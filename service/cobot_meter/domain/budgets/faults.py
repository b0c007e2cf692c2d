"""What a request is refused for that its budget does not cover.

CallerFault
└── BudgetExhausted        a budget has less left than the request may cost
"""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.domain.budgets.spending import BudgetSpending
from cobot_meter.domain.errors import CallerFault


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetShortfall:
    """What is left of which budget, what this request may cost, and what would fit.

    `asked` is in the budget's own unit. `fits_max_tokens` is the `max_tokens` with which this very
    request would fit, 0 where none would, and None for what asks for no tokens: then `advice` says
    what would help, empty where nothing does but to wait.
    """

    standing: BudgetSpending
    asked: int
    fits_max_tokens: int | None
    advice: str = ""

    @property
    def waits(self) -> bool:
        """Whether it fits as soon as what others have reserved is free again."""
        return self.standing.spent + self.asked <= self.standing.window.budget.amount


class BudgetExhausted(CallerFault):
    """A budget would be overspent if this request came to all that it may cost."""

    code = "budget_exhausted"

    def __init__(self, message: str, *, shortfall: BudgetShortfall) -> None:
        """`message` has the figures, what would fit, and when the budget begins anew."""
        super().__init__(message)
        self.shortfall = shortfall
        # Where only reservations stand in the way they are free again within seconds.
        self.may_retry = shortfall.waits
