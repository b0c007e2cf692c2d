"""The LND adapter goes on with another node once it is bound to it, and with that one alone."""

from __future__ import annotations

from pathlib import Path

import coincurve
import pytest

from cobot_meter.domain.errors import NodeUnavailable
from tests.adapters.lightning.lnd.fake_lnd_rig import fake_lnd_rig
from tests.contracts.lightning_node_rig import new_order, settled


async def test_a_node_that_was_adopted_is_worked_with(tmp_path: Path) -> None:
    """Refused until it is bound; then it makes invoices, and the old one is refused."""
    async with fake_lnd_rig(tmp_path) as rig:
        first, old_key = await rig.node.identity(), rig.lnd.memory.key
        order = new_order()
        await rig.node.add_invoice(order)
        rig.lnd.memory.key = coincurve.PrivateKey()
        rig.lnd.memory.invoices.clear()
        with pytest.raises(NodeUnavailable, match="adopt"):
            await rig.node.ping()
        said = await rig.node.identity()
        assert said.pubkey != first.pubkey
        rig.node.bind(said)
        await rig.node.ping()
        assert await rig.node.look_up(order.payment_hash) is None
        assert (await settled(rig)).settle_index > 0
        rig.lnd.memory.key = old_key
        with pytest.raises(NodeUnavailable, match=said.pubkey):
            await rig.node.ping()
