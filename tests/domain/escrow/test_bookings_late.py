"""A5, A6, A9, A10 and A12: lapses, late money, corrections and claims nobody makes."""

from __future__ import annotations

import pytest

from cobot_meter.domain.errors import ExposureExceeded, LedgerUnbalanced
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.pricing.prices import kept_when_lapsed_msat
from cobot_meter.domain.run import events as ran
from tests.domain.escrow.walks import Walk, assert_cleared, invoiced, lines
from tests.domain.samples import (
    WITH_FEE,
    Shape,
    canceled,
    cost_known,
    cost_of,
    invoice_issued,
    opened,
    opening_of,
    received,
    settled,
)


def test_a5_a_lapsed_invoice_is_written_off_in_usd() -> None:
    """Credit used comes back, the price vanishes, the cost is unpaid and marks the caller."""
    walk = invoiced()
    walk.tell(canceled(walk.escrow))
    assert lines(walk.last) == [
        "posted unearned / receivable 5000",
        "posted unearned / available 2000",
        "posted cost/unpaid / cost/upstream 7000",
        "posted lapsed / contra 5000",
        "post address / contra 7000",
        "post budget / contra 7000",
    ]
    assert_cleared(walk)
    assert walk.nets() == {
        "node": 2_000,
        "available": -2_000,
        "lapsed": 5_000,
        "address": 7_000,
        "budget": 7_000,
        "contra": -5_000,
        "cost/unpaid": 7_000,
        "credits": -7_000,
    }


def test_a5_of_a_proven_caller_leaves_the_address_alone() -> None:
    """Without H3 there is nothing to post on the address."""
    walk = invoiced(7_000, Shape(newcomer=False))
    walk.tell(canceled(walk.escrow))
    assert "address" not in walk.nets()
    assert_cleared(walk)


def test_a6_late_money_is_credit_and_then_buys_what_is_kept() -> None:
    """The settle is never refused; the purchase undoes every trace of the lapse."""
    walk = invoiced()
    walk.tell(canceled(walk.escrow))
    walk.tell(settled(walk.escrow))
    assert lines(walk.last) == ["posted node / available 5000"]
    assert walk.escrow.progress is Progress.EXPIRED
    walk.tell(on.LatePurchase())
    assert lines(walk.last) == [
        "posted available / unearned 7000",
        "posted cost/upstream / cost/unpaid 7000",
        "posted contra / lapsed 5000",
        "posted contra / address 7000",
        "posted contra / budget 7000",
    ]
    walk.tell(on.CompletionDelivered())
    assert_cleared(walk)
    assert walk.nets() == {
        "node": 7_000,
        "revenue": -7_000,
        "cost/upstream": 7_000,
        "credits": -7_000,
    }


def test_a6_credit_spent_elsewhere_buys_nothing_late() -> None:
    """The late purchase is guarded: it takes the credit that is there, or none."""
    walk = invoiced()
    walk.tell(canceled(walk.escrow))
    walk.tell(settled(walk.escrow))
    other = opening_of(opened(Shape(escrow_id="esc_2", credit=1)))
    walk.ledger = walk.ledger.after(other.accounts, other.transfers)
    with pytest.raises(ExposureExceeded) as refused:
        walk.tell(on.LatePurchase())
    assert refused.value.guard == "available"


def test_a9_a_provisional_cost_prices_and_a10_corrects_our_margin() -> None:
    """What the record says later moves our cost and the reservation, never the price."""
    walk = invoiced(7_000, confirmed=False)
    walk.tell(ran.CostConfirmed(cost=cost_of(7_700)))
    assert lines(walk.last) == [
        "posted cost/upstream / credits 700",
        "void address / contra 7000",
        "void budget / contra 7000",
        "pending address / contra 7700",
        "pending budget / contra 7700",
    ]
    walk.tell(settled(walk.escrow), on.CompletionDelivered())
    assert walk.nets()["revenue"] == -7_000
    assert walk.nets()["cost/upstream"] == 7_700
    assert_cleared(walk)


def test_a10_a_lower_cost_is_reversed() -> None:
    """A difference below zero is the same posting turned round."""
    walk = invoiced(7_000, confirmed=False)
    walk.tell(ran.CostConfirmed(cost=cost_of(6_000)))
    assert lines(walk.last)[0] == "posted credits / cost/upstream 1000"
    walk.tell(canceled(walk.escrow))
    assert walk.nets()["cost/unpaid"] == walk.nets()["budget"] == 6_000
    assert_cleared(walk)


@pytest.mark.parametrize("confirmed", [6_000, 7_000, 9_000])
def test_a10_after_the_lapse_corrects_what_is_unpaid(confirmed: int) -> None:
    """In `expired` the difference goes to cost/unpaid and to the day's budget alike."""
    walk = invoiced(7_000, confirmed=False)
    walk.tell(canceled(walk.escrow), ran.CostConfirmed(cost=cost_of(confirmed)))
    assert walk.nets()["cost/unpaid"] == walk.nets()["budget"] == confirmed
    assert walk.nets()["address"] == confirmed
    walk.tell(settled(walk.escrow), on.LatePurchase(), on.CompletionDelivered())
    assert not {"address", "budget"} & walk.nets().keys()
    assert walk.nets()["cost/upstream"] == confirmed
    assert_cleared(walk)


@pytest.mark.parametrize("end", [on.CompletionDelivered(), on.CompletionLost()])
def test_a10_after_payment_is_margin_only(end: on.EscrowEvent) -> None:
    """Once paid, no budget is touched any more."""
    walk = invoiced(7_000, confirmed=False)
    walk.tell(settled(walk.escrow), end, ran.CostConfirmed(cost=cost_of(9_000)))
    assert lines(walk.last) == ["posted cost/upstream / credits 2000"]
    assert_cleared(walk)


def test_a12_a_lost_completion_is_refunded_whole() -> None:
    """What we cannot hand over is given back as credit."""
    walk = invoiced()
    walk.tell(settled(walk.escrow), on.CompletionLost())
    assert lines(walk.last) == ["posted unearned / available 7000"]
    assert_cleared(walk)


def test_a12_a_lapsed_claim_pays_its_cost_and_no_more() -> None:
    """K = cost and credit fee stays ours, the markup P − K becomes credit."""
    shape = Shape(ceiling=100_000, terms=WITH_FEE)
    walk = Walk(shape).tell(ran.UpstreamRequested(), received())
    walk.tell(cost_known(walk.escrow, 10_001))
    assert walk.escrow.price_msat == 15_002
    walk.tell(invoice_issued(walk.escrow))
    walk.tell(settled(walk.escrow), ran.CostConfirmed(cost=cost_of(8_000)))
    kept = kept_when_lapsed_msat(
        walk.escrow.cost_pusd,
        price_msat=walk.escrow.price_msat,
        rate=walk.escrow.quote.rate,
        terms=walk.escrow.quote.terms,
    )
    walk.tell(on.ClaimLapsed(kept_msat=kept))
    assert lines(walk.last) == [
        "posted unearned / revenue 12000",
        "posted unearned / available 3002",
    ]
    assert_cleared(walk)


@pytest.mark.parametrize("kept", [-1, 7_001])
def test_a12_nobody_keeps_less_than_nothing_or_more_than_the_price(kept: int) -> None:
    """Either would take credit from the caller without a guard."""
    walk = invoiced()
    walk.tell(settled(walk.escrow))
    with pytest.raises(LedgerUnbalanced):
        walk.tell(on.ClaimLapsed(kept_msat=kept))


@pytest.mark.parametrize("kept", [0, 1, 6_999, 7_000])
def test_a12_any_part_of_the_price_may_be_kept(kept: int) -> None:
    """None of it, all of it, and to the msat what lies between."""
    walk = invoiced()
    walk.tell(settled(walk.escrow), on.ClaimLapsed(kept_msat=kept))
    assert walk.nets().get("revenue", 0) == -kept
    assert walk.nets().get("available", 0) == kept - 7_000
    assert_cleared(walk)


@pytest.mark.parametrize("kept", [-1, 7_001])
def test_a12_no_more_than_the_price_is_kept(kept: int) -> None:
    """Nor less than nothing."""
    walk = invoiced()
    walk.tell(settled(walk.escrow))
    with pytest.raises(LedgerUnbalanced, match="cannot be kept"):
        walk.tell(on.ClaimLapsed(kept_msat=kept))


@pytest.mark.parametrize("least", [0, 300, None])
def test_a12_a_free_completion_that_nobody_claims_moves_nothing(least: int | None) -> None:
    """It ends like any other: no revenue, no credit, and only its least stays counted."""
    walk = Walk(Shape(ceiling=0, least=least)).tell(ran.UpstreamRequested(), received())
    walk.tell(cost_known(walk.escrow, 0), on.CoveredByCredit(), on.ClaimLapsed(kept_msat=0))
    assert lines(walk.last) == []
    assert walk.escrow.progress is Progress.REFUNDED
    counted = {"budget": 300, "address": 300, "contra": -600} if least else {}
    assert walk.nets() == counted
    assert_cleared(walk)


@pytest.mark.parametrize(("paid", "booked"), [(4_999, False), (5_000, True), (5_001, True)])
def test_a4_a_payment_in_time_covers_what_was_due(paid: int, *, booked: bool) -> None:
    """One msat less is not what was sold; what is more is credit."""
    walk = invoiced()
    if booked:
        walk.tell(settled(walk.escrow, paid))
        assert walk.nets()["settled"] == 5_000
        assert walk.nets().get("available", 0) == 5_000 - paid
    else:
        with pytest.raises(LedgerUnbalanced, match="below what was due"):
            walk.tell(settled(walk.escrow, paid))
