"""A0 with H1 to H4: what an opened escrow reserves, and which guards it passes."""

from __future__ import annotations

import pytest

from cobot_meter.domain.errors import ExposureExceeded
from tests.domain.escrow.walks import PART_CREDIT, Walk, granted, invoiced, lines
from tests.domain.samples import CALLER, Shape, canceled, opened, opening_of, settled


def test_a0_reserves_h1_to_h4_with_the_budget_last() -> None:
    """A newcomer with some credit: U − C0 of the cap, the ceiling of address and budget, C0."""
    walk = Walk(PART_CREDIT)
    assert lines(walk.last) == [
        "pending available / unearned 2000",
        "pending receivable / unearned 8000",
        "pending address / contra 10000",
        "pending budget / contra 10000",
    ]
    guards = [transfer.guard.name for transfer in walk.last.transfers if transfer.guard]
    assert guards == ["available", "caller", "address", "budget"]


def test_a0_proven_callers_have_no_address_guard() -> None:
    """H3 stands for newcomers only, and the others count against their own budget."""
    walk = Walk(Shape(newcomer=False))
    assert lines(walk.last) == [
        "pending receivable / unearned 10000",
        "pending proven budget / contra 10000",
    ]


def test_a0_credit_that_covers_the_ceiling_opens_no_exposure() -> None:
    """C0 = U: one reservation, of credit."""
    assert lines(Walk(Shape(credit=10_000)).last) == ["pending available / unearned 10000"]


@pytest.mark.parametrize(
    ("guard", "shape"),
    [
        ("available", Shape(escrow_id="esc_2", credit=2_001)),
        ("caller", Shape(escrow_id="esc_2", ceiling=192_001)),
        ("address", Shape(escrow_id="esc_2", ceiling=390_001, credit=300_000)),
        (
            "budget",
            Shape(escrow_id="esc_2", ceiling=900_001, credit=750_000, newcomer=False),
        ),
    ],
)
def test_a0_is_all_or_none(guard: str, shape: Shape) -> None:
    """One msat or pico-USD over any guard, and nothing of the opening is booked."""
    ledger = granted(Walk(PART_CREDIT).ledger, CALLER, shape.credit - (guard == "available"))
    transition = opening_of(opened(shape))
    with pytest.raises(ExposureExceeded) as refused:
        ledger.after(transition.accounts, transition.transfers)
    assert refused.value.guard == guard
    assert refused.value.open_amount + refused.value.asked == refused.value.limit + 1


def test_a0_newcomers_of_one_address_share_its_day() -> None:
    """H3: the day of an address is one sum over its callers."""
    ledger = Walk(Shape(ceiling=150_000)).ledger
    second = opening_of(opened(Shape(escrow_id="esc_2", caller_id="c_bob", ceiling=150_000)))
    third = opening_of(opened(Shape(escrow_id="esc_3", caller_id="c_eve", ceiling=100_001)))
    ledger = ledger.after(second.accounts, second.transfers)
    with pytest.raises(ExposureExceeded) as refused:
        ledger.after(third.accounts, third.transfers)
    assert (refused.value.guard, refused.value.open_amount) == ("address", 300_000)


def test_a0_the_operators_word_replaces_the_formula() -> None:
    """With a cap of its own a caller is held to that, whatever it has paid or let lapse."""
    transition = opening_of(opened(), cap_msat=9_999)
    with pytest.raises(ExposureExceeded) as refused:
        Walk(Shape(escrow_id="esc_0", ceiling=0)).ledger.after(
            transition.accounts, transition.transfers
        )
    assert (refused.value.guard, refused.value.limit) == ("caller", 9_999)


def test_a0_the_cap_is_computed_under_the_lock() -> None:
    """What was settled and what lapsed meanwhile counts, not what a caller's figures said."""
    paid = invoiced(9_000)
    paid.tell(settled(paid.escrow))
    over = opening_of(opened(Shape(escrow_id="esc_2", ceiling=200_701, newcomer=False)))
    with pytest.raises(ExposureExceeded) as refused:
        paid.ledger.after(over.accounts, over.transfers)
    assert refused.value.limit == 200_000 + 7_000 // 10
    lapsed = invoiced(9_000)
    lapsed.tell(canceled(lapsed.escrow))
    with pytest.raises(ExposureExceeded) as refused:
        lapsed.ledger.after(over.accounts, over.transfers)
    assert refused.value.limit == 200_000 - 2 * 7_000
