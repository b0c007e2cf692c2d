"""Static, followed in memory and followed over HTTP: every exchange rate keeps one contract."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cobot_meter.adapters.rates.static import StaticRate
from cobot_meter.adapters.upstreams.http_session import HttpLimits, http_session
from cobot_meter.flows.offer.median_rates import MedianRates
from cobot_meter.ports.exchange_rate import ExchangeRates
from cobot_meter.wiring.opening.rates import build_rates
from cobot_meter.wiring.settings.settings import read_settings
from tests.contracts.exchange_rates_suite import ExchangeRatesSuite
from tests.fakes.clock import FakeClock
from tests.fakes.rate_sources import RateMarket
from tests.fakes.servers.rate_services import RateServices, rate_services


@pytest.fixture
def clock() -> FakeClock:
    """The time of the rates."""
    return FakeClock()


class TestStaticRate(ExchangeRatesSuite):
    """A figure from settings."""

    @pytest.fixture
    def rates(self, clock: FakeClock) -> ExchangeRates:
        """64,000 USD."""
        return StaticRate(usd_micro_per_btc=64_000_000_000, clock=clock)


class TestMedianInMemory(ExchangeRatesSuite):
    """What the flows are tested with."""

    @pytest.fixture
    def rates(self, clock: FakeClock) -> ExchangeRates:
        """Three sources that agree."""
        market = RateMarket(clock)
        for source in market.sources:
            source.usd = 64_000
        return market.rates


class TestMedianOverHttp(ExchangeRatesSuite):
    """Four services in their own shapes, over sockets, as the settings name them."""

    @pytest.fixture
    async def services(self, clock: FakeClock) -> AsyncIterator[RateServices]:
        """All well, around 64,000 USD."""
        async with rate_services() as up:
            at_s = clock.now_ms() // 1_000
            up.say("64000", at_s=at_s)
            up.say("63999.5", "mempool", at_s=at_s)
            up.say("64000.5", "kraken", at_s=at_s)
            yield up

    @pytest.fixture
    async def rates(
        self, services: RateServices, clock: FakeClock
    ) -> AsyncIterator[StaticRate | MedianRates]:
        """Built as the service builds them."""
        settings = read_settings({"COBOT_METER_RATE_SOURCES": services.sources})
        async with http_session(HttpLimits()) as client:
            yield build_rates(settings.rate, client, clock)

    async def test_the_source_names_all_four(self, rates: MedianRates) -> None:
        """A stored price says who stood behind its rate."""
        await rates.refresh()
        assert (await rates.current()).source == "median:bitstamp,coinbase,kraken,mempool"

    async def test_one_that_fails_or_lies_is_left_out(
        self, rates: MedianRates, services: RateServices
    ) -> None:
        """The others go on, and the source says so."""
        services.fail("coinbase")
        services.bodies["kraken"] = b'{"error":["EGeneral:Internal error"]}'
        await rates.refresh()
        assert (await rates.current()).source == "median:bitstamp,mempool"
        services.say("640000", "kraken", at_s=1_700_000_000)
        await rates.refresh()
        assert (await rates.current()).source == "median:bitstamp,mempool"
