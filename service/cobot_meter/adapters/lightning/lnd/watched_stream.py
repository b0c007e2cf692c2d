"""A stream of lnd's that is watched while it is silent.

A connection may be half open, or lnd's event loop stuck (lnd#7727, lnd#8803): the stream is then
silent for ever without an error.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from cobot_meter.adapters.lightning.lnd.connection import LndConnection
from cobot_meter.adapters.lightning.lnd.messages import Message
from cobot_meter.domain.errors import NodeUnavailable
from cobot_meter.domain.invoices import NodeIdentity


class WatchedNode(Protocol):
    """What a stream needs of its node."""

    connection: LndConnection

    @property
    def made(self) -> int:
        """How many invoices were made here; lnd tells a stream of all invoices of each."""

    async def verified_identity(self) -> NodeIdentity:
        """Raises NodeUnavailable when it is another node."""

    async def ping(self) -> None:
        """Raises NodeUnavailable when it is not well."""


class WatchedStream:
    """One subscription, begun now. Ends only by raising NodeUnavailable; then open another."""

    def __init__(
        self, node: WatchedNode, name: str, request: Message, *, tells_of_made: bool
    ) -> None:
        """`tells_of_made`: every invoice that is made must be heard of on this stream."""
        self._node = node
        self._name = name
        self._stream = node.connection.stream(name, request)
        self._tells_of_made = tells_of_made
        self._broken: NodeUnavailable | None = None
        self.heard = 0

    async def next_event(self) -> Message:
        """The next message; waits for one. Raises NodeUnavailable."""
        if self._broken is None:
            await self._node.verified_identity()
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(self._watch())
                event = await self._read()
                watching.cancel()
            if event is not None:
                self.heard += 1
                return event
        raise self._broken or NodeUnavailable(f"{self._name} has broken")

    def cut(self) -> None:
        """End it."""
        self._break(f"{self._name} was ended")

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
            if self._tells_of_made and made > made_before:  # made a whole pause ago
                return self._break(f"{self._name} has not told of an invoice that was made")
            if silent_s >= timeouts.silent_s:
                return self._break(f"{self._name} has been silent for {silent_s:.0f} s")
            made = self._node.made
            try:
                await self._node.ping()
            except NodeUnavailable as fault:
                return self._break(fault.message)

    def _break(self, reason: str) -> None:
        self._broken = NodeUnavailable(reason)
        self._stream.cut()
