"""The network that the proofs stand on: real nodes that pay, are killed, and lose no msat."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest

from deploy.regtest.lnd.connection import connected, lnrpc, routerrpc
from deploy.regtest.network import Network
from tests.regtest.fixtures import StandingNetwork

PRICE_MSAT = 1_234_567
FEE_MSAT = 1_001  # carol's: 1,000 msat and a millionth
STARTED_WITHIN_S = 30

INVOICES_ONLY = ["uri:/lnrpc.Lightning/AddInvoice", "uri:/lnrpc.Lightning/GetInfo"]


async def held(nodes: Network) -> dict[str, int]:
    """What each of the three holds off the chain, once nothing is under way."""
    await nodes.until_quiet()
    three = (nodes.alice, nodes.bob, nodes.carol)
    return {node.name: (await node.balances()).held_msat for node in three}


def test_the_network_was_up_soon(
    standing_network: StandingNetwork, record_property: Callable[[str, object], None]
) -> None:
    """From nothing to the first payment; how long it took is told, and no machine is blamed."""
    took_s = standing_network.took_s
    record_property("counted", f"paying after {took_s:.0f} s; the bar is {STARTED_WITHIN_S} s")
    assert took_s > 0


async def test_what_alice_pays_bob_goes_over_carol(nodes: Network) -> None:
    """Bob gets the price, carol her fee, alice pays both: to the msat, by their own balances."""
    before, earned_msat = await held(nodes), await nodes.carol.forwarding_fees_msat()
    paid = await nodes.alice.pay(await nodes.bob.add_invoice(PRICE_MSAT))
    assert (paid.succeeded, paid.failure, paid.parts) == (True, "", 1)
    assert (paid.amount_msat, paid.fee_msat) == (PRICE_MSAT, FEE_MSAT)
    after = await held(nodes)
    assert {name: after[name] - before[name] for name in after} == {
        "alice": -PRICE_MSAT - FEE_MSAT,
        "bob": PRICE_MSAT,
        "carol": FEE_MSAT,
    }
    assert await nodes.carol.forwarding_fees_msat() == earned_msat + FEE_MSAT


async def test_a_payment_in_parts_arrives_whole(nodes: Network) -> None:
    """Four parts settle one invoice."""
    before = await held(nodes)
    request = await nodes.bob.add_invoice(4_000_000)
    paid = await nodes.alice.pay(request, max_parts=8, part_msat_max=1_000_000)
    assert (paid.succeeded, paid.parts) == (True, 4)
    assert (await held(nodes))["bob"] - before["bob"] == 4_000_000


async def test_what_cannot_be_paid_is_told(nodes: Network) -> None:
    """Paid before, less than a hop forwards, dearer than the limit: each with LND's reason."""
    request = await nodes.bob.add_invoice(PRICE_MSAT)
    assert (await nodes.alice.pay(request)).succeeded
    assert (await nodes.alice.pay(request)).failure == "invoice is already paid"
    dust = await nodes.alice.pay(await nodes.bob.add_invoice(999))
    assert (dust.succeeded, dust.failure) == (False, "FAILURE_REASON_NO_ROUTE")
    limited = await nodes.alice.pay(await nodes.bob.add_invoice(PRICE_MSAT), fee_limit_sat=0)
    assert (limited.succeeded, limited.failure) == (False, "FAILURE_REASON_NO_ROUTE")


async def test_an_open_amount_is_the_payers_to_choose(nodes: Network) -> None:
    """An invoice without an amount settles at what was sent."""
    before = await held(nodes)
    paid = await nodes.alice.pay(await nodes.bob.add_invoice(0), amount_msat=5_000_000)
    assert paid.succeeded
    assert (await held(nodes))["bob"] - before["bob"] == 5_000_000


async def test_a_node_that_was_killed_comes_back_as_it_was(nodes: Network) -> None:
    """After SIGKILL bob has the same identity, address and money, and is paid again."""
    identity, before = await nodes.bob.identity(), await held(nodes)
    await nodes.bob.kill()
    assert nodes.bob.process.pid is None
    assert not await nodes.bob.serves()
    await nodes.bob.start()
    assert await nodes.bob.identity() == identity
    assert await held(nodes) == before
    await nodes.until_paying()


async def test_a_locked_wallet_waits_for_its_password(nodes: Network) -> None:
    """Started locked, bob answers nothing but his state; unlocked, he is paid."""
    await nodes.bob.stop()
    await nodes.bob.start(unlock=False)
    assert nodes.bob.process.pid is not None
    assert not await nodes.bob.serves()
    await nodes.bob.unlock()
    await nodes.bob.until_ready()
    await nodes.until_paying()


async def test_another_node_is_another_identity(nodes: Network) -> None:
    """A node made later has keys of its own and sees the same chain."""
    dave = nodes.new_node("dave")
    try:
        await dave.start()
        assert await dave.identity() != await nodes.bob.identity()
        assert await dave.synced(await nodes.chain.height())
        assert await dave.channels() == []
    finally:
        await dave.kill()


async def test_a_macaroon_does_what_it_was_baked_for(nodes: Network) -> None:
    """With rights to invoices alone bob's node makes one, and refuses to spend."""
    path = nodes.bob.folder / "invoices-only.macaroon"
    path.write_bytes(await nodes.bob.bake_macaroon(INVOICES_ONLY))
    async with connected(
        nodes.bob.rpc_address, tls_cert_path=nodes.bob.tls_cert_path, macaroon_path=path
    ) as services:
        made = await services.lightning.AddInvoice(
            lnrpc.Invoice(value_msat=1_000), timeout=10, metadata=services.metadata
        )
        assert made.payment_request.startswith("lnbcrt10n1")
        with pytest.raises(grpc.aio.AioRpcError, match="permission denied"):
            async for _ in services.router.SendPaymentV2(
                routerrpc.SendPaymentRequest(), timeout=9, metadata=services.metadata
            ):
                pass


async def test_mined_blocks_are_seen_by_all(nodes: Network) -> None:
    """`mine` returns when every node that serves has the block."""
    height = await nodes.chain.height()
    await nodes.mine(2)
    for node in (nodes.alice, nodes.bob, nodes.carol):
        assert await node.synced(height + 2)


async def test_no_msat_of_a_channel_is_unaccounted_for(nodes: Network) -> None:
    """What both sides have and what the opener set aside is the channel's capacity, exactly."""
    await nodes.alice.pay(await nodes.bob.add_invoice(PRICE_MSAT))
    await nodes.until_quiet()
    (channel,) = await nodes.alice.channels()
    balances = await nodes.alice.balances()
    assert balances.held_msat == balances.local_msat + channel.set_aside_msat
    assert balances.held_msat + balances.remote_msat == channel.capacity_sat * 1_000
