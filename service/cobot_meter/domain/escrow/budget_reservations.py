"""H7: what a sale reserves of the budgets that bound it, and what it leaves in them.

Each budget in its window is an account like a key's limit: the most that the sale may come to is
reserved under its guard when the sale opens, the price is posted where the price is paid or billed,
and what the caller gets back the budget gets back. The accounts are named in the sale's row, so
what is captured after midnight counts in the window in which it was reserved. Must not know: which
budgets there are, or any time.
"""

from __future__ import annotations

from collections.abc import Callable

from cobot_meter.domain.budgets.sheets import BudgetLimits
from cobot_meter.domain.errors import LedgerUnbalanced
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Mode
from cobot_meter.domain.ledger.accounts import (
    Account,
    Commodity,
    account_of,
    budget_model,
    exposure_contra,
)
from cobot_meter.domain.ledger.transfers import Guard, Reservation, Transfer, posted
from cobot_meter.domain.money import AMOUNT_MAX, ExchangeRate, pusd_from_msat


def budget_accounts(escrow: Escrow) -> tuple[Account, ...]:
    """The accounts of its budgets, in the order in which they are taken."""
    return tuple(map(_account, escrow.budgets.split()))


def counting_accounts(escrow: Escrow) -> tuple[Account, ...]:
    """Those that the price counts in: of models that of the one which answers alone.

    A panel is sold as a whole, and counts as a whole for each model that is on it.
    """
    return tuple(one for one in budget_accounts(escrow) if _counts(escrow, one))


def counted(escrow: Escrow, account: Account, msat: int) -> int:
    """So much in the account's own unit: USD at the rate of the sale, so that it never moves."""
    return counted_at(escrow.quote.rate, account.commodity, msat)


def counted_at(rate: ExchangeRate, commodity: Commodity, msat: int) -> int:
    """An amount of msat in the unit of a budget, at most what can be booked."""
    if commodity is Commodity.MSAT:
        return msat
    return min(pusd_from_msat(msat, rate), AMOUNT_MAX)


def budget_reservations(escrow: Escrow) -> tuple[Reservation, ...]:
    """The most that it can come to, with the highest fee of a task, on each account."""
    fee_msat = escrow.task.max_fee_msat if escrow.task else 0
    most_msat = escrow.most_msat + fee_msat
    return tuple(
        Reservation(
            hold_id=numbered(escrow, f"limit/{place}"),
            debit=account,
            credit=exposure_contra(account.commodity),
            amount=counted(escrow, account, most_msat),
        )
        for place, account in enumerate(budget_accounts(escrow))
    )


def numbered(escrow: Escrow, name: str) -> str:
    """What is reserved anew with an extension is another reservation."""
    base = f"{escrow.escrow_id}/{name}"
    return f"{base}/{escrow.extensions}" if escrow.extensions else base


def budgets_pended(escrow: Escrow, limits: BudgetLimits) -> tuple[Transfer, ...]:
    """Reserved, each under its limit; a budget that was taken away since has no guard."""
    return _each(escrow, lambda hold: hold.pend(_guard(hold.debit, limits)))


def budgets_voided(escrow: Escrow) -> tuple[Transfer, ...]:
    """Given back whole: nothing came of it, or it is reserved anew."""
    return _each(escrow, lambda hold: hold.void())


def budgets_posted(escrow: Escrow, price_msat: int) -> tuple[Transfer, ...]:
    """The price counts from here on, and the rest of what was reserved is free again."""

    def post(hold: Reservation) -> tuple[Transfer, ...]:
        counts = _counts(escrow, hold.debit)
        return hold.post(counted(escrow, hold.debit, price_msat) if counts else 0)

    return _each(escrow, post)


def budgets_given_back(escrow: Escrow, *, kept_msat: int = 0) -> tuple[Transfer, ...]:
    """What was posted and is not paid after all, but for what is kept of it."""
    return tuple(
        one
        for account in counting_accounts(escrow)
        for one in posted(
            exposure_contra(account.commodity),
            account,
            counted(escrow, account, escrow.price_msat) - counted(escrow, account, kept_msat),
        )
    )


def budgets_counted_again(escrow: Escrow) -> tuple[Transfer, ...]:
    """A late payment buys what had lapsed: a fact by now, and past every guard."""
    return tuple(
        one
        for account in counting_accounts(escrow)
        for one in posted(
            account,
            exposure_contra(account.commodity),
            counted(escrow, account, escrow.price_msat),
        )
    )


def _each(
    escrow: Escrow, moved: Callable[[Reservation], tuple[Transfer, ...]]
) -> tuple[Transfer, ...]:
    if not escrow.budgets:
        return ()
    return tuple(one for hold in budget_reservations(escrow) for one in moved(hold))


def _guard(account: Account, limits: BudgetLimits) -> Guard | None:
    limit = limits.get(account.code)
    return None if limit is None else Guard(name=account.code, limit=limit)


def _counts(escrow: Escrow, account: Account) -> bool:
    model = budget_model(account.code)
    return model is None or model == escrow.model or escrow.mode is Mode.PANEL


def _account(code: str) -> Account:
    account = account_of(code)
    if account is None:
        message = f"no budget has an account {code[:120]!r}"
        raise LedgerUnbalanced(message)
    return account
