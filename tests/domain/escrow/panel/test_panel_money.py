"""What a panel reserves, is sold for, and leaves behind, whoever of its members answered."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.consensus.panel import panel_fault, read_panel
from cobot_meter.domain.errors import IllegalTransition
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.reservations import caller_reservation, opened_accounts
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.money import ExchangeRate, msat_from_pusd
from cobot_meter.domain.run import events as ran
from tests.domain.escrow.panel.panel_walks import (
    MOST,
    PANEL_STAGES,
    REPORTED,
    answered,
    asked_panel,
    covered_panel,
    of_member,
    opened_panel,
    paid_late_panel,
    priced_panel,
    settled_panel,
)
from tests.domain.escrow.walks import Walk
from tests.domain.samples import (
    FAILURE,
    NOW_MS,
    Shape,
    cost_known,
    cost_of,
    invoice_issued,
    opened,
    panel_priced,
    received,
)
from tests.fakes.ledger_model import Ledger

S = Progress


def test_opening_reserves_each_ceiling_of_the_day_and_their_sum_of_the_caller() -> None:
    """No member can cost more than what was reserved for it."""
    walk = opened_panel()
    assert walk.pending()["receivable"] == sum(MOST)
    held = [
        hold.amount
        for hold in walk.ledger.open_reservations().values()
        if hold.debit.startswith("exposure/unpaid")
    ]
    assert held == list(MOST)


def test_the_price_is_that_of_those_that_answered() -> None:
    """The one that failed is not billed; what it may have cost stays reserved of the day alone."""
    walk = priced_panel()
    assert (walk.escrow.priced_pusd, walk.escrow.price_msat) == (5_500, 5_500)
    assert walk.pending() == {"receivable": 5_500, "proven budget": 2_500}
    sold = settled_panel().tell(on.CompletionDelivered())
    assert sold.ledger.of(chart.REVENUE).net == -5_500
    assert sold.pending() == {"proven budget": 2_000}


def test_what_a_failed_member_cost_after_all_is_ours() -> None:
    """Its record comes: an expense of failures, and no price moves."""
    walk = settled_panel()
    price_msat = walk.escrow.price_msat
    of_member(walk, 2, ran.CostConfirmed(cost=cost_of(600)))
    assert walk.ledger.of(chart.COST_FAILED).net == 600
    assert walk.escrow.price_msat == price_msat
    assert walk.pending() == {}


def test_credit_pays_for_all_of_it_and_gives_the_rest_back() -> None:
    """A key reserves the sum of the ceilings, and is charged the price."""
    walk = covered_panel()
    walk.tell(on.CoveredByCredit(), on.CompletionDelivered())
    assert walk.ledger.of(chart.available(walk.escrow.caller_id)).net == -(10_000 - 5_500)
    assert walk.ledger.of(chart.key_spent("key_1")).net == 5_500
    # Of whom nobody knows what it cost: as much as it may have, and no more.
    assert walk.ledger.of(chart.key_losses("key_1", walk.escrow.quote.day)).net == MOST[1]
    assert walk.pending() == {}


def test_a_late_payment_buys_it_and_a_lapse_leaves_its_cost_unpaid() -> None:
    """Each member's cost is in the account that its run names."""
    walk = PANEL_STAGES[S.EXPIRED]()
    assert walk.ledger.of(chart.COST_UNPAID).net == 5_500
    bought = paid_late_panel().tell(on.LatePurchase())
    assert bought.ledger.of(chart.COST_UNPAID).net == 0
    assert bought.ledger.of(chart.COST_UPSTREAM).net == 5_500


@pytest.mark.parametrize(
    "event",
    [
        lambda walk: replace(panel_priced(walk.escrow), priced_pusd=5_499),
        lambda walk: replace(panel_priced(walk.escrow), price_msat=5_501),
        lambda walk: replace(panel_priced(walk.escrow), provisional_runs=1),
        lambda _: REPORTED,
    ],
)
def test_no_other_sum_no_other_price_and_no_second_report(event: object) -> None:
    """The machine adds up for itself."""
    walk = asked_panel()
    assert callable(event)
    with pytest.raises(IllegalTransition):
        walk.tell(event(walk))


def test_one_answer_is_no_consensus() -> None:
    """Fewer than two are never priced; nothing is sold while one is awaited."""
    walk = answered(opened_panel(), 1, 3_000)
    with pytest.raises(IllegalTransition):
        walk.tell(REPORTED)
    with pytest.raises(IllegalTransition):
        walk.tell(on.PanelEnded(failure=FAILURE))
    for number in (2, 3):
        of_member(walk, number, ran.RunFailed(failure=FAILURE, charged=False))
    walk.tell(REPORTED)
    with pytest.raises(IllegalTransition):
        walk.tell(panel_priced(walk.escrow))
    walk.tell(on.PanelEnded(failure=FAILURE))
    assert walk.ledger.of(chart.COST_FAILED).net == 3_000
    assert walk.pending() == {}


def test_a_correction_in_between_makes_the_price_late() -> None:
    """Pricing moves the rows of those it sells, so that their versions refuse an older sum."""
    walk = asked_panel()
    before = [run.version for run in walk.escrow.runs]
    walk.tell(panel_priced(walk.escrow))
    moved = [run.version for run in walk.escrow.runs]
    assert moved == [before[0] + 1, before[1], before[2] + 1]
    assert [run.run_id for run, _ in walk.last.runs] == ["esc_1", "esc_1.3"]


COSTS = st.lists(st.integers(1, 40_000_000_000), min_size=2, max_size=8)


@given(
    costs=COSTS,
    failed=st.sets(st.integers(0, 7)),
    usd_micro_per_btc=st.integers(10**9, 10**12),
    data=st.data(),
)
def test_the_price_is_one_rounding_of_the_sum_and_the_books_balance(
    costs: list[int], failed: set[int], usd_micro_per_btc: int, data: st.DataObject
) -> None:
    """Never a sum of roundings, never above the ceiling, nothing of those who failed."""
    most = tuple(data.draw(st.integers(1, 40_000_000_000)) for _ in costs)
    rate = ExchangeRate(usd_micro_per_btc=usd_micro_per_btc, source="any", fetched_at_ms=NOW_MS)
    row = opened(Shape(newcomer=False, panel=most, ceiling=sum(most)))
    quote = replace(row.quote, rate=rate, ceiling_msat=msat_from_pusd(sum(most), rate))
    walk = Walk(Shape(ceiling=0))
    walk.escrow = replace(row, quote=quote)
    walk.ledger = _opened_books(walk)
    for number, cost in enumerate(costs, start=1):
        if number - 1 in failed:
            of_member(walk, number, ran.RunFailed(failure=FAILURE, charged=False))
        else:
            walk.escrow = walk.escrow.seen_from(walk.escrow.runs[number - 1].run_id)
            walk.tell(received(), cost_known(walk.escrow, cost))
            walk.escrow = walk.escrow.seen_from(walk.escrow.run_id)
    walk.tell(REPORTED)
    billed = [
        min(cost, cap)
        for number, (cost, cap) in enumerate(zip(costs, most, strict=True))
        if number not in failed
    ]
    if len(billed) < 2:
        walk.tell(on.PanelEnded(failure=FAILURE))
        assert walk.escrow.price_msat == 0
    else:
        walk.tell(panel_priced(walk.escrow))
        assert walk.escrow.price_msat == msat_from_pusd(sum(billed), rate)
        assert walk.escrow.price_msat <= quote.ceiling_msat
        walk.tell(invoice_issued(walk.escrow))
    nets: dict[str, int] = {}
    for code, counters in walk.ledger.counters.items():
        account = chart.account_of(code)
        assert account is not None
        nets[account.commodity] = nets.get(account.commodity, 0) + counters.net
    assert set(nets.values()) == {0}


def _opened_books(walk: Walk) -> Ledger:
    row = walk.escrow
    holds = [one for run in row.runs for one in row.days.reserved(run)]
    transfers = [one for hold in (*holds, caller_reservation(row)) for one in hold.pend()]
    return walk.ledger.after(opened_accounts(row), tuple(transfers))


def test_a_stored_panel_is_read_again_and_told_apart() -> None:
    """What the row says of it is what was asked; a forged one is named in words."""
    row = opened(Shape(panel=MOST))
    assert row.route is not None
    assert [one.most_pusd for one in read_panel(row.route).members] == list(MOST)
    assert panel_fault(row.route, asked_model=row.quote.model, ceiling_pusd=10_000) == ""
    for forged in (row.route.replace("4000", "4001", 1), row.route.replace("review", "x"), "{}"):
        assert panel_fault(forged, asked_model=row.quote.model, ceiling_pusd=10_000)
    assert panel_fault(row.route, asked_model="cobot/consensus:verdict", ceiling_pusd=10_000)
