"""A development node in a test's own folder, with the hands that pay it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cobot_meter.adapters.lightning.dev_node.node import DevNode
from cobot_meter.adapters.lightning.dev_node.payments import PaymentRefused
from cobot_meter.adapters.lightning.dev_node.signing import NETWORK
from cobot_meter.domain.invoices import Invoice
from tests.fakes.clock import FakeClock

ALIAS = "cobot-meter tests"


def open_dev_node(path: Path, clock: FakeClock) -> DevNode:
    """The node whose state lies at `path`."""
    return DevNode(path=path, network=NETWORK, alias=ALIAS, clock=clock)


class DevNodeRig:
    """A NodeRig (tests/contracts/lightning_node_rig.py) over the development node."""

    short_expiry_s = 60

    def __init__(self, folder: Path) -> None:
        """Begin a fresh node in the folder."""
        self.path = folder / "dev-node.jsonl"
        self.clock = FakeClock()
        self.node = open_dev_node(self.path, self.clock)

    async def pay(self, payment_request: str) -> str | None:
        try:
            return (await self.node.pay(payment_request)).preimage
        except PaymentRefused:
            return None

    async def begin_payment(self, payment_request: str) -> None:
        await self.node.hold_payment(payment_request)

    async def give_up_payment(self, payment_request: str) -> None:
        await self.node.give_back_payment(
            (await self.node.hold_payment(payment_request)).payment_hash
        )

    async def let_expire(self, invoice: Invoice) -> None:
        self.clock.set_ms(invoice.expires_at_s * 1000)

    async def streams_are_live(self) -> None:
        """They are from the moment they are opened."""

    async def restart(self) -> None:
        """Nothing is written at the end, so letting go of the file is what a kill does."""
        self.node.close()
        self.node = open_dev_node(self.path, self.clock)

    async def take_down(self) -> None:
        self.node.set_faults(replace(self.node.faults, down=True))

    async def bring_back(self) -> None:
        self.node.set_faults(replace(self.node.faults, down=False))
