"""A price service over HTTP: whatever it does, it is a reading or none, never a fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from cobot_meter.adapters.rates.http_rate_source import HttpRateSource
from cobot_meter.adapters.rates.rate_answers import RateService, known_services
from cobot_meter.adapters.upstreams.http_session import HttpLimits, http_session
from cobot_meter.domain.pricing.exchange_rates import NoReading, Reading
from tests.fakes.clock import START_MS, FakeClock
from tests.fakes.servers.rate_services import NAMES, RateServices, rate_services
from tests.fakes.servers.serving import refused_address

AT_S = START_MS // 1_000


@pytest.fixture
async def services() -> AsyncIterator[RateServices]:
    """The four services on loopback."""
    async with rate_services() as up:
        yield up


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """The process's outward client."""
    async with http_session(HttpLimits()) as opened:
        yield opened


def source(
    client: httpx.AsyncClient, address: str, name: str = "kraken", *, timeout_s: float = 5.0
) -> HttpRateSource:
    """That service, at this address."""
    return HttpRateSource(
        client,
        name=name,
        service=RateService(url=f"{address}/{name}", read=known_services()[name].read),
        clock=FakeClock(),
        timeout_s=timeout_s,
    )


async def why_not(asked: HttpRateSource) -> str:
    """Why it gives no reading."""
    answer = await asked.read()
    assert isinstance(answer, NoReading)
    assert answer.source == asked.name
    return answer.why


@pytest.mark.parametrize("name", NAMES)
async def test_a_price_is_a_reading_of_now(
    client: httpx.AsyncClient, services: RateServices, name: str
) -> None:
    """Each shape comes over the wire with the source's name and our time."""
    services.say("64123.45", at_s=AT_S + 3_600)
    assert await source(client, services.address, name).read() == Reading(
        source=name, usd_micro_per_btc=64_123_450_000, at_ms=START_MS
    )


async def test_a_price_that_says_it_is_old_is_old(
    client: httpx.AsyncClient, services: RateServices
) -> None:
    """A service whose price stands still is dated by itself, not by when it was asked."""
    services.say("64000", at_s=AT_S - 700)
    answer = await source(client, services.address, "mempool").read()
    assert isinstance(answer, Reading)
    assert answer.at_ms == START_MS - 700_000


@pytest.mark.parametrize("status", [204, 301, 404, 429, 500, 503])
async def test_only_a_plain_200_is_read(
    client: httpx.AsyncClient, services: RateServices, status: int
) -> None:
    """Errors and redirects give no reading, whatever else is in them."""
    services.say("64000", at_s=AT_S)
    services.fail("kraken", status=status)
    services.bodies.pop("kraken")
    assert await why_not(source(client, services.address)) == f"answered {status}"


async def test_a_refused_connection_is_no_reading(client: httpx.AsyncClient) -> None:
    """Nobody listens there."""
    with refused_address() as address:
        assert (await why_not(source(client, address))).startswith("cannot be reached")


@pytest.mark.parametrize("url", ["http://[::1", "ftp://127.0.0.1"])
async def test_an_address_that_is_none_is_no_reading(client: httpx.AsyncClient, url: str) -> None:
    """Addresses that mean nothing stop nobody."""
    assert (await why_not(source(client, url))).startswith("cannot be reached")


async def test_silence_has_an_end(client: httpx.AsyncClient, services: RateServices) -> None:
    """A service that takes the request and says nothing is left after the time limit."""
    services.held = asyncio.Event()
    asked = source(client, services.address, timeout_s=0.05)
    assert await why_not(asked) == "has not answered within 0.05 s"
    services.held.set()


async def test_a_body_without_end_is_left(
    client: httpx.AsyncClient, services: RateServices
) -> None:
    """No more than the bound is read."""
    services.say("64000", at_s=AT_S)
    services.endless.add("kraken")
    assert await why_not(source(client, services.address)) == "answered with more than 65536 bytes"
    services.endless.clear()


async def test_a_page_instead_of_a_price_is_no_reading(
    client: httpx.AsyncClient, services: RateServices
) -> None:
    """What the reader refuses is said in its words."""
    services.bodies["kraken"] = b"<html>checking your browser</html>"
    assert await why_not(source(client, services.address)) == "gives no JSON"
