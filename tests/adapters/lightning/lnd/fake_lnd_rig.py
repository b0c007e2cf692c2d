"""A NodeRig over the fake LND, through the real adapter and a real socket."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from cobot_meter.adapters.lightning.lnd.access import LndTimeouts
from cobot_meter.adapters.lightning.lnd.connection import LndConnection
from cobot_meter.adapters.lightning.lnd.hold_invoices import LndHoldInvoices
from cobot_meter.domain.invoices import Invoice
from tests.adapters.lightning.lnd.listed_node import ListedNode
from tests.fakes.lnd.lnd_server import FakeLnd

SHORT = LndTimeouts(call_s=2.0, add_s=2.0)


class FakeLndRig:
    """A NodeRig (tests/contracts/lightning_node_rig.py)."""

    short_expiry_s = 60

    def __init__(self, folder: Path, timeouts: LndTimeouts = SHORT) -> None:
        self.lnd = FakeLnd(folder)
        self.timeouts = timeouts
        self.node: ListedNode

    async def start(self) -> None:
        await self.lnd.start()
        self.node = self.another()
        await self.node.identity()

    @property
    def holds(self) -> LndHoldInvoices:
        """Of the node."""
        return LndHoldInvoices(self.node)

    def another(self, *, port: int | None = None) -> ListedNode:
        """The same node through another connection, to be closed by whoever asked."""
        return ListedNode(LndConnection(self.lnd.access(port=port), self.timeouts))

    async def stop(self) -> None:
        await self.node.connection.close()
        await self.lnd.stop()

    async def pay(self, payment_request: str) -> str | None:
        return await self.lnd.memory.paid(payment_request)

    async def begin_payment(self, payment_request: str) -> None:
        self.lnd.memory.bring_part(payment_request)

    async def give_up_payment(self, payment_request: str) -> None:
        self.lnd.memory.give_part_up(payment_request)

    async def let_expire(self, invoice: Invoice) -> None:
        self.lnd.memory.ahead_s += self.short_expiry_s

    async def streams_are_live(self) -> None:
        await self.lnd.listened(len(self.node.streams))

    async def restart(self) -> None:
        await self.lnd.stop()
        await self.node.connection.close()
        await self.start()

    async def take_down(self) -> None:
        await self.lnd.stop()

    async def bring_back(self) -> None:
        await self.lnd.start()
        await self.node.until_well()


@contextlib.asynccontextmanager
async def fake_lnd_rig(folder: Path, timeouts: LndTimeouts = SHORT) -> AsyncIterator[FakeLndRig]:
    """Started, and stopped at the end."""
    rig = FakeLndRig(folder, timeouts)
    await rig.start()
    try:
        yield rig
    finally:
        await rig.stop()
