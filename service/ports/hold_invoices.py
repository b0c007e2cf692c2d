"""Invoices whose payment is held: taken by showing the preimage, or given back.

Must not know: escrows, callers or the ledger.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from service.domain.invoices import HeldInvoice, HoldOrder, Invoice


class HoldInvoices(Protocol):
    """One node's. Every method may raise NodeUnavailable, which means *unknown*, never *failed*."""

    async def add_hold_invoice(self, order: HoldOrder) -> Invoice:
        """Make the invoice, or find the one of this hash. Raises InvoiceRefused for good.

        Checked as `LightningNode.add_invoice` does. It goes OPEN, ACCEPTED, then SETTLED or
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
