"""Escrows from before revision 0009 book to their end as they began."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.ledger.accounts import account_of
from cobot_meter.domain.run import events as ran
from tests.domain.escrow.walks import PART_CREDIT, Walk, assert_cleared, invoiced, lines
from tests.domain.samples import FAILURE, Shape, canceled, cost_known, cost_of, received, settled

OLD = replace(PART_CREDIT, least=None)


def test_an_old_escrow_keeps_its_reservations_when_the_cost_is_known() -> None:
    """Cap and address stay at U − C0, the address in msat; the budget alone is made anew."""
    walk = Walk(OLD)
    assert lines(walk.last) == [
        "pending available / unearned 2000",
        "pending receivable / unearned 8000",
        "pending old address / contra 8000",
        "pending budget / contra 10000",
    ]
    walk.tell(ran.UpstreamRequested(), received())
    walk.tell(cost_known(walk.escrow, 7_000))
    assert lines(walk.last) == [
        "posted cost/upstream / credits 7000",
        "void budget / contra 10000",
        "pending budget / contra 7000",
    ]


def test_an_old_escrow_lapses_and_is_bought_late_as_it_always_was() -> None:
    """The lapse leaves P − C on the address in msat, and the late purchase takes it away."""
    walk = invoiced(7_000, OLD)
    walk.tell(canceled(walk.escrow))
    assert lines(walk.last)[-2:] == [
        "post old address / contra 5000",
        "post budget / contra 7000",
    ]
    walk.tell(settled(walk.escrow), on.LatePurchase(), on.CompletionDelivered())
    assert not {"old address", "budget", "lapsed"} & walk.nets().keys()
    assert_cleared(walk)


@pytest.mark.parametrize(
    "events",
    [
        (ran.Abandoned(),),
        (ran.UpstreamRequested(), ran.RunFailed(failure=FAILURE, charged=False)),
        (
            ran.UpstreamRequested(),
            ran.RunOutcomeUnknown(failure=FAILURE),
            ran.CostAttributed(cost_pusd=0),
        ),
    ],
)
def test_an_old_escrow_that_cost_nothing_counts_nothing(events: tuple[on.EscrowEvent]) -> None:
    """There was no least when it opened."""
    walk = Walk(OLD).tell(*events)
    assert walk.nets() == {"node": 2_000, "available": -2_000}
    assert_cleared(walk)


def test_an_old_free_escrow_reserves_nothing() -> None:
    """A ceiling of nothing opened without any reservation, and ends so."""
    walk = Walk(Shape(ceiling=0, least=None))
    assert lines(walk.last) == []
    walk.tell(ran.UpstreamRequested(), received())
    walk.tell(cost_known(walk.escrow, 0), on.CoveredByCredit(), on.CompletionDelivered())
    assert walk.nets() == {}


def test_an_old_failure_is_corrected_on_its_budget_alone() -> None:
    """A confirmed cost after the end moves the budget, and no address."""
    walk = invoiced(7_000, OLD, confirmed=False)
    walk.tell(canceled(walk.escrow), ran.CostConfirmed(cost=cost_of(9_000)))
    assert walk.nets()["budget"] == walk.nets()["cost/unpaid"] == 9_000
    assert walk.nets()["old address"] == 5_000


def test_the_chart_knows_the_addresses_of_both_ages() -> None:
    """Old books are read back with their msat, new ones with pico-USD, IPv6 networks included."""
    for address in ("192.0.2.1", "2001:db8::/64"):
        old = account_of(f"exposure/address/{address}/2026-11-22")
        new = account_of(f"exposure/network/{address}/2026-11-22")
        assert old is not None
        assert new is not None
        assert (old.commodity, new.commodity) == ("msat", "pusd")
        assert old.code != new.code
