"""Hand over what is paid for: settled → released, and the same bytes again while they are kept.

The delivery is committed before the first byte goes out. Only a settled or released escrow is ever
opened here.
"""

from __future__ import annotations

from cobot_meter.domain.errors import CompletionGone, Conflict, SealBroken
from cobot_meter.domain.escrow.events import (
    BodiesShredded,
    ClaimLapsed,
    CompletionDelivered,
    CompletionLost,
)
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import STATES, EscrowState, Stage
from cobot_meter.flows.answer.deliveries import Deliveries
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.release_gate import ReleaseGate
from cobot_meter.flows.vault import Vault


class DeliverCompletion:
    """The only place that opens a sealed completion."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        vault: Vault,
        release_gate: ReleaseGate,
        deliveries: Deliveries,
    ) -> None:
        """A closed `release_gate` stops every release; `deliveries` are told how each ended."""
        self.deliveries = deliveries
        self._ledger = ledger
        self._vault = vault
        self._release_gate = release_gate

    def check(self) -> None:
        """Return while what is sold now can be handed over. Raises ReleasesStopped."""
        self._release_gate.check()

    async def deliver(self, escrow: Escrow) -> tuple[Escrow, bytes]:
        """The released escrow and its `chat.completion` JSON, the same at every call.

        Raises CompletionGone when it is refunded or no longer kept, DependencyFault when
        releases are stopped, BodyKeysUnusable while the key of its day may come back. Whoever
        calls has checked that the caller may read it.
        """
        await self._release_gate.ping()
        if STATES[escrow.state].stage is not Stage.PAID:
            raise CompletionGone(_gone(escrow))
        try:
            body = await self._open(escrow)
        except SealBroken:
            await self._lost(escrow)
            raise CompletionGone(_gone(escrow)) from None
        if escrow.state is EscrowState.RELEASED:
            return escrow, body
        return await self._released(escrow), body

    async def claim_lapsed(self, escrow: Escrow) -> Escrow:
        """Settled and not claimed in time: what it did not cost us becomes credit."""
        event = ClaimLapsed(kept_msat=escrow.kept_if_unclaimed_msat)
        return await self._ledger.record(escrow, event)

    async def shred(self, escrow: Escrow) -> Escrow:
        """Drop the key of a released or expired escrow."""
        return await self._ledger.record(escrow, BodiesShredded())

    async def _open(self, escrow: Escrow) -> bytes:
        body = await self._vault.open_completion(escrow.escrow_id)
        if not self._vault.is_readable(body):
            message = f"no answer can be made of the completion of {escrow.escrow_id}"
            raise SealBroken(message)
        return body

    async def _released(self, escrow: Escrow) -> Escrow:
        try:
            return await self._ledger.record(escrow, CompletionDelivered())
        except Conflict:
            current = await self._ledger.books.escrow(escrow.escrow_id)
            if current is None or current.state is not EscrowState.RELEASED:
                raise
            return current

    async def _lost(self, escrow: Escrow) -> None:
        if escrow.state is EscrowState.SETTLED:
            await self._ledger.record(escrow, CompletionLost())


def _gone(escrow: Escrow) -> str:
    if escrow.state is EscrowState.RELEASED:
        return "This completion was delivered and is no longer kept. Ask again for a new one."
    return (
        "This completion is no longer kept. What was paid and not used is credit of the caller "
        "whose token this is; ask again and it is used first."
    )
