"""A NodeRig over bob's real lnd, paid by alice over carol."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from cobot_meter.adapters.lightning.bolt11 import decode_bolt11
from cobot_meter.adapters.lightning.lnd.access import LndAccess, LndTimeouts
from cobot_meter.adapters.lightning.lnd.connection import LndConnection
from cobot_meter.adapters.lightning.lnd.hold_invoices import LndHoldInvoices
from cobot_meter.adapters.lightning.lnd.macaroon import BAKE_URIS
from cobot_meter.domain.invoices import Invoice
from deploy.regtest.lnd.node import Node
from deploy.regtest.network import Network
from tests.adapters.lightning.lnd.held_forwards import HeldForwards, held_forwards
from tests.adapters.lightning.lnd.listed_node import ListedNode

PROBE_MSAT = 1_000
TRIES = 400
PAUSE_S = 0.05
# For a second or two after a restart lnd has channels that are active and carry nothing.
NOT_YET = {"FAILURE_REASON_NO_ROUTE", "FAILURE_REASON_INSUFFICIENT_BALANCE"}


async def baked_access(node: Node, folder: Path) -> LndAccess:
    """With a macaroon that holds exactly what the service needs."""
    path = folder / f"{node.name}.macaroon"
    path.write_bytes(await node.bake_macaroon([f"uri:{uri}" for uri in BAKE_URIS]))
    return LndAccess(
        address=node.rpc_address,
        tls_cert_path=node.tls_cert_path,
        macaroon_path=path,
        network="regtest",
    )


class LndRig:
    """A NodeRig (tests/contracts/lightning_node_rig.py)."""

    short_expiry_s = 1

    def __init__(self, nodes: Network, access: LndAccess, forwards: HeldForwards) -> None:
        self.nodes = nodes
        self.access = access
        self.node = self.another()
        self._forwards = forwards

    @property
    def holds(self) -> LndHoldInvoices:
        """Of the node."""
        return LndHoldInvoices(self.node)

    def another(self, timeouts: LndTimeouts | None = None) -> ListedNode:
        """The same node through another connection, to be closed by whoever asked."""
        return ListedNode(LndConnection(self.access, timeouts or LndTimeouts()))

    async def pay(self, payment_request: str) -> str | None:
        for _ in range(TRIES):
            payment = await self.nodes.alice.pay(payment_request)
            if payment.succeeded:
                return payment.preimage
            if payment.failure not in NOT_YET:
                return None
            await asyncio.sleep(PAUSE_S)
        raise TimeoutError("alice finds no way to bob")

    async def begin_payment(self, payment_request: str) -> None:
        await self._forwards.hold(decode_bolt11(payment_request).payment_hash, payment_request)

    async def give_up_payment(self, payment_request: str) -> None:
        await self._forwards.fail_all()

    async def let_expire(self, invoice: Invoice) -> None:
        for _ in range(TRIES):
            found = await self.node.look_up(invoice.payment_hash)
            if found is None or found.state is not invoice.state:
                return
            await asyncio.sleep(PAUSE_S)

    async def streams_are_live(self) -> None:
        """They are when they have heard of a new invoice, which lnd tells every stream."""
        for _ in range(TRIES):
            await self.nodes.bob.add_invoice(PROBE_MSAT)
            await asyncio.sleep(PAUSE_S)
            if all(stream.heard for stream in self.node.streams):
                return
        raise TimeoutError("a stream hears nothing")

    async def restart(self) -> None:
        await self.take_down()
        await self.nodes.bob.start()
        await self.node.connection.close()
        self.node = self.another()

    async def take_down(self) -> None:
        await self.nodes.bob.kill()

    async def bring_back(self) -> None:
        await self.nodes.bob.start()
        await self.node.until_well()


@contextlib.asynccontextmanager
async def lnd_rig(nodes: Network, folder: Path) -> AsyncIterator[LndRig]:
    """On a network that serves and pays."""
    async with held_forwards(payer=nodes.alice, router=nodes.carol, payee=nodes.bob) as forwards:
        rig = LndRig(nodes, await baked_access(nodes.bob, folder), forwards)
        await rig.node.identity()
        try:
            yield rig
        finally:
            await rig.node.connection.close()
