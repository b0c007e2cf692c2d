"""Ten buyers beside a thousand connections that are silent or drip, and heads without end.

Buyers and the others come from one machine, so nothing is refused by address: what is measured is
what those connections cost the service and its buyers.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from statistics import median, quantiles

import aiohttp

from benchmarks.rig.mock_upstream import MODEL
from benchmarks.rig.processes import Child
from benchmarks.rig.sizes import Size
from benchmarks.rig.stacks import Stack, service_stack
from benchmarks.rig.tables import Bar, bars, ratios, spread, table

NAME = "slow_connections"
BESIDE_BAR, HEAD_BAR_MS = 2.0, 50.0
BUYERS = 10
LATENCY_MS = 20
DRIP_S = 1.0
HEAD_BYTES = 128 * 1_024 * 1_024
PIECE = b"a" * 1_048_576
PAYMENT_REQUIRED = 402
HEAD = b"GET /v1/models HTTP/1.1\r\nX: "
# Silent from the first byte; a head that drips; a body that drips.
BEGINNINGS = (
    b"",
    HEAD,
    b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 100000\r\n\r\n{",
)


def measure(size: Size) -> str:
    """The tables of this benchmark."""
    with service_stack(latency_ms=LATENCY_MS) as stack:
        alone, beside = asyncio.run(_bought(stack, size))
        heads = max(1, size.slow_connections // 100)
        head_ms = [_head_cpu_ms(stack.child, stack.port) for _ in range(heads)]
    rows = [
        ("p95 of an ask, ten buyers alone (ms)", spread(alone, 1)),
        (f"beside {size.slow_connections:,} slow connections (ms)", spread(beside, 1)),
        ("CPU of a head of 128 MiB (ms)", f"{sum(head_ms) / heads:.1f}"),
    ]
    found = [
        Bar(
            what="p95 beside slow connections, to alone (median of the rounds)",
            value=median(ratios(beside, alone)),
            limit=BESIDE_BAR,
        ),
        Bar(
            what=f"CPU of a head of 128 MiB, mean of {heads}",
            value=sum(head_ms) / heads,
            limit=HEAD_BAR_MS,
            unit="ms",
        ),
    ]
    return "\n\n".join((table(("what", "median [lowest – highest]"), rows), bars(found)))


async def _bought(stack: Stack, size: Size) -> tuple[list[float], list[float]]:
    """The p95 of each round, alone and beside the others in turn."""
    asks = max(4, size.service_cycles // 20)
    alone: list[float] = []
    beside: list[float] = []
    numbers = itertools.count()
    async with aiohttp.ClientSession() as session:
        await _p95(session, stack.port, asks, numbers)
        for _ in range(size.rounds):
            alone.append(await _p95(session, stack.port, asks, numbers))
            async with _slow(stack.port, size.slow_connections):
                beside.append(await _p95(session, stack.port, asks, numbers))
    return alone, beside


async def _p95(
    session: aiohttp.ClientSession, port: int, asks: int, numbers: Iterator[int]
) -> float:
    took_ms: list[float] = []

    async def buyer() -> None:
        for _ in range(asks):
            document = {
                "model": MODEL,
                "max_tokens": 500,
                "messages": [{"role": "user", "content": f"harbour {next(numbers)}"}],
            }
            began = time.perf_counter()
            url = f"http://127.0.0.1:{port}/v1/chat/completions"
            async with session.post(url, json=document) as answer:
                await answer.read()
                if answer.status != PAYMENT_REQUIRED:
                    raise RuntimeError(f"a buyer got {answer.status}")
            took_ms.append((time.perf_counter() - began) * 1_000)

    await asyncio.gather(*(buyer() for _ in range(BUYERS)))
    return quantiles(took_ms, n=20)[-1]


@contextlib.asynccontextmanager
async def _slow(port: int, count: int) -> AsyncIterator[None]:
    """So many connections, each of which begins anew when it is closed."""
    opened = asyncio.Semaphore(0)

    async def one(beginning: bytes) -> None:
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                opened.release()
                try:
                    writer.write(beginning)
                    await _drip(reader, writer, silent=not beginning)
                finally:
                    writer.transport.abort()
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(one(BEGINNINGS[at % 3])) for at in range(count)]
    for _ in range(count):
        await opened.acquire()
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _drip(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, silent: bool
) -> None:
    """A byte in a second, until the other side closes."""
    while True:
        try:
            async with asyncio.timeout(DRIP_S):
                if not await reader.read(1_024):
                    return
        except TimeoutError:
            if not silent:
                writer.write(b"a")


def _head_cpu_ms(child: Child, port: int) -> float:
    """The service's CPU while somebody sends a header value that has no end."""

    async def send() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD)
        with contextlib.suppress(ConnectionError):
            for _ in range(HEAD_BYTES // len(PIECE)):
                writer.write(PIECE)
                await writer.drain()
        writer.transport.abort()

    before_s = child.cpu_s()
    asyncio.run(send())
    time.sleep(0.2)
    return (child.cpu_s() - before_s) * 1_000
