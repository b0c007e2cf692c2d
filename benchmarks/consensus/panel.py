"""How long a panel takes beside its slowest member alone, before models that take their time.

The service runs before the simulator, whose models all begin to answer after the same time: whoever
asked them one after the other would take three and eight times as long. Both sides are whole sales,
from the request to the invoice, in turn.
"""

from __future__ import annotations

import asyncio
from statistics import median

from benchmarks.rig.shop import Shop, open_shop
from benchmarks.rig.sizes import Size
from benchmarks.rig.tables import Bar, bars, table

NAME = "panel"
WALL_BAR = 1.1
LATENCY_S = "0.5"
MODELS = (
    "anthropic/claude-haiku-4.5",
    "google/gemini-2.5-flash",
    "openai/gpt-5-mini",
    "deepseek/deepseek-v4-flash",
    "meta-llama/llama-3.1-8b-instruct",
    "mistralai/mistral-small-2603",
    "qwen/qwen3-coder",
    "deepseek/deepseek-chat",
)
SIZES = (3, 8)


def measure(size: Size) -> str:
    """The tables of this benchmark."""
    return asyncio.run(_measured(10 if size.thorough else 1))


async def _measured(rounds: int) -> str:
    alone: list[float] = []
    together: dict[int, list[float]] = {count: [] for count in SIZES}
    async with open_shop(LATENCY_S) as shop:
        await _alone(shop, MODELS[:1])  # connections are opened, and the lists read
        for _ in range(rounds):
            alone.append(await _alone(shop, MODELS[:3]))
            for count in SIZES:
                together[count].append(await _panel(shop, MODELS[:count]))
    rows = [("the slowest of three, each alone", f"{median(alone):.0f}", "")]
    for count, taken in together.items():
        ratios = sorted(one / other for one, other in zip(taken, alone, strict=True))
        spread = f"{median(ratios):.2f} [{ratios[0]:.2f} – {ratios[-1]:.2f}]"
        rows.append((f"a panel of {count}", f"{median(taken):.0f}", spread))
    found = [
        Bar(
            what=f"a panel of {count} / the slowest of three alone",
            value=median(one / other for one, other in zip(taken, alone, strict=True)),
            limit=WALL_BAR,
        )
        for count, taken in together.items()
    ]
    return "\n\n".join((table(("", "ms", "by the slowest alone"), rows), bars(found)))


async def _alone(shop: Shop, models: tuple[str, ...]) -> float:
    """The longest of the sales of one model each, one after the other."""
    taken: list[float] = []
    for model in models:
        answered, took_ms = await shop.ask((model,))
        _demand(model, answered=answered)
        taken.append(took_ms)
    return max(taken)


async def _panel(shop: Shop, models: tuple[str, ...]) -> float:
    hints = {"panel": list(models)}
    answered, took_ms = await shop.ask(("cobot/consensus:review",), cobot=hints)
    _demand("the panel", answered=answered)
    return took_ms


def _demand(what: str, *, answered: bool) -> None:
    if not answered:
        raise RuntimeError(f"{what} was not answered")
