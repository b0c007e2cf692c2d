"""Models and their endpoints, as `GET /models` and its neighbours tell of them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.simulator.driving import control, fresh_simulator, get

LLAMA = "meta-llama/llama-3.3-70b-instruct"


async def test_every_endpoint_has_its_own_price_and_limits() -> None:
    """The first endpoint is the model's own; others are dearer, smaller, or quantised."""
    simulator = fresh_simulator()
    reader = await get(simulator, f"/models/{LLAMA}/endpoints")
    top, together, groq = reader.document["data"]["endpoints"]
    (model,) = (
        row for row in (await get(simulator, "/models")).document["data"] if row["id"] == LLAMA
    )
    assert top["pricing"] == model["pricing"]
    assert [row["tag"] for row in (top, together, groq)] == ["deepinfra", "together/fp8", "groq"]
    assert Decimal(groq["pricing"]["prompt"]) == 2 * Decimal(top["pricing"]["prompt"])
    assert together["context_length"] == top["context_length"] // 2
    assert together["quantization"] == "fp8"
    assert "seed" not in groq["supported_parameters"]
    assert top["status"] == 0
    assert top["uptime_last_5m"] > 99


async def test_tiers_have_endpoints_of_their_own() -> None:
    """Priority costs twice as much, flex half."""
    reader = await get(fresh_simulator(), "/models/openai/gpt-5-mini/endpoints")
    prices = {
        row["tag"]: Decimal(row["pricing"]["completion"])
        for row in reader.document["data"]["endpoints"]
    }
    assert prices["openai/priority"] == 2 * prices["openai"] == 4 * prices["openai/flex"]


async def test_an_outage_is_seen() -> None:
    """A provider that is down says so in its status and its uptime; others stay up."""
    simulator = fresh_simulator()
    states = await control(simulator, "providers", deepinfra="down")
    assert (states["deepinfra"], states["groq"]) == ("down", "up")
    reader = await get(simulator, f"/models/{LLAMA}/endpoints")
    down, up, _ = reader.document["data"]["endpoints"]
    assert (down["status"], down["uptime_last_5m"]) == (-5, 0)
    assert up["status"] == 0


async def test_measurements_need_a_key() -> None:
    """Prices are for everyone; latency and throughput only for those with a key."""
    simulator = fresh_simulator()
    path = f"/models/{LLAMA}/endpoints"
    with_key = (await get(simulator, path)).document["data"]["endpoints"][0]
    without = (await get(simulator, path, key="")).document["data"]["endpoints"][0]
    assert with_key["latency_last_30m"]["p99"] > with_key["latency_last_30m"]["p50"]
    assert without["latency_last_30m"] is None
    assert without["pricing"] == with_key["pricing"]


@pytest.mark.parametrize(
    "name", ["anthropic/claude-haiku-4.5", "anthropic/claude-4.5-haiku-20251001"]
)
async def test_one_model_by_id_or_concrete_name(name: str) -> None:
    """`GET /model/…` finds a model by either name, and its row is that of the list."""
    simulator = fresh_simulator()
    rows = (await get(simulator, "/models")).document["data"]
    model = (await get(simulator, f"/model/{name}")).document["data"]
    assert model in rows
    assert model["id"] == "anthropic/claude-haiku-4.5"


@pytest.mark.parametrize(
    "path", ["/model/acme/fake", "/models/acme/fake/endpoints", "/models/acme/fake", "/models/"]
)
async def test_unknown_models_are_404(path: str) -> None:
    """A model that is not there, and a path that is none, are 404."""
    assert (await get(fresh_simulator(), path)).status == 404


async def test_a_router_has_no_endpoints() -> None:
    """A pseudo-model stands for others and is run nowhere."""
    reader = await get(fresh_simulator(), "/models/openrouter/auto/endpoints")
    assert reader.document["data"]["endpoints"] == []


async def test_overrides_are_listed_with_the_endpoints_factor() -> None:
    """Prices above a prompt's size stand beside the usual ones, dearer where the endpoint is."""
    reader = await get(fresh_simulator(), "/models/anthropic/claude-sonnet-5/endpoints")
    rows = {row["tag"]: row["pricing"] for row in reader.document["data"]["endpoints"]}
    (own,) = rows["anthropic"]["overrides"]
    (dearer,) = rows["amazon-bedrock"]["overrides"]
    assert own["min_prompt_tokens"] == dearer["min_prompt_tokens"] == 200_000
    assert Decimal(dearer["prompt"]) == Decimal(own["prompt"]) * Decimal("1.1")
