"""The chain that the nodes share: one btcd on regtest, which mines when it is told to.

Its "regression mode" forgets every block when it starts, so it is started once and never again.
Must not know: Lightning.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import httpx

from deploy.regtest.binaries import Binaries
from deploy.regtest.errors import NodeFault
from deploy.regtest.processes import HOST, Process
from deploy.regtest.waiting import until

USER = "regtest"
SECRET = "regtest"  # noqa: S105 - of a chain that lives for minutes on this machine alone
CALL_TIMEOUT_S = 30.0
BATCH = 50


class Chain:
    """btcd, and what it is asked."""

    def __init__(
        self, *, binaries: Binaries, folder: Path, ports: tuple[int, int], mining_address: str
    ) -> None:
        """`ports` are for calls and for peers; `mining_address` gets every reward."""
        self._rpc_port = ports[0]
        self.cert_path = folder / "rpc.cert"
        self._binaries = binaries
        command = [
            binaries.btcd,
            "--regtest",
            f"--configfile={folder / 'none.conf'}",
            f"--datadir={folder / 'data'}",
            f"--logdir={folder / 'logs'}",
            f"--rpcuser={USER}",
            f"--rpcpass={SECRET}",
            f"--rpclisten={self.rpc_address}",
            f"--listen={HOST}:{ports[1]}",
            f"--rpccert={self.cert_path}",
            f"--rpckey={folder / 'rpc.key'}",
            f"--miningaddr={mining_address}",
            "--txindex",
            "--rejectnonstd",
            "--nobanning",
            "--nostalldetect",
            "--trickleinterval=100ms",
            "--rpcmaxwebsockets=50",
        ]
        self.process = Process("btcd", command, folder=folder)

    @property
    def rpc_address(self) -> str:
        """Host and port of its calls."""
        return f"{HOST}:{self._rpc_port}"

    @property
    def command_line(self) -> str:
        """What a person types before a btcctl command."""
        return (
            f"{self._binaries.btcctl} --regtest --configfile=/dev/null --rpcuser={USER} "
            f"--rpcpass={SECRET} --rpcserver={self.rpc_address} --rpccert={self.cert_path}"
        )

    def lnd_flags(self) -> list[str]:
        """How an lnd is told to use this chain."""
        return [
            "--bitcoin.regtest",
            "--bitcoin.node=btcd",
            f"--btcd.rpchost={self.rpc_address}",
            f"--btcd.rpcuser={USER}",
            f"--btcd.rpcpass={SECRET}",
            f"--btcd.rpccert={self.cert_path}",
        ]

    async def start(self) -> None:
        """Start it and mine one block: at height 0 no lnd opens its door. Raises NodeFault."""
        self.process.start()
        await until("btcd answers", self._answers)
        await self.mine(1)

    async def mine(self, blocks: int) -> None:
        """Mine so many blocks, in batches that lnd keeps up with."""
        for done in range(0, blocks, BATCH):
            await self._call("generate", min(BATCH, blocks - done))

    async def height(self) -> int:
        """How many blocks lie on the first."""
        return int(await self._call("getblockcount"))

    async def _answers(self) -> bool:
        self.process.check()
        try:
            await self.height()
        except (httpx.TransportError, OSError):
            return False
        return True

    async def _call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401 - JSON
        trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusted.load_verify_locations(self.cert_path)
        said = {"jsonrpc": "1.0", "id": 1, "method": method, "params": list(arguments)}
        async with httpx.AsyncClient(
            verify=trusted, auth=(USER, SECRET), timeout=CALL_TIMEOUT_S, trust_env=False
        ) as http:
            answer = (await http.post(f"https://{self.rpc_address}", json=said)).json()
        if answer["error"]:
            raise NodeFault(f"btcd refused {method}: {answer['error']}")
        return answer["result"]
