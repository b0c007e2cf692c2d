"""A1 to A4 and B1: what a completion that is sold in time books, to the last msat."""

from __future__ import annotations

import pytest

from cobot_meter.domain.errors import LedgerUnbalanced
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.ledger.transfers import TransferKind
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.topup.bookings import topup_credited
from tests.domain.escrow.walks import PART_CREDIT, Walk, assert_cleared, invoiced, lines
from tests.domain.samples import CALLER, NODE, Shape, cost_known, invoice_issued, received, settled


def test_a1_a2_the_cost_is_booked_and_reserved_anew() -> None:
    """CostKnown: c leaves our upstream credit; cap and days now hold P − C and c, no ceiling."""
    walk = Walk(PART_CREDIT).tell(ran.UpstreamRequested(), received())
    walk.tell(cost_known(walk.escrow, 7_000))
    assert lines(walk.last) == [
        "posted cost/upstream / credits 7000",
        "void receivable / unearned 8000",
        "pending receivable / unearned 5000",
        "void address / contra 10000",
        "void budget / contra 10000",
        "pending address / contra 7000",
        "pending budget / contra 7000",
    ]
    walk.tell(invoice_issued(walk.escrow))
    assert lines(walk.last) == [
        "post available / unearned 2000",
        "post receivable / unearned 5000",
    ]
    assert walk.pending() == {"address": 7_000, "budget": 7_000}


def test_a2_a_cost_above_the_ceiling_is_ours() -> None:
    """P = min(price, U): the caller pays the ceiling, the budget counts what was spent."""
    walk = invoiced(12_000, Shape(ceiling=10_000))
    assert (walk.escrow.price_msat, walk.escrow.cost_pusd) == (10_000, 12_000)
    assert walk.pending() == {"address": 12_000, "budget": 12_000}


def test_a2c_credit_that_covers_the_price_settles_at_once() -> None:
    """P ≤ C0: credit pays P, everything else is given back, the node is never asked."""
    walk = Walk(PART_CREDIT).tell(ran.UpstreamRequested(), received())
    walk.tell(cost_known(walk.escrow, 1_500), on.CoveredByCredit())
    assert lines(walk.last) == [
        "post available / unearned 1500",
        "void address / contra 1500",
        "void budget / contra 1500",
    ]
    walk.tell(on.CompletionDelivered())
    assert_cleared(walk)
    assert walk.nets() == {
        "node": 2_000,
        "available": -500,
        "revenue": -1_500,
        "cost/upstream": 1_500,
        "credits": -1_500,
    }


def test_a2c_a_free_completion_moves_no_msat() -> None:
    """Price 0 settles without credit or invoice, and delivering it books nothing."""
    walk = Walk(Shape(ceiling=0)).tell(ran.UpstreamRequested(), received())
    walk.tell(cost_known(walk.escrow, 0), on.CoveredByCredit(), on.CompletionDelivered())
    assert walk.escrow.progress is Progress.RELEASED
    assert walk.nets() == {}
    assert_cleared(walk)


def test_a2c_a_free_completion_counts_its_least() -> None:
    """What costs nothing is bounded all the same: its least stands on address and budget."""
    walk = Walk(Shape(ceiling=0, least=300)).tell(ran.UpstreamRequested(), received())
    assert walk.pending() == {"address": 300, "budget": 300}
    walk.tell(cost_known(walk.escrow, 0), on.CoveredByCredit(), on.CompletionDelivered())
    assert walk.nets() == {"address": 300, "budget": 300, "contra": -600}
    assert_cleared(walk)


@pytest.mark.parametrize("credit", [0, 2_000])
def test_what_was_paid_for_counts_nothing(credit: int) -> None:
    """Over Lightning or from credit: the day of address and group is as it was."""
    shape = Shape(least=300, credit=credit)
    walk = Walk(shape).tell(ran.UpstreamRequested(), received())
    walk.tell(cost_known(walk.escrow, 40))
    assert walk.pending()["address"] == walk.pending()["budget"] == 300
    if credit:
        walk.tell(on.CoveredByCredit())
    else:
        walk.tell(invoice_issued(walk.escrow))
        walk.tell(settled(walk.escrow))
    assert not {"address", "budget"} & walk.nets().keys()
    walk.tell(on.CompletionDelivered())
    assert_cleared(walk)


def test_a3_a4_paid_exactly_and_delivered() -> None:
    """S = P − C: the receivable is gone, what was unearned becomes revenue of P."""
    walk = invoiced()
    walk.tell(settled(walk.escrow))
    assert lines(walk.last) == [
        "posted node / receivable 5000",
        "posted settled / contra 5000",
        "void address / contra 7000",
        "void budget / contra 7000",
    ]
    walk.tell(on.CompletionDelivered())
    assert lines(walk.last) == ["posted unearned / revenue 7000"]
    assert_cleared(walk)
    assert walk.nets() == {
        "node": 7_000,
        "revenue": -7_000,
        "settled": 5_000,
        "contra": -5_000,
        "cost/upstream": 7_000,
        "credits": -7_000,
    }


def test_a3_whole_sat_rounding_is_the_callers_credit() -> None:
    """1,001 msat due are invoiced as 2 sat; the other 999 msat are credit."""
    walk = invoiced(1_001, Shape())
    assert walk.escrow.invoice is not None
    assert walk.escrow.invoice.amount_msat == 2_000
    walk.tell(settled(walk.escrow))
    assert lines(walk.last)[:2] == ["posted node / receivable 1001", "posted node / available 999"]


def test_a3_overpayment_is_the_callers_credit() -> None:
    """Whatever the node received beyond what was due belongs to the caller."""
    walk = invoiced()
    walk.tell(settled(walk.escrow, 9_999), on.CompletionDelivered())
    assert walk.nets()["available"] == -4_999
    assert_cleared(walk)


def test_a3_less_than_due_is_never_a_settlement() -> None:
    """A node that settles below the invoice is broken: nothing is booked or released."""
    walk = invoiced()
    with pytest.raises(LedgerUnbalanced):
        walk.tell(settled(walk.escrow, 4_999))
    assert walk.escrow.progress is Progress.INVOICED


def test_b1_a_topup_is_credit_to_the_msat() -> None:
    """All that was paid is the caller's."""
    (transfer,) = topup_credited(caller_id=CALLER, node_alias=NODE, paid_msat=1_234)
    assert transfer.kind is TransferKind.POSTED
    assert (transfer.debit.code, transfer.credit.code, transfer.amount) == (
        f"ln/node/{NODE}",
        f"caller/{CALLER}/available",
        1_234,
    )
