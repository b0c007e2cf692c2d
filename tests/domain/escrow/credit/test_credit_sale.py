"""A sale on credit: which event may follow what, and what its capture books, to the last msat."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cobot_meter.domain.errors import IllegalTransition
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.machine import advance
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState, Mode, Progress
from cobot_meter.domain.escrow.tables import CREDIT_TRANSITIONS, TRANSITIONS
from cobot_meter.domain.escrow.timers import next_timer_ms
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.record import CostStanding
from tests.domain.escrow.stages import (
    CREDIT_PRODUCT,
    CREDIT_STAGES,
    EVENTS,
    PARKED,
    PRODUCT,
    STAGES,
    on_credit,
)
from tests.domain.escrow.walks import assert_cleared, lines
from tests.domain.samples import (
    FAILURE,
    NOW_MS,
    RETENTION,
    completion_costed,
    cost_of,
)

S = Progress
# What the design draws, a second time: state | event -> state.
DRAWN = """
opened    | UpstreamRequested  | requested
opened    | Abandoned          | failed
opened    | ReservationExtended | opened
requested | ReservationExtended | requested
generated | ReservationExtended | generated
requested | GenerationStarted  | requested
requested | CompletionReceived | generated
requested | CompletionCosted   | released
requested | RunFailed          | failed
requested | RunOutcomeUnknown  | failed
requested | FellBack           | requested
generated | CostKnown          | costed
generated | CostLookupMissed   | generated
generated | CostNotFound       | failed
costed    | CostConfirmed      | costed
costed    | CostLookupMissed   | costed
costed    | CoveredByCredit    | settled
settled   | CompletionDelivered | released
settled   | CompletionLost     | refunded
settled   | ClaimLapsed        | refunded
settled   | CostConfirmed      | settled
settled   | CostLookupMissed   | settled
released  | BodiesShredded     | released
released  | CostConfirmed      | released
released  | CostLookupMissed   | released
failed    | CostConfirmed      | failed
failed    | CostLookupMissed   | failed
failed    | CostAttributed     | failed
failed    | CostGivenUp        | failed
refunded  | CostConfirmed      | refunded
refunded  | CostLookupMissed   | refunded
"""
OF_THE_OPERATOR = {on.QuarantineBegun, on.QuarantineLifted, on.WrittenOff}


def tell(escrow: Escrow, event: on.EscrowEvent) -> Escrow:
    """Advance at a fixed time."""
    return advance(escrow, event, at_ms=NOW_MS, retention=RETENTION)


def test_the_table_is_what_is_drawn_here() -> None:
    """Every pair that is not the operator's, written by hand a second time."""
    drawn = set()
    for line in DRAWN.strip().splitlines():
        state, event, after = (cell.strip() for cell in line.split("|"))
        drawn.add((state, event, after))
    assert drawn == {
        (state.value, event.__name__, after.value)
        for (state, event), after in CREDIT_PRODUCT.items()
        if event not in OF_THE_OPERATOR
    }


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
@pytest.mark.parametrize("state", CREDIT_STAGES)
def test_every_event_in_every_state(state: Progress, event: type[on.EscrowEvent]) -> None:
    """What is drawn leads there; anything else raises and leaves the sale alone."""
    needs_quarantine = event in OF_THE_OPERATOR - {on.QuarantineBegun}
    staged = CREDIT_STAGES[state]()
    escrow = staged.tell(PARKED).escrow if needs_quarantine else staged.escrow
    untouched = replace(escrow)
    target = CREDIT_PRODUCT.get((state, event))
    if target is None:
        with pytest.raises(IllegalTransition):
            tell(escrow, EVENTS[event](STAGES[state]().escrow))
    else:
        assert tell(escrow, EVENTS[event](escrow)).progress is target
    assert escrow == untouched


def test_no_invoice_is_ever_in_it() -> None:
    """Neither mode has what is the other's alone."""
    states = {state for state, _ in CREDIT_TRANSITIONS} | set(CREDIT_TRANSITIONS.values())
    assert states == set(EscrowState) - {EscrowState.INVOICED, EscrowState.EXPIRED}
    shared = set(TRANSITIONS) & set(CREDIT_TRANSITIONS)
    assert all(TRANSITIONS[pair] is CREDIT_TRANSITIONS[pair] for pair in shared)
    assert set(CREDIT_TRANSITIONS) - shared == {
        (EscrowState.RUNNING, ran.CompletionCosted),
        (EscrowState.RUNNING, on.ReservationExtended),
    }
    assert ran.CompletionCosted not in {event for _, event in PRODUCT}


def test_the_capture_books_cost_price_and_revenue_at_once() -> None:
    """The cost leaves our credit upstream, P is captured and ours, U − P is the caller's again."""
    walk = on_credit().tell(ran.UpstreamRequested())
    assert walk.pending() == {"available": 10_000, "key": 10_000, "key's day": 10_000}
    walk.tell(completion_costed(walk.escrow, 7_000))
    assert lines(walk.last) == [
        "posted cost/upstream / credits 7000",
        "post available / unearned 7000",
        "post key / contra 7000",
        "post key's day / contra 7000",
        "posted unearned / revenue 7000",
    ]
    escrow = walk.escrow
    assert (escrow.progress, escrow.price_msat, escrow.credit_used_msat) == (
        S.RELEASED,
        7_000,
        7_000,
    )
    assert (escrow.due_msat, escrow.invoice, escrow.payment_hash) == (0, None, None)
    assert walk.nets()["available"] == -3_000
    assert_cleared(walk)


def test_a_cost_above_the_ceiling_is_ours() -> None:
    """The caller pays what was reserved and no more."""
    walk = on_credit().tell(ran.UpstreamRequested())
    walk.tell(completion_costed(walk.escrow, 12_000))
    assert walk.escrow.price_msat == 10_000
    assert walk.nets()["revenue"] == -10_000
    assert walk.nets()["cost/upstream"] == 12_000
    assert "available" not in walk.nets()


@pytest.mark.parametrize("price_msat", [-1, 10_001])
def test_nothing_beyond_the_reservation_is_captured(price_msat: int) -> None:
    """Nor less than nothing: the books would owe what nobody has."""
    walk = on_credit().tell(ran.UpstreamRequested())
    told = replace(completion_costed(walk.escrow, 7_000), price_msat=price_msat)
    with pytest.raises(IllegalTransition, match="within what is reserved"):
        walk.tell(told)


def test_only_a_sale_that_credit_covers_wholly_is_captured() -> None:
    """A row of this mode with less reserved is a forged one."""
    walk = on_credit().tell(ran.UpstreamRequested())
    short = replace(walk.escrow, quote=replace(walk.escrow.quote, credit_reserved_msat=9_999))
    with pytest.raises(IllegalTransition, match="within what is reserved"):
        tell(short, completion_costed(walk.escrow, 7_000))


def test_the_confirmation_afterwards_is_a_matter_of_the_run() -> None:
    """The price stands, the margin takes the difference, and the sale's row is not written."""
    walk = on_credit().tell(ran.UpstreamRequested())
    walk.tell(completion_costed(walk.escrow, 7_000))
    sale_version = walk.escrow.version
    assert next_timer_ms(walk.escrow, RETENTION) == walk.escrow.run.lookup_at_ms
    walk.tell(ran.CostConfirmed(cost=cost_of(7_300)))
    assert lines(walk.last) == ["posted cost/upstream / credits 300"]
    assert (walk.escrow.version, walk.last.changed) == (sale_version, ())
    assert walk.escrow.price_msat == 7_000
    assert walk.escrow.run.cost is not None
    assert walk.escrow.run.cost.standing is CostStanding.CONFIRMED
    assert walk.escrow.run.lookup_at_ms is None


def test_a_run_that_fails_gives_the_credit_back() -> None:
    """Whatever became of it upstream, the caller's credit is whole again."""
    walk = on_credit().tell(ran.UpstreamRequested())
    walk.tell(ran.RunOutcomeUnknown(failure=FAILURE))
    assert walk.escrow.progress is S.FAILED
    assert walk.nets()["available"] == -10_000
    assert walk.pending() == {}


def test_its_mode_is_in_the_row_and_says_which_table() -> None:
    """The same event of the same run is refused of a sale by invoice."""
    invoiced = STAGES[S.REQUESTED]().escrow
    assert (invoiced.mode, on_credit().escrow.mode) == (Mode.ESCROW, Mode.CREDIT)
    with pytest.raises(IllegalTransition, match="a sale by escrow"):
        tell(invoiced, completion_costed(invoiced, 7_000))
