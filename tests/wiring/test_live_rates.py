"""A running service that prices with the median of services over HTTP, and stores who said so."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.wiring.app import running_service
from cobot_meter.wiring.settings.settings import read_settings
from tests.cli.shop import command_line_in
from tests.end_to_end.live import ask_body
from tests.fakes.servers.rate_services import RateServices, rate_services
from tests.wiring.patience import answered

MEDIAN = "median:bitstamp,coinbase,kraken,mempool"
TRIES, PAUSE_S = 2_000, 0.02


async def until_ready(http: httpx.AsyncClient, url: str) -> None:
    """Wait until every part answers, the rate among them."""
    for _ in range(TRIES):
        if (await http.get(f"{url}/readyz")).status_code == httpx.codes.OK:
            return
        await asyncio.sleep(PAUSE_S)
    raise AssertionError("never ready")


async def sold_with(folder: Path, services: RateServices) -> None:
    """One ask of a service on these sources; its books keep the rate and who said it."""
    environ = {
        **command_line_in(folder / "data").environ,
        "COBOT_METER_METRICS_LISTEN": "127.0.0.1:0",
        "COBOT_METER_RATE_SOURCES": services.sources,
    }
    async with (
        running_service(read_settings(environ)) as running,
        httpx.AsyncClient(trust_env=False, timeout=20) as http,
    ):
        await answered(running.service.flows.catalogue.refresh)
        await until_ready(http, running.face.url)
        answer = await http.post(
            f"{running.face.url}/v1/chat/completions", json=ask_body("How fast is Lightning?")
        )
        assert answer.status_code == 402
        escrow = await running.service.parts.books.escrow(answer.headers["x-escrow-id"])
        assert escrow is not None
        assert escrow.quote.rate.source == MEDIAN
        assert escrow.quote.rate.usd_micro_per_btc == 64_123_450_000
        assert running.metrics is not None
        metrics = (await http.get(f"{running.metrics.url}/metrics")).text
        assert "cobot_meter_rate_agreeing_sources 4.0" in metrics


async def test_a_service_sells_at_the_median(tmp_path: Path) -> None:
    """Asked at the start, over the client of the process; the stored price names all four."""
    async with rate_services() as services:
        services.say("64123.45", at_s=SystemClock().now_ms() // 1_000)
        await sold_with(tmp_path, services)
        assert set(services.asked.values()) == {1}


async def test_without_a_rate_the_sources_are_asked_again_soon(tmp_path: Path) -> None:
    """A service that starts while they are away does not wait a minute for the next look."""
    async with rate_services() as services:

        async def come_back() -> None:
            while len(services.asked) < 4:  # noqa: ASYNC110 - a fake's count
                await asyncio.sleep(PAUSE_S)
            services.say("64123.45", at_s=SystemClock().now_ms() // 1_000)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(come_back())
            await sold_with(tmp_path, services)
