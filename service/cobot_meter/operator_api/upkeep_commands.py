"""The operator's words on what the books are held against: the upstream's usage, the node's list.

As JSON objects in and out, like those of `commands.py`. Must not know: sockets or terminals.
"""

from __future__ import annotations

from collections.abc import Mapping

from cobot_meter.flows.operate.rebase_usage import RebaseUsage
from cobot_meter.flows.operate.sweep_node import SweepNode
from cobot_meter.operator_api.commands import Command, Document, identifier_of, sentence_of


def upkeep_commands(*, rebase_usage: RebaseUsage, sweep_node: SweepNode) -> Mapping[str, Command]:
    """`rebase_usage` and `set_aside`, by name."""

    async def rebase(request: Document) -> Document:
        baseline = await rebase_usage.rebase(sentence_of(request, "reason"))
        return {
            "number": baseline.number,
            "usage_pusd": baseline.usage_pusd,
            "booked_pusd": baseline.booked_pusd,
            "key": baseline.key,
        }

    async def set_aside(request: Document) -> Document:
        named = None if "payment_hash" not in request else identifier_of(request, "payment_hash")
        hashes = await sweep_node.set_aside(sentence_of(request, "reason"), named)
        return {"payment_hashes": list(hashes)}

    return {"rebase_usage": rebase, "set_aside": set_aside}
