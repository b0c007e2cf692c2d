"""What the LND adapter does when the node's answer is lost, wrong, late or another node's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import coincurve
import pytest

from cobot_meter.adapters.lightning.lnd.access import LndTimeouts
from cobot_meter.adapters.lightning.lnd.stubs import CIPHERS, invoicesrpc, staterpc
from cobot_meter.domain.errors import InvoiceRefused, NodeUnavailable
from cobot_meter.domain.invoices import InvoiceOrder, InvoiceState
from tests.adapters.lightning.lnd.fake_lnd_rig import FakeLndRig, fake_lnd_rig
from tests.contracts.hold_invoices_suite import new_hold
from tests.contracts.lightning_node_rig import new_order, next_event, settled

PRINT_CIPHERS = f"""
import os, cobot_meter.adapters.lightning.lnd.stubs
print(os.environ.get({CIPHERS!r}, ""))
"""
QUICK = LndTimeouts(call_s=2.0, add_s=0.3)


@pytest.fixture(name="rig")
async def _rig(tmp_path: Path) -> AsyncIterator[FakeLndRig]:
    async with fake_lnd_rig(tmp_path, QUICK) as rig:
        yield rig


async def test_an_invoice_costs_one_call(rig: FakeLndRig) -> None:
    """Once the node is known, nothing but AddInvoice is asked."""
    await rig.node.add_invoice(new_order())
    rig.lnd.calls.clear()
    await rig.node.add_invoice(new_order())
    assert rig.lnd.calls == ["AddInvoice"]


async def test_it_tells_what_it_can_receive(rig: FakeLndRig) -> None:
    """The remote side of its channels, as it is now."""
    assert await rig.node.receivable_msat() == 8_000_000_000
    rig.lnd.faults.inbound_msat = 5_000
    assert await rig.node.receivable_msat() == 5_000


async def test_a_lost_answer_is_found_again(rig: FakeLndRig) -> None:
    """Made but not told within the deadline: the look-up finds it, and it is made once."""
    order = new_order()
    rig.lnd.faults.lost_add_replies = 1
    invoice = await rig.node.add_invoice(order)
    assert invoice.state is InvoiceState.OPEN
    assert await rig.node.add_invoice(order) == invoice
    assert len(rig.lnd.memory.invoices) == 1


async def test_a_lost_hold_is_found_again(rig: FakeLndRig) -> None:
    """The same for an invoice whose payment is to be held: asking again adopts it."""
    _, order = new_hold()
    made = invoicesrpc.AddHoldInvoiceRequest(
        hash=bytes.fromhex(order.payment_hash),
        value_msat=order.amount_msat,
        memo=order.memo,
        expiry=order.expiry_s,
    )
    rig.lnd.memory.add(made, preimage=b"", is_hold=True)
    assert (await rig.holds.add_hold_invoice(order)).payment_hash == order.payment_hash


async def test_a_found_invoice_must_agree(rig: FakeLndRig) -> None:
    """What exists under our hash with another amount is not adopted."""
    order = new_order()
    await rig.node.add_invoice(order)
    other = InvoiceOrder(
        preimage=order.preimage,
        payment_hash=order.payment_hash,
        amount_msat=order.amount_msat + 1_000,
        memo=order.memo,
        expiry_s=order.expiry_s,
    )
    with pytest.raises(InvoiceRefused, match="another amount or memo"):
        await rig.node.add_invoice(other)


@pytest.mark.parametrize("wrong", ["amount", "hash", "payee", "network", "expiry", "text"])
async def test_a_wrong_invoice_is_never_handed_out(rig: FakeLndRig, wrong: str) -> None:
    """Whatever the node signs, the caller sees only what was ordered."""
    rig.lnd.faults.wrong = wrong
    with pytest.raises(InvoiceRefused):
        await rig.node.add_invoice(new_order())
    with pytest.raises(InvoiceRefused):
        await rig.holds.add_hold_invoice(new_hold()[1])


async def test_an_adopted_invoice_is_checked_too(rig: FakeLndRig) -> None:
    """One that the look-up finds goes through the same check as a fresh one."""
    order = new_order()
    await rig.node.add_invoice(order)
    (kept,) = rig.lnd.memory.invoices.values()
    kept.payment_request = rig.lnd.memory.sign(kept, key=coincurve.PrivateKey())
    with pytest.raises(InvoiceRefused, match="payee"):
        await rig.node.add_invoice(order)


async def test_an_answer_about_another_invoice_is_unknown(rig: FakeLndRig) -> None:
    """A look-up that tells of another hash tells nothing."""
    order, other = new_order(), new_order()
    await rig.node.add_invoice(order)
    await rig.node.add_invoice(other)
    invoices = rig.lnd.memory.invoices
    invoices[bytes.fromhex(order.payment_hash)] = invoices[bytes.fromhex(other.payment_hash)]
    with pytest.raises(NodeUnavailable):
        await rig.node.look_up(order.payment_hash)


async def test_overpaying_is_told(rig: FakeLndRig) -> None:
    """What was paid may be more than what was asked, in the look-up and on the stream."""
    first = await settled(rig)
    stream = rig.node.settled_invoices(first.settle_index)
    invoice = await rig.node.add_invoice(new_order())
    rig.lnd.memory.pay(invoice.payment_request, amount_msat=2 * invoice.amount_msat)
    found = await rig.node.look_up(invoice.payment_hash)
    assert found is not None
    assert (found.amount_msat, found.amount_paid_msat) == (21_000, 42_000)
    assert await next_event(stream) == found


async def test_parts_under_way_leave_it_open(rig: FakeLndRig) -> None:
    """Some parts of a payment have come: OPEN, and nothing counts as paid."""
    invoice = await rig.node.add_invoice(new_order())
    await rig.begin_payment(invoice.payment_request)
    assert await rig.node.look_up(invoice.payment_hash) == invoice


async def test_another_node_answers_nothing(rig: FakeLndRig) -> None:
    """A node of another identity says no `unknown` and makes no invoice for us; it is named."""
    known = await rig.node.identity()
    order = new_order()
    await rig.node.add_invoice(order)
    rig.lnd.memory.key = coincurve.PrivateKey()
    rig.lnd.memory.invoices.clear()
    for call in (
        rig.node.look_up(order.payment_hash),
        rig.node.cancel_invoice(order.payment_hash),
        rig.node.add_invoice(new_order()),
        rig.node.ping(),
    ):
        with pytest.raises(NodeUnavailable, match=rig.lnd.memory.pubkey):
            await call
    assert (await rig.node.identity()).pubkey != known.pubkey


async def test_another_network_answers_nothing(tmp_path: Path) -> None:
    """A node on another network than the setting makes no invoice."""
    rig = FakeLndRig(tmp_path)
    rig.lnd.faults.network = "mainnet"
    await rig.start()
    assert (await rig.node.identity()).network == "mainnet"
    for call in (rig.node.add_invoice(new_order()), rig.node.ping()):
        with pytest.raises(NodeUnavailable, match="mainnet"):
            await call
    assert rig.lnd.memory.invoices == {}
    await rig.stop()


async def test_ping_says_what_is_missing(rig: FakeLndRig) -> None:
    """Locked, starting and out of step with the chain are each a reason; then it is well."""
    faults = rig.lnd.faults
    for state in (staterpc.NON_EXISTING, staterpc.LOCKED, staterpc.UNLOCKED, staterpc.RPC_ACTIVE):
        faults.state = state
        with pytest.raises(NodeUnavailable, match=staterpc.WalletState.Name(state)):
            await rig.node.ping()
    faults.state, faults.synced = staterpc.SERVER_ACTIVE, False
    with pytest.raises(NodeUnavailable, match="chain"):
        await rig.node.ping()
    faults.synced = True
    await rig.node.ping()


async def test_late_settle_credits(rig: FakeLndRig) -> None:
    """Row 22: paid after its time while the node still held it OPEN: settled wherever we ask."""
    first = await settled(rig)
    order = new_order(expiry_s=60)
    invoice = await rig.node.add_invoice(order)
    rig.lnd.memory.ahead_s = 3_600  # long over, and lnd's watcher has not looked yet
    kept = rig.lnd.memory.invoices[bytes.fromhex(order.payment_hash)]
    rig.lnd.memory.settle(kept, order.amount_msat)
    late = await rig.node.look_up(order.payment_hash)
    assert late is not None
    assert late.state is InvoiceState.SETTLED
    assert late.amount_paid_msat == invoice.amount_msat
    assert await rig.node.cancel_invoice(order.payment_hash) == late
    assert await rig.node.add_invoice(order) == late
    assert await next_event(rig.node.settled_invoices(first.settle_index)) == late


@pytest.mark.parametrize("before", ["", "ECDHE+AESGCM"])
def test_the_import_leaves_the_ciphers_alone(before: str) -> None:
    """What lndgrpc does to the ciphers of the whole process is undone."""
    said = subprocess.run(
        [sys.executable, "-c", PRINT_CIPHERS],
        env={**os.environ, **({CIPHERS: before} if before else {})},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == before
