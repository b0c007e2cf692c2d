"""A process that works a development node until it is killed, and says what it has done.

Run as `python -m tests.adapters.lightning.dev_node.dev_node_process STATE_FILE`. Each line of its
output is a fact that was answered: `added HASH`, `settled HASH PREIMAGE` or `canceled HASH`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from cobot_meter.adapters.lightning.dev_node.node import DevNode
from cobot_meter.adapters.lightning.dev_node.signing import NETWORK
from cobot_meter.adapters.system_clock import SystemClock
from tests.contracts.lightning_node_rig import new_order

MAX_ROUNDS = 100_000


async def work(path: Path) -> None:
    """Add, pay every second and cancel every fifth invoice, as fast as it goes."""
    node = DevNode(path=path, network=NETWORK, alias="to be killed", clock=SystemClock())
    for number in range(MAX_ROUNDS):
        invoice = await node.add_invoice(new_order())
        print("added", invoice.payment_hash, flush=True)
        if number % 2 == 0:
            payment = await node.pay(invoice.payment_request)
            print("settled", invoice.payment_hash, payment.preimage, flush=True)
        elif number % 5 == 0:
            await node.cancel_invoice(invoice.payment_hash)
            print("canceled", invoice.payment_hash, flush=True)


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1])))
