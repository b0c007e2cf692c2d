"""A process that spends out of a shared budget until it is killed or the budget is spent.

    python -m tests.client.spending.spender BUDGET PAID LIMIT_MSAT AMOUNT_MSAT

Each payment is a line of PAID, appended between reserving and posting: whatever kills this process,
PAID says what has really been paid.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cobot_pay import BudgetExceeded
from cobot_pay.spending.limits import Amounts, BudgetLimits, Limits
from cobot_pay.spending.stored_budget import StoredBudget


def limits_of(day_msat: int) -> BudgetLimits:
    """A day's limit and no other."""
    return BudgetLimits(all_hosts=Limits(msat=Amounts(day=day_msat)))


def spend(budget_path: Path, paid_path: Path, limit_msat: int, amount_msat: int) -> None:
    """Until the budget is spent."""
    budget = StoredBudget(budget_path, limits=limits_of(limit_msat), now_s=lambda: 1_763_837_000)
    paid = os.open(paid_path, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    while True:
        try:
            reservation = budget.reserve(amount_msat)
        except BudgetExceeded:
            return
        os.write(paid, f"{amount_msat}\n".encode())
        budget.post(reservation, amount_msat)


if __name__ == "__main__":
    spend(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
