"""Open an escrow: quote the ceiling, reserve it under every guard, store the sealed request.

Everything that can refuse a request does so here, before any upstream spend. Must not know:
HTTP, or what happens to the escrow next.
"""

from __future__ import annotations

import dataclasses

from service.domain.callers import CallerStanding, ExposureTerms
from service.domain.completions import CompletionRequest
from service.domain.errors import CallerBlocked, ExposureExceeded
from service.domain.escrow_record import AskKey, Escrow, EscrowState
from service.domain.ledger import StoredBodies
from service.domain.transitions import open_escrow
from service.flows.node_gate import NodeGate
from service.flows.quote_request import QuoteRequest
from service.flows.record_event import EventRecorder
from service.flows.run_completion import request_label, run_request
from service.ports.books import Books
from service.ports.clock import Clock
from service.ports.escrow_runs import JustOpened
from service.ports.identifiers import Identifiers, Sealer
from service.ports.replicas import Replicas

TRIES = 3


class OpenEscrow:
    """A0, with a quote that nothing priced later can change."""

    def __init__(
        self,
        *,
        books: Books,
        recorder: EventRecorder,
        quoting: QuoteRequest,
        identifiers: Identifiers,
        sealer: Sealer,
        clock: Clock,
        exposure: ExposureTerms,
        node_gate: NodeGate,
        replicas: Replicas,
    ) -> None:
        """`exposure` is the operator's setting."""
        self._node_gate = node_gate
        self._replicas = replicas
        self._books = books
        self._recorder = recorder
        self._quoting = quoting
        self._identifiers = identifiers
        self._sealer = sealer
        self._clock = clock
        self._exposure = exposure

    def new_id(self) -> str:
        """What the next escrow is called."""
        return self._identifiers.escrow_id()

    async def open(
        self,
        request: CompletionRequest,
        *,
        escrow_id: str,
        ask: AskKey,
        caller_id: str,
        at_once: bool,
    ) -> JustOpened:
        """The opened escrow, with what it will run.

        `at_once` says that its request is sent next: then it is opened and requested in one
        commit.

        Raises NodeUnavailable, ModelNotOffered, RequestInvalid (more tokens than the model has),
        RateStale, RateJumped (when credit does not cover it wholly), CallerBlocked,
        ExposureExceeded (nothing was spent), and StaleEscrow when the same ask was opened by
        somebody else meanwhile.
        """
        self._node_gate.check()
        for _ in range(TRIES - 1):
            try:
                return await self._open(request, escrow_id, ask, caller_id, at_once=at_once)
            except ExposureExceeded as exceeded:
                if exceeded.guard != "available":
                    raise  # credit spent by a parallel ask: quote again with what is left
        return await self._open(request, escrow_id, ask, caller_id, at_once=at_once)

    async def _open(
        self,
        request: CompletionRequest,
        escrow_id: str,
        ask: AskKey,
        caller_id: str,
        *,
        at_once: bool,
    ) -> JustOpened:
        standing = await self._standing(ask, caller_id)
        if standing.blocked:
            message = "The operator of this service has blocked this caller."
            raise CallerBlocked(message)
        now_ms = self._clock.now_ms()
        escrow = Escrow(
            escrow_id=escrow_id,
            caller_id=caller_id,
            ask=ask,
            quote=await self._quoting.quote(request, standing, now_ms=now_ms),
            stream=request.stream,
            opened_at_ms=now_ms,
            changed_at_ms=now_ms,
            state=EscrowState.REQUESTED if at_once else EscrowState.OPENED,
            requested_by=self._replicas.own_id if at_once else None,
            version=1,
        )
        escrow = _with_budget(escrow)
        wrapped_key = self._sealer.new_key()
        sealed = self._sealer.seal(wrapped_key, request.body, label=request_label(escrow.escrow_id))
        await self._recorder.apply(
            open_escrow(
                escrow,
                standing=standing,
                terms=self._exposure,
                bodies=StoredBodies(wrapped_key=wrapped_key, request=sealed),
            )
        )
        return JustOpened(
            escrow=escrow, request=run_request(escrow, request.take_body()), wrapped_key=wrapped_key
        )

    async def _standing(self, ask: AskKey, caller_id: str) -> CallerStanding:
        if ask.nameless:
            return CallerStanding(caller_id=caller_id)  # named a moment ago: nobody's yet
        return await self._books.standing(caller_id)


def _with_budget(escrow: Escrow) -> Escrow:
    """Escrows that credit covers wholly count against no budget."""
    covered = escrow.quote.credit_reserved_msat == escrow.quote.ceiling_msat
    return dataclasses.replace(escrow, budget_held_pusd=0 if covered else escrow.quote.ceiling_pusd)
