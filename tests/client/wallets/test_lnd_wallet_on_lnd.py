"""The LND wallet at alice's real node: she pays, is killed while paying, and pays nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256

import grpc
import httpx
import pytest

from cobot_pay import Budget, BudgetExceeded, L402Auth, PaymentFailed, PurchaseTerms
from cobot_pay.invoice_terms import read_invoice
from cobot_pay.lnd_wallet import LndWallet
from deploy.regtest.lnd.connection import invoicesrpc, lnrpc
from deploy.regtest.network import Network
from deploy.regtest.waiting import until
from tests.regtest.test_network import held

PRICE_MSAT = 21_000
FEE_MSAT = 1_000
LEAST = ["offchain:read", "offchain:write"]
URL = "https://b.example/v1/chat/completions"

Reservation = Callable[[bytes], Awaitable[str]]


@pytest.fixture
async def wallet(nodes: Network) -> LndWallet:
    """Alice's, with the least macaroon that can pay."""
    path = nodes.alice.folder / "pay.macaroon"
    path.write_bytes(await nodes.alice.bake_macaroon(LEAST))
    return LndWallet(
        address=nodes.alice.rpc_address, tls_cert_path=nodes.alice.tls_cert_path, macaroon_path=path
    )


@pytest.fixture
async def hold(nodes: Network) -> AsyncIterator[Reservation]:
    """Makes an invoice at bob's node that is held until he settles or, in the end, cancels it."""
    made: list[bytes] = []

    async def make(preimage: bytes) -> str:
        request = invoicesrpc.AddHoldInvoiceRequest(
            hash=sha256(preimage).digest(), value_msat=PRICE_MSAT
        )
        async with nodes.bob.services() as services:
            answer = await services.invoices.AddHoldInvoice(
                request, timeout=10, metadata=services.metadata
            )
        made.append(request.hash)
        return str(answer.payment_request)

    yield make
    async with nodes.bob.services() as services:
        for payment_hash in made:
            message = invoicesrpc.CancelInvoiceMsg(payment_hash=payment_hash)
            with contextlib.suppress(grpc.aio.AioRpcError):  # settled by the test
                await services.invoices.CancelInvoice(
                    message, timeout=10, metadata=services.metadata
                )
    await nodes.until_quiet()


async def until_held(nodes: Network, preimage: bytes) -> None:
    """Wait until a payment has arrived at bob's node."""
    message = invoicesrpc.LookupInvoiceMsg(payment_hash=sha256(preimage).digest())

    async def accepted() -> bool:
        async with nodes.bob.services() as services:
            found = await services.invoices.LookupInvoiceV2(
                message, timeout=10, metadata=services.metadata
            )
        return bool(found.state == lnrpc.Invoice.ACCEPTED)

    await until("bob holds a payment", accepted)


async def settle(nodes: Network, preimage: bytes) -> None:
    """Take what is held."""
    async with nodes.bob.services() as services:
        await services.invoices.SettleInvoice(
            invoicesrpc.SettleInvoiceMsg(preimage=preimage),
            timeout=10,
            metadata=services.metadata,
        )


def seller(payment_request: str) -> httpx.MockTransport:
    """Wants this invoice paid, and then answers."""

    def answer(request: httpx.Request) -> httpx.Response:
        if "Authorization" in request.headers:
            return httpx.Response(200, text=request.headers["Authorization"])
        challenge = f'L402 macaroon="AGIAJEem", invoice="{payment_request}"'
        return httpx.Response(402, headers={"WWW-Authenticate": challenge}, json={})

    return httpx.MockTransport(answer)


async def test_alice_pays_bob_and_is_told_the_fee(nodes: Network, wallet: LndWallet) -> None:
    """Preimage, amount and fee are those of the nodes; asked again, nothing more is paid."""
    before = await held(nodes)
    request = await nodes.bob.add_invoice(PRICE_MSAT)
    paid = await wallet.pay(request, max_fee_msat=5_000)
    payment_hash = sha256(bytes.fromhex(paid.preimage)).hexdigest()
    assert payment_hash == read_invoice(request).payment_hash
    assert (paid.amount_msat, paid.fee_msat) == (PRICE_MSAT, FEE_MSAT)
    assert await wallet.pay(request, max_fee_msat=5_000) == paid
    assert await wallet.outcome(payment_hash) == paid
    after = await held(nodes)
    assert before["alice"] - after["alice"] == PRICE_MSAT + FEE_MSAT
    assert after["bob"] - before["bob"] == PRICE_MSAT


async def test_a_route_that_costs_too_much_is_not_taken(nodes: Network, wallet: LndWallet) -> None:
    """A fee one msat under carol's fails, and leaves every balance as it was."""
    before = await held(nodes)
    request = await nodes.bob.add_invoice(PRICE_MSAT)
    with pytest.raises(PaymentFailed, match="no_route"):
        await wallet.pay(request, max_fee_msat=FEE_MSAT - 1)
    assert await wallet.outcome(read_invoice(request).payment_hash) is None
    assert await held(nodes) == before


async def test_a_node_killed_while_it_pays_is_asked_what_became_of_it(
    nodes: Network, wallet: LndWallet, hold: Reservation
) -> None:
    """Alice's node is killed with the payment at bob's: once back it is paid, once, not failed."""
    before, preimage = await held(nodes), os.urandom(32)
    request = await hold(preimage)
    async with asyncio.TaskGroup() as group:
        paying = group.create_task(wallet.pay(request, max_fee_msat=5_000))
        await until_held(nodes, preimage)
        await nodes.alice.kill()
        await nodes.alice.start()
        await settle(nodes, preimage)
    paid = paying.result()
    assert (paid.preimage, paid.fee_msat) == (preimage.hex(), FEE_MSAT)
    after = await held(nodes)
    assert before["alice"] - after["alice"] == PRICE_MSAT + FEE_MSAT


async def test_the_budget_counts_what_is_under_way(
    nodes: Network, wallet: LndWallet, hold: Reservation
) -> None:
    """While a payment is held its amount and its fee limit are spent: the next one is refused."""
    preimage = os.urandom(32)
    fee_limit_msat = 2_000
    terms = PurchaseTerms(max_fee_msat=fee_limit_msat, patience_s=1.0)
    budget = Budget(total_msat=2 * PRICE_MSAT + fee_limit_msat)
    auth = L402Auth(wallet=wallet, budget=budget, terms=terms)
    first, second = seller(await hold(preimage)), seller(await nodes.bob.add_invoice(PRICE_MSAT))
    async with (
        httpx.AsyncClient(transport=first, auth=auth) as held_http,
        httpx.AsyncClient(transport=second, auth=auth) as http,
        asyncio.TaskGroup() as group,
    ):
        buying = group.create_task(held_http.post(URL))
        await until_held(nodes, preimage)
        assert budget.reserved_msat == PRICE_MSAT + fee_limit_msat
        with pytest.raises(BudgetExceeded):
            await http.post(URL)
        await settle(nodes, preimage)
    assert buying.result().text == f"L402 AGIAJEem:{preimage.hex()}"
    assert (budget.spent_msat, budget.reserved_msat) == (PRICE_MSAT + FEE_MSAT, 0)


async def test_a_synchronous_client_pays_too(nodes: Network, wallet: LndWallet) -> None:
    """The wallet runs in a loop and a thread of its own, twice in a row."""
    budget = Budget(total_msat=1_000_000)

    def buy(request: str) -> str:
        auth = L402Auth(wallet=wallet, budget=budget)
        with httpx.Client(transport=seller(request), auth=auth) as http:
            return http.post(URL).text

    for _ in range(2):
        request = await nodes.bob.add_invoice(PRICE_MSAT)
        assert (await asyncio.to_thread(buy, request)).startswith("L402 AGIAJEem:")
    assert budget.spent_msat == 2 * (PRICE_MSAT + FEE_MSAT)
