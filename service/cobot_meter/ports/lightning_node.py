"""The Lightning node: makes invoices, and is the only one who says settled or canceled.

One small protocol for each thing that is asked of a node: who takes only `InvoiceLookup` cannot
make an invoice, and a test of it needs no more than that. Every method may raise NodeUnavailable,
which means *unknown*, never *failed*. Must not know: escrows, callers or the ledger.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from cobot_meter.domain.invoices import (
    HeldInvoice,
    HoldOrder,
    Invoice,
    InvoiceOrder,
    ListedInvoice,
    NodeIdentity,
)


class NodeInfo(Protocol):
    """Which node it is."""

    async def identity(self) -> NodeIdentity:
        """Public key, network (`regtest`, `mainnet`, ...) and alias, as the node says now.

        The first answer binds: with another node in its place, all else raises NodeUnavailable.
        """


class NodeBinding(NodeInfo, Protocol):
    """Which node it is to be from now on."""

    def bind(self, identity: NodeIdentity) -> None:
        """Work with the node that says this of itself from now on, in place of the one before."""


class NodeHealth(Protocol):
    """Whether the node is well."""

    async def ping(self) -> None:
        """Return when the node can make invoices and take payments now."""


class InvoiceMaker(Protocol):
    """Makes invoices."""

    async def add_invoice(self, order: InvoiceOrder) -> Invoice:
        """Make the invoice, or find the one that this preimage already has.

        The answer is checked (hash, amount, network, payee) before it is returned. One that an
        earlier attempt made keeps the expiry it was made with, and its state may be anything by
        now. Raises InvoiceRefused for good.
        """


class Inbound(Protocol):
    """Tells how much it can be paid."""

    async def receivable_msat(self) -> int | None:
        """What all its channels together can receive now; None where the node does not tell."""


class InvoiceLookup(Protocol):
    """Tells of one invoice."""

    async def look_up(self, payment_hash: str) -> Invoice | None:
        """What the node says now; None when it has never heard of it (lnd: NOT_FOUND)."""


class InvoiceCanceler(Protocol):
    """Takes invoices back."""

    async def cancel_invoice(self, payment_hash: str) -> Invoice:
        """Cancel and answer what holds now: CANCELED, or SETTLED when the payer was faster.

        Idempotent. Raises InvoiceRefused when the node does not know it.
        """


class SettleEvents(Protocol):
    """Tells of payments as they come."""

    def settled_invoices(self, since_settle_index: int) -> AsyncIterator[Invoice]:
        """SETTLED invoices as they happen, after a replay of those above the index.

        A wake-up, not a log: 0 replays nothing, replays may be out of order or doubled, and
        events may be missing (lnd: invoices/invoiceregistry.go). The sweep is the truth.
        """


class InvoiceList(Protocol):
    """Tells of every invoice."""

    def listed_invoices(self, since_s: int) -> AsyncIterator[ListedInvoice]:
        """Every invoice made at this Unix second or later, whatever its state now.

        From the node's own list, in pages: unlike the stream it misses nothing.
        """


class ReadOnlyNode(NodeInfo, InvoiceLookup, InvoiceList, Protocol):
    """One node for questions only, as an audit beside the service has it."""


class LightningNode(
    ReadOnlyNode,
    NodeBinding,
    NodeHealth,
    InvoiceMaker,
    InvoiceCanceler,
    Inbound,
    SettleEvents,
    Protocol,
):
    """One node, whole: what an adapter implements and wiring hands to whoever needs a part of it.

    Every method may raise NodeUnavailable, which means *unknown*, never *failed*.
    """


class HoldInvoices(Protocol):
    """One node's. Every method may raise NodeUnavailable, which means *unknown*, never *failed*."""

    async def add_hold_invoice(self, order: HoldOrder) -> Invoice:
        """Make the invoice, or find the one of this hash. Raises InvoiceRefused for good.

        Checked as `InvoiceMaker.add_invoice` does. It goes OPEN, ACCEPTED, then SETTLED or
        CANCELED; one that is ACCEPTED does not expire, but the node gives it back near its height.
        """

    async def settle_hold(self, preimage: bytes) -> Invoice:
        """Take the held payment: SETTLED. Idempotent.

        Raises InvoiceRefused when there is nothing to take: unknown, canceled or not yet paid.
        """

    async def cancel_hold(self, payment_hash: str) -> Invoice:
        """Give it back: CANCELED, or SETTLED when that came first. Idempotent.

        Raises InvoiceRefused when the node does not know it.
        """

    def hold_changes(self, payment_hash: str) -> AsyncIterator[HeldInvoice]:
        """What holds now, then every change, until SETTLED or CANCELED ends it.

        Raises InvoiceRefused when the node does not know it, NodeUnavailable when it breaks.
        """
