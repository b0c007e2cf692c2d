"""Where every cost of a task's runs ends up, whatever becomes of it, and whose the money is."""

from __future__ import annotations

import pytest

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.record import run_id_of
from tests.domain.escrow.task.task_walks import (
    TASK_STAGES,
    closed_task,
    expired_task,
    invoiced_task,
    opened_task,
    paid_late_task,
    parked_task,
    settled_task,
    worked_task,
)
from tests.domain.escrow.walks import Walk, assert_cleared
from tests.domain.samples import FAILURE, cost_of, settled

S = Progress
# 3,000 and 2,500; the failed one in between may have cost 4,000 at most, and did cost 600.
SOLD, FAILED_COST = 5_500, 600


def _found(walk: Walk) -> Walk:
    """The record of the failed run has come: it cost 600."""
    run_id = run_id_of(walk.escrow.escrow_id, 3)
    walk.escrow = walk.escrow.seen_from(run_id)
    walk.tell(ran.CostConfirmed(cost=cost_of(FAILED_COST)))
    walk.escrow = walk.escrow.seen_from(walk.escrow.run_id)
    return walk


def test_opening_reserves_ceiling_and_fee_of_the_seller_and_nothing_else() -> None:
    """The buyer risks nothing and has nothing; the day has room for no run yet."""
    assert opened_task().pending() == {"seller's receivable": 11_500}
    assert opened_task().nets() == {}


def test_each_run_takes_its_ceiling_of_the_day_and_then_its_cost() -> None:
    """What nobody knows of a failed one stays reserved beside it."""
    walk = worked_task()
    holds = sorted(
        hold.amount
        for hold in walk.ledger.open_reservations().values()
        if "unpaid/proven" in hold.debit
    )
    assert holds == [2_500, 3_000, 4_000]


def test_paid_and_delivered_the_price_is_ours_and_the_fee_the_sellers() -> None:
    """And what failed is ours to bear, found out before or after."""
    walk = _found(settled_task()).tell(on.CompletionDelivered())
    assert_cleared(walk)
    assert {name: net for name, net in walk.nets().items() if name != "contra"} == {
        "node": 7_000,
        "available": -500,
        "seller's available": -1_000,
        "seller's settled": 6_500,
        "revenue": -5_500,
        "cost/upstream": SOLD,
        "cost/failed": FAILED_COST,
        "credits": -(SOLD + FAILED_COST),
        "proven budget": FAILED_COST,
    }


def test_not_paid_its_runs_are_unpaid_and_count_on_the_day() -> None:
    """The seller's invoice has lapsed, and nobody has credit of it."""
    walk = _found(expired_task())
    nets = walk.nets()
    assert nets["cost/unpaid"] == SOLD
    assert nets["cost/failed"] == FAILED_COST
    assert nets["proven budget"] == SOLD + FAILED_COST
    assert nets["seller's lapsed"] == 6_500
    assert "available" not in nets
    assert "seller's available" not in nets
    assert_cleared(walk)


def test_bought_late_every_run_is_paid_for_after_all() -> None:
    """The buyer's late payment buys it, and what had lapsed is taken back."""
    walk = paid_late_task().tell(on.LatePurchase())
    nets = walk.nets()
    assert nets["cost/upstream"] == SOLD
    assert "cost/unpaid" not in nets
    assert "seller's lapsed" not in nets
    assert nets["available"] == -500
    assert walk.tell(on.CompletionDelivered()).nets()["seller's available"] == -1_000


@pytest.mark.parametrize("event", [on.CompletionLost(), on.ClaimLapsed(kept_msat=5_500)])
def test_what_was_not_delivered_earns_its_seller_nothing(event: on.EscrowEvent) -> None:
    """Lost, all goes back to the buyer; never claimed, all but what it cost us, the fee too."""
    walk = settled_task().tell(event)
    nets = walk.nets()
    assert "seller's available" not in nets
    assert -nets["available"] - nets.get("revenue", 0) == 7_000
    assert nets["cost/upstream"] == SOLD


def test_given_up_every_cost_is_that_of_a_failure() -> None:
    """It counts on the day, and the seller has its cap back."""
    walk = _found(worked_task().tell(on.TaskEnded(failure=FAILURE)))
    assert walk.nets() == {
        "cost/failed": SOLD + FAILED_COST,
        "credits": -(SOLD + FAILED_COST),
        "proven budget": SOLD + FAILED_COST,
        "contra": -(SOLD + FAILED_COST),
    }
    assert_cleared(walk)


def test_without_an_invoice_every_cost_is_that_of_a_failure() -> None:
    """The node refused it for good."""
    walk = _found(closed_task().tell(on.InvoiceMakingRefused(failure=FAILURE)))
    assert walk.nets()["cost/failed"] == SOLD + FAILED_COST
    assert_cleared(walk)


@pytest.mark.parametrize("state", list(TASK_STAGES))
def test_written_off_nothing_stays_reserved(state: Progress) -> None:
    """Whatever it was when it could not be booked: every cost stands in one account."""
    walk = parked_task(state).tell(on.WrittenOff(reason="looked at"))
    nets = walk.nets()
    assert not [hold for hold in walk.pending() if "day" in hold or "budget" in hold]
    assert sum(nets.get(name, 0) for name in ("cost/upstream", "cost/unpaid", "cost/failed")) == (
        SOLD
    )
    assert nets["credits"] == -SOLD
    assert walk.ledger.of(chart.UNEARNED).net == 0
    assert "seller's receivable" not in walk.pending()


@pytest.mark.parametrize(
    ("walk", "account"),
    [
        (invoiced_task(), "cost/upstream"),
        (settled_task(), "cost/upstream"),
        (expired_task(), "cost/unpaid"),
        (worked_task().tell(on.TaskEnded(failure=FAILURE)), "cost/failed"),
        (paid_late_task().tell(on.LatePurchase()), "cost/upstream"),
    ],
    ids=["invoiced", "settled", "expired", "given up", "bought late"],
)
def test_a_late_confirmation_of_an_earlier_run_finds_its_account(walk: Walk, account: str) -> None:
    """The first run cost 200 more than it said; what is unpaid counts them on the day too."""
    before = walk.nets()
    first = run_id_of(walk.escrow.escrow_id, 2)
    walk.escrow = walk.escrow.seen_from(first)
    walk.tell(ran.CostConfirmed(cost=cost_of(3_200)))
    after = walk.nets()
    assert after[account] == before[account] + 200
    assert after["credits"] == before["credits"] - 200
    unpaid = account != "cost/upstream"
    assert after.get("proven budget", 0) == before.get("proven budget", 0) + 200 * unpaid


def test_an_overpayment_is_the_buyers() -> None:
    """Beyond price and rounding, all of it."""
    walk = invoiced_task()
    walk.tell(settled(walk.escrow, 9_000))
    assert walk.nets()["available"] == -2_500
    assert "seller's available" not in walk.nets()
