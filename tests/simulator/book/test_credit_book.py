"""The simulated book is right, since ledgers are compared with it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrouter_simulator.book import credit_book
from openrouter_simulator.book.credit_book import BookBroken, CreditBook, Generation, as_charged

COSTS = st.decimals(min_value=0, max_value=10, places=8)


def generation(number: int, cost: Decimal) -> Generation:
    """A finished run."""
    return Generation(
        generation_id=f"gen-{number}",
        recorded_id=f"gen-{number}",
        model_id="a/b",
        slug="a/b",
        provider="Mistral",
        created_at_ms=1,
        ready_at_ms=5,
        total_cost=cost,
        native_prompt=1,
        native_completion=1,
        streamed=True,
        cancelled=False,
        finish_reason="stop",
    )


@given(st.lists(COSTS, max_size=30))
def test_charges_equal_the_balance_drop(costs: list[Decimal]) -> None:
    """Whatever is charged, the sum is exactly what the balance lost."""
    book = CreditBook(Decimal(1_000))
    for number, cost in enumerate(costs):
        book.charge(generation(number, cost))
    book.verify()
    assert book.spent_usd == sum(costs, Decimal(0))


def test_double_charge_is_found() -> None:
    """The same generation cannot be charged twice."""
    book = CreditBook(Decimal(1))
    book.charge(generation(1, Decimal("0.1")))
    with pytest.raises(BookBroken):
        book.charge(generation(1, Decimal("0.1")))


def test_book_that_does_not_add_up_is_found() -> None:
    """A balance that moved without a generation is a bug of the simulator, and is told."""
    book = CreditBook(Decimal(1))
    book.charge(generation(1, Decimal("0.1")))
    book.balance_usd -= Decimal("0.1")
    with pytest.raises(BookBroken):
        book.verify()


def test_old_generations_are_rolled_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A book that runs for ever keeps a bounded number of generations, and still adds up."""
    monkeypatch.setattr(credit_book, "_KEPT_MAX", 3)
    book = CreditBook(Decimal(1))
    for number in range(10):
        book.charge(generation(number, Decimal("0.01")))
    book.verify()
    assert len(book.generations) == 3
    assert book.spent_usd == Decimal("0.10")


def test_records_appear_when_they_are_ready() -> None:
    """A record is found from its time on, and never when it has none."""
    book = CreditBook(Decimal(1))
    book.charge(generation(1, Decimal("0.1")))
    book.charge(replace(generation(2, Decimal("0.1")), ready_at_ms=None))
    assert book.record("gen-1", now_ms=4) is None
    assert book.record("gen-1", now_ms=5) is not None
    assert book.record("gen-2", now_ms=10**15) is None
    assert book.record("gen-3", now_ms=10**15) is None
    assert book.lookups == 4


@given(st.decimals(min_value=0, max_value=10, places=14))
def test_charge_has_eight_decimals(exact: Decimal) -> None:
    """A charge is the cost to eight decimals, and nothing only for nothing."""
    charged = as_charged(exact)
    assert charged == round(charged, 8)
    assert abs(charged - exact) <= Decimal("1e-8")
    assert (charged == 0) == (exact == 0)
