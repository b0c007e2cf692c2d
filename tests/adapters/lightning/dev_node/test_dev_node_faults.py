"""The development node's faults: each shows what it says, and the truth survives it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from cobot_meter.adapters.lightning.dev_node.node import DevNode
from cobot_meter.adapters.lightning.dev_node.payments import PaymentFault, PaymentRefused
from cobot_meter.adapters.lightning.dev_node.signing import (
    NO_FAULTS,
    BadInvoice,
    NodeFaults,
    change_faults,
)
from cobot_meter.adapters.lightning.dev_node.streams import MAX_WAITING_EVENTS, SettleStream
from cobot_meter.domain.errors import InvoiceRefused, NodeUnavailable
from cobot_meter.domain.invoices import Invoice, InvoiceState
from tests.adapters.lightning.dev_node.dev_node_rig import DevNodeRig
from tests.contracts.lightning_node_rig import new_order, next_event, settled


async def _told(stream: SettleStream) -> list[str]:
    """The hashes that wait in the stream, which must then be silent."""
    hashes = []
    while True:
        try:
            async with asyncio.timeout(0.01):
                hashes.append((await anext(stream)).payment_hash)
        except TimeoutError:
            return hashes


async def test_a_lost_add_reply_left_its_effect(node: DevNode) -> None:
    """The call times out, but the invoice exists, and the repeat finds it."""
    node.set_faults(NodeFaults(lost_add_replies=1))
    order = new_order()
    with pytest.raises(NodeUnavailable):
        await node.add_invoice(order)
    assert node.faults == NO_FAULTS
    found = await node.look_up(order.payment_hash)
    assert found is not None
    assert await node.add_invoice(order) == found


async def test_a_lost_cancel_reply_left_its_effect(node: DevNode) -> None:
    """The call times out, but the invoice is canceled."""
    invoice = await node.add_invoice(new_order())
    node.set_faults(NodeFaults(lost_cancel_replies=1))
    with pytest.raises(NodeUnavailable):
        await node.cancel_invoice(invoice.payment_hash)
    assert (await node.cancel_invoice(invoice.payment_hash)).state is InvoiceState.CANCELED


@pytest.mark.parametrize("wrong", [wrong for wrong in BadInvoice if wrong is not BadInvoice.NO])
async def test_a_bad_invoice_never_gets_out(node: DevNode, wrong: BadInvoice) -> None:
    """Our own check refuses it; the node's memory is sound, and so is the next answer."""
    node.set_faults(NodeFaults(bad_invoice=wrong))
    order = new_order()
    with pytest.raises(InvoiceRefused):
        await node.add_invoice(order)
    node.set_faults(NO_FAULTS)
    assert (await node.add_invoice(order)).state is InvoiceState.OPEN


async def test_refused_adds_make_nothing(node: DevNode) -> None:
    """A node that says no for good has made nothing, but still finds what it has."""
    existing = new_order()
    invoice = await node.add_invoice(existing)
    node.set_faults(NodeFaults(refuses_adds=True))
    order = new_order()
    with pytest.raises(InvoiceRefused):
        await node.add_invoice(order)
    assert await node.look_up(order.payment_hash) is None
    assert await node.add_invoice(existing) == invoice


async def test_nobody_can_pay_a_node_that_is_down(node: DevNode) -> None:
    """The payer is told that the node is unreachable, and no money has moved."""
    invoice = await node.add_invoice(new_order())
    node.set_faults(NodeFaults(down=True))
    with pytest.raises(PaymentRefused) as refused:
        await node.pay(invoice.payment_request)
    assert refused.value.fault is PaymentFault.NODE_UNREACHABLE
    node.set_faults(NO_FAULTS)
    assert await node.look_up(invoice.payment_hash) == invoice


async def test_silent_streams_say_nothing(rig: DevNodeRig) -> None:
    """Neither replay nor live events arrive, and the stream looks healthy; a look-up knows."""
    first = await settled(rig)
    rig.node.set_faults(NodeFaults(silent_streams=True))
    stream = rig.node.settled_invoices(first.settle_index)
    await settled(rig)
    assert await _told(stream) == []


async def test_lost_events_are_lost_to_all(rig: DevNodeRig) -> None:
    """The next settlements are told to nobody; the one after is, and a replay has them all."""
    first = await settled(rig)
    stream = rig.node.settled_invoices(0)
    rig.node.set_faults(NodeFaults(lost_settle_events=2))
    paid = [(await settled(rig)).payment_hash for _ in range(3)]
    assert await _told(stream) == paid[2:]
    assert await _told(rig.node.settled_invoices(first.settle_index)) == paid


async def test_events_are_doubled_live_and_replayed(rig: DevNodeRig) -> None:
    """At least once means sometimes twice."""
    first = await settled(rig)
    rig.node.set_faults(NodeFaults(doubled_events=True))
    stream = rig.node.settled_invoices(0)
    paid = (await settled(rig)).payment_hash
    assert await _told(stream) == [paid, paid]
    assert await _told(rig.node.settled_invoices(first.settle_index)) == [paid, paid]


async def test_replays_come_in_order_of_creation(rig: DevNodeRig) -> None:
    """As lnd on SQL: invoices paid in reverse are replayed in the order in which they were made."""
    first = await settled(rig)
    invoices: list[Invoice] = []
    for _ in range(3):
        rig.clock.advance(1)
        invoices.append(await rig.node.add_invoice(new_order()))
    for invoice in reversed(invoices):
        await rig.node.pay(invoice.payment_request)
    made = [invoice.payment_hash for invoice in invoices]
    assert await _told(rig.node.settled_invoices(first.settle_index)) == made[::-1]
    rig.node.set_faults(NodeFaults(shuffled_replays=True))
    assert await _told(rig.node.settled_invoices(first.settle_index)) == made


async def test_settle_indexes_can_have_gaps(rig: DevNodeRig) -> None:
    """One settlement skips some indexes; the next follows on, over a restart too."""
    first = await settled(rig)
    rig.node.set_faults(NodeFaults(settle_index_gap=10))
    second = await settled(rig)
    await rig.restart()
    third = await settled(rig)
    indexes = [invoice.settle_index for invoice in (first, second, third)]
    assert indexes == [1, 12, 13]


async def test_the_first_settlement_cannot_be_replayed(rig: DevNodeRig) -> None:
    """As in lnd, 0 replays nothing and 1 what comes after it: no cursor brings back index 1."""
    await settled(rig)
    assert await _told(rig.node.settled_invoices(0)) == []
    assert await _told(rig.node.settled_invoices(1)) == []


async def test_a_cursor_from_elsewhere_hides_events(rig: DevNodeRig) -> None:
    """As in lnd, a cursor above the node's own index silently keeps live events back."""
    stream = rig.node.settled_invoices(1000)
    await settled(rig)
    assert await _told(stream) == []


async def test_broken_streams_end_after_what_waited(rig: DevNodeRig) -> None:
    """Breaking loses nothing that was already told, and a new stream works."""
    stream = rig.node.settled_invoices(0)
    paid = await settled(rig)
    rig.node.break_streams()
    assert await next_event(stream) == paid
    for _ in range(2):
        with pytest.raises(NodeUnavailable):
            await next_event(stream)
    fresh = rig.node.settled_invoices(0)
    assert await settled(rig) == await next_event(fresh)


async def test_a_listener_too_slow_loses_its_stream(rig: DevNodeRig) -> None:
    """The queue of a stream is bounded: past it the stream breaks instead of growing."""
    paid = await settled(rig)
    stream = SettleStream(since_settle_index=0, backlog=[paid])
    for index in range(1, MAX_WAITING_EVENTS + 10):
        stream.offer(replace(paid, settle_index=index))
    for _ in range(MAX_WAITING_EVENTS + 1):
        await next_event(stream)
    with pytest.raises(NodeUnavailable):
        await next_event(stream)


def test_faults_are_changed_by_name() -> None:
    """JSON names the faults to change and leaves the others as they are."""
    faults = change_faults(NodeFaults(down=True), {"lost_add_replies": 2, "bad_invoice": "hash"})
    assert faults == NodeFaults(down=True, lost_add_replies=2, bad_invoice=BadInvoice.HASH)


@pytest.mark.parametrize(
    "changes",
    [
        {"up": True},
        {"down": 1},
        {"down": None},
        {"lost_add_replies": True},
        {"lost_add_replies": -1},
        {"lost_add_replies": 1.5},
        {"bad_invoice": "colour"},
    ],
    ids=str,
)
def test_faults_that_do_not_exist(changes: dict[str, object]) -> None:
    """Unknown names and values of the wrong kind are refused."""
    with pytest.raises(ValueError, match=r"fault|BadInvoice"):
        change_faults(NO_FAULTS, changes)
