"""Lightning invoices as LND names them. Must not know: whose they are, or what for."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class InvoiceState(enum.StrEnum):
    """lnd: lnrpc.Invoice.InvoiceState. Only the node says which one holds."""

    OPEN = "OPEN"
    ACCEPTED = "ACCEPTED"
    SETTLED = "SETTLED"
    CANCELED = "CANCELED"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceOrder:
    """What we ask the node to make. The preimage is ours, so asking twice finds the first.

    `amount_msat` > 0 (0 would mean *any amount*); `preimage` is 32 bytes.
    """

    preimage: bytes
    payment_hash: str
    amount_msat: int
    memo: str
    expiry_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOrder:
    """The same for an invoice whose payment is held until the preimage is shown, or given back.

    `payment_hash` is that of a preimage only we know; the node learns it when the hold is settled.
    """

    payment_hash: str
    amount_msat: int
    memo: str
    expiry_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """What the node says of one invoice. `payment_hash` is 64 lower-case hex digits.

    `amount_paid_msat` and `settle_index` are 0 until SETTLED; times are Unix seconds as in BOLT11.
    """

    payment_hash: str
    payment_request: str
    amount_msat: int
    state: InvoiceState
    created_at_s: int
    expires_at_s: int
    amount_paid_msat: int = 0
    settle_index: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedInvoice:
    """An invoice with the memo that it was made with."""

    invoice: Invoice
    memo: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldInvoice:
    """A hold invoice as it is now.

    While ACCEPTED, `held_msat` is what the payer has locked, and `held_until_height` the block at
    which the first part of it times out: the node gives it back some blocks before (lnd: 18).
    """

    invoice: Invoice
    held_msat: int = 0
    held_until_height: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeIdentity:
    """Who the node is: a cursor over its settlements is worth nothing on another node."""

    pubkey: str
    network: str
    alias: str
