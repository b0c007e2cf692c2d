"""The texts of the error table are those that a real lnd says."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cobot_meter.adapters.lightning.lnd.access import LndTimeouts
from cobot_meter.adapters.lightning.lnd.connection import LndConnection
from cobot_meter.adapters.lightning.lnd.errors import LndFault, LndVerdict
from cobot_meter.adapters.lightning.lnd.messages import Message
from cobot_meter.adapters.lightning.lnd.stubs import invoicesrpc, lnrpc
from deploy.regtest.network import Network
from tests.adapters.lightning.lnd.lnd_rig import LndRig, baked_access, lnd_rig
from tests.contracts.lightning_node_rig import new_order, settled

BITCOIN_MSAT = 100_000_000_000
YEAR_S = 31_536_000


@pytest.fixture(name="rig")
async def _rig(nodes: Network, tmp_path: Path) -> AsyncIterator[LndRig]:
    async with lnd_rig(nodes, tmp_path) as rig:
        yield rig


async def _verdict(connection: LndConnection, name: str, request: Message) -> LndVerdict:
    with pytest.raises(LndFault) as fault:
        await connection.call(name, request)
    print(name, fault.value.code_name, fault.value.details)  # what to put into the table
    return fault.value.verdict


async def test_what_lnd_refuses_to_make(rig: LndRig) -> None:
    """Each limit of an invoice is a no for good."""
    for invoice in (
        lnrpc.Invoice(value_msat=-1),
        lnrpc.Invoice(value_msat=100_001 * BITCOIN_MSAT),
        lnrpc.Invoice(value_msat=1_000, memo="m" * 1_025),
        lnrpc.Invoice(value_msat=1_000, expiry=YEAR_S + 1),
    ):
        said = await _verdict(rig.node.connection, "Lightning.AddInvoice", invoice)
        assert said is LndVerdict.REFUSED


async def test_what_lnd_says_of_invoices(rig: LndRig) -> None:
    """Known, unknown, settled and canceled are told apart, whichever call asks."""
    connection, order = rig.node.connection, new_order()
    invoice = lnrpc.Invoice(r_preimage=order.preimage, value_msat=order.amount_msat)
    unknown = secrets.token_bytes(32)
    await connection.call("Lightning.AddInvoice", invoice)
    paid = bytes.fromhex((await settled(rig)).payment_hash)
    for name, request, verdict in (
        ("Lightning.AddInvoice", invoice, LndVerdict.EXISTS),
        (
            "Invoices.LookupInvoiceV2",
            invoicesrpc.LookupInvoiceMsg(payment_hash=unknown),
            LndVerdict.NOT_FOUND,
        ),
        (
            "Invoices.CancelInvoice",
            invoicesrpc.CancelInvoiceMsg(payment_hash=unknown),
            LndVerdict.NOT_FOUND,
        ),
        (
            "Invoices.SettleInvoice",
            invoicesrpc.SettleInvoiceMsg(preimage=unknown),
            LndVerdict.NOT_FOUND,
        ),
        (
            "Invoices.CancelInvoice",
            invoicesrpc.CancelInvoiceMsg(payment_hash=paid),
            LndVerdict.SETTLED,
        ),
    ):
        assert await _verdict(connection, name, request) is verdict


async def test_what_lnd_says_of_holds(rig: LndRig) -> None:
    """A hold that nobody has paid, and one that was given back, cannot be taken."""
    connection, order = rig.node.connection, new_order()
    preimage, payment_hash = order.preimage, bytes.fromhex(order.payment_hash)
    add = invoicesrpc.AddHoldInvoiceRequest(hash=payment_hash, value_msat=21_000)
    settle = invoicesrpc.SettleInvoiceMsg(preimage=preimage)
    await connection.call("Invoices.AddHoldInvoice", add)
    assert await _verdict(connection, "Invoices.AddHoldInvoice", add) is LndVerdict.EXISTS
    assert await _verdict(connection, "Invoices.SettleInvoice", settle) is LndVerdict.STILL_OPEN
    cancel = invoicesrpc.CancelInvoiceMsg(payment_hash=payment_hash)
    for _ in range(2):
        await connection.call("Invoices.CancelInvoice", cancel)
    assert await _verdict(connection, "Invoices.SettleInvoice", settle) is LndVerdict.CANCELED


async def test_what_lnd_says_of_macaroons(nodes: Network, tmp_path: Path) -> None:
    """One without the right, one of another node, one that expired and none are told apart."""
    access = await baked_access(nodes.bob, tmp_path)
    baked = access.macaroon_path.read_bytes()
    for macaroon, verdict in (
        (await nodes.bob.bake_macaroon(["info:write"]), LndVerdict.DENIED),
        (await nodes.carol.bake_macaroon(["info:read"]), LndVerdict.MACAROON_INVALID),
        (baked[:-1] + bytes([baked[-1] ^ 1]), LndVerdict.MACAROON_INVALID),
        (baked[:-9], LndVerdict.MACAROON_INVALID),
        (b"no macaroon at all", LndVerdict.MACAROON_INVALID),
    ):
        access.macaroon_path.write_bytes(macaroon)
        connection = LndConnection(access, LndTimeouts())
        request = lnrpc.GetInfoRequest()
        assert await _verdict(connection, "Lightning.GetInfo", request) is verdict, macaroon
        await connection.close()


async def test_what_a_locked_wallet_says(nodes: Network, tmp_path: Path) -> None:
    """Until the wallet is unlocked every call is unknown, and says why."""
    access = await baked_access(nodes.bob, tmp_path)
    await nodes.bob.kill()
    await nodes.bob.start(unlock=False)
    connection = LndConnection(access, LndTimeouts())
    said = await _verdict(connection, "Lightning.GetInfo", lnrpc.GetInfoRequest())
    assert said is LndVerdict.NOT_READY
    await nodes.bob.unlock()
    await nodes.bob.until_ready()
    assert (await connection.call("Lightning.GetInfo", lnrpc.GetInfoRequest())).identity_pubkey
    await connection.close()
