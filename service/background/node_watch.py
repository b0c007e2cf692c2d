"""Keeps the gate before new asks: closed as soon as the node is found away, open when it is back.

Must not know: what the gate stands before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from service.domain.errors import NodeUnavailable
from service.flows.node_gate import NodeGate
from service.ports.lightning_node import LightningNode

LOG = logging.getLogger(__name__)
# Less than a call may take: asks that come meanwhile would be run for nothing.
LOOK_S = 2.0


class NodeWatch:
    """Says once that the node is away, and once that it is back."""

    def __init__(self, *, node: LightningNode, gate: NodeGate) -> None:
        """This watch alone opens `gate`; others may shut it."""
        self._node = node
        self._gate = gate
        self._away = False

    async def look(self) -> None:
        """Ask the node how it is. Raises nothing of the node's: it is asked again soon."""
        try:
            async with asyncio.timeout(LOOK_S):
                await self._node.ping()
        except NodeUnavailable as fault:
            self._found_away(fault)
        except TimeoutError:
            self._found_away(NodeUnavailable(f"it has not answered for {LOOK_S:g} s"))
        else:
            if self._away:
                LOG.warning("the node is back: new asks are taken again")
            self._away = False
            self._gate.open()

    async def while_well(self, talk: Callable[[], Awaitable[None]]) -> None:
        """Do what talks with the node; that it breaks off says so at once."""
        try:
            await talk()
        except NodeUnavailable as fault:
            self._found_away(fault)
            raise

    def _found_away(self, fault: NodeUnavailable) -> None:
        if not self._away:
            LOG.warning("the node is away, new asks are refused: %s", fault.message)
        self._away = True
        self._gate.close()
