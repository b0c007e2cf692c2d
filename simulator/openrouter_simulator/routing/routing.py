"""From an ask to an order: a model, an endpoint that may and can run it, and its prices.

Must not know: HTTP, faults or the balance.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

from openrouter_simulator.error_answers import ErrorAnswer, OrderRefused, refused
from openrouter_simulator.routing.asks import Ask
from openrouter_simulator.routing.endpoints import Endpoint, endpoints_of
from openrouter_simulator.routing.models import SimulatedModel, model_named
from openrouter_simulator.routing.preferences import (
    Preferences,
    allowed,
    constraint_filtered,
    over_the_caps,
    preferences_from,
)
from openrouter_simulator.routing.prices import Prices

VARIANTS = ("floor", "nitro", "online", "exacto")
_DOWN_STATUS = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An ask at an endpoint, at the prices of this moment; `tried` are providers that failed."""

    ask: Ask
    endpoint: Endpoint
    prices: Prices
    max_tokens: int
    searches: bool
    tried: tuple[Mapping[str, object], ...] = ()

    @property
    def model(self) -> SimulatedModel:
        """The model that answers."""
        return self.endpoint.model

    @property
    def reserved_usd(self) -> Decimal:
        """What the account must be able to pay before this runs."""
        answers = self.ask.choices * self.max_tokens * self.prices.completion
        return self.ask.prompt_tokens * self.prices.prompt + self.once_usd + answers

    @property
    def once_usd(self) -> Decimal:
        """What is paid per request and image, whatever the tokens."""
        images = self.ask.image_count * (self.prices.image or Decimal(0))
        return images + (self.prices.request or Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A model of the ask, and the variant that came with its name."""

    model: SimulatedModel
    variant: str


def wanted_model(models: Mapping[str, SimulatedModel], name: str) -> Wanted:
    """The model of a name, `:nitro` and the like taken off. Raises OrderRefused."""
    model, variant = model_named(models, name), ""
    if model is None:
        plain, _, variant = name.rpartition(":")
        model = model_named(models, plain) if variant in VARIANTS else None
    if model is None or model.router:
        raise refused(400, f"{name} is not a valid model ID")
    return Wanted(model=model, variant=variant)


def order_of(
    ask: Ask,
    wanted: Wanted,
    *,
    provider: object,
    outages: Collection[str],
    now_ms: int,
    factor: Decimal = Decimal(1),
    chance: random.Random | None = None,
) -> Order:
    """The order on the first endpoint that will do; prices rise by `factor`. Raises OrderRefused.

    An endpoint of `outages` fails before its first token: the next one takes over, unless the
    request allows no fallback. With `chance` the load is spread, unless sorted or ordered.
    """
    _check_images(ask, wanted.model)
    preferences = preferences_from(provider, variant=wanted.variant, service_tier=ask.service_tier)
    able = _able(ask, wanted.model, preferences)
    if chance and not (preferences.sort or preferences.order):
        able = _spread(able, chance)
    tried: list[Mapping[str, object]] = []
    too_dear: OrderRefused | None = None
    for endpoint in able:
        prices = endpoint.prices_at(now_ms, prompt_tokens=ask.prompt_tokens).times(factor)
        over = over_the_caps(prices, preferences.caps)
        if over:
            too_dear = too_dear or constraint_filtered(wanted.model, over)
        elif endpoint.named(outages):
            tried.append(_failed(endpoint))
        else:
            max_tokens = ask.max_tokens or endpoint.max_out
            _check_thinking(ask, wanted.model, max_tokens)
            return Order(
                ask=ask,
                endpoint=endpoint,
                prices=prices,
                max_tokens=max_tokens,
                searches=ask.searches or wanted.variant == "online",
                tried=tuple(tried),
            )
    raise too_dear if too_dear and not tried else _all_failed(tried)


def _able(ask: Ask, model: SimulatedModel, preferences: Preferences) -> list[Endpoint]:
    """The allowed endpoints that can hold the prompt and the answer."""
    some = allowed(endpoints_of(model), preferences, parameters=ask.parameters)
    most = max(one.max_out for one in some)
    asked = ask.max_tokens or 1
    if asked > most:
        raise refused(400, f"max_tokens must be between 1 and {most}")
    needed = ask.prompt_tokens + asked
    longest = max(one.context_length for one in some)
    if needed > longest:
        raise refused(
            400,
            f"This endpoint's maximum context length is {longest} tokens. However, you requested "
            f"about {needed} tokens ({ask.prompt_tokens} of prompt, {asked} in the output).",
            error_type="context_length_exceeded",
        )
    able = [one for one in some if one.max_out >= asked and one.context_length >= needed]
    if not able:
        raise refused(404, "No endpoints found that can hold the prompt and max_tokens.")
    return able


def _check_thinking(ask: Ask, model: SimulatedModel, max_tokens: int) -> None:
    if model.must_think and ask.thinking_percent == 0:
        raise refused(400, "Reasoning is mandatory for this endpoint and cannot be disabled.")
    if ask.thinking_max is not None and ask.thinking_max >= max_tokens:
        raise refused(400, "max_tokens must be greater than reasoning.max_tokens")


def _spread(able: list[Endpoint], chance: random.Random) -> list[Endpoint]:
    """One of the endpoints first, the cheaper the likelier: by 1/price²."""
    dearest = max(one.factor for one in able)
    weights = [float((dearest / one.factor) ** 2) for one in able]
    (first,) = chance.choices(able, weights)
    return [first, *(one for one in able if one is not first)]


def _check_images(ask: Ask, model: SimulatedModel) -> None:
    if ask.image_count and not model.sees:
        raise refused(404, "No endpoints found that support image input")


def _failed(endpoint: Endpoint) -> Mapping[str, object]:
    return {"provider": endpoint.provider, "code": _DOWN_STATUS, "status": _DOWN_STATUS}


def _all_failed(tried: list[Mapping[str, object]]) -> OrderRefused:
    return OrderRefused(
        ErrorAnswer(
            status=502,
            message="Provider returned error",
            metadata={
                "error_type": "provider_unavailable",
                "provider_name": tried[-1]["provider"],
                "previous_errors": tried,
            },
        )
    )
