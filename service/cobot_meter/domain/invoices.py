"""Lightning invoices as lnd names them, the node that the books belong to, and memos.

Cursors, open invoices and settlements mean something to one node only, so the books remember the
public key and network of the one adopted last. A memo's tag names the caller to us alone: a payment
can be credited by it when the books that knew its invoice are lost.
"""

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
    """What we ask the node to make where a payment is held until the preimage is shown.

    A hold that is canceled instead gives the payment back. `amount_msat` > 0. `payment_hash` is
    that of a preimage only we know; the node learns it when the hold is settled.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptedNode:
    """The `number`-th node that these books were bound to, counted from 1."""

    number: int
    pubkey: str
    network: str
    alias: str

    def is_of(self, identity: NodeIdentity) -> bool:
        """Whether this node says `identity` of itself; an alias may change."""
        return (self.pubkey, self.network) == (identity.pubkey, identity.network)


def next_adoption(adopted: AdoptedNode | None, identity: NodeIdentity) -> AdoptedNode:
    """`identity` as the node that follows `adopted`."""
    return AdoptedNode(
        number=adopted.number + 1 if adopted else 1,
        pubkey=identity.pubkey,
        network=identity.network,
        alias=identity.alias,
    )


COMPLETION = "cobot-meter completion"
TOPUP = "cobot-meter top-up"


def tagged(what: str, tag: str) -> str:
    """The memo of one invoice: what it is for, and the sealed caller."""
    return f"{what} {tag}"


def is_ours(memo: str) -> bool:
    """Whether a service like this one made the invoice: this one, or another on the same node."""
    return any(memo == what or memo.startswith(f"{what} ") for what in (COMPLETION, TOPUP))


def tag_of(memo: str) -> str | None:
    """The tag; None in a memo from before invoices had tags."""
    for what in (COMPLETION, TOPUP):
        if memo.startswith(f"{what} "):
            return memo.removeprefix(f"{what} ")
    return None
