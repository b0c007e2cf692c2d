"""Any ask at all, by any preference, with anything down: the book adds up and pays no more."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator.book.test_fault_book import assert_adds_up
from tests.simulator.driving import control, fresh_simulator, post

MODELS = (
    "anthropic/claude-opus-5.5",
    "google/gemini-2.5-flash",
    "meta-llama/llama-3.3-70b-instruct",
    "meta-llama/llama-3.3-70b-instruct:free",
    "openai/gpt-5-nano",
    "openai/gpt-5-nano:nitro",
)
SLUGS = ("anthropic", "azure", "deepinfra", "google", "groq", "openai", "together")
NAMES = st.lists(st.sampled_from(SLUGS), max_size=3, unique=True)
PROVIDERS = st.fixed_dictionaries(
    {},
    optional={
        "order": NAMES,
        "only": NAMES,
        "ignore": NAMES,
        "allow_fallbacks": st.booleans(),
        "sort": st.sampled_from(["price", "latency", "throughput"]),
        "zdr": st.booleans(),
        "max_price": st.fixed_dictionaries({"completion": st.sampled_from(["0.3", "1", "20"])}),
    },
)
ASKS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(MODELS),
        "stream": st.booleans(),
        "max_tokens": st.integers(min_value=1, max_value=400),
    },
    optional={
        "models": st.lists(st.sampled_from(MODELS), max_size=3),
        "n": st.integers(min_value=1, max_value=4),
        "provider": PROVIDERS,
        "reasoning": st.fixed_dictionaries({"effort": st.sampled_from(["low", "max", "none"])}),
        "service_tier": st.sampled_from(["flex", "priority", "auto"]),
    },
)


@settings(max_examples=150, deadline=None)
@given(
    asks=st.lists(ASKS, min_size=1, max_size=4),
    down=NAMES,
    spread=st.booleans(),
)
def test_any_ask_is_in_the_book(asks: list[dict[str, Any]], down: list[str], spread: bool) -> None:  # noqa: FBT001
    """Each POST is one generation or one refusal; nobody who is down is paid; tokens stay within.

    What answers is one of the models asked for.
    """

    async def play() -> None:
        simulator = fresh_simulator()
        await control(simulator, "routing", spread=spread)
        await control(simulator, "providers", **dict.fromkeys(down, "down"))
        book = simulator.account.book
        for fields in asks:
            before = book.runs
            reader = await post(simulator, **fields)
            assert reader.status in (200, 400, 404, 502), reader.answer
            assert book.runs - before == (reader.status == 200)
            if reader.status == 200:
                generation = book.generations[-1]
                named = [name.removesuffix(":nitro") for name in fields.get("models", [])]
                assert generation.model_id in (*named, fields["model"].removesuffix(":nitro"))
                assert generation.endpoint_tag.partition("/")[0] not in down
                assert generation.native_completion <= fields["max_tokens"] * fields.get("n", 1)
        assert_adds_up(book)

    asyncio.run(play())
