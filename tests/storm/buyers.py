"""Callers who buy through every outage: they repeat what they asked until it is decided.

What a caller may do after a cut connection or a 5xx is to send the same request again; that is all
these do.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import grpc
import httpx

from cobot_pay.errors import PaymentFailed, PaymentUnknown
from cobot_pay.invoice_terms import read_invoice
from cobot_pay.lnd_wallet import LndWallet
from cobot_pay.wallet import Payment
from deploy.regtest.lnd.connection import invoicesrpc, lnrpc
from deploy.regtest.network import Network
from tests.end_to_end.live import Live, ask_body, proof_of

REPEAT_S = 0.1
DECIDED_WITHIN_S = 90.0
# Longer than an invoice lives: a payment that finds no way ends with it.
PAID_WITHIN_S = 660.0
FEE_MSAT = 100_000
REFUSED = "incorrect_payment_details"
OK, PAYMENT_REQUIRED, LOST_RUN = 200, 402, 502


@dataclass(slots=True)
class Purchase:
    """One completion, and how far it got. `wrongs` is what must never happen.

    `nodes_disagree` when bob's lnd says that it was paid and alice's that it never was: bob's was
    killed between settling its invoice and settling the channel, and failed the payment afterwards.
    `lapsed` when alice's lnd found no way until bob's had canceled the invoice.
    """

    text: str
    payment_hash: str = ""
    preimage: str = ""
    delivered: bool = False
    run_lost: bool = False
    nodes_disagree: bool = False
    lapsed: bool = False
    repeats: int = 0
    wrongs: tuple[str, ...] = ()

    def wrong(self, what: str) -> None:
        """Note it; the storm goes on."""
        self.wrongs = (*self.wrongs, f"{self.text}: {what}")


class Buyer:
    """Buys one completion after the other from one service, with alice's wallet."""

    def __init__(self, live: Live, network: Network, name: str) -> None:
        """`name` keeps its questions apart from those of others."""
        self._live = live
        self._network = network
        self._name = name
        self._wallet = LndWallet(
            address=network.alice.rpc_address,
            tls_cert_path=network.alice.tls_cert_path,
            macaroon_path=network.alice.admin_macaroon_path,
        )
        self.purchases: list[Purchase] = []

    async def buy_until(self, over: asyncio.Event) -> None:
        """Begin no purchase after `over`, and finish the one that is under way."""
        while not over.is_set():
            purchase = Purchase(text=f"storm {self._name}-{len(self.purchases)}")
            self.purchases.append(purchase)
            await self._buy(purchase)

    async def _buy(self, purchase: Purchase) -> None:
        challenge = await self._decided(purchase, {})
        if challenge.status_code == LOST_RUN:
            purchase.run_lost = True
            return
        if challenge.status_code != PAYMENT_REQUIRED:
            purchase.wrong(f"unpaid, and answered {challenge.status_code} {challenge.text[:200]}")
            return
        invoice = str(challenge.json()["invoice"])
        payment_hash = read_invoice(invoice).payment_hash
        payment = await self._paid(invoice, payment_hash)
        if payment is None:
            purchase.lapsed = await self._at_bob(payment_hash) == lnrpc.Invoice.CANCELED
            purchase.nodes_disagree = not purchase.lapsed
            return
        purchase.preimage = payment.preimage
        purchase.payment_hash = hashlib.sha256(bytes.fromhex(payment.preimage)).hexdigest()
        answer = await self._decided(purchase, proof_of(challenge, payment.preimage))
        purchase.delivered = answer.status_code == OK
        if not purchase.delivered:
            purchase.wrong(f"paid, and answered {answer.status_code} {answer.text[:200]}")

    async def _decided(self, purchase: Purchase, proof: Mapping[str, str]) -> httpx.Response:
        """The first answer that is one: not a cut connection, and not a request to repeat it."""
        body = ask_body(purchase.text)
        async with asyncio.timeout(DECIDED_WITHIN_S):
            while True:
                try:
                    answer = await self._live.ask(body, **proof)
                except httpx.TransportError:
                    answer = None
                if answer is not None and not _says_repeat(answer):
                    return answer
                purchase.repeats += 1
                await asyncio.sleep(REPEAT_S)

    async def _paid(self, payment_request: str, payment_hash: str) -> Payment | None:
        """Pay as an agent does: what failed did not arrive, what is unknown is asked after.

        A payment may be on its way to a node that was killed under it, and stay there for a while.
        None when bob's node says that it was paid, and alice's that nothing was; or that it can be
        paid no more.
        """
        async with asyncio.timeout(PAID_WITHIN_S):
            while True:
                try:
                    return await self._wallet.pay(payment_request, max_fee_msat=FEE_MSAT)
                except PaymentUnknown:
                    continue
                except PaymentFailed as failed:
                    said = await self._at_bob(payment_hash)
                    refused = REFUSED in str(failed) and said == lnrpc.Invoice.SETTLED
                    if refused or said == lnrpc.Invoice.CANCELED:
                        return None
                    await self._network.alice.forget_failures()
                    await asyncio.sleep(REPEAT_S)

    async def _at_bob(self, payment_hash: str) -> int | None:
        """The state of the invoice as bob's lnd says it; None while it says nothing."""
        message = invoicesrpc.LookupInvoiceMsg(payment_hash=bytes.fromhex(payment_hash))
        try:
            async with self._network.bob.services() as services:
                found = await services.invoices.LookupInvoiceV2(
                    message, timeout=5, metadata=services.metadata
                )
        except (grpc.aio.AioRpcError, OSError):  # killed just now: the next failure asks again
            return None
        return int(found.state)


def _says_repeat(answer: httpx.Response) -> bool:
    """503 of any kind, and whatever else names a time to come back."""
    return answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
