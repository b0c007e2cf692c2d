"""Who has no token of an origin yet: one buys it, the others wait, and nobody is forgotten."""

from __future__ import annotations

import asyncio
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import httpx2
import pytest

from cobot_meter.http_api.http.exchange import json_answer
from cobot_pay import BudgetExceeded, EventLoopUnsupported, L402Auth, PaymentFailed, PurchaseTerms
from cobot_pay.http_shapes import request_digest
from cobot_pay.proofs import ORIGINS_MAX, PROOFS_MAX, Attempt, Proofs
from tests.client.seller import completion
from tests.client.shop import URL, Shop, body, said

MANY = 12


async def until_asked(shop: Shop, asks: int) -> None:
    """Once the seller has seen so many requests."""
    async with asyncio.timeout(10):
        while shop.asks < asks:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_many_first_asks_at_once_are_of_one_caller(shop: Shop) -> None:
    """The first one buys alone; the others wait for its token, and then go all at once."""
    async with httpx.AsyncClient(transport=shop.seller.transport(), auth=shop.auth) as http:
        asked = await asyncio.gather(
            *(http.post(URL, json=body(f"ask {number}")) for number in range(MANY))
        )
    assert [said(response) for response in asked] == [
        f"You said: ask {number}" for number in range(MANY)
    ]
    assert set(shop.seller.callers) == {None, "c_1"}
    assert shop.seller.callers.count(None) == 1


def test_threads_wait_for_the_first_one_too(shop: Shop) -> None:
    """The same for synchronous clients that share one auth."""
    together = threading.Barrier(4, timeout=10)

    def ask(number: int) -> str:
        together.wait()
        return said(shop.ask(f"ask {number}"))

    with ThreadPoolExecutor(max_workers=4) as threads:
        list(threads.map(ask, range(4)))
    assert shop.seller.callers.count(None) == 1


async def test_while_the_first_is_paying_nobody_else_is_sent(shop: Shop) -> None:
    """Not before its payment is made; a plain GET waits for nobody."""
    shop.wallet.gate = asyncio.Event()
    async with httpx.AsyncClient(transport=shop.seller.transport(), auth=shop.auth) as http:
        first = asyncio.create_task(http.post(URL, json=body("one")))
        await shop.wallet.started.wait()
        second = asyncio.create_task(http.post(URL, json=body("two")))
        await asyncio.sleep(0.01)
        assert shop.asks == 1
        shop.seller.answers = [json_answer(200, {"data": []})]
        assert (await http.get("https://b.example/v1/models")).status_code == 200
        shop.wallet.gate.set()
        assert {said(await first), said(await second)} == {"You said: one", "You said: two"}


async def test_a_first_purchase_that_fails_makes_room(shop: Shop) -> None:
    """Whatever ends it, the next one has its turn."""
    shop.wallet.refuses = True
    async with httpx.AsyncClient(transport=shop.seller.transport(), auth=shop.auth) as http:
        asked = await asyncio.gather(
            *(http.post(URL, json=body(f"ask {number}")) for number in range(3)),
            return_exceptions=True,
        )
        assert [type(one) for one in asked] == [PaymentFailed] * 3
        shop.wallet.refuses, shop.wallet.gate = False, asyncio.Event()
        canceled = asyncio.create_task(http.post(URL, json=body("one")))
        await shop.wallet.started.wait()
        canceled.cancel()
        await asyncio.wait([canceled])
        shop.wallet.gate.set()
        assert said(await http.post(URL, json=body("two"))) == "You said: two"


async def test_a_first_purchase_is_not_waited_for_for_ever() -> None:
    """After the patience of its terms the next one goes without a token."""
    terms = PurchaseTerms(max_fee_msat=0, patience_s=0.02, in_flight_wait_s=0.005)
    shop = Shop(terms=terms)
    shop.wallet.gate = asyncio.Event()
    async with httpx.AsyncClient(transport=shop.seller.transport(), auth=shop.auth) as http:
        first = asyncio.create_task(http.post(URL, json=body("one")))
        await shop.wallet.started.wait()
        second = asyncio.create_task(http.post(URL, json=body("two")))
        await until_asked(shop, 2)
        shop.wallet.gate.set()
        assert {said(await first), said(await second)} == {"You said: one", "You said: two"}


async def test_where_nothing_costs_anything_nobody_waits(shop: Shop) -> None:
    """An origin that answered without payment is asked in parallel until it asks for some."""
    shop.seller.answers = [completion(b'{"model":"m","messages":[{"content":"free"}]}')]
    assert shop.ask("free").status_code == 200
    shop.wallet.gate = asyncio.Event()
    async with httpx.AsyncClient(transport=shop.seller.transport(), auth=shop.auth) as http:
        asked = [asyncio.create_task(http.post(URL, json=body(text))) for text in ("one", "two")]
        await until_asked(shop, 3)
        shop.wallet.gate.set()
        assert [said(await one) for one in asked] == ["You said: one", "You said: two"]


def test_the_next_process_is_the_same_caller(shop: Shop) -> None:
    """What `tokens` says is taken again by another instance, for that origin alone."""
    shop.ask("one")
    tokens = shop.auth.tokens
    assert list(tokens) == ["https://b.example:"]
    shop.auth = L402Auth(wallet=shop.wallet, budget=shop.budget, tokens=tokens)
    shop.ask("two")
    assert set(shop.seller.callers) == {None, "c_1"}
    with shop.http() as http:
        http.post("https://c.example/", json=body("three"))
    assert shop.seller.callers[-2] is None


def test_a_token_outlives_many_purchases_elsewhere() -> None:
    """Each origin keeps its newest token; only very many origins push one out."""
    proofs, numbers = Proofs(), itertools.count()

    def buy(origin: str) -> None:
        attempt = Attempt(
            payment_hash=str(next(numbers)),
            origin=origin,
            macaroon=f"m{origin}",
            reservation=Shop().budget.reserve(0),
        )
        proofs.paid(attempt, preimage="00")

    buy("first")
    for _ in range(PROOFS_MAX + 1):
        buy("busy")
    assert proofs.of_origin("first") == "L402 mfirst:00"
    for number in range(ORIGINS_MAX):
        buy(f"origin {number}")
    assert proofs.of_origin("first") is None
    assert len(proofs.tokens) == ORIGINS_MAX


def test_an_answer_that_was_lost_is_claimed_with_its_own_proof(shop: Shop) -> None:
    """Paid, and the connection broke: the same request later shows the proof that it bought."""
    broken = [True]

    def handle(request: httpx.Request) -> httpx.Response:
        response = shop.seller._handle(request)
        if response.status_code == 200 and broken.pop() if broken else False:
            raise httpx.ReadError("the connection broke", request=request)
        return response

    with httpx.Client(transport=httpx.MockTransport(handle), auth=shop.auth) as http:
        with pytest.raises(httpx.ReadError):
            http.post(URL, json=body("one"))
        assert said(http.post(URL, json=body("two"))) == "You said: two"
        asks = shop.asks
        assert said(http.post(URL, json=body("one"))) == "You said: one"
        assert (shop.asks, len(shop.wallet.paid)) == (asks + 1, 2)


WHOLE = b'{"model":"a/b","messages":[{"role":"user","content":"Hi"}],"temperature":1}'


OTHERWISE = (
    b'{"temperature": 1.0, "messages": [{"content": "H\\u0069", "role": "user"}],'
    b' "model": "a/b", "stream": true, "client_metadata": {"turn": "2"}}'
)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (OTHERWISE, True),
        (WHOLE.replace(b"Hi", b"Ho"), False),
        (WHOLE.replace(b":1}", b":true}"), False),
        (WHOLE.replace(b":1}", b':1,"temperature":1}'), False),
        (b"[" + WHOLE + b"]", False),
        (b'{"x":' * 100_000, False),
        (b"\xff", False),
        (b"", False),
    ],
)
def test_a_request_is_known_again_by_what_it_asks(other: bytes, same: bool) -> None:  # noqa: FBT001
    """Members, blanks, escapes and the form of the answer may differ; nothing else may."""
    first, second = (httpx.Request("POST", URL, content=one) for one in (WHOLE, other))
    assert (request_digest(first) == request_digest(second)) is same
    elsewhere = httpx.Request("POST", f"{URL}/else", content=other)
    assert request_digest(elsewhere) != request_digest(second)


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_one_auth_is_for_both_libraries(shop: Shop, library: object) -> None:
    """Each library's own check takes it."""
    client = getattr(library, "Client")(auth=shop.auth)  # noqa: B009 - of either module
    client.close()
    assert isinstance(shop.auth, httpx.Auth)
    assert isinstance(shop.auth, httpx2.Auth)


def test_what_does_not_run_on_asyncio_is_refused_before_anything(shop: Shop) -> None:
    """Another library's event loop: nothing is sent, reserved or paid, and the error says why."""
    flow = shop.auth.async_auth_flow(httpx.Request("POST", URL, json=body()))
    with pytest.raises(EventLoopUnsupported, match="runs on something else"):
        flow.__anext__().send(None)  # as any loop but asyncio's drives it
    assert (shop.asks, shop.budget.reserved_msat, shop.wallet.paid) == (0, 0, [])


# --- fees ---


async def test_small_asks_at_once_are_not_crowded_out_by_fees() -> None:
    """Twelve asks of 7 sat within 100 sat: what is kept for fees comes back, and all are bought."""
    shop = Shop(total_msat=MANY * 7_000, terms=PurchaseTerms(in_flight_wait_s=0.001))
    async with httpx.AsyncClient(transport=shop.seller.transport(), auth=shop.auth) as http:
        asked = await asyncio.gather(
            *(http.post(URL, json=body(f"ask {number}")) for number in range(MANY))
        )
    assert {response.status_code for response in asked} == {200}
    assert (shop.budget.spent_msat, shop.budget.reserved_msat) == (MANY * 7_000, 0)


@pytest.mark.parametrize(
    ("total_msat", "charges", "limit_msat"),
    [(7_000, True, 0), (7_900, True, 900), (100_000, True, 5_000), (100_000, False, 0)],
)
def test_a_fee_is_at_most_what_is_left(total_msat: int, limit_msat: int, *, charges: bool) -> None:
    """A share with a floor, less where the budget ends, and nothing for a wallet without fees."""
    shop = Shop(total_msat=total_msat, terms=PurchaseTerms())
    shop.wallet.charges_fees = charges
    assert said(shop.ask()) == "You said: hello"
    assert shop.wallet.fee_limits == [limit_msat]


def test_a_fee_grows_with_its_invoice() -> None:
    """A twentieth of the invoice, rounded up, where that is more than the floor."""
    terms = PurchaseTerms()
    assert [terms.fee_msat(msat) for msat in (1, 100_000, 100_001, 1_000_001)] == [
        *(5_000, 5_000, 5_001, 50_001)
    ]
    assert PurchaseTerms(max_fee_msat=11).fee_msat(1_000_000) == 11


def test_the_refusal_takes_the_sum_apart() -> None:
    """Invoice, fees, spent, in flight and left, each in its place."""
    shop = Shop(total_msat=20_000, terms=PurchaseTerms(max_fee_msat=1_000))
    shop.ask("one")
    shop.budget.doubt(shop.budget.reserve(5_000, fee_msat=1_000))
    with pytest.raises(BudgetExceeded) as refused:
        shop.ask("two")
    assert str(refused.value) == (
        "the invoice asks for 7,000 msat and up to 1,000 msat of fees; of the total limit of "
        "20,000 msat 7,000 are spent and 6,000 in flight, so 7,000 are left"
    )
