"""The other routes: look-ups, models, key, credits, and who may ask."""

from __future__ import annotations

from decimal import Decimal

import httpx
import pytest

from openrouter_simulator.app import Simulator, build_simulator
from tests.fakes.clock import FakeClock
from tests.fakes.servers.serving import serving
from tests.simulator.asking import CHAT, chat, exact, fault, record

RECORDED_KEYS = {
    "id",
    "created_at",
    "model",
    "streamed",
    "cancelled",
    "native_tokens_prompt",
    "native_tokens_completion",
    "native_tokens_cached",
    "is_byok",
    "finish_reason",
    "usage",
    "provider_responses",
    "api_type",
    "total_cost",
    "cache_discount",
    "upstream_inference_cost",
    "provider_name",
}


async def test_record_has_the_recorded_keys(client: httpx.AsyncClient) -> None:
    """A generation's record has the keys of recorded ones, and an ISO time."""
    body = exact(await chat(client))
    data = await record(client, body["id"])
    assert set(data) >= RECORDED_KEYS
    assert data["created_at"] == "2023-11-14T22:13:20.000Z"
    assert data["provider_responses"][0]["status"] == 200


async def test_record_lags(client: httpx.AsyncClient, simulator: Simulator) -> None:
    """A record is 404 until its lag is over, and some never come."""
    await client.post("/control/timing", json={"lag_s": 4})
    body = exact(await chat(client))
    asked = {"id": body["id"]}
    early = await client.get("/api/v1/generation", params=asked)
    assert early.status_code == 404
    assert early.json()["error"]["message"] == f"Generation {body['id']} not found"
    clock = simulator.account.clock
    assert isinstance(clock, FakeClock)
    clock.advance(1.9)
    assert (await client.get("/api/v1/generation", params=asked)).status_code == 404
    clock.advance(4.2)
    assert (await client.get("/api/v1/generation", params=asked)).status_code == 200
    await fault(client, "never_recorded")
    never = exact(await chat(client))
    clock.advance(1_000_000)
    assert (await client.get("/api/v1/generation", params={"id": never["id"]})).status_code == 404


async def test_models_are_priced_texts(client: httpx.AsyncClient) -> None:
    """Prices are texts in USD per token; routers say -1; every row has OpenRouter's keys."""
    document = (await client.get("/api/v1/models")).json()
    models = {row["id"]: row for row in document["data"]}
    assert document["total_count"] == len(models)
    assert models["deepseek/deepseek-v4-flash"]["pricing"]["prompt"] == "0.00000007266"
    assert models["openrouter/auto"]["pricing"]["prompt"] == "-1"
    assert models["meta-llama/llama-3.3-70b-instruct:free"]["pricing"]["completion"] == "0"
    for row in models.values():
        assert row["top_provider"]["max_completion_tokens"] <= row["context_length"]


async def test_key_and_credits_agree_with_the_book(
    client: httpx.AsyncClient, simulator: Simulator
) -> None:
    """The key's usage and the account's credits are the book's, to the last digit."""
    await chat(client)
    book = simulator.account.book
    key = exact(await client.get("/api/v1/key"))["data"]
    assert key["usage"] == key["usage_daily"] == book.spent_usd > 0
    management = {"authorization": "Bearer sk-or-v1-management"}
    credit = exact(await client.get("/api/v1/credits", headers=management))["data"]
    assert credit["total_credits"] - credit["total_usage"] == book.balance_usd


async def test_credits_need_a_management_key(client: httpx.AsyncClient) -> None:
    """An ordinary key may not read the credits."""
    response = await client.get("/api/v1/credits")
    assert response.status_code == 403
    assert response.json()["error"]["message"].startswith("Only management keys")


@pytest.mark.parametrize("header", [None, "sk-or-v1-test", "Basic abc", "Bearer "])
async def test_no_key_is_401(client: httpx.AsyncClient, header: str | None) -> None:
    """Without a bearer key nothing is answered but the models."""
    del client.headers["authorization"]
    headers = {} if header is None else {"authorization": header}
    for request in (
        client.post(CHAT, json={}, headers=headers),
        client.get("/api/v1/key", headers=headers),
        client.get("/api/v1/generation", params={"id": "gen-1"}, headers=headers),
    ):
        assert (await request).status_code == 401
    assert (await client.get("/api/v1/models")).status_code == 200


async def test_wrong_key_is_401() -> None:
    """With a key of its own the simulator accepts no other."""
    simulator = build_simulator(
        seed=1,
        credit_usd=Decimal(1),
        lag_s=0,
        latency_s=0,
        clock=FakeClock(),
        api_key="sk-or-v1-mine",
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=simulator), base_url="http://simulator"
    ) as client:
        wrong = await client.get("/api/v1/key", headers={"authorization": "Bearer other"})
        right = await client.get("/api/v1/key", headers={"authorization": "Bearer sk-or-v1-mine"})
    assert wrong.json()["error"]["message"] == "User not found."
    assert right.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", CHAT, 405),
        ("GET", "/", 404),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/control/nothing", 404),
        ("POST", "/control/nothing", 404),
    ],
)
async def test_unknown_routes(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    """What is not there says so, in OpenRouter's shape."""
    response = await client.request(method, path)
    assert response.status_code == status
    assert response.json()["error"]["code"] == status


async def test_body_over_the_limit_is_413(client: httpx.AsyncClient) -> None:
    """A body without end is not read to its end."""
    response = await client.post(CHAT, content=b" " * (17 * 1_024 * 1_024))
    assert response.status_code == 413


async def test_servers_may_announce_start_and_stop(simulator: Simulator) -> None:
    """The application answers a server's lifespan."""
    async with serving(simulator, lifespan=True) as address, httpx.AsyncClient() as client:
        assert (await client.get(f"{address}/api/v1/models")).status_code == 200
