"""The escrow's state machine: one table, and `advance`, which is pure.

Theory of operation. TRANSITIONS is the whole truth about which event may follow which state;
an event that it does not have raises and changes nothing. `advance` gives the row after an
event; what the event books is in `bookings.py`, and `transitions/escrows.py` joins both into one
transition. Everything that changes an escrow's state is in this file, and the diagram of the
documentation is drawn from the table.

Must not know: transfers, ports, or the time (events bring their own).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from cobot_meter.domain.errors import IllegalTransition
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import Escrow, Failure
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.retention import Retention

S = EscrowState
AFTER_REQUEST = tuple(state for state in S if state not in {S.OPENED, S.REQUESTED})
# Where the operator ends what cannot be booked.
WRITTEN_OFF: Mapping[EscrowState, EscrowState] = {
    **dict.fromkeys((S.OPENED, S.REQUESTED, S.GENERATED, S.COSTED), S.FAILED),
    S.INVOICED: S.EXPIRED,
    S.SETTLED: S.REFUNDED,
    **{state: state for state in (S.RELEASED, S.FAILED, S.EXPIRED, S.REFUNDED)},
}

TRANSITIONS: Mapping[tuple[EscrowState, type[on.EscrowEvent]], EscrowState] = {
    (S.OPENED, on.UpstreamRequested): S.REQUESTED,
    (S.OPENED, on.Abandoned): S.FAILED,
    (S.REQUESTED, on.GenerationStarted): S.REQUESTED,
    (S.REQUESTED, on.CompletionReceived): S.GENERATED,
    (S.REQUESTED, on.UpstreamFailed): S.FAILED,
    (S.REQUESTED, on.OutcomeUnknown): S.FAILED,
    (S.GENERATED, on.CostKnown): S.COSTED,
    (S.GENERATED, on.CostLookupMissed): S.GENERATED,
    (S.GENERATED, on.CostNotFound): S.FAILED,
    (S.COSTED, on.CoveredByCredit): S.SETTLED,
    (S.COSTED, on.InvoiceIssued): S.INVOICED,
    (S.COSTED, on.InvoiceLost): S.COSTED,
    (S.COSTED, on.InvoiceRefused): S.FAILED,
    (S.INVOICED, on.InvoiceSettled): S.SETTLED,
    (S.INVOICED, on.InvoiceCanceled): S.EXPIRED,
    (S.SETTLED, on.CompletionDelivered): S.RELEASED,
    (S.SETTLED, on.CompletionLost): S.REFUNDED,
    (S.SETTLED, on.ClaimLapsed): S.REFUNDED,
    (S.EXPIRED, on.InvoiceSettled): S.EXPIRED,
    (S.EXPIRED, on.LatePurchase): S.SETTLED,
    (S.EXPIRED, on.BodiesShredded): S.EXPIRED,
    (S.RELEASED, on.BodiesShredded): S.RELEASED,
    (S.FAILED, on.CostAttributed): S.FAILED,
    (S.FAILED, on.CostGivenUp): S.FAILED,
    **{(state, on.Quarantined): state for state in S},
    **{(state, on.QuarantineLifted): state for state in S},
    **{(state, on.WrittenOff): ended for state, ended in WRITTEN_OFF.items()},
    **{(state, on.CostConfirmed): state for state in AFTER_REQUEST if state is not S.GENERATED},
    **{(state, on.CostLookupMissed): state for state in AFTER_REQUEST if state is not S.GENERATED},
}

WRITTEN_OFF_FAILURE = Failure(
    code="written_off",
    message=(
        "This sale could not be booked, and the operator has closed it. You are not charged; "
        "ask again."
    ),
)


def is_repeated(escrow: Escrow, event: on.EscrowEvent) -> bool:
    """Whether a settlement that was booked already is being told again (it certainly will be)."""
    return isinstance(event, on.InvoiceSettled) and escrow.paid_msat > 0


Changes = dict[str, Any]


def advance(escrow: Escrow, event: on.EscrowEvent, *, at_ms: int, retention: Retention) -> Escrow:
    """The escrow after `event`. Raises IllegalTransition, leaving `escrow` as it was."""
    return replace(escrow, **changes_by(event, escrow, at_ms=at_ms, retention=retention))


def changes_by(
    event: on.EscrowEvent, escrow: Escrow, *, at_ms: int, retention: Retention
) -> Changes:
    """The fields that `event` sets, and to what. Raises IllegalTransition."""
    state = TRANSITIONS.get((escrow.state, type(event)))
    if state is None:
        message = f"{type(event).__name__} cannot happen to an escrow that is {escrow.state}"
        raise IllegalTransition(message)
    changes = _CHANGES[type(event)](escrow, event, at_ms, retention)
    moved = {} if state is escrow.state else {"state": state}
    return {**moved, "version": escrow.version + 1, "changed_at_ms": at_ms, **changes}


def _demand(rule: str, *, sound: bool) -> None:
    if not sound:
        raise IllegalTransition(rule)


def _demand_own(escrow: Escrow, payment_hash: str) -> None:
    _demand(
        "the node spoke of another invoice than this escrow's",
        sound=payment_hash == escrow.payment_hash,
    )


def _requested(
    _escrow: Escrow, event: on.UpstreamRequested, _at_ms: int, _retention: Retention
) -> Changes:
    return {"requested_by": event.requested_by}


def _abandoned(
    _escrow: Escrow, _event: on.EscrowEvent, _at_ms: int, _retention: Retention
) -> Changes:
    failure = Failure(code="abandoned", message="The request was not started in time; ask again.")
    return {"failure": failure, "budget_held_pusd": 0, "keep_until_ms": None}


def _started(
    _escrow: Escrow, event: on.GenerationStarted, _at_ms: int, _retention: Retention
) -> Changes:
    return {"generation_id": event.generation_id}


def _received(
    _escrow: Escrow, event: on.CompletionReceived, _at_ms: int, _retention: Retention
) -> Changes:
    return {
        "generation_id": event.generation_id,
        "run": event.run,
        "lookup_at_ms": event.run.completed_at_ms,
    }


def _failed(escrow: Escrow, event: on.UpstreamFailed, at_ms: int, _retention: Retention) -> Changes:
    unresolved = event.charged and event.cost is None
    resolved_reservation = {} if unresolved else {"budget_held_pusd": 0}
    awaited = event.charged and escrow.generation_id is not None
    return {
        "failure": event.failure,
        "cost": event.cost if event.charged else None,
        "lookup_at_ms": at_ms if awaited else None,
        "keep_until_ms": None,
        "continued_as": event.continued_as,
        **resolved_reservation,
    }


def _unknown(
    escrow: Escrow, event: on.OutcomeUnknown, at_ms: int, _retention: Retention
) -> Changes:
    return {
        "failure": event.failure,
        "lookup_at_ms": at_ms if escrow.generation_id else None,
        "keep_until_ms": None,
        "continued_as": event.continued_as,
    }


def _costed(escrow: Escrow, event: on.CostKnown, _at_ms: int, _retention: Retention) -> Changes:
    quote = escrow.quote
    _demand(
        "a price must stay within its ceiling, and use the reserved credit first",
        sound=0 <= event.price_msat <= quote.ceiling_msat
        and event.credit_used_msat == min(quote.credit_reserved_msat, event.price_msat),
    )
    reserved_anew = quote.counted_pusd(event.cost.cost_pusd) if escrow.budget_held_pusd else 0
    return {
        "cost": event.cost,
        "priced_pusd": event.cost.cost_pusd,
        "price_msat": event.price_msat,
        "credit_used_msat": event.credit_used_msat,
        "payment_hash": event.payment_hash,
        "lookup_at_ms": event.lookup_at_ms,
        "budget_hold": escrow.budget_hold + 1,
        "budget_held_pusd": reserved_anew,
    }


def _confirmed(
    escrow: Escrow, event: on.CostConfirmed, _at_ms: int, _retention: Retention
) -> Changes:
    changes: Changes = {"cost": event.cost, "lookup_at_ms": None}
    if escrow.budget_held_pusd:
        reserved = escrow.state in {S.COSTED, S.INVOICED}
        changes["budget_hold"] = escrow.budget_hold + 1
        changes["budget_held_pusd"] = (
            escrow.quote.counted_pusd(event.cost.cost_pusd) if reserved else 0
        )
    return changes


def _missed(
    escrow: Escrow, event: on.CostLookupMissed, _at_ms: int, _retention: Retention
) -> Changes:
    return {"lookups": escrow.lookups + 1, "lookup_at_ms": event.lookup_at_ms}


def _not_found(
    _escrow: Escrow, event: on.CostNotFound, _at_ms: int, _retention: Retention
) -> Changes:
    return {"failure": event.failure, "lookup_at_ms": None, "keep_until_ms": None}


def _reservation_resolved(
    _escrow: Escrow, _event: on.EscrowEvent, _at_ms: int, _retention: Retention
) -> Changes:
    return {"budget_held_pusd": 0, "lookup_at_ms": None}


def _covered(escrow: Escrow, _event: on.EscrowEvent, at_ms: int, retention: Retention) -> Changes:
    _demand("credit must cover the whole price", sound=escrow.due_msat == 0)
    return {
        "budget_held_pusd": 0,
        "settled_at_ms": at_ms,
        "keep_until_ms": at_ms + retention.unclaimed_ms,
    }


def _issued(escrow: Escrow, event: on.InvoiceIssued, _at_ms: int, _retention: Retention) -> Changes:
    _demand(
        "an invoice must ask for something, and for all that is due",
        sound=0 < escrow.due_msat <= event.invoice.amount_msat,
    )
    return {"invoice": event.invoice}


def _lost(escrow: Escrow, event: on.InvoiceLost, _at_ms: int, _retention: Retention) -> Changes:
    return {"attempt": escrow.attempt + 1, "payment_hash": event.payment_hash}


def _refused(
    _escrow: Escrow, event: on.InvoiceRefused, _at_ms: int, _retention: Retention
) -> Changes:
    return {"failure": event.failure, "budget_held_pusd": 0, "keep_until_ms": None}


def _settled(escrow: Escrow, event: on.InvoiceSettled, at_ms: int, retention: Retention) -> Changes:
    _demand_own(escrow, event.payment_hash)
    paid = {"paid_msat": event.paid_msat, "settle_index": event.settle_index}
    if escrow.state is S.EXPIRED:
        return paid
    return {
        **paid,
        "budget_held_pusd": 0,
        "settled_at_ms": at_ms,
        "keep_until_ms": at_ms + retention.unclaimed_ms,
    }


def _canceled(
    escrow: Escrow, event: on.InvoiceCanceled, at_ms: int, retention: Retention
) -> Changes:
    _demand_own(escrow, event.payment_hash)
    return {"budget_held_pusd": 0, "keep_until_ms": at_ms + retention.unpaid_ms}


def _late(escrow: Escrow, _event: on.EscrowEvent, at_ms: int, retention: Retention) -> Changes:
    _demand(
        "only what was paid for late, and is still kept, can be bought late",
        sound=escrow.paid_msat > 0 and escrow.keep_until_ms is not None,
    )
    return {
        "credit_used_msat": escrow.price_msat,
        "settled_at_ms": at_ms,
        "keep_until_ms": at_ms + retention.unclaimed_ms,
    }


def _delivered(
    _escrow: Escrow, _event: on.EscrowEvent, at_ms: int, retention: Retention
) -> Changes:
    return {"keep_until_ms": at_ms + retention.released_ms}


def _shredded(
    _escrow: Escrow, _event: on.EscrowEvent, _at_ms: int, _retention: Retention
) -> Changes:
    return {"keep_until_ms": None}


def _quarantined(
    escrow: Escrow, event: on.Quarantined, _at_ms: int, _retention: Retention
) -> Changes:
    _demand("it is in quarantine already", sound=escrow.quarantine is None)
    return {"quarantine": f"{event.event}: {event.reason}"}


def _lifted(
    escrow: Escrow, _event: on.QuarantineLifted, _at_ms: int, _retention: Retention
) -> Changes:
    _demand("only what is in quarantine goes on", sound=escrow.quarantine is not None)
    return {"quarantine": None}


def _written_off(
    escrow: Escrow, event: on.WrittenOff, _at_ms: int, _retention: Retention
) -> Changes:
    _demand("only what is in quarantine is written off", sound=escrow.quarantine is not None)
    _demand(
        "only a payment that was never booked is credited",
        sound=event.paid_msat == 0
        or (escrow.paid_msat == 0 and escrow.state in {S.INVOICED, S.EXPIRED}),
    )
    changes: Changes = {
        "quarantine": None,
        "budget_held_pusd": 0,
        "lookup_at_ms": None,
        "keep_until_ms": None,
    }
    if WRITTEN_OFF[escrow.state] is S.FAILED and escrow.failure is None:
        changes["failure"] = WRITTEN_OFF_FAILURE
    if event.paid_msat:
        changes |= {"paid_msat": event.paid_msat, "settle_index": event.settle_index}
    return changes


_CHANGES: Mapping[type[on.EscrowEvent], Callable[..., Changes]] = {
    on.UpstreamRequested: _requested,
    on.Abandoned: _abandoned,
    on.GenerationStarted: _started,
    on.CompletionReceived: _received,
    on.UpstreamFailed: _failed,
    on.OutcomeUnknown: _unknown,
    on.CostKnown: _costed,
    on.CostConfirmed: _confirmed,
    on.CostLookupMissed: _missed,
    on.CostNotFound: _not_found,
    on.CostAttributed: _reservation_resolved,
    on.CostGivenUp: _reservation_resolved,
    on.CoveredByCredit: _covered,
    on.InvoiceIssued: _issued,
    on.InvoiceLost: _lost,
    on.InvoiceRefused: _refused,
    on.InvoiceSettled: _settled,
    on.InvoiceCanceled: _canceled,
    on.LatePurchase: _late,
    on.CompletionDelivered: _delivered,
    on.CompletionLost: _shredded,
    on.ClaimLapsed: _shredded,
    on.BodiesShredded: _shredded,
    on.Quarantined: _quarantined,
    on.QuarantineLifted: _lifted,
    on.WrittenOff: _written_off,
}
