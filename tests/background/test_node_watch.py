"""The gate before new asks: closed as soon as the node is found away, open when it is back."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from cobot_meter.background import node_watcher as node_watch
from cobot_meter.background.node_watcher import NodeWatch
from cobot_meter.domain.errors import NodeUnavailable
from cobot_meter.flows.offer.gates import NODE_RETRY_S, NodeGate
from cobot_meter.ports.lightning_node import LightningNode


class PingedNode:
    """A node that is well, away, or says nothing at all."""

    def __init__(self) -> None:
        self.away = False
        self.silent = False

    async def ping(self) -> None:
        if self.silent:
            await asyncio.Event().wait()
        if self.away:
            raise NodeUnavailable("it is away")


@pytest.fixture
def node() -> PingedNode:
    """Well."""
    return PingedNode()


@pytest.fixture
def gate() -> NodeGate:
    """Open."""
    return NodeGate()


@pytest.fixture
def watch(node: PingedNode, gate: NodeGate) -> NodeWatch:
    """Over both."""
    return NodeWatch(node=cast("LightningNode", node), node_gate=gate)


async def test_the_gate_follows_the_node(
    node: PingedNode, gate: NodeGate, watch: NodeWatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Away and back, each said once; a refusal says when to come again, and that nothing ran."""
    await watch.look()
    gate.check()
    node.away = True
    for _ in range(3):
        await watch.look()
    with pytest.raises(NodeUnavailable, match="nothing was run") as refused:
        gate.check()
    assert refused.value.retry_after_s == NODE_RETRY_S
    node.away = False
    await watch.look()
    gate.check()
    assert [record.message.split(",")[0].split(":")[0] for record in caplog.records] == [
        "the node is away",
        "the node is back",
    ]


async def test_a_node_that_says_nothing_is_away(
    node: PingedNode, gate: NodeGate, watch: NodeWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half-open connection is not waited for as long as a call may take."""
    monkeypatch.setattr(node_watch, "LOOK_S", 0.01)
    node.silent = True
    await watch.look()
    with pytest.raises(NodeUnavailable):
        gate.check()


async def test_a_broken_stream_closes_the_gate_at_once(gate: NodeGate, watch: NodeWatch) -> None:
    """Nobody waits for the next look; the fault goes on to whoever supervises the stream."""

    async def listen() -> None:
        raise NodeUnavailable("the stream broke")

    with pytest.raises(NodeUnavailable, match="the stream broke"):
        await watch.while_well(listen)
    with pytest.raises(NodeUnavailable, match="nothing was run"):
        gate.check()
