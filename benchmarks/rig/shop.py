"""A shop to buy from: the service as it is started, with the simulator as its upstream."""

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

import aiohttp
import orjson

from benchmarks.rig.processes import cores, free_port, running
from benchmarks.rig.stacks import UNGUARDED

IN_FLIGHT = 16
PAYMENT_REQUIRED = 402


@dataclass(slots=True)
class Shop:
    """The service's face, and the control of the simulator behind it."""

    face: str
    simulator: str
    session: aiohttp.ClientSession
    _numbers: Iterator[int]

    async def ask(self, chain: Sequence[str], **more: object) -> tuple[bool, float]:
        """Whether it was answered, and how many milliseconds that took; `more` are its fields."""
        model, *others = chain
        document: dict[str, object] = {
            "model": model,
            "max_tokens": 50,
            "messages": [{"role": "user", "content": f"harbour {next(self._numbers)}"}],
            **more,
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


@contextlib.asynccontextmanager
async def open_shop(latency_s: str = "0") -> AsyncIterator[Shop]:
    """The service before the simulator, whose models all take so long to begin."""
    measured, other = cores()
    face, node, simulator = (f"127.0.0.1:{free_port()}" for _ in range(3))
    with tempfile.TemporaryDirectory(prefix="cobot-meter-bench-") as name:
        common = {
            "COBOT_METER_LOG_LEVEL": "error",
            "COBOT_METER_SIMULATOR_LAG_S": "0",
            "COBOT_METER_SIMULATOR_LATENCY_S": latency_s,
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
