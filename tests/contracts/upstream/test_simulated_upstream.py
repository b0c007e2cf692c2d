"""The OpenRouter adapter keeps the contract over the simulator, on real loopback sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from decimal import Decimal

import httpx
import orjson
import pytest

from cobot_meter.adapters.upstreams.http_session import HttpLimits, http_session
from cobot_meter.adapters.upstreams.openrouter.adapter import OpenRouter, OpenRouterSettings
from cobot_meter.domain.body import Body
from cobot_meter.domain.errors import UpstreamRefused
from cobot_meter.domain.money import pusd_from_decimal
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.upstream.completions import Model, UpstreamCompletion, priced_for
from cobot_meter.domain.upstream.endpoints import ProviderChoice
from openrouter_simulator.app import Simulator, build_simulator
from openrouter_simulator.http_io import Message, Receive, Scope, Send, drop_connection
from tests.contracts.upstream.answer_feeds import whole
from tests.contracts.upstream.upstream_bench import Ending, Heard, ScriptedBench, ask
from tests.contracts.upstream.upstream_suite import Upstreams
from tests.fakes.clock import FakeClock
from tests.fakes.servers.serving import refused_address, serving

API_KEY = "sk-or-v1-contract"
MODEL_ID = "anthropic/claude-haiku-4.5"
FAULTS: Mapping[Ending, str] = {
    Ending.REFUSED: "status_429",
    Ending.FAILS_FREE: "mid_stream_error",
    Ending.FAILS_CHARGED: "mid_stream_error_with_usage",
    Ending.LOST_NAMED: "reset_mid_stream",
    Ending.LOST_NAMELESS: "reset_before_headers",
    Ending.LATE_RECORD: "",
}


class Cutting:
    """The simulator, whose next answers break off after so many events; counts who left."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.cut_after: list[int] = []
        self.left = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        events = self.cut_after.pop() if scope["method"] == "POST" and self.cut_after else None

        async def hear() -> Message:
            message = await receive()
            self.left += message["type"] == "http.disconnect"
            return message

        async def say(message: Message) -> None:
            nonlocal events
            if events is not None and message["type"] == "http.response.body":
                *said, rest = message["body"].split(b"\n\n")
                at = [number for number, event in enumerate(said) if event.startswith(b"data:")]
                if len(at) > events:
                    kept = b"".join(event + b"\n\n" for event in said[: at[events]])
                    await send({**message, "body": kept, "more_body": True})
                    await drop_connection(receive, send)
                    return
                events -= len(at)
                message["body"] = b"".join(event + b"\n\n" for event in said) + rest
            await send(message)

        await self.simulator(scope, hear, say)


class SimulatedBench:
    """The simulator's account is the other side."""

    def __init__(self, client: httpx.AsyncClient, cutting: Cutting, urls: list[str]) -> None:
        simulator = cutting.simulator
        self._cutting = cutting
        self._account = simulator.account
        self._clock = simulator.account.clock
        base_url, dead_url = urls
        self.upstream = _adapter(client, base_url, API_KEY)
        self.dead = _adapter(client, dead_url, API_KEY)
        self.locked_out = _adapter(client, base_url, "sk-or-v1-revoked")
        self.model: Model

    async def time_passes(self) -> None:
        assert isinstance(self._clock, FakeClock)
        self._clock.advance(1)

    async def next_ends(self, ending: Ending) -> None:
        self._account.faults.queue([FAULTS[ending]])
        if ending is Ending.LATE_RECORD:
            self._account.timing.lag_s = 8.0

    async def next_is_cut(self, *, after: int) -> None:
        self._cutting.cut_after.append(after)

    async def next_dawdles(self) -> None:
        self._account.timing.chunk_s = 0.2

    async def left(self) -> int:
        return self._cutting.left

    async def spent_pusd(self) -> int:
        self._account.book.verify()
        return pusd_from_decimal(self._account.book.spent_usd)

    async def posts(self) -> int:
        return self._account.book.posts


@pytest.fixture
async def bench() -> AsyncIterator[ScriptedBench]:
    """A fresh simulator on a port of its own, and the adapter over one client."""
    simulator = build_simulator(
        seed=1,
        credit_usd=Decimal(10),
        lag_s=0.0,
        latency_s=0.0,
        clock=FakeClock(),
        api_key=API_KEY,
    )
    cutting = Cutting(simulator)
    with refused_address() as dead_url:
        async with serving(cutting) as base_url, http_session(HttpLimits()) as client:
            bench = SimulatedBench(client, cutting, [base_url, dead_url])
            models = {model.model_id: model for model in await bench.upstream.models()}
            bench.model = models[MODEL_ID]
            yield bench


class TestSimulatedUpstream(Upstreams):
    """The suite, against the adapter and the simulator."""

    async def test_a_dear_provider_serves_at_its_own_price(self, bench: ScriptedBench) -> None:
        """Under the listed price it is refused uncharged; priced for the choice it answers."""
        only = {"only": ["amazon-bedrock"]}
        priced = priced_for(
            bench.model,
            ProviderChoice(only=("amazon-bedrock",)),
            await bench.upstream.endpoints(bench.model.model_id),
        )
        with pytest.raises(UpstreamRefused):
            await _served_by(bench, only, bench.model.price)
        assert await bench.spent_pusd() == 0
        answer = orjson.loads((await _served_by(bench, only, priced.price)).body)
        assert answer["provider"] == "Amazon Bedrock"
        listed, dear = bench.model.price, priced.price
        assert dear.prompt_pusd * 10 == listed.prompt_pusd * 11


async def _served_by(
    bench: ScriptedBench, provider: dict[str, list[str]], price_cap: ModelPrice
) -> UpstreamCompletion:
    call = ask(bench.model)
    body = orjson.dumps({**orjson.loads(call.body.content), "provider": provider})
    call = replace(call, body=Body(body))
    return await whole(bench.upstream.complete(call, price_cap=price_cap, on_started=Heard()))


def _adapter(client: httpx.AsyncClient, base_url: str, api_key: str) -> OpenRouter:
    settings = OpenRouterSettings(
        name="gateway", base_url=f"{base_url}/api/v1", api_key=api_key, timeout_s=10
    )
    return OpenRouter(client, settings)
