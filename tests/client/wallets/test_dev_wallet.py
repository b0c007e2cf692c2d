"""The development wallet tells paid, refused and unknown apart."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path

import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cobot_meter.adapters.lightning.dev_node.http import dev_node_face
from cobot_meter.adapters.lightning.dev_node.node import DevNode
from cobot_meter.adapters.lightning.dev_node.signing import NETWORK
from cobot_meter.domain.invoices import InvoiceOrder
from cobot_pay import DevWallet, PaymentFailed, PaymentUnknown
from cobot_pay.invoice_terms import read_invoice
from tests.fakes.clock import FakeClock
from tests.fakes.servers.serving import refused_address, serving

PREIMAGE = b"\x33" * 32
ORDER = InvoiceOrder(
    preimage=PREIMAGE,
    payment_hash=sha256(PREIMAGE).hexdigest(),
    amount_msat=42_000,
    memo="tests",
    expiry_s=600,
)
ANSWERED = {
    "payment_preimage": PREIMAGE.hex(),
    "payment_hash": ORDER.payment_hash,
    "amount_msat": 42_000,
    "fee_msat": 0,
}


@pytest.fixture
async def answering() -> AsyncIterator[Callable[[Response], str]]:
    """Sets what a `POST /pay` is answered with, and gives the wallet's address."""
    answers: list[Response] = []

    async def pay(request: Request) -> Response:
        await request.body()
        return answers[-1]

    def answer(response: Response) -> str:
        answers.append(response)
        return address

    async with serving(Starlette(routes=[Route("/pay", pay, methods=["POST"])])) as address:
        yield answer


def test_the_default_is_where_the_node_listens() -> None:
    """Without settings the wallet pays through the node's own address."""
    assert DevWallet()._url == "http://127.0.0.1:8404/pay"


async def test_it_pays_the_development_node(tmp_path: Path) -> None:
    """Against the real face: the preimage of the invoice, its amount, and no fee."""
    node = DevNode(path=tmp_path / "node.jsonl", network=NETWORK, alias="tests", clock=FakeClock())
    try:
        invoice = await node.add_invoice(ORDER)
        assert read_invoice(invoice.payment_request).payment_hash == ORDER.payment_hash
        async with serving(dev_node_face(node)) as address:
            wallet = DevWallet(address)
            assert await wallet.outcome(ORDER.payment_hash) is None
            payment = await wallet.pay(invoice.payment_request, max_fee_msat=0)
            link = f"lightning:{invoice.payment_request.upper()}"
            assert await wallet.pay(link, max_fee_msat=0) == payment
            assert await wallet.outcome(ORDER.payment_hash) == payment
    finally:
        node.close()
    assert payment.preimage == PREIMAGE.hex()
    assert (payment.amount_msat, payment.fee_msat) == (42_000, 0)


async def test_nobody_there_is_certainly_unpaid() -> None:
    """A refused connection means that no byte reached the node; it says nothing of the past."""
    with refused_address() as address:
        with pytest.raises(PaymentFailed, match=re.escape(address)):
            await DevWallet(address).pay("lnbc1", max_fee_msat=0)
        with pytest.raises(PaymentUnknown, match="ab"):
            await DevWallet(address).outcome("ab" * 32)


async def test_a_refusal_is_certainly_unpaid(answering: Callable[[Response], str]) -> None:
    """A 4xx says that this payment was not made, and why."""
    address = answering(Response(b'{"error":{"message":"it has expired"}}', status_code=410))
    with pytest.raises(PaymentFailed, match="it has expired"):
        await DevWallet(address).pay("lnbc1", max_fee_msat=0)


@pytest.mark.parametrize(
    "response",
    [
        Response(b"", status_code=500),
        Response(b"", status_code=503),
        Response(b"no JSON"),
        Response(b"[]"),
        Response(b"{}"),
        Response(orjson.dumps(ANSWERED | {"amount_msat": "42000"})),
        Response(orjson.dumps(ANSWERED | {"amount_msat": True})),
        Response(orjson.dumps(ANSWERED | {"payment_preimage": None})),
    ],
)
async def test_what_is_no_answer_is_unknown(
    answering: Callable[[Response], str], response: Response
) -> None:
    """A 5xx or an answer without a payment never counts as unpaid."""
    with pytest.raises(PaymentUnknown):
        await DevWallet(answering(response)).pay("lnbc1", max_fee_msat=0)


async def test_a_lost_answer_is_unknown() -> None:
    """The node got the request and the connection broke: it may have paid."""

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(PaymentUnknown, match="did not arrive"):
            await DevWallet(f"http://127.0.0.1:{port}").pay("lnbc1", max_fee_msat=0)
