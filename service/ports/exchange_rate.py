"""The price of a bitcoin. Must not know: which sources exist."""

from __future__ import annotations

from typing import Protocol

from service.domain.money import ExchangeRate


class ExchangeRates(Protocol):
    """Says what one bitcoin costs now."""

    async def current(self) -> ExchangeRate:
        """A rate fresh enough to price with. Raises RateStale."""
