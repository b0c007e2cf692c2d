"""Calls on a key, in the budget that payments are in too."""

from __future__ import annotations

from pathlib import Path

import pytest

from cobot_pay import Amounts, BudgetExceeded, BudgetLimits, Limits, StoredBudget
from cobot_pay.cobot.key_spending import KeySpending

ORIGIN = "http://b.example:"
LIMITS = Limits(msat=Amounts(request=100_000, day=150_000))


def keys_of(budget: StoredBudget) -> KeySpending:
    """The key's calls in this budget; nobody waits for anybody."""
    return KeySpending(budget, origin=ORIGIN, limits=LIMITS, patience_s=0)


def budget_in(folder: Path) -> StoredBudget:
    """A file of its own."""
    return StoredBudget(folder / "payments.sqlite", limits=BudgetLimits(all_hosts=LIMITS))


def test_a_call_is_booked_at_what_its_answer_says(tmp_path: Path) -> None:
    """Reserved at the most, spent at the price."""
    budget = budget_in(tmp_path)
    with keys_of(budget).reserve(100_000, micro_usd_per_btc=None) as call:
        assert budget.reserved_msat == call.amount_msat == 100_000
        call.answered(200)
        call.cost({"cobot": {"cost": {"price_msat": 142}}})
    assert (budget.spent_today_msat, budget.reserved_msat) == (142, 0)


def test_a_lost_answer_counts_as_all_that_it_may_have_cost(tmp_path: Path) -> None:
    """Unknown is never nothing."""
    budget = budget_in(tmp_path)
    with pytest.raises(ConnectionError), keys_of(budget).reserve(60_000, micro_usd_per_btc=None):
        raise ConnectionError
    assert budget.spent_today_msat == 60_000


def test_a_refusal_costs_nothing(tmp_path: Path) -> None:
    """Any status but a good one."""
    budget = budget_in(tmp_path)
    with keys_of(budget).reserve(60_000, micro_usd_per_btc=None) as call:
        call.answered(402)
    assert (budget.spent_today_msat, budget.reserved_msat) == (0, 0)


def test_less_is_reserved_where_less_is_left(tmp_path: Path) -> None:
    """The second call may cost what the day leaves, the third finds nothing."""
    budget = budget_in(tmp_path)
    keys = keys_of(budget)
    assert keys.reserve(100_000, micro_usd_per_btc=None).amount_msat == 100_000
    assert keys.reserve(100_000, micro_usd_per_btc=None).amount_msat == 50_000
    with pytest.raises(BudgetExceeded):
        keys.reserve(100_000, micro_usd_per_btc=None)


def test_what_a_killed_program_left_is_counted_at_the_next_start(tmp_path: Path) -> None:
    """Its reservation becomes spent, so that the next day begins with nothing in flight."""
    budget = budget_in(tmp_path)
    call = keys_of(budget).reserve(100_000, micro_usd_per_btc=None)
    with budget.book.change() as book:
        book.execute("UPDATE payment SET state = 'unknown'")
    assert call.amount_msat == 100_000
    keys_of(budget).count_lost()
    assert (budget.spent_today_msat, budget.reserved_msat) == (100_000, 0)
