"""What every HoldInvoices must do, whoever is behind it.

A test module subclasses `HoldInvoicesSuite` and gives it a fixture `rig`.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from cobot_meter.adapters.lightning.invoice_check import check_invoice
from cobot_meter.domain.errors import InvoiceRefused
from cobot_meter.domain.invoices import HeldInvoice, HoldOrder, Invoice, InvoiceState
from cobot_meter.ports.lightning_node import HoldInvoices, LightningNode

WAIT_S = 30.0
AMOUNT_MSAT = 21_000


class HoldRig(Protocol):
    """One node under test, and the hands that pay it."""

    @property
    def node(self) -> LightningNode:
        """The node."""

    @property
    def holds(self) -> HoldInvoices:
        """The same node's holds."""

    async def pay(self, payment_request: str) -> str | None:
        """Pay and wait for the end: the preimage in hex, or None when it came back."""


def new_hold() -> tuple[bytes, HoldOrder]:
    """A preimage and an order nobody has placed before."""
    preimage = secrets.token_bytes(32)
    payment_hash = hashlib.sha256(preimage).hexdigest()
    return preimage, HoldOrder(
        payment_hash=payment_hash, amount_msat=AMOUNT_MSAT, memo="a completion", expiry_s=600
    )


async def next_change(changes: AsyncIterator[HeldInvoice]) -> HeldInvoice:
    """The next one, in reasonable time."""
    async with asyncio.timeout(WAIT_S):
        return await anext(changes)


async def until(changes: AsyncIterator[HeldInvoice], state: InvoiceState) -> HeldInvoice:
    """The first change to this state."""
    while (held := await next_change(changes)).invoice.state is not state:
        pass
    return held


class HoldInvoicesSuite:
    """The contract, one promise a test."""

    async def test_a_hold_is_the_one_ordered(self, rig: HoldRig) -> None:
        """Checked like any invoice; ordering again finds it, and another amount is refused."""
        _, order = new_hold()
        invoice = await rig.holds.add_hold_invoice(order)
        check_invoice(order, invoice, await rig.node.identity())
        assert invoice.state is InvoiceState.OPEN
        assert await rig.holds.add_hold_invoice(order) == invoice
        assert await rig.node.look_up(order.payment_hash) == invoice
        other = HoldOrder(
            payment_hash=order.payment_hash, amount_msat=22_000, memo=order.memo, expiry_s=600
        )
        with pytest.raises(InvoiceRefused):
            await rig.holds.add_hold_invoice(other)

    @pytest.mark.parametrize("amount_msat", [0, -1])
    async def test_no_hold_over_nothing(self, rig: HoldRig, amount_msat: int) -> None:
        """0 would mean *any amount*; a hash that is none is refused too."""
        for payment_hash in (secrets.token_hex(32), "00", "x" * 64):
            order = HoldOrder(
                payment_hash=payment_hash, amount_msat=amount_msat, memo="", expiry_s=60
            )
            with pytest.raises(InvoiceRefused):
                await rig.holds.add_hold_invoice(order)

    async def test_accepted_then_settled(self, rig: HoldRig) -> None:
        """OPEN, ACCEPTED with what is held, SETTLED with what was paid; the payer has proof."""
        preimage, order = new_hold()
        invoice = await rig.holds.add_hold_invoice(order)
        changes = rig.holds.hold_changes(order.payment_hash)
        assert await next_change(changes) == HeldInvoice(invoice=invoice)
        async with asyncio.TaskGroup() as tasks:
            payment = tasks.create_task(rig.pay(invoice.payment_request))
            held = await until(changes, InvoiceState.ACCEPTED)
            assert held.held_msat == order.amount_msat
            assert held.held_until_height > 0
            assert (held.invoice.amount_paid_msat, held.invoice.settle_index) == (0, 0)
            assert await rig.node.look_up(order.payment_hash) == held.invoice
            settled = await rig.holds.settle_hold(preimage)
        assert payment.result() == preimage.hex()
        assert settled.state is InvoiceState.SETTLED
        assert settled.amount_paid_msat == order.amount_msat
        assert settled.settle_index > 0
        assert (await until(changes, InvoiceState.SETTLED)).invoice == settled
        with pytest.raises(StopAsyncIteration):
            await next_change(changes)
        for again in (rig.holds.settle_hold(preimage), rig.holds.cancel_hold(order.payment_hash)):
            assert await again == settled

    async def test_accepted_then_canceled(self, rig: HoldRig) -> None:
        """The payer has everything back, and the preimage takes nothing any more."""
        preimage, order = new_hold()
        invoice = await rig.holds.add_hold_invoice(order)
        changes = rig.holds.hold_changes(order.payment_hash)
        async with asyncio.TaskGroup() as tasks:
            payment = tasks.create_task(rig.pay(invoice.payment_request))
            await until(changes, InvoiceState.ACCEPTED)
            canceled = await rig.holds.cancel_hold(order.payment_hash)
        assert payment.result() is None
        assert canceled.state is InvoiceState.CANCELED
        assert (await until(changes, InvoiceState.CANCELED)).held_msat == 0
        with pytest.raises(InvoiceRefused):
            await rig.holds.settle_hold(preimage)
        assert await rig.holds.cancel_hold(order.payment_hash) == canceled

    async def test_what_nobody_has_paid_cannot_be_taken(self, rig: HoldRig) -> None:
        """Neither an open hold nor one that the node does not know."""
        preimage, order = new_hold()
        stranger, unknown = new_hold()
        await rig.holds.add_hold_invoice(order)
        for each in (preimage, stranger):
            with pytest.raises(InvoiceRefused):
                await rig.holds.settle_hold(each)
        with pytest.raises(InvoiceRefused):
            await rig.holds.cancel_hold(unknown.payment_hash)
        with pytest.raises(InvoiceRefused):
            await next_change(rig.holds.hold_changes(unknown.payment_hash))

    async def test_a_hold_counts_when_it_is_settled(self, rig: HoldRig) -> None:
        """The stream of settlements tells of it after the preimage was shown, not before."""
        before = await self._taken(rig)
        after = await self._taken(rig)
        stream = rig.node.settled_invoices(before.settle_index)
        async with asyncio.timeout(WAIT_S):
            assert await anext(stream) == after

    async def _taken(self, rig: HoldRig) -> Invoice:
        preimage, order = new_hold()
        invoice = await rig.holds.add_hold_invoice(order)
        changes = rig.holds.hold_changes(order.payment_hash)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(rig.pay(invoice.payment_request))
            await until(changes, InvoiceState.ACCEPTED)
            return await rig.holds.settle_hold(preimage)
