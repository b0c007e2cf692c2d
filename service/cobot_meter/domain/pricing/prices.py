"""Pricing: the ceiling before a run, the price after it, and the whole-sat invoice.

The ceiling bounds the cost from above with figures of the same snapshot that the price is later
computed from, so price <= ceiling can be promised: what goes beyond is the operator's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from operator import attrgetter

from cobot_meter.domain.money import (
    ExchangeRate,
    ceil_div,
    msat_from_pusd,
    pusd_from_msat,
    whole_sat_up,
    with_surcharge,
)

# A byte-level tokenizer cannot make more tokens than bytes; the rest covers chat templates.
TOKENS_PER_MESSAGE_MAX = 16
TOKENS_PER_REQUEST_MAX = 512
# A ceiling bounds what tokens can cost; a few times as much is an overrun, more is a mistake.
BELIEVED_CEILINGS = 10
# More than the hungriest tokenizer known makes of one image; a prompt has at most a context's.
TOKENS_PER_IMAGE_MAX = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """Unit prices in pico-USD per token (and per request), the worst over all overrides."""

    prompt_pusd: int
    completion_pusd: int
    request_pusd: int = 0
    cache_write_pusd: int = 0
    reasoning_pusd: int = 0

    @classmethod
    def dearest(cls, prices: Iterable[ModelPrice]) -> ModelPrice:
        """The highest of each unit price; there must be one at least."""
        return cls.of_units(map(max, zip(*(price.units for price in prices), strict=True)))

    @property
    def units(self) -> tuple[int, ...]:
        """Every unit price, in the order of the fields: a new one comes last."""
        return _units_of(self)

    @classmethod
    def of_units(cls, units: Iterable[int]) -> ModelPrice:
        """The price with these units. Raises ValueError for more or fewer than there are."""
        return cls(**dict(zip(_UNITS, units, strict=True)))

    def is_within(self, cap: ModelPrice) -> bool:
        """Whether none of the prices that an upstream is held to is above those of `cap`."""
        return (
            self.prompt_pusd <= cap.prompt_pusd
            and self.completion_pusd <= cap.completion_pusd
            and self.request_pusd <= cap.request_pusd
        )

    @property
    def free(self) -> bool:
        """Whether a cost of zero is a fact rather than an unknown."""
        return not (self.prompt_pusd or self.completion_pusd or self.request_pusd)


_UNITS = tuple(field.name for field in fields(ModelPrice))
_units_of: Callable[[ModelPrice], tuple[int, ...]] = attrgetter(*_UNITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePrice:
    """What an image in the prompt costs: pico-USD for each, and for each token made of it."""

    image_pusd: int
    token_pusd: int = 0

    @classmethod
    def dearest(cls, prices: Iterable[ImagePrice]) -> ImagePrice:
        """The highest of both; there must be one at least."""
        prices = tuple(prices)
        return cls(
            image_pusd=max(price.image_pusd for price in prices),
            token_pusd=max(price.token_pusd for price in prices),
        )

    def ceiling_pusd(self, images: int, price: ModelPrice, *, context_length: int) -> int:
        """The most that so many images add to the cost of a prompt."""
        tokens = min(images * TOKENS_PER_IMAGE_MAX, context_length)
        token_pusd = max(price.prompt_pusd, price.cache_write_pusd, self.token_pusd)
        return images * self.image_pusd + tokens * token_pusd


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTerms:
    """What is added to the upstream's cost, in basis points.

    `credit_fee_bps` is what buying upstream credit costs us; `safety_bps` widens the ceiling only.
    """

    credit_fee_bps: int = 550
    markup_bps: int = 1_000
    safety_bps: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """The most a run can cost, and the most its caller can be charged for it."""

    cost_pusd: int
    price_msat: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A price taken apart: cost, fee and margin in msat add up to `price_msat`.

    `overrun_msat` is what the ceiling kept from being charged.
    """

    cost_pusd: int
    cost_msat: int
    credit_fee_msat: int
    markup_msat: int
    price_msat: int
    overrun_msat: int


def ceiling_for(
    *,
    prices: tuple[ModelPrice, ...],
    prompt_bytes: int,
    message_count: int,
    max_tokens: int,
    rate: ExchangeRate,
    terms: PriceTerms,
) -> Ceiling:
    """The ceiling over every model that may answer (openrouter: facts, section 7)."""
    cost_pusd = ceiling_cost(
        prices=prices,
        prompt_bytes=prompt_bytes,
        message_count=message_count,
        max_tokens=max_tokens,
        terms=terms,
    )
    return ceiling_of(cost_pusd, rate=rate, terms=terms)


def ceiling_of(cost_pusd: int, *, rate: ExchangeRate, terms: PriceTerms) -> Ceiling:
    """The ceiling of a run, or of several together, that cost at most so much."""
    return Ceiling(cost_pusd=cost_pusd, price_msat=_price_msat(cost_pusd, rate, terms))


def ceiling_cost(
    *,
    prices: tuple[ModelPrice, ...],
    prompt_bytes: int,
    message_count: int,
    max_tokens: int,
    terms: PriceTerms,
) -> int:
    """The most that a run may cost upstream, in pico-USD, over every model that may answer."""
    prompt_tokens = prompt_bytes + TOKENS_PER_MESSAGE_MAX * message_count + TOKENS_PER_REQUEST_MAX
    worst_pusd = max(
        price.request_pusd
        + prompt_tokens * max(price.prompt_pusd, price.cache_write_pusd)
        + max_tokens * max(price.completion_pusd, price.reasoning_pusd)
        for price in prices
    )
    return ceil_div(*with_surcharge(worst_pusd, terms.safety_bps))


def price_for(cost_pusd: int, *, ceiling_msat: int, rate: ExchangeRate, terms: PriceTerms) -> Price:
    """What a caller is charged for a cost: cost + credit fee + markup, never above the ceiling."""
    full_msat = _price_msat(cost_pusd, rate, terms)
    price_msat = min(full_msat, ceiling_msat)
    cost_msat = min(msat_from_pusd(cost_pusd, rate), price_msat)
    with_fee_msat = min(msat_from_pusd(cost_pusd, rate, terms.credit_fee_bps), price_msat)
    return Price(
        cost_pusd=cost_pusd,
        cost_msat=cost_msat,
        credit_fee_msat=with_fee_msat - cost_msat,
        markup_msat=price_msat - with_fee_msat,
        price_msat=price_msat,
        overrun_msat=full_msat - price_msat,
    )


def cost_within(price_msat: int, *, rate: ExchangeRate, terms: PriceTerms) -> Ceiling:
    """The highest cost whose price is not above `price_msat`, found by halving, and its price."""
    low, high = 0, pusd_from_msat(price_msat, rate) + 1
    while low + 1 < high:
        middle = (low + high) // 2
        fits = _price_msat(middle, rate, terms) <= price_msat
        low, high = (middle, high) if fits else (low, middle)
    return Ceiling(cost_pusd=low, price_msat=_price_msat(low, rate, terms))


def kept_when_lapsed_msat(
    cost_pusd: int, *, price_msat: int, rate: ExchangeRate, terms: PriceTerms
) -> int:
    """What stays ours of a paid, never claimed completion: its cost and the credit fee (A12)."""
    return min(price_msat, msat_from_pusd(cost_pusd, rate, terms.credit_fee_bps))


def invoice_amount_msat(due_msat: int) -> int:
    """Whole satoshis for what is due; what the rounding adds is the caller's credit."""
    return whole_sat_up(due_msat)


def unit_price_msat_text(unit_pusd: int, rate: ExchangeRate, terms: PriceTerms) -> str:
    """Our price of a million units in msat, for the model list (rounded up)."""
    return str(msat_from_pusd(unit_pusd * 1_000_000, rate, terms.credit_fee_bps, terms.markup_bps))


def unit_price_pusd(unit_pusd: int, terms: PriceTerms) -> int:
    """Our price of one unit in pico-USD, for the model list (rounded up)."""
    return ceil_div(*with_surcharge(unit_pusd, terms.credit_fee_bps, terms.markup_bps))


def charged_pusd(price_msat: int, rate: ExchangeRate) -> int:
    """What callers see as `usage.cost`: the price charged to them, in pico-USD."""
    return pusd_from_msat(price_msat, rate)


def _price_msat(cost_pusd: int, rate: ExchangeRate, terms: PriceTerms) -> int:
    return msat_from_pusd(cost_pusd, rate, terms.credit_fee_bps, terms.markup_bps)
