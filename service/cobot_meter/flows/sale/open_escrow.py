"""Open an escrow: quote the ceiling, reserve it under every guard, store the sealed request.

Everything that can refuse a request does so here, before any upstream spend. Must not know:
HTTP, or what happens to the escrow next.
"""

from __future__ import annotations

from dataclasses import replace

from cobot_meter.domain.body import Body
from cobot_meter.domain.callers import CallerStanding, ExposureTerms
from cobot_meter.domain.errors import (
    CallerBlocked,
    ExposureExceeded,
)
from cobot_meter.domain.escrow.record import AskKey, Escrow, Opening, Quote
from cobot_meter.domain.transitions.escrows import open_escrow
from cobot_meter.domain.transitions.transition import StoredBodies
from cobot_meter.domain.upstream.completions import CompletionRequest
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.offer.gates import NodeGate
from cobot_meter.flows.offer.make_offer import MakeOffer, QuotedChain
from cobot_meter.flows.sale.run_completion import upstream_call
from cobot_meter.flows.vault import Vault
from cobot_meter.ports.escrow_runs import JustOpened, TakeTurn
from cobot_meter.ports.process import Replicas

TRIES = 3
BLOCKED = "The operator of this service has blocked this caller."


class OpenEscrow:
    """A0, with a quote that nothing priced later can change."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        vault: Vault,
        make_offer: MakeOffer,
        node_gate: NodeGate,
        replicas: Replicas,
        exposure: ExposureTerms,
    ) -> None:
        """`exposure` is the operator's setting."""
        self._ledger = ledger
        self._vault = vault
        self._make_offer = make_offer
        self._node_gate = node_gate
        self._replicas = replicas
        self._exposure = exposure

    def new_id(self) -> str:
        """What the next escrow is called."""
        return self._vault.escrow_id()

    async def open(
        self,
        request: CompletionRequest,
        *,
        escrow_id: str,
        ask: AskKey,
        caller_id: str,
        at_once: TakeTurn,
    ) -> JustOpened:
        """The opened escrow, with what it will run.

        `at_once` takes a place for its run; where that may begin now, it is opened and requested in
        one commit.

        Raises NodeUnavailable, BodyKeysUnusable, UpstreamCreditLow, ModelNotOffered,
        RequestInvalid (more tokens than the model has), RateStale, RateJumped (when credit does not
        cover it wholly), CallerBlocked, ExposureExceeded, AddressBusy, ServiceBusy (nothing was
        spent), and Conflict when the same ask was opened by somebody else meanwhile.
        """
        self._node_gate.check()
        self._vault.check()
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
        at_once: TakeTurn,
    ) -> JustOpened:
        standing = await self._standing(ask, caller_id)
        if standing.blocked:
            raise CallerBlocked(BLOCKED)
        offer = await self._make_offer.quoted(request, standing)
        opening = Opening(
            escrow_id=escrow_id,
            caller_id=caller_id,
            opened_at_ms=self._ledger.now_ms(),
            stream=request.stream,
            ask=ask,
            quote=offer.quote,
            fallback=offer.fallback,
        )
        sent = at_once(pays=_pays(offer.quote), address=ask.address)
        escrow = self._escrow(opening, offer=offer, at_once=sent)
        opened = await self._apply(escrow, request.body, standing)
        return replace(
            opened, chain=offer.chain, began_ms=escrow.opened_at_ms, own_terms=request.own_terms
        )

    def _escrow(self, opening: Opening, *, offer: QuotedChain, at_once: bool) -> Escrow:
        return Escrow.opened(
            opening,
            upstream=offer.chain[0].upstream,
            requested_by=self._replicas.own_id if at_once else None,
        )

    async def _apply(self, escrow: Escrow, body: Body, standing: CallerStanding) -> JustOpened:
        wrapped_key, sealed = await self._vault.seal_request(
            escrow.escrow_id, body.content, day=escrow.quote.day
        )
        opening = open_escrow(
            escrow,
            standing=standing,
            terms=self._exposure,
            bodies=StoredBodies(wrapped_key=wrapped_key, request=sealed),
        )
        try:
            with self._make_offer.room(escrow.run, escrow.quote.ceiling_pusd):
                await self._ledger.apply(opening)
        except ExposureExceeded as exceeded:
            exceeded.at_ms = escrow.opened_at_ms
            raise
        return JustOpened(escrow=escrow, call=upstream_call(escrow, body), wrapped_key=wrapped_key)

    async def _standing(self, ask: AskKey, caller_id: str) -> CallerStanding:
        if ask.nameless:
            return CallerStanding(caller_id=caller_id)  # named a moment ago: nobody's yet
        return await self._ledger.books.standing(caller_id)


def _pays(quote: Quote) -> bool:
    """Whether credit covers what this may cost, or its caller has paid for others before."""
    covered = quote.credit_reserved_msat == quote.ceiling_msat
    return quote.ceiling_msat > 0 and (covered or not quote.newcomer)
