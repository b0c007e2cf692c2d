"""Where the money of the demonstration moves: play money, or real lnd nodes.

On real nodes the service is paid at bob's with invoice rights alone, alice's cobot pays from
alice's, and carol routes between them; carol also pays for the key that bob sells with, since no
node pays itself. Must not know: cobots.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cobot_pay.lnd_wallet import LndWallet
from deploy.regtest.binaries import build, cache_folder
from deploy.regtest.demo_books import Held
from deploy.regtest.lnd.node import Node
from deploy.regtest.network import Network, regtest_network
from deploy.regtest.standing import bake_for_service, service_settings

PAYING = ("offchain:read", "offchain:write")


@dataclass(frozen=True, slots=True, kw_only=True)
class RealNodes:
    """Alice's, bob's and carol's nodes, as far as the demonstration needs them.

    `settings` are those of the service; `wallet` is alice's as `cobot-pay` writes it, `payer` what
    pays for bob's key.
    """

    network: Network
    settings: Mapping[str, str]
    wallet: str
    payer: LndWallet

    async def held(self) -> Held:
        """What each node holds off the chain, once nothing is under way."""
        await self.network.until_quiet()
        alice, bob, carol = [(await node.balances()).held_msat for node in self.network.three()]
        return Held(alice_msat=alice, bob_msat=bob, carol_msat=carol)


@asynccontextmanager
async def real_nodes(folder: Path) -> AsyncIterator[RealNodes]:
    """Start the network of `make regtest`. Raises NodesLeftOut, BuildFailed and NodeFault."""
    binaries = await asyncio.to_thread(build, cache_folder())
    async with regtest_network(folder, binaries) as network:
        alices = await _paying(network.alice)
        carol = network.carol
        yield RealNodes(
            network=network,
            settings=service_settings(network.bob, await bake_for_service(network.bob)),
            wallet=(
                f"lnd:{network.alice.rpc_address}?tls={network.alice.tls_cert_path}"
                f"&macaroon={alices}"
            ),
            payer=LndWallet(
                address=carol.rpc_address,
                tls_cert_path=carol.tls_cert_path,
                macaroon_path=await _paying(carol),
            ),
        )


async def _paying(node: Node) -> Path:
    """A macaroon that pays from this node, and does nothing else."""
    path = node.folder / "pay.macaroon"
    await asyncio.to_thread(path.write_bytes, await node.bake_macaroon(PAYING))
    return path
