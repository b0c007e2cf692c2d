"""Open an escrow: quote the ceiling, reserve it under every guard, store the sealed request.

Everything that can refuse a request does so here, before any upstream spend. Must not know:
HTTP, or what happens to the escrow next.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from cobot_meter.domain.api_key.faults import KEY_GUARDS
from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.budgets.sheets import codes_of, limits_of
from cobot_meter.domain.callers import CallerStanding, ExposureTerms
from cobot_meter.domain.errors import (
    CallerBlocked,
    ExposureExceeded,
)
from cobot_meter.domain.escrow.record import AskKey, Escrow, Opening, Quote
from cobot_meter.domain.escrow.states import Mode
from cobot_meter.domain.ledger.accounts import key_losses
from cobot_meter.domain.refusals import key_limit_reached, key_losses_reached
from cobot_meter.domain.routing.virtual import is_virtual
from cobot_meter.domain.transitions.escrows import NO_LIMITS, open_escrow
from cobot_meter.domain.transitions.transition import StoredBodies, Transition
from cobot_meter.domain.upstream.completions import CompletionRequest
from cobot_meter.flows.budget.find_budgets import FindBudgets
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.offer.gates import NodeGate
from cobot_meter.flows.offer.make_offer import MakeOffer, QuotedChain
from cobot_meter.flows.offer.quote_request import utc_day
from cobot_meter.flows.sale.run_completion import upstream_call
from cobot_meter.flows.vault import Vault
from cobot_meter.ports.escrow_runs import JustOpened, TakeTurn
from cobot_meter.ports.process import Replicas

TRIES = 3
# A request on credit is kept in memory while it runs, if it is not larger than this.
UNSTORED_BYTES_MAX = 256 * 1_024
OVERRUN = "overrun"
BLOCKED = "The operator of this service has blocked this caller."


@dataclass(frozen=True, slots=True, kw_only=True)
class Opener:
    """Who asks, for which ask, and under which name it is opened; `key` is the API key, if any.

    `comes_back` says that whoever asks may fetch the answer later, and not only wait for it.
    """

    escrow_id: str
    caller_id: str
    ask: AskKey
    key: ApiKey | None = None
    comes_back: bool = True


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
        self._find_budgets = FindBudgets(ledger=ledger)

    def new_id(self) -> str:
        """A fresh id for an escrow that is about to be opened."""
        return self._vault.escrow_id()

    async def open(
        self,
        request: CompletionRequest,
        asked: Opener,
        *,
        at_once: TakeTurn,
    ) -> JustOpened:
        """The opened escrow, with what it will run.

        `at_once` takes a place for its run; where that may begin now, it is opened and requested in
        one commit.

        Raises NodeUnavailable, BodyKeysUnusable, UpstreamCreditLow, ModelNotOffered,
        RequestInvalid (more tokens than the model has), RateStale, RateJumped (when credit does not
        cover it wholly), CallerBlocked, ExposureExceeded, AddressBusy, ServiceBusy (nothing was
        spent), Conflict when the same ask was opened by somebody else meanwhile, and for a key
        ModelNotAllowed, CreditShort, KeyLimitReached and KeyLossesReached. BudgetExhausted where a
        budget that bounds it has less left than it may cost.
        """
        self._node_gate.check()
        self._vault.check()
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
        self, request: CompletionRequest, asked: Opener, *, at_once: TakeTurn, whole: bool
    ) -> JustOpened:
        ask = asked.ask
        standing = await self._standing(asked)
        if standing.blocked:
            raise CallerBlocked(BLOCKED)
        lost_pusd, limit_pusd = standing.key_losses_pusd, self._exposure.key_losses_day_pusd
        if lost_pusd >= limit_pusd:
            raise key_losses_reached(lost_pusd, limit_pusd=limit_pusd)
        key_id = asked.key.key_id if asked.key else None
        budgets = await self._find_budgets.asked(asked.caller_id, key_id=key_id)
        if is_virtual(request.model) and not request.asks_panel:
            budgets = await self._find_budgets.depleted(budgets)
        offer = await self._make_offer.quoted(
            request, standing, key=asked.key, whole=whole, budgets=budgets
        )
        opening = Opening(
            escrow_id=asked.escrow_id,
            caller_id=asked.caller_id,
            opened_at_ms=self._ledger.now_ms(),
            stream=request.stream,
            ask=ask,
            quote=offer.quote,
            mode=_mode(asked, offer),
            fallback=offer.fallback,
            route=offer.route,
            key_id=key_id,
            budgets=codes_of(offer.windows),
        )
        sent = at_once(pays=_pays(offer.quote), address=ask.address)
        # A panel that waits for its turn is requested too: nobody else may begin a part of it.
        escrow = self._escrow(opening, offer=offer, at_once=sent or offer.is_panel)
        content = request.body.content
        bodies = await self._stored(escrow, content, asked)
        limits = asked.key.limits if asked.key else NO_LIMITS
        opened = open_escrow(
            escrow,
            standing=standing,
            terms=self._exposure,
            bodies=bodies,
            limits=limits,
            budgets=limits_of(offer.windows),
        )
        await self._apply(opened, escrow, offer)
        return JustOpened(
            escrow=escrow,
            call=upstream_call(escrow, request.body),
            wrapped_key=bodies.wrapped_key if bodies else None,
            unstored=b"" if bodies else content,
            chain=() if offer.is_panel else offer.chain,
            began_ms=escrow.opened_at_ms,
            own_terms=request.own_terms,
        )

    def _escrow(self, opening: Opening, *, offer: QuotedChain, at_once: bool) -> Escrow:
        return Escrow.opened(
            opening,
            upstream=offer.chain[0].upstream,
            requested_by=self._replicas.own_id if at_once else None,
        )

    async def _stored(self, escrow: Escrow, content: bytes, asked: Opener) -> StoredBodies | None:
        """What is stored of the request: nothing where nobody comes back for it."""
        unstored = (
            escrow.mode is Mode.CREDIT
            and not asked.comes_back
            and self._vault.keeps_briefly
            and len(content) <= UNSTORED_BYTES_MAX
        )
        if unstored:
            return None
        wrapped_key, sealed = await self._vault.seal_request(
            escrow.escrow_id, content, day=escrow.quote.day
        )
        return StoredBodies(wrapped_key=wrapped_key, request=sealed)

    async def _apply(self, opened: Transition, escrow: Escrow, offer: QuotedChain) -> None:
        quote = escrow.quote
        try:
            with contextlib.ExitStack() as rooms:
                for run in escrow.runs:
                    most_pusd = escrow.seen_from(run.run_id).run_ceiling_pusd
                    rooms.enter_context(self._make_offer.room(run, most_pusd))
                await self._ledger.apply(opened)
        except ExposureExceeded as exceeded:
            if exceeded.guard in KEY_GUARDS:
                raise key_limit_reached(exceeded) from exceeded
            exhausted = await self._find_budgets.refusal(
                exceeded,
                offer.windows,
                quote.rate,
                costs=offer.costs,
                max_tokens=quote.max_tokens,
            )
            if exhausted is not None:
                raise exhausted from exceeded
            exceeded.at_ms = escrow.opened_at_ms
            raise

    async def _standing(self, asked: Opener) -> CallerStanding:
        if asked.ask.nameless:
            return CallerStanding(caller_id=asked.caller_id)  # named a moment ago: nobody's yet
        losses = None
        if asked.key is not None:
            losses = key_losses(asked.key.key_id, utc_day(self._ledger.day_ms()))
        return await self._ledger.books.standing(asked.caller_id, losses=losses)


def _mode(asked: Opener, offer: QuotedChain) -> Mode:
    if offer.is_panel:
        return Mode.PANEL
    return Mode.CREDIT if asked.key is not None and offer.quote.ceiling_msat else Mode.ESCROW


def _pays(quote: Quote) -> bool:
    """Whether credit covers what this may cost, or its caller has paid for others before."""
    return quote.ceiling_msat > 0 and (quote.covered or not quote.newcomer)
