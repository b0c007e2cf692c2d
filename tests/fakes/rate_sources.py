"""Rate sources in memory, and asks of a MedianRates over them. Must not know: HTTP."""

from __future__ import annotations

import asyncio

from cobot_meter.domain.pricing.exchange_rates import NoReading, RateTerms, Reading
from cobot_meter.flows.offer.median_rates import MedianRates
from tests.fakes.clock import FakeClock

USD_MICRO = 10**6


class FakeRateSource:
    """Implements `ports.exchange_rate.RateSource`: says `usd`, or nothing at all."""

    def __init__(self, name: str, *, clock: FakeClock, usd: int | None = 100_000) -> None:
        """`usd` is the price of a bitcoin in whole USD; None for no reading."""
        self._name = name
        self._clock = clock
        self.usd = usd
        self.asked = 0
        self.held: asyncio.Event | None = None

    @property
    def name(self) -> str:
        """See the port."""
        return self._name

    async def read(self) -> Reading | NoReading:
        """See the port."""
        self.asked += 1
        if self.held is not None:
            await self.held.wait()
        if self.usd is None:
            return NoReading(source=self._name, why="answered 503")
        return Reading(
            source=self._name,
            usd_micro_per_btc=self.usd * USD_MICRO,
            at_ms=self._clock.now_ms(),
        )


class RateMarket:
    """Three sources that mostly say the same, and the rates that follow them."""

    def __init__(self, clock: FakeClock, *, terms: RateTerms | None = None) -> None:
        """Nobody has been asked yet."""
        self.clock = clock
        self.sources = tuple(
            FakeRateSource(name, clock=clock) for name in ("bitstamp", "coinbase", "kraken")
        )
        self.rates = MedianRates(sources=self.sources, clock=clock, terms=terms or RateTerms())

    async def say(self, usd: int | None, *, after_s: int = 60) -> None:
        """Some time later everybody says this, and is asked."""
        self.clock.advance(after_s)
        for source in self.sources:
            source.usd = usd
        await self.rates.refresh()
