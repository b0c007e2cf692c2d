"""Cancel an open invoice: the node is asked first, and only what it answers is booked."""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.domain.errors import EscrowNotFound, RequestInvalid
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.invoices import InvoiceState
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.topup.states import topup_states_with
from cobot_meter.flows.sale.settle_invoice import SettleInvoice
from cobot_meter.ports.books import Books
from cobot_meter.ports.lightning_node import InvoiceCanceler

OPEN = {EscrowState.INVOICED, *topup_states_with(lambda facts: facts.invoice_open)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOutcome:
    """What the node said (SETTLED when the payer was faster), and where the subject is now."""

    subject_id: str
    payment_hash: str
    invoice_state: InvoiceState
    subject_state: str


class CancelInvoice:
    """Takes an unpaid invoice back before its time."""

    def __init__(
        self, *, books: Books, node: InvoiceCanceler, settle_invoice: SettleInvoice
    ) -> None:
        """`settle_invoice` books the node's word."""
        self._books = books
        self._node = node
        self._settle_invoice = settle_invoice

    async def cancel(self, name: str) -> CancelOutcome:
        """`name` is an escrow id, a top-up id or a payment hash.

        Raises EscrowNotFound, RequestInvalid when its invoice is not open, NodeUnavailable.
        """
        subject = await self._find(name)
        if subject is None:
            message = f"there is no escrow, top-up or payment hash {name[:80]}"
            raise EscrowNotFound(message)
        if subject.state not in OPEN or subject.payment_hash is None:
            message = f"{name[:80]} is {subject.progress}: only an open invoice can be canceled"
            raise RequestInvalid(message)
        invoice = await self._node.cancel_invoice(subject.payment_hash)
        await self._settle_invoice.told(invoice)
        subject = await self._find(name) or subject
        return CancelOutcome(
            subject_id=_id_of(subject),
            payment_hash=invoice.payment_hash,
            invoice_state=invoice.state,
            subject_state=subject.progress.value,
        )

    async def _find(self, name: str) -> Escrow | Topup | None:
        return (
            await self._books.escrow(name)
            or await self._books.topup(name)
            or await self._books.subject_of_payment(name)
        )


def _id_of(subject: Escrow | Topup) -> str:
    return subject.escrow_id if isinstance(subject, Escrow) else subject.topup_id
