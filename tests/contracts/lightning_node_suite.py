"""What every LightningNode must do, whoever is behind it.

A test module for one adapter subclasses `LightningNodeSuite` under a name that pytest collects and
gives it a fixture `rig`. The suite asks for nothing a real lnd cannot do: events may come late,
doubled or out of order, and a payment in progress may look OPEN or ACCEPTED.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from cobot_meter.adapters.lightning.bolt11 import decode_bolt11
from cobot_meter.adapters.lightning.invoice_check import check_invoice
from cobot_meter.domain.errors import InvoiceRefused, NodeUnavailable
from cobot_meter.domain.invoices import InvoiceOrder, InvoiceState
from tests.contracts.lightning_node_rig import (
    NodeRig,
    breaks,
    new_order,
    next_event,
    settled,
    state_of,
)


class LightningNodeSuite:
    """The contract, one promise a test."""

    async def test_it_says_who_it_is(self, rig: NodeRig) -> None:
        """The identity is a public key on a network, and does not change."""
        identity = await rig.node.identity()
        assert len(bytes.fromhex(identity.pubkey)) == 33
        assert identity.network
        assert await rig.node.identity() == identity
        await rig.node.ping()

    async def test_an_invoice_is_the_one_ordered(self, rig: NodeRig) -> None:
        """Hash, amount, memo, expiry, network and payee stand in the signed text."""
        order = new_order()
        invoice = await rig.node.add_invoice(order)
        check_invoice(order, invoice, await rig.node.identity())
        assert decode_bolt11(invoice.payment_request).description == order.memo
        assert invoice.state is InvoiceState.OPEN
        assert (invoice.amount_paid_msat, invoice.settle_index) == (0, 0)
        assert await rig.node.look_up(order.payment_hash) == invoice

    async def test_its_list_has_every_invoice_since_a_second(self, rig: NodeRig) -> None:
        """Paid and unpaid, with their memos and as they are now; none that was made before."""
        paid, unpaid = new_order(), replace(new_order(), memo="another memo")
        first, second = [await rig.node.add_invoice(order) for order in (paid, unpaid)]
        await rig.pay(first.payment_request)
        listed = {
            one.invoice.payment_hash: one
            async for one in rig.node.listed_invoices(first.created_at_s)
        }
        for order in (paid, unpaid):
            known = await rig.node.look_up(order.payment_hash)
            assert listed[order.payment_hash].invoice == known
            assert listed[order.payment_hash].memo == order.memo
        assert listed[paid.payment_hash].invoice.state is InvoiceState.SETTLED
        later_s = second.created_at_s + 3_600
        assert [one async for one in rig.node.listed_invoices(later_s)] == []

    async def test_the_same_order_finds_the_same_invoice(self, rig: NodeRig) -> None:
        """Asking again makes nothing new, however often and however much at once."""
        order = new_order()
        first = await rig.node.add_invoice(order)
        async with asyncio.TaskGroup() as tasks:
            again = [tasks.create_task(rig.node.add_invoice(order)) for _ in range(8)]
        assert {task.result() for task in again} == {first}

    async def test_simultaneous_first_orders_make_one_invoice(self, rig: NodeRig) -> None:
        """Two who place the same new order at once get the same invoice."""
        order = new_order()
        async with asyncio.TaskGroup() as tasks:
            both = [tasks.create_task(rig.node.add_invoice(order)) for _ in range(2)]
        assert len({task.result().payment_request for task in both}) == 1

    async def test_an_earlier_invoice_keeps_its_own_expiry(self, rig: NodeRig) -> None:
        """Asked for again with another expiry, the invoice that exists is found as it was made."""
        order = new_order()
        first = await rig.node.add_invoice(order)
        for expiry_s in (order.expiry_s - 1, order.expiry_s + 1):
            again = await rig.node.add_invoice(replace(order, expiry_s=expiry_s))
            assert again == first

    async def test_one_preimage_one_amount(self, rig: NodeRig) -> None:
        """The same preimage with another amount or memo is refused for good."""
        order = new_order()
        invoice = await rig.node.add_invoice(order)
        for other in (
            InvoiceOrder(
                preimage=order.preimage,
                payment_hash=order.payment_hash,
                amount_msat=order.amount_msat + 1000,
                memo=order.memo,
                expiry_s=order.expiry_s,
            ),
            InvoiceOrder(
                preimage=order.preimage,
                payment_hash=order.payment_hash,
                amount_msat=order.amount_msat,
                memo="another completion",
                expiry_s=order.expiry_s,
            ),
        ):
            with pytest.raises(InvoiceRefused):
                await rig.node.add_invoice(other)
        assert await rig.node.look_up(order.payment_hash) == invoice

    @pytest.mark.parametrize("amount_msat", [0, -1000])
    async def test_no_invoice_over_nothing(self, rig: NodeRig, amount_msat: int) -> None:
        """An amount of 0 would mean *any amount*: it is never made."""
        order = new_order(amount_msat=amount_msat)
        with pytest.raises(InvoiceRefused):
            await rig.node.add_invoice(order)
        assert await rig.node.look_up(order.payment_hash) is None

    async def test_an_unknown_hash_is_none(self, rig: NodeRig) -> None:
        """Never heard of is an answer of its own, and no invoice can be canceled by it."""
        payment_hash = new_order().payment_hash
        assert await rig.node.look_up(payment_hash) is None
        with pytest.raises(InvoiceRefused):
            await rig.node.cancel_invoice(payment_hash)

    async def test_paying_settles(self, rig: NodeRig) -> None:
        """The payer gets our preimage; the node says SETTLED, how much, and a settle index."""
        order = new_order()
        invoice = await rig.node.add_invoice(order)
        assert await rig.pay(invoice.payment_request) == order.preimage.hex()
        found = await rig.node.look_up(order.payment_hash)
        assert found is not None
        assert found.state is InvoiceState.SETTLED
        assert found.amount_paid_msat == order.amount_msat
        assert found.settle_index > 0
        assert await rig.node.add_invoice(order) == found

    async def test_settle_indexes_grow(self, rig: NodeRig) -> None:
        """Whoever settles later has the higher index."""
        indexes = [(await settled(rig)).settle_index for _ in range(3)]
        assert indexes == sorted(set(indexes))

    async def test_an_invoice_is_paid_once(self, rig: NodeRig) -> None:
        """A second payment moves nothing, be it refused or answered with the first."""
        invoice = await settled(rig)
        await rig.pay(invoice.payment_request)
        assert await rig.node.look_up(invoice.payment_hash) == invoice

    async def test_canceling_ends_it(self, rig: NodeRig) -> None:
        """Canceled means nobody can pay it any more; canceling again says the same."""
        order = new_order()
        invoice = await rig.node.add_invoice(order)
        for _ in range(2):
            canceled = await rig.node.cancel_invoice(order.payment_hash)
            assert canceled.state is InvoiceState.CANCELED
        assert await rig.pay(invoice.payment_request) is None
        assert await state_of(rig, invoice) is InvoiceState.CANCELED
        assert (await rig.node.add_invoice(order)).state is InvoiceState.CANCELED

    async def test_settled_wins_over_canceling(self, rig: NodeRig) -> None:
        """Canceling what is paid answers the payment."""
        invoice = await settled(rig)
        assert await rig.node.cancel_invoice(invoice.payment_hash) == invoice

    async def test_expiry_cancels(self, rig: NodeRig) -> None:
        """The node itself cancels an unpaid invoice whose time is over."""
        invoice = await rig.node.add_invoice(new_order(expiry_s=rig.short_expiry_s))
        await rig.let_expire(invoice)
        assert await state_of(rig, invoice) is InvoiceState.CANCELED
        assert await rig.pay(invoice.payment_request) is None

    async def test_a_payment_under_way_is_not_settled(self, rig: NodeRig) -> None:
        """While a payment is held the invoice is OPEN or ACCEPTED and nothing counts as paid."""
        invoice = await rig.node.add_invoice(new_order())
        await rig.begin_payment(invoice.payment_request)
        found = await rig.node.look_up(invoice.payment_hash)
        assert found is not None
        assert found.state in (InvoiceState.OPEN, InvoiceState.ACCEPTED)
        assert (found.amount_paid_msat, found.settle_index) == (0, 0)
        await rig.give_up_payment(invoice.payment_request)
        assert await state_of(rig, invoice) is InvoiceState.OPEN
        assert await rig.pay(invoice.payment_request) is not None

    async def test_canceling_gives_a_payment_under_way_back(self, rig: NodeRig) -> None:
        """An invoice with a held payment can be canceled; nothing settles afterwards."""
        invoice = await rig.node.add_invoice(new_order())
        await rig.begin_payment(invoice.payment_request)
        canceled = await rig.node.cancel_invoice(invoice.payment_hash)
        assert canceled.state is InvoiceState.CANCELED
        assert await state_of(rig, invoice) is InvoiceState.CANCELED

    async def test_the_stream_tells_of_settlements_only(self, rig: NodeRig) -> None:
        """From 0 there is no replay; then settled invoices come, others never do."""
        await settled(rig)
        stream = rig.node.settled_invoices(0)
        async with asyncio.TaskGroup() as tasks:
            event = tasks.create_task(next_event(stream))
            await rig.streams_are_live()
            await rig.node.cancel_invoice((await rig.node.add_invoice(new_order())).payment_hash)
            paid = await settled(rig)
        assert event.result() == paid

    async def test_the_stream_replays_above_the_index(self, rig: NodeRig) -> None:
        """From an index on, every later settlement is told at least once, in any order."""
        first, second, third = [await settled(rig) for _ in range(3)]
        stream = rig.node.settled_invoices(first.settle_index)
        told = [await next_event(stream)]
        while not {second, third} <= set(told):
            told.append(await next_event(stream))
        assert first not in told

    async def test_every_listener_is_told(self, rig: NodeRig) -> None:
        """Two streams both hear of the same settlement."""
        streams = [rig.node.settled_invoices(0) for _ in range(2)]
        async with asyncio.TaskGroup() as tasks:
            events = [tasks.create_task(next_event(stream)) for stream in streams]
            await rig.streams_are_live()
            paid = await settled(rig)
        assert [event.result() for event in events] == [paid, paid]

    async def test_a_restart_loses_nothing(self, rig: NodeRig) -> None:
        """Row 21: after a kill every invoice is there, the open one is payable, and it goes on."""
        identity = await rig.node.identity()
        paid = await settled(rig)
        canceled = await rig.node.add_invoice(new_order())
        canceled = await rig.node.cancel_invoice(canceled.payment_hash)
        order = new_order()
        unpaid = await rig.node.add_invoice(order)
        await rig.restart()
        assert await rig.node.identity() == identity
        for invoice in (paid, canceled, unpaid):
            assert await rig.node.look_up(invoice.payment_hash) == invoice
        assert await rig.node.add_invoice(order) == unpaid
        assert await rig.pay(unpaid.payment_request) == order.preimage.hex()
        stream = rig.node.settled_invoices(paid.settle_index)
        event = await next_event(stream)
        assert event.payment_hash == unpaid.payment_hash
        assert event.settle_index > paid.settle_index

    async def test_unreachable_is_unknown(self, rig: NodeRig) -> None:
        """Down, every call says NodeUnavailable, a stream breaks, and nothing has changed later."""
        order = new_order()
        invoice = await rig.node.add_invoice(order)
        stream = rig.node.settled_invoices(0)
        async with asyncio.TaskGroup() as tasks:
            broken = tasks.create_task(breaks(stream))
            await rig.streams_are_live()
            await rig.take_down()
        assert broken.result()
        for call in (
            rig.node.identity(),
            rig.node.ping(),
            rig.node.add_invoice(order),
            rig.node.look_up(order.payment_hash),
            rig.node.cancel_invoice(order.payment_hash),
            next_event(rig.node.settled_invoices(1)),
        ):
            with pytest.raises(NodeUnavailable):
                await call
        await rig.bring_back()
        assert await rig.node.look_up(order.payment_hash) == invoice
        assert await rig.pay(invoice.payment_request) is not None
