"""Streams that replay oddly, fall silent, break or hang on a half-open connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cobot_meter.adapters.lightning.lnd.access import LndTimeouts
from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.background.supervise import Supervisor
from cobot_meter.domain.errors import NodeUnavailable
from cobot_meter.domain.invoices import Invoice, InvoiceState
from tests.adapters.lightning.lnd.fake_lnd_rig import FakeLndRig, fake_lnd_rig
from tests.contracts.hold_invoices_suite import new_hold, next_change
from tests.contracts.lightning_node_rig import breaks, new_order, next_event, settled
from tests.fakes.servers.tcp_proxy import tcp_proxy

QUICK = LndTimeouts(call_s=0.5, add_s=0.5, quiet_s=0.1, silent_s=60.0)
HASTY = LndTimeouts(call_s=0.5, quiet_s=0.05, silent_s=0.2)


@pytest.fixture(name="rig")
async def _rig(tmp_path: Path) -> AsyncIterator[FakeLndRig]:
    async with fake_lnd_rig(tmp_path, QUICK) as rig:
        yield rig


async def test_replays_out_of_order_and_doubled(rig: FakeLndRig) -> None:
    """SQL stores replay in the order of making, and anything may come twice: all of it comes."""
    first = await settled(rig)
    early = await rig.node.add_invoice(new_order())
    late = await rig.node.add_invoice(new_order())
    await rig.pay(late.payment_request)
    await rig.pay(early.payment_request)
    rig.lnd.faults.doubled_events = True
    stream = rig.node.settled_invoices(first.settle_index)
    told = [await next_event(stream) for _ in range(4)]
    assert [event.settle_index for event in told] == [3, 3, 2, 2]
    assert all(event.state is InvoiceState.SETTLED for event in told)


async def test_silence_of_a_node_that_is_well_is_fine(rig: FakeLndRig) -> None:
    """Nothing happens and the node answers: the stream stays, and tells when something does."""
    stream = rig.node.settled_invoices(0)
    async with asyncio.TaskGroup() as tasks:
        event = tasks.create_task(next_event(stream))
        await rig.streams_are_live()
        for _ in range(500):
            if rig.lnd.calls.count("GetState") >= 3:
                break
            await asyncio.sleep(0.01)
        paid = await settled(rig)
    assert event.result() == paid


async def test_a_deaf_stream_breaks(rig: FakeLndRig) -> None:
    """An invoice was made and the stream says nothing of it: it hears nothing any more."""
    rig.lnd.faults.silent_streams = True
    stream = rig.node.settled_invoices(0)
    async with asyncio.TaskGroup() as tasks:
        broken = tasks.create_task(breaks(stream))
        await rig.streams_are_live()
        await rig.node.add_invoice(new_order())
    assert broken.result()


async def test_a_node_that_is_unwell_breaks_the_stream(rig: FakeLndRig) -> None:
    """The stream is silent and the node has lost its chain: the listener is told why."""
    stream = rig.node.settled_invoices(0)
    rig.lnd.faults.synced = False
    with pytest.raises(NodeUnavailable, match="chain"):
        await next_event(stream)
    with pytest.raises(NodeUnavailable, match="chain"):
        await next_event(stream)


async def test_silence_has_a_bound(tmp_path: Path) -> None:
    """However well the node says it is, a stream is opened anew after a while."""
    async with fake_lnd_rig(tmp_path, HASTY) as rig:
        with pytest.raises(NodeUnavailable, match="silent"):
            await next_event(rig.node.settled_invoices(0))


async def test_a_half_open_connection_is_noticed_by_asking(rig: FakeLndRig) -> None:
    """Everything between us and the node goes silent: the watch finds out, and a new one works."""
    async with tcp_proxy(rig.lnd.port) as proxy:
        node = rig.another(port=proxy.port)
        await node.ping()
        stream = node.settled_invoices(0)
        async with asyncio.TaskGroup() as tasks:
            broken = tasks.create_task(breaks(stream))
            await rig.lnd.listened(1)
            proxy.go_silent()
        assert broken.result()
        with pytest.raises(NodeUnavailable):
            await node.look_up(new_order().payment_hash)
        proxy.speak_again()
        await node.until_well()
        before = await settled(rig)
        paid = await settled(rig)
        assert await next_event(node.settled_invoices(before.settle_index)) == paid
        await node.connection.close()


async def test_a_hold_is_watched_too(rig: FakeLndRig) -> None:
    """A subscription to one invoice breaks when its node is unwell."""
    _, order = new_hold()
    await rig.holds.add_hold_invoice(order)
    changes = rig.holds.hold_changes(order.payment_hash)
    await next_change(changes)
    rig.lnd.faults.synced = False
    with pytest.raises(NodeUnavailable):
        await next_change(changes)


async def test_whoever_stops_listening_is_forgotten(rig: FakeLndRig) -> None:
    """A cancelled listener is cancelled and not told of faults; lnd hears that it has gone."""
    stream = rig.node.settled_invoices(0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await anext(stream)
    for _ in range(500):
        if not rig.lnd.memory.listeners:
            break
        await asyncio.sleep(0.01)
    assert not rig.lnd.memory.listeners
    with pytest.raises(NodeUnavailable):
        await next_event(stream)


async def test_no_process_exit_on_stream_loss(rig: FakeLndRig) -> None:
    """Row 23: the node goes away and comes back, again and again; the listener goes on."""
    told: dict[str, Invoice] = {}
    faults: list[str] = []
    supervisor = Supervisor(clock=SystemClock(), report=faults.append)
    first = await settled(rig)

    async def listen() -> None:
        async for invoice in rig.node.settled_invoices(first.settle_index):
            told[invoice.payment_hash] = invoice

    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(supervisor.every("listen", 0.0, listen))
        for _ in range(3):
            await rig.take_down()
            with contextlib.suppress(NodeUnavailable):
                await rig.node.ping()
            await rig.bring_back()
            paid = await settled(rig)
            for _ in range(1_000):
                if paid.payment_hash in told:
                    break
                await asyncio.sleep(0.01)
            assert told[paid.payment_hash] == paid
        listening.cancel()
    assert len(faults) >= 3
