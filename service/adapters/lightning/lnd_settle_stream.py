"""Settled invoices as lnd tells of them, and the watch over a stream that tells of nothing.

A connection may be half open, or lnd's event loop stuck (lnd#7727): the stream is then silent for
ever without an error. Must not know: who listens, or what a settlement means.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from service.adapters.lightning.lnd_connection import LndConnection
from service.adapters.lightning.lnd_messages import Message, invoice_of
from service.adapters.lightning.lnd_stubs import lnrpc
from service.domain.errors import NodeUnavailable
from service.domain.invoices import Invoice, InvoiceState, NodeIdentity


class WatchedNode(Protocol):
    """What a stream needs of its node."""

    connection: LndConnection

    @property
    def made(self) -> int:
        """How many invoices were made here; lnd tells every stream of each."""

    async def verified_identity(self) -> NodeIdentity:
        """Raises NodeUnavailable when it is another node."""

    async def ping(self) -> None:
        """Raises NodeUnavailable when it is not well."""


class LndSettleStream:
    """One subscription. Ends only by raising NodeUnavailable; then open another."""

    def __init__(self, node: WatchedNode, *, since_settle_index: int) -> None:
        """`add_index` stays 0: no old invoices are told again, only settlements."""
        self._node = node
        self._stream = node.connection.stream(
            "Lightning.SubscribeInvoices",
            lnrpc.InvoiceSubscription(settle_index=since_settle_index, add_index=0),
        )
        self._broken: NodeUnavailable | None = None
        self.heard = 0  # events of any kind

    def __aiter__(self) -> LndSettleStream:
        return self

    async def __anext__(self) -> Invoice:
        """The next settled invoice; waits for one. Raises NodeUnavailable."""
        while True:
            invoice = invoice_of(await self._next_event())
            if invoice.state is InvoiceState.SETTLED:
                return invoice

    async def _next_event(self) -> Message:
        if self._broken is None:
            await self._node.verified_identity()
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(self._watch())
                event = await self._read()
                watching.cancel()
            if event is not None:
                self.heard += 1
                return event
        raise self._broken or NodeUnavailable("the stream of settled invoices has broken")

    async def _read(self) -> Message | None:
        """The next message; None when the stream has broken, so that no group wraps the fault."""
        try:
            return await self._stream.read()
        except NodeUnavailable as fault:
            self._broken = self._broken or fault
            return None

    async def _watch(self) -> None:
        """While nothing is heard, see whether anything could be; cut the stream when not."""
        timeouts = self._node.connection.timeouts
        made_before = made = self._node.made
        silent_s = 0.0
        while True:
            await asyncio.sleep(timeouts.quiet_s)
            silent_s += timeouts.quiet_s
            if made > made_before:  # told of no invoice, though one was made a pause ago
                return self._break("lnd's stream has not told of an invoice that was made")
            if silent_s >= timeouts.silent_s:
                return self._break(f"lnd's stream has been silent for {silent_s:.0f} s")
            made = self._node.made
            try:
                await self._node.ping()
            except NodeUnavailable as fault:
                return self._break(fault.message)

    def _break(self, reason: str) -> None:
        self._broken = NodeUnavailable(reason)
        self._stream.cut()
