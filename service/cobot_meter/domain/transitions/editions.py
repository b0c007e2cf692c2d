"""A day's edition of the benchmarks, sold from credit: one entry, and no run behind it.

It has cost nothing upstream by itself, so there is nothing to wait for and nothing to hold back:
the price is known before anybody asks, credit pays it, and the document is handed over. The key of
the entry names the buyer and the edition, so whoever asks again has bought it already. Must not
know: what an edition says, HTTP, or where prices are set.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields

from cobot_meter.domain.api_key.record import KeyLimits
from cobot_meter.domain.budgets.sheets import NO_BUDGETS, BudgetLimits
from cobot_meter.domain.errors import LedgerUnbalanced
from cobot_meter.domain.escrow.budget_reservations import counted_at
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.accounts import Account
from cobot_meter.domain.ledger.transfers import Guard, Transfer, TransferKind
from cobot_meter.domain.money import ExchangeRate
from cobot_meter.domain.transitions.kinds import EDITION_SOLD, EDITIONS
from cobot_meter.domain.transitions.transition import Facts, Transition


@dataclass(frozen=True, slots=True, kw_only=True)
class EditionSale:
    """Who buys which edition, for how much, and what counts it.

    `edition` and `day` are UTC days (`2026-11-29`): of the edition, and of what the key spends.
    `budgets` are codes of accounts with a blank between; what counts USD there counts it at
    `usd_micro_per_btc`, None where nothing does. `document_sha256` is of the document as sold.
    """

    caller_id: str
    key_id: str | None
    edition: str
    day: str
    price_msat: int
    budgets: str
    usd_micro_per_btc: int | None
    document_sha256: str

    @property
    def rate(self) -> ExchangeRate:
        """What counts USD; without that any rate serves, for nothing is converted."""
        return ExchangeRate(
            usd_micro_per_btc=self.usd_micro_per_btc or 1, source="", fetched_at_ms=0
        )


def edition_sold(
    sale: EditionSale,
    *,
    limits: KeyLimits | None = None,
    budgets: BudgetLimits = NO_BUDGETS,
    at_ms: int,
) -> Transition:
    """The price from credit to revenue, under every guard that a request on credit passes.

    `limits` are those of the key that asks, `budgets` those of the accounts that the sale names.
    """
    return Transition(
        key=f"{EDITIONS}/{sale.caller_id}/{sale.edition}",
        kind=EDITION_SOLD,
        subject_id=EDITIONS,
        caller_id=sale.caller_id,
        at_ms=at_ms,
        accounts=(
            *chart.caller_accounts(sale.caller_id),
            *_key_accounts(sale),
            *budget_accounts_of(sale),
        ),
        transfers=(
            Transfer(
                kind=TransferKind.POSTED,
                debit=chart.available(sale.caller_id),
                credit=chart.REVENUE_EDITIONS,
                amount=sale.price_msat,
                guard=Guard(name="available"),
            ),
            *_counted_of_key(sale, limits),
            *_counted_of_budgets(sale, budgets),
        ),
        facts=asdict(sale),
    )


def budget_accounts_of(sale: EditionSale) -> tuple[Account, ...]:
    """The accounts of its budgets. Raises LedgerUnbalanced for a code that is no budget's."""
    found = [chart.account_of(code) for code in sale.budgets.split()]
    if any(one is None or not chart.is_budget(one.code) for one in found):
        message = f"no budgets have these accounts: {sale.budgets[:120]!r}"
        raise LedgerUnbalanced(message)
    return tuple(one for one in found if one is not None)


def edition_as_told(caller_id: str | None, facts: Facts) -> EditionSale:
    """The sale that an entry says. Raises KeyError, ValueError for what no sale is."""
    told = {field.name: facts[field.name] for field in fields(EditionSale)}
    if told["caller_id"] != caller_id or not isinstance(told["price_msat"], int):
        message = "it names another caller, or an amount that is none"
        raise ValueError(message)
    return EditionSale(**told)  # type: ignore[arg-type]


def _key_accounts(sale: EditionSale) -> tuple[Account, ...]:
    if sale.key_id is None:
        return ()
    return chart.key_spent(sale.key_id), chart.key_day(sale.key_id, sale.day)


def _counted_of_key(sale: EditionSale, limits: KeyLimits | None) -> Iterator[Transfer]:
    bounds = (limits.limit_msat, limits.day_limit_msat) if limits else (None, None)
    for account, name, limit in zip(_key_accounts(sale), ("key", "key_day"), bounds, strict=False):
        guard = None if limit is None else Guard(name=name, limit=limit)
        yield _counts(account, sale.price_msat, guard)


def _counted_of_budgets(sale: EditionSale, budgets: BudgetLimits) -> Iterator[Transfer]:
    for account in budget_accounts_of(sale):
        limit = budgets.get(account.code)
        guard = None if limit is None else Guard(name=account.code, limit=limit)
        yield _counts(account, counted_at(sale.rate, account.commodity, sale.price_msat), guard)


def _counts(account: Account, amount: int, guard: Guard | None) -> Transfer:
    return Transfer(
        kind=TransferKind.POSTED,
        debit=account,
        credit=chart.exposure_contra(account.commodity),
        amount=amount,
        guard=guard,
    )
