"""What every wallet must do, held against each of them over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import grpc
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cobot_meter.adapters.lightning.lnd.stubs import lnrpc
from cobot_pay import DevWallet, Payment, PaymentFailed, PaymentUnknown
from tests.client.fake_router import CUT, NEVER_HEARD, FakeRouter, Fault, wallet_of
from tests.client.seller import invoice_text
from tests.client.wallets.nwc_service import serving_wallet
from tests.fakes.servers.serving import serving

PREIMAGE = "44" * 32
HASH = sha256(bytes.fromhex(PREIMAGE)).hexdigest()
INVOICE = invoice_text(HASH, 42_000)
# What the wallet's other side does with an invoice.
PAYS, REFUSES, PAYS_UNHEARD = "pays", "refuses", "pays and is not heard"


class AnyWallet(Protocol):
    """A wallet that can also say what became of a payment."""

    async def pay(self, payment_request: str, *, max_fee_msat: int) -> Payment: ...

    async def outcome(self, payment_hash: str) -> Payment | None: ...


Rig = Callable[[Path, str], AbstractAsyncContextManager[AnyWallet]]


@asynccontextmanager
async def development(_: Path, does: str) -> AsyncIterator[AnyWallet]:
    """The development node's face."""
    paid = {"payment_preimage": PREIMAGE, "amount_msat": 42_000, "fee_msat": 0}
    answers = {
        PAYS: JSONResponse(paid),
        REFUSES: JSONResponse({"error": {"message": "expired"}}, status_code=410),
        PAYS_UNHEARD: Response(status_code=503),
    }

    async def pay(request: Request) -> Response:
        await request.body()
        return answers[does]

    async def payment(_request: Request) -> Response:
        return Response(status_code=404) if does == REFUSES else JSONResponse(paid)

    routes = [Route("/pay", pay, methods=["POST"]), Route("/payments/{hash}", payment)]
    async with serving(Starlette(routes=routes)) as address:
        yield DevWallet(address)


@asynccontextmanager
async def lnd(folder: Path, does: str) -> AsyncIterator[AnyWallet]:
    """LND's router."""
    paid = lnrpc.Payment(
        status=lnrpc.Payment.SUCCEEDED,
        payment_hash=HASH,
        payment_preimage=PREIMAGE,
        value_msat=42_000,
    )
    refused = Fault(grpc.StatusCode.UNKNOWN, "invoice expired")
    send, track = {
        PAYS: ([paid], [NEVER_HEARD, paid]),
        REFUSES: ([refused], [NEVER_HEARD]),
        PAYS_UNHEARD: ([CUT], [NEVER_HEARD, *[CUT] * 40, paid]),
    }[does]
    search_s = -9 if does == PAYS_UNHEARD else 5  # 1 s in all, and the margin is 10
    async with wallet_of(FakeRouter(send=send, track=track), folder, search_s=search_s) as wallet:
        yield wallet


@asynccontextmanager
async def nostr(_: Path, does: str) -> AsyncIterator[AnyWallet]:
    """A wallet service at a relay."""
    async with serving_wallet() as service:
        service.preimages[HASH] = PREIMAGE
        if does == REFUSES:
            service.error = ("INSUFFICIENT_BALANCE", "expired")
        if does == PAYS_UNHEARD:
            service.pays_and_says = {"error": {"code": "INTERNAL", "message": "who knows"}}
            service.methods = "pay_invoice"
            await service.announce()
        yield service.wallet()


@pytest.fixture(params=[development, lnd, nostr], ids=lambda rig: rig.__name__)
def rig(request: pytest.FixtureRequest) -> Rig:
    """One wallet with its other side."""
    rig: Rig = request.param
    return rig


async def test_it_pays_and_brings_the_preimage(rig: Rig, tmp_path: Path) -> None:
    """Of that invoice, with the amount that was paid."""
    async with rig(tmp_path, PAYS) as wallet:
        payment = await wallet.pay(INVOICE, max_fee_msat=5_000)
    assert (payment.preimage, payment.amount_msat) == (PREIMAGE, 42_000)
    assert payment.fee_msat <= 5_000


async def test_it_pays_once_however_the_invoice_is_written(rig: Rig, tmp_path: Path) -> None:
    """Again, as a link in capitals, it brings the same preimage; and so does its look-up."""
    async with rig(tmp_path, PAYS) as wallet:
        first = await wallet.pay(INVOICE, max_fee_msat=5_000)
        again = await wallet.pay(f"lightning:{INVOICE.upper()}", max_fee_msat=5_000)
        assert again == first
        assert await wallet.outcome(HASH) == first


async def test_a_refusal_is_a_failure(rig: Rig, tmp_path: Path) -> None:
    """Certainly nothing was paid, and its reason is told."""
    async with rig(tmp_path, REFUSES) as wallet:
        with pytest.raises(PaymentFailed, match="expired"):
            await wallet.pay(INVOICE, max_fee_msat=5_000)


async def test_what_is_not_heard_is_unknown(rig: Rig, tmp_path: Path) -> None:
    """The other side paid, and its answer is missing: never a failure."""
    async with rig(tmp_path, PAYS_UNHEARD) as wallet:
        with pytest.raises(PaymentUnknown):
            await wallet.pay(INVOICE, max_fee_msat=5_000)
