"""The invoice of an escrow: asked for once it is costed, taken back once it has expired.

The first is costed → invoiced, settled or failed; the second is whatever the node says then.

The payment hash was stored with the cost, so asking again finds what an earlier try made. An amount
of 0 is never sent (it would mean *any amount*).
"""

from __future__ import annotations

from cobot_meter.domain.errors import InvoiceRefused, NodeUnavailable
from cobot_meter.domain.escrow.events import (
    CoveredByCredit,
    InvoiceIssued,
    InvoiceLost,
    InvoiceMakingRefused,
)
from cobot_meter.domain.escrow.record import Escrow, IssuedInvoice
from cobot_meter.domain.escrow.timers import EXPIRY_GRACE_MS
from cobot_meter.domain.invoices import COMPLETION, Invoice, InvoiceOrder, InvoiceState, tagged
from cobot_meter.domain.pricing.prices import invoice_amount_msat
from cobot_meter.domain.run.record import Failure
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.offer.gates import NodeGate
from cobot_meter.flows.sale.settle_invoice import SettleInvoice
from cobot_meter.flows.vault import Vault
from cobot_meter.ports.lightning_node import InvoiceMaker

TOO_LATE = Failure(
    code=InvoiceRefused.code,
    message="The Lightning node could not make an invoice for a whole day. You are not charged.",
)


class IssueInvoice:
    """What credit covers is settled at once; the rest becomes one invoice in whole satoshis."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        vault: Vault,
        node: InvoiceMaker,
        node_gate: NodeGate,
        settle_invoice: SettleInvoice,
        expiry_s: int,
    ) -> None:
        """`expiry_s` is how long an invoice lives; `node_gate` is shut when none is made.

        `settle_invoice` asks the node about one whose time is over.
        """
        self._ledger = ledger
        self._vault = vault
        self._node = node
        self._node_gate = node_gate
        self._settle_invoice = settle_invoice
        self._expiry_s = expiry_s

    async def costed(self, escrow: Escrow) -> Escrow:
        """The escrow after one try; unchanged while the node does not answer (a timer asks)."""
        if escrow.due_msat == 0:
            return await self._ledger.record(escrow, CoveredByCredit())
        if self._ledger.ending_ms() - escrow.opened_at_ms > self._ledger.retention.costed_ms:
            return await self._ledger.record(escrow, InvoiceMakingRefused(failure=TOO_LATE))
        try:
            invoice = await self._node.add_invoice(self._order(escrow))
        except NodeUnavailable:
            self._node_gate.close()  # what is asked now would be run with no invoice to sell it
            return escrow
        except InvoiceRefused as refused:
            failure = Failure(code=refused.code, message=refused.message)
            return await self._ledger.record(escrow, InvoiceMakingRefused(failure=failure))
        if invoice.state is InvoiceState.CANCELED:
            next_hash = self._vault.payment_hash(escrow.escrow_id, escrow.attempt + 1)
            return await self._ledger.record(escrow, InvoiceLost(payment_hash=next_hash))
        return await self._ledger.record(escrow, InvoiceIssued(invoice=issued(invoice)))

    async def expired(self, escrow: Escrow) -> Escrow:
        """Past its expiry the node is asked to cancel; only what it answers is booked."""
        if escrow.invoice is None or escrow.payment_hash is None:
            return escrow
        if escrow.invoice.expires_at_s * 1_000 + EXPIRY_GRACE_MS > self._ledger.ending_ms():
            return escrow
        try:
            await self._settle_invoice.ask_node(escrow.payment_hash)
        except NodeUnavailable:
            return escrow
        return await self._ledger.escrow(escrow.escrow_id)

    def _order(self, escrow: Escrow) -> InvoiceOrder:
        payment_hash = escrow.payment_hash or ""
        tag = self._vault.memo_tag(escrow.caller_id, payment_hash)
        return InvoiceOrder(
            preimage=self._vault.preimage(escrow.escrow_id, escrow.attempt),
            payment_hash=payment_hash,
            amount_msat=invoice_amount_msat(escrow.due_msat),
            memo=tagged(COMPLETION, tag),
            expiry_s=self._expiry_s,
        )


def issued(invoice: Invoice) -> IssuedInvoice:
    """The part of a node's invoice that an escrow keeps."""
    return IssuedInvoice(
        payment_request=invoice.payment_request,
        amount_msat=invoice.amount_msat,
        expires_at_s=invoice.expires_at_s,
    )
