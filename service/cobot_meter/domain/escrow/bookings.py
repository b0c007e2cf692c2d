"""What each event books: a table from event to transfers.

`docs/postings.md` has every posting with a worked example, and the key of the codes used here (A1
to A13, H1 to H4, B1). Amounts: U ceiling, C0 credit reserved, P price, C credit used, c cost, S
received. A fact is never refused: of these only the late purchase carries a guard.

Must not know: states (the table of `machine.py` has decided), storage or time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cobot_meter.domain.errors import LedgerUnbalanced
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.reservations import (
    caller_reservation,
    credit_reservation,
    day_accounts,
    day_reservations,
    old_address_reservation,
)
from cobot_meter.domain.escrow.states import STATES, EscrowState
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.transfers import Guard, Transfer, TransferKind, posted

Transfers = tuple[Transfer, ...]


def bookings(before: Escrow, event: on.EscrowEvent, after: Escrow) -> Transfers:
    """The transfers of one event of the escrow mode, in the order of their rows."""
    return _BOOKINGS[type(event)](before, event, after)


def topup_credited(*, caller_id: str, node_alias: str, paid_msat: int) -> Transfers:
    """B1: all that was paid is credit."""
    return posted(chart.node_balance(node_alias), chart.available(caller_id), paid_msat)


def unattributed(cost_pusd: int) -> Transfers:
    """A13: upstream spend that no generation explains; reversed when negative."""
    return posted(chart.COST_UNATTRIBUTED, chart.UPSTREAM_CREDITS, cost_pusd)


def _none(_before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    return ()


def _void_claims(escrow: Escrow) -> Transfers:
    """H1 and H4: everything but the days."""
    return (
        *credit_reservation(escrow).void(),
        *caller_reservation(escrow).void(),
        *old_address_reservation(escrow).void(),
    )


def _days_spent(escrow: Escrow, spent_pusd: int) -> Transfers:
    """H2 and H3 at what was spent, beyond the reservation too: the days count all of it."""
    transfers: Transfers = ()
    for hold in day_reservations(escrow):
        if hold.amount:
            reserved = min(spent_pusd, hold.amount)
            transfers += hold.post(reserved)
            transfers += posted(hold.debit, hold.credit, spent_pusd - reserved)
    return transfers


def _days_void(escrow: Escrow) -> Transfers:
    return tuple(one for hold in day_reservations(escrow) for one in hold.void())


def _days_full(escrow: Escrow) -> Transfers:
    """H2 and H3 at all that is reserved."""
    return tuple(one for hold in day_reservations(escrow) for one in hold.post(hold.amount))


def _days_anew(before: Escrow, after: Escrow) -> Transfers:
    """H2 and H3 made anew at what is known by now."""
    return (*_days_void(before), *(one for hold in day_reservations(after) for one in hold.pend()))


def _days_moved(escrow: Escrow, amount: int) -> Transfers:
    """A fact on the days of an escrow whose reservations are resolved."""
    return tuple(
        one
        for account in day_accounts(escrow)
        for one in posted(account, chart.EXPOSURE_PUSD, amount)
    )


def _abandoned(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    return (*_void_claims(before), *_days_spent(before, before.quote.counted_pusd(0)))


def _upstream_failed(before: Escrow, event: on.UpstreamFailed, after: Escrow) -> Transfers:
    if not event.charged:
        return _abandoned(before, event, after)
    if event.cost is None:
        return _void_claims(before)
    cost_pusd = event.cost.cost_pusd
    return (
        *_void_claims(before),
        *_days_spent(before, before.quote.counted_pusd(cost_pusd)),
        *posted(chart.COST_FAILED, chart.UPSTREAM_CREDITS, cost_pusd),
    )


def _unknown(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    return _void_claims(before)


def _cost_known(before: Escrow, event: on.CostKnown, after: Escrow) -> Transfers:
    return (
        *posted(chart.COST_UPSTREAM, chart.UPSTREAM_CREDITS, event.cost.cost_pusd),
        *_price_reserved(before, after),
        *_days_anew(before, after),
    )


def _price_reserved(before: Escrow, after: Escrow) -> Transfers:
    """H1 made anew at what is due, so that the rest of the ceiling is free for other asks."""
    ceiling, due = caller_reservation(before), caller_reservation(after)
    if ceiling.hold_id == due.hold_id:
        return ()
    return (*ceiling.void(), *due.pend())


def _cost_confirmed(before: Escrow, event: on.CostConfirmed, after: Escrow) -> Transfers:
    difference = event.cost.cost_pusd - before.cost_pusd
    return (
        *posted(STATES[before.state].cost_account, chart.UPSTREAM_CREDITS, difference),
        *_budget_confirmed(before, event.cost.cost_pusd, after),
    )


def _budget_confirmed(before: Escrow, cost_pusd: int, after: Escrow) -> Transfers:
    counted_pusd = before.quote.counted_pusd
    if before.state is EscrowState.FAILED and before.budget_held_pusd:
        return _days_spent(before, counted_pusd(cost_pusd))
    if before.state in {EscrowState.COSTED, EscrowState.INVOICED}:
        return _days_anew(before, after)
    if STATES[before.state].ended_unpaid and before.quote.opening_pusd:
        return _days_moved(before, counted_pusd(cost_pusd) - counted_pusd(before.cost_pusd))
    return ()


def _attributed(before: Escrow, event: on.CostAttributed, _after: Escrow) -> Transfers:
    counted_pusd = before.quote.counted_pusd(event.cost_pusd)
    spent_pusd = min(counted_pusd, before.budget_held_pusd)
    return (*unattributed(event.cost_pusd), *_days_spent(before, spent_pusd))


def _given_up(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    return _days_full(before)


def _covered(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    unpaid_pusd = 0 if before.price_msat else before.quote.counted_pusd(0)
    return (
        *credit_reservation(before).post(before.price_msat),
        *caller_reservation(before).void(),
        *old_address_reservation(before).void(),
        *_days_spent(before, unpaid_pusd),
    )


def _issued(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    return (
        *credit_reservation(before).post(before.credit_used_msat),
        *caller_reservation(before).post(before.due_msat),
    )


def _refused(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    return (
        *_void_claims(before),
        *_days_full(before),
        *posted(chart.COST_FAILED, chart.COST_UPSTREAM, before.cost_pusd),
    )


def _settled(before: Escrow, event: on.InvoiceSettled, _after: Escrow) -> Transfers:
    node = chart.node_balance(event.node_alias)
    available = chart.available(before.caller_id)
    if before.state is EscrowState.EXPIRED:
        return posted(node, available, event.paid_msat)
    if event.paid_msat < before.due_msat:
        message = f"{before.escrow_id} settled below what was due"
        raise LedgerUnbalanced(message)
    return (
        *posted(node, chart.receivable(before.caller_id), before.due_msat),
        *posted(node, available, event.paid_msat - before.due_msat),
        *posted(chart.settled(before.caller_id), chart.EXPOSURE_MSAT, before.due_msat),
        *old_address_reservation(before).void(),
        *_days_void(before),
    )


def _canceled(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    caller_id = before.caller_id
    return (
        *posted(chart.UNEARNED, chart.receivable(caller_id), before.due_msat),
        *posted(chart.UNEARNED, chart.available(caller_id), before.credit_used_msat),
        *posted(chart.COST_UNPAID, chart.COST_UPSTREAM, before.cost_pusd),
        *posted(chart.lapsed(caller_id), chart.EXPOSURE_MSAT, before.due_msat),
        *old_address_reservation(before).post(_counted_by_old_address(before)),
        *_days_full(before),
    )


def _late_purchase(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    caller_id = before.caller_id
    purchase = Transfer(
        kind=TransferKind.POSTED,
        debit=chart.available(caller_id),
        credit=chart.UNEARNED,
        amount=before.price_msat,
        guard=Guard(name="available"),
    )
    address = old_address_reservation(before).debit
    return (
        purchase,
        *posted(chart.COST_UPSTREAM, chart.COST_UNPAID, before.cost_pusd),
        *posted(chart.EXPOSURE_MSAT, chart.lapsed(caller_id), before.due_msat),
        *posted(chart.EXPOSURE_MSAT, address, _counted_by_old_address(before)),
        *_days_moved(before, -before.quote.counted_pusd(before.cost_pusd)),
    )


def _counted_by_old_address(escrow: Escrow) -> int:
    """What a lapse leaves on an address's day in msat: nothing where no old H3 was taken."""
    return escrow.due_msat if old_address_reservation(escrow).amount else 0


def _delivered(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    return posted(chart.UNEARNED, chart.REVENUE, before.price_msat)


def _refunded(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    return posted(chart.UNEARNED, chart.available(before.caller_id), before.price_msat)


def _claim_lapsed(before: Escrow, event: on.ClaimLapsed, _after: Escrow) -> Transfers:
    if not 0 <= event.kept_msat <= before.price_msat:
        message = f"{event.kept_msat} msat of {before.escrow_id} cannot be kept"
        raise LedgerUnbalanced(message)
    available = chart.available(before.caller_id)
    return (
        *posted(chart.UNEARNED, chart.REVENUE, event.kept_msat),
        *posted(chart.UNEARNED, available, before.price_msat - event.kept_msat),
    )


def _written_off(before: Escrow, event: on.WrittenOff, after: Escrow) -> Transfers:
    """Unknown spend stays on the budget as the ceiling: a later comparison finds what it was."""
    return _WRITTEN_OFF.get(before.state, _given_up)(before, event, after)


def _invoice_written_off(before: Escrow, event: on.WrittenOff, after: Escrow) -> Transfers:
    return (*_canceled(before, event, after), *_late_and_written_off(before, event, after))


def _late_and_written_off(before: Escrow, event: on.WrittenOff, _after: Escrow) -> Transfers:
    available = chart.available(before.caller_id)
    return posted(chart.node_balance(event.node_alias), available, event.paid_msat)


_WRITTEN_OFF: Mapping[EscrowState, Callable[..., Transfers]] = {
    EscrowState.OPENED: _abandoned,
    EscrowState.REQUESTED: _refused,
    EscrowState.GENERATED: _refused,
    EscrowState.COSTED: _refused,
    EscrowState.INVOICED: _invoice_written_off,
    EscrowState.EXPIRED: _late_and_written_off,
    EscrowState.SETTLED: _refunded,
}
_BOOKINGS: Mapping[type[on.EscrowEvent], Callable[..., Transfers]] = {
    on.UpstreamRequested: _none,
    on.Abandoned: _abandoned,
    on.GenerationStarted: _none,
    on.CompletionReceived: _none,
    on.UpstreamFailed: _upstream_failed,
    on.OutcomeUnknown: _unknown,
    on.CostKnown: _cost_known,
    on.CostConfirmed: _cost_confirmed,
    on.CostLookupMissed: _none,
    on.CostNotFound: _unknown,
    on.CostAttributed: _attributed,
    on.CostGivenUp: _given_up,
    on.CoveredByCredit: _covered,
    on.InvoiceIssued: _issued,
    on.InvoiceLost: _none,
    on.InvoiceRefused: _refused,
    on.InvoiceSettled: _settled,
    on.InvoiceCanceled: _canceled,
    on.LatePurchase: _late_purchase,
    on.CompletionDelivered: _delivered,
    on.CompletionLost: _refunded,
    on.ClaimLapsed: _claim_lapsed,
    on.BodiesShredded: _none,
    on.Quarantined: _none,
    on.QuarantineLifted: _none,
    on.WrittenOff: _written_off,
}
