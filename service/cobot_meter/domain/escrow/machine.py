"""The sale's state machine: a table for each mode, and `changes_by`, which is pure.

Theory of operation. TABLES is the whole truth about which event may follow which state of a sale in
its mode; an event that it does not have raises and changes nothing. Of the events of its run
(`domain/run`) a sale hears those that price it or end it, and the one with which it goes on with
another run; all others leave its row alone. Of a run that it no longer lives by it hears nothing. A
sale's own event that resolves what is reserved for its run, or reads its cost, changes the
run's row with it (ON_RUN), so that no correction of the cost can come in between unseen; what
concerns all its runs changes them all (EVERY_RUN). What each event books is in `bookings.py`; the
diagram of the documentation is drawn from the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from cobot_meter.domain.errors import IllegalTransition
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.moves import Changes, Moves
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState, Mode
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run import machine as of_run
from cobot_meter.domain.run.record import AskedInstead, Failure, Run
from cobot_meter.domain.run.states import RunState

S = EscrowState
# Where the operator ends what cannot be booked.
WRITTEN_OFF: Mapping[EscrowState, EscrowState] = {
    S.RUNNING: S.FAILED,
    S.PRICED: S.FAILED,
    S.INVOICED: S.EXPIRED,
    S.SETTLED: S.REFUNDED,
    **{state: state for state in (S.RELEASED, S.FAILED, S.EXPIRED, S.REFUNDED)},
}

Table = Mapping[tuple[EscrowState, type[on.EscrowEvent]], EscrowState]

_ENDED_BY_ITS_RUN: Table = {
    (S.RUNNING, ran.Abandoned): S.FAILED,
    (S.RUNNING, ran.RunFailed): S.FAILED,
    (S.RUNNING, ran.RunOutcomeUnknown): S.FAILED,
    (S.RUNNING, ran.FellBack): S.RUNNING,
    (S.RUNNING, ran.CostNotFound): S.FAILED,
}
_FROM_PAID_TO_OVER: Table = {
    (S.SETTLED, on.CompletionDelivered): S.RELEASED,
    (S.SETTLED, on.CompletionLost): S.REFUNDED,
    (S.SETTLED, on.ClaimLapsed): S.REFUNDED,
    (S.RELEASED, on.BodiesShredded): S.RELEASED,
}


def _operated(states: Iterable[EscrowState]) -> Table:
    """What the operator, and whoever cannot book it, may say in each of these states."""
    return {
        (state, event): after
        for state in states
        for event, after in (
            (on.QuarantineBegun, state),
            (on.QuarantineLifted, state),
            (on.WrittenOff, WRITTEN_OFF[state]),
        )
    }


# It runs first, and waits for the payment of its invoice.
TRANSITIONS: Table = {
    (S.RUNNING, ran.CostKnown): S.PRICED,
    **_ENDED_BY_ITS_RUN,
    (S.PRICED, on.CoveredByCredit): S.SETTLED,
    (S.PRICED, on.InvoiceIssued): S.INVOICED,
    (S.PRICED, on.InvoiceLost): S.PRICED,
    (S.PRICED, on.InvoiceMakingRefused): S.FAILED,
    (S.INVOICED, on.InvoiceSettled): S.SETTLED,
    (S.INVOICED, on.InvoiceCanceled): S.EXPIRED,
    **_FROM_PAID_TO_OVER,
    (S.EXPIRED, on.InvoiceSettled): S.EXPIRED,
    (S.EXPIRED, on.LatePurchase): S.SETTLED,
    (S.EXPIRED, on.BodiesShredded): S.EXPIRED,
    **_operated(S),
}
# What it may cost is reserved of the caller's credit, so that it needs no invoice. What the answer
# says that it cost is captured with it; where it says nothing, it is found as of any other.
CREDIT_TRANSITIONS: Table = {
    (S.RUNNING, on.ReservationExtended): S.RUNNING,
    (S.RUNNING, ran.CompletionCosted): S.RELEASED,
    (S.RUNNING, ran.CostKnown): S.PRICED,
    **_ENDED_BY_ITS_RUN,
    (S.PRICED, on.CoveredByCredit): S.SETTLED,
    **_FROM_PAID_TO_OVER,
    **_operated((S.RUNNING, S.PRICED, S.SETTLED, S.RELEASED, S.FAILED, S.REFUNDED)),
}
TABLES: Mapping[Mode, Table] = {Mode.ESCROW: TRANSITIONS, Mode.CREDIT: CREDIT_TRANSITIONS}
HEARD = frozenset(event for table in TABLES.values() for _, event in table)

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


def advance(escrow: Escrow, event: on.EscrowEvent, *, at_ms: int, retention: Retention) -> Escrow:
    """The escrow after `event`. Raises IllegalTransition, leaving `escrow` as it was."""
    return changes_by(event, escrow, at_ms=at_ms, retention=retention).of(escrow)


def changes_by(event: on.EscrowEvent, escrow: Escrow, *, at_ms: int, retention: Retention) -> Moves:
    """The fields of the sale and its runs that `event` sets. Raises IllegalTransition."""
    kind, run = type(event), escrow.run
    if isinstance(event, ran.RunEvent):
        changes = of_run.run_changes(run, event, escrow.quote.least_pusd, at_ms=at_ms)
        moved_run = _moved(run, at_ms) | changes
        if kind not in HEARD:
            return Moves(sale={}, run=moved_run)
    else:
        on_run = ON_RUN[kind](escrow, event) if kind in ON_RUN else None
        moved_run = {} if on_run is None else _moved(run, at_ms) | on_run
    every = EVERY_RUN.get(kind)
    _demand_runs(escrow, every=every is not None)
    state = TABLES[escrow.mode].get((escrow.state, kind))
    if state is None:
        message = f"{kind.__name__} cannot happen to a sale by {escrow.mode} that is {escrow.state}"
        raise IllegalTransition(message)
    changes = _CHANGES[kind](escrow, event, at_ms, retention)
    moved = {} if state is escrow.state else {"state": state}
    return Moves(
        sale={**moved, **_moved(escrow, at_ms), **changes},
        run=moved_run,
        others={one.run_id: _moved(one, at_ms) | every for one in escrow.others} if every else {},
        begun=_begun(escrow, event, at_ms) if isinstance(event, ran.FellBack) else None,
    )


def _begun(escrow: Escrow, event: ran.FellBack, at_ms: int) -> Run:
    """The run that follows one that failed, sent in the same commit."""
    return Run(
        run_id=event.run_id,
        escrow_id=escrow.escrow_id,
        upstream=event.upstream,
        opened_at_ms=at_ms,
        changed_at_ms=at_ms,
        state=RunState.REQUESTED,
        requested_by=event.requested_by,
        budget_held_pusd=escrow.quote.opening_pusd,
        instead=AskedInstead(model=event.model, because=event.failure.code, prices=event.prices),
    )


def _demand_runs(escrow: Escrow, *, every: bool) -> None:
    """Raises IllegalTransition unless its own run, or with `every` each of them, is at hand."""
    if every:
        at_hand = len(escrow.others) + 1
        _demand("every run of it must be at hand", sound=at_hand == escrow.runs_made)
    else:
        _demand("it no longer lives by this run", sound=not escrow.looks_back)


def _moved(row: Escrow | Run, at_ms: int) -> Changes:
    return {"version": row.version + 1, "changed_at_ms": at_ms}


def _demand(rule: str, *, sound: bool) -> None:
    if not sound:
        raise IllegalTransition(rule)


def _demand_own(escrow: Escrow, payment_hash: str) -> None:
    _demand(
        "the node spoke of another invoice than this escrow's",
        sound=payment_hash == escrow.payment_hash,
    )


def _ended(
    _escrow: Escrow,
    event: ran.RunFailed | ran.RunOutcomeUnknown,
    _at_ms: int,
    _retention: Retention,
) -> Changes:
    return {
        "failure": event.failure,
        "keep_until_ms": None,
        "continued_as": event.continued_as,
    }


def _fell_back(escrow: Escrow, event: ran.FellBack, _at_ms: int, _retention: Retention) -> Changes:
    _demand("another run takes the next number", sound=event.run_id == escrow.next_run_id)
    return {"run_id": event.run_id}


def _abandoned(
    _escrow: Escrow, _event: ran.Abandoned, _at_ms: int, _retention: Retention
) -> Changes:
    return {"failure": of_run.ABANDONED, "keep_until_ms": None}


def _not_found(
    _escrow: Escrow, event: ran.CostNotFound, _at_ms: int, _retention: Retention
) -> Changes:
    return {"failure": event.failure, "keep_until_ms": None}


def _extended(
    escrow: Escrow, event: on.ReservationExtended, _at_ms: int, _retention: Retention
) -> Changes:
    extended_msat = escrow.extended_msat + event.by_msat
    reserved_msat = escrow.quote.credit_reserved_msat + extended_msat
    _demand(
        "only what grows is extended, step after step, up to its ceiling",
        sound=escrow.quote.grows
        and event.number == escrow.extensions + 1
        and event.by_msat > 0
        and reserved_msat <= escrow.quote.ceiling_msat,
    )
    return {"extensions": event.number, "extended_msat": extended_msat}


def _priced(escrow: Escrow, event: ran.CostKnown, _at_ms: int, _retention: Retention) -> Changes:
    _demand(
        "a price must stay within its ceiling, and use the reserved credit first",
        sound=0 <= event.price_msat <= escrow.most_msat
        and event.credit_used_msat == min(escrow.reserved_msat, event.price_msat),
    )
    return {
        "priced_pusd": event.cost.cost_pusd,
        "price_msat": event.price_msat,
        "credit_used_msat": event.credit_used_msat,
        "payment_hash": event.payment_hash,
    }


def _captured(
    escrow: Escrow, event: ran.CompletionCosted, at_ms: int, retention: Retention
) -> Changes:
    _demand(
        "what is captured must stay within what is reserved of the caller's credit",
        sound=0 <= event.price_msat <= escrow.reserved_msat == escrow.most_msat,
    )
    return {
        "priced_pusd": event.cost.cost_pusd,
        "price_msat": event.price_msat,
        "credit_used_msat": event.price_msat,
        "settled_at_ms": at_ms,
        "keep_until_ms": at_ms + retention.released_ms if event.kept else None,
    }


def _covered(escrow: Escrow, _event: on.EscrowEvent, at_ms: int, retention: Retention) -> Changes:
    _demand("credit must cover the whole price", sound=escrow.due_msat == 0)
    return {
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
    _escrow: Escrow, event: on.InvoiceMakingRefused, _at_ms: int, _retention: Retention
) -> Changes:
    return {"failure": event.failure, "keep_until_ms": None}


def _settled(escrow: Escrow, event: on.InvoiceSettled, at_ms: int, retention: Retention) -> Changes:
    _demand_own(escrow, event.payment_hash)
    paid = {"paid_msat": event.paid_msat, "settle_index": event.settle_index}
    if escrow.state is S.EXPIRED:
        return paid
    return {
        **paid,
        "settled_at_ms": at_ms,
        "keep_until_ms": at_ms + retention.unclaimed_ms,
    }


def _canceled(
    escrow: Escrow, event: on.InvoiceCanceled, at_ms: int, retention: Retention
) -> Changes:
    _demand_own(escrow, event.payment_hash)
    return {"keep_until_ms": at_ms + retention.unpaid_ms}


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
    escrow: Escrow, event: on.QuarantineBegun, _at_ms: int, _retention: Retention
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
    changes: Changes = {"quarantine": None, "keep_until_ms": None}
    if WRITTEN_OFF[escrow.state] is S.FAILED and escrow.failure is None:
        changes["failure"] = WRITTEN_OFF_FAILURE
    if event.paid_msat:
        changes |= {"paid_msat": event.paid_msat, "settle_index": event.settle_index}
    return changes


_CHANGES: Mapping[type[on.EscrowEvent], Callable[..., Changes]] = {
    ran.CostKnown: _priced,
    ran.CompletionCosted: _captured,
    ran.Abandoned: _abandoned,
    ran.RunFailed: _ended,
    ran.RunOutcomeUnknown: _ended,
    ran.FellBack: _fell_back,
    ran.CostNotFound: _not_found,
    on.ReservationExtended: _extended,
    on.CoveredByCredit: _covered,
    on.InvoiceIssued: _issued,
    on.InvoiceLost: _lost,
    on.InvoiceMakingRefused: _refused,
    on.InvoiceSettled: _settled,
    on.InvoiceCanceled: _canceled,
    on.LatePurchase: _late,
    on.CompletionDelivered: _delivered,
    on.CompletionLost: _shredded,
    on.ClaimLapsed: _shredded,
    on.BodiesShredded: _shredded,
    on.QuarantineBegun: _quarantined,
    on.QuarantineLifted: _lifted,
    on.WrittenOff: _written_off,
}


def _settled_run(escrow: Escrow, _event: on.EscrowEvent) -> Changes | None:
    """The run is paid for; a payment that came too late is credit, and the run stays unpaid."""
    return None if escrow.state is S.EXPIRED else of_run.paid_for()


def _closed_run(escrow: Escrow, _event: on.EscrowEvent) -> Changes:
    match escrow.state:
        case S.RUNNING | S.PRICED:
            return of_run.closed() | of_run.failed_by(escrow.run, WRITTEN_OFF_FAILURE)
        case S.INVOICED:
            return of_run.closed() | of_run.unpaid()
        case _:
            return of_run.closed()


# What a sale's own event does to its run; one that is not here leaves the run's row alone.
ON_RUN: Mapping[type[on.EscrowEvent], Callable[..., Changes | None]] = {
    on.CoveredByCredit: lambda *_: of_run.paid_for(),
    on.InvoiceMakingRefused: lambda *_: of_run.refused(),
    on.InvoiceSettled: _settled_run,
    on.InvoiceCanceled: lambda *_: of_run.unpaid(),
    on.LatePurchase: lambda *_: of_run.bought_late(),
    # Its cost is read: no correction may come in between unseen.
    on.ClaimLapsed: lambda *_: {},
    on.QuarantineBegun: lambda *_: {"parked": True},
    on.QuarantineLifted: lambda *_: {"parked": False},
    on.WrittenOff: _closed_run,
}
# What a sale's own event does to all other runs of it, beside what it does to the one above.
EVERY_RUN: Mapping[type[on.EscrowEvent], Changes] = {
    on.QuarantineBegun: {"parked": True},
    on.QuarantineLifted: {"parked": False},
    on.WrittenOff: of_run.closed(),
}
