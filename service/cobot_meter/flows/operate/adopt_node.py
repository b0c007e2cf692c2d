"""Bind the books to a node: silently to the first, at the operator's word to another.

Facts come only from their owner, but the node that was left cannot be asked any more: of what was
open on it, the operator's word is all there is. Everything open is closed first and the adoption is
booked last, so that a kill in between leaves the books with the old node: the same word again
finishes. What the old node settled all the same is credit, should it ever say so.
"""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.domain.errors import BooksBusy, Conflict, NodeUnavailable, SettingInvalid
from cobot_meter.domain.escrow.events import InvoiceCanceled, InvoiceLost
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import EscrowState
from cobot_meter.domain.invoices import AdoptedNode, NodeIdentity, next_adoption
from cobot_meter.domain.topup.events import TopupLapsed
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.transitions.node import node_adopted
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.record_event import OurNode
from cobot_meter.flows.vault import Vault
from cobot_meter.ports.lightning_node import NodeBinding

PAGE = 500
TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """The node that the books belong to now, and what was closed of the one that was `left`.

    `left` None: they belonged to this one, or to none, and nothing was closed.
    """

    node: AdoptedNode
    left: AdoptedNode | None
    escrows_closed: int
    topups_closed: int
    invoices_anew: int


class AdoptNode:
    """The only flow that changes whose books these are."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        vault: Vault,
        node: NodeBinding,
        ours: OurNode,
    ) -> None:
        """`ours` is what every other flow of this process goes by; this one changes it."""
        self._ledger = ledger
        self._vault = vault
        self._node = node
        self._ours = ours

    async def begin(self) -> None:
        """At start: books of no node become this one's. Raises SettingInvalid for another's."""
        adopted = await self._ledger.books.node()
        if adopted is None:
            adopted = await self._book(next_adoption(None, self._ours.identity))
        if not adopted.is_of(self._ours.identity):
            raise SettingInvalid(_not_ours(self._ours.identity, adopted))

    async def follow(self) -> None:
        """Go along with what another process adopted. Raises NodeUnavailable if we cannot."""
        adopted = await self._ledger.books.node()
        if adopted is None or adopted.is_of(self._ours.identity):
            return
        said = await self._node.identity()
        if not adopted.is_of(said):
            raise NodeUnavailable(_not_ours(said, adopted))
        self._go_by(said)

    async def adopt(self) -> Adoption:
        """Bind the books to the node as it is now, and close what was open on the one before.

        Idempotent. Raises NodeUnavailable, BooksBusy.
        """
        said = await self._node.identity()
        left = await self._ledger.books.node()
        if left is None or left.is_of(said):
            node = left or await self._book(next_adoption(None, said))
            closed = (0, 0, 0)
            left = None
        else:
            coming = next_adoption(left, said)
            closed = (*await self._close_invoices(coming), await self._renumber_costed(coming))
            node = await self._book(coming)
        if not node.is_of(said):
            message = f"another process adopted {node.pubkey} meanwhile; look and say it again"
            raise BooksBusy(message)
        self._go_by(said)
        return Adoption(
            node=node,
            left=left,
            escrows_closed=closed[0],
            topups_closed=closed[1],
            invoices_anew=closed[2],
        )

    def _go_by(self, identity: NodeIdentity) -> None:
        self._node.bind(identity)
        self._ours.identity = identity

    async def _book(self, coming: AdoptedNode) -> AdoptedNode:
        """The node that the books belong to afterwards: another process may have been faster."""
        await self._ledger.apply(node_adopted(coming, at_ms=self._ledger.now_ms()))
        return await self._ledger.books.node() or coming

    async def _close_invoices(self, coming: AdoptedNode) -> tuple[int, int]:
        """End what waits for a payment on the old node: how many escrows, how many top-ups."""
        escrows, topups, after = 0, 0, ""
        while page := await self._ledger.books.open_invoices(after=after, limit=PAGE):
            for invoice in page:
                match await self._closed(invoice.payment_hash, coming):
                    case Escrow():
                        escrows += 1
                    case Topup():
                        topups += 1
            after = page[-1].subject_id
        return escrows, topups

    async def _closed(self, payment_hash: str, coming: AdoptedNode) -> Escrow | Topup | None:
        for _ in range(TRIES):
            subject = await self._ledger.books.subject_of_payment(payment_hash)
            try:
                match subject:
                    case Escrow(state=EscrowState.INVOICED):
                        canceled = InvoiceCanceled(
                            payment_hash=payment_hash, adoption=coming.number
                        )
                        return await self._ledger.record(subject, canceled)
                    case Topup() if subject.facts.invoice_open:
                        return (await self._ledger.record_topup(subject, TopupLapsed()))[0]
                    case _:
                        return None  # it ended meanwhile
            except Conflict:
                continue
        message = f"{payment_hash} keeps changing; say it again"
        raise BooksBusy(message)

    async def _renumber_costed(self, coming: AdoptedNode) -> int:
        """Give what is priced another payment hash: the old node may know the one it has."""
        renumbered, after = 0, ""
        while page := await self._ledger.books.unfinished(after=after, limit=PAGE):
            for escrow_id in page:
                renumbered += await self._renumbered(escrow_id, coming)
            after = page[-1]
        return renumbered

    async def _renumbered(self, escrow_id: str, coming: AdoptedNode) -> bool:
        for _ in range(TRIES):
            escrow = await self._ledger.books.escrow(escrow_id)
            if escrow is None or escrow.state is not EscrowState.PRICED or escrow.due_msat == 0:
                return False
            another = self._vault.payment_hash(escrow_id, escrow.attempt + 1)
            lost = InvoiceLost(payment_hash=another, adoption=coming.number)
            try:
                await self._ledger.record(escrow, lost)
            except Conflict:
                continue
            return True
        message = f"{escrow_id} keeps changing; say it again"
        raise BooksBusy(message)


def _not_ours(said: NodeIdentity, adopted: AdoptedNode) -> str:
    return (
        f"the node is {said.pubkey} on {said.network}, but these books belong to {adopted.pubkey} "
        f"on {adopted.network}: bring that one back, or close what is open on it and go on with "
        "this one: cobot-meter lnd adopt"
    )
