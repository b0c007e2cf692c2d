"""What the storm left: the callers' receipts against the books, and the books against the node.

Every finding is one sentence; none means that nothing was lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.regtest.lnd.connection import lnrpc
from deploy.regtest.lnd.node import Node
from tests.storm.buyers import Purchase

MEMO = "cobot-meter"
NODE_ACCOUNT = "ln/node/bob"
READ_WITHOUT_PAYING = "released"
INVOICES_MAX = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that says what happened, each from its owner.

    `invoices` is what `cobot-meter invoices list` prints, `ledger` the trial balance, `audit` the
    audit's document; `settled` maps the node's settled payment hashes to msat.
    """

    purchases: Sequence[Purchase]
    invoices: Sequence[dict[str, Any]]
    ledger: Sequence[dict[str, Any]]
    audit: dict[str, Any]
    settled: dict[str, int]


async def settled_at(node: Node) -> dict[str, int]:
    """What the node itself has received for us, by payment hash."""
    async with node.services() as services:
        listed = await services.lightning.ListInvoices(
            lnrpc.ListInvoiceRequest(num_max_invoices=INVOICES_MAX),
            timeout=30,
            metadata=services.metadata,
        )
    return {
        invoice.r_hash.hex(): invoice.amt_paid_msat
        for invoice in listed.invoices
        if invoice.state == lnrpc.Invoice.SETTLED and invoice.memo.startswith(MEMO)
    }


def findings(evidence: Evidence) -> list[str]:
    """What is wrong, in sentences."""
    return [
        *(wrong for purchase in evidence.purchases for wrong in purchase.wrongs),
        *_lost(evidence),
        *_released_unpaid(evidence),
        *_booked_otherwise(evidence),
        *_unsound(evidence),
    ]


def _lost(evidence: Evidence) -> Iterator[str]:
    for purchase in evidence.purchases:
        if purchase.preimage and not purchase.delivered:
            yield f"{purchase.text} was paid and never delivered"
        if purchase.preimage and purchase.payment_hash not in evidence.settled:
            yield f"{purchase.text} has a preimage, and the node does not know the payment"


def _released_unpaid(evidence: Evidence) -> Iterator[str]:
    paid = {purchase.payment_hash for purchase in evidence.purchases if purchase.preimage}
    for invoice in evidence.invoices:
        if invoice["state"] != READ_WITHOUT_PAYING:
            continue
        if invoice["payment_hash"] not in evidence.settled:
            yield f"{invoice['escrow_id']} was released, and the node was not paid"
        if invoice["payment_hash"] not in paid:
            yield f"{invoice['escrow_id']} was released, and no caller has its preimage"


def _booked_otherwise(evidence: Evidence) -> Iterator[str]:
    booked = {
        invoice["payment_hash"]: invoice["paid_msat"]
        for invoice in evidence.invoices
        if invoice["paid_msat"]
    }
    for payment_hash in booked.keys() | evidence.settled.keys():
        said, found = evidence.settled.get(payment_hash), booked.get(payment_hash)
        if said != found:
            yield f"payment {payment_hash}: the node says {said} msat, the books {found}"
    doubled = Counter(invoice["payment_hash"] for invoice in evidence.invoices)
    yield from (f"payment hash {one} stands twice" for one, count in doubled.items() if count > 1)
    received, held = sum(evidence.settled.values()), net(evidence.ledger, NODE_ACCOUNT)
    if received != held:
        yield f"the node received {received} msat, and the books hold {held}"


def _unsound(evidence: Evidence) -> Iterator[str]:
    if not evidence.audit["sound"]:
        yield from (f"audit: {finding}" for finding in evidence.audit["findings"])
    for unit in ("msat", "pusd"):
        rows = [row for row in evidence.ledger if row["commodity"] == unit]
        if sum(row["net"] for row in rows):
            yield f"the {unit} accounts do not add up to zero"
    unexplained = evidence.audit["figures"]["unexplained_pusd"]
    if unexplained != 0:
        yield f"{unexplained} pico-USD that the upstream charged are unexplained"


def net(ledger: Iterable[dict[str, Any]], account: str) -> int:
    """What an account holds, 0 when it does not exist."""
    return sum(row["net"] for row in ledger if row["account"] == account)
