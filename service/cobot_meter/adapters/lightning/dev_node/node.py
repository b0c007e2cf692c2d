"""The embedded development node: a LightningNode without Lightning, for demos and tests.

Must not know: escrows, callers, the ledger or HTTP. Its invoices are real, signed `lnbcrt` BOLT 11
text; only the money is not. It shows the preimage to nobody but a payer, remembers everything in
one file, has faults on demand, and refuses to start on anything that says mainnet.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from cobot_meter.adapters.lightning.dev_node.log import Accepted, Added, Canceled, Reopened, Settled
from cobot_meter.adapters.lightning.dev_node.payments import (
    Payment,
    PaymentFault,
    PaymentRefused,
    amount_to_pay,
    bare,
    own,
    payable,
    payment_of,
    read_payment_hash,
    receipt,
)
from cobot_meter.adapters.lightning.dev_node.signing import (
    NETWORK,
    NO_FAULTS,
    NodeFaults,
    sign_order,
    spoil,
)
from cobot_meter.adapters.lightning.dev_node.state import DevInvoice, DevNodeState
from cobot_meter.adapters.lightning.dev_node.streams import SettleStream, SettleStreams
from cobot_meter.adapters.lightning.invoice_check import check_invoice, check_order
from cobot_meter.domain.errors import InvoiceRefused, NodeUnavailable
from cobot_meter.domain.invoices import (
    Invoice,
    InvoiceOrder,
    InvoiceState,
    ListedInvoice,
    NodeIdentity,
)
from cobot_meter.ports.process import Clock

WATCH_EVERY_S = 1.0


class DevNode:
    """A LightningNode (service/cobot_meter/ports/lightning_node.py) and the wallet's side of it."""

    def __init__(
        self, *, path: Path, network: str, alias: str, clock: Clock, faults: NodeFaults = NO_FAULTS
    ) -> None:
        """Open the state file at `path`, or begin one. Raises SettingInvalid on any mainnet."""
        self._state = DevNodeState(path=path, network=network, clock=clock)
        self._clock = clock
        self._faults = faults
        self._streams = SettleStreams()
        pubkey = self._state.key.public_key.format().hex()
        self._identity = NodeIdentity(pubkey=pubkey, network=NETWORK, alias=alias)

    # --- the port ---

    async def identity(self) -> NodeIdentity:
        """The key of its file, `regtest`, and the alias it was given."""
        self._require_up()
        return self._identity

    def bind(self, identity: NodeIdentity) -> None:
        """Nothing: while this process runs nobody else takes its place."""

    async def add_invoice(self, order: InvoiceOrder) -> Invoice:
        """Make and sign the invoice, or find the one that this payment hash has already.

        Raises InvoiceRefused when that one has another amount or memo, when lnd would not take the
        order, or as told; NodeUnavailable when it is down or loses the reply, as told.
        """
        self._require_up()
        found = self._current(order.payment_hash)
        if found is not None and (found.invoice.amount_msat, found.memo) != (
            order.amount_msat,
            order.memo,
        ):
            raise InvoiceRefused("an invoice of this preimage exists with another amount or memo")
        entry = found or self._make(order)
        if self._faults.lost_add_replies:
            self._use_up("lost_add_replies")
            raise NodeUnavailable("the development node loses this reply, as told")
        answer = spoil(self._state.key, order, entry.invoice, self._faults.bad_invoice)
        if found is not None or answer is not entry.invoice:
            check_invoice(
                order, answer, self._identity
            )  # what was signed just now needs no reading
        return answer

    async def look_up(self, payment_hash: str) -> Invoice | None:
        """What holds now, expiry included; None for a hash it never saw."""
        self._require_up()
        entry = self._current(payment_hash)
        return None if entry is None else entry.invoice

    async def cancel_invoice(self, payment_hash: str) -> Invoice:
        """Cancel, giving a held payment back; a settled invoice stays settled."""
        self._require_up()
        entry = self._current(payment_hash)
        if entry is None:
            raise InvoiceRefused("the development node knows no invoice of this hash")
        if entry.due_ms is not None:
            entry = self._state.record(Canceled(payment_hash=payment_hash))
        if self._faults.lost_cancel_replies:
            self._use_up("lost_cancel_replies")
            raise NodeUnavailable("the development node loses this reply, as told")
        return entry.invoice

    def settled_invoices(self, since_settle_index: int) -> SettleStream:
        """A replay above the index (none for 0), then live; it is open when this returns."""
        backlog: list[Invoice] = []
        if since_settle_index > 0 and not self._faults.silent_streams:
            backlog = self._state.invoices.settled_above(since_settle_index)
        if self._faults.shuffled_replays:
            backlog.sort(key=lambda invoice: (invoice.created_at_s, invoice.payment_hash))
        if self._faults.doubled_events:
            backlog = [invoice for invoice in backlog for _ in range(2)]
        stream = self._streams.open(
            since_settle_index=since_settle_index, backlog=() if self._faults.down else backlog
        )
        if self._faults.down:
            stream.break_off()
        return stream

    async def listed_invoices(self, since_s: int) -> AsyncIterator[ListedInvoice]:
        """Every invoice made at this Unix second or later, in the order of making, from memory.

        Raises NodeUnavailable when told to be down.
        """
        self._require_up()
        if not self._faults.holds_expiry:
            self._state.expire_due()
        for listed in self._state.invoices.made_since(since_s):
            yield listed

    async def receivable_msat(self) -> int | None:
        """Nobody's channels: it can be paid whatever it asks for."""
        return None

    async def ping(self) -> None:
        """Return unless told to be down."""
        self._require_up()

    # --- the payer's side ---

    async def pay(self, payment_request: str, *, amount_msat: int | None = None) -> Payment:
        """Pay it, at once and without a fee; `amount_msat` may offer more than asked.

        What was paid before is not paid again: the same preimage comes back, as from any wallet
        that remembers. Raises PaymentRefused. A held payment of the invoice is completed by this.
        """
        entry = self._own(payment_request)
        before = payment_of(entry)
        if before is not None:
            return before
        entry = payable(entry)
        settled = Settled(
            payment_hash=entry.invoice.payment_hash,
            amount_paid_msat=amount_to_pay(entry, amount_msat),
            settle_index=self._state.invoices.last_settle_index + 1 + self._faults.settle_index_gap,
        )
        entry = self._state.record(settled)
        self._faults = replace(self._faults, settle_index_gap=0)
        self._publish(entry.invoice)
        return receipt(entry)

    async def payment(self, payment_hash: str) -> Payment | None:
        """What the wallet paid for this hash; None when nothing was. Raises PaymentRefused."""
        self._require_reachable()
        return payment_of(self._current(payment_hash))

    async def hold_payment(self, payment_request: str) -> Invoice:
        """Let a payment arrive and go no further: ACCEPTED, until paid, given back or 120 s on."""
        entry = payable(self._own(payment_request))
        if entry.invoice.state is InvoiceState.OPEN:
            accepted = Accepted(payment_hash=entry.invoice.payment_hash, at_ms=self._clock.now_ms())
            entry = self._state.record(accepted)
        return entry.invoice

    async def give_back_payment(self, payment_hash: str) -> Invoice:
        """End a held payment without settling: the invoice is OPEN again. Raises PaymentRefused."""
        entry = self._current(payment_hash)
        if entry is None or entry.invoice.state is not InvoiceState.ACCEPTED:
            raise PaymentRefused(PaymentFault.INVOICE_UNKNOWN, "no payment of it is being held")
        return self._state.record(Reopened(payment_hash=payment_hash)).invoice

    # --- faults, time and the end ---

    @property
    def faults(self) -> NodeFaults:
        """The faults shown now; counters count down as they are used."""
        return self._faults

    def set_faults(self, faults: NodeFaults) -> None:
        """Show these from now on. Going down breaks every stream."""
        self._faults = faults
        if faults.down:
            self._streams.break_off()

    def break_streams(self) -> None:
        """End every stream that is open now; new ones work."""
        self._streams.break_off()

    def expire_due(self) -> int:
        """Cancel what has expired (unless told to hold); answers how many were looked at."""
        return 0 if self._faults.holds_expiry else self._state.expire_due()

    async def run(self) -> None:
        """Watch for expiry until canceled. Every access looks for itself too."""
        while True:
            with contextlib.suppress(NodeUnavailable):  # a full disk: the next access tries again
                self.expire_due()
            await self._clock.sleep(WATCH_EVERY_S)

    def close(self) -> None:
        """Break the streams and let go of the file."""
        self._streams.break_off()
        self._state.close()

    # --- inside ---

    def _require_up(self) -> None:
        if self._faults.down:
            raise NodeUnavailable("the development node is down, as told")

    def _use_up(self, counter: str) -> None:
        self._faults = replace(self._faults, **{counter: getattr(self._faults, counter) - 1})

    def _current(self, payment_hash: str) -> DevInvoice | None:
        return self._state.current(payment_hash, holds_expiry=self._faults.holds_expiry)

    def _make(self, order: InvoiceOrder) -> DevInvoice:
        if self._faults.refuses_adds:
            raise InvoiceRefused("the development node refuses new invoices, as told")
        check_order(order)
        created_at_s = self._clock.now_ms() // 1000
        return self._state.record(
            Added(
                payment_hash=order.payment_hash,
                preimage=order.preimage.hex(),
                payment_request=sign_order(self._state.key, order, created_at_s),
                amount_msat=order.amount_msat,
                memo=order.memo,
                created_at_s=created_at_s,
                expiry_s=order.expiry_s,
            )
        )

    def _own(self, payment_request: str) -> DevInvoice:
        self._require_reachable()
        request = bare(payment_request)
        written = request.lower() if request.isupper() else request  # a mixture is no invoice
        made_here = self._state.invoices.hash_of(written)
        return own(self._current(made_here or read_payment_hash(request)), request)

    def _require_reachable(self) -> None:
        if self._faults.down:
            raise PaymentRefused(PaymentFault.NODE_UNREACHABLE, "the node is down, as told")

    def _publish(self, invoice: Invoice) -> None:
        if self._faults.silent_streams:
            return
        if self._faults.lost_settle_events:
            self._use_up("lost_settle_events")
            return
        for _ in range(2 if self._faults.doubled_events else 1):
            self._streams.publish(invoice)
