"""What an ask is offered: a quote, and the models that may answer it, who is asked first in front.

The ceiling is that of all of them, so whoever answers costs no more than was reserved. Must not
know: the books, or what becomes of the offer.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.budgets.budget import BudgetWindow
from cobot_meter.domain.budgets.sheets import BudgetsAsked
from cobot_meter.domain.callers import CallerStanding, ExposureTerms
from cobot_meter.domain.consensus.panel import panel_text
from cobot_meter.domain.errors import UpstreamCreditLow
from cobot_meter.domain.escrow.record import Fallback, Quote
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.routing.table import Tier
from cobot_meter.domain.run.record import Run
from cobot_meter.domain.upstream.completions import CompletionRequest, Model
from cobot_meter.flows.offer.choose_model import ChooseModel
from cobot_meter.flows.offer.gates import WatchAccount
from cobot_meter.flows.offer.plan_reservation import PlanReservation
from cobot_meter.flows.offer.quote_panel import PanelRequest
from cobot_meter.flows.offer.quote_request import Offer, QuoteRequest
from cobot_meter.flows.offer.route_request import RouteRequest, Unrouted, in_turn

CIRCUIT_OPEN = "circuit_open"
NO_PRICE = ModelPrice(prompt_pusd=0, completion_pusd=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotedChain:
    """`quote` is for the first model of `chain`, under the ceiling of them all.

    `fallback` says why that is not the model that was asked for; None where it is. `route` is the
    decision that named the chain, as it is stored; None where the caller named it. Where it
    `is_panel`, the models are all asked at once and `route` names them. `windows` are
    the budgets that bound it, and `costs` what it could come to with so many tokens, in msat.
    """

    quote: Quote
    chain: tuple[Model, ...]
    fallback: Fallback | None = None
    route: str | None = None
    is_panel: bool = False
    windows: tuple[BudgetWindow, ...] = ()
    costs: Callable[[int], int | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOffer:
    """What one run of a task may come to. `model` is asked; `route` is as in a `QuotedChain`."""

    offer: Offer
    model: Model
    route: str | None


class MakeOffer:
    """Prices, circuits and our own credit upstream, held together for one caller."""

    def __init__(
        self,
        *,
        route_request: RouteRequest,
        quote_request: QuoteRequest,
        plan_reservation: PlanReservation,
        choose_model: ChooseModel,
        watch_account: WatchAccount,
        exposure: ExposureTerms,
    ) -> None:
        """`choose_model` has the circuits, `watch_account` our credit.

        `exposure` is the operator's setting.
        """
        self._route_request = route_request
        self._quote_request = quote_request
        self._plan_reservation = plan_reservation
        self._choose_model = choose_model
        self._watch_account = watch_account
        self.exposure = exposure

    async def quoted(
        self,
        request: CompletionRequest,
        standing: CallerStanding,
        *,
        key: ApiKey | None = None,
        whole: bool = False,
        budgets: BudgetsAsked | None = None,
    ) -> QuotedChain:
        """The quote for a caller of this standing.

        Raises as `RouteRequest.routed`, `QuoteRequest.offer` and `.quote`.

        What an API `key` asks is paid for beforehand: raises CreditShort where credit does not
        cover it. With `whole` all of it is reserved at once. `budgets` bound what is asked.
        """
        if request.asks_panel:
            panel = PanelRequest(request=request)
            return await self._quoted_panel(panel, standing, key=key, budgets=budgets)
        most = budgets.most if budgets is not None else Tier.PREMIUM
        routed = await self._route_request.routed(
            Unrouted(request=request, owner=standing.caller_id, most=most)
        )
        if request.verifies:
            self._route_request.begun(routed, owner=standing.caller_id)
            return await self._quoted_panel(in_turn(routed), standing, key=key, budgets=budgets)
        request = routed.request
        offer = await self._quote_request.offer(request)
        models = {model.model_id for model in offer.models}
        windows = budgets.windows(models) if budgets is not None else ()
        reserved = None
        if key is not None:
            if not whole:
                reserved = await self._plan_reservation.first(
                    request, offer, standing, key, windows
                )
            self._quote_request.refuse_short(offer, standing, reserved)
        quote = self._quote_request.quote(
            offer,
            standing,
            least_pusd=self.exposure.least_pusd(len(request.body.content)),
            reserved=reserved,
        )
        asked = offer.models[0]
        chain = self.following(offer.models, quote.ceiling_pusd)
        fallback = None
        if chain[0] is not asked:
            reason = CIRCUIT_OPEN if asked in chain else UpstreamCreditLow.code
            fallback = Fallback(asked_model=asked.model_id, reason=reason)
        self._route_request.begun(routed, owner=standing.caller_id)
        return QuotedChain(
            quote=_of_model(quote, chain[0]),
            chain=chain,
            fallback=fallback,
            route=routed.route,
            windows=windows,
            costs=lambda tokens: offer.costs(offer, offer.models, tokens),
        )

    async def _quoted_panel(
        self,
        asked: PanelRequest,
        standing: CallerStanding,
        *,
        key: ApiKey | None,
        budgets: BudgetsAsked | None,
    ) -> QuotedChain:
        """The quote of a panel, whose members are asked under the sum of their ceilings.

        Raises as `QuotePanel.offer`, `QuoteRequest.refuse_short` and `.quote`.
        """
        offered = await self._route_request.quote_panel.offer(asked)
        offer, body = offered.offer, asked.request.body
        if key is not None:
            self._quote_request.refuse_short(offer, standing)
        quote = self._quote_request.quote(
            offer, standing, least_pusd=self.exposure.least_pusd(len(body.content))
        )
        return QuotedChain(
            # Each member's run has its own prices; of the sale itself nobody is asked.
            quote=replace(quote, model=asked.name, prices=NO_PRICE),
            chain=offer.models,
            route=panel_text(offered.panel),
            is_panel=True,
            windows=budgets.windows({one.model_id for one in offer.models}) if budgets else (),
            costs=lambda tokens: offer.costs(offer, offer.models, tokens),
        )

    async def of_task(self, request: CompletionRequest, task_id: str) -> RunOffer:
        """What a run of a task may come to, and who is asked.

        Sessions are the task's own. Raises as `RouteRequest.routed` and `QuoteRequest.offer`.
        """
        routed = await self._route_request.routed(Unrouted(request=request, owner=task_id))
        offer = await self._quote_request.offer(routed.request)
        self._route_request.begun(routed, owner=task_id)
        first, *_ = self.following(offer.models, offer.ceiling.cost_pusd)
        return RunOffer(offer=offer, model=first, route=routed.route)

    def following(self, left: tuple[Model, ...], ceiling_pusd: int) -> tuple[Model, ...]:
        """Who is `left` of a chain, who is asked next in front."""
        return self._choose_model.order(self._watch_account.payable(left, ceiling_pusd))

    def room(self, run: Run, ceiling_pusd: int) -> AbstractContextManager[None]:
        """Count what a run may cost from its opening on. Raises UpstreamCreditLow."""
        return self._watch_account.room(run, ceiling_pusd)

    def over(self, run_id: str) -> None:
        """This run has ended in this process, whoever wrote down how."""
        self._watch_account.over(run_id)


def _of_model(quote: Quote, model: Model) -> Quote:
    """The quote for another model of the chain: the ceiling is that of them all."""
    return replace(quote, model=model.model_id, prices=model.price)
