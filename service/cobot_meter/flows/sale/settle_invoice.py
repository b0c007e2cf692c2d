"""Take the node's word on an invoice: settled or canceled, for escrows and top-ups alike.

Redelivery is certain, so everything here may happen twice. Our own clock never settles or cancels
anything: it only makes us ask the node to cancel.
"""

from __future__ import annotations

from typing import Protocol

from cobot_meter.domain.errors import Conflict, ExposureExceeded
from cobot_meter.domain.escrow.events import InvoiceCanceled, InvoiceSettled, LatePurchase
from cobot_meter.domain.escrow.machine import is_repeated
from cobot_meter.domain.escrow.record import Escrow, IssuedInvoice
from cobot_meter.domain.escrow.states import STATES, EscrowState
from cobot_meter.domain.escrow.timers import EXPIRY_GRACE_MS
from cobot_meter.domain.invoices import Invoice, InvoiceState
from cobot_meter.domain.topup.events import TopupCredited, TopupLapsed
from cobot_meter.domain.topup.record import Topup
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.record_event import OurNode
from cobot_meter.ports.lightning_node import InvoiceCanceler, InvoiceLookup, NodeInfo

TRIES = 3
# lnd deletes canceled invoices where its settings say so (`gc-canceled-invoices-*`).
FORGOTTEN_AFTER_MS = 600_000


class SettlingNode(NodeInfo, InvoiceLookup, InvoiceCanceler, Protocol):
    """What settling asks of the node."""


class SettleInvoice:
    """Facts of the node become events of whoever the invoice belongs to."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        node: SettlingNode,
        ours: OurNode,
    ) -> None:
        """`ours` is the node whose word is taken."""
        self._ledger = ledger
        self._node = node
        self._ours = ours

    async def ask_node(self, payment_hash: str) -> Invoice | None:
        """Look one invoice up and book what the node says; cancel it first when it has expired.

        Raises NodeUnavailable; None when the node does not know it. One that it once made and has
        forgotten, long after its expiry, is CANCELED by its word: it can be paid no more.
        """
        invoice = await self._node.look_up(payment_hash)
        if invoice is None:
            invoice = await self._forgotten(payment_hash)
            if invoice is not None:
                await self.told(invoice)
            return invoice
        expired_ms = invoice.expires_at_s * 1_000 + EXPIRY_GRACE_MS
        if invoice.state is InvoiceState.OPEN and self._ledger.ending_ms() >= expired_ms:
            subject = await self._ledger.books.subject_of_payment(payment_hash)
            if subject is None or self._had_its_time(subject, invoice):
                invoice = await self._node.cancel_invoice(payment_hash)
        await self.told(invoice)
        return invoice

    def _had_its_time(self, subject: Escrow | Topup, invoice: Invoice) -> bool:
        """Whether it was payable for as long as it said, by our clock too.

        Where that is ahead of the node's by more than an invoice lasts, every invoice would be
        expired, and canceled, as soon as it is made: all would be run and nothing sold.
        """
        now_ms, began_ms = self._ledger.now_ms(), subject.payable_since_ms
        if began_ms > now_ms:
            return True  # it began by a clock that has gone back since
        lasts_ms = (invoice.expires_at_s - invoice.created_at_s) * 1_000
        return self._ledger.ending_ms() >= began_ms + lasts_ms + EXPIRY_GRACE_MS

    async def _forgotten(self, payment_hash: str) -> Invoice | None:
        """As canceled, where the books have its invoice and the node is certainly ours."""
        expires_at_s, amount_msat = 0, 0
        match await self._ledger.books.subject_of_payment(payment_hash):
            case Escrow(state=EscrowState.INVOICED, invoice=IssuedInvoice() as made):
                expires_at_s, amount_msat = made.expires_at_s, made.amount_msat
            case Topup() as topup if topup.facts.invoice_open:
                expires_at_s, amount_msat = topup.expires_at_s, topup.amount_msat
            case _:
                return None
        if self._ledger.ending_ms() < expires_at_s * 1_000 + FORGOTTEN_AFTER_MS:
            return None
        if (await self._node.identity()).pubkey != self._ours.identity.pubkey:
            return None
        return Invoice(
            payment_hash=payment_hash,
            payment_request="",
            amount_msat=amount_msat,
            state=InvoiceState.CANCELED,
            created_at_s=0,
            expires_at_s=expires_at_s,
        )

    async def told(self, invoice: Invoice) -> None:
        """Book what the node said. OPEN and ACCEPTED are not settled: nothing happens."""
        if invoice.state not in {InvoiceState.SETTLED, InvoiceState.CANCELED}:
            return None
        for _ in range(TRIES - 1):
            try:
                return await self._subject_told(invoice)
            except Conflict:
                continue  # the subject moved on between read and write: read it again
        return await self._subject_told(invoice)

    async def _subject_told(self, invoice: Invoice) -> None:
        match await self._ledger.books.subject_of_payment(invoice.payment_hash):
            case Escrow() as escrow:
                await self._escrow_told(escrow, invoice)
            case Topup() as topup:
                await self._topup_told(topup, invoice)
            case None:
                pass  # keysend, AMP or another program's invoice on a shared node

    async def _escrow_told(self, escrow: Escrow, invoice: Invoice) -> None:
        if invoice.state is InvoiceState.CANCELED:
            if escrow.state is EscrowState.INVOICED:
                event = InvoiceCanceled(payment_hash=invoice.payment_hash)
                await self._ledger.record(escrow, event)
            return
        settled = self.settled(invoice)
        if STATES[escrow.state].payable and not is_repeated(escrow, settled):
            escrow = await self._ledger.record(escrow, settled)
        if escrow.state is EscrowState.EXPIRED:
            await self._buy_late(escrow)

    async def _buy_late(self, escrow: Escrow) -> None:
        """A late payment is credit; where the completion is still kept, it buys it."""
        if escrow.keep_until_ms is None or escrow.paid_msat < escrow.due_msat:
            return
        standing = await self._ledger.books.standing(escrow.caller_id)
        if standing.available_msat < escrow.price_msat:
            return
        try:
            await self._ledger.record(escrow, LatePurchase())
        except ExposureExceeded:
            return  # the credit was spent on something else meanwhile, and stays the caller's

    async def _topup_told(self, topup: Topup, invoice: Invoice) -> None:
        if invoice.state is InvoiceState.CANCELED:
            if topup.facts.invoice_open:
                await self._ledger.record_topup(topup, TopupLapsed())
        elif not topup.facts.had_payment:
            await self._ledger.record_topup(topup, self._credited(invoice))

    def _credited(self, invoice: Invoice) -> TopupCredited:
        return TopupCredited(
            payment_hash=invoice.payment_hash,
            paid_msat=invoice.amount_paid_msat,
            settle_index=invoice.settle_index,
            node_alias=self._ours.identity.alias,
            node_pubkey=self._ours.identity.pubkey,
        )

    def settled(self, invoice: Invoice) -> InvoiceSettled:
        """What our node says of an invoice that is SETTLED, as an event."""
        return InvoiceSettled(
            payment_hash=invoice.payment_hash,
            paid_msat=invoice.amount_paid_msat,
            settle_index=invoice.settle_index,
            node_alias=self._ours.identity.alias,
            node_pubkey=self._ours.identity.pubkey,
        )
