"""The escrow table: every state with every event, and what can be reached from where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobot_meter.domain.errors import IllegalTransition
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.machine import advance, is_repeated
from cobot_meter.domain.escrow.record import Escrow, IssuedInvoice
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.escrow.tables import HEARD, TABLES
from cobot_meter.domain.outside import NAME_MAX, SENTENCE_MAX
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.machine import RUN_TRANSITIONS
from cobot_meter.domain.run.record import Cost, CostStanding, Failure, Summary
from tests.domain.escrow.stages import (
    EVENTS,
    PRODUCT,
    RUN_EVENTS,
    STAGES,
    covered,
    paid_late,
    parked,
)
from tests.domain.escrow.walks import invoiced
from tests.domain.samples import NOW_MS, RETENTION, Shape, cost_of, settled

S = Progress
LIVE = frozenset(
    {
        S.OPENED,
        S.REQUESTED,
        S.GENERATED,
        S.COSTED,
        S.INVOICED,
        S.SETTLED,
    }
)
ENDED = frozenset({S.RELEASED, S.FAILED, S.EXPIRED, S.REFUNDED})
# As drawn in the design, told once more; corrections and fruitless look-ups are added below.
DRAWN: Mapping[Progress, Mapping[type[on.EscrowEvent], Progress]] = {
    S.OPENED: {ran.UpstreamRequested: S.REQUESTED, ran.Abandoned: S.FAILED},
    S.REQUESTED: {
        ran.GenerationStarted: S.REQUESTED,
        ran.CompletionReceived: S.GENERATED,
        ran.RunFailed: S.FAILED,
        ran.RunOutcomeUnknown: S.FAILED,
        ran.FellBack: S.REQUESTED,
    },
    S.GENERATED: {ran.CostKnown: S.COSTED, ran.CostNotFound: S.FAILED},
    S.COSTED: {
        on.CoveredByCredit: S.SETTLED,
        on.InvoiceIssued: S.INVOICED,
        on.InvoiceLost: S.COSTED,
        on.InvoiceMakingRefused: S.FAILED,
    },
    S.INVOICED: {on.InvoiceSettled: S.SETTLED, on.InvoiceCanceled: S.EXPIRED},
    S.SETTLED: {
        on.CompletionDelivered: S.RELEASED,
        on.CompletionLost: S.REFUNDED,
        on.ClaimLapsed: S.REFUNDED,
    },
    S.RELEASED: {on.BodiesShredded: S.RELEASED},
    S.EXPIRED: {
        on.InvoiceSettled: S.EXPIRED,
        on.LatePurchase: S.SETTLED,
        on.BodiesShredded: S.EXPIRED,
    },
    S.FAILED: {ran.CostAttributed: S.FAILED, ran.CostGivenUp: S.FAILED},
    S.REFUNDED: {},
}
# Where the operator ends what cannot be booked.
WRITTEN_OFF = {
    S.OPENED: S.FAILED,
    S.REQUESTED: S.FAILED,
    S.GENERATED: S.FAILED,
    S.COSTED: S.FAILED,
    S.INVOICED: S.EXPIRED,
    S.SETTLED: S.REFUNDED,
    **{state: state for state in ENDED},
}
NOT_YET_COSTED = {S.OPENED, S.REQUESTED, S.GENERATED}


def expected(state: Progress, event: type[on.EscrowEvent]) -> Progress | None:
    """Where the design leads, None where it leads nowhere."""
    if event is ran.CostConfirmed:
        return None if state in NOT_YET_COSTED else state
    if event is ran.CostLookupMissed:
        return None if state in {S.OPENED, S.REQUESTED} else state
    if event in {on.QuarantineBegun, on.QuarantineLifted}:
        return state
    if event is on.WrittenOff:
        return WRITTEN_OFF[state]
    return DRAWN[state].get(event)


def escrow_for(state: Progress, event: type[on.EscrowEvent]) -> Escrow:
    """An escrow in this state, of the kind that this event needs."""
    if (state, event) == (S.COSTED, on.CoveredByCredit):
        return covered().escrow
    if (state, event) == (S.EXPIRED, on.LatePurchase):
        return paid_late().escrow
    if event in {on.QuarantineLifted, on.WrittenOff}:
        return parked(state).escrow
    return STAGES[state]().escrow


def tell(escrow: Escrow, event: on.EscrowEvent) -> Escrow:
    """Advance at a fixed time."""
    return advance(escrow, event, at_ms=NOW_MS, retention=RETENTION)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
@pytest.mark.parametrize("state", list(S))
def test_every_event_in_every_state(state: Progress, event: type[on.EscrowEvent]) -> None:
    """What the design draws leads there; anything else raises and leaves the escrow alone."""
    escrow = escrow_for(state, event)
    untouched = replace(escrow)
    target = expected(state, event)
    if target is None:
        with pytest.raises(IllegalTransition):
            tell(escrow, EVENTS[event](escrow))
    else:
        after = tell(escrow, EVENTS[event](escrow))
        told = (event in RUN_EVENTS, event in HEARD)
        assert after.progress is target
        told_of = after.seen_from(escrow.run.run_id).run
        assert told_of.version >= escrow.run.version + told[0]
        assert after.version == escrow.version + told[1]
        assert (after.escrow_id, after.quote, after.ask) == (
            escrow.escrow_id,
            escrow.quote,
            escrow.ask,
        )
    assert escrow == untouched


def test_every_event_type_is_tested() -> None:
    """A new event cannot be forgotten here."""
    assert set(EVENTS) == set(get_args(on.EscrowEvent))
    of_sales = {event for table in TABLES.values() for _, event in table}
    assert of_sales | {event for _, event in RUN_TRANSITIONS} == set(EVENTS)


def reachable(start: Progress) -> set[Progress]:
    """Every state that some row of events leads to."""
    found, frontier = {start}, [start]
    while frontier:
        state = frontier.pop()
        for (before, _), after in PRODUCT.items():
            if before is state and after not in found:
                found.add(after)
                frontier.append(after)
    return found


def test_every_state_is_reached() -> None:
    """From `opened`, all ten."""
    assert reachable(S.OPENED) == set(S)


@pytest.mark.parametrize("state", sorted(LIVE))
def test_every_live_state_can_end(state: Progress) -> None:
    """Nothing can be stuck for want of an event."""
    assert reachable(state) & ENDED


def test_what_has_ended_stays_ended() -> None:
    """Released, failed and refunded lead nowhere; expired only to a purchase with late money."""
    for state in ENDED - {S.EXPIRED}:
        assert reachable(state) == {state}
    out = [(event, to) for (state, event), to in PRODUCT.items() if state is S.EXPIRED is not to]
    assert out == [(on.LatePurchase, S.SETTLED)]


def test_nothing_is_released_that_was_not_settled() -> None:
    """One way into `released`, and the three ways of being paid are the only ways before it."""
    into = {
        state: {(before, event) for (before, event), to in PRODUCT.items() if to is state}
        for state in (S.RELEASED, S.SETTLED)
    }
    moved = {(before, event) for before, event in into[S.RELEASED] if before is not S.RELEASED}
    assert moved == {(S.SETTLED, on.CompletionDelivered)}
    paid = {(before, event) for before, event in into[S.SETTLED] if before is not S.SETTLED}
    assert paid == {
        (S.COSTED, on.CoveredByCredit),
        (S.INVOICED, on.InvoiceSettled),
        (S.EXPIRED, on.LatePurchase),
    }


def test_credit_settles_only_what_it_covers() -> None:
    """With anything left to pay, CoveredByCredit is refused."""
    with pytest.raises(IllegalTransition):
        tell(STAGES[S.COSTED]().escrow, on.CoveredByCredit())


def test_nothing_is_bought_late_unpaid() -> None:
    """Other credit of the caller is not a late payment."""
    with pytest.raises(IllegalTransition):
        tell(STAGES[S.EXPIRED]().escrow, on.LatePurchase())


def test_nothing_is_bought_late_that_is_gone() -> None:
    """Once the key is dropped there is nothing to sell."""
    shredded = tell(STAGES[S.EXPIRED]().escrow, on.BodiesShredded())
    late = tell(shredded, settled(shredded))
    with pytest.raises(IllegalTransition):
        tell(late, on.LatePurchase())


@pytest.mark.parametrize("event", [on.InvoiceSettled, on.InvoiceCanceled])
def test_the_node_must_speak_of_this_invoice(event: type[on.EscrowEvent]) -> None:
    """The fate of another payment hash settles or cancels nothing here."""
    escrow = invoiced().escrow
    other = replace(escrow, payment_hash="ff" * 32)
    with pytest.raises(IllegalTransition):
        tell(escrow, EVENTS[event](other))


def test_an_invoice_asks_for_all_that_is_due() -> None:
    """One msat less and its settlement could not be booked."""
    escrow = STAGES[S.COSTED]().escrow
    invoice = IssuedInvoice(payment_request="ln", amount_msat=escrow.due_msat - 1, expires_at_s=1)
    with pytest.raises(IllegalTransition):
        tell(escrow, on.InvoiceIssued(invoice=invoice))
    with pytest.raises(IllegalTransition):
        tell(covered().escrow, on.InvoiceIssued(invoice=replace(invoice, amount_msat=9_000)))


@pytest.mark.parametrize(("price", "credit"), [(10_001, 0), (-1, 0), (7_000, 1), (7_000, 7_000)])
def test_a_price_keeps_to_its_quote(price: int, credit: int) -> None:
    """At most the ceiling, and exactly as much credit as was reserved for it."""
    escrow = STAGES[S.GENERATED]().escrow
    event = ran.CostKnown(
        cost=cost_of(7_000),
        price_msat=price,
        credit_used_msat=credit,
        payment_hash="h",
        lookup_at_ms=None,
    )
    with pytest.raises(IllegalTransition):
        tell(escrow, event)


def test_a_settlement_told_again_is_known() -> None:
    """Redelivery is certain; what was booked already is recognised in every later state."""
    walk = invoiced()
    fact = settled(walk.escrow)
    assert not is_repeated(walk.escrow, fact)
    assert is_repeated(walk.tell(fact).escrow, fact)
    assert is_repeated(paid_late().escrow, fact)
    assert not is_repeated(walk.escrow, on.CompletionDelivered())


def test_what_was_bought_late_does_not_claim_its_ask_again() -> None:
    """The same ask may have been opened anew between lapse and late purchase."""
    late = paid_late().tell(on.LatePurchase()).escrow
    assert (late.progress, late.occupies_ask) == (S.SETTLED, False)
    for state, stage in STAGES.items():
        assert stage().escrow.occupies_ask is (state in LIVE)
    assert covered().tell(on.CoveredByCredit()).escrow.occupies_ask


def test_the_price_can_be_taken_apart_again() -> None:
    """The row's snapshot gives the very price that was charged, correction or not."""
    walk = invoiced(confirmed=False).tell(ran.CostConfirmed(cost=cost_of(9_000)))
    assert walk.escrow.price.price_msat == walk.escrow.price_msat == 7_000
    free = invoiced(7_000, Shape(newcomer=False)).escrow
    assert free.due_msat == free.price_msat


ANYTHING = st.text(alphabet=st.characters(codec=None, exclude_categories=()))


@given(ANYTHING, st.none() | st.integers(min_value=0, max_value=86_400))
def test_any_sentence_of_a_failure_can_be_kept(said: str, wait_s: int | None) -> None:
    """However it got there it encodes, is bounded, holds no NUL, and says how long to wait."""
    failure = Failure(code="upstream_failed", message=said * 40).asking_to_wait(wait_s)
    failure.message.encode()
    assert "\0" not in failure.message
    assert len(failure.message) <= 2 * SENTENCE_MAX
    assert wait_s is None or failure.retry_after_s == wait_s
    assert Failure(code=failure.code, message=failure.message) == replace(failure)


@given(ANYTHING)
def test_any_name_in_a_cost_or_run_can_be_kept(said: str) -> None:
    """As a failure's sentence: the gate stands once more where facts are made."""
    cost = Cost(
        cost_pusd=1, text="1", standing=CostStanding.CONFIRMED, provider=said, model=said * 99
    )
    run = Summary(
        completed_at_ms=1,
        inline_cost=None,
        finish_reason=said,
        prompt_tokens=0,
        completion_tokens=0,
    )
    for kept in (cost.provider, cost.model, run.finish_reason):
        kept.encode()
        assert "\0" not in kept
        assert len(kept) <= NAME_MAX
