"""The local proxy pays, streams through, refuses what is not its own, and makes nobody retry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cobot_pay import Budget, Payment, StoredBudget
from cobot_pay.proxy import listener
from tests.client.proxy.proxied import Proxied, proxied
from tests.client.seller import Seller, SellersWallet
from tests.client.shop import body, said
from tests.fakes.servers.serving import refused_address, serving

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@pytest.fixture
def seller() -> Seller:
    """Sells at 7 sat."""
    return Seller()


@pytest.fixture
def wallet(seller: Seller) -> SellersWallet:
    """Pays the seller."""
    return SellersWallet(seller)


@pytest.fixture
async def proxy(seller: Seller, wallet: SellersWallet) -> AsyncIterator[Proxied]:
    """In front of the seller."""
    async with serving(seller) as upstream, proxied(upstream, wallet) as found:
        yield found


async def test_it_buys_for_a_program_that_has_no_wallet(
    proxy: Proxied, seller: Seller, wallet: SellersWallet
) -> None:
    """The program's own key stays here, and the second ask comes with the first one's token."""
    assert said(await proxy.ask(body("one"))) == "You said: one"
    assert said(await proxy.ask(body("two"))) == "You said: two"
    assert len(wallet.paid) == 2
    assert seller.authorizations[0] == []
    assert all(lines[0].startswith("L402 ") for lines in seller.authorizations[1:])


async def test_first_asks_at_once_are_one_caller(
    proxy: Proxied, seller: Seller, wallet: SellersWallet
) -> None:
    """One purchase is made alone, and the others come with its token."""
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(proxy.ask(body(str(number)))) for number in range(5)]
    assert {said(one.result()) for one in asked} == {f"You said: {number}" for number in range(5)}
    assert len({caller for caller in seller.callers if caller}) == 1
    assert len(wallet.paid) == 5


async def test_the_openai_sdk_needs_a_base_url_and_nothing_else(proxy: Proxied) -> None:
    """Unmodified, asked whole and streamed."""
    async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key="none") as sdk:
        whole = await sdk.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hello"}]
        )
        streamed = await sdk.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "again"}], stream=True
        )
        words = [chunk.choices[0].delta.content async for chunk in streamed]
    assert whole.choices[0].message.content == "You said: hello"
    assert words == ["You said: again"]


async def test_a_key_that_is_kept_speaks_in_place_of_a_token(
    seller: Seller, wallet: SellersWallet
) -> None:
    """It goes to the seller in place of the program's placeholder."""
    async with serving(seller) as upstream, proxied(upstream, wallet, key="sk-cobot-x") as proxy:
        await proxy.ask(body())
    assert seller.authorizations[0] == ["Bearer sk-cobot-x"]


class Streamer:
    """A seller for nothing that sends its second chunk when it is told to, or breaks off."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.breaks = False
        self.seen: dict[bytes, bytes] = {}
        self.sent = 0

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self.seen = dict(scope["headers"])
        await receive()
        headers = [(b"content-type", b"text/event-stream"), (b"x-generation-id", b"gen-1")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: one\n\n", "more_body": True})
        await self.go_on.wait()
        if self.breaks:
            raise ConnectionResetError
        await send({"type": "http.response.body", "body": b"data: two\n\n", "more_body": False})


async def test_each_chunk_goes_out_when_it_comes_in(wallet: SellersWallet) -> None:
    """The first is read before the second was made."""
    streamer = Streamer()
    async with (
        serving(streamer) as upstream,
        proxied(upstream, wallet) as proxy,
        proxy.http.stream("POST", f"{proxy.url}/v1/x", json={}) as response,
    ):
        chunks = response.aiter_raw()
        assert await anext(chunks) == b"data: one\n\n"
        streamer.go_on.set()
        assert await anext(chunks) == b"data: two\n\n"
    assert response.headers["x-generation-id"] == "gen-1"


async def test_an_answer_that_breaks_off_is_seen_to_break_off(wallet: SellersWallet) -> None:
    """A stream that seemed to end well would be taken for whole, or asked for again for ever."""
    streamer = Streamer()
    streamer.breaks = True
    streamer.go_on.set()
    async with serving(streamer) as upstream, proxied(upstream, wallet) as proxy:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await proxy.http.post(f"{proxy.url}/v1/x", json={})


class Talker:
    """A seller for nothing that never stops talking."""

    def __init__(self) -> None:
        self.sent = 0

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})
            self.sent += 65_536


async def test_a_program_that_does_not_read_holds_little(wallet: SellersWallet) -> None:
    """The seller is not read on: what waits is what sockets hold, and no whole answer."""
    talker = Talker()
    async with (
        serving(talker) as upstream,
        proxied(upstream, wallet) as proxy,
        proxy.http.stream("GET", f"{proxy.url}/v1/x"),
    ):
        await asyncio.sleep(0.5)
        before = talker.sent
        await asyncio.sleep(0.5)
        assert talker.sent == before
        assert talker.sent < 32 * 1_048_576


def refusing(wallet: SellersWallet) -> None:
    """No route."""
    wallet.refuses = True


def lying(wallet: SellersWallet) -> None:
    """A preimage of something else."""
    wallet.lie = "ff" * 32


@pytest.mark.parametrize("path", ["chat/completions", "messages"])
@pytest.mark.parametrize(
    ("how", "budget_msat", "code"),
    [
        (refusing, 100_000, "payment_failed"),
        (lying, 100_000, "payment_unknown"),
        (lambda _: None, 5_000, "budget_exceeded"),
    ],
)
async def test_what_cannot_be_bought_stops_every_agent(
    seller: Seller,
    wallet: SellersWallet,
    path: str,
    how: Callable[[SellersWallet], None],
    budget_msat: int,
    code: str,
) -> None:
    """400 in the shape that the path's clients read, with a sentence and no invitation to retry."""
    how(wallet)
    budget = Budget(total_msat=budget_msat)
    async with serving(seller) as upstream, proxied(upstream, wallet, budget=budget) as proxy:
        answer = await proxy.http.post(f"{proxy.url}/v1/{path}", json=body())
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, code)
    assert error["message"].startswith("cobot-pay: ")
    assert error["type"] == "invalid_request_error"
    assert answer.headers["x-should-retry"] == "false"
    assert (answer.json().get("type") == "error") is (path == "messages")


# What a full disk does to a statement.
FULL = (
    "CREATE TRIGGER full BEFORE EVENT ON payment BEGIN SELECT RAISE(FAIL, 'the disk is full'); END"
)


class BrokenWallet:
    """Fails in a way that nobody foresaw."""

    async def pay(self, payment_request: str, *, max_fee_msat: int) -> Payment:
        raise ZeroDivisionError


async def test_a_wallet_that_fails_unforeseen_leaves_nobody_waiting(
    seller: Seller, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection ends, the payment is unknown, and whoever runs the proxy reads the fault."""
    budget = Budget(total_msat=100_000)
    async with (
        serving(seller) as upstream,
        proxied(upstream, BrokenWallet(), budget=budget) as proxy,
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await proxy.ask(body())
        assert (await proxy.ask(body())).json()["error"]["code"] == "payment_unknown"
    assert budget.reserved_msat == 7_000
    assert "ZeroDivisionError" in caplog.text


async def test_a_budget_that_cannot_be_written_pays_nothing(
    seller: Seller, wallet: SellersWallet, tmp_path: Path
) -> None:
    """A full disk, before the payment: a sentence, and nothing leaves the wallet."""
    budget = StoredBudget(tmp_path / "book")
    with budget.book.change() as book:
        book.execute(FULL.replace("EVENT", "INSERT"))
    async with serving(seller) as upstream, proxied(upstream, wallet, budget=budget) as proxy:
        error = (await proxy.ask(body())).json()["error"]
    assert error["code"] == "budget_unavailable"
    assert "the disk is full" in error["message"]
    assert wallet.paid == []


async def test_a_payment_that_cannot_be_written_down_is_not_lost(
    seller: Seller, wallet: SellersWallet, tmp_path: Path
) -> None:
    """A full disk, after the payment: its proof is shown at the next try, and it stays reserved."""
    budget = StoredBudget(tmp_path / "book")
    with budget.book.change() as book:
        book.execute(FULL.replace("EVENT", "UPDATE"))
    async with serving(seller) as upstream, proxied(upstream, wallet, budget=budget) as proxy:
        assert (await proxy.ask(body())).status_code == 400
        assert said(await proxy.ask(body())) == "You said: hello"
    assert len(wallet.paid) == 1
    assert budget.reserved_msat >= 7_000


async def test_a_seller_that_is_away_is_a_502_that_may_be_repeated(wallet: SellersWallet) -> None:
    """Repeating costs nothing; its type is not the one that some agents repeat for ever."""
    with refused_address() as upstream:
        async with proxied(upstream, wallet) as proxy:
            answer = await proxy.ask(body())
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (502, "upstream_unreachable")
    assert upstream in error["message"]
    assert "x-should-retry" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:80"},
    ],
)
async def test_web_pages_cannot_spend(
    proxy: Proxied, seller: Seller, headers: dict[str, str]
) -> None:
    """Neither across origins, nor under a name of theirs that points here."""
    answer = await proxy.ask(body(), **headers)
    assert answer.status_code == 403
    assert seller.authorizations == []


async def raw(proxy: Proxied, octets: bytes) -> bytes:
    """What the proxy says to these octets, until it closes or falls silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(octets)
    await writer.drain()
    heard = b""
    try:
        async with asyncio.timeout(0.5):
            while part := await reader.read(65_536):
                heard += part
    except TimeoutError:
        pass
    writer.close()
    return heard


@pytest.mark.parametrize(
    "line",
    [
        b"GET http://elsewhere.example/v1/models HTTP/1.1",
        b"CONNECT elsewhere.example:443 HTTP/1.1",
        b"GET //elsewhere.example/v1/models HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
    ],
)
async def test_it_is_a_proxy_to_one_seller_alone(
    proxy: Proxied, seller: Seller, line: bytes
) -> None:
    """Whatever names another upstream is refused, and goes nowhere."""
    heard = await raw(proxy, line + b"\r\nHost: 127.0.0.1\r\n\r\n")
    assert b"400" in heard.split(b"\r\n")[0]
    assert b"another_upstream" in heard
    assert seller.authorizations == []


async def test_what_is_no_http_is_told_so(proxy: Proxied) -> None:
    """With a sentence, and the connection ends."""
    heard = await raw(proxy, b"nonsense\r\n\r\n")
    assert b" 400 " in heard.split(b"\r\n")[0]
    assert b"not HTTP/1.1" in heard


async def test_a_head_without_end_is_refused(proxy: Proxied) -> None:
    """Before it fills any memory."""
    heard = await raw(proxy, b"GET / HTTP/1.1\r\nx: " + b"a" * (listener.HEAD_BYTES_MAX + 10))
    assert heard.startswith(b"HTTP/1.1 431")


async def test_a_body_beyond_all_bounds_is_refused(proxy: Proxied, seller: Seller) -> None:
    """It is kept whole until it is paid for, so it must be bounded."""
    answer = await proxy.http.post(f"{proxy.url}/v1/x", content=bytes(listener.BODY_BYTES_MAX + 1))
    assert answer.status_code == 413
    assert seller.authorizations == []


async def test_a_body_in_chunks_that_waits_to_be_let_in_is_taken(
    proxy: Proxied, seller: Seller
) -> None:
    """As some programs send large bodies."""
    head = b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
    message = b'{"model":"m","messages":[{"content":"hi"}]}'
    chunk = f"{len(message):x}\r\n".encode() + message + b"\r\n0\r\n\r\n"
    heard = await raw(proxy, head + b"Expect: 100-continue\r\n\r\n" + chunk)
    assert b"You said: hi" in heard


async def test_one_connection_serves_many(proxy: Proxied) -> None:
    """Two requests in one write are answered in turn."""
    one = b"GET /v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
    heard = await raw(proxy, one + one)
    assert heard.count(b"HTTP/1.1 ") == 2


async def test_a_program_that_hangs_up_while_it_is_bought_for_loses_nothing(
    proxy: Proxied, wallet: SellersWallet
) -> None:
    """The payment comes to its end, and the same request again gets the answer without another."""
    wallet.gate = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(proxy.ask(body()))
        await wallet.started.wait()
        asking.cancel()
    wallet.gate.set()
    assert said(await proxy.ask(body())) == "You said: hello"
    assert len(wallet.paid) == 1


@given(octets=st.binary(max_size=200))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_nothing_that_is_sent_ends_the_proxy(octets: bytes) -> None:
    """Whatever comes in, the next program is served."""

    async def check() -> None:
        seller = Seller()
        wallet = SellersWallet(seller)
        async with serving(seller) as upstream, proxied(upstream, wallet) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(octets)
            writer.write_eof()
            await reader.read()
            writer.close()
            assert said(await proxy.ask(body())) == "You said: hello"

    asyncio.run(check())
