"""OpenAI's own SDK, given our HTTP client, buys completions from a running service."""

from __future__ import annotations

import asyncio

import httpx
import openai
import pytest

from cobot_pay import Budget, DevWallet, L402Auth
from tests.end_to_end.live import MODEL, Live

pytestmark = pytest.mark.slow


def paying_client(live: Live) -> tuple[openai.OpenAI, Budget]:
    """The SDK with a wallet and a budget of 100 sat."""
    budget = Budget(total_msat=100_000)
    auth = L402Auth(wallet=DevWallet(live.node), budget=budget)
    http_client = httpx.Client(auth=auth, timeout=60)
    base_url = f"{live.face}/v1"
    # Its annotations name httpx2 only; at run time it takes clients of either.
    sdk = openai.OpenAI(base_url=base_url, api_key="none", http_client=http_client)  # type: ignore[arg-type]
    return sdk, budget


async def test_the_sdk_buys_json_and_a_stream(live: Live) -> None:
    """Both ways of reading are bought with one wallet, and cost what the answers say."""
    client, budget = paying_client(live)

    def buy() -> tuple[str, str]:
        answer = client.chat.completions.create(
            model=MODEL, max_tokens=40, messages=[{"role": "user", "content": "About bridges."}]
        )
        stream = client.chat.completions.create(
            model=MODEL,
            max_tokens=40,
            stream=True,
            messages=[{"role": "user", "content": "About tunnels."}],
        )
        pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
        return answer.choices[0].message.content or "", "".join(pieces)

    whole, streamed = await asyncio.to_thread(buy)
    assert whole
    assert streamed
    assert budget.spent_msat in {1_000, 2_000}
    assert (await live.upstream_book())["posts"] == 2
    client.close()
