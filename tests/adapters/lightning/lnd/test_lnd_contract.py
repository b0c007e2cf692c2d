"""The LND adapter keeps the port's contract on a real lnd."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.regtest.network import Network
from tests.adapters.lightning.lnd.lnd_rig import LndRig, lnd_rig
from tests.contracts.hold_invoices_suite import HoldInvoicesSuite
from tests.contracts.lightning_node_suite import LightningNodeSuite


@pytest.fixture(name="rig")
async def _rig(nodes: Network, tmp_path: Path) -> AsyncIterator[LndRig]:
    async with lnd_rig(nodes, tmp_path) as rig:
        yield rig


class TestLnd(LightningNodeSuite):
    """The port's suite, unchanged."""


class TestLndHolds(HoldInvoicesSuite):
    """The same for payments that are held."""
