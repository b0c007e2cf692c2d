"""Settled invoices as lnd tells of them. Must not know: who listens, or what they settle."""

from __future__ import annotations

from service.adapters.lightning.lnd_messages import invoice_of
from service.adapters.lightning.lnd_stubs import lnrpc
from service.adapters.lightning.lnd_watched_stream import WatchedNode, WatchedStream
from service.domain.invoices import Invoice, InvoiceState


class LndSettleStream:
    """Listening begins now. Ends only by raising NodeUnavailable; then open another."""

    def __init__(self, node: WatchedNode, *, since_settle_index: int) -> None:
        """`add_index` stays 0: no old invoices are told again, only settlements."""
        request = lnrpc.InvoiceSubscription(settle_index=since_settle_index, add_index=0)
        self._events = WatchedStream(
            node, "Lightning.SubscribeInvoices", request, tells_of_made=True
        )

    @property
    def heard(self) -> int:
        """How many events came, those that are no settlements among them."""
        return self._events.heard

    def __aiter__(self) -> LndSettleStream:
        return self

    async def __anext__(self) -> Invoice:
        """The next settled invoice; waits for one. Raises NodeUnavailable."""
        while True:
            invoice = invoice_of(await self._events.next_event())
            if invoice.state is InvoiceState.SETTLED:
                return invoice
