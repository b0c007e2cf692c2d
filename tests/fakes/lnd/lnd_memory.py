"""What the fake LND knows: invoices, payments and who listens. Must not know: gRPC."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import coincurve

from cobot_meter.adapters.lightning.bolt11 import Bolt11Terms, decode_bolt11, sign_bolt11
from cobot_meter.adapters.lightning.lnd.stubs import lnrpc

PREFIX = "bcrt"
HEIGHT = 500
PART_STATES = lnrpc.InvoiceHTLCState
Message = Any
Untyped = Any


class SaidNo(Exception):
    """An error as lnd gives it, with code UNKNOWN unless it says another."""

    def __init__(self, text: str, *, code: str = "UNKNOWN") -> None:
        super().__init__(text)
        self.text = text
        self.code = code


@dataclass
class Kept:
    """One invoice."""

    payment_hash: bytes
    preimage: bytes
    value_msat: int
    memo: str
    expiry_s: int
    created_at_s: int
    payment_request: str
    add_index: int
    is_hold: bool = False
    state: int = lnrpc.Invoice.OPEN
    paid_msat: int = 0
    settle_index: int = 0
    parts: list[Message] = field(default_factory=list)

    def told(self) -> Message:
        """As lnd tells of it."""
        return lnrpc.Invoice(
            r_hash=self.payment_hash,
            r_preimage=self.preimage,
            value_msat=self.value_msat,
            value=self.value_msat // 1000,
            memo=self.memo,
            expiry=self.expiry_s,
            creation_date=self.created_at_s,
            payment_request=self.payment_request,
            add_index=self.add_index,
            settle_index=self.settle_index,
            state=self.state,
            amt_paid_msat=self.paid_msat,
            htlcs=self.parts,
        )


class LndMemory:
    """Survives a restart of the server in front of it."""

    def __init__(self) -> None:
        self.key = coincurve.PrivateKey()
        self.invoices: dict[bytes, Kept] = {}
        self.listeners: set[asyncio.Queue[Message]] = set()
        self.ahead_s = 0
        self._settled = 0

    @property
    def pubkey(self) -> str:
        return self.key.public_key.format().hex()

    def add(self, order: Message, *, preimage: bytes, is_hold: bool = False) -> Kept:
        """Make an invoice; refuses what lnd refuses."""
        payment_hash = order.hash if is_hold else hashlib.sha256(preimage).digest()
        if len(payment_hash) != 32:
            raise SaidNo(f"invalid hash length of {len(payment_hash)}, want 32")
        if order.value_msat < 0:
            raise SaidNo("amount cannot be negative")
        if payment_hash in self.invoices:
            raise SaidNo("invoice with payment hash already exists")
        created_at_s = int(time.time()) + self.ahead_s
        kept = Kept(
            payment_hash=payment_hash,
            preimage=preimage,
            value_msat=order.value_msat,
            memo=order.memo,
            expiry_s=order.expiry or 86_400,
            created_at_s=created_at_s,
            payment_request="",
            add_index=len(self.invoices) + 1,
            is_hold=is_hold,
        )
        kept.payment_request = self.sign(kept)
        self.invoices[payment_hash] = kept
        self._tell(kept)
        return kept

    def sign(self, kept: Kept, **other: Untyped) -> str:
        """The invoice as text, with some terms replaced."""
        terms = Bolt11Terms(
            prefix=PREFIX,
            payment_hash=kept.payment_hash.hex(),
            payment_secret=secrets.token_hex(32),
            timestamp_s=kept.created_at_s,
            amount_msat=kept.value_msat,
            description=kept.memo,
            expiry_s=kept.expiry_s,
            min_final_cltv=80,
        )
        key = other.pop("key", self.key)
        return sign_bolt11(dataclasses.replace(terms, **other), key)

    def find(self, payment_hash: bytes) -> Kept:
        """The invoice, canceled if its time is over."""
        kept = self.invoices.get(payment_hash)
        if kept is None:
            raise SaidNo("unable to locate invoice", code="NOT_FOUND")
        now_s = time.time() + self.ahead_s
        if kept.state == lnrpc.Invoice.OPEN and now_s >= kept.created_at_s + kept.expiry_s:
            self.cancel(kept)
        return kept

    def cancel(self, kept: Kept) -> None:
        """Give every part back; refuses when it is settled."""
        if kept.state == lnrpc.Invoice.SETTLED:
            raise SaidNo("invoice already settled")
        kept.state = lnrpc.Invoice.CANCELED
        for part in kept.parts:
            part.state = PART_STATES.CANCELED
        self._tell(kept)

    def settle(self, kept: Kept, paid_msat: int) -> None:
        """All parts have come and are taken."""
        self._settled += 1
        kept.state, kept.paid_msat, kept.settle_index = (
            lnrpc.Invoice.SETTLED,
            paid_msat,
            self._settled,
        )
        for part in kept.parts:
            part.state = PART_STATES.SETTLED
        self._tell(kept)

    def show_preimage(self, preimage: bytes) -> None:
        """Settle a hold invoice."""
        if len(preimage) != 32:
            raise SaidNo(f"invalid preimage length of {len(preimage)}, want 32")
        try:
            kept = self.find(hashlib.sha256(preimage).digest())
        except SaidNo as no:
            raise SaidNo(no.text) from no  # here lnd gives no code of its own
        if kept.state == lnrpc.Invoice.CANCELED:
            raise SaidNo("invoice already canceled")
        if kept.state == lnrpc.Invoice.OPEN:
            raise SaidNo("invoice still open")
        if kept.state == lnrpc.Invoice.ACCEPTED:
            kept.preimage = preimage
            self.settle(kept, kept.paid_msat)

    def pay(self, payment_request: str, *, amount_msat: int | None = None) -> str | None:
        """The preimage, `` while it is held, or None when the payment is refused."""
        kept = self._payable(payment_request)
        if kept is None:
            return None
        paid_msat = amount_msat or kept.value_msat
        kept.parts = [_part(paid_msat)]
        if not kept.is_hold:
            self.settle(kept, paid_msat)
            return kept.preimage.hex()
        kept.state, kept.paid_msat = lnrpc.Invoice.ACCEPTED, paid_msat
        self._tell(kept)
        return ""

    async def paid(self, payment_request: str) -> str | None:
        """Pay and wait for the end: the preimage, or None when it came back."""
        preimage = self.pay(payment_request)
        while preimage == "":
            await asyncio.sleep(0.005)
            kept = self.find(bytes.fromhex(decode_bolt11(payment_request).payment_hash))
            if kept.state == lnrpc.Invoice.CANCELED:
                return None
            preimage = kept.preimage.hex()
        return preimage

    def bring_part(self, payment_request: str) -> None:
        """One part of a payment arrives; the others are awaited."""
        kept = self._payable(payment_request)
        assert kept is not None
        kept.parts = [_part(kept.value_msat // 2)]

    def give_part_up(self, payment_request: str) -> None:
        """The other parts have not come in time."""
        for part in self.find(bytes.fromhex(decode_bolt11(payment_request).payment_hash)).parts:
            part.state = PART_STATES.CANCELED

    def settled_above(self, index: int) -> list[Kept]:
        """In the order of their making, as the SQL stores of lnd replay."""
        kept = [each for each in self.invoices.values() if each.settle_index > index]
        return sorted(kept, key=lambda each: each.add_index)

    def _payable(self, payment_request: str) -> Kept | None:
        kept = self.find(bytes.fromhex(decode_bolt11(payment_request).payment_hash))
        return kept if kept.state == lnrpc.Invoice.OPEN else None

    def _tell(self, kept: Kept) -> None:
        for listener in self.listeners:
            listener.put_nowait(kept.told())


def _part(amount_msat: int) -> Message:
    return lnrpc.InvoiceHTLC(
        amt_msat=amount_msat, state=PART_STATES.ACCEPTED, expiry_height=HEIGHT + 80
    )
