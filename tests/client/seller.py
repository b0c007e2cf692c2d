"""A seller in memory with real invoices and our own 402, and wallets that pay it.

The same seller answers through httpx's mock transport and as an ASGI application.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import replace
from hashlib import sha256

import coincurve
import httpx
import orjson
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from cobot_meter.adapters.lightning.bolt11 import Bolt11Terms, sign_bolt11
from cobot_meter.domain import errors
from cobot_meter.domain.escrow.record import Escrow, IssuedInvoice
from cobot_meter.http_api.http.error_table import error_response
from cobot_meter.http_api.http.exchange import PlainAnswer, json_answer
from cobot_meter.http_api.l402.challenges import Challenges
from cobot_meter.http_api.l402.credentials import parse_credentials
from cobot_meter.http_api.l402.tokens import Tokens
from cobot_pay import Payment, PaymentFailed
from tests.http_api.samples import PUBLIC_URL, SECRET, invoiced_escrow

NOW_S = 1_763_837_000
KEY = coincurve.PrivateKey(b"\x11" * 32)


def invoice_text(payment_hash: str, amount_msat: int | None) -> str:
    """A signed regtest invoice."""
    terms = Bolt11Terms(
        prefix="bcrt",
        payment_hash=payment_hash,
        payment_secret="22" * 32,
        timestamp_s=NOW_S,
        amount_msat=amount_msat,
        description="tests",
        expiry_s=600,
    )
    return sign_bolt11(terms, KEY)


class Seller:
    """Sells one completion per body, at `price_sats`; the counters say how it was treated."""

    def __init__(self, *, price_sats: int = 7) -> None:
        self.price_sats = price_sats
        self.tokens = Tokens(secret=SECRET)
        self.challenges = Challenges(tokens=self.tokens, public_url=PUBLIC_URL)
        self.sales: dict[str, Escrow] = {}
        self.preimages: dict[str, bytes] = {}  # by payment request
        self.settled: set[str] = set()
        self.authorizations: list[list[str]] = []  # of each ask
        self.callers: list[str | None] = []  # that each ask proved
        self.answers: list[PlainAnswer] = []  # given before anything else is looked at
        self.unseen_payments = 0  # how many proofs the seller's node has not heard of yet
        self._numbers = itertools.count(1)

    def answer(self, lines: list[bytes], body: bytes) -> PlainAnswer:
        """What an ask with these `Authorization` lines gets."""
        proof = self.tokens.prove(parse_credentials(lines), now_s=NOW_S)
        self.authorizations.append([line.decode() for line in lines])
        self.callers.append(proof.caller_id if proof else None)
        if self.answers:
            return self.answers.pop(0)
        digest = sha256(body).hexdigest()
        sale = self.sales.setdefault(digest, self._new_sale(digest))
        caller_id = proof.caller_id if proof else f"c_{next(self._numbers)}"
        if proof and proof.payment_hash == sale.payment_hash:
            if not self.unseen_payments:
                return completion(body)
            self.unseen_payments -= 1
        elif sale.payment_hash in self.settled:
            return self.challenges.already_paid(sale, message="Paid.", caller_id=caller_id)
        return self.challenges.for_escrow(sale, caller_id=caller_id)

    def transport(self) -> httpx.MockTransport:
        """For httpx's clients, without a network."""
        return httpx.MockTransport(self._handle)

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """As an ASGI application: for anybody's client, over a socket."""
        assert scope["type"] == "http"
        body, more = b"", True
        while more:
            message = await receive()
            assert message["type"] == "http.request"
            body, more = body + message["body"], message["more_body"]
        lines = [value for name, value in scope["headers"] if name == b"authorization"]
        status, headers, content, _ = self.answer(lines, body)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content, "more_body": False})

    def _handle(self, request: httpx.Request) -> httpx.Response:
        lines = [value for name, value in request.headers.raw if name.lower() == b"authorization"]
        status, headers, content, _ = self.answer(lines, request.content)
        return httpx.Response(status, headers=headers, content=content)

    def _new_sale(self, digest: str) -> Escrow:
        escrow = invoiced_escrow()
        assert escrow.invoice is not None
        preimage = sha256(b"preimage" + digest.encode()).digest()
        payment_hash = sha256(preimage).hexdigest()
        amount_msat = self.price_sats * 1_000
        text = invoice_text(payment_hash, amount_msat)
        self.preimages[text] = preimage
        return replace(
            escrow,
            escrow_id="esc_" + digest,
            run_id="esc_" + digest,
            run=replace(escrow.run, run_id="esc_" + digest, escrow_id="esc_" + digest),
            ask=replace(escrow.ask, request_sha256=digest),
            payment_hash=payment_hash,
            invoice=IssuedInvoice(
                payment_request=text,
                amount_msat=amount_msat,
                expires_at_s=NOW_S + 600,
            ),
        )


class SellersWallet:
    """Pays the seller's invoices as told; `paid` are the payment requests it paid."""

    def __init__(self, seller: Seller) -> None:
        self._seller = seller
        self.charges_fees = True
        self.fee_limits: list[int] = []  # that each payment was allowed
        self.paid: list[str] = []
        self.refuses = False
        self.lie = ""  # told in place of the preimage
        self.fee_msat = 0
        self.started = asyncio.Event()  # set by the first payment
        self.gate: asyncio.Event | None = None  # held until it is set

    async def pay(self, payment_request: str, *, max_fee_msat: int) -> Payment:
        if self.refuses:
            raise PaymentFailed("no route")
        self.paid.append(payment_request)
        self.fee_limits.append(max_fee_msat)
        self.started.set()
        preimage = self._seller.preimages[payment_request]
        payment_hash = sha256(preimage).hexdigest()
        self._seller.settled.add(payment_hash)
        await (self.gate.wait() if self.gate else asyncio.sleep(0))
        return Payment(
            preimage=self.lie or preimage.hex().upper(),
            amount_msat=self._seller.price_sats * 1_000,
            fee_msat=self.fee_msat,
        )


def completion(body: bytes) -> PlainAnswer:
    """A chat.completion that repeats the last message, as JSON or as server-sent events."""
    asked = json.loads(body)
    said = f"You said: {asked['messages'][-1]['content']}"
    document = {"id": "gen-1", "created": 1, "model": asked["model"]}
    if not asked.get("stream"):
        choice = {"index": 0, "finish_reason": "stop"}
        message = {"role": "assistant", "content": said}
        whole = {"object": "chat.completion", "choices": [{**choice, "message": message}]}
        return json_answer(200, document | whole)
    delta = {"index": 0, "delta": {"content": said}, "finish_reason": "stop"}
    chunk = document | {"object": "chat.completion.chunk", "choices": [delta]}
    events = b"data: " + orjson.dumps(chunk) + b"\n\ndata: [DONE]\n\n"
    return PlainAnswer(200, [(b"content-type", b"text/event-stream")], events)


def cost_pending(retry_after_s: int = 0) -> PlainAnswer:
    """503: the run is there and its cost is not."""
    return error_response(errors.CostPending("Ask again.", retry_after_s=retry_after_s))
