"""What each event books: a table from event to transfers, exactly as the postings are numbered.

A1-A13 are the events of the escrow mode, B1 a top-up; `holds.py` has A0 with H1-H4.
Amounts: U ceiling, C0 credit reserved, P price, C credit used, c cost, S received.
A fact is never refused: of these only the late purchase carries a guard.

Must not know: states (the table of `escrow.py` has decided), storage or time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from service.domain import accounts as chart
from service.domain import escrow_events as on
from service.domain.errors import LedgerUnbalanced
from service.domain.escrow_record import Escrow, EscrowState
from service.domain.holds import (
    address_hold,
    budget_account,
    budget_hold,
    caller_hold,
    credit_hold,
)
from service.domain.ledger import Guard, Transfer, TransferKind, posted

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
    """H1, H3, H4: everything but the budget."""
    return (
        *credit_hold(escrow).void(),
        *caller_hold(escrow).void(),
        *address_hold(escrow).void(),
    )


def _budget_spent(escrow: Escrow, cost_pusd: int) -> Transfers:
    """H2 at what was spent, beyond the reservation too: the day's budget counts all of it."""
    hold = budget_hold(escrow)
    if not hold.amount:
        return ()
    reserved = min(cost_pusd, hold.amount)
    return (*hold.post(reserved), *posted(hold.debit, hold.credit, cost_pusd - reserved))


def _abandoned(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    return (*_void_claims(before), *budget_hold(before).void())


def _upstream_failed(before: Escrow, event: on.UpstreamFailed, after: Escrow) -> Transfers:
    if not event.charged:
        return _abandoned(before, event, after)
    if event.cost is None:
        return _void_claims(before)
    cost_pusd = event.cost.cost_pusd
    return (
        *_void_claims(before),
        *_budget_spent(before, cost_pusd),
        *posted(chart.COST_FAILED, chart.UPSTREAM_CREDITS, cost_pusd),
    )


def _unknown(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    return _void_claims(before)


def _cost_known(before: Escrow, event: on.CostKnown, after: Escrow) -> Transfers:
    return (
        *posted(chart.COST_UPSTREAM, chart.UPSTREAM_CREDITS, event.cost.cost_pusd),
        *budget_hold(before).void(),
        *budget_hold(after).pend(),
    )


def _cost_confirmed(before: Escrow, event: on.CostConfirmed, after: Escrow) -> Transfers:
    difference = event.cost.cost_pusd - before.cost_pusd
    account = {
        EscrowState.EXPIRED: chart.COST_UNPAID,
        EscrowState.FAILED: chart.COST_FAILED,
    }.get(before.state, chart.COST_UPSTREAM)
    return (
        *posted(account, chart.UPSTREAM_CREDITS, difference),
        *_budget_confirmed(before, event.cost.cost_pusd, difference, after),
    )


def _budget_confirmed(before: Escrow, cost_pusd: int, difference: int, after: Escrow) -> Transfers:
    hold = budget_hold(before)
    if before.state is EscrowState.FAILED and hold.amount:
        return _budget_spent(before, cost_pusd)
    if before.state in {EscrowState.COSTED, EscrowState.INVOICED}:
        return (*hold.void(), *budget_hold(after).pend())
    ended = before.state in {EscrowState.EXPIRED, EscrowState.FAILED}
    if ended and caller_hold(before).amount:
        return posted(budget_account(before), chart.EXPOSURE_PUSD, difference)
    return ()


def _attributed(before: Escrow, event: on.CostAttributed, _after: Escrow) -> Transfers:
    hold = budget_hold(before)
    return (*unattributed(event.cost_pusd), *hold.post(min(event.cost_pusd, hold.amount)))


def _given_up(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    hold = budget_hold(before)
    return hold.post(hold.amount)


def _covered(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    return (
        *credit_hold(before).post(before.price_msat),
        *caller_hold(before).void(),
        *address_hold(before).void(),
        *budget_hold(before).void(),
    )


def _issued(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    return (
        *credit_hold(before).post(before.credit_used_msat),
        *caller_hold(before).post(before.due_msat),
    )


def _refused(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    hold = budget_hold(before)
    return (
        *_void_claims(before),
        *hold.post(hold.amount),
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
        *address_hold(before).void(),
        *budget_hold(before).void(),
    )


def _canceled(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    hold = budget_hold(before)
    caller_id = before.caller_id
    return (
        *posted(chart.UNEARNED, chart.receivable(caller_id), before.due_msat),
        *posted(chart.UNEARNED, chart.available(caller_id), before.credit_used_msat),
        *posted(chart.COST_UNPAID, chart.COST_UPSTREAM, before.cost_pusd),
        *posted(chart.lapsed(caller_id), chart.EXPOSURE_MSAT, before.due_msat),
        *address_hold(before).post(_counted_by_address(before)),
        *hold.post(hold.amount),
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
    address = chart.address_exposure(before.ask.address, before.quote.day)
    return (
        purchase,
        *posted(chart.COST_UPSTREAM, chart.COST_UNPAID, before.cost_pusd),
        *posted(chart.EXPOSURE_MSAT, chart.lapsed(caller_id), before.due_msat),
        *posted(chart.EXPOSURE_MSAT, address, _counted_by_address(before)),
        *posted(chart.EXPOSURE_PUSD, budget_account(before), before.cost_pusd),
    )


def _counted_by_address(escrow: Escrow) -> int:
    """What a lapse leaves on the address's day: nothing where no H3 was taken."""
    return escrow.due_msat if address_hold(escrow).amount else 0


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
