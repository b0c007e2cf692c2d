"""Whether a first part is reserved of what a request may cost, and how large it is.

Only where the run can be ended as soon as nothing more is paid for: somebody serves each of its
models who charges nothing further once the answer is closed, and no model thinks tokens that we
cannot see. Must not know: the books, or which upstreams those are.
"""

from __future__ import annotations

from collections.abc import Sequence

from cobot_meter.domain.api_key.record import ApiKey
from cobot_meter.domain.budgets.budget import BudgetWindow
from cobot_meter.domain.callers import CallerStanding, ExposureTerms
from cobot_meter.domain.escrow.budget_reservations import counted_at
from cobot_meter.domain.pricing.growth import (
    AMPLE,
    FirstReservation,
    first_reservation,
    output_bounds,
)
from cobot_meter.domain.pricing.prices import Ceiling, ceiling_for
from cobot_meter.domain.upstream.completions import CompletionRequest, Model, Reasoning
from cobot_meter.domain.upstream.endpoints import Endpoint, ProviderChoice
from cobot_meter.flows.offer.catalogue import ModelCatalogue
from cobot_meter.flows.offer.quote_request import Offer

_ANYBODY = ProviderChoice()


class PlanReservation:
    """Asks who serves a model only where it matters."""

    def __init__(self, *, catalogue: ModelCatalogue, exposure: ExposureTerms) -> None:
        """`exposure` is the operator's setting."""
        self._catalogue = catalogue
        self._exposure = exposure

    async def first(
        self,
        request: CompletionRequest,
        offer: Offer,
        standing: CallerStanding,
        key: ApiKey,
        windows: Sequence[BudgetWindow] = (),
    ) -> FirstReservation | None:
        """What is reserved at first; None where the whole ceiling is, from the beginning."""
        if _ample(offer, standing, key, windows) or not _can_be_bounded(request, offer):
            return None
        choice = request.providers or _ANYBODY
        for model in offer.models:
            endpoints = await self._catalogue.endpoints.of(model)
            if not any(_can_be_stopped(one, choice, model) for one in endpoints):
                return None

        def cost_of(prompt_tokens: int, output_tokens: int) -> Ceiling:
            return ceiling_for(
                prices=tuple(model.price for model in offer.models),
                prompt_bytes=prompt_tokens,
                message_count=request.message_count,
                max_tokens=output_tokens,
                rate=offer.rate,
                terms=offer.terms,
            )

        tokens, cut_tokens = output_bounds(offer.max_tokens)
        first = first_reservation(
            cost_of(request.prompt_tokens_most, tokens),
            cost_of(request.prompt_bytes, cut_tokens),
            tokens=tokens,
            overrun_pusd=self._exposure.overrun_request_pusd,
            rate=offer.rate,
        )
        return first if first.msat < offer.ceiling.price_msat else None


def _ample(
    offer: Offer, standing: CallerStanding, key: ApiKey, windows: Sequence[BudgetWindow]
) -> bool:
    """Whether the whole ceiling is little beside what there is, so that nothing has to grow."""
    there = (standing.available_msat, key.limits.limit_msat, key.limits.day_limit_msat)
    ceiling_msat = offer.ceiling.price_msat
    return all(msat is None or ceiling_msat * AMPLE <= msat for msat in there) and all(
        counted_at(offer.rate, one.budget.commodity, ceiling_msat) * AMPLE <= one.budget.amount
        for one in windows
    )


def _can_be_bounded(request: CompletionRequest, offer: Offer) -> bool:
    """Whether every token of prompt and answer can be told from the bytes that we see."""
    if request.adds_unseen or not offer.ceiling.price_msat:
        return False
    if request.own_terms and request.providers is None:
        return False  # who may serve on the caller's terms is the upstream's to work out
    asked = request.asks_reasoning
    return all(
        model.has_providers
        and (
            model.reasoning is Reasoning.NEVER or (model.reasoning is Reasoning.ASKED and not asked)
        )
        for model in offer.models
    )


def _can_be_stopped(endpoint: Endpoint, choice: ProviderChoice, model: Model) -> bool:
    """Whether it may serve this request within the quoted prices, and charges nothing once left."""
    return endpoint.stops and choice.allows(endpoint) and endpoint.price.is_within(model.price)
