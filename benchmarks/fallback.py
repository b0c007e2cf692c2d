"""A chain of models before an upstream that fails: who is answered, and how many calls that takes.

The service runs before the simulator. First one attempt in five fails, and the first model always;
then only the first model does, once its circuit is open; then nothing does, with a chain and
without one in turn.
"""

from __future__ import annotations

import asyncio
from statistics import median

from benchmarks.rig.shop import Shop, open_shop
from benchmarks.rig.sizes import Size
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


def measure(size: Size) -> str:
    """The tables of this benchmark."""
    return asyncio.run(_measured(size))


async def _measured(size: Size) -> str:
    chain = (FIRST, *OTHERS)
    async with open_shop() as shop:
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
