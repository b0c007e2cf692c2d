"""OpenAI's SDK buys completions unmodified, with either of the HTTP libraries it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletionUserMessageParam

from cobot_meter.http_api.http.exchange import NO_RETRY, json_answer
from cobot_pay import Budget, BudgetExceeded, L402Auth
from tests.client.seller import Seller, SellersWallet, cost_pending
from tests.client.shop import AT_ONCE
from tests.fakes.servers.serving import serving

HELLO: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "hello"}]


@pytest.fixture
def seller() -> Seller:
    """Whose cost is pending at the first ask."""
    seller = Seller()
    seller.answers = [cost_pending()]
    return seller


@pytest.fixture
async def url(seller: Seller) -> AsyncIterator[str]:
    """Where the seller listens."""
    async with serving(seller) as address:
        yield f"{address}/v1"


def buy(http_client: httpx.Client | httpx2.Client, url: str) -> str | None:
    """One completion through the synchronous SDK."""
    # The SDK names httpx2's client as its type and takes httpx's at run time.
    with openai.OpenAI(base_url=url, api_key="none", http_client=http_client) as sdk:  # type: ignore[arg-type]
        bought = sdk.chat.completions.create(model="m", messages=HELLO)
    return bought.choices[0].message.content


async def test_the_sdk_buys_with_httpx(seller: Seller, url: str) -> None:
    """`OpenAI(http_client=httpx.Client(auth=...))`: 503, 402, payment, completion in one call."""
    wallet, budget = SellersWallet(seller), Budget(total_msat=100_000)
    auth = L402Auth(wallet=wallet, budget=budget, terms=AT_ONCE)
    assert await asyncio.to_thread(buy, httpx.Client(auth=auth), url) == "You said: hello"
    assert (len(wallet.paid), budget.spent_msat) == (1, 7_000)
    assert seller.authorizations[:2] == [["Bearer none"], ["Bearer none"]]
    assert seller.authorizations[2][0].startswith("L402 ")
    assert len(seller.authorizations) == 3


async def test_the_sdk_buys_with_httpx2(seller: Seller, url: str) -> None:
    """The same object under httpx's successor, which the SDK brings."""
    wallet, budget = SellersWallet(seller), Budget(total_msat=100_000)
    auth = L402Auth(wallet=wallet, budget=budget, terms=AT_ONCE)
    assert await asyncio.to_thread(buy, httpx2.Client(auth=auth), url) == "You said: hello"
    assert len(wallet.paid) == 1


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
async def test_the_async_sdk_buys_and_streams(seller: Seller, url: str, library: str) -> None:
    """`AsyncOpenAI`, with a stream of events once it is paid for."""
    wallet, budget = SellersWallet(seller), Budget(total_msat=100_000)
    http: httpx.AsyncClient | httpx2.AsyncClient
    if library == "httpx":
        http = httpx.AsyncClient(auth=L402Auth(wallet=wallet, budget=budget, terms=AT_ONCE))
    else:
        http = httpx2.AsyncClient(auth=L402Auth(wallet=wallet, budget=budget, terms=AT_ONCE))
    said = ""
    async with openai.AsyncOpenAI(base_url=url, api_key="none", http_client=http) as sdk:  # type: ignore[arg-type]
        async for chunk in await sdk.chat.completions.create(
            model="m", messages=HELLO, stream=True
        ):
            said += chunk.choices[0].delta.content or ""
    assert said == "You said: hello"
    assert len(wallet.paid) == 1


async def test_a_spent_budget_ends_the_call_at_once(seller: Seller, url: str) -> None:
    """Our errors come through the SDK as they are, and it does not repeat the request."""
    wallet = SellersWallet(seller)
    seller.answers.clear()
    auth = L402Auth(wallet=wallet, budget=Budget(total_msat=1_000), terms=AT_ONCE)
    with pytest.raises(BudgetExceeded):
        await asyncio.to_thread(buy, httpx.Client(auth=auth), url)
    assert (len(seller.authorizations), wallet.paid) == (1, [])


@pytest.mark.parametrize(
    ("status", "error"), [(409, openai.ConflictError), (429, openai.RateLimitError)]
)
async def test_the_sdk_does_not_repeat_what_says_so(
    seller: Seller, url: str, status: int, error: type[openai.APIStatusError]
) -> None:
    """409 and 429 with x-should-retry: false reach the caller after one request."""
    seller.answers = [json_answer(status, {"error": {"code": "any"}}, [NO_RETRY])]
    auth = L402Auth(wallet=SellersWallet(seller), budget=Budget(total_msat=1), terms=AT_ONCE)
    with pytest.raises(error):
        await asyncio.to_thread(buy, httpx.Client(auth=auth), url)
    assert len(seller.authorizations) == 1


async def test_the_plain_sdk_reads_our_402(seller: Seller, url: str) -> None:
    """Without any L402 client the error says what to pay, and is not retried."""
    seller.answers.clear()
    with pytest.raises(openai.APIStatusError) as raised:
        await asyncio.to_thread(buy, httpx.Client(), url)
    assert raised.value.status_code == 402
    assert raised.value.code == "payment_required"
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["metadata"]["price_sats"] == 7
    assert len(seller.authorizations) == 1
