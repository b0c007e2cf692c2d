"""What the LightningNode suite needs of a node under test, and what it does with one."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from typing import Protocol

from cobot_meter.domain.errors import NodeUnavailable
from cobot_meter.domain.invoices import Invoice, InvoiceOrder, InvoiceState
from cobot_meter.ports.lightning_node import LightningNode

WAIT_S = 30.0
AMOUNT_MSAT = 21_000


class NodeRig(Protocol):
    """One node under test, the hands that pay it, and the power switch."""

    @property
    def node(self) -> LightningNode:
        """The node as the service sees it; another object after `restart`."""

    @property
    def short_expiry_s(self) -> int:
        """An expiry that `let_expire` can wait for."""

    async def pay(self, payment_request: str) -> str | None:
        """Pay from somebody's wallet: the preimage in hex, or None when the node refused it."""

    async def begin_payment(self, payment_request: str) -> None:
        """Bring a payment under way that neither settles nor fails yet."""

    async def give_up_payment(self, payment_request: str) -> None:
        """End that payment without settling."""

    async def let_expire(self, invoice: Invoice) -> None:
        """Let its time pass, and the node notice."""

    async def streams_are_live(self) -> None:
        """Return when streams that somebody began to read are surely listening."""

    async def restart(self) -> None:
        """Kill the node without warning, start it again, connect anew."""

    async def take_down(self) -> None:
        """Make the node unreachable."""

    async def bring_back(self) -> None:
        """Undo `take_down`."""


def new_order(*, amount_msat: int = AMOUNT_MSAT, expiry_s: int = 600) -> InvoiceOrder:
    """An order nobody has placed before."""
    preimage = secrets.token_bytes(32)
    return InvoiceOrder(
        preimage=preimage,
        payment_hash=hashlib.sha256(preimage).hexdigest(),
        amount_msat=amount_msat,
        memo="a completion",
        expiry_s=expiry_s,
    )


async def settled(rig: NodeRig) -> Invoice:
    """A fresh invoice that somebody has paid."""
    invoice = await rig.node.add_invoice(new_order())
    assert await rig.pay(invoice.payment_request) is not None
    found = await rig.node.look_up(invoice.payment_hash)
    assert found is not None
    assert found.state is InvoiceState.SETTLED
    return found


async def state_of(rig: NodeRig, invoice: Invoice) -> InvoiceState:
    """What the node says of it now."""
    found = await rig.node.look_up(invoice.payment_hash)
    assert found is not None
    return found.state


async def next_event(stream: AsyncIterator[Invoice]) -> Invoice:
    """The next event, in reasonable time."""
    async with asyncio.timeout(WAIT_S):
        return await anext(stream)


async def breaks(stream: AsyncIterator[Invoice]) -> bool:
    """Whether the stream ends by saying that the node is unavailable, before any event."""
    try:
        await next_event(stream)
    except NodeUnavailable:
        return True
    return False
