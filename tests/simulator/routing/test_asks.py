"""What a request asks for is counted, bounded and paid for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from openrouter_simulator.app import Simulator
from tests.fakes.clock import START_MS
from tests.simulator.asking import MODEL, PROMPT
from tests.simulator.driving import control, fresh_simulator, get, post

OPUS = "anthropic/claude-opus-5.5"
GEMINI = "google/gemini-2.5-flash"
SONNET = "anthropic/claude-sonnet-5"


async def usage_of(simulator: Simulator, **fields: Any) -> Any:  # noqa: ANN401
    """The usage of a request that runs."""
    reader = await post(simulator, **fields)
    assert reader.status == 200, reader.answer
    return reader.document["usage"]


def user(*parts: object) -> list[dict[str, object]]:
    """One message of these parts."""
    return [{"role": "user", "content": list(parts)}]


async def test_tools_and_schemas_count_as_prompt() -> None:
    """600 kB of tools are 150,000 prompt tokens, and are paid for."""
    simulator = fresh_simulator()
    plain = await usage_of(simulator)
    tools = [{"type": "function", "function": {"name": "f", "description": "x" * 600_000}}]
    with_tools = await usage_of(simulator, tools=tools, max_tokens=5)
    schema = {"type": "json_schema", "json_schema": {"name": "y" * 400}}
    with_schema = await usage_of(simulator, response_format=schema)
    assert with_tools["prompt_tokens"] > plain["prompt_tokens"] + 150_000
    assert with_schema["prompt_tokens"] > plain["prompt_tokens"] + 100
    assert simulator.account.book.generations[1].total_cost > Decimal("0.02")


async def test_images_count_as_prompt_and_may_cost_by_piece() -> None:
    """An image is a thousand tokens; where the model has a price by image, that too."""
    simulator = fresh_simulator()
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    text = {"type": "text", "text": PROMPT}
    plain = await usage_of(simulator, model=GEMINI)
    seen = await usage_of(simulator, model=GEMINI, messages=user(text, image, image))
    assert seen["prompt_tokens"] == plain["prompt_tokens"] + 2_000
    first, second = (generation.total_cost for generation in simulator.account.book.generations)
    assert second - first == 2_000 * Decimal("0.0000003") + 2 * Decimal("0.0012")
    blind = await post(simulator, model="qwen/qwen3-coder", messages=user(text, image))
    assert (blind.status, "image" in blind.document["error"]["message"]) == (404, True)


async def test_several_choices_are_all_paid_for() -> None:
    """N = 3 answers three times, in one generation, each within max_tokens."""
    simulator = fresh_simulator()
    one = await post(simulator, max_tokens=20)
    three = await post(simulator, max_tokens=20, n=3)
    choices = three.document["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2]
    assert len({choice["message"]["content"] for choice in choices}) == 3
    assert three.document["usage"]["completion_tokens"] == 60
    assert one.document["usage"]["completion_tokens"] == 20
    stream = await post(simulator, max_tokens=20, n=3, stream=True)
    assert b'"index":2' in stream.answer
    _, whole, streamed = simulator.account.book.generations
    assert whole.total_cost == streamed.total_cost


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"n": 0}, "n must be"),
        ({"n": -8}, "n must be"),
        ({"n": 129}, "n must be"),
        ({"n": True}, "n must be"),
        ({"max_tokens": -5}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"reasoning": {"effort": "heroic"}}, "reasoning.effort"),
        ({"reasoning": {"max_tokens": 0}}, "reasoning.max_tokens"),
        ({"reasoning": {"max_tokens": 64}}, "greater than reasoning.max_tokens"),
        ({"model": OPUS, "reasoning": {"effort": "none"}}, "mandatory"),
        ({"model": OPUS, "reasoning": {"enabled": False}}, "mandatory"),
    ],
)
async def test_numbers_that_make_no_sense_are_400(fields: dict[str, Any], words: str) -> None:
    """Wrong counts are refused before a run."""
    simulator = fresh_simulator()
    reader = await post(simulator, **fields)
    assert reader.status == 400
    assert words in reader.document["error"]["message"]
    assert simulator.account.book.refused == 1


@pytest.mark.parametrize(
    ("asked", "most"),
    [({"effort": "low"}, 20), ({"effort": "high"}, 80), ({"max_tokens": 7}, 7), ({}, 0)],
)
async def test_thinking_stays_inside_max_tokens(asked: dict[str, Any], most: int) -> None:
    """Thoughts take their share of max_tokens and no more, and are paid as completion."""
    simulator = fresh_simulator()
    usage = await usage_of(
        simulator, model="anthropic/claude-haiku-4.5", reasoning=asked, max_tokens=100
    )
    thought = usage["completion_tokens_details"]["reasoning_tokens"]
    assert (thought > 0) == (most > 0)
    assert thought <= most
    assert thought <= usage["completion_tokens"] <= 100
    (generation,) = simulator.account.book.generations
    assert generation.native_completion == usage["completion_tokens"]
    assert generation.native_reasoning == thought


async def test_some_models_always_think() -> None:
    """A model that must think does so unasked; its thoughts are streamed, or hidden and paid."""
    simulator = fresh_simulator()
    whole = await post(simulator, model=OPUS)
    stream = await post(simulator, model=OPUS, stream=True)
    hidden = await post(simulator, model=OPUS, stream=True, reasoning={"exclude": True})
    assert whole.document["choices"][0]["message"]["reasoning"]
    assert b'"reasoning":"' in stream.answer
    assert b'"reasoning":"' not in hidden.answer
    assert len({generation.total_cost for generation in simulator.account.book.generations}) == 1


async def test_models_are_found_by_their_concrete_name() -> None:
    """A permaslug in `model` runs the model it stands for."""
    simulator = fresh_simulator()
    reader = await post(simulator, model="anthropic/claude-4.5-haiku-20251001")
    assert reader.document["model"] == "anthropic/claude-4.5-haiku-20251001"
    assert simulator.account.book.generations[0].model_id == "anthropic/claude-haiku-4.5"


@pytest.mark.parametrize(
    "fields",
    [
        {"plugins": [{"id": "web"}]},
        {"tools": [{"type": "openrouter:web_search"}]},
        {"model": f"{MODEL}:online"},
    ],
)
async def test_a_search_costs_beside_the_tokens(fields: dict[str, Any]) -> None:
    """Server tools cost 0.007 USD that no token price tells of."""
    simulator = fresh_simulator()
    usage = await usage_of(simulator, **fields)
    parts = usage["cost_details"]["upstream_inference_cost"]
    assert usage["cost"] - parts == pytest.approx(Decimal("0.007"))
    assert "is_byok" not in usage
    assert simulator.account.book.spent_usd > Decimal("0.007")


async def test_a_long_prompt_is_dearer() -> None:
    """Above 200,000 prompt tokens the override holds, for prompt and answer both."""
    simulator = fresh_simulator()
    await usage_of(simulator, model=SONNET, messages=user({"type": "text", "text": "x" * 799_984}))
    await usage_of(simulator, model=SONNET, messages=user({"type": "text", "text": "x" * 799_988}))
    at_most, above = simulator.account.book.generations
    assert (at_most.native_prompt, above.native_prompt) == (200_000, 200_001)
    answered = above.native_completion * Decimal("0.000015")
    assert above.total_cost == 200_001 * Decimal("0.000004") + answered
    assert at_most.total_cost < above.total_cost * Decimal("0.6")


@pytest.mark.parametrize(
    ("start", "end", "holds"),
    [
        ("2200", "2300", True),
        ("2213", "2214", True),
        ("2300", "0100", False),
        ("2100", "0100", True),
    ],
)
async def test_prices_may_depend_on_the_hour(
    start: str,
    end: str,
    holds: bool,  # noqa: FBT001
) -> None:
    """A UTC window is half open, may wrap midnight, and shows in the listed price."""
    assert START_MS // 60_000 % 1_440 == 22 * 60 + 13
    simulator = fresh_simulator()
    window = {"utc_start": start, "utc_end": end, "prompt": "0.001"}
    told = await control(simulator, "prices", **{MODEL: {"overrides": [window]}})
    assert told[MODEL]["prompt"] == ("0.001" if holds else "0.00000015")
    assert told[MODEL]["overrides"] == [window]
    await post(simulator)
    assert (simulator.account.book.spent_usd > Decimal("0.01")) == holds


@pytest.mark.parametrize(
    "asked",
    [
        {"overrides": 3},
        {"overrides": ["dear"]},
        {"overrides": [{"min_prompt_tokens": 5}]},
        {"overrides": [{"min_prompt_tokens": -5, "prompt": "1"}]},
        {"overrides": [{"utc_start": "2200", "prompt": "1"}]},
        {"overrides": [{"utc_start": "2200", "utc_end": "2460", "prompt": "1"}]},
        {"discount": "1"},
    ],
)
async def test_overrides_that_make_no_sense_are_refused(asked: dict[str, Any]) -> None:
    """An override needs a price and a condition that can hold."""
    with pytest.raises(AssertionError, match="message"):
        await control(fresh_simulator(), "prices", **{MODEL: asked})


async def test_the_response_cache_is_asked_for() -> None:
    """The same body again is a HIT that costs nothing, until its time is over or it is cleared."""
    simulator = fresh_simulator()
    headers = {"X-OpenRouter-Cache": "true", "X-OpenRouter-Cache-TTL": "60"}
    first = await post(simulator, headers=headers)
    again = await post(simulator, headers=headers)
    assert first.headers["x-openrouter-cache-status"] == "MISS"
    assert again.headers["x-openrouter-cache-status"] == "HIT"
    assert again.headers["x-openrouter-cache-source-id"] == first.document["id"]
    assert again.document["choices"] == first.document["choices"]
    assert again.document["usage"]["cost"] == again.document["usage"]["total_tokens"] == 0
    record = (await get(simulator, f"/generation?id={again.document['id']}")).document["data"]
    assert record["response_cache_source_id"] == first.document["id"]
    assert (record["total_cost"], record["native_tokens_prompt"]) == (0, 0)
    cleared = await post(simulator, headers={**headers, "X-OpenRouter-Cache-Clear": "true"})
    assert cleared.headers["x-openrouter-cache-status"] == "MISS"
    clock: Any = simulator.account.clock
    clock.advance(61)
    late = await post(simulator, headers=headers)
    assert late.headers["x-openrouter-cache-status"] == "MISS"
    assert "x-openrouter-cache-status" not in (await post(simulator)).headers
