"""What is spent and reserved in a window, and which notice that is worth.

Must not know: accounts' rows, or how a notice reaches anybody.
"""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.domain.budgets.budget import BudgetWindow

# In parts of a hundred: from each on whoever spends is told.
NOTICES = (100, 80, 50)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSpending:
    """One budget as it stands: amounts in its own unit, msat or pico-USD."""

    window: BudgetWindow
    spent: int
    reserved: int

    @property
    def left(self) -> int:
        """What may still be reserved: 0 where a lowered limit is passed already."""
        return max(self.window.budget.amount - self.spent - self.reserved, 0)

    @property
    def used_percent(self) -> int:
        """How much of it is spent, in whole parts of a hundred, rounded down."""
        return max(self.spent, 0) * 100 // self.window.budget.amount

    @property
    def notice(self) -> int | None:
        """The highest of the NOTICES that what is spent has reached; None below all of them."""
        return next((one for one in NOTICES if self.used_percent >= one), None)


def least_left(standing: tuple[BudgetSpending, ...]) -> BudgetSpending | None:
    """The budget of which the smallest share is left; None without any."""
    return min(
        standing,
        key=lambda one: (one.left * 10**6 // one.window.budget.amount, one.window.account.code),
        default=None,
    )
