"""The LND adapter, with a list of the streams that were opened."""

from __future__ import annotations

import asyncio
import contextlib

from cobot_meter.adapters.lightning.lnd.connection import LndConnection
from cobot_meter.adapters.lightning.lnd.node import LndNode, LndSettleStream
from cobot_meter.domain.errors import NodeUnavailable


class ListedNode(LndNode):
    def __init__(self, connection: LndConnection) -> None:
        super().__init__(connection)
        self.streams: list[LndSettleStream] = []

    def settled_invoices(self, since_settle_index: int) -> LndSettleStream:
        stream = super().settled_invoices(since_settle_index)
        self.streams.append(stream)
        return stream

    async def until_well(self, within_s: float = 40.0) -> None:
        """Return when it answers; a lost connection is tried again after a second or two."""
        async with asyncio.timeout(within_s):
            while True:
                with contextlib.suppress(NodeUnavailable):
                    return await self.ping()
                await asyncio.sleep(0.05)
