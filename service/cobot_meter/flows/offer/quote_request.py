"""Quote a request: the most it can cost whichever of its models answers, and what that is in msat.

Everything that makes a request impossible to price is refused here. Must not know: HTTP, holds,
or whether anybody may ask.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from cobot_meter.domain.api_key.faults import ModelNotAllowed, Shortfall
from cobot_meter.domain.callers import CallerStanding, ExposureTerms
from cobot_meter.domain.errors import CeilingOverCap, ModelNotOffered, RequestInvalid
from cobot_meter.domain.escrow.record import Quote
from cobot_meter.domain.escrow.tasks import OF_A_TASK
from cobot_meter.domain.money import AMOUNT_MAX, ExchangeRate
from cobot_meter.domain.pricing.growth import FirstReservation
from cobot_meter.domain.pricing.prices import (
    Ceiling,
    ModelPrice,
    PriceTerms,
    ceiling_for,
    cost_within,
)
from cobot_meter.domain.pricing.quotes import (
    MaxCost,
    QuotedTerms,
    most_tokens,
    refuse_over_cap,
    refuse_quote_over_cap,
)
from cobot_meter.domain.privacy.faults import NobodyHere, NobodyKeepsNothing
from cobot_meter.domain.refusals import credit_short
from cobot_meter.domain.routing.hints import PrivacyTier
from cobot_meter.domain.routing.virtual import PRIVATE
from cobot_meter.domain.upstream.completions import (
    CompletionRequest,
    Model,
    price_of,
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


class Costs(Protocol):
    """What a request could cost at most, in msat."""

    def __call__(self, offer: Offer, models: tuple[Model, ...], max_tokens: int, /) -> int | None:
        """From these models on the terms of the offer; None for one that does not take it."""


# An answer of fewer tokens is no use: then another model is named.
USEFUL_TOKENS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a request may come to: `models` in the order in which they are asked.

    `costs` says what the same request could cost from others, or with fewer tokens.
    """

    models: tuple[Model, ...]
    max_tokens: int
    ceiling: Ceiling
    rate: ExchangeRate
    terms: PriceTerms
    costs: Costs


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

        Raises ModelNotOffered for one that the caller named, and ModelNotAllowed for one that its
        key may not ask for; of the operator's own those that cannot take the request are left out.
        None of them is below the request's tier: raises PrivacyUnroutable where that leaves nobody.
        """
        _refuse_of_key(request)
        asked = tuple(self._catalogue.offered(name) for name in request.model_chain)
        if request.privacy.tier is not PrivacyTier.PUBLIC:
            asked = _in_private(request, asked, self._catalogue.private())
        if request.fallback_models:
            return asked
        allowed = request.terms.models
        own = [
            one for one in self._catalogue.fallbacks() if allowed is None or one.model_id in allowed
        ]
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
            quoted, cap = request.terms.quoted, request.terms.max_cost
            return _as_quoted(quoted, models, cap, partial(_costs, request))
        max_tokens = min(tokens_allowed(request.max_tokens, model) for model in models)
        if request.providers is not None:
            models = await self._served(models, request.providers)
        prices = tuple(price_of(request, model) for model in models)
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
        refuse_unbookable(ceiling)
        return Offer(
            models=models,
            max_tokens=max_tokens,
            ceiling=ceiling,
            rate=rate,
            terms=self._price_terms,
            costs=partial(_costs, request),
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
        self,
        offer: Offer,
        standing: CallerStanding,
        *,
        least_pusd: int | None = None,
        reserved: FirstReservation | None = None,
    ) -> Quote:
        """The quote of the first model, under the ceiling of all of them.

        `reserved` is what is reserved of it at first where that grows. Raises RateJumped when the
        caller's credit does not cover it wholly.
        """
        credit_msat = _credit_msat(standing, offer.ceiling.price_msat)
        if reserved is not None:
            credit_msat = reserved.msat
        elif credit_msat < offer.ceiling.price_msat:
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
            first_tokens=reserved.tokens if reserved else None,
            overrun_pusd=reserved.overrun_pusd if reserved else 0,
        )

    async def of_task(self, ceiling: MaxCost, *, least_pusd: int) -> Quote:
        """The quote of a task under this ceiling of its price: its runs are priced by it together.

        It counts on the day of proven callers, as the operator has said who opens it. Raises
        RateStale, RateJumped, ReleasesStopped and CeilingOverCap.
        """
        self._release_gate.check()
        rate, terms = await self._rates.current(), self._price_terms
        self._rates.check_post_paid()
        within = cost_within(ceiling.price_msat(rate), rate=rate, terms=terms)
        refuse_unbookable(within)
        return Quote(
            model=OF_A_TASK,
            max_tokens=0,
            ceiling_pusd=within.cost_pusd,
            ceiling_msat=within.price_msat,
            credit_reserved_msat=0,
            newcomer=False,
            day=self._day(),
            rate=rate,
            terms=terms,
            prices=ModelPrice(prompt_pusd=0, completion_pusd=0),
            least_pusd=least_pusd,
        )

    def refuse_short(
        self, offer: Offer, standing: CallerStanding, reserved: FirstReservation | None = None
    ) -> None:
        """Raises CreditShort where the caller's credit does not cover the whole offer.

        Of one that grows it has to cover what is `reserved` at first. Another model is looked for
        only where no answer worth the name would fit.
        """
        needed_msat, credit_msat = offer.ceiling.price_msat, standing.available_msat
        if reserved is not None:
            needed_msat = reserved.msat
        if credit_msat >= needed_msat:
            return
        fits = most_tokens(
            lambda tokens: _within(offer.costs(offer, offer.models, tokens), credit_msat),
            below=offer.max_tokens,
        )
        useful = min(USEFUL_TOKENS, offer.max_tokens)
        raise credit_short(
            Shortfall(
                available_msat=credit_msat,
                reserved_msat=standing.credited_msat - standing.spent_credit_msat - credit_msat,
                needed_msat=needed_msat,
                fits_max_tokens=fits,
                cheaper_model=None if fits >= useful else self._fitting(offer, credit_msat),
            )
        )

    def _fitting(self, offer: Offer, credit_msat: int) -> str | None:
        """The dearest model that would answer this very request within the credit."""
        costs = (
            (msat, model.model_id)
            for model in self._catalogue.models()
            if (msat := offer.costs(offer, (model,), offer.max_tokens)) is not None
            and msat <= credit_msat
        )
        return max(costs, default=(0, None))[1]

    def _day(self) -> str:
        """Whose budget it is: a clock that was just set does not begin a day anew."""
        return utc_day(self._steady_clock.day_ms())


def _in_private(
    request: CompletionRequest, models: tuple[Model, ...], own: tuple[Model, ...]
) -> tuple[Model, ...]:
    """Who answers in place of those below the tier; `own` are the operator's of this machine.

    Raises NobodyKeepsNothing and NobodyHere.
    """
    if request.privacy.tier is PrivacyTier.ZDR:
        for model in models:
            if not (model.has_providers or model.on_this_machine):
                raise NobodyKeepsNothing(model.model_id, request.privacy)
        return models
    models = tuple(model for model in models if model.on_this_machine) or own
    allowed = request.terms.models
    if allowed is not None:
        models = tuple(one for one in models if not allowed.isdisjoint((one.model_id, PRIVATE)))
    if not models:
        raise NobodyHere(request.privacy, why="it has none that may")
    if request.image_count and not any(model.image_price for model in models):
        raise NobodyHere(request.privacy, why="the model there reads no images")
    return models


def _refuse_of_key(request: CompletionRequest) -> None:
    """Raises ModelNotAllowed where the API key that asks may not ask for one of the models."""
    allowed = request.terms.models
    if allowed is None:
        return
    for name in request.model_chain:
        if name not in allowed:
            message = (
                f"This API key may not ask for the model {name[:80]!r}; it may ask for "
                f"{', '.join(sorted(allowed))}."
            )
            raise ModelNotAllowed(message)


def _costs(
    request: CompletionRequest, offer: Offer, models: tuple[Model, ...], max_tokens: int
) -> int | None:
    """What the request could cost from these models at most, on the terms of the offer.

    None for a model that does not take it, or that its key may not ask for.
    """
    allowed = request.terms.models
    if any(allowed is not None and model.model_id not in allowed for model in models):
        return None
    if not all(model in offer.models or _takes(request, model) for model in models):
        return None
    return ceiling_for(
        prices=tuple(price_of(request, model) for model in models),
        prompt_bytes=request.prompt_bytes,
        message_count=request.message_count,
        max_tokens=max_tokens,
        rate=offer.rate,
        terms=offer.terms,
    ).price_msat


def _within(msat: int | None, most: int) -> bool:
    return msat is not None and msat <= most


def _credit_msat(standing: CallerStanding, ceiling_msat: int) -> int:
    """How much of a ceiling the caller's credit covers."""
    return min(max(standing.available_msat, 0), ceiling_msat)


def _takes(request: CompletionRequest, model: Model) -> bool:
    if not model.may_answer(request):
        return False
    if request.providers is not None and request.providers.only and not model.has_providers:
        return False  # the caller wants certain providers and nobody else
    try:
        refuse_unsupported(request, model)
        max_tokens = tokens_allowed(request.max_tokens, model)
        refuse_over_context(request, model, max_tokens=max_tokens)
        price_of(request, model)
    except RequestInvalid:
        return False
    return True


def refuse_unbookable(ceiling: Ceiling) -> None:
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


def _as_quoted(
    quoted: QuotedTerms, models: tuple[Model, ...], cap: MaxCost | None, costs: Costs
) -> Offer:
    """The offer of an earlier quote, for the models that are still on offer, at its prices."""
    refuse_quote_over_cap(quoted, cap)
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
        costs=costs,
    )
