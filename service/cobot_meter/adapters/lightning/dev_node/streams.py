"""Streams of settled invoices, with the manners of lnd's SubscribeInvoices."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Iterable

from cobot_meter.domain.errors import NodeUnavailable
from cobot_meter.domain.invoices import Invoice

MAX_WAITING_EVENTS = 10_000


class SettleStream:
    """One listener: first the backlog, then what happens. Ends only by raising NodeUnavailable."""

    def __init__(self, *, since_settle_index: int, backlog: Iterable[Invoice]) -> None:
        """Live events at or below the index are kept back, as lnd does with a stale cursor."""
        self._since = since_settle_index
        self._waiting = deque(backlog)
        self._limit = len(self._waiting) + MAX_WAITING_EVENTS
        self._changed = asyncio.Event()
        self._is_broken = False

    def __aiter__(self) -> SettleStream:
        return self

    async def __anext__(self) -> Invoice:
        """The next event; waits for one. Raises NodeUnavailable when the stream has broken."""
        while not self._waiting:
            if self._is_broken:
                raise NodeUnavailable("the stream of settled invoices has broken")
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()

    def offer(self, invoice: Invoice) -> None:
        """Hand it a live event; a listener too slow to take it loses the stream instead."""
        if self._is_broken or invoice.settle_index <= self._since:
            return
        if len(self._waiting) >= self._limit:
            self.break_off()
            return
        self._waiting.append(invoice)
        self._changed.set()

    def break_off(self) -> None:
        """End the stream once what waits has been read."""
        self._is_broken = True
        self._changed.set()


class SettleStreams:
    """All listeners of one node; one that nobody holds any more is forgotten."""

    def __init__(self) -> None:
        """Begin with no listeners."""
        self._streams: weakref.WeakSet[SettleStream] = weakref.WeakSet()

    def open(self, *, since_settle_index: int, backlog: Iterable[Invoice]) -> SettleStream:
        """A stream that misses nothing from this moment on."""
        stream = SettleStream(since_settle_index=since_settle_index, backlog=backlog)
        self._streams.add(stream)
        return stream

    def publish(self, invoice: Invoice) -> None:
        """Tell every listener."""
        for stream in tuple(self._streams):
            stream.offer(invoice)

    def break_off(self) -> None:
        """End every stream; listeners come back by opening another."""
        for stream in tuple(self._streams):
            stream.break_off()
        self._streams.clear()
