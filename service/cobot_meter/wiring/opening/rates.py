"""The exchange rate as the settings want it, running or looked at once."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from cobot_meter.adapters.rates.http_rate_source import HttpRateSource
from cobot_meter.adapters.rates.rate_answers import RateService, known_services
from cobot_meter.adapters.rates.static import StaticRate
from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.adapters.upstreams.http_session import HttpLimits, http_session
from cobot_meter.domain.money import ExchangeRate, usd_text
from cobot_meter.domain.pricing.exchange_rates import NoReading, RateTerms, Reading, is_fresh
from cobot_meter.flows.offer.median_rates import MedianRates
from cobot_meter.ports.exchange_rate import RateStanding
from cobot_meter.ports.process import Clock
from cobot_meter.wiring.settings.rate import RateSettings
from cobot_meter.wiring.settings.values import PUSD_PER_MICRO_USD

_MS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLook:
    """One source: what it said, and why that does not count (None: it does)."""

    name: str
    said: str
    wrong: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLook:
    """Every source (none for a static rate), and what follows from them."""

    sources: tuple[SourceLook, ...]
    standing: RateStanding


def build_rates(
    settings: RateSettings, client: httpx.AsyncClient, clock: Clock
) -> StaticRate | MedianRates:
    """The port `ExchangeRates`; sources are asked with `client`."""
    if settings.static_usd_micro_per_btc is not None:
        return StaticRate(usd_micro_per_btc=settings.static_usd_micro_per_btc, clock=clock)
    known = known_services()
    sources = [
        HttpRateSource(
            client, name=name, service=RateService(url=url, read=known[name].read), clock=clock
        )
        for name, url in settings.sources.items()
    ]
    return MedianRates(sources=sources, clock=clock, terms=settings.terms)


async def look_at_rates(settings: RateSettings) -> RateLook:
    """Ask every source once, beside a service or without one."""
    clock = SystemClock()
    async with http_session(HttpLimits()) as client:
        rates = build_rates(settings, client, clock)
        if isinstance(rates, StaticRate):
            return RateLook(sources=(), standing=rates.standing())
        answers = await rates.looked()
    looks = tuple(_source_look(one, rates, settings.terms, clock.now_ms()) for one in answers)
    return RateLook(sources=looks, standing=rates.standing())


def _source_look(
    answer: Reading | NoReading, rates: MedianRates, terms: RateTerms, now_ms: int
) -> SourceLook:
    if isinstance(answer, NoReading):
        return SourceLook(name=answer.source, said="", wrong=answer.why)
    price = usd_text(answer.usd_micro_per_btc * PUSD_PER_MICRO_USD)
    said = f"1 BTC = {price} USD, {(now_ms - answer.at_ms) // _MS} s old"
    wrong = None
    if not is_fresh(answer.at_ms, terms=terms, now_ms=now_ms):
        wrong = f"{said}: too old to count"
    elif answer.source in rates.cut:
        wrong = f"{said}: too far from the others"
    return SourceLook(name=answer.source, said=said, wrong=wrong)


async def rate_now(settings: RateSettings) -> ExchangeRate:
    """What the service would price with now. Raises RateStale."""
    async with http_session(HttpLimits()) as client:
        rates = build_rates(settings, client, SystemClock())
        await rates.refresh()
        return await rates.current()
