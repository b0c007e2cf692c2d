"""One address behind which another node may come to stand, as the adapter of a real one sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from cobot_meter.domain.errors import NodeUnavailable
from cobot_meter.domain.invoices import Invoice, InvoiceOrder, ListedInvoice, NodeIdentity
from cobot_meter.ports.lightning_node import LightningNode


class MovingNode:
    """A LightningNode; `current` is who answers, and only the bound one is listened to."""

    def __init__(self, current: LightningNode) -> None:
        """Nobody was asked yet."""
        self.current = current
        self._bound: NodeIdentity | None = None

    async def identity(self) -> NodeIdentity:
        said = await self.current.identity()
        self._bound = self._bound or said
        return said

    def bind(self, identity: NodeIdentity) -> None:
        self._bound = identity

    async def add_invoice(self, order: InvoiceOrder) -> Invoice:
        return await (await self._ours()).add_invoice(order)

    async def look_up(self, payment_hash: str) -> Invoice | None:
        return await (await self._ours()).look_up(payment_hash)

    async def cancel_invoice(self, payment_hash: str) -> Invoice:
        return await (await self._ours()).cancel_invoice(payment_hash)

    async def settled_invoices(self, since_settle_index: int) -> AsyncIterator[Invoice]:
        async for invoice in (await self._ours()).settled_invoices(since_settle_index):
            yield invoice

    async def listed_invoices(self, since_s: int) -> AsyncIterator[ListedInvoice]:
        async for listed in (await self._ours()).listed_invoices(since_s):
            yield listed

    async def receivable_msat(self) -> int | None:
        return await (await self._ours()).receivable_msat()

    async def ping(self) -> None:
        await (await self._ours()).ping()

    async def _ours(self) -> LightningNode:
        if self._bound is not None and self._bound != await self.current.identity():
            raise NodeUnavailable("another node stands behind this address")
        return self.current
