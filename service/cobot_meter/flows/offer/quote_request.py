"""Quote a request: the most it can cost whichever of its models answers, and what that is in msat.

Everything that makes a request impossible to price is refused here. Must not know: HTTP, holds,
or whether anybody may ask.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass, replace

from cobot_meter.domain.callers import CallerStanding, ExposureTerms
from cobot_meter.domain.errors import CeilingOverCap, ModelNotOffered, RequestInvalid
from cobot_meter.domain.escrow.record import Quote
from cobot_meter.domain.money import AMOUNT_MAX, ExchangeRate
from cobot_meter.domain.pricing.prices import Ceiling, PriceTerms, ceiling_for
from cobot_meter.domain.pricing.quotes import MaxCost, QuotedTerms, refuse_over_cap
from cobot_meter.domain.upstream.completions import (
    CompletionRequest,
    Model,
    price_with_images,
    priced_for,
    refuse_over_context,
    refuse_unsupported,
    tokens_allowed,
)
from cobot_meter.domain.upstream.endpoints import ProviderChoice
from cobot_meter.flows.offer.catalogue import ModelCatalogue
from cobot_meter.flows.release_gate import ReleaseGate
from cobot_meter.flows.steady_clock import SteadyClock
from cobot_meter.ports.exchange_rate import ExchangeRates


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a request may come to: `models` in the order in which they are asked."""

    models: tuple[Model, ...]
    max_tokens: int
    ceiling: Ceiling
    rate: ExchangeRate
    terms: PriceTerms


class QuoteRequest:
    """Prices from the catalogue, at the rate of this moment."""

    def __init__(
        self,
        *,
        catalogue: ModelCatalogue,
        rates: ExchangeRates,
        price_terms: PriceTerms,
        exposure: ExposureTerms,
        steady_clock: SteadyClock,
        release_gate: ReleaseGate | None = None,
    ) -> None:
        """Terms and exposure are settings; nothing is quoted past a closed gate.

        `steady_clock` says whose day's budget it is.
        """
        self._release_gate = release_gate or ReleaseGate()
        self._steady_clock = steady_clock
        self._catalogue = catalogue
        self._rates = rates
        self._price_terms = price_terms
        self._exposure = exposure

    def models(self, request: CompletionRequest) -> tuple[Model, ...]:
        """Every model that may answer, in the caller's order, or in the operator's.

        Raises ModelNotOffered for one that the caller named; of the operator's own those that
        cannot take the request are left out.
        """
        asked = tuple(self._catalogue.offered(name) for name in request.model_chain)
        if request.fallback_models:
            return asked
        own = self._catalogue.fallbacks()
        return (*asked, *(one for one in own if one not in asked and _takes(request, one)))

    async def offer(self, request: CompletionRequest) -> Offer:
        """The ceiling over every model that may answer, or the terms the caller was quoted.

        Raises ModelNotOffered, RequestInvalid (a parameter that a model does not take, more tokens
        than it has, or than its context takes), RateStale, CeilingOverCap and ReleasesStopped.
        """
        self._release_gate.check()
        await self._catalogue.freshened(request.model_chain)
        models = self.models(request)
        for model in models:
            refuse_unsupported(request, model)
        if request.terms.quoted is not None:
            return _as_quoted(request.terms.quoted, models, request.terms.max_cost)
        max_tokens = min(tokens_allowed(request.max_tokens, model) for model in models)
        if request.providers is not None:
            models = await self._served(models, request.providers)
        prices = tuple(price_with_images(request, model) for model in models)
        for model in models:
            refuse_over_context(request, model, max_tokens=max_tokens)
        rate = await self._rates.current()

        def ceiling_of(tokens: int) -> Ceiling:
            return ceiling_for(
                prices=prices,
                prompt_bytes=request.prompt_bytes,
                message_count=request.message_count,
                max_tokens=tokens,
                rate=rate,
                terms=self._price_terms,
            )

        if request.terms.max_cost is not None:
            refuse_over_cap(
                ceiling_of, max_tokens=max_tokens, cap=request.terms.max_cost, rate=rate
            )
        ceiling = ceiling_of(max_tokens)
        _refuse_unbookable(ceiling)
        return Offer(
            models=models,
            max_tokens=max_tokens,
            ceiling=ceiling,
            rate=rate,
            terms=self._price_terms,
        )

    async def _served(self, models: tuple[Model, ...], choice: ProviderChoice) -> tuple[Model, ...]:
        """The models at the prices of the providers that the caller wants, all asked at once."""
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._catalogue.endpoints.of(model)) for model in models]
        return tuple(
            priced_for(model, choice, task.result())
            for model, task in zip(models, asked, strict=True)
        )

    def quote(
        self, offer: Offer, standing: CallerStanding, *, least_pusd: int | None = None
    ) -> Quote:
        """The quote of the first model, under the ceiling of all of them.

        Raises RateJumped when the caller's credit does not cover it wholly.
        """
        credit_msat = _credit_msat(standing, offer.ceiling.price_msat)
        if credit_msat < offer.ceiling.price_msat:
            self._rates.check_post_paid()
        first = offer.models[0]
        return Quote(
            model=first.model_id,
            max_tokens=offer.max_tokens,
            ceiling_pusd=offer.ceiling.cost_pusd,
            ceiling_msat=offer.ceiling.price_msat,
            credit_reserved_msat=credit_msat,
            newcomer=self._exposure.is_newcomer(standing.settled_msat),
            day=self._day(),
            rate=offer.rate,
            terms=offer.terms,
            prices=first.price,
            least_pusd=least_pusd,
        )

    def _day(self) -> str:
        """Whose budget it is: a clock that was just set does not begin a day anew."""
        return utc_day(self._steady_clock.day_ms())


def _credit_msat(standing: CallerStanding, ceiling_msat: int) -> int:
    """How much of a ceiling the caller's credit covers."""
    return min(max(standing.available_msat, 0), ceiling_msat)


def _takes(request: CompletionRequest, model: Model) -> bool:
    if request.providers is not None and request.providers.only and not model.has_providers:
        return False  # the caller wants certain providers and nobody else
    try:
        refuse_unsupported(request, model)
        max_tokens = tokens_allowed(request.max_tokens, model)
        refuse_over_context(request, model, max_tokens=max_tokens)
        price_with_images(request, model)
    except RequestInvalid:
        return False
    return True


def _refuse_unbookable(ceiling: Ceiling) -> None:
    """An absurd unit price in the list must not become an amount that no book can hold."""
    if max(ceiling.cost_pusd, ceiling.price_msat) > AMOUNT_MAX:
        message = (
            f"This could cost {ceiling.price_msat} msat, and no more than {AMOUNT_MAX} can be "
            "booked; lower max_tokens, or choose another model."
        )
        raise CeilingOverCap(message)


def utc_day(now_ms: int) -> str:
    """The UTC day of a moment, as budgets are named: `2026-11-22`."""
    moment = dt.datetime.fromtimestamp(now_ms // 1_000, tz=dt.UTC)
    return moment.date().isoformat()


def _as_quoted(quoted: QuotedTerms, models: tuple[Model, ...], cap: MaxCost | None) -> Offer:
    """The offer of an earlier quote, for the models that are still on offer, at its prices."""
    if cap is not None and not cap.admits(quoted.ceiling, quoted.rate):
        message = (
            f"The quote allows up to {quoted.ceiling.price_msat} msat, and X-Cobot-Max-Cost only "
            f"{cap.text()}."
        )
        raise CeilingOverCap(message)
    prices = dict(quoted.models)
    kept = tuple(
        replace(model, price=prices[model.model_id]) for model in models if model.model_id in prices
    )
    if not kept:
        message = "No model of the quote is offered any more; get another from POST /v1/quotes."
        raise ModelNotOffered(message)
    return Offer(
        models=kept,
        max_tokens=quoted.max_tokens,
        ceiling=quoted.ceiling,
        rate=quoted.rate,
        terms=quoted.terms,
    )
