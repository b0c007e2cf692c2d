"""One lnd as a process: started, locked, stopped, killed and started again on the same ports.

Every node has a wallet with a password, as an operator's has.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import grpc

from deploy.regtest.binaries import Binaries
from deploy.regtest.errors import NodeFault
from deploy.regtest.lnd.connection import Services, connected, staterpc, unlockrpc
from deploy.regtest.lnd.node_calls import NodeCalls
from deploy.regtest.processes import HOST, Process
from deploy.regtest.waiting import until

WALLET_SECRET = b"regtest-wallet"
WALLET_TIMEOUT_S = 60.0  # three wallets are stretched at once, and beside them whatever else runs
NEW, LOCKED, SERVER_ACTIVE = "NON_EXISTING", "LOCKED", "SERVER_ACTIVE"

# Quick on purpose: a test network need not be gentle to its peers.
FLAGS = (
    "--nobootstrap",
    "--norest",
    "--bitcoin.defaultchanconfs=1",
    "--bitcoin.defaultremotedelay=4",
    "--trickledelay=50",
    "--gossip.sub-batch-delay=5ms",
    "--db.batch-commit-interval=10ms",
    "--caches.rpc-graph-cache-duration=100ms",
    "--maxpendingchannels=10",
    "--accept-keysend",
    "--debuglevel=info",
)


class Node(NodeCalls):
    """An lnd with its process. Its ports, keys and channels outlive a restart."""

    def __init__(
        self,
        name: str,
        *,
        binaries: Binaries,
        folder: Path,
        ports: tuple[int, int],
        flags: Sequence[str],
        master_key: str = "",
    ) -> None:
        """`ports` are for calls and for peers; `flags` come last; no `master_key`: a random one."""
        rpc_address, peer_address = (f"{HOST}:{port}" for port in ports)
        super().__init__(name, rpc_address=rpc_address, peer_address=peer_address, folder=folder)
        self._binaries = binaries
        self._master_key = master_key
        self._peers: list[Node] = []
        command = [
            binaries.lnd,
            f"--lnddir={folder}",
            f"--alias={name}",
            f"--rpclisten={rpc_address}",
            f"--listen={peer_address}",
            f"--externalip={peer_address}",
            *FLAGS,
            *flags,
        ]
        self.process = Process(f"lnd-{name}", command, folder=folder)

    @property
    def command_line(self) -> str:
        """What a person types before an lncli command."""
        return (
            f"{self._binaries.lncli} --network=regtest --lnddir={self.folder} "
            f"--rpcserver={self.rpc_address}"
        )

    async def start(self, *, unlock: bool = True) -> None:
        """Start it, unless it runs, and wait until it serves and its peers are back.

        Without `unlock` a wallet that is there already is left locked. Raises NodeFault.
        """
        self.process.start()
        found = await self.until_state(NEW, LOCKED, SERVER_ACTIVE)
        if found == NEW:
            await self._until_taken(self._create_wallet, leaves=NEW)
        elif found == LOCKED and unlock:
            await self.unlock()
        if unlock or found == NEW:
            await self.until_ready()

    async def unlock(self) -> None:
        """Give the wallet its password; `until_ready` waits for the rest."""
        request = unlockrpc.UnlockWalletRequest(wallet_password=WALLET_SECRET)

        async def give(services: Services) -> None:
            await services.unlocker.UnlockWallet(request, timeout=WALLET_TIMEOUT_S)

        await self._until_taken(give, leaves=LOCKED)

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL after 10 s: lnd waits long for clients that stay connected."""
        await self.process.stop()

    async def kill(self) -> None:
        """SIGKILL."""
        await self.process.kill()

    async def serves(self) -> bool:
        """Whether it runs, is unlocked and answers."""
        return self.process.pid is not None and await self._state() == SERVER_ACTIVE

    async def peer_with(self, other: Node) -> None:
        """Make them peers, now and after every restart of either."""
        await self.connect_to(other)
        self._peers.append(other)
        other._peers.append(self)

    async def until_ready(self) -> None:
        """Wait until it serves, is synced, and its channels with running peers are active."""
        await self.until_state(SERVER_ACTIVE)
        await self.until_synced()
        running = [peer for peer in self._peers if peer.process.pid is not None]
        for peer in running:
            await until(f"{peer.name} reaches {self.name}", partial(peer.reaches, self))
        wanted = {await peer.identity() for peer in running}

        async def active() -> bool:
            return all(one.active for one in await self.channels() if one.peer in wanted)

        await until(f"the channels of {self.name} are active", active)

    async def reaches(self, other: Node) -> bool:
        """Whether they are connected now; a node that is just starting may refuse."""
        try:
            await self.connect_to(other)
        except NodeFault:
            return False
        return True

    async def until_state(self, *wanted: str) -> str:
        """Wait until GetState says one of `wanted`, and say which. Raises NodeFault."""
        said = ""

        async def there() -> bool:
            nonlocal said
            self.process.check()
            said = await self._state()
            return said in wanted

        await until(f"{self.name} is {' or '.join(wanted)}", there)
        return said

    async def _create_wallet(self, services: Services) -> None:
        request = unlockrpc.InitWalletRequest(
            wallet_password=WALLET_SECRET, extended_master_key=self._master_key
        )
        if not self._master_key:
            seed = await services.unlocker.GenSeed(
                unlockrpc.GenSeedRequest(), timeout=WALLET_TIMEOUT_S
            )
            request.cipher_seed_mnemonic.extend(seed.cipher_seed_mnemonic)
        await services.unlocker.InitWallet(request, timeout=WALLET_TIMEOUT_S)

    async def _until_taken(
        self, tell: Callable[[Services], Awaitable[None]], *, leaves: str
    ) -> None:
        """Tell the wallet until it takes it, or is in another state than the one it `leaves`.

        A node that is just starting may cut a connection that it took.
        """

        async def taken() -> bool:
            try:
                async with self._without_macaroon() as services:
                    await tell(services)
            except grpc.aio.AioRpcError as fault:
                if fault.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                return await self._state() not in {"", leaves}
            return True

        await until(f"the wallet of {self.name} takes what it is told", taken)

    async def _state(self) -> str:
        """What GetState says, and nothing while nobody answers."""
        try:
            async with self._without_macaroon() as services:
                said = await services.state.GetState(staterpc.GetStateRequest(), timeout=2)
        except (grpc.aio.AioRpcError, OSError):
            return ""
        return str(staterpc.WalletState.Name(said.state))

    def _without_macaroon(self) -> AbstractAsyncContextManager[Services]:
        return connected(self.rpc_address, tls_cert_path=self.tls_cert_path)
