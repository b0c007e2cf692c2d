"""Which tier the share left of a budget allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.budgets.budget import budget_of, window_of
from cobot_meter.domain.budgets.depletion import DepletionPlan
from cobot_meter.domain.budgets.spending import BudgetSpending
from cobot_meter.domain.routing.table import Tier
from cobot_meter.flows.budget.zones import offsets_of

PLAN = DepletionPlan()


def standing(limit: int, *, spent: int, reserved: int = 0) -> BudgetSpending:
    """A budget of this limit."""
    budget = budget_of(f"caller - day {limit} msat UTC")
    window = window_of("c_one", budget, offsets_of("UTC"), 0)
    return BudgetSpending(window=window, spent=spent, reserved=reserved)


@pytest.mark.parametrize(
    ("spent", "reserved", "tier"),
    [
        (0, 0, Tier.PREMIUM),
        (399, 0, Tier.PREMIUM),
        (400, 0, Tier.MIDDLE),
        (300, 100, Tier.MIDDLE),
        (749, 0, Tier.MIDDLE),
        (750, 0, Tier.CHEAP),
        (1_000, 0, Tier.CHEAP),
        (1_500, 0, Tier.CHEAP),
    ],
)
def test_the_share_left_chooses_the_tier(spent: int, reserved: int, tier: Tier) -> None:
    """Premium above 60 parts of a hundred, middle above 25, cheap below; what runs is not left."""
    assert PLAN.tier([standing(1_000, spent=spent, reserved=reserved)]) is tier


def test_without_a_budget_everything_is_allowed() -> None:
    """And of several the one with the smallest share left decides."""
    assert PLAN.tier([]) is Tier.PREMIUM
    assert PLAN.tier([standing(10, spent=1), standing(10**9, spent=10**9)]) is Tier.CHEAP


@given(st.integers(1, 10**16), st.lists(st.integers(0, 10**15), min_size=2, max_size=9))
def test_the_tier_never_rises_while_a_window_is_spent(limit: int, prices: list[int]) -> None:
    """Whatever is spent in whichever steps."""
    spent, seen = 0, []
    for price in prices:
        spent += price
        seen.append(PLAN.tier([standing(limit, spent=spent)]))
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize(("premium", "middle"), [(25, 60), (101, 25), (60, -1)])
def test_a_plan_that_stands_the_wrong_way_round_is_refused(premium: int, middle: int) -> None:
    """With its figures."""
    with pytest.raises(ValueError, match=str(middle)):
        DepletionPlan(premium_above=premium, middle_above=middle)
