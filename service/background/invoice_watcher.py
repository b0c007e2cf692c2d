"""Listens to the node: the settle stream for speed, the sweep of open invoices for the truth.

Must not know: escrows or the ledger; it only passes on what the node says.
"""

from __future__ import annotations

import asyncio

from service.background.supervise import Supervisor
from service.domain.errors import BooksBusy
from service.domain.invoices import Invoice
from service.flows.our_node import OurNode
from service.flows.recover import Recover
from service.flows.settle_invoice import SettleInvoice
from service.ports.books import Books
from service.ports.lightning_node import LightningNode

# Replays may be out of order and may miss events (lnd: invoices/sql_store.go), so resume earlier.
REPLAY_OVERLAP = 1_000


class InvoiceWatcher:
    """One stream and one sweep; both may tell the same fact, which is then booked once."""

    def __init__(
        self,
        *,
        books: Books,
        node: LightningNode,
        ours: OurNode,
        settlements: SettleInvoice,
        recover: Recover,
        supervisor: Supervisor,
    ) -> None:
        """`ours` binds the cursor: another node's indexes mean nothing here."""
        self._books = books
        self._node = node
        self._ours = ours
        self._settlements = settlements
        self._recover = recover
        self._supervisor = supervisor
        self._connected = asyncio.Event()

    async def listen(self) -> None:
        """Follow the stream until it breaks. Raises NodeUnavailable."""
        cursor = await self._books.settle_cursor(self._ours.identity.pubkey)
        since = max(1, cursor - REPLAY_OVERLAP) if cursor else 0
        stream = self._node.settled_invoices(since)
        self._connected.set()
        async for invoice in stream:
            await self._heard(invoice)

    async def _heard(self, invoice: Invoice) -> None:
        """One that cannot be booked does not end the stream. Raises BooksBusy."""
        busy: BooksBusy | None = None

        async def hear() -> None:
            nonlocal busy
            try:
                await self._settlements.told(invoice)
            except BooksBusy as fault:
                busy = fault

        await self._supervisor.once("settlement", hear)
        if busy is not None:
            raise busy

    async def sweep(self) -> None:
        """Ask about every open invoice. Raises NodeUnavailable."""
        self._connected.clear()
        await self._recover.open_invoices()

    async def sweep_soon(self, interval_s: float) -> None:
        """Wait for a fresh connection or the interval, then sweep."""
        try:
            async with asyncio.timeout(interval_s):
                await self._connected.wait()
        except TimeoutError:
            pass
        await self.sweep()
