"""Top-ups: what an empty ask is offered, what names its amount, and how its invoice is made.

Must not know: HTTP, or how a payment is noticed (`settle_invoice.py` does).
"""

from __future__ import annotations

from hashlib import sha256
from typing import Protocol

from cobot_meter.domain.errors import (
    Conflict,
    IdempotencyConflict,
    NodeUnavailable,
    RequestInvalid,
    TopupsOpen,
)
from cobot_meter.domain.invoices import TOPUP, InvoiceOrder, InvoiceState, tagged
from cobot_meter.domain.money import MSAT_PER_SAT
from cobot_meter.domain.retention import SECOND_MS
from cobot_meter.domain.topup.events import TopupInvoiced, TopupInvoiceLost, TopupLapsed
from cobot_meter.domain.topup.record import PROBE_AMOUNT_MSAT, Topup, TopupBounds
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.domain.transitions.topups import open_topup
from cobot_meter.flows.escrow_faults import quarantined_fault
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.release_gate import ReleaseGate
from cobot_meter.flows.vault import Vault
from cobot_meter.ports.lightning_node import Inbound, InvoiceCanceler, InvoiceMaker

TRIES = 3
# How many of one address, or of one caller, wait for payment at a time. Each stranger is given a
# top-up of its own, for whoever pays one is its caller from then on; what nobody pays ends with its
# invoice.
OPEN_MAX = 8


class TopUpNode(InvoiceMaker, InvoiceCanceler, Inbound, Protocol):
    """What a top-up asks of the node."""


class TopUp:
    """One open top-up per named caller, and a few per address, so that probing costs little."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        vault: Vault,
        node: TopUpNode,
        release_gate: ReleaseGate,
        expiry_s: int,
        bounds: TopupBounds,
    ) -> None:
        """`expiry_s` is how long an invoice lives; no credit is sold past a closed gate.

        `bounds` are for those that name their amount.
        """
        self._ledger = ledger
        self._vault = vault
        self._node = node
        self._release_gate = release_gate
        self._expiry_s = expiry_s
        self.bounds = bounds

    async def offer(self, *, address_key: str, caller_id: str | None) -> Topup:
        """The caller's open top-up, or a fresh one; without a name always a fresh one.

        Raises NodeUnavailable, ReleasesStopped, Quarantined when the open one cannot be booked, and
        TopupsOpen when strangers of this address have too many open.
        """
        self._release_gate.check()
        if caller_id is None:
            stranger = self._vault.caller_id()
            return await self._in_a_place(address_key, stranger, PROBE_AMOUNT_MSAT, known=False)
        for _ in range(TRIES):
            topup = await self._still_open(address_key)
            if topup is not None and topup.quarantine is not None:
                raise quarantined_fault(topup.topup_id, why=topup.quarantine, is_topup=True)
            try:
                if topup is None:
                    fresh = self._fresh(address_key, caller_id, PROBE_AMOUNT_MSAT)
                    topup = await self._opened(fresh)
                return (await self._issued(topup))[0]
            except Conflict:
                continue
        message = "The top-up could not be made just now; ask again."
        raise NodeUnavailable(message, retry_after_s=1)

    async def begin(
        self, amount_msat: int, *, address_key: str, caller_id: str | None, name: str | None = None
    ) -> Topup:
        """A top-up of this amount; the caller's open one of the same amount, where there is one.

        With the `name` of an intent it is the caller's own of that name, whatever became of it. A
        stranger always gets a fresh one, which is of that name for the caller that it makes. Raises
        RequestInvalid for an amount that is not taken, IdempotencyConflict for a name that was
        given to another amount or has ended unpaid, Quarantined, TopupsOpen, NodeUnavailable and
        ReleasesStopped.
        """
        self._release_gate.check()
        await self._refuse_amount(amount_msat)
        known, owner = caller_id is not None, caller_id or self._vault.caller_id()
        topup_id = self.named_id(owner, name)
        named = await self._ledger.books.topup(topup_id) if topup_id and known else None
        if named is None:
            return await self._in_a_place(
                address_key, owner, amount_msat, known=known, topup_id=topup_id
            )
        if named.quarantine is not None:
            raise quarantined_fault(named.topup_id, why=named.quarantine, is_topup=True)
        if named.amount_msat != amount_msat or named.state is TopupState.LAPSED:
            message = (
                "This Idempotency-Key is that of a top-up which has ended unpaid, or is of another "
                "amount; use a fresh one."
            )
            raise IdempotencyConflict(message)
        return (await self._issued(named))[0]

    def named_id(self, caller_id: str, name: str | None) -> str | None:
        """The id of the caller's top-up of this name, begun or not; None without a name."""
        return None if name is None else self._vault.named_topup_id(caller_id, name)

    async def _refuse_amount(self, amount_msat: int) -> None:
        """Raises RequestInvalid. A node that does not tell what it can receive refuses nothing."""
        least, most = self.bounds.least_msat, self.bounds.most_msat
        if amount_msat < least:
            raise _not_taken(f"A top-up here is at least {least // MSAT_PER_SAT} sat")
        if amount_msat > most:
            raise _not_taken(f"A top-up here is at most {most // MSAT_PER_SAT} sat")
        receivable_msat = await self._node.receivable_msat()
        if receivable_msat is not None and amount_msat > receivable_msat:
            able = max(receivable_msat, 0) // MSAT_PER_SAT
            raise _not_taken(f"The node of this service can receive {able} sat at this moment")

    async def _in_a_place(
        self,
        address_key: str,
        caller_id: str,
        amount_msat: int,
        *,
        known: bool,
        topup_id: str | None = None,
    ) -> Topup:
        """A top-up in one of the OPEN_MAX places of a caller or an address. Raises TopupsOpen.

        Of a caller who is `known` it may be one that is open; a stranger's is one that nobody else
        was told, for its macaroon is half of what names its caller.
        """
        open_until_s: list[int] = []
        for number in range(OPEN_MAX):
            fresh = self._fresh(_place(address_key, number), caller_id, amount_msat, topup_id)
            found = await self._of_place(fresh, tries=TRIES if known else 1)
            if found is None:
                continue
            topup, wrote = found
            theirs = topup.topup_id == topup_id if topup_id else wrote or known
            if theirs and topup.amount_msat == amount_msat:
                return topup
            open_until_s.append(topup.expires_at_s)
        now_s = self._ledger.now_ms() // SECOND_MS
        wait_s = max(min(open_until_s, default=now_s) - now_s, 1)
        message = (
            f"{OPEN_MAX} top-ups of {'this caller' if known else 'your address'} wait to be "
            f"paid. Pay one of them, or ask again in {wait_s} seconds, when the first of them ends."
        )
        raise TopupsOpen(message, retry_after_s=wait_s)

    async def _of_place(self, fresh: Topup, *, tries: int) -> tuple[Topup, bool] | None:
        """What stands in the place of the fresh one, with its invoice, and whether we wrote that.

        None while it is nobody's to pay, and where others keep coming first.
        """
        for _ in range(tries):
            topup = await self._still_open(fresh.address_key)
            if topup is not None and topup.quarantine is not None:
                return None  # it waits for the operator
            try:
                return await self._issued(topup or await self._opened(fresh))
            except Conflict:
                continue
        return None

    async def _still_open(self, address_key: str) -> Topup | None:
        """The open one, unless its time is over."""
        topup = await self._ledger.books.open_topup(address_key)
        if topup is not None and topup.quarantine is None and self._over(topup):
            await self._cancel(topup)
            return None
        return topup

    def _over(self, topup: Topup) -> bool:
        """Whether its invoice has expired, by time that passed here too: no set clock ends it."""
        if not topup.facts.invoice_open:
            return False
        ending_ms = self._ledger.ending_ms()
        began_ms = min(topup.opened_at_ms, self._ledger.now_ms())
        lasted = ending_ms >= began_ms + self._expiry_s * SECOND_MS
        ahead = topup.opened_at_ms > began_ms  # it began by a clock that has gone back since
        return ending_ms >= topup.expires_at_s * SECOND_MS and (lasted or ahead)

    async def _cancel(self, topup: Topup) -> None:
        """Cancel its invoice at the node; it makes room only once the node says so."""
        invoice = await self._node.cancel_invoice(topup.payment_hash)
        if invoice.state is InvoiceState.CANCELED:
            await self._ledger.record_topup(topup, TopupLapsed())

    def _fresh(
        self, address_key: str, caller_id: str, amount_msat: int, topup_id: str | None = None
    ) -> Topup:
        topup_id = topup_id or self._vault.topup_id()
        return Topup(
            topup_id=topup_id,
            caller_id=caller_id,
            address_key=address_key,
            amount_msat=amount_msat,
            opened_at_ms=self._ledger.now_ms(),
            state=TopupState.OPENED,
            version=1,
            attempt=0,
            payment_hash=self._vault.payment_hash(topup_id, 0),
        )

    async def _opened(self, topup: Topup) -> Topup:
        return (await self._ledger.apply(open_topup(topup))).topup or topup

    async def _issued(self, topup: Topup) -> tuple[Topup, bool]:
        """The top-up with its invoice, and whether it was us who wrote that down."""
        if topup.state is not TopupState.OPENED:
            return topup, False
        tag = self._vault.memo_tag(topup.caller_id, topup.payment_hash)
        invoice = await self._node.add_invoice(
            InvoiceOrder(
                preimage=self._vault.preimage(topup.topup_id, topup.attempt),
                payment_hash=topup.payment_hash,
                amount_msat=topup.amount_msat,
                memo=tagged(TOPUP, tag),
                expiry_s=self._expiry_s,
            )
        )
        if invoice.state is InvoiceState.CANCELED:
            another = self._vault.payment_hash(topup.topup_id, topup.attempt + 1)
            lost = TopupInvoiceLost(payment_hash=another)
            return await self._issued((await self._ledger.record_topup(topup, lost))[0])
        invoiced = TopupInvoiced(
            payment_request=invoice.payment_request, expires_at_s=invoice.expires_at_s
        )
        return await self._ledger.record_topup(topup, invoiced)


def _not_taken(why: str) -> RequestInvalid:
    return RequestInvalid(f"{why}: ask for another amount_sat.", param="amount_sat")


def _place(address_key: str, number: int) -> str:
    """The key of one of the places that an address has."""
    return sha256(f"{address_key}\n{number}".encode()).hexdigest()
