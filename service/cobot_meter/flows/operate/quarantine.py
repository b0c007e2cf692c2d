"""The operator's hand on what is in quarantine: look at it, let it go on, or write it off.

Only what the node says now decides what was paid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cobot_meter.domain.errors import (
    CobotMeterError,
    EscrowNotFound,
    NodeUnavailable,
    Quarantined,
    RequestInvalid,
)
from cobot_meter.domain.escrow.events import QuarantineLifted, WrittenOff
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import STATES
from cobot_meter.domain.invoices import Invoice, InvoiceState
from cobot_meter.domain.outside import shown
from cobot_meter.domain.topup.events import TopupLifted, TopupWrittenOff
from cobot_meter.domain.topup.record import Topup
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.record_event import OurNode
from cobot_meter.flows.sale.settle_invoice import SettleInvoice
from cobot_meter.ports.escrow_runs import EscrowRuns
from cobot_meter.ports.lightning_node import InvoiceCanceler, InvoiceLookup

LISTED_MAX = 1_000

Subject = Escrow | Topup


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """`subject` as it stands afterwards; `again` says what could still not be booked."""

    subject: Subject
    again: str | None = None


class QuarantineNode(InvoiceLookup, InvoiceCanceler, Protocol):
    """What quarantine asks of the node."""


class Quarantine:
    """Everything of one kind: each word is an entry of the journal."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        node: QuarantineNode,
        ours: OurNode,
        settle_invoice: SettleInvoice,
        runs: EscrowRuns | None = None,
    ) -> None:
        """Without `runs` no service is there to drive what goes on: the next start does."""
        self._ledger = ledger
        self._node = node
        self._ours = ours
        self._settle_invoice = settle_invoice
        self._runs = runs

    async def listed(self) -> tuple[Subject, ...]:
        """What waits, in id order, at most LISTED_MAX of it."""
        return await self._ledger.books.quarantined(after="", limit=LISTED_MAX)

    async def show(self, name: str) -> Subject:
        """The escrow or top-up of this id.

        Raises EscrowNotFound, RequestInvalid when it is not in quarantine.
        """
        subject = await self._ledger.books.escrow(name) or await self._ledger.books.topup(name)
        if subject is None:
            message = f"there is no escrow or top-up {shown(name, most=80)}"
            raise EscrowNotFound(message)
        if subject.quarantine is None:
            message = f"{name} is not in quarantine: it is {subject.progress}"
            raise RequestInvalid(message)
        return subject

    async def retry(self, name: str) -> Retried:
        """Let it go on where it was. What still cannot be booked puts it back.

        Raises EscrowNotFound, and RequestInvalid when it is not in quarantine.
        """
        subject = await self.show(name)
        if isinstance(subject, Escrow):
            await self._ledger.record(subject, QuarantineLifted())
        else:
            await self._ledger.record_topup(subject, TopupLifted())
        try:
            await self._go_on(subject)
        except Quarantined as fault:
            return Retried(subject=await self._again(name, subject), again=fault.why)
        except NodeUnavailable:
            pass  # the sweeps ask again
        stands = await self._again(name, subject)
        return Retried(subject=stands, again=stands.quarantine)

    async def write_off(self, name: str, reason: str) -> Subject:
        """End it: what was paid and never booked is credit, what it cost stays an expense.

        Raises EscrowNotFound, RequestInvalid when it is not in quarantine, NodeUnavailable when the
        node does not say what was paid, and Quarantined when even that cannot be booked.
        """
        subject = await self.show(name)
        reason = shown(reason)
        if isinstance(subject, Topup):
            return await self._topup_written_off(subject, reason)
        paid = None
        # One that was made and could not be booked counts too: nobody was ever shown it.
        if STATES[subject.state].may_have_invoice and not subject.paid_msat:
            paid = await self._paid(subject.payment_hash)
        ours = self._ours.identity
        event = WrittenOff(
            reason=reason,
            payment_hash=paid.payment_hash if paid else "",
            paid_msat=paid.amount_paid_msat if paid else 0,
            settle_index=paid.settle_index if paid else 0,
            node_alias=ours.alias if paid else "",
            node_pubkey=ours.pubkey if paid else "",
        )
        return await self._ledger.record(subject, event)

    async def _go_on(self, subject: Subject) -> None:
        if isinstance(subject, Topup) or STATES[subject.state].payable:
            if subject.payment_hash is not None:
                await self._settle_invoice.ask_node(subject.payment_hash)
        elif self._runs is not None:
            try:
                await self._runs.start(subject.escrow_id)
            except Quarantined:
                raise
            except CobotMeterError:
                pass  # its own trouble with a part outside: it is driven again

    async def _again(self, name: str, before: Subject) -> Subject:
        return (
            await self._ledger.books.escrow(name) or await self._ledger.books.topup(name) or before
        )

    async def _paid(self, payment_hash: str | None) -> Invoice | None:
        """The invoice as settled, None when it never can be any more. Raises NodeUnavailable."""
        invoice = await self._node.look_up(payment_hash) if payment_hash else None
        if invoice is not None and invoice.state is InvoiceState.OPEN:
            invoice = await self._node.cancel_invoice(invoice.payment_hash)
        if invoice is None or invoice.state is InvoiceState.CANCELED:
            return None
        if invoice.state is not InvoiceState.SETTLED:
            message = "It is being paid at this moment; wait until the node has decided."
            raise RequestInvalid(message)
        return invoice

    async def _topup_written_off(self, topup: Topup, reason: str) -> Subject:
        """A payment of it is its purpose: that is credited as ever, once it is let go on."""
        paid = None
        if not topup.facts.had_payment:
            paid = await self._paid(topup.payment_hash)
        if paid is None:
            return (await self._ledger.record_topup(topup, TopupWrittenOff(reason=reason)))[0]
        await self._ledger.record_topup(topup, TopupLifted())
        await self._settle_invoice.told(paid)
        return await self._ledger.books.topup(topup.topup_id) or topup
