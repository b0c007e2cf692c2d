"""The LND adapter keeps the port's contract on the fake LND, which the real one is compared to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.adapters.lightning.lnd.fake_lnd_rig import FakeLndRig, fake_lnd_rig
from tests.contracts.hold_invoices_suite import HoldInvoicesSuite
from tests.contracts.lightning_node_suite import LightningNodeSuite


@pytest.fixture(name="rig")
async def _rig(tmp_path: Path) -> AsyncIterator[FakeLndRig]:
    async with fake_lnd_rig(tmp_path) as rig:
        yield rig


class TestLndOnTheFake(LightningNodeSuite):
    """The port's suite, unchanged."""


class TestHoldsOnTheFake(HoldInvoicesSuite):
    """The same for payments that are held."""
