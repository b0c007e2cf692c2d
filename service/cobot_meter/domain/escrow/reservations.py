"""The reservations of an opened escrow, H1 to H7, and the guards they pass (A0, A2d).

Amounts in msat: U ceiling, C0 credit reserved, P price, C credit used; the days are in pico-USD.
What is reserved bounds the worst case before anything is spent. Escrows from before revision 0009
of the books keep the reservations that they opened with. Must not know: events, storage or time.
"""

from __future__ import annotations

from cobot_meter.domain.api_key.record import KeyLimits
from cobot_meter.domain.budgets.sheets import NO_BUDGETS, BudgetLimits
from cobot_meter.domain.callers import CallerStanding, ExposureTerms
from cobot_meter.domain.errors import LedgerUnbalanced
from cobot_meter.domain.escrow.budget_reservations import (
    budget_accounts,
    budgets_pended,
    budgets_voided,
    numbered,
)
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.accounts import Account
from cobot_meter.domain.ledger.transfers import Guard, Reservation, Transfer


def caller_reservation(escrow: Escrow) -> Reservation:
    """H1: U - C0 of the caller's cap, and P - C as soon as the price is known.

    Of a task it is its seller's, and U has the highest fee with it.
    """
    old = escrow.quote.least_pusd is None
    fee_msat = escrow.task.max_fee_msat if escrow.task else 0
    if escrow.payment_hash is None or old:
        name, amount = "caller", escrow.most_msat + fee_msat - escrow.reserved_msat
    else:
        name, amount = "caller/priced", escrow.due_msat
    return Reservation(
        hold_id=f"{escrow.escrow_id}/{name}",
        debit=chart.receivable(escrow.at_risk_id),
        credit=chart.UNEARNED,
        amount=amount,
    )


def old_address_reservation(escrow: Escrow) -> Reservation:
    """H3 of an escrow from before addresses were counted in pico-USD: U - C0 to its end."""
    old = escrow.quote.least_pusd is None and escrow.quote.newcomer
    amount = escrow.quote.ceiling_msat - escrow.quote.credit_reserved_msat
    return Reservation(
        hold_id=f"{escrow.escrow_id}/address",
        debit=chart.old_address_exposure(escrow.ask.address, escrow.quote.day),
        credit=chart.EXPOSURE_MSAT,
        amount=amount if old else 0,
    )


def credit_reservation(escrow: Escrow) -> Reservation:
    """H4: C0 of the caller's credit, and all that it was extended by."""
    return Reservation(
        hold_id=numbered(escrow, "credit"),
        debit=chart.available(escrow.caller_id),
        credit=chart.UNEARNED,
        amount=escrow.reserved_msat,
    )


def overrun_reservation(escrow: Escrow) -> Reservation:
    """H6: what it may cost us beyond what is reserved, of the day's, until its cost is known."""
    running = escrow.state is EscrowState.RUNNING
    return Reservation(
        hold_id=f"{escrow.escrow_id}/overrun",
        debit=chart.overrun(escrow.quote.day),
        credit=chart.EXPOSURE_PUSD,
        amount=escrow.quote.overrun_pusd if running else 0,
    )


def key_accounts(escrow: Escrow) -> tuple[Account, ...]:
    """What counts the sales of the key that asked: in all, and of the day; none without a key."""
    if escrow.key_id is None:
        return ()
    return chart.key_spent(escrow.key_id), chart.key_day(escrow.key_id, escrow.quote.day)


def key_reservations(escrow: Escrow) -> tuple[Reservation, ...]:
    """H5: what credit reserves, on each account of the key; posted at the price. None without."""
    return tuple(
        Reservation(
            hold_id=numbered(escrow, f"key/{name}"),
            debit=account,
            credit=chart.EXPOSURE_MSAT,
            amount=escrow.most_msat,
        )
        for name, account in zip(("all", "day"), key_accounts(escrow), strict=False)
    )


def _key_opening(escrow: Escrow, limits: KeyLimits) -> tuple[Transfer, ...]:
    """H5 under the key's limits. Raises LedgerUnbalanced if credit does not cover it."""
    if escrow.key_id is None:
        return ()
    if not escrow.quote.covered:
        message = f"{escrow.escrow_id} is a key's, and credit does not cover all of it"
        raise LedgerUnbalanced(message)
    return _pended(escrow, limits)


def _pended(escrow: Escrow, limits: KeyLimits) -> tuple[Transfer, ...]:
    bounds = (("key", limits.limit_msat), ("key_day", limits.day_limit_msat))
    return tuple(
        one
        for hold, (name, limit) in zip(key_reservations(escrow), bounds, strict=False)
        for one in hold.pend(None if limit is None else Guard(name=name, limit=limit))
    )


def extended(
    before: Escrow, after: Escrow, limits: KeyLimits, budgets: BudgetLimits = NO_BUDGETS
) -> tuple[Transfer, ...]:
    """A2d: H4, H5 and H7 given back and made anew, larger, under the guards of the opening."""
    return (
        *credit_reservation(before).void(),
        *(one for hold in key_reservations(before) for one in hold.void()),
        *budgets_voided(before),
        *credit_reservation(after).pend(Guard(name="available")),
        *_pended(after, limits),
        *budgets_pended(after, budgets),
    )


def opening(
    escrow: Escrow,
    standing: CallerStanding,
    terms: ExposureTerms,
    limits: KeyLimits,
    budgets: BudgetLimits = NO_BUDGETS,
) -> tuple[Transfer, ...]:
    """A0: H1 to H7, all or none, each under its guard. The rows of the day are taken last.

    `standing` is that of whom H1 is reserved of, `limits` are those of the key that asked, and
    `budgets` those of the accounts that the sale names.
    """
    caller_id = escrow.at_risk_id
    cap = Guard(
        name="caller",
        cap=terms.cap,
        settled=chart.settled(caller_id),
        lapsed=chart.lapsed(caller_id),
    )
    if standing.cap_override_msat is not None:
        cap = Guard(name="caller", limit=standing.cap_override_msat)
    guards = day_guards(escrow, terms)
    days = (hold for run in escrow.runs for hold in escrow.days.reserved(run))
    return (
        *credit_reservation(escrow).pend(Guard(name="available")),
        *_key_opening(escrow, limits),
        *caller_reservation(escrow).pend(cap),
        *old_address_reservation(escrow).pend(),
        *budgets_pended(escrow, budgets),
        *(one for hold in days for one in hold.pend(guards[hold.debit.code])),
        *overrun_reservation(escrow).pend(Guard(name="overrun", limit=terms.overrun_day_pusd)),
    )


def day_guards(escrow: Escrow, terms: ExposureTerms) -> dict[str, Guard]:
    """The guard of each day that the escrow counts on (H2, H3), by the account's code; pico-USD."""
    limits = {
        "address": terms.address_day_pusd,
        "budget": terms.day_budget_pusd(newcomer=escrow.quote.newcomer),
    }
    return {
        account.code: Guard(name=name, limit=limits[name])
        for name, account in escrow.days.named().items()
    }


def opened_accounts(escrow: Escrow) -> tuple[Account, ...]:
    """Every account that an escrow will ever move and that a guard may stand on."""
    old = old_address_reservation(escrow)
    return (
        *chart.caller_accounts(escrow.caller_id),
        *(chart.caller_accounts(escrow.task.seller_id) if escrow.task else ()),
        *key_accounts(escrow),
        *budget_accounts(escrow),
        *((old.debit,) if old.amount else ()),
        *escrow.days.accounts(),
        *((chart.overrun(escrow.quote.day),) if escrow.quote.grows else ()),
    )
