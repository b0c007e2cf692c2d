"""An escrow in each state, and an event of each type that fits the escrow it is told of."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState
from tests.domain.escrow.walks import Walk, invoiced
from tests.domain.samples import (
    FAILURE,
    NOW_MS,
    Shape,
    canceled,
    cost_known,
    cost_of,
    invoice_issued,
    invoice_lost,
    received,
    settled,
)

S = EscrowState


def _generated() -> Walk:
    return Walk().tell(on.UpstreamRequested(), received())


def _costed() -> Walk:
    walk = _generated()
    return walk.tell(cost_known(walk.escrow, 7_000))


def _settled() -> Walk:
    walk = invoiced()
    return walk.tell(settled(walk.escrow))


def _expired() -> Walk:
    walk = invoiced()
    return walk.tell(canceled(walk.escrow))


STAGES: Mapping[EscrowState, Callable[[], Walk]] = {
    S.OPENED: Walk,
    S.REQUESTED: lambda: Walk().tell(on.UpstreamRequested()),
    S.GENERATED: _generated,
    S.COSTED: _costed,
    S.INVOICED: invoiced,
    S.SETTLED: _settled,
    S.RELEASED: lambda: _settled().tell(on.CompletionDelivered()),
    S.FAILED: lambda: Walk().tell(on.UpstreamRequested(), on.OutcomeUnknown(failure=FAILURE)),
    S.EXPIRED: _expired,
    S.REFUNDED: lambda: _settled().tell(on.CompletionLost()),
}


PARKED = on.Quarantined(event="cost_confirmed", reason="it is too large")


def parked(state: EscrowState) -> Walk:
    """An escrow in this state and in quarantine."""
    return STAGES[state]().tell(PARKED)


def covered() -> Walk:
    """A costed escrow whose price reserved credit covers."""
    walk = Walk(Shape(credit=9_000)).tell(on.UpstreamRequested(), received())
    return walk.tell(cost_known(walk.escrow, 7_000))


def paid_late() -> Walk:
    """An expired escrow whose invoice was paid after all."""
    walk = _expired()
    return walk.tell(settled(walk.escrow))


EVENTS: Mapping[type[on.EscrowEvent], Callable[[Escrow], on.EscrowEvent]] = {
    on.UpstreamRequested: lambda _: on.UpstreamRequested(),
    on.Abandoned: lambda _: on.Abandoned(),
    on.GenerationStarted: lambda _: on.GenerationStarted(generation_id="gen-1"),
    on.CompletionReceived: lambda _: received(),
    on.UpstreamFailed: lambda _: on.UpstreamFailed(failure=FAILURE, charged=False),
    on.OutcomeUnknown: lambda _: on.OutcomeUnknown(failure=FAILURE),
    on.CostKnown: lambda escrow: cost_known(escrow, 7_000),
    on.CostConfirmed: lambda _: on.CostConfirmed(cost=cost_of(7_000)),
    on.CostLookupMissed: lambda _: on.CostLookupMissed(lookup_at_ms=NOW_MS + 1),
    on.CostNotFound: lambda _: on.CostNotFound(failure=FAILURE),
    on.CostAttributed: lambda _: on.CostAttributed(cost_pusd=1),
    on.CostGivenUp: lambda _: on.CostGivenUp(),
    on.CoveredByCredit: lambda _: on.CoveredByCredit(),
    on.InvoiceIssued: invoice_issued,
    on.InvoiceLost: invoice_lost,
    on.InvoiceRefused: lambda _: on.InvoiceRefused(failure=FAILURE),
    on.InvoiceSettled: settled,
    on.InvoiceCanceled: canceled,
    on.LatePurchase: lambda _: on.LatePurchase(),
    on.CompletionDelivered: lambda _: on.CompletionDelivered(),
    on.CompletionLost: lambda _: on.CompletionLost(),
    on.ClaimLapsed: lambda _: on.ClaimLapsed(kept_msat=1),
    on.BodiesShredded: lambda _: on.BodiesShredded(),
    on.Quarantined: lambda _: PARKED,
    on.QuarantineLifted: lambda _: on.QuarantineLifted(),
    on.WrittenOff: lambda _: on.WrittenOff(reason="looked at"),
}
