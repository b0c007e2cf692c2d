"""Top-ups: what an empty ask is offered, and how its invoice is made.

Must not know: HTTP, or how a payment is noticed (`settle_invoice.py` does).
"""

from __future__ import annotations

from hashlib import sha256
from typing import Protocol

from cobot_meter.domain.errors import Conflict, NodeUnavailable, TopupsOpen
from cobot_meter.domain.invoices import TOPUP, InvoiceOrder, InvoiceState, tagged
from cobot_meter.domain.retention import SECOND_MS
from cobot_meter.domain.topup.events import TopupInvoiced, TopupInvoiceLost, TopupLapsed
from cobot_meter.domain.topup.record import PROBE_AMOUNT_MSAT, Topup
from cobot_meter.domain.topup.states import TopupState
from cobot_meter.domain.transitions.topups import open_topup
from cobot_meter.flows.escrow_faults import quarantined_fault
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.release_gate import ReleaseGate
from cobot_meter.flows.vault import Vault
from cobot_meter.ports.lightning_node import InvoiceCanceler, InvoiceMaker

TRIES = 3
# How many of one address wait for payment at a time. Each stranger is given a top-up of its own,
# for whoever pays one is its caller from then on; what nobody pays ends with its invoice.
STRANGERS_MAX = 8


class TopUpNode(InvoiceMaker, InvoiceCanceler, Protocol):
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
    ) -> None:
        """`expiry_s` is how long an invoice lives; no credit is sold past a closed gate."""
        self._ledger = ledger
        self._vault = vault
        self._node = node
        self._release_gate = release_gate
        self._expiry_s = expiry_s

    async def offer(self, *, address_key: str, caller_id: str | None) -> Topup:
        """The caller's open top-up, or a fresh one; without a name always a fresh one.

        Raises NodeUnavailable, ReleasesStopped, Quarantined when the open one cannot be booked, and
        TopupsOpen when strangers of this address have too many open.
        """
        self._release_gate.check()
        if caller_id is None:
            return await self._of_a_stranger(address_key)
        for _ in range(TRIES):
            topup = await self._still_open(address_key)
            if topup is not None and topup.quarantine is not None:
                raise quarantined_fault(topup.topup_id, why=topup.quarantine, is_topup=True)
            try:
                if topup is None:
                    topup = await self._opened(address_key, caller_id)
                return (await self._issued(topup))[0]
            except Conflict:
                continue
        message = "The top-up could not be made just now; ask again."
        raise NodeUnavailable(message, retry_after_s=1)

    async def _of_a_stranger(self, address_key: str) -> Topup:
        """One that nobody else was told: its macaroon is half of what names its caller."""
        open_until_s: list[int] = []
        for number in range(STRANGERS_MAX):
            key = _place(address_key, number)
            topup = await self._still_open(key)
            if topup is not None and topup.quarantine is not None:
                continue  # nobody's to pay: it waits for the operator
            if topup is not None and topup.facts.invoice_open:
                open_until_s.append(topup.expires_at_s)
                continue
            try:
                issued, ours = await self._issued(topup or await self._opened(key, None))
            except Conflict:
                continue
            if ours:
                return issued
            open_until_s.append(issued.expires_at_s)
        now_s = self._ledger.now_ms() // SECOND_MS
        wait_s = max(min(open_until_s, default=now_s) - now_s, 1)
        message = (
            f"{STRANGERS_MAX} top-ups of your address wait to be paid. Pay one of them, or ask "
            f"again in {wait_s} seconds, when the first of them ends."
        )
        raise TopupsOpen(message, retry_after_s=wait_s)

    async def _still_open(self, address_key: str) -> Topup | None:
        """The open one, unless its time is over."""
        topup = await self._ledger.books.open_topup(address_key)
        if topup is not None and topup.quarantine is None and self._over(topup):
            await self._cancel(topup)
            return None
        return topup

    def _over(self, topup: Topup) -> bool:
        """By the node's word, and by time that has passed here: no clock that is set ends it."""
        if not topup.facts.invoice_open:
            return False
        ending_ms = self._ledger.ending_ms()
        began_ms = min(topup.opened_at_ms, self._ledger.now_ms())
        lasted = ending_ms >= began_ms + self._expiry_s * SECOND_MS
        ahead = topup.opened_at_ms > began_ms  # it began by a clock that has gone back since
        return ending_ms >= topup.expires_at_s * SECOND_MS and (lasted or ahead)

    async def _cancel(self, topup: Topup) -> None:
        """An expired one makes room only once the node says so."""
        invoice = await self._node.cancel_invoice(topup.payment_hash)
        if invoice.state is InvoiceState.CANCELED:
            await self._ledger.record_topup(topup, TopupLapsed())

    async def _opened(self, address_key: str, caller_id: str | None) -> Topup:
        topup_id = self._vault.topup_id()
        topup = Topup(
            topup_id=topup_id,
            caller_id=caller_id or self._vault.caller_id(),
            address_key=address_key,
            amount_msat=PROBE_AMOUNT_MSAT,
            opened_at_ms=self._ledger.now_ms(),
            state=TopupState.OPENED,
            version=1,
            attempt=0,
            payment_hash=self._vault.payment_hash(topup_id, 0),
        )
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


def _place(address_key: str, number: int) -> str:
    """The key of one of the places that an address has."""
    return sha256(f"{address_key}\n{number}".encode()).hexdigest()
