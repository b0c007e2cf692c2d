"""A seller of credit and keys in memory, with the development node that is paid: the real shapes.

It answers as `/v1/topups`, `/v1/keys`, `/v1/credits` and chat completions of the service do:
whoever changes those changes this.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cobot_pay.invoice_terms import read_invoice
from tests.client.seller import invoice_text

PRICE_MSAT = 7_000
Document = dict[str, Any]


@dataclass
class OpenTopup:
    """A top-up that was asked for."""

    amount_sat: int
    caller: str
    preimage: str
    wish: Document | None
    invoice: str
    by_key: bool = False  # then its proof is that key and no more
    credited: bool = False
    key: str = ""


@dataclass
class KeySeller:
    """Callers with credit, keys that name them, and top-ups by their payment hash."""

    credit_msat: dict[str, int] = field(default_factory=dict)
    keys: dict[str, Document] = field(default_factory=dict)  # by secret
    topups: dict[str, OpenTopup] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    by_idempotency_key: dict[str, str] = field(default_factory=dict)
    payments: int = 0
    paid: asyncio.Event = field(default_factory=asyncio.Event)  # set by the first payment
    told: asyncio.Event | None = None  # until it is set, nobody is told that it was paid
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def app(self) -> Starlette:
        """The seller and the node that it is paid through."""
        return Starlette(
            routes=[
                Route("/pay", self.pay, methods=["POST"]),
                Route("/payments/{payment_hash}", self.payment, methods=["GET"]),
                Route("/v1/topups", self.topup, methods=["POST"]),
                Route("/v1/keys", self.list_keys, methods=["GET"]),
                Route("/v1/keys", self.create_key, methods=["POST"]),
                Route("/v1/keys/{key_id}/rotate", self.rotate_key, methods=["POST"]),
                Route("/v1/keys/{key_id}", self.revoke_key, methods=["DELETE"]),
                Route("/v1/credits", self.credits, methods=["GET"]),
                Route("/v1/models", self.models, methods=["GET"]),
                Route("/v1/chat/completions", self.complete, methods=["POST"]),
            ]
        )

    async def pay(self, request: Request) -> Response:
        """The development node's."""
        invoice = (await request.json())["payment_request"]
        terms = read_invoice(invoice)
        if terms.payment_hash not in self.topups:
            return JSONResponse({"error": {"message": "no such invoice"}}, status_code=404)
        self.payments += terms.payment_hash not in self.settled
        self.settled.add(terms.payment_hash)
        topup = self.topups[terms.payment_hash]
        self.paid.set()
        if self.told is not None:
            await self.told.wait()
        amount_msat = terms.amount_msat
        said = {"payment_preimage": topup.preimage, "amount_msat": amount_msat, "fee_msat": 0}
        return JSONResponse(said)

    async def payment(self, request: Request) -> Response:
        """The development node's: what became of a payment; it cannot say of others' invoices."""
        payment_hash = request.path_params["payment_hash"]
        topup = self.topups.get(payment_hash)
        if topup is None:
            return Response(status_code=503)
        if payment_hash not in self.settled:
            return Response(status_code=404)
        amount_msat = topup.amount_sat * 1_000
        paid = {"payment_preimage": topup.preimage, "amount_msat": amount_msat, "fee_msat": 0}
        return JSONResponse(paid)

    async def topup(self, request: Request) -> Response:
        """402 with an invoice; 200 to its proof."""
        body = await request.json()
        amount_sat = body["amount_sat"]
        if amount_sat < 1:
            return _error(400, "invalid_request", "`amount_sat` is 1 or more.")
        named = request.headers.get("Idempotency-Key", "")
        payment_hash, _ = self._proved(request)
        caller = self._caller(request)
        known = self.by_idempotency_key.get(named, "")
        if payment_hash and (not named or known == payment_hash):
            return self._credited(payment_hash)
        if not known:
            known = self.open(amount_sat, caller or f"c_{next(self.numbers)}", body.get("key"))
            if caller is not None:  # there is nobody else to remember a name for
                self.by_idempotency_key[named] = known
            self.topups[known].by_key = self._is_key(request)
        return self._challenge(known)

    async def list_keys(self, request: Request) -> Response:
        """To a proof."""
        caller = self._manager(request)
        if caller is None:
            return _error(402, "invalid_credential", "Keys are managed with a proof.")
        mine = [one["data"] for one in self.keys.values() if one["caller"] == caller]
        return JSONResponse({"object": "list", "data": mine[::-1]})

    async def create_key(self, request: Request) -> Response:
        """To a proof."""
        caller = self._manager(request)
        if caller is None:
            return _error(402, "invalid_credential", "Keys are managed with a proof.")
        secret = self._new_key(caller, await request.json())
        return JSONResponse({"key": secret, "data": self.keys[secret]["data"]}, status_code=201)

    async def rotate_key(self, request: Request) -> Response:
        """The old secret ends."""
        secret = self._secret_of(request)
        if not secret:
            return _error(404, "not_found", "No such key.")
        rotated = _secret(next(self.numbers))
        self.keys[rotated] = self.keys.pop(secret)
        self.keys[rotated]["data"]["label"] = rotated[:15]
        return JSONResponse({"key": rotated, "data": self.keys[rotated]["data"]})

    async def revoke_key(self, request: Request) -> Response:
        """It is shown as revoked."""
        secret = self._secret_of(request)
        if not secret:
            return _error(404, "not_found", "No such key.")
        self.keys[secret]["data"]["state"] = "revoked"
        return JSONResponse({"data": self.keys[secret]["data"]})

    async def credits(self, request: Request) -> Response:
        """To a proof or a key."""
        caller = self._caller(request)
        if caller is None:
            return _error(402, "invalid_credential", "No caller is named.")
        available = {"available_msat": self.credit_msat.get(caller, 0), "reserved_msat": 0}
        totals = {"total_credits": 0.0, "total_usage": 0.0}
        return JSONResponse({"data": totals, "cobot": {"caller_id": caller, **available}})

    async def models(self, _: Request) -> Response:
        """One."""
        return JSONResponse({"object": "list", "data": [{"id": "a/model"}]})

    async def complete(self, request: Request) -> Response:
        """From credit; without enough of it a challenge to top up."""
        body = await request.json()
        caller = self._caller(request)
        if caller is None or self.credit_msat.get(caller, 0) < PRICE_MSAT:
            opened = self.open(20, caller or f"c_{next(self.numbers)}", None)
            self.topups[opened].by_key = self._is_key(request)
            return self._challenge(opened)
        self.credit_msat[caller] -= PRICE_MSAT
        said = f"You said: {body['messages'][-1]['content']}"
        chunk = f'data: {{"choices":[{{"delta":{{"content":"{said}"}}}}]}}\n\ndata: [DONE]\n\n'
        return Response(chunk, media_type="text/event-stream")

    def open(self, amount_sat: int, caller: str, wish: Document | None) -> str:
        """A new top-up; its payment hash."""
        preimage = sha256(f"topup {next(self.numbers)}".encode()).digest()
        payment_hash = sha256(preimage).hexdigest()
        invoice = invoice_text(payment_hash, amount_sat * 1_000)
        self.topups[payment_hash] = OpenTopup(amount_sat, caller, preimage.hex(), wish, invoice)
        return payment_hash

    def _challenge(self, payment_hash: str) -> Response:
        topup = self.topups[payment_hash]
        macaroon = f"mac{payment_hash}"
        error = {"message": "Payment required.", "code": "payment_required"}
        flat = {"invoice": topup.invoice, "macaroon": macaroon, "payment_hash": payment_hash}
        return JSONResponse(
            {"error": error, **flat, "price_sats": topup.amount_sat},
            status_code=402,
            headers={"WWW-Authenticate": f'L402 macaroon="{macaroon}", invoice="{topup.invoice}"'},
        )

    def _credited(self, payment_hash: str) -> Response:
        topup = self.topups[payment_hash]
        if topup.wish is not None and not topup.key:
            topup.key = self._new_key(topup.caller, topup.wish)
        key = {"key": topup.key, "data": self.keys[topup.key]["data"]} if topup.key else None
        state = {"id": "top_1", "object": "topup", "state": "credited"}
        available = {"available_msat": self.credit_msat[topup.caller]}
        return JSONResponse({"topup": state, **available, "key": key})

    def _new_key(self, caller: str, wish: Document) -> str:
        number = next(self.numbers)
        secret = _secret(number)
        data = {"id": f"key_{number}", "state": "live", "label": secret[:15], "name": "", **wish}
        self.keys[secret] = {"caller": caller, "data": data}
        return secret

    def _secret_of(self, request: Request) -> str:
        caller = self._manager(request)
        key_id = request.path_params["key_id"]
        return next(
            (
                secret
                for secret, one in self.keys.items()
                if one["data"]["id"] == key_id and one["caller"] == caller
            ),
            "",
        )

    def _proved(self, request: Request) -> tuple[str, str | None]:
        """The payment hash and the caller of a proof; a paid top-up is credited at its sight."""
        scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
        macaroon, _, preimage = credential.partition(":")
        if scheme != "L402" or not preimage:
            return "", None
        payment_hash = sha256(bytes.fromhex(preimage)).hexdigest()
        topup = self.topups.get(payment_hash)
        if topup is None or macaroon != f"mac{payment_hash}" or payment_hash not in self.settled:
            return "", None
        if not topup.credited:
            topup.credited = True
            held_msat = self.credit_msat.get(topup.caller, 0)
            self.credit_msat[topup.caller] = held_msat + topup.amount_sat * 1_000
        return payment_hash, topup.caller

    def _manager(self, request: Request) -> str | None:
        """Who may manage keys: a proof, but none that a key has paid for."""
        payment_hash, caller = self._proved(request)
        return None if caller is None or self.topups[payment_hash].by_key else caller

    def _is_key(self, request: Request) -> bool:
        payment_hash, _ = self._proved(request)
        if payment_hash:
            return self.topups[payment_hash].by_key
        return request.headers.get("Authorization", "").startswith("Bearer sk-cobot-")

    def _caller(self, request: Request) -> str | None:
        _, caller = self._proved(request)
        if caller is not None:
            return caller
        key = self.keys.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        return key["caller"] if key and key["data"]["state"] == "live" else None


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "code": code}}, status_code=status)


def _secret(number: int) -> str:
    """A key's text: they differ in how they begin, as random ones do."""
    return f"sk-cobot-{number:06d}{'0' * 37}"
