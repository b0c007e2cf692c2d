"""Audit: every settlement that the books know, against the node's own word.

Must not know: accounts or states. A node that does not answer leaves things unchecked, not wrong.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cobot_meter.domain.errors import NodeUnavailable
from cobot_meter.domain.invoices import Invoice, InvoiceState
from cobot_meter.flows.audit.findings import Finding, Findings
from cobot_meter.ports.lightning_node import InvoiceLookup, NodeInfo

AT_ONCE = 32
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What the books say was paid."""

    subject_id: str
    caller_id: str
    payment_hash: str
    paid_msat: int
    node_pubkey: str | None
    settle_index: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeWord:
    """How many settlements the node confirmed, and what it was not asked or did not answer."""

    confirmed: int
    unchecked: tuple[Finding, ...]


async def check_identity(node: NodeInfo, node_pubkey: str | None) -> Finding | None:
    """Why nothing can be asked: the node is away, or is not the one that the books belong to."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            said = (await node.identity()).pubkey
    except NodeUnavailable as fault:
        why, code = fault.message, "node_unreachable"
    except TimeoutError:
        why, code = "it does not answer", "node_unreachable"
    else:
        if node_pubkey in {None, said}:
            return None
        why, code = f"it is {said}, and the books belong to {node_pubkey}", "node_differs"
    message = f"the settlements were not held against the node: {why}"
    return Finding(code=code, subject="node", message=message)


async def check_settlements(
    findings: Findings, node: InvoiceLookup, settlements: Iterable[Settlement]
) -> NodeWord:
    """Ask the node about each, a few at a time; the first silence ends the asking."""
    confirmed, remaining = 0, iter(settlements)
    for batch in _batches(remaining):
        answers = await _ask(node, batch)
        for settlement, answer in answers.items():
            if isinstance(answer, Finding):
                continue
            problem = _problem(settlement, answer)
            confirmed += not problem
            if problem:
                findings.add(*problem)
        silent = [answer for answer in answers.values() if isinstance(answer, Finding)]
        if silent:
            left = len(silent) + sum(1 for _ in remaining)
            return NodeWord(confirmed=confirmed, unchecked=(_unchecked(silent[0], left),))
    return NodeWord(confirmed=confirmed, unchecked=())


async def _ask(
    node: InvoiceLookup, batch: tuple[Settlement, ...]
) -> dict[Settlement, Invoice | Finding | None]:
    answers: dict[Settlement, Invoice | Finding | None] = {}

    async def ask(settlement: Settlement) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answers[settlement] = await node.look_up(settlement.payment_hash)
        except NodeUnavailable as fault:
            answers[settlement] = _silent(settlement, fault.message)
        except TimeoutError:
            answers[settlement] = _silent(settlement, "it does not answer")

    async with asyncio.TaskGroup() as tasks:
        for settlement in batch:
            tasks.create_task(ask(settlement))
    return answers


def _batches(settlements: Iterator[Settlement]) -> Iterator[tuple[Settlement, ...]]:
    while batch := tuple(itertools.islice(settlements, AT_ONCE)):
        yield batch


def _problem(settlement: Settlement, invoice: Invoice | None) -> tuple[str, str, str] | None:
    """Code, subject and sentence of what the node contradicts."""
    where = settlement.subject_id
    if invoice is None:
        message = f"the books have it paid, the node knows no invoice {settlement.payment_hash}"
        return "settlement_unknown", where, message
    if invoice.state is not InvoiceState.SETTLED:
        message = f"the books have it paid, the node says {invoice.state}"
        return "settlement_denied", where, message
    if invoice.amount_paid_msat != settlement.paid_msat:
        message = (
            f"the books have {settlement.paid_msat} msat paid, the node {invoice.amount_paid_msat}"
        )
        return "settlement_amount", where, message
    if settlement.settle_index and invoice.settle_index != settlement.settle_index:
        message = (
            f"the books have it settled as number {settlement.settle_index}, the node as "
            f"{invoice.settle_index}"
        )
        return "settlement_index", where, message
    return None


def _silent(settlement: Settlement, why: str) -> Finding:
    return Finding(code="settlement_unchecked", subject=settlement.subject_id, message=why)


def _unchecked(first: Finding, count: int) -> Finding:
    message = f"{count} settlements were not held against the node: {first.message}"
    return Finding(code="node_unreachable", subject="node", message=message)
