"""Node → books: whatever the node was paid on an invoice of ours has to be in the books (R1).

Theory of operation. Books that come from an older backup do not know the invoices that were made
and paid since, and no stream and no look-up of theirs would ever find them. So the node's own list
is read, from a mark on: all that was made before it has ended, and is in the books. The mark is an
entry of the books, so older books have an older mark. What is paid and known to nobody is credited
to the caller whom the memo's tag names; what no tag names waits for the operator's word. Until the
first sweep of a start is clean nothing new is sold.

Must not know: timers, or how the node lists.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from cobot_meter.domain.errors import Broken, Conflict, NodeUnavailable, Quarantined, RequestInvalid
from cobot_meter.domain.invoices import InvoiceState, ListedInvoice, is_ours, tag_of
from cobot_meter.domain.outside import text
from cobot_meter.domain.retention import SECOND_MS
from cobot_meter.domain.transitions.kinds import PAYMENT_SET_ASIDE, SWEPT
from cobot_meter.domain.transitions.node import node_swept, payment_found, payment_set_aside
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.offer.gates import NodeGate
from cobot_meter.flows.record_event import OurNode
from cobot_meter.flows.sale.settle_invoice import SettleInvoice
from cobot_meter.flows.vault import Vault
from cobot_meter.ports.lightning_node import InvoiceList

LOG = logging.getLogger(__name__)
# How far the node's clock may be from ours.
MARGIN_S = 7_200
# How far it is from ours where both are well: what is made from now on is dated no earlier.
SKEW_S = 60
# A mark is moved when it moves this far, so that an idle service writes nothing.
STEP_S = 3_600
INTERVAL_MS = 600 * SECOND_MS
PAGE = 500
# Later attempts that a lost past may have made of an escrow that these books have not ended.
ATTEMPTS = 3
UNNAMED_MAX = 1_000
REASON_MAX = 200


@dataclass(slots=True)
class Swept:
    """What one sweep came to: how many payments, in msat where it is money.

    `late` were paid while nobody listened, `found` were in no book and are credited now,
    `pending` will be booked when their escrows have gone on, `foreign` carry another service's
    tag, and `unnamed` (hash and amount) wait for the operator. `coming` are hashes that escrows
    which have not ended will have, once somebody had to know.
    """

    late: int = 0
    found: int = 0
    found_msat: int = 0
    pending: int = 0
    foreign: int = 0
    unnamed: dict[str, int] = field(default_factory=dict)
    coming: frozenset[str] | None = None

    @property
    def clean(self) -> bool:
        """Whether the books know whatever the node was paid."""
        return not (self.pending or self.unnamed)


class SweepNode:
    """Reads the node's list and books what is missing; holds the gate until that is done."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        vault: Vault,
        settle_invoice: SettleInvoice,
        node: InvoiceList,
        ours: OurNode,
        node_gate: NodeGate,
    ) -> None:
        """`node_gate` is held by whoever starts a service; a clean sweep lets go of it."""
        self._ledger = ledger
        self._vault = vault
        self._settle_invoice = settle_invoice
        self._node = node
        self._ours = ours
        self._node_gate = node_gate
        self._swept_at_ms: int | None = None
        self.found = 0
        self.last: Swept | None = None

    async def ping(self) -> None:
        """Return while the books are level with the node. Raises NodeUnavailable."""
        if self._node_gate.held:
            waiting = len(self.last.unnamed) if self.last else 0
            message = "the books have yet to be held against the node"
            if waiting:
                message = (
                    f"{waiting} payments at the node are in no book and name no caller: look at "
                    "them with cobot-meter audit, then say cobot-meter invoices set-aside"
                )
            raise NodeUnavailable(message)

    @property
    def holds(self) -> bool:
        """Whether nothing new is sold until a sweep is clean."""
        return self._node_gate.held

    def is_due(self) -> bool:
        """Whether it is time for another sweep."""
        if self._node_gate.held or self._swept_at_ms is None:
            return True
        return not 0 <= self._ledger.now_ms() - self._swept_at_ms < INTERVAL_MS

    async def begin(self) -> None:
        """At a start: sell nothing before the first clean sweep.

        Of books that have sold nothing yet: what the node did before them is not theirs.
        """
        self._node_gate.hold()
        pubkey = self._ours.identity.pubkey
        if await self._ledger.books.numbered(SWEPT) or await self._ledger.books.settle_cursor(
            pubkey
        ):
            return
        now_ms = self._ledger.now_ms()
        await self._ledger.apply(
            node_swept(
                number=0,
                pubkey=pubkey,
                through_s=now_ms // SECOND_MS - SKEW_S,
                counted={},
                at_ms=now_ms,
            )
        )

    async def sweep(self) -> Swept:
        """Read the list from the mark on and book what is missing. Raises NodeUnavailable."""
        number, since_s = await self._mark()
        edge_s = self._ledger.now_ms() // SECOND_MS - MARGIN_S
        swept = Swept()
        async for listed in self._node.listed_invoices(since_s):
            if is_ours(listed.memo) and not await self._ended(listed, swept):
                edge_s = min(edge_s, listed.invoice.created_at_s)
        await self._move_mark(number, since_s, edge_s, swept)
        self._conclude(swept)
        return swept

    async def set_aside(self, reason: str, payment_hash: str | None = None) -> tuple[str, ...]:
        """The operator's word: payments that name no caller are none of these books' business.

        One, or all that a sweep finds now; their hashes. Raises RequestInvalid, NodeUnavailable.
        """
        reason = text(reason.strip())
        if not 0 < len(reason) <= REASON_MAX:
            message = f"a reason of 1 to {REASON_MAX} characters is needed: it stays in the journal"
            raise RequestInvalid(message, param="reason")
        unnamed = (await self.sweep()).unnamed
        chosen = tuple(unnamed) if payment_hash is None else (payment_hash,)
        if payment_hash is not None and payment_hash not in unnamed:
            message = f"{payment_hash} is no payment that is in no book and names no caller"
            raise RequestInvalid(message, param="payment_hash")
        for one in chosen:
            await self._ledger.apply(
                payment_set_aside(
                    one, paid_msat=unnamed[one], reason=reason, at_ms=self._ledger.now_ms()
                )
            )
        await self.sweep()
        return chosen

    async def _mark(self) -> tuple[int, int]:
        """How many marks there are, and from which second on the list has to be read."""
        number, pubkey = await self._ledger.books.numbered(SWEPT), self._ours.identity.pubkey
        facts = await self._ledger.books.entry_facts(f"{SWEPT}/{number - 1}") if number else None
        through_s = (facts or {}).get("through_s")
        if facts is not None and facts.get("pubkey") == pubkey and isinstance(through_s, int):
            return number, through_s
        if facts is None or await self._ledger.books.settle_cursor(pubkey):
            return number, 0  # all of it: nobody knows how far these books ever came
        return number, max(self._ledger.now_ms() // SECOND_MS - MARGIN_S, 0)

    async def _ended(self, listed: ListedInvoice, swept: Swept) -> bool:
        """Whether nothing more can come of it, and the books know what came."""
        invoice = listed.invoice
        if invoice.state is not InvoiceState.SETTLED:
            return invoice.state is InvoiceState.CANCELED
        if await self._known(invoice.payment_hash):
            return True
        try:
            await self._settle_invoice.told(invoice)
        except (Quarantined, Conflict, Broken) as fault:
            # Its own trouble, which has rung already: it must not keep all others from being sold.
            LOG.error("%s: %s", invoice.payment_hash, fault.message)  # noqa: TRY400 - expected
            return False
        if await self._known(invoice.payment_hash):
            swept.late += 1
            return True
        if await self._may_come(invoice.payment_hash, swept):
            swept.pending += 1
            return False
        return await self._credited(listed, swept)

    async def _known(self, hash_: str) -> bool:
        keys = (f"ln/{hash_}", f"node/{PAYMENT_SET_ASIDE}/{hash_}")
        if any([await self._ledger.books.entry_facts(key) is not None for key in keys]):
            return True
        subject = await self._ledger.books.subject_of_payment(
            hash_
        )  # credited when it was written off
        return subject is not None and subject.paid_msat > 0

    async def _may_come(self, hash_: str, swept: Swept) -> bool:
        """Whether an escrow that has not ended will have this very invoice, as it had before."""
        if swept.coming is None:
            swept.coming = await self._coming()
        return hash_ in swept.coming

    async def _coming(self) -> frozenset[str]:
        hashes, after = set(), ""
        while page := await self._ledger.books.unfinished(after=after, limit=PAGE):
            for escrow_id in page:
                escrow = await self._ledger.books.escrow(escrow_id)
                attempt = escrow.attempt if escrow else 0
                hashes |= {
                    self._vault.payment_hash(escrow_id, attempt + more) for more in range(ATTEMPTS)
                }
            after = page[-1]
        return frozenset(hashes)

    async def _credited(self, listed: ListedInvoice, swept: Swept) -> bool:
        invoice, tag = listed.invoice, tag_of(listed.memo)
        subject = await self._ledger.books.subject_of_payment(invoice.payment_hash)
        caller_id = subject.caller_id if subject else None
        if caller_id is None and tag is not None:
            caller_id = self._vault.caller_of_tag(tag, invoice.payment_hash)
            if caller_id is None:
                swept.foreign += 1
                return True  # another service's key made it
        if caller_id is None:
            if len(swept.unnamed) < UNNAMED_MAX:
                swept.unnamed[invoice.payment_hash] = invoice.amount_paid_msat
            return False
        at_ms = self._ledger.now_ms()
        await self._ledger.apply(
            payment_found(caller_id, self._settle_invoice.settled(invoice), at_ms=at_ms)
        )
        swept.found += 1
        swept.found_msat += invoice.amount_paid_msat
        return True

    async def _move_mark(self, number: int, since_s: int, edge_s: int, swept: Swept) -> None:
        """Never backwards, and not at every sweep; what was found is said with it."""
        through_s = max(since_s, edge_s)
        last = await self._ledger.books.entry_facts(f"{SWEPT}/{number - 1}") if number else None
        told = (
            last is not None
            and last.get("pubkey") == self._ours.identity.pubkey
            and last.get("unnamed", 0) == len(swept.unnamed)
        )
        if told and through_s - since_s < STEP_S and not swept.found:
            return
        counted = {"late": swept.late, "found": swept.found, "found_msat": swept.found_msat}
        counted |= {"foreign": swept.foreign, "unnamed": len(swept.unnamed)}
        await self._ledger.apply(
            node_swept(
                number=number,
                pubkey=self._ours.identity.pubkey,
                through_s=through_s,
                counted=counted,
                at_ms=self._ledger.now_ms(),
            )
        )

    def _conclude(self, swept: Swept) -> None:
        self._swept_at_ms = self._ledger.now_ms()
        self.found += swept.found
        if swept.found:
            LOG.error(
                "these books are older than the node: %s payments of %s msat were in no book, and "
                "are now their callers' credit; see docs/operating.md, Restored from an older "
                "backup",
                swept.found,
                swept.found_msat,
            )
        if swept.unnamed and (self.last is None or self.last.unnamed != swept.unnamed):
            LOG.error(
                "%s payments of %s msat at the node are in no book and name no caller; nothing is "
                "sold until cobot-meter invoices set-aside",
                len(swept.unnamed),
                sum(swept.unnamed.values()),
            )
        self.last = swept
        if swept.clean:
            self._node_gate.let_go()
        else:
            self._node_gate.hold()
