"""Sell a day's edition of the benchmarks from a caller's credit: one commit, and then the document.

Whoever bought an edition reads it as often as it likes; another key of the same caller too. Must
not know: HTTP, or how credit is bought.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from cobot_meter.domain.api_key.faults import ModelNotAllowed
from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.budgets.budget import BudgetWindow
from cobot_meter.domain.budgets.sheets import codes_of, limits_of
from cobot_meter.domain.errors import CallerBlocked, EscrowNotFound, ExposureExceeded
from cobot_meter.domain.ledger.accounts import Commodity
from cobot_meter.domain.money import ExchangeRate
from cobot_meter.domain.refusals import edition_credit_short, key_limit_reached
from cobot_meter.domain.transitions.editions import EditionSale, edition_sold
from cobot_meter.flows.benchmarks.show_benchmarks import ShowBenchmarks
from cobot_meter.flows.budget.find_budgets import FindBudgets
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.release_gate import ReleaseGate
from cobot_meter.flows.sale.open_escrow import BLOCKED
from cobot_meter.ports.exchange_rate import ExchangeRates

SECOND_MS = 1_000
_ONLY_MODELS = (
    "This API key may ask for certain models and buys nothing else: use one without such a list."
)
_NOTHING = (
    "Nothing had been measured when this UTC day began, so there is no edition to sell: an edition "
    "holds what was measured before its day."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One UTC day's edition (`2026-11-29`) and what it says."""

    day: str
    document: dict[str, Any]

    @property
    def sha256(self) -> str:
        """Of the document, its members in order and without blanks."""
        plain = json.dumps(self.document, sort_keys=True, separators=(",", ":"))
        return sha256(plain.encode()).hexdigest()


class SellEdition:
    """At one price, which may be nothing."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        find_budgets: FindBudgets,
        release_gate: ReleaseGate,
        rates: ExchangeRates,
        show_benchmarks: ShowBenchmarks,
        price_msat: int,
    ) -> None:
        """Nothing is sold past a closed gate; `rates` are asked where a budget counts USD."""
        self.price_msat = price_msat
        self._ledger = ledger
        self._release_gate = release_gate
        self._rates = rates
        self._show_benchmarks = show_benchmarks
        self._find_budgets = find_budgets

    async def edition(self) -> Edition:
        """Today's. Raises EscrowNotFound where nothing was measured before today."""
        found = await self._show_benchmarks.edition()
        if not found.records:
            raise EscrowNotFound(_NOTHING)
        day = datetime.fromtimestamp(found.at_ms // SECOND_MS, tz=UTC).strftime("%Y-%m-%d")
        return Edition(day=day, document=found.document())

    async def sell(self, edition: Edition, *, caller_id: str, key: ApiKey | None) -> None:
        """Once this returns the caller has bought it, now or before.

        Raises CreditShort, KeyLimitReached, BudgetExhausted, ModelNotAllowed, CallerBlocked,
        ReleasesStopped, and RateStale where a budget counts USD: then nothing was booked.
        """
        self._release_gate.check()
        standing = await self._ledger.books.standing(caller_id)
        if standing.blocked:
            raise CallerBlocked(BLOCKED)
        if key is not None and key.limits.models:
            raise ModelNotAllowed(_ONLY_MODELS)
        key_id = key.key_id if key else None
        asked = await self._find_budgets.asked(caller_id, key_id=key_id)
        windows = asked.windows(())
        rate = await self._rate(windows)
        sale = EditionSale(
            caller_id=caller_id,
            key_id=key_id,
            edition=edition.day,
            day=datetime.fromtimestamp(asked.at_ms // SECOND_MS, tz=UTC).strftime("%Y-%m-%d"),
            price_msat=self.price_msat,
            budgets=codes_of(windows),
            usd_micro_per_btc=rate.usd_micro_per_btc if rate else None,
            document_sha256=edition.sha256,
        )
        sold = edition_sold(
            sale,
            limits=key.limits if key else None,
            budgets=limits_of(windows),
            at_ms=self._ledger.now_ms(),
        )
        try:
            await self._ledger.apply(sold)
        except ExposureExceeded as refused:
            await self._refuse(refused, sale, windows)

    async def _rate(self, windows: tuple[BudgetWindow, ...]) -> ExchangeRate | None:
        """None where no budget counts USD: a sale in sats does not wait for a rate."""
        in_usd = any(one.budget.commodity is Commodity.PUSD for one in windows)
        return await self._rates.current() if in_usd else None

    async def _refuse(
        self, refused: ExposureExceeded, sale: EditionSale, windows: tuple[BudgetWindow, ...]
    ) -> None:
        if refused.guard == "available":
            standing = await self._ledger.books.standing(sale.caller_id)
            raise edition_credit_short(standing, needed_msat=self.price_msat) from refused
        exhausted = await self._find_budgets.refusal(refused, windows, sale.rate)
        raise exhausted or key_limit_reached(refused, at_a_price=True) from refused
