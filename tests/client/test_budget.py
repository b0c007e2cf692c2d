"""A budget that counts what is being paid, and never forgets what may have been."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cobot_pay import Budget, BudgetExceeded
from cobot_pay.budget import Reservation

TOTAL, PER_REQUEST, WINDOW, WINDOW_S = 1_000, 300, 500, 60


class Seconds:
    """A time that only tests move."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class AnyUse(RuleBasedStateMachine):
    """Any order of reserving, posting, releasing and passing time, against a plain model."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = Seconds()
        self.budget = Budget(
            total_msat=TOTAL,
            per_request_msat=PER_REQUEST,
            window_msat=WINDOW,
            window_s=WINDOW_S,
            now_s=self.seconds,
        )
        self.open: list[Reservation] = []
        self.posted: list[tuple[float, int]] = []

    @rule(amount=st.integers(0, 400))
    def reserve(self, amount: int) -> None:
        oldest = self.seconds.now - WINDOW_S
        reserved = sum(one.amount_msat for one in self.open)
        spent = sum(msat for _, msat in self.posted)
        recent = sum(msat for at, msat in self.posted if at >= oldest)
        nearly_recent = sum(msat for at, msat in self.posted if at >= oldest - 2)
        fits = amount <= PER_REQUEST and spent + reserved + amount <= TOTAL
        try:
            self.open.append(self.budget.reserve(amount))
        except BudgetExceeded:
            taken = False
        else:
            taken = True
        if taken:
            assert fits
            assert recent + reserved + amount <= WINDOW
        else:
            assert not fits or nearly_recent + reserved + amount > WINDOW

    @precondition(lambda self: self.open)
    @rule(data=st.data(), share=st.integers(0, 100))
    def post(self, data: st.DataObject, share: int) -> None:
        reservation = data.draw(st.sampled_from(self.open))
        self.open.remove(reservation)
        amount = reservation.amount_msat * share // 100
        self.budget.post(reservation, amount)
        self.posted.append((self.seconds.now, amount))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        reservation = data.draw(st.sampled_from(self.open))
        self.open.remove(reservation)
        self.budget.release(reservation)

    @rule(seconds=st.floats(0, 40))
    def pass_time(self, seconds: float) -> None:
        self.seconds.now += seconds

    @invariant()
    def figures_agree(self) -> None:
        assert self.budget.reserved_msat == sum(one.amount_msat for one in self.open)
        assert self.budget.spent_msat == sum(msat for _, msat in self.posted)
        assert self.budget.spent_msat + self.budget.reserved_msat <= TOTAL


TestAnyUse = AnyUse.TestCase


def test_client_budget_counts_pending() -> None:
    """What is being paid counts at once: a second payment in flight cannot pass the limit."""
    budget = Budget(total_msat=1_000)
    first = budget.reserve(600)
    with pytest.raises(BudgetExceeded) as refused:
        budget.reserve(600)
    assert (refused.value.limit, refused.value.committed_msat) == ("total", 600)
    budget.release(first)
    assert budget.reserve(600).amount_msat == 600


@pytest.mark.parametrize(
    ("amount", "limit"),
    [(301, "per_request"), (201, "total"), (151, "window")],
)
def test_each_limit_names_itself(amount: int, limit: str) -> None:
    """The error says which limit, how much is committed under it and what was asked."""
    seconds = Seconds()
    budget = Budget(
        total_msat=1_000, per_request_msat=300, window_msat=500, window_s=60, now_s=seconds
    )
    for _ in range(3 if limit == "total" else 1):
        seconds.now += 100
        budget.post(budget.reserve(300), 300)
    if limit == "total":
        seconds.now += 100
        budget.reserve(0)
        with pytest.raises(BudgetExceeded) as refused:
            budget.reserve(amount)
    else:
        budget.post(budget.reserve(50), 50)
        with pytest.raises(BudgetExceeded) as refused:
            budget.reserve(amount)
    assert refused.value.limit == limit
    assert refused.value.asked_msat == amount


def test_more_than_was_reserved_is_booked_as_it_is() -> None:
    """A wallet that paid a higher fee is not argued with: the fact counts."""
    budget = Budget(total_msat=1_000)
    budget.post(budget.reserve(500), 900)
    assert budget.spent_msat == 900
    with pytest.raises(BudgetExceeded):
        budget.reserve(101)


def test_a_reservation_is_resolved_once() -> None:
    """Posting or releasing twice would make money; it raises instead."""
    budget = Budget(total_msat=1_000)
    reservation = budget.reserve(500)
    budget.post(reservation, 500)
    for resolve_again in (budget.release, lambda one: budget.post(one, 1)):
        with pytest.raises(ValueError, match="resolved before"):
            resolve_again(reservation)
    assert (budget.spent_msat, budget.reserved_msat) == (500, 0)


@given(st.integers(max_value=-1))
def test_a_negative_amount_is_refused(amount: int) -> None:
    """Nobody can enlarge a budget by reserving less than nothing."""
    with pytest.raises(ValueError, match="cannot be"):
        Budget(total_msat=1_000).reserve(amount)


def test_threads_cannot_pass_a_limit_together() -> None:
    """Of eight threads that reserve at the same moment, only as many succeed as fit."""
    budget = Budget(total_msat=1_000, per_request_msat=1_000)
    together = threading.Barrier(8, timeout=10)

    def reserve() -> bool:
        together.wait()
        try:
            budget.reserve(300)
        except BudgetExceeded:
            return False
        return True

    with ThreadPoolExecutor(max_workers=8) as threads:
        won = [future.result() for future in [threads.submit(reserve) for _ in range(8)]]
    assert sum(won) == 3
    assert budget.reserved_msat == 900
