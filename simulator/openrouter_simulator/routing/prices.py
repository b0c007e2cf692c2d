"""What a token, a request or an image costs, and when other prices hold instead.

Amounts are Decimal USD per unit. Must not know: models, providers or accounts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

_MS_PER_S = 1_000
_CLOCK_DIGITS = 4
_HOURS = 24
_MINUTES = 60
# the name OpenRouter gives a price, and ours
PRICE_NAMES: Mapping[str, str] = {
    "prompt": "prompt",
    "completion": "completion",
    "request": "request",
    "image": "image",
    "input_cache_read": "cache_read",
    "input_cache_write": "cache_write",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """USD per token, per request, per image; None where there is no such price."""

    prompt: Decimal
    completion: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    request: Decimal | None = None
    image: Decimal | None = None

    def times(self, factor: Decimal) -> Prices:
        """Each of these prices times `factor`; a price that there is not stays away."""
        if factor == 1:
            return self
        priced = {name: getattr(self, name) for name in PRICE_NAMES.values()}
        dearer = {name: price * factor for name, price in priced.items() if price is not None}
        return replace(self, **dearer)

    def document(self) -> dict[str, object]:
        """The `pricing` object: texts, USD per single unit."""
        pairs = ((said, getattr(self, name)) for said, name in PRICE_NAMES.items())
        return {said: price_text(price) for said, price in pairs if price is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Prices that hold above a prompt's size, or within a window of the UTC day (HHMM)."""

    prices: Mapping[str, Decimal] = field(default_factory=dict)
    min_prompt_tokens: int | None = None
    utc_start: str = ""
    utc_end: str = ""

    def holds(self, *, prompt_tokens: int, now_ms: int) -> bool:
        """Strictly more tokens than the least; a window is half open and may wrap midnight."""
        if self.min_prompt_tokens is not None and prompt_tokens <= self.min_prompt_tokens:
            return False
        if not self.utc_start:
            return True
        now = datetime.fromtimestamp(now_ms // _MS_PER_S, tz=UTC).strftime("%H%M")
        if self.utc_start <= self.utc_end:
            return self.utc_start <= now < self.utc_end
        return now >= self.utc_start or now < self.utc_end

    def document(self, factor: Decimal = Decimal(1)) -> dict[str, object]:
        """The entry of `overrides`."""
        conditions: dict[str, object] = {
            "min_prompt_tokens": self.min_prompt_tokens,
            "utc_start": self.utc_start or None,
            "utc_end": self.utc_end or None,
        }
        prices = {said: price_text(self.prices[name] * factor) for said, name in self._said()}
        return {name: value for name, value in conditions.items() if value is not None} | prices

    def _said(self) -> list[tuple[str, str]]:
        return [(said, name) for said, name in PRICE_NAMES.items() if name in self.prices]


def override_from(document: object) -> Override:
    """`{"min_prompt_tokens": 200000, "prompt": "0.000004"}`. Raises ValueError."""
    if not isinstance(document, dict):
        raise ValueError("an override must be an object")  # noqa: TRY004
    least = document.get("min_prompt_tokens")
    if least is not None and (not isinstance(least, int) or least < 0):
        raise ValueError("min_prompt_tokens must be a number of tokens")
    window = [document.get(name, "") for name in ("utc_start", "utc_end")]
    if any(window) and not all(isinstance(at, str) and _is_clock(at) for at in window):
        raise ValueError("utc_start and utc_end must both be HHMM")
    prices = {
        name: price_from(document[said]) for said, name in PRICE_NAMES.items() if said in document
    }
    if not prices:
        raise ValueError("an override must hold a price")
    return Override(prices=prices, min_prompt_tokens=least, utc_start=window[0], utc_end=window[1])


def price_from(value: object) -> Decimal:
    """A price of at least 0. Raises ValueError."""
    try:
        price = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"not a price: {value}") from None
    if not price.is_finite() or price < 0:
        raise ValueError(f"not a price: {value}")
    return price


def price_text(per_token: Decimal) -> str:
    """A price as OpenRouter writes it: plain digits, `0.00000015`; routers say `-1`."""
    return format(per_token.normalize(), "f")


def _is_clock(text: str) -> bool:
    digits = len(text) == _CLOCK_DIGITS and text.isascii() and text.isdigit()
    return digits and int(text[:2]) < _HOURS and int(text[2:]) < _MINUTES
