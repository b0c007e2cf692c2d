"""What a wallet must be able to do. Must not know: HTTP, macaroons or budgets."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol, runtime_checkable

_PREIMAGE_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment that went through. `preimage` is 64 hex digits; the fee comes on top."""

    preimage: str
    amount_msat: int
    fee_msat: int


def proves(preimage: str, payment_hash: str) -> bool:
    """Whether that hash was made from these 64 hex digits, which nobody but a payer learns."""
    try:
        octets = bytes.fromhex(preimage)
    except ValueError:
        return False
    return len(octets) == _PREIMAGE_BYTES and sha256(octets).hexdigest() == payment_hash


def charges_fees(wallet: Wallet) -> bool:
    """Whether a payment can cost more than its invoice: not where `charges_fees` is False."""
    return bool(getattr(wallet, "charges_fees", True))


class Wallet(Protocol):
    """Pays Lightning invoices.

    One that never charges a fee says so with an attribute `charges_fees = False`, and nothing is
    kept aside for it. Used from a synchronous HTTP client, `pay` runs in an event loop of its own:
    keep nothing that belongs to another loop.
    """

    async def pay(self, payment_request: str, *, max_fee_msat: int) -> Payment:
        """Pay a BOLT11 invoice once.

        Raises PaymentFailed only when it is certain that nothing was and nothing will be paid. Any
        other exception, a timeout among them, is taken as *unknown*.
        """


@runtime_checkable
class TellsBalance(Protocol):
    """A wallet that can be asked what it holds."""

    async def balance_msat(self) -> int:
        """What it holds, in msat."""
