"""A real lnd is examined: each thing that is wrong with it, or with the way to it, is one row."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from cobot_meter.adapters.lightning.lnd.access import LndAccess
from cobot_meter.adapters.lightning.lnd.fitness import NodeCheck, examine
from cobot_meter.adapters.system_clock import SystemClock
from deploy.regtest.network import Network
from tests.adapters.lightning.lnd.lnd_rig import baked_access

ALL = (
    "reachable",
    "wallet",
    "macaroon",
    "version",
    "synced",
    "network",
    "inbound",
    "rights",
    "spending",
)


async def _wrong(access: LndAccess) -> dict[str, str]:
    return {
        check.name: check.detail
        for check in await examine(access, now_ms=SystemClock().now_ms())
        if not check.well
    }


async def _spending(access: LndAccess) -> NodeCheck:
    (check,) = [
        check
        for check in await examine(access, now_ms=SystemClock().now_ms())
        if check.name == "spending"
    ]
    return check


async def test_a_node_that_is_fit(nodes: Network, tmp_path: Path) -> None:
    """With the least macaroon every check is made, and every one is well."""
    checks = await examine(await baked_access(nodes.bob, tmp_path), now_ms=SystemClock().now_ms())
    assert tuple(check.name for check in checks) == ALL
    assert [check for check in checks if not check.well] == []
    assert not [check for check in checks if check.detail.startswith("warning")]


async def test_a_macaroon_that_can_spend(nodes: Network, tmp_path: Path) -> None:
    """The admin's is warned of where money is play, and refused everywhere else."""
    access = dataclasses.replace(
        await baked_access(nodes.bob, tmp_path), macaroon_path=nodes.bob.admin_macaroon_path
    )
    assert await _wrong(access) == {}
    warned = await _spending(access)
    assert warned.detail.startswith("warning: the macaroon can spend (")
    refused = await _spending(dataclasses.replace(access, network="mainnet"))
    assert not refused.well
    assert refused.detail.startswith("the macaroon can spend (")
    assert "Lightning.BakeMacaroon" in refused.detail
    assert "Router.SendPaymentV2" in refused.detail


async def test_a_macaroon_that_lacks_something(nodes: Network, tmp_path: Path) -> None:
    """What is missing is named, and nothing else is wrong."""
    access = await baked_access(nodes.bob, tmp_path)
    access.macaroon_path.write_bytes(await nodes.bob.bake_macaroon(["info:read", "invoices:read"]))
    wrong = await _wrong(access)
    assert set(wrong) == {"inbound", "rights"}
    for name in ("AddInvoice", "ChannelBalance", "CancelInvoice", "SettleInvoice"):
        assert f"/{name}" in wrong["rights"]
    assert "cobot-meter lnd bake" in wrong["rights"]


async def test_a_wrong_way_to_the_node(nodes: Network, tmp_path: Path) -> None:
    """Address, certificate and macaroon of another are told apart, and each ends the examination.

    What a failed check bars is not tried.
    """
    access = await baked_access(nodes.bob, tmp_path)
    macaroon = access.macaroon_path.read_bytes()
    for other, name, told in (
        ({"address": "127.0.0.1:1"}, "reachable", "nothing answers at 127.0.0.1:1"),
        ({"tls_cert_path": nodes.alice.tls_cert_path}, "reachable", "another certificate"),
        ({"tls_cert_path": tmp_path / "none"}, "reachable", "cannot read"),
        ({"macaroon_path": nodes.alice.admin_macaroon_path}, "macaroon", "does not accept"),
    ):
        wrong = await _wrong(dataclasses.replace(access, **other))
        assert set(wrong) == {name}
        assert told in wrong[name]
        assert "\n" not in wrong[name]
    assert access.macaroon_path.read_bytes() == macaroon


async def test_another_network(nodes: Network, tmp_path: Path) -> None:
    """A node on regtest is not taken for one on mainnet."""
    access = dataclasses.replace(await baked_access(nodes.bob, tmp_path), network="mainnet")
    wrong = await _wrong(access)
    assert set(wrong) == {"network"}
    assert "regtest" in wrong["network"]
    assert "mainnet" in wrong["network"]


async def test_a_locked_wallet(nodes: Network, tmp_path: Path) -> None:
    """Nothing more can be asked, and the row says what to type."""
    access = await baked_access(nodes.bob, tmp_path)
    await nodes.bob.kill()
    await nodes.bob.start(unlock=False)
    assert await _wrong(access) == {
        "wallet": "lnd's wallet is locked: unlock it with `lncli unlock`"
    }


async def test_a_node_without_channels(nodes: Network, tmp_path: Path) -> None:
    """Nobody could pay it, so it is not fit to sell with."""
    newcomer = nodes.new_node("newcomer")
    try:
        await newcomer.start()
        wrong = await _wrong(await baked_access(newcomer, tmp_path))
    finally:
        await newcomer.kill()
    assert set(wrong) == {"inbound"}
    assert "no active channel" in wrong["inbound"]
