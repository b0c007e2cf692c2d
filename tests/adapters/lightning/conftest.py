"""What the tests of the Lightning adapters share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cobot_meter.adapters.lightning.dev_node.node import DevNode
from tests.adapters.lightning.dev_node.dev_node_rig import DevNodeRig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[DevNodeRig]:
    """A development node that can be paid, killed and started again."""
    rig = DevNodeRig(tmp_path)
    yield rig
    rig.node.close()


@pytest.fixture
def node(rig: DevNodeRig) -> DevNode:
    """The node of the rig, for tests that do not restart it."""
    return rig.node
