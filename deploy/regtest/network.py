"""The whole network: a chain, alice who calls, bob who operates, and carol between them.

alice and bob have no channel with each other unless one is asked for, so what alice pays bob goes
over carol, who earns her fee. Must not know: the service, or what is bought.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.regtest.binaries import Binaries
from deploy.regtest.chain import Chain
from deploy.regtest.errors import NodeFault
from deploy.regtest.lnd.node import Node
from deploy.regtest.processes import Process, free_port
from deploy.regtest.waiting import until

# The wallet that the rewards go to. It is known in advance, since btcd forgets the chain when it
# is restarted with another address; on regtest that key is worth nothing.
MINING_KEY = (
    "tprv8ZgxMBicQKsPdnikv2nk4ng5bcdCFw2MqesR3mXCEWUPRtmqzaJc5Ej2TSm8bz8TRjwuvUvhSc4vBDqaDxdvHHXBhq"
    "Fqg3iErofeyAkrsmo"
)
MINING_ADDRESS = "bcrt1qak2ser23twy85cw309adz4am807zduuxjjqh0s"
BLOCKS = 450  # segwit is active from block 432 on this btcd
CAROLS_SAT = 100_000_000
CHANNEL_SAT = 10_000_000
PUSH_SAT = 2_000_000
PROBE_MSAT = 1_000


class Network:
    """What runs, and how to get at it."""

    def __init__(self, folder: Path, binaries: Binaries) -> None:
        """Everything it writes lies under `folder`; nothing runs yet."""
        self.folder = folder
        self._binaries = binaries
        self._ports: set[int] = set()
        self._nodes: list[Node] = []
        self.chain = Chain(
            binaries=binaries,
            folder=folder / "btcd",
            ports=self._two_ports(),
            mining_address=MINING_ADDRESS,
        )
        self.alice = self.new_node("alice", master_key=MINING_KEY)
        self.bob = self.new_node("bob")
        self.carol = self.new_node("carol")

    def new_node(self, name: str, *, flags: Sequence[str] = (), master_key: str = "") -> Node:
        """A node of an identity of its own, with no channel, not started yet."""
        node = Node(
            name,
            binaries=self._binaries,
            folder=self.folder / name,
            ports=self._two_ports(),
            flags=[*self.chain.lnd_flags(), *flags],
            master_key=master_key,
        )
        self._nodes.append(node)
        return node

    def three(self) -> tuple[Node, Node, Node]:
        """Alice, bob and carol."""
        return self.alice, self.bob, self.carol

    async def start(self, *, direct_channel_sat: int = 0) -> None:
        """From nothing to the first payment. Raises NodeFault.

        `direct_channel_sat` opens a second way from alice to bob, for payments in several parts.
        """
        await self.chain.start()
        try:
            async with asyncio.TaskGroup() as group:
                for node in self.three():
                    group.create_task(node.start())
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from faults
        if await self.alice.new_address() != MINING_ADDRESS:
            raise NodeFault("alice's first address is not the one that is mined to")
        await self.mine(BLOCKS)
        await self.alice.send_coins(await self.carol.new_address(), CAROLS_SAT)
        await self.mine(1)
        await self.alice.peer_with(self.carol)
        await self.carol.peer_with(self.bob)
        await self.alice.open_channel(self.carol, local_sat=CHANNEL_SAT, push_sat=PUSH_SAT)
        await self.carol.open_channel(self.bob, local_sat=CHANNEL_SAT, push_sat=PUSH_SAT)
        if direct_channel_sat:
            await self.alice.peer_with(self.bob)
            await self.alice.open_channel(
                self.bob, local_sat=direct_channel_sat, push_sat=direct_channel_sat // 5
            )
        await self.mine(6)
        for node in self.three():
            await node.until_ready()
        await self.until_paying()
        await self.until_quiet()

    async def mine(self, blocks: int) -> None:
        """Mine, and wait until every node that serves has seen it."""
        await self.chain.mine(blocks)
        height = await self.chain.height()
        for node in self._running():
            await node.until_synced(height)

    async def restore(self) -> None:
        """Start and unlock again what of the three does not serve. Quick when all is well."""
        away = [node for node in self.three() if not await node.serves()]
        for node in away:
            await node.start()
        if away:
            await self.until_paying()

    async def until_paying(self) -> None:
        """Send 1 sat from alice to bob until it arrives: active channels refuse at first."""

        async def pays() -> bool:
            request = await self.bob.add_invoice(PROBE_MSAT)
            return (await self.alice.pay(request)).succeeded

        await until("alice can pay bob", pays)

    async def until_quiet(self) -> None:
        """Wait until no node has a payment under way, so that balances are final."""
        for node in self._running():
            await until(f"{node.name} has no payment under way", node.quiet)

    def processes(self) -> list[Process]:
        """Everything that was started, or will be."""
        return [self.chain.process, *(node.process for node in self._nodes)]

    def kill(self) -> None:
        """End everything at once; nothing of it is wanted any more."""
        for process in reversed(self.processes()):
            process.kill_now()

    def _running(self) -> list[Node]:
        return [node for node in self._nodes if node.process.pid is not None]

    def _two_ports(self) -> tuple[int, int]:
        return free_port(self._ports), free_port(self._ports)


@asynccontextmanager
async def regtest_network(
    folder: Path, binaries: Binaries, *, direct_channel_sat: int = 0
) -> AsyncIterator[Network]:
    """A network that pays, for as long as the block lasts. Raises NodeFault."""
    network = Network(folder, binaries)
    try:
        await network.start(direct_channel_sat=direct_channel_sat)
        yield network
    finally:
        network.kill()
