"""What is reserved at first of a sale that grows, what it may cost us, and how far it reaches.

The first part has room for the prompt, by a measured bound, and for some tokens of the answer. How
far it falls short of the certain bound is bounded by what the operator risks of a request. Must not
know: escrows, events, or who is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cobot_meter.domain.money import (
    ExchangeRate,
    ceil_div,
    msat_from_pusd,
    pusd_from_msat,
    with_surcharge,
)
from cobot_meter.domain.pricing.prices import Ceiling, ModelPrice, PriceTerms

# Output tokens that the first reservation has room for.
FIRST_TOKENS = 1_024
# What may be generated between the last word that we read and the end of the stream there.
IN_FLIGHT_TOKENS = 512
# Fewer are not worth a commit.
LEAST_STEP_TOKENS = 256
# Who has so many times as much as a request may cost has all of it reserved at once: no commit more
# while it is answered, and nothing at our risk.
AMPLE = 16
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstReservation:
    """`msat` of credit with room for `tokens` of output, and what may be lost beyond it."""

    msat: int
    tokens: int
    overrun_pusd: int


def first_reservation(
    cost_of: Callable[[int, int], Ceiling],
    *,
    prompt_tokens: tuple[int, int],
    max_tokens: int,
    overrun_pusd: int,
    rate: ExchangeRate,
) -> FirstReservation:
    """What is reserved at first of a request that may cost `cost_of(prompt, output)` tokens.

    `prompt_tokens` are the measured bound and the certain one. What lies between them, and what may
    be on its way when the answer is cut, is ours up to `overrun_pusd`; the rest is reserved too.
    """
    tokens = min(FIRST_TOKENS, max_tokens)
    first_msat = cost_of(min(prompt_tokens), tokens).price_msat
    worst_msat = cost_of(max(prompt_tokens), min(tokens + IN_FLIGHT_TOKENS, max_tokens)).price_msat
    ours_msat = max(msat_from_pusd(overrun_pusd, rate) - 1, 0)
    first_msat = max(first_msat, worst_msat - ours_msat)
    return FirstReservation(
        msat=first_msat,
        tokens=tokens,
        overrun_pusd=min(pusd_from_msat(worst_msat - first_msat, rate), overrun_pusd),
    )


def output_msat(tokens: int, price: ModelPrice, *, rate: ExchangeRate, terms: PriceTerms) -> int:
    """The most that so many more tokens of output are sold for."""
    unit_pusd = max(price.completion_pusd, price.reasoning_pusd)
    cost_pusd = ceil_div(*with_surcharge(tokens * unit_pusd, terms.safety_bps))
    return msat_from_pusd(cost_pusd, rate, terms.credit_fee_bps, terms.markup_bps)


def output_tokens(msat: int, price: ModelPrice, *, rate: ExchangeRate, terms: PriceTerms) -> int:
    """How many tokens of output so much pays for, rounded down."""
    million_msat = output_msat(_MILLION, price, rate=rate, terms=terms)
    return msat * _MILLION // million_msat if million_msat else _MILLION
