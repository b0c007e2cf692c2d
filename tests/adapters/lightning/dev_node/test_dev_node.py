"""What the development node does beyond the port's contract: payers, time, and the start."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from cobot_meter.adapters.lightning.bolt11 import decode_bolt11
from cobot_meter.adapters.lightning.dev_node.node import WATCH_EVERY_S, DevNode
from cobot_meter.adapters.lightning.dev_node.payments import PaymentFault, PaymentRefused
from cobot_meter.adapters.lightning.dev_node.signing import NodeFaults
from cobot_meter.adapters.lightning.dev_node.state import PARTS_HOLD_MS
from cobot_meter.domain.errors import InvoiceRefused, SettingInvalid
from cobot_meter.domain.invoices import InvoiceState
from tests.adapters.lightning.dev_node.dev_node_rig import DevNodeRig, open_dev_node
from tests.contracts.lightning_node_rig import new_order
from tests.fakes.clock import FakeClock

HOLDS_EXPIRY = NodeFaults(holds_expiry=True)


async def test_late_payment_while_open_settles(rig: DevNodeRig) -> None:
    """Row 22: lnd takes a payment after the expiry while the invoice is still OPEN; so do we."""
    rig.node.set_faults(HOLDS_EXPIRY)
    invoice = await rig.node.add_invoice(new_order(expiry_s=60))
    rig.clock.advance(3600)
    rig.node.expire_due()
    assert (await rig.node.look_up(invoice.payment_hash)) == invoice
    await rig.node.pay(invoice.payment_request)
    late = await rig.node.look_up(invoice.payment_hash)
    assert late is not None
    assert late.state is InvoiceState.SETTLED
    assert late.expires_at_s * 1000 < rig.clock.now_ms()


async def test_expiry_held_back_comes_when_let_go(rig: DevNodeRig) -> None:
    """Once the watcher may work again, it cancels what expired meanwhile."""
    rig.node.set_faults(HOLDS_EXPIRY)
    invoice = await rig.node.add_invoice(new_order(expiry_s=60))
    rig.clock.advance(61)
    assert rig.node.expire_due() == 0
    rig.node.set_faults(NodeFaults())
    assert rig.node.expire_due() == 1
    with pytest.raises(PaymentRefused) as refused:
        await rig.node.pay(invoice.payment_request)
    assert refused.value.fault is PaymentFault.INVOICE_CANCELED


async def test_the_watcher_cancels_by_itself(rig: DevNodeRig) -> None:
    """`run` writes the expiry down without anybody asking about the invoice."""
    await rig.node.add_invoice(new_order(expiry_s=5))
    before = rig.path.stat().st_size
    async with asyncio.TaskGroup() as tasks:
        watcher = tasks.create_task(rig.node.run())
        await rig.clock.pass_time(4)
        assert rig.path.stat().st_size == before
        await rig.clock.pass_time(1 + WATCH_EVERY_S)
        assert rig.path.stat().st_size > before
        watcher.cancel()


async def test_overpayment_is_taken_whole(node: DevNode) -> None:
    """Paying more than asked settles, and the node says how much came."""
    invoice = await node.add_invoice(new_order(amount_msat=21_000))
    assert (await node.pay(invoice.payment_request, amount_msat=50_001)).amount_msat == 50_001
    found = await node.look_up(invoice.payment_hash)
    assert found is not None
    assert (found.amount_msat, found.amount_paid_msat) == (21_000, 50_001)


@pytest.mark.parametrize(
    ("amount_msat", "fault"),
    [
        (20_999, PaymentFault.AMOUNT_TOO_LOW),
        (0, PaymentFault.AMOUNT_INVALID),
        (-5, PaymentFault.AMOUNT_INVALID),
        (10**19, PaymentFault.AMOUNT_INVALID),
    ],
)
async def test_other_amounts_do_not_settle(
    node: DevNode, amount_msat: int, fault: PaymentFault
) -> None:
    """Too little, nothing, less than nothing and more than there is leave the invoice open."""
    invoice = await node.add_invoice(new_order(amount_msat=21_000))
    with pytest.raises(PaymentRefused) as refused:
        await node.pay(invoice.payment_request, amount_msat=amount_msat)
    assert refused.value.fault is fault
    assert await node.look_up(invoice.payment_hash) == invoice


async def test_a_strangers_invoice_is_unknown(rig: DevNodeRig, tmp_path: Path) -> None:
    """An invoice of another node cannot be paid here, not even one over the same hash."""
    other = open_dev_node(tmp_path / "other.jsonl", rig.clock)
    order = new_order()
    await rig.node.add_invoice(order)
    foreign = await other.add_invoice(order)
    other.close()
    with pytest.raises(PaymentRefused) as refused:
        await rig.node.pay(foreign.payment_request)
    assert refused.value.fault is PaymentFault.INVOICE_UNKNOWN


async def test_capitals_are_paid_too(node: DevNode) -> None:
    """A request scanned from a QR code in upper case is the same request."""
    order = new_order()
    invoice = await node.add_invoice(order)
    payment = await node.pay(invoice.payment_request.upper())
    assert payment.preimage == order.preimage.hex()


async def test_a_mixture_of_capitals_and_small_letters_is_no_invoice(node: DevNode) -> None:
    """Not even of a request that the node made itself."""
    invoice = await node.add_invoice(new_order())
    with pytest.raises(PaymentRefused) as refused:
        await node.pay(invoice.payment_request[:-9] + invoice.payment_request[-9:].upper())
    assert refused.value.fault is PaymentFault.INVOICE_INVALID


async def test_a_held_payment_outlives_expiry_until_given_back(rig: DevNodeRig) -> None:
    """ACCEPTED survives the expiry and a restart, is given back after 120 s, then it expires."""
    invoice = await rig.node.add_invoice(new_order(expiry_s=60))
    assert (await rig.node.hold_payment(invoice.payment_request)).state is InvoiceState.ACCEPTED
    rig.clock.set_ms(invoice.expires_at_s * 1000 + 1)
    await rig.restart()
    found = await rig.node.look_up(invoice.payment_hash)
    assert found is not None
    assert found.state is InvoiceState.ACCEPTED
    rig.clock.set_ms(invoice.created_at_s * 1000 + PARTS_HOLD_MS)
    found = await rig.node.look_up(invoice.payment_hash)
    assert found is not None
    assert found.state is InvoiceState.CANCELED


async def test_a_held_payment_completes(node: DevNode) -> None:
    """Paying what is held settles it once."""
    invoice = await node.add_invoice(new_order())
    await node.hold_payment(invoice.payment_request)
    await node.hold_payment(invoice.payment_request)
    await node.pay(invoice.payment_request)
    with pytest.raises(PaymentRefused):
        await node.hold_payment(invoice.payment_request)
    with pytest.raises(PaymentRefused):
        await node.give_back_payment(invoice.payment_hash)


async def test_invoices_look_like_lnds(node: DevNode) -> None:
    """Regtest prefix, lnd's final delta and feature bits, and a payment secret of each its own."""
    texts = [(await node.add_invoice(new_order())).payment_request for _ in range(2)]
    first, second = (decode_bolt11(text) for text in texts)
    assert all(text.startswith("lnbcrt210n1") for text in texts)
    assert (first.min_final_cltv, first.features) == (80, frozenset({8, 14, 17}))
    assert first.payment_secret != second.payment_secret
    assert first.payment_secret != first.payment_hash


async def test_orders_that_no_node_takes(node: DevNode) -> None:
    """A foreign hash, an endless memo, no expiry and too long an expiry are refused for good."""
    order = new_order()
    for wrong in (
        replace(order, payment_hash=new_order().payment_hash),
        replace(order, memo="é" * 320),
        replace(order, expiry_s=0),
        replace(order, expiry_s=31_536_001),
        replace(order, amount_msat=10**19),
    ):
        with pytest.raises(InvoiceRefused):
            await node.add_invoice(wrong)
    assert (await node.add_invoice(order)).state is InvoiceState.OPEN


@pytest.mark.parametrize(
    "network", ["mainnet", "bitcoin", "main", "bc", "testnet", "signet", "simnet", "", "Mainnet"]
)
def test_only_regtest_starts(tmp_path: Path, network: str) -> None:
    """Any other network stops the start in one line, before a file is made."""
    path = tmp_path / "state.jsonl"
    with pytest.raises(SettingInvalid, match="regtest only"):
        DevNode(path=path, network=network, alias="dev", clock=FakeClock())
    assert not path.exists()


def test_a_mainnet_folder_is_refused(tmp_path: Path) -> None:
    """State is not kept where a real node keeps its mainnet data."""
    with pytest.raises(SettingInvalid, match="mainnet"):
        open_dev_node(tmp_path / "mainnet" / "state.jsonl", FakeClock())


def test_one_process_at_a_time(rig: DevNodeRig) -> None:
    """A second node on the same file is refused while the first one lives, and not after."""
    with pytest.raises(SettingInvalid, match="another process"):
        open_dev_node(rig.path, rig.clock)
    rig.node.close()
    rig.node = open_dev_node(rig.path, rig.clock)
