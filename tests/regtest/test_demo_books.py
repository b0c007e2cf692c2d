"""The comparison at the end of the demonstration on LND notices one msat."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from cobot_pay import Payment
from deploy.regtest.demo_books import BothBooks, Held, tell_both_books

BEFORE = Held(alice_msat=8_000_000, bob_msat=2_000_000, carol_msat=10_000_000)
AFTER = Held(alice_msat=7_893_000, bob_msat=2_105_000, carol_msat=10_002_000)
BOOKS = BothBooks(
    payments=(
        Payment(preimage="11" * 32, amount_msat=42_000, fee_msat=1_000),
        Payment(preimage="22" * 32, amount_msat=63_000, fee_msat=1_000),
    ),
    spent_msat=107_000,
    received_msat=105_000,
    earned_msat=2_000,
    before=BEFORE,
    after=AFTER,
)


def told(books: BothBooks) -> list[str]:
    """The lines of the comparison."""
    out = Console(width=100, markup=False, highlight=False)
    with out.capture() as captured:
        tell_both_books(out, books)
    return captured.get().splitlines()


def test_books_that_agree_end_well() -> None:
    """Payments, balances, five equal pairs and the verdict, fees named."""
    lines = told(BOOKS)
    assert BOOKS.equal
    assert sum(" = " in line for line in lines) == 5
    assert any("A's routing fees" in line and "2,000" in line for line in lines)
    assert lines[-1] == "✓ both books agree with both nodes, to the msat"


@pytest.mark.parametrize(
    "books",
    [
        replace(BOOKS, spent_msat=107_001),
        replace(BOOKS, received_msat=105_001),
        replace(BOOKS, earned_msat=2_001),
        replace(BOOKS, payments=BOOKS.payments[:1]),
        replace(BOOKS, after=replace(AFTER, alice_msat=7_893_001)),
        replace(BOOKS, after=replace(AFTER, bob_msat=2_104_999)),
        replace(BOOKS, before=replace(BEFORE, carol_msat=9_999_999)),
    ],
    ids=["budget", "B's books", "carol's word", "payments", "alice", "bob", "carol"],
)
def test_one_msat_is_noticed(books: BothBooks) -> None:
    """Whichever figure differs, the verdict says so."""
    assert not books.equal
    assert told(books)[-1] == "✗ the books do not agree with the nodes"
