"""The development node keeps the port's contract."""

from __future__ import annotations

from cobot_meter.ports.lightning_node import LightningNode
from tests.adapters.lightning.dev_node.dev_node_rig import DevNodeRig
from tests.contracts.lightning_node_rig import NodeRig
from tests.contracts.lightning_node_suite import LightningNodeSuite


class TestDevNode(LightningNodeSuite):
    """Every promise of the port, by the development node."""

    def test_the_types_fit(self, rig: DevNodeRig) -> None:
        """The node is a LightningNode and its rig a NodeRig, as the type checker sees them."""
        as_rig: NodeRig = rig
        as_node: LightningNode = rig.node
        assert as_rig.node is as_node
