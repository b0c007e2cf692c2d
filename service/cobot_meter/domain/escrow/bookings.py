"""What each event books: a table from event to transfers, the sale's in msat.

`docs/postings.md` has every posting with a worked example, and the key of the codes used here (A1
to A13, H1 to H7, B1). Amounts: U ceiling, C0 credit reserved, P price, C credit used, c cost, S
received. A fact is never refused: of these only the late purchase carries a guard. What a run books
of its cost and on its days is in `domain/run`; the order of the lines is that of the first books.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cobot_meter.domain.api_key.record import KeyLimits
from cobot_meter.domain.errors import LedgerUnbalanced
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.budget_reservations import (
    budgets_counted_again,
    budgets_given_back,
    budgets_posted,
    budgets_voided,
)
from cobot_meter.domain.escrow.key_losses import losses_booked
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.reservations import (
    caller_reservation,
    credit_reservation,
    extended,
    key_accounts,
    key_reservations,
    old_address_reservation,
    overrun_reservation,
)
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.accounts import Account
from cobot_meter.domain.ledger.transfers import Guard, Transfer, TransferKind, posted
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.run.bookings import ON_DAYS, cost_booked, days_booked
from cobot_meter.domain.run.days import Transfers
from cobot_meter.domain.run.states import RunState


def bookings(before: Escrow, event: on.EscrowEvent, after: Escrow) -> Transfers:
    """The transfers of one event of a sale, in the order of their rows."""
    if not isinstance(event, ran.RunEvent):
        return _BOOKINGS[type(event)](before, event, after)
    cost = cost_booked(before.run, event)
    days: Transfers = ()
    if type(event) in ON_DAYS:
        days = days_booked(before.run, event, after.run, before.days)
    lost = losses_booked(before, event)
    if isinstance(event, _ENDS) and not before.sells_several:
        return (*_void_claims(before), *days, *cost, *lost)
    if isinstance(event, ran.CostKnown):
        overrun = _overrun(before, event.cost.cost_pusd)
        return (*cost, *_price_reserved(before, after), *days, *overrun)
    if isinstance(event, ran.CompletionCosted) and not before.sells_several:
        return (*cost, *_captured(before, after), *_overrun(before, event.cost.cost_pusd))
    return (*cost, *days, *lost)


_NO_LIMITS = KeyLimits()
# What a run's end means to its sale: nothing is claimed for it any more.
_ENDS = (ran.Abandoned, ran.RunFailed, ran.RunOutcomeUnknown, ran.CostNotFound)


def _none(_before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    return ()


def _void_claims(escrow: Escrow) -> Transfers:
    """H1, H4, H5, H6 and H7: everything but the days."""
    return (
        *credit_reservation(escrow).void(),
        *(one for hold in key_reservations(escrow) for one in hold.void()),
        *budgets_voided(escrow),
        *caller_reservation(escrow).void(),
        *old_address_reservation(escrow).void(),
        *overrun_reservation(escrow).void(),
    )


def _overrun(before: Escrow, cost_pusd: int) -> Transfers:
    """H6 posted at what the reservation could not pay for; what goes beyond it is booked too."""
    hold, overrun_pusd = overrun_reservation(before), before.overrun_of(cost_pusd)
    within_pusd = min(overrun_pusd, hold.amount)
    beyond_pusd = overrun_pusd - within_pusd
    return (*hold.post(within_pusd), *posted(hold.debit, hold.credit, beyond_pusd))


def _extended(before: Escrow, _event: on.ReservationExtended, after: Escrow) -> Transfers:
    """Without the key's limits: whoever writes it sets the guards of the moment."""
    return extended(before, after, _NO_LIMITS)


def _task_run_begun(_before: Escrow, _event: on.TaskRunBegun, after: Escrow) -> Transfers:
    """H2 of the new run, without a guard: whoever writes it sets that of the day."""
    return tuple(one for hold in after.days.reserved(after.run) for one in hold.pend())


def _priced_together(
    before: Escrow, _event: on.TaskClosed | on.PanelPriced, after: Escrow
) -> Transfers:
    return _price_reserved(before, after)


def _price_reserved(before: Escrow, after: Escrow) -> Transfers:
    """H1 made anew at what is due, so that the rest of the ceiling is free for other asks."""
    ceiling, due = caller_reservation(before), caller_reservation(after)
    if ceiling.hold_id == due.hold_id:
        return ()
    return (*ceiling.void(), *due.pend())


def _covered(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    days = before.days
    unpaid_pusd = 0 if before.price_msat else days.counted_pusd(0)
    return (
        *_paid_from_credit(before, before.price_msat),
        *caller_reservation(before).void(),
        *old_address_reservation(before).void(),
        *(one for run in before.sold_runs for one in days.spent(run, unpaid_pusd)),
    )


def _paid_from_credit(escrow: Escrow, price_msat: int) -> Transfers:
    """H4, H5 and H7 posted at the price."""
    return (
        *credit_reservation(escrow).post(price_msat),
        *(one for hold in key_reservations(escrow) for one in hold.post(price_msat)),
        *budgets_posted(escrow, price_msat),
    )


def _captured(before: Escrow, after: Escrow) -> Transfers:
    """A2c and A4 in one: the price is ours, and the rest of what was reserved is free again."""
    return (
        *_paid_from_credit(before, after.price_msat),
        *posted(chart.UNEARNED, chart.REVENUE, after.price_msat),
    )


def _issued(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    return (
        *credit_reservation(before).post(before.credit_used_msat),
        *caller_reservation(before).post(before.due_msat),
        *budgets_posted(before, before.price_msat),
    )


def _refused(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    return (
        *_void_claims(before),
        *(one for run in before.sold_runs for one in before.days.full(run)),
        *_cost_moved(before, chart.COST_FAILED, chart.COST_UPSTREAM),
    )


def _cost_moved(escrow: Escrow, debit: Account, credit: Account) -> Transfers:
    """What every run that it sells has cost, from one account to another."""
    return tuple(one for run in escrow.sold_runs for one in posted(debit, credit, run.cost_pusd))


def _settled(before: Escrow, event: on.InvoiceSettled, _after: Escrow) -> Transfers:
    node = chart.node_balance(event.node_alias)
    available = chart.available(before.caller_id)
    if before.state is EscrowState.EXPIRED:
        return posted(node, available, event.paid_msat)
    if event.paid_msat < before.due_msat:
        message = f"{before.escrow_id} settled below what was due"
        raise LedgerUnbalanced(message)
    return (
        *posted(node, chart.receivable(before.at_risk_id), before.due_msat),
        *posted(node, available, event.paid_msat - before.due_msat),
        *posted(chart.settled(before.at_risk_id), chart.EXPOSURE_MSAT, before.due_msat),
        *old_address_reservation(before).void(),
        *(one for run in before.sold_runs for one in before.days.void(run)),
    )


def _canceled(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    at_risk_id = before.at_risk_id
    return (
        *posted(chart.UNEARNED, chart.receivable(at_risk_id), before.due_msat),
        *posted(chart.UNEARNED, chart.available(before.caller_id), before.credit_used_msat),
        *_cost_moved(before, chart.COST_UNPAID, chart.COST_UPSTREAM),
        *posted(chart.lapsed(at_risk_id), chart.EXPOSURE_MSAT, before.due_msat),
        *budgets_given_back(before),
        *old_address_reservation(before).post(_counted_by_old_address(before)),
        *(one for run in before.sold_runs for one in before.days.full(run)),
    )


def _late_purchase(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    purchase = Transfer(
        kind=TransferKind.POSTED,
        debit=chart.available(before.caller_id),
        credit=chart.UNEARNED,
        amount=before.price_msat,
        guard=Guard(name="available"),
    )
    address, days = old_address_reservation(before).debit, before.days
    return (
        purchase,
        *_cost_moved(before, chart.COST_UPSTREAM, chart.COST_UNPAID),
        *posted(chart.EXPOSURE_MSAT, chart.lapsed(before.at_risk_id), before.due_msat),
        *posted(chart.EXPOSURE_MSAT, address, _counted_by_old_address(before)),
        *budgets_counted_again(before),
        *(one for run in before.sold_runs for one in days.moved(-days.counted_pusd(run.cost_pusd))),
    )


def _counted_by_old_address(escrow: Escrow) -> int:
    """What a lapse leaves on an address's day in msat: nothing where no old H3 was taken."""
    return escrow.due_msat if old_address_reservation(escrow).amount else 0


def _delivered(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    """The seller of a task gets its fee as credit."""
    earned = posted(chart.UNEARNED, chart.REVENUE, before.price_msat - before.fee_msat)
    if before.task is None:
        return earned
    seller = chart.available(before.task.seller_id)
    return (*earned, *posted(chart.UNEARNED, seller, before.fee_msat))


def _refunded(before: Escrow, _event: on.EscrowEvent, _after: Escrow) -> Transfers:
    return (
        *posted(chart.UNEARNED, chart.available(before.caller_id), before.price_msat),
        *_given_back_to_key(before, before.price_msat),
        *budgets_given_back(before),
    )


def _given_back_to_key(escrow: Escrow, amount_msat: int) -> Transfers:
    """A key that got nothing for it has not spent it either."""
    return tuple(
        one
        for account in key_accounts(escrow)
        for one in posted(chart.EXPOSURE_MSAT, account, amount_msat)
    )


def _claim_lapsed(before: Escrow, event: on.ClaimLapsed, _after: Escrow) -> Transfers:
    if not 0 <= event.kept_msat <= before.price_msat - before.fee_msat:
        message = f"{event.kept_msat} msat of {before.escrow_id} cannot be kept"
        raise LedgerUnbalanced(message)
    available = chart.available(before.caller_id)
    return (
        *posted(chart.UNEARNED, chart.REVENUE, event.kept_msat),
        *posted(chart.UNEARNED, available, before.price_msat - event.kept_msat),
        *_given_back_to_key(before, before.price_msat - event.kept_msat),
        *budgets_given_back(before, kept_msat=event.kept_msat),
    )


def _written_off(before: Escrow, event: on.WrittenOff, after: Escrow) -> Transfers:
    """Unknown spend stays on the budget as the ceiling: a later comparison finds what it was."""
    if before.sells_several:
        booked = _WRITTEN_OFF.get(before.state, _none)(before, event, after)
        unsold = (run for run in before.runs if not run.has_answered)
        return (*booked, *(one for run in unsold for one in before.days.full(run)))
    others = tuple(one for run in before.others for one in before.days.full(run))
    return (*_of_its_run_written_off(before, event, after), *others)


def _of_its_run_written_off(before: Escrow, event: on.WrittenOff, after: Escrow) -> Transfers:
    if before.state is EscrowState.RUNNING and before.run.state is RunState.OPENED:
        return (*_void_claims(before), *before.days.spent(before.run, before.days.counted_pusd(0)))
    return _WRITTEN_OFF.get(before.state, _days_given_up)(before, event, after)


def _days_given_up(before: Escrow, _event: on.WrittenOff, _after: Escrow) -> Transfers:
    return before.days.full(before.run)


def _invoice_written_off(before: Escrow, event: on.WrittenOff, after: Escrow) -> Transfers:
    return (*_canceled(before, event, after), *_late_and_written_off(before, event, after))


def _late_and_written_off(before: Escrow, event: on.WrittenOff, _after: Escrow) -> Transfers:
    available = chart.available(before.caller_id)
    return posted(chart.node_balance(event.node_alias), available, event.paid_msat)


_WRITTEN_OFF: Mapping[EscrowState, Callable[..., Transfers]] = {
    EscrowState.RUNNING: _refused,
    EscrowState.PRICED: _refused,
    EscrowState.INVOICED: _invoice_written_off,
    EscrowState.EXPIRED: _late_and_written_off,
    EscrowState.SETTLED: _refunded,
}
_BOOKINGS: Mapping[type[on.SaleEvent], Callable[..., Transfers]] = {
    on.ReservationExtended: _extended,
    on.TaskRunBegun: _task_run_begun,
    on.TaskAnswered: _none,
    on.TaskClosed: _priced_together,
    on.TaskEnded: _refused,
    on.PanelAnswered: _none,
    on.PanelPriced: _priced_together,
    on.PanelEnded: _refused,
    on.CoveredByCredit: _covered,
    on.InvoiceIssued: _issued,
    on.InvoiceLost: _none,
    on.InvoiceMakingRefused: _refused,
    on.InvoiceSettled: _settled,
    on.InvoiceCanceled: _canceled,
    on.LatePurchase: _late_purchase,
    on.CompletionDelivered: _delivered,
    on.CompletionLost: _refunded,
    on.ClaimLapsed: _claim_lapsed,
    on.BodiesShredded: _none,
    on.QuarantineBegun: _none,
    on.QuarantineLifted: _none,
    on.WrittenOff: _written_off,
}
