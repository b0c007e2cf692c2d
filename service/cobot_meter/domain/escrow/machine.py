"""The sale's state machine: a table for each mode, and `changes_by`, which is pure.

Theory of operation. TABLES (`tables.py`) is the whole truth about which event may follow which
state of a sale in its mode; an event that it does not have raises and changes nothing. Of the
events of its run (`domain/run`) a sale hears those that price it or end it, and the one with which
it goes on with another run; all others leave its row alone. Of a run that it no longer lives by it
hears nothing, but a task that is open hears what any run of it has cost. What a sale's own event
does to its runs is in `on_runs.py`, and what each event books in `bookings.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cobot_meter.domain.consensus.panel import read_panel
from cobot_meter.domain.errors import IllegalTransition
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.moves import Changes, Moves
from cobot_meter.domain.escrow.on_runs import (
    WRITTEN_OFF_FAILURE,
    begun_run,
    concerns_every_run,
    moved,
    moved_runs,
)
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.escrow.tables import TABLES, WRITTEN_OFF, hears
from cobot_meter.domain.escrow.tasks import RUNS_MAX, TaskClosing
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run import machine as of_run

S = EscrowState


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
        moved_run = moved(run, at_ms) | changes
        if not hears(escrow.mode, escrow.state, kind):
            return Moves(sale={}, run=moved_run)
        others: dict[str, Changes] = {}
        if not isinstance(event, ran.CostConfirmed):  # of which a task hears from every run of it
            _demand_runs(escrow, every=False)
    else:
        _demand_runs(escrow, every=concerns_every_run(escrow, kind))
        moved_run, others = moved_runs(escrow, event, at_ms)
    state = TABLES[escrow.mode].get((escrow.state, kind))
    if state is None:
        message = f"{kind.__name__} cannot happen to a sale by {escrow.mode} that is {escrow.state}"
        raise IllegalTransition(message)
    told = _OF_A_TASK.get(kind) if escrow.task else None
    changes = (told or _CHANGES[kind])(escrow, event, at_ms, retention)
    to = {} if state is escrow.state else {"state": state}
    return Moves(
        sale={**to, **moved(escrow, at_ms), **changes},
        run=moved_run,
        others=others,
        begun=begun_run(escrow, event, at_ms),
    )


def _demand_runs(escrow: Escrow, *, every: bool) -> None:
    """Raises IllegalTransition unless its own run, or with `every` each of them, is at hand."""
    if every:
        at_hand = len(escrow.others) + 1
        _demand("every run of it must be at hand", sound=at_hand == escrow.runs_made)
    else:
        _demand("it no longer lives by this run", sound=not escrow.looks_back)


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


def _task_run_begun(
    escrow: Escrow, event: on.TaskRunBegun, _at_ms: int, _retention: Retention
) -> Changes:
    _demand("another run takes the next number", sound=event.run_id == escrow.next_run_id)
    _demand("its runs go one after the other", sound=not escrow.run.in_flight)
    _demand("nothing begins of what waits for the operator", sound=escrow.quarantine is None)
    _demand("a task has no more runs than can be read", sound=escrow.runs_made < RUNS_MAX)
    _demand(
        "a run must fit in what is left of the task's ceiling",
        sound=0 <= event.most_pusd <= escrow.left_pusd,
    )
    return {"run_id": event.run_id}


def _task_run_costed(
    escrow: Escrow,
    event: ran.CompletionCosted | ran.CostKnown | ran.CostConfirmed,
    _at_ms: int,
    _retention: Retention,
) -> Changes:
    """What its runs come to; a run that failed is not billed, whatever it turns out to cost."""
    run = escrow.run
    if isinstance(event, ran.CostConfirmed) and not run.has_answered:
        return {}
    before_pusd = run.billed_pusd(run.cost_pusd) if run.has_answered else 0
    return {"priced_pusd": escrow.priced_pusd + run.billed_pusd(event.cost.cost_pusd) - before_pusd}


def _task_answered(
    _escrow: Escrow, event: on.TaskAnswered, _at_ms: int, _retention: Retention
) -> Changes:
    return {"answer_sha256": event.answer_sha256}


def _task_closed(
    escrow: Escrow, event: on.TaskClosed, _at_ms: int, _retention: Retention
) -> Changes:
    _demand(
        "only what was answered is sold, and not before its last run has ended",
        sound=escrow.answer_sha256 is not None and not escrow.run.in_flight,
    )
    _demand("nothing is sold of what waits for the operator", sound=escrow.quarantine is None)
    _demand(
        "the price is that of its runs with a fee that was named as possible, and above nothing",
        sound=escrow.task is not None
        and 0 <= event.fee_msat <= escrow.task.max_fee_msat
        and event.price_msat == escrow.price.price_msat + event.fee_msat > 0,
    )
    return {
        "price_msat": event.price_msat,
        "payment_hash": event.payment_hash,
        "closing": TaskClosing(fee_msat=event.fee_msat, provisional_runs=event.provisional_runs),
    }


def _task_ended(escrow: Escrow, event: on.TaskEnded, _at_ms: int, _retention: Retention) -> Changes:
    _demand("nothing of it may be under way", sound=not escrow.run.in_flight)
    return {"failure": event.failure, "keep_until_ms": None}


def _panel_answered(
    escrow: Escrow, event: on.PanelAnswered, _at_ms: int, _retention: Retention
) -> Changes:
    _demand(
        "a report is made once, when nobody on the panel is awaited any more",
        sound=escrow.answer_sha256 is None and not any(run.may_charge for run in escrow.runs),
    )
    return {"answer_sha256": event.answer_sha256}


def _panel_priced(
    escrow: Escrow, event: on.PanelPriced, _at_ms: int, _retention: Retention
) -> Changes:
    sold = escrow.sold_runs
    _demand(
        "a panel is priced with its report, when the cost of each answer of enough is known",
        sound=escrow.answer_sha256 is not None
        and len(sold) >= read_panel(escrow.route).quorum
        and not any(run.in_flight for run in escrow.runs),
    )
    _demand("nothing is sold of what waits for the operator", sound=escrow.quarantine is None)
    _demand(
        "the price is that of the sum of what those have cost who answered, of credit first",
        sound=event.priced_pusd == sum(run.billed_pusd(run.cost_pusd) for run in sold)
        and event.price_msat == escrow.price_of(event.priced_pusd).price_msat
        and event.credit_used_msat == min(escrow.reserved_msat, event.price_msat)
        and event.provisional_runs == sum(run.is_provisional for run in sold),
    )
    return {
        "priced_pusd": event.priced_pusd,
        "price_msat": event.price_msat,
        "credit_used_msat": event.credit_used_msat,
        "payment_hash": event.payment_hash,
        "closing": TaskClosing(fee_msat=0, provisional_runs=event.provisional_runs),
    }


def _panel_ended(
    escrow: Escrow, event: on.PanelEnded, _at_ms: int, _retention: Retention
) -> Changes:
    _demand("nothing of it may be under way", sound=not any(run.in_flight for run in escrow.runs))
    return {"failure": event.failure, "keep_until_ms": None}


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
    on.TaskRunBegun: _task_run_begun,
    on.TaskAnswered: _task_answered,
    on.TaskClosed: _task_closed,
    on.TaskEnded: _task_ended,
    on.PanelAnswered: _panel_answered,
    on.PanelPriced: _panel_priced,
    on.PanelEnded: _panel_ended,
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


# What a task makes of events that mean something else to any other sale.
_OF_A_TASK: Mapping[type[on.EscrowEvent], Callable[..., Changes]] = {
    ran.CompletionCosted: _task_run_costed,
    ran.CostKnown: _task_run_costed,
    ran.CostConfirmed: _task_run_costed,
}
