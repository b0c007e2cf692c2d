"""The four reservations of an opened escrow, H1 to H4, and the guards they pass (A0).

Amounts: U ceiling, C0 credit reserved. What is reserved bounds the worst case before anything is
spent. Must not know: events, storage or time.
"""

from __future__ import annotations

from service.domain import accounts as chart
from service.domain.accounts import Account
from service.domain.callers import CallerStanding, ExposureTerms
from service.domain.escrow_record import Escrow
from service.domain.ledger import Guard, Hold, Transfer


def caller_hold(escrow: Escrow) -> Hold:
    """H1: U - C0 of the caller's cap."""
    return Hold(
        hold_id=f"{escrow.escrow_id}/caller",
        debit=chart.receivable(escrow.caller_id),
        credit=chart.UNEARNED,
        amount=escrow.quote.ceiling_msat - escrow.quote.credit_reserved_msat,
    )


def budget_account(escrow: Escrow) -> Account:
    """The day's budget that the escrow counts against: that of the day it opened."""
    return chart.day_budget(escrow.quote.day, newcomer=escrow.quote.newcomer)


def budget_hold(escrow: Escrow) -> Hold:
    """H2: the ceiling, later the cost, of the day's budget; renumbered when reserved anew."""
    return Hold(
        hold_id=f"{escrow.escrow_id}/budget/{escrow.budget_hold}",
        debit=budget_account(escrow),
        credit=chart.EXPOSURE_PUSD,
        amount=escrow.budget_held_pusd,
    )


def address_hold(escrow: Escrow) -> Hold:
    """H3: U - C0 of the address's day, for newcomers only."""
    amount = escrow.quote.ceiling_msat - escrow.quote.credit_reserved_msat
    return Hold(
        hold_id=f"{escrow.escrow_id}/address",
        debit=chart.address_exposure(escrow.ask.address, escrow.quote.day),
        credit=chart.EXPOSURE_MSAT,
        amount=amount if escrow.quote.newcomer else 0,
    )


def credit_hold(escrow: Escrow) -> Hold:
    """H4: C0 of the caller's credit."""
    return Hold(
        hold_id=f"{escrow.escrow_id}/credit",
        debit=chart.available(escrow.caller_id),
        credit=chart.UNEARNED,
        amount=escrow.quote.credit_reserved_msat,
    )


def opening(escrow: Escrow, standing: CallerStanding, terms: ExposureTerms) -> tuple[Transfer, ...]:
    """A0: H1 to H4, all or none, each under its guard. The budget row is taken last."""
    caller_id = escrow.caller_id
    cap = Guard(
        name="caller",
        cap=terms.cap,
        settled=chart.settled(caller_id),
        lapsed=chart.lapsed(caller_id),
    )
    if standing.cap_override_msat is not None:
        cap = Guard(name="caller", limit=standing.cap_override_msat)
    newcomer = escrow.quote.newcomer
    return (
        *credit_hold(escrow).pend(Guard(name="available")),
        *caller_hold(escrow).pend(cap),
        *address_hold(escrow).pend(Guard(name="address", limit=terms.address_day_msat)),
        *budget_hold(escrow).pend(
            Guard(name="budget", limit=terms.day_budget_pusd(newcomer=newcomer))
        ),
    )


def opened_accounts(escrow: Escrow) -> tuple[Account, ...]:
    """Every exact account that an escrow will ever move."""
    address = chart.address_exposure(escrow.ask.address, escrow.quote.day)
    return (*chart.caller_accounts(escrow.caller_id), address, budget_account(escrow))
