"""Open an escrow: quote the ceiling, reserve it under every guard, store the sealed request.

Everything that can refuse a request does so here, before any upstream spend. Must not know:
HTTP, or what happens to the escrow next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cobot_meter.domain.api_key.faults import KEY_GUARDS
from cobot_meter.domain.api_key.record import ApiKey, KeyLimits
from cobot_meter.domain.body import Body
from cobot_meter.domain.callers import CallerStanding, ExposureTerms
from cobot_meter.domain.errors import (
    CallerBlocked,
    ExposureExceeded,
)
from cobot_meter.domain.escrow.record import AskKey, Escrow, Opening, Quote
from cobot_meter.domain.escrow.states import Mode
from cobot_meter.domain.refusals import key_limit_reached
from cobot_meter.domain.transitions.escrows import NO_LIMITS, open_escrow
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
OVERRUN = "overrun"
BLOCKED = "The operator of this service has blocked this caller."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """Who asks, for which ask, and under which name it is opened; `key` is the API key, if any."""

    escrow_id: str
    caller_id: str
    ask: AskKey
    key: ApiKey | None


class OpenEscrow:
    """Opens escrows (A0), each with a quote that nothing priced later can change."""

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
        """A fresh id for an escrow that is about to be opened."""
        return self._vault.escrow_id()

    async def open(
        self,
        request: CompletionRequest,
        *,
        escrow_id: str,
        ask: AskKey,
        caller_id: str,
        at_once: TakeTurn,
        key: ApiKey | None = None,
    ) -> JustOpened:
        """The opened escrow, with what it will run; `key` is the API key that asked.

        `at_once` takes a place for its run; where that may begin now, it is opened and requested in
        one commit.

        Raises NodeUnavailable, BodyKeysUnusable, UpstreamCreditLow, ModelNotOffered,
        RequestInvalid (more tokens than the model has), RateStale, RateJumped (when credit does not
        cover it wholly), CallerBlocked, ExposureExceeded, AddressBusy, ServiceBusy (nothing was
        spent), Conflict when the same ask was opened by somebody else meanwhile, and for a key
        ModelNotAllowed, CreditShort and KeyLimitReached.
        """
        self._node_gate.check()
        self._vault.check()
        asked = _Asked(escrow_id=escrow_id, caller_id=caller_id, ask=ask, key=key)
        tries, whole = TRIES, False
        while True:
            try:
                return await self._open(request, asked, at_once=at_once, whole=whole)
            except ExposureExceeded as exceeded:
                if exceeded.guard == OVERRUN:
                    whole = True  # no more may be lost today: what has its ceiling loses nothing
                elif exceeded.guard == "available" and tries > 1:
                    tries -= 1  # credit spent by a parallel ask: quote again with what is left
                else:
                    raise

    async def _open(
        self, request: CompletionRequest, asked: _Asked, *, at_once: TakeTurn, whole: bool
    ) -> JustOpened:
        ask = asked.ask
        standing = await self._standing(ask, asked.caller_id)
        if standing.blocked:
            raise CallerBlocked(BLOCKED)
        offer = await self._make_offer.quoted(request, standing, key=asked.key, whole=whole)
        opening = Opening(
            escrow_id=asked.escrow_id,
            caller_id=asked.caller_id,
            opened_at_ms=self._ledger.now_ms(),
            stream=request.stream,
            ask=ask,
            quote=offer.quote,
            mode=Mode.CREDIT if asked.key is not None and offer.quote.ceiling_msat else Mode.ESCROW,
            fallback=offer.fallback,
            key_id=asked.key.key_id if asked.key else None,
        )
        sent = at_once(pays=_pays(offer.quote), address=ask.address)
        escrow = self._escrow(opening, offer=offer, at_once=sent)
        limits = asked.key.limits if asked.key else NO_LIMITS
        opened = await self._apply(escrow, request.body, standing, limits)
        return replace(
            opened, chain=offer.chain, began_ms=escrow.opened_at_ms, own_terms=request.own_terms
        )

    def _escrow(self, opening: Opening, *, offer: QuotedChain, at_once: bool) -> Escrow:
        return Escrow.opened(
            opening,
            upstream=offer.chain[0].upstream,
            requested_by=self._replicas.own_id if at_once else None,
        )

    async def _apply(
        self, escrow: Escrow, body: Body, standing: CallerStanding, limits: KeyLimits
    ) -> JustOpened:
        wrapped_key, sealed = await self._vault.seal_request(
            escrow.escrow_id, body.content, day=escrow.quote.day
        )
        opening = open_escrow(
            escrow,
            standing=standing,
            terms=self._exposure,
            bodies=StoredBodies(wrapped_key=wrapped_key, request=sealed),
            limits=limits,
        )
        try:
            with self._make_offer.room(escrow.run, escrow.quote.ceiling_pusd):
                await self._ledger.apply(opening)
        except ExposureExceeded as exceeded:
            if exceeded.guard in KEY_GUARDS:
                raise key_limit_reached(exceeded) from exceeded
            exceeded.at_ms = escrow.opened_at_ms
            raise
        return JustOpened(escrow=escrow, call=upstream_call(escrow, body), wrapped_key=wrapped_key)

    async def _standing(self, ask: AskKey, caller_id: str) -> CallerStanding:
        if ask.nameless:
            return CallerStanding(caller_id=caller_id)  # named a moment ago: nobody's yet
        return await self._ledger.books.standing(caller_id)


def _pays(quote: Quote) -> bool:
    """Whether credit covers what this may cost, or its caller has paid for others before."""
    return quote.ceiling_msat > 0 and (quote.covered or not quote.newcomer)
