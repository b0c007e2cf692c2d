"""What an operator may change: cancel an open invoice, and set a caller's cap or block.

The node is asked first, and only what it answers is booked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from cobot_meter.domain.callers import CallerStanding
from cobot_meter.domain.errors import BooksBusy, EscrowNotFound, RequestInvalid
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.invoices import InvoiceState
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.topup.states import topup_states_with
from cobot_meter.domain.transitions.operator import caller_transition
from cobot_meter.domain.transitions.transition import CallerChange
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.sale.settle_invoice import SettleInvoice
from cobot_meter.ports.books import Books
from cobot_meter.ports.lightning_node import InvoiceCanceler

TRIES = 16
OPEN = {EscrowState.INVOICED, *topup_states_with(lambda facts: facts.invoice_open)}


Changed = Callable[[CallerChange], CallerChange]


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOutcome:
    """What the node said (SETTLED when the payer was faster), and where the subject is now."""

    subject_id: str
    payment_hash: str
    invoice_state: InvoiceState
    subject_state: str


class CancelInvoice:
    """Takes an unpaid invoice back before its time."""

    def __init__(self, *, books: Books, node: InvoiceCanceler, settlements: SettleInvoice) -> None:
        """`settlements` books the node's word."""
        self._books = books
        self._node = node
        self._settlements = settlements

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
        await self._settlements.told(invoice)
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


class SetCaller:
    """Blocks a caller, or fixes its cap; each word is an entry of the journal."""

    def __init__(self, *, ledger: Ledger) -> None:
        """Nothing is remembered here."""
        self._ledger = ledger

    async def block(self, caller_id: str, *, blocked: bool) -> CallerStanding:
        """Refuse this caller from now on, or serve it again; its standing afterwards."""
        return await self._say(caller_id, lambda stands: replace(stands, blocked=blocked))

    async def cap(self, caller_id: str, cap_msat: int | None) -> CallerStanding:
        """Fix what this caller may have open and unpaid; None returns to the formula."""
        return await self._say(caller_id, lambda stands: replace(stands, cap_msat=cap_msat))

    async def _say(self, caller_id: str, changed: Changed) -> CallerStanding:
        """Change what stands, and look again whenever somebody else's word came between.

        A word is numbered before what stands is read, so one that is not seen there takes the
        number, and none is lost: neither a block to a cap said at the same moment, nor a cap to it.
        """
        if not caller_id.startswith("c_"):
            message = f"{caller_id[:80]!r} is no caller: their ids begin with c_"
            raise RequestInvalid(message)
        for _ in range(TRIES):
            sequence = await self._ledger.books.caller_changes(caller_id)
            standing = await self._ledger.books.standing(caller_id)
            stands = CallerChange(blocked=standing.blocked, cap_msat=standing.cap_override_msat)
            transition = caller_transition(
                caller_id, changed(stands), sequence=sequence, at_ms=self._ledger.now_ms()
            )
            applied = await self._ledger.apply(transition)
            if not applied.repeated:
                return await self._ledger.books.standing(caller_id)
        message = f"others keep changing {caller_id}; look at it and try again"
        raise BooksBusy(message)


def _id_of(subject: Escrow | Topup) -> str:
    return subject.escrow_id if isinstance(subject, Escrow) else subject.topup_id
