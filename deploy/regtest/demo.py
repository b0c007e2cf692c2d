"""`python -m deploy.regtest.demo`: A pays from alice's node, B is paid at bob's, carol routes.

The trade is that of `cobot-meter demo`; the wallet and the node are real.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from cobot_meter.cli.demo.agent import Agent
from cobot_meter.cli.demo.demo import TERMINATED, demo_settings, read_books, trade, until_ready
from cobot_meter.cli.demo.story import BooksShown, steps, tell_books
from cobot_meter.cli.terminal import open_terminal, run
from cobot_meter.wiring.app import Running, running_service
from cobot_meter.wiring.logs import set_up_logs
from cobot_meter.wiring.settings.settings import Settings
from cobot_pay.lnd_wallet import LndWallet
from deploy.regtest.binaries import Binaries, build, cache_folder
from deploy.regtest.demo_books import NODE_ACCOUNTS, BothBooks, Held, tell_both_books
from deploy.regtest.errors import BuildFailed, NodeFault, NodesLeftOut
from deploy.regtest.lnd.node import Node
from deploy.regtest.network import Network, regtest_network
from deploy.regtest.standing import bake_for_service, ended_by_signal, service_settings

PAYING = ("offchain:read", "offchain:write")
EXPIRY_S = "6"  # a real payment takes a while longer than one with play money
ANY_PORT = "127.0.0.1:0"  # so that two of them may run side by side
PREFIX = "COBOT_METER_"


def main() -> int:
    """Build the nodes if need be, and trade; 0 when all figures agree."""
    try:
        agrees = run(demo_lnd(open_terminal(os.environ).told_narrow(), build(cache_folder())))
    except (NodesLeftOut, BuildFailed, NodeFault) as fault:
        print(fault, file=sys.stderr)
        return 1
    except asyncio.CancelledError:
        return TERMINATED
    return 0 if agrees else 1


async def demo_lnd(out: Console, binaries: Binaries) -> bool:
    """Trade on real nodes; whether both sides' books agree with the nodes, to the msat."""
    ended_by_signal()
    with tempfile.TemporaryDirectory(prefix="cobot-meter-demo-") as folder:
        async with contextlib.AsyncExitStack() as stack:
            with out.status("starting btcd and the nodes of alice, bob and carol"):
                network = await stack.enter_async_context(regtest_network(Path(folder), binaries))
            settings = await _settings(network)
            set_up_logs(settings.run.log_level)
            shown, both = await _play(out, settings, network)
    tell_books(out, shown)
    tell_both_books(out, both)
    return shown.balanced and both.equal


async def _play(out: Console, settings: Settings, network: Network) -> tuple[BooksShown, BothBooks]:
    before, earned_msat = await _held(network), await network.carol.forwarding_fees_msat()
    async with running_service(settings) as running:
        agent = Agent(service_url=running.face.url, wallet=await _wallet(network.alice))
        try:
            await until_ready(running)
            _tell_begin(out, running, network)
            bought = await trade(out, agent)
            await network.until_quiet()
            simulator = running.simulator or settings.upstream.simulator_listen
            shown = await read_books(running, await agent.caller_id(), simulator)
        finally:
            await agent.aclose()
    return shown, BothBooks(
        payments=[one.payment for one in bought if one.payment is not None],
        spent_msat=agent.budget.spent_msat,
        received_msat=sum(
            row.net for row in shown.balances if row.account.startswith(NODE_ACCOUNTS)
        ),
        earned_msat=await network.carol.forwarding_fees_msat() - earned_msat,
        before=before,
        after=await _held(network),
    )


async def _settings(network: Network) -> Settings:
    lnd = service_settings(network.bob, await bake_for_service(network.bob))
    more = {name.removeprefix(PREFIX): value for name, value in lnd.items()}
    return demo_settings(
        network.folder / "service",
        INVOICE_EXPIRY_S=EXPIRY_S,
        LISTEN=ANY_PORT,
        SIMULATOR_LISTEN=ANY_PORT,
        **more,
    )


async def _wallet(node: Node) -> LndWallet:
    path = node.folder / "pay.macaroon"
    await asyncio.to_thread(path.write_bytes, await node.bake_macaroon(PAYING))
    return LndWallet(address=node.rpc_address, tls_cert_path=node.tls_cert_path, macaroon_path=path)


async def _held(network: Network) -> Held:
    await network.until_quiet()
    alice, bob, carol = [(await node.balances()).held_msat for node in network.three()]
    return Held(alice_msat=alice, bob_msat=bob, carol_msat=carol)


def _tell_begin(out: Console, running: Running, network: Network) -> None:
    out.print(Text("cobot-meter: one agent buys from another, on real nodes", style="bold"))
    table = steps()
    table.add_row("agent B", f"{running.face.url}/v1/chat/completions", "")
    if running.simulator is not None:
        table.add_row("upstream", f"{running.simulator.url}/api/v1 (a simulated OpenRouter)", "")
    table.add_row(
        "its node", f"bob, lnd at {network.bob.rpc_address}, with invoice rights alone", ""
    )
    table.add_row("agent A", f"pays from alice, lnd at {network.alice.rpc_address}", "")
    table.add_row("between", "carol: alice and bob have no channel with each other", "")
    out.print(table)


if __name__ == "__main__":
    sys.exit(main())
