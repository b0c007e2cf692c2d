"""Runs have OpenRouter's shapes, and charge what their records say."""

from __future__ import annotations

import re
from decimal import Decimal

import httpx
import pytest

from openrouter_simulator.app import Simulator
from openrouter_simulator.error_answers import STATUS_FAULTS
from tests.simulator.asking import CHAT, MODEL, chat, exact, fault, frames, record

GENERATION_ID = re.compile(r"gen-\d{10}-[A-Za-z0-9]{20}")


async def test_json_answer_has_the_recorded_keys(client: httpx.AsyncClient) -> None:
    """A whole answer has the keys of recorded traffic, and names its generation twice."""
    response = await chat(client)
    body = exact(response)
    assert GENERATION_ID.fullmatch(body["id"])
    assert response.headers["x-generation-id"] == body["id"]
    assert body["object"] == "chat.completion"
    assert body["provider"] == "Mistral"
    (choice,) = body["choices"]
    assert set(choice) >= {"index", "finish_reason", "native_finish_reason", "logprobs", "message"}
    assert choice["message"]["role"] == "assistant"
    assert "invoices" in choice["message"]["content"]
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["is_byok"] is False
    assert usage["cost"] == usage["cost_details"]["upstream_inference_cost"]


async def test_stream_has_comments_frames_usage_and_end(client: httpx.AsyncClient) -> None:
    """Comments, chunks, a finish, a usage frame that repeats choices, [DONE]."""
    response = await chat(client, stream=True)
    assert response.headers["content-type"] == "text/event-stream"
    assert response.text.startswith(": OPENROUTER PROCESSING\n\n")
    assert response.text.endswith("data: [DONE]\n\n")
    *_, finish, usage = frames(response)
    assert finish["choices"][0]["finish_reason"] in ("stop", "length")
    assert "usage" not in finish
    assert usage["choices"][0]["delta"]["content"] == ""
    assert usage["usage"]["cost"] > 0


async def test_stream_bill_equals_nonstream_bill(client: httpx.AsyncClient) -> None:
    """The same question costs the same and reads the same, streamed or not."""
    whole = exact(await chat(client))
    streamed = frames(await chat(client, stream=True))
    text = "".join(
        frame["choices"][0]["delta"]["content"] for frame in streamed if frame["choices"]
    )
    assert text == whole["choices"][0]["message"]["content"]
    assert streamed[-1]["usage"] == whole["usage"]


async def test_answers_repeat(client: httpx.AsyncClient, simulator: Simulator) -> None:
    """After a reset the same question has the same answer and the same generation id."""
    first = exact(await chat(client))
    await client.post("/control/reset")
    assert exact(await chat(client)) == first
    assert simulator.account.book.posts == 1


async def test_length_obeys_max_tokens(client: httpx.AsyncClient) -> None:
    """An answer is never longer than was asked for, and says that it was cut."""
    body = exact(await chat(client, max_tokens=5))
    assert body["usage"]["completion_tokens"] == 5
    assert body["choices"][0]["finish_reason"] == "length"


async def test_answering_model_has_its_concrete_name(client: httpx.AsyncClient) -> None:
    """The answer names the model differently from the question, as OpenRouter does."""
    body = exact(await chat(client, model="anthropic/claude-haiku-4.5"))
    assert body["model"] == "anthropic/claude-4.5-haiku-20251001"


async def test_total_cost_is_rounded_and_taken(
    client: httpx.AsyncClient, simulator: Simulator
) -> None:
    """The record has at most eight decimals, is near the inline cost, and is what was taken."""
    body = exact(await chat(client, model="deepseek/deepseek-v4-flash"))
    data = await record(client, body["id"])
    assert data["total_cost"] == data["usage"]
    assert data["total_cost"] == round(data["total_cost"], 8)
    assert abs(data["total_cost"] - body["usage"]["cost"]) <= Decimal("1e-8")
    assert simulator.account.book.spent_usd == data["total_cost"]
    assert data["native_tokens_prompt"] == body["usage"]["prompt_tokens"]
    assert data["tokens_prompt"] != data["native_tokens_prompt"]
    assert data["upstream_inference_cost"] == 0


async def test_inline_cost_has_the_noise_of_doubles(client: httpx.AsyncClient) -> None:
    """Some inline costs show more digits than any price has, as real ones do."""
    costs = set()
    for tokens in range(1, 40):
        body = exact(await chat(client, model="deepseek/deepseek-chat", max_tokens=tokens))
        costs.add(body["usage"]["cost"])
    assert max(len(cost.as_tuple().digits) for cost in costs) >= 15


@pytest.mark.parametrize("name", sorted(STATUS_FAULTS))
async def test_error_statuses_cost_nothing(
    client: httpx.AsyncClient, simulator: Simulator, name: str
) -> None:
    """An error status repeats itself in the body, and nothing is charged."""
    await fault(client, name)
    response = await chat(client)
    assert response.json()["error"]["code"] == response.status_code
    assert response.json()["error"]["message"]
    assert simulator.account.book.spent_usd == 0
    if name == "status_429":
        assert response.headers["retry-after"] == "7"


async def test_cached_prompt_is_cheaper(client: httpx.AsyncClient) -> None:
    """A cached prompt costs less than its tokens at list price."""
    plain = exact(await chat(client))
    await fault(client, "cached_prompt")
    cached = exact(await chat(client))
    assert cached["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
    assert cached["usage"]["cost"] < plain["usage"]["cost"]


async def test_own_provider_key_takes_no_credit(
    client: httpx.AsyncClient, simulator: Simulator
) -> None:
    """With BYOK the account keeps its credit, and the record shows the provider's charge."""
    await fault(client, "byok")
    body = exact(await chat(client))
    data = await record(client, body["id"])
    assert (body["usage"]["cost"], body["usage"]["is_byok"]) == (0, True)
    assert (data["total_cost"], data["is_byok"]) == (0, True)
    assert data["upstream_inference_cost"] > 0
    assert simulator.account.book.spent_usd == 0


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"model": "acme/fake-1.0"}, 400, "acme/fake-1.0 is not a valid model ID"),
        ({"model": "openrouter/auto"}, 400, "not a valid model ID"),
        ({"messages": []}, 400, "messages"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"provider": {"max_price": {"prompt": "0.1"}}}, 404, "max_price"),
        ({"provider": {"max_price": {"completion": 0.59}}}, 404, "max_price"),
        ({"provider": {"max_price": {"prompt": "cheap"}}}, 400, "max_price"),
    ],
)
async def test_orders_that_cannot_be_run(
    client: httpx.AsyncClient, fields: dict[str, object], status: int, words: str
) -> None:
    """Wrong orders get OpenRouter's status and words."""
    response = await chat(client, **fields)
    assert response.status_code == status
    assert words in response.json()["error"]["message"]


async def test_price_exactly_at_the_cap_is_run(client: httpx.AsyncClient) -> None:
    """max_price admits the price itself."""
    caps = {"prompt": 0.15, "completion": "0.6", "request": 0}
    assert (await chat(client, provider={"max_price": caps})).status_code == 200


async def test_reservation_over_the_balance_is_402(
    client: httpx.AsyncClient, simulator: Simulator
) -> None:
    """max_tokens at the model's price must be on the account; without it the full length is."""
    simulator.account.book.balance_usd = Decimal("0.0001")
    refused = await chat(client, max_tokens=100_000)
    assert refused.status_code == 402
    assert "can only afford 166." in refused.json()["error"]["message"]
    assert (await chat(client, max_tokens=None)).status_code == 402
    simulator.account.book.balance_usd = Decimal(0)
    assert "Insufficient credits" in (await chat(client)).text


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff"])
async def test_body_that_is_no_object(client: httpx.AsyncClient, body: bytes) -> None:
    """A body that is no JSON object is a 400."""
    assert (await client.post(CHAT, content=body)).status_code == 400


async def test_message_parts_are_read(client: httpx.AsyncClient) -> None:
    """A message may be a list of parts; its texts count."""
    parts = [{"type": "text", "text": "Explain macaroons"}, {"type": "image_url"}, "odd"]
    body = exact(await chat(client, messages=[{"role": "user", "content": parts}]))
    assert "macaroons" in body["choices"][0]["message"]["content"]


async def test_standing_fault_of_a_model(client: httpx.AsyncClient) -> None:
    """A fault can stand for one model while others answer."""
    await client.post("/control/faults", json={"by_model": {MODEL: "status_529"}})
    assert (await chat(client)).status_code == 529
    assert (await chat(client)).status_code == 529
    assert (await chat(client, model="openai/gpt-5-nano")).status_code == 200
    await client.post("/control/faults", json={"by_model": {MODEL: ""}})
    assert (await chat(client)).status_code == 200
