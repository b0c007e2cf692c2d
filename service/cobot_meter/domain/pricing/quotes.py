"""What a caller was told before asking, and the most it will pay: both bind whoever prices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cobot_meter.domain.errors import CeilingOverCap
from cobot_meter.domain.money import ExchangeRate, msat_from_pusd, usd_text
from cobot_meter.domain.pricing.prices import Ceiling, ModelPrice, PriceTerms, charged_pusd


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxCost:
    """A caller's own cap on the price: in msat, or in pico-USD; exactly one is set."""

    msat: int | None = None
    pusd: int | None = None

    def admits(self, ceiling: Ceiling, rate: ExchangeRate) -> bool:
        """Whether the most that can be charged is within it."""
        if self.msat is not None:
            return ceiling.price_msat <= self.msat
        return charged_pusd(ceiling.price_msat, rate) <= (self.pusd or 0)

    def price_msat(self, rate: ExchangeRate) -> int:
        """The highest price that it admits at this rate."""
        if self.msat is not None:
            return self.msat
        most_pusd = self.pusd or 0
        price_msat = msat_from_pusd(most_pusd, rate)
        return price_msat if charged_pusd(price_msat, rate) <= most_pusd else price_msat - 1

    def text(self) -> str:
        """The cap in its own unit, for a sentence: `1000 msat` or `$0.01`."""
        return f"{self.msat} msat" if self.msat is not None else f"${usd_text(self.pusd or 0)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotedTerms:
    """The terms of an earlier quote: unit prices by model, and whatever else makes a price.

    `terms` are the operator's fees of that moment: a price made from these prices and other fees
    would be neither the one that was quoted nor the one of now.
    """

    models: tuple[tuple[str, ModelPrice], ...]
    max_tokens: int
    ceiling: Ceiling
    rate: ExchangeRate
    terms: PriceTerms
    expires_at_ms: int


def refuse_quote_over_cap(quoted: QuotedTerms, cap: MaxCost | None) -> None:
    """Raises CeilingOverCap where the quote allows more than the caller does now."""
    if cap is not None and not cap.admits(quoted.ceiling, quoted.rate):
        message = (
            f"The quote allows up to {quoted.ceiling.price_msat} msat, and X-Cobot-Max-Cost only "
            f"{cap.text()}."
        )
        raise CeilingOverCap(message)


def refuse_over_cap(
    ceiling_of: Callable[[int], Ceiling], *, max_tokens: int, cap: MaxCost, rate: ExchangeRate
) -> None:
    """Raises CeilingOverCap with the numbers, and how many tokens would fit, found by halving."""
    ceiling = ceiling_of(max_tokens)
    if cap.admits(ceiling, rate):
        return
    low = most_tokens(lambda tokens: cap.admits(ceiling_of(tokens), rate), below=max_tokens)
    usd = usd_text(charged_pusd(ceiling.price_msat, rate))
    fits = f"max_tokens {low} would fit" if low else "not even one token would fit"
    message = (
        f"This can cost up to {ceiling.price_msat} msat (${usd}) with max_tokens {max_tokens}, and "
        f"X-Cobot-Max-Cost allows {cap.text()}; {fits}."
    )
    raise CeilingOverCap(message)


def most_tokens(fits: Callable[[int], bool], *, below: int) -> int:
    """The most tokens below this number that fit, found by halving; 0 where not even one does."""
    low, high = 0, below
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerTerms:
    """The caller's own cap, and what it was told before; None for what it does not name.

    `models` are those that its API key may ask for, None for every one.
    """

    max_cost: MaxCost | None = None
    quoted: QuotedTerms | None = None
    models: frozenset[str] | None = None


NO_TERMS = CallerTerms()
