"""`make regtest`: the nodes stay up for a person, who is told what to type."""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from pathlib import Path

from cobot_meter.adapters.lightning.lnd.macaroon import BAKE_URIS
from deploy.regtest.binaries import Binaries
from deploy.regtest.lnd.node import Node
from deploy.regtest.network import Network, regtest_network

STORIES = {"alice": "pays", "bob": "is paid", "carol": "routes between them"}


async def stay_up(binaries: Binaries) -> None:
    """Run the network until SIGINT or SIGTERM, and leave nothing behind."""
    ended_by_signal()
    began_s = time.monotonic()
    print("· starting btcd, alice, bob and carol", flush=True)
    with tempfile.TemporaryDirectory(prefix="cobot-meter-regtest-") as folder:
        async with regtest_network(Path(folder), binaries) as network:
            macaroon = await bake_for_service(network.bob)
            print(f"· alice can pay bob, {time.monotonic() - began_s:.0f} s after the start\n")
            print(told(network, macaroon), flush=True)
            await asyncio.Event().wait()


def ended_by_signal() -> None:
    """SIGINT and SIGTERM cancel this task, so that everything is stopped in order."""
    task = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM):
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


async def bake_for_service(node: Node) -> Path:
    """A macaroon with what the service needs and nothing more."""
    path = node.folder / "cobot-meter.macaroon"
    macaroon = await node.bake_macaroon([f"uri:{name}" for name in BAKE_URIS])
    await asyncio.to_thread(path.write_bytes, macaroon)
    return path


def service_settings(node: Node, macaroon: Path) -> dict[str, str]:
    """The settings that point the service at a node."""
    return {
        "COBOT_METER_NODE": "lnd",
        "COBOT_METER_NETWORK": "regtest",
        "COBOT_METER_LND_ADDRESS": node.rpc_address,
        "COBOT_METER_LND_TLS_CERT": str(node.tls_cert_path),
        "COBOT_METER_LND_MACAROON": str(macaroon),
    }


def told(network: Network, macaroon: Path) -> str:
    """What there is, and what to type."""
    lines = [line for node in network.three() for line in _lines_of(node)]
    settings = service_settings(network.bob, macaroon)
    exports = [f"  export {name}={value}" for name, value in settings.items()]
    return "\n".join(
        (
            *lines,
            "The service at bob's node, with a macaroon that cannot spend:",
            *exports,
            "  make serve",
            "",
            "An invoice from bob, and alice paying one:",
            f"  {network.bob.command_line} addinvoice --amt 100",
            f"  {network.alice.command_line} payinvoice --force --pay_req INVOICE",
            "",
            "Another block:",
            f"  {network.chain.command_line} generate 1",
            "",
            f"Everything lies under {network.folder} and goes with Ctrl-C.",
        )
    )


def _lines_of(node: Node) -> tuple[str, ...]:
    return (
        f"{node.name} {STORIES[node.name]}",
        f"  gRPC      {node.rpc_address}",
        f"  cert      {node.tls_cert_path}",
        f"  macaroon  {node.admin_macaroon_path}",
        f"  lncli     {node.command_line} getinfo",
        "",
    )
