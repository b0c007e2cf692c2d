"""A chain of models before an upstream that fails: who is answered, and how many calls that takes.

The service runs before the simulator. First one attempt in five fails, and the first model always;
then only the first model does, once its circuit is open; then nothing does, with a chain and
without one in turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import aiohttp
import orjson

from benchmarks.rig.processes import cores, free_port, running
from benchmarks.rig.sizes import Size
from benchmarks.rig.stacks import UNGUARDED
from benchmarks.rig.tables import Bar, bars, table

NAME = "fallback"
ANSWERED_BAR, CALLS_BAR, ADDED_BAR_MS = 99.9, 1.1, 1.0
FIRST = "mistralai/mistral-small-2603"
OTHERS = (
    "openai/gpt-5-mini",
    "google/gemini-2.5-flash",
    "deepseek/deepseek-v4-flash",
    "meta-llama/llama-3.1-8b-instruct",
    "anthropic/claude-haiku-4.5",
)
DOWN = {"by_model": {FIRST: "status_502"}}
# One attempt in five, in four ways: refused, busy, and two that go wrong and are charged.
ROUGH = {
    "rate": {"status_503": 0.05, "status_429": 0.05, "cut_stream": 0.05, "charged_502": 0.05},
    "seed": 7,
    **DOWN,
}
IN_FLIGHT = 16
PAYMENT_REQUIRED = 402


@dataclass(slots=True)
class Shop:
    """The service's face, and the control of the simulator behind it."""

    face: str
    simulator: str
    session: aiohttp.ClientSession
    _numbers: Iterator[int]

    async def ask(self, chain: Sequence[str]) -> tuple[bool, float]:
        """Whether it was answered, and how many milliseconds that took."""
        model, *others = chain
        document: dict[str, object] = {
            "model": model,
            "max_tokens": 50,
            "messages": [{"role": "user", "content": f"harbour {next(self._numbers)}"}],
        }
        if others:
            document["models"] = others
        began = time.perf_counter()
        async with self.session.post(f"{self.face}/v1/chat/completions", json=document) as answer:
            await answer.read()
        return answer.status == PAYMENT_REQUIRED, (time.perf_counter() - began) * 1_000

    async def asks(self, count: int, chain: Sequence[str]) -> int:
        """So many asks, IN_FLIGHT at once; how many were answered."""
        turns = asyncio.Semaphore(IN_FLIGHT)

        async def one() -> bool:
            async with turns:
                return (await self.ask(chain))[0]

        return sum(await asyncio.gather(*(one() for _ in range(count))))

    def control(self, what: str, document: object) -> None:
        """Tell the simulator."""
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.simulator}/control/{what}", data=orjson.dumps(document), method="POST"
        )
        with urllib.request.urlopen(request, timeout=5):  # noqa: S310 - loopback
            pass

    def posts(self) -> int:
        """How many runs the simulator was asked for."""
        with urllib.request.urlopen(f"{self.simulator}/control/book", timeout=5) as answer:  # noqa: S310
            posts: int = orjson.loads(answer.read())["posts"]
        return posts


def measure(size: Size) -> str:
    """The tables of this benchmark."""
    return asyncio.run(_measured(size))


async def _measured(size: Size) -> str:
    chain = (FIRST, *OTHERS)
    async with _shop() as shop:
        shop.control("faults", ROUGH)
        answered = await shop.asks(size.fallback_asks, chain)
        rough_calls = shop.posts() / size.fallback_asks
        shop.control("faults", {"clear": True})
        shop.control("faults", DOWN)
        await shop.asks(IN_FLIGHT, chain)
        before = shop.posts()
        outage = await shop.asks(size.fallback_asks, chain)
        calls = (shop.posts() - before) / size.fallback_asks
        shop.control("faults", {"clear": True})
        alone, chained = await _latencies(shop, size.service_cycles // 4 or 1)
    rows = [
        ("answered, one attempt in five fails, the first model always", f"{answered:,}"),
        ("calls an ask meanwhile", f"{rough_calls:.2f}"),
        ("answered, the first model down", f"{outage:,}"),
        ("without faults, one model (ms)", f"{median(alone):.1f}"),
        ("without faults, a chain of six (ms)", f"{median(chained):.1f}"),
    ]
    found = [
        Bar(
            what=f"of {size.fallback_asks:,} asks answered, at 20 % faults and one model down",
            value=100 * answered / size.fallback_asks,
            limit=ANSWERED_BAR,
            at_most=False,
            unit="%",
        ),
        Bar(what="upstream calls an ask, circuit open", value=calls, limit=CALLS_BAR),
        Bar(
            what="added by a chain without faults",
            value=median(chained) - median(alone),
            limit=ADDED_BAR_MS,
            unit="ms",
        ),
    ]
    return "\n\n".join((table(("", "measured"), rows), bars(found)))


async def _latencies(shop: Shop, count: int) -> tuple[list[float], list[float]]:
    """Both sides in turn, one ask at a time, by a model whose circuit is closed."""
    alone, chained = [], []
    for _ in range(count):
        alone.append((await shop.ask(OTHERS[:1]))[1])
        chained.append((await shop.ask((*OTHERS, FIRST)))[1])
    return alone, chained


@contextlib.asynccontextmanager
async def _shop() -> AsyncIterator[Shop]:
    measured, other = cores()
    face, node, simulator = (f"127.0.0.1:{free_port()}" for _ in range(3))
    with tempfile.TemporaryDirectory(prefix="cobot-meter-bench-") as name:
        common = {
            "COBOT_METER_LOG_LEVEL": "error",
            "COBOT_METER_SIMULATOR_LAG_S": "0",
            "COBOT_METER_SIMULATOR_LATENCY_S": "0",
            "COBOT_METER_SIMULATOR_LISTEN": simulator,
            "COBOT_METER_LISTEN": face,
            "COBOT_METER_NODE_LISTEN": node,
        }
        served = {
            **common,
            **UNGUARDED,
            "COBOT_METER_DATA_DIR": str(Path(name) / "service"),
            "COBOT_METER_UPSTREAM": "openrouter",
            "COBOT_METER_UPSTREAM_URL": f"http://{simulator}/api/v1",
            "OPENROUTER_API_KEY": "sk-or-v1-simulated",
        }
        simulated = {**common, "COBOT_METER_DATA_DIR": str(Path(name) / "simulator")}
        with running("cobot_meter", "simulator", core=other, env=simulated) as child:
            child.wait_ready(f"http://{simulator}/api/v1/models")
            with running("cobot_meter", "serve", core=measured, env=served) as service:
                service.wait_ready(f"http://{face}/v1/models")
                async with aiohttp.ClientSession() as session:
                    yield Shop(f"http://{face}", f"http://{simulator}", session, itertools.count())
