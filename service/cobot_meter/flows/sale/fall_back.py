"""Go on with the next model of a chain: the end of one run and the beginning of the next, at once.

One commit says both, so that there is no moment between two attempts. What the next run may cost is
reserved anew, under the guards of the days; while an earlier cost is unknown, its reservation
stands beside it. Must not know: what is sent, or how it went.
"""

from __future__ import annotations

from dataclasses import replace

from cobot_meter.domain.callers import ExposureTerms
from cobot_meter.domain.errors import CallerFault, DependencyFault, LedgerUnbalanced
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.run.events import FellBack, RunFailed, RunOutcomeUnknown
from cobot_meter.domain.transitions.escrows import next_run_transition
from cobot_meter.domain.upstream.completions import Model
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.offer.gates import NodeGate
from cobot_meter.flows.offer.make_offer import MakeOffer
from cobot_meter.flows.sale.run_completion import Attempted, upstream_call
from cobot_meter.ports.escrow_runs import JustOpened
from cobot_meter.ports.process import Replicas


class FallBack:
    """Whoever asked sees one sale, whichever of its runs answers."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        make_offer: MakeOffer,
        node_gate: NodeGate,
        replicas: Replicas,
        exposure: ExposureTerms,
    ) -> None:
        """`exposure` is the operator's setting."""
        self._ledger = ledger
        self._make_offer = make_offer
        self._node_gate = node_gate
        self._replicas = replicas
        self._exposure = exposure

    async def next_run(self, attempted: Attempted) -> JustOpened | None:
        """The next run, requested already; None when the failure stands, and has to be recorded.

        It stands when nobody is left, the caller was blocked, its key ended, nothing can be sold
        just now, or a guard has no room for another run. Raises Conflict when the sale has moved
        on.
        """
        ended, left = attempted.ended, attempted.left
        if ended is None or left is None:
            return None
        try:
            self._node_gate.check()
            if await self._barred(attempted.escrow):
                return None
            return await self._begun(attempted.escrow, ended, left)
        except (CallerFault, DependencyFault, LedgerUnbalanced):
            return None

    def over(self, run_id: str) -> None:
        """This run has ended in this process, whoever wrote down how."""
        self._make_offer.over(run_id)

    async def _barred(self, escrow: Escrow) -> bool:
        """Whether the operator has blocked who asked, or its owner ended the key, meanwhile."""
        if escrow.ask.nameless:
            return False  # named when it asked: the operator has not heard of it
        if escrow.key_id is not None and not await self._ledger.key_is_live(escrow.key_id):
            return True
        return await self._ledger.is_blocked(escrow.caller_id)

    async def _begun(
        self, escrow: Escrow, ended: RunFailed | RunOutcomeUnknown, left: JustOpened
    ) -> JustOpened:
        ceiling_pusd = escrow.quote.ceiling_pusd
        chain = self._make_offer.following(left.chain, ceiling_pusd)
        transition = next_run_transition(
            escrow,
            self._event(escrow, ended, chain[0]),
            at_ms=self._ledger.now_ms(),
            retention=self._ledger.retention,
            terms=self._exposure,
        )
        begun = transition.escrow or escrow
        with self._make_offer.room(begun.run, ceiling_pusd):
            # The failure is told nowhere else: it waits for the books as it would alone.
            applied = await self._ledger.apply(transition, lasting=True)
        begun = applied.escrow or begun
        call = upstream_call(begun, left.call.body)
        return replace(left, escrow=begun, call=call, chain=chain)

    def _event(
        self, escrow: Escrow, ended: RunFailed | RunOutcomeUnknown, model: Model
    ) -> FellBack:
        charged, cost = (
            (ended.charged, ended.cost) if isinstance(ended, RunFailed) else (None, None)
        )
        return FellBack(
            failure=ended.failure,
            charged=charged,
            cost=cost,
            run_id=escrow.next_run_id,
            upstream=model.upstream,
            model=model.model_id,
            prices=model.price,
            requested_by=self._replicas.own_id,
        )
