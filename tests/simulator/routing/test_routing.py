"""Which model and which provider answers, and at whose price."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from openrouter_simulator.app import Simulator
from tests.simulator.driving import control, fresh_simulator, get, post

LLAMA = "meta-llama/llama-3.3-70b-instruct"
HAIKU = "anthropic/claude-haiku-4.5"
NANO = "openai/gpt-5-nano"


async def provider_of(simulator: Simulator, **provider: object) -> str:
    """Who answers under these preferences."""
    reader = await post(simulator, model=LLAMA, provider=provider)
    assert reader.status == 200, reader.answer
    return str(reader.document["provider"])


async def refusal(model: str = LLAMA, **fields: Any) -> Any:  # noqa: ANN401
    """The error of a request that nobody may answer."""
    simulator = fresh_simulator()
    reader = await post(simulator, model=model, **fields)
    assert simulator.account.book.refused == 1
    return reader.document["error"]


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ({}, "DeepInfra"),
        ({"order": ["groq"]}, "Groq"),
        ({"order": ["nobody", "Together"]}, "Together"),
        ({"only": ["together/fp8", "groq"]}, "Together"),
        ({"ignore": ["deepinfra"]}, "Together"),
        ({"sort": "throughput"}, "Groq"),
        ({"sort": {"by": "latency", "partition": "model"}}, "Groq"),
        ({"sort": "price"}, "DeepInfra"),
        ({"quantizations": ["fp8"]}, "Together"),
        ({"order": ["groq"], "max_price": {"prompt": "0.1"}}, "DeepInfra"),
    ],
)
async def test_preferences_choose_the_provider(provider: dict[str, Any], name: str) -> None:
    """Order, only, ignore, sort, quantisation and price choose among the endpoints."""
    assert await provider_of(fresh_simulator(), **provider) == name


async def test_a_dearer_provider_is_billed_at_its_own_price() -> None:
    """The charge follows the endpoint that answered, not the model's list price."""
    simulator = fresh_simulator()
    await provider_of(simulator)
    await provider_of(simulator, only=["groq"])
    cheap, dear = simulator.account.book.generations
    assert dear.total_cost == 2 * cheap.total_cost
    assert dear.endpoint_tag == "groq"


@pytest.mark.parametrize(
    ("model", "fields", "status", "words"),
    [
        (LLAMA, {"provider": {"only": ["azure"]}}, 404, "No allowed providers"),
        (
            "google/gemini-2.5-flash",
            {"provider": {"ignore": ["google"], "zdr": True}},
            404,
            "data policy",
        ),
        (
            "qwen/qwen3-coder",
            {"provider": {"only": ["deepinfra"], "data_collection": "deny"}},
            404,
            "data policy",
        ),
        (LLAMA, {"provider": {"quantizations": ["int4"]}}, 404, "requested parameters"),
        (
            LLAMA,
            {"provider": {"only": ["groq"], "require_parameters": True}, "seed": 1},
            404,
            "parameters",
        ),
        (LLAMA, {"provider": {"sort": "beauty"}}, 400, "provider.sort"),
        (LLAMA, {"provider": {"data_collection": "perhaps"}}, 400, "data_collection"),
        (LLAMA, {"provider": {"only": "groq"}}, 400, "provider.only"),
        (LLAMA, {"provider": {"max_price": 3}}, 400, "max_price"),
        (LLAMA, {"provider": {"max_price": {"prompt": -1}}}, 400, "max_price"),
        (LLAMA, {"max_tokens": 16_385}, 400, "between 1 and 16384"),
        (LLAMA, {"provider": {"only": ["together"]}, "max_tokens": 10_000}, 400, "8192"),
        (LLAMA, {"messages": [{"role": "user", "content": "x" * 600_000}]}, 400, "context length"),
        (LLAMA, {"models": "all"}, 400, "models"),
        (LLAMA, {"models": [7]}, 400, "not a valid model"),
        (LLAMA, {"models": ["acme/fake"]}, 400, "acme/fake is not a valid model ID"),
    ],
)
async def test_what_nobody_may_answer_is_refused(
    model: str, fields: dict[str, Any], status: int, words: str
) -> None:
    """Preferences that leave nobody are 404, those that make no sense 400; nothing is charged."""
    error = await refusal(model, **fields)
    assert error["code"] == status
    assert words in error["message"]


async def test_price_filter_names_its_field() -> None:
    """A max_price below every endpoint is `constraint_filtered`, and not to be retried."""
    error = await refusal(provider={"max_price": {"completion": "0.01"}})
    assert error["availability"]["code"] == "constraint_filtered"
    assert error["availability"]["retryable"] is False
    assert error["availability"]["constraint"]["field"] == "provider.max_price.completion"


async def test_tiers_are_for_those_who_ask() -> None:
    """service_tier, `:nitro`, `:floor` and a tag admit tiers; nothing else does."""
    simulator = fresh_simulator()
    asks: list[dict[str, Any]] = [
        {"model": NANO},
        {"model": NANO, "service_tier": "flex"},
        {"model": f"{NANO}:nitro"},
        {"model": f"{NANO}:floor"},
        {"model": NANO, "provider": {"order": ["openai/priority"]}},
    ]
    for fields in asks:
        assert (await post(simulator, **fields)).status == 200
    tags = [generation.endpoint_tag for generation in simulator.account.book.generations]
    assert tags == ["openai", "openai/flex", "openai/priority", "openai/flex", "openai/priority"]


async def test_an_outage_is_passed_over() -> None:
    """The next provider takes over, invisibly but for the record; one run is charged."""
    simulator = fresh_simulator()
    await control(simulator, "providers", deepinfra="down")
    reader = await post(simulator, model=LLAMA)
    assert reader.document["provider"] == "Together"
    record = (await get(simulator, f"/generation?id={reader.document['id']}")).document["data"]
    assert [tried["status"] for tried in record["provider_responses"]] == [503, 200]
    assert len(simulator.account.book.generations) == 1


async def test_an_outage_without_another_provider_is_502() -> None:
    """Without fallbacks, or with all down, the answer lists who failed, and nothing is charged."""
    simulator = fresh_simulator()
    await control(simulator, "providers", mistral="down", nebius="down")
    alone = await post(simulator, provider={"allow_fallbacks": False})
    every = await post(simulator)
    assert alone.status == every.status == 502
    errors = every.document["error"]["metadata"]["previous_errors"]
    assert [error["provider"] for error in errors] == ["Mistral", "Nebius"]
    assert len(alone.document["error"]["metadata"]["previous_errors"]) == 1
    await control(simulator, "providers", mistral="up")
    assert (await post(simulator)).status == 200
    assert simulator.account.book.refused == 2


async def test_first_model_that_does_not_fail_answers() -> None:
    """The fallback list is tried in order; the one that answered is named and billed."""
    simulator = fresh_simulator()
    await control(simulator, "faults", by_model={HAIKU: "status_503", LLAMA: "rate_limit_exceeded"})
    reader = await post(simulator, model=HAIKU, models=[LLAMA, NANO])
    assert reader.document["model"] == "openai/gpt-5-nano-2025-08-07"
    (generation,) = simulator.account.book.generations
    assert generation.model_id == NANO
    assert generation.total_cost < Decimal("0.0001")
    record = (await get(simulator, f"/generation?id={reader.document['id']}")).document["data"]
    assert [tried["status"] for tried in record["provider_responses"]] == [503, 429, 200]


async def test_when_all_fail_the_last_error_is_the_answer() -> None:
    """The last model's error comes back with what the others said."""
    simulator = fresh_simulator()
    await control(simulator, "faults", by_model={HAIKU: "status_503", LLAMA: "timeout"})
    reader = await post(simulator, models=[HAIKU, LLAMA], model=None)
    assert reader.status == 504
    (before,) = reader.document["error"]["metadata"]["previous_errors"]
    assert before["code"] == 503
    assert simulator.account.book.refused == 1


async def test_what_the_account_may_not_do_no_model_may() -> None:
    """An error of key or credit ends the request: no other model is tried."""
    simulator = fresh_simulator()
    reader = await post(simulator, fault="status_403", models=[NANO])
    assert reader.status == 403
    assert simulator.account.book.generations == ()


async def test_load_can_be_spread() -> None:
    """With spreading on, cheap endpoints answer more often than dear ones, but not always."""
    simulator = fresh_simulator()
    await control(simulator, "routing", spread=True, seed=7)
    names = [await provider_of(simulator) for _ in range(60)]
    assert names.count("DeepInfra") > names.count("Groq") > 0
    assert {await provider_of(simulator, order=["groq"]) for _ in range(5)} == {"Groq"}
    await control(simulator, "routing", spread=False)
    assert {await provider_of(simulator) for _ in range(5)} == {"DeepInfra"}


async def test_routing_is_told_to_those_who_ask() -> None:
    """The metadata header adds how the request was routed, in JSON and at a stream's end."""
    simulator = fresh_simulator()
    headers = {"X-OpenRouter-Metadata": "enabled"}
    whole = (await post(simulator, headers=headers)).document["openrouter_metadata"]
    assert whole["strategy"] == "direct"
    assert [one["provider"] for one in whole["endpoints"]["available"] if one["selected"]] == [
        "Mistral"
    ]
    stream = await post(simulator, headers=headers, stream=True)
    assert stream.answer.count(b"openrouter_metadata") == 1
