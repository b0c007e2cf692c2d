"""Audit: everything that the node was paid on invoices of ours, against the books.

The books are read before the node is asked, so what was paid in between is looked for once more.
Must not know: accounts or states.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cobot_meter.domain.errors import NodeUnavailable
from cobot_meter.domain.invoices import InvoiceState, ListedInvoice, is_ours, tag_of
from cobot_meter.flows.audit.findings import Finding, Findings
from cobot_meter.flows.audit.settlements import Settlement
from cobot_meter.ports.books import JournalKeys
from cobot_meter.ports.lightning_node import InvoiceList

LIST_S = 300.0
LOOKS = 4
PAUSE_S = 0.5
# More hashes than this are counted, and not looked for again.
MISSING_MAX = 1_000

CallerOfTag = Callable[[str, str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPayments:
    """What the books know: `settled` by payment hash, and the hashes that may yet be paid."""

    settled: Mapping[str, Settlement]
    awaited: frozenset[str]
    set_aside: frozenset[str]
    since_s: int


async def check_listed(
    findings: Findings,
    node: InvoiceList,
    known: KnownPayments,
    *,
    journal: JournalKeys,
    caller_of_tag: CallerOfTag | None,
) -> tuple[Finding, ...]:
    """Read the node's list; what could not be looked at. `caller_of_tag` None knows no tags."""
    missing: dict[str, int] = {}
    try:
        async with asyncio.timeout(LIST_S):
            async for listed in node.listed_invoices(known.since_s):
                if listed.invoice.state is InvoiceState.SETTLED and is_ours(listed.memo):
                    _look_at(listed, known, findings, missing, caller_of_tag)
    except NodeUnavailable as fault:
        return (_unread(fault.message),)
    except TimeoutError:
        return (_unread(f"it has not told all of it in {LIST_S:g} s"),)
    await _look_again(missing, journal)
    late = {one for one in missing if one in known.awaited}
    for payment_hash in sorted(missing.keys() - late):
        message = (
            f"the node was paid {missing[payment_hash]} msat on an invoice of ours, and it is in "
            "no book: a start of the service credits it to the caller that its memo names"
        )
        findings.add("settlement_missing", payment_hash, message)
    if late:
        total_msat = sum(missing[one] for one in late)
        message = (
            f"{len(late)} payments of {total_msat} msat at the node are not booked yet: a service "
            "that runs, or its next start, books them"
        )
        return (Finding(code="settlement_awaited", subject="node", message=message),)
    return ()


def _look_at(
    listed: ListedInvoice,
    known: KnownPayments,
    findings: Findings,
    missing: dict[str, int],
    caller_of_tag: CallerOfTag | None,
) -> None:
    payment_hash, tag = listed.invoice.payment_hash, tag_of(listed.memo)
    named = caller_of_tag(tag, payment_hash) if tag and caller_of_tag else None
    settled = known.settled.get(payment_hash)
    if settled is not None:
        findings.demand(
            "settlement_caller",
            settled.subject_id,
            f"it was paid on an invoice made for {named}, and the books gave it to "
            f"{settled.caller_id}",
            sound=named in {None, settled.caller_id},
        )
        return
    foreign = tag is not None and caller_of_tag is not None and named is None
    if payment_hash not in known.set_aside and not foreign and len(missing) < MISSING_MAX:
        missing[payment_hash] = listed.invoice.amount_paid_msat


async def _look_again(missing: dict[str, int], journal: JournalKeys) -> None:
    """What was paid after the books were read is booked within moments where a service runs."""
    for look in range(LOOKS):
        for payment_hash in tuple(missing):
            if await journal.entry_facts(f"ln/{payment_hash}") is not None:
                del missing[payment_hash]
        if not missing:
            return
        if look + 1 < LOOKS:
            await asyncio.sleep(PAUSE_S)


def _unread(why: str) -> Finding:
    message = f"the node's own list of invoices was not held against the books: {why}"
    return Finding(code="node_unreachable", subject="node", message=message)
