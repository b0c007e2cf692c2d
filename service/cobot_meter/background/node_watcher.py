"""Listens to the node, and keeps the gate before new asks.

The settle stream is for speed, the sweep of open invoices for the truth. The gate is closed as soon
as the node is found away, and open when it is back. Must not know: escrows or the ledger; it only
passes on what the node says.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from cobot_meter.background.supervise import Supervisor
from cobot_meter.domain.errors import BooksBusy, NodeUnavailable
from cobot_meter.domain.invoices import Invoice
from cobot_meter.flows.offer.gates import NodeGate
from cobot_meter.flows.record_event import OurNode
from cobot_meter.flows.sale.recover import Recover
from cobot_meter.flows.sale.settle_invoice import SettleInvoice
from cobot_meter.ports.books import Books
from cobot_meter.ports.lightning_node import NodeHealth, SettleEvents

# Replays may be out of order and may miss events (lnd: invoices/sql_store.go), so resume earlier.
REPLAY_OVERLAP = 1_000


class InvoiceWatcher:
    """One stream and one sweep; both may tell the same fact, which is then booked once."""

    def __init__(
        self,
        *,
        books: Books,
        node: SettleEvents,
        ours: OurNode,
        settle_invoice: SettleInvoice,
        recover: Recover,
        supervisor: Supervisor,
    ) -> None:
        """`ours` binds the cursor: another node's indexes mean nothing here."""
        self._books = books
        self._node = node
        self._ours = ours
        self._settle_invoice = settle_invoice
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
                await self._settle_invoice.told(invoice)
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


LOG = logging.getLogger(__name__)
# Less than a call may take: asks that come meanwhile would be run for nothing.
LOOK_S = 2.0


class NodeWatch:
    """Says once that the node is away, and once that it is back."""

    def __init__(self, *, node: NodeHealth, node_gate: NodeGate) -> None:
        """This watch alone opens `node_gate`; others may shut it."""
        self._node = node
        self._node_gate = node_gate
        self._away = False

    async def look(self) -> None:
        """Ask the node how it is. Raises nothing of the node's: it is asked again soon."""
        try:
            async with asyncio.timeout(LOOK_S):
                await self._node.ping()
        except NodeUnavailable as fault:
            self._found_away(fault)
        except TimeoutError:
            self._found_away(NodeUnavailable(f"it has not answered for {LOOK_S:g} s"))
        else:
            if self._away:
                LOG.warning("the node is back: new asks are taken again")
            self._away = False
            self._node_gate.open()

    async def while_well(self, talk: Callable[[], Awaitable[None]]) -> None:
        """Do what talks with the node; that it breaks off says so at once."""
        try:
            await talk()
        except NodeUnavailable as fault:
            self._found_away(fault)
            raise

    def _found_away(self, fault: NodeUnavailable) -> None:
        if not self._away:
            LOG.warning("the node is away, new asks are refused: %s", fault.message)
        self._away = True
        self._node_gate.close()
