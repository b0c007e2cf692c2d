"""The static exchange rate from settings, for development only: wiring refuses it on mainnet.

Must not know: prices, or who is charged.
"""

from __future__ import annotations

from cobot_meter.domain.money import ExchangeRate
from cobot_meter.ports.exchange_rate import RateStanding
from cobot_meter.ports.process import Clock


class StaticRate:
    """Implements `ports.exchange_rate.ExchangeRates` with one unchanging figure."""

    def __init__(self, *, usd_micro_per_btc: int, clock: Clock) -> None:
        """`usd_micro_per_btc` is the price of a bitcoin in 1e-6 USD."""
        self._usd_micro_per_btc = usd_micro_per_btc
        self._clock = clock

    async def current(self) -> ExchangeRate:
        """The figure, dated now."""
        return self._now()

    def shown(self) -> ExchangeRate:
        """The figure, dated now; there is always one, so nothing is raised."""
        return self._now()

    def check_post_paid(self) -> None:
        """It never jumps."""

    def standing(self) -> RateStanding:
        """Always the figure, with one source behind it."""
        return RateStanding(rate=self._now(), agreeing=1)

    async def refresh(self) -> None:
        """There is nobody to ask."""

    def _now(self) -> ExchangeRate:
        return ExchangeRate(
            usd_micro_per_btc=self._usd_micro_per_btc,
            source="static",
            fetched_at_ms=self._clock.now_ms(),
        )
