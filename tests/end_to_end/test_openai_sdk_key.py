"""OpenAI's own SDK, unmodified, with two settings: a base URL and a prepaid key."""

from __future__ import annotations

import asyncio

import httpx
import openai
import pytest

from tests.end_to_end.live import MODEL, Live, proof_of

pytestmark = pytest.mark.slow
TOOL: dict[str, object] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a town.",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
    },
}


async def prepaid_key(live: Live, sat: int) -> str:
    """Top up, pay, repeat the same request: the key."""
    body = {"amount_sat": sat, "key": {"name": "sdk"}}
    url = f"{live.face}/v1/topups"
    asked = await live.http.post(url, json=body)
    assert asked.status_code == httpx.codes.PAYMENT_REQUIRED
    proof = proof_of(asked, await live.pay(asked.json()["invoice"]))
    credited = await live.http.post(url, json=body, headers=proof)
    assert credited.status_code == httpx.codes.OK, credited.text
    return str(credited.json()["key"]["key"])


async def test_the_sdk_asks_streams_and_calls_tools_on_a_key(live: Live) -> None:
    """Nothing of it is ours: chat, a stream and tools are paid from the credit of the key."""
    key = await prepaid_key(live, 2_000)

    def buy() -> tuple[str, str, object]:
        with openai.OpenAI(base_url=f"{live.face}/v1", api_key=key, max_retries=0) as client:
            answer = client.chat.completions.create(
                model=MODEL, max_tokens=40, messages=[{"role": "user", "content": "Of bridges."}]
            )
            stream = client.chat.completions.create(
                model=MODEL,
                max_tokens=40,
                stream=True,
                messages=[{"role": "user", "content": "Of tunnels."}],
            )
            pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
            called = client.chat.completions.create(  # type: ignore[call-overload]
                model=MODEL,
                max_tokens=40,
                messages=[{"role": "user", "content": "Weather in Bern?"}],
                tools=[TOOL],
                tool_choice={"type": "function", "function": {"name": "weather"}},
            )
        calls = called.choices[0].message.tool_calls
        return answer.choices[0].message.content or "", "".join(pieces), calls

    whole, streamed, calls = await asyncio.to_thread(buy)
    assert whole
    assert streamed
    assert calls
    bearer = {"Authorization": f"Bearer {key}"}
    shown = (await live.http.get(f"{live.face}/v1/key", headers=bearer)).json()["data"]
    assert shown["usage"] > 0
    credit = (await live.http.get(f"{live.face}/v1/credits", headers=bearer)).json()["cobot"]
    spent_msat = shown["cobot"]["key"]["spent_msat"]
    assert credit["available_msat"] == 2_000_000 - spent_msat < 2_000_000


async def test_the_sdk_shows_what_to_do_when_credit_is_short(live: Live) -> None:
    """One request, one exception, whose message names the address and the amount."""
    key = await prepaid_key(live, 10)

    def buy() -> str:
        with openai.OpenAI(base_url=f"{live.face}/v1", api_key=key) as client:
            with pytest.raises(openai.APIStatusError) as refused:
                client.chat.completions.create(
                    model=MODEL,
                    max_tokens=30_000,
                    reasoning_effort="high",  # thoughts that nobody can count: all is reserved
                    messages=[{"role": "user", "content": "Everything."}],
                )
            assert refused.value.status_code == 402
            return str(refused.value)

    said = await asyncio.to_thread(buy)
    assert f"{live.face}/v1/topups" in said
    assert "10 sat are left" in said
