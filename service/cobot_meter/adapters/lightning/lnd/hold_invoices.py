"""The HoldInvoices of lnd. Must not know: escrows, callers or the ledger."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

from cobot_meter.adapters.lightning.invoice_check import check_order
from cobot_meter.adapters.lightning.lnd.errors import LndFault, LndVerdict
from cobot_meter.adapters.lightning.lnd.messages import held_invoice_of
from cobot_meter.adapters.lightning.lnd.node import LndNode
from cobot_meter.adapters.lightning.lnd.stubs import invoicesrpc
from cobot_meter.adapters.lightning.lnd.watched_stream import WatchedStream
from cobot_meter.domain.errors import NodeUnavailable
from cobot_meter.domain.invoices import HeldInvoice, HoldOrder, Invoice, InvoiceState

OVER = frozenset({InvoiceState.SETTLED, InvoiceState.CANCELED})


class LndHoldInvoices:
    """A HoldInvoices (service/cobot_meter/ports/lightning_node.py) on the node's own connection."""

    def __init__(self, node: LndNode) -> None:
        """`node` stays the caller's to close."""
        self._node = node

    async def add_hold_invoice(self, order: HoldOrder) -> Invoice:
        """`Invoices.AddHoldInvoice`: the checked invoice, or the one that this hash has already.

        Raises InvoiceRefused for good, NodeUnavailable while it is not known whether it was made.
        """
        check_order(order)
        request = invoicesrpc.AddHoldInvoiceRequest(
            hash=bytes.fromhex(order.payment_hash),
            value_msat=order.amount_msat,
            memo=order.memo,
            expiry=order.expiry_s,
        )
        return await self._node.make("Invoices.AddHoldInvoice", request, order)

    async def settle_hold(self, preimage: bytes) -> Invoice:
        """`Invoices.SettleInvoice`, then a look-up of what holds: the invoice, SETTLED.

        Raises InvoiceRefused for one that is unknown, canceled or not yet paid, and NodeUnavailable
        where the look-up says anything but SETTLED.
        """
        payment_hash = hashlib.sha256(preimage).hexdigest()
        await self._node.verified_identity()
        request = invoicesrpc.SettleInvoiceMsg(preimage=preimage)
        try:
            await self._node.connection.call("Invoices.SettleInvoice", request)
        except LndFault as fault:
            if fault.verdict in {LndVerdict.CANCELED, LndVerdict.STILL_OPEN}:
                raise fault.refused() from fault
            if fault.verdict is not LndVerdict.NOT_FOUND:
                raise
        invoice = await self._node.known(payment_hash)
        if invoice.state is not InvoiceState.SETTLED:
            raise NodeUnavailable(f"lnd was shown the preimage and says {invoice.state.value}")
        return invoice

    async def cancel_hold(self, payment_hash: str) -> Invoice:
        """`Invoices.CancelInvoice`, then a look-up: CANCELED, or SETTLED when that came first.

        Raises InvoiceRefused when lnd does not know the invoice.
        """
        return await self._node.cancel_invoice(payment_hash)

    async def hold_changes(self, payment_hash: str) -> AsyncIterator[HeldInvoice]:
        """`Invoices.SubscribeSingleInvoice`: what holds now, then changes, to SETTLED or CANCELED.

        Looked up first, because lnd would wait in silence for an invoice that it does not know: for
        that one it raises InvoiceRefused. Raises NodeUnavailable when the stream breaks.
        """
        await self._node.known(payment_hash)
        request = invoicesrpc.SubscribeSingleInvoiceRequest(r_hash=bytes.fromhex(payment_hash))
        name = "Invoices.SubscribeSingleInvoice"
        events = WatchedStream(self._node, name, request, tells_of_made=False)
        try:
            while True:
                held = held_invoice_of(await events.next_event())
                yield held
                if held.invoice.state in OVER:
                    return
        finally:
            events.cut()
