"""Ask the node for the invoice of a costed escrow: costed → invoiced, settled or failed.

The payment hash was stored with the cost, so asking again finds what an earlier try made. An amount
of 0 is never sent (it would mean *any amount*).
"""

from __future__ import annotations

from cobot_meter.domain.errors import InvoiceRefused, NodeUnavailable
from cobot_meter.domain.escrow.events import CoveredByCredit, InvoiceIssued, InvoiceLost
from cobot_meter.domain.escrow.events import InvoiceRefused as InvoiceWasRefused
from cobot_meter.domain.escrow.record import Escrow, IssuedInvoice
from cobot_meter.domain.invoices import COMPLETION, Invoice, InvoiceOrder, InvoiceState, tagged
from cobot_meter.domain.pricing.prices import invoice_amount_msat
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.run.record import Failure
from cobot_meter.flows.offer.gates import NodeGate
from cobot_meter.flows.record_event import EventRecorder
from cobot_meter.flows.sale.find_cost import payment_hash
from cobot_meter.flows.steady_clock import SteadyClock
from cobot_meter.ports.identifiers import Identifiers
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
        recorder: EventRecorder,
        node: InvoiceMaker,
        identifiers: Identifiers,
        steady: SteadyClock,
        retention: Retention,
        expiry_s: int,
        node_gate: NodeGate,
    ) -> None:
        """`expiry_s` is how long an invoice lives; `node_gate` is shut when none is made.

        By `steady` a cost has waited too long for one.
        """
        self._steady = steady
        self._node_gate = node_gate
        self._recorder = recorder
        self._node = node
        self._identifiers = identifiers
        self._retention = retention
        self._expiry_s = expiry_s

    async def costed(self, escrow: Escrow) -> Escrow:
        """The escrow after one try; unchanged while the node does not answer (a timer asks)."""
        if escrow.due_msat == 0:
            return await self._recorder.record(escrow, CoveredByCredit())
        if self._steady.ending_ms() - escrow.opened_at_ms > self._retention.costed_ms:
            return await self._recorder.record(escrow, InvoiceWasRefused(failure=TOO_LATE))
        try:
            invoice = await self._node.add_invoice(self._order(escrow))
        except NodeUnavailable:
            self._node_gate.close()  # what is asked now would be run with no invoice to sell it
            return escrow
        except InvoiceRefused as refused:
            failure = Failure(code=refused.code, message=refused.message)
            return await self._recorder.record(escrow, InvoiceWasRefused(failure=failure))
        if invoice.state is InvoiceState.CANCELED:
            next_hash = payment_hash(self._identifiers, escrow.escrow_id, escrow.attempt + 1)
            return await self._recorder.record(escrow, InvoiceLost(payment_hash=next_hash))
        return await self._recorder.record(escrow, InvoiceIssued(invoice=issued(invoice)))

    def _order(self, escrow: Escrow) -> InvoiceOrder:
        payment_hash = escrow.payment_hash or ""
        tag = self._identifiers.memo_tag(escrow.caller_id, payment_hash)
        return InvoiceOrder(
            preimage=self._identifiers.preimage(escrow.escrow_id, escrow.attempt),
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
